"""The files: `.keras` (a zip of config.json, metadata.json, model.weights.h5) and `.weights.h5`.

A file appears whole or not at all.
"""

import contextlib
import datetime
import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kyeo.core.errors import number, problem
from kyeo.core.files import writing
from kyeo.core.folders import atomic_folder
from kyeo.core.notes import notes
from kyeo.core.parameters import checked
from kyeo.core.plain import warn
from kyeo.core.reading import making, reading
from kyeo.core.registry import custom_object_scope
from kyeo.saving.assets import ASSETS, AssetReader, load_assets, saved_assets
from kyeo.saving.config import check_safe_mode, deserialize_keras_object, read_json, serialize_keras_object
from kyeo.saving.forms import HDF5, KERAS_VERSION, TENSORS, loading, opened, write_hdf5, write_safetensors
from kyeo.saving.hdf5 import open_for_reading
from kyeo.saving.hdf5_contents import evidence
from kyeo.saving.hdf5_writing import open_for_writing
from kyeo.saving.legacy import is_legacy, load_legacy
from kyeo.saving.legacy_config import modern, version_of
from kyeo.saving.legacy_h5 import SIGNATURE, load_h5_model, save_h5_model
from kyeo.saving.legacy_paths import OldPaths, old_paths
from kyeo.saving.legacy_training import load_numbered_optimizer
from kyeo.saving.paths import existing, local_path, may_write
from kyeo.saving.shards import INDEXES, opened_shards, shard_sizes, write_shards
from kyeo.saving.stores import Hdf5Writer, Reader
from kyeo.saving.weights import load_variables, save_variables
from kyeo.saving.zips import CONFIG, FILES, METADATA, WEIGHTS, checksums, opened_archive

if TYPE_CHECKING:
    from kyeo.models.model import Model

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]


@checked
def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None,
               **kwargs: Any) -> None:
    """Write a model to a `.keras` file: architecture, weights, how it is compiled, state of the optimizer.

    The file appears whole or not at all: when saving fails, an old file stays as it was. Keras can load it.

    Args:
        model: the model.
        filepath: where to; the name ends in ".keras". One that ends in ".h5" gets the old form of Keras 2, with a
            warning.
        overwrite: whether an existing file may be replaced; if not, it raises.
        zipped: False writes a folder of three files instead; its name does not end in ".keras".
        **kwargs: `include_optimizer=False`, for ".h5", leaves out how the model is compiled.

    Raises:
        FileExistsError: the file exists and `overwrite` is False.
        ValueError: a part of the model cannot be described, such as a lambda.

    >>> import kyeo, os, tempfile
    >>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(os.path.join(folder, "model.keras"))
    ...     kyeo.saving.load_model(os.path.join(folder, "model.keras")).count_params()
    10
    """
    include_optimizer = kwargs.pop("include_optimizer", None)
    endings = {"keras": (".keras",), "h5": (".h5", ".hdf5")}
    if str(filepath).endswith(endings.get(str(kwargs.get("save_format")), ())):
        del kwargs["save_format"]  # an argument of Keras 2 that says what the name says
    _no_more("save_model", kwargs)
    path = local_path(filepath)
    if path.suffix in (".h5", ".hdf5") and zipped is None:
        may_write(path, overwrite)
        _check_built(model, "saved")
        return save_h5_model(model, path, include_optimizer is not False)
    zipped = True if zipped is None else zipped
    if zipped != path.name.endswith(".keras"):
        raise problem("The name of the file does not go with its form.", where="save_model",
                      received=f"filepath={str(path)!r}, zipped={zipped}",
                      expected='a name that ends in ".keras", or zipped=False and another name',
                      fix=f'save to "{path.stem}.keras"' if zipped else None)
    may_write(path, overwrite)
    if not getattr(model, "built", True):
        warn(f'The model "{model.name}" is saved before it is built, so without weights. Call it on '
             "data, or begin it with Input(shape=...), first.")
    about = {"keras_version": KERAS_VERSION, "date_saved": _now(), "written_by": "kyeo", **notes()}
    texts = {METADATA: json.dumps(about),
             CONFIG: json.dumps(serialize_keras_object(model))}
    (_write_zip if zipped else _write_folder)(model, path, texts)


def _write_zip(model: Any, path: Path, texts: dict[str, str]) -> None:
    with writing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name), text)
        with tempfile.TemporaryFile(dir=path.parent) as weights:  # not in memory: it may be big
            _write_weights(model, weights)
            weights.seek(0)
            with archive.open(zipfile.ZipInfo(WEIGHTS), "w", force_zip64=True) as member:
                shutil.copyfileobj(weights, member, 2**20)
        for name, asset in saved_assets(model):
            archive.writestr(zipfile.ZipInfo(name), asset.read_bytes())


