"""Event files that TensorBoard reads, a monitor over HTTP, and averaged weights in evaluations."""

import http.server
import json
import struct
import threading
import urllib.parse
import warnings
import zlib

import keras
import numpy as np
import pytest

import kyeo
from kyeo.callbacks import events

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = X[:, :1]


def make(room=kyeo, **options):
    room.utils.set_random_seed(0)
    dense = room.layers.Dense(1, kernel_initializer="ones")
    model = room.Sequential([room.Input((3,)), dense])
    model.compile(room.optimizers.SGD(0.1, **options), "mse")
    return model


def fit(folder, model=None, epochs=2, **options):
    board = kyeo.callbacks.TensorBoard(folder, **options)
    model = model or make()
    return model, model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, shuffle=False, validation_data=(X[:5], Y[:5]),
                            callbacks=[board]).history


def test_checksums_are_those_of_the_standard():
    # RFC 3720, B.4
    for data, crc in [(b"\0" * 32, 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)]:
        masked = events._masked_crc(data)
        rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
        assert (rotated >> 17 | rotated << 15) & 0xFFFFFFFF == crc


def test_epochs(tmp_path):
    _, history = fit(tmp_path, write_steps_per_second=True)
    train, validation = (events.read_scalars(tmp_path / run) for run in ("train", "validation"))
    assert [t for t in train if t[1] == "epoch_loss"] == [(i, "epoch_loss", v) for i, v in enumerate(history["loss"])]
    assert {t for _, t, _ in train} == {"epoch_loss", "epoch_learning_rate", "epoch_steps_per_second"}
    assert [v for _, t, v in validation if t == "epoch_loss"] == history["val_loss"]
    assert [(s, v) for s, t, v in validation if t == "evaluation_loss_vs_iterations"] == list(
        zip((3, 6), history["val_loss"]))


@pytest.mark.parametrize("freq, steps", [("batch", [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (4, [4])])
def test_steps(freq, steps, tmp_path):
    fit(tmp_path, update_freq=freq)
    assert [s for s, tag, _ in events.read_scalars(tmp_path / "train") if tag == "batch_loss"] == steps


def test_weights_graph_and_embeddings(tmp_path):
    model = kyeo.Sequential([kyeo.Input((3,), dtype="int32"), kyeo.layers.Embedding(5, 2, name="words"),
                             kyeo.layers.Flatten(), kyeo.layers.Dense(1)])
    model.compile("sgd", "mse")
    board = kyeo.callbacks.TensorBoard(tmp_path, histogram_freq=1, write_images=True, embeddings_freq=1,
                                       embeddings_metadata={"words": "words.txt"})
    model.fit(np.ones((4, 3), "int32"), np.ones((4, 1)), verbose=0, callbacks=[board])
    (file,) = (tmp_path / "train").iterdir()
    data = file.read_bytes()
    for words in (b"/embeddings/histogram", b"/kernel/image", b"graph_keras_model", b"brain.Event:2", b"\x89PNG"):
        assert words in data
    assert np.loadtxt(tmp_path / "words.tsv").shape == (5, 2)
    assert 'tensor_path: "words.tsv"' in (tmp_path / "projector_config.pbtxt").read_text()
    before = np.loadtxt(tmp_path / "words.tsv")
    model.quantize("int4", filters="words")
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3), "int32"), np.ones((4, 1)), verbose=0, callbacks=[board])
    assert 0 < np.abs(np.loadtxt(tmp_path / "words.tsv") - before).max() < 0.1  # floats, not the ints of the layer


def test_evaluations_after_a_training_keep_what_was_written(tmp_path):
    model, board = make(), kyeo.callbacks.TensorBoard(tmp_path)
    model.fit(X, Y, validation_data=(X, Y), epochs=2, verbose=0, callbacks=[board])
    for _ in range(2):
        model.evaluate(X, Y, verbose=0, callbacks=[board])
    tags = [tag for _, tag, _ in events.read_scalars(tmp_path / "validation")]
    assert (tags.count("epoch_loss"), tags.count("evaluation_loss_vs_iterations")) == (2, 4)


