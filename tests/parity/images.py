"""Random images and arguments for the functions of `keras.ops.image`, for `random_parity.py`: as those of `ops.py`."""

import numpy as np

from tests.parity.ops import described, steps

__all__ = ["draw", "steps"]

TYPES = ["float32"] * 4 + ["float16", "bfloat16"]
FILLS = ["constant", "nearest", "wrap", "mirror", "reflect"]


def exactly(values):
    return {"exact": values, "shape": np.shape(values), "dtype": "float32", "seed": 0}


def image(rng, channels=None, least=1, kinds=TYPES, places=2):
    """Images, one or a batch, with the `data_format` they are in."""
    form = rng.choice(["channels_last", "channels_first", None])
    sides, channels = tuple(rng.randint(least, 7) for _ in range(places)), channels or rng.randint(1, 4)
    shape = (channels, *sides) if form == "channels_first" else (*sides, channels)
    spec = {**described(rng.choice(kinds), *rng.choice([(), (1,), (3,)]), *shape, high=120), "seed": rng.randrange(100), "unit": True}
    return {"images": spec, "data_format": form}


def sides_of(args):
    return args["images"]["shape"][-2:] if args["data_format"] == "channels_first" else args["images"]["shape"][-3:-1]


def edges(rng, name):
    """Paddings or croppings: of each direction two of the three numbers that say the same."""
    args, word = image(rng, least=4, kinds=["float32", "uint8", "int32"]), "padding" if name == "pad_images" else "cropping"
    for before, after, side, size in zip(("top", "left"), ("bottom", "right"), ("height", "width"), sides_of(args)):
        p, q = rng.randint(0, 2), rng.randint(0, 1)
        three = {f"{before}_{word}": p, f"{after}_{word}": q, f"target_{side}": size + p + q if word == "padding" else size - p - q}
        three.pop(rng.choice(list(three)))
        args |= three
    return args


def corners(rng, args):
    """Four points at the corners of the images, or a little beside."""
    (h, w), batch = sides_of(args), args["images"]["shape"][:-3]
    four = [[0.0, 0.0], [0.0, w - 1.0], [h - 1.0, 0.0], [h - 1.0, w - 1.0]]
    moved = [[a + rng.uniform(-0.4, 0.4), b + rng.uniform(-0.4, 0.4)] for a, b in four]
    return [exactly([points] * batch[0] if batch else points) for points in (four, moved)]


def draw(rng):
    one, fill = rng.choice([1, 2, (2, 1), 3]), rng.choice([0, 0.5, 1])
    table = {
        "resize": lambda: {**image(rng), "size": (rng.randint(1, 9), rng.randint(1, 9)), "interpolation": rng.choice(["bilinear", "nearest", "lanczos3", "lanczos5", "bicubic"]), "antialias": rng.random() < 0.5,
                           **rng.choice([{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": fill}])},
        "rgb_to_grayscale": lambda: image(rng, channels=3), "rgb_to_hsv": lambda: image(rng, channels=3), "hsv_to_rgb": lambda: image(rng, channels=3),
        "pad_images": lambda: edges(rng, "pad_images"), "crop_images": lambda: edges(rng, "crop_images"), "sobel_edges": lambda: image(rng, least=3),
        "affine_transform": lambda: {**image(rng, kinds=["float32"]), "transform": exactly([1 + rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.uniform(-2, 2), rng.uniform(-0.3, 0.3), 1.1, 0.4, 0.0, 0.0]),
                                     "fill_mode": rng.choice(FILLS), "fill_value": fill},
        "perspective_transform": lambda: {**(args := image(rng, least=2, kinds=["float32"])), **dict(zip(("start_points", "end_points"), corners(rng, args))), "fill_value": fill},
        "extract_patches": lambda: {**image(rng), "size": one, "strides": rng.choice([None, 1, 2, (1, 2)]), "padding": rng.choice(["same", "valid"])},
        "gaussian_blur": lambda: {**(args := image(rng, least=3)), "data_format": args["data_format"] or "channels_last", "kernel_size": rng.choice([(3, 3), (3, 5), (5, 1)]), "sigma": rng.choice([(1.0, 1.0), (0.5, 2.0)])},
        "map_coordinates": lambda: {"inputs": described("float32", 4, 3), "coordinates": described("float32", 2, *rng.choice([(5,), (2, 3)])), "order": rng.choice([0, 1]), "fill_mode": rng.choice(FILLS), "fill_value": fill},
    }
    name = rng.choice(list(table))
    args = table[name]()
    if name in ("pad_images", "crop_images") and args["data_format"] is None:
        del args["data_format"]
    return {"cls": name, "room": "image", "args": args, "jit": False}
