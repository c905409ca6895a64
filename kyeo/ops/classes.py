"""Ops on classes: hot encodings and crossentropies. And attention, which weighs by a softmax."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import nn

from kyeo.core.arrays import to_array
from kyeo.core.dtypes import array_dtype, is_float, widened
from kyeo.core.errors import no_more, positive_int, problem
from kyeo.core.op import op
from kyeo.core.settings import settings
from kyeo.ops.agree import agreed, with_size
from kyeo.ops.kernels import as_one, attend, on_cpu
from kyeo.ops.kernels.sigmoid import log_sigmoids

__all__ = [
    "binary_crossentropy", "categorical_crossentropy", "dot_product_attention", "multi_hot", "one_hot",
    "sparse_categorical_crossentropy",
]


def _dense(where: str, sparse: bool) -> None:
    if sparse:
        raise problem("Sparse tensors are not supported.", received="sparse=True", expected="sparse=False",
                      where=where)


@op
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> jax.Array:
    """1 at the place of each class number on a new axis, else 0; numbers that are no class give zeros.

    Args:
        x: class numbers, from 0, of any shape.
        num_classes: the size of the new axis.
        axis: where the new axis is in the result; -1 is the last.
        dtype: of the result; `floatx()` when None.
        sparse: only False is possible.

    >>> import kyeo
    >>> kyeo.ops.one_hot([0, 2, 0.5], 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    _dense("ops.one_hot", sparse)
    num_classes = positive_int("ops.one_hot", num_classes=num_classes)
    return _ones_at(to_array(x), num_classes, axis, array_dtype(dtype))


@as_one(1, 2, 3)
def _ones_at(x: jax.Array, num_classes: int, axis: int, dtype: Any) -> jax.Array:
    if jnp.issubdtype(x.dtype, jnp.floating):
        x = jnp.where(x == jnp.floor(x), x, -1)  # a fraction is no class
    if x.dtype.itemsize < 4 or not jnp.issubdtype(x.dtype, jnp.integer):  # JAX counts the classes in the type of x
        x = x.astype("int32")
    return nn.one_hot(x, num_classes, axis=axis, dtype=array_dtype(dtype))


@op
def multi_hot(
    inputs: Any, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False, **kwargs: Any,
) -> jax.Array:
    """1 at the place of every class number of a row, else 0. `num_tokens` is an old name of `num_classes`.

    >>> import kyeo
    >>> kyeo.ops.multi_hot([[0, 2], [1, 1]], 3).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    _dense("ops.multi_hot", sparse)
    num_classes = kwargs.pop("num_tokens", None) if num_classes is None else num_classes
    no_more("ops.multi_hot", kwargs)
    x = to_array(inputs).astype("int32")
    number = positive_int("ops.multi_hot", num_classes=num_classes)
    hot = nn.one_hot(x, number, axis=axis, dtype=array_dtype(dtype))
    return jnp.max(hot, axis=1 if x.ndim > 1 else 0)


def _same(where: str, target: jax.Array, output: jax.Array, wanted: tuple[int, ...], axes: int = 1) -> None:
    if target.shape != wanted or output.ndim < axes:
        raise problem("Targets and outputs must have matching shapes.", where=where,
                      received=f"target of shape {target.shape}, output of shape {output.shape}",
                      expected=f"a target of shape {wanted}" if output.ndim >= axes else "an axis of classes")


def _clipped(x: jax.Array) -> jax.Array:
    return jnp.clip(x, settings.epsilon, 1 - settings.epsilon)


def _rounded(values: jax.Array, target: jax.Array, output: jax.Array) -> jax.Array:
    return values.astype(jnp.promote_types(target.dtype, output.dtype)) if is_float(output.dtype) else values


def _log_probabilities(output: jax.Array, from_logits: bool, axis: int) -> jax.Array:
    output = output.astype(widened(output.dtype))  # in half precision 1 - epsilon is 1
    if from_logits:
        return nn.log_softmax(output, axis)
    return jnp.log(_clipped(output / jnp.sum(output, axis, keepdims=True)))


@op
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1,
) -> jax.Array:
    """-sum(target * log(output)) along `axis`: how surprised `output` is by the true probabilities.

    Args:
        target: probabilities, often one-hot, of the shape of `output`.
        output: probabilities (made to sum to 1), or logits.
        from_logits: whether softmax is still to be applied.
        axis: where the classes lie.

    >>> import kyeo
    >>> kyeo.ops.categorical_crossentropy([[0.0, 1.0]], [[0.0, 100.0]], from_logits=True).tolist()
    [-0.0]
    """
    target, output = to_array(target), to_array(output)
    _same("ops.categorical_crossentropy", target, output, output.shape)
    values = -jnp.sum(target * _log_probabilities(output, from_logits, axis), axis)
    return _rounded(values, target, output)


@op
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1,
) -> jax.Array:
    """-log(output[target]): as `categorical_crossentropy`, but the targets are class numbers.

    A last axis of size 1 of the target is ignored.

    >>> import kyeo
    >>> kyeo.ops.sparse_categorical_crossentropy([1], [[0.0, 100.0]], from_logits=True).tolist()
    [-0.0]
    """
    target, output = to_array(target).astype("int32"), to_array(output)
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = jnp.squeeze(target, -1)
    _same("ops.sparse_categorical_crossentropy", target, output, output.shape[:-1])
    log_probabilities = _log_probabilities(output, from_logits, axis)
    return -jnp.sum(nn.one_hot(target, output.shape[axis], axis=axis) * log_probabilities, axis)


@op
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> jax.Array:
    """-(target log(output) + (1 - target) log(1 - output)), element by element.

    >>> import kyeo
    >>> kyeo.ops.binary_crossentropy([1.0], [100.0], from_logits=True).tolist()
    [0.0]
    """
    target, output = to_array(target), to_array(output)
    _same("ops.binary_crossentropy", target, output, output.shape, 0)
    wide = output.astype(widened(output.dtype))
    if from_logits:
        yes, no = log_sigmoids(wide)
    else:
        wide = _clipped(wide)
        yes, no = jnp.log(wide), jnp.log(1.0 - wide)
    return _rounded(-(target * yes) - (1.0 - target) * no, target, output)


@op
def dot_product_attention(
    query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, scale: float | None = None,
    is_causal: bool = False, flash_attention: bool | None = None, attn_logits_soft_cap: float | None = None,
) -> jax.Array:
    """softmax(query key^T * scale + bias) value, over the last but two axes.

    Args:
        query: shape (batch, target length, heads, size).
        key, value: shape (batch, source length, heads or a divisor of them, size).
        bias: added to the logits; broadcasts to (batch, heads, target length, source length).
        mask: True where a target may look at a source; broadcasts as `bias`.
        scale: 1 / sqrt(size) when None.
        is_causal: no target looks at later sources.
        flash_attention: True asks for cuDNN's kernel, which is an error without such a GPU.
        attn_logits_soft_cap: not supported.

    Vaswani et al., 2017 (https://arxiv.org/abs/1706.03762).

    >>> import kyeo
    >>> x = kyeo.ops.ones((1, 4, 2, 8))
    >>> kyeo.ops.dot_product_attention(x, x, x).shape
    (1, 4, 2, 8)
    """
    where = "ops.dot_product_attention"
    query, key, value = map(to_array, (query, key, value))
    if not query.ndim == key.ndim == value.ndim == 4:
        raise problem("Attention takes (batch, length, heads, size).", where=where, expected="4 axes each",
                      received=f"query {query.shape}, key {key.shape}, value {value.shape}")
    if attn_logits_soft_cap is not None:
        raise problem("A soft cap of the logits is not supported.", where=where, expected="None",
                      received=f"attn_logits_soft_cap={attn_logits_soft_cap}")
    dtype = jnp.result_type(query, key, value)
    query, key, value = (x.astype(dtype) for x in (query, key, value))
    mask, bias = (None if x is None else to_array(x) for x in (mask, bias))
    query, key, value, mask, bias = _of_one_size(query, key, value, mask, bias)
    mask = None if mask is None else mask.astype(bool)
    if bias is None and not flash_attention and dtype == "float32" and on_cpu():
        return _attend(query, key, value, mask, is_causal, scale)
    bias = None if bias is None else bias.astype(dtype)
    return nn.dot_product_attention(query, key, value, bias, mask, scale=scale, is_causal=is_causal,
                                    implementation="cudnn" if flash_attention else "xla")


def _of_one_size(*arrays: Any) -> Any:
    """Query, key, value and, where given, mask and bias, with the sizes that one of them knows of another."""
    given = [x for x in arrays if x is not None]
    of_value = "bsgv" if arrays[-1] is None else "bsgd"  # JAX's form, which takes the bias, knows but one size
    labels = [axes[-x.ndim:] for axes, x in zip(("bthd", "bsgd", of_value, "bhts", "bhts"), arrays) if x is not None]
    sized = iter(agreed(labels, *given))
    all_of_them: Any = [None if x is None else next(sized) for x in arrays]
    query, key, value, mask, bias = all_of_them
    if not isinstance(query.shape[2], int):  # it may be any multiple of the heads of the keys
        key, value = (with_size(x, 2, query.shape[2]) for x in (key, value))
    return query, key, value, mask, bias


def _attend(query: Any, key: Any, value: Any, mask: Any, causal: bool, scale: float | None) -> jax.Array:
    """The same by the kernel of the layers, which is faster on a CPU."""
    masks = [] if mask is None else [mask]
    if causal:
        masks.append(jnp.tril(jnp.ones((query.shape[1], key.shape[1]), bool)))
    return attend(query, key, value, mask=functools.reduce(jnp.logical_and, masks) if masks else None, scale=scale,
                  wanted=False)[0]
