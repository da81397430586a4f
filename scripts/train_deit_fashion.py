"""Trains experiments/models/deit-fashion: a small DeiT for Fashion-MNIST, on a CPU.

    python scripts/train_deit_fashion.py --out experiments/models/deit-fashion

Data: Fashion-MNIST (Debian package dataset-fashion-mnist). The first 55,000 training images train, the last 5,000 are
held out to watch progress; the 10,000 test images are read once, after training, to report the stored model.

Pixels are p/255, then minus 0.2860, over 0.3530 (mean and standard deviation of the training images).

As in the DeiT paper a convolutional teacher is trained first, on the same images, and the transformer learns from
labels and teacher together; here one head (class token) learns from both. For speed the transformer sees 24 of its
49 patches during most of training (blank patches are left out first) and all of them in the last epochs.
"""

import argparse
import gzip
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import DeiTConfig, DeiTForImageClassification

import checkpoint

NAMES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]
MEAN, STD = 0.2860, 0.3530
HELD_OUT = 5000


def read_idx(path):
    with gzip.open(path) as f:
        data = f.read()
    dims = data[3]
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape)


def read_split(folder, split):
    images = torch.from_numpy(read_idx(f"{folder}/{split}-images-idx3-ubyte.gz").astype(np.float32))
    labels = torch.from_numpy(read_idx(f"{folder}/{split}-labels-idx1-ubyte.gz").astype(np.int64))
    return ((images / 255 - MEAN) / STD).unsqueeze(1), labels


def augment(images, rng, pad=2):
    """Shifts each image by up to pad pixels and mirrors half of them."""
    batch, _, height, width = images.shape
    padded = F.pad(images, (pad,) * 4, value=-MEAN / STD)
    dy, dx = torch.randint(0, 2 * pad + 1, (2, batch), generator=rng)
    mirror = torch.rand(batch, generator=rng) < 0.5
    columns = torch.arange(width).expand(batch, width)
    columns = torch.where(mirror[:, None], width - 1 - columns, columns) + dx[:, None]
    rows = torch.arange(height) + dy[:, None]
    return padded[torch.arange(batch)[:, None, None], 0, rows[:, :, None], columns[:, None, :]].unsqueeze(1)


def batches(count, size, rng):
    order = torch.randperm(count, generator=rng)
    return order[: count // size * size].view(-1, size)


class Teacher(nn.Module):
    def __init__(self):
        super().__init__()

        def block(inputs, outputs):
            return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

        pool = nn.MaxPool2d(2)
        self.features = nn.Sequential(
            *block(1, 32), pool, *block(32, 64), pool, *block(64, 128), *block(128, 128)
        )
        self.head = nn.Linear(256, 10)

    def forward(self, images):
        x = self.features(images.contiguous(memory_format=torch.channels_last))
        return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))


