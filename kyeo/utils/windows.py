"""Data sets of arrays: windows of a series, and the two parts of a split."""

import random
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from kyeo.core.errors import describe, one_of, positive_int, problem
from kyeo.core.parameters import checked
from kyeo.data.dataset import Dataset

__all__ = ["split_dataset", "timeseries_dataset_from_array"]


@checked
def timeseries_dataset_from_array(
    data: Any, targets: Any, sequence_length: int, sequence_stride: int = 1, sampling_rate: int = 1,
    batch_size: int | None = 128, shuffle: bool = False, seed: int | None = None, start_index: int | None = None,
    end_index: int | None = None, format: str = "tf",
) -> Dataset:
    """Batches of windows of a series.

    Args:
        data: the series, time on its first axis.
        targets: `targets[i]` belongs to the window that begins at `data[i]`; None for windows alone.
        sequence_length: places in a window.
        sequence_stride: steps from one window to the next.
        sampling_rate: steps from one place of a window to the next.
        batch_size: windows of a batch; None for single ones.
        shuffle: whether each pass has an order of its own.
        seed: fixes the orders.
        start_index, end_index: the part of the series to use.
        format: "tf" or "grain", which both give a `kyeo.data.Dataset`.

    >>> import kyeo, numpy as np
    >>> windows = kyeo.utils.timeseries_dataset_from_array(np.arange(6), np.arange(6) + 3, sequence_length=3)
    >>> x, y = next(iter(windows))
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]], [3, 4, 5, 6])
    """
    where = "timeseries_dataset_from_array"
    one_of(where, ("tf", "grain"), format=format)
    data = np.asarray(data)
    targets = None if targets is None else np.asarray(targets)
    length = positive_int(where, sequence_length=sequence_length)
    positive_int(where, sequence_stride=sequence_stride)
    positive_int(where, sampling_rate=sampling_rate)
    for name, value in (("sequence_stride", sequence_stride), ("sampling_rate", sampling_rate)):
        if value >= len(data):
            raise problem(f"`{name}` is too large.", received=f"{name}={value}", where=where,
                          expected=f"less than the {len(data)} steps of the data")
    first, last = start_index or 0, len(data) if end_index is None else end_index
    if not 0 <= first < last <= len(data):
        raise problem("`start_index` and `end_index` do not fit.", where=where, expected=f"0 to {len(data)}, in order",
                      received=f"start_index={start_index}, end_index={end_index}")
    count = last - first - (length - 1) * sampling_rate
    count = count if targets is None else min(count, len(targets) - first)
    starts = first + np.arange(0, max(count, 0), sequence_stride)
    inside = np.arange(length) * sampling_rate
    key = int(np.random.default_rng().integers(10**6)) if seed is None else int(seed)
    size = batch_size if batch_size is None else positive_int(where, batch_size=batch_size)

    def elements(turn: int) -> Iterator[Any]:
        order = starts
        if shuffle:
            order = np.random.Generator(np.random.Philox(key=[key % 2**64, turn])).permutation(starts)
        for i in range(0, len(order), size or 1):
            some = order[i:i + size] if size else order[i]
            x = data[some[:, None] + inside] if size else data[some + inside]
            yield x if targets is None else (x, targets[some])

    return Dataset(elements, -(-len(starts) // (size or 1)), size)


@checked
def split_dataset(
    dataset: Any, left_size: float | None = None, right_size: float | None = None, shuffle: bool = False,
    seed: int | None = None, preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """Two data sets of the rows of one that fits in memory.

    Args:
        dataset: an array, a list, tuple or dict of arrays, or a data set; a batched one gives batched ones.
        left_size, right_size: a number of rows, or a part from 0 to 1; what is left out follows from the other.
        shuffle: whether rows are shuffled before.
        seed: fixes the order.
        preferred_backend: ignored; both parts are of `kyeo.data.Dataset`.

    >>> import kyeo, numpy as np
    >>> left, right = kyeo.utils.split_dataset(np.arange(10), left_size=0.8)
    >>> len(left), [int(x) for x in right]
    (8, [8, 9])
    """
    batch_size = None
    if isinstance(dataset, (list, tuple, dict, np.ndarray, jax.Array)):
        several = tuple(dataset) if isinstance(dataset, list) else dataset
        tree: Any = jax.tree.map(np.asarray, several, is_leaf=lambda part: part is not several)
        if any(array.ndim == 0 for array in jax.tree.leaves(tree)):
            raise problem("A number has no rows.", received=dataset, where="split_dataset", kind=TypeError,
                          expected="arrays or a data set", fix="np.asarray(...) around a list of numbers")
        rows = list(Dataset.from_tensor_slices(tree))
    elif hasattr(dataset, "__iter__"):
        batch_size = getattr(dataset, "batch_size", None) or getattr(dataset, "_batch_size", None)
        elements = list(dataset.as_numpy_iterator() if hasattr(dataset, "as_numpy_iterator") else dataset)
        rows = list(Dataset(lambda _: iter(elements)).unbatch()) if batch_size else elements
    elif hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):  # as torch's are
        rows = [jax.tree.map(np.asarray, dataset[i]) for i in range(len(dataset))]
    else:
        raise problem("This cannot be split.", received=dataset, where="split_dataset", kind=TypeError,
                      expected="arrays or a data set")
    if shuffle:
        random.Random(seed).shuffle(rows)
    left, right = _sizes(left_size, right_size, len(rows))
    parts = (_rows(rows[:left]), _rows(rows[len(rows) - right:]))
    first, second = ((part.batch(int(batch_size)) for part in parts) if batch_size else parts)
    return first, second


def _rows(rows: list[Any]) -> Dataset:
    return Dataset(lambda _: iter(rows), len(rows))


def _sizes(left: Any, right: Any, total: int) -> tuple[int, int]:
    sizes = []
    for name, size in (("left_size", left), ("right_size", right)):
        fits = size is None or (isinstance(size, int) and not isinstance(size, bool) and 0 < size < total) or (
            isinstance(size, float) and 0 < size < 1)
        if not fits:
            raise problem(f"`{name}` is not valid.", received=f"{name}={describe(size)}", where="split_dataset",
                          expected=f"an int from 1 to {total - 1}, or a number between 0 and 1",
                          kind=ValueError if isinstance(size, (int, float)) else TypeError)
        sizes.append(round(size * total) if isinstance(size, float) else size)
    if sizes == [None, None]:
        raise problem("The sizes are missing.", received="left_size=None, right_size=None", where="split_dataset",
                      expected="at least one of them")
    new_left = total - sizes[1] if sizes[0] is None else sizes[0]
    new_right = total - sizes[0] if sizes[1] is None else sizes[1]
    if new_left + new_right > total or not new_left or not new_right:
        raise problem("The sizes do not fit the data.", received=f"{new_left} and {new_right} of {total} rows",
                      where="split_dataset", expected="two parts that are not empty and do not overlap")
    return new_left, new_right
