"""EfficientNet: one network of inverted bottlenecks, wider and deeper from B0 to B7.

M. Tan and Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019.

>>> import kyeo
>>> kyeo.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(32, 32, 3)).output_shape
(None, 1, 1, 1280)
"""

import math
from typing import Any

from kyeo.applications.frame import (
    Request,
    channel_axis,
    correct_pad,
    finish,
    head,
    image_input,
    rounded,
    variant,
)
from kyeo.applications.imagenet_utils import decode_predictions, preprocessing
from kyeo.applications.published import WEIGHTS
from kyeo.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Multiply,
    Normalization,
    Rescaling,
    Reshape,
    ZeroPadding2D,
)
from kyeo.models import Model

__all__ = [
    "DROP", "KERNEL", "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "conv", "decode_predictions", "norm", "preprocess_input",
    "shortcut", "squeezed", "top",
]

_SIZES = {  # width, depth, side of the images, dropout before the classifier
    "EfficientNetB0": (1.0, 1.0, 224, 0.2), "EfficientNetB1": (1.0, 1.1, 240, 0.2),
    "EfficientNetB2": (1.1, 1.2, 260, 0.3), "EfficientNetB3": (1.2, 1.4, 300, 0.3),
    "EfficientNetB4": (1.4, 1.8, 380, 0.4), "EfficientNetB5": (1.6, 2.2, 456, 0.4),
    "EfficientNetB6": (1.8, 2.6, 528, 0.5), "EfficientNetB7": (2.0, 3.1, 600, 0.5),
}
_STAGES = (  # blocks, window, stride of the first, how many times wider inside, filters in and out
    (1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40), (3, 3, 2, 6, 40, 80), (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192), (1, 3, 1, 6, 192, 320),
)
KERNEL = {"class_name": "VarianceScaling",
           "config": {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"}}
_CLASSIFIER = {"class_name": "VarianceScaling",
               "config": {"scale": 1 / 3, "mode": "fan_out", "distribution": "uniform"}}
DROP = 0.2  # the share of whole blocks dropped, at the last block
_DEVIATION = (0.229, 0.224, 0.225)  # of ImageNet's channels


def conv(x: Any, filters: int, window: int, name: str, padding: str = "same", **words: Any) -> Any:
    """A convolution without bias."""
    words = {"use_bias": False, **words}
    return Conv2D(filters, window, padding=padding, kernel_initializer=KERNEL, name=name, **words)(x)


def norm(x: Any, name: str, act: str | None = None, momentum: float = 0.99) -> Any:
    """Normalization, and a swish named `act` where there is one."""
    x = BatchNormalization(axis=channel_axis(), momentum=momentum, name=name)(x)
    return x if act is None else Activation("swish", name=act)(x)


def squeezed(x: Any, filters: int, name: str) -> Any:
    """Each channel times a number from 0 to 1 that all channels' means decide; `filters` of the layer between."""
    channels = x.shape[channel_axis()]
    mean = GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    shape = (channels, 1, 1) if channel_axis() == 1 else (1, 1, channels)
    gate = Reshape(shape, name=f"{name}se_reshape")(mean)
    gate = conv(gate, filters, 1, f"{name}se_reduce", activation="swish", use_bias=True)
    gate = conv(gate, channels, 1, f"{name}se_expand", activation="sigmoid", use_bias=True)
    return Multiply(name=f"{name}se_excite")([x, gate])


def shortcut(x: Any, inputs: Any, drop: float, name: str) -> Any:
    """The block's result beside its input; in training the result of whole rows is dropped."""
    if drop > 0:
        x = Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
    return Add(name=f"{name}add")([x, inputs])


def _block(inputs: Any, window: int, stride: int, times: int, before: int, after: int, drop: float, name: str) -> Any:
    x, filters = inputs, before * times
    if times != 1:
        x = norm(conv(x, filters, 1, f"{name}expand_conv"), f"{name}expand_bn", f"{name}expand_activation")
    if stride == 2:
        x = ZeroPadding2D(correct_pad(x, window), name=f"{name}dwconv_pad")(x)
    x = DepthwiseConv2D(window, strides=stride, padding="valid" if stride == 2 else "same", use_bias=False,
                        depthwise_initializer=KERNEL, name=f"{name}dwconv")(x)
    x = squeezed(norm(x, f"{name}bn", f"{name}activation"), max(1, before // 4), name)
    x = norm(conv(x, after, 1, f"{name}project_conv"), f"{name}project_bn")
    return shortcut(x, inputs, drop, name) if stride == 1 and before == after else x


def top(request: Request, x: Any, dropout: float, **words: Any) -> Any:
    """Pool, dropout and classifier."""
    def classified(x: Any) -> Any:
        x = Dropout(dropout, name="top_dropout")(GlobalAveragePooling2D(name="avg_pool")(x))
        return Dense(request.classes, activation=request.classifier_activation, name="predictions",
                     kernel_initializer=_CLASSIFIER, **words)(x)

    return head(request, x, classified)


def _build(request: Request) -> Model:
    width, depth, size, dropout = _SIZES[request.title]
    image = image_input(request, size)
    x = Normalization(axis=channel_axis())(Rescaling(1 / 255)(image))
    if request.pretrained:  # the published weights were trained with the deviation where its root belongs
        x = Rescaling([1 / math.sqrt(deviation) for deviation in _DEVIATION])(x)
    x = ZeroPadding2D(correct_pad(x, 3), name="stem_conv_pad")(x)
    x = conv(x, rounded(32 * width), 3, "stem_conv", "valid", strides=2)
    x = norm(x, "stem_bn", "stem_activation")
    counts = [math.ceil(depth * stage[0]) for stage in _STAGES]
    done = 0
    for stage, (count, (_, window, stride, times, before, after)) in enumerate(zip(counts, _STAGES), 1):
        before, after = rounded(before * width), rounded(after * width)
        for index in range(count):
            x = _block(x, window, stride, times, before, after, DROP * done / sum(counts),
                       f"block{stage}{chr(97 + index)}_")
            stride, before, done = 1, after, done + 1
    x = norm(conv(x, rounded(1280 * width), 1, "top_conv"), "top_bn", "top_activation")
    return finish(request, image, top(request, x, dropout), WEIGHTS[request.title.lower()])


(EfficientNetB0, EfficientNetB1, EfficientNetB2, EfficientNetB3, EfficientNetB4, EfficientNetB5, EfficientNetB6,
 EfficientNetB7) = (
    variant(_build, title, title.lower(), __name__,
            f"{title} (Tan and Le, ICML 2019), for images of {size} x {size} with values 0 to 255.")
    for title, (_, _, size, _) in _SIZES.items())
preprocess_input = preprocessing(None)