def train_teacher(images, labels, held_out, epochs, rng, log):
    teacher = Teacher().to(memory_format=torch.channels_last)
    steps = epochs * (len(images) // 128)
    optimizer = checkpoint.Optimizer(teacher, lr=4e-3, steps=steps, warmup=steps // 6, weight_decay=0.05)
    for epoch in range(epochs):
        teacher.train()
        for index in batches(len(images), 128, rng):
            logits = teacher(augment(images[index], rng))
            F.cross_entropy(logits, labels[index], label_smoothing=0.05).backward()
            optimizer.step()
        reached, _ = evaluate(teacher.eval(), *held_out)
        log(f"teacher epoch {epoch + 1}/{epochs}: held-out accuracy {reached:.2f} %")
    return teacher


def student_logits(model, images, keep, rng):
    """The model's forward pass on `keep` patches of each image; blank ones are dropped first, the rest at random."""
    tokens = model.deit.embeddings(images)
    if keep < tokens.shape[1] - 2:
        patches = F.max_pool2d(images, model.config.patch_size).flatten(1)
        order = torch.rand(patches.shape, generator=rng) + (patches > 0.1 / STD - MEAN / STD)
        chosen = order.topk(keep, 1).indices + 2
        rows = torch.arange(len(images))[:, None]
        tokens = torch.cat([tokens[:, :2], tokens[rows, chosen]], 1)
    for layer in model.deit.layers:
        tokens = layer(tokens)
    return model.classifier(model.deit.layernorm(tokens[:, :1])[:, 0])


@torch.no_grad()
def evaluate(forward, images, labels):
    return checkpoint.accuracy(torch.cat([forward(part) for part in images.split(250)]), labels)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="experiments/models/deit-fashion")
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--teacher", default="", help="file that keeps the teacher's weights between runs")
    parser.add_argument("--teacher-epochs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=11, help="length of the learning rate's schedule")
    parser.add_argument("--stop", type=int, default=10, help="leave the schedule after this many epochs")
    parser.add_argument(
        "--full-epochs",
        type=int,
        default=3,
        help="how many epochs, the last of the schedule, see all patches",
    )
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--logits", default="", help="write the first 64 test images and their logits to this .npz file"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    rng = torch.Generator().manual_seed(2)
    log = checkpoint.Log()

    images, labels = read_split(args.data, "train")
    held_out = images[-HELD_OUT:], labels[-HELD_OUT:]
    images, labels = images[:-HELD_OUT], labels[:-HELD_OUT]

    if args.teacher and os.path.exists(args.teacher):
        teacher = Teacher().to(memory_format=torch.channels_last)
        teacher.load_state_dict(torch.load(args.teacher))
    else:
        teacher = train_teacher(images, labels, held_out, args.teacher_epochs, rng, log)
        if args.teacher:
            torch.save(teacher.state_dict(), args.teacher)
    teacher.eval().requires_grad_(False)

    config = DeiTConfig(
        hidden_size=128, num_hidden_layers=6, num_attention_heads=4, intermediate_size=512, image_size=28, patch_size=4,
        num_channels=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, layer_norm_eps=1e-6,
        id2label=dict(enumerate(NAMES)), label2id={name: i for i, name in enumerate(NAMES)},
    )  # fmt: skip
    preprocessor = dict(
        image_processor_type="DeiTImageProcessor", size=dict(height=28, width=28), num_channels=1, do_resize=False,
        do_center_crop=False, do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[MEAN], image_std=[STD],
    )  # fmt: skip
    torch.manual_seed(3)
    model = DeiTForImageClassification._from_config(config, attn_implementation="sdpa")
    nn.init.trunc_normal_(model.deit.embeddings.position_embeddings, std=0.02)
    nn.init.trunc_normal_(model.deit.embeddings.distillation_token, std=0.02)
    average = checkpoint.Average(model, decay=0.998)
    shadow = DeiTForImageClassification._from_config(config).eval()
    every_patch = (config.image_size // config.patch_size) ** 2

    steps = args.epochs * (len(images) // 128)
    optimizer = checkpoint.Optimizer(model, lr=args.lr, steps=steps, warmup=300, weight_decay=0.05)
    for epoch in range(min(args.epochs, args.stop)):
        keep = every_patch if epoch >= args.epochs - args.full_epochs else 24
        model.train()
        total = 0.0
        for i, index in enumerate(batches(len(images), 128, rng)):
            batch = augment(images[index], rng)
            logits = student_logits(model, batch, keep, rng)
            hard = F.cross_entropy(logits, labels[index], label_smoothing=0.05)
            soft = F.kl_div(
                F.log_softmax(logits / 2, 1),
                F.log_softmax(teacher(batch) / 2, 1),
                log_target=True,
                reduction="batchmean",
            )
            loss = 0.3 * hard + 0.7 * 4 * soft
            loss.backward()
            optimizer.step()
            average.update(model)
            total += loss.item()
            if i % 50 == 49:
                log(f"  epoch {epoch + 1} step {i + 1}/{len(images) // 128}: loss {total / (i + 1):.4f}")
        shadow.load_state_dict(average.weights)
        reached, _ = evaluate(lambda part: shadow(pixel_values=part).logits, *held_out)
        mean = total / (i + 1)
        log(
            f"epoch {epoch + 1}/{args.epochs}: {keep} patches, loss {mean:.4f}, held-out accuracy {reached:.2f} %"
        )
        checkpoint.write_folder(args.out, model, average.weights, {"preprocessor_config.json": preprocessor})

    stored = DeiTForImageClassification.from_pretrained(args.out, dtype=torch.float32).eval()
    images, labels = read_split(args.data, "t10k")
    reached, error = evaluate(lambda part: stored(pixel_values=part).logits, images, labels)
    log(f"stored model: test accuracy {reached:.2f} +- {error:.2f} %")
    if args.logits:
        with torch.no_grad():
            logits = stored(pixel_values=images[:64]).logits
        np.savez(
            args.logits, pixel_values=images[:64].numpy(), labels=labels[:64].numpy(), logits=logits.numpy()
        )


if __name__ == "__main__":
    main()
