#!/usr/bin/env python3
"""Write random gradients of masks and the masks that PTF's published algorithm makes of them.

    python scripts/golden_ptf.py        (needs numpy)

PTF is Kwon et al., "A Fast Post-Training Pruning Framework for Transformers", NeurIPS 2022, arXiv 2204.09656. What follows
is written from its formulas (sections 3.2 and 3.3, algorithm 1 and the appendix on latency), plainly and slowly: every sum
anew, every set spelled out. bench/prune must come to the same masks. Output: bench/prune/testdata/ptf.json, where

  gradients   [examples][layer 0 heads, layer 0 neurons, layer 1 heads, ...], whole numbers of 1/scale
  cases       one budget each: the units kept of every layer's heads and neurons
"""

import itertools
import json
from pathlib import Path

import numpy as np

LAYERS, HEADS, NEURONS, EXAMPLES, BATCH, SCALE, SEED = 4, 4, 64, 32, 8, 1024, 20220416
HIDDEN, HEAD_SIZE, TOKENS = 32, 8, 20
OUTPUT = Path(__file__).resolve().parent.parent / "bench" / "prune" / "testdata" / "ptf.json"


def gradients(rng, units, scale):
    """Units of very different size that act together: a few shared directions and noise of their own."""
    layer = np.array([1, 0.15, 0.5, 1]).reshape(LAYERS, 1, 1)  # one hardly matters, so that it may be dropped whole
    size = scale * layer * np.exp(rng.normal(0, 1, (LAYERS, 1, units)) * 0.9)
    shared = np.einsum("ler,lru->leu", rng.normal(size=(LAYERS, EXAMPLES, 6)), rng.normal(size=(LAYERS, 6, units)))
    values = size * (shared + rng.normal(size=(LAYERS, EXAMPLES, units)))
    return np.round(values * 0.05 * SCALE) / SCALE  # [layers][examples][units]


def per_batch(g):
    """Gradients of the batches' mean losses."""
    return np.stack([g[:, b : b + BATCH].mean(axis=1) for b in range(0, EXAMPLES, BATCH)], axis=1)


def fisher(g):
    """Diagonal of the information: mean of the squared gradients, [layers][units]."""
    return (g**2).mean(axis=1)


def by_importance(info):
    """(layer, unit) of all units, the most important first."""
    pairs = itertools.product(range(info.shape[0]), range(info.shape[1]))
    return sorted(pairs, key=lambda p: -info[p])


