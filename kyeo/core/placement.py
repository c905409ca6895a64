"""Where values live: on which devices, under the current distribution.

The one seam between `kyeo.distribution` and the rest. Nothing here knows its classes: it asks the object in the
settings for a layout. Without a distribution every function gives its value back.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
<<<<<<< HEAD
from jax.experimental import multihost_utils
=======
>>>>>>> main

from kyeo.core.errors import problem
from kyeo.core.settings import settings

__all__ = [
    "agree", "copy_of", "fetch", "keeping_places", "layout_of", "note_of_loss", "place_batch", "place_value",
    "rows_to_fill",
]

_LONGEST = 256  # bytes of what the processes tell each other
_CONNECTION = re.compile("Gloo|Connection|[Hh]eartbeat|UNAVAILABLE|DEADLINE_EXCEEDED")


def layout_of(variable: Any) -> Any:
    """The layout of a variable (something with `path` and `shape`); None without a distribution."""
    return None if settings.distribution is None else settings.distribution.get_variable_layout(variable)


def place_value(value: jax.Array, path: str, layout: Any = None) -> jax.Array:
    """The value of a variable, where the distribution wants it."""
    if settings.distribution is None:
        return value
    layout = layout or layout_of(SimpleNamespace(path=path, shape=value.shape))
    wanted = layout.backend_layout
    if jax.process_count() > 1 and value.is_fully_addressable:
        agree(f"the variable {path} {value.shape} {value.dtype}, values {zlib.crc32(np.asarray(value).tobytes()):08x}")
    return value if value.sharding.is_equivalent_to(wanted, value.ndim) else jax.device_put(value, wanted)


def copy_of(value: jax.Array) -> jax.Array:
    """The same numbers in a buffer of their own."""
    return jax.device_put(value, may_alias=False) if value.is_fully_addressable else value.copy()


def rows_to_fill(rows: int) -> int:
<<<<<<< HEAD
    """How many rows a batch must have to be divided evenly: `rows`, or the next multiple of the number of replicas."""
    replicas = 1 if settings.distribution is None else _parts()
    return -(-rows // replicas) * replicas
=======
    """How many rows a batch must have to be divided evenly: `rows`, or the next multiple of the replicas it goes to."""
    here = 1 if settings.distribution is None else settings.distribution.num_local_replicas
    return -(-rows // here) * here
>>>>>>> main


def _parts() -> int:
    """Among how many devices the rows that this process brings are divided."""
    return max(settings.distribution.num_model_replicas // jax.process_count(), 1)


def agree(doing: str) -> None:
    """Complain on every process where they are not about to do the same: else they would wait for each other."""
    if jax.process_count() == 1:
        return
    own = np.frombuffer(doing.encode()[:_LONGEST].ljust(_LONGEST), np.uint8)
    said = [bytes(line).decode(errors="replace").strip() for line in multihost_utils.process_allgather(own)]
    if len(set(said)) > 1:
        raise problem("The processes of this run do not do the same.", where="distribution",
                      received="; ".join(f"process {number}: {text}" for number, text in enumerate(said)),
                      fix="give every process the same program and seed, and as many batches of as many rows")


def note_of_loss(error: BaseException | None) -> None:
    """Say what it means when a process of the run is gone."""
    if jax.process_count() > 1 and error is not None and _CONNECTION.search(str(error)):
        error.add_note("Another process of this run has ended or cannot be reached; look at what it said last. Then "
                       "start all of them again: fit(..., resume=folder) goes on from the last checkpoint.")


def fetch(value: Any) -> np.ndarray:
    """An array's numbers; of one that several processes have parts of, those of the rows this process brought."""
    if not isinstance(value, jax.Array) or value.is_fully_addressable or value.is_fully_replicated:
        return np.asarray(value)
    parts = {shard.index[0].start or 0: shard.data for shard in value.addressable_shards}
    return np.concatenate([np.asarray(parts[start]) for start in sorted(parts)])


def place_batch(batch: Any, axis: int = 0) -> Any:
    """The arrays of a batch, divided along an axis; one that cannot be divided evenly is put on every device whole.

    Of several processes each brings its own rows, so there is nothing that could be put everywhere.
    """
    distribution = settings.distribution
    if distribution is None:
        return batch
    alone, share = jax.process_count() == 1, distribution.num_local_replicas

    def place(array: Any) -> jax.Array:
        shape = array.shape
<<<<<<< HEAD
        even = len(shape) > axis and shape[axis] % _parts() == 0
        if not even and shape and jax.process_count() > 1:
            raise problem("The rows of a batch cannot be divided among the devices of this process.", received=array,
                          expected=f"a multiple of {_parts()} rows", where="distribution")
=======
        even = len(shape) > axis and shape[axis] % share == 0
        if not alone and not even and len(shape) > axis:
            raise problem("A batch of this process cannot be divided among its devices.", received=array,
                          expected=f"a multiple of {share} rows in every batch, the last one too",
                          fix="choose such a batch_size, and leave out the rows that remain")
>>>>>>> main
        layout = distribution.layout_along(axis if even else None, len(shape)).backend_layout
        if not alone:
            return jax.make_array_from_process_local_data(layout, np.asarray(array))
        return jax.device_put(array, layout)

    return jax.tree.map(place, batch)


def keeping_places(step: Callable[..., Any], groups: Sequence[Sequence[Any]]) -> Callable[..., Any]:
    """A step whose new state lies as the variables do, so that the next step finds it there."""
    if settings.distribution is None:
        return step
    layouts = [[variable.layout().backend_layout for variable in group] for group in groups]

    def placed(state: Any, data: Any) -> Any:
        result, new = step(state, data)
        return result, [[jax.lax.with_sharding_constraint(value, layout) for value, layout in zip(*pair, strict=True)]
                        for pair in zip(new, layouts, strict=True)]

    return placed
