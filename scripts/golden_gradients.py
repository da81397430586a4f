#!/usr/bin/env python3
"""Write small calls of the derivatives of package kernels and what torch's autograd gives for them in float64.

    python scripts/golden_gradients.py        (needs torch)

The result is kernels/kerneltest/testdata/gradients.json, read by kerneltest's golden.go:

    {"generator": {...}, "cases": [{"op": ..., "name": ..., "inputs": {NAME: {"rows", "cols", "values"}},
     "numbers": {NAME: number}, "ints": {NAME: [int]}, "want": [number]}]}

inputs are float32 numbers (so that every device gets the same), which torch computes with in float64; want is the result
of the op, or of what it changed, one tensor after the other. The same versions write the same bytes on the same machine.
"""

import hashlib
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

SEED = 1
PATH = Path(__file__).resolve().parent.parent / "kernels" / "kerneltest" / "testdata" / "gradients.json"


def normal(rows, cols, scale=1.0):
    """A leaf of float32 values, in float64."""
    return (torch.randn(rows, cols) * scale).double().requires_grad_()


def case(op, name, inputs, want, numbers=None, ints=None):
    def matrix(t):
        assert torch.equal(t.detach().float().double(), t.detach()), f"{op} {name}: an input is not float32"
        return {"rows": t.shape[0], "cols": t.shape[1], "values": [shortest(v) for v in t.detach().flatten().tolist()]}

    values = torch.cat([w.detach().flatten() for w in want])
    assert torch.isfinite(values).all(), f"{op} {name}: a result is not finite"
    return {
        "op": op,
        "name": name,
        "inputs": {key: matrix(t) for key, t in inputs.items()},
        "numbers": numbers or {},
        "ints": ints or {},
        "want": values.tolist(),
    }


def shortest(value):
    """The number with the fewest digits that is value in float32."""
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        if torch.tensor(float(text), dtype=torch.float32).double().item() == value:
            return float(text)
    raise ValueError(value)


def gradients(result, dy, *leaves):
    return torch.autograd.grad(result, leaves, dy)


def linear():
    x, w, bias, dy = normal(7, 5), normal(6, 5), normal(1, 6), normal(7, 6)
    dx, dw, db = gradients(F.linear(x, w, bias[0]), dy, x, w, bias)
    yield case("LinearBackward", "linear-input", {"dy": dy, "w": w}, [dx])
    yield case("GramAdd", "linear-weight", {"dy": dy, "x": x}, [dw])
    yield case("SumRows", "linear-bias", {"dy": dy}, [db])


def layer_norm():
    for name, eps, scale in [("bert", 1e-12, 1.0), ("small-values", 1e-5, 0.01)]:
        x, residual, gamma, beta, dy = normal(5, 12, scale), normal(5, 12, scale), normal(1, 12), normal(1, 12), normal(5, 12)
        y = F.layer_norm(x + residual, (12,), gamma[0], beta[0], eps)
        dx, dgamma, dbeta = gradients(y, dy, x, gamma, beta)
        inputs = {"dy": dy, "x": x, "residual": residual}
        yield case("LayerNormBackward", "residual-" + name, inputs | {"gamma": gamma}, [dx], {"eps": eps})
        yield case("LayerNormWeights", "residual-" + name, inputs, [dgamma, dbeta], {"eps": eps})


def padded(t, lengths, heads):
    """Packed rows [N, heads*width] as [sequences, heads, longest, width]."""
    sequences = torch.nn.utils.rnn.pad_sequence(torch.split(t, lengths), batch_first=True)
    return sequences.unflatten(2, (heads, -1)).transpose(1, 2)


def attention():
    heads, width = 3, 4
    for name, queries, keys, causal, biased in [
        ("padding", [5, 2, 7], [5, 2, 7], False, False),
        ("padding-biases", [3, 6, 1], [4, 5, 2], False, True),
        ("causal", [6, 1, 4], [6, 1, 4], True, False),
    ]:
        q, dy = normal(sum(queries), heads * width), normal(sum(queries), heads * width)
        k, v = normal(sum(keys), heads * width), normal(sum(keys), heads * width)
        inputs = {"dy": dy, "q": q, "k": k, "v": v}
        mask = torch.zeros(len(keys), heads, max(queries), max(keys), dtype=torch.float64)
        for b, n in enumerate(keys):
            mask[b, :, :, n:] = -math.inf
        if causal:
            mask += torch.full((max(queries), max(keys)), -math.inf, dtype=torch.float64).triu(1)
        hidden = []
        if biased:
            bias, key_bias = normal(heads * max(queries), max(keys)), normal(sum(keys), 1)
            inputs |= {"bias": bias, "keybias": key_bias}
            hidden = [1, 6]  # rows of keys, whose bias becomes -Inf
            open_or_not = key_bias.detach().clone()
            open_or_not[hidden] = -math.inf
            mask = mask + bias.detach().view(heads, max(queries), max(keys))
            mask = mask + padded(open_or_not, keys, 1).squeeze(-1).unsqueeze(2)
        scale = 1 / math.sqrt(width)
        y = F.scaled_dot_product_attention(
            padded(q, queries, heads), padded(k, keys, heads), padded(v, keys, heads), attn_mask=mask, scale=scale
        )
        rows = y.transpose(1, 2).flatten(2)
        packed = torch.cat([rows[b, :n] for b, n in enumerate(queries)])
        yield case(
            "AttentionBackward",
            name,
            inputs,
            gradients(packed, dy, q, k, v),
            {"heads": heads, "scale": scale, "causal": int(causal)},
            {"queries": queries, "keys": keys, "hidden": hidden},
        )


