"""PyDataset: batches by index, written in Python, read by the main thread, by threads or by processes.

The order is the same whoever reads: batches are asked for and handed out in one order. Processes are spawned,
never forked, because JAX's threads do not survive a fork.
"""

import itertools
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any

from kyeo.core.errors import describe, problem
from kyeo.core.parameters import checked
from kyeo.core.plain import warn
from kyeo.data.arrays import standard_batch
from kyeo.data.draws import draws_at
from kyeo.data.iterable import own_state, restore_own_state
from kyeo.data.source import Batch, Source, warn_out_of_data

__all__ = ["PyDataset", "PyDatasetSource"]


class PyDataset:
    """A data set that gives batches by index: write `__getitem__` (a whole batch) and `__len__` (how many).

    Args:
        workers: how many threads or processes read ahead; 0 or 1 thread: the training thread itself reads.
        use_multiprocessing: processes instead of threads; the data set must then be picklable.
        max_queue_size: at most so many batches are read ahead.

    A data set without an end overrides the property `num_batches` to be None. `on_epoch_begin` and
    `on_epoch_end` may change what an epoch holds. For a training that is resumed they are called as often as before,
    and batches are asked for from where it stopped; a data set that carries more than that (a random generator that
    `__getitem__` draws from) has `state_dict` and `load_state_dict`, or `get_state` and `set_state`.

    >>> import kyeo, numpy as np
    >>> class Squares(kyeo.utils.PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         x = np.arange(3) + 3 * index
    ...         return x, x ** 2
    >>> [y.tolist() for x, y in Squares(workers=2)]
    [[0, 1, 4], [9, 16, 25]]
    """

    workers: int = 1  # also for classes whose constructor does not call this one
    use_multiprocessing: bool = False
    max_queue_size: int = 10

    @checked
    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10):
        self.workers, self.use_multiprocessing = workers, use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise problem("This data set does not say how to read a batch.", where=self, kind=NotImplementedError,
                      expected="a method `__getitem__(self, index)` that returns (x, y)")

    def __iter__(self) -> Iterator[Any]:
        try:
            total = self.num_batches
        except NotImplementedError:  # only who trains must know; a loop over the batches goes on until it is left
            total = None
        for index in itertools.count() if total is None else range(total):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """How many batches there are; None for a data set without an end."""
        if not hasattr(self, "__len__"):
            raise problem("This data set does not say how many batches it has.", where=self,
                          expected="a method `__len__`, or a property `num_batches` (None: no end)",
                          kind=NotImplementedError)
        return _whole(self.__len__(), self)

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


def _whole(length: Any, where: Any) -> int:
    if not hasattr(length, "__index__"):
        raise problem("`__len__` of a data set must give an int.", received=f"__len__() gives {describe(length)}",
                      expected="how many batches an epoch has", where=where, kind=TypeError,
                      fix="math.ceil(rows / batch_size)")
    return int(length)


