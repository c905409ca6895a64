"""The published networks: made of what Keras makes them of, and computing the same."""

import inspect
import json
import os
import pathlib

import jax
import keras
import numpy as np
import pytest

import kyeo
from kyeo import applications
from tests.applications.describe import NAMES, VARIANTS, described
from tests.applications.forward import difference

TABLE = json.loads(pathlib.Path(__file__).with_name("architectures.json").read_text())
REQUESTS = {**{name: (name, {}) for name in NAMES}, **VARIANTS}


@pytest.fixture(scope="module")
def known():
    """Shapes of outputs and first values of weights, found once for the module."""
    return {}, {}


@pytest.fixture
def quick_building(known, monkeypatch):
    """Layers that are alike have their output shapes found once, and nobody draws weights: else the 60 networks of
    15,000 layers would take two minutes."""
    shapes, zeros = known
    slow, slow_first = kyeo.Layer._specs, kyeo.Variable._first_value

    def specs(layer, args, kwargs, training):
        config = {k: v for k, v in layer.get_config().items() if k not in ("name", "layers")}
        key = (type(layer), repr(config), repr([(t.shape, t.dtype) for t in jax.tree.leaves(args)]))
        if isinstance(layer, kyeo.Sequential):
            return slow(layer, args, kwargs, training)
        if key not in shapes:
            shapes[key] = slow(layer, args, kwargs, training)
        return shapes[key]

    def first_value(variable, initializer, shape, dtype):
        if shape is None:  # the state of a Dropout
            return slow_first(variable, initializer, shape, dtype)
        key = (tuple(shape), str(dtype))
        if key not in zeros:
            zeros[key] = jax.numpy.zeros(shape, dtype)
        return zeros[key]

    monkeypatch.setattr(kyeo.Layer, "_specs", specs)
    monkeypatch.setattr(kyeo.Variable, "_first_value", first_value)


def test_the_table_is_whole():
    assert list(TABLE) == list(REQUESTS)
    public = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert public == set(NAMES) == {n for n in applications.__all__ if n[0].isupper()}


SLOW = {  # those that share a table and a builder with a smaller one: KYEO_TESTS=slow runs them too, in a minute
    *(f"EfficientNetB{size}" for size in range(2, 8)), "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2M",
    "EfficientNetV2L", "NASNetLarge", "DenseNet169", "DenseNet201", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge",
    "ConvNeXtSmall", "DenseNet121", "EfficientNetB1", "EfficientNetV2B1", "EfficientNetV2S", "InceptionV3", "ResNet101",
    "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50V2", "MobileNetV3Large", "ConvNeXtTiny-open",
    "EfficientNetB1-open", "EfficientNetV2B3-bare", "NASNetMobile-open", "InceptionResNetV2-open", "InceptionV3-open", "ResNet50-open",
}
ALL = os.environ.get("KYEO_TESTS") == "slow"
ROWS = [row for row in TABLE if row not in SLOW or ALL]


@pytest.mark.parametrize("row", ROWS)
def test_made_of_the_same(row, quick_building):
    name, words = REQUESTS[row]
    kyeo.utils.clear_session(free_memory=False)
    model = getattr(applications, name)(weights=None, **words)
    assert described(model) == TABLE[row]


@pytest.mark.parametrize("name, words", [
    ("MobileNet", {"alpha": 0.25}), ("MobileNetV3Small", {"alpha": 0.5, "input_shape": (33, 40, 3)}),
    *([("EfficientNetV2B0", {"include_top": False, "pooling": "max"}), ("ResNet50V2", {}), ("ConvNeXtTiny", {})] if ALL else []),
])
def test_computes_the_same(name, words):
    assert difference(name, **words) < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name):
    ours, theirs = (getattr(room, name) for room in (applications, keras.applications))
    mine, other = (list(inspect.signature(f).parameters.values()) for f in (ours, theirs))
    assert [(p.name, p.default) for p in mine] == [(p.name, p.default) for p in other]
    assert ours.__name__ == name and name in ours.__doc__
    assert all(p.name in ours.__doc__ for p in mine)


def test_modules():
    rooms = [n for n in applications.__all__ if n[0].islower()]
    assert rooms == sorted(n for n, v in vars(keras.applications).items() if inspect.ismodule(v))
    for room in rooms:
        public = {n for n in vars(getattr(keras.applications, room)) if not n.startswith("_")}
        assert public <= set(getattr(applications, room).__all__)


def test_on_a_tensor_of_the_users():
    image = kyeo.Input((40, 40, 1), name="grey")
    x = kyeo.layers.Concatenate()([image] * 3)
    model = applications.MobileNet(weights=None, include_top=False, alpha=0.25, input_tensor=x, pooling="avg")
    assert model.input_names == ["grey"] and model.output_shape == (None, 256)
    assert isinstance(model.input, list) and model.layers[1].name == x.node.name
    model = applications.MobileNetV2(weights=None, include_top=False, alpha=0.35, input_tensor=kyeo.Input((96, 96, 3)))
    assert model.name == "mobilenetv2_0.35_None"


