"""What a layer knows of shapes, all of it found by tracing, none by rule."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kyeo import dtype_policies
from kyeo.core.op import inferred
from kyeo.core.operation import Operation
from kyeo.core.owned import owned
from kyeo.core.scope import scope
from kyeo.core.symbolic import SymbolicTensor
from kyeo.core.variable import Variable
from kyeo.layers.call_spec import call_spec, shapes_for
from kyeo.layers.complaints import explained
from kyeo.layers.habits import sweep
from kyeo.layers.known_shapes import key_of, known, remember
from kyeo.layers.ownership import Owning

__all__ = ["Shaped", "in_own_scope", "is_shape"]


class _Takes:
    """Whether `call` has a parameter, under the name by which layers of libraries ask it of those they call; may be
    set."""

    def __init__(self, parameter: str):
        self.parameter = parameter

    def __get__(self, layer: Any, cls: type) -> Any:
        return self if layer is None else call_spec(cls).takes(self.parameter)


class Shaped(Owning, Operation):
    """The part of Layer that answers questions about shapes."""

    _call_has_mask_arg = _Takes("mask")
    _call_has_training_arg = _Takes("training")
    built: bool
    build: Any
    _build_shapes: dict[str, Any] | None

    @property
    def dtype_policy(self) -> Any:
        """The dtype policy. Given one that quantizes, or its name, a built layer is quantized."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy = dtype_policies.get(value)
        mode = policy.for_path(self.path).quantization_mode if self.__dict__.get("built") else None
        if mode is None or getattr(self, "scheme", None) is not None:
            self._dtype_policy = policy
        else:
            self.quantize(mode)  # which refuses what takes data: "gptq", "awq"

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """Put small numbers in the place of the weights."""
        raise NotImplementedError  # Layer's own

    @property
    def compute_dtype(self) -> str:
        """The number type it computes in."""
        raise NotImplementedError  # Layer's own

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any], bound: dict[str, Any], training: Any) -> Any:
        raise NotImplementedError  # Layer's own

    def _build_for(self, bound: dict[str, Any]) -> None:
        raise NotImplementedError  # Layer's own

    def _enter_path(self) -> str:
        raise NotImplementedError  # Layer's own

    # -- shapes --------------------------------------------------------------------------------------------
    def _specs(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: Any) -> Any:
        """Shapes and dtypes of the outputs; where `call` cannot be traced, those that the class states itself."""
        key = key_of(self, args, kwargs, training)
        if (specs := known(key)) is not None:
            self._enter_path()
            return specs
        spec = call_spec(type(self))
        bound = spec.bind(self, args, kwargs)
        try:
            with explained(self, bound):
                specs = inferred(lambda *a, **k: self._run(a, k, spec.bind(self, a, k), training), args, kwargs)
        except Exception:
            specs = self._stated_specs(bound)
            if specs is None:
                raise
            key = None
        sweep(self)
        if key is not None and key == key_of(self, args, kwargs, training):  # else the trace left something behind
            remember(key, specs)
        return specs

    def _stated_specs(self, bound: dict[str, Any]) -> Any:
        """What a class of the user's says of its outputs for these inputs; None where it leaves that to tracing."""
        cls = type(self)
        if cls.compute_output_spec is not Shaped.compute_output_spec:
            return self.compute_output_spec(**bound)
        if cls.compute_output_shape is Shaped.compute_output_shape:
            return None
        shapes = self.compute_output_shape(**shapes_for(cls.compute_output_shape, bound))
        return jax.tree.map(lambda shape: SymbolicTensor(tuple(shape), self.compute_dtype), shapes, is_leaf=is_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The symbolic tensors that a call on these symbolic tensors would give."""
        if not self.built:
            self._build_for({**dict(zip(call_spec(type(self)).names, args)), **kwargs})
        specs = self._specs(args, kwargs, None)
        return jax.tree.map(lambda s: SymbolicTensor(s.shape, np.dtype(s.dtype).name), specs)

    def compute_output_shape(self, *shapes: Any, **named: Any) -> Any:
        """The shape(s) of the output for input shapes, by place or in the order of their names; found by tracing
        `call`.

        >>> import kyeo
        >>> kyeo.layers.Conv1D(4, 3).compute_output_shape((None, 10, 2))
        (None, 8, 4)
        """
        def to_tensor(shape: Any) -> Any:
            return SymbolicTensor(shape, self.compute_dtype)

        args = tuple(jax.tree.map(to_tensor, s, is_leaf=is_shape) for s in (*shapes, *named.values()))
        return jax.tree.map(lambda t: t.shape, self.compute_output_spec(*args))

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes `build` was called with, for files."""
        shapes = self._build_shapes
        if shapes is None or (not shapes and next(owned(self, Variable), None) is None):
            return None  # but `build()` without a shape may have made weights: an empty dict says so
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": dict(shapes)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with what `get_build_config` gave."""
        shapes = _with_tuples(config)
        named = shapes["shapes_dict"] if "shapes_dict" in shapes else {"input_shape": shapes["input_shape"]}
        self.build(**named) if "shapes_dict" in shapes else self.build(shapes["input_shape"])
        self._build_shapes = self._build_shapes or named  # a layer without a `build` of its own keeps none


def _with_tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value) if all(v is None or isinstance(v, int) for v in value) else list(map(_with_tuples, value))
    return {k: _with_tuples(v) for k, v in value.items()} if isinstance(value, dict) else value


def is_shape(value: Any) -> bool:
    """Whether this is one shape; several shapes in a tuple or list are none."""
    return isinstance(value, (tuple, list)) and all(s is None or isinstance(s, (int, np.integer)) for s in value)


@functools.cache
def _names_of(build: Callable[..., None]) -> tuple[str, ...]:
    return tuple(inspect.signature(build).parameters)[1:]


def in_own_scope(build: Callable[..., None]) -> Callable[..., None]:
    """`build` with variable paths under the layer's own path, and `built` set after it. A layer that has its weights
    keeps them: a second `build` would make them twice."""

    @functools.wraps(build)
    def built(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.built and self._build_shapes is not None and next(owned(self, Variable), None) is not None:
            return
        with scope(path=self._enter_path(), compute_dtype=None):
            build(self, *args, **kwargs)
        self.built = True
        if self._build_shapes is None:
            self._build_shapes = {**dict(zip(_names_of(build), args)), **kwargs}

    return built
