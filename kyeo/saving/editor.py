"""KerasFileEditor: what is in a file of weights, compared with a model, changed, and written again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kyeo.core.errors import describe, did_you_mean, problem
from kyeo.core.files import writing
from kyeo.core.reading import reading
from kyeo.saving.config import read_json
from kyeo.saving.hdf5 import open_for_reading, read_all
from kyeo.saving.hdf5_contents import evidence
from kyeo.saving.hdf5_writing import WriteGroup, as_array, open_for_writing
from kyeo.saving.paths import existing, local_path
from kyeo.saving.weights import walk
from kyeo.saving.zips import METADATA, opened_archive

__all__ = ["KerasFileEditor"]

_ENDING = ".weights.h5"
_VARS = "vars"  # the group in which the arrays of an object lie; not part of its path here


class KerasFileEditor:
    """Looks into a `.keras` or `.weights.h5` file, changes its weights and writes them to a `.weights.h5`.

    For old weights where the model has changed since. Nothing in the file is run; it is never written to itself.
    An object (a layer) goes by its path, "layers/dense_1", or by the last part of it where only one has that.

    Args:
        filepath: the file.

    Attributes:
        weights_dict: the arrays, by the names of weights ("0", "1") in dicts by the names of objects.
        object_metadata: {path of an object: {"name": the name of its layer}}.
        config, metadata: of a `.keras` file, else None.
        console: the `rich` console that is printed to.

    Raises:
        ValueError: it is no such file, or holds what cannot be read safely.

    >>> import kyeo, os, tempfile
    >>> model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2), kyeo.layers.Dense(1)])
    >>> folder = tempfile.mkdtemp()
    >>> model.save_weights(os.path.join(folder, "old.weights.h5"))
    >>> editor = kyeo.saving.KerasFileEditor(os.path.join(folder, "old.weights.h5"))  # doctest: +ELLIPSIS
    Keras model file ...
    >>> editor.delete_object("dense_1")
    >>> editor.save(os.path.join(folder, "new.weights.h5"))
    >>> kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2)]).load_weights(os.path.join(folder, "new.weights.h5"))
    """

    def __init__(self, filepath: Any):
        from rich.console import Console

        path = existing(filepath)
        self.filepath = filepath
        self.config: Any = None
        self.metadata: Any = None
        self.model: Any = None
        self.console = Console(highlight=False)
        if path.name.endswith(".keras"):
            with opened_archive(path) as (text, weights, names, read):
                self.config = read_json(text, f"the config in {path}")
                self.metadata = read_json(read(METADATA), METADATA) if METADATA in names else None
                self._read(weights, str(path))
        elif path.name.endswith(_ENDING):
            self._read(path, str(path))
        else:
            raise problem("This file cannot be edited.", received=f"filepath={str(path)!r}", where=self,
                          expected='a name that ends in ".keras" or ".weights.h5"')
        self._say(f"Keras model file {str(path)!r}")
        if isinstance(self.metadata, dict):
            version, date = (self.metadata.get(key) for key in ("keras_version", "date_saved"))
            self._say(f"Saved with Keras {version} - date: {date}")

    def _read(self, file: Any, where: str) -> None:
        with open_for_reading(file, where) as store, reading(where, *evidence(store, where)):
            arrays, names = read_all(store, where)
        plain = {}
        for path, array in arrays.items():
            owner, _, key = path.rpartition("/")
            plain[f"{_owner(owner)}/{key}".lstrip("/")] = array
        self.weights_dict: dict[str, Any] = _nested(plain)
        self.object_metadata = {_owner(path): {"name": name} for path, name in names.items()}

    def _say(self, text: str, style: str = "") -> None:
        self.console.print(_printable(text), style=style or None, markup=False)

    def summary(self) -> None:
        """Print the objects and the shapes of their weights as a tree."""
        from rich.text import Text
        from rich.tree import Tree

        def grow(branch: Any, inside: dict[str, Any], path: str) -> None:
            for key, value in inside.items():
                place = f"{path}/{key}".lstrip("/")
                if isinstance(value, dict):
                    name = self.object_metadata.get(place, {}).get("name")
                    text = key if name is None else f"{key} ({name!r})"
                    grow(branch.add(Text(_printable(text), style="bold")), value, place)
                else:
                    branch.add(Text(_printable(f"{key}: shape={value.shape}, dtype={value.dtype}")))

        top = Tree("Weights structure")
        grow(top, self.weights_dict, "")
        self.console.print(top)

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Print where the weights of the file and those of a model differ in place or shape.

        Args:
            reference_model: a built model; its values do not matter.

        Returns {"status": "success" or "error", "error_count": ..., "match_count": ...}. A whole object that one of
        both lacks counts once.
        """
        wanted: dict[str, tuple[int, ...]] = {}
        for path, item in walk(reference_model):
            store: dict[str, Any] = {}
            item.save_own_variables(store)
            wanted.update({f"{path}/{key}".lstrip("/"): as_array(value).shape for key, value in store.items()})
        self._say("Running comparison")
        found = list(_differences(self.weights_dict, _nested(wanted)))
        errors = [line for line in found if line is not None]
        for line in errors:
            self._say(f"...{line}", "color(160)")
        matches = len(found) - len(errors)
        if errors:
            many = "s" * (len(errors) > 1)
            self._say(f"Found {len(errors)} error{many}: the file does not fit the model", "color(160)")
        else:
            self._say(f"The file fits the model: {matches} weight{'s' * (matches != 1)} are in place", "color(28)")
        return {"status": "error" if errors else "success", "error_count": len(errors), "match_count": matches}

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Give an object another name; it stays where it is.

        Args:
            object_name: its name or path.
            new_name: a name, no path; nothing beside it may have it.
        """
        inside, name = self._find(object_name)
        _check_name(new_name, "new_name")
        if new_name in inside:
            raise problem("This name is taken.", received=f"new_name={new_name!r}", where=self,
                          fix="delete the object of that name first")
        inside[new_name] = inside.pop(name)

    def delete_object(self, object_name: str) -> None:
        """Take an object out, with all that is inside of it.

        Args:
            object_name: its name or path.
        """
        inside, name = self._find(object_name)
        del inside[name]

    def add_object(self, object_path: str, weights: dict[str, Any]) -> None:
        """Put an object in, in the place of one that is there.

        Args:
            object_path: its whole path; all but the last part must be there.
            weights: arrays by the names of weights, {"0": kernel, "1": bias}; also objects inside, as such dicts.
        """
        above, _, name = object_path.rpartition("/")
        _check_name(name, "object_path")
        self._object(above)[name] = _checked(weights)

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Take one weight out of an object.

        Args:
            object_name: the name or path of the object.
            weight_name: that of the weight, such as "0".
        """
        inside = self._object(object_name)
        if weight_name not in inside:
            raise problem("The object has no such weight.", received=f"weight_name={weight_name!r}",
                          expected="one of " + ", ".join(map(repr, inside)), where=f"{object_name!r}")
        del inside[weight_name]

    def add_weights(self, object_name: str, weights: dict[str, Any]) -> None:
        """Give an object more weights, or others of the same names.

        Args:
            object_name: the name or path of the object.
            weights: arrays by the names of weights.
        """
        self._object(object_name).update(_checked(weights))

    def save(self, filepath: Any) -> None:
        """Write the weights to a file, which appears whole or not at all.

        Args:
            filepath: where to; the name ends in ".weights.h5". A file of that name is replaced.
        """
        path = local_path(filepath)
        if not path.name.endswith(_ENDING):
            raise problem("The name of a file of weights must end in \".weights.h5\".", where=self,
                          received=f"filepath={str(path)!r}", fix=f'save to "{Path(path.name).stem}{_ENDING}"')
        with writing(path) as file, open_for_writing(file) as store:
            for place, inside in _objects(self.weights_dict):
                arrays = {key: value for key, value in inside.items() if not isinstance(value, dict)}
                if arrays:
                    group = WriteGroup(store, place, self.object_metadata.get(place, {}).get("name"))
                    for key, value in arrays.items():
                        group[key] = value

    def resave_weights(self, filepath: Any) -> None:
        """The same as `save`."""
        self.save(filepath)

    def _object(self, name: str) -> dict[str, Any]:
        """What an object has, by its name or path; "" is the top."""
        if name == "":
            return self.weights_dict
        inside, last = self._find(name)
        if not isinstance(inside[last], dict):
            raise problem("This is a weight, no object.", received=repr(name), where=self)
        return inside[last]

    def _find(self, name: str) -> tuple[dict[str, Any], str]:
        """The dict that holds what goes by a name or path, and its key there."""
        paths = {f"{place}/{key}".lstrip("/"): inside
                 for place, inside in _objects(self.weights_dict) for key in inside}
        found = [name] if name in paths else [
            path for path in paths if "/" not in str(name) and path.endswith(f"/{name}")]
        if len(found) != 1:
            raise problem(
                "This name stands in more than one place." if found else "There is nothing of this name in the file.",
                received=repr(name), where=self, expected="one of " + ", ".join(found[:10]) if found else None,
                fix=None if found else did_you_mean(name, paths) or "editor.summary() shows all")
        return paths[found[0]], found[0].rpartition("/")[2]


