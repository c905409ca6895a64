"""Dataset: elements that are made as they are asked for, with the small part of tf.data's methods that programs use.

The order of a shuffled one is a function of (seed, number of the pass), so a run can go on from any step.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from kyeo.core.errors import positive_int, problem
from kyeo.core.parameters import checked
from kyeo.data.arrays import standard_batch
from kyeo.data.draws import KeyedDraws
from kyeo.data.source import Batch, Source, warn_out_of_data

__all__ = ["Dataset", "DatasetSource"]

Elements = Callable[[int], Iterator[Any]]  # the elements of a pass, by its number


class Dataset:
    """Elements (arrays, or tuples and dicts of arrays) that can be gone through again and again.

    Args:
        elements: a function from the number of a pass to an iterator over its elements.
        size: how many there are; None if that is not known.
        batch_size: rows of an element, where elements are batches.

    >>> import kyeo, numpy as np
    >>> data = kyeo.data.Dataset.from_tensor_slices((np.arange(5), np.arange(5) * 2))
    >>> [x.tolist() for x, y in data.map(lambda x, y: (x + 1, y)).batch(2)]
    [[1, 2], [3, 4], [5]]
    """

    @checked
    def __init__(self, elements: Elements, size: int | None = None, batch_size: int | None = None):
        self._elements, self._size, self.batch_size = elements, size, batch_size
        self._begin(0)
        self.class_names: list[str] | None = None
        self.file_paths: list[str] | None = None

    @classmethod
    def from_tensor_slices(cls, tensors: Any) -> "Dataset":
        """The rows of arrays, or of tuples and dicts of arrays."""
        tensors = jax.tree.map(np.asarray, tensors, is_leaf=lambda v: isinstance(v, list))
        rows = {len(leaf) for leaf in jax.tree.leaves(tensors)}
        if len(rows) != 1:
            raise problem("The arrays do not have the same number of rows.", received=f"{sorted(rows)} rows",
                          where="Dataset.from_tensor_slices", expected="one number")
        (size,) = rows

        def elements(_: int) -> Iterator[Any]:
            for i in range(size):
                yield jax.tree.map(lambda a, i=i: a[i], tensors)

        return cls(elements, size)

    def _begin(self, first: int) -> None:
        self._first, self._passes = first, itertools.count(first)
        self._taken: Counter[int] = Counter()  # count -> how often `take` was asked for it

    def __iter__(self) -> Iterator[Any]:
        return self._elements(next(self._passes))

    def __len__(self) -> int:
        if self._size is None:
            raise problem("The number of elements is not known.", where="Dataset", kind=TypeError,
                          fix="go through it, or pass the number of steps")
        return self._size

    def cardinality(self) -> int:
        """How many elements there are; -2 if that is not known, as in tf.data."""
        return -2 if self._size is None else self._size

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements; they are NumPy arrays anyway."""
        return iter(self)

    def _like(self, elements: Elements, size: int | None, batch_size: int | None = None) -> "Dataset":
        made = Dataset(elements, size, batch_size)
        made.class_names, made.file_paths = self.class_names, self.file_paths
        made._begin(self._first)
        return made

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None, **kwargs: Any) -> "Dataset":
        """The elements after a function; the parts of a tuple are its arguments."""
        def elements(turn: int) -> Iterator[Any]:
            for element in self._elements(turn):
                yield map_func(*element) if isinstance(element, tuple) else map_func(element)

        return self._like(elements, self._size, self.batch_size)

    def filter(self, predicate: Callable[..., Any]) -> "Dataset":
        """The elements for which a function gives True."""
        def elements(turn: int) -> Iterator[Any]:
            for element in self._elements(turn):
                if predicate(*element) if isinstance(element, tuple) else predicate(element):
                    yield element

        return self._like(elements, None, self.batch_size)

    def batch(self, batch_size: int, drop_remainder: bool = False, **kwargs: Any) -> "Dataset":
        """Elements stacked by `batch_size`; the last batch may be smaller."""
        batch_size = positive_int("Dataset.batch", batch_size=batch_size)

        def elements(turn: int) -> Iterator[Any]:
            rows = self._elements(turn)
            while group := list(itertools.islice(rows, batch_size)):
                if len(group) == batch_size or not drop_remainder:
                    yield _stacked(group)

        size = self._size
        if size is not None:
            size = size // batch_size if drop_remainder else -(-size // batch_size)
        return self._like(elements, size, batch_size)

    def unbatch(self) -> "Dataset":
        """The rows of the elements."""
        def elements(turn: int) -> Iterator[Any]:
            for element in self._elements(turn):
                for i in range(len(jax.tree.leaves(element)[0])):
                    yield jax.tree.map(lambda a, i=i: a[i], element)

        return self._like(elements, None)

    def shuffle(self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool = True) -> "Dataset":
        """The elements in another order for each pass, each drawn from the next `buffer_size` of them."""
        buffer_size = positive_int("Dataset.shuffle", buffer_size=buffer_size)
        key = int(np.random.default_rng().integers(2**63)) if seed is None else int(seed)

        def elements(turn: int) -> Iterator[Any]:
            draw = KeyedDraws().at(key, turn if reshuffle_each_iteration else 0)
            rows = self._elements(turn)
            held = list(itertools.islice(rows, buffer_size))
            for element in rows:
                place = int(draw.integers(len(held)))
                held[place], element = element, held[place]
                yield element
            for place in draw.permutation(len(held)):
                yield held[place]

        return self._like(elements, self._size, self.batch_size)

    def take(self, count: int) -> "Dataset":
        """The first `count` elements; -1 for all. Asked for again, it begins with the next pass: a loop of one's own
        over `data.take(100)` sees other elements in each epoch where they are shuffled."""
        size = self._size if count < 0 else None if self._size is None else min(count, self._size)
        made = self._like(lambda turn: itertools.islice(self._elements(turn), None if count < 0 else count), size,
                          self.batch_size)
        made._begin(self._first + self._taken[count])
        self._taken[count] += 1
        return made

    def skip(self, count: int) -> "Dataset":
        """All but the first `count` elements."""
        size = None if self._size is None else max(self._size - count, 0)
        return self._like(lambda turn: itertools.islice(self._elements(turn), count, None), size, self.batch_size)

    def concatenate(self, dataset: "Dataset") -> "Dataset":
        """These elements, then those of another one."""
        sizes = (self._size, dataset._size)
        return self._like(lambda turn: itertools.chain(self._elements(turn), dataset._elements(turn)),
                          None if None in sizes else sum(sizes), self.batch_size)  # type: ignore[arg-type]

    def cache(self, filename: str = "") -> "Dataset":
        """The elements, kept in memory once they were all made."""
        kept: list[Any] = []

        def elements(turn: int) -> Iterator[Any]:
            if kept:
                yield from kept
                return
            made = []
            for element in self._elements(0):
                made.append(element)
                yield element
            kept[:] = made

        return self._like(elements, self._size, self.batch_size)

    def prefetch(self, buffer_size: int = -1) -> "Dataset":
        """The same; `fit` prepares the next batches while a step runs."""
        return self


