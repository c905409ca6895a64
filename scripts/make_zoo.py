"""Write the zoo of model files with one version of Keras, beside the inputs and outputs it computes.

Run it in an environment that has the version, from anywhere: `python scripts/make_zoo.py [--tf-keras]`. It never
imports Kyeo. The files go into one zip, tests/saving/zoo/<library>-<version>.zip, as HDF5 files are mostly empty; its
member manifest.json has their SHA-256.
"""

import argparse
import hashlib
import io
import json
import os
import sys
import tempfile
import zipfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "..", "tests", "saving")
sys.path.insert(0, FOLDER)
import zoo_models as zoo  # noqa: E402

ENDINGS = {"keras": ".keras", "h5": ".h5", "weights": ".weights.h5"}
FIXED_DATE = (2020, 1, 1, 0, 0, 0)


def outputs_of(model, arrays):
    """What the model predicts, as a list."""
    if "tensorflow" in sys.modules:
        text = sys.modules["tensorflow"].constant
        arrays = [text(a) if a.dtype.kind == "U" else a for a in arrays]
    found = model.predict(arrays if len(arrays) > 1 else arrays[0], verbose=0)
    return [np.asarray(a) for a in (found if isinstance(found, (list, tuple)) else [found])]


def files_of(model, name, formats, old, folder):
    """Save a model in each of its formats; (name of the file, its bytes)."""
    for kind in formats:
        if kind == "keras" and old:
            continue
        path = os.path.join(folder, name + ENDINGS[kind])
        try:
            (model.save_weights if kind == "weights" else model.save)(path)
        except Exception as error:  # what a version cannot write is not in its zoo
            print("  not as", kind, "-", type(error).__name__, str(error)[:150], flush=True)
            continue
        with open(path, "rb") as file:
            yield name + ENDINGS[kind], file.read()
        os.remove(path)


def plain_models(k, old, folder):
    """(name, files, arrays) of each model that is not compiled."""
    for name, entry in zoo.ZOO.items():
        if not zoo.usable(k, entry):
            continue
        try:
            model = entry.build(k)
        except (ImportError, AttributeError) as error:
            print("  no", name, "-", str(error)[:150])
            continue
        if entry.shake:
            zoo.shake(model)
        arrays = zoo.arrays_for(entry)
        kept = {f"x{i}": a for i, a in enumerate(arrays)}
        kept.update({f"y{i}": a for i, a in enumerate(outputs_of(model, arrays))})
        yield name, list(files_of(model, name, entry.formats, old, folder)), kept


def trained_models(k, old, folder):
    """(name, files, arrays) of each model that has taken two steps, with its weights after two more."""
    for name in zoo.TRAINED:
        model = zoo.trained(k, name)
        if model is None:
            continue
        name = "trained_" + name
        files = list(files_of(model, name, zoo.TRAINED_FORMATS.get(name[8:], ("keras", "h5")), old, folder))
        x, y = zoo.labels_for(name[8:])
        kept = {f"y{i}": a for i, a in enumerate(outputs_of(model, [x]))}
        kept["losses"] = np.asarray(model.evaluate(x, y, verbose=0), "float32")
        zoo.two_steps(model, name[8:])
        kept.update({f"after{i}": a for i, a in enumerate(zoo.weights_of(model))})
        yield name, files, kept


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tf-keras", action="store_true", help="use tensorflow.keras")
    parser.add_argument("--only", help="one model, written to the current folder, to look at")
    options = parser.parse_args()
    if options.tf_keras:
        import tensorflow as tf

        k, label = tf.keras, "tf-" + tf.__version__
    else:
        import keras as k

        label = "keras-" + k.__version__
    if not hasattr(k, "__version__"):
        k.__version__ = tf.__version__
    old = zoo.version(k) < (2, 12)
    target = os.path.join(FOLDER, "zoo", label + ".zip")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    hashes = {}
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(
            target + ".part", "w", zipfile.ZIP_LZMA) as archive:
        def keep(member, data):
            hashes[member] = hashlib.sha256(data).hexdigest()
            archive.writestr(zipfile.ZipInfo(member, FIXED_DATE), data, zipfile.ZIP_LZMA)

        for source in (plain_models, trained_models):
            for name, files, arrays in source(k, old, folder):
                print(name, [f for f, _ in files], flush=True)
                for member, data in files:
                    keep(member, data)
                buffer = io.BytesIO()
                np.savez(buffer, **arrays)
                keep(name + ".npz", buffer.getvalue())
                k.backend.clear_session()
        archive.writestr("manifest.json", json.dumps({"library": label, "sha256": hashes}, indent=1))
    os.replace(target + ".part", target)
    print(target, os.path.getsize(target))


if __name__ == "__main__":
    main()
