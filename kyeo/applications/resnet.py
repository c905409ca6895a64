"""ResNet: blocks of convolutions beside a shortcut; version 1, and version 2, which normalizes before it convolves.

K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, and "Identity Mappings in Deep Residual
Networks", ECCV 2016.

>>> from kyeo import applications
>>> applications.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3)).output_shape  # doctest: +SKIP
(None, 1, 1, 2048)
"""

from typing import Any

from kyeo.applications.frame import Architecture, Request, channel_axis, finish, head, image_input, variant
from kyeo.applications.imagenet_utils import decode_predictions, preprocessing
from kyeo.applications.published import WEIGHTS
from kyeo.layers import Activation, Add, BatchNormalization, Conv2D, MaxPooling2D, ZeroPadding2D
from kyeo.models import Model

__all__ = ["ResNet101", "ResNet152", "ResNet50", "decode_predictions", "preprocess_input", "resnet"]

_BLOCKS = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}  # in each of the four stacks


def _norm(x: Any, name: str, act: str | None = None) -> Any:
    """Normalization, and a ReLU named `act` where there is one."""
    x = BatchNormalization(axis=channel_axis(), epsilon=1.001e-5, name=name)(x)
    return x if act is None else Activation("relu", name=act)(x)


def _block(x: Any, filters: int, stride: int, widen: bool, name: str) -> Any:
    """1x1, 3x3 and 1x1, beside the input; `widen`: beside a convolution of it."""
    shortcut = x
    if widen:
        shortcut = _norm(Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x), f"{name}_0_bn")
    x = _norm(Conv2D(filters, 1, strides=stride, name=f"{name}_1_conv")(x), f"{name}_1_bn", f"{name}_1_relu")
    x = _norm(Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x), f"{name}_2_bn", f"{name}_2_relu")
    x = _norm(Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x), f"{name}_3_bn")
    return Activation("relu", name=f"{name}_out")(Add(name=f"{name}_add")([shortcut, x]))


def _block_v2(x: Any, filters: int, stride: int, widen: bool, name: str) -> Any:
    """The same with each normalization before its convolution, and nothing after the sum."""
    shortcut, x = x, _norm(x, f"{name}_preact_bn", f"{name}_preact_relu")
    if widen:
        shortcut = Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x)
    elif stride > 1:
        shortcut = MaxPooling2D(1, strides=stride)(shortcut)
    x = Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(x)
    x = ZeroPadding2D(((1, 1), (1, 1)), name=f"{name}_2_pad")(_norm(x, f"{name}_1_bn", f"{name}_1_relu"))
    x = Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x)
    x = Conv2D(4 * filters, 1, name=f"{name}_3_conv")(_norm(x, f"{name}_2_bn", f"{name}_2_relu"))
    return Add(name=f"{name}_out")([shortcut, x])


def _build(request: Request) -> Model:
    second = request.title.endswith("V2")
    x = image = image_input(request)
    x = Conv2D(64, 7, strides=2, name="conv1_conv")(ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(x))
    if not second:
        x = _norm(x, "conv1_bn", "conv1_relu")
    x = MaxPooling2D(3, strides=2, name="pool1_pool")(ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x))
    for stack, count in enumerate(_BLOCKS[request.title.removeprefix("ResNet").removesuffix("V2")], 2):
        keeps = 5 if second else 2  # the stack that keeps the size of the image
        at = count if second else 1  # the block of a stack that halves it
        for block in range(1, count + 1):
            stride = 2 if block == at and stack != keeps else 1
            x = (_block_v2 if second else _block)(x, 16 * 2**stack, stride, block == 1, f"conv{stack}_block{block}")
    if second:
        x = _norm(x, "post_bn", "post_relu")
    return finish(request, image, head(request, x), WEIGHTS[request.title.lower()])


def resnet(title: str, module: str) -> Architecture:
    """The public function of a depth and version."""
    paper = "ECCV 2016" if title.endswith("V2") else "CVPR 2016"
    return variant(_build, title, title.lower(), f"kyeo.applications.{module}",
                   f"{title} (He et al., {paper}), for images of 224 x 224 prepared by `preprocess_input`.")


ResNet50, ResNet101, ResNet152 = (resnet(f"ResNet{depth}", "resnet") for depth in _BLOCKS)
preprocess_input = preprocessing("caffe")
