"""Inception v3: blocks of branches side by side, joined by their channels.

C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.

>>> from kyeo import applications
>>> applications.InceptionV3(weights=None, include_top=False, input_shape=(75, 75, 3)).output_shape  # doctest: +SKIP
(None, 1, 1, 2048)
"""

from collections.abc import Sequence
from typing import Any

from kyeo.applications.frame import Request, channel_axis, finish, head, image_input, variant
from kyeo.applications.imagenet_utils import decode_predictions, preprocessing
from kyeo.applications.published import WEIGHTS
from kyeo.layers import Activation, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, MaxPooling2D
from kyeo.models import Model

__all__ = ["AVERAGE", "HALF", "InceptionV3", "along", "conv", "decode_predictions", "mixed", "preprocess_input", "stem"]

# A branch is a row of steps: (filters, height and width of the window); AVERAGE, a pool that keeps the size; HALF, a
# stride of two without padding for the convolution after it, or a pool of it at the end of a branch.
AVERAGE, HALF = "average", "half"


def conv(x: Any, filters: int, height: int, width: int, half: bool = False, padding: str | None = None) -> Any:
    """A convolution, normalized, with a ReLU; `half`: with a stride of two and without padding."""
    x = Conv2D(filters, (height, width), strides=(2, 2) if half else (1, 1), use_bias=False,
               padding=padding or ("valid" if half else "same"))(x)
    x = BatchNormalization(axis=channel_axis(), scale=False)(x)
    return Activation("relu")(x)


def along(x: Any, steps: Sequence[Any]) -> Any:
    """The steps of a branch, one after the other."""
    for position, step in enumerate(steps):
        if step == AVERAGE:
            x = AveragePooling2D((3, 3), strides=(1, 1), padding="same")(x)
        elif step == HALF and position == len(steps) - 1:
            x = MaxPooling2D((3, 3), strides=(2, 2))(x)
        elif step != HALF:
            x = conv(x, *step, half=position > 0 and steps[position - 1] == HALF)
    return x


def mixed(x: Any, branches: Sequence[Sequence[Any]], name: str) -> Any:
    """The branches side by side."""
    return Concatenate(axis=channel_axis(), name=name)([along(x, branch) for branch in branches])


def stem(x: Any) -> Any:
    """Five convolutions and two pools, from 299 x 299 pixels to 35 x 35."""
    x = along(x, [HALF, (32, 3, 3)])
    x = conv(conv(x, 32, 3, 3, padding="valid"), 64, 3, 3)
    x = conv(along(x, [HALF]), 80, 1, 1, padding="valid")
    return along(conv(x, 192, 3, 3, padding="valid"), [HALF])


def _large(pool: int) -> list[Any]:
    return [[(64, 1, 1)], [(48, 1, 1), (64, 5, 5)], [(64, 1, 1), (96, 3, 3), (96, 3, 3)], [AVERAGE, (pool, 1, 1)]]


def _middle(n: int) -> list[Any]:
    return [[(192, 1, 1)], [(n, 1, 1), (n, 1, 7), (192, 7, 1)],
            [(n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)], [AVERAGE, (192, 1, 1)]]


_BLOCKS = [
    *map(_large, (32, 64, 64)),
    [[HALF, (384, 3, 3)], [(64, 1, 1), (96, 3, 3), HALF, (96, 3, 3)], [HALF]],
    *map(_middle, (128, 160, 160, 192)),
    [[(192, 1, 1), HALF, (320, 3, 3)], [(192, 1, 1), (192, 1, 7), (192, 7, 1), HALF, (192, 3, 3)], [HALF]],
]


def _forked(x: Any, name: str | None) -> Any:
    """Two flat windows side by side."""
    return Concatenate(axis=channel_axis(), name=name)([conv(x, 384, 1, 3), conv(x, 384, 3, 1)])


def _small(x: Any, index: int) -> Any:
    branches = [conv(x, 320, 1, 1), _forked(conv(x, 384, 1, 1), f"mixed9_{index}"),
                _forked(along(x, [(448, 1, 1), (384, 3, 3)]), None), along(x, [AVERAGE, (192, 1, 1)])]
    return Concatenate(axis=channel_axis(), name=f"mixed{9 + index}")(branches)


def _build(request: Request) -> Model:
    image = image_input(request, 299, min_size=75)
    x = stem(image)
    for index, branches in enumerate(_BLOCKS):
        x = mixed(x, branches, f"mixed{index}")
    for index in range(2):
        x = _small(x, index)
    return finish(request, image, head(request, x, names=request.include_top), WEIGHTS["inception_v3"])


InceptionV3 = variant(_build, "InceptionV3", "inception_v3", __name__,
                      "InceptionV3 (Szegedy et al., CVPR 2016), for images of 299 x 299 prepared by "
                      "`preprocess_input`.")
preprocess_input = preprocessing("tf")