def search_macs(head_info, neuron_info, keep):
    """Algorithm 1: for n heads, f = floor((C - n head) / neuron) neurons; the n whose pruned importance is least."""
    head = 4 * TOKENS * HIDDEN * HEAD_SIZE + 2 * TOKENS**2 * HEAD_SIZE
    neuron = 2 * TOKENS * HIDDEN
    budget = keep * LAYERS * (HEADS * head + NEURONS * neuron)
    heads, neurons = by_importance(head_info), by_importance(neuron_info)
    best = None
    for n in range(LAYERS * HEADS + 1):
        if n * head > budget:
            break
        f = min(int((budget - n * head) // neuron), LAYERS * NEURONS)
        lost = sum(head_info[p] for p in heads[n:]) + sum(neuron_info[p] for p in neurons[f:])
        if best is None or lost < best[0]:
            best = lost, heads[:n], neurons[:f]
    return best[1:]


def fit(table):
    """Costs of 1, 2, ... units as c up to T units and c + a (n - T) beyond; the T of least squared error."""
    best = None
    count = np.arange(1, len(table) + 1)
    for threshold in range(1, len(table) + 1):
        c = np.mean(table[:threshold])
        beyond, excess = count[threshold:] - threshold, table[threshold:] - c
        a = max(0.0, float(beyond @ excess / (beyond @ beyond))) if len(beyond) else 0.0
        error = np.sum((table - np.where(count <= threshold, c, c + a * (count - threshold))) ** 2)
        if best is None or error < best[0]:
            best = error, threshold, c, a
    return best[1:]


def search_latency(head_info, neuron_info, keep, head_table, neuron_table, released):
    """The appendix: drop i attention layers and j FFN layers whole, then algorithm 1 over what costs a line each.

    released repeats the authors' code: one budget shrinks over all (i, j), a total has only the units beyond the first T,
    a dropped layer's units stay candidates of importance 0, and there is at least one head beyond.
    """
    (head_free, head_c, head_a), (neuron_free, neuron_c, neuron_a) = fit(head_table), fit(neuron_table)
    budget = keep * LAYERS * (head_table[-1] + neuron_table[-1])

    def parts(info, free, dropped):
        local = [[(l, u) for u in sorted(range(info.shape[1]), key=lambda u: -info[l, u])] for l in range(LAYERS)]
        layers = sorted(range(LAYERS), key=lambda l: sum(info[p] for p in local[l][:free]))
        gone = set(layers[:dropped])
        base = [p for l in range(LAYERS) if l not in gone for p in local[l][:free]]
        value = {p: 0.0 if l in gone else info[p] for l in range(LAYERS) for p in local[l][free:] if released or l not in gone}
        rest = sorted(value, key=lambda p: -value[p])
        return base, rest, value, (LAYERS - dropped) * (info.shape[1] - free)

    best, left = None, budget
    for i, j in itertools.product(range(LAYERS), range(LAYERS)):
        if not released:
            left = budget
        left -= (LAYERS - i) * head_c + (LAYERS - j) * neuron_c
        if left < 0:
            continue
        base_heads, heads, head_value, most = parts(head_info, head_free, i)
        base_neurons, neurons, neuron_value, _ = parts(neuron_info, neuron_free, j)
        for n in range(1 if released else 0, most + 1):
            if n * head_a > left:
                break
            f = min(int((left - n * head_a) // neuron_a), len(neurons))
            total = sum(head_value[p] for p in heads[:n]) + sum(neuron_value[p] for p in neurons[:f])
            if not released:
                total += sum(head_info[p] for p in base_heads) + sum(neuron_info[p] for p in base_neurons)
            if best is None or total > best[0]:
                best = total, base_heads + heads[:n], base_neurons + neurons[:f]
    return best[1:]


def rearrange(kept, g):
    """Greedy exchange within each layer for the least |sum of removed gradients|^2, least important kept units first."""
    units, out = g.shape[2], []
    for layer in range(LAYERS):
        keep = {u for l, u in kept if l == layer}
        removed = [u for u in range(units) if u not in keep]
        rows = g[layer].T  # [units][examples]
        if removed:
            for u in sorted(keep, key=lambda u: np.sum(rows[u] ** 2)):
                pool = removed + [u]
                total = rows[pool].sum(axis=0)
                loss = [np.sum((total - rows[r]) ** 2) for r in pool]
                pool.pop(int(np.argmin(loss)))
                removed = pool
        out += [(layer, u) for u in range(units) if u not in removed]
    return out


def listed(kept):
    return [sorted(u for l, u in kept if l == layer) for layer in range(LAYERS)]


def latency_table(rng, units, start, slope, flat):
    """Whole nanoseconds, never falling: flat at first, then a bent line with steps."""
    n = np.arange(1, units + 1)
    smooth = start + slope * np.maximum(0, n - flat) * (1 + 0.1 * n / units)
    return np.maximum.accumulate(np.round(smooth + rng.uniform(0, slope / 2, units))).astype(int)


def main():
    rng = np.random.default_rng(SEED)
    heads, neurons = gradients(rng, HEADS, 3), gradients(rng, NEURONS, 1)
    tables = latency_table(rng, HEADS, 40000, 30000, 1), latency_table(rng, NEURONS, 30000, 2000, 12)
    cases = []

    def case(search, keep, batch, found):
        g = [per_batch(v) if batch else v for v in (heads, neurons)]
        moved = [rearrange(k, v) for k, v in zip(found, g)]
        cases.append({
            "search": search, "keep": keep, "per_batch": batch,
            "heads": listed(found[0]), "neurons": listed(found[1]),
            "rearranged_heads": listed(moved[0]), "rearranged_neurons": listed(moved[1]),
        })  # fmt: skip

    for batch in (0, BATCH):
        info = [fisher(per_batch(v) if batch else v) for v in (heads, neurons)]
        for keep in (0.3, 0.5, 0.6, 0.75, 0.9):
            case("macs", keep, batch, search_macs(*info, keep))
        for released in (False, True):
            for keep in (0.4, 0.5, 0.6, 0.75, 0.9):
                found = search_latency(*info, keep, *tables, released)
                case("released latency" if released else "latency", keep, batch, found)

    both = np.concatenate([heads, neurons], axis=2)  # [layers][examples][heads, neurons]
    rows = (np.concatenate(list(both), axis=1) * SCALE).astype(int).tolist()
    result = {
        "generator": Path(__file__).name, "numpy": np.__version__, "seed": SEED,
        "layers": LAYERS, "heads": HEADS, "neurons": NEURONS, "batch": BATCH, "scale": SCALE,
        "hidden": HIDDEN, "head_size": HEAD_SIZE, "tokens": TOKENS,
        "head_nanoseconds": tables[0].tolist(), "neuron_nanoseconds": tables[1].tolist(),
        "fisher_heads": fisher(heads).tolist(), "fisher_neurons": fisher(neurons).tolist(),
        "fisher_heads_per_batch": fisher(per_batch(heads)).tolist(),
        "fisher_neurons_per_batch": fisher(per_batch(neurons)).tolist(),
    }  # fmt: skip
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in result.items()]
    lines += ['"gradients": [\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "]"]
    lines += ['"cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "]"]
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
