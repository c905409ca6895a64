"""InputSpec: what a layer expects of its input, and the check that names the layer and the mend."""

from typing import Any

import jax
import numpy as np

from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import describe, problem
from kyeo.core.parameters import checked

__all__ = ["InputSpec", "check_inputs"]


def _sizes(shape: Any) -> tuple[int | None, ...]:
    sizes = tuple(shape) if isinstance(shape, (list, tuple)) else (shape,)
    if not all(size is None or (isinstance(size, (int, np.integer)) and size >= 0) for size in sizes):
        raise problem("`shape` is not valid.", received=f"shape={describe(shape)}", where="InputSpec", kind=TypeError,
                      expected="ints, None where any size will do")
    return sizes


class InputSpec:
    """What an input must look like; parts left out are not checked.

    Args:
        dtype: number type.
        shape: sizes, None where any will do.
        ndim: number of axes.
        max_ndim, min_ndim: bounds on it.
        axes: {axis: size}.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing or too much.
        name: the key of this input where inputs come as a dict.
        optional: whether None is taken.

    >>> import kyeo
    >>> class Last4(kyeo.Layer):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.input_spec = kyeo.layers.InputSpec(axes={-1: 4})
    ...     def call(self, x):
    ...         return x
    >>> Last4()(kyeo.ops.ones((2, 4))).shape
    (2, 4)
    """

    @checked
    def __init__(
        self, dtype: Any = None, shape: Any = None, ndim: int | None = None, max_ndim: int | None = None,
        min_ndim: int | None = None, axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False, name: str | None = None, optional: bool = False,
    ):
        self.dtype: str | None = dtype if dtype is None else standardize_dtype(dtype)
        self.shape: tuple[int | None, ...] | None = None if shape is None else _sizes(shape)
        self.ndim: int | None = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes: dict[int, int | None] = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze, self.name, self.optional = allow_last_axis_squeeze, name, optional

    def __repr__(self) -> str:
        parts = {k: v for k, v in vars(self).items() if v not in (None, {}, False)}
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in parts.items())})"

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {k: v for k, v in vars(self).items() if k != "ndim" or self.shape is None}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InputSpec":
        """The spec with this config."""
        return cls(**config)


def check_inputs(spec: Any, inputs: Any, owner: Any) -> None:
    """Raise where an input is not what the layer's `input_spec` says."""
    if not spec:
        return
    specs = jax.tree.leaves(spec, is_leaf=lambda s: isinstance(s, InputSpec))
    if isinstance(inputs, dict) and not any(s.name for s in specs):
        raise problem("The layer takes a tensor, not a dict.", received=f"a dict with the keys {list(inputs)}",
                      where=owner, kind=TypeError, fix="give it one of the values: x[key]")
    if isinstance(inputs, dict) and all(s.name for s in specs):
        missing = [s.name for s in specs if s.name not in inputs]
        if missing:
            raise problem("An input is missing.", received=f"inputs named {list(inputs)}", where=owner,
                          expected=f"inputs named {[s.name for s in specs]}")
        tensors = [inputs[s.name] for s in specs]
    else:
        tensors = jax.tree.leaves(inputs, is_leaf=lambda leaf: leaf is None)
    if len(tensors) != len(specs):
        numbers = any(isinstance(leaf, (int, float)) for leaf in tensors)
        raise problem("The number of inputs is wrong.", received=f"{len(tensors)} inputs", where=owner,
                      expected=f"{len(specs)}", fix="make an array of the list of numbers: np.array(x)" if numbers else
                      "layers such as Concatenate or Add make one tensor of several" if len(specs) == 1 else None)
    for one, tensor in zip(specs, tensors):
        if tensor is not None:
            if not hasattr(tensor, "shape") and not isinstance(tensor, (int, float, complex)):
                raise problem("A layer is called on tensors.", received=tensor, where=owner, kind=TypeError,
                              expected="a tensor or an array",
                              fix=f"call that on a tensor first, {type(tensor).__name__}(...)(x)"
                              if callable(tensor) and not isinstance(tensor, type) else None)
            _check_one(one, tuple(getattr(tensor, "shape", ())), owner)
        elif not one.optional:
            raise problem("An input is None.", received="None", expected="a tensor", where=owner)


def _check_one(spec: InputSpec, shape: tuple[Any, ...], owner: Any) -> None:
    ndim = len(shape)
    squeezable = spec.allow_last_axis_squeeze and spec.shape is not None
    if spec.shape is not None and squeezable and ndim != len(spec.shape):
        if ndim == len(spec.shape) + 1 and shape[-1] == 1:
            shape, ndim = shape[:-1], ndim - 1
        elif ndim == len(spec.shape) - 1 and spec.shape[-1] == 1:
            shape, ndim = (*shape, 1), ndim + 1
    wanted = None
    if spec.ndim is not None and ndim != spec.ndim:
        wanted = f"{spec.ndim} axes"
    elif spec.max_ndim is not None and ndim > spec.max_ndim:
        wanted = f"at most {spec.max_ndim} axes"
    elif spec.min_ndim is not None and ndim < spec.min_ndim:
        wanted = f"at least {spec.min_ndim} axes"
    if wanted is not None:
        raise problem("The input has the wrong number of axes.", received=f"an input of shape {_text(shape)}",
                      expected=wanted, where=owner, fix=_rank_hint(spec, ndim, owner))
    for axis, size in spec.axes.items():
        if size is not None and isinstance(shape[axis], int) and shape[axis] != size:
            raise problem("The input has the wrong size on an axis.", received=f"an input of shape {_text(shape)}",
                          expected=f"size {size} on axis {axis}", where=owner,
                          fix="the layer was built for that size; give it such inputs, or make a new layer")
    for size, have in zip(spec.shape or (), shape):
        if size is not None and isinstance(have, int) and have != size:
            raise problem("The input has the wrong shape.", received=f"an input of shape {_text(shape)}",
                          expected=f"shape {spec.shape}", where=owner)


def _text(shape: tuple[Any, ...]) -> str:
    return str(tuple(size if isinstance(size, int) else None for size in shape))


def _rank_hint(spec: InputSpec, ndim: int, owner: Any) -> str | None:
    if ndim == 2 and hasattr(owner, "return_sequences"):
        return ("a recurrent layer before this one needs return_sequences=True; or is one feature a step meant? "
                "`x[..., None]`")
    if ndim == 2 and (spec.ndim or 0) > 3:
        return ("one number for each feature has no places left: leave this layer out, or put it before Flatten and "
                "Dense; Reshape((height, width, channels)) makes pictures of rows of pixels")
    if spec.ndim == ndim + 1:
        return ("a channel axis is missing at the end, or a batch axis at the front? "
                "`x[..., None]` adds a channel axis, `x[None]` a batch axis")
    if spec.min_ndim == ndim + 1:
        return "is it one sample? `x[None]` makes a batch of it; or one feature? `x[:, None]`"
    if (spec.ndim or spec.max_ndim or ndim) < ndim:
        return "put a Flatten or a global pooling layer before this one?"
    return None
