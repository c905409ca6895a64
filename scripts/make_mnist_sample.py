"""Make kyeo/datasets/mnist_sample.npz from 5,000 MNIST digits: `python make_mnist_sample.py DIGITS.npz`.

DIGITS.npz holds `images` (5000, 28, 28) and `labels` (5000,), both uint8, 500 of each digit. The same
input gives the same file, byte for byte.
"""

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np

from kyeo.core.contents import sha256_of
from kyeo.core.files import atomic_write

__all__ = ["main"]

TARGET = Path(__file__).parents[1] / "kyeo" / "datasets" / "mnist_sample.npz"
HELD_OUT_PER_DIGIT = 100


def split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the places of the training and of the held-out digits: every digit equally often, then mixed."""
    generator = np.random.Generator(np.random.PCG64(2026))
    by_digit = [generator.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    test = np.concatenate([places[:HELD_OUT_PER_DIGIT] for places in by_digit])
    train = np.concatenate([places[HELD_OUT_PER_DIGIT:] for places in by_digit])
    return generator.permutation(train), generator.permutation(test)


def main() -> None:
    """Read the digits, split them and write the archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("digits", type=Path)
    with np.load(parser.parse_args().digits, allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    train, test = split(labels)
    arrays = {}
    for part, places in (("train", train), ("test", test)):
        arrays |= {f"x_{part}": images[places], f"y_{part}": labels[places]}
    # Not np.savez_compressed: it has no compression level, and level 9 keeps the package small.
    with atomic_write(TARGET) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: the bytes do not depend on the day
            archive.writestr(entry, buffer.getvalue(), zipfile.ZIP_DEFLATED, 9)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes, SHA-256 {sha256_of(TARGET)}")


if __name__ == "__main__":
    main()
