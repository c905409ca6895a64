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


@pytest.mark.parametrize("name, more, vectors, products", [
    ("AMD EPYC", "", False, False),
    ("AMD EPYC", "avx512f avx512bw avx512_bf16", True, False),  # Zen 4, in two halves
    ("AMD Ryzen", "avx512f avx512bw avx_vnni", True, True),
    ("Intel(R) Xeon(R)", "avx512f avx512bw", True, True),
    ("Intel(R) Core(TM)", "avx_vnni", False, False),
])
def test_width_of_vectors_and_products(name, more, vectors, products, monkeypatch):
    flags = "fpu sse sse2 ssse3 sse4_1 sse4_2 avx avx2 fma bmi1 bmi2 aes"
    monkeypatch.setattr(processor, "description", lambda: f"model name : {name}\nflags : {flags} {more}")
    assert (processor.has_wide_vectors(), processor.has_wide_products()) == (vectors, products)
    monkeypatch.setattr(processor, "description", lambda: "arm")
    assert (processor.has_wide_vectors(), processor.has_wide_products()) == (None, None)


@pytest.mark.parametrize("told, found", [
    ({1: "48K", 2: "1024K", 3: "32768K"}, 2**20), ({1: "32K"}, None), ({}, None), ({2: ""}, None), ({2: "a K"}, None)])
def test_second_cache(told, found, tmp_path):
    for level, size in told.items():
        folder = tmp_path / f"index{level}"
        folder.mkdir()
        (folder / "level").write_text(f"{level}\n")
        (folder / "size").write_text(f"{size}\n")
    assert processor.second_cache(str(tmp_path)) == found
    assert processor.second_cache(str(tmp_path / "none")) is None


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
