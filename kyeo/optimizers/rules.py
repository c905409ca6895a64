"""Rules that go by the gradient, by its sign, or by its squares."""

from typing import Any, Unpack

import jax
import jax.numpy as jnp

from kyeo.core.errors import boolean, fraction, number
from kyeo.core.variable import Variable
from kyeo.optimizers.optimizer import Optimizer
from kyeo.optimizers.state import SharedArguments

__all__ = ["SGD", "RMSprop"]


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    Without momentum `w -= learning_rate * g`. With it the step is `m = momentum * m - learning_rate * g`, and
    `w += m`; or, after Nesterov, `w += momentum * m - learning_rate * g`.

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        momentum: how much of the last step is kept, from 0 to 1.
        nesterov: use Nesterov's form.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.SGD(0.5).apply([[1.0]], [weight])
    >>> weight.numpy().tolist()
    [0.5]
    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False,
                 **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, **shared)
        self.momentum = fraction(self, momentum=momentum)
        self.nesterov = boolean(self, nesterov=nesterov)

    def _add_slots(self, variables: list[Variable]) -> None:
        self.momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        step = -learning_rate * gradient
        if self.momentum:
            last = self.momentums[self._get_variable_index(variable)]
            last.assign(last.value * self.momentum + step)
            step = last.value * self.momentum + step if self.nesterov else last.value
        variable.assign_add(step)


class RMSprop(Optimizer):
    """The gradient divided by the root of the running mean of its squares (Hinton's lecture 6e, 2012).

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        rho: how much of the running mean stays at each step.
        momentum: how much of the last step is kept.
        epsilon: added under the root, against division by zero.
        centered: divide by the estimated variance instead of the mean of squares.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.RMSprop(0.1).apply([[2.0]], [weight])
    >>> round(float(weight.numpy()[0]), 4)
    0.6838
    """

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0,
                 epsilon: float = 1e-7, centered: bool = False, **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, **shared)
        self.rho = fraction(self, rho=rho)
        self.momentum = fraction(self, momentum=momentum)
        self.epsilon = number(self, low=0, epsilon=epsilon)
        self.centered = boolean(self, centered=centered)

    def _add_slots(self, variables: list[Variable]) -> None:
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []
        self._average_gradients = (
            self.add_optimizer_variables(variables, "average_gradient") if self.centered else [])

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        i, rho = self._get_variable_index(variable), self.rho
        squares = self._velocities[i]
        squares.assign(rho * squares.value + (1 - rho) * jnp.square(gradient))
        spread = squares.value
        if self.centered:
            mean = self._average_gradients[i]
            mean.assign(rho * mean.value + (1 - rho) * gradient)
            spread = spread - jnp.square(mean.value)
        step = learning_rate * gradient / jnp.sqrt(spread + self.epsilon)
        if self.momentum:
            last = self._momentums[i]
            last.assign(self.momentum * last.value + step)
            step = last.value
        variable.assign_sub(step)
