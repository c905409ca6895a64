"""The Python blocks of the pages in docs/ run as they stand there, one after the other, on a model for pictures."""

import pathlib
import re

import numpy as np
import pytest

import kyeo

ROOT = pathlib.Path(__file__).parents[1] / "docs"
FOUND = {path.name: re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
         for path in sorted(ROOT.glob("*.md"))}
PAGES = [name for name, blocks in FOUND.items() if blocks]


def pictures():
    """What the pages suppose to be there."""
    kyeo.utils.set_random_seed(0)
    model = kyeo.Sequential([kyeo.Input((28, 28, 1)), kyeo.layers.Conv2D(2, 3, strides=4, activation="relu"),
                             kyeo.layers.Flatten(), kyeo.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, np.random.default_rng(0).random((3, 28, 28, 1), "float32")


@pytest.mark.parametrize("name", PAGES)
def test_blocks(name, monkeypatch, tmp_path):
    for package in ("onnx", "onnxruntime") if "onnxruntime" in "".join(FOUND[name]) else ():
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    model, images = pictures()
    model.save("huge.keras")
    expected = model.predict(images, verbose=0)
    names = {"__name__": name, "kyeo": kyeo, "model": model, "images": images}
    for number, block in enumerate(FOUND[name]):
        names.pop("probabilities", None)
        exec(compile(block, f"{name}, block {number}", "exec"), names)
        if "probabilities" in names:
            np.testing.assert_allclose(names["probabilities"], expected, atol=1e-6)
    if "loaded" in names:
        np.testing.assert_allclose(names["loaded"].scores(images), np.log(expected), atol=1e-5)
    np.testing.assert_allclose(names["model"].predict(images, verbose=0), expected, atol=1e-6)


def test_pages_with_programs():
    assert {"export.md", "files.md", "security.md"} <= set(PAGES)
