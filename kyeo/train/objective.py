"""The objective: what `compile` was told about losses and metrics, made fit for the model's outputs.

It is built when the shapes of labels and predictions are first known. Then `loss` gives the total loss, and
`metrics` is a list of Keras-like metric objects whose variables are part of the training state.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo import losses as losses_room
from kyeo import metrics as metrics_room
from kyeo.core.errors import problem
from kyeo.core.naming import is_kyeos
from kyeo.core.scope import current
from kyeo.core.symbolic import SymbolicTensor, infer
from kyeo.losses.loss import Loss, LossFunctionWrapper
from kyeo.metrics.metric import Metric
from kyeo.metrics.resolve import resolve
from kyeo.train.compile_metrics import CompileMetrics, Output, explained
from kyeo.train.logits import warn_of_logits
from kyeo.train.outer import watched
from kyeo.train.structure import (
    align,
    entries_for_parts,
    loss_name_of,
    nesting_of,
    order_of,
    output_names_of,
    part_at,
    spread,
    ways_of,
)

__all__ = ["Objective", "as_symbol", "function_of", "real_rows"]


def as_symbol(array: Any) -> Any:
    """An array as a symbolic tensor with any batch size."""
    return SymbolicTensor((None, *np.shape(array)[1:]), array.dtype) if np.ndim(array) else array


@dataclasses.dataclass
class _Term:
    """The loss on one output, or on a part of the outputs; where that was given several, their sum."""

    place: Any  # the number of the output; of a part, its structure with numbers for tensors
    loss: Loss
    weight: float | None
    name: str
    of_output: bool  # whether the name is that of the output
    way: tuple[Any, ...] = ()  # the keys and places that lead to it, in nested outputs

    @property
    def sees_one(self) -> bool:
        """Whether it looks at a single output."""
        return isinstance(self.place, int)

    def of(self, arrays: list[Any]) -> Any:
        """Its array among those of all outputs, or the structure of its arrays."""
        return jax.tree.map(arrays.__getitem__, self.place)

    @property
    def parts(self) -> list[Loss]:
        """The losses it adds up."""
        return self.loss.parts if isinstance(self.loss, _Several) else [self.loss]

    @property
    def is_own(self) -> bool:
        """Whether the user wrote it, or a part of it."""
        return any(map(_is_own, self.parts))

    @property
    def where(self) -> str:
        """How messages name it."""
        loss = "loss " + ", ".join(function_of(part) or type(part).__name__ for part in self.parts)
        return f'output "{self.name}", {loss}' if self.of_output else loss


class Objective:
    """Losses and metrics of a compiled model.

    Args:
        loss, loss_weights, metrics, weighted_metrics: as given to `compile`.
    """

    def __init__(self, loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any):
        for name, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value is not None and not isinstance(value, (list, tuple, dict)):
                raise problem(f"`{name}` must be a list or a dict.", received=f"{name}={value!r}",
                              expected=f"for example {name}=[{value!r}]", kind=TypeError)
        self.spec = {"loss": loss, "loss_weights": loss_weights, "metrics": metrics,
                     "weighted_metrics": weighted_metrics}
        self._check_names()
        self.loss_tracker = metrics_room.Mean(name="loss")
        self.compiled_metrics = None if metrics is weighted_metrics is None else CompileMetrics()
        self.terms: list[_Term] = []
        self.term_trackers: list[Metric] = []
        self.names: list[str | None] = []
        self.nesting: Any = None
        self.output_shapes: list[tuple[int | None, ...]] = []
        self._outputs: list[Any] = []
        self._checked: set[Any] = set()
        self.built = False

    def _check_names(self) -> None:
        """Unknown names, and what cannot be a weight, are refused in `compile`, not in the first step."""
        for leaf in jax.tree.leaves(self.spec["loss_weights"]):
            if isinstance(leaf, str) or callable(leaf):
                raise problem("`loss_weights`, the third argument of `compile`, are numbers.", kind=TypeError,
                              received=f"loss_weights={self.spec['loss_weights']!r}", where="compile",
                              expected="a number for each output", fix="if metrics are meant: metrics=[...] by name")
        for leaf in jax.tree.leaves(self.spec["loss"], is_leaf=lambda v: not isinstance(v, (list, tuple, dict))):
            if not callable(leaf) and str(leaf).lower() not in ("crossentropy", "ce"):
                losses_room.get(leaf)
        for key in ("metrics", "weighted_metrics"):
            for leaf in jax.tree.leaves(self.spec[key], is_leaf=lambda v: not isinstance(v, (list, tuple, dict))):
                if not callable(leaf) and str(leaf).lower() not in ("accuracy", "acc", "crossentropy", "ce"):
                    metrics_room.get(leaf)

    def check_outputs(self, outputs: Any, names: Sequence[str]) -> None:
        """Refuse losses and metrics for outputs that the model does not have, as soon as its outputs are known."""
        nesting = nesting_of(outputs)
        of_parts, rest = entries_for_parts(self.spec["loss"], nesting)
        for way, one in of_parts.items():
            _as_whole(one, way)
        spread(rest, names, "loss", False, nesting)
        for key in ("metrics", "weighted_metrics"):
            if isinstance(self.spec[key], dict):  # a list may be a library's default, of a model that is never fitted
                spread(self.spec[key], names, key, True, nesting)

    @property
    def is_empty(self) -> bool:
        """Whether `compile` was given no loss and no metrics."""
        return self.spec["loss"] is None and self.compiled_metrics is None

    # -- building ------------------------------------------------------------------------------------------
    def build(self, y: Any, y_pred: Any, known_names: Sequence[str], activations: Sequence[str | None]) -> None:
        """Choose a loss and metrics for each output, from the shapes and dtypes of labels and predictions."""
        self.names, self.nesting = output_names_of(y_pred, known_names), nesting_of(y_pred)
        preds = jax.tree.leaves(y_pred)
        self.output_shapes = [tuple(p.shape) for p in preds]
        outputs = [Output(n, tuple(p.shape), a) for n, p, a in zip(self.names, preds, activations)]
        targets = self.aligned(y) if y is not None else [None] * len(outputs)
        self._outputs = [SymbolicTensor(p.shape, p.dtype) for p in preds]
        self._build_losses(outputs, targets, isinstance(y_pred, dict))
        if y is None:
            self.term_trackers = []  # without labels none of these losses is asked for: a `compute_loss` is the user's
        self.check(y)
        if self.compiled_metrics is not None:
            single = [term for term in self.terms if term.sees_one]
            from_logits = {term.place: bool(getattr(term.loss, "from_logits", False)) for term in single}
            self.compiled_metrics.build(self.spec, outputs, targets, from_logits, self.nesting)
        self.built = True

    def _build_losses(self, outputs: list[Output], targets: list[Any], by_key: bool) -> None:
        of_parts, loss = entries_for_parts(self.spec["loss"], self.nesting)
        weights_of_parts, weights = entries_for_parts(self.spec["loss_weights"], self.nesting)
        chosen = spread(loss, self.names, "loss", False, self.nesting)
        if isinstance(weights, (int, float)):
            weights = [float(weights)]
        given = spread(weights, self.names, "loss_weights", False, self.nesting)
        ways = ways_of(self.nesting, self.names)
        self.terms = self._terms_of_parts(of_parts, weights_of_parts)
        for index, (output, target, one, weight) in enumerate(zip(outputs, targets, chosen, given)):
            if one is not None:
                loss, weight = self._loss_of(one, target, output, weight)
                name = output.name or loss.name
                self.terms.append(_Term(index, loss, weight, name, bool(output.name), ways[index]))
                for part in self.terms[-1].parts:
                    warn_of_logits(part, output.activation, self.terms[-1].where)
        self.terms.sort(key=lambda term: min(jax.tree.leaves(term.place)))
        if by_key and isinstance(self.spec["loss"], dict):  # the order in which `evaluate` lists them
            self.terms.sort(key=lambda term: order_of(term.way, self.spec["loss"]))
        if len(self.terms) > 1 and not self.term_trackers:
            self.term_trackers = [metrics_room.Mean(name=f"{name}_loss") for name in self._loss_names()]

    def _terms_of_parts(self, losses: dict[Any, Any], weights: dict[Any, Any]) -> list[_Term]:
        """The terms of losses that see several outputs at once, as a dict or list."""
        terms = []
        for way, one in losses.items():
            name, place = "/".join(map(str, way)), part_at(self.nesting, way)
            terms.append(_Term(place, _as_whole(one, way), weights.get(way), name, True, way))
        if set(weights) - set(losses):
            raise problem("`loss_weights` does not match `loss`.", received=self.spec["loss_weights"],
                          expected=f"weights nested as the losses are, {self.spec['loss']}")
        return terms

    def _loss_names(self) -> list[str]:
        """What the logs call the losses."""
        if self.nesting is None:
            return [term.name for term in self.terms]
        return [loss_name_of(term.way, term.name) if term.sees_one else term.name for term in self.terms]

    def aligned(self, tree: Any, what: str = "y") -> list[Any]:
        """Labels or sample weights in the order of the outputs."""
        tree = self.of_all_outputs(tree) if what == "y" else tree
        return align(tree, self.names, what, missing_ok=True, nesting=self.nesting)

    def of_all_outputs(self, y: Any) -> Any:
        """Labels of just the outputs that have a loss, with None for the others; any other labels as they are."""
        if y is None or isinstance(y, dict) or len(leaves := jax.tree.leaves(y)) == len(self.names):
            return y
        loss = spread(entries_for_parts(self.spec["loss"], self.nesting)[1], self.names, "loss", False, self.nesting)
        places = [place for place, one in enumerate(loss) if one is not None]
        if len(places) != len(leaves):
            return y
        given = dict(zip(places, leaves))
        return [given.get(place) for place in range(len(self.names))]

    def _loss_of(self, one: Any, target: Any, output: Output, weight: Any) -> tuple[Loss, float | None]:
        """The loss of an output and its weight; of a list of losses, the sum."""
        if not isinstance(one, (list, tuple)):
            return _as_loss(one, target, output), weight
        weights = weight if isinstance(weight, (list, tuple)) else [weight] * len(one)
        if not one or len(weights) != len(one):
            raise problem("`loss_weights` does not match `loss`.", received=f"{len(weights)} weights",
                          expected=f"{len(one)}, for the losses {list(map(str, one))}", where=output.name)
        return _Several([_as_loss(part, target, output) for part in one], list(weights)), None

    def check(self, y: Any) -> None:
        """Try the built-in losses on labels of these shapes, so that a misfit is said before the first step.

        Losses of the user's own are first run in the step: they may be made for one batch size only.
        """
        if y is None or self.is_empty:
            return
        leaves, structure = jax.tree.flatten(y)
        kind = structure, *((np.shape(leaf)[1:], str(leaf.dtype)) for leaf in leaves)
        if kind in self._checked:
            return
        targets = self.aligned(jax.tree.map(as_symbol, y))
        for term in self.terms:
            if not term.is_own:
                target = term.of(targets)
                if target is None:
                    raise problem("An output with a loss has no labels.", received="`y` with nothing, or None, for it",
                                  expected="labels for each output that has a loss", where=term.where,
                                  fix="pass labels for it, or give `compile` None as its loss")
                with explained(term.where):
                    infer(term.loss, (target, _sized_by(target, term.of(self._outputs))), {})
        self._checked.add(kind)

    @property
    def metrics(self) -> list[Metric]:
        """The loss's mean, then the compiled metrics, then the mean of each output's loss."""
        compiled = [self.compiled_metrics] if self.compiled_metrics is not None else []
        return [self.loss_tracker, *compiled, *self.term_trackers]

    # -- use -----------------------------------------------------------------------------------------------
    def loss(self, y: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The weighted sum of the losses; None where `compile` was given none."""
        if not self.terms:
            return None
        preds = jax.tree.leaves(y_pred)
        targets = self.aligned(y)
        weights = self.aligned(sample_weight, "sample_weight") if sample_weight is not None else [None] * len(preds)
        total: Any = 0.0
        for term, tracker in zip(self.terms, [*self.term_trackers, *[None] * len(self.terms)]):
            target, pred = term.of(targets), term.of(preds)
            with explained(term.where, target, pred):
                value = self._value_of(term, target, pred, _weight_of(term, weights))
            if tracker is not None and (current().overlay is not None or not isinstance(value, jax.core.Tracer)):
                # in a jax.grad of the user's own the means of single losses have nowhere to go
                tracker.update_state(value, sample_weight=real_rows(jax.tree.leaves(pred)[0]))
            total = total + (value if term.weight is None else value * term.weight)
        return total

    @staticmethod
    def _value_of(term: _Term, target: Any, pred: Any, weight: Any) -> Any:
        if not term.is_own or not isinstance(pred, jax.core.Tracer):
            return term.loss(target, pred, weight)
        return watched(lambda: term.loss(target, pred, weight), pred.shape[0] if pred.ndim else 0, term.where)

    def update_metrics(self, y: Any, y_pred: Any, sample_weight: Any) -> None:
        """Let the compiled metrics see a batch; rows of padding count for nothing."""
        if self.compiled_metrics is not None:
            self.compiled_metrics.update_state(self.of_all_outputs(y), y_pred, sample_weight)