def _stacked(group: list[Any]) -> Any:
    def stack(*leaves: Any) -> np.ndarray:
        if isinstance(leaves[0], str):
            out = np.empty(len(leaves), object)
            out[:] = leaves
            return out
        return np.stack(leaves)

    return jax.tree.map(stack, *group)


class DatasetSource(Source):
    """The batches of a Dataset; an epoch is a pass, or `steps` batches that go on where the last epoch stopped (only
    where the number of elements is known)."""

    def __init__(self, dataset: Dataset, steps: int | None = None, weigh: Callable[[Batch], Batch] | None = None):
        self._dataset, self._steps, self._weigh = dataset, steps, weigh
        self._total = dataset._size
        self.num_batches = steps or self._total
        self.batch_size: int | None = dataset.batch_size
        if self._total == 0:
            raise problem("There are no elements in the data set.", where="Dataset", expected="at least one")

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        if self._total is None:
            turn, first, stop = epoch, 0, None
        else:
            turn, first, stop = self.span(epoch, self._total, self._steps)
        taken = 0
        for data in itertools.islice(self._dataset._elements(turn), first + start, stop):
            taken += 1
            batch = standard_batch(data, "Dataset")
            yield self._weigh(batch) if self._weigh else batch
        warn_out_of_data(taken + start, self._steps)
        if self.num_batches is None:
            self.num_batches = taken + start

