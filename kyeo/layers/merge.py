"""Layers that make one tensor of several, and their functional forms."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from kyeo import ops
from kyeo.core.errors import boolean, describe, problem
from kyeo.core.plain import plainly
from kyeo.core.settings import settings
from kyeo.core.symbolic import SymbolicTensor
from kyeo.layers.call_spec import shape_of
from kyeo.layers.layer import Layer
from kyeo.ops.kernels import at_unit_length, maximum, minimum

__all__ = [
    "Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract", "add", "average",
    "concatenate", "dot", "maximum", "minimum", "multiply", "subtract",
]


Group = list[tuple[int, int]]


def _sizes(shapes: Any, group: Group, stretches: bool) -> set[int]:
    """The known sizes in a group of axes that are to be alike."""
    return {shapes[which][axis] for which, axis in group} - ({None, 1} if stretches else {None})


class _Merge(Layer):
    """Something made of a list of tensors of the same batch size."""

    exactly: int | None = None  # how many tensors, where that is fixed
    stretches = False  # whether an axis of size 1 fits any other
    rule = ""  # how sizes must agree

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    @plainly
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.built:  # else `build` looks: the rows of one array are no inputs either
            inputs = args[0] if args else kwargs.get("inputs")
            self._check_list(shape_of(inputs))
        return super().__call__(*args, **kwargs)

    def _check_list(self, input_shape: Any) -> None:
        good = isinstance(input_shape, (list, tuple)) and all(isinstance(s, (list, tuple)) for s in input_shape)
        if not good or not input_shape or (self.exactly and len(input_shape) != self.exactly):
            raise problem("The layer takes a list of tensors.", received=f"input of shape {input_shape}", where=self,
                          expected=f"a list of {f'{self.exactly} tensors' if self.exactly else 'tensors'}",
                          fix="call it on [x, y]")

    def build(self, input_shape: Any) -> None:
        """Check the shapes."""
        self._check_list(input_shape)
        shapes = [tuple(s) for s in input_shape]
        if any(len(_sizes(shapes, group, self.stretches)) > 1 for group in self.alike(shapes)):
            raise self.misfit(shapes, self.rule)

    def alike(self, shapes: list[tuple[Any, ...]]) -> list[Group]:
        """The groups of axes (input, axis) that must have the same size."""
        raise NotImplementedError

    def misfit(self, shapes: Any, expected: str) -> Exception:
        """The complaint about inputs that do not fit together."""
        return problem("These inputs cannot be merged.", received=f"inputs of shapes {shapes}", expected=expected,
                       where=self)

    def _specs(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: Any) -> Any:
        """Where one input knows a size and another does not, they are the same."""
        inputs = args[0] if args else kwargs["inputs"]
        shapes = [list(x.shape) for x in inputs]
        for group in self.alike([tuple(s) for s in shapes]):
            known = _sizes(shapes, group, self.stretches)
            for which, axis in group:
                if shapes[which][axis] is None and known:
                    shapes[which][axis] = min(known)
        inputs = [SymbolicTensor(s, x.dtype) if isinstance(x, SymbolicTensor) else x for s, x in zip(shapes, inputs)]
        rest = {k: v for k, v in kwargs.items() if k != "inputs"}
        return super()._specs((inputs, *args[1:]), rest, training)

    def _check_masks(self, inputs: Any, mask: Any) -> None:
        lists = isinstance(inputs, (list, tuple)) and isinstance(mask, (list, tuple))
        if mask is not None and (not lists or len(inputs) != len(mask)):
            raise problem("There is a mask, or None, for each input.", where=self, expected="two lists of one length",
                          received=f"inputs={describe(inputs)}, mask={describe(mask)}")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """A step counts where it counts in any input; None where an input has no mask."""
        self._check_masks(inputs, mask)
        if mask is None or any(m is None for m in mask):
            return None
        return functools.reduce(ops.logical_or, mask)


class _Elementwise(_Merge):
    """A tensor of fewer axes counts as one of size 1 on those after the batch."""

    stretches = True
    rule = "the same size, or 1, on each axis"

    def alike(self, shapes: list[tuple[Any, ...]]) -> list[Group]:
        """The batch axes, and the others counted from the last."""
        longest = max(map(len, shapes))
        if not all(shapes):
            raise self.misfit(shapes, "tensors with a batch axis")
        after = [[(i, axis) for i, s in enumerate(shapes) if len(s) > -axis] for axis in range(1 - longest, 0)]
        return [[(i, 0) for i in range(len(shapes))], *after]

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The inputs made into one, element by element."""
        longest = max(x.ndim for x in inputs)
        masks = [m if m is None else m[..., None] for m in (mask or [None] * len(inputs))]
        aligned = [x if x.ndim == longest else
                   jnp.reshape(x, (x.shape[0], *(1,) * (longest - x.ndim), *x.shape[1:])) for x in inputs]
        own = getattr(self, "_merge_function", None)  # Keras's name for it, in a class of a library's
        return self.merge(aligned, masks) if own is None else own(aligned)

    def merge(self, inputs: list[Any], masks: list[Any]) -> Any:
        """The result for inputs of as many axes each; masks have a last axis of size 1."""
        raise NotImplementedError


