"""Layers on images while training: with what one library drew, the other does the same; laws of the draws."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo
from tests.numpy_jaxpr import in_numpy
from tests.thin import thinned

L, K = kyeo.layers, keras.layers
rng = np.random.default_rng(0)
X = rng.uniform(0, 255, (3, 8, 10, 3)).astype("float32")
MASKS = rng.integers(0, 4, (3, 8, 10, 1)).astype("int32")
BOXES = np.float32([[[1, 1, 4, 6], [2, 3, 9, 7]], [[0, 0, 10, 8], [5, 2, 6, 4]], [[3, 3, 7, 6], [0, 0, 0, 0]]])
CLASSES = np.array([[1, 2], [3, 4], [5, -1]])
LABELS = np.eye(3, dtype="float32")
UNIT = {"value_range": (0, 1)}
# name, arguments; "!boxes": Keras's boxes are wrong or refused, "!masks": likewise
ROWS = [
    ("RandomFlip", {"mode": "horizontal"}), ("RandomFlip", {"mode": "vertical"}), ("RandomFlip", {}),
    ("RandomTranslation", {"height_factor": 0.3, "width_factor": 0.4}),
    ("RandomTranslation", {"height_factor": (0.1, 0.3), "width_factor": 0.0, "fill_mode": "constant", "fill_value": 9.0}),
    ("RandomRotation", {"factor": 0.2}), ("RandomRotation", {"factor": (0.1, 0.3), "interpolation": "nearest", "fill_mode": "wrap"}),
    ("RandomZoom", {"height_factor": (0.2, 0.3)}), ("RandomZoom", {"height_factor": 0.3, "width_factor": (-0.4, -0.2), "fill_mode": "nearest"}),
    ("RandomShear", {"x_factor": 0.3, "!boxes": 1}), ("RandomShear", {"x_factor": 0.2, "y_factor": (0.1, 0.4), "!boxes": 1}),
    ("RandomPerspective", {"scale": 0.3}), ("RandomPerspective", {"factor": (0.5, 0.5), "fill_value": 3.0, "interpolation": "nearest"}),
    ("RandomBrightness", {"factor": 0.4}), ("RandomBrightness", {"factor": (0.1, 0.2), **UNIT}), ("RandomContrast", {"factor": (0.4, 0.9)}),
    ("RandomInvert", {"factor": (0.5, 0.5)}), ("RandomPosterization", {"factor": 5}), ("RandomPosterization", {"factor": (3, 3), **UNIT}),
    ("RandomSharpness", {"factor": 1.0}), ("Solarization", {"addition_factor": 0.4, "threshold_factor": 0.7}),
    ("Solarization", {"threshold_factor": 0.7, **UNIT}), ("RandomColorDegeneration", {"factor": 0.7}), ("RandomGrayscale", {"factor": 0.5}),
    ("RandomHue", {"factor": 0.6}), ("RandomHue", {"factor": 0.6, **UNIT}), ("RandomSaturation", {"factor": (0.2, 0.7), **UNIT}),
    ("RandomGaussianBlur", {"kernel_size": (3, 5)}), ("RandomGaussianBlur", {"factor": (0.5, 0.5), "sigma": (0.3, 0.9)}),
    ("RandomErasing", {}), ("RandomErasing", {"fill_value": (1, 2, 3), "scale": (0.3, 0.6)}), ("AutoContrast", {}), ("AutoContrast", UNIT),
    ("ContrastLimitedAdaptiveHistogramEqualization", {"tile_grid_size": (2, 3)}), ("ContrastLimitedAdaptiveHistogramEqualization", {"clip_limit": 0, **UNIT}),
    ("Resizing", {"height": 5, "width": 12}), ("Resizing", {"height": 6, "width": 6, "crop_to_aspect_ratio": True}),
    ("Resizing", {"height": 6, "width": 6, "pad_to_aspect_ratio": True}), ("CenterCrop", {"height": 4, "width": 5}),
    ("CenterCrop", {"height": 12, "width": 6, "!masks": 1}), ("RandomCrop", {"height": 5, "width": 6, "!boxes": 1}),
    ("MixUp", {"!boxes": 1, "!masks": 1}), ("CutMix", {"!boxes": 1}), ("MaxNumBoundingBoxes", {"max_number": 3}), ("MaxNumBoundingBoxes", {"max_number": 1}),
]




def words_of(words):
    return {k: v for k, v in words.items() if k[0] != "!"}


def data_of(words, name=""):
    images = X / 255 if words.get("value_range") == (0, 1) else X
    return {"images": images, "labels": LABELS, "segmentation_masks": MASKS, "bounding_boxes": {"boxes": BOXES, "labels": CLASSES}}


def for_keras(name, drawn):
    if isinstance(drawn, dict):
        return {k: v for k, v in drawn.items() if k != "vertical_flips"}
    return drawn[:2] if name == "RandomCrop" else drawn


@pytest.mark.parametrize("number", thinned(range(len(ROWS)), 4, kind=lambda number: ROWS[number][0]))
def test_same_as_keras(number):
    name, words = ROWS[number]
    data = data_of(words)
    ours, theirs = (getattr(room, name)(**words_of(words), seed=3, bounding_box_format="xyxy") if name not in (
        "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Resizing", "CenterCrop", "MaxNumBoundingBoxes")
        else getattr(room, name)(**words_of(words), bounding_box_format="xyxy") for room in (L, K))
    drawn = ours.get_random_transformation(data["images"])
    drawn = for_keras(name, drawn) if name == "RandomFlip" else drawn
    given = for_keras(name, drawn)
    mine = jax.jit(lambda images: ours.transform_images(images, drawn))(data["images"])
    wanted = theirs.transform_images(jnp.asarray(data["images"]), given) if name == "RandomCrop" else in_numpy(
        lambda images: theirs.transform_images(images, given), jnp.asarray(data["images"]))  # Keras's crop is not traceable
    top = max(np.abs(wanted).max(), 1e-3)
    np.testing.assert_allclose(mine, wanted, atol=2e-5 * top)
    assert mine.dtype == wanted.dtype
    if name in ("RandomGrayscale", "ContrastLimitedAdaptiveHistogramEqualization"):
        return  # the rest stays as it is; Keras refuses CLAHE's, and calls those of the other by other names
    labels = ours.transform_labels(data["labels"], drawn)
    np.testing.assert_allclose(labels, theirs.transform_labels(keras.ops.convert_to_tensor(data["labels"]), given), atol=1e-5)
    if "!masks" not in words:
        masks = ours.transform_segmentation_masks(MASKS, drawn)
        np.testing.assert_array_equal(masks, theirs.transform_segmentation_masks(keras.ops.convert_to_tensor(MASKS), given))
        assert masks.dtype == "int32"
    if "!boxes" not in words:
        boxes, known = (layer.transform_bounding_boxes({"boxes": keras.ops.convert_to_tensor(BOXES), "labels": keras.ops.convert_to_tensor(CLASSES)}, t)
                        for layer, t in ((ours, drawn), (theirs, given)))
        np.testing.assert_allclose(boxes["boxes"], known["boxes"], atol=1e-4)
        np.testing.assert_array_equal(boxes["labels"], known["labels"])


@pytest.mark.parametrize("words", [{}, UNIT, {"bins": 32}], ids=str)
def test_equalization_of_one_image_as_in_keras(words):
    """Keras has one histogram for a whole batch; here each image has its own."""
    images = data_of(words)["images"]
    found = np.asarray(L.Equalization(**words)(images))
    wanted = np.concatenate([K.Equalization(**words)(images[i: i + 1], training=True) for i in range(3)])
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def drawing():
    found = {}
    for name, words in [*ROWS, ("Equalization", {}), ("RandomElasticTransform", {}), ("RandAugment", {"num_ops": 3}), ("AugMix", {"num_chains": 2, "chain_depth": 1, "all_ops": False}),
                        ("RandomColorJitter", {"brightness_factor": 0.2, "contrast_factor": 0.2, "saturation_factor": 0.2, "hue_factor": 0.2})]:
        found.setdefault(name, words_of(words))
    return found


FIRST_TOO = thinned(drawing())  # those that a usual run asks for channels first, and for single images, too


@pytest.mark.parametrize("name", FIRST_TOO)
def test_laws(name):
    """Seeds repeat, each image has its own draw, inference does nothing; channels first, dicts, single images."""
    words, cls = drawing()[name], getattr(L, name)
    seeded = {"seed": 1} if hasattr(cls(**words), "generator") else {}
    one, two, first = (cls(**words, **seeded, bounding_box_format="rel_xywh", data_format=f)
                       for f in ("channels_last", "channels_last", "channels_first"))
    results = [np.asarray(one(X)) for _ in range(2)]
    two.built = True
    traced, _ = in_numpy(lambda values, x: two.stateless_call([], values, x, training=True),
                         [v.value for v in two.non_trainable_variables], X)
    np.testing.assert_allclose(traced, results[0], atol=0.02)
    if name in FIRST_TOO and name not in (
            "RandAugment", "AugMix", "MixUp", "CutMix", "RandomColorJitter", "RandomShear", "RandomZoom"):
        np.testing.assert_allclose(np.moveaxis(np.asarray(first(np.moveaxis(X, 3, 1))), 1, 3), results[0], atol=2e-3)
        assert np.asarray(one(X[0])).ndim == 3
    low, high = (X.min(), X.max()) if name in ("RandomFlip", "RandomCrop", "CenterCrop") else (-1e-3, 255.001)
    assert results[0].min() >= low and results[0].max() <= high and np.isfinite(results[0]).all()
    if not one.always:
        np.testing.assert_array_equal(one(X, training=False), X)
        assert one(X.astype("uint8"), training=False).dtype == "float32"
    if seeded and name not in ("RandomGaussianBlur", "RandomInvert"):
        assert (results[0] != results[1]).any()
    data = data_of({})
    if name in ("RandomElasticTransform", "CutMix"):
        with pytest.raises(NotImplementedError, match="Bounding boxes"):
            two(data)
        data.pop("bounding_boxes")
    if name == "AugMix":
        return
    out = two({**data, "else": "kept"})
    assert out["else"] == "kept" and out.keys() == {*data, "else"} and data["images"] is X
    if name not in ("MixUp", "CutMix", "AugMix"):
        assert out["segmentation_masks"].dtype == "int32" and set(np.unique(out["segmentation_masks"])) <= {0, 1, 2, 3}


def test_policies_are_what_they_are_made_of():
    """RandAugment, AugMix and RandomColorJitter with fixed choices are Keras's layers in a row."""
    layer = L.RandAugment(factor=0.4, num_ops=2, seed=5)
    drawn = layer.get_random_transformation(X)
    theirs = {n: getattr(K, "".join(p.capitalize() for p in n.split("_"))) for n in layer._names}
    keras_layer = K.RandAugment(factor=0.4, num_ops=2)
    for pair in ((0, 3), (1, 9), (2, 7), (8, 5), (4, 6)):
        drawn["layer_idxes"] = np.array(pair)
        wanted = X
        for i in pair:
            wanted = getattr(keras_layer, layer._names[i]).transform_images(keras.ops.convert_to_tensor(wanted), drawn["transforms"][layer._names[i]])
        np.testing.assert_allclose(layer.transform_images(X, drawn), wanted, atol=5e-3)
    assert set(theirs) == set(K.RandAugment._AUGMENT_LAYERS) and list(layer._names) == K.RandAugment._AUGMENT_LAYERS
    mix = L.AugMix(num_chains=2, chain_depth=1, seed=2, all_ops=False)
    t = mix.get_random_transformation(X)
    t["choices"] = np.array([[0], [7]])  # a shear, and nothing
    shear = {"shear_factor": t["transforms"]["random_shear"]["shear_factor"][0, 0], "input_shape": X.shape}
    sheared = K.AugMix(num_chains=2, chain_depth=1, all_ops=False).random_shear.transform_images(X, shear)
    a, (b, c) = float(t["weight_sample"]), np.asarray(t["chain_mixing_weights"])
    np.testing.assert_allclose(mix.transform_images(X, t), np.clip(a * X + (1 - a) * (b * sheared + c * X), 0, 255), atol=2e-3)
    assert abs(b + c - 1) < 1e-6
    jitter = L.RandomColorJitter(brightness_factor=0.2, contrast_factor=(0.2, 0.3), hue_factor=0.3, seed=1)
    drawn, wanted = jitter.get_random_transformation(X), X
    for name in ("random_brightness", "random_contrast", "random_hue"):
        wanted = getattr(jitter, name).transform_images(wanted, drawn[name])
    np.testing.assert_allclose(jitter.transform_images(X, drawn), wanted, atol=1e-3)


