"""The ways into the loader, each a function of a path that opens the file and then uses what came out.

Each gives all texts in which something that was read could show. `act ...` are no ways into the loader but the acts
that the harness must catch.
"""

import ctypes
import encodings.idna  # noqa: F401 (what names of hosts go through)
import http.client
import json
import marshal
import os
import pickle
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import h5py
import numpy as np

import kyeo
from kyeo.callbacks.checkpoint import read_tree
from kyeo.core.tensors import Tensors
from kyeo.datasets.archives import extract
from kyeo.datasets.restricted import read_pickle

__all__ = ["ENTRIES", "TRAPPED", "graph", "stack"]

TRAPPED: list[int] = []  # how often a registered function was called


@kyeo.saving.register_keras_serializable("canary")
def trap(*args, **kwargs):
    """Must not be called where no function is expected."""
    TRAPPED.append(1)
    return args[0] if args else None


def stack():
    """The model whose files are made hostile."""
    model = kyeo.Sequential([kyeo.Input((3,), name="x"), kyeo.layers.Dense(4, activation="relu", name="first"),
                             kyeo.layers.Dropout(0.5, name="drop"), kyeo.layers.Dense(2, name="only")], name="stack")
    model.compile("sgd", "mse")
    return model


def graph():
    """The same as a graph."""
    x = kyeo.Input((3,), name="x")
    h = kyeo.layers.Dense(4, activation="relu", name="first")(x)
    h = kyeo.layers.Dropout(0.5, name="drop")(h)
    return kyeo.Model(x, kyeo.layers.Dense(2, name="only")(h), name="graph")


# -- using what came out -----------------------------------------------------------------------------------
def _use(found, job) -> list[str]:
    """Look at everything an object has; let a model predict, if the job says so."""
    texts = [repr(found)[:10_000]]
    if isinstance(found, kyeo.layers.Layer):
        texts += [json.dumps(kyeo.saving.serialize_keras_object(found), default=str)]
        texts += [np.asarray(v.value).tobytes().decode("latin-1") for v in found.variables]
        texts += [str(layer.get_vocabulary()) for layer in found._flatten_layers() if hasattr(layer, "get_vocabulary")]
    if job.get("run") and isinstance(found, kyeo.Model) and getattr(found, "_graph", None) is not None:
        found.summary(print_fn=texts.append)
        tensors = found._graph.input_tensors
        if all(t.dtype != "string" and np.prod([s or 1 for s in t.shape]) < 10**5 for t in tensors):
            outputs = found([np.ones([s or 1 for s in t.shape], "float32") for t in tensors]
                            if len(tensors) > 1 else np.ones([s or 1 for s in tensors[0].shape], "float32"))
            texts.append(str(outputs)[:10_000])
    return texts


def _json(path):
    return json.loads(Path(path).read_text(encoding="utf-8", errors="surrogateescape"))


def _load_model(path, job):
    return _use(kyeo.saving.load_model(path), job)


def _load_weights(path, job):
    model = {"stack": stack, "graph": graph}[job.get("model", "stack")]()
    before = model.get_weights()
    try:
        model.load_weights(path, **job.get("words", {}))
    except Exception:
        same = all(map(np.array_equal, before, model.get_weights()))
        assert same, "a load that failed has changed the model"
        raise
    return _use(model, job)


def _model_from_json(path, job):
    return _use(kyeo.models.model_from_json(Path(path).read_text(encoding="utf-8", errors="surrogatepass")), job)


def _from_config(path, job):
    spec = _json(path)
    cls = kyeo.Sequential if spec.get("class_name") == "Sequential" else kyeo.Model
    return _use(cls.from_config(spec["config"]), job)


def _deserialize(path, job):
    """Each layer by itself, called on what it was built for."""
    texts = []
    for spec in _json(path)["config"]["layers"]:
        texts += _use(kyeo.layers.deserialize(spec), job)
    return texts


def _deserialize_in(path, job):
    room = getattr(kyeo, job.get("room", "layers"))
    return _use(room.deserialize(_json(path)), job)


def _deserialize_legacy(path, job):
    return _use(kyeo.legacy.saving.deserialize_keras_object(_json(path), vars(getattr(kyeo, job.get("room", "layers")))), job)


def _clone(path, job):
    found = kyeo.models.model_from_json(Path(path).read_text(encoding="utf-8", errors="surrogatepass"))
    return _use(kyeo.models.clone_model(found), job)


def _get(path, job):
    return _use(getattr(kyeo, job["room"]).get(_json(path)), job)


def _call(path, job):
    """A layer is made from its config and called on symbolic inputs, as a graph in a file does it."""
    spec = _json(path)
    with kyeo.saving.reading_limits(variables=job.get("variables")), kyeo.core.reading.reading():
        layer = kyeo.layers.deserialize(spec["layer"])
        inputs = [kyeo.Input(batch_shape=shape, dtype=spec["dtype"]) for shape in spec["shapes"]]
        layer(inputs if spec["as_list"] else inputs[0])
    return _use(layer, job)


def _tensors(path, job):
    with Tensors(path, sealed=job.get("sealed", False)) as tensors:
        return [str(tensors[name].copy())[:100] for name in tensors] + list(tensors.metadata.values())


def _archive(path, job):
    loaded = kyeo.export.load(path)
    texts = [repr(loaded), repr(loaded.endpoints), *(np.asarray(v.value).tobytes().decode("latin-1") for v in loaded.variables)]
    if job.get("run"):
        texts.append(str(loaded.serve(np.ones((2, 3), "float32"))))
    return texts


