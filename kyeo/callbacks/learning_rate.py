"""Callbacks that change the learning rate: by a function of the epoch, or when a value stays on a plateau."""

import inspect
import itertools
import re
from collections.abc import Callable
from typing import Any

from kyeo.callbacks.base import Callback, Logs
from kyeo.callbacks.monitor import Monitor
from kyeo.core.errors import number, positive_int, problem
from kyeo.core.naming import snake_case
from kyeo.core.progbar import say

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau", "rates_of"]


def rates_of(model: Any) -> dict[str, Any]:
    """The optimizers of a model by the name their learning rate has in the logs.

    Names that nobody gave are counted among the optimizers of the model: made again in one process, it logs the same.
    """
    optimizer = model.optimizer
    if not hasattr(optimizer, "optimizers"):
        return {"learning_rate": optimizer}
    names: dict[str, int] = {}
    for other in sorted(optimizer.optimizers, key=lambda o: (o._name_is_counted, _count(o.name))):
        base = snake_case(type(other).__name__) if other._name_is_counted else other.name
        free = (f"{base}_{count}" if count else base for count in itertools.count())
        names[next(name for name in free if name not in names)] = id(other)
    by_place = {number: name for name, number in names.items()}
    return {f"learning_rate_{by_place[id(o)]}": o for o in optimizer.optimizers}


def _count(name: str) -> int:
    number = re.search(r"_(\d+)$", name)
    return int(number[1]) if number else 0


def _log_rates(model: Any, logs: Logs) -> None:
    if logs is not None:
        logs.update({name: float(optimizer.learning_rate) for name, optimizer in rates_of(model).items()})


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of each epoch; logs it as "learning_rate".

    Args:
        schedule: `(epoch, learning rate) -> learning rate`, or `(epoch) -> learning rate`; epochs from 0.
        verbose: 1 prints the new value.

    >>> import kyeo
    >>> halve = kyeo.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        if not callable(schedule):
            raise problem("`schedule` is not a function.", received=schedule, where=self, kind=TypeError,
                          expected="a function (epoch, learning_rate) -> learning_rate")
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        for name, optimizer in rates_of(self.model).items():
            arguments = (epoch, float(optimizer.learning_rate)) if self._takes_rate else (epoch,)
            rate = self.schedule(*arguments)
            if isinstance(rate, bool) or not hasattr(rate, "__float__"):
                raise problem("`schedule` does not give a number.", received=f"{rate!r} for epoch {epoch}",
                              where=self, expected="a learning rate (float)", fix="end the function with `return ...`")
            optimizer.learning_rate = float(rate)
            if self.verbose > 0:
                say(f"Epoch {epoch + 1}: LearningRateScheduler setting {name} to {float(rate)}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        _log_rates(self.model, logs)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        try:
            inspect.signature(function).bind(0)
        except TypeError:
            raise problem("`schedule` does not take an epoch.", received=f"schedule{inspect.signature(function)}",
                          expected="a function (epoch, learning_rate) -> learning_rate",
                          where="LearningRateScheduler", kind=TypeError) from None
        return False
    except ValueError:  # no signature: a function of C
        return True
    return True


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when a value has not improved for a while.

    Args:
        monitor: the value's name in the logs.
        factor: below 1.
        patience: how many epochs without improvement to wait.
        verbose: 1 prints the new value.
        mode: "min", "max" or "auto" (by the metric).
        min_delta: a change of less than this is no improvement.
        cooldown: how many epochs to wait after a reduction before watching again.
        min_lr: the learning rate does not go below this.

    >>> import kyeo
    >>> slower = kyeo.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=3)
    """

    _state_names = ("best", "wait", "cooldown_counter")

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, verbose: int = 0,
        mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.factor = number(self, factor=factor, check=lambda f: 0 < f < 1, expected="between 0 and 1")
        self.patience = positive_int(self, minimum=0, patience=patience)
        self.cooldown = positive_int(self, minimum=0, cooldown=cooldown)
        self.min_lr = number(self, low=0, min_lr=min_lr)
        self.verbose = verbose
        self.wait = self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        if self._begins_anew():
            self.best = None
            self.wait = self.cooldown_counter = 0

    def in_cooldown(self) -> bool:
        """Whether it still waits after a reduction."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs if logs is not None else {}
        _log_rates(self.model, logs)
        current = self.value_in(logs)
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(current, self.best):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                reduced = [self._reduce(optimizer, epoch) for optimizer in rates_of(self.model).values()]
                if any(reduced):
                    self.cooldown_counter, self.wait = self.cooldown, 0

    def _reduce(self, optimizer: Any, epoch: int) -> bool:
        old = float(optimizer.learning_rate)
        if old <= self.min_lr * (1 + 1e-6):  # the rate is kept in single precision
            return False
        optimizer.learning_rate = new = max(old * self.factor, self.min_lr)
        if self.verbose > 0:
            say(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing the learning rate to {new}.")
        return True