@pytest.mark.parametrize("name", ["RandomBrightness", "RandomContrast", "RandomSharpness", "Solarization", "RandomColorDegeneration", "RandomSaturation",
                                  "RandomGaussianBlur", "AutoContrast", "MixUp", "RandAugment", "RandomFlip", "RandomRotation"])
def test_a_layer_of_integers(name):
    """With an integer dtype a layer gives what it gives in floats, rounded."""
    words = {**drawing()[name], **({} if name == "AutoContrast" else {"seed": 4})}
    floats, integers = (getattr(L, name)(**words, dtype=dtype)(X.astype("uint8"), training=True) for dtype in (None, "uint8"))
    assert integers.dtype == "uint8"
    np.testing.assert_allclose(integers, floats, atol=1)


@pytest.mark.parametrize("name, drawn, part", [
    ("RandomElasticTransform", {"apply_transform": np.array([True]), "distortion_factor": np.float32(0.9), "seed": 42}, "images"),
    ("MixUp", {"mix_weight": [0.5], "permutation_order": [0]}, "bounding_boxes"), ("RandomFlip", {"flips": [True]}, "bounding_boxes")])
def test_a_transformation_by_hand(name, drawn, part):
    """As in Keras: a number for a seed, no shape of the images where boxes do not need it."""
    data = {"images": X[:1], "bounding_boxes": {"boxes": BOXES[:1] / 10, "labels": CLASSES[:1]}}[part]
    changed = getattr(getattr(L, name)(bounding_box_format="rel_xyxy"), f"transform_{part}")(data, drawn)
    assert any((np.asarray(a).shape, np.asarray(a).sum()) != (b.shape, b.sum()) for a, b in zip(jax.tree.leaves(changed), jax.tree.leaves(data)))


