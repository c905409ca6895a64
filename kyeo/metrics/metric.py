"""Metric: numbers gathered batch by batch in variables (`update_state`), read at any time (`result`)."""

from collections.abc import Sequence
from typing import Any

import jax

from kyeo import dtype_policies, initializers
from kyeo.core.arrays import shared_zeros
from kyeo.core.configurable import Configurable, parameters_of, serialize_value
from kyeo.core.dtypes import standardize_dtype, widened
from kyeo.core.errors import problem
from kyeo.core.naming import auto_name, is_kyeos
from kyeo.core.owned import MetricOwner, owned
from kyeo.core.scope import current, scope
from kyeo.core.settings import settings
from kyeo.core.variable import Variable, pure
from kyeo.metrics.alone import alone

__all__ = ["Metric"]


class Metric(Configurable, MetricOwner):
    """Base class of metrics: derive from it, make variables in `__init__`, write `update_state` and `result`.

    Args:
        dtype: number type of its result; `floatx()` by default.
        name: its name, under which logs show it.

    >>> import kyeo
    >>> class Largest(kyeo.metrics.Metric):
    ...     def __init__(self, name="largest", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.value = self.add_variable((), "zeros", name="value")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.value.assign(kyeo.ops.maximum(self.value, kyeo.ops.max(y_pred)))
    ...     def result(self):
    ...         return self.value.value
    >>> float(Largest()([0.0, 0.0], [2.0, 3.0]))
    3.0
    """

    _direction: str | None = None  # "up" or "down": which way is better, for callbacks with mode="auto"
    _makes_late = False  # whether the first `update_state` makes more variables than are there
    _argument_names: dict[str, str] = {}  # where an argument stands under another name than its parameter's
    _kept_from_config: tuple[str, ...] = ()  # arguments Keras does not know: in a config only where used

    def __init_subclass__(cls, one_program: tuple[str, ...] = ("update_state", "result"), **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in one_program:
            if name in vars(cls) and is_kyeos(cls):
                setattr(cls, name, alone(vars(cls)[name]))

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name: str = name or auto_name(type(self).__name__)
        self._dtype = dtype_policies.get(dtype or settings.floatx).compute_dtype
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        """The number type of its result."""
        return self._dtype

    # -- variables -----------------------------------------------------------------------------------------
    def add_variable(
        self, shape: Sequence[int], initializer: Any, dtype: Any = None, aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Make a variable of this metric.

        Args:
            shape: its sizes.
            initializer: a name, an initializer or a callable `(shape, dtype=...)`; None means zeros.
            dtype: its number type; by default `floatx()`, but float32 at least: in half precision a count stays at
                256 or 2048 for ever.
            aggregation: how copies on several devices are joined.
            name: its name.
        """
        self._check_ready()
        make = initializers.get("zeros" if initializer is None else initializer)
        outer = current().path
        with scope(path=f"{outer}/{self.name}" if outer else self.name.replace("/", ">")):
            variable = Variable(make, tuple(shape), widened(None) if dtype is None else standardize_dtype(dtype),
                                trainable=False, autocast=False, aggregation=aggregation, synchronization="on_read",
                                name=name)
        self._variables.append(variable)
        return variable

    def add_weight(self, shape: Sequence[int] = (), initializer: Any = None, dtype: Any = None,
                   name: str | None = None) -> Variable:
        """Make a variable of this metric; the same as `add_variable`, with defaults for a scalar."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """Its variables in the order they were made, then those of the metrics it holds."""
        self._check_ready()
        held = list(owned(self, (Variable, MetricOwner)))
        found = dict.fromkeys(one for one in held if isinstance(one, Variable))
        for metric in held:
            if isinstance(metric, MetricOwner):
                found.update(dict.fromkeys(metric.variables))
        return list(found)

    def _check_ready(self) -> None:
        if "_variables" not in self.__dict__:
            raise problem("This metric was not set up.", where=type(self), kind=RuntimeError,
                          fix="call `super().__init__()` first in its `__init__`")

    # -- what a metric does --------------------------------------------------------------------------------
    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch; subclasses write this."""
        raise problem("This metric has no `update_state`.", where=self, kind=NotImplementedError,
                      fix="define `update_state(self, y_true, y_pred, sample_weight=None)` in the class")

    def result(self) -> Any:
        """The value so far: a number, or a dict of numbers; subclasses write this."""
        raise problem("This metric has no `result`.", where=self, kind=NotImplementedError,
                      fix="define `result(self)` in the class")

    def reset_state(self) -> None:
        """Forget every batch: all variables become zero."""
        for variable in self.variables:
            variable.assign(shared_zeros(variable.shape, variable.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch and give the value so far."""
        self._check_ready()
        self.update_state(*args, **kwargs)
        return self.result()

    # -- the same as functions of the variables' values ----------------------------------------------------
    def stateless_update_state(
        self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any,
    ) -> list[jax.Array]:
        """The variables' values after `update_state(*args, **kwargs)`, had they been `metric_variables`."""
        return pure(self.update_state, self.variables)(metric_variables, *args, **kwargs)[1]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """What `result()` gives for these values of the variables."""
        return pure(self.result, self.variables)(metric_variables)[0]

    def stateless_reset_state(self) -> list[jax.Array]:
        """The variables' values after `reset_state()`."""
        variables = self.variables
        return pure(self.reset_state, variables)([v.value for v in variables])[1]

    def build_from(self, *args: Any, **kwargs: Any) -> None:
        """Make the variables whose shapes depend on the data, from arguments of `update_state`.

        No value changes. Arrays or `jax.ShapeDtypeStruct`s will do. A trainer calls it before it asks for
        `variables`.
        """
        def update(args: Any, kwargs: Any) -> None:
            self.update_state(*args, **kwargs)

        def spec(leaf: Any) -> Any:
            if not hasattr(leaf, "dtype"):
                return leaf
            return jax.ShapeDtypeStruct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype))

        with scope(overlay=dict(current().overlay or {})):
            jax.eval_shape(update, *jax.tree.map(spec, (args, kwargs)))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        defaults = parameters_of(type(self))
        config = super().get_config()
        for name, attribute in self._argument_names.items():
            config[name] = serialize_value(getattr(self, attribute), self, name)
        return {k: v for k, v in config.items() if k not in self._kept_from_config or v != defaults[k]}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
