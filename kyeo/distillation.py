"""Distillation: a student is trained to give what a teacher gives, beside its labels.

G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network" (2015), https://arxiv.org/abs/1503.02531
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kyeo import losses
from kyeo.core.configurable import Configurable, deserialize_value, serialize_value
from kyeo.core.errors import describe, fraction, number, problem
from kyeo.metrics import Mean
from kyeo.models import Model

__all__ = ["DistillationLoss", "Distiller", "FeatureDistillation", "LogitsDistillation"]


def _each(function: Callable[..., Any], spec: Any, *trees: Any, where: Any) -> list[Any]:
    """The function of each loss of a structure and what stands at its place in the trees; None is left out."""
    if isinstance(spec, (list, tuple, dict)):
        keys = list(spec) if isinstance(spec, dict) else range(len(spec))
        for tree in trees:
            many = isinstance(tree, (list, tuple, dict)) and isinstance(tree, dict) == isinstance(spec, dict)
            if not many or len(tree) != len(spec):
                raise problem("The losses are not given as the outputs are.", received=describe(spec), where=where,
                              expected=f"a structure like {jax.tree.map(jnp.shape, tree)}")
        return [found for key in keys for found in _each(function, spec[key], *(t[key] for t in trees), where=where)]
    return [] if spec is None else [function(spec, *trees)]


def _alike(one: Any, other: Any) -> bool:
    """Whether two symbolic tensors may hold the same."""
    sizes = one.dtype == other.dtype and len(one.shape) == len(other.shape)
    return sizes and all(a is None or b is None or a == b for a, b in zip(one.shape, other.shape))


def _losses(owner: Any, spec: Any) -> Any:
    """A loss, or a structure of them, with names resolved; at least one must be there."""
    def read(value: Any) -> Any:
        if isinstance(value, dict) and "class_name" not in value:
            return {key: read(item) for key, item in value.items()}
        return [read(item) for item in value] if isinstance(value, (list, tuple)) else losses.get(value)

    found = read(spec)
    if not _each(lambda loss: loss, found, where=owner):
        raise problem("`loss` holds no loss.", received=f"loss={spec!r}", where=owner, expected="at least one")
    return found


class DistillationLoss(Configurable):
    """Base of distillation losses. A subclass writes `compute_loss`.

    >>> import kyeo
    >>> class Apart(kyeo.distillation.DistillationLoss):
    ...     def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
    ...         return kyeo.ops.mean(kyeo.ops.abs(teacher_outputs - student_outputs))
    >>> float(Apart().compute_loss(kyeo.ops.array([1.0]), kyeo.ops.array([3.0])))
    2.0
    """

    teacher_layer_name: str | None = None
    student_layer_name: str | None = None

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The loss, a scalar, for outputs of teacher and student."""
        raise problem("A distillation loss must say what it is.", where=type(self), kind=NotImplementedError,
                      fix="write `compute_loss(self, teacher_outputs, student_outputs, **kwargs)`")

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Raise where the two outputs are not structured alike."""
        kinds = [str(jax.tree.structure(outputs)) for outputs in (teacher_outputs, student_outputs)]
        if kinds[0] != kinds[1]:
            raise problem("Teacher and student give other structures.", received=" and ".join(kinds), where=type(self))

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Raise where the loss does not go with these models."""
        for role, model, name in (("teacher", teacher, self.teacher_layer_name),
                                  ("student", student, self.student_layer_name)):
            if name is None:
                continue
            if getattr(model, "inputs", None) is None:
                raise problem(f"The {role} has no graph, so its layers have no outputs to look at.", where=model,
                              received=f"{role}_layer_name={name!r}",
                              fix="a functional or Sequential model, or no name")
            model.get_layer(name)


