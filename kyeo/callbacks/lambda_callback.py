"""LambdaCallback: a callback made of plain functions."""

from collections.abc import Callable

from kyeo.callbacks.base import HOOKS, Callback
from kyeo.core.errors import problem

__all__ = ["LambdaCallback"]

Hook = Callable[..., None] | None


class LambdaCallback(Callback):
    """Calls the given functions.

    Args:
        on_epoch_begin, on_epoch_end: called with `(epoch, logs)`, epochs from 0.
        on_train_begin, on_train_end: called with `(logs)`.
        on_train_batch_begin, on_train_batch_end: called with `(batch, logs)`, batches of an epoch from 0. Listening to
            batches makes small networks slower.
        **hooks: functions for any other hook of `kyeo.callbacks.Callback`, by its name.

    >>> import kyeo
    >>> kyeo.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs)).on_epoch_end(2, {})
    2 {}
    """

    def __init__(
        self, on_epoch_begin: Hook = None, on_epoch_end: Hook = None, on_train_begin: Hook = None,
        on_train_end: Hook = None, on_train_batch_begin: Hook = None, on_train_batch_end: Hook = None,
        **hooks: Hook,
    ):
        super().__init__()
        hooks |= {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin,
            "on_train_end": on_train_end, "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name, function in hooks.items():
            if name not in HOOKS:
                raise problem("There is no such hook.", received=name, where=self, kind=TypeError,
                              expected="one of " + ", ".join(HOOKS))
            if function is not None:
                setattr(self, name, function)
