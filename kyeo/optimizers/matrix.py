"""Rules that see a matrix: Adafactor keeps squares by rows and columns, Muon evens the step out."""

import re
from collections.abc import Sequence
from typing import Any, Unpack

import jax
import jax.numpy as jnp

from kyeo.core.errors import boolean, fraction, number, positive_int
from kyeo.core.variable import Variable
from kyeo.optimizers.adam import toward
from kyeo.optimizers.optimizer import Optimizer
from kyeo.optimizers.state import SharedArguments, SharedButDecay
from kyeo.optimizers.support import once_a_step, step_count

__all__ = ["Adafactor", "Muon"]


def _rms(array: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.mean(jnp.square(array)))


class Adafactor(Optimizer):
    """Means of squares kept as one row and one column for each matrix (Shazeer and Stern, arXiv:1804.04235).

    The step goes by the size of the variable, and the rate is never above `1 / sqrt(step)`.

    Args:
        learning_rate: the upper bound of the rate: a number, a schedule, or a function without arguments.
        beta_2_decay: the running means keep `1 - step ** beta_2_decay`; below 0.
        epsilon_1: added to the squares.
        epsilon_2: the least size a variable is taken to have.
        clip_threshold: steps whose root mean square is above it are scaled down to it.
        relative_step: kept for the config. The bound `1 / sqrt(step)` holds either way, as in Keras.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([[1.0, 1.0], [1.0, 1.0]])
    >>> kyeo.optimizers.Adafactor(0.1).apply([[[5.0, 5.0], [5.0, 5.0]]], [weight])
    >>> round(float(weight.numpy()[0, 0]), 4)
    0.9
    """

    def __init__(self, learning_rate: Any = 0.001, beta_2_decay: float = -0.8, epsilon_1: float = 1e-30,
                 epsilon_2: float = 1e-3, clip_threshold: float = 1.0, relative_step: bool = True,
                 **shared: Unpack[SharedArguments]):
        super().__init__(learning_rate, **shared)
        self.beta_2_decay = number(self, high=0, beta_2_decay=beta_2_decay)
        self.epsilon_1 = number(self, low=0, epsilon_1=epsilon_1)
        self.epsilon_2 = number(self, low=0, epsilon_2=epsilon_2)
        self.clip_threshold = number(self, low=0, clip_threshold=clip_threshold)
        self.relative_step = boolean(self, relative_step=relative_step)

    def _add_slots(self, variables: list[Variable]) -> None:
        self._r: list[Any] = []
        self._c: list[Any] = []
        self._v: list[Any] = []
        for variable in variables:
            shape = variable.shape
            free = variable.overwrite_with_gradient
            if len(shape) < 2:  # needs neither; Keras keeps an int in their place, and files count on it
                sizes, dtype = [shape[:0], shape[:0]], "int32"
            else:
                sizes, dtype = [shape[:-1], (*shape[:-2], shape[-1])], variable.dtype
            for column, size in zip((self._r, self._c), sizes):
                column.append(None if free and size else
                              self.add_variable(size, dtype=dtype, name=variable.name))
            self._v.append(None if free else self.add_variable_from_reference(variable, "velocity"))

    @once_a_step
    def _bound(self) -> tuple[jax.Array, jax.Array]:
        """The highest rate of this step, and how much of the running means stays."""
        step = step_count(self)
        return 1 / jnp.sqrt(step), 1 - jnp.power(step, self.beta_2_decay)

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        bound, stays = self._bound()
        squares = self._squares(jnp.square(gradient) + self.epsilon_1, variable, 1 - stays)
        # Where all gradients of a row and of a column are 0, as a dead unit's, the product of their means is too small
        # for a float: 0 / 0.
        step = jnp.where(squares == 0, 0, gradient / jnp.sqrt(squares))
        step = step / jnp.maximum(1, _rms(step) / self.clip_threshold)
        size = jnp.maximum(self.epsilon_2, _rms(variable.value))
        variable.assign_sub(step * (size * jnp.minimum(learning_rate, bound)))

    def _squares(self, now: jax.Array, variable: Variable, share: jax.Array) -> jax.Array:
        """The running mean of squares; of a matrix, the product of its rows' and columns' means."""
        i = self._get_variable_index(variable)
        mean = self._v[i]
        if now.ndim < 2:
            return toward(mean, now, share)
        rows, columns = toward(self._r[i], now.mean(-1), share), toward(self._c[i], now.mean(-2), share)
        rows = rows / rows.mean(-1, keepdims=True)
        return mean.assign(rows[..., :, None] * columns[..., None, :])


