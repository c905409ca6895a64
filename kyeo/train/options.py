"""What the arguments of `fit`, `evaluate` and `predict` mean that are no data: steps, verbosity, callbacks."""

import sys
from typing import Any

from kyeo.callbacks.backup import BackupAndRestore
from kyeo.callbacks.callback import CallbackList
from kyeo.core.errors import one_of, positive_int, problem
from kyeo.core.settings import settings

__all__ = ["callback_list", "capped", "is_due", "with_backup"]


def capped(steps: int | None, name: str = "steps") -> int | None:
    """The steps of an epoch, at most those of `kyeo.config.set_max_steps_per_epoch`."""
    steps = positive_int(None, optional=True, **{name: steps})  # type: ignore[arg-type]
    return min(steps or sys.maxsize, settings.max_steps_per_epoch) if settings.max_steps_per_epoch else steps


def is_due(epoch: int, frequency: Any) -> bool:
    """Whether to validate after an epoch (counted from 0): every so many, or where its number from 1 is listed.

    >>> is_due(3, 2), is_due(3, [1, 2])
    (True, False)
    """
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency


def with_backup(callbacks: Any, resume: Any) -> Any:
    """The callbacks and, where `fit` was told to `resume`, one that keeps checkpoints in that folder."""
    if resume is None:
        return callbacks
    if isinstance(callbacks, CallbackList):
        raise problem("`resume` does not go with a CallbackList that is made already.", where="fit",
                      received=f"resume={resume!r}", fix="put kyeo.callbacks.BackupAndRestore(...) into the list")
    return [callbacks or [], BackupAndRestore(resume, delete_checkpoint=False)]


def callback_list(model: Any, callbacks: Any, verbose: Any, history: bool, **params: Any) -> CallbackList:
    """All callbacks as one, with a History where asked for, and a progress bar unless `verbose` is 0."""
    if isinstance(callbacks, CallbackList):
        return callbacks
    verbose = 1 if one_of("fit", ("auto", 0, 1, 2, False, True), verbose=verbose) == "auto" else int(verbose)
    verbose = 2 if verbose == 1 and not settings.interactive_logging else verbose
    return CallbackList(callbacks, add_history=history, add_progbar=verbose != 0, verbose=verbose, model=model,
                        **params)
