"""Run the cases of tests/text/cases.py in Keras on TensorFlow and write tests/text/expected.json.

```
.venv-bench/tensorflow/bin/python scripts/make_text_expected.py
```
The tests themselves run without TensorFlow. With `--files` it also writes the `.keras` files in tests/text/files.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tests.text.cases import CASES, FEATURES, TABLE, TEXTS  # noqa: E402

__all__ = ["main"]
FILES = ROOT / "tests/text/files"


def plain(value):
    """The values of a tensor as JSON, with dtype and shape."""
    array = np.asarray(value)
    values = np.vectorize(bytes.decode, otypes=[object])(array) if array.dtype == object and array.size else array
    return {"dtype": "string" if array.dtype == object else array.dtype.name, "values": values.tolist()}


def tensors(case, value):
    """HashedCrossing takes several columns, each of a type of its own."""
    if case.layer != "HashedCrossing":
        return tf.constant(value)
    return [tf.constant(column, tf.string if isinstance(np.ravel(column)[0], str) else tf.int64) for column in value]


def run(case):
    """What one case gives."""
    layer = getattr(keras.layers, case.layer)(**case.config)
    if case.adapt is not None:
        layer.adapt(np.array(case.adapt), **({"steps": case.steps} if case.steps else {}))
    found = {"outputs": []}
    for value in case.calls:
        try:
            found["outputs"].append(plain(layer(tensors(case, value))))
        except Exception as error:
            found["outputs"].append({"error": f"{type(error).__name__}: {error}"[:150]})
    if hasattr(layer, "get_vocabulary"):
        found["vocabulary"] = [v if isinstance(v, str) else int(v) for v in layer.get_vocabulary()]
        found["size"] = int(layer.vocabulary_size())
    return found


def models():
    """Models to be saved: the layers with what they learned."""
    Input, layers = keras.Input, keras.layers
    string = {"shape": (1,), "dtype": "string"}
    adapted = layers.TextVectorization(output_sequence_length=4, name="vectorize")
    adapted.adapt(TEXTS)
    weighed = layers.TextVectorization(output_mode="tf_idf", name="weigh")
    weighed.adapt(TEXTS)
    words = layers.StringLookup(name="words")
    words.adapt(["x", "y", "y"])
    numbers = layers.IntegerLookup(output_mode="multi_hot", name="numbers")
    numbers.adapt([5, 6, 6])
    given = layers.StringLookup(vocabulary=["p", "q"], output_mode="one_hot", name="given")
    yield "text", keras.Sequential([Input(**string), adapted])
    yield "idf", keras.Sequential([Input(**string), weighed])
    a, b, c, d = (Input(**string, name="a"), Input((1,), dtype="int64", name="b"), Input(**string, name="c"),
                  Input(**string, name="d"))
    hashed = layers.Hashing(7, name="hashed")(d)
    crossed = layers.HashedCrossing(9, output_mode="one_hot", name="crossed")((a, d))
    yield "lookups", keras.Model([a, b, c, d], [words(a), numbers(b), given(c), hashed, crossed])


def feature_space():
    """A FeatureSpace that has learned."""
    space = keras.utils.FeatureSpace(FEATURES, crosses=[("n", "s")], crossing_dim=5, num_discretization_bins=3,
                                     hashing_dim=4)
    space.adapt(tf.data.Dataset.from_tensor_slices({k: np.array(v) for k, v in TABLE.items()}))
    return space


def main():
    """Write what the command line asks for."""
    path = ROOT / "tests/text/expected.json"
    path.write_text("[\n" + ",\n".join(json.dumps({"case": str(case), **run(case)}) for case in CASES) + "\n]\n")
    if "--files" in sys.argv:
        FILES.mkdir(exist_ok=True)
        for name, model in models():
            model.save(FILES / f"{name}.keras")
        space = feature_space()
        space.save(FILES / "space.keras")
        output = space({k: np.array(v) for k, v in TABLE.items()})
        (FILES / "space.json").write_text(json.dumps(np.asarray(output).tolist()) + "\n")


if __name__ == "__main__":
    main()