def real_rows(tensor: Any) -> Any:
    """How many rows of the running batch are real, as a float."""
    rows = current().row_mask
    return jnp.asarray(tensor.shape[0], "float32") if rows is None else jnp.sum(rows)


def function_of(loss: Loss) -> str:
    """The name of the function that a loss computes; "" where it is none's."""
    return getattr(getattr(loss, "fn", None), "__name__", "")


def _own(function: Any) -> bool:
    """Whether a function is the user's own."""
    return function is not None and not str(getattr(function, "__module__", "kyeo.")).startswith("kyeo.")


def _is_own(loss: Loss) -> bool:
    """Whether the user wrote a loss."""
    return not is_kyeos(loss.call) or _own(getattr(loss, "fn", None))


def _as_whole(spec: Any, way: tuple[Any, ...]) -> Loss:
    """A loss that sees a part of the outputs, which lies at the end of the way."""
    if callable(spec):
        loss = spec if isinstance(spec, Loss) else LossFunctionWrapper(spec, name=getattr(spec, "__name__", None))
        if _is_own(loss):
            return loss
    raise problem("A built-in loss sees one tensor, and this part of the outputs is several.",
                  received=f"{spec!r} for {'/'.join(map(str, way))!r}",
                  expected="a loss for each tensor in it, nested as they are, or a function (y_true, y_pred) of all")


