"""History: the results of all epochs."""

from typing import Any

from kyeo.callbacks.base import Callback, Logs

__all__ = ["History"]


class History(Callback):
    """Records the logs of every epoch; `fit` adds one and returns it.

    Attributes:
        epoch: the numbers of the epochs, from 0.
        history: a list of values, one an epoch, by the name of the loss or metric.

    >>> import kyeo
    >>> history = kyeo.callbacks.History()
    >>> history.on_train_begin()
    >>> history.on_epoch_end(0, {"loss": 0.5})
    >>> history.on_epoch_end(1, {"loss": 0.25})
    >>> history.history
    {'loss': [0.5, 0.25]}
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self
