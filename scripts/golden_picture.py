#!/usr/bin/env python3
"""Write the golden that package picture is checked against, with Pillow.

    golden_picture.py                     writes bench/task/picture/testdata/golden.json.gz, from generated pictures
    golden_picture.py --images DIR OUT    the same for the files of a folder, not for committing

Pillow up to version 12 resizes rows before columns; version 13 chooses the order where the picture
shrinks much more in height than in width. Models were trained with the former. Written with 12.0.0.
"""

import base64
import gzip
import io
import json
import os
import random
import sys
import zlib

import numpy as np
import PIL
from PIL import Image

SETTINGS = {
    "deit": dict(size=[256, 256], resample=3, crop=[224, 224]),
    "shortest": dict(shortest=256, resample=3, crop=[224, 224]),
    "vit": dict(size=[224, 224], resample=2, crop=None),
    "flat": dict(size=[61, 14], resample=3, crop=None),
    "lanczos": dict(size=[31, 77], resample=1, crop=[40, 50]),
    "nearest": dict(size=[50, 31], resample=0, crop=None),
    "box": dict(size=[61, 50], resample=4, crop=None),
    "hamming": dict(size=[61, 50], resample=5, crop=None),
}


def generated(rng, width, height):
    """A picture with smooth colours, edges and noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [128 + 100 * np.sin(x / (5 + 9 * k) + y / (11 - 3 * k)) for k in range(3)]
    a = np.stack(planes, 2)
    for _ in range(6):
        x0, y0 = rng.randrange(width), rng.randrange(height)
        a[y0 : y0 + height // 4, x0 : x0 + width // 5] = [rng.randrange(256) for _ in range(3)]
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 6, a.shape)
    return Image.fromarray(np.clip(a + noise, 0, 255).astype(np.uint8), "RGB")


def crop(a, width, height):
    """center_crop of Hugging Face's image_transforms, in 8 bits."""
    h, w = a.shape[:2]
    top, left = (h - height) // 2, (w - width) // 2
    if top >= 0 and left >= 0:
        return a[top : top + height, left : left + width]
    new_h, new_w = max(height, h), max(width, w)
    padded = np.zeros((new_h, new_w) + a.shape[2:], a.dtype)
    pad_top, pad_left = -((h - new_h) // 2), -((w - new_w) // 2)
    padded[pad_top : pad_top + h, pad_left : pad_left + w] = a
    top, left = top + pad_top, left + pad_left
    return padded[max(0, top) : min(new_h, top + height), max(0, left) : min(new_w, left + width)]


def treat(image, setting):
    w, h = image.size
    if "shortest" in setting:
        s = setting["shortest"]
        size = (s, int(s * h / w)) if w <= h else (int(s * w / h), s)
    else:
        size = tuple(setting["size"])
    a = np.asarray(image.resize(size, setting["resample"]))
    return crop(a, *setting["crop"]) if setting["crop"] else a


def packed(a):
    return base64.b64encode(zlib.compress(np.ascontiguousarray(a).tobytes(), 9)).decode()


def main():
    assert PIL.__version__.split(".")[0] <= "12", "use Pillow 12 or older"
    cases = []
    if len(sys.argv) > 1 and sys.argv[1] == "--images":
        folder, out = sys.argv[2:4]
        for name in sorted(os.listdir(folder)):
            image = Image.open(os.path.join(folder, name)).convert("RGB")
            cases.append({"file": os.path.abspath(os.path.join(folder, name)), "shape": list(image.size),
                          "pixels": packed(np.asarray(image)),
                          "results": {"deit": packed(treat(image, SETTINGS["deit"])),
                                      "shortest": packed(treat(image, SETTINGS["shortest"]))}})  # fmt: skip
    else:
        out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench", "task", "picture", "testdata", "golden.json.gz")
        rng = random.Random(1)
        image = generated(rng, 53, 35)
        kinds = {"png": image, "png-grey": image.convert("L"), "png-palette": image.quantize(40),
                 "png-alpha": image.copy(), "png-odd": image.crop((0, 0, 5, 3))}  # fmt: skip
        kinds["png-alpha"].putalpha(image.convert("L"))
        for name, picture in kinds.items():
            cases.append(encoded(name, picture, "PNG"))
        for name, option in {
            "jpeg-444": dict(subsampling=0), "jpeg-422": dict(subsampling=1), "jpeg-420": dict(subsampling=2),
            "jpeg-progressive": dict(subsampling=2, progressive=True),
        }.items():  # fmt: skip
            cases.append(encoded(name, image, "JPEG", quality=90, **option))
        cases.append(encoded("jpeg-grey", image.convert("L"), "JPEG", quality=90))
        cases.append(encoded("jpeg-cmyk", image.convert("CMYK"), "JPEG", quality=95))
        cases.append(encoded("jpeg-small", image.crop((0, 0, 3, 5)), "JPEG", quality=90))
        exact = cases[0]
        exact["results"] = {}
        for name in ("flat", "lanczos", "nearest", "box", "hamming"):
            exact["results"][name] = packed(treat(image, SETTINGS[name]))
        for name in ("deit", "shortest", "vit"):  # large: their checksums are enough, the resampler being exact
            exact["results"][name + "-crc"] = zlib.crc32(np.ascontiguousarray(treat(image, SETTINGS[name])).tobytes())
    with open(out, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as f:
        f.write(json.dumps({"pillow": PIL.__version__, "settings": SETTINGS, "cases": cases}).encode())
    print(out, len(cases), "pictures,", os.path.getsize(out), "bytes")


def encoded(name, image, form, **options):
    buf = io.BytesIO()
    image.save(buf, form, **options)
    back = Image.open(io.BytesIO(buf.getvalue()))
    grey = back.mode == "L"
    back = back if grey else back.convert("RGB")
    return {"name": name, "data": base64.b64encode(buf.getvalue()).decode(), "shape": list(back.size),
            "grey": grey, "pixels": packed(np.asarray(back)), "luma": packed(np.asarray(back.convert("L")))}  # fmt: skip


if __name__ == "__main__":
    main()
