"""Rules that go by the gradient, by its sign, or by its squares."""

from typing import Any, Unpack

import jax
import jax.numpy as jnp

from kyeo.core.errors import boolean, fraction, number
from kyeo.core.variable import Variable
from kyeo.initializers import Constant
from kyeo.optimizers.optimizer import Optimizer
from kyeo.optimizers.state import SharedArguments
from kyeo.optimizers.support import above_zero

__all__ = ["SGD", "Adadelta", "Adagrad", "Ftrl", "Lion", "RMSprop"]


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

    _by_element = True

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

    _by_element = True

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


class Adagrad(Optimizer):
    """The gradient divided by the root of the sum of all its squares (Duchi et al., JMLR 2011).

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        initial_accumulator_value: where the sum begins.
        epsilon: added under the root, against division by zero.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.Adagrad(0.5, initial_accumulator_value=0.0).apply([[2.0]], [weight])
    >>> round(float(weight.numpy()[0]), 4)
    0.5
    """

    _by_element = True

    def __init__(self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1,
                 epsilon: float = 1e-7, **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, **shared)
        self.initial_accumulator_value = number(
            self, low=0, initial_accumulator_value=initial_accumulator_value)
        self.epsilon = number(self, low=0, epsilon=epsilon)

    def _add_slots(self, variables: list[Variable]) -> None:
        start = Constant(self.initial_accumulator_value)
        self._accumulators = self.add_optimizer_variables(variables, "accumulator", start)

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        total = self._accumulators[self._get_variable_index(variable)]
        total.assign_add(jnp.square(gradient))
        variable.assign_sub(learning_rate * gradient / jnp.sqrt(total.value + self.epsilon))


class Adadelta(Optimizer):
    """The gradient in the units of past steps, so that no rate need be found (Zeiler, arXiv:1212.5701).

    Args:
        learning_rate: a number, a schedule, or a function without arguments; 1.0 is the paper's form.
        rho: how much of the running means stays at each step.
        epsilon: added under the roots.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.Adadelta(1.0, epsilon=0.01).apply([[2.0]], [weight])
    >>> round(float(weight.numpy()[0]), 4)
    0.5636
    """

    _by_element = True

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7,
                 **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, **shared)
        self.rho = fraction(self, rho=rho)
        self.epsilon = number(self, low=0, epsilon=epsilon)

    def _add_slots(self, variables: list[Variable]) -> None:
        self._accumulated_grads, self._accumulated_delta_vars = self.add_optimizer_variables(
            variables, ["accumulated_grad", "accumulated_delta_var"])

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        i, rho, epsilon = self._get_variable_index(variable), self.rho, self.epsilon
        squares, steps = self._accumulated_grads[i], self._accumulated_delta_vars[i]
        squares.assign(rho * squares.value + (1 - rho) * jnp.square(gradient))
        step = gradient * jnp.sqrt(steps.value + epsilon) / jnp.sqrt(squares.value + epsilon)
        steps.assign(rho * steps.value + (1 - rho) * jnp.square(step))
        variable.assign_sub(learning_rate * step)


class Ftrl(Optimizer):
    """Follow the regularized leader, for sparse linear models (McMahan et al., KDD 2013).

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        learning_rate_power: how the rate falls with the sum of squares; 0 keeps it, -0.5 is its root.
        initial_accumulator_value: where the sum of squares begins.
        l1_regularization_strength: pulls small weights to exactly 0.
        l2_regularization_strength: pulls weights toward 0.
        l2_shrinkage_regularization_strength: the same, but only through the gradient.
        beta: the paper's smoothing of the rate.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.Ftrl(0.5, l1_regularization_strength=9.0).apply([[2.0]], [weight])
    >>> weight.numpy().tolist()
    [0.0]
    """

    _by_element = True

    def __init__(
        self, learning_rate: Any = 0.001, learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1, l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0, l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0, **shared: Unpack[SharedArguments],
    ):
        super().__init__(learning_rate, **shared)
        self.learning_rate_power = number(self, high=0, learning_rate_power=learning_rate_power)
        self.initial_accumulator_value = number(
            self, low=0, initial_accumulator_value=initial_accumulator_value)
        self.l1_regularization_strength = number(
            self, low=0, l1_regularization_strength=l1_regularization_strength)
        self.l2_regularization_strength = number(
            self, low=0, l2_regularization_strength=l2_regularization_strength)
        self.l2_shrinkage_regularization_strength = number(
            self, low=0, l2_shrinkage_regularization_strength=l2_shrinkage_regularization_strength)
        self.beta = number(self, beta=beta)

    def _add_slots(self, variables: list[Variable]) -> None:
        self._accumulators, self._linears = self.add_optimizer_variables(
            variables, ["accumulator", "linear"], [Constant(self.initial_accumulator_value), "zeros"])

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        i = self._get_variable_index(variable)
        total, linear = self._accumulators[i], self._linears[i]
        l1 = self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2 * learning_rate)
        before = jnp.power(total.value, -self.learning_rate_power) / learning_rate
        total.assign_add(jnp.square(gradient))
        after = jnp.power(total.value, -self.learning_rate_power) / learning_rate
        shrunk = gradient + 2 * self.l2_shrinkage_regularization_strength * variable.value
        linear.assign_add(shrunk - (after - before) * variable.value)
        variable.assign((jnp.clip(linear.value, -l1, l1) - linear.value) / (after + 2 * l2))


class Lion(Optimizer):
    """The sign of a mean of the gradient and its running mean (Chen et al., arXiv:2302.06675).

    All steps have one size, so the learning rate should be 3 to 10 times smaller than Adam's.

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        beta_1: the weight of the running mean in the step, above 0.
        beta_2: how much of the running mean stays at each step.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0, 1.0])
    >>> kyeo.optimizers.Lion(0.5).apply([[7.0, -0.1]], [weight])
    >>> weight.numpy().tolist()
    [0.5, 1.5]
    """

    _by_element = True

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99,
                 **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, **shared)
        self.beta_1 = above_zero(self, beta_1=beta_1)
        self.beta_2 = fraction(self, beta_2=beta_2)

    def _add_slots(self, variables: list[Variable]) -> None:
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        mean = self._momentums[self._get_variable_index(variable)]
        towards = mean.value * self.beta_1 + gradient * (1 - self.beta_1)
        variable.assign_sub(learning_rate * jnp.sign(towards))
        mean.assign(mean.value * self.beta_2 + gradient * (1 - self.beta_2))
