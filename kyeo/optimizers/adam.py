"""Adam and its relatives: a running mean of gradients over the root of a running mean of their squares."""

from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.errors import boolean, fraction, number, positive_int
from kyeo.core.variable import Variable
from kyeo.initializers import Ones
from kyeo.optimizers.optimizer import Optimizer
from kyeo.optimizers.state import SharedArguments, SharedButDecay
from kyeo.optimizers.support import above_zero, once_a_step, rate_dtype, step_count

__all__ = ["Adam", "AdamW", "Adamax", "Lamb", "Nadam", "ScheduleFreeAdamW"]


def toward(slot: Variable, value: jax.Array, share: float | jax.Array) -> jax.Array:
    """Move a running mean by `share` of the way to `value`, and give it."""
    return slot.assign_add((value - slot.value) * share)


class _TwoMeans(Optimizer):
    """Running means of the gradients (`beta_1`) and of their squares (`beta_2`)."""

    _by_element = True

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
                 epsilon: float = 1e-7, **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, **shared)
        self.beta_1 = fraction(self, beta_1=beta_1)
        self.beta_2 = fraction(self, beta_2=beta_2)
        self.epsilon = number(self, low=0, epsilon=epsilon)

    def _add_slots(self, variables: list[Variable]) -> None:
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    @once_a_step
    def _corrections(self) -> tuple[jax.Array, jax.Array]:
        """What the running means, begun at zero, must be divided by."""
        step = step_count(self)
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
                 **shared: Unpack[SharedButDecay]):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **shared)
        number(self, weight_decay=weight_decay)


class Adamax(_TwoMeans):
    """Adam with the largest recent gradient in place of the mean of squares (arXiv:1412.6980, 7.1).

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        beta_1: how much of the running mean of gradients stays at each step.
        beta_2: how slowly the largest gradient is forgotten.
        epsilon: added to it, against division by zero.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.Adamax(0.1).apply([[5.0]], [weight])
    >>> round(float(weight.numpy()[0]), 4)
    0.9
    """

    def _add_slots(self, variables: list[Variable]) -> None:
        self._m, self._u = self.add_optimizer_variables(variables, ["momentum", "norm"])

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        i = self._get_variable_index(variable)
        mean = toward(self._m[i], gradient, 1 - self.beta_1)
        largest = self._u[i].assign(jnp.maximum(self.beta_2 * self._u[i].value, jnp.abs(gradient)))
        size = learning_rate / self._corrections()[0]
        variable.assign_sub(mean * size / (largest + self.epsilon))


class Nadam(_TwoMeans):
    """Adam with Nesterov's look ahead (Dozat, "Incorporating Nesterov Momentum into Adam", 2015).

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        beta_1, beta_2, epsilon: as in `Adam`.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.Nadam(0.1).apply([[5.0]], [weight])
    >>> round(float(weight.numpy()[0]), 4)
    0.8937
    """

    def _add_slots(self, variables: list[Variable]) -> None:
        super()._add_slots(variables)
        self._u_product = self.add_variable((), Ones(), rate_dtype(), name="u_product")

    @once_a_step
    def _momenta(self) -> tuple[jax.Array, jax.Array]:
        """The momentum of this step and of the next, which grow toward `beta_1`."""
        step = step_count(self)
        now, following = (1 - 0.5 * jnp.power(0.96, step + ahead) for ahead in (0, 1))
        return self.beta_1 * now, self.beta_1 * following

    def _update_all(self, grads: list[jax.Array], variables: list[Variable], rate: jax.Array) -> None:
        self._u_product.assign(self._u_product.value * self._momenta()[0])
        super()._update_all(grads, variables, rate)

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        now, following = self._momenta()
        product = self._u_product.value
        mean, squares = self._means(gradient, variable)
        ahead = mean * (following / (1 - product * following)) + gradient * ((1 - now) / (1 - product))
        root = jnp.sqrt(squares / self._corrections()[1])
        variable.assign_sub(learning_rate * ahead / (root + self.epsilon))


class Lamb(_TwoMeans):
    """Adam's direction, with steps as long as a share of the variable (You et al., arXiv:1904.00962).

    Made for large batches.

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        beta_1, beta_2, epsilon: as in `Adam`.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([3.0, 4.0])
    >>> kyeo.optimizers.Lamb(0.1).apply([[5.0, 0.0]], [weight])
    >>> weight.numpy().round(4).tolist()
    [2.5, 4.0]
    """

    _by_element = False

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        first, second = self._corrections()
        mean, squares = self._means(gradient, variable)
        direction = (mean / first) / (jnp.sqrt(squares / second) + self.epsilon)
        weight = variable.value
        size, length = jnp.sqrt(jnp.sum(jnp.square(weight))), jnp.sqrt(jnp.sum(jnp.square(direction)))
        trust = jnp.where((size > 0) & (length > 0), size / length, 1.0)
        variable.assign_sub(direction * (trust * learning_rate))


class ScheduleFreeAdamW(_TwoMeans):
    """Adam that averages its weights instead of lowering its rate (Defazio et al., arXiv:2405.15682).

    Gradients are taken at a point between the fast weights (the slot) and their average.

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        beta_1: how near the average that point lies, above 0.
        beta_2: how much of the running mean of squares stays at each step.
        epsilon: added to its root, against division by zero.
        warmup_steps: over so many steps the rate rises from 0.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.ScheduleFreeAdamW(0.1).apply([[5.0]], [weight])
    >>> round(float(weight.numpy()[0]), 4)
    0.9
    """

    def __init__(self, learning_rate: Any = 0.0025, beta_1: float = 0.9, beta_2: float = 0.999,
                 epsilon: float = 1e-8, warmup_steps: int = 0, **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, above_zero(self, beta_1=beta_1), beta_2, epsilon, **shared)
        self.warmup_steps = positive_int(self, minimum=0, warmup_steps=warmup_steps)

    def _add_slots(self, variables: list[Variable]) -> None:
        super()._add_slots(variables)
        for fast, variable in zip(self._momentums, variables):
            if fast is not None:
                fast.assign(np.array(variable.value))  # a copy: two boxes must not share a buffer

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        i, step, beta = self._get_variable_index(variable), step_count(self), self.beta_1
        if self.warmup_steps:
            learning_rate = learning_rate * jnp.minimum(step / self.warmup_steps, 1)
        squares = toward(self._velocities[i], jnp.square(gradient), 1 - self.beta_2)
        root = jnp.sqrt(squares / self._corrections()[1]) + self.epsilon
        before = self._momentums[i].value
        fast = self._momentums[i].assign(before - learning_rate * gradient / root)
        average = (variable.value - (1 - beta) * before) / beta
        average = average + (fast - average) / step
        variable.assign((1 - beta) * fast + beta * average)
