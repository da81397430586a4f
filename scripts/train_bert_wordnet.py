"""Trains experiments/models/bert-wordnet: a small BERT that tells a noun's category from its gloss, on a CPU.

    python scripts/train_bert_wordnet.py --out experiments/models/bert-wordnet

Task "wordnet", exactly (other programs read the same data and must agree). In WordNet 3.0's data.noun (Debian package
wordnet-base), every line that does not begin with a space is one synset and one example:

    text   all that follows the first "| ", without white space at its ends
    label  the second field (lex_filenum), two digits, 03 to 28, minus 3; names as in lexnames(5WN)
    split  FNV-1a, 32 bits, of the first field (the synset's offset, 8 ASCII digits), modulo 10:
           0 = test, 1 = dev, 2 to 9 = train

Text is lower-cased and cut to 64 tokens, [CLS] and [SEP] included, in training and in the reported accuracy.

The vocabulary and all weights come from the training split (and, for the vocabulary, from the glosses of verbs,
adjectives and adverbs). Dev only shows progress; test is read once, at the end, for the stored model. Each step adds
three losses: the category of masked glosses; the masked tokens themselves; and the category of the synset's own words
("dog, domestic dog"), which teaches what kind of thing the nouns inside glosses are.
"""

import argparse
import json
import os
import tempfile

import numpy as np
import torch
from tokenizers import BertWordPieceTokenizer
from torch import nn
from torch.nn import functional as F
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

import checkpoint

FIRST_FILE = 3
NAMES = ["noun." + name for name in (
    "Tops act animal artifact attribute body cognition communication event feeling food group location motive object"
    " person phenomenon plant possession process quantity relation shape state substance time").split()]  # fmt: skip
MAX_TOKENS = 64


def fnv1a(text):
    value = 2166136261
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


def read_nouns(path):
    """Returns split -> list of (gloss, the synset's words, label)."""
    splits = dict(train=[], dev=[], test=[])
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.startswith(" "):
                continue
            fields, _, gloss = line.partition("| ")
            fields = fields.split(" ")
            words = [fields[4 + 2 * i].replace("_", " ") for i in range(int(fields[3], 16))]
            split = {0: "test", 1: "dev"}.get(fnv1a(fields[0]) % 10, "train")
            splits[split].append((gloss.strip(), ", ".join(words), int(fields[1]) - FIRST_FILE))
    return splits


def read_glosses(path):
    with open(path, encoding="utf-8") as f:
        return [line.partition("| ")[2].strip() for line in f if not line.startswith(" ")]


def train_vocabulary(texts, size):
    """Returns the text of vocab.txt."""
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(texts, vocab_size=size, min_frequency=2, show_progress=False)
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return "".join(token + "\n" for token, _ in by_id)


