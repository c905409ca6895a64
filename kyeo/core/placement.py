"""Where values live: on which devices, under the current distribution.

The one seam between `kyeo.distribution` and the rest. Nothing here knows its classes: it asks the object in the
settings for a layout. Without a distribution every function gives its value back.
"""

import zlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from kyeo.core.errors import problem
from kyeo.core.processes import agree, several
from kyeo.core.settings import settings

__all__ = ["keeping_places", "layout_of", "place_batch", "place_value", "rows_to_fill"]


def layout_of(variable: Any) -> Any:
    """The layout of a variable (something with `path` and `shape`); None without a distribution."""
    return None if settings.distribution is None else settings.distribution.get_variable_layout(variable)


def place_value(value: jax.Array, path: str, layout: Any = None) -> jax.Array:
    """The value of a variable, where the distribution wants it."""
    if settings.distribution is None:
        return value
    layout = layout or layout_of(SimpleNamespace(path=path, shape=value.shape))
    wanted = layout.backend_layout
    if several() and value.is_fully_addressable:
        agree(f"the variable {path} {value.shape} {value.dtype}, values {zlib.crc32(np.asarray(value).tobytes()):08x}")
    return value if value.sharding.is_equivalent_to(wanted, value.ndim) else jax.device_put(value, wanted)


def rows_to_fill(rows: int) -> int:
    """How many rows a batch must have to be divided evenly: `rows`, or the next multiple of the replicas it goes to."""
    here = 1 if settings.distribution is None else settings.distribution.num_local_replicas
    return -(-rows // here) * here


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
        even = len(shape) > axis and shape[axis] % share == 0
        if not alone and not even and len(shape) > axis:
            raise problem("A batch of this process cannot be divided among its devices.", received=array,
                          expected=f"a multiple of {share} rows in every batch, the last one too",
                          fix="choose such a batch_size, and leave out the rows that remain")
        layout = distribution.layout_along(axis if even else None, len(shape)).backend_layout
        if not alone:
            return jax.make_array_from_process_local_data(layout, np.asarray(array))
        return jax.device_put(array, layout)

    return jax.tree.map(place, batch)


def keeping_places(step: Callable[..., Any], groups: Sequence[Sequence[Any]]) -> Callable[..., Any]:
    """A step whose new state lies as the variables do, so that the next step finds it there."""
    if settings.distribution is None:
        return step
    layouts = [[layout_of(variable).backend_layout for variable in group] for group in groups]

    def placed(state: Any, data: Any) -> Any:
        result, new = step(state, data)
        return result, [[jax.lax.with_sharding_constraint(value, layout) for value, layout in zip(*pair, strict=True)]
                        for pair in zip(new, layouts, strict=True)]

    return placed
