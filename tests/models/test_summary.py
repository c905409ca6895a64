"""The summary has the rows and numbers of Keras's."""

import io
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import kyeo
from kyeo.core.naming import reset_names
from tests.saving.builders import BUILDERS
from tests.thin import thinned

SHAPED = [b for b in BUILDERS if b.__name__ != "piece"]  # where names of intermediate inputs differ


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def text_of(model, **kwargs):
    parts = []
    model.summary(print_fn=lambda text, line_break=True: parts.append(text), **kwargs)
    return "".join(parts)


def both(build, **kwargs):
    reset_names()
    keras.utils.clear_session()
    return text_of(build(kyeo), **kwargs), text_of(build(keras), **kwargs)


@pytest.mark.parametrize("build", thinned(SHAPED), ids=lambda build: build.__name__)
def test_same_text(build):
    here, there = both(build, line_length=100)
    assert here == there


@pytest.mark.parametrize("kwargs", [
    {"expand_nested": True}, {"show_trainable": True}, {"expand_nested": True, "show_trainable": True},
    {"line_length": 60}, {"line_length": 140, "positions": [0.5, 0.7, 0.8, 1.0]},
    {"layer_range": ("encoder", "mult.*")}, {"layer_range": ("mult.*", "x")},
], ids=str)
def test_arguments(kwargs):
    nested = next(b for b in BUILDERS if b.__name__ == "nested")
    here, there = both(nested, **{"line_length": 110, **kwargs})
    assert here == there


def tower(k):
    class Tower(k.Model):
        def __init__(self):
            super().__init__(name="tower")
            self.one, self.two = k.layers.Dense(3), k.layers.Dense(2)
            self.drop = k.layers.Dropout(0.5)

        def call(self, x):
            return self.two(self.drop(self.one(x)))

    return Tower()


def test_unbuilt_and_own_models():
    here, there = both(tower, line_length=90)
    assert here == there and "0 (unbuilt)" in here and " ? " in here
    reset_names(), keras.utils.clear_session()
    models = [tower(k) for k in (kyeo, keras)]
    for model in models:
        model(np.ones((2, 5), "float32"))
    here, there = (text_of(m, line_length=90) for m in models)
    assert "(2, 3)" in here
    assert numbers(here) == numbers(there)
    unbuilt = kyeo.Sequential([kyeo.layers.Dense(2), kyeo.layers.Dropout(0.1)])
    assert "0 (unbuilt)" in text_of(unbuilt)


def numbers(text):
    return re.findall(r"params: .*", text)


def test_optimizer_and_sizes():
    def compiled(k):
        model = k.Sequential([k.Input((300,)), k.layers.Dense(1000), k.layers.BatchNormalization()], name="big")
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        return model

    here, there = both(compiled, line_length=90)
    assert here == there
    assert "Optimizer params" in here and "MB" in here and "KB" in here


def test_mixed_sizes():
    here, there = both(lambda k: k.Sequential([k.Input((4,)), k.layers.Dense(3, dtype="float16")], name="m"))
    assert numbers(here) == numbers(there)


@pytest.mark.parametrize("kwargs, words", [
    ({"layer_range": ("no", "x")}, "No layer"), ({"layer_range": ["x"]}, "two names"),
    ({"layer_range": (1, 2)}, "two names"), ({"line_length": 9}, "not enough room"),
    ({"positions": [0.4, 0.8]}, "where each of 3 columns ends"),
])
def test_mistakes(kwargs, words):
    with pytest.raises(ValueError, match=words):
        text_of(SHAPED[0](kyeo), **kwargs)


def test_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    assert max(map(len, text_of(SHAPED[0](kyeo)).splitlines())) == 46
    assert max(map(len, text_of(SHAPED[0](kyeo), line_length=90).splitlines())) == 90


def test_no_colour_codes_in_text(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in text_of(SHAPED[0](kyeo))


def test_plain_stdout(monkeypatch):
    for encoding in ("ascii", "latin-1", "utf-8"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
        monkeypatch.setattr(sys, "stdout", stream)
        x = kyeo.Input((4,))
        inner = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2, name="a" * 60)], name="inner")
        kyeo.Model(x, inner(x), name="outer").summary(expand_nested=True)
        stream.flush()
        text = stream.buffer.getvalue().decode(encoding)
        assert "Total params: 10 (40.00 B)" in text
        assert text.isascii() == (encoding != "utf-8")


def test_ascii_process():
    """No UnicodeEncodeError where stdout cannot show the lines of the table."""
    code = ("import kyeo; kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2)]).summary()")
    done = subprocess.run([sys.executable, "-X", "utf8=0", "-c", code], capture_output=True, check=True,
                          env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path), "JAX_PLATFORMS": "cpu"})
    assert b"Total params" in done.stdout