class FeatureDistillation(DistillationLoss):
    """The loss between what a layer of the teacher gives and what a layer of the student gives.

    A. Romero et al., "FitNets: Hints for Thin Deep Nets" (2014), https://arxiv.org/abs/1412.6550

    Args:
        loss: a loss or its name; for several outputs a structure of them, None where one is left out.
        teacher_layer_name, student_layer_name: the layers; the models' outputs where None.

    >>> import kyeo
    >>> x = kyeo.ops.ones((2, 3))
    >>> float(kyeo.distillation.FeatureDistillation("mae").compute_loss(x, x - 2))
    2.0
    """

    def __init__(self, loss: Any = "mse", teacher_layer_name: str | None = None, student_layer_name: str | None = None):
        self.loss = _losses(self, loss)
        self.teacher_layer_name, self.student_layer_name = teacher_layer_name, student_layer_name

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The sum of the losses."""
        return sum(_each(lambda loss, *pair: jnp.mean(loss(*pair)), self.loss, teacher_outputs, student_outputs,
                         where=type(self)))


class LogitsDistillation(DistillationLoss):
    """The loss between the outputs of teacher and student, logits made softer by a temperature.

    Args:
        temperature: what logits are divided by.
        loss: a loss or its name; for several outputs a structure of them, None where one is left out. For
            KLDivergence logits become probabilities, and the loss is multiplied by the square of the temperature.

    >>> import kyeo
    >>> logits = kyeo.ops.array([[1.0, 2.0]])
    >>> float(kyeo.distillation.LogitsDistillation().compute_loss(logits, logits))
    0.0
    """

    def __init__(self, temperature: float = 3.0, loss: Any = "kl_divergence"):
        self.temperature = number(self, check=lambda t: t > 0, expected="a number > 0", temperature=temperature)
        self.loss = _losses(self, loss)

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The sum of the losses."""
        return sum(_each(self._one, self.loss, teacher_outputs, student_outputs, where=type(self)))

    def _one(self, loss: Any, teacher: Any, student: Any) -> Any:
        teacher, student = teacher / self.temperature, student / self.temperature
        if isinstance(loss, losses.KLDivergence) or getattr(loss, "__name__", "") == "kl_divergence":
            value = jnp.mean(loss(jax.nn.softmax(teacher, axis=-1), jax.nn.softmax(student, axis=-1)))
            return value * self.temperature**2
        return jnp.mean(loss(teacher, student))


