"""CIFAR-100: small colour pictures of a hundred kinds in twenty groups, by Alex Krizhevsky (2009)."""

from kyeo.core.errors import one_of
from kyeo.core.parameters import checked
from kyeo.datasets.cifar import read_batches
from kyeo.datasets.fetch import fetch
from kyeo.datasets.mnist import Pair

__all__ = ["load_data"]

_URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
_FOLDER = "cifar-100-python"


@checked
def load_data(label_mode: str = "fine") -> tuple[Pair, Pair]:
    """Load the pictures: 50,000 to train with and 10,000 to test with.

    Args:
        label_mode: "fine" for the hundred kinds, "coarse" for the twenty groups.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: pictures as in CIFAR-10, `int64` labels of shape (n, 1).

    Raises:
        OSError: There is no network, and the file is not in the cache.

    Example:
        >>> from kyeo.datasets import cifar100
        >>> (x_train, y_train), (x_test, y_test) = cifar100.load_data("coarse")  # doctest: +SKIP
    """
    label = one_of("cifar100.load_data", ("fine", "coarse"), label_mode=label_mode).encode() + b"_labels"
    path = fetch("cifar-100-python.tar.gz", _URL, _SHA256)
    (x, y), (x_test, y_test) = (read_batches(path, [f"{_FOLDER}/{part}"], label) for part in ("train", "test"))
    return (x, y[:, None]), (x_test, y_test[:, None])
