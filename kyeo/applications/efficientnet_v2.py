"""EfficientNetV2: the blocks near the image are plain convolutions, the others those of EfficientNet.

M. Tan and Q. Le, "EfficientNetV2: Smaller Models and Faster Training", ICML 2021.

>>> from kyeo import applications
>>> applications.EfficientNetV2B0(weights=None, include_top=False, pooling="avg").output_shape  # doctest: +SKIP
(None, 1280)
"""

import functools
import math
from typing import Any, Protocol

from kyeo.applications import efficientnet
from kyeo.applications.efficientnet import conv, shortcut, squeezed, top
from kyeo.applications.frame import Request, channel_axis, finish, image_input, named, rounded
from kyeo.applications.imagenet_utils import CLASSES, decode_predictions, preprocessing
from kyeo.applications.published import WEIGHTS
from kyeo.initializers import Constant
from kyeo.layers import DepthwiseConv2D, Normalization, Rescaling
from kyeo.models import Model

__all__ = [
    "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2L",
    "EfficientNetV2M", "EfficientNetV2S", "decode_predictions", "preprocess_input",
]

_SMALL = (  # blocks, stride of the first, how many times wider inside, filters in and out; the first three are fused
    (1, 1, 1, 32, 16), (2, 2, 4, 16, 32), (2, 2, 4, 32, 48), (3, 2, 4, 48, 96), (5, 1, 6, 96, 112), (8, 2, 6, 112, 192),
)
_STAGES = {
    "S": ((2, 1, 1, 24, 24), (4, 2, 4, 24, 48), (4, 2, 4, 48, 64), (6, 2, 4, 64, 128), (9, 1, 6, 128, 160),
          (15, 2, 6, 160, 256)),
    "M": ((3, 1, 1, 24, 24), (5, 2, 4, 24, 48), (5, 2, 4, 48, 80), (7, 2, 4, 80, 160), (14, 1, 6, 160, 176),
          (18, 2, 6, 176, 304), (5, 1, 6, 304, 512)),
    "L": ((4, 1, 1, 32, 32), (7, 2, 4, 32, 64), (7, 2, 4, 64, 96), (10, 2, 4, 96, 192), (19, 1, 6, 192, 224),
          (25, 2, 6, 224, 384), (7, 1, 6, 384, 640)),
}
_SIZES = {  # width, depth, side of the images
    "B0": (1.0, 1.0, 224), "B1": (1.0, 1.1, 240), "B2": (1.1, 1.2, 260), "B3": (1.2, 1.4, 300),
    "S": (1.0, 1.0, 384), "M": (1.0, 1.0, 480), "L": (1.0, 1.0, 480),
}
_FUSED = 3  # stages
norm = functools.partial(efficientnet.norm, momentum=0.9)


def _widened(x: Any, filters: int, stride: int, fused: bool, name: str) -> Any:
    """More channels by a convolution: of 3x3 that takes the stride, or of 1x1 with a depthwise one after it."""
    x = conv(x, filters, 3 if fused else 1, f"{name}expand_conv", strides=stride if fused else 1)
    return norm(x, f"{name}expand_bn", f"{name}expand_activation")


def _block(inputs: Any, stride: int, times: int, before: int, after: int, fused: bool, drop: float, name: str) -> Any:
    x = inputs if times == 1 else _widened(inputs, before * times, stride, fused, name)
    if not fused:
        x = DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"{name}dwconv2",
                            depthwise_initializer=efficientnet.KERNEL)(x)
        x = squeezed(norm(x, f"{name}bn", f"{name}activation"), max(1, before // 4), name)
    alone = fused and times == 1  # the one convolution of its block
    x = conv(x, after, 3 if alone else 1, f"{name}project_conv", strides=stride if alone else 1)
    x = norm(x, f"{name}project_bn", f"{name}project_activation" if alone else None)
    return shortcut(x, inputs, drop, name) if stride == 1 and before == after else x


def _scaled(request: Request, image: Any, kind: str) -> Any:
    """The pixels as the weights of a kind expect them."""
    if kind[0] == "B" and image.shape[channel_axis()] == 3:
        return Normalization(mean=[0.485, 0.456, 0.406], variance=[0.229**2, 0.224**2, 0.225**2],
                             axis=channel_axis())(Rescaling(1 / 255)(image))
    return Rescaling(1 / 128, offset=-1)(image)


def _build(request: Request, kind: str, preprocess: bool) -> Model:
    width, depth, size = _SIZES[kind]
    stages = _STAGES.get(kind, _SMALL)
    round_to = functools.partial(rounded, keep=False)
    image = image_input(request, size)
    x = _scaled(request, image, kind) if preprocess else image
    x = norm(conv(x, round_to(stages[0][3] * width), 3, "stem_conv", strides=2), "stem_bn", "stem_activation")
    done, blocks = 0, sum(stage[0] for stage in stages)
    for number, (count, stride, times, before, after) in enumerate(stages, 1):
        before, after = round_to(before * width), round_to(after * width)
        for index in range(math.ceil(depth * count)):
            x = _block(x, stride, times, before, after, number <= _FUSED, efficientnet.DROP * done / blocks,
                       f"block{number}{chr(97 + index)}_")
            stride, before, done = 1, after, done + 1
    x = norm(conv(x, round_to(1280 * width), 1, "top_conv"), "top_bn", "top_activation")
    x = top(request, x, 0.2, bias_initializer=Constant(0.0))
    return finish(request, image, x, WEIGHTS[f"efficientnetv2-{kind.lower()}"])


class _Maker(Protocol):
    def __call__(
        self, include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
        pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax",
        include_preprocessing: bool = True, name: str = ...,
    ) -> Model: ...


def _variant(kind: str) -> _Maker:
    title, side = f"EfficientNetV2{kind}", _SIZES[kind][2]

    def make(
        include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
        pooling: str | None = None, classes: int = CLASSES, classifier_activation: Any = "softmax",
        include_preprocessing: bool = True, name: str = f"efficientnetv2-{kind.lower()}",
    ) -> Model:
        request = Request(title, include_top, weights, input_tensor, input_shape, pooling, classes,
                          classifier_activation, name)
        return _build(request, kind, include_preprocessing)

    return named(make, title, __name__, f"{title} (Tan and Le, ICML 2021), for images of {side} x {side} with values "
                 "0 to 255.", "    include_preprocessing: whether the network scales the pixels itself; else they "
                 "are to be -1 to 1.\n")


(EfficientNetV2B0, EfficientNetV2B1, EfficientNetV2B2, EfficientNetV2B3, EfficientNetV2S, EfficientNetV2M,
 EfficientNetV2L) = map(_variant, _SIZES)
preprocess_input = preprocessing(None)
