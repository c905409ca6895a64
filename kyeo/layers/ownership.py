"""What a layer owns: variables, the layers inside it, losses, metrics; found by walking its attributes."""

import functools
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from kyeo import constraints, initializers, regularizers
from kyeo.core.configurable import Configurable
from kyeo.core.errors import NotMaskable, problem
from kyeo.core.gone import SaysWhatIsGone
from kyeo.core.owned import NOT_OWNED, MetricOwner, Structure, VariableOwner, owned
from kyeo.core.scope import current, scope
from kyeo.core.variable import Variable, variables_of

__all__ = ["LossList", "Owning"]

_F = TypeVar("_F", bound=Callable[..., Any])

# The call in which a layer that makes weights in `call` made its first one.
_makers: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


class _OwnMetrics:
    """`layer._metrics`: the metrics that a layer itself holds, where libraries look for them, and may put others."""

    def __get__(self, owner: Any, cls: type | None = None) -> Any:
        return self if owner is None else list(owned(owner, MetricOwner))


class LossList(list[Any]):
    """The (layer, loss) pairs of a running call. `complete` once the penalties of weights are among them."""

    complete = False


def _name_may_come_first(add: _F) -> _F:
    """`add_weight` that takes the order of tf.keras too: ("kernel", (3, 4)), ("kernel", shape=(3, 4))."""
    order = ("name", "shape", "dtype", "initializer", "regularizer", "trainable", "constraint")

    @functools.wraps(add)
    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], str) and len(args) <= len(order):
            return add(self, **dict(zip(order, args)), **kwargs)
        return add(self, *args, **kwargs)

    return cast(_F, call)


class _Tracker:
    """`layer._tracker`: libraries tell it what a layer owns or has given up; here that is read off the attributes."""

    @staticmethod
    def track(value: Any) -> Any:
        """The value as it is."""
        return value

    @staticmethod
    def untrack(value: Any) -> None:
        """Nothing: what no attribute holds is not found."""


