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
from kyeo.ops.kernels import onednn

__all__ = ["Asker", "CompiledStep", "StepChanged", "running", "shared_step"]

_MOST_SHARED = 32  # kinds of steps kept for models yet to come


class StepChanged(Exception):
    """A model is not what it was when its compiled step was chosen."""


class Asker(NamedTuple):
    """Who runs a compiled step: the model's step, and what says whether the model still is as it was."""

    step: Callable[..., Any]
    unchanged: Callable[[], bool]


running: ContextVar[Asker] = ContextVar("kyeo_running_step")


def _step(state: Any, data: Any, rows: Any, by_onednn: bool = False) -> Any:
    """Trace the step of the model that asks."""
    with scope(row_mask=rows, onednn=by_onednn):
        return running.get().step(state, data)


def _whole(donated: Any, kept: Any) -> list[Any]:
    """The parts of the state in order, once it is clear that the right step is about to be traced."""
    if not running.get().unchanged():
        raise StepChanged
    return [*donated, *kept]


def _one(by_onednn: bool, donated: Any, kept: Any, data: Any, rows: Any) -> Any:
    """One step; what is kept and unchanged comes back as None."""
    result, new = _step(_whole(donated, kept), data, rows, by_onednn)
    changed = [[None if after is before else after for before, after in zip(old, group, strict=True)]
               for old, group in zip(kept, new[len(donated):], strict=True)]
    return result, [*new[:len(donated)], *changed]


class CompiledStep:
    """The compiled forms of a step: for one batch, and for many stacked ones.

    Both take the state in two parts: old buffers of the first are given up to the new, those of the second (small
    ones, which others may hold) are kept. Of these the new state holds None for what the step left as it was: XLA
    would copy each into an output (measured: 75 us of the 480 us of `predict` of one image).
    """

    def __init__(self) -> None:
        self.single = jax.jit(functools.partial(_one, False), donate_argnums=0)
        self.small = jax.jit(
            functools.partial(_one, False), donate_argnums=0, compiler_options=onednn.few_rows_options())
        self.costs: dict[Any, tuple[float, bool, Any]] = {}  # and what a step gives, by the shapes of the data
        self.started: set[tuple[int, ...]] = set()  # shapes of data that it ran on
        self._folded: dict[Any, Callable[..., Any]] = {}

    @functools.cached_property
    def long(self) -> Callable[..., Any]:
        """One step for a training that is long enough: with oneDNN, whose programs JAX cannot keep on disk."""
        options = onednn.compiler_options()
        return jax.jit(functools.partial(_one, bool(options)), donate_argnums=0, compiler_options=options)

    def folded(self, example: Any) -> Callable[..., Any]:
        """`count` steps in one dispatch: the batches lie stacked, a loop on the device takes them one by one.

        `example` is the output shape of one step, `(logs, state)`. For small networks the dispatch costs more than
        the step (measured: 151 us against 13 us). Not for convolutions on the CPU: XLA runs them many times slower
        inside a loop.
        """
        leaves, structure = jax.tree.flatten(example[0])
        key = structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if key not in self._folded:
            self._folded[key] = _fold(example[0])
        return self._folded[key]


def _fold(logs_example: Any) -> Callable[..., Any]:
    @functools.partial(jax.jit, donate_argnums=0)
    def run(donated: Any, kept: Any, data: Any, rows: Any, count: Any) -> Any:
        state = _whole(donated, kept)
        logs = jax.tree.map(lambda spec: jnp.zeros(spec.shape, spec.dtype), logs_example)

        def body(index: Any, carry: Any) -> Any:
            _, state = carry
            one_data, one_rows = jax.tree.map(
                lambda a: jax.lax.dynamic_index_in_dim(a, index, 0, False, allow_negative_indices=False), (data, rows))
            logs, new = _step(state, one_data, one_rows)
            leaves, structure = jax.tree.flatten(state)  # a step may give tuples for lists
            new = [jnp.asarray(n, o.dtype) for n, o in zip(jax.tree.leaves(new), leaves, strict=True)]
            return logs, jax.tree.unflatten(structure, new)

        return jax.lax.fori_loop(0, count, body, (logs, state))

    return run


_shared: OrderedDict[str, CompiledStep] = OrderedDict()
_lock = threading.Lock()


def shared_step(word: str | None) -> CompiledStep:
    """The compiled step for models with this fingerprint; one for nobody else where there is none."""
    if word is None:
        return CompiledStep()
    with _lock:
        found = _shared.pop(word, None) or CompiledStep()
        _shared[word] = found
        while len(_shared) > _MOST_SHARED:
            _shared.popitem(last=False)
    return found
