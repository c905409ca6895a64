"""LossScaleOptimizer: finds by itself the factor that keeps float16 gradients from vanishing."""

from collections.abc import Iterable
from typing import Any, Self

import jax.numpy as jnp
import numpy as np

from kyeo.core.configurable import parameters_of
from kyeo.core.errors import describe, number, positive_int, problem
from kyeo.core.variable import Variable
from kyeo.optimizers.optimizer import Optimizer
from kyeo.optimizers.support import branch

__all__ = ["LossScaleOptimizer"]


class LossScaleOptimizer(Optimizer):
    """Wraps an optimizer. The loss is multiplied by a scale, and gradients are divided by it.

    A gradient that is not finite makes the step be skipped and halves the scale; after `dynamic_growth_steps`
    good steps in a row the scale doubles.

    Args:
        inner_optimizer: the optimizer that makes the steps.
        initial_scale: the scale to begin with, better too high than too low.
        dynamic_growth_steps: good steps until the scale doubles.
        name: its name.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> optimizer = kyeo.optimizers.LossScaleOptimizer(kyeo.optimizers.SGD(0.5), initial_scale=8.0)
    >>> optimizer.apply([[8.0]], [weight])
    >>> optimizer.apply([[float("inf")]], [weight])
    >>> weight.numpy().tolist(), float(optimizer.scale_loss(1.0))
    ([0.5], 4.0)
    """

    def __init__(self, inner_optimizer: Optimizer, initial_scale: float = 2.0**15,
                 dynamic_growth_steps: int = 2000, name: str | None = None):
        super().__init__(0.0, name=name)
        if not isinstance(inner_optimizer, Optimizer) or isinstance(inner_optimizer, LossScaleOptimizer):
            raise problem("`inner_optimizer` is not valid.", where=self, kind=TypeError,
                          received=f"inner_optimizer={describe(inner_optimizer)}",
                          expected="an optimizer that is no LossScaleOptimizer itself")
        self.inner_optimizer = inner_optimizer
        self.initial_scale = number(self, check=lambda scale: scale > 0, expected="a number > 0",
                                    initial_scale=initial_scale)
        self.dynamic_growth_steps = positive_int(self, dynamic_growth_steps=dynamic_growth_steps)
        inner_optimizer.loss_scale_factor = None  # or gradients would be divided twice

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """An optimizer from its config; arguments of all optimizers, which old files hold, are left out."""
        own = parameters_of(cls)
        return super().from_config({name: value for name, value in config.items() if name in own}, custom_objects)

    def _add_slots(self, variables: list[Variable]) -> None:
        self.step_counter = self._add_scalar("step_counter", np.array(0, np.int32))
        self.dynamic_scale = self._add_scalar("dynamic_scale", np.array(self.initial_scale, np.float32))
        self.inner_optimizer.build(variables)

    @property
    def variables(self) -> list[Variable]:
        """Its own variables, then those of the inner optimizer."""
        return [*super().variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        if "inner_optimizer" in self.__dict__:
            self.inner_optimizer.learning_rate = rate
        else:  # the base's constructor gives it a variable of its own, which files count on
            self._learning_rate = self._add_scalar("learning_rate", np.array(rate, np.float32))

    @property
    def iterations(self) -> Any:
        """How many updates the inner optimizer made."""
        return self.inner_optimizer.iterations

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Variable] | None = None) -> None:
        """Make one step, or none where a gradient is not finite. Arguments as in `Optimizer.apply`."""
        grads = list(grads)
        if not grads:
            return
        pairs = self._pairs(grads, trainable_variables)

        def step() -> None:
            scale = self.dynamic_scale.value
            unscaled = [g if v.overwrite_with_gradient else g / scale for g, v in pairs]
            self.inner_optimizer.apply(unscaled, [v for _, v in pairs])
            count = self.step_counter.value + 1
            grow = count == self.dynamic_growth_steps
            self.step_counter.assign(jnp.where(grow, 0, count))
            self.dynamic_scale.assign(jnp.where(grow, scale * 2, scale))

        def skip() -> None:
            self.step_counter.assign(0)
            self.dynamic_scale.assign(self.dynamic_scale.value / 2)

        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g, _ in pairs]))
        branch(finite, step, skip, [*self.variables, *self._trainable_variables])

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the present scale."""
        return loss * (self.dynamic_scale.value if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Called at the end of training; see `Optimizer`."""
        self.inner_optimizer.finalize_variable_values(var_list)
