"""NASNet-A: two kinds of cells that a search found; each takes the outputs of the two cells before it.

B. Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018.

>>> from kyeo import applications
>>> applications.NASNetMobile((32, 32, 3), weights=None, include_top=False).output_shape  # doctest: +SKIP
(None, 1, 1, 1056)
"""

import dataclasses
from typing import Any, Protocol

from kyeo.applications.frame import Request, correct_pad, finish, head, image_input, named
from kyeo.applications.imagenet_utils import CLASSES, decode_predictions, preprocessing
from kyeo.applications.published import WEIGHTS
from kyeo.core.errors import problem
from kyeo.core.settings import settings
from kyeo.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Cropping2D,
    MaxPooling2D,
    SeparableConv2D,
    ZeroPadding2D,
)
from kyeo.models import Model

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]


@dataclasses.dataclass(frozen=True)
class _Size:
    blocks: int  # cells in each of the three stages
    filters: int  # of the last stage, 24 times
    stem: int  # filters of the first convolution
    side: int  # of the images
    skip: bool  # whether the cell after a reduction sees what the reduction saw


_SIZES = {"Mobile": _Size(4, 1056, 32, 224, False), "Large": _Size(6, 4032, 96, 331, True)}


def _relu(x: Any, name: str | None = None) -> Any:
    return Activation("relu", name=name)(x)


def _norm(x: Any, name: str) -> Any:
    return BatchNormalization(axis=-1, momentum=0.9997, epsilon=1e-3, name=name)(x)


def _point(x: Any, filters: int, name: str) -> Any:
    """A convolution of 1x1."""
    return Conv2D(filters, (1, 1), padding="same", use_bias=False, kernel_initializer="he_normal", name=name)(x)


def _average(x: Any, name: str, stride: int = 1) -> Any:
    return AveragePooling2D((3, 3), strides=(stride, stride), padding="same" if stride == 1 else "valid", name=name)(x)


def _largest(x: Any, name: str) -> Any:
    return MaxPooling2D((3, 3), strides=(2, 2), padding="valid", name=name)(x)


def _separable(x: Any, filters: int, window: int, name: str, stride: int = 1) -> Any:
    """ReLU, separable convolution and normalization, twice; the first takes the stride."""
    x = _relu(x)
    if stride == 2:
        x = ZeroPadding2D(correct_pad(x, window), name=f"separable_conv_1_pad_{name}")(x)
    x = SeparableConv2D(filters, (window, window), strides=(stride, stride), use_bias=False,
                        padding="valid" if stride == 2 else "same", name=f"separable_conv_1_{name}")(x)
    x = _relu(_norm(x, f"separable_conv_1_bn_{name}"))
    x = SeparableConv2D(filters, (window, window), padding="same", use_bias=False, name=f"separable_conv_2_{name}")(x)
    return _norm(x, f"separable_conv_2_bn_{name}")