def test_channels_first():
    kyeo.config.set_image_data_format("channels_first")
    try:
        model = applications.MobileNetV3Small(weights=None, include_top=False, input_shape=(3, 32, 48))
        assert model.output_shape == (None, 576, 1, 2)
        model = applications.EfficientNetB0(weights=None, classes=4, input_shape=(3, 32, 32))
        assert model.output_shape == (None, 4)
        for name in ("DenseNet121", "NASNetMobile", "ConvNeXtTiny"):
            with pytest.raises(ValueError, match="channels come last"):
                getattr(applications, name)(weights=None)
    finally:
        kyeo.config.set_image_data_format("channels_last")


A = applications
BAD = [
    (lambda: A.VGG16(weights="imagnet"), ValueError, "no such weights.*did you mean 'imagenet'"),
    (lambda: A.VGG16(weights="/no/such/file.h5"), ValueError, "no such weights"),
    (lambda: A.VGG16(weights=3), ValueError, "no such weights"),
    (lambda: A.ResNet50(classes=10), ValueError, "1000 classes"),
    (lambda: A.ResNet50(classifier_activation="relu"), ValueError, "softmax"),
    (lambda: A.ResNet50(weights=None, classes=0), ValueError, "classes"),
    (lambda: A.ResNet50(weights=None, pooling="mean"), ValueError, "pooling"),
    (lambda: A.ResNet50(weights=None, input_shape=(31, 32, 3)), ValueError, "32 x 32"),
    (lambda: A.Xception(weights=None, input_shape=(70, 71, 3)), ValueError, "71 x 71"),
    (lambda: A.InceptionV3(weights=None, input_shape=(74, 75, 3)), ValueError, "75 x 75"),
    (lambda: A.ResNet50(weights=None, input_shape=(None, 32, 3)), ValueError, "known size"),
    (lambda: A.ResNet50(weights=None, input_shape=(1, 32, 32, 3)), ValueError, "three axes"),
    (lambda: A.ResNet50(weights=None, input_shape=32), TypeError, "shape of an image"),
    (lambda: A.ResNet50(input_shape=(32, 32, 3)), ValueError, "one size"),
    (lambda: A.ResNet50(include_top=False, input_shape=(32, 32, 1)), ValueError, "three channels"),
    (lambda: A.ResNet50(weights=None, input_tensor=np.ones((1, 32, 32, 3))), ValueError, "symbolic"),
    (lambda: A.MobileNet(alpha=0.3), ValueError, "0.25, 0.5, 0.75, 1.0"),
    (lambda: A.MobileNet(alpha=-1, weights=None), ValueError, "alpha"),
    (lambda: A.MobileNet(depth_multiplier=2), ValueError, "one filter a channel"),
    (lambda: A.MobileNetV2(alpha=0.3), ValueError, "0.35"),
    (lambda: A.MobileNetV2(weights=None, input_shape=(32, 32, 3), input_tensor=kyeo.Input((64, 64, 3))), ValueError,
     "contradict"),
    (lambda: A.MobileNetV3Small(alpha=0.75, minimalistic=True), ValueError, "1.0"),
    (lambda: A.MobileNetV3Small(weights=None, input_shape=(16, 64, 3)), ValueError, "32 x 32"),
]


@pytest.mark.parametrize("act, kind, words", BAD)
def test_bad_arguments(act, kind, words):
    with pytest.raises(kind, match=f"(?s){words}"):
        act()


def test_unusual_channels_are_said():
    with pytest.warns(UserWarning, match="1 or 3 channels"):
        applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 5))


def test_own_layers_go_into_files_that_keras_reads(tmp_path):
    x = kyeo.Input((3,))
    h = applications.convnext.LayerScale(0.5, 3, name="scaled")(x)
    model = kyeo.Model(x, applications.inception_resnet_v2.CustomScaleLayer(2.0)([x, h]))
    model.save(tmp_path / "m.keras")
    ones = np.ones((1, 3), "float32")
    for package in (kyeo, keras):
        assert np.asarray(package.saving.load_model(tmp_path / "m.keras")(ones)).tolist() == [[2, 2, 2]]
    x = keras.Input((3,))
    there = keras.src.applications
    model = keras.Model(x, there.inception_resnet_v2.CustomScaleLayer(2.0)([x, there.convnext.LayerScale(0.5, 3)(x)]))
    model.save(tmp_path / "k.keras")
    assert np.asarray(kyeo.saving.load_model(tmp_path / "k.keras")(ones)).tolist() == [[2, 2, 2]]