def test_histograms_and_pictures_hold_what_they_should():
    values = np.random.default_rng(0).normal(size=100)
    parts = dict(events._fields(dict(events._fields(events.histogram("w", values)))[5]))
    assert (parts[1], parts[2], parts[3]) == (values.min(), values.max(), 100)
    counts, edges = np.histogram(values, 30)
    assert list(struct.unpack("<30d", parts[7])) == list(counts)
    np.testing.assert_array_equal(struct.unpack("<30d", parts[6]), edges[1:])
    assert events.histogram("none", [np.nan])
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    picture = dict(events._fields(dict(events._fields(events.image("w", pixels)))[4]))
    png = picture[4]
    assert (picture[1], picture[2], picture[3]) == (2, 4, 3)
    at = png.index(b"IDAT")
    rows = zlib.decompress(png[at + 4:at + 4 + struct.unpack(">I", png[at - 4:at])[0]])
    assert rows == b"\0" + pixels[0].tobytes() + b"\0" + pixels[1].tobytes()


def test_files_go_on_after_a_restart(tmp_path):
    whole, again = kyeo.callbacks.TensorBoard(tmp_path), kyeo.callbacks.TensorBoard(tmp_path)
    states = []
    whole.set_model(make())
    whole.on_train_begin()
    for epoch in range(2):
        whole.on_epoch_begin(epoch)
        whole.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 2.0})
        states.append(whole.get_state())
    whole.on_train_end()
    again.set_model(make())
    again.set_state(states[0])
    again.on_train_begin()
    again.on_epoch_end(1, {"loss": 3.0})
    again.on_train_end()
    assert [(s, v) for s, t, v in events.read_scalars(tmp_path / "train") if t == "epoch_loss"] == [(0, 1.0), (1, 3.0)]
    assert events.read_scalars(tmp_path / "validation") == [(0, "epoch_loss", 2.0)]


def test_evaluate_alone(tmp_path):
    make().evaluate(X, Y, verbose=0, callbacks=[kyeo.callbacks.TensorBoard(tmp_path)])
    assert [t for _, t, _ in events.read_scalars(tmp_path / "validation")] == ["evaluation_loss_vs_iterations"]


@pytest.mark.parametrize("options", [
    {"update_freq": 0}, {"update_freq": "step"}, {"histogram_freq": -1}, {"profile_batch": (3, 2)}, {"write_graph": 2}])
def test_bad_arguments(options):
    with pytest.raises((ValueError, TypeError)):
        kyeo.callbacks.TensorBoard(**options)


@pytest.mark.parametrize("name", ["TensorBoard", "RemoteMonitor", "SwapEMAWeights", "BackupAndRestore", "OrbaxCheckpoint"])
def test_signatures_are_those_of_keras(name):
    import inspect

    ours, theirs = (inspect.signature(getattr(room.callbacks, name)).parameters.values() for room in (kyeo, keras))
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("as_json", [False, True])
def test_remote_monitor(as_json):
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        monitor = kyeo.callbacks.RemoteMonitor(f"http://127.0.0.1:{server.server_port}", "/p/", "f", {"X-A": "b"}, as_json)
        monitor.on_epoch_end(2, {"loss": np.float32(0.5)})
        thread.join()
        address = monitor.root
    path, headers, body = got[0]
    assert path == "/p/" and headers["X-A"] == "b"
    assert json.loads(body if as_json else urllib.parse.parse_qs(body)["f"][0]) == {"epoch": 2, "loss": 0.5}
    with pytest.warns(UserWarning, match="could not reach"):
        kyeo.callbacks.RemoteMonitor(address).on_epoch_end(0, {})
    with pytest.raises(ValueError, match="http"):
        kyeo.callbacks.RemoteMonitor("file:///etc/passwd")


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averaged_weights_are_as_in_keras(swap_on_epoch):
    results = []
    for room in (kyeo, keras):
        model, seen = make(room, use_ema=True, ema_momentum=0.5), []
        look = room.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, model=model, seen=seen: seen.append(model.get_weights()[0].ravel()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            history = model.fit(X, Y, batch_size=4, epochs=3, verbose=0, shuffle=False, validation_data=(X[:4], Y[:4]),
                                callbacks=[room.callbacks.SwapEMAWeights(swap_on_epoch), look])
        results.append([history.history["val_loss"], *seen, *(w.ravel() for w in model.get_weights())])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    with pytest.raises(ValueError, match="use_ema"):
        make().evaluate(X, Y, verbose=0, callbacks=[kyeo.callbacks.SwapEMAWeights()])


def test_averaged_weights_after_an_early_end():
    stop = kyeo.callbacks.EarlyStopping("loss", patience=0, min_delta=99)
    model, average = make(use_ema=True, ema_momentum=0.5), []
    look = kyeo.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: average.append(model.get_weights()[0]))
    model.fit(X, Y, epochs=5, verbose=0, callbacks=[kyeo.callbacks.SwapEMAWeights(True), look, stop])
    assert len(average) == 2
    np.testing.assert_array_equal(model.get_weights()[0], average[-1])


