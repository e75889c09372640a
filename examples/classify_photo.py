"""Say what photographs show, by EfficientNet-Lite0 with weights of ImageNet, which are downloaded once (17 MB).

python examples/classify_photo.py [PHOTO ...] [--weights FILE] [--names FILE]

Without a photograph: the two of scikit-learn, if it is installed, a palace (class 698) and a daisy (985). Pillow reads
and resizes them. Classes come by their numbers, unless a file has their 1000 names, one a line.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from minigrad import models, nn


def prepared(photo: Image.Image) -> np.ndarray:
    """Return the middle of a photograph as the network was trained on it: (3, 224, 224)."""
    side = round(0.875 * min(photo.size))
    left, top = ((length - side) // 2 for length in photo.size)
    square = photo.convert("RGB").crop((left, top, left + side, top + side))
    pixels = np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC), np.float32)
    return (pixels.transpose(2, 0, 1) - 127) / 128


def samples() -> list[tuple[str, Image.Image]]:
    """Return scikit-learn's photographs with their names."""
    from sklearn.datasets import load_sample_images

    found = load_sample_images()
    return [
        (Path(name).name, Image.fromarray(photo)) for name, photo in zip(found.filenames, found.images, strict=True)
    ]


parser = argparse.ArgumentParser()
parser.add_argument("photos", nargs="*")
parser.add_argument("--weights", default="imagenet")
parser.add_argument("--names")
options = parser.parse_args()

photos = [(name, Image.open(name)) for name in options.photos] or samples()
classes = Path(options.names).read_text("utf-8").splitlines() if options.names else [f"class {i}" for i in range(1000)]
model = models.efficientnet_lite0(weights=options.weights).eval()
scores = model.compiled()(np.stack([prepared(photo) for _, photo in photos]))
for (name, _), row in zip(photos, nn.Softmax(dim=1)(scores), strict=True):
    print(name)
    for number in np.argsort(-row)[:5]:
        print(f"  {row[number]:6.1%}  {classes[number]}")
