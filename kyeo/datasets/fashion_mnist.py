"""Fashion-MNIST: pictures of clothes of 28 x 28 grey pixels, by Zalando Research (2017), arXiv:1708.07747."""

import gzip
from pathlib import Path

import numpy as np

from kyeo.core.parameters import checked
from kyeo.datasets.fetch import fetch
from kyeo.datasets.mnist import Pair

__all__ = ["load_data"]

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_FILES = {  # images and labels of each part, with their SHA-256
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


@checked
def load_data() -> tuple[Pair, Pair]:
    """Load the pictures: 60,000 to train with and 10,000 to test with.

    The ten classes: T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: `uint8` arrays of the shapes `(60000, 28, 28)`, `(60000,)`,
        `(10000, 28, 28)` and `(10000,)`.

    Raises:
        OSError: There is no network, and the files are not in the cache.

    Example:
        >>> from kyeo.datasets import fashion_mnist
        >>> (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()  # doctest: +SKIP
    """
    paths = [fetch(name, _URL + name, digest, "datasets/fashion-mnist") for name, digest in _FILES.items()]
    x_train, y_train, x_test, y_test = map(_idx, paths)
    return (x_train, y_train), (x_test, y_test)


def _idx(path: Path) -> np.ndarray:
    """The array in a file of Yann LeCun's form: two zeros, type, number of axes, sizes, bytes."""
    with gzip.open(path) as file:
        data = file.read()
    axes = data[3]
    shape = np.frombuffer(data, ">i4", axes, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