class Muon(Optimizer):
    """Momentum made nearly orthogonal, so that it moves all directions alike (Jordan et al., 2024).

    Only matrices are treated so (`Dense` kernels); all other variables follow Adam with weight decay.
    See https://kellerjordan.github.io/posts/muon and, for `rms_rate`, arXiv:2502.16982.

    Args:
        learning_rate: a number, a schedule, or a function without arguments.
        adam_beta_1, adam_beta_2, adam_weight_decay, epsilon: of Adam, for the other variables.
        weight_decay: weight decay of the matrices.
        exclude_layers: regular expressions; matrices whose path one of them is found in follow Adam.
        exclude_embeddings: let embeddings follow Adam.
        muon_a, muon_b, muon_c: the polynomial `a x + b x**3 + c x**5` that is applied to the singular values.
        adam_lr_ratio: the rate of Adam over the rate of matrices.
        momentum: how much of the running sum of gradients stays at each step.
        ns_steps: how often the polynomial is applied.
        nesterov: look ahead by one step of momentum.
        rms_rate: the step's root mean square, so that rates for Adam fit too; None leaves the step as it is.
        **shared: the arguments all optimizers take; see `Optimizer`.

    >>> import kyeo
    >>> weight = kyeo.Variable([[1.0, 0.0], [0.0, 1.0]])
    >>> optimizer = kyeo.optimizers.Muon(0.1, weight_decay=None, rms_rate=None, ns_steps=30)
    >>> optimizer.apply([[[9.0, 0.0], [0.0, 1.0]]], [weight])
    >>> bool(abs(weight.numpy()[0, 0] - weight.numpy()[1, 1]) < 0.05)
    True
    """

    goes_by_paths = True  # which weights follow Adam

    def __init__(
        self, learning_rate: Any = 0.001, adam_beta_1: float = 0.9, adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004, epsilon: float = 1e-7, weight_decay: float | None = 0.004, *,
        exclude_layers: Sequence[str] | None = None, exclude_embeddings: bool = True, muon_a: float = 3.4445,
        muon_b: float = -4.7750, muon_c: float = 2.0315, adam_lr_ratio: float = 1, momentum: float = 0.95,
        ns_steps: int = 5, nesterov: bool = True, rms_rate: float | None = 0.2,
        **shared: Unpack[SharedButDecay],
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, **shared)
        self.adam_beta_1 = fraction(self, adam_beta_1=adam_beta_1)
        self.adam_beta_2 = fraction(self, adam_beta_2=adam_beta_2)
        self.adam_weight_decay = number(self, optional=True, adam_weight_decay=adam_weight_decay)
        self.epsilon = number(self, low=0, epsilon=epsilon)
        self.exclude_layers = list(exclude_layers or [])
        self.exclude_embeddings = boolean(self, exclude_embeddings=exclude_embeddings)
        self.muon_a = number(self, muon_a=muon_a)
        self.muon_b = number(self, muon_b=muon_b)
        self.muon_c = number(self, muon_c=muon_c)
        self.adam_lr_ratio = number(self, adam_lr_ratio=adam_lr_ratio)
        self.momentum = fraction(self, momentum=momentum)
        self.ns_steps = positive_int(self, minimum=0, ns_steps=ns_steps)
        self.nesterov = boolean(self, nesterov=nesterov)
        self.rms_rate = number(self, optional=True, rms_rate=rms_rate)

    def _follows_adam(self, variable: Variable) -> bool:
        path = variable.path
        return (variable.ndim != 2 or (self.exclude_embeddings and "embedding" in path.lower())
                or any(re.search(pattern, path) for pattern in self.exclude_layers))

    def _add_slots(self, variables: list[Variable]) -> None:
        self.momentums: list[Any] = [None] * len(variables)
        self.adam_velocities: list[Any] = [None] * len(variables)
        for i, variable in enumerate(variables):
            if variable.overwrite_with_gradient:
                continue
            self.momentums[i] = self.add_variable_from_reference(variable, "momentum")
            if self._follows_adam(variable):
                self.adam_velocities[i] = self.add_variable_from_reference(variable, "velocity")

    def _decay_of(self, variable: Variable) -> float | None:
        return self.adam_weight_decay if self._follows_adam(variable) else self.weight_decay

    @once_a_step
    def _adam_size(self) -> jax.Array:
        step = step_count(self)
        second = 1 - jnp.power(self.adam_beta_2, step)
        return self.adam_lr_ratio * jnp.sqrt(second) / (1 - jnp.power(self.adam_beta_1, step))

    def update_step(self, gradient: jax.Array, variable: Variable, learning_rate: jax.Array) -> None:
        """Change one variable by its gradient."""
        i = self._get_variable_index(variable)
        mean, squares = self.momentums[i], self.adam_velocities[i]
        if squares is not None:
            mean = toward(mean, gradient, 1 - self.adam_beta_1)
            root = jnp.sqrt(toward(squares, jnp.square(gradient), 1 - self.adam_beta_2))
            variable.assign_sub(mean * (learning_rate * self._adam_size()) / (root + self.epsilon))
            return
        total = mean.assign(self.momentum * mean.value + gradient)
        step = self._orthogonal(gradient + self.momentum * total if self.nesterov else total)
        size = 1.0 if self.rms_rate is None else self.rms_rate * max(variable.shape) ** 0.5
        variable.assign_sub(step * (learning_rate * size))

    def _orthogonal(self, matrix: jax.Array) -> jax.Array:
        """The matrix with its singular values brought near 1, by an iteration that only multiplies."""
        tall = matrix.shape[0] > matrix.shape[1]
        x = matrix.T if tall else matrix
        x = x / (jnp.linalg.norm(x) + 1e-7)
        for _ in range(self.ns_steps):
            square = x @ x.T
            x = self.muon_a * x + (self.muon_b * square + self.muon_c * square @ square) @ x
        return x.T if tall else x
