"""The training state of a model, and the compiled steps that fit it, kept until something changes."""

import inspect
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from kyeo.core.errors import problem
from kyeo.core.naming import is_kyeos
from kyeo.core.owned import NOT_OWNED, Structure
from kyeo.core.placement import rows_to_fill
from kyeo.core.settings import settings
from kyeo.core.variable import Variable, pure
from kyeo.data.source import Source
from kyeo.data.unpack import pack_x_y_sample_weight
from kyeo.layers.habits import sweep
from kyeo.layers.sliding import Sliding
from kyeo.train.calling import CompiledCall, changes_of
from kyeo.train.compile_metrics import CompileMetrics
from kyeo.train.fingerprint import fingerprint
from kyeo.train.padding import may_pad
from kyeo.train.runner import Runner
from kyeo.train.step import loss_of
from kyeo.train.turns import Turns

__all__ = ["StateVariables", "StepCache"]


class StateVariables(NamedTuple):
    """The variables of the four parts of the training state."""

    trainable: list[Variable]
    frozen: list[Variable]
    optimizer: list[Variable]
    metrics: list[Variable]


class StepCache:
    """The part of Trainer that finds the variables of a step and keeps the compiled steps."""

    # Attributes whose variables are no weights of the model.
    _not_owned = NOT_OWNED | {"optimizer", "_objective", "_compile_config", "_runners",
                              "_current_runners", "_state_cache", "_metrics_cache", "history", "loss"}
    optimizer: Any
    metrics: Any
    _turns: Turns
    _flatten_layers: Any

    def _forget_steps(self) -> None:
        self._runners: dict[Any, Runner] = {}
        self._current_runners: dict[str, tuple[Any, Runner]] = {}  # the one of each mode, and what it was found for
        self._state_cache: tuple[int, StateVariables] | None = None
        self._metrics_cache: tuple[int, list[Any]] | None = None
        self._looked_at: int | None = None  # the version of its structure that `in_vain.py` has seen
        self._padding_refused = False
        self._tried: set[str] = set()  # modes whose step ran once for what metrics make in it

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: everything but the compiled steps, which belong to this object alone."""
        state = dict(self.__dict__)
        if "_graph" in state:  # first: it has its nodes in an order by which a copy does not go deeper than the stack
            state = {"_graph": state.pop("_graph"), **state}
        state.pop("_pads_predictions", None)
        fresh = StepCache.__new__(StepCache)
        fresh._forget_steps()
        state.update({name: value for name, value in fresh.__dict__.items() if name in state})
        if "_calls" in state:
            state["_calls"] = CompiledCall()
        return state

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run without compiling."""
        return self.__dict__.get("_run_eagerly", False) or settings.run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._run_eagerly = bool(value)

    @property
    def jit_compile(self) -> bool:
        """Whether steps are compiled."""
        return not self.run_eagerly

    @jit_compile.setter
    def jit_compile(self, value: bool) -> None:
        self.run_eagerly = not value

    def stateless_compute_loss(
        self, trainable_variables: Any, non_trainable_variables: Any, metrics_variables: Any, x: Any = None,
        y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True,
    ) -> Any:
        """`compute_loss` as a function of values: the loss, and the three lists of values after it."""
        variables = self.state_variables()
        boxes = [*variables.trainable, *variables.frozen, *variables.metrics]
        given = [*trainable_variables, *non_trainable_variables, *metrics_variables]
        loss, new = pure(lambda: loss_of(self, x, y, y_pred, sample_weight, training), boxes)(given)
        first, end = len(variables.trainable), len(variables.trainable) + len(variables.frozen)
        return loss, (trainable_variables, new[first:end], new[end:])

    # -- the compiled steps --------------------------------------------------------------------------------
    def state_variables(self) -> StateVariables:
        """The variables whose values make up the training state, in order."""
        if self._state_cache is None or self._state_cache[0] != Structure.version:
            found = StateVariables(
                self.trainable_variables, self.non_trainable_variables,  # type: ignore[attr-defined]
                list(self.optimizer.variables) if self.optimizer is not None else [],
                [v for m in self.known_metrics() for v in m.variables])
            self._state_cache = (Structure.version, found)
        return self._state_cache[1]

    def known_metrics(self) -> list[Any]:
        """`metrics`, looked for again only when something may have changed."""
        if self._metrics_cache is None or self._metrics_cache[0] != Structure.version:
            self._metrics_cache = Structure.version, list(self.metrics)
        return self._metrics_cache[1]

    def make_late_variables(self, mode: str, peek: Callable[[], Any]) -> None:
        """Let metrics that make their variables at their first batch make them now: the state of the first step must
        hold them, and a step that another model compiled is not traced again.

        `peek` gives a batch; it is asked only where there are such metrics, since reading one may cost much.
        """
        if mode == "predict" or mode in self._tried or not any(map(_may_make_late, self.single_metrics())):
            return
        self._tried.add(mode)
        self.runner(mode).try_out(peek())

    def single_metrics(self) -> list[Any]:
        """`known_metrics`, those of `compile` one by one."""
        return [one for m in self.known_metrics() for one in (m.metrics if isinstance(m, CompileMetrics) else [m])]

    def runner(self, mode: str) -> Runner:
        """The compiled step of a mode; made anew when variables, freezing or eagerness have changed."""
        now = (Structure.version, self.run_eagerly)
        known = self._current_runners.get(mode)  # held here: a call in another thread may make `predict` anew
        if known is None or known[0] != now:
            variables = self.state_variables()
            groups = {"train": list(variables), "test": [variables.trainable, variables.frozen, variables.metrics],
                      "predict": [variables.trainable, variables.frozen]}[mode]
            learned = [repr([getattr(layer, name) for name in layer._in_programs]) for layer in self._flatten_layers()
                       if layer._in_programs]
            same = (mode, self.run_eagerly, settings.distribution, *learned,
                    tuple(tuple(map(id, g)) for g in groups))
            runner = self._runners.get(same)
            if runner is None:
                _check_arguments(getattr(self, f"{mode}_step"), self)
                owner = weakref.ref(self)  # the runner belongs to it
                runner = self._runners[same] = Runner(
                    _packed(owner, f"{mode}_step"), groups, lambda: fingerprint(owner(), mode, groups),
                    donated=3 if mode == "train" else 0, eager=self.run_eagerly,
                    convolves=any(isinstance(layer, Sliding) for layer in self._flatten_layers()),
                    lock=self._turns.step, changes=changes_of(self._flatten_layers()))
            known = self._current_runners[mode] = (now, runner)
        return known[1]

    def renew_predictions(self) -> None:
        """Forget what is compiled of `predict`: layers compute something else since."""
        self._current_runners.pop("predict", None)
        self._runners = {key: runner for key, runner in self._runners.items() if key[0] != "predict"}

    def may_pad(self, source: Source) -> bool:
        """Whether the smaller last batch of this source can be filled up without changing any number."""
        rows, size = source.num_rows, source.batch_size
        ragged = rows is not None and size is not None and (rows % size != 0 or rows_to_fill(size) != size)
        return ragged and not self._padding_refused and not self.run_eagerly and may_pad(self)

    @property
    def pads_predictions(self) -> bool:
        """Whether `predict` may fill up a batch, and drop what its step writes: rows and calls stay apart."""
        cached = self.__dict__.get("_pads_predictions")
        if cached is None or cached[0] != Structure.version:
            plain = may_pad(self, metrics=False)
            cached = self._pads_predictions = (Structure.version, plain)
        return cached[1]

    def refuse_padding(self) -> None:
        """Remember that padding does not work out for this model."""
        self._padding_refused = True