class Texts:
    """Tokenized examples; batch() pads to the longest of the batch."""

    def __init__(self, tokenizer, texts, labels):
        encoded = tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"]
        self.ids = [torch.tensor(row) for row in encoded]
        self.lengths = torch.tensor([len(row) for row in encoded])
        self.labels = torch.tensor(list(labels))
        self.pad = tokenizer.pad_token_id

    def batch(self, index):
        ids = nn.utils.rnn.pad_sequence(
            [self.ids[i] for i in index.tolist()], batch_first=True, padding_value=self.pad
        )
        return ids, ids != self.pad, self.labels[index]

    def shuffled(self, size, rng):
        """Yields batches of one epoch: examples of like length together, batches in random order."""
        order = torch.randperm(len(self.ids), generator=rng)
        groups = order[: len(order) // size * size].split(50 * size)
        parts = [p for group in groups for p in group[self.lengths[group].argsort(stable=True)].split(size)]
        for i in torch.randperm(len(parts), generator=rng).tolist():
            yield self.batch(parts[i])


class WordHead(nn.Module):
    """Predicts masked tokens with the transposed embedding; only used in training."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden, embedding):
        return F.linear(self.norm(F.gelu(self.dense(hidden))), embedding, self.bias)


class Trained(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.model = BertForSequenceClassification._from_config(config, attn_implementation="sdpa")
        self.words = WordHead(config)


def mask_tokens(ids, rate, tokenizer, rng):
    """Picks tokens at the given rate; 80 % of them become [MASK], 10 % a random token, 10 % stay."""
    special = torch.isin(
        ids, torch.tensor([tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id])
    )
    chosen = (torch.rand(ids.shape, generator=rng) < rate) & ~special
    how = torch.rand(ids.shape, generator=rng)
    masked = torch.where(chosen & (how < 0.8), tokenizer.mask_token_id, ids)
    anything = torch.randint(len(tokenizer), ids.shape, generator=rng)
    return torch.where(chosen & (how > 0.9), anything, masked), chosen


@torch.no_grad()
def evaluate(model, texts):
    order = texts.lengths.argsort(stable=True)
    logits = torch.empty(len(order), len(NAMES))
    for index in order.split(250):
        ids, valid, _ = texts.batch(index)
        logits[index] = model(input_ids=ids, attention_mask=valid.long()).logits
    return checkpoint.accuracy(logits, texts.labels)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="experiments/models/bert-wordnet")
    parser.add_argument("--data", default="/usr/share/wordnet")
    parser.add_argument("--epochs", type=int, default=5, help="length of the learning rate's schedule")
    parser.add_argument("--stop", type=int, default=4, help="leave the schedule after this many epochs")
    parser.add_argument("--vocabulary", type=int, default=10000)
    parser.add_argument(
        "--vocab", default="", help="reuse this vocab.txt: a new one differs, ties fall at random"
    )
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--logits", default="", help="write ids and logits of the first 64 test examples to this .npz file"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    rng = torch.Generator().manual_seed(2)
    log = checkpoint.Log()

    splits = read_nouns(f"{args.data}/data.noun")
    log({name: len(rows) for name, rows in splits.items()})
    glosses, words, labels = zip(*splits["train"])
    others = [g for kind in ("verb", "adj", "adv") for g in read_glosses(f"{args.data}/data.{kind}")]
    if args.vocab:
        with open(args.vocab, encoding="utf-8") as f:
            vocabulary = f.read()
    else:
        vocabulary = train_vocabulary([*glosses, *words, *others], args.vocabulary)
    side_files = {
        "vocab.txt": vocabulary,
        "tokenizer_config.json": dict(
            tokenizer_class="BertTokenizer", do_lower_case=True, tokenize_chinese_chars=True, strip_accents=None,
            model_max_length=128, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
        ),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name, value in side_files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(value if isinstance(value, str) else json.dumps(value))
        tokenizer = AutoTokenizer.from_pretrained(folder)

    def gloss_texts(split):
        rows = splits[split]
        return Texts(tokenizer, [row[0] for row in rows], [row[2] for row in rows])

    gloss_examples, word_examples, dev = (
        gloss_texts("train"),
        Texts(tokenizer, words, labels),
        gloss_texts("dev"),
    )
    log(f"vocabulary {len(tokenizer)}, tokens per gloss {gloss_examples.lengths.float().mean():.1f}")

    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=192, num_hidden_layers=4, num_attention_heads=6, intermediate_size=768,
        max_position_embeddings=128, type_vocab_size=2, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.0,
        initializer_range=0.07, classifier_dropout=0.1, pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(NAMES)), label2id={name: i for i, name in enumerate(NAMES)},
    )  # fmt: skip
    torch.manual_seed(3)
    trained = Trained(config)
    model = trained.model
    log(f"{model.num_parameters()} parameters")
    average = checkpoint.Average(model, decay=0.998)
    shadow = BertForSequenceClassification._from_config(config).eval()

    size = 128
    steps_per_epoch = len(gloss_examples.ids) // size
    optimizer = checkpoint.Optimizer(
        trained, args.lr, args.epochs * steps_per_epoch, warmup=100, weight_decay=0.05
    )
    for epoch in range(min(args.epochs, args.stop)):
        trained.train()
        totals = torch.zeros(3)
        for i, (gloss, word) in enumerate(
            zip(gloss_examples.shuffled(size, rng), word_examples.shuffled(size, rng))
        ):
            ids, valid, target = gloss
            masked, chosen = mask_tokens(ids, 0.15, tokenizer, rng)
            hidden = model.bert(input_ids=masked, attention_mask=valid.long())
            logits = model.classifier(model.dropout(hidden.pooler_output))
            category = F.cross_entropy(logits, target, label_smoothing=0.1)
            guesses = trained.words(
                hidden.last_hidden_state[chosen], model.bert.embeddings.word_embeddings.weight
            )
            fill = F.cross_entropy(guesses, ids[chosen])
            ids, valid, target = word
            own = F.cross_entropy(
                model(input_ids=ids, attention_mask=valid.long()).logits, target, label_smoothing=0.1
            )
            (category + 0.2 * fill + 0.3 * own).backward()
            nn.utils.clip_grad_norm_(trained.parameters(), 2.0)
            optimizer.step()
            average.update(model)
            totals += torch.stack([category, fill, own]).detach()
            if i % 50 == 49:
                log(
                    f"  epoch {epoch + 1} step {i + 1}/{steps_per_epoch}: category, fill, own",
                    (totals / (i + 1)).tolist(),
                )
        shadow.load_state_dict(average.weights)
        reached, error = evaluate(shadow, dev)
        losses = (totals / (i + 1)).tolist()
        log(f"epoch {epoch + 1}/{args.epochs}: losses {losses}, dev accuracy {reached:.2f} +- {error:.2f} %")
        checkpoint.write_folder(args.out, model, average.weights, side_files)

    stored = BertForSequenceClassification.from_pretrained(args.out, dtype=torch.float32).eval()
    test = gloss_texts("test")
    reached, error = evaluate(stored, test)
    log(f"stored model: dev {evaluate(stored, dev)[0]:.2f} %, test accuracy {reached:.2f} +- {error:.2f} %")
    if args.logits:
        ids, valid, target = test.batch(torch.arange(64))
        with torch.no_grad():
            logits = stored(input_ids=ids, attention_mask=valid.long()).logits
        texts = [row[0] for row in splits["test"][:64]]
        np.savez(args.logits, input_ids=ids.numpy(), attention_mask=valid.numpy().astype(np.int64), labels=target.numpy(),
                 logits=logits.numpy(), texts=np.array(texts))  # fmt: skip


if __name__ == "__main__":
    main()