def _write_folder(model: Any, path: Path, texts: dict[str, str]) -> None:
    with atomic_folder(path, (*texts, WEIGHTS, ASSETS), last=METADATA) as folder:
        (folder / CONFIG).write_text(texts[CONFIG], encoding="utf-8")
        with (folder / WEIGHTS).open("w+b") as file:
            _write_weights(model, file)
        for name, asset in saved_assets(model):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(asset.read_bytes())
        about = {**json.loads(texts[METADATA]), FILES: checksums(folder)}
        (folder / METADATA).write_text(json.dumps(about), encoding="utf-8")


def _write_weights(model: Any, file: Any) -> None:
    with open_for_writing(file) as store:
        save_variables(model, Hdf5Writer(store))


@checked
def load_model(filepath: Any, custom_objects: dict[str, Any] | None = None, compile: bool = True,
               safe_mode: bool = True) -> "Model":
    """The model in a `.keras` or `.h5` file, as it was saved by Kyeo, Keras 3, tf.keras 2 or Keras 2.

    Nothing that stands in the file is run, and the file can name only classes and functions of Kyeo and those
    you registered or give here.

    Args:
        filepath: the file, or a folder written with zipped=False.
        custom_objects: {name: class or function} for your own. A Lambda layer that holds bytecode gets its
            function from here, by the name of the layer.
        compile: whether to compile it as it was.
        safe_mode: there is no unsafe mode; False is refused.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: a class or function in it is not known.
        ValueError: it is not a whole file of this form, or weights do not fit.
    """
    check_safe_mode(safe_mode)
    path = existing(filepath)
    if _is_hdf5(path):
        return load_h5_model(path, custom_objects, compile)
    with opened_archive(path) as (texts, weights, names, read):
        spec, old = _todays(read_json(texts, f"{CONFIG} in {path}"), names, read, custom_objects)
        if not isinstance(spec, dict) or "class_name" not in spec or "config" not in spec:
            raise problem("The file does not describe a model.", where=f"{CONFIG} in {path}",
                          received=spec, expected="a dict with class_name and config")
        if not compile:
            spec["compile_config"] = None
        with open_for_reading(weights, str(path)) as store:
            with reading(str(path), *evidence(store, str(path))):
                model = deserialize_keras_object(spec, custom_objects)
            if not hasattr(type(model), "weights") and not getattr(model, "saved_alone", False):
                raise problem("The file holds something that is not a model.", where=str(path),
                              received=type(model).__name__)
            others = [model.optimizer] if old and getattr(model, "optimizer", None) is not None else []
            paths = old_paths(model, store, str(path)) if old else {}
            with loading(path.stat().st_size) as progress:
                load_variables(model, OldPaths(store, str(path), paths), skip=others, progress=progress,
                               is_new=True)
            if old:
                load_numbered_optimizer(model, store, str(path))
        load_assets(model, names, read, str(path))
    return model


@checked
def save_weights(model: Any, filepath: Any, overwrite: bool = True, max_shard_size: Any = None, *,
                 objects_to_skip: Any = ()) -> None:
    """Write the weights of a model, and the state of its optimizer, to a `.weights.h5` or `.safetensors` file.

    Keras reads the first. The second is faster, and any program for safetensors reads it: its arrays have the names of
    the variables, `layers/dense/kernel`, and a checksum each.

    Args:
        model: a built model.
        filepath: where to; the ending says the form.
        overwrite: whether an existing file may be replaced; if not, it raises.
        max_shard_size: how many GB (2**30 bytes) a file may have. The weights go into as many as it takes, and the path
            is that of their index: `.weights.json`, which Keras reads too, or `.safetensors.index.json`.
        objects_to_skip: what is not written, for example `[model.optimizer]`.

    >>> import kyeo, os, tempfile
    >>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2)])
    >>> file = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> model.save_weights(file)
    >>> model.load_weights(file)
    """
    path = local_path(filepath)
    _check_built(model, "saved")
    skip = objects_to_skip or ()
    if max_shard_size is not None:
        number("save_weights", max_shard_size=max_shard_size, check=lambda size: size > 0, expected="a number above 0")
        for files, index in INDEXES.items():
            if path.name.endswith(files):  # as in Keras
                path = path.with_name(path.name.removesuffix(files) + index)
                warn(f"The weights go into several files; their index is {path}.")
        _check_ending(path, tuple(INDEXES.values()), "an index of weights")
        may_write(path, overwrite)
        return write_shards(model, path, int(max_shard_size * 2**30), skip)
    _check_ending(path, (HDF5, TENSORS), "a file of weights")
    may_write(path, overwrite)
    return (write_safetensors if path.name.endswith(TENSORS) else write_hdf5)(model, path, skip)


