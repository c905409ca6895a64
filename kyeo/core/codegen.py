"""How XLA makes machine code for a CPU: how far it optimizes, and what becomes one kernel.

XLA makes a kernel of each group of operations that it fuses, and a module for LLVM of each kernel: 10 to 20 ms of a
processor, of which a first `fit` takes most of its time.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental import xla_metadata

__all__ = ["in_one_kernel", "quick"]


def quick(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Options to compile a program with, and the one for LLVM's first level of optimization; `options` elsewhere than
    on a CPU.

    The levels above it cost a sixth of the time to compile, and gain nothing: they unroll loops that are vectors
    already. Measured on two cores of an Intel Xeon, processes in turns, XLA's own level -> this: start to the end of
    ten steps of the tutorial's CNN 2.11 -> 1.87 s (XLA 0.88 -> 0.73); ms a step of `lstm` 5.76 -> 5.34, `tiny_mlp`
    0.0154 -> 0.0132, `cnn_32` 17.1 -> 16.7, `mnist_mlp` 2.63 -> 2.57, `transformer` 34.7 -> 35.0.
    """
    return {**(options or {}), "xla_backend_optimization_level": 1} if _on_cpu() else options or {}


def in_one_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A traced function of arrays, made one kernel by XLA on a CPU, whatever is in it; elsewhere the function.

    It runs on one thread, so its arrays should be small. What XLA does not take from this it compiles as it would.
    """
    call = getattr(xla_metadata, "xla_metadata_call", None)  # JAX 0.10 has none
    if call is None or not _on_cpu():
        return function
    return call(function, inlineable=False, xla_cpu_small_call=True)


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"