def activations():
    for name, function in [
        ("gelu", F.gelu),
        ("gelu-tanh", lambda x: F.gelu(x, approximate="tanh")),
        ("gelu-quick", lambda x: x * torch.sigmoid(1.702 * x)),
        ("relu", F.relu),
        ("tanh", torch.tanh),
    ]:
        x = normal(6, 8, 2.0)
        yield case("Derivative", name, {"x": x}, gradients(function(x), torch.ones_like(x), x))


def softmax():
    x, dy = normal(5, 9, 2.0), normal(5, 9)  # the op gets the softmax of x
    yield case("SoftmaxBackward", "of-softmax", {"dy": dy, "x": x}, gradients(torch.softmax(x, 1), dy, x))


def losses():
    for name, tau in [("tau1", 1.0), ("tau4", 4.0)]:
        x, base, d = normal(6, 5, 2.0), normal(3, 5, 2.0), normal(2, 1)
        terms = F.kl_div(F.log_softmax(x / tau, 1), F.softmax(base.detach() / tau, 1).repeat(2, 1), reduction="none")
        loss = terms.view(2, -1).sum(1, keepdim=True)
        yield case("KLDivergenceBackward", name, {"d": d, "x": x, "base": base}, gradients(loss, d, x), {"tau": tau})
    x, base, d = normal(6, 3), normal(3, 3), normal(2, 1)
    loss = F.mse_loss(x, base.repeat(2, 1), reduction="none").view(2, -1).sum(1, keepdim=True)
    yield case("SquaredErrorBackward", "two-variants", {"d": d, "x": x, "base": base}, gradients(loss, d, x))

    d = normal(1, 1)
    a, e = normal(5, 4, 0.5), normal(5, 4, 0.2)
    loss = torch.linalg.matrix_norm(a @ a.T - (a + e) @ (a + e).T).square().view(1, 1)
    yield case("ManifoldLossRowsBackward", "definition", {"d": d, "a": a, "e": e}, gradients(loss, d, a, e))
    aa, ae, ee = normal(4, 4), normal(4, 4), normal(4, 4)
    loss = 2 * torch.trace(aa @ ee) + 2 * torch.trace(ae @ ae) + 4 * torch.trace(ae @ ee) + ee.square().sum()
    yield case("ManifoldLossBackward", "traces", {"d": d, "aa": aa, "ae": ae, "ee": ee}, gradients(loss.view(1, 1), d, aa, ae, ee))

    x, dy = normal(4, 6), normal(4, 6)
    yield case("NormalizeRowsBackward", "unit-rows", {"dy": dy, "x": x}, gradients(F.normalize(x, dim=1), dy, x))


def rows():
    ids = [3, 0, 3, 5, 3, 1]
    table, dy = normal(6, 4), normal(len(ids), 4)
    (dtable,) = gradients(F.embedding(torch.tensor(ids), table), dy, table)
    yield case("ScatterAdd", "embedding", {"dy": dy}, [dtable], {"rows": 6}, {"idx": ids})

    x, dy, into = normal(len(ids), 3), normal(6, 3), torch.tensor(ids).unsqueeze(1).expand(-1, 3)
    mean = torch.zeros(6, 3, dtype=torch.float64).scatter_reduce(0, into, x, "mean", include_self=False)
    yield case("ScatterMeanBackward", "token-merging", {"dy": dy}, gradients(mean, dy, x), {"rows": 6}, {"idx": ids})

    channels, height, width, patch = 2, 4, 6, 2
    images = normal(2, channels * height * width)
    patches = F.unfold(images.view(-1, channels, height, width), patch, stride=patch).transpose(1, 2).flatten(0, 1)
    dy = normal(*patches.shape)
    size = {"channels": channels, "height": height, "width": width, "patch": patch}
    yield case("PatchifyBackward", "unfold", {"dy": dy}, gradients(patches, dy, images), size)


def adamw():
    betas, eps, decay, rate, factor = (0.9, 0.999), 1e-8, 0.01, 3e-3, 0.25
    for name, step in [("first", 1), ("later", 7)]:
        w, m, v, g = normal(4, 5), normal(4, 5, 0.1), normal(4, 5, 0.1), normal(4, 5)
        m, v = m.detach(), v.detach().square().float().double()
        if step == 1:
            m, v = torch.zeros_like(m), torch.zeros_like(v)
        p = w.detach().clone().requires_grad_()
        p.grad = factor * g.detach()
        optimizer = torch.optim.AdamW([p], lr=rate, betas=betas, eps=eps, weight_decay=decay)
        optimizer.state[p] = {"step": torch.tensor(step - 1.0), "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
        optimizer.step()
        state = optimizer.state[p]
        numbers = {"rate": rate, "beta1": betas[0], "beta2": betas[1], "eps": eps, "decay": decay, "gradient": factor, "step": step}
        yield case("AdamW", name, {"w": w, "m": m, "v": v, "g": g}, [p, state["exp_avg"], state["exp_avg_sq"]], numbers)


def main():
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    cases = []
    for make in [linear, layer_norm, attention, activations, softmax, losses, rows, adamw]:
        cases += make()
    script = Path(__file__)
    generator = {
        "script": script.name,
        "sha256": hashlib.sha256(script.read_bytes()).hexdigest(),
        "seed": SEED,
        "torch": torch.__version__.split("+")[0],
    }
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text('{"generator":%s,"cases":[\n%s\n]}\n' % (json.dumps(generator), lines))
    print(f"{PATH}: {len(cases)} cases, {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
