"""Data of models that take text: what their first layers make of it is made before the batches enter a step."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from kyeo.data.adapters import is_arrays
from kyeo.data.pydataset import PyDataset
from kyeo.data.source import Source
from kyeo.data.unpack import unpack_x_y_sample_weight

__all__ = ["without_text"]

_STATE = ("state_dict", "load_state_dict", "get_state", "set_state")


def without_text(model: Any, x: Any) -> Any:
    """The data as the compiled part of the model takes it; as it is where the model takes no text."""
    if not model.built and getattr(model, "takes_text", False):
        model.build((None, 1))  # a stack that begins with such a layer: a text a row
    graph = getattr(model, "_graph", None)
    part = graph.text_part if graph is not None else None
    if part is None or x is None or isinstance(x, Source):
        return x
    if is_arrays(x):
        return part.prepare(graph, x)
    prepare = functools.partial(part.prepare, graph)
    if isinstance(x, PyDataset):
        return _PreparedByNumber(prepare, x)
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
        return _batches(self._prepare, self._data)

    def __len__(self) -> int:
        return len(self._data)


class _PreparedByNumber(PyDataset):
    """A PyDataset likewise, with its order, length, workers (threads always), hooks and state."""

    def __init__(self, prepare: Callable[[Any], Any], data: PyDataset):
        super().__init__(workers=data.workers, max_queue_size=data.max_queue_size)
        self._prepare, self._data = prepare, data
        self.on_epoch_begin, self.on_epoch_end = data.on_epoch_begin, data.on_epoch_end  # type: ignore[method-assign]
        self.__dict__.update({name: getattr(data, name) for name in _STATE if hasattr(data, name)})

    def __getitem__(self, index: int) -> Any:
        x, y, weight = unpack_x_y_sample_weight(self._data[index])
        return self._prepare(x), y, weight

    @property
    def num_batches(self) -> int | None:
        return self._data.num_batches