class Add(_Elementwise):
    """The sum of the inputs.

    >>> import kyeo
    >>> kyeo.layers.Add()([kyeo.ops.array([[1.0]]), kyeo.ops.array([[2.0]])]).tolist()
    [[3.0]]
    """

    def merge(self, inputs: list[Any], masks: list[Any]) -> Any:
        """The sum."""
        return functools.reduce(jnp.add, inputs)


class Subtract(_Elementwise):
    """The first of two inputs minus the second.

    >>> import kyeo
    >>> kyeo.layers.Subtract()([kyeo.ops.array([[1.0]]), kyeo.ops.array([[2.0]])]).tolist()
    [[-1.0]]
    """

    exactly = 2

    def merge(self, inputs: list[Any], masks: list[Any]) -> Any:
        """The difference."""
        return jnp.subtract(*inputs)


class Average(_Elementwise):
    """The mean of the inputs.

    >>> import kyeo
    >>> kyeo.layers.Average()([kyeo.ops.array([[1.0]]), kyeo.ops.array([[2.0]])]).tolist()
    [[1.5]]
    """

    def merge(self, inputs: list[Any], masks: list[Any]) -> Any:
        """The mean."""
        return functools.reduce(jnp.add, inputs) / len(inputs)


class Multiply(_Elementwise):
    """The product of the inputs; a step that a mask leaves out counts as 1.

    >>> import kyeo
    >>> kyeo.layers.Multiply()([kyeo.ops.array([[3.0]]), kyeo.ops.array([[2.0]])]).tolist()
    [[6.0]]
    """

    def merge(self, inputs: list[Any], masks: list[Any]) -> Any:
        """The product."""
        factors = [x if m is None else jnp.where(m, x, jnp.ones((), x.dtype)) for x, m in zip(inputs, masks)]
        product = functools.reduce(jnp.multiply, factors)
        if any(m is None for m in masks):
            return product
        return jnp.where(functools.reduce(jnp.logical_or, masks), product, jnp.zeros((), product.dtype))


class _Extreme(_Elementwise):
    choose: Any

    def merge(self, inputs: list[Any], masks: list[Any]) -> Any:
        """The chosen elements; what a mask leaves out is not chosen where another input has something."""
        (result, known), *others = zip(inputs, masks)
        for x, mask in others:
            x = x if mask is None else jnp.where(mask, x, result)
            result = result if known is None else jnp.where(known, result, x)
            known = None if known is None or mask is None else known | mask
            result = self.choose(result, x)
        return result


class Maximum(_Extreme):
    """The largest of the inputs, element by element.

    >>> import kyeo
    >>> kyeo.layers.Maximum()([kyeo.ops.array([[3.0]]), kyeo.ops.array([[2.0]])]).tolist()
    [[3.0]]
    """

    choose = staticmethod(maximum)


class Minimum(_Extreme):
    """The smallest of the inputs, element by element.

    >>> import kyeo
    >>> kyeo.layers.Minimum()([kyeo.ops.array([[3.0]]), kyeo.ops.array([[2.0]])]).tolist()
    [[2.0]]
    """

    choose = staticmethod(minimum)


class Concatenate(_Merge):
    """The inputs one after another along an axis.

    Args:
        axis: the axis; the batch counts as 0.

    >>> import kyeo
    >>> kyeo.layers.Concatenate()([kyeo.ops.ones((2, 3)), kyeo.ops.ones((2, 4))]).shape
    (2, 7)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(axis, int) or isinstance(axis, bool):
            raise problem("`axis` is not valid.", received=f"axis={describe(axis)}", expected="an int", where=self,
                          kind=TypeError)
        self.axis = axis
        self.rule = f"the same sizes on all axes but {axis}"

    def alike(self, shapes: list[tuple[Any, ...]]) -> list[Group]:
        """All axes but the one."""
        ndim = len(shapes[0])
        if not -ndim <= self.axis < ndim or any(len(s) != ndim for s in shapes):
            raise self.misfit(shapes, f"the same number of axes, with an axis {self.axis}")
        self.mixes_rows = self.axis % ndim == 0
        return [[(i, axis) for i in range(len(shapes))] for axis in range(ndim) if axis != self.axis % ndim]

    def call(self, inputs: Any) -> Any:
        """The joined inputs."""
        return jnp.concatenate(inputs, axis=self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks, joined like the inputs; an input without one counts everywhere."""
        self._check_masks(inputs, mask)
        if mask is None or all(m is None for m in mask):
            return None
        whole = []
        for x, real in zip(inputs, mask):
            if real is None:
                real = ops.ones_like(x, dtype="bool")
            elif real.ndim < x.ndim:
                real = ops.logical_or(ops.expand_dims(real, -1), ops.zeros_like(x, dtype="bool"))
            whole.append(real)
        return ops.any(ops.concatenate(whole, axis=self.axis), axis=-1)


