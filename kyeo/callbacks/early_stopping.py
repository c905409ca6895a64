"""EarlyStopping: end training when a value no longer gets better."""

from typing import Any

from kyeo.callbacks.base import Logs
from kyeo.callbacks.monitor import Monitor
from kyeo.core.errors import positive_int
from kyeo.core.progbar import say

__all__ = ["EarlyStopping"]


class EarlyStopping(Monitor):
    """Ends training when a monitored value has not improved for a while.

    Args:
        monitor: the value's name in the logs.
        min_delta: a change of less than this is no improvement.
        patience: how many epochs without improvement to wait.
        verbose: 1 prints what it does.
        mode: "min", "max" or "auto" (by the metric).
        baseline: a value that has to be beaten for an epoch to count as an improvement.
        restore_best_weights: put the weights of the best epoch back when training ends, however it ends.
        start_from_epoch: how many epochs to let pass before watching.

    Raises:
        ValueError: at the end of the first epoch, when there is no value of that name.

    >>> import kyeo
    >>> stop = kyeo.callbacks.EarlyStopping("val_accuracy", patience=3, restore_best_weights=True)
    """

    _state_names = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0, patience: int = 0, verbose: int = 0,
        mode: str = "auto", baseline: float | None = None, restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.patience = positive_int(self, minimum=0, patience=patience)
        self.verbose, self.baseline = verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self._begin()

    def _begin(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: Any = None
        self.best_weights: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        if self._begins_anew():
            self._begin()

    def get_monitor_value(self, logs: Logs) -> Any:
        """The watched value; None where validation did not run. A subclass may compute one of its own."""
        return self.value_in(logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improves(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        self.on_train_interrupted()

    def on_train_interrupted(self) -> None:
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                say(f"Restoring the weights of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
