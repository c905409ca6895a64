"""Rematerialization: less memory for more work. Values are computed again for the gradient instead of being kept.

Chen et al., 2016 (https://arxiv.org/abs/1604.06174).
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from kyeo.core.errors import one_of, positive_int, problem
from kyeo.core.scope import current, scope
from kyeo.core.scopes import Block
from kyeo.core.symbolic import any_symbolic
from kyeo.core.threaded import threaded

__all__ = ["Remat", "RematScope", "remat"]

_MODES = ("full", "activations", "larger_than", "list_of_layers", None)
_PRODUCTS = ("dot_general", "conv_general_dilated")


class Remat(NamedTuple):
    """What a RematScope asks for."""

    mode: str | None
    output_size_threshold: int
    layer_names: tuple[str, ...]

    def call(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`layer.call`, its values kept or computed again."""
        run = functools.partial(layer.call, *args, **kwargs)
        if current().symbolic or not self._means(layer, run):
            return run()
        if self.mode == "activations":  # products are kept; what follows them is cheap
            return _computed_again(run, lambda primitive, *_, **__: primitive.name in _PRODUCTS)
        return _computed_again(run)

    def _means(self, layer: Any, run: Callable[[], Any]) -> bool:
        if self.mode == "list_of_layers":
            return layer.name in self.layer_names
        if self.mode == "activations":
            return getattr(layer, "activation", None) is not None
        if self.mode == "larger_than":
            with scope(overlay=dict(current().overlay or {}), losses=[]):
                specs = jax.tree.leaves(jax.eval_shape(run))
            return sum(math.prod(spec.shape) for spec in specs) > self.output_size_threshold
        return self.mode == "full"


def _computed_again(run: Callable[[], Any], policy: Any = None) -> Any:
    return threaded(lambda wrap, values: jax.checkpoint(wrap(run), policy=policy)(values))


class RematScope(Block):
    """Layers made inside this block compute their values again for the gradient.

    Args:
        mode: which of them: "full" all; "activations" all that have an activation, but matrix products and
            convolutions are kept; "larger_than" those whose output is large; "list_of_layers" those named; None none.
        output_size_threshold: the number of elements that "larger_than" goes by.
        layer_names: the names that "list_of_layers" goes by.

    >>> import kyeo
    >>> with kyeo.RematScope("full"):
    ...     layer = kyeo.layers.Dense(2)
    >>> layer(kyeo.ops.ones((1, 3))).shape
    (1, 2)
    """

    def __init__(self, mode: str | None = "full", output_size_threshold: int = 1024,
                 layer_names: Sequence[str] | None = None):
        self.mode = one_of("RematScope", _MODES, mode=mode)
        self.output_size_threshold = positive_int("RematScope", minimum=0, output_size_threshold=output_size_threshold)
        self.layer_names = list(layer_names or [])

    def _changes(self) -> dict[str, Any]:
        wanted = Remat(self.mode, self.output_size_threshold, tuple(self.layer_names))
        return {"remat": None if self.mode is None else wanted}


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` with the values inside computed again for the gradient instead of being kept.

    >>> import jax, kyeo
    >>> float(jax.grad(kyeo.remat(lambda x: kyeo.ops.sin(x) ** 2))(0.0))
    0.0
    """
    if not callable(f):
        raise problem("`f` is not valid.", received=f"f={f!r}", expected="a function", where="remat", kind=TypeError)

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        run = functools.partial(f, *args, **kwargs)
        return run() if any_symbolic((args, kwargs)) else _computed_again(run)

    return call
