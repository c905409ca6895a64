"""The table of mistakes: each is a function that makes one, in the statement marked `# <-`."""

import dataclasses
import inspect
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["MISTAKES", "Mistake", "Still", "line_at_fault", "mistake", "whole_message"]


class Still:
    """What a mistake must leave as it was. Filled before the mistake, asked after it."""

    def __init__(self):
        self.checks = []

    def trains(self, model, x, y):
        """The weights of a model stay the same, and it can then be trained on these data."""
        before = model.get_weights()

        def check():
            assert [w.tolist() for w in model.get_weights()] == [w.tolist() for w in before]
            assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()

        self.checks.append(check)

    def gives(self, shape, layer, *args, **kwargs):
        """A layer, model or function can still be called on these arguments."""
        self.checks.append(lambda: self._gives(shape, layer(*args, **kwargs)))

    @staticmethod
    def _gives(shape, output):
        assert tuple(output.shape) == shape

    def holds(self, fact: Callable[[], Any]):
        """Something is still true."""
        self.checks.append(lambda: fact() or (_ for _ in ()).throw(AssertionError("no longer true")))


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A mistake, the kind of exception it gives, and words that its message must hold; `by_jax` where the statement
    at fault calls JAX itself, which then adds its note."""

    make: Callable[[Still], None]
    kind: type[Exception]
    names: tuple[str, ...]
    by_jax: bool

    @property
    def name(self):
        return self.make.__name__


MISTAKES: list[Mistake] = []


def mistake(*names: str, kind: type[Exception] = ValueError, by_jax: bool = False):
    """Decorator: file a mistake. `names` are the layer, the argument or the hint its message must hold."""

    def file(make):
        MISTAKES.append(Mistake(make, kind, names, by_jax))
        return make

    return file


def whole_message(error: BaseException) -> str:
    """What the user reads below the traceback: the message and the notes."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


def line_at_fault(error: BaseException, make: Callable[[Still], None]) -> str:
    """The source line, within the function, that the exception came out of."""
    lines, first = inspect.getsourcelines(make)
    numbers = [n for frame, n in traceback.walk_tb(error.__traceback__) if frame.f_code is make.__code__]
    return lines[numbers[0] - first]