def test_pipeline():
    layers = [L.RandomFlip(seed=1), L.RandomRotation(0.1, seed=2), L.RandomBrightness(0.2, seed=3)]
    pipeline, apart = L.Pipeline(layers), [type(layer).from_config(layer.get_config()) for layer in layers]
    for _ in range(3):  # the first call runs layer by layer, the others as one program
        wanted = X
        for layer in apart:
            wanted = layer(wanted)
        np.testing.assert_allclose(pipeline(X), wanted, atol=1e-2)
    np.testing.assert_array_equal(pipeline(X, training=False), X)
    again = L.Pipeline.from_config(pipeline.get_config())
    assert [type(layer) for layer in again.layers] == [type(layer) for layer in layers]
    assert K.Pipeline.from_config(pipeline.get_config()).layers[1].factor == (-0.1, 0.1)
    layers[2].factor = (0.5, 0.5)  # a change is seen by the next call
    assert np.asarray(pipeline(np.zeros_like(X))).min() == 127.5
    mixed = L.Pipeline([L.Rescaling(2.0), L.RandomFlip(seed=1)])
    assert np.asarray(mixed(X)).max() == 2 * X.max()


@pytest.mark.filterwarnings("ignore:Layer 'pipeline:UserWarning")  # Keras's, which hands the mask on all the same
@pytest.mark.parametrize("training", [True, False])
def test_pipeline_hands_the_mask_and_the_mode_on(training):
    """To the first layer what the pipeline was given, to the next what its input carries."""
    found = []
    for k in (kyeo, keras):
        class Seen(k.layers.Layer):
            supports_masking = True

            def call(self, x, training=False, mask=None):
                self.seen = training, None if mask is None else np.asarray(mask).tolist()
                return x + 0

        layers = [Seen(), Seen()]
        k.layers.Pipeline(layers)(np.ones((2, 3), "float32"), training=training, mask=np.array([[True, False, True]] * 2))
        found.append([layer.seen for layer in layers])
    assert found[0] == found[1]


