"""The objective: what `compile` was told about losses and metrics, made fit for the model's outputs.

It is built when the shapes of labels and predictions are first known. Then `loss` gives the total loss, and
`metrics` is a list of Keras-like metric objects whose variables are part of the training state.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp

from kyeo import losses as losses_room
from kyeo import metrics as metrics_room
from kyeo.core.errors import NotMaskable, is_told, problem, retold
from kyeo.core.plain import in_plain_words, is_ours, warn
from kyeo.core.scope import current
from kyeo.core.symbolic import SymbolicTensor, infer
from kyeo.layers.complaints import explained_as
from kyeo.losses.loss import Loss, LossFunctionWrapper
from kyeo.metrics.metric import Metric
from kyeo.metrics.resolve import resolve
from kyeo.train.logits import warn_of_logits
from kyeo.train.outer import watched
from kyeo.train.structure import align, loss_names_of, nesting_of, output_names_of, spread

__all__ = ["CompileMetrics", "Objective", "Output", "function_of"]


@dataclasses.dataclass(frozen=True)
class Output:
    """What is known of one output when the objective is built."""

    name: str | None
    shape: tuple[int | None, ...]
    activation: str | None  # "softmax", "sigmoid", "linear", or None where it is not known


@dataclasses.dataclass
class _Term:
    """The loss on one output; where that was given several, their sum."""

    index: int
    loss: Loss
    weight: float | None
    name: str
    of_output: bool  # whether the name is that of the output

    @property
    def parts(self) -> list[Loss]:
        """The losses it adds up."""
        return self.loss.parts if isinstance(self.loss, _Several) else [self.loss]

    @property
    def is_own(self) -> bool:
        """Whether the user wrote it, or a part of it."""
        return any(not part.call.__module__.startswith("kyeo.") or _own(getattr(part, "fn", None))
                   for part in self.parts)

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
        """Unknown names are refused in `compile`, not in the first step."""
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
        for key, many in (("loss", False), ("metrics", True), ("weighted_metrics", True)):
            spread(self.spec[key], names, key, many, nesting)

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
        self.check(y)
        if self.compiled_metrics is not None:
            from_logits = {t.index: bool(getattr(t.loss, "from_logits", False)) for t in self.terms}
            self.compiled_metrics.build(self.spec, outputs, targets, from_logits, self.nesting)
        self.built = True

    def _build_losses(self, outputs: list[Output], targets: list[Any], by_key: bool) -> None:
        chosen = spread(self.spec["loss"], self.names, "loss", False, self.nesting)
        weights = self.spec["loss_weights"]
        if isinstance(weights, (int, float)):
            weights = [float(weights)]
        given = spread(weights, self.names, "loss_weights", False, self.nesting)
        self.terms = []
        for index, (output, target, one, weight) in enumerate(zip(outputs, targets, chosen, given)):
            if one is not None:
                loss, weight = self._loss_of(one, target, output, weight)
                self.terms.append(_Term(index, loss, weight, output.name or loss.name, bool(output.name)))
                for part in self.terms[-1].parts:
                    warn_of_logits(part, output.activation, self.terms[-1].where)
        if by_key and isinstance(self.spec["loss"], dict):
            asked = list(self.spec["loss"])  # the order in which `evaluate` lists them
            self.terms.sort(key=lambda term: asked.index(term.name) if term.name in asked else len(asked))
        if len(self.terms) > 1 and not self.term_trackers:
            self.term_trackers = [metrics_room.Mean(name=f"{name}_loss") for name in self._loss_names()]

    def _loss_names(self) -> list[str]:
        """What the logs call the losses."""
        if self.nesting is None:
            return [term.name for term in self.terms]
        own = {term.index: term.name for term in self.terms}
        called = loss_names_of(self.nesting, [own.get(i, "") for i in range(len(self.names))])
        return [called[term.index] for term in self.terms]

    def aligned(self, tree: Any, what: str = "y") -> list[Any]:
        """Labels or sample weights in the order of the outputs."""
        return align(tree, self.names, what, missing_ok=True, nesting=self.nesting)

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
        kind = str(jax.tree.map(lambda t: (t.shape, t.dtype), y, is_leaf=lambda t: hasattr(t, "shape")))
        if y is None or kind in self._checked:
            return
        targets = self.aligned(y)
        for term in self.terms:
            if not term.is_own:
                target = targets[term.index]
                with _explained(term.where):
                    infer(term.loss, (target, _sized_by(target, self._outputs[term.index])), {})
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
            with _explained(term.where):
                value = self._value_of(term, targets[term.index], preds[term.index], weights[term.index])
            if tracker is not None:
                tracker.update_state(value, sample_weight=real_rows(preds[term.index]))
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
            self.compiled_metrics.update_state(y, y_pred, sample_weight)


def real_rows(tensor: Any) -> Any:
    """How many rows of the running batch are real, as a float."""
    rows = current().row_mask
    return jnp.asarray(tensor.shape[0], "float32") if rows is None else jnp.sum(rows)


def function_of(loss: Loss) -> str:
    """The name of the function that a loss computes; "" where it is none's."""
    return getattr(getattr(loss, "fn", None), "__name__", "")


