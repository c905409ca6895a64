"""Learning rates that depend on the step: each schedule is a function of the step, traced or not."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.configurable import Configurable, serialize_value
from kyeo.core.errors import boolean, number, problem
from kyeo.core.lookup import deserialize_in
from kyeo.core.variable import Variable, unwrap
from kyeo.optimizers.support import rate_dtype

__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
    "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize",
]


def _rate(owner: Any, value: Any) -> Any:
    """A first rate; it may be that of an optimizer, `optimizer.learning_rate`, as it stands now."""
    return number(owner, initial_learning_rate=float(value) if isinstance(value, Variable) else value)


class LearningRateSchedule(Configurable):
    """Base of schedules. To make one, write `__call__(self, step)` giving the rate of that step.

    Keep the constructor's arguments as attributes of the same names, and it can be saved.

    >>> import kyeo
    >>> class Halving(kyeo.optimizers.schedules.LearningRateSchedule):
    ...     def __init__(self, start):
    ...         self.start = start
    ...     def __call__(self, step):
    ...         return self.start * 0.5 ** step
    >>> optimizer = kyeo.optimizers.SGD(Halving(0.1))
    >>> round(float(optimizer.learning_rate), 4)
    0.1
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step` (an integer, or a traced scalar; those here take arrays of steps, too)."""
        raise problem("A schedule must say what the rate of a step is.", where=self, kind=NotImplementedError,
                      fix="write `__call__(self, step)`")


def _positive(owner: Any, **steps: Any) -> Any:
    return number(owner, check=lambda value: value > 0, expected="a number of steps > 0", **steps)


def _float(step: Any) -> jax.Array:
    return jnp.asarray(unwrap(step), dtype=rate_dtype())


def _whole_periods(step: Any, size: float) -> jax.Array:
    """How often `size` fits in `step`. In integers where it can be: compiled, 21.0 / 7 is more than 3."""
    step = jnp.asarray(unwrap(step))
    if jnp.issubdtype(step.dtype, jnp.integer) and float(size).is_integer():
        return _float(step // int(size))
    return jnp.floor(_float(step) / size)


class ExponentialDecay(LearningRateSchedule):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: after so many steps the rate has been multiplied by `decay_rate` once.
        decay_rate: the factor.
        staircase: let the rate fall in jumps, every `decay_steps` steps.
        name: kept for the config.

    >>> import kyeo
    >>> rate = kyeo.optimizers.schedules.ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)
    >>> round(float(rate(20)), 6)
    0.025
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, decay_rate: float,
                 staircase: bool = False, name: str | None = "ExponentialDecay"):
        self.initial_learning_rate = _rate(self, initial_learning_rate)
        self.decay_steps = _positive(self, decay_steps=decay_steps)
        self.decay_rate = number(self, decay_rate=decay_rate)
        self.staircase = boolean(self, staircase=staircase)
        self.name = name

    def periods(self, step: Any) -> jax.Array:
        """How many times `decay_steps` have gone by."""
        return _whole_periods(step, self.decay_steps) if self.staircase else _float(step) / self.decay_steps

    def __call__(self, step: Any) -> jax.Array:
        return self.initial_learning_rate * jnp.power(_float(self.decay_rate), self.periods(step))


class InverseTimeDecay(ExponentialDecay):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the unit in which steps are counted.
        decay_rate: how much the divisor grows in one unit.
        staircase: let the rate fall in jumps, every `decay_steps` steps.
        name: kept for the config.

    >>> import kyeo
    >>> rate = kyeo.optimizers.schedules.InverseTimeDecay(0.1, decay_steps=10, decay_rate=0.5)
    >>> round(float(rate(20)), 6)
    0.05
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, decay_rate: float,
                 staircase: bool = False, name: str | None = "InverseTimeDecay"):
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: Any) -> jax.Array:
        return self.initial_learning_rate / (1 + self.decay_rate * self.periods(step))


class PolynomialDecay(LearningRateSchedule):
    """From `initial_learning_rate` to `end_learning_rate` in `decay_steps` steps, by a power of what is left.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: how long the way down is.
        end_learning_rate: the rate at its end.
        power: 1 is a straight line, 0.5 falls late, 2 falls early.
        cycle: after the end begin again, each time on a way that ends at the next multiple of `decay_steps`.
        name: kept for the config.

    >>> import kyeo
    >>> rate = kyeo.optimizers.schedules.PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)
    >>> [round(float(rate(step)), 6) for step in (0, 5, 10, 15)]
    [0.1, 0.05, 0.0, 0.0]
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, end_learning_rate: float = 0.0001,
                 power: float = 1.0, cycle: bool = False, name: str | None = "PolynomialDecay"):
        self.initial_learning_rate = _rate(self, initial_learning_rate)
        self.decay_steps = _positive(self, decay_steps=decay_steps)
        self.end_learning_rate = number(self, end_learning_rate=end_learning_rate)
        self.power = number(self, power=power)
        self.cycle = boolean(self, cycle=cycle)
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        done = _float(step) / self.decay_steps
        if self.cycle:
            begun = -_whole_periods(-jnp.asarray(unwrap(step)), self.decay_steps)
            done = done / jnp.maximum(begun, 1)
        left = 1 - jnp.minimum(done, 1)
        span = self.initial_learning_rate - self.end_learning_rate
        return span * jnp.power(left, self.power) + self.end_learning_rate


class PiecewiseConstantDecay(LearningRateSchedule):
    """One rate up to and with each boundary, the last one after them.

    Args:
        boundaries: rising step numbers.
        values: the rates, one more than boundaries.
        name: kept for the config.

    >>> import kyeo
    >>> rate = kyeo.optimizers.schedules.PiecewiseConstantDecay([10, 20], [0.1, 0.05, 0.01])
    >>> [round(float(rate(step)), 6) for step in (10, 11, 21)]
    [0.1, 0.05, 0.01]
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str | None = "PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise problem("`values` must have one entry more than `boundaries`.", where=self,
                          received=f"boundaries={boundaries}, values={values}",
                          expected="one rate before each boundary and one after the last")
        if any(low >= high for low, high in itertools.pairwise(boundaries)):
            raise problem("`boundaries` must rise.", received=f"boundaries={boundaries}", where=self,
                          expected="each step number above the one before it")
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step: Any) -> jax.Array:
        step = jnp.asarray(unwrap(step))
        passed = np.asarray(self.boundaries).astype(step.dtype) < step[..., None]
        return _float(np.asarray(self.values, rate_dtype()))[jnp.sum(passed, axis=-1)]


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the first rate down to `alpha` times it, after a straight warm-up if one is wanted.

    From "SGDR" (Loshchilov and Hutter, arXiv:1608.03983); the warm-up from Goyal et al. (arXiv:1706.02677).

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: how long the cosine is.
        alpha: the part of the top rate that is left at the end.
        name: kept for the config.
        warmup_target: the rate at the end of the warm-up, where the cosine begins; None for no warm-up.
        warmup_steps: how long the warm-up is.

    >>> import kyeo
    >>> rate = kyeo.optimizers.schedules.CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=2)
    >>> [round(float(rate(step)), 6) for step in (0, 1, 2, 7, 12)]
    [0.0, 0.05, 0.1, 0.05, 0.0]
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, alpha: float = 0.0,
                 name: str | None = "CosineDecay", warmup_target: float | None = None, warmup_steps: int = 0):
        self.initial_learning_rate = _rate(self, initial_learning_rate)
        self.decay_steps = _positive(self, decay_steps=decay_steps)
        self.alpha = number(self, alpha=alpha)
        self.name = name
        self.warmup_target = number(self, optional=True, warmup_target=warmup_target)
        self.warmup_steps = number(self, low=0, warmup_steps=warmup_steps)

    def __call__(self, step: Any) -> jax.Array:
        step = _float(step)
        if self.warmup_target is None:
            return self.initial_learning_rate * self._cosine(step)
        down = self.warmup_target * self._cosine(step - self.warmup_steps)
        rise = (self.warmup_target - self.initial_learning_rate) / max(self.warmup_steps, 1)
        return jnp.where(step < self.warmup_steps, self.initial_learning_rate + rise * step, down)

    def _cosine(self, step: jax.Array) -> jax.Array:
        done = jnp.minimum(step, self.decay_steps) / self.decay_steps
        return (1 - self.alpha) * 0.5 * (1 + jnp.cos(math.pi * done)) + self.alpha


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after the other, each `t_mul` times as long and `m_mul` times as high as the last.

    From "SGDR: Stochastic Gradient Descent with Warm Restarts" (Loshchilov and Hutter, arXiv:1608.03983).

    Args:
        initial_learning_rate: the rate at step 0.
        first_decay_steps: how long the first cosine is.
        t_mul: the growth of the length.
        m_mul: the growth of the height.
        alpha: the lowest rate as a part of `initial_learning_rate`.
        name: kept for the config.

    >>> import kyeo
    >>> rate = kyeo.optimizers.schedules.CosineDecayRestarts(0.1, 10)
    >>> [round(float(rate(step)), 6) for step in (0, 5, 10, 20, 29)]
    [0.1, 0.05, 0.1, 0.05, 0.000616]
    """

    def __init__(self, initial_learning_rate: float, first_decay_steps: float, t_mul: float = 2.0,
                 m_mul: float = 1.0, alpha: float = 0.0, name: str | None = "SGDRDecay"):
        self.initial_learning_rate = _rate(self, initial_learning_rate)
        self.first_decay_steps = _positive(self, first_decay_steps=first_decay_steps)
        self.t_mul = number(self, low=1, t_mul=t_mul)
        self.m_mul = number(self, m_mul=m_mul)
        self.alpha = number(self, alpha=alpha)
        self.name = name

    def __call__(self, step: Any) -> jax.Array:
        done = _float(step) / self.first_decay_steps  # in lengths of the first cosine
        if self.t_mul == 1:
            restarts = _whole_periods(step, self.first_decay_steps)
            part = done - restarts
        else:  # the lengths 1, t, t**2 ... sum up to (t**n - 1) / (t - 1)
            restarts = jnp.log(1 + done * (self.t_mul - 1)) / jnp.log(_float(self.t_mul))
            restarts = jnp.floor(restarts + 1e-6)  # rounding must not put a restart off by a step
            length = jnp.power(_float(self.t_mul), restarts)
            part = (done - (length - 1) / (self.t_mul - 1)) / length
        height = 0.5 * jnp.power(_float(self.m_mul), restarts) * (1 + jnp.cos(math.pi * part))
        return self.initial_learning_rate * ((1 - self.alpha) * height + self.alpha)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The schedule as plain values.

    >>> import kyeo
    >>> schedules = kyeo.optimizers.schedules
    >>> schedules.serialize(schedules.CosineDecay(0.1, 10))["class_name"]
    'CosineDecay'
    """
    return serialize_value(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> LearningRateSchedule:
    """The schedule that `serialize` wrote; `custom_objects` names classes that are not Kyeo's.

    >>> import kyeo
    >>> schedules = kyeo.optimizers.schedules
    >>> schedules.deserialize(schedules.serialize(schedules.CosineDecay(0.1, 10))).decay_steps
    10
    """
    return deserialize_in(config, "optimizers", custom_objects)
