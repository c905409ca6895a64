"""Ops that rearrange elements: reshape, join, split, select, repeat."""

import builtins
import math
from collections.abc import Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.arrays import to_array
from kyeo.core.errors import problem
from kyeo.core.op import op
from kyeo.core.scope import current
from kyeo.ops.kernels.derivative import as_one
from kyeo.ops.rows import Function, named_op, tuple_axis, unary

__all__ = [
    "append", "array_split", "broadcast_to", "concatenate", "diff", "dsplit", "dstack", "expand_dims", "flip",
    "fliplr", "flipud", "hsplit", "hstack", "moveaxis", "pad", "ravel", "repeat", "reshape", "roll", "rot90",
    "split", "squeeze", "stack", "swapaxes", "tile", "transpose", "vsplit", "vstack",
]

Many = Sequence[Any]

# By themselves JAX starts each of their operations alone: 32 x 64 numbers, us: `stack` 145 -> 58, `reshape` 67 -> 26.
_reshaped = as_one("shape")(jnp.reshape)
_transposed = as_one("axes")(jnp.transpose)
_expanded = as_one("axis")(jnp.expand_dims)
_squeezed = as_one("axis")(jnp.squeeze)
_spread = as_one("shape")(jnp.broadcast_to)
_joined = as_one("axis")(jnp.concatenate)
_stacked = as_one("axis")(jnp.stack)


def _sizes(newshape: Any, own: Sequence[Any]) -> Any:
    """A shape as a tuple with at most one -1. None, the unknown size of a symbolic tensor, counts as -1, or, beside
    a -1, as the size that x has on that axis."""
    if hasattr(newshape, "shape"):
        newshape = np.asarray(newshape).tolist()
    sizes = tuple(newshape) if np.iterable(newshape) else (newshape,)
    if None in sizes:
        stands_for = own if -1 in sizes else (-1,) * len(sizes)
        sizes = tuple(stands_for[i] if s is None and i < len(stands_for) else s for i, s in enumerate(sizes))
    numbers = [s for s in sizes if isinstance(s, (int, np.integer))]
    if builtins.any(s < -1 for s in numbers) or numbers.count(-1) > 1:
        raise problem("`newshape` is not a shape.", received=f"newshape={newshape}", where="ops.reshape",
                      expected="sizes of at least 0, and at most one -1 (or None) for what is left")
    return sizes


