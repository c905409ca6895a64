"""Whether the last, smaller batch may be filled up with rows that count for nothing.

Then one compilation serves every batch. It is only done where the result is known to be the same: no layer
mixes rows of the batch unless it knows of padding, and nobody has replaced the step.
"""

from typing import Any

import numpy as np

from kyeo.core.naming import is_kyeos
from kyeo.layers.layer import Layer

__all__ = ["may_pad", "row_mask"]

_REPLACEABLE = ("predict_step", "train_step", "test_step", "compute_loss", "compute_loss_and_updates",
                "compute_metrics", "track_loss")
# Ops (nodes of a graph) whose rows stay apart whatever their arguments are.
_ROWWISE_OPS = frozenset(
    "add subtract multiply divide true_divide negative power maximum minimum absolute abs square sqrt exp log tanh "
    "sigmoid relu gelu silu softplus cast not_equal equal greater less logical_and logical_or where".split())


def may_pad(model: Any, metrics: bool = True) -> bool:
    """Whether padding rows leave this model's results as they are.

    Args:
        model: the model; anything but a graph of built-in layers may mix rows and is left alone.
        metrics: whether losses and metrics matter too, or only the outputs.
    """
    if not _is_graph_model(model):
        return False
    if any(not is_kyeos(getattr(model, name)) for name in (_REPLACEABLE if metrics else _REPLACEABLE[:1])):
        return False
    for layer in model._flatten_layers():
        if "call" in vars(layer) or (not _is_graph_model(layer) and getattr(layer, "mixes_rows", True)):
            return False  # one that was put into the layer, to look on say, may do anything
        graph = getattr(layer, "_graph", None)
        if graph is not None and not all(map(_keeps_rows_apart, graph.nodes)):
            return False
        if graph is not None and not metrics and any(node.kwargs.get("training") is True for node in graph.nodes):
            return False  # a layer that trains while predicting draws anew in each call, or mixes rows
    compiled = model._objective.compiled_metrics if metrics and model._objective is not None else None
    return compiled is None or all(is_kyeos(type(m)) for m in compiled.metrics)


def _keeps_rows_apart(node: Any) -> bool:
    """A layer, which was asked before, or a known op."""
    return isinstance(node.target, Layer) or getattr(node.target, "__name__", "") in _ROWWISE_OPS


def _is_graph_model(layer: Any) -> bool:
    """A model that does nothing but run its graph."""
    return getattr(layer, "_graph", None) is not None and is_kyeos(type(layer).call)


def row_mask(real: int, size: int) -> np.ndarray:
    """1 for each of the `real` first rows, 0 for the padding behind them."""
    return (np.arange(size) < real).astype("float32")
