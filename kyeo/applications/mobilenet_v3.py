"""MobileNetV3: inverted bottlenecks with gates on the channels, in a large and a small form.

A. Howard et al., "Searching for MobileNetV3", ICCV 2019.

>>> import kyeo
>>> small = kyeo.applications.MobileNetV3Small((32, 32, 3), weights=None, include_top=False)
>>> small.output_shape
(None, 1, 1, 576)
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol

from kyeo.applications.frame import (
    Request,
    channel_axis,
    check_agreement,
    correct_pad,
    finish,
    head,
    input_of,
    named,
    rounded,
    sides_of,
)
from kyeo.applications.imagenet_utils import CLASSES, decode_predictions, preprocessing
from kyeo.applications.mobilenet import ALPHA, width
from kyeo.applications.published import WEIGHTS
from kyeo.core.errors import problem
from kyeo.core.plain import warn
from kyeo.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Multiply,
    ReLU,
    Rescaling,
    ZeroPadding2D,
)
from kyeo.models import Model

__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]

# How many times wider inside, filters, window (0: 5, or 3 in the minimalistic form), stride, gates?, swish?
_BLOCKS = {
    "small": (
        (1, 16, 3, 2, 1, 0), (72 / 16, 24, 3, 2, 0, 0), (88 / 24, 24, 3, 1, 0, 0), (4, 40, 0, 2, 1, 1),
        (6, 40, 0, 1, 1, 1), (6, 40, 0, 1, 1, 1), (3, 48, 0, 1, 1, 1), (3, 48, 0, 1, 1, 1), (6, 96, 0, 2, 1, 1),
        (6, 96, 0, 1, 1, 1), (6, 96, 0, 1, 1, 1)),
    "large": (
        (1, 16, 3, 1, 0, 0), (4, 24, 3, 2, 0, 0), (3, 24, 3, 1, 0, 0), (3, 40, 0, 2, 1, 0), (3, 40, 0, 1, 1, 0),
        (3, 40, 0, 1, 1, 0), (6, 80, 3, 2, 0, 1), (2.5, 80, 3, 1, 0, 1), (2.3, 80, 3, 1, 0, 1), (2.3, 80, 3, 1, 0, 1),
        (6, 112, 3, 1, 1, 1), (6, 112, 3, 1, 1, 1), (6, 160, 0, 2, 1, 1), (6, 160, 0, 1, 1, 1), (6, 160, 0, 1, 1, 1)),
}
_LAST = {"small": 1024, "large": 1280}  # filters before the classifier
_GATE = 0.25  # how many filters the layer between has, as a share
Act = Callable[[Any], Any]


def _relu(x: Any) -> Any:
    return ReLU()(x)


def _swish(x: Any) -> Any:
    return Activation("hard_swish")(x)


def _conv(x: Any, filters: int, name: str, **words: Any) -> Any:
    return Conv2D(filters, 1, padding="same", name=name, **words)(x)


def _norm(x: Any, name: str) -> Any:
    return BatchNormalization(axis=1 if channel_axis() == 1 else -1, epsilon=1e-3, momentum=0.999, name=name)(x)


def _gated(inputs: Any, name: str) -> Any:
    """Each channel times a number from 0 to 1 that all channels' means decide."""
    channels = inputs.shape[channel_axis()]
    x = GlobalAveragePooling2D(keepdims=True, name=f"{name}squeeze_excite_avg_pool")(inputs)
    x = _conv(x, rounded(channels * _GATE), f"{name}squeeze_excite_conv")
    x = _conv(ReLU(name=f"{name}squeeze_excite_relu")(x), channels, f"{name}squeeze_excite_conv_1")
    return Multiply(name=f"{name}squeeze_excite_mul")([inputs, ReLU(6.0)(x + 3.0) * (1.0 / 6.0)])


def _block(inputs: Any, times: float, filters: int, window: int, stride: int, gates: bool, act: Act, index: int) -> Any:
    x, channels = inputs, inputs.shape[channel_axis()]
    name = f"expanded_conv_{index}_" if index else "expanded_conv_"
    if index:
        x = act(_norm(_conv(x, rounded(channels * times), f"{name}expand", use_bias=False), f"{name}expand_bn"))
    if stride == 2:
        x = ZeroPadding2D(correct_pad(x, window), name=f"{name}depthwise_pad")(x)
    x = DepthwiseConv2D(window, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False,
                        name=f"{name}depthwise")(x)
    x = act(_norm(x, f"{name}depthwise_bn"))
    x = _gated(x, name) if gates else x
    x = _norm(_conv(x, filters, f"{name}project", use_bias=False), f"{name}project_bn")
    return Add(name=f"{name}add")([inputs, x]) if stride == 1 and channels == filters else x


