"""Ops on images against Keras: a row is an expression, as in test_ops.py."""

import ast
import functools
import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo
from kyeo.core.op import OPS
from tests.numpy_jaxpr import compiled, in_numpy
from tests.thin import thinned

rng = np.random.default_rng(0)
CORNERS = np.array([[0, 0], [6, 0], [0, 4], [6, 4]], "float32")
VALUES = {
    "X": rng.random((2, 5, 7, 3), "float32"), "ONE": rng.random((6, 5, 3), "float32"), "G": rng.random((2, 5, 7, 1), "float32"),
    "F": rng.random((2, 3, 5, 7), "float32"), "FONE": rng.random((3, 6, 5), "float32"), "U": rng.integers(0, 256, (2, 5, 7, 3)).astype("uint8"),
    "BIG": rng.random((2, 12, 13, 3), "float32"), "BIG2": rng.random((2, 12, 13, 3), "float32"), "H": rng.random((2, 5, 7, 3)).astype("float16"),
    "VOL": rng.random((2, 4, 5, 6, 2), "float32"), "M": rng.normal(size=(4, 5)).astype("float32"),
    "AT": rng.uniform(-2, 6, (2, 3, 4)).astype("float32"),
    # not float32, so they are not differentiated: Keras's JAX backend treats the last two in its own way
    "T": np.concatenate([rng.uniform(-1.2, 1.2, (2, 6)), np.zeros((2, 2))], 1), "SHIFT": np.array([1, 0, 1.3, 0, 1, -0.7, 0, 0]),
    "START": CORNERS, "END": CORNERS + rng.uniform(-1.5, 1.5, (4, 2)).astype("float32"),
    "STARTS": np.stack([CORNERS, CORNERS]), "ENDS": CORNERS + rng.uniform(-1.5, 1.5, (2, 4, 2)).astype("float32"),
}
FILLS = ("constant", "nearest", "wrap", "mirror", "reflect")
ROWS = [row.strip() for row in """
    rgb_to_grayscale(X) | rgb_to_grayscale(ONE) | rgb_to_grayscale(G) | rgb_to_grayscale(U) | rgb_to_grayscale(H)
    rgb_to_grayscale(F, data_format='channels_first') | rgb_to_hsv(X) | rgb_to_hsv(FONE, 'channels_first') | rgb_to_hsv(H)
    hsv_to_rgb(X) | hsv_to_rgb(3 * X - 1) | hsv_to_rgb(F, 'channels_first')
    resize(X, (3, 9)) | resize(ONE, (12, 2), 'nearest') | resize(X, [3, 3], 'bicubic', True) | resize(X, (2, 3), 'lanczos3', antialias=True)
    resize(X, (9, 9), 'lanczos5') | resize(F, (3, 9), data_format='channels_first') | resize(U, (3, 4)) | resize(U, (9, 9), 'bicubic')
    resize(U, (3, 9), 'nearest') | resize(H, (4, 4)) | resize(X, (4, 4), crop_to_aspect_ratio=True) | resize(ONE, (4, 9), crop_to_aspect_ratio=True)
    resize(F, (6, 3), crop_to_aspect_ratio=True, data_format='channels_first') | resize(X, (4, 4), pad_to_aspect_ratio=True)
    resize(ONE, (4, 9), pad_to_aspect_ratio=True, fill_value=0.5) | resize(U, (8, 4), pad_to_aspect_ratio=True, fill_value=7.0)
    resize(F, (6, 3), pad_to_aspect_ratio=True, data_format='channels_first', fill_value=1.0)
    affine_transform(X, T) | affine_transform(ONE, SHIFT) | affine_transform(U, T, fill_mode='reflect') | affine_transform(H, T, fill_value=2.0)
    affine_transform(F, T, data_format='channels_first', fill_mode='wrap') | affine_transform(X, T, 'nearest', fill_value=0.5)
    perspective_transform(ONE, START, END) | perspective_transform(X, STARTS, ENDS, 'nearest', 0.5) | perspective_transform(X, STARTS, ENDS, fill_value=0.5)
    perspective_transform(F, STARTS, ENDS, data_format='channels_first') | map_coordinates(M, AT, 1) | map_coordinates(M, AT, 0, 'reflect')
    map_coordinates(M, AT, 1, 'constant', 3.0) | map_coordinates(M, AT, order=1, fill_mode='wrap')
    gaussian_blur(X, data_format='channels_last') | gaussian_blur(ONE, (5, 3), (0.5, 2.0), 'channels_last') | gaussian_blur(F, (1, 3), (2.0, 0.7), 'channels_first')
    gaussian_blur(X, (2, 4), (0.5, 2.0), 'channels_last') | gaussian_blur(H, (3, 3), (1.0, 1.0), 'channels_last')
    sobel_edges(X) | sobel_edges(F, 'channels_first') | sobel_edges(X[:, :, :, :1]) | ssim(BIG, BIG2) | ssim(BIG[0], BIG2[0], 2.0, 5, 1.0)
    ssim(BIG, BIG2, filter_size=3, k1=0.1, k2=0.2) | ssim(G, 1 - G, filter_size=5)
    pad_images(X, 1, 2, 3, 0) | pad_images(ONE, 1, None, target_height=9, right_padding=1, target_width=8)
    pad_images(F, bottom_padding=0, left_padding=1, target_height=7, target_width=9, data_format='channels_first') | pad_images(U, 1, 1, 1, 1)
    crop_images(X, 1, 2, 3, 0) | crop_images(ONE, 1, None, target_height=3, right_cropping=1, target_width=2) | crop_images(X, 1, 1, target_height=2, target_width=4)
    crop_images(F, bottom_cropping=0, left_cropping=1, target_height=3, target_width=2, data_format='channels_first')
    extract_patches(X, 2) | extract_patches(ONE, (3, 2), 1) | extract_patches(X, (2, 3), (1, 2), 1, 'same') | extract_patches(X, 2, 1, 2)
    extract_patches(X, 2, strides=1, dilation_rate=2, padding='same') | extract_patches(F, 2, data_format='channels_first')
    extract_patches(VOL, (2, 2, 3)) | extract_patches(FONE, 3, 2, data_format='channels_first') | extract_patches_3d(VOL, 2)
    extract_patches_3d(VOL[0], (2, 3, 2), 1, padding='same') | extract_patches_3d(VOL, 2, strides=(1, 2, 1))
    scale_and_translate(X, (2, 4, 4, 3), [0.7, 0.5], [0.3, 1.0], (1, 2), 'linear') | scale_and_translate(ONE, (6, 9, 3), [1.5], [0.5], (1,), 'bicubic', False)
""".replace("|", "\n").strip().split("\n")] + [
    f"affine_transform(X, T, '{how}', '{fill}', 0.3)" for how in ("bilinear", "nearest") for fill in FILLS]