def _weight_of(term: _Term, weights: list[Any]) -> Any:
    """The sample weights of a term; several outputs that one loss sees must have the same."""
    first, *others = jax.tree.leaves(term.of(weights), is_leaf=lambda one: one is None)
    if any(one is not first for one in others):
        raise problem("A loss that sees several outputs takes one array of weights.", where=term.where,
                      received="`sample_weight` with an array for each output",
                      expected="one array where `compute_loss` is called, and none in `fit`: weigh inside the loss")
    return first


class _Several(Loss):
    """Losses of one output, added up."""

    def __init__(self, parts: list[Loss], weights: list[float | None]):
        super().__init__(name="_".join(part.name for part in parts))
        self.parts, self.weights = parts, weights
        self.from_logits = any(getattr(part, "from_logits", False) for part in parts)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        values = (part(y_true, y_pred, sample_weight) for part in self.parts)
        return sum(value if w is None else value * w for value, w in zip(values, self.weights))


def _as_loss(spec: Any, target: Any, output: Output) -> Loss:
    if isinstance(spec, str) and spec.lower() in ("crossentropy", "ce"):
        metric, _ = resolve("crossentropy", target.shape, str(target.dtype), output.shape, output.activation, False)
        spec = type(metric).__name__
    loss = losses_room.get(spec)
    if not isinstance(loss, Loss):
        name = spec if isinstance(spec, str) else getattr(loss, "__name__", type(loss).__name__)
        loss = LossFunctionWrapper(loss, name=name)
    return loss


def _sized_by(target: Any, pred: SymbolicTensor) -> SymbolicTensor:
    """The prediction, with the labels' sizes where a graph leaves a size other than the batch's open."""
    sizes = tuple(getattr(target, "shape", ()))[1:pred.ndim]
    known = (t if p is None else p for p, t in zip(pred.shape[1:], sizes))
    return SymbolicTensor((*pred.shape[:1], *known, *pred.shape[1 + len(sizes):]), pred.dtype)
