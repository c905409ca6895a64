"""What the two data sets of house prices share: a table, shuffled and split."""

import numpy as np

from kyeo.core.errors import problem
from kyeo.datasets.mnist import Pair

__all__ = ["check_split", "split"]


def check_split(test_split: float) -> None:
    """Refuse a part that is none."""
    if not isinstance(test_split, (int, float)) or not 0 <= test_split < 1:
        raise problem("`test_split` is not valid.", received=f"test_split={test_split!r}", where="load_data",
                      expected="a number from 0 to 1, without 1")


def split(x: np.ndarray, y: np.ndarray, test_split: float, seed: int) -> tuple[Pair, Pair]:
    """The rows in a new order, to train and to test with."""
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    at = int(len(x) * (1 - test_split))
    return (x[order[:at]], y[order[:at]]), (x[order[at:]], y[order[at:]])
