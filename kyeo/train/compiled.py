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

from kyeo.core.codegen import quick
from kyeo.core.compile_cache import unwritten
from kyeo.core.scope import scope
from kyeo.ops.kernels import onednn
from kyeo.train.cost import Cost

__all__ = ["Asker", "CompiledStep", "StepChanged", "running", "shared_step"]

_MOST_SHARED = 32  # kinds of steps kept for models yet to come


class StepChanged(Exception):
    """A model is not what it was when its compiled step was chosen."""


class Asker(NamedTuple):
    """Who runs a compiled step: the model's step, and what says whether the model still is as it was."""

    step: Callable[..., Any]
    unchanged: Callable[[], bool]


running: ContextVar[Asker] = ContextVar("kyeo_running_step")


def _step(state: Any, data: Any, rows: Any, by_onednn: bool = False, looped: bool = False) -> Any:
    """Trace the step of the model that asks."""
    with scope(row_mask=rows, onednn=by_onednn, looped=looped):
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


def _one_looped(state: Any, data: Any, rows: Any) -> Any:
    """One step of a loop."""
    return _step(_whole([], state), data, rows, looped=True)


def _outputs(kept: Any, data: Any) -> Any:
    """What one step of a prediction gives."""
    return _step(_whole([], kept), data, None)[0]


def _with_onednn(options: dict[str, Any]) -> Any:
    return jax.jit(functools.partial(_one, bool(options)), donate_argnums=0, compiler_options=quick(options))


def _unwritten(step: Callable[..., Any]) -> Callable[..., Any]:
    """The step, never written into JAX's cache where oneDNN is in it."""
    known: set[Any] = set()  # data that it was compiled for

    def run(donated: Any, kept: Any, data: Any, rows: Any) -> Any:
        leaves, structure = jax.tree.flatten((data, rows))
        key = structure, *((leaf.shape, leaf.dtype) for leaf in leaves)
        if key in known:
            return step(donated, kept, data, rows)
        with unwritten():
            result = step(donated, kept, data, rows)
        known.add(key)
        return result

    return run if onednn.compiler_options() else step


