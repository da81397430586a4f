#!/usr/bin/env python3
"""Write tiny random Hugging Face checkpoints and what transformers computes with them.

    python scripts/golden_models.py [CASE ...]        (needs torch, transformers, safetensors)

Each case becomes a folder bench/model/testdata/CASE with config.json, weights and golden.json, as described in the
README.md beside them. A second set, a few PyTorch files with awkward tensors, goes to bench/model/checkpoint/testdata.
Every case has its own seed, so cases can be written alone; the same versions write the same bytes on the same machine.
"""

import base64
import hashlib
import json
import os
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import safetensors.torch
import torch
import transformers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    ViTConfig,
    ViTForImageClassification,
)

TOLERANCE = 1e-4  # of the largest logit, allowed to a reader
FORMAT = 1  # of golden.json; raise it when a reader must change
ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "bench" / "model" / "testdata"
FILES = ROOT / "bench" / "model" / "checkpoint" / "testdata"

BERT = dict(
    vocab_size=64,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=48,
    num_labels=3,
)
VIT = dict(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    image_size=16,
    patch_size=4,
    num_labels=5,
)
SINGLES = [5, 23, 1, 17, 2]  # tokens of single sentences: very different lengths in one batch, beside the longest possible
PAIRS = [(7, 19), (2, 2), (20, 3)]

B, V, D, T = (
    BertForSequenceClassification,
    ViTForImageClassification,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
)


def bert(**changes):
    return dict(model=B, config=BertConfig, values=BERT | changes)


def vit(model=V, **changes):
    config = ViTConfig if model is V else DeiTConfig
    return dict(model=model, config=config, values=VIT | changes)


ODD = dict(
    hidden_size=36,
    num_attention_heads=3,
    intermediate_size=50,
    num_hidden_layers=3,
    max_position_embeddings=40,
    vocab_size=67,
    num_labels=2,
)
LABELS = {0: "entailment", 1: "neutral", 2: "contradiction"}

# Name -> model class, config, and how the weights are stored (default: one safetensors file in float32).
CASES = {
    "bert-basic": bert(id2label=LABELS, label2id={v: k for k, v in LABELS.items()}),
    "bert-regression": bert(num_labels=1, problem_type="regression"),
    "bert-gelu-new": bert(hidden_act="gelu_new") | dict(ffn_bias=-2.0),
    "bert-gelu-pytorch-tanh": bert(hidden_act="gelu_pytorch_tanh", num_hidden_layers=1) | dict(ffn_bias=-2.0),
    "bert-relu": bert(hidden_act="relu", num_hidden_layers=1),
    "bert-odd": bert(**ODD),
    "bert-eps": bert(layer_norm_eps=1e-5, num_hidden_layers=1) | dict(embedding_scale=0.01),
    "bert-f16": bert() | dict(dtype=torch.float16),
    "bert-bf16": bert() | dict(dtype=torch.bfloat16),
    "bert-sharded": bert() | dict(store="shards"),
    "bert-bin": bert() | dict(store="bin"),
    "bert-bin-sharded": bert(num_hidden_layers=1) | dict(store="bin-shards"),
    "bert-gamma-beta": bert(num_hidden_layers=1) | dict(store="gamma-beta"),
    "vit-basic": vit(),
    "vit-no-qkv-bias": vit(qkv_bias=False),
    "vit-gray-patch5": vit(num_channels=1, image_size=20, patch_size=5, layer_norm_eps=1e-6)
    | dict(embedding_scale=0.002),
    "vit-wide": vit(image_size=[12, 20]),
    "vit-gelu-new": vit(hidden_act="gelu_new", num_hidden_layers=1) | dict(ffn_bias=-2.0),
    "vit-relu": vit(hidden_act="relu", num_hidden_layers=1),
    "vit-bf16": vit() | dict(dtype=torch.bfloat16),
    "deit-basic": vit(D),
    "deit-odd": vit(D, hidden_size=30, num_attention_heads=3, intermediate_size=70, num_hidden_layers=3, layer_norm_eps=1e-6)
    | dict(embedding_scale=0.002),
    "deit-distilled": vit(T),
    "deit-f16": vit(D) | dict(dtype=torch.float16),
}


