"""Adam and its relatives: a running mean of gradients over the root of a running mean of their squares."""

from typing import Any, Unpack

import jax
import jax.numpy as jnp

from kyeo.core.errors import boolean, fraction, number
from kyeo.core.variable import Variable, unwrap
from kyeo.optimizers.optimizer import Optimizer
from kyeo.optimizers.state import SharedArguments
from kyeo.optimizers.support import once_a_step, rate_dtype

__all__ = ["Adam", "AdamW"]


def toward(slot: Variable, value: jax.Array, share: float) -> jax.Array:
    """Move a running mean by `share` of the way to `value`, and give it."""
    return slot.assign_add((value - slot.value) * share)


class _TwoMeans(Optimizer):
    """Running means of the gradients (`beta_1`) and of their squares (`beta_2`)."""

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
                 epsilon: float = 1e-7, **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, **shared)
        self.beta_1 = fraction(self, beta_1=beta_1)
        self.beta_2 = fraction(self, beta_2=beta_2)
        self.epsilon = number(self, low=0, epsilon=epsilon)

    def _add_slots(self, variables: list[Variable]) -> None:
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    @once_a_step
    def _step(self) -> jax.Array:
        """The number of this update, from 1."""
        return (unwrap(self.iterations) + 1).astype(rate_dtype())

    @once_a_step
    def _corrections(self) -> tuple[jax.Array, jax.Array]:
        """What the running means, begun at zero, must be divided by."""
        step = self._step()
        return 1 - jnp.power(self.beta_1, step), 1 - jnp.power(self.beta_2, step)

    def _means(self, gradient: jax.Array, variable: Variable) -> tuple[jax.Array, jax.Array]:
        i = self._get_variable_index(variable)
        return (toward(self._momentums[i], gradient, 1 - self.beta_1),
                toward(self._velocities[i], jnp.square(gradient), 1 - self.beta_2))


class Adam(_TwoMeans):
    """Adaptive moment estimation (Kingma and Ba, arXiv:1412.6980; AMSGrad: Reddi et al., ICLR 2018).

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        beta_1: how much of the running mean of gradients stays at each step.
        beta_2: the same for the running mean of their squares.
        epsilon: added to the root, against division by zero ("epsilon hat" of the paper).
        amsgrad: divide by the root of the largest mean of squares so far.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.Adam(0.1).apply([[5.0]], [weight])
    >>> round(float(weight.numpy()[0]), 4)
    0.9
    """

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
                 epsilon: float = 1e-7, amsgrad: bool = False, **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **shared)
        self.amsgrad = boolean(self, amsgrad=amsgrad)

    def _add_slots(self, variables: list[Variable]) -> None:
        super()._add_slots(variables)
        self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat") if self.amsgrad else []

    @once_a_step
    def _step_size(self) -> jax.Array:
        """What the learning rate is multiplied by."""
        first, second = self._corrections()
        return jnp.sqrt(second) / first

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        mean, squares = self._means(gradient, variable)
        if self.amsgrad:
            largest = self._velocity_hats[self._get_variable_index(variable)]
            squares = largest.assign(jnp.maximum(largest.value, squares))
        size = learning_rate * self._step_size()
        variable.assign_sub(mean * size / (jnp.sqrt(squares) + self.epsilon))


class AdamW(Adam):
    """Adam with weight decay apart from the running means (Loshchilov and Hutter, arXiv:1711.05101).

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        weight_decay: before each step a weight loses this part of itself, times the learning rate.
        beta_1, beta_2, epsilon, amsgrad: as in `Adam`.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.AdamW(0.1, weight_decay=0.5).apply([[5.0]], [weight])
    >>> round(float(weight.numpy()[0]), 4)
    0.85
    """

    def __init__(self, learning_rate: Any = 0.001, weight_decay: float = 0.004, beta_1: float = 0.9,
                 beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False,
                 **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **shared)
        number(self, weight_decay=weight_decay)
