"""Data of models that take text: what their first layers make of it is made before the batches enter a step."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from kyeo.data.adapters import is_arrays
from kyeo.data.pydataset import PyDataset
from kyeo.data.source import Source
from kyeo.data.unpack import unpack_x_y_sample_weight

__all__ = ["without_text"]


def without_text(model: Any, x: Any) -> Any:
    """The data as the compiled part of the model takes it; as it is where the model takes no text."""
    if getattr(model, "takes_text", False) and not model.built:
        model.build((None, 1))  # a stack that begins with such a layer: a text a row
    graph = getattr(model, "_graph", None)
    part = graph.text_part if graph is not None else None
    if part is None or x is None or isinstance(x, Source):
        return x
    if is_arrays(x):
        return part.prepare(graph, x)
    prepare = functools.partial(part.prepare, graph)
    return _batches(prepare, x) if hasattr(x, "__next__") else _Prepared(prepare, x)


def _batches(prepare: Callable[[Any], Any], data: Any) -> Iterator[Any]:
    for batch in data:
        x, y, weight = unpack_x_y_sample_weight(batch)
        yield prepare(x), y, weight


class _Prepared:
    """A data set whose batches are prepared as they are asked for; each pass begins anew."""

    def __init__(self, prepare: Callable[[Any], Any], data: Any):
        self._prepare = prepare
        self._data: Any = data

    def __iter__(self) -> Iterator[Any]:
        by_number = isinstance(self._data, PyDataset)
        if not by_number:
            yield from _batches(self._prepare, self._data)
            return
        yield from _batches(self._prepare, (self._data[i] for i in range(len(self))))
        self._data.on_epoch_end()

    def __len__(self) -> int:
        return len(self._data)
