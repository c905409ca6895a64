"""Boston housing: 506 districts of 1970 with 13 numbers each, by Harrison and Rubinfeld (1978).

One of the numbers was made on the assumption that people pay for living apart by skin colour; do not use it for
anything but comparisons with old results. California housing is the better example.
"""

import numpy as np

from kyeo.core.parameters import checked
from kyeo.datasets.fetch import fetch
from kyeo.datasets.housing import check_split, split
from kyeo.datasets.mnist import Pair

__all__ = ["load_data"]

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/boston_housing.npz"
_SHA256 = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


@checked
def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> tuple[Pair, Pair]:
    """Load the districts and the median price of their houses in thousands of dollars.

    Args:
        path: The file's name inside the cache folder.
        test_split: The part to test with.
        seed: For the order.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays of the shapes `(n, 13)` and `(n,)`.

    Raises:
        OSError: There is no network, and the file is not in the cache.

    Example:
        >>> from kyeo.datasets import boston_housing
        >>> (x_train, y_train), (x_test, y_test) = boston_housing.load_data()  # doctest: +SKIP
    """
    check_split(test_split)
    with np.load(fetch(path, _URL, _SHA256), allow_pickle=False) as file:
        return split(file["x"], file["y"], test_split, seed)