def _adjusted(before: Any, x: Any, filters: int, cell: str) -> Any:
    """The output of the cell before the last, brought to the size of the last one's and to `filters` channels."""
    if before is None:
        return x
    if before.shape[-2] != x.shape[-2]:
        before = _relu(before, f"adjust_relu_1_{cell}")
        halves = []
        for number in (1, 2):  # every second pixel, and those between them
            half = before
            if number == 2:
                half = Cropping2D(((1, 0), (1, 0)))(ZeroPadding2D(((0, 1), (0, 1)))(before))
            half = AveragePooling2D((1, 1), strides=(2, 2), padding="valid", name=f"adjust_avg_pool_{number}_{cell}")(
                half)
            halves.append(_point(half, filters // 2, f"adjust_conv_{number}_{cell}"))
        return _norm(Concatenate()(halves), f"adjust_bn_{cell}")
    if before.shape[-1] != filters:
        return _norm(_point(_relu(before), filters, f"adjust_conv_projection_{cell}"), f"adjust_bn_{cell}")
    return before


def _cell(x: Any, before: Any, filters: int, cell: str) -> Any:
    """The cell that keeps the size."""
    p = _adjusted(before, x, filters, cell)
    h = _norm(_point(_relu(x), filters, f"normal_conv_1_{cell}"), f"normal_bn_1_{cell}")
    one = Add(name=f"normal_add_1_{cell}")([_separable(h, filters, 5, f"normal_left1_{cell}"),
                                            _separable(p, filters, 3, f"normal_right1_{cell}")])
    two = Add(name=f"normal_add_2_{cell}")([_separable(p, filters, 5, f"normal_left2_{cell}"),
                                            _separable(p, filters, 3, f"normal_right2_{cell}")])
    three = Add(name=f"normal_add_3_{cell}")([_average(h, f"normal_left3_{cell}"), p])
    four = Add(name=f"normal_add_4_{cell}")([_average(p, f"normal_left4_{cell}"),
                                             _average(p, f"normal_right4_{cell}")])
    five = Add(name=f"normal_add_5_{cell}")([_separable(h, filters, 3, f"normal_left5_{cell}"), h])
    return Concatenate(name=f"normal_concat_{cell}")([p, one, two, three, four, five])


def _reduction(x: Any, before: Any, filters: int, cell: str) -> Any:
    """The cell that halves the size."""
    p = _adjusted(before, x, filters, cell)
    h = _norm(_point(_relu(x), filters, f"reduction_conv_1_{cell}"), f"reduction_bn_1_{cell}")
    padded = ZeroPadding2D(correct_pad(h, 3), name=f"reduction_pad_1_{cell}")(h)

    def halved(x: Any, window: int, side: str) -> Any:
        return _separable(x, filters, window, f"reduction_{side}_{cell}", stride=2)

    one = Add(name=f"reduction_add_1_{cell}")([halved(h, 5, "left1"), halved(p, 7, "right1")])
    two = Add(name=f"reduction_add_2_{cell}")([_largest(padded, f"reduction_left2_{cell}"), halved(p, 7, "right2")])
    three = Add(name=f"reduction_add3_{cell}")([_average(padded, f"reduction_left3_{cell}", 2),
                                                halved(p, 5, "right3")])
    four = Add()([two, _average(one, f"reduction_left4_{cell}")])
    five = Add(name=f"reduction_add4_{cell}")([_separable(one, filters, 3, f"reduction_left4_{cell}"),
                                               _largest(padded, f"reduction_right5_{cell}")])
    return Concatenate(name=f"reduction_concat_{cell}")([two, three, four, five])


def _build(request: Request, size: _Size) -> Model:
    if settings.image_data_format == "channels_first":
        raise problem("NASNet takes images whose channels come last.", received="channels_first", where=request.title,
                      fix='kyeo.config.set_image_data_format("channels_last")')
    image = image_input(request, size.side)
    blocks, filters = size.blocks, size.filters // 24
    x = Conv2D(size.stem, (3, 3), strides=(2, 2), padding="valid", use_bias=False, kernel_initializer="he_normal",
               name="stem_conv1")(image)
    x, before = _norm(x, "stem_bn1"), None
    for number in (1, 2):
        x, before = _reduction(x, before, filters // 2**(3 - number), f"stem_{number}"), x
    for stage in range(3):
        if stage:
            reduced = _reduction(x, before, filters * 2**stage, f"reduce_{stage * blocks}")
            x, before = reduced, before if size.skip else x
        for index in range(blocks):
            x, before = _cell(x, before, filters * 2**stage, f"{stage * blocks + index + bool(stage)}"), x
    x = head(request, _relu(x), names=False)
    return finish(request, image, x, WEIGHTS[f"nasnet_{'large' if size.skip else 'mobile'}"])


class _Maker(Protocol):
    def __call__(
        self, input_shape: Any = None, include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
        pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax", name: str = ...,
    ) -> Model: ...


def _variant(kind: str) -> _Maker:
    title, size = f"NASNet{kind}", _SIZES[kind]

    def make(
        input_shape: Any = None, include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None,
        pooling: str | None = None, classes: int = CLASSES, classifier_activation: Any = "softmax",
        name: str = f"nasnet_{kind.lower()}",
    ) -> Model:
        if input_shape is None and not include_top and kind == "Mobile":
            input_shape = (size.side, size.side, 3)
        request = Request(title, include_top, weights, input_tensor, input_shape, pooling, classes,
                          classifier_activation, name)
        return _build(request, size)

    return named(make, title, __name__, f"{title} (Zoph et al., CVPR 2018), for images of {size.side} x {size.side} "
                 "prepared by `preprocess_input`.")


NASNetMobile, NASNetLarge = _variant("Mobile"), _variant("Large")
preprocess_input = preprocessing("tf")
