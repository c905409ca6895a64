"""Source: where batches come from. The order is a function of (seed, epoch): a run can go on from any step.

A batch is a tuple `(x, y, sample_weight)` of nested lists, tuples and dicts of arrays; the last two may be
None.
"""

import abc
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from kyeo.core.arrays import copy_rows, empty_for_jax
from kyeo.core.errors import problem
from kyeo.core.plain import warn
from kyeo.data.arrays import batch_dtype, batch_rows
from kyeo.data.draws import draws_at

__all__ = ["ArraySource", "Batch", "Source", "pad_batch", "warn_out_of_data"]

Batch = tuple[Any, Any, Any]


class Source(abc.ABC):
    """Where batches come from.

    Attributes:
        num_batches: how many batches an epoch has; None while that is unknown.
        batch_size: rows of a full batch; None where each batch decides.
        num_rows: rows in all; known for arrays only.
        first_epoch: the number of the epoch that begins at the begin of the data.
        ahead: how many batches were read that no step has had yet: of another shape, they wait for the next dispatch.
        keeps_state: whether it can only go on from where it stands, not from a number of batches.
    """

    num_batches: int | None = None
    batch_size: int | None = None
    num_rows: int | None = None
    first_epoch: int = 0
    ahead: int = 0
    keeps_state: bool = False

    def span(self, epoch: int, total: int | None, steps: int | None) -> tuple[int, int, int]:
        """Which batches an epoch has: (number of the pass over the data, first batch, end).

        Without `steps` each epoch is a pass. With `steps` an epoch goes on where the one before stopped, and ends
        with the pass (so its last epoch may be short), as in Keras. `total=None`: the data has no end.
        """
        done = epoch - self.first_epoch
        if total is None:
            assert steps is not None
            return 0, done * steps, (done + 1) * steps
        steps = steps or total
        turn, place = divmod(done, -(-total // steps))
        return turn + self.first_epoch, place * steps, min((place + 1) * steps, total)

    @abc.abstractmethod
    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from the `start`-th on."""

    def groups(self, epoch: int, size: int, start: int = 0) -> Iterator[tuple[Batch, int]]:
        """The batches of an epoch, stacked by `size` on a new leading axis, each with how many it holds.

        A batch of another shape than its neighbours (the partial last one) is a group of its own.
        """
        held: list[Batch] = []
        for batch in self.batches(epoch, start):
            if held and _shapes(batch) != _shapes(held[0]):
                self.ahead = 1
                yield _stack(held), len(held)
                self.ahead, held = 0, []
            held.append(batch)
            if len(held) == size:
                yield _stack(held), size
                held = []
        if held:
            yield _stack(held), len(held)

    def stacked(self, epoch: int, size: int, start: int = 0) -> Iterator[tuple[Batch, int]] | None:
        """The epoch by `size` batches stacked and filled up, each with how many of its rows are real; None where the
        source has no quick way.

        Real rows come first. What stands behind them is some real row again, so that no value is strange.
        """
        return None

    def whole_epochs(self, first: int, count: int, room: int) -> Batch | None:
        """`count` epochs as `stacked` would give each at once, behind a new axis of length `room`; what is beyond them
        is of no interest. None where the source has no quick way, or its epochs differ in length."""
        return None

    def peek(self) -> Batch:
        """A batch to build a model by; it is not used up."""
        for batch in self.batches(0):
            return batch
        raise problem("The data has no batches.", received=type(self).__name__, expected="at least one batch")

    def whole(self) -> Iterator[tuple[str, Any]]:
        """What is held in memory as a whole: the names of the parts of a batch, each with its arrays."""
        return iter(())

    def state(self) -> dict[str, Any]:
        """Where the reading stands, for a later process that goes on from there; plain values and arrays."""
        return {}

    def restore(self, state: dict[str, Any], step: int) -> None:  # noqa: B027
        """Go on from a `state`, taken after `step` batches of an epoch; `batches(epoch, step)` comes next."""

    def description(self) -> dict[str, Any]:
        """What a training that is resumed must find again, as plain values by name."""
        return {"kind": type(self).__name__, "batch_size": self.batch_size, "rows": self.num_rows,
                "batches in an epoch": self.num_batches}

    def on_epoch_begin(self) -> None:  # noqa: B027 (most sources need not know)
        """Told before an epoch's first batch is asked for."""

    def on_epoch_end(self) -> None:  # noqa: B027
        """Told after an epoch's last batch was used."""

    def close(self) -> None:  # noqa: B027
        """Let go of workers and iterators."""


class ArraySource(Source):
    """Rows of arrays that are in memory (or in a memory map). Nothing is copied but the rows of a batch.

    Args:
        arrays: `(x, y, sample_weight)` with arrays of equal row count as leaves.
        batch_size: rows of a batch; the last one may be smaller.
        shuffle: True draws a new order of the rows for every pass; "batch" shuffles inside each batch only.
        steps: batches of an epoch; the next epoch goes on where this one stopped. None: all of them.
        seed: with the number of the pass it fixes the order.
    """

    def __init__(
        self, arrays: Batch, *, batch_size: int = 32, shuffle: bool | str = False, steps: int | None = None,
        seed: int = 0,
    ):
        treedef: Any  # of a type that checkers do not know
        leaves, treedef = jax.tree.flatten(arrays)
        self._unflatten: Callable[[Any], Batch] = treedef.unflatten
        self._leaves = [(leaf, batch_dtype(leaf.dtype), _can_take(leaf)) for leaf in leaves]
        self.num_rows: int = int(leaves[0].shape[0])
        self.batch_size: int = batch_size
        self._total = -(-self.num_rows // batch_size)
        self.num_batches: int = min(steps or self._total, self._total)
        self._shuffle, self._steps, self._seed = shuffle, steps, seed

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        turn, first, stop = self.span(epoch, self._total, self._steps)
        order, size = self._order(turn), self.batch_size
        for i in range(first + start, stop):
            yield self._unflatten(self._rows(order, i * size, (i + 1) * size))
        warn_out_of_data(stop - first, self._steps)

    def groups(self, epoch: int, size: int, start: int = 0) -> Iterator[tuple[Batch, int]]:
        turn, first, stop = self.span(epoch, self._total, self._steps)
        order, rows = self._order(turn), self.batch_size
        i, full = first + start, min(stop, self.num_rows // rows)
        while i < stop:
            count = min(size, full - i) if i < full else 1
            leaves = self._rows(order, i * rows, (i + count) * rows)
            yield self._unflatten([a.reshape(count, -1, *a.shape[1:]) for a in leaves]), count
            i += count
        warn_out_of_data(stop - first, self._steps)

    def stacked(self, epoch: int, size: int, start: int = 0) -> Iterator[tuple[Batch, int]]:
        turn, first, stop = self.span(epoch, self._total, self._steps)
        order, rows = self._order(turn), self.batch_size
        for i in range(first + start, stop, size):
            begin, end = i * rows, min((i + size) * rows, stop * rows, self.num_rows)
            leaves = self._gathered(self._filled(order, begin, end, size * rows))
            yield self._unflatten([a.reshape(size, rows, *a.shape[1:]) for a in leaves]), end - begin
        warn_out_of_data(stop - first, self._steps)

    def whole_epochs(self, first: int, count: int, room: int) -> Batch | None:
        if self._steps or not all(can_take for _, _, can_take in self._leaves):
            return None
        total, size = self._total, self.batch_size
        index = np.zeros((room, total * size), np.intp)
        for i in range(count):
            order = self._order(first + i)
            order = np.arange(self.num_rows) if order is None else order
            index[i] = self._filled(order, 0, self.num_rows, total * size)
        return self._unflatten([a.reshape(room, total, size, *a.shape[1:]) for a in self._gathered(index.ravel())])

    def _filled(self, order: np.ndarray | None, begin: int, end: int, size: int) -> Any:
        """An index of rows, filled up to `size` with the first row of the last batch."""
        index: Any = slice(begin, end) if order is None else order[begin:end]
        if end - begin == size:
            return index
        real = np.arange(begin, end) if order is None else index
        last = real[(end - begin - 1) // self.batch_size * self.batch_size]
        return np.concatenate([real, np.full(size - len(real), last)])

    def peek(self) -> Batch:
        return self._unflatten(self._rows(None, 0, self.batch_size))

    def whole(self) -> Iterator[tuple[str, Any]]:
        arrays = self._unflatten([leaf for leaf, _, _ in self._leaves])
        return ((name, part) for name, part in zip(("x", "y", "sample_weight"), arrays) if part is not None)

    def state(self) -> dict[str, Any]:
        return {"seed": self._seed}

    def restore(self, state: dict[str, Any], step: int) -> None:
        self._seed = state["seed"]

    def description(self) -> dict[str, Any]:
        columns = [f"{list(leaf.shape[1:])} of {leaf.dtype}" for leaf, _, _ in self._leaves]
        return {**super().description(), "kind": "arrays", "shuffle": self._shuffle, "columns": columns}

    def _order(self, turn: int) -> np.ndarray | None:
        """The rows in the order of a pass; None for the order they have."""
        if not self._shuffle:
            return None
        draw = draws_at(self._seed, turn)
        if self._shuffle != "batch":
            return draw.permutation(self.num_rows)
        full = self.num_rows // self.batch_size * self.batch_size
        inside = draw.permuted(np.arange(full).reshape(-1, self.batch_size), axis=1).ravel()
        return np.concatenate([inside, draw.permutation(np.arange(full, self.num_rows))])

    def _rows(self, order: np.ndarray | None, begin: int, end: int) -> list[np.ndarray]:
        return self._gathered(slice(begin, end) if order is None else order[begin:end])

    def _gathered(self, index: Any) -> list[np.ndarray]:
        return [_gather(leaf, index, dtype, can_take) for leaf, dtype, can_take in self._leaves]


def _can_take(leaf: Any) -> bool:
    """Whether `take` reads the wanted rows only; of any other layout it would first copy the whole array."""
    return (isinstance(leaf, np.ndarray) and leaf.flags.c_contiguous and leaf.flags.aligned
            and leaf.dtype.isnative and not leaf.dtype.hasobject)


def _gather(leaf: Any, index: Any, dtype: np.dtype, can_take: bool) -> np.ndarray:
    if can_take and not isinstance(index, slice):
        rows = empty_for_jax((len(index), *leaf.shape[1:]), leaf.dtype)
        leaf.take(index, axis=0, out=rows, mode="clip")  # "raise", the default, would gather elsewhere and copy
    else:
        rows = leaf[index]
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    return rows if rows.dtype == dtype else rows.astype(dtype)


def warn_out_of_data(count: int, wanted: int | None) -> None:
    """Say so when an epoch has fewer batches than were asked for."""
    if wanted and count < wanted:
        had = f"{count} of {wanted} batches" if count else "no batches"
        warn(f"Data ran out: this epoch has {had}. Lower `steps_per_epoch` or pass "
             "data that gives more (a generator cannot start again).")


def pad_batch(batch: Batch, batch_size: int) -> tuple[Batch, int]:
    """Fill a batch up to `batch_size` rows by repeating its first row: `(batch, how many rows are real)`.

    >>> (x, y, _), real = pad_batch((np.array([[1], [2]]), np.array([5, 6]), None), 4)
    >>> x.ravel().tolist(), y.tolist(), real
    ([1, 2, 1, 1], [5, 6, 5, 5], 2)
    """
    rows = batch_rows(batch)
    if rows == batch_size:
        return batch, rows
    if rows > batch_size:
        raise problem("A batch is larger than the size to pad to.", received=f"{rows} rows",
                      expected=f"at most {batch_size}")
    return jax.tree.map(lambda a: _filled_up(np.asarray(a), batch_size), batch), rows


def _filled_up(rows: np.ndarray, size: int) -> np.ndarray:
    """Rows that JAX reads where they lie: copied by it once more, 4,000 digits take 1.5 ms longer."""
    filled = empty_for_jax((size, *rows.shape[1:]), rows.dtype)
    copy_rows(rows, filled[:len(rows)])
    filled[len(rows):] = rows[:1]
    return filled


def _shapes(batch: Batch) -> tuple[Any, ...]:
    leaves, treedef = jax.tree.flatten(batch)
    return (treedef, *((leaf.shape, leaf.dtype) for leaf in leaves))


def _stack(batches: list[Batch]) -> Batch:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
