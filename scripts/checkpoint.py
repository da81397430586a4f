"""What both training scripts share: optimizer, schedule, weight average, and writing a Hugging Face folder."""

import json
import math
import os
import shutil
import tempfile
import time

import torch
import transformers

transformers.utils.logging.disable_progress_bar()


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalized (Jordan et al., 2024), for the matrices inside a transformer.

    Matrices of one shape are stacked and treated together. The update has root mean square 0.2, close to that
    of AdamW, so both can share one learning rate. float32 throughout: bfloat16 products are slow on most CPUs.
    """

    def __init__(self, params, lr, weight_decay, momentum=0.95):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum))

    @staticmethod
    def orthogonalize(matrices, steps=5):
        """Returns U·Vᵀ for each X = U·S·Vᵀ, approximately: a quintic Newton-Schulz iteration on X / |X|."""
        a, b, c = 3.4445, -4.7750, 2.0315
        x = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
        x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
        for _ in range(steps):
            gram = x @ x.mT
            x = a * x + (b * gram + c * gram @ gram) @ x
        return x if matrices.shape[1] <= matrices.shape[2] else x.mT

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault(p.shape, []).append(p)
            for shape, params in by_shape.items():
                for p in params:
                    average = self.state[p].setdefault("average", torch.zeros_like(p))
                    average.lerp_(p.grad, 1 - group["momentum"])
                ahead = [p.grad.lerp(self.state[p]["average"], group["momentum"]) for p in params]
                updates = self.orthogonalize(torch.stack(ahead)) * (0.2 * max(shape) ** 0.5)
                for p, update in zip(params, updates):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=group["lr"])


class Optimizer:
    """Muon on the matrices of the transformer layers, AdamW on the rest; warm-up, then a cosine down to zero."""

    def __init__(self, model, lr, steps, warmup, weight_decay):
        inner = [p for n, p in model.named_parameters() if p.ndim == 2 and ".layer" in n]
        taken = {id(p) for p in inner}
        rest = [p for p in model.parameters() if id(p) not in taken]
        decayed, kept = [p for p in rest if p.ndim >= 2], [p for p in rest if p.ndim < 2]
        adam_groups = [dict(params=decayed, weight_decay=weight_decay), dict(params=kept, weight_decay=0.0)]
        self.parts = [torch.optim.AdamW(adam_groups, lr=lr, betas=(0.9, 0.98), fused=True)]
        if inner:
            self.parts.append(Muon(inner, lr=lr, weight_decay=weight_decay))
        self.lr, self.steps, self.warmup, self.done = lr, steps, warmup, 0

    def step(self):
        self.done += 1
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.done / self.steps)))
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.lr * min(1.0, self.done / self.warmup) * cosine
            part.step()
            part.zero_grad(set_to_none=True)


class Average:
    """Exponential moving average of the weights, with a horizon that grows up to 1 / (1 - decay) steps."""

    def __init__(self, model, decay):
        self.weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model):
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - decay)


def accuracy(logits, labels):
    """Returns the share of right answers and its standard error, both in percent."""
    p = (logits.argmax(-1) == labels).double().mean().item()
    return 100 * p, 100 * math.sqrt(p * (1 - p) / len(labels))


def write_folder(out, model, weights, texts):
    """Stores weights in float16, config.json, and texts (file name -> str or JSON value) under out.

    Everything is written beside out first and then renamed file by file, so out always holds a loadable model.
    """
    os.makedirs(out, exist_ok=True)
    stored = type(model)(model.config)
    stored.load_state_dict(weights)
    stored.to(torch.float16)
    temporary = tempfile.mkdtemp(prefix=".writing-", dir=os.path.dirname(os.path.abspath(out)))
    stored.save_pretrained(temporary)
    for name, text in texts.items():
        with open(os.path.join(temporary, name), "w", encoding="utf-8") as f:
            f.write(text if isinstance(text, str) else json.dumps(text, indent=2) + "\n")
    for name in sorted(os.listdir(temporary)):
        os.chmod(os.path.join(temporary, name), 0o644)
        os.replace(os.path.join(temporary, name), os.path.join(out, name))
    shutil.rmtree(temporary)


class Log:
    """Prints lines that begin with the seconds since the start."""

    def __init__(self):
        self.start = time.time()

    def __call__(self, *words):
        print(f"{time.time() - self.start:7.0f} s", *words, flush=True)
