"""The forms in which weights alone are kept, by the ending of the file's name: HDF5 or safetensors, in one or more
files.

`.weights.h5` and `.weights.json` are Keras's; `.safetensors` is read by any program for such files, and has checksums.
"""

import contextlib
import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from kyeo.core.files import writing
from kyeo.core.notes import notes
from kyeo.core.progbar import Progbar, is_live
from kyeo.core.tensors import Tensors, write_tensors
from kyeo.saving.hdf5 import open_for_reading
from kyeo.saving.hdf5_writing import open_for_writing
from kyeo.saving.stores import Hdf5Reader, Hdf5Writer, Reader, TensorReader, TensorWriter
from kyeo.saving.weights import save_variables

__all__ = ["HDF5", "KERAS_VERSION", "TENSORS", "metadata", "loading", "opened", "write_hdf5", "write_safetensors"]

KERAS_VERSION = "3.15.1"  # the version of Keras whose form the files have, and whose names Kyeo has
HDF5, TENSORS = ".weights.h5", ".safetensors"
_LARGE = 2**27  # bytes: what is smaller is loaded before one could read a line


def write_hdf5(model: Any, path: Path, skip: Iterable[Any] = ()) -> None:
    """Write all weights into one `.weights.h5`."""
    with writing(path) as file, open_for_writing(file) as store:
        save_variables(model, Hdf5Writer(store), skip)
        store.attrs.update(notes())


def write_safetensors(model: Any, path: Path, skip: Iterable[Any] = ()) -> None:
    """Write all weights into one `.safetensors`."""
    store = TensorWriter()
    save_variables(model, store, skip)
    with writing(path) as file:
        write_tensors(file, store.arrays(), metadata() | notes(), summed=True)


def metadata() -> dict[str, str]:
    """What stands at the beginning of a file of arrays: who reads it, and who wrote it."""
    return {"format": "kyeo", "kyeo_version": sys.modules["kyeo"].__version__}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """The weights in a `.weights.h5` or `.safetensors`."""
    if path.name.endswith(TENSORS):
        with Tensors(path) as tensors:
            tensors.check()
            yield TensorReader(dict.fromkeys(tensors, tensors), str(path))
    else:
        with open_for_reading(path, str(path)) as store:
            yield Hdf5Reader(store, str(path))


@contextlib.contextmanager
def loading(size: int, verbose: Any = None) -> Iterator[Callable[[int], None]]:
    """Around the loading of files: gives what is told of bytes that were read, and shows how far that has come.

    Before a large one is read, memory is given back that JAX holds in circles since it found the shapes of the model's
    layers: their first values among it.

    Args:
        size: of all files, in bytes.
        verbose: True or 1 shows it, False or 0 does not; None: on a terminal, where it takes long.
    """
    if size >= _LARGE:
        gc.collect()
    if not (size >= _LARGE and is_live() if verbose is None else verbose):
        yield lambda done: None
        return
    whole, loaded = max(size // 10**6, 1), 0
    bar = Progbar(whole, unit_name="MB")
    bar.label = "Loading"

    def show(done: int) -> None:
        nonlocal loaded
        loaded += done
        bar.update(min(loaded // 10**6, whole - 1), finalize=False)

    try:
        yield show
        bar.update(whole, finalize=True)
    finally:
        bar.leave()
