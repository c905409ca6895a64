"""All hostile files as rows: a name, the way in, how the file is made, and whether it must be refused."""

import io
import json
import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

import kyeo
from kyeo.core.tensors import write_tensors
from tests.conformance.case import Case, Inner
from tests.conformance.cases import CASES
from tests.saving.hostile.archives import PROGRAMS, good_archive
from tests.saving.hostile.configs import CONFIGS, TEXTS, Pattern
from tests.saving.hostile.entries import graph, stack
from tests.saving.hostile.files import (
    ARCHIVES,
    CHECKPOINTS,
    FOLDERS,
    HDF5,
    HDF5_BYTES,
    INDEXES,
    TENSORS,
    ZIPS,
    Change,
    members_of,
    zipped,
)

__all__ = ["BENIGN", "PUBLISHED", "ROWS", "Good", "Row", "size_rows", "whole_h5"]


class Good:
    """The good files that are made hostile, each made once."""

    def __init__(self, folder: Path):
        self.specs, self.zips, self.weights = {}, {}, {}
        for name, build in {"stack": stack, "graph": graph}.items():
            model = build()
            model.save(folder / "m.keras")
            model.save_weights(folder / "m.weights.h5")
            self.specs[name] = model.to_json()
            self.zips[name] = (folder / "m.keras").read_bytes()
            self.weights[name] = (folder / "m.weights.h5").read_bytes()
        self.weights["legacy"] = _legacy_weights(stack())
        write_tensors(folder / "t", {"a": np.arange(6.0), "b": np.ones((2, 2), "int32")}, {"k": "v"})
        self.tensors = (folder / "t").read_bytes()
        self.archive = good_archive(stack())
        self.folder = folder