def used(row, dtypes=("float32",)):
    names = {node.id for node in ast.walk(ast.parse(row)) if isinstance(node, ast.Name)}
    return {n: VALUES[n] for n in names if n in VALUES and VALUES[n].dtype in dtypes}


def evaluate(row, library, values=None):
    functions = {n: getattr(library.ops.image, n) for n in kyeo.ops.image.__all__}
    arrays = {k: jnp.asarray(v) for k, v in VALUES.items()}
    return eval(row, {**functions, **arrays, **(values or {})})




COMPILED = {*thinned(ROWS, 5, kind=lambda row: row.split("(")[0])}
DIFFERENTIATED = {row.split("(")[0]: row for row in reversed(ROWS)}  # the first row of each op


@pytest.mark.parametrize("row", ROWS)
def test_same_as_keras(row):
    """Values, gradients, the shape of the symbolic call."""
    def weighed(values, library):
        out = evaluate(row, library, values)
        weights = np.cos(np.arange(out.size)).reshape(out.shape).astype("float32")
        return jnp.sum(out.astype("float32") * weights) if out.dtype == "float32" else jnp.float32(0), out

    values = {k: jnp.asarray(v) for k, v in used(row).items()} if row in DIFFERENTIATED.values() else {}
    with_gradient = jax.grad(weighed, has_aux=True) if values else lambda v, library: ({}, weighed(v, library)[1])
    (ours, value), (theirs, wanted) = (
        run(functools.partial(with_gradient, library=room), values)
        for run, room in ((compiled if row in COMPILED else in_numpy, kyeo), (in_numpy, keras)))
    assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype)
    loose = value.dtype == "float16"
    integers = value.dtype == "uint8" and "nearest" not in row  # a rounding apart where halves meet
    np.testing.assert_allclose(np.float32(value), np.float32(wanted), rtol=2e-3 if loose else 1e-5, atol=integers + (2e-3 if loose else 2e-5))
    for name in values:
        top = float(jnp.abs(theirs[name]).max())
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-5, atol=2e-5 * max(top, 1), err_msg=name)
    if not any(f"{n}{mark}" in row for n in VALUES for mark in ("[", " -")) and "*" not in row and "1 -" not in row:
        symbols = {n: kyeo.KerasTensor(v.shape, v.dtype) for n, v in used(row, ("float32", "uint8", "float16")).items()}
        found = evaluate(row, kyeo, symbols)
        assert (found.shape, found.dtype) == (value.shape, value.dtype.name)