class Dot(_Merge):
    """Sums of products along one axis of each of two inputs, for each sample.

    Args:
        axes: the axis to sum along, or one for each input; the batch counts as 0 and cannot be one of them.
        normalize: whether the inputs are scaled to length 1 along their axes first: cosines of angles.

    >>> import kyeo
    >>> kyeo.layers.Dot(axes=(2, 1))([kyeo.ops.ones((2, 4, 3)), kyeo.ops.ones((2, 3))]).shape
    (2, 4)
    """

    exactly = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        values = axes if isinstance(axes, (list, tuple)) else (axes, axes)
        if len(values) != 2 or not all(isinstance(a, int) and not isinstance(a, bool) for a in values):
            raise problem("`axes` is not valid.", received=f"axes={describe(axes)}", expected="an int or two ints",
                          where=self, kind=ValueError if isinstance(axes, (list, tuple)) else TypeError)
        self.axes = axes
        self.normalize = boolean(self, normalize=normalize)

    def _axes(self, *ndims: int) -> list[int]:
        values = self.axes if isinstance(self.axes, (list, tuple)) else (self.axes, self.axes)
        return [axis + ndim if axis < 0 else axis for axis, ndim in zip(values, ndims)]

    def alike(self, shapes: list[tuple[Any, ...]]) -> list[Group]:
        """The batch axes, and the two that are summed along."""
        a, b = self._axes(*map(len, shapes))
        if not (0 < a < len(shapes[0]) and 0 < b < len(shapes[1])):
            raise self.misfit(shapes, f"inputs in which axes={self.axes} are axes after the batch")
        self.rule = f"the same size on axis {a} of the first and axis {b} of the second"
        return [[(0, 0), (1, 0)], [(0, a), (1, b)]]

    def call(self, inputs: Any) -> Any:
        """The sums, shape (batch, rest of the first, rest of the second)."""
        x, y = inputs
        a, b = self._axes(x.ndim, y.ndim)
        if self.normalize:
            x, y = (at_unit_length(one, axis, 1.0 / settings.epsilon) for one, axis in ((x, a), (y, b)))
        x_labels, y_labels = list(range(x.ndim)), [0, *range(x.ndim, x.ndim + y.ndim - 1)]
        y_labels[b] = a
        rest = [label for label in (*x_labels[1:], *y_labels[1:]) if label != a]
        products = jnp.einsum(x, x_labels, y, y_labels, [0, *rest])
        return products if rest else products[:, None]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None."""
        return None


def _functional(cls: type[_Merge]) -> Callable[..., Any]:
    def merge(inputs: Any, **kwargs: Any) -> Any:
        return cls(**kwargs)(inputs)

    merge.__name__ = merge.__qualname__ = cls.__name__.lower()
    merge.__doc__ = f"""The functional form of `{cls.__name__}`: `{cls.__name__}(**kwargs)(inputs)`.

    >>> import kyeo
    >>> kyeo.layers.{merge.__name__}([kyeo.ops.ones((2, 3)), kyeo.ops.ones((2, 3))]).shape
    (2, 3)
    """
    return merge


add, subtract, multiply = map(_functional, (Add, Subtract, Multiply))
average, maximum, minimum = map(_functional, (Average, Maximum, Minimum))


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """The functional form of `Concatenate`.

    >>> import kyeo
    >>> kyeo.layers.concatenate([kyeo.ops.ones((2, 3)), kyeo.ops.ones((2, 4))]).shape
    (2, 7)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """The functional form of `Dot`.

    >>> import kyeo
    >>> kyeo.layers.dot([kyeo.ops.ones((2, 3)), kyeo.ops.ones((2, 3))]).tolist()
    [[3.0], [3.0]]
    """
    return Dot(axes=axes, **kwargs)(inputs)
