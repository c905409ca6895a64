"""The progress bar on a terminal, in a pipe, in a notebook; and the small utils."""

import os
import re
import subprocess
import sys
import textwrap
import time
import types

import jax.numpy as jnp
import numpy as np
import pytest

from kyeo import utils
from kyeo.callbacks.callback import CallbackList, LazyLogs
from kyeo.core.progbar import Progbar, say

ANSI = re.compile(r"\x1b\[[0-9;]*[mK]")


def run(code, terminal, **environment):
    """The output of a program whose stdout is a terminal of 80 columns, or a pipe."""
    env = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **environment}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    if not terminal:
        return subprocess.run(command, env=env, capture_output=True, check=True, timeout=60).stdout.decode()
    import pty  # not on Windows

    master, slave = pty.openpty()
    process = subprocess.Popen(command, env=env, stdout=slave)
    os.close(slave)
    output = b""
    try:
        while chunk := os.read(master, 65536):
            output += chunk
    except OSError:  # the end, on Linux
        pass
    assert process.wait(60) == 0
    return output.decode()


FIT = """
    import time
    from kyeo.callbacks.callback import CallbackList, LazyLogs
    told = CallbackList(add_progbar=True, epochs=2, steps=40, verbose=1)
    told.on_train_begin()
    for epoch in range(2):
        told.on_epoch_begin(epoch)
        told.note("compiling ...")
        for batch in range(40):
            time.sleep(0.01)
            told.on_train_batch_end(batch, LazyLogs(lambda: {"accuracy": batch / 40, "loss": 0.0001}))
        told.on_epoch_end(epoch, {"accuracy": 0.9, "loss": 0.0001, "val_loss": 0.5})
    told.on_train_end()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_a_terminal_gets_one_live_line_an_epoch():
    raw = run(FIT, terminal=True)
    lines = [line.split("\r")[-1] for line in ANSI.sub("", raw.replace("\r\n", "\n")).strip().split("\n")]
    assert [lines[0], lines[2]] == ["Epoch 1/2", "Epoch 2/2"] and len(lines) == 4
    assert re.fullmatch(r"40/40 ━{20} \ds \d+ms/step - accuracy: 0.9000 - loss: 1.0000e-04 - "
                        r"val_loss: 0.5000", lines[1])
    draws = [ANSI.sub("", part) for part in raw.split("\r") if part.strip()]
    assert 6 <= len(draws) <= 20, draws  # ten a second at most, over less than two seconds
    assert any("compiling ..." in part for part in draws)
    assert any(re.match(r" ?\d+/40 ━+─+ \ds \d+ms/step - accuracy", part) for part in draws)
    first = next(part for part in draws if "/40" in part)
    assert re.match(r" 1/40 ─{20} - accuracy: 0.0000e\+00 - loss", first)  # no time yet: the first step compiles
    assert "\x1b[32m" in raw and "\x1b[32m" not in run(FIT, terminal=True, NO_COLOR="1")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_a_long_line_is_clipped_and_messages_stand_above_it():
    code = """
        import time
        from kyeo.core.progbar import Progbar, say
        bar = Progbar(3)
        for step in range(1, 3):
            bar.update(step, {f"some_metric_{i}": 0.5 for i in range(9)})
            time.sleep(0.11)
        say("a message")
        bar.update(3, {"loss": 1.0})
    """
    raw = run(code, terminal=True)
    shown = [ANSI.sub("", part) for part in re.split(r"[\r\n]", raw)]
    assert max(map(len, shown)) == 79
    shown = [line for line in shown if line]
    assert shown[-2] == "a message" and shown[-1].endswith("loss: 1.0000")


def test_a_pipe_gets_one_plain_line_an_epoch():
    lines = run(FIT, terminal=False).splitlines()
    assert len(lines) == 2 and "\x1b" not in "".join(lines)
    assert re.fullmatch(r"Epoch 2/2 - 40/40 - \ds - \d+ms/step - accuracy: 0.9000 - loss: 1.0000e-04 - "
                        r"val_loss: 0.5000", lines[1])
    assert run(FIT, terminal=False, PYTHONIOENCODING="ascii").splitlines()[0].startswith("Epoch 1/2 - 40/40")


def test_a_long_epoch_gets_a_line_a_minute(monkeypatch, capsys):
    now = [1000.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    bar = Progbar(300)
    for step in range(1, 301):
        now[0] += 1
        bar.update(step, {"loss": 0.5})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0] == " 60/300 - 60s - 1s/step - loss: 0.5000"


def test_a_notebook_updates_one_output(monkeypatch, capsys):
    texts, handles = [], []

    class Handle:
        def update(self, data, raw):
            texts.append(data["text/plain"])

    def display(data, raw, display_id):
        texts.append(data["text/plain"])
        handles.append(Handle())
        return handles[-1]

    ipython = types.ModuleType("IPython")
    ipython.get_ipython, ipython.display = object, types.SimpleNamespace(display=display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    told = CallbackList(add_progbar=True, epochs=2, steps=50, verbose=1)
    told.on_train_begin()
    told.on_epoch_begin(0)
    told.note("compiling ...")
    for batch in range(50):
        time.sleep(0.01)
        told.on_train_batch_end(batch, {"loss": 0.5})
    told.on_epoch_end(0, {"loss": 0.5})
    assert len(handles) == 1 and 3 <= len(texts) <= 8 and not capsys.readouterr().out
    assert texts[0] == "Epoch 1/2 - compiling ..."
    assert re.fullmatch(r"Epoch 1/2 - 50/50 ━{20} \ds \d+ms/step - loss: 0.5000", texts[-1])


def shown(capsys, verbose, **params):
    told = CallbackList(add_progbar=True, epochs=1, steps=3, verbose=verbose, **params)
    told.on_test_begin()
    for batch in range(3):
        told.on_test_batch_end(batch, {"loss": 0.5})
    told.on_test_end({"loss": 0.25})
    return capsys.readouterr().out


def test_verbose(capsys):
    assert shown(capsys, 0) == ""
    for verbose in (1, 2, "auto"):
        assert re.fullmatch(r"3/3 - 0s - \d+\ws/step - loss: 0.2500\n", shown(capsys, verbose))
    with pytest.raises(ValueError):
        Progbar(3, verbose=5)


def test_verbose_2_is_as_in_keras(capsys):
    outputs = []
    for kind in (Progbar, pytest.importorskip("keras").utils.Progbar):
        bar = kind(12, verbose=2)
        for step in range(1, 13):
            bar.update(step, [("loss", step / 10), ("small", 1e-5)])
        outputs.append(re.sub(r"\d+[mu]s/step", "T", capsys.readouterr().out))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("options", [{}, {"stateful_metrics": ["a"]}, {"stateless_metrics": ["a"]}])
def test_averages_are_as_in_keras(capsys, options):
    outputs = []
    for kind in (Progbar, pytest.importorskip("keras").utils.Progbar):
        bar = kind(10, verbose=2, **options)
        bar.update(2, [("a", 1.0), ("b", 3.0)])
        bar.add(4, [("a", 2.0), ("b", 5.0)])
        bar.update(8, [("a", 4.0), ("b", 1.0)], finalize=False)
        sums = bar._sums if kind is Progbar else bar._values
        outputs.append([bar.stateful_metrics, bar.stateless_metrics,
                        {name: total / count for name, (total, count) in sums.items()}])
    assert outputs[0] == outputs[1]


def test_no_length_is_known_at_first(capsys):
    told = CallbackList(add_progbar=True, epochs=1, steps=None, verbose=1)
    told.on_predict_begin()
    for batch in range(4):
        told.on_predict_batch_end(batch, {"outputs": None})
    told.on_predict_end()
    assert capsys.readouterr().out.startswith("4/4 - 0s")


def test_validation_inside_fit_draws_nothing(capsys):
    told = CallbackList(add_progbar=True, epochs=1, steps=2, verbose=1)
    told.on_train_begin()
    told.on_epoch_begin(0)
    told.on_train_batch_end(1, {"loss": 1.0})
    told.on_test_begin()
    told.on_test_batch_end(0, {"loss": 2.0})
    told.on_test_end({"loss": 2.0})
    told.on_epoch_end(0, {"loss": 1.0, "val_loss": 2.0})
    told.on_train_end()
    assert capsys.readouterr().out.count("\n") == 1


def test_logs_are_read_only_to_be_drawn(monkeypatch):
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(
        isatty=lambda: True, write=lambda text: None, flush=lambda: None, encoding="utf-8"))
    read = []
    bar = Progbar(20_000)
    begin = time.perf_counter()
    for step in range(1, 20_001):
        bar.update(step, LazyLogs(lambda: read.append(1) or {"loss": 1.0}))
    seconds = time.perf_counter() - begin
    bar.leave()
    assert len(read) <= 3 + seconds * 10
    assert seconds / 20_000 < 20e-6  # usually 2


def test_say_without_a_bar(capsys):
    say("hello")
    assert capsys.readouterr().out == "hello\n"


# -- utils
@pytest.mark.parametrize("labels, classes", [
    ([0, 2, 1], None), ([[0], [1]], 4), (np.array([[0, 1], [2, 0]]), 3), (3, 5), (jnp.array([0, 1, 2]), 3),
    (["1", "0", "2"], None), (np.array([["1"], ["0"]]), 3),
])
def test_to_categorical_is_as_in_keras(labels, classes):
    ours = utils.to_categorical(labels, classes)
    theirs = pytest.importorskip("keras").utils.to_categorical(labels, classes)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and np.array_equal(ours, theirs)
    assert isinstance(ours, np.ndarray) == isinstance(theirs, np.ndarray)


def test_to_categorical_checks_the_range():
    for labels in ([0, -1], [0, 3]):
        with pytest.raises(ValueError, match=r"for 3 classes"):
            utils.to_categorical(labels, 3)
    assert utils.to_categorical([], 3).shape == (0, 3)
    with pytest.raises(ValueError, match=r"number of classes is not known(.|\n)*to_categorical\(x, num_classes\)"):
        utils.to_categorical([])


@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_normalize_is_as_in_keras(order):
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    x[1] = 0
    theirs = pytest.importorskip("keras").utils.normalize(x, -1, order)
    assert np.allclose(utils.normalize(x, -1, order), theirs)
    assert np.allclose(utils.normalize(jnp.asarray(x), -1, order), theirs)
    assert np.allclose(np.linalg.norm(utils.normalize(x[[0, 2]], 0, order), order, axis=0), 1)


def test_set_random_seed_repeats():
    import random

    draws = []
    for _ in range(2):
        utils.set_random_seed(3)
        draws.append((random.random(), np.random.rand()))
    assert draws[0] == draws[1]
    with pytest.raises(TypeError):
        utils.set_random_seed("a")
