#!/usr/bin/env python3
"""Write what PyTorch's autograd computes with some of the golden models, in float64.

    python scripts/golden_model_gradients.py [CASE ...]        (needs torch, transformers, safetensors)

Each case is a folder of bench/model/testdata (see golden_models.py), whose examples run one by one, without padding. The
loss is the sum of their cross-entropies. bench/model/testdata/gradients/CASE.json.gz holds its gradients: those to masks of
ones per example, and those to parameters, as described in README.md there.
"""

import base64
import gzip
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import transformers

import golden_models as golden

FORMAT = 1
FOLDER = golden.MODELS / "gradients"

# Case -> whether the gradients of its blocks' matrices are stored too: they are most of the size.
CASES = {
    "bert-eps": True,
    "bert-odd": False,
    "vit-gelu-new": True,
    "deit-odd": False,
    "deit-distilled": False,
}

# transformers' names of modules in memory -> its names in files.
STORED = [
    (".layers.", ".encoder.layer."),
    ("attention.q_proj", "attention.attention.query"),
    ("attention.k_proj", "attention.attention.key"),
    ("attention.v_proj", "attention.attention.value"),
    ("attention.o_proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
]


def stored(name):
    for memory, file in STORED:
        name = name.replace(memory, file)
    return name


def load(case):
    """The model in float64, and its parameters by their names in the file.

    Attention is not "eager", whose softmax is in float32 whatever the model is in.
    """
    model = golden.CASES[case]["model"].from_pretrained(
        golden.MODELS / case, dtype=torch.float32, attn_implementation="sdpa"
    )
    model = model.double().eval()
    parameters = {stored(name): p for name, p in model.named_parameters()}
    file = safetensors.torch.load_file(golden.MODELS / case / "model.safetensors")
    assert parameters.keys() == file.keys(), (case, parameters.keys() ^ file.keys())
    for name, p in parameters.items():
        assert torch.equal(p, file[name].double()), (case, name)
    return model, parameters


def add_masks(model):
    """Multiply what enters the two consumers of every block by masks of ones: a list, heads and neurons of each block."""
    masks = []
    for name, module in model.named_modules():
        name = stored(name)
        if not name.endswith("output.dense"):
            continue
        width = 1
        if name.endswith("attention.output.dense"):
            width = model.config.hidden_size // model.config.num_attention_heads
        mask = torch.ones(module.in_features // width, dtype=torch.float64, requires_grad=True)
        module.register_forward_pre_hook(lambda _, args, m=mask, w=width: (args[0] * m.repeat_interleave(w),))
        masks.append(mask)
    assert len(masks) == 2 * model.config.num_hidden_layers
    return masks


def examples(case):
    """The inputs of the case's examples, each as a batch of one."""
    data = json.loads((golden.MODELS / case / "golden.json").read_text())
    if "sequences" in data:
        batch = lambda values: torch.tensor([values])
        return [dict(input_ids=batch(s["ids"]), token_type_ids=batch(s["type_ids"])) for s in data["sequences"]]
    raw = base64.b64decode(data["pixels"]["float32"])
    pixels = torch.tensor(np.frombuffer(raw, dtype="<f4").copy()).double().reshape(data["pixels"]["shape"])
    return [dict(pixel_values=image[None]) for image in pixels]


def is_stored(name, p, matrices):
    return matrices or p.dim() == 1 or ".layer." not in name


def write_case(case):
    model, parameters = load(case)
    masks = add_masks(model)
    everything = masks + list(parameters.values())
    inputs = examples(case)
    labels = [i % model.config.num_labels for i in range(len(inputs))]
    losses, mask_rows = [], [[] for _ in masks]
    sums = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for example, label in zip(inputs, labels):
        loss = torch.nn.functional.cross_entropy(model(**example).logits, torch.tensor([label]))
        gradients = torch.autograd.grad(loss, everything, allow_unused=False)
        losses.append(loss.item())
        for rows, g in zip(mask_rows, gradients):
            rows.append(g)
        for name, g in zip(parameters, gradients[len(masks):]):
            sums[name] += g
    kept = {n: golden.packed(g) for n, g in sorted(sums.items()) if is_stored(n, parameters[n], CASES[case])}
    write(case, dict(
        format=FORMAT,
        case=case,
        generator=dict(
            script="scripts/golden_model_gradients.py",
            sha256=hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
            torch=torch.__version__.split("+")[0],
            transformers=transformers.__version__,
        ),
        labels=labels,
        losses=losses,
        masks=[golden.packed(torch.stack(rows)) for rows in mask_rows],
        parameters=kept,
    ))


def write(case, content):
    FOLDER.mkdir(exist_ok=True)
    data = gzip.compress((golden.to_json(content) + "\n").encode(), mtime=0)
    (FOLDER / f"{case}.json.gz").write_bytes(data)
    print(f"{case}: {len(data) / 1000:.0f} kB")


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for case in sys.argv[1:] or CASES:
        if case not in CASES:
            sys.exit(f"no case {case!r}; there are: {', '.join(CASES)}")
        write_case(case)


if __name__ == "__main__":
    main()