def seed_of(case):
    """A seed that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(case.encode()).digest()[:4], "little")


def randomize(model, generator, embedding_scale=1.0, ffn_bias=0.0):
    """Draw weights of a size at which every layer changes the result; LayerNorms and biases are random too.

    Small embeddings give the first LayerNorm a variance that its eps is not lost in;
    FFN inputs around -2 are where the two forms of GELU differ most.
    """

    def normal(p, std, mean=0.0):
        p.copy_(torch.randn(p.shape, generator=generator) * std + mean)

    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            norm = "layernorm" in name.lower()
            if norm and name.endswith("weight"):
                normal(p, 0.2, 1.0)
            elif name.endswith("bias"):
                normal(p, 0.2)
            elif "embeddings" in name and p.dim() != 4:
                normal(p, 0.5)
            elif p.dim() == 4:
                normal(p, 1.0 / p[0].numel() ** 0.5)
            else:
                normal(p, 0.2)
            if "embeddings" in name and not norm:
                p.mul_(embedding_scale)
            if name.endswith(("intermediate.dense.bias", "fc1.bias")):
                p.add_(ffn_bias)


def sequences(vocab, positions, generator):
    """Token ids and types of single sentences and of pairs."""
    types = [[0] * n for n in SINGLES + [positions]]
    types += [[0] * a + [1] * b for a, b in PAIRS]
    draw = lambda n: torch.randint(1, vocab, (n,), generator=generator).tolist()
    return [dict(ids=draw(len(t)), type_ids=t) for t in types]


def pad(items):
    """The same as one padded batch. Padding ids and types are arbitrary on purpose: the mask must hide them."""
    longest = max(len(s["ids"]) for s in items)
    rows = lambda key, filler: torch.tensor([s[key] + [filler] * (longest - len(s[key])) for s in items])
    mask = torch.tensor([[1] * len(s["ids"]) + [0] * (longest - len(s["ids"])) for s in items])
    return dict(input_ids=rows("ids", 3), token_type_ids=rows("type_ids", 1), attention_mask=mask)


def packed(t):
    """A tensor as shape and base64 of little-endian float32."""
    values = t.detach().to(torch.float32).contiguous().numpy().astype("<f4")
    return dict(shape=list(values.shape), float32=base64.b64encode(values.tobytes()).decode())


def store(case, model, folder):
    """Write config.json and the weights the way the case asks for."""
    how = CASES[case].get("store", "single")
    dtype = CASES[case].get("dtype", torch.float32)
    model = model.to(dtype)
    shards = dict(max_shard_size="40KB") if how == "shards" else {}
    model.save_pretrained(folder, **shards)
    for extra in folder.glob("generation_config.json"):
        extra.unlink()
    single = folder / "model.safetensors"
    if how in ("single", "shards"):
        return
    weights = safetensors.torch.load_file(single)
    single.unlink()
    if how == "gamma-beta":
        old = lambda n: n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        safetensors.torch.save_file({old(n): t for n, t in weights.items()}, single, metadata={"format": "pt"})
    elif how == "bin":
        torch.save(weights, folder / "pytorch_model.bin")
    elif how == "bin-shards":
        names = sorted(weights)
        parts = [names[::2], names[1::2]]
        place = {}
        for i, part in enumerate(parts):
            shard = f"pytorch_model-{i + 1:05d}-of-{len(parts):05d}.bin"
            torch.save({n: weights[n] for n in part}, folder / shard)
            place |= {n: shard for n in part}
        total = sum(t.numel() * t.element_size() for t in weights.values())
        index = dict(metadata=dict(total_size=total), weight_map=dict(sorted(place.items())))
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


def blocks_of(model):
    """The modules whose outputs are the hidden states after each block."""
    if isinstance(model, B):
        return model.bert.encoder.layer
    base = model.vit if isinstance(model, V) else model.deit
    return base.layers if hasattr(base, "layers") else base.encoder.layer


def run(model, inputs):
    """Outputs, and the hidden states before the first block and after each."""
    states = []
    first = lambda x: x[0] if isinstance(x, tuple) else x
    blocks = blocks_of(model)
    hooks = [blocks[0].register_forward_pre_hook(lambda m, a: states.append(first(a)))]
    hooks += [b.register_forward_hook(lambda m, a, out: states.append(first(out))) for b in blocks]
    with torch.no_grad():
        out = model(**inputs)
    for h in hooks:
        h.remove()
    assert len(states) == len(blocks) + 1
    return out, states


def check_sensitive(case, model, inputs, logits):
    """Make sure that a reader which ignored the case's activation or eps would be noticed."""
    for key, default in (("hidden_act", "gelu"), ("layer_norm_eps", 1e-12)):
        if CASES[case]["values"].get(key, default) == default:
            continue
        config = CASES[case]["config"](**CASES[case]["values"] | {key: default})
        config._attn_implementation = "eager"
        other = type(model)(config).eval()
        other.load_state_dict(model.state_dict())
        with torch.no_grad():
            changed = (other(**inputs).logits - logits).abs().max() / logits.abs().max()
        print(f"{case}: with {key} {default} the logits differ by {changed:.1e}")
        assert changed > 3 * TOLERANCE, (case, key, changed)