@pytest.mark.parametrize(("freq", "expected"), [
    ("epoch", [(3, {"epoch", "learning_rate", "loss", "mae", "val_loss", "val_mae"}),
               (6, {"epoch", "learning_rate", "loss", "mae", "val_loss", "val_mae"})]),
    (2, [(2, {"batch_loss", "batch_mae"}), (3, {"epoch", "learning_rate", "loss", "mae", "val_loss", "val_mae"}),
         (4, {"batch_loss", "batch_mae"}), (6, {"batch_loss", "batch_mae"}),
         (6, {"epoch", "learning_rate", "loss", "mae", "val_loss", "val_mae"})]),
])
def test_logger_callback(freq, expected):
    """Any tracker that takes a dict and a step is told the numbers of History."""
    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    told = []
    logger = kyeo.callbacks.LoggerCallback(lambda results, step: told.append((step, results)), update_freq=freq)
    x, y = np.ones((24, 2)), np.ones((24, 1))
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0, validation_data=(x, y), callbacks=[logger]).history
    assert [(step, set(results)) for step, results in told] == expected
    of_epochs = [results for _, results in told if "epoch" in results]
    assert all(type(value) is float or name == "epoch" for _, results in told for name, value in results.items())
    assert [results["epoch"] for results in of_epochs] == [0, 1]
    assert [results["val_mae"] for results in of_epochs] == history["val_mae"]


def test_logger_callback_without_its_server():
    def log(results, step):
        raise ConnectionError("no route")

    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="LoggerCallback could not log step 1: no route"):
        model.fit(np.ones((8, 2)), np.ones((8, 1)), verbose=0, callbacks=[kyeo.callbacks.LoggerCallback(log)])
    with pytest.raises(TypeError, match="log_fn='wandb'\n  Expected: a function"):
        kyeo.callbacks.LoggerCallback("wandb")
    with pytest.raises(ValueError, match="update_freq=0"):
        kyeo.callbacks.LoggerCallback(print, update_freq=0)


@pytest.mark.parametrize(("history", "rows", "lines"), [
    ({}, [], 0),
    ({"loss": [1.0, 0.5]}, ["loss"], 1),
    ({"loss": [1.0, 0.5], "val_loss": [2.0, 1.5], "lr": [0.1, 0.1]}, ["loss", "lr"], 3),
    ({"loss": [float("nan"), float("inf")], "val_auc": [0.5, 0.75]}, ["loss", "val_auc"], 1),
    ({"<b>": [1.0]}, ["&lt;b&gt;"], 1),
])
def test_history_in_a_notebook(history, rows, lines):
    import xml.etree.ElementTree as ElementTree

    shown = kyeo.callbacks.History()
    for epoch in range(max(map(len, history.values()), default=0)):
        shown.on_epoch_end(epoch, {name: values[epoch] for name, values in history.items()})
    page = shown._repr_html_()
    table = ElementTree.fromstring(page)  # well-formed
    assert [name for name in rows if f"<th>{name}</th>" in page] == rows and len(table.findall("tr")) == len(rows) + 1
    assert len(table.findall(".//polyline")) == lines and "nan," not in page