def test_every_op_has_a_row():
    named = {node.id for row in ROWS for node in ast.walk(ast.parse(row)) if isinstance(node, ast.Name)}
    assert set(kyeo.ops.image.__all__) - named == {"elastic_transform"}  # it draws: below
    assert sorted(kyeo.ops.image.__all__) == sorted(n for n in dir(keras.ops.image) if n[0] != "_")
    for name in kyeo.ops.image.__all__:
        ours, theirs = ([(p.name, p.default) for p in inspect.signature(getattr(room.ops.image, name)).parameters.values()]
                        for room in (kyeo, keras))
        assert ours == theirs
        assert name == "extract_patches_3d" or OPS[name] is getattr(kyeo.ops.image, name)


def test_blur_of_no_width():
    """The window is its middle: of an odd size one pixel, of an even one the two beside it."""
    blur, image = kyeo.ops.image.gaussian_blur, VALUES["X"]
    for sigma in (0.0, (0.0, 0.0)):
        np.testing.assert_array_equal(blur(image, (3, 3), sigma, "channels_last"), image)
    slope = jax.grad(lambda s: kyeo.ops.sum(blur(image, (2, 3), (0.0, s), "channels_last")))(0.0)
    assert slope == 0


def test_elastic_transform():
    """The movement is smooth noise of the scale asked for, its rows and columns apart; the reading is Keras's."""
    from kyeo.core.keys import key_of
    from kyeo.ops.kernels.bits import normal_numbers

    image, alpha, sigma = VALUES["X"], 3.0, 1.2
    moved = kyeo.ops.image.elastic_transform(image, alpha, sigma, seed=3)
    noise = np.array(normal_numbers(key_of(3), (2, 5, 7, 2))) * sigma
    size = int(6 * sigma) | 1
    blurred = np.asarray(keras.ops.image.gaussian_blur(noise, (size, size), (sigma, sigma), "channels_last"))
    y, x = np.meshgrid(np.arange(5), np.arange(7), indexing="ij")
    for b in range(2):
        for c in range(3):
            at = [y + alpha * blurred[b, ..., 0], x + alpha * blurred[b, ..., 1]]
            wanted = keras.ops.image.map_coordinates(image[b, ..., c], np.float32(at), 1, "reflect")
            np.testing.assert_allclose(moved[b, ..., c], wanted, atol=1e-5)
    first = kyeo.ops.image.elastic_transform(image.transpose(0, 3, 1, 2), alpha, sigma, seed=3, data_format="channels_first")
    np.testing.assert_allclose(first.transpose(0, 2, 3, 1), moved, atol=1e-6)
    np.testing.assert_array_equal(kyeo.ops.image.elastic_transform(image[0], alpha, sigma, "nearest", seed=kyeo.random.SeedGenerator(3)),
                                  kyeo.ops.image.elastic_transform(image[0], alpha, sigma, "nearest", seed=3))
    np.testing.assert_allclose(kyeo.ops.image.elastic_transform(image, 0.0, 1.0, seed=1), image, atol=1e-6)


