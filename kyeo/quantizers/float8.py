"""Float8: products of numbers rounded to 8 bits, with scales that follow the largest values of the last steps."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.scope import current
from kyeo.dtype_policies import QuantizedFloat8DTypePolicy
from kyeo.quantizers.functions import compute_float8_amax_history, compute_float8_scale, quantize_and_dequantize

__all__ = ["Float8"]

_ROUNDED = ("inputs", "kernel", "outputs_grad")
_FORWARD, _BACKWARD = "float8_e4m3fn", "float8_e5m2"


class Float8:
    """Inputs, kernel and the gradient of the outputs are rounded to float8, each by a scale of its own.

    A scale and its history are trainable variables whose "gradient" is their next value.
    """

    mode = "float8"
    keeps_weight = True

    def saved(self, layer: Any) -> list[str]:
        """The attributes a file holds, in its order."""
        return [f"_{layer.adaptable}", "bias",
                *(f"{name}_{part}" for name in _ROUNDED for part in ("scale", "amax_history"))]

    def build(self, layer: Any, shape: tuple[int, ...]) -> None:
        """Make the scales and histories."""
        policy = layer.dtype_policy.for_path(layer.path)
        length = getattr(policy, "amax_history_length", QuantizedFloat8DTypePolicy.default_amax_history_length)
        for name in _ROUNDED:
            for part, size, start in (("scale", (), "ones"), ("amax_history", (length,), "zeros")):
                setattr(layer, f"{name}_{part}", layer.add_weight(
                    name=f"{name}_{part}", shape=size, initializer=start, dtype="float32", autocast=False,
                    overwrite_with_gradient=True))

    def quantize(self, layer: Any) -> None:
        """Add the scales to a layer that has its weights."""
        self.build(layer, ())

    def weight(self, layer: Any) -> Any:
        """The weight itself, which stays as it is."""
        return getattr(layer, f"_{layer.adaptable}")

    stored = weight

    def product(self, layer: Any, multiply: Callable[..., Any], inputs: Any, axes: Any = -1) -> Any:
        """`multiply(inputs, kernel)` with everything rounded."""
        dtype, training = layer.compute_dtype, bool(current().training)
        state = {name: (getattr(layer, f"{name}_scale").value, getattr(layer, f"{name}_amax_history").value)
                 for name in _ROUNDED}
        x = _rounded(inputs, *state["inputs"], dtype, training)
        kernel = _rounded(self.weight(layer).value, *state["kernel"], dtype, training)
        return _gradient_rounded(multiply(x, kernel), *state["outputs_grad"], dtype)


def _next(x: Any, scale: Any, history: Any, small: str) -> tuple[Any, Any]:
    """The next scale, by what was seen so far, and the history with `x` in it."""
    return (compute_float8_scale(history.max(), scale, float(jnp.finfo(small).max)),
            compute_float8_amax_history(x, history))


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _rounded(x: Any, scale: Any, history: Any, dtype: str, training: bool) -> Any:
    return quantize_and_dequantize(x, scale, _FORWARD, dtype)


def _rounded_forward(x: Any, scale: Any, history: Any, dtype: str, training: bool) -> Any:
    after = _next(x, scale, history, _FORWARD) if training else (scale, history)
    return _rounded(x, scale, history, dtype, training), after


def _rounded_backward(dtype: str, training: bool, after: Any, g: Any) -> Any:
    return g, *after


_rounded.defvjp(_rounded_forward, _rounded_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _gradient_rounded(y: Any, scale: Any, history: Any, dtype: str) -> Any:
    return y


def _gradient_forward(y: Any, scale: Any, history: Any, dtype: str) -> Any:
    return y, (scale, history)


def _gradient_backward(dtype: str, saved: Any, g: Any) -> Any:
    scale, history = saved
    return quantize_and_dequantize(g, scale, _BACKWARD, dtype), *_next(g, scale, history, _BACKWARD)


_gradient_rounded.defvjp(_gradient_forward, _gradient_backward)