class Distiller(Model):
    """Trains a student by its labels and by a teacher, which stays as it is. Called, it is the student.

    Args:
        teacher: a trained model.
        student: the model to train, for the same inputs.
        distillation_losses: a distillation loss, or several.
        distillation_loss_weights: a factor for each; 1 where None.
        student_loss_weight: the share of the labels' loss in the whole, from 0 to 1.
        name: its name.

    >>> import kyeo
    >>> teacher, student = (kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(3)]) for _ in range(2))
    >>> distiller = kyeo.distillation.Distiller(teacher, student, kyeo.distillation.LogitsDistillation())
    >>> distiller.compile("sgd", "mse")
    >>> sorted(distiller.fit(kyeo.ops.ones((8, 4)), kyeo.ops.ones((8, 3)), verbose=0).history)
    ['distillation_loss', 'loss', 'student_loss', 'total_loss']
    """

    def __init__(self, teacher: Any, student: Any, distillation_losses: Any, distillation_loss_weights: Any = None,
                 student_loss_weight: float = 0.5, name: str | None = "distiller", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self._check_models(teacher, student)
        self.teacher, self.student = teacher, student
        self.student_loss_weight = fraction(self, student_loss_weight=student_loss_weight)
        several = isinstance(distillation_losses, (list, tuple))
        self.distillation_losses = list(distillation_losses) if several else [distillation_losses]
        weights = distillation_loss_weights if several and distillation_loss_weights is not None else [
            1.0] * len(self.distillation_losses)
        if len(weights) != len(self.distillation_losses):
            raise problem("There must be one weight for each distillation loss.", where=self,
                          received=f"{len(weights)} weights, {len(self.distillation_losses)} losses")
        self.distillation_loss_weights = list(weights)
        for loss in self.distillation_losses:
            if not hasattr(loss, "compute_loss"):
                raise problem("`distillation_losses` is not valid.", received=describe(loss), where=self,
                              expected="a DistillationLoss, or a list of them", kind=TypeError)
            loss.validate_model_compatibility(teacher, student)
        self._teacher_features = self._features(teacher, "teacher_layer_name")
        self._student_features = self._features(student, "student_layer_name")
        teacher.trainable = False
        self.student_loss_tracker = Mean(name="student_loss")
        self.distillation_loss_tracker = Mean(name="distillation_loss")
        self.total_loss_tracker = Mean(name="total_loss")

    def _check_models(self, teacher: Any, student: Any) -> None:
        for name, model in (("teacher", teacher), ("student", student)):
            if not isinstance(model, Model):
                raise problem(f"`{name}` is not valid.", received=f"{name}={describe(model)}", where=self,
                              expected="a model", kind=TypeError)
        for part in ("inputs", "outputs"):
            ours, theirs = getattr(teacher, part, None), getattr(student, part, None)  # a stack may be unbuilt
            if ours is None or theirs is None:
                continue
            if len(ours) != len(theirs) or not all(map(_alike, ours, theirs)):
                raise problem(f"Teacher and student have other {part}.", where=self, expected="the same shapes, dtypes",
                              received=f"{describe(ours)} and {describe(theirs)}")

    def _features(self, model: Any, attribute: str) -> Any:
        """A model of the outputs of the layers that losses name, and of the final output; None where none does."""
        names = dict.fromkeys(name for loss in self.distillation_losses if (name := getattr(loss, attribute, None)))
        if not names:
            return None
        final = model.outputs[0] if len(model.outputs) == 1 else model.output
        given = model.inputs if len(model.inputs) == 1 else model.input  # `input` may be another model's
        return Model(given, {"final_output": final, **{n: model.get_layer(n).output for n in names}})

    def compile(  # type: ignore[override]
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **kwargs: Any,
    ) -> None:
        """As `Model.compile`; `loss` is that of the labels, and must be there."""
        if loss is None:
            raise problem("`loss` is not there.", received="loss=None", where=self, expected="the loss of the labels")
        self._student_loss = _losses(self, loss)
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **kwargs)

    def get_compile_config(self) -> dict[str, Any]:
        """What `compile` was told, as plain values."""
        config = super().get_compile_config()
        return {**config, "loss": serialize_value(self._student_loss)} if config else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` gave."""
        self.compile(**deserialize_value(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def call(self, inputs: Any, training: Any = None) -> Any:  # type: ignore[override]
        """What the student gives."""
        return self.student(inputs, training=training)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:
        """The loss of the labels and those of the teacher, each with its share. Sample weights do not count."""
        y_pred = self(x, training=training) if y_pred is None else y_pred
        share, by_labels, by_teacher = self.student_loss_weight, jnp.float32(0), jnp.float32(0)
        if share > 0 and y is not None:
            by_labels = sum(_each(lambda loss, *pair: jnp.mean(loss(*pair)), self._student_loss, y, y_pred, where=self))
        if share < 1:
            by_teacher = self._distillation_loss(x, y_pred, training)
        total = share * by_labels + (1 - share) * by_teacher
        for tracker, value in ((self.student_loss_tracker, by_labels), (self.total_loss_tracker, total),
                               (self.distillation_loss_tracker, by_teacher)):
            tracker.update_state(value)
        return total

    def _distillation_loss(self, x: Any, y_pred: Any, training: bool) -> Any:
        teacher = self._teacher_features(x, training=False) if self._teacher_features is not None else {
            "final_output": self.teacher(x, training=False)}
        student = {"final_output": y_pred}
        if self._student_features is not None:
            student = {**self._student_features(x, training=training), "final_output": y_pred}
        total = jnp.float32(0)
        for loss, weight in zip(self.distillation_losses, self.distillation_loss_weights):
            pair = [found[getattr(loss, name, None) or "final_output"] for found, name in (
                (teacher, "teacher_layer_name"), (student, "student_layer_name"))]
            loss.validate_outputs(*pair)
            value = jnp.asarray(loss.compute_loss(*pair))
            if value.ndim:
                raise problem("A distillation loss must give a scalar.", received=value, where=type(loss))
            total = total + weight * value
        return total