def _shape(request: Request) -> Any:
    """The shape of the images: unlike the other networks, the classifier takes any."""
    check_agreement(request)
    first = channel_axis() == 1
    shape = request.input_shape
    if shape is None:
        sides = (None, None) if request.input_tensor is None else sides_of(request.input_tensor.shape)
        shape = (3, *sides) if first else (*sides, 3)
    if len(shape) != 3 or any(side is not None and side < 32 for side in sides_of(shape)):
        raise problem("The image is too small for this network.", received=f"input_shape={shape}",
                      expected="(height, width, channels), at least 32 x 32 pixels", where=request.title)
    return tuple(shape)


def _weights(request: Request, kind: str, alpha: float, minimalistic: bool, shape: Any) -> Any:
    if not request.pretrained:
        return None
    widths = (1.0,) if minimalistic else (0.75, 1.0)
    if alpha not in widths:
        raise problem("There are no published weights of this width.", received=f"alpha={alpha}", where=request.title,
                      expected="one of " + ", ".join(map(str, widths)), fix="weights=None")
    if sides_of(shape) != (224, 224):
        warn(f"{request.title}: the images are not squares of 224 pixels, so the weights for 224 are loaded.")
    return WEIGHTS[f"{kind}_{'minimalistic_' if minimalistic else ''}224_{float(alpha)}"]


def _build(request: Request, kind: str, alpha: float, minimalistic: bool, dropout: float, preprocess: bool) -> Model:
    alpha, shape = width(request.title, alpha), _shape(request)
    published = _weights(request, kind, alpha, minimalistic, shape)
    act = _relu if minimalistic else _swish
    x = image = input_of(request, shape)
    if preprocess:
        x = Rescaling(1 / 127.5, offset=-1.0)(x)
    x = Conv2D(16, 3, strides=(2, 2), padding="same", use_bias=False, name="conv")(x)
    x = act(_norm(x, "conv_bn"))
    for index, (times, filters, window, stride, gates, swish) in enumerate(_BLOCKS[kind]):
        x = _block(x, times, rounded(filters * alpha), window or (3 if minimalistic else 5), stride,
                   bool(gates) and not minimalistic, act if swish else _relu, index)
    x = _conv(x, rounded(x.shape[channel_axis()] * 6), "conv_1", use_bias=False)
    x = act(_norm(x, "conv_1_bn"))
    last = rounded(_LAST[kind] * alpha) if alpha > 1 else _LAST[kind]
    x = head(request, x, functools.partial(_top, request, last, act, dropout))
    return finish(request, image, x, published)


def _top(request: Request, filters: int, act: Act, dropout: float, x: Any) -> Any:
    x = act(_conv(GlobalAveragePooling2D(keepdims=True)(x), filters, "conv_2"))
    if dropout > 0:
        x = Dropout(dropout)(x)
    x = Flatten()(_conv(x, request.classes, "logits"))
    return Activation(request.classifier_activation, name="predictions")(x)


class _Maker(Protocol):
    def __call__(
        self, input_shape: Any = None, alpha: float = 1.0, minimalistic: bool = False, include_top: bool = True,
        weights: Any = "imagenet", input_tensor: Any = None, classes: int = CLASSES, pooling: str | None = None,
        dropout_rate: float = 0.2, classifier_activation: Any = "softmax", include_preprocessing: bool = True,
        name: str = ...,
    ) -> Model: ...


def _variant(kind: str) -> _Maker:
    title = f"MobileNetV3{kind.capitalize()}"

    def make(
        input_shape: Any = None, alpha: float = 1.0, minimalistic: bool = False, include_top: bool = True,
        weights: Any = "imagenet", input_tensor: Any = None, classes: int = CLASSES, pooling: str | None = None,
        dropout_rate: float = 0.2, classifier_activation: Any = "softmax", include_preprocessing: bool = True,
        name: str = title,
    ) -> Model:
        request = Request(title, include_top, weights, input_tensor, input_shape, pooling, classes,
                          classifier_activation, name)
        return _build(request, kind, alpha, minimalistic, dropout_rate, include_preprocessing)

    return named(make, title, __name__, f"{title} (Howard et al., ICCV 2019), for images of 224 x 224 with values 0 to "
                 "255.", ALPHA + """    minimalistic: without gates, swish and windows of 5x5, which some devices lack.
    dropout_rate: the share dropped before the classifier.
    include_preprocessing: whether the network scales the pixels itself; else they are to be -1 to 1.
""")


MobileNetV3Small, MobileNetV3Large = _variant("small"), _variant("large")
preprocess_input = preprocessing(None)