def _own(function: Any) -> bool:
    """Whether a function is the user's own."""
    return function is not None and not getattr(function, "__module__", "kyeo.").startswith("kyeo.")


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Inside: what goes wrong is said to have gone wrong in this loss or metric."""
    try:
        yield
    except NotMaskable:
        raise
    except (TypeError, ValueError, IndexError) as error:
        if is_told(error):
            raise retold(error, where) from None
        words = in_plain_words(error)
        if words is None and isinstance(error, TypeError) and is_ours(error):  # the call itself failed
            raise problem("This loss or metric does not take what it is given.", received=str(error), where=where,
                          expected="a function (y_true, y_pred); a metric's update_state(self, y_true, y_pred, "
                                   "sample_weight=None)", kind=TypeError) from None
        if words is None:
            error.add_note(f"  in {where}")
            raise
        raise explained_as(error, "The computation of this loss or metric does not work out.", words, where,
                           "labels and predictions of this batch") from None


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


class CompileMetrics(Metric):
    """All metrics of `compile` as one, as Keras has it in `model.metrics`."""

    def __init__(self, name: str = "compile_metrics"):
        super().__init__(name=name)
        self.built = False
        self._plain: list[list[Metric]] = []
        self._weighted: list[list[Metric]] = []
        self._names: list[str | None] = []
        self._nesting: Any = None

    def build(self, spec: dict[str, Any], outputs: list[Output], targets: list[Any],
              from_logits: dict[int, bool], nesting: Any = None) -> None:
        """Turn names into metrics and `Accuracy()` into the accuracy that fits the labels; say so once."""
        if self.built:
            return
        self._names, self._nesting = [o.name for o in outputs], nesting
        for key, chosen in (("metrics", self._plain), ("weighted_metrics", self._weighted)):
            for index, entry in enumerate(spread(spec[key], self._names, key, True, nesting)):
                entries = entry if isinstance(entry, (list, tuple)) else [entry] if entry is not None else []
                chosen.append([_as_metric(one, targets[index], outputs[index], from_logits.get(index, False))
                               for one in entries if one is not None])
        self.built = True

    @property
    def metrics(self) -> list[Metric]:
        """The metrics, unweighted ones first."""
        return [m for per_output in (*self._plain, *self._weighted) for m in per_output]

    @property
    def variables(self) -> list[Any]:
        """The variables of the metrics."""
        return [v for m in self.metrics for v in m.variables]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update each metric with its output's labels and predictions."""
        preds = jax.tree.leaves(y_pred)
        targets = align(y_true, self._names, "y", True, self._nesting)
        weights = align(sample_weight, self._names, "sample_weight", True, self._nesting) \
            if sample_weight is not None else [None] * len(preds)
        rows = current().row_mask
        for index, (target, pred, weight) in enumerate(zip(targets, preds, weights)):
            for metric in self._plain[index]:
                _update(metric, target, pred, rows, self._names[index])
            for metric in self._weighted[index]:
                _update(metric, target, pred, _times_rows(weight, rows), self._names[index])

    def by_name(self) -> dict[str, Metric]:
        """The metrics by the names of their results; the output's name goes first where there are several outputs."""
        named: dict[str, Metric] = {}
        for prefix, group in (("", self._plain), ("weighted_", self._weighted)):
            for output_name, per_output in zip(self._names, group):
                for metric in per_output:
                    named[self._free_name(metric.name, output_name, prefix, named)] = metric
        return named

    def result(self) -> dict[str, Any]:
        """Values by name."""
        return {name: metric.result() for name, metric in self.by_name().items()}

    def _free_name(self, name: str, output_name: str | None, prefix: str, taken: dict[str, Any]) -> str:
        def full(text: str) -> str:
            return f"{output_name}_{text}" if len(self._names) > 1 and output_name else text

        if full(name) not in taken:
            return full(name)
        if prefix and full(prefix + name) not in taken:
            return full(prefix + name)
        count = 1
        while full(f"{prefix}{name}_{count}") in taken:
            count += 1
        return full(f"{prefix}{name}_{count}")

    def reset_state(self) -> None:
        """Start each metric anew."""
        for metric in self.metrics:
            metric.reset_state()


def _sized_by(target: Any, pred: SymbolicTensor) -> SymbolicTensor:
    """The prediction, with the labels' sizes where a graph leaves a size other than the batch's open."""
    sizes = tuple(getattr(target, "shape", ()))[1:pred.ndim]
    known = (t if p is None else p for p, t in zip(pred.shape[1:], sizes))
    return SymbolicTensor((*pred.shape[:1], *known, *pred.shape[1 + len(sizes):]), pred.dtype)


def _update(metric: Metric, target: Any, pred: Any, weight: Any, output_name: str | None) -> None:
    with _explained(f'output "{output_name}", metric {metric.name}' if output_name else f"metric {metric.name}"):
        if weight is None:
            metric.update_state(target, pred)
        else:
            metric.update_state(target, pred, sample_weight=weight)


def _times_rows(weight: Any, rows: Any) -> Any:
    if rows is None or weight is None:
        return rows if weight is None else weight
    return weight * rows.reshape((-1,) + (1,) * (jnp.ndim(weight) - 1)).astype(weight.dtype)


def _as_metric(spec: Any, target: Any, output: Output, from_logits: bool) -> Metric:
    if target is None:
        return metrics_room.get(spec)
    metric, announcement = resolve(spec, tuple(target.shape), str(target.dtype), output.shape, output.activation,
                                   from_logits)
    if announcement:
        warn(announcement)
    if not isinstance(metric, Metric):
        name = spec if isinstance(spec, str) else getattr(metric, "__name__", "metric").strip("<>")  # a lambda
        metric = metrics_room.MeanMetricWrapper(fn=metric, name=name)
    return metric
