"""The pure steps: four lists of arrays and a batch in, logs and four lists out. `train/compiled.py` traces
them once and compiles them.

Each default step is written in Keras's JAX form, the form in which users override `train_step`.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import jax

from kyeo.core.errors import problem
from kyeo.core.scope import scope
from kyeo.core.variable import pure
from kyeo.layers.ownership import LossList
from kyeo.train.in_vain import noting_gradients, warn_of_no_gradient

__all__ = ["forward_and_loss", "loss_of", "predict_step", "test_step", "train_step", "update_metrics"]

State = tuple[Sequence[Any], ...]


def loss_of(model: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
    """What the model's `compute_loss` gives; one of the user's own may know no `training`."""
    mode = {"training": training} if "training" in inspect.signature(model.compute_loss).parameters else {}
    return model.compute_loss(x, y, y_pred, sample_weight, **mode)


def forward_and_loss(model: Any, trainable: Any, frozen: Any, metrics: Any, x: Any, y: Any, sample_weight: Any,
                     training: bool, optimizer: Any = None) -> tuple[Any, tuple[Any, Any, Any, Any]]:
    """The forward pass and the loss as a function of values: `(scaled loss, (loss, y_pred, frozen, metrics))`."""
    variables = model.state_variables()
    boxes = [*variables.trainable, *variables.frozen, *variables.metrics]

    def run() -> tuple[Any, Any]:
        with scope(losses=LossList()):
            y_pred = model(x, training=training)
            return loss_of(model, x, y, y_pred, sample_weight, training), y_pred

    (loss, y_pred), new = pure(run, boxes)([*trainable, *frozen, *metrics])
    end = len(variables.trainable) + len(variables.frozen)
    scaled = loss
    if training and model.optimizer is not None:
        if optimizer is None:
            raise problem("The values of the optimizer's variables are missing: they may scale the loss.", where=model,
                          received="training=True, optimizer_variables=None", kind=TypeError,
                          fix="compute_loss_and_updates(..., training=True, optimizer_variables=state[2])")
        scaled = model.scaled_loss(loss, optimizer)
    return scaled, (loss, y_pred, new[len(variables.trainable):end], new[end:])


def train_step(model: Any, state: State, data: tuple[Any, Any, Any]) -> tuple[dict[str, Any], State]:
    """One step: loss and gradients, the optimizer's update, metrics."""
    trainable, frozen, optimizer, metrics = state
    x, y, sample_weight = data
    if any(leaf.shape[:1] == (0,) for leaf in jax.tree.leaves(x)):
        raise problem("A batch without rows cannot be trained on.", received="x of no rows",
                      expected="at least one row in each batch", fix="leave such batches out")
    noted: list[bool] = []

    def scaled_loss(*args: Any, **kwargs: Any) -> Any:
        loss, rest = model.compute_loss_and_updates(*args, **kwargs)
        return noting_gradients(loss, noted), rest

    gradient = jax.value_and_grad(scaled_loss, has_aux=True)
    (_, (loss, y_pred, frozen, metrics)), grads = gradient(
        list(trainable), frozen, metrics, x, y, sample_weight, training=True, optimizer_variables=optimizer)
    warn_of_no_gradient(model, noted)
    trainable, optimizer = model.optimizer.stateless_apply(optimizer, grads, trainable)
    logs, metrics = update_metrics(model, metrics, loss, x, y, y_pred, sample_weight)
    return logs, (trainable, frozen, optimizer, metrics)


def test_step(model: Any, state: State, data: tuple[Any, Any, Any]) -> tuple[dict[str, Any], State]:
    """One step of `evaluate`: loss and metrics, no change of weights."""
    trainable, frozen, metrics = state
    x, y, sample_weight = data
    _, (loss, y_pred, frozen, metrics) = model.compute_loss_and_updates(
        trainable, frozen, metrics, x, y, sample_weight, training=False)
    logs, metrics = update_metrics(model, metrics, loss, x, y, y_pred, sample_weight)
    return logs, (trainable, frozen, metrics)


def predict_step(model: Any, state: State, data: tuple[Any, Any, Any]) -> tuple[Any, Any]:
    """One step of `predict`; of the state it gives the non-trainable part alone, as Keras's does."""
    trainable, frozen = state
    outputs, frozen = model.stateless_call(trainable, frozen, data[0], training=False)
    return outputs, frozen


def update_metrics(model: Any, metrics: Any, loss: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
    """The logs of this step and the new values of the metrics' variables."""
    known = model.known_metrics()

    def run() -> dict[str, Any]:
        if any(metric is model._objective.loss_tracker for metric in known):  # a `metrics` of one's own may not hold it
            model.track_loss(loss, x)
        return model.compute_metrics(x, y, y_pred, sample_weight)

    return pure(run, model.state_variables().metrics)(metrics)