class CompiledStep:
    """The compiled forms of a step: for one batch, and for many stacked ones.

    Both take the state in two parts: old buffers of the first are given up to the new, those of the second (small
    ones, which others may hold) are kept. Of these the new state holds None for what the step left as it was: XLA
    would copy each into an output (measured: 75 us of the 480 us of `predict` of one image).
    """

    def __init__(self) -> None:
        self.single = jax.jit(functools.partial(_one, False), donate_argnums=0, compiler_options=quick())
        # Of a few rows, without a new state: one of nothing but None is 8 of 480 us of the tutorial's CNN. A function
        # of its own (`partial`), since JAX shares what it traced and compiled among those that run the same.
        self.outputs = jax.jit(functools.partial(_outputs), compiler_options=quick(onednn.few_rows_options()))
        # Traced for what it costs, and once more from what JAX remembers of that where a loop holds it.
        self.looped = jax.jit(functools.partial(_one_looped), inline=True)
        self.costs: dict[Any, Cost] = {}  # by the shapes of the data
        self.bounds: dict[Any, bool] = {}  # what `bounds_products` says of a form, by these and its name
        self.started: set[tuple[int, ...]] = set()  # shapes of data that it ran on
        self._sizes: set[int] = set()  # rows of large predictions
        self._folded: dict[Any, Callable[..., Any]] = {}

    @functools.cached_property
    def jitted_long(self) -> Any:
        """What `long` runs, as JAX's function."""
        return _with_onednn(onednn.compiler_options())

    @functools.cached_property
    def long(self) -> Callable[..., Any]:
        """One step for a training that is long enough: with oneDNN, whose programs JAX cannot keep on disk."""
        return _unwritten(self.jitted_long)

    @functools.cached_property
    def jitted_large(self) -> Any:
        """What `large` runs, as JAX's function."""
        return _with_onednn(onednn.large_options())

    @functools.cached_property
    def large(self) -> Callable[..., Any]:
        """One step of a large prediction, with oneDNN for products too."""
        return _unwritten(self.jitted_large)

    def size_for(self, rows: int) -> int:
        """How many rows a large prediction of `rows` takes: a size that was taken before, an eighth more at most, or
        the next of 32 between a power of two and the next, so that few programs are compiled.

        >>> step = CompiledStep()
        >>> step.size_for(4000), step.size_for(3900), step.size_for(3000)
        (4032, 4032, 3008)
        """
        near = [size for size in self._sizes if rows <= size <= rows * 9 // 8]
        step = max(1 << (rows - 1).bit_length() >> 6, 1)
        size = min(near, default=-(-rows // step) * step)
        self._sizes.add(size)
        return size

    def folded(self, example: Any, whole_epochs: bool = False) -> Callable[..., Any]:
        """`count` steps (or epochs) in one dispatch: the batches lie stacked, a loop on the device takes them one by
        one.

        `example` is the output shape of one step, `(logs, state)`. For small networks the dispatch costs more than
        the step (measured: 151 us against 13 us). Not for convolutions on the CPU: XLA runs them many times slower
        inside a loop.
        """
        leaves, structure = jax.tree.flatten(example[0])
        key = whole_epochs, structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if key not in self._folded:
            run = functools.partial(_epochs if whole_epochs else _batches, self.looped, example[0])
            self._folded[key] = jax.jit(run, donate_argnums=0, compiler_options=quick())
        return self._folded[key]


def _batches(step: Any, logs: Any, donated: Any, kept: Any, data: Any, rows: Any, count: Any) -> Any:
    """Steps on the first `count` of stacked batches: the last logs (of the shapes of `logs`), and the state."""
    return _loop(step, _zeros(logs), _whole(donated, kept), data, rows, 0, count)


def _epochs(step: Any, logs: Any, donated: Any, kept: Any, data: Any, rows: Any, count: Any) -> Any:
    """`count` epochs, whose batches lie stacked behind an axis of epochs: the last logs of each, and the state.

    Every epoch begins with the metrics as they are given.
    """
    first = _whole(donated, kept)
    most, steps = jax.tree.leaves(data)[0].shape[:2]
    data = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), data)

    def body(epoch: Any, carry: Any) -> Any:
        collected, state = carry
        last, state = _loop(step, _zeros(logs), [*state[:-1], first[-1]], data, rows, epoch * steps, steps)
        return jax.tree.map(lambda to, one: jax.lax.dynamic_update_index_in_dim(to, one, epoch, 0), collected,
                            last), state

    return jax.lax.fori_loop(0, count, body, (_zeros(logs, most), first))


def _zeros(logs: Any, *axes: int) -> Any:
    return jax.tree.map(lambda spec: jnp.zeros((*axes, *spec.shape), spec.dtype), logs)


def _loop(step: Any, logs: Any, state: Any, data: Any, rows: Any, first: Any, count: Any) -> Any:
    """Steps on the batches from `first` on; `rows` begins with theirs."""

    def take(array: Any, index: Any) -> Any:
        return jax.lax.dynamic_index_in_dim(array, index, 0, False, allow_negative_indices=False)

    def body(index: Any, carry: Any) -> Any:
        _, state = carry
        batch = jax.tree.map(lambda a: take(a, first + index), data)
        logs, new = step(state, batch, None if rows is None else take(rows, index))
        leaves, structure = jax.tree.flatten(state)  # a step may give tuples for lists
        new = [jnp.asarray(n, o.dtype) for n, o in zip(jax.tree.leaves(new), leaves, strict=True)]
        return logs, jax.tree.unflatten(structure, new)

    return jax.lax.fori_loop(0, count, body, (logs, state))


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