def _editor(path, job):
    found = kyeo.saving.KerasFileEditor(path)
    found.summary()
    return [str(found.weights_dict), str(found.object_metadata), str(found.compare(stack()))]


def _tree(path, job):
    return [str(read_tree(path))]


def _unpack(path, job):
    extract(Path(path), Path(job["folder"], "inside"))
    return []


def _pickle(path, job):
    return [str(read_pickle(Path(path).read_bytes(), Path(path)))]


def _batch(path, job):
    """Many files in one go; what is refused in order is passed over."""
    wrong = []
    with kyeo.saving.reading_limits(variables=2**24):
        for file in job["files"]:
            try:
                ENTRIES[job["of"]](file, {})
            except Exception as error:
                memory, cause = False, error
                while cause is not None:
                    memory, cause = memory or isinstance(cause, MemoryError), cause.__cause__ or cause.__context__
                if memory or not hasattr(error, "_told") or not isinstance(error, ValueError | TypeError | OSError):
                    wrong.append(f"{file}: {type(error).__name__}: {str(error)[:300]}")
    if wrong:
        raise AssertionError("\n".join(wrong))
    return []


ENTRIES = {
    "load_model": _load_model, "load_weights": _load_weights, "model_from_json": _model_from_json,
    "from_config": _from_config, "deserialize": _deserialize, "deserialize_in": _deserialize_in,
    "deserialize_legacy": _deserialize_legacy, "clone": _clone, "get": _get, "call": _call, "tensors": _tensors,
    "archive": _archive, "editor": _editor, "tree": _tree, "unpack": _unpack, "pickle": _pickle, "batch": _batch,
}


# -- what the harness must catch ---------------------------------------------------------------------------
class _Pickled:
    def __reduce__(self):
        return (os.getcwd, ())


def _act(function):
    def entry(path, job):
        try:
            return [str(function(path, job))]
        except PermissionError:
            return []  # caught by a loader that is too broad: the note must be there all the same
    return entry


def _hog(path, job):
    return sum(len(bytearray(2**24)) for _ in [[bytearray(2**26) for _ in range(100)]])


def _spin(path, job):
    while True:
        pass


ENTRIES |= {f"act {name}": _act(function) for name, function in {
    "write": lambda p, j: os.fdopen(os.open(p + ".new", os.O_WRONLY | os.O_CREAT)), "append": lambda p, j: Path(p).write_bytes(b"y"),
    "read": lambda p, j: Path(j["secret"]).read_text(), "os.open": lambda p, j: os.open(j["secret"], os.O_RDONLY),
    "socket": lambda p, j: socket.socket().connect(("127.0.0.1", 9)),
    "resolve": lambda p, j: socket.getaddrinfo("example.com", 80),
    "http": lambda p, j: http.client.HTTPConnection("127.0.0.1", 9).connect(),
    "urllib": lambda p, j: urllib.request.urlopen("http://127.0.0.1:9/"),
    "subprocess": lambda p, j: subprocess.run(["true"], check=False), "system": lambda p, j: os.system("true"),
    "exec": lambda p, j: os.execv("/bin/true", ["true"]), "fork": lambda p, j: os.fork(),
    "spawn": lambda p, j: os.posix_spawn("/bin/true", ["true"], {}), "kill": lambda p, j: os.kill(os.getpid(), 0),
    "remove": lambda p, j: os.remove(j["secret"]), "rename": lambda p, j: os.rename(j["secret"], p + ".x"),
    "mkdir": lambda p, j: os.mkdir(p + ".d"), "symlink": lambda p, j: os.symlink(j["secret"], p + ".l"),
    "link": lambda p, j: os.link(j["secret"], p + ".l"), "chmod": lambda p, j: os.chmod(p, 0o777),
    "truncate": lambda p, j: os.truncate(p, 0), "copy": lambda p, j: shutil.copyfile(j["secret"], p + ".c"),
    "tempfile": lambda p, j: tempfile.mkstemp(), "listdir": lambda p, j: os.listdir("/"),
    "putenv": lambda p, j: os.environ.__setitem__("KYEO_ACT", "1"), "chdir": lambda p, j: os.chdir("/"),
    "import": lambda p, j: __import__("antigravity"), "import path": lambda p, j: __import__("evil"),
    "eval": lambda p, j: eval("1 + 1"), "code": lambda p, j: exec(compile("x = 1", "<file>", "exec")),
    "marshal": lambda p, j: marshal.loads(marshal.dumps((1, 2))),
    "pickle": lambda p, j: pickle.loads(pickle.dumps(_Pickled())),
    "numpy pickle": lambda p, j: np.load(j["pickled"], allow_pickle=True),
    "dlopen": lambda p, j: ctypes.CDLL("libm.so.6"), "address": lambda p, j: ctypes.string_at(id(p), 8),
    "sqlite": lambda p, j: sqlite3.connect(":memory:"), "trace": lambda p, j: sys.settrace(None),
    "external": lambda p, j: h5py.File(j["external"])["0"][()], "memory": _hog, "time": _spin,
    "wait": lambda p, j: time.sleep(30),
    "trap": lambda p, j: trap(1), "leak": lambda p, j: j["token"],
    "crash": lambda p, j: ctypes.pythonapi and os.kill(os.getpid(), 11),
}.items()}
