"""Xception: separable convolutions beside shortcuts.

F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017.

>>> from kyeo import applications
>>> applications.Xception(weights=None, include_top=False, input_shape=(71, 71, 3)).output_shape  # doctest: +SKIP
(None, 3, 3, 2048)
"""

from typing import Any

from kyeo.applications.frame import Request, channel_axis, finish, head, image_input, variant
from kyeo.applications.imagenet_utils import decode_predictions, preprocessing
from kyeo.applications.published import WEIGHTS
from kyeo.layers import Activation, Add, BatchNormalization, Conv2D, MaxPooling2D, SeparableConv2D
from kyeo.models import Model

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

# Blocks 2 to 13: filters of their separable convolutions, and whether they end in a pool that halves the image.
_BLOCKS = (((128, 128), True), ((256, 256), True), ((728, 728), True), *[((728,) * 3, False)] * 8, ((728, 1024), True))


def _norm(x: Any, name: str | None = None) -> Any:
    return BatchNormalization(axis=1 if channel_axis() == 1 else -1, name=name)(x)


def _relu(x: Any, name: str) -> Any:
    return Activation("relu", name=name)(x)


def _separable(x: Any, filters: int, name: str) -> Any:
    return _norm(SeparableConv2D(filters, (3, 3), padding="same", use_bias=False, name=name)(x), f"{name}_bn")


def _block(x: Any, filters: tuple[int, ...], pool: bool, index: int) -> Any:
    shortcut, name = x, f"block{index}"
    if pool:
        shortcut = Conv2D(filters[-1], (1, 1), strides=(2, 2), padding="same", use_bias=False)(x)
        shortcut = _norm(shortcut)
    for number, one in enumerate(filters, 1):
        if (index, number) != (2, 1):  # what block 1 gives has its ReLU
            x = _relu(x, f"{name}_sepconv{number}_act")
        x = _separable(x, one, f"{name}_sepconv{number}")
    if pool:
        x = MaxPooling2D((3, 3), strides=(2, 2), padding="same", name=f"{name}_pool")(x)
    return Add()([x, shortcut])


def _build(request: Request) -> Model:
    x = image = image_input(request, 299, min_size=71)
    for number, filters in enumerate((32, 64), 1):
        name = f"block1_conv{number}"
        x = Conv2D(filters, (3, 3), strides=(2, 2) if number == 1 else (1, 1), use_bias=False, name=name)(x)
        x = _relu(_norm(x, f"{name}_bn"), f"{name}_act")
    for index, (widths, pool) in enumerate(_BLOCKS, 2):
        x = _block(x, widths, pool, index)
    for number, filters in enumerate((1536, 2048), 1):
        x = _relu(_separable(x, filters, f"block14_sepconv{number}"), f"block14_sepconv{number}_act")
    return finish(request, image, head(request, x, names=request.include_top), WEIGHTS["xception"])


Xception = variant(_build, "Xception", "xception", __name__,
                   "Xception (Chollet, CVPR 2017), for images of 299 x 299 prepared by `preprocess_input`.")
preprocess_input = preprocessing("tf")
