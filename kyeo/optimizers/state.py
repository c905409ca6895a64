"""What an optimizer is made of: arguments, variables, learning rate, config, what is saved."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, TypedDict

import jax
import jax.numpy as jnp
import numpy as np

from kyeo import initializers
from kyeo.core.configurable import (
    Configurable,
    described_by,
    given_arguments,
    parameters_of,
    serialize_value,
)
from kyeo.core.errors import boolean, fraction, number, positive_int, problem
from kyeo.core.gone import SaysWhatIsGone
from kyeo.core.naming import auto_name
from kyeo.core.owned import NOT_OWNED, Structure, owned
from kyeo.core.placement import layout_of
from kyeo.core.plain import warn
from kyeo.core.registry import custom_object_scope
from kyeo.core.scope import scope
from kyeo.core.variable import Variable, unwrap
from kyeo.optimizers.schedules import LearningRateSchedule
from kyeo.optimizers.support import rate_dtype

__all__ = ["SharedArguments", "SharedButDecay"]


class SharedButDecay(TypedDict, total=False):
    """`SharedArguments` for a rule that has a `weight_decay` of its own."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None


class SharedArguments(SharedButDecay, total=False):
    """The arguments that every optimizer takes besides its own; `Optimizer` says what they mean."""

    weight_decay: float | None


