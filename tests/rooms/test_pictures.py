"""Image files, sequences, and pictures of images, against Keras where it can."""

import inspect
import io

import keras
import numpy as np
import pytest

import kyeo

rng = np.random.default_rng(0)
RGB = rng.uniform(0, 255, (6, 9, 3)).astype("float32")
IMAGES = rng.integers(0, 255, (3, 12, 14, 3)).astype("float32")
SHARED = {"utils": ("array_to_img", "img_to_array", "load_img", "save_img", "pad_sequences"),
          "preprocessing.image": None, "preprocessing.sequence": None, "visualization": None}


def test_names_and_signatures():
    for room, names in SHARED.items():
        ours, theirs = kyeo, keras
        for part in room.split("."):
            ours, theirs = getattr(ours, part), getattr(theirs, part)
        for name in names or [n for n in dir(theirs) if n[0] != "_"]:
            mine, wanted = ([(p.name, p.default) for p in inspect.signature(getattr(r, name)).parameters.values() if p.kind != p.VAR_KEYWORD]
                            for r in (ours, theirs))
            assert [n for n, _ in mine] == [n for n, _ in wanted], name
            assert all(a == b or b is inspect.Parameter.empty for (_, a), (_, b) in zip(mine, wanted)), name


@pytest.mark.parametrize("words", [{}, {"scale": False}, {"data_format": "channels_first"}, {"dtype": "float16"}], ids=str)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_and_images(words, channels):
    x = rng.uniform(0, 255, (6, 9, channels))
    x = x.transpose(2, 0, 1) if "data_format" in words else x
    ours, theirs = (room.utils.array_to_img(x, **words) for room in (kyeo, keras))
    assert ours.mode == theirs.mode
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    form = {k: v for k, v in words.items() if k != "scale"}
    mine, wanted = (room.utils.img_to_array(ours, **form) for room in (kyeo, keras))
    assert mine.dtype == wanted.dtype
    np.testing.assert_array_equal(mine, wanted)
    large = kyeo.utils.array_to_img(np.full((2, 2, 1), 300.0), scale=False)
    assert large.mode == "I" and np.asarray(large).max() == 300


@pytest.mark.parametrize("words", [{}, {"color_mode": "grayscale"}, {"color_mode": "rgba", "target_size": (3, 5)},
                                   {"target_size": (4, 4), "interpolation": "bicubic", "keep_aspect_ratio": True}], ids=str)
def test_files(tmp_path, words):
    path = tmp_path / "a.png"
    kyeo.preprocessing.image.save_img(path, RGB)
    for source in (path, str(path), io.BytesIO(path.read_bytes())):
        mine, wanted = (room.utils.load_img(s, **words) for room, s in ((kyeo, source), (keras, path)))
        assert mine.mode == wanted.mode
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(wanted))
    with pytest.warns(UserWarning, match="transparency"):
        kyeo.utils.save_img(tmp_path / "b.jpg", rng.uniform(size=(4, 4, 4)))
    assert kyeo.utils.load_img(tmp_path / "b.jpg").size == (4, 4)


@pytest.mark.parametrize("words", [{}, {"maxlen": 2}, {"maxlen": 5, "padding": "post", "value": 7}, {"maxlen": 2, "truncating": "post", "dtype": "float32"},
                                   {"dtype": object, "value": "x"}], ids=str)
def test_pad_sequences(words):
    for sequences in ([[1], [2, 3, 4], []], [np.ones((2, 3)), np.zeros((4, 3))]):
        mine, wanted = (room.utils.pad_sequences(sequences, **words) for room in (kyeo, keras))
        assert mine.dtype == wanted.dtype
        np.testing.assert_array_equal(mine, wanted)
    assert kyeo.utils.pad_sequences([["a"], ["b", "c"]], dtype="object", value="-").tolist() == [["-", "a"], ["b", "c"]]


def test_smart_resize():
    for words in ({}, {"interpolation": "nearest"}):
        mine, wanted = (room.preprocessing.image.smart_resize(IMAGES, (5, 9), **words) for room in (kyeo, keras))
        assert isinstance(mine, np.ndarray)
        np.testing.assert_allclose(mine, wanted, rtol=1e-5)
    assert kyeo.preprocessing.image.smart_resize(IMAGES.transpose(0, 3, 1, 2), (5, 9), data_format="channels_first").shape == (3, 3, 5, 9)