class PyDatasetSource(Source):
    """Reads a PyDataset. `shuffle` draws a new order of the batches for each pass from (seed, pass)."""

    def __init__(
        self, dataset: PyDataset, *, shuffle: bool | str = False, steps: int | None = None, seed: int = 0,
        weigh: Callable[[Batch], Batch] | None = None,
    ):
        if dataset.num_batches is None and steps is None:
            raise problem("A PyDataset without an end needs to know how long an epoch is.", where=dataset,
                          received="num_batches=None", fix="pass `steps_per_epoch` (or `steps`)")
        self._dataset, self._weigh = dataset, weigh
        self._shuffle, self._steps, self._seed = shuffle, steps, seed
        self._pool: Executor | None = None
        self._pickled: bytes | None = None
        self._told: list[str] = []  # hooks of the data set that were called
        self._first: Batch | None = None  # what `peek` read, until the first epoch begins

    @property
    def num_batches(self) -> int | None:  # type: ignore[override]
        """Batches of an epoch; asked anew each time, because `on_epoch_end` may change it."""
        total = self._dataset.num_batches
        return self._steps if total is None else min(self._steps or total, total)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        total, self._first = self._dataset.num_batches, None
        turn, first, stop = self.span(epoch, total, self._steps)
        indices: Iterable[int] = range(first + start, stop)
        if self._shuffle and total is not None:
            indices = draws_at(self._seed, turn).permutation(total)[first + start:stop].tolist()
        for index, data in self._read(indices):
            yield self._standard(index, data)
        warn_out_of_data(stop - first, self._steps)

    def peek(self) -> Batch:
        if self._dataset.num_batches == 0:
            raise problem("The PyDataset has no batches.", where=self._dataset,
                          expected="a length of 1 or more")
        if self._first is None:  # a batch may take long to read, or draw random numbers
            self._first = self._standard(0, self._get(0))
        return self._first

    def on_epoch_begin(self) -> None:
        self._tell("on_epoch_begin")

    def on_epoch_end(self) -> None:
        self._tell("on_epoch_end")

    def _tell(self, hook: str) -> None:
        getattr(self._dataset, hook)()
        self._told.append(hook)

    def state(self) -> dict[str, Any]:
        own = own_state(self._dataset)
        if own is not None and (self._dataset.workers > 1 or self._dataset.use_multiprocessing):
            warn(f"The state of {type(self._dataset).__name__} is that of its workers, which read ahead: a "
                 "resumed training may see other batches. Use workers=1.")
        return {"seed": self._seed, "told": list(self._told), "own": own}

    def restore(self, state: dict[str, Any], step: int) -> None:
        """Go on from a state: the data set's own where it has one, else its hooks are called as they were."""
        self._seed = state["seed"]
        if state["own"] is not None:
            restore_own_state(self._dataset, state["own"])
            self._told = list(state["told"])
            return
        for hook in state["told"]:
            if hook not in ("on_epoch_begin", "on_epoch_end"):  # else a checkpoint could call any method
                raise problem("This state is not one of a PyDataset.", received=f"told {str(hook)[:100]!r}",
                              expected="on_epoch_begin and on_epoch_end")
            self._tell(hook)

    def description(self) -> dict[str, Any]:
        return {**super().description(), "kind": type(self._dataset).__name__, "shuffle": self._shuffle}

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _standard(self, index: int, data: Any) -> Batch:
        try:
            batch = standard_batch(data, "PyDataset")
            return self._weigh(batch) if self._weigh else batch
        except Exception as error:
            error.add_note(_note(index))
            raise

    def _get(self, index: int) -> Any:
        try:
            return self._dataset[index]
        except Exception as error:
            error.add_note(_note(index))
            raise

    def _read(self, indices: Iterable[int]) -> Iterator[tuple[int, Any]]:
        """(index, what is there) in the order of `indices`."""
        submit = self._submit()
        if submit is None:
            for index in indices:
                yield index, self._get(index)
            return
        rest = iter(indices)
        ahead = max(int(self._dataset.max_queue_size), 1)
        pending = deque((i, submit(i)) for i in itertools.islice(rest, ahead))
        try:
            while pending:
                index, future = pending.popleft()
                data = self._result(index, future)
                pending.extend((i, submit(i)) for i in itertools.islice(rest, 1))
                yield index, data
        finally:
            for _, future in pending:
                future.cancel()

    def _result(self, index: int, future: Future[Any]) -> Any:
        try:
            return future.result()
        except BrokenExecutor as error:
            self._pool = None
            raise problem(
                "A worker process died.", where=self._dataset, received=f"batch {index}", kind=RuntimeError,
                fix="put the start of the program under `if __name__ == '__main__':` and the class into a "
                    "module, or use threads (use_multiprocessing=False)") from error
        except Exception as error:
            error.add_note(_note(index))
            raise

    def _submit(self) -> Callable[[int], Future[Any]] | None:
        """How to have a batch read elsewhere; None to read it here."""
        dataset, workers = self._dataset, self._dataset.workers
        if workers > 0 and dataset.use_multiprocessing:
            self._renew_processes()
            return lambda index: self._pool.submit(_read_installed, index)  # type: ignore[union-attr]
        if workers <= 1:
            return None
        if self._pool is None:
            self._pool = ThreadPoolExecutor(workers, thread_name_prefix="kyeo_data")
        return lambda index: self._pool.submit(dataset.__getitem__, index)  # type: ignore[union-attr]

    def _renew_processes(self) -> None:
        """Processes hold a copy of the data set: start new ones when it has changed since."""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        try:
            pickled = pickle.dumps(self._dataset)
        except Exception as error:
            raise problem("The data set cannot be sent to worker processes.", where=self._dataset,
                          received=str(error), expected="an object that pickle can write", kind=TypeError,
                          fix="use threads (use_multiprocessing=False)") from None
        if self._pool is None or pickled != self._pickled:
            self.close()
            self._pickled = pickled
            self._pool = ProcessPoolExecutor(self._dataset.workers, multiprocessing.get_context("spawn"),
                                             initializer=_install, initargs=(pickled,))


def _note(index: int) -> str:
    return f"(while reading batch {index} of the PyDataset)"


_installed: list[PyDataset] = []  # in a worker process: the data set it reads


def _install(pickled: bytes) -> None:
    _installed[:] = [pickle.loads(pickled)]


def _read_installed(index: int) -> Any:
    return _installed[0][index]
