"""The names of `keras.optimizers.legacy`: as in Keras 3, they are there to say that they are gone."""

from typing import Any

from kyeo.core.errors import problem

__all__ = ["SGD", "Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop"]


class Legacy:
    """Raises when it is made."""

    def __init__(self, *args: Any, **kwargs: Any):
        name = type(self).__name__
        raise problem(f"`optimizers.legacy.{name}` is gone, as in Keras 3.", kind=ImportError,
                      fix=f"use kyeo.optimizers.{name}; instead of `decay` give the schedule InverseTimeDecay")


class Adagrad(Legacy):
    """Gone; see `kyeo.optimizers.Adagrad`."""


class Adam(Legacy):
    """Gone; see `kyeo.optimizers.Adam`."""


class Ftrl(Legacy):
    """Gone; see `kyeo.optimizers.Ftrl`."""


class Optimizer(Legacy):
    """Gone; see `kyeo.optimizers.Optimizer`."""


class RMSprop(Legacy):
    """Gone; see `kyeo.optimizers.RMSprop`."""


class SGD(Legacy):
    """Gone; see `kyeo.optimizers.SGD`."""