def _owner(path: str) -> str:
    """The path of the object whose arrays lie in a group."""
    return path[:-len(_VARS)].rstrip("/") if path == _VARS or path.endswith(f"/{_VARS}") else path


def _printable(text: str) -> str:
    """Text from a file, without what could steer a terminal."""
    return text if text.isprintable() else ascii(text)


def _nested(plain: dict[str, Any]) -> dict[str, Any]:
    """Values by path as dicts in dicts."""
    top: dict[str, Any] = {}
    for path, value in plain.items():
        *through, last = path.split("/")
        inside = top
        for part in through:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                break
        if not isinstance(inside, dict) or last in inside:
            raise problem("A weight and an object of the file have one name.", received=path)
        inside[last] = value
    return top


def _objects(inside: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, what it has) for every object, the top first."""
    yield path, inside
    for key, value in inside.items():
        if isinstance(value, dict):
            yield from _objects(value, f"{path}/{key}".lstrip("/"))


def _differences(file: Any, model: Any, path: str = "") -> Iterator[str | None]:
    """A line for each difference, None for each weight that is as it should be."""
    for key in dict.fromkeys([*model, *file]):
        place = f"{path}/{key}".lstrip("/")
        mine, wanted = file.get(key), model.get(key)
        if mine is None or wanted is None:
            lacking, having = ("the file", wanted) if mine is None else ("the model", mine)
            inside = f", with {', '.join(map(str, having))}" if isinstance(having, dict) else ""
            yield f"{place} is missing from {lacking}{inside}"
        elif isinstance(mine, dict) != isinstance(wanted, dict):
            yield f"{place} is an object on one side and a weight on the other"
        elif isinstance(mine, dict):
            yield from _differences(mine, wanted, place)
        else:
            yield None if mine.shape == wanted else f"{place} has shape {mine.shape} in the file, {wanted} in the model"


def _check_name(name: Any, argument: str) -> None:
    if not isinstance(name, str) or not name or "/" in name or name in (".", _VARS) or not name.isprintable():
        raise problem("This is no name of an object or weight.", received=f"{argument}={name!r}",
                      expected='a name without "/", such as "dense_1"')


def _checked(weights: Any) -> dict[str, Any]:
    """The dict with its values as arrays."""
    if not isinstance(weights, dict):
        raise problem("`weights` must be a dict.", received=f"weights={describe(weights)}",
                      expected='arrays by name, {"0": kernel, "1": bias}')
    made: dict[str, Any] = {}
    for key, value in weights.items():
        _check_name(key, "weights")
        made[key] = _checked(value) if isinstance(value, dict) else np.asarray(value)
        if not isinstance(value, dict) and made[key].dtype.kind not in "biufcV":
            raise problem("A weight must be an array of numbers.", received=f"{key}={describe(value)}")
    return made
