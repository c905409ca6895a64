"""The pure steps: four lists of arrays and a batch in, logs and four lists out. Traced once, then compiled.

Each default step is written in Keras's JAX form, the form in which users override `train_step`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.scope import scope
from kyeo.core.variable import pure
from kyeo.layers.ownership import LossList
from kyeo.ops.kernels import onednn

__all__ = [
    "compile_step", "fold_steps", "forward_and_loss", "predict_step", "test_step", "train_step", "update_metrics",
]

State = tuple[Sequence[Any], ...]


def forward_and_loss(model: Any, trainable: Any, frozen: Any, metrics: Any, x: Any, y: Any, sample_weight: Any,
                     training: bool, optimizer: Any = None) -> tuple[Any, tuple[Any, Any, Any, Any]]:
    """The forward pass and the loss as a function of values: `(scaled loss, (loss, y_pred, frozen, metrics))`."""
    variables = model.state_variables()
    boxes = [*variables.trainable, *variables.frozen, *variables.metrics]

    def run() -> tuple[Any, Any]:
        with scope(losses=LossList()):
            y_pred = model(x, training=training)
            loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
            return loss, y_pred

    (loss, y_pred), new = pure(run, boxes)([*trainable, *frozen, *metrics])
    end = len(variables.trainable) + len(variables.frozen)
    scaled = loss
    if training and model.optimizer is not None:
        scaled = model.scaled_loss(loss, optimizer)
    return scaled, (loss, y_pred, new[len(variables.trainable):end], new[end:])


def train_step(model: Any, state: State, data: tuple[Any, Any, Any]) -> tuple[dict[str, Any], State]:
    """One step: loss and gradients, the optimizer's update, metrics."""
    trainable, frozen, optimizer, metrics = state
    x, y, sample_weight = data
    gradient = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)
    (_, (loss, y_pred, frozen, metrics)), grads = gradient(
        list(trainable), frozen, metrics, x, y, sample_weight, training=True, optimizer_variables=optimizer)
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


def predict_step(model: Any, state: State, data: tuple[Any, Any, Any]) -> tuple[Any, State]:
    """One step of `predict`."""
    trainable, frozen = state
    outputs, frozen = model.stateless_call(trainable, frozen, data[0], training=False)
    return outputs, (trainable, frozen)


def update_metrics(model: Any, metrics: Any, loss: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> Any:
    """The logs of this step and the new values of the metrics' variables."""

    def run() -> dict[str, Any]:
        model.track_loss(loss, x)
        return model.compute_metrics(x, y, y_pred, sample_weight)

    return pure(run, model.state_variables().metrics)(metrics)


def compile_step(step: Callable[..., Any], *, donate: bool) -> Callable[..., Any]:
    """`step(state, data, rows)` compiled; the state's old buffers are given up to the new.

    Where they are not given up, the new state holds None for what the step left as it was: XLA would copy each of
    those arrays into an output (measured: 75 us of the 480 us of `predict` of one image).
    """

    options = onednn.compiler_options()

    @functools.partial(jax.jit, donate_argnums=0 if donate else (), compiler_options=options)
    def run(state: Any, data: Any, rows: Any) -> Any:
        with scope(row_mask=rows, onednn=bool(options)):
            result, new = step(state, data)
        if not donate:
            new = [[None if after is before else after for before, after in zip(old, group, strict=True)]
                   for old, group in zip(state, new, strict=True)]
        return result, new

    return run


def fold_steps(step: Callable[..., Any], example: Any) -> Callable[..., Any]:
    """`count` steps in one dispatch: the batches lie stacked, a loop on the device takes them one by one.

    `example` is the output shape of one step, `(logs, state)`. For small networks the dispatch costs more than
    the step (measured: 151 us against 13 us). Not for convolutions on the CPU: XLA runs them many times slower
    inside a loop.
    """

    @functools.partial(jax.jit, donate_argnums=0)
    def run(state: Any, data: Any, rows: Any, count: Any) -> Any:
        logs = jax.tree.map(lambda spec: jnp.zeros(spec.shape, spec.dtype), example[0])

        def body(index: Any, carry: Any) -> Any:
            _, state = carry
            one_data, one_rows = jax.tree.map(
                lambda a: jax.lax.dynamic_index_in_dim(a, index, 0, keepdims=False), (data, rows))
            with scope(row_mask=one_rows):
                logs, new = step(state, one_data)
            leaves, structure = jax.tree.flatten(state)  # a step may give tuples for lists
            new = [jnp.asarray(n, o.dtype) for n, o in zip(jax.tree.leaves(new), leaves, strict=True)]
            return logs, jax.tree.unflatten(structure, new)

        return jax.lax.fori_loop(0, count, body, (logs, state))

    return run
