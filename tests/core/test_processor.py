"""What the processor can do, and the warning where a policy asks for what it cannot."""

import warnings

import numpy as np
import pytest

import kyeo
from kyeo.core import processor
from kyeo.train import prepare


@pytest.mark.parametrize("text, bfloat16, float16", [
    ("model name : one\nflags : " + " ".join(f"f{i}" for i in range(20)), False, False),
    ("flags : avx512_bf16 " + " ".join(f"f{i}" for i in range(20)), True, False),
    ("Features : asimdhp bf16 " + " ".join(f"f{i}" for i in range(20)), True, True),
    ("x86_64", None, None),
])
def test_abilities(monkeypatch, text, bfloat16, float16):
    monkeypatch.setattr(processor, "description", lambda: text)
    assert processor.computes_in("bfloat16") is bfloat16
    assert processor.computes_in("float16") is float16
    assert processor.computes_in("float32") is True


def fit(policy):
    model = kyeo.Sequential([kyeo.layers.Dense(1, dtype=policy)])
    model.compile("sgd", "mse")
    for _ in range(2):
        model.fit(np.ones((4, 2), "float32"), np.ones((4, 1), "float32"), verbose=0)


def test_slow_types_are_told_once(monkeypatch):
    monkeypatch.setattr(prepare, "computes_in", lambda dtype: dtype == "float32")
    with pytest.warns(UserWarning, match='no instructions for bfloat16: Sequential "sequential') as told:
        fit("mixed_bfloat16")
    assert len(told) == 1 and told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit("float32")
        monkeypatch.setattr(prepare, "computes_in", lambda dtype: None)
        fit("mixed_bfloat16")
