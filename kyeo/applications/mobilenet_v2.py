"""MobileNetV2: inverted bottlenecks, the shortcut between the narrow ends.

M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.

>>> import kyeo
>>> small = kyeo.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, include_top=False)
>>> small.output_shape
(None, 1, 1, 1280)
"""

import dataclasses
from typing import Any

from kyeo.applications.frame import (
    Request,
    channel_axis,
    check_agreement,
    correct_pad,
    finish,
    head,
    image_shape,
    input_of,
    named,
    rounded,
    sides_of,
    square_of,
)
from kyeo.applications.imagenet_utils import CLASSES, decode_predictions, preprocessing
from kyeo.applications.mobilenet import ALPHA, published_size, width
from kyeo.applications.published import mobilenet_weights
from kyeo.layers import Add, BatchNormalization, Conv2D, DepthwiseConv2D, ReLU, ZeroPadding2D
from kyeo.models import Model

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

_STAGES = (  # blocks, filters, stride of the first, how many times wider inside
    (1, 16, 1, 1), (2, 24, 2, 6), (3, 32, 2, 6), (4, 64, 2, 6), (3, 96, 1, 6), (3, 160, 2, 6), (1, 320, 1, 6),
)
_ALPHAS, _SIDES = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4), (96, 128, 160, 192, 224)


def _norm(x: Any, name: str, act: str | None = None) -> Any:
    x = BatchNormalization(axis=1 if channel_axis() == 1 else -1, epsilon=1e-3, momentum=0.999, name=name)(x)
    return x if act is None else ReLU(6.0, name=act)(x)


def _block(inputs: Any, filters: int, stride: int, times: int, index: int) -> Any:
    x, channels = inputs, inputs.shape[channel_axis()]
    name = f"block_{index}_" if index else "expanded_conv_"
    if index:
        x = Conv2D(times * channels, 1, padding="same", use_bias=False, name=f"{name}expand")(x)
        x = _norm(x, f"{name}expand_BN", f"{name}expand_relu")
    if stride == 2:
        x = ZeroPadding2D(correct_pad(x, 3), name=f"{name}pad")(x)
    x = DepthwiseConv2D(3, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False,
                        name=f"{name}depthwise")(x)
    x = _norm(x, f"{name}depthwise_BN", f"{name}depthwise_relu")
    x = _norm(Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")(x), f"{name}project_BN")
    return Add(name=f"{name}add")([inputs, x]) if stride == 1 and channels == filters else x


def _make(
    input_shape: Any = None, alpha: float = 1.0, include_top: bool = True, weights: Any = "imagenet",
    input_tensor: Any = None, pooling: str | None = None, classes: int = CLASSES,
    classifier_activation: Any = "softmax", name: str | None = None,
) -> Model:
    request = Request("MobileNetV2", include_top, weights, input_tensor, input_shape, pooling, classes,
                      classifier_activation, name)
    alpha = width(request.title, alpha)
    check_agreement(request)
    given = input_tensor.shape if input_shape is None and input_tensor is not None else input_shape
    shape = image_shape(request, square_of(given, _SIDES))
    rows: Any = sides_of(shape)[0]
    if request.pretrained:
        rows = published_size(request, alpha, _ALPHAS, _SIDES, sides_of(shape))
    x = image = input_of(request, shape)
    x = Conv2D(rounded(32 * alpha), 3, strides=(2, 2), padding="same", use_bias=False, name="Conv1")(x)
    x = _norm(x, "bn_Conv1", "Conv1_relu")
    index = 0
    for count, filters, stride, times in _STAGES:
        for block in range(count):
            x = _block(x, rounded(int(filters * alpha)), stride if block == 0 else 1, times, index)
            index += 1
    x = Conv2D(rounded(1280 * max(alpha, 1)), 1, use_bias=False, name="Conv_1")(x)  # never narrower than the paper's
    x = head(request, _norm(x, "Conv_1_bn", "out_relu"), names=False)
    if name is None:
        request = dataclasses.replace(request, name=f"mobilenetv2_{alpha:0.2f}_{rows}")
    return finish(request, image, x, mobilenet_weights(2, alpha, rows) if request.pretrained else None)


MobileNetV2 = named(
    _make, "MobileNetV2", __name__, "MobileNetV2 (Sandler et al., CVPR 2018), for images of 224 x 224 prepared by "
    "`preprocess_input`.", ALPHA)
preprocess_input = preprocessing("tf")
