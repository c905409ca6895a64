"""The commands `kyeo demo` and `kyeo doctor`."""

import re
import sys

import numpy as np
import pytest

import kyeo
from kyeo import cli
from kyeo.cli import demo, doctor, picture


@pytest.fixture
def few_digits(monkeypatch, digits):
    """Let the demo see 96 digits only."""
    from kyeo.datasets import mnist

    (x, y), (x_test, y_test) = mnist.load_sample()
    monkeypatch.setattr(demo.mnist, "load_sample", lambda: ((x[:96], y[:96]), (x_test[:64], y_test[:64])))


def test_demo(few_digits, tmp_path, capsys):
    assert cli.main(["demo", "--epochs", "1", "--out", str(tmp_path / "out"), "--seed", "3"]) == 0
    said = capsys.readouterr().out
    accuracy = float(re.search(r"held-out digits: ([0-9.]+)", said)[1])
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["basic_cnn.keras", "basic_cnn.png"]
    assert (tmp_path / "out" / "basic_cnn.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    model = kyeo.models.load_model(tmp_path / "out" / "basic_cnn.keras")
    _, (x, y) = demo.mnist.load_sample()
    found = np.mean(np.asarray(model.predict(demo.scale(x), verbose=0)).argmax(axis=1) == y)
    assert accuracy == pytest.approx(found, abs=5e-4)


@pytest.mark.parametrize("where", ["fit", "save"])
def test_an_interrupted_demo_leaves_no_file(few_digits, tmp_path, capsys, monkeypatch, where):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(kyeo.models.Model, where, interrupt)
    assert cli.main(["demo", "--epochs", "1", "--out", str(tmp_path)]) == 130
    assert list(tmp_path.iterdir()) == [] and "interrupted" in capsys.readouterr().err


def test_demo_without_matplotlib(monkeypatch, capsys):
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["demo"]) == 1
    assert "pip install 'kyeo[plot]'" in capsys.readouterr().err


def test_demo_where_nothing_can_be_written(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert cli.main(["demo", "--out", str(tmp_path / "file" / "out")]) == 1
    assert capsys.readouterr().err.startswith("kyeo: ")


@pytest.mark.parametrize("wrong", [["demo", "--epochs", "0"], ["demo", "--epochs", "x"], ["nonsense"], []])
def test_wrong_arguments(wrong, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(wrong)
    assert stop.value.code == 2 and "usage: kyeo" in capsys.readouterr().err


def test_picture_marks_the_wrong_ones_in_red():
    history = {key: [0.5, 0.6] for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
    labels = np.arange(60) % 10
    probabilities = np.eye(10)[labels] * 0.9
    probabilities[5] = np.eye(10)[8]
    figure = picture.draw(history, np.zeros((60, 28, 28)), labels, probabilities)
    texts = {axes.get_xlabel(): axes.xaxis.label.get_color() for axes in figure.axes}
    assert texts["8  100% (is 5)"] == picture._RED and texts["4  90%"] == picture._INK
    assert "59 of 60 right" in figure.subfigs[1].subfigs[0].get_suptitle()


def test_doctor(capsys):
    assert cli.main(["doctor"]) == 0
    rows = dict(re.split(r"  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["kyeo"] == cli.version_of("kyeo")
    expected = {"python", "jax", "jaxlib", "numpy", "platform", "threads", "device", "compile cache"}
    assert expected <= set(rows)


def test_doctor_where_jax_is_broken(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jax", None)
    assert cli.main(["doctor"]) == 1
    assert "problem" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("system", "machine", "hint"),
    [
        ("Darwin", "x86_64", "Intel Macs"),
        ("Windows", "ARM64", "Windows on Arm"),
        ("Linux", "x86_64", "glibc"),
    ],
)
def test_doctor_knows_platforms(monkeypatch, system, machine, hint):
    monkeypatch.setattr(doctor.platform, "system", lambda: system)
    monkeypatch.setattr(doctor.platform, "machine", lambda: machine)
    monkeypatch.setattr(doctor.platform, "libc_ver", lambda: ("", ""))
    assert any(hint in text for text in doctor._hints())
