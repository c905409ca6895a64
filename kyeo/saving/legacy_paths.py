"""`.weights.h5` of Keras 2.12: the layout of today, but the layers of a graph lie under another name and number.

That version gave the layers of a graph as a table in which a layer with weights stands twice, once among those with
weights and once among all. It numbered the entries, and wrote each layer once: the second of two Dense is `dense_2`.
"""

from collections import Counter
from typing import Any

from kyeo.core.naming import snake_case
from kyeo.saving.hdf5 import ReadGroup
from kyeo.saving.hdf5_contents import LAYERS_2_12
from kyeo.saving.stores import Hdf5Reader
from kyeo.saving.weights import walk

__all__ = ["OldPaths", "old_paths"]


class OldPaths(Hdf5Reader):
    """One open HDF5 file in which objects have other paths.

    Args:
        file: the open file.
        where: how messages name it.
        paths: those in the file by those of today; what is inside of such an object follows it.
    """

    def __init__(self, file: Any, where: str, paths: dict[str, str]):
        super().__init__(file, where)
        self._paths = paths

    def group(self, path: str, item: Any) -> ReadGroup:
        """The arrays of `item`."""
        return super().group(_old(path, self._paths), item)

    def strays(self, used: set[str]) -> list[str]:
        """Paths of objects with arrays that nobody asked for."""
        return super().strays({_old(path, self._paths) for path in used})


def old_paths(model: Any, file: Any, where: str) -> dict[str, str]:
    """{path of a layer today: its path in the file} for each graph in a model that the file holds as Keras 2.12 did."""
    paths: dict[str, str] = {}
    for path, item in walk(model):
        top = "/".join(filter(None, (_old(path, paths), LAYERS_2_12)))
        if getattr(item, "_graph", None) is None or not _is_there(file, top, where):
            continue
        today: Counter[str] = Counter()
        then: Counter[str] = Counter()
        for layer in item.layers:
            name = snake_case(type(layer).__name__)
            new, old = (f"{name}_{count[name]}" if count[name] else name for count in (today, then))
            paths["/".join(filter(None, (path, "layers", new)))] = f"{top}/{old}"
            today[name] += 1
            then[name] += 2 if layer.weights else 1
    return paths


def _is_there(file: Any, path: str, where: str) -> bool:
    return len(ReadGroup(file, path, where, plain=True)) > 0


def _old(path: str, paths: dict[str, str]) -> str:
    """The path in the file: that of the innermost object that has one, and what follows."""
    head, tail = path, ""
    while head and head not in paths:
        head, _, last = head.rpartition("/")
        tail = f"/{last}{tail}"
    return paths[head] + tail if head else path
