"""Operators that several primitives make up.

They are Conv and Gemm with a bias, BatchNormalization, Relu, Softmax, ReduceMean, and AveragePool.

Each rule looks at the nodes that made its inputs. What they made and nobody else needs is left out in the end.
"""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from kyeo.export.onnx.graph import Builder, Tensor, padded

__all__ = ["add", "divide", "maximum", "with_kept_axes"]


def _rank(eqn: Any) -> int:
    return len(eqn.outvars[0].aval.shape)


def _vector(b: Builder, tensor: Tensor) -> Tensor | None:
    """A tensor with one number a channel, as it was before it was given another shape."""
    node = b.maker(tensor, "Reshape")
    found = node.inputs[0] if node is not None else tensor
    # with one size that is not 1, the order of the axes says nothing
    return dataclasses.replace(found, perm=None) if sum(size != 1 for size in found.shape) <= 1 else None


def _factor(b: Builder, tensor: Any) -> tuple[Tensor | None, Tensor, float] | None:
    """gamma, variance and epsilon of `1 / sqrt(variance + epsilon)`, times gamma if there is one."""
    scaled = b.maker(tensor, "Mul")
    root, gamma = (scaled.inputs[0], scaled.inputs[1]) if scaled is not None else (tensor, None)
    inverse = b.maker(root, "Reciprocal")
    square = b.maker(inverse.inputs[0], "Sqrt") if inverse is not None else None
    more = b.maker(square.inputs[0], "Add") if square is not None else None
    if more is None or more.inputs[1].const is None or more.inputs[1].const.size != 1:
        return None
    return gamma, more.inputs[0], float(more.inputs[1].const.item())


def _normalization(b: Builder, one: Tensor, two: Tensor) -> Tensor | None:
    """`(x - mean) * factor + beta` with channels stored where ONNX wants them."""
    scaled, shift = b.maker(one, "Mul"), _vector(b, two)
    factor = _vector(b, scaled.inputs[1]) if scaled is not None else None
    if scaled is None or shift is None or factor is None or len(one.shape) < 2 or one.dtype != np.float32:
        return None
    channels = one.shape[1]
    found, less = _factor(b, factor), b.maker(scaled.inputs[0], "Sub")
    if found is None or less is None:
        return None
    (x, mean), beta = less.inputs, shift
    mean = _vector(b, mean)
    if mean is None:
        return None
    if padded(scaled.inputs[1].shape, len(one.shape)) != (1, channels) + (1,) * (len(one.shape) - 2):
        return None
    gamma, variance, epsilon = found
    gamma = gamma if gamma is not None else b.const(np.ones(channels, one.dtype))
    parts = [gamma, beta, mean, variance]
    if any(t.perm is not None or math.prod(t.shape) != channels for t in parts):
        return None
    parts = [b.reshape(t, (channels,)) for t in parts]
    return b.emit("BatchNormalization", [x, *parts], one.shape, one.dtype, one.perm, epsilon=epsilon)


def add(b: Builder, eqn: Any, one: Tensor, two: Tensor) -> Tensor:
    """A sum; a bias goes into the convolution or product before it."""
    normal = _normalization(b, one, two)
    if normal is not None:
        return normal
    for x, bias in ((one, two), (two, one)):
        node = b.maker(x, "Conv", "ConvTranspose", "MatMul")
        if node is None or len(node.inputs) > 2 or bias.perm is not None or not (bias.weight or bias.const is not None):
            continue
        channel = (node.outputs[0].perm or tuple(range(len(x.shape))))[1] if node.op != "MatMul" else len(x.shape) - 1
        sizes = padded(bias.shape, len(x.shape))
        if sizes != tuple(s if a == channel else 1 for a, s in enumerate(x.seen)):
            continue
        inputs = [*node.inputs, b.reshape(bias, (sizes[channel],))]
        if node.op != "MatMul":
            return b.emit(node.op, inputs, x.shape, x.dtype, x.perm, **node.attributes)
        if all(len(t.shape) == 2 for t in node.inputs):
            return b.emit("Gemm", inputs, x.shape, x.dtype)
    return b.elementwise("Add", [one, two], _rank(eqn))