class Owning(SaysWhatIsGone, Configurable, VariableOwner):
    """The half of Layer that looks after its variables."""

    _KIND = "Layers"

    name: str
    path: str
    _trainable: bool
    _weights: list[Variable]
    _loss_values: list[Any]
    _tracker: Any = _Tracker()
    _not_owned = NOT_OWNED
    supports_jit = True  # False: its `call` does what cannot be compiled, and `compile` leaves its models eager

    # -- making variables ----------------------------------------------------------------------------------
    @_name_may_come_first
    def add_weight(
        self, shape: Any = None, initializer: Any = None, dtype: Any = None, trainable: bool = True,
        autocast: bool = True, regularizer: Any = None, constraint: Any = None, aggregation: str = "none",
        overwrite_with_gradient: bool = False, name: Any = None,
    ) -> Variable:
        """Make a variable of this layer.

        Args:
            shape: its sizes; `()` when None.
            initializer: how to draw the first value; Glorot uniform for floats and zeros for ints by default.
            dtype: number type; that of the layer's policy by default.
            trainable: whether optimizers change it.
            autocast: whether it is read in the layer's compute dtype.
            regularizer: adds a penalty on its value to the loss.
            constraint: applied to it after each optimizer step.
            aggregation: how copies on several devices become one; kept for config.
            overwrite_with_gradient: whether its gradient is its next value, as scales of float8 are learned.
            name: its name within the layer.

        >>> import kyeo
        >>> layer = kyeo.Layer(name="scale")
        >>> weight = layer.add_weight(shape=(3,), initializer="ones", name="factor")
        >>> weight.shape, len(layer.trainable_weights)
        ((3,), 1)
        """
        if "_weights" not in self.__dict__:
            raise problem("The layer was not set up yet.", received=f"add_weight(name={name!r})", where=type(self),
                          fix="call super().__init__() at the start of the layer's __init__")
        if isinstance(shape, int) and isinstance(initializer, int):
            raise problem("`shape` is one tuple of sizes.", received=f"add_weight({shape}, {initializer})", where=self,
                          expected=f"add_weight(({shape}, {initializer}))", kind=TypeError)
        dtype = dtype or self.variable_dtype  # type: ignore[attr-defined]
        self._refuse_weights_of_each_call(name)
        if initializer is None:
            initializer = "glorot_uniform" if "float" in str(dtype) else "zeros"
        here = current().path
        own = self.path or self.name
        with scope(path=here if here == own or here.startswith(own + "/") else own, compute_dtype=None):
            variable = Variable(
                initializers.get(initializer), shape=tuple(shape or ()), dtype=dtype, trainable=trainable,
                autocast=autocast, aggregation=aggregation, name=name)
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        variable.trainable = variable.trainable and self._trainable
        self._weights.append(variable)
        return variable

    def _refuse_weights_of_each_call(self, name: Any) -> None:
        """A weight made in `call` may be made once, as under `if self.w is None`; not again by the next call."""
        now = current()
        if not (getattr(self, "built", False) and self.path and now.path == self.path):
            return
        if _makers.setdefault(self, weakref.ref(now))() is not now:
            raise problem("Every call of this layer makes new weights.", where=self,
                          received=f"add_weight(name={name!r}) in `call`", expected="weights that are made once",
                          fix="make them in `build(self, input_shape)`, or in `__init__` where the shapes are known")

    # -- reading them --------------------------------------------------------------------------------------
    @property
    def variables(self) -> list[Variable]:
        """All variables, the states of random generators among them; metrics' variables are not."""
        return variables_of(self)

    @property
    def weights(self) -> list[Variable]:
        """The variables that are saved and counted: all but the states of random generators and of recurrent layers."""
        return [v for v in self.variables if v.name not in ("seed_generator_state", "rnn_state")]

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables an optimizer changes."""
        return [v for v in self.variables if v.trainable and self._trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables an optimizer leaves alone."""
        return [v for v in self.variables if not (v.trainable and self._trainable)]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights an optimizer changes."""
        return [v for v in self.weights if v.trainable and self._trainable]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights an optimizer leaves alone."""
        return [v for v in self.weights if not (v.trainable and self._trainable)]

    @property
    def trainable(self) -> bool:
        """Whether training changes this layer. Setting it goes down to every layer inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        Structure.version += 1
        for variable in owned(self, Variable):
            variable.trainable = self._trainable and variable.born_trainable
        for layer in self.layers_inside():
            layer.trainable = value

    def layers_inside(self) -> Iterator["Owning"]:
        """The layers held directly by this one."""
        return owned(self, Owning)

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list["Owning"]:
        """This layer and those inside it, each once, in Keras's order, by which files of LoRA number them: depth first,
        and of what a layer inside holds the last one first."""
        found: dict[int, Owning] = {id(self): self}
        queue = deque(self.layers_inside())
        while queue:
            layer = queue.popleft()
            if id(layer) not in found:
                found[id(layer)] = layer
                if recursive:
                    queue.extendleft(layer.layers_inside())
        return list(found.values())[0 if include_self else 1:]

    # -- values of weights ---------------------------------------------------------------------------------
    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights, in the order of `weights`."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Put arrays into the weights; all are checked before the first is written.

        Args:
            weights: arrays in the order and of the shapes of `weights`, as `get_weights` gives them.

        Raises:
            ValueError: there are more or fewer, or a shape is another; nothing was changed then.

        >>> import kyeo, numpy as np
        >>> layer = kyeo.layers.Dense(1)
        >>> layer.build((None, 2))
        >>> layer.set_weights([np.ones((2, 1)), np.zeros(1)])
        >>> layer.kernel.numpy().tolist()
        [[1.0], [1.0]]
        """
        mine = self.weights
        if not hasattr(weights, "__len__"):
            raise problem("These are no weights.", received=weights, expected="a list of arrays", where=self,
                          kind=TypeError, fix="other.get_weights()" if hasattr(weights, "get_weights") else None)
        if len(mine) != len(weights):
            raise problem("The number of arrays does not match the weights.", received=f"{len(weights)} arrays",
                          expected=f"{len(mine)} arrays: " + ", ".join(f"{v.path} {v.shape}" for v in mine) if mine else
                          "a layer with weights", where=self,
                          fix=None if mine else "build the layer first by calling it or with `build(input_shape)`")
        for variable, value in zip(mine, weights):
            if variable.shape != np.shape(value):
                raise problem(f"An array does not fit the weight `{variable.path}`.",
                              received=f"shape {np.shape(value)}", expected=f"shape {variable.shape}", where=self)
        for variable, value in zip(mine, weights):
            variable.assign(value)

    def count_params(self) -> int:
        """How many numbers the weights hold.

        Raises:
            ValueError: the layer is not built yet.
        """
        if not getattr(self, "built", True):
            raise problem("Weights cannot be counted before they exist.", where=self,
                          fix="call the layer on data, or `build(input_shape)`, first")
        return sum(v.size for v in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Write this layer's own variables (not those of layers inside) into a mapping, by position.

        Args:
            store: takes an array for each key, "0", "1", ...
        """
        for index, variable in enumerate(self.own_variables()):
            store[str(index)] = variable  # the store copies it when it writes it

    def load_own_variables(self, store: Any) -> None:
        """Read what `save_own_variables` wrote.

        Args:
            store: a mapping of arrays by the same keys.
        """
        mine = self.own_variables()
        if len(store.keys()) != len(mine):
            raise problem("The stored layer has another number of variables.", where=self,
                          received=f"{len(store.keys())} stored", expected=f"{len(mine)}: " +
                          ", ".join(f"{v.name} {v.shape}" for v in mine),
                          fix=None if mine else "build the layer first by calling it on data")
        for index, variable in enumerate(mine):
            variable.assign(np.asarray(store[str(index)]))

    def own_variables(self) -> list[Variable]:
        """The variables this layer holds itself, born trainable ones first."""
        return sorted(owned(self, Variable), key=lambda v: not v.born_trainable)

    # As Keras keeps them: a class's own `load_own_variables` goes through these.
    _trainable_variables = property(lambda self: [v for v in self.own_variables() if v.born_trainable])
    _non_trainable_variables = property(lambda self: [v for v in self.own_variables() if not v.born_trainable])

    # -- losses and metrics --------------------------------------------------------------------------------
    def add_variable(self, *args: Any, **kwargs: Any) -> Variable:
        """The older name of `add_weight`."""
        return self.add_weight(*args, **kwargs)

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Keras 3 has it no more; refused with the way to do it."""
        raise problem("`add_metric` went with Keras 2.", kind=NotImplementedError, where=self,
                      fix="make a metric in __init__ (self.seen = kyeo.metrics.Mean()), and update it in `call`")

    def add_loss(self, loss: Any) -> None:
        """Add a scalar, or a list of scalars, to the losses; called from within `call`.

        Args:
            loss: what training is to make small besides the compiled loss; an array of shape () or a list of such.

        >>> import kyeo
        >>> class Small(kyeo.Layer):
        ...     def call(self, x):
        ...         self.add_loss(kyeo.ops.mean(x ** 2))
        ...         return x
        >>> layer = Small()
        >>> _ = layer(kyeo.ops.ones((2, 3)))
        >>> float(layer.losses[0])
        1.0
        """
        for value in jax.tree.leaves(loss):
            value = jnp.asarray(value)
            if value.ndim:
                raise problem("`add_loss` takes scalars.", received=value, expected="shape ()", where=self,
                              fix="reduce it first, for example with ops.mean")
            if current().losses is not None and current().row_mask is not None:
                raise NotMaskable("a loss added in `call` may count the rows of padding")
            self._collect_loss(value)

    def _collect_loss(self, value: Any) -> None:
        collected = current().losses
        if collected is not None:
            collected.append((self, value))
        elif not isinstance(value, jax.core.Tracer):
            self._loss_values.append(value)

    @property
    def losses(self) -> list[Any]:
        """The losses added by the last call, and the penalties of regularizers on trainable weights."""
        collected = current().losses
        if collected is not None:
            mine = {id(layer) for layer in self._flatten_layers()}
            added = [value for layer, value in collected if id(layer) in mine]
            if getattr(collected, "complete", False):
                return added
        else:
            added = [value for layer in self._flatten_layers() for value in layer._loss_values]
        return added + [v.regularizer(v.value) for v in self.trainable_weights if v.regularizer is not None]

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._loss_values = []

    _metrics = _OwnMetrics()

    @property
    def metrics(self) -> list[Any]:
        """The metrics held by this layer and by layers inside it."""
        found = {id(m): m for layer in self._flatten_layers() for m in owned(layer, MetricOwner)}
        return list(found.values())

    @property
    def metrics_variables(self) -> list[Variable]:
        """The variables of `metrics`."""
        return [v for metric in self.metrics for v in metric.variables]