def test_boxes_of_other_formats_and_lists():
    """What Keras gets wrong: formats other than corners; lists of different lengths; crops."""
    b = kyeo.utils.bounding_boxes
    for name, words in (("RandomPerspective", {"scale": 0.3}), ("RandomCrop", {"height": 5, "width": 6})):
        out = []
        for form in ("xyxy", "rel_center_xywh"):
            layer = getattr(L, name)(**words, seed=7, bounding_box_format=form)
            boxes = {"boxes": b.convert_format(BOXES, "xyxy", form, 8, 10), "labels": CLASSES}
            done = layer({"images": X, "bounding_boxes": boxes})
            size = done["images"].shape[1:3]
            out.append(np.asarray(b.convert_format(done["bounding_boxes"]["boxes"], form, "xyxy", *size)))
        np.testing.assert_allclose(*out, atol=1e-3)
    ragged = {"boxes": [[[0.0, 0.0, 2.0, 2.0]], [[1.0, 1.0, 3.0, 3.0], [0.0, 0.0, 1.0, 1.0]], []], "labels": [[1], [2, 3], []]}
    out = L.RandomFlip("horizontal", bounding_box_format="xyxy")({"images": X, "bounding_boxes": ragged}, training=False)
    assert out["bounding_boxes"]["labels"].tolist() == [[1, -1], [2, 3], [-1, -1]]
    crop = L.RandomCrop(5, 6, seed=1, bounding_box_format="xyxy")
    spot = np.zeros((1, 8, 10, 1), "float32")
    spot[0, 4:6, 4:7] = 1
    out = crop({"images": spot, "bounding_boxes": {"boxes": [[[4.0, 4.0, 7.0, 6.0]]], "labels": [[1]]}})
    x1, y1, x2, y2 = np.asarray(out["bounding_boxes"]["boxes"][0, 0]).astype(int)
    assert np.asarray(out["images"])[0, y1:y2, x1:x2].min() == 1 and out["images"].sum() == (x2 - x1) * (y2 - y1)
    assert crop(X, training=False).shape == crop(X[:, :4]).shape == (3, 5, 6, 3)