def test_perspective_terms_and_unknown_sizes():
    """What Keras's JAX backend leaves out; and images of unknown size."""
    image = VALUES["ONE"]
    h = [1.1, 0.1, -0.3, 0.05, 0.9, 0.2, 0.02, -0.01]
    y, x = np.meshgrid(np.arange(6), np.arange(5), indexing="ij")
    k = h[6] * x + h[7] * y + 1
    at = np.float32([(h[3] * x + h[4] * y + h[5]) / k, (h[0] * x + h[1] * y + h[2]) / k])
    wanted = np.stack([keras.ops.image.map_coordinates(image[..., c], at, 1) for c in range(3)], -1)
    np.testing.assert_allclose(kyeo.ops.image.affine_transform(image, h), wanted, atol=1e-5)
    unknown, o = kyeo.KerasTensor((None, None, None, 3)), kyeo.ops.image
    assert o.resize(unknown, (4, 5), crop_to_aspect_ratio=True).shape == (None, 4, 5, 3)
    assert o.affine_transform(unknown, h).shape == (None, None, None, 3)
    assert o.crop_images(kyeo.KerasTensor((None, 8, 9, 3)), 1, 1, 1, 1).shape == (None, 6, 7, 3)
    assert o.pad_images(unknown, 2, 3, target_height=20, target_width=30).shape == (None, 20, 30, 3)
    assert o.scale_and_translate(unknown, (None, 4, 5, 3), [1.0, 1.0], [0.0, 0.0], (1, 2), "linear").shape == (None, 4, 5, 3)
    assert o.extract_patches(kyeo.KerasTensor((None, 8, 9, 3)), 2).shape == (None, 4, 4, 12)
    assert o.ssim(unknown, unknown).shape == (None,)
    assert o.gaussian_blur(unknown).shape == (None, None, None, 3)
    assert (o.sobel_edges(VALUES["U"]) == o.sobel_edges(VALUES["U"].astype("int32"))).all()  # bytes have no sign
    assert o.ssim(VALUES["U"], VALUES["U"], 255, 3).dtype == "float32"  # Keras casts it to uint8


BAD = [
    ("resize(X, 3)", "size"), ("resize(X, (0, 3))", "size"), ("resize(X, (3, 3), 'cubic')", "bicubic"),
    ("resize(X, (3, 3), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)", "cropped or padded"),
    ("resize(X, (3, 3), fill_mode='wrap')", "constant"), ("resize(M, (3, 3))", "3 axes"), ("rgb_to_hsv(U)", "floats"),
    ("rgb_to_hsv(G)", "three channels"), ("rgb_to_grayscale(F)", "channels"), ("affine_transform(X, [1.0, 2.0])", "8 numbers"),
    ("affine_transform(X, T, 'bicubic')", "bilinear"), ("affine_transform(X, T, fill_mode='edge')", "nearest"),
    ("perspective_transform(X, START, END[:3])", "four points"), ("map_coordinates(M, AT[:1], 1)", "shape (2, ...)"),
    ("map_coordinates(M, AT, 2)", "order"), ("pad_images(X, 1, 1)", "Two of"), ("pad_images(X, -1, 1, 1, 1)", "top_padding"),
    ("pad_images(X, 1, 1, target_height=2, target_width=9)", "does not fit"), ("crop_images(X, 4, 1, 4, 1)", "cut off"),
    ("crop_images(X, 1, 1, target_height=9, target_width=9)", "does not fit"), ("extract_patches(X, 'a')", "size"),
    ("extract_patches(X, (1, 2, 3, 4))", "size"), ("extract_patches(M, 2)", "axes"), ("ssim(X, X)", "smaller than the window"),
    ("scale_and_translate(X, (2, 3, 3, 3), [1.0], [1.0], (1,), 'nearest')", "linear"), ("elastic_transform(X, sigma=-1)", "sigma"),
    ("scale_and_translate(X, (3, 3), [1.0], [1.0], (1,), 'linear')", "each axis"), ("gaussian_blur(X, 3.0)", "kernel_size"),
    ("gaussian_blur(X, 0)", "kernel_size"), ("sobel_edges(X, 'last')", "channels_last"),
]


@pytest.mark.parametrize("row, part", BAD)
def test_bad_arguments(row, part):
    with pytest.raises((ValueError, TypeError)) as caught:
        evaluate(row, kyeo)
    assert part in str(caught.value) and "\n  " in str(caught.value)