def _may_make_late(metric: Any) -> bool:
    """Whether a metric may make variables at its first batch: some of ours do, and any that a user wrote."""
    # `_variables` and not `variables`, which looks through all that it holds: 20 us of a `fit` of one step
    return metric._makes_late or not is_kyeos(type(metric).update_state) or not vars(metric).get("_variables")


def _packed(owner: Callable[[], Any], name: str) -> Callable[..., Any]:
    """A step of a model, given batches as users write them: `x, y = data` where there are no weights, `data` for x."""

    def run(state: Any, data: Any) -> Any:
        model = owner()
        result, new = getattr(model, name)(state, pack_x_y_sample_weight(*data))
        sweep(model)
        if name == "predict_step":
            new = state[0], new
        _check_state(new, state, name, model)
        return result, new

    return run


def _check_state(new: Any, old: Any, name: str, owner: Any) -> None:
    """Refuse a state of a user's step that does not fit the one it was given."""
    sizes = [[len(group) for group in state if isinstance(group, (list, tuple))] if isinstance(state, (list, tuple))
             else None for state in (new, old)]
    if sizes[0] != sizes[1]:
        parts = {2: "trainable, non_trainable", 3: "trainable, non_trainable, metrics",
                 4: "trainable, non_trainable, optimizer, metrics"}[len(old)]
        gives = "outputs, non_trainable" if name == "predict_step" else f"logs, ({parts})"
        raise problem(f"The new state that `{name}` gives does not fit the state it was given.", where=owner,
                      received=f"parts of {sizes[0]} variables", expected=f"({parts}), of {sizes[1]} variables",
                      fix=f"end with `return {gives}`")


def _check_arguments(step: Callable[..., Any], owner: Any) -> None:
    """Refuse a step that is written for another engine."""
    try:
        inspect.signature(step).bind(None, None)
    except TypeError:
        name = getattr(step, "__name__", "step")
        raise problem(f"`{name}` takes other arguments here than with TensorFlow or PyTorch.", kind=TypeError,
                      received=f"def {name}{inspect.signature(step)}, without self", where=owner,
                      expected=f"def {name}(self, state, data), which gives (logs, new state) and uses "
                               "stateless_call, jax.value_and_grad and optimizer.stateless_apply",
                      fix="or write `compute_loss(self, x, y, y_pred, sample_weight)` alone") from None