@pytest.mark.parametrize("name, words", [("RandomFlip", {"mode": "horizontal"}), ("RandomRotation", {"factor": 0.2}), ("Resizing", {"height": 4, "width": 5})], ids=str)
def test_boxes_of_one_image(name, words):
    """Given to the method without the batch, as its image is, they come back without it, and the same."""
    layer = getattr(L, name)(**words, bounding_box_format="xyxy")
    drawn = layer.get_random_transformation(X[0])
    one = layer.transform_bounding_boxes({"boxes": BOXES[0], "labels": CLASSES[0]}, drawn)
    batch = layer.transform_bounding_boxes({"boxes": BOXES[:1], "labels": CLASSES[:1]}, drawn)
    assert one["boxes"].shape == (2, 4) and one["labels"].tolist() == CLASSES[0].tolist()
    np.testing.assert_array_equal(one["boxes"], batch["boxes"][0])


@pytest.mark.parametrize("name, words", [("RandomZoom", {"height_factor": 1.0}), ("RandomShear", {"x_factor": (1.0, 1.0), "y_factor": (1.0, 1.0)})])
def test_factors_at_their_bounds(name, words):
    """Keras takes them; images and boxes are finite."""
    out = getattr(L, name)(**words, seed=1, bounding_box_format="xyxy")({"images": X, "bounding_boxes": {"boxes": BOXES, "labels": CLASSES}})
    assert np.isfinite(out["images"]).all() and np.isfinite(out["bounding_boxes"]["boxes"]).all()


def test_a_class_of_ones_own_is_called_step_by_step():
    """As in Keras: what its methods read may change from call to call, and they may use NumPy."""
    class Bright(L.RandomBrightness):
        amount = 1.0

        def transform_images(self, images, transformation=None, training=True):
            return np.asarray(images) * self.amount

    layer = Bright(0.1)
    for pipeline in (layer, L.Pipeline([layer])):
        for layer.amount in (1.0, 5.0):
            np.testing.assert_allclose(pipeline(X, training=True), X * layer.amount, rtol=1e-6)


def test_in_a_model():
    """Augmentation is part of the step while fitting, and nothing in `predict`; unknown sizes."""
    inputs = kyeo.Input((8, 10, 3))
    x = L.RandomFlip(seed=1)(inputs)
    x = L.RandomZoom(0.2, seed=2)(x)
    model = kyeo.Model(inputs, L.GlobalAveragePooling2D()(L.RandomContrast(0.2)(x)))
    np.testing.assert_allclose(model.predict(X, verbose=0), X.mean((1, 2)), rtol=1e-4)
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((3, 3)), verbose=0)
    assert L.RandomCrop(4, 4)(kyeo.Input((None, None, 3))).shape == (None, 4, 4, 3)
    out = L.RandomFlip(bounding_box_format="xyxy")({"images": kyeo.Input((8, 8, 3)), "bounding_boxes": {
        "boxes": kyeo.Input((5, 4)), "labels": kyeo.Input((5,), dtype="int32")}})
    assert out["bounding_boxes"]["boxes"].shape == (None, 5, 4)


BAD = [
    (lambda: L.RandomFlip()({"images": X, "bounding_boxes": {"boxes": BOXES, "labels": CLASSES}}), "bounding_box_format="),
    (lambda: L.RandomFlip()({"image": X}), '"images"'), (lambda: L.RandomFlip()(X[0, 0]), "3 axes"),
    (lambda: L.RandomFlip(bounding_box_format="xyxy")({"images": X, "bounding_boxes": BOXES}), "as a dict"),
    (lambda: L.RandomHue(0.2)(X[..., :2]), "three channels"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_calls(number):
    call, part = BAD[number]
    with pytest.raises(ValueError) as caught:
        call()
    assert part in str(caught.value) and "\n  " in str(caught.value)
