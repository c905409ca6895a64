"""utils.bounding_boxes against Keras."""

import inspect
import itertools

import keras
import numpy as np
import pytest

import kyeo

rng = np.random.default_rng(0)
low = rng.uniform(0, 30, (2, 4, 2))
XYXY = np.concatenate([low, low + rng.uniform(1, 25, (2, 4, 2))], -1).astype("float32")
OTHER = XYXY[:, :3] + rng.uniform(-4, 4, (2, 3, 4)).astype("float32")
LABELS = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
ROOMS = kyeo.utils.bounding_boxes, keras.utils.bounding_boxes
FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


def fresh(value):
    return {k: np.array(v) for k, v in value.items()} if isinstance(value, dict) else value  # Keras changes dicts


CALLS = [
    ("convert_format", (XYXY, source, target, 40, 60), {}) for source, target in itertools.product(FORMATS, FORMATS)
] + [
    ("convert_format", (XYXY[0].astype("int32"), "xyxy", "center_xywh"), {"dtype": "float16"}),
    ("convert_format", ({"boxes": XYXY, "labels": LABELS}, "xyxy", "rel_xywh", 40, 60), {}),
    ("clip_to_image_size", ({"boxes": XYXY - 20, "labels": LABELS}, 20, 25), {}),
    ("clip_to_image_size", ({"boxes": XYXY / 20 - 1},), {"bounding_box_format": "rel_xyxy"}),
    ("crop", (XYXY, 5, 7, 20, 22), {}), ("pad", (XYXY, 5, 7), {}),
    ("affine_transform", (XYXY, np.float32([30, -70]), np.float32([0.1, 0]), np.float32([0, 0.2]), np.float32([1, 1.5]),
                          np.float32([10, 0]), np.float32([0, -20]), 40, 60), {}),
    ("affine_transform", (XYXY, np.float32([30, -70]), *[np.zeros(2, "float32")] * 2, np.ones(2, "float32"),
                          *[np.zeros(2, "float32")] * 2, 40, 60), {"center_x": 0.2, "center_y": 1.0}),
    ("compute_iou", (XYXY, OTHER, "xyxy"), {}), ("compute_iou", (XYXY[0], OTHER[0], "yxyx"), {}),
    ("compute_iou", (XYXY[0] - 30, OTHER[0] - 30, "xyxy", True, -2), {}), ("compute_iou", (XYXY - 30, OTHER - 30, "xywh", True), {}),
    ("compute_iou", (XYXY / 60, OTHER / 60, "rel_xyxy"), {"image_shape": (40, 60, 3)}),
    ("compute_ciou", (XYXY[:, :3], OTHER, "xyxy"), {}), ("compute_ciou", (XYXY[0, :3], OTHER[0], "center_xywh"), {}),
    *((name, (XYXY[:, :3], OTHER, *formats), words) for name in ("encode_box_to_deltas",) for formats, words in (
        (("xyxy", "xywh"), {}), (("xyxy", "xyxy", "center_xywh"), {"variance": [0.1, 0.1, 0.2, 0.2]}),
        (("rel_xyxy", "xyxy"), {"image_shape": (40, 60, 3)}))),
    ("decode_deltas_to_boxes", (XYXY[:, :3], OTHER / 60, "xyxy", "xywh"), {}),
    ("decode_deltas_to_boxes", (XYXY[:, :3], OTHER / 60, "xyxy", "rel_xyxy", "center_xywh"), {"variance": [0.1, 0.1, 0.2, 0.2], "image_shape": (40, 60, 3)}),
    ("decode_deltas_to_boxes", ({"a": XYXY[:, :3]}, {"a": OTHER / 60}, "xyxy", "xyxy"), {}),
]


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_same_as_keras(number):
    name, args, words = CALLS[number]
    ours, theirs = (getattr(room, name)(*map(fresh, args), **words) for room in ROOMS)
    ours, theirs = (v if isinstance(v, dict) else {"": v} for v in (ours, theirs))
    assert ours.keys() == theirs.keys()
    for key in ours:
        a, b = np.asarray(ours[key]), np.asarray(theirs[key])
        assert (a.shape, a.dtype.kind) == (b.shape, b.dtype.kind)
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_names_and_signatures():
    assert sorted(ROOMS[0].__all__) == sorted(n for n in dir(ROOMS[1]) if n[0] != "_")
    for name in ROOMS[0].__all__:
        ours, theirs = ([(p.name, p.default) for p in inspect.signature(getattr(r, name)).parameters.values()] for r in ROOMS)
        assert ours == theirs


def test_symbolic_boxes_and_where_keras_refuses():
    b = ROOMS[0]
    assert b.compute_iou(kyeo.KerasTensor((None, 4, 4)), kyeo.KerasTensor((None, 3, 4)), "xywh").shape == (None, 4, 3)
    assert b.compute_ciou(kyeo.KerasTensor((None, 4, 4)), kyeo.KerasTensor((None, 4, 4)), "xyxy").shape == (None, 4)
    relative = XYXY[0] / np.float32([60, 40, 60, 40])
    np.testing.assert_allclose(b.compute_ciou(relative[:3], relative[1:], "rel_xyxy", (40, 60, 3)),
                               b.compute_ciou(XYXY[0, :3], XYXY[0, 1:], "xyxy"), rtol=1e-5)
    before = {"boxes": XYXY, "labels": LABELS}
    b.convert_format(before, "xyxy", "xywh")
    assert before["boxes"] is XYXY  # what the user holds stays


BAD = [
    ("convert_format", (XYXY[..., :3], "xyxy", "xywh"), "four numbers"), ("convert_format", (XYXY, "xyxy", "xyhw"), "did you mean"),
    ("convert_format", (XYXY, "xyxy", "rel_xyxy"), "size of the image"), ("clip_to_image_size", ({"boxes": XYXY}, 3), "size of the image"),
    ("clip_to_image_size", ({"boxes": XYXY}, 3, 3, "xywh"), "xyxy"), ("crop", (XYXY, 1, 1, 1, 1, "xywh"), "corners"),
    ("pad", (XYXY, 1, 1, 1, 1, "xywh"), "corners"), ("compute_iou", (XYXY, OTHER, "rel_xyxy"), "size of the image"),
    ("compute_iou", (XYXY[0, 0], OTHER, "xyxy"), "axes"), ("compute_ciou", (XYXY, OTHER, "rel_xyxy"), "size of the image"),
    ("encode_box_to_deltas", (XYXY, XYXY, "xyxy", "xyxy", "xyxy"), "center_xywh"),
    ("encode_box_to_deltas", (XYXY, XYXY, "xyxy", "xyxy", "center_xywh", [1.0]), "four numbers"),
    ("decode_deltas_to_boxes", (XYXY, XYXY, "xyxy", "xyxy", "xyxy"), "center_xywh"),
]


@pytest.mark.parametrize("name, args, part", BAD)
def test_bad_arguments(name, args, part):
    with pytest.raises((ValueError, NotImplementedError)) as caught:
        getattr(ROOMS[0], name)(*args)
    assert part in str(caught.value) and "\n  " in str(caught.value)
