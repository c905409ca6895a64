"""MNIST: handwritten digits of 28 x 28 grey pixels, the whole set or a sample that needs no network.

MNIST was made by Yann LeCun, Corinna Cortes and Christopher J.C. Burges from data of NIST, and is
under the licence Creative Commons Attribution-ShareAlike 3.0 (CC BY-SA 3.0); see LICENSE-MNIST.txt.
"""

from pathlib import Path
from typing import TypeAlias

import numpy as np

from kyeo.core.parameters import checked
from kyeo.datasets.fetch import fetch

__all__ = ["load_data", "load_sample"]

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
_SAMPLE = Path(__file__).with_name("mnist_sample.npz")

Pair: TypeAlias = tuple[np.ndarray, np.ndarray]


@checked
def load_data(path: str = "mnist.npz") -> tuple[Pair, Pair]:
    """Load the whole MNIST: 60,000 digits to train with and 10,000 to test with.

    The first call downloads 11 MB into the cache of Keras (`~/.keras/datasets`, or
    `$KERAS_HOME/datasets`) and checks the SHA-256; later calls read it from there.

    Args:
        path: The file's name inside the cache folder.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: `uint8` arrays of the shapes `(60000, 28, 28)`,
        `(60000,)`, `(10000, 28, 28)` and `(10000,)`; pixels 0 to 255, labels 0 to 9.

    Raises:
        OSError: There is no network; `load_sample` needs none.
        ValueError: What was downloaded is not MNIST.

    Example:
        >>> from kyeo.datasets import mnist
        >>> (x_train, y_train), (x_test, y_test) = mnist.load_data()  # doctest: +SKIP
    """
    return _read(fetch(path, _URL, _SHA256))


def load_sample() -> tuple[Pair, Pair]:
    """Load 5,000 digits of MNIST that come with the package: 4,000 to train with, 1,000 to test with.

    Each of the ten digits is there 400 times to train with and 100 times to test with, in a fixed mixed
    order. Source and licence: MNIST by Y. LeCun, C. Cortes and C.J.C. Burges, CC BY-SA 3.0.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: `uint8` arrays of the shapes `(4000, 28, 28)`,
        `(4000,)`, `(1000, 28, 28)` and `(1000,)`; pixels 0 to 255, labels 0 to 9.

    Example:
        >>> from kyeo.datasets import mnist
        >>> (x_train, y_train), (x_test, y_test) = mnist.load_sample()
        >>> x_train.shape, y_test.shape, x_train.dtype
        ((4000, 28, 28), (1000,), dtype('uint8'))
    """
    return _read(_SAMPLE)


def _read(path: Path) -> tuple[Pair, Pair]:
    with np.load(path, allow_pickle=False) as file:
        return (file["x_train"], file["y_train"]), (file["x_test"], file["y_test"])
