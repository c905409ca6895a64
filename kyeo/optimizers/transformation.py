"""OptaxOptimizer: a gradient transformation of optax as an optimizer. optax itself is not needed here."""

from collections.abc import Callable
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.errors import describe, number, problem
from kyeo.core.scope import scope
from kyeo.core.variable import Variable
from kyeo.optimizers.optimizer import Optimizer
from kyeo.optimizers.state import SharedButDecay

__all__ = ["OptaxOptimizer", "is_transformation"]


def is_transformation(value: Any) -> bool:
    """Whether a value looks like an `optax.GradientTransformation`.

    >>> is_transformation("adam")
    False
    """
    return callable(getattr(value, "init", None)) and callable(getattr(value, "update", None))


class OptaxOptimizer(Optimizer):
    """A transformation of optax as an optimizer. `compile(optimizer=optax.adam(1e-3))` makes one by itself.

    The state of the transformation lives in `variables`, so files, backups and resumed trainings hold it.

    Args:
        transformation: an `optax.GradientTransformation`, or a function without arguments that makes one. A model is
            saved whole only with a function registered by `kyeo.saving.register_keras_serializable`, since a file can
            name a function but not what stands in a transformation.
        **shared: the arguments all optimizers take; see `Optimizer`.

    Its learning rate can be read and set where the transformation was made by `optax.inject_hyperparams`.

    >>> import kyeo, types
    >>> halve = types.SimpleNamespace(init=lambda params: (), update=lambda grads, state, params: (
    ...     [-0.5 * g for g in grads], state))
    >>> weight = kyeo.Variable([1.0])
    >>> kyeo.optimizers.OptaxOptimizer(halve).apply([[1.0]], [weight])
    >>> weight.numpy().tolist()
    [0.5]
    """

    def __init__(self, transformation: Any, **shared: Unpack[SharedButDecay]):
        self._waiting_rate: Any = None
        self._boxes: list[Variable] = []
        self._rate_at: int | None = None
        super().__init__(0.0, **shared)
        made = transformation
        if not is_transformation(made) and isinstance(transformation, Callable):  # type: ignore[arg-type]
            made = transformation()
        if not is_transformation(made):
            raise problem("`transformation` is not valid.", received=f"transformation={describe(transformation)}",
                          where=self, expected="an optax.GradientTransformation, or a function that makes one",
                          kind=TypeError)
        self.transformation, self._made = transformation, made

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; raises for a transformation that no function makes."""
        if is_transformation(self.transformation):
            raise problem("A transformation of optax cannot be written into a config.", where=self,
                          received=describe(type(self.transformation)), expected="a function that makes it",
                          fix="@kyeo.saving.register_keras_serializable() def make(): return optax...; then compile("
                              "optimizer=kyeo.optimizers.OptaxOptimizer(make)). `save_weights` works either way")
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in ("learning_rate", "weight_decay")}

    # -- its state -----------------------------------------------------------------------------------------
    def _add_slots(self, variables: list[Variable]) -> None:
        with jax.ensure_compile_time_eval():
            state = self._made.init([jnp.asarray(v._value) for v in variables])
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(state)
        for path, leaf in leaves:
            if jax.tree_util.keystr(path).endswith(".hyperparams['learning_rate']"):
                self._rate_at = len(self._boxes)
            self._boxes.append(self._box(leaf, f"state_{len(self._boxes)}"))
        if self._waiting_rate is not None:
            self.learning_rate = self._waiting_rate

    def _box(self, leaf: Any, name: str) -> Variable:
        value = jnp.asarray(leaf)
        with scope(path=self.name):
            variable = Variable(value, dtype=value.dtype, trainable=False, name=name)
        self._track(variable)
        return variable

    def _update(self, grads: list[jax.Array], variables: list[Variable]) -> None:
        given = dict(zip(variables, self._clip(grads)))
        weights = self._trainable_variables
        every = [given[v] if v in given else jnp.zeros_like(v.value) for v in weights]  # optax wants the whole tree
        state = jax.tree.unflatten(self._structure, [box.value for box in self._boxes])
        updates, new = self._made.update(every, state, [v.value for v in weights])
        for variable, update in zip(weights, updates, strict=True):
            if variable in given:
                variable.assign_add(update)
        for box, value in zip(self._boxes, jax.tree.leaves(new), strict=True):
            box.assign(value)

    # -- learning rate -------------------------------------------------------------------------------------
    @property
    def learning_rate(self) -> Any:
        """The variable that `optax.inject_hyperparams` reads its rate from."""
        if self._rate_at is not None:
            return self._boxes[self._rate_at]
        raise problem("This optimizer does not say what its learning rate is.", where=self, kind=AttributeError,
                      received="a transformation without hyperparams" if self.built else "an optimizer not built yet",
                      fix="make it by optax.inject_hyperparams(optax.adam)(learning_rate=0.001)")

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        if self._learning_rate is None:  # the base's constructor: the updates are scaled already
            self._learning_rate = self._add_scalar("learning_rate", np.array(1.0, np.float32))
        elif not self.built:
            self._waiting_rate = number(self, low=0, learning_rate=rate)
        else:
            self.learning_rate.assign(number(self, low=0, learning_rate=rate))
