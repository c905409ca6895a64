"""CIFAR-10: small colour pictures of ten kinds, by Alex Krizhevsky (2009), Learning Multiple Layers of Features from
Tiny Images."""

from kyeo.core.parameters import checked
from kyeo.datasets.cifar import read_batches
from kyeo.datasets.fetch import fetch
from kyeo.datasets.mnist import Pair

__all__ = ["load_data"]

_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
_FOLDER = "cifar-10-batches-py"


@checked
def load_data() -> tuple[Pair, Pair]:
    """Load the pictures: 50,000 to train with and 10,000 to test with.

    The ten classes: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: `uint8` arrays of the shapes `(50000, 32, 32, 3)`, `(50000, 1)`,
        `(10000, 32, 32, 3)` and `(10000, 1)`; channels come second where the image data format says so.

    Raises:
        OSError: There is no network, and the file is not in the cache.

    Example:
        >>> from kyeo.datasets import cifar10
        >>> (x_train, y_train), (x_test, y_test) = cifar10.load_data()  # doctest: +SKIP
    """
    path = fetch("cifar-10-python.tar.gz", _URL, _SHA256)
    x, y = read_batches(path, [f"{_FOLDER}/data_batch_{i}" for i in range(1, 6)], b"labels")
    x_test, y_test = read_batches(path, [f"{_FOLDER}/test_batch"], b"labels")
    return (x, y.astype("uint8")[:, None]), (x_test, y_test.astype("uint8")[:, None])