def _check_ending(path: Path, endings: tuple[str, ...], what: str) -> None:
    if not path.name.endswith(endings):
        fix = f'save to "{path.name.split(".")[0]}{endings[0]}"'
        if path.name.endswith(tuple(INDEXES.values())):
            fix += ", or give max_shard_size, in GB"
        raise problem(f"The name of {what} must end in " + " or ".join(f'"{e}"' for e in endings) + ".",
                      where="save_weights", received=f"filepath={str(path)!r}", fix=fix)


@checked
def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Read the weights of a model from a `.weights.h5`, `.keras` or `.safetensors` file of Kyeo or Keras 3, an `.h5` of
    Keras 2, or by the index of several files (`.weights.json`, `.safetensors.index.json`).

    All are checked before the first is changed.

    Args:
        model: a built model.
        filepath: the file.
        skip_mismatch: leave weights that do not fit as they are, with a warning, instead of raising.
        **kwargs: `by_name=True`, for files of Keras 2, matches layers by their names instead of their order; layers
            without a partner stay as they are. `objects_to_skip=[model.optimizer]` leaves these as they are.
            `verbose=True` shows how far it has come, which a large file does by itself on a terminal.

    Raises:
        ValueError: weights do not fit; the message names layers and shapes.
    """
    by_name, skip, verbose = (kwargs.pop(name, None) for name in ("by_name", "objects_to_skip", "verbose"))
    _no_more("load_weights", kwargs)
    path = existing(filepath)
    _check_built(model, "loaded")
    with contextlib.ExitStack() as stack:
        size = path.stat().st_size
        if path.name.endswith(tuple(INDEXES.values())):
            store: Reader = stack.enter_context(opened_shards(path))
            size = shard_sizes(path)
        elif path.name.endswith(TENSORS):
            store = stack.enter_context(opened(path))
        else:
            file = stack.enter_context(open_for_reading(_hdf5_in(path, stack), str(path)))
            if is_legacy(file, str(path)):
                return load_legacy(model, file, str(path), bool(by_name), skip_mismatch)
            store = OldPaths(file, str(path), old_paths(model, file, str(path)))
        if by_name:
            raise problem("Only files of Keras 2 are matched by names.", received="by_name=True", where=str(path),
                          expected="by_name=None: the layers of this file go by their places in the model")
        progress = stack.enter_context(loading(size, verbose))
        return load_variables(model, store, skip_mismatch, skip or (), progress)


def _hdf5_in(path: Path, stack: contextlib.ExitStack) -> Any:
    """The HDF5 file that a file of weights or a model is or holds."""
    if path.name.endswith((".h5", ".hdf5")):
        return path
    if path.name.endswith(".keras"):
        return stack.enter_context(opened_archive(path))[1]
    raise problem("This is not a file of weights.", received=f"filepath={str(path)!r}", where="load_weights",
                  expected='a name that ends in ".weights.h5", ".safetensors", ".keras" or ".h5"')


def _is_hdf5(path: Path) -> bool:
    """Whether the model is in one HDF5 file; Keras 2.12 and before gave such a one any name."""
    if path.is_dir():
        return False
    with path.open("rb") as file:
        return path.suffix in (".h5", ".hdf5") or file.read(len(SIGNATURE)) == SIGNATURE


def _todays(spec: Any, names: list[str], read: AssetReader, custom_objects: dict[str, Any] | None) -> tuple[Any, bool]:
    """The description in a `.keras` file in today's words, and whether Keras 2 wrote it."""
    about = read_json(read(METADATA), METADATA) if METADATA in names else None
    version = version_of(about.get("keras_version", "3.0") if isinstance(about, dict) else "3.0")
    if version >= (3, 15):
        return spec, False
    with custom_object_scope(custom_objects), making(None, CONFIG):
        return modern(spec, version), version < (3, 0)


# -- checks ------------------------------------------------------------------------------------------------
def _now() -> str:
    return datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")


def _no_more(function: str, kwargs: dict[str, Any]) -> None:
    kwargs = {k: v for k, v in kwargs.items() if v is not None}
    if "save_format" in kwargs:
        raise problem(f"`{function}` has no argument `save_format`: the name of the file says it.", kind=TypeError,
                      received=f"save_format={kwargs['save_format']!r}", where=function,
                      expected='a name that ends in ".keras" or ".h5"')
    if kwargs:
        raise problem(f"`{function}` has no argument `{next(iter(kwargs))}`.", kind=TypeError, where=function,
                      received=", ".join(f"{k}={v!r}" for k, v in kwargs.items()))


def _check_built(model: Any, done: str) -> None:
    if not getattr(model, "built", True):
        raise problem(f"The weights cannot be {done} before they exist.", where=model,
                      fix="call the model on data, or begin it with Input(shape=...), first")