def test_draw_segmentation_masks():
    masks = rng.integers(-1, 4, (3, 12, 14, 1))
    for words in ({"num_classes": 4}, {"num_classes": 4, "alpha": 0.3, "ignore_index": 2}, {"num_classes": 4, "blend": False},
                  {"num_classes": 2, "color_mapping": {0: (1, 2, 3), 1: (200, 100, 0)}}):
        mine, wanted = (room.visualization.draw_segmentation_masks(IMAGES, masks, **words) for room in (kyeo, keras))
        assert mine.dtype == np.asarray(wanted).dtype
        np.testing.assert_allclose(mine.astype(int), np.asarray(wanted).astype(int), atol=1)
    mine = kyeo.visualization.draw_segmentation_masks(IMAGES, masks, 4, blend=False, ignore_index=0)  # Keras paints it
    assert (mine == IMAGES)[masks[..., 0] == 0].all() and not (mine == IMAGES)[masks[..., 0] == 1].all()


def test_draw_bounding_boxes():
    boxes = {"boxes": np.array([[[2, 3, 9, 8], [0, 0, 5, 5]]]), "labels": np.array([[0, -1]])}
    black = np.zeros((1, 30, 40, 3), "float32")
    draw = kyeo.visualization.draw_bounding_boxes
    plain = draw(black, boxes, "xyxy", color=(255, 1, 2), line_thickness=1)
    wanted = np.zeros((30, 40), bool)
    wanted[3:9, 2:10], wanted[4:8, 3:9] = True, False
    np.testing.assert_array_equal(plain[0, ..., 0] == 255, wanted)
    assert draw(black, boxes, "xyxy")[0].any(-1).sum() > wanted.sum()  # thicker lines
    named = draw(black, {**boxes, "confidences": np.array([[0.5, 0.1]])}, "xyxy", {0: "cat"}, (255, 1, 2), 1, font_scale=0.5)
    assert named[0].any(-1).sum() > wanted.sum() + 10
    first = draw(black.transpose(0, 3, 1, 2), boxes, "xyxy", color=(255, 1, 2), line_thickness=1, data_format="channels_first")
    np.testing.assert_array_equal(first, plain)


def test_galleries(tmp_path):
    v, boxes = kyeo.visualization, {"boxes": np.array([[[2.0, 3, 9, 8]]] * 3), "labels": np.zeros((3, 1))}
    v.plot_image_gallery(IMAGES, y_true=[0, 1, 1], y_pred=[0, 0, 9], label_map={0: "a", 1: "b"}, path=tmp_path / "a.png")
    v.plot_image_gallery(IMAGES[..., :1], rows=1, cols=2, path=tmp_path / "b.png")
    v.plot_bounding_box_gallery(IMAGES, "xyxy", boxes, boxes, legend=True, path=tmp_path / "c.png", class_mapping={0: "cat"})
    v.plot_segmentation_mask_gallery(IMAGES, 3, y_true=rng.integers(0, 3, (3, 12, 14, 1)), path=tmp_path / "d.png")
    assert {p.name for p in tmp_path.iterdir()} == {"a.png", "b.png", "c.png", "d.png"}


BAD = [
    (lambda: kyeo.utils.array_to_img(RGB[0]), "one image"), (lambda: kyeo.utils.array_to_img(np.ones((2, 2, 2))), "1, 3 or 4"),
    (lambda: kyeo.utils.img_to_array(np.ones(3)), "one image"), (lambda: kyeo.utils.load_img(3), "no file"),
    (lambda: kyeo.utils.pad_sequences([1, 2]), "no sequences"), (lambda: kyeo.utils.pad_sequences([[1]], padding="before"), "pre"),
    (lambda: kyeo.utils.pad_sequences([[1]], value="a"), "dtype=object"), (lambda: kyeo.utils.pad_sequences([np.ones((2, 2)), np.ones((2, 3))]), "different shapes"),
    (lambda: kyeo.utils.save_img(io.BytesIO(), np.full((2, 2, 1), 300), file_format="png", scale=False), "cannot write"),
    (lambda: kyeo.visualization.draw_bounding_boxes(RGB, {}, "xyxy"), "batch"), (lambda: kyeo.visualization.draw_bounding_boxes(IMAGES, [], "xyxy"), "dict"),
    (lambda: kyeo.visualization.draw_segmentation_masks(IMAGES, IMAGES[..., :1]), "integer"),
    (lambda: kyeo.visualization.plot_image_gallery(IMAGES, path="a", show=True), "written or shown"),
    (lambda: kyeo.visualization.plot_image_gallery(IMAGES, y_true=[1]), "texts"),
    (lambda: kyeo.visualization.plot_bounding_box_gallery(IMAGES, "xyxy", legend=True, legend_handles=[1]), "one legend"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_arguments(number):
    call, part = BAD[number]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert part in str(caught.value) and "\n  " in str(caught.value)
