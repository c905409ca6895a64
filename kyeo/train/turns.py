"""Turns: one training or evaluation of a model at a time; predictions of other threads may run beside it."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from kyeo.core.errors import problem

__all__ = ["Turns", "in_turn"]

P = ParamSpec("P")
R = TypeVar("R")

_SHORT = (None, "train_on_batch", "test_on_batch")


class Turns:
    """Who trains or evaluates a model now.

    Attributes:
        step: held while the buffers of the variables are given up to a step and its results are not there yet.
    """

    def __init__(self) -> None:
        self.step = threading.RLock()
        self._lock = threading.RLock()
        self._doing: str | None = None

    def __reduce__(self) -> Any:  # a copy of a model has turns of its own
        return Turns, ()

    @contextmanager
    def take(self, doing: str, owner: Any) -> Iterator[None]:
        """Work on the weights and metrics of the model alone. One batch of another thread is waited for; where that
        thread is in `fit` or `evaluate`, this complains."""
        if not self._lock.acquire(blocking=self._doing in _SHORT):
            raise problem(f"`{doing}` while another thread is in `{self._doing}` of the same model.", kind=RuntimeError,
                          expected="one training or evaluation of a model at a time; `predict` may run beside it",
                          where=owner, fix="wait for the other thread, or use a copy: copy.deepcopy(model)")
        before, self._doing = self._doing, doing
        try:
            yield
        finally:
            self._doing = before
            self._lock.release()


def in_turn(method: Callable[P, R]) -> Callable[P, R]:
    """Decorator of a model's method that trains or evaluates it."""

    @functools.wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        model: Any = args[0]
        with model._turns.take(method.__name__, model):
            return method(*args, **kwargs)

    return run