class _OptimizerState(SaysWhatIsGone, Configurable):
    """The half of `Optimizer` that holds things; the other half makes the steps."""

    _KIND = "Optimizers"
    _not_owned = NOT_OWNED | {"_trainable_variables", "_undecayed", "_slots"}  # its variables are elsewhere
    _by_element = False  # whether an update of an element depends on that element alone

    def __init__(
        self, learning_rate: Any, weight_decay: float | None = None, clipnorm: float | None = None,
        clipvalue: float | None = None, global_clipnorm: float | None = None, use_ema: bool = False,
        ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None,
        name: str | None = None, **unknown: Any,
    ):
        self._variables: dict[Variable, None] = {}
        self._refuse(unknown)
        self.weight_decay = number(self, optional=True, weight_decay=weight_decay)
        self.clipnorm = number(self, low=0, optional=True, clipnorm=clipnorm)
        self.clipvalue = number(self, low=0, optional=True, clipvalue=clipvalue)
        self.global_clipnorm = number(self, low=0, optional=True, global_clipnorm=global_clipnorm)
        if sum(limit is not None for limit in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise problem(
                "Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set.", where=self,
                received=f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}")
        self.use_ema = boolean(self, use_ema=use_ema)
        self.ema_momentum = fraction(self, ema_momentum=ema_momentum)
        self.ema_overwrite_frequency = positive_int(
            self, optional=True, ema_overwrite_frequency=ema_overwrite_frequency)
        self.loss_scale_factor = number(self, optional=True, loss_scale_factor=loss_scale_factor)
        self.gradient_accumulation_steps = positive_int(
            self, minimum=2, optional=True, gradient_accumulation_steps=gradient_accumulation_steps)
        self.name = name or auto_name(type(self).__name__)
        self._name_is_counted = not name
        self.built = False
        self._trainable_variables: list[Variable] = []
        self._indices: dict[Variable, int] = {}
        self._slots: dict[Variable, list[Variable]] = {}  # what a rule keeps for each weight
        self._undecayed: tuple[set[Variable], re.Pattern[str] | None] = (set(), None)
        self._iterations = self._add_scalar("iteration", np.array(0, np.int32))
        self._learning_rate: Any = None
        self.learning_rate = learning_rate

    def _refuse(self, unknown: dict[str, Any]) -> None:
        if unknown.pop("decay", None) is not None:
            warn("`decay` is no argument of optimizers any more and has no effect; "
                 "pass the schedule InverseTimeDecay as `learning_rate`.")
        if unknown:
            names = ", ".join(f"`{name}`" for name in unknown)
            raise problem(f"{type(self).__name__} has no argument {names}.", kind=TypeError, where=type(self),
                          received=", ".join(f"{name}={value!r}" for name, value in unknown.items()),
                          expected="among " + ", ".join(parameters_of(type(self))),
                          fix="call it `learning_rate`" if "lr" in unknown else None)

    # -- variables -----------------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Variable):
            self._track(value)
        super().__setattr__(name, value)

    def _track(self, variable: Variable) -> None:
        if "_variables" not in self.__dict__:
            raise problem("This optimizer made a variable before its base was set up.", where=type(self),
                          kind=RuntimeError, fix="call `super().__init__(...)` first in `__init__`")
        self._variables.setdefault(variable)

    @property
    def variables(self) -> list[Variable]:
        """All its variables: the step count, the learning rate, then the slots, also those that a rule made itself."""
        made = [v for v in owned(self, Variable) if v not in self._indices]
        return list({**self._variables, **dict.fromkeys(made)})

    @property
    def iterations(self) -> Any:
        """How many updates were made (with gradient accumulation: not the steps, the updates)."""
        if self.gradient_accumulation_steps:
            return self._iterations.value // self.gradient_accumulation_steps
        return self._iterations

    def _add_scalar(self, name: str, value: np.ndarray) -> Variable:
        with scope(path=self.name):
            return Variable(value, dtype=value.dtype, trainable=False, name=name,
                            aggregation="only_first_replica")

    def add_variable(
        self, shape: Sequence[int], initializer: Any = "zeros", dtype: Any = None, aggregation: str = "none",
        layout: Any = None, name: str | None = None,
    ) -> Variable:
        """Make a variable that belongs to the optimizer. `layout` says how a distribution divides it."""
        with scope(path=self.name):
            variable = Variable(initializers.get(initializer), shape=shape, dtype=dtype, trainable=False,
                                aggregation=aggregation, name=name)
        variable._layout = layout
        variable.place()
        self._track(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros",
    ) -> Variable:
        """Make a slot: a variable of the shape and dtype of a weight, named after both."""
        path = reference_variable.path.replace("/", "_")
        slot = self.add_variable(reference_variable.shape, initializer, reference_variable.dtype,
                                 layout=layout_of(reference_variable), name=f"{path}_{name or 'var'}")
        self._slots.setdefault(reference_variable, []).append(slot)
        return slot

    def add_optimizer_variables(
        self, trainable_variables: Iterable[Variable], name: str | Sequence[str], initializer: Any = "zeros",
    ) -> Any:
        """Make a slot for each weight (a list), or several (a tuple of lists) when `name` is a list of names.

        Weights that take their gradient as value need no slots; None stands in their place.
        """
        names = [name] if isinstance(name, str) else list(name)
        starts = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        if len(starts) != len(names):
            raise problem("There must be one initializer for each name.", where=self,
                          received=f"name={name}, initializer={initializer}")
        slots: tuple[list[Variable | None], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for column, label, start in zip(slots, names, starts):
                column.append(None if variable.overwrite_with_gradient
                              else self.add_variable_from_reference(variable, label, start))
        return slots[0] if isinstance(name, str) else slots

    def build(self, variables: Iterable[Variable]) -> None:
        """Make the slots for these weights. Called once; `apply` does it where nobody did."""
        if self.built:
            return
        variables = list(variables)
        for variable in variables:
            if not isinstance(variable, Variable):
                raise problem("An optimizer changes variables, not arrays.", received=variable, where=self,
                              expected="kyeo.Variable objects, such as model.trainable_variables",
                              kind=TypeError)
        self._trainable_variables = variables
        self._indices = {variable: i for i, variable in enumerate(variables)}
        if self.use_ema:
            self._model_variables_moving_average = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = [
                self.add_variable_from_reference(v, "gradient_accumulator") for v in variables]
        self.built = True
        self._slots.clear()  # the averages and sums above are no part of the rule
        self._add_slots(variables)

    def _add_slots(self, variables: list[Variable]) -> None:
        """Where a rule makes its slots; the plain base needs none."""

    def _get_variable_index(self, variable: Variable) -> int:
        if variable not in self._indices:
            raise problem("This optimizer was not built for this variable.", where=self,
                          received=repr(variable.path), fix="make a new optimizer for a new set of variables")
        return self._indices[variable]

    # -- learning rate -------------------------------------------------------------------------------------
    @property
    def learning_rate(self) -> Any:
        """The variable that holds the rate; with a schedule, its value at the present step."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return rate
        value = rate(self._iterations.value) if isinstance(rate, LearningRateSchedule) else rate()
        return jnp.asarray(unwrap(value), dtype=rate_dtype())

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        held = self._learning_rate
        if callable(rate):
            if isinstance(held, Variable):
                del self._variables[held]
                Structure.version += 1  # a step that was compiled with it as a part of the state would go by it
            self._learning_rate = rate
            return
        rate = unwrap(rate)
        if not isinstance(rate, jax.Array) or rate.shape != ():
            expected = ("a number of at least 0, a schedule of kyeo.optimizers.schedules, or a function "
                        "without arguments")
            rate = np.asarray(number(self, low=0, expected=expected, learning_rate=rate), dtype=rate_dtype())
        if held is None:
            self._learning_rate = self._add_scalar("learning_rate", np.asarray(rate))
        elif isinstance(held, Variable):
            held.assign(rate)
        else:
            raise problem("The learning rate follows a schedule, so no number can be set.", where=self,
                          received=f"learning_rate={rate}", kind=TypeError,
                          fix="make the optimizer with a number as `learning_rate`")

    # -- config and saved values ---------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values; the learning rate as a number or as a config."""
        given, config = given_arguments(self), {}
        for name, default in described_by(type(self)).items():
            if name == "learning_rate":
                rate = self._learning_rate
                value = float(rate.numpy()) if isinstance(rate, Variable) else rate
            else:
                value = getattr(self, name, given.get(name, default))
            config[name] = serialize_value(value, owner=self, name=name)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """An optimizer like the one whose `get_config` gave `config`, with fresh variables."""
        with custom_object_scope(custom_objects):
            return super().from_config(config)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Put these values in `variables`, in that order."""
        if len(weights) != len(self.variables):
            raise problem("There must be one value for each variable of the optimizer.", where=self,
                          received=f"{len(weights)} values", expected=f"{len(self.variables)} values",
                          fix=None if self.built else "call `optimizer.build(trainable_variables)` first")
        for variable, value in zip(self.variables, weights):
            variable.assign(value)

    def save_own_variables(self, store: Any) -> None:
        """Write the values into `store`, under "0", "1", ... in the order of `variables`."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read what `save_own_variables` wrote; another number of variables is warned about and skipped."""
        if len(store.keys()) != len(self.variables):
            warn(
                f"The saved values of optimizer {self.name!r} were not loaded: it has {len(self.variables)} "
                f"variables, the file has {len(store.keys())}."
                + ("" if self.built else " It is not built yet."))
            return
        for i, variable in enumerate(self.variables):
            variable.assign(np.asarray(store[str(i)]))
