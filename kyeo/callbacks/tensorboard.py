"""TensorBoard: losses, metrics and weights as event files; TensorFlow is not needed."""

import os
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kyeo.callbacks.base import Callback, Logs
from kyeo.callbacks.events import EventFile, histogram, image, scalar, text_of_plugin
from kyeo.callbacks.learning_rate import rates_of
from kyeo.core.errors import boolean, positive_int, problem
from kyeo.core.files import writing
from kyeo.core.plain import warn
from kyeo.core.processes import for_first, leads
from kyeo.core.variable import unwrap

__all__ = ["TensorBoard"]

_RUNS = ("train", "validation")


class TensorBoard(Callback):
    """Writes what `tensorboard --logdir logs` shows, into the folders `train` and `validation` of `log_dir`.

    Numbers of an epoch are called "epoch_loss", those of a step "batch_loss", those of an evaluation by the step count
    of the optimizer "evaluation_loss_vs_iterations". A training that is resumed goes on with the same files. Of several
    processes that train together the first writes them.

    Args:
        log_dir: the folder; each training should have its own.
        histogram_freq: show how the weights are spread, every so many epochs; 0: never.
        write_graph: write the architecture for the tab "Graphs".
        write_images: show weights as pictures, together with histograms.
        write_steps_per_second: write how fast training is.
        update_freq: "epoch", "batch", or every so many steps; steps are written besides epochs. Listening to steps
            makes small networks slower.
        profile_batch: the step, or first and last step, to record with JAX's profiler; counted from 1. 0: none.
        embeddings_freq: write the vectors of Embedding layers for the projector, every so many epochs; 0: never.
        embeddings_metadata: {layer name: file with a label a row}, or one file for all.

    >>> import kyeo, numpy as np, tempfile
    >>> model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> folder = tempfile.mkdtemp()
    >>> board = kyeo.callbacks.TensorBoard(folder)
    >>> history = model.fit(np.ones((8, 2)), np.ones((8, 1)), verbose=0, callbacks=[board])
    >>> [tag for step, tag, value in kyeo.callbacks.events.read_scalars(folder + "/train")]
    ['epoch_learning_rate', 'epoch_loss']
    """

    def __init__(
        self, log_dir: Any = "logs", histogram_freq: int = 0, write_graph: bool = True, write_images: bool = False,
        write_steps_per_second: bool = False, update_freq: str | int = "epoch", profile_batch: Any = 0,
        embeddings_freq: int = 0, embeddings_metadata: Any = None,
    ):
        super().__init__()
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = positive_int(self, minimum=0, histogram_freq=histogram_freq)
        self.write_graph, self.write_images = boolean(self, write_graph=write_graph), write_images
        self.write_steps_per_second = boolean(self, write_steps_per_second=write_steps_per_second)
        update_freq = 1 if update_freq == "batch" else update_freq
        self.update_freq: Any = update_freq if update_freq == "epoch" else positive_int(self, update_freq=update_freq)
        self.embeddings_freq = positive_int(self, minimum=0, embeddings_freq=embeddings_freq)
        self.embeddings_metadata = embeddings_metadata
        self._profiled = _first_and_last(self, profile_batch)
        self._profiling = False
        self._stamp, self._step, self._graph_written = "", 0, False
        self._files: dict[str, EventFile] = {}
        self._began = self._epoch_began = 0.0
        self._before = 0  # steps before this epoch
        self._training = False
        if self.update_freq == "epoch" and not self._profiled[1]:
            self._ignored_hooks = (TensorBoard.on_train_batch_begin, TensorBoard.on_train_batch_end)

    # -- files ---------------------------------------------------------------------------------------------
    def _file(self, run: str, size: int = 0) -> EventFile:
        if run not in self._files:
            if not self._stamp:
                self._stamp = f"{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns() % 10**6}"
            path = Path(self.log_dir, run, f"events.out.tfevents.{self._stamp}.v2")
            self._files[run] = EventFile(path, size)
        return self._files[run]

    def _write(self, run: str, step: int, values: Mapping[str, Any], prefix: str, suffix: str = "") -> None:
        plain = [scalar(f"{prefix}{name}{suffix}", value) for name, value in values.items() if np.ndim(value) == 0]
        if plain and leads():
            self._file(run).add(step, plain)
            self._file(run).flush()

    def get_state(self) -> dict[str, Any]:
        sizes = {run: self._file(run).on_disk() for run in _RUNS if leads()}
        return {"stamp": self._stamp, "step": self._step, "before": self._before, "graph": self._graph_written,
                "sizes": sizes}

    def set_state(self, state: Mapping[str, Any]) -> None:
        sizes, stamp = state["sizes"], state["stamp"]
        plain = set(sizes) <= set(_RUNS) and all(type(size) is int and size >= 0 for size in sizes.values())
        if not plain or not isinstance(stamp, str) or not re.fullmatch(r"[\w.-]*", stamp):  # they are parts of paths
            raise problem("This state is not one of TensorBoard.", where=self,
                          received=f"stamp={str(stamp)[:100]!r}, sizes={sizes}",
                          expected=f"plain names, and sizes of {' and '.join(_RUNS)}")
        self._close()
        self._stamp, self._graph_written = state["stamp"], state["graph"]
        self._step, self._before = state["step"], state["before"]
        for run, size in state["sizes"].items():
            self._file(run, size)
        self._resumed = True

    def _close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files, self._stamp = {}, ""  # what is written later goes to a new file; this one would be emptied

    # -- hooks ---------------------------------------------------------------------------------------------
    def on_train_begin(self, logs: Logs = None) -> None:
        if self._begins_anew():
            self._close()
            self._step, self._before, self._graph_written = 0, 0, False
        self._training = True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch_began, self._before = time.perf_counter(), self._step
        if self.write_graph and not self._graph_written:
            self._graph_written = True
            self._write_graph()

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._began = time.perf_counter()
        if not self._profiling and leads() and 0 < self._profiled[0] <= self._step + 1 <= self._profiled[1]:
            jax.profiler.start_trace(os.path.join(self.log_dir, "train"))
            self._profiling = True

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        last, self._step = self._step, self._before + batch + 1  # several, with many steps per dispatch
        if self._profiling and self._step >= self._profiled[1]:
            self._end_profile()
        if self.update_freq == "epoch" or self._step // self.update_freq == last // self.update_freq:
            return
        values = dict(logs or {})
        if self.write_steps_per_second:
            values["steps_per_second"] = (self._step - last) / (time.perf_counter() - self._began)
        self._write("train", self._step, values, "batch_")

    def on_test_end(self, logs: Logs = None) -> None:
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        if iterations is not None and logs:
            self._write("validation", int(iterations), logs, "evaluation_", "_vs_iterations")
        if not self._training:
            self._close()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        train |= {name: float(optimizer.learning_rate) for name, optimizer in rates_of(self.model).items()}
        if self.write_steps_per_second and (self.params or {}).get("steps"):
            train["steps_per_second"] = self.params["steps"] / (time.perf_counter() - self._epoch_began)
        self._write("train", epoch, dict(sorted(train.items())), "epoch_")
        self._write("validation", epoch, {n[4:]: v for n, v in logs.items() if n.startswith("val_")}, "epoch_")
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            try:
                self._write_embeddings()
            except OSError as error:
                warn(f"TensorBoard: the vectors of epoch {epoch + 1} are not written; training goes on. "
                     f"{error}")

    def on_train_end(self, logs: Logs = None) -> None:
        self._training = False
        self._end_profile()
        self._close()

    def on_train_interrupted(self) -> None:
        self.on_train_end()

    # -- what is written -----------------------------------------------------------------------------------
    def _end_profile(self) -> None:
        if self._profiling:
            self._profiling = False
            jax.profiler.stop_trace()

    def _write_graph(self) -> None:
        if not leads():
            return
        try:
            text = self.model.to_json()
        except Exception as error:  # a part that cannot be described is no reason not to train
            warn(f"TensorBoard: the architecture is not written: {str(error).splitlines()[0]}")
            return
        self._file("train").add(0, [text_of_plugin("keras", text, "graph_keras_model")])

    def _write_weights(self, epoch: int) -> None:
        for layer in self.model.layers:
            for weight in layer.weights:
                name = weight.path.replace(":", "_")
                values = np.asarray(weight.numpy(), np.float32)  # all processes may have parts of it
                if not leads():
                    continue
                self._file("train").add(epoch, [histogram(f"{name}/histogram", values)])
                pictures = _as_pictures(values) if self.write_images else []
                if pictures:
                    tags = [f"{name}/image"] if len(pictures) == 1 else [
                        f"{name}/image/{i}" for i in range(len(pictures))]
                    self._file("train").add(epoch, [image(*pair) for pair in zip(tags, pictures)])
        if leads():
            self._file("train").flush()

    def _write_embeddings(self) -> None:
        lines = []
        found = [layer for layer in self.model.layers if type(layer).__name__ == "Embedding"]
        vectors = {layer.name: for_first(unwrap(layer.whole())) for layer in found}
        if not leads():
            return
        os.makedirs(self.log_dir, exist_ok=True)
        for name, values in vectors.items():
            with writing(Path(self.log_dir, f"{name}.tsv")) as file:
                np.savetxt(file, values, "%.6g", "\t")
            labels = self.embeddings_metadata
            labels = labels.get(name) if isinstance(labels, dict) else labels
            labels = f'  metadata_path: "{labels}"\n' if labels else ""
            lines.append(f'embeddings {{\n  tensor_name: "{name}"\n  tensor_path: "{name}.tsv"\n{labels}}}\n')
        with writing(Path(self.log_dir, "projector_config.pbtxt")) as file:
            file.write("".join(lines).encode())


def _first_and_last(owner: Any, steps: Any) -> tuple[int, int]:
    if isinstance(steps, str):
        steps = tuple(int(s) if s.strip().isdigit() else -1 for s in steps.split(","))
    pair = (steps, steps) if isinstance(steps, int) else tuple(steps)
    if len(pair) != 2 or not 0 <= pair[0] <= pair[1]:
        raise problem("`profile_batch` is not valid.", received=f"profile_batch={steps!r}", where=owner,
                      expected="0, a step from 1 on, or (first, last)")
    return pair


def _as_pictures(values: np.ndarray, most: int = 3) -> list[np.ndarray]:
    """A weight as up to `most` pictures, black for the smallest number and white for the largest; none where its
    shape does not do for it."""
    values = np.squeeze(values)
    if values.ndim == 1:
        values = values[None]
    elif values.ndim == 2 and values.shape[0] > values.shape[1]:
        values = values.T
    if values.ndim not in (2, 3) or not values.size:
        return []
    low, high = np.nanmin(values), np.nanmax(values)
    pixels = (np.nan_to_num((values - low) / (high - low if high > low else 1)) * 255).astype(np.uint8)
    return [pixels] if pixels.ndim == 2 else list(np.moveaxis(pixels, -1, 0)[:most])