def write_case(case):
    spec, seed = CASES[case], seed_of(case)
    generator = torch.Generator().manual_seed(seed)
    config = spec["config"](**spec["values"])
    drawn = spec["model"](config).eval()
    randomize(drawn, generator, spec.get("embedding_scale", 1.0), spec.get("ffn_bias", 0.0))

    folder = MODELS / case
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store(case, drawn, folder)

    # What counts is what transformers makes of the files, in float32.
    model, info = spec["model"].from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    model.eval()
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[key], (case, key, info[key])
    kept = dict(drawn.named_parameters())
    for name, p in model.named_parameters():
        assert torch.equal(p, kept[name].to(torch.float32)), (case, name)

    golden = dict(
        format=FORMAT,
        case=case,
        architecture=spec["model"].__name__,
        generator=dict(
            script="scripts/golden_models.py",
            sha256=hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
            seed=seed,
            torch=torch.__version__.split("+")[0],
            transformers=transformers.__version__,
        ),
    )
    if spec["model"] is B:
        items = sequences(config.vocab_size, config.max_position_embeddings, generator)
        golden["sequences"] = items
        inputs = pad(items)
        valid = [len(s["ids"]) for s in items]
    else:
        size = config.image_size if isinstance(config.image_size, list) else [config.image_size] * 2
        pixels = torch.randn((3, config.num_channels, *size), generator=generator)
        golden["pixels"] = packed(pixels)
        inputs = dict(pixel_values=pixels)
        valid = [None] * 3
    out, states = run(model, inputs)
    check_sensitive(case, model, inputs, out.logits)
    golden["logits"] = out.logits.tolist()
    for head in ("cls_logits", "distillation_logits"):
        if getattr(out, head, None) is not None:
            golden[head] = getattr(out, head).tolist()
    golden["hidden"] = [[packed(s[b, : valid[b]]) for s in states] for b in range(2)]
    assert torch.isfinite(out.logits).all()
    (folder / "golden.json").write_text(to_json(golden) + "\n")


def to_json(golden):
    """One line per top-level key."""
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()]
    return "{\n " + ",\n ".join(lines) + "\n}"


def write_files():
    """PyTorch files with strides, offsets, shared storages and every type, and the values to expect."""
    FILES.mkdir(parents=True, exist_ok=True)
    g = torch.Generator().manual_seed(7)
    base = torch.randn((4, 6), generator=g)
    cube = torch.randn((2, 3, 4), generator=g)
    state = OrderedDict()
    state["plain"] = base
    state["transposed"] = base.t()
    state["column"] = base[:, 2]
    state["tail"] = base[2:]
    state["every.second"] = base[::2, 1::2]
    state["permuted"] = cube.permute(2, 0, 1)
    state["expanded"] = torch.tensor([[1.5], [-2.0]]).expand(2, 3)
    state["scalar"] = torch.tensor(0.25)
    state["empty"] = torch.zeros((0, 5))
    state["parameter"] = torch.nn.Parameter(torch.randn(3, generator=g))
    state["half"] = torch.randn(5, generator=g).half()
    state["bfloat"] = torch.randn(5, generator=g).bfloat16()
    state["double"] = torch.randn(5, generator=g).double()
    state["bert.embeddings.position_ids"] = torch.arange(4)[None]
    state["flags"] = torch.tensor([True, False])
    state["bytes"] = torch.tensor([1, 2], dtype=torch.uint8)
    state["steps"] = 3
    state._metadata = {"": {"version": 1}}
    torch.save(state, FILES / "variety.bin")
    if not (FILES / "legacy.bin").exists():  # it records memory addresses, so no two are alike
        torch.save(dict(state), FILES / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({"model": dict(w=base)}, FILES / "nested.bin")
    torch.save({"w": base, "run": os.system}, FILES / "program.bin")
    torch.serialization.set_crc32_options(False)
    torch.save({"w": torch.arange(3.0)}, FILES / "unchecked.bin")
    torch.serialization.set_crc32_options(True)
    expected = {k: packed(t) for k, t in state.items() if torch.is_tensor(t) and t.is_floating_point()}
    (FILES / "variety.json").write_text(to_json(expected) + "\n")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    chosen = sys.argv[1:] or list(CASES)
    for case in chosen:
        if case not in CASES:
            sys.exit(f"no case {case!r}; there are: {', '.join(CASES)}")
        write_case(case)
        size = sum(f.stat().st_size for f in (MODELS / case).iterdir())
        print(f"{case}: {size / 1000:.0f} kB")
    if not sys.argv[1:]:
        write_files()


if __name__ == "__main__":
    main()
