"""Files that real versions of Keras wrote, from 2.3 to 3.15: loaded here, with the outputs and the next steps of theirs.

`scripts/make_zoo.py` makes them, one zip a version; every file with `KYEO_WHOLE_ZOO=1`, some of them in every run of the tests.
"""

import functools
import hashlib
import io
import json
import os
import warnings
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest

import kyeo
from tests.saving import zoo_models as zoo

FOLDER = Path(__file__).parent / "zoo"
LIBRARIES = sorted(path.stem for path in FOLDER.glob("*.zip"))
NO_STATE = {  # files whose next steps are not those of the version that wrote them, and why
    **{("trained_nadam", version): "its momenta grew more slowly" for version in ("2.3", "2.4", "2.12")},
    ("trained_shrinking.keras", "2"): "an optimizer of `optimizers.legacy` has no state in the file",
}
OTHERWISE = {  # (stem, version): the outputs that are another thing today, in Keras 3.15 too
    ("looked_at", "3.0.5"): [1],  # CategoryEncoding kept the axis of size 1
    ("looked_at", "3.6.0"): [2],  # Discretization cut numbers to whole ones before it looked for their place
}


@functools.cache
def archive(library):
    return zipfile.ZipFile(FOLDER / f"{library}.zip")


def version_in(library):
    return library.partition("-")[2]


def files(*endings):
    """(library, file) for each file of these forms."""
    for library in LIBRARIES:
        for name in archive(library).namelist():
            if name.endswith(endings) and (".weights." in name) == (".weights.h5" in endings):
                yield library, name


MODELS = [(lib, name) for lib, name in files(".h5", ".keras")  # two of Keras 2.3 do not say the shape of the input
          if (lib, name) not in (("keras-2.3.1", "chain.h5"), ("keras-2.3.1", "half.h5"))]
OLD_STEPS = {("keras-2.3.1", "trained_adamax.h5"), ("keras-2.3.1", "trained_shrinking.h5"), ("tf-2.4.4", "trained_rmsprop.h5"),
             ("keras-2.15.0", "trained_nadam.keras")}
QUICK = [(lib, name) for i, (lib, name) in enumerate(MODELS)
         if i % 18 == 0 or (lib == "keras-2.15.0" and i % 4 == 0) or (lib, name) in OLD_STEPS]
CHOSEN = MODELS if os.environ.get("KYEO_WHOLE_ZOO") else QUICK


def taken_out(library, name, folder):
    """The file on the disk, and the arrays that were stored with it."""
    stem = name.removesuffix(".keras").removesuffix(".h5").removesuffix(".weights")
    arrays = np.load(io.BytesIO(archive(library).read(stem + ".npz")))
    return archive(library).extract(name, folder), stem, arrays


def assert_outputs(model, stem, arrays, without=()):
    xs = [arrays[f"x{i}"] for i in range(9) if f"x{i}" in arrays] or [zoo.labels_for(stem.removeprefix("trained_"))[0]]
    outputs = jax.tree.leaves(model.predict(xs if len(xs) > 1 else xs[0], verbose=0))
    within = 2e-3 if stem == "half" else 1e-5
    for i, mine in enumerate(outputs):
        if i in without:
            continue
        np.testing.assert_allclose(np.asarray(mine, "float32"), arrays[f"y{i}"].astype("float32"), rtol=within, atol=within)


@pytest.mark.parametrize("library", LIBRARIES)
def test_files_are_those_that_were_written(library):
    hashes = json.loads(archive(library).read("manifest.json"))["sha256"]
    assert hashes.keys() == set(archive(library).namelist()) - {"manifest.json"}
    for name, wanted in hashes.items():
        assert hashlib.sha256(archive(library).read(name)).hexdigest() == wanted, name


@pytest.mark.parametrize("library, name", CHOSEN, ids=[f"{a}:{b}" for a, b in CHOSEN])
def test_model(library, name, tmp_path):
    path, stem, arrays = taken_out(library, name, tmp_path)
    stays = any(name.startswith(begin) and version_in(library).startswith(version) for begin, version in NO_STATE)
    with warnings.catch_warnings(action="ignore" if stays else "error"):  # it says so, as test_legacy_optimizers.py shows
        model = kyeo.saving.load_model(path, custom_objects=zoo.custom_objects(kyeo) if stem == "own" else None)
    assert_outputs(model, stem, arrays, OTHERWISE.get((stem, version_in(library)), ()))
    if stem.startswith("trained") and not stays:
        step_on(model, stem.removeprefix("trained_"), arrays)


def step_on(model, name, arrays):
    """Two more steps give the weights that the version got; gradients are taken without compiling a step."""
    x, y = zoo.labels_for(name)
    for _ in range(2):
        model.train_on_batch(x, y)
    for i, mine in enumerate(zoo.weights_of(model)):
        within = 1e-4 if name == "nadam" else 2e-5  # Nadam of Keras 2.15: each weight saw a product of momenta of its own
        np.testing.assert_allclose(mine, arrays[f"after{i}"], rtol=1e-4, atol=within)


def test_the_decay_of_nadam_is_none_of_its_learning_rate(tmp_path):
    with pytest.warns(UserWarning, match="by today's rule"):
        model = kyeo.saving.load_model(taken_out("tf-2.4.4", "trained_nadam.h5", tmp_path)[0])
    assert model.optimizer.get_config()["learning_rate"] == pytest.approx(0.05)


WEIGHTS = list(files(".weights.h5"))
CHOSEN_WEIGHTS = WEIGHTS if os.environ.get("KYEO_WHOLE_ZOO") else [
    row for i, row in enumerate(WEIGHTS) if i % 4 == 0 or row[0] == "keras-2.12.0"]  # a layout of that version alone


@pytest.mark.parametrize("library, name", CHOSEN_WEIGHTS, ids=[f"{a}:{b}" for a, b in CHOSEN_WEIGHTS])
def test_weights_alone(library, name, tmp_path):
    path, stem, arrays = taken_out(library, name, tmp_path)
    model = zoo.plain(kyeo) if stem.startswith("trained") else zoo.ZOO[stem].build(kyeo)
    model.load_weights(path)
    assert_outputs(model, stem, arrays)
