"""Ahead: the epochs of a tiny training, many in one dispatch, run before `fit` asks for them one by one.

Only where nobody can tell: no validation, no checkpoints, no progress bar, no callback that is told of epochs.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax

from kyeo.callbacks.base import plain_logs
from kyeo.core.naming import is_kyeos
from kyeo.train.padding import row_mask

__all__ = ["Ahead"]


class Ahead:
    """Runs epochs of a job and keeps what each gave.

    Args:
        job: the training.
        last: the epoch to stop before.
        allowed: whether nobody is to be asked between two epochs.
    """

    def __init__(self, job: Any, last: int, allowed: bool):
        self._job, self._last = job, last
        self._results: dict[int, Callable[[], dict[str, Any]]] = {}
        self._allowed = allowed
        self._room = 0  # epochs in a dispatch; 0 until it is known

    def __contains__(self, epoch: int) -> bool:
        return epoch in self._results

    def logs(self, epoch: int) -> Callable[[], dict[str, Any]] | None:
        """What gives the logs of an epoch that is done; None where it must be run by itself."""
        if epoch not in self._results and self._allowed and epoch + 1 < self._last:
            self._run(epoch, self._last - epoch)
        return self._results.pop(epoch, None)

    def _run(self, first: int, wanted: int) -> None:
        job, source = self._job, self._job.source
        if not self._room:
            self._room = job.epochs_per_dispatch()
            self._room = self._room if _resets_alike(job.model) else 1
        count = min(wanted, self._room)
        data = source.whole_epochs(first, count, self._room) if self._room > 1 else None
        if data is None:
            self._allowed = False
            return
        steps, size = source.num_batches, source.batch_size
        rows = row_mask(source.num_rows, steps * size).reshape(steps, size) if job.padded else None
        logs = job.runner.run(data, rows, job.safe, count, whole_epochs=True)
        fetch = functools.cache(functools.partial(jax.device_get, logs))
        for i in range(count):
            self._results[first + i] = functools.partial(_of_epoch, fetch, i)


def _of_epoch(fetch: Callable[[], Any], index: int) -> dict[str, Any]:
    return plain_logs(jax.tree.map(lambda values: values[index], fetch()))


def _resets_alike(model: Any) -> bool:
    """Whether `reset_metrics` does the same before each epoch, as far as one can know: it is ours."""
    return all(map(is_kyeos, [model.reset_metrics, *(metric.reset_state for metric in model.single_metrics())]))