def _legacy_weights(model: Any) -> bytes:
    """The weights as Keras 2 wrote them."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        file.attrs["backend"] = b"tensorflow"
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{v.name}:0" for v in layer.weights]
            group.attrs["weight_names"] = [n.encode() for n in names]
            for name, variable in zip(names, layer.weights):
                group[name] = np.asarray(variable.value)
    return buffer.getvalue()


class Row(NamedTuple):
    """One hostile file: `make(folder, good, facts)` writes it and gives its path."""

    name: str
    entry: str
    make: Callable[[Path, Good, dict], Path]
    refused: bool | None = True
    words: dict[str, Any] = {}


# -- descriptions ------------------------------------------------------------------------------------------
FORMS = ("zip", "json", "deserialize", "folder", "from_config", "h5", "clone")


def _described(pattern: Pattern, form: str) -> Row:
    def make(folder: Path, good: Good, facts: dict) -> Path:
        spec = json.loads(good.specs[pattern.base])
        pattern.change(spec, facts)
        return _written(json.dumps(spec), form, folder, good, pattern.base)

    entry = {"zip": "load_model", "folder": "load_model", "h5": "load_model", "json": "model_from_json"}.get(form, form)
    alone = form == "deserialize" and pattern.name in ("reshape", "padding")  # a layer by itself asks for nothing yet
    return Row(f"{form}: {pattern.name}", entry, make, pattern.refused and not alone)


def _written(text: str, form: str, folder: Path, good: Good, base: str) -> Path:
    data = text.encode("utf-8", "surrogatepass")
    if form in ("zip", "folder"):
        parts = {**members_of(good.zips[base]), "config.json": data}
        return _unzipped(folder, parts) if form == "folder" else _kept(folder / "m.keras", zipped(parts))
    if form == "h5":
        with h5py.File(folder / "m.h5", "w") as file, h5py.File(io.BytesIO(good.weights["legacy"])) as weights:
            file.attrs["keras_version"], file.attrs["backend"] = "3.15.1", "jax"
            file.attrs["model_config"] = np.bytes_(data.replace(b"\0", b"?")) if len(data) < 60_000 else "{}"
            weights.copy(weights["/"], file, "model_weights")
            compiled = _compiled(text)
            if compiled:
                file.attrs["training_config"] = json.dumps({**compiled, "optimizer_config": compiled.get("optimizer")})
        return folder / "m.h5"
    return _kept(folder / "m.json", data)


def _compiled(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)["compile_config"] if len(text) < 60_000 else None
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _kept(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _unzipped(folder: Path, parts: dict[str, bytes]) -> Path:
    (folder / "m").mkdir()
    for name, data in parts.items():
        (folder / "m" / name).write_bytes(data)
    return folder / "m"


def _descriptions(every_form: bool) -> Iterator[Row]:
    for number, pattern in enumerate(CONFIGS):
        fitting = FORMS if pattern.place == "layer" else ("zip", "json", "folder", "h5")
        if pattern.base == "graph":
            fitting = tuple(f for f in fitting if f != "deserialize")
        forms = fitting if every_form else [fitting[number % len(fitting)]]
        yield from (_described(pattern, form) for form in forms)
    for number, (name, change) in enumerate(TEXTS.items()):
        for form in ("zip", "json") if every_form else [("zip", "json")[number % 2]]:
            yield Row(f"{form} text: {name}", {"zip": "load_model", "json": "model_from_json"}[form],
                      lambda d, g, f, c=change, w=form: _written(c(g.specs["stack"]), w, d, g, "stack"),
                      None if name in ("byte order mark", "4000 digits", "lone surrogate", "NUL") else True)


# -- containers --------------------------------------------------------------------------------------------
def _archive(change: Change, base: str, entry: str) -> Row:
    unread = entry == "load_weights" and change.name in ("config is a zip", "config is a pickle", "config in no encoding")
    refused = change.refused and not unread  # of what a config says nothing is asked there
    return Row(f"{entry} of a zip: {change.name}", entry, lambda d, g, f: _kept(
        d / "m.keras", change.change(g.zips[base], f)), refused, {"model": base})


def _folder(change: Change) -> Row:
    def make(folder: Path, good: Good, facts: dict) -> Path:
        path = _unzipped(folder, members_of(good.zips["stack"]))
        change.change(path, facts)
        return path

    return Row(f"folder: {change.name}", "load_model", make, change.refused)


def _weights(change: Change, kind: str, on_bytes: bool) -> Row:
    """HDF5 as `.weights.h5`, inside `.keras`, or in the layout of Keras 2."""
    def make(folder: Path, good: Good, facts: dict) -> Path:
        base = "legacy" if kind == "legacy" else "stack"
        data = members_of(good.zips["stack"])["model.weights.h5"] if kind == "keras" else good.weights[base]
        if on_bytes:
            data = change.change(data, facts)
        else:
            path = _kept(folder / "w", data)
            with h5py.File(path, "a") as file:
                change.change(file, facts)
            data = path.read_bytes()
            path.unlink()
        if kind == "keras":
            return _kept(folder / "m.keras", zipped({**members_of(good.zips["stack"]), "model.weights.h5": data}))
        return _kept(folder / ("m.h5" if kind == "legacy" else "m.weights.h5"), data)

    refused = None if kind == "editor" else change.refused  # which has no model that the weights could not fit
    if kind == "legacy" and change.name.startswith(("soft link in the place", "no rows")):
        refused = None
    entry = {"keras": "load_model", "editor": "editor"}.get(kind, "load_weights")
    return Row(f"{kind} HDF5: {change.name}", entry, make, refused)


def _arrays(change: Change) -> Row:
    return Row(f"arrays: {change.name}", "tensors", lambda d, g, f: _kept(
        d / "m.safetensors", change.change(g.tensors, f)), change.refused)


def _exported(change: Change) -> Row:
    return Row(f"archive: {change.name}", "archive", lambda d, g, f: _kept(
        d / "a.kyeo", change.change(g.archive, f)), change.refused)


def _at(change: Change, entry: str, name: str, **words: Any) -> Row:
    def make(folder: Path, good: Good, facts: dict) -> Path:
        change.change(folder / name, facts)
        return folder / name

    return Row(f"{entry}: {change.name}", entry, make, change.refused, words)


# What stands in the place of the step count, the product or a slot of an optimizer of Keras 2.
_COUNTS = {"huge": 2**62, "of two million million steps": 2 * 10**12, "just too large": 2**31 - 1, "negative": -5, "none": [],
           "not a number": float("nan"), "infinite": float("inf"), "two": [1, 2], "complex": 1j, "text": "x"}
_STATES: dict[str, dict[str, Any]] = {
    "as it was": {},
    **{f"step count {name}": {"Nadam/iter:0": value} for name, value in _COUNTS.items()},
    "product of many": {"Nadam/momentum_cache:0": np.ones(9)}, "product of text": {"Nadam/momentum_cache:0": "x"},
    "slots too few": {"Nadam/first/kernel/m:0": None}, "slot of another shape": {"Nadam/first/kernel/m:0": np.ones((4, 3))},
    "complex slot": {"Nadam/first/kernel/m:0": np.ones((3, 4)) * 1j}, "slot of text": {"Nadam/first/kernel/m:0": "x"}, "nothing else": {"Nadam/momentum_cache:0": None, "first": None},
}


def _state(name: str, changed: dict[str, Any], form: str) -> Row:
    """The state of an optimizer as Keras 2 wrote it, by names in a `.h5` and by numbers in a `.keras`."""
    def make(folder: Path, good: Good, facts: dict) -> Path:
        path = _model_h5(lambda spec: None)(folder, good, facts)
        sizes = {"first/kernel": (3, 4), "first/bias": (4,), "only/kernel": (4, 2), "only/bias": (2,)}
        slots = [(part, kind) for kind in "mv" for part in sizes]
        slots = slots if form == "h5" else sorted(slots, key=lambda s: [*sizes].index(s[0]))
        state = {"Nadam/iter:0": 3, "Nadam/momentum_cache:0": np.float32(0.1), **{
            f"Nadam/{part}/{kind}:0": np.zeros(sizes[part], "float32") for part, kind in slots}}
        state.update(changed)
        compiled = {"loss": "mse", "optimizer_config": {"class_name": "Nadam", "config": {"learning_rate": 0.1}}}
        with h5py.File(path, "a") as file:
            file.attrs["training_config"] = json.dumps(compiled)
            group = file.create_group("optimizer_weights")
            group.attrs["weight_names"] = list(state)
            for key, value in state.items():
                if value is not None:  # else a name without an array
                    group[key] = value
        return path if form == "h5" else _numbered(path, folder / "m.keras", good, compiled)

    return Row(f"{form} optimizer: {name}", "load_model", make, None)


def _numbered(path: Path, target: Path, good: Good, compiled: dict[str, Any]) -> Path:
    parts = members_of(good.zips["stack"])
    with h5py.File(path) as old, h5py.File(path.with_suffix(".new"), "w") as file:
        with h5py.File(io.BytesIO(parts["model.weights.h5"])) as weights:
            weights.copy("layers", file)
        group = file.create_group("optimizer/vars")
        for number, key in enumerate(old["optimizer_weights"].attrs["weight_names"]):
            if f"optimizer_weights/{key}" in old and key != "Nadam/momentum_cache:0":
                old.copy(f"optimizer_weights/{key}", group, str(number - (number > 1)))
    spec = json.loads(parts["config.json"])
    spec["compile_config"] = {"loss": "mse", "optimizer": compiled["optimizer_config"]}
    return _kept(target, zipped({"config.json": json.dumps(spec), "metadata.json": '{"keras_version": "2.15.0"}',
                                 "model.weights.h5": path.with_suffix(".new").read_bytes()}))


def whole_h5(folder: Path, good: Good, change: Callable[[dict], dict] = lambda spec: spec) -> bytes:
    """A whole model as Keras 2 wrote it, with the state of its optimizer; its descriptions changed."""
    path = _state("", {}, "h5").make(folder, good, {})
    with h5py.File(path, "a") as file:
        names = ("model_config", "training_config")
        changed = change({name: json.loads(file.attrs[name]) for name in names})
        for name in names:
            text = json.dumps(changed.get(name))
            file.attrs[name] = np.bytes_(text.encode() if len(text) < 60_000 else b"{}")
    return path.read_bytes()


def rows(every_form: bool) -> list[Row]:
    """The whole table; with `every_form` each pattern in each form it can take."""
    kinds = ("weights", "keras", "legacy", "editor") if every_form else ("weights", "keras", "legacy")
    found = [
        *_descriptions(every_form),
        *(_archive(change, "stack", "load_model") for change in ZIPS),
        *(_archive(change, "graph", "load_weights") for change in ZIPS if every_form),
        *map(_folder, FOLDERS),
        *(_weights(change, kind, on_bytes) for on_bytes, table in ((False, HDF5), (True, HDF5_BYTES))
          for number, change in enumerate(table) for kind in (kinds if every_form else [
              "legacy" if change.name.startswith(("heap", "texts")) else kinds[number % 3]])),
        *(_weights(change, "editor", False) for change in HDF5[::6] if not every_form),
        *(_state(name, changed, form) for number, (name, changed) in enumerate(_STATES.items())
          for form in ("h5", "keras") if every_form or (form == "h5") == bool(number % 3)),
        *map(_arrays, TENSORS),
        *map(_exported, PROGRAMS if every_form else PROGRAMS[::8] + PROGRAMS[-26:]),
        *(_at(change, "load_weights", "m.weights.json") for change in INDEXES),
        *(_at(change, "tree", "epoch-000001-step-00000001.checkpoint") for change in CHECKPOINTS),
        *(_at(change, "unpack", "a.zip" if change.name.startswith("zip") else "a.tar", may_write=True) for change in ARCHIVES),
    ]
    times: Counter[str] = Counter()
    for at, row in enumerate(found):
        times[row.name] += 1
        if times[row.name] > 1:
            found[at] = row._replace(name=f"{row.name} ({times[row.name]})")
    return found


ROWS = rows(bool(os.environ.get("KYEO_TESTS") == "slow"))


# -- sizes: each whole number in the config of each layer, made huge ---------------------------------------
def size_rows(values: tuple[Any, ...]) -> Iterator[Row]:
    """A row for each layer of the conformance cases, each whole number in its config and each of `values`."""
    seen: set[Any] = set()
    for case in CASES:
        for place, number in _numbers(case):
            for value in values:
                key = (case.name, place, value)
                if key in seen or value == number:
                    continue
                seen.add(key)
                name = f"{case.name} with {'.'.join(map(str, place))}={value}"
                def make(d: Path, g: Good, f: dict, c: Case = case, p: Any = place, v: Any = value) -> Path:
                    return _resized(d, c, p, v)

                yield Row(name, "call", make, None, {"variables": 2**24})
                if value == 10**6:  # without weights it may ask for much; then the limit of the process is what holds
                    yield Row(f"{name} and no limit", "call", make, None, {"memory": 2**28})


def _plain(value: Any) -> Any:
    if isinstance(value, Inner):
        return {"module": "keras.layers", "class_name": value.name, "registered_name": None, "config": {
            k: _plain(v) for k, v in value.words.items()}}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return kyeo.saving.serialize_keras_object(value)


def _numbers(case: Case) -> Iterator[tuple[tuple[Any, ...], int]]:
    def walk(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], int]]:
        if type(value) is int:
            yield place, value
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) and len(value) < 4 else ()
        for key, item in items:
            if key not in ("seed", "axis", "axes", "salt"):
                yield from walk(item, (*place, key))

    yield from walk({k: _plain(v) for k, v in case.config.items()}, ())


def _resized(folder: Path, case: Case, place: tuple[Any, ...], value: Any) -> Path:
    config = {k: _plain(v) for k, v in case.config.items()}
    inside = config
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    shapes = case.shapes if isinstance(case.shapes, list) else [case.shapes]
    shapes = shapes if isinstance(shapes[0], (tuple, list)) else [shapes]
    spec = {"layer": {"module": "keras.layers", "class_name": case.name, "config": config, "registered_name": None},
            "shapes": [[None, *shape[1:]] for shape in shapes], "dtype": case.dtype, "as_list": isinstance(case.shapes, list)}
    return _kept(folder / "m.json", json.dumps(spec).encode())


# -- what a benign file makes Python do --------------------------------------------------------------------
def _benign(good: Good, folder: Path) -> list[dict]:
    vocabulary = kyeo.Sequential([kyeo.Input((1,), dtype="string"), kyeo.layers.TextVectorization(max_tokens=9)])
    vocabulary.layers[0].adapt(np.array(["a b", "b"]))
    vocabulary.save(folder / "v.keras")
    jobs: list[tuple[str, Path]] = [("load_model", folder / "v.keras")]
    jobs += [("load_model", _kept(folder / f"{base}.keras", good.zips[base])) for base in ("stack", "graph")]
    jobs.append(("load_weights", _kept(folder / "stack.weights.h5", good.weights["stack"])))
    jobs.append(("editor", folder / "stack.weights.h5"))
    text = _kept(folder / "stack.json", good.specs["stack"].encode())
    jobs += [(entry, text) for entry in ("model_from_json", "from_config", "deserialize", "clone")]
    (folder / "f").mkdir()
    jobs += [("load_model", _unzipped(folder / "f", members_of(good.zips["stack"]))),
             ("load_weights", _kept(folder / "l.h5", good.weights["legacy"])),
             ("tensors", _kept(folder / "t.safetensors", good.tensors))]
    jobs.append(("archive", _kept(folder / "a.kyeo", good.archive)))
    kyeo.callbacks.checkpoint.write_tree(folder / "c", {"a": np.ones(3), "b": (1, b"x")})
    layer = kyeo.saving.serialize_keras_object(kyeo.layers.Dense(3, name="d"))
    spectrogram = kyeo.Sequential([kyeo.Input((64, 1)), kyeo.layers.STFTSpectrogram(frame_length=16, frame_step=8)])
    spectrogram.save(folder / "s.keras")
    jobs.append(("load_model", folder / "s.keras"))
    calls = _kept(folder / "call.json", json.dumps({"layer": layer, "shapes": [[None, 3]], "dtype": "float32", "as_list": False}).encode())
    one = _kept(folder / "layer.json", json.dumps(layer).encode())
    jobs += [("tree", folder / "c"), ("call", calls), ("deserialize_in", one), ("deserialize_legacy", one)]
    (folder / "p").write_bytes(pickle.dumps({b"data": [1, 2]}, 2))
    (folder / "z").mkdir()
    made = [{"entry": entry, "path": str(path), "run": path.name in ("stack.keras", "a.kyeo")} for entry, path in jobs]
    return [*made, {"entry": "unpack", "path": str(_kept(folder / "z" / "a.zip", zipped({"a/b": b"x"}))), "may_write": True,
                    "folder": str(folder / "z")}, {"entry": "pickle", "path": str(folder / "p")}]


BENIGN = _benign


# -- one row for each published vulnerability (FIELD B1) ---------------------------------------------------
def _of(kind: str, name: str, **words: Any) -> Row:
    """A row of the tables by its name."""
    if kind in FORMS:
        row = _described(next(p for p in CONFIGS if p.name == name), kind)
    elif kind in ("weights", "keras", "legacy"):
        found = [(c, table is HDF5_BYTES) for table in (HDF5, HDF5_BYTES) for c in table if c.name == name]
        row = _weights(found[0][0], kind, found[0][1])
    else:
        table = {"archive": ZIPS, "dir": FOLDERS, "arrays": TENSORS, "unpack": ARCHIVES}[kind]
        change = next(c for c in table if c.name == name)
        row = {"archive": lambda c: _archive(c, "stack", "load_model"), "dir": _folder, "arrays": _arrays, "unpack": lambda c: _at(
            c, "unpack", "a.zip" if name.startswith("zip") else "a.tar", may_write=True)}[kind](change)
    return row._replace(**words)


def _model_h5(inside: Callable[[dict], Any]) -> Callable[[Path, Good, dict], Path]:
    """A whole model as Keras 2 wrote it, its description changed."""
    def make(folder: Path, good: Good, facts: dict) -> Path:
        path = folder / "m.h5"
        spec = {"class_name": "Sequential", "config": {"name": "m", "layers": [
            {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "dtype": "float32", "name": "x"}},
            {"class_name": "Dense", "config": {"name": "first", "units": 4, "activation": "relu"}},
            {"class_name": "Dense", "config": {"name": "only", "units": 2}}]}}
        inside(spec)
        with h5py.File(path, "w") as file:
            file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
            file.attrs["model_config"] = json.dumps(spec)
            with h5py.File(io.BytesIO(good.weights["legacy"])) as weights:
                weights.copy(weights["/"], file, "model_weights")
        return path

    return make


def _file(name: str, data: bytes) -> Callable[[Path, Good, dict], Path]:
    return lambda folder, good, facts: _kept(folder / name, data)


_PICKLE = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x11touch /tmp/hacked\x85R."
_TORCH = zipped({"archive/data.pkl": _PICKLE, "archive/version": b"3\n", "archive/data/0": bytes(64)})
_CODE = next(p for p in CONFIGS if p.name == "Lambda by bytecode")


def _lambda_in_h5(spec: dict) -> None:
    spec["config"]["layers"][1] = {"class_name": "Lambda", "config": {
        "name": "first", "function": ["4wEAAAAAAAAA", None, None], "function_type": "lambda"}}


PUBLISHED = {
    "huntr 418sec#1504": Row("cifar batch is a pickle", "pickle", _file("data_batch_1", _PICKLE)),
    "CVE-2021-37678": Row("YAML", "model_from_json", lambda d, g, f: _written(TEXTS["yaml"](""), "json", d, g, "stack")),
    "CVE-2024-3660": _of("zip", "Lambda by bytecode"), "CVE-2024-55459": _of("unpack", "tar ../"),
    "CVE-2025-1550": _of("zip", "layer 'Popen' of subprocess"), "CVE-2025-8747": _of("zip", "layer 'get_file' of keras.src.utils.file_utils"),
    "CVE-2025-9906": _of("zip", "unsafe as activation"), "CVE-2025-9905": Row("Lambda in .h5", "load_model", _model_h5(_lambda_in_h5)),
    "CVE-2025-49655": _of("zip", "layer 'TorchModuleW' of keras.layers"), "CVE-2025-12058": _of("zip", "vocabulary from a path"),
    "GHSA-qg93-c7p6-gg7f": _of("zip", "vocabulary from a URL"), "CVE-2025-12060": _of("unpack", "tar link and through it"),
    "CVE-2025-12638": _of("unpack", "tar long link"), "CVE-2026-0897": _of("weights", "10**12 rows"),
    "GHSA-xfhx-r7ww-5995": _of("keras", "10**18 numbers"), "CVE-2026-1669": _of("weights", "external storage"),
    "keras#22057": _of("keras", "external link"), "tf-keras#921": _of("legacy", "external storage"),
    "CVE-2026-1462": _of("zip", "SavedModel by path"), "GHSA-4f3f-g24h-fr8m": _of("zip", "layer 'TFSMLayer' of keras.layers"),
    "GHSA-27f4-p4xq-cxg8": _of("legacy", "external link in the place of a group, 1 up"),
    "GHSA-27f4-p4xq-cxg8 whole model": Row("external link in .h5", "load_model", lambda d, g, f: _linked_h5(d, g, f)),
    "CVE-2026-12479": _of("zip", "layer named '../../x'"), "CVE-2026-12479 asset": _of("archive", "member 'assets/first/../../.'"),
    "CVE-2026-12481": _of("deserialize", "Lambda by bytecode"), "CVE-2026-12481 clone": _of("clone", "Lambda by bytecode"),
    "keras#22973": _of("unpack", "tar hard link up"), "keras#23015": _of("unpack", "tar link"), "keras#22976": _of("weights", "virtual dataset"),
    "keras#22975": _of("weights", "packed and never written"), "keras#23016": Row("npz bomb", "load_weights", _file("m.npz", zipped(
        {"a.npy": b"\x93NUMPY" + bytes(2**20)}, 8))), "keras#23010": _of("archive", "weights bomb"),
    "keras#23101": _of("unpack", "zip bomb"), "keras#23303": _of("archive", "config bomb that says it is small"),
    "keras#23168": _of("keras", "external link in the place of a group, 2 up"),
    "CVE-2025-32434": Row("torch file as a model", "load_model", _file("m.keras", _TORCH)),
    "CVE-2026-24747": Row("torch file as weights", "load_weights", _file("m.weights.h5", _TORCH)),
    "PL#21822": Row("_instantiator", "model_from_json", lambda d, g, f: _written(json.dumps(_with_instantiator(g)), "json", d, g, "stack")),
    "Stanza 1.12": Row("pickle where the safe loading fails", "load_weights", _file("m.weights.h5", _PICKLE)),
    "CVE-2026-31253": Row("pickle as a model", "load_model", _file("m.keras", _PICKLE)),
    "CVE-2022-25882": _of("archive", "member 'assets/../../evil'"), "CVE-2024-27318": _of("archive", "member 'a/../../evil'"),
    "CVE-2024-5187": _of("unpack", "zip ../"), "CVE-2025-51480": _of("archive", "member '/etc/evil'"),
    "CVE-2026-27489": _of("dir", "model.weights.h5 is a link"), "CVE-2026-34445": _of("zip", "_given as argument"),
    "CVE-2026-34446": _of("unpack", "tar hard link"), "CVE-2026-34447": _of("dir", "assets is a link"), "CVE-2026-28500": _of("zip", "self as argument"),
    "CVE-2016-4333": _of("weights", "ones at byte 680"), "CVE-2026-26200": _of("weights", "ones at byte 24"),
    "CVE-2007-4559": _of("unpack", "tar /"), "CVE-2024-12718": _of("unpack", "tar mode"), "CVE-2025-4138": _of("unpack", "tar link and through it"),
    "CVE-2025-4330": _of("unpack", "tar long link"), "CVE-2025-4517": _of("unpack", "tar a/../../"),
    "CVE-2022-21797": _of("zip", "layer 'load' of joblib"), "CVE-2024-34997": _of("archive", "weights is a pickle"),
    "CVE-2019-6446": _of("weights", "a numpy file with a pickle"), "SavedModel": _of("dir", "SavedModel"),
    "safetensors audit": _of("arrays", "polyglot with a zip"), "modelscan#343": _of("zip", "registered function for a layer"),
    "modelaudit#687": _of("zip", "load_model as kernel_initializer"),
}


def _with_instantiator(good: Good) -> dict:
    spec = json.loads(good.specs["stack"])
    spec["config"]["layers"][1]["config"]["_instantiator"] = "os.system"
    return spec


def _linked_h5(folder: Path, good: Good, facts: dict) -> Path:
    path = _model_h5(lambda spec: None)(folder, good, facts)
    with h5py.File(path, "a") as file:
        del file["model_weights/first"]
        file["model_weights/first"] = h5py.ExternalLink(str(Path(facts["secret"]).with_suffix(".h5")), "/")
    return path
