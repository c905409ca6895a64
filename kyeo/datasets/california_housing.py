"""California housing: 20,640 districts of the census of 1990 with 8 numbers each, by Pace and Barry (1997)."""

import numpy as np

from kyeo.core.errors import one_of
from kyeo.core.parameters import checked
from kyeo.datasets.fetch import fetch
from kyeo.datasets.housing import check_split, split
from kyeo.datasets.mnist import Pair

__all__ = ["load_data"]

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/california_housing.npz"
_SHA256 = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"


@checked
def load_data(version: str = "large", path: str = "california_housing.npz", test_split: float = 0.2,
              seed: int = 113) -> tuple[Pair, Pair]:
    """Load the districts and the median value of their houses in dollars.

    Args:
        version: "large" for all, "small" for the first 600.
        path: The file's name inside the cache folder.
        test_split: The part to test with.
        seed: For the order.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays of the shapes `(n, 8)` and `(n,)`.

    Raises:
        OSError: There is no network, and the file is not in the cache.

    Example:
        >>> from kyeo.datasets import california_housing
        >>> (x_train, y_train), (x_test, y_test) = california_housing.load_data()  # doctest: +SKIP
    """
    check_split(test_split)
    rows = {"large": None, "small": 600}[one_of("california_housing.load_data", ("small", "large"), version=version)]
    with np.load(fetch(path, _URL, _SHA256), allow_pickle=False) as file:
        return split(file["x"][:rows], file["y"][:rows], test_split, seed)