def maximum(b: Builder, eqn: Any, one: Tensor, two: Tensor) -> Tensor:
    """The larger one; Relu where the other is zero, nothing where it is minus infinity."""
    for x, other in ((one, two), (two, one)):
        if other.const is not None and other.const.size == 1 and x.dtype.kind == "f":
            if other.const.item() == 0:
                return b.elementwise("Relu", [x], _rank(eqn))
            if other.const.item() == -math.inf:
                return x
    return b.elementwise("Max", [one, two], _rank(eqn))


def with_kept_axes(b: Builder, tensor: Tensor, axes: tuple[int, ...]) -> Tensor | None:
    """What a reduction made, with sizes of 1 at these axes, if they are the ones it took away."""
    node = b.maker(tensor, "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceMean")
    if node is None or tensor.perm is not None or node.attributes["keepdims"] or node.note != axes:
        return None
    x = node.inputs[0]
    stored = tuple(int(a) for a in node.inputs[1].const)
    shape = tuple(1 if a in stored else s for a, s in enumerate(x.shape))
    return b.emit(node.op, node.inputs, shape, tensor.dtype, x.perm, axes, keepdims=1)


def divide(b: Builder, eqn: Any, one: Tensor, two: Tensor) -> Tensor:
    """A quotient, or the Softmax, ReduceMean or AveragePool that it completes."""
    found = _softmax(b, one, two)
    if found is None and two.const is not None and one.dtype.kind == "f":
        found = _mean(b, one, two.const) or _average(b, one, two.const)
    return found or b.elementwise("Div", [one, two], _rank(eqn))


def _same(*tensors: Any) -> bool:
    return len({t.name or id(t) for t in tensors}) == 1


def _softmax(b: Builder, above: Tensor, below: Tensor) -> Tensor | None:
    """exp(x - max(x)) / sum(exp(x - max(x)))."""
    exp, total = b.maker(above, "Exp"), b.maker(below, "ReduceSum")
    if exp is None or total is None or not _same(total.inputs[0], above) or above.perm != below.perm:
        return None
    less = b.maker(exp.inputs[0], "Sub")
    top = b.maker(less.inputs[1], "ReduceMax") if less is not None else None
    if less is None or top is None or not _same(top.inputs[0], less.inputs[0]):
        return None
    axes = [tuple(node.inputs[1].const.tolist()) for node in (total, top)]
    if axes[0] != axes[1] or len(axes[0]) != 1 or not (total.attributes["keepdims"] and top.attributes["keepdims"]):
        return None
    x = less.inputs[0]
    return b.emit("Softmax", [x], x.shape, x.dtype, x.perm, axis=axes[0][0])


def _mean(b: Builder, x: Tensor, count: np.ndarray) -> Tensor | None:
    """A sum divided by how many were summed."""
    node = b.maker(x, "ReduceSum")
    if node is None or count.size != 1:
        return None
    sizes = [node.inputs[0].shape[a] for a in node.inputs[1].const]
    if not all(isinstance(s, int) for s in sizes) or math.prod(sizes) != count.item():
        return None
    return b.emit("ReduceMean", node.inputs, x.shape, x.dtype, x.perm, node.note, **node.attributes)


def _average(b: Builder, x: Tensor, count: np.ndarray) -> Tensor | None:
    """The sums of windows divided by their sizes, with or without what lies outside of the array."""
    scaled = b.maker(x, "Mul")
    pool = b.maker(scaled.inputs[0], "AveragePool") if scaled is not None else None
    if scaled is None or pool is None or scaled.inputs[1].const is None:
        return None
    if count.size == 1 and count.item() == scaled.inputs[1].const.item():
        return scaled.inputs[0]
    params, sizes = pool.note
    if not all(isinstance(s, int) for s in sizes[1:-1]) or count.ndim != len(sizes):
        return None
    ones = jnp.ones((1, *sizes[1:-1], 1), x.dtype)
    real = np.asarray(lax.reduce_window_sum_p.bind(ones, **params))
    if real.shape != count.shape or not (real == count).all():
        return None
    return b.emit("AveragePool", pool.inputs, x.shape, x.dtype, x.perm, **{**pool.attributes, "count_include_pad": 0})