@op
def reshape(x: Any, newshape: Any) -> jax.Array:
    """The same elements in another shape; one size may be -1, which is what is left.

    Args:
        x: array of any shape.
        newshape: an int or a sequence of ints whose product is the number of elements.

    >>> import kyeo
    >>> kyeo.ops.reshape([1, 2, 3, 4], (2, -1)).tolist()
    [[1, 2], [3, 4]]
    """
    x = to_array(x)
    sizes = _sizes(newshape, x.shape)
    if current().symbolic and -1 in sizes and 0 not in sizes:
        rest = math.prod(s for s in sizes if s != -1)
        if jax.export.is_symbolic_dim(x.size % rest):  # whether it can be divided shows when the model runs
            return jnp.zeros([x.size // rest if s == -1 else s for s in sizes], x.dtype)
    try:
        return _reshaped(x, shape=sizes)
    except TypeError as error:  # JAX says which sizes clash, in words of its own
        if jax.export.is_symbolic_dim(x.size):
            raise
        raise problem("The elements do not fit the new shape.", received=x, where="ops.reshape",
                      expected=f"a number of elements that fills {sizes}") from error


@op
def ravel(x: Any) -> jax.Array:
    """All elements on one axis.

    >>> import kyeo
    >>> kyeo.ops.ravel([[1, 2], [3, 4]]).tolist()
    [1, 2, 3, 4]
    """
    return jnp.ravel(to_array(x))


@op
def transpose(x: Any, axes: Sequence[int] | None = None) -> jax.Array:
    """Axes in another order; reversed when None.

    >>> import kyeo
    >>> kyeo.ops.transpose([[1, 2], [3, 4]]).tolist()
    [[1, 3], [2, 4]]
    """
    return _transposed(to_array(x), axes=tuple_axis(axes))


@op
def swapaxes(x: Any, axis1: int, axis2: int) -> jax.Array:
    """Two axes exchanged.

    >>> import kyeo
    >>> kyeo.ops.swapaxes(kyeo.ops.ones((2, 3)), 0, 1).shape
    (3, 2)
    """
    return jnp.swapaxes(to_array(x), axis1, axis2)


@op
def moveaxis(x: Any, source: Any, destination: Any) -> jax.Array:
    """Axes moved to other places, the rest in order.

    >>> import kyeo
    >>> kyeo.ops.moveaxis(kyeo.ops.ones((2, 3, 4)), -1, 0).shape
    (4, 2, 3)
    """
    return jnp.moveaxis(to_array(x), source, destination)


@op
def expand_dims(x: Any, axis: Any) -> jax.Array:
    """A new axis of size 1 at `axis` (or several).

    >>> import kyeo
    >>> kyeo.ops.expand_dims([1, 2], -1).tolist()
    [[1], [2]]
    """
    return _expanded(to_array(x), axis=tuple_axis(axis))


@op
def squeeze(x: Any, axis: Any = None) -> jax.Array:
    """Axes of size 1 removed; all of them when None.

    >>> import kyeo
    >>> kyeo.ops.squeeze([[1, 2]]).tolist()
    [1, 2]
    """
    return _squeezed(to_array(x), axis=tuple_axis(axis))


@op
def broadcast_to(x: Any, shape: Sequence[int | None]) -> jax.Array:
    """x repeated without copying until it has `shape`; None in it is an unknown size that x has there.

    >>> import kyeo
    >>> kyeo.ops.broadcast_to([1, 2], (2, 2)).tolist()
    [[1, 2], [1, 2]]
    """
    x = to_array(x)
    sizes = _sizes_to_have(shape, x.shape)
    if current().symbolic and len(sizes) >= x.ndim:  # whether an unknown size can be repeated shows when the model runs
        pairs = zip(x.shape, sizes[len(sizes) - x.ndim:])
        x = jnp.zeros([to if jax.export.is_symbolic_dim(size) else size for size, to in pairs], x.dtype)
    return _spread(x, shape=tuple(sizes))


def _sizes_to_have(shape: Sequence[Any], own: tuple[Any, ...]) -> list[Any]:
    added = len(shape) - len(own)
    sizes = []
    for axis, size in enumerate(shape):
        mine = own[axis - added] if axis >= added else None
        if size is None and (mine is None or (current().symbolic and not jax.export.is_symbolic_dim(mine))):
            raise problem("A size to broadcast to is not known.", received=f"shape {own} to {tuple(shape)}",
                          expected="None only where the size of x is not known either", where="ops.broadcast_to",
                          fix="if it is the size of another tensor: x + kyeo.ops.zeros_like(other)")
        sizes.append(mine if size is None else size)
    return sizes


@op
def concatenate(xs: Many, axis: int | None = 0) -> jax.Array:
    """Arrays joined along an existing axis; each flattened before where that is None.

    Args:
        xs: arrays, alike in all sizes but that of `axis`.
        axis: the axis.

    >>> import kyeo
    >>> kyeo.ops.concatenate([[1, 2], [3]]).tolist()
    [1, 2, 3]
    """
    return _joined([to_array(x) for x in xs], axis=axis)


@op
def stack(x: Many, axis: int = 0) -> jax.Array:
    """Arrays of one shape joined along a new axis.

    >>> import kyeo
    >>> kyeo.ops.stack([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    return _stacked([to_array(part) for part in x], axis=axis)


@op
def append(x1: Any, x2: Any, axis: int | None = None) -> jax.Array:
    """x2 after x1 along `axis`; both flattened when None.

    >>> import kyeo
    >>> kyeo.ops.append([1, 2], [3]).tolist()
    [1, 2, 3]
    """
    return jnp.append(to_array(x1), to_array(x2), axis)


@op
def hstack(xs: Many) -> jax.Array:
    """Arrays joined along the second axis (the first, if they have one only).

    >>> import kyeo
    >>> kyeo.ops.hstack([[1], [2]]).tolist()
    [1, 2]
    """
    return jnp.hstack([to_array(x) for x in xs])


@op
def vstack(xs: Many) -> jax.Array:
    """Arrays joined along the first axis; vectors are rows.

    >>> import kyeo
    >>> kyeo.ops.vstack([[1], [2]]).tolist()
    [[1], [2]]
    """
    return jnp.vstack([to_array(x) for x in xs])


@op
def dstack(xs: Many) -> jax.Array:
    """Arrays joined along the third axis, which vectors and matrices get.

    >>> import kyeo
    >>> kyeo.ops.dstack([[1, 2], [3, 4]]).tolist()
    [[[1, 3], [2, 4]]]
    """
    return jnp.dstack([to_array(x) for x in xs])


@op
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """Parts of x: so many equal ones, or cut at the given indices.

    >>> import kyeo
    >>> [p.tolist() for p in kyeo.ops.split([1, 2, 3, 4], [1, 3])]
    [[1], [2, 3], [4]]
    """
    return jnp.split(to_array(x), indices_or_sections, axis)


@op
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """As `split`, but parts may differ by one.

    >>> import kyeo
    >>> [p.tolist() for p in kyeo.ops.array_split([1, 2, 3], 2)]
    [[1, 2], [3]]
    """
    return jnp.array_split(to_array(x), indices_or_sections, axis)


class Split(Protocol):
    """An op that cuts along a fixed axis."""

    def __call__(self, x: Any, indices_or_sections: Any) -> Any: ...


def _split_row(name: str, fn: Function, axis: str, x: str, result: str) -> Split:
    def row(x: Any, indices_or_sections: Any) -> Any:
        return fn(to_array(x), indices_or_sections)

    text = f"Parts along the {axis} axis: so many equal ones, or cut at the given indices."
    return named_op(row, name, text, f"{x}, 2", result, "[p.tolist() for p in {}]")


vsplit = _split_row("vsplit", jnp.vsplit, "first", "[[1], [2]]", "[[[1]], [[2]]]")
hsplit = _split_row("hsplit", jnp.hsplit, "second (of a vector, the only)", "[1, 2]", "[[1], [2]]")
dsplit = _split_row("dsplit", jnp.dsplit, "third", "[[[1, 2]]]", "[[[[1]]], [[[2]]]]")


@op
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> jax.Array:
    """x with a border.

    Args:
        x: array.
        pad_width: (before, after) for every axis, or one pair or one int for all.
        mode: "constant", "reflect", "symmetric", "edge", "wrap", ...
        constant_values: what a constant border holds; 0 when None.

    >>> import kyeo
    >>> kyeo.ops.pad([1, 2], (1, 2)).tolist()
    [0, 1, 2, 0, 0]
    """
    if constant_values is not None and mode != "constant":
        raise problem("Only a constant border has `constant_values`.", where="ops.pad",
                      received=f"mode={mode!r}, constant_values={constant_values!r}",
                      expected='mode="constant"')
    more = {} if constant_values is None else {"constant_values": constant_values}
    return jnp.pad(to_array(x), pad_width, mode, **more)


@op
def tile(x: Any, repeats: Any) -> jax.Array:
    """The whole of x repeated along each axis.

    >>> import kyeo
    >>> kyeo.ops.tile([1, 2], 2).tolist()
    [1, 2, 1, 2]
    """
    return jnp.tile(to_array(x), repeats)


@op
def repeat(x: Any, repeats: Any, axis: int | None = None) -> jax.Array:
    """Each element repeated; x is flattened when `axis` is None.

    >>> import kyeo
    >>> kyeo.ops.repeat([1, 2], 2).tolist()
    [1, 1, 2, 2]
    """
    x, repeats = to_array(x), np.asarray(repeats) if isinstance(repeats, (list, tuple)) else repeats
    size = x.size if axis is None else x.shape[axis]
    if current().symbolic and np.size(repeats) > 1 and jax.export.is_symbolic_dim(size):
        return jnp.ravel(x) if axis is None else x  # whether it fits shows when the model runs
    return jnp.repeat(x, repeats, axis)


@op
def flip(x: Any, axis: Any = None) -> jax.Array:
    """Order reversed along `axis`; along all when None.

    >>> import kyeo
    >>> kyeo.ops.flip([1, 2, 3]).tolist()
    [3, 2, 1]
    """
    return jnp.flip(to_array(x), tuple_axis(axis))


flipud = unary("flipud", jnp.flipud, "Order of the first axis reversed.", "[1, 2, 3]", "[3, 2, 1]")
fliplr = unary("fliplr", jnp.fliplr, "Order of the second axis reversed.", "[[1, 2, 3]]", "[[3, 2, 1]]")


@op
def roll(x: Any, shift: Any, axis: Any = None) -> jax.Array:
    """Elements moved on by `shift`, those that fall off coming in again at the other end.

    >>> import kyeo
    >>> kyeo.ops.roll([1, 2, 3], 1).tolist()
    [3, 1, 2]
    """
    return jnp.roll(to_array(x), tuple_axis(shift), tuple_axis(axis))


@op
def rot90(array: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> jax.Array:
    """Turned by k times 90 degrees in the plane of two axes.

    >>> import kyeo
    >>> kyeo.ops.rot90([[1, 2], [3, 4]]).tolist()
    [[2, 4], [1, 3]]
    """
    x = to_array(array)
    if x.ndim < 2 or len(axes) != 2 or axes[0] == axes[1]:
        raise problem("A turn needs two different axes.", where="ops.rot90",
                      received=f"shape {x.shape}, axes={axes}",
                      expected="an array of at least two axes, and two of them")
    return jnp.rot90(x, k, (axes[0], axes[1]))


@op
def diff(a: Any, n: int = 1, axis: int = -1) -> jax.Array:
    """Differences of neighbours along `axis`, n times over.

    >>> import kyeo
    >>> kyeo.ops.diff([1, 4, 9]).tolist()
    [3, 5]
    """
    return jnp.diff(to_array(a), n, axis)
