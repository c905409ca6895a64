"""DenseNet: each block sees the outputs of all blocks before it.

G. Huang et al., "Densely Connected Convolutional Networks", CVPR 2017.

>>> from kyeo import applications
>>> applications.DenseNet121(weights=None, include_top=False, input_shape=(32, 32, 3)).output_shape  # doctest: +SKIP
(None, 1, 1, 1024)
"""

from typing import Any

from kyeo.applications.frame import Request, channel_axis, finish, head, image_input, variant
from kyeo.applications.imagenet_utils import decode_predictions, preprocessing
from kyeo.applications.published import WEIGHTS
from kyeo.core.errors import problem
from kyeo.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    MaxPooling2D,
    ZeroPadding2D,
)
from kyeo.models import Model

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

_BLOCKS = {"DenseNet121": (6, 12, 24, 16), "DenseNet169": (6, 12, 32, 32), "DenseNet201": (6, 12, 48, 32)}
_GROWTH = 32  # channels that a block adds


def _norm(x: Any, bn: str, act: str) -> Any:
    return Activation("relu", name=act)(BatchNormalization(axis=channel_axis(), epsilon=1.001e-5, name=bn)(x))


def _block(x: Any, name: str) -> Any:
    more = Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(_norm(x, f"{name}_0_bn", f"{name}_0_relu"))
    more = _norm(more, f"{name}_1_bn", f"{name}_1_relu")
    more = Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(more)
    return Concatenate(axis=channel_axis(), name=f"{name}_concat")([x, more])


def _halved(x: Any, name: str) -> Any:
    """Half the channels and half the size."""
    x = _norm(x, f"{name}_bn", f"{name}_relu")
    x = Conv2D(x.shape[channel_axis()] // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def _build(request: Request) -> Model:
    if channel_axis() == 1:
        raise problem("DenseNet takes images whose channels come last.", received="channels_first",
                      where=request.title, fix='kyeo.config.set_image_data_format("channels_last")')
    x = image = image_input(request)
    x = Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(ZeroPadding2D(((3, 3), (3, 3)))(x))
    x = ZeroPadding2D(((1, 1), (1, 1)))(_norm(x, "conv1_bn", "conv1_relu"))
    x = MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, count in enumerate(_BLOCKS[request.title], 2):
        if stage > 2:
            x = _halved(x, f"pool{stage - 1}")
        for block in range(1, count + 1):
            x = _block(x, f"conv{stage}_block{block}")
    x = _norm(x, "bn", "relu")
    return finish(request, image, head(request, x), WEIGHTS[request.title.lower()])


DenseNet121, DenseNet169, DenseNet201 = (
    variant(_build, title, title.lower(), __name__,
            f"{title} (Huang et al., CVPR 2017), for images of 224 x 224 prepared by `preprocess_input`.")
    for title in _BLOCKS)
preprocess_input = preprocessing("torch")
