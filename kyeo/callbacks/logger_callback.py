"""LoggerCallback: the results of training go to a function, such as the `log` of an experiment tracker."""

from collections.abc import Callable
from typing import Any

from kyeo.callbacks.base import Callback, Logs
from kyeo.callbacks.learning_rate import rates_of
from kyeo.core.errors import positive_int
from kyeo.core.plain import warn
from kyeo.core.processes import leads

__all__ = ["LoggerCallback"]


class LoggerCallback(Callback):
    """Calls `log_fn(results, step=...)` with plain numbers by name, after each epoch and, if asked, between them.

    That is what experiment trackers take: `wandb.log`, `mlflow.log_metrics`, `trackio.log`; a short function of one's
    own does for others. A tracker that cannot be reached is warned of, and training goes on. Of several processes that
    train together the first logs.

    Args:
        log_fn: Called with a dict of floats, and with `step`: the training steps so far, over all epochs. Results of an
            epoch have the names of the logs, "learning_rate" and "epoch" (from 0); those of a step begin with "batch_".
        update_freq: "epoch", or every so many steps besides. Listening to steps makes small networks slower.

    >>> import kyeo, numpy as np
    >>> model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> logger = kyeo.callbacks.LoggerCallback(lambda results, step: print(step, sorted(results)))
    >>> history = model.fit(np.ones((64, 2)), np.ones((64, 1)), verbose=0, callbacks=[logger])
    2 ['epoch', 'learning_rate', 'loss']
    """

    def __init__(self, log_fn: Callable[..., Any], update_freq: str | int = "epoch"):
        super().__init__()
        self.log_fn = log_fn
        self.update_freq: Any = update_freq if update_freq == "epoch" else positive_int(self, update_freq=update_freq)
        if update_freq == "epoch":
            self._ignored_hooks = (LoggerCallback.on_train_batch_end,)
        self._before = self._last = 0  # steps before this epoch, and at the last call

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._before = self._last = int(self.model.optimizer.iterations)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        last, self._last = self._last, self._before + batch + 1  # several, with many steps per dispatch
        if self.update_freq != "epoch" and self._last // self.update_freq != last // self.update_freq:
            self._log({f"batch_{name}": value for name, value in (logs or {}).items()}, self._last)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        rates = {name: optimizer.learning_rate for name, optimizer in rates_of(self.model).items()}
        self._log({**rates, **(logs or {})} | {"epoch": epoch}, int(self.model.optimizer.iterations))

    def _log(self, results: dict[str, Any], step: int) -> None:
        if not leads():
            return
        try:
            self.log_fn({name: value if isinstance(value, int) else float(value) for name, value in results.items()
                         if getattr(value, "ndim", 0) == 0}, step=step)
        except OSError as error:  # also what libraries raise for a server that does not answer
            warn(f"LoggerCallback could not log step {step}: {error}")
