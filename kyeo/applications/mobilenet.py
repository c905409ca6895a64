"""MobileNet: depthwise convolutions, each followed by one of 1x1.

A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017
(https://arxiv.org/abs/1704.04861).

>>> import kyeo
>>> small = kyeo.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, include_top=False)
>>> small.output_shape
(None, 1, 1, 256)
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from kyeo.applications.frame import (
    Request,
    channel_axis,
    finish,
    head,
    image_shape,
    input_of,
    named,
    sides_of,
    square_of,
)
from kyeo.applications.imagenet_utils import CLASSES, decode_predictions, preprocessing
from kyeo.applications.published import mobilenet_weights
from kyeo.core.errors import number, positive_int, problem
from kyeo.core.plain import warn
from kyeo.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    ReLU,
    Reshape,
    ZeroPadding2D,
)
from kyeo.models import Model

__all__ = ["ALPHA", "MobileNet", "decode_predictions", "preprocess_input", "published_size", "width"]

_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
ALPHA = "    alpha: how many times the filters of the paper.\n"
_ALPHAS, _SIDES = (0.25, 0.5, 0.75, 1.0), (128, 160, 192, 224)


def published_size(request: Request, alpha: float, alphas: Sequence[float], sides: Sequence[int],
                   image: Sequence[int | None]) -> int:
    """The side of the images that the published weights of a width were trained on; the largest, with a warning,
    where the user's is none of them."""
    if alpha not in alphas:
        raise problem("There are no published weights of this width.", received=f"alpha={alpha}", where=request.title,
                      expected="one of " + ", ".join(map(str, alphas)), fix="weights=None")
    rows, columns = image
    if rows == columns and rows in sides:
        return rows  # type: ignore[return-value]
    warn(f"{request.title}: the images are not squares of {', '.join(map(str, sides))} pixels, so the weights "
         f"for {sides[-1]} are loaded.")
    return sides[-1]


def width(title: str, alpha: Any) -> float:
    """A factor on the numbers of filters, checked."""
    return number(title, alpha=alpha, check=lambda a: a > 0, expected="a number > 0")


def _norm(x: Any, name: str) -> Any:
    x = BatchNormalization(axis=1 if channel_axis() == 1 else -1, name=f"{name}_bn")(x)
    return ReLU(6.0, name=f"{name}_relu")(x)


def _block(x: Any, filters: int, stride: int, multiplier: int, index: int) -> Any:
    if stride != 1:
        x = ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{index}")(x)
    x = DepthwiseConv2D((3, 3), strides=(stride, stride), padding="same" if stride == 1 else "valid",
                        depth_multiplier=multiplier, use_bias=False, name=f"conv_dw_{index}")(x)
    x = Conv2D(filters, (1, 1), padding="same", use_bias=False, name=f"conv_pw_{index}")(_norm(x, f"conv_dw_{index}"))
    return _norm(x, f"conv_pw_{index}")


def _make(
    input_shape: Any = None, alpha: float = 1.0, depth_multiplier: int = 1, dropout: float = 1e-3,
    include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, pooling: str | None = None,
    classes: int = CLASSES, classifier_activation: Any = "softmax", name: str | None = None,
) -> Model:
    request = Request("MobileNet", include_top, weights, input_tensor, input_shape, pooling, classes,
                      classifier_activation, name)
    alpha = width(request.title, alpha)
    depth_multiplier = positive_int(request.title, depth_multiplier=depth_multiplier)
    shape = image_shape(request, square_of(input_shape, _SIDES))
    rows: Any
    rows, columns = sides_of(shape)
    x = image = input_of(request, shape)
    if request.pretrained:
        if depth_multiplier != 1:
            raise problem("The published weights have one filter a channel.", where=request.title,
                          received=f"depth_multiplier={depth_multiplier}", expected="1", fix="weights=None")
        rows = published_size(request, alpha, _ALPHAS, _SIDES, (rows, columns))
    x = Conv2D(int(32 * alpha), (3, 3), strides=(2, 2), padding="same", use_bias=False, name="conv1")(x)
    x = _norm(x, "conv1")
    for index, (filters, stride) in enumerate(_BLOCKS, 1):
        x = _block(x, int(filters * alpha), stride, depth_multiplier, index)

    def top(x: Any) -> Any:
        x = Dropout(dropout, name="dropout")(GlobalAveragePooling2D(keepdims=True)(x))
        x = Conv2D(classes, (1, 1), padding="same", name="conv_preds")(x)
        return Activation(classifier_activation, name="predictions")(Reshape((classes,), name="reshape_2")(x))

    x = head(request, x, top, names=False)
    if name is None:
        request = dataclasses.replace(request, name=f"mobilenet_{alpha:0.2f}_{rows}")
    return finish(request, image, x, mobilenet_weights(1, alpha, rows) if request.pretrained else None)


MobileNet = named(
    _make, "MobileNet", __name__, "MobileNet (Howard et al., 2017), for images of 224 x 224 prepared by "
    "`preprocess_input`.", ALPHA + """    depth_multiplier: filters of the depthwise convolutions for each channel.
    dropout: the share dropped before the classifier.
""")
preprocess_input = preprocessing("tf")
