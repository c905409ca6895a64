"""CompiledStep: what JAX has compiled of one kind of step, shared by all models that are alike.

The compiled functions know no model. While one is traced it asks for the step of the model that runs it, so nothing
here keeps a model or its weights alive.
"""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kyeo.core.scope import scope

__all__ = ["Asker", "CompiledStep", "StepChanged", "running", "shared_step"]

_MOST_SHARED = 32  # kinds of steps kept for models yet to come


class StepChanged(Exception):
    """A model is not what it was when its compiled step was chosen."""


class Asker(NamedTuple):
    """Who runs a compiled step: the model's step, and what says whether the model still is as it was."""

    step: Callable[..., Any]
    unchanged: Callable[[], bool]


running: ContextVar[Asker] = ContextVar("kyeo_running_step")


def _step(state: Any, data: Any, rows: Any) -> Any:
    """Trace the step of the model that asks."""
    asker = running.get()
    with scope(row_mask=rows):
        return asker.step(state, data)


def _check() -> None:
    if not running.get().unchanged():
        raise StepChanged


class CompiledStep:
    """The compiled forms of a step: for one batch, and for many stacked ones.

    Args:
        donate: whether the state's old buffers are given up to the new.
    """

    def __init__(self, donate: bool):
        def run(state: Any, data: Any, rows: Any) -> Any:
            _check()
            return _step(state, data, rows)

        self.single = jax.jit(run, donate_argnums=0 if donate else ())
        self.per_dispatch: dict[Any, int] = {}  # by the shapes of the data
        self.started: set[str] = set()
        self._folded: dict[Any, Callable[..., Any]] = {}

    def folded(self, example: Any) -> Callable[..., Any]:
        """`count` steps in one dispatch: the batches lie stacked, a loop on the device takes them one by one.

        `example` is the output shape of one step, `(logs, state)`. For small networks the dispatch costs more than
        the step (measured: 151 us against 13 us). Not for convolutions on the CPU: XLA runs them many times slower
        inside a loop.
        """
        leaves, structure = jax.tree.flatten(example[0])
        key = structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        return self._folded.setdefault(key, _fold(example[0]))


def _fold(logs_example: Any) -> Callable[..., Any]:
    @functools.partial(jax.jit, donate_argnums=0)
    def run(state: Any, data: Any, rows: Any, count: Any) -> Any:
        _check()
        logs = jax.tree.map(lambda spec: jnp.zeros(spec.shape, spec.dtype), logs_example)

        def body(index: Any, carry: Any) -> Any:
            _, state = carry
            one_data, one_rows = jax.tree.map(
                lambda a: jax.lax.dynamic_index_in_dim(a, index, 0, keepdims=False), (data, rows))
            logs, new = _step(state, one_data, one_rows)
            leaves, structure = jax.tree.flatten(state)  # a step may give tuples for lists
            new = [jnp.asarray(n, o.dtype) for n, o in zip(jax.tree.leaves(new), leaves, strict=True)]
            return logs, jax.tree.unflatten(structure, new)

        return jax.lax.fori_loop(0, count, body, (logs, state))

    return run


_shared: OrderedDict[tuple[str, bool], CompiledStep] = OrderedDict()
_lock = threading.Lock()


def shared_step(word: str | None, donate: bool) -> CompiledStep:
    """The compiled step for models with this fingerprint; one for nobody else where there is none."""
    if word is None:
        return CompiledStep(donate)
    with _lock:
        found = _shared.pop((word, donate), None) or CompiledStep(donate)
        _shared[word, donate] = found
        while len(_shared) > _MOST_SHARED:
            _shared.popitem(last=False)
    return found
