"""Inception-ResNet v2: inception blocks whose result is added, scaled down, to their input.

C. Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", AAAI 2017.

>>> from kyeo import applications
>>> small = applications.InceptionResNetV2(weights=None, include_top=False, input_shape=(75, 75, 3))  # doctest: +SKIP
>>> small.output_shape  # doctest: +SKIP
(None, 1, 1, 1536)
"""

from typing import Any

from kyeo.applications.frame import Request, channel_axis, finish, head, image_input, variant
from kyeo.applications.imagenet_utils import decode_predictions, preprocessing
from kyeo.applications.inception_v3 import AVERAGE, HALF, mixed, stem
from kyeo.applications.published import WEIGHTS
from kyeo.layers import Activation, BatchNormalization, Conv2D, Layer
from kyeo.models import Model

__all__ = ["CustomScaleLayer", "InceptionResNetV2", "decode_predictions", "preprocess_input"]

_SIDE_BY_SIDE: dict[str, list[Any]] = {
    "mixed_5b": [[(96, 1, 1)], [(48, 1, 1), (64, 5, 5)], [(64, 1, 1), (96, 3, 3), (96, 3, 3)], [AVERAGE, (64, 1, 1)]],
    "mixed_6a": [[HALF, (384, 3, 3)], [(256, 1, 1), (256, 3, 3), HALF, (384, 3, 3)], [HALF]],
    "mixed_7a": [[(256, 1, 1), HALF, (384, 3, 3)], [(256, 1, 1), HALF, (288, 3, 3)],
                 [(256, 1, 1), (288, 3, 3), HALF, (320, 3, 3)], [HALF]],
}
_RESIDUAL = {  # blocks, scale, branches
    "block35": (10, 0.17, [[(32, 1, 1)], [(32, 1, 1), (32, 3, 3)], [(32, 1, 1), (48, 3, 3), (64, 3, 3)]]),
    "block17": (20, 0.1, [[(192, 1, 1)], [(128, 1, 1), (160, 1, 7), (192, 7, 1)]]),
    "block8": (10, 0.2, [[(192, 1, 1)], [(192, 1, 1), (224, 1, 3), (256, 3, 1)]]),
}


class CustomScaleLayer(Layer):
    """The first of two inputs plus the second times `scale`.

    Args:
        scale: a number.

    >>> import kyeo
    >>> from kyeo.applications.inception_resnet_v2 import CustomScaleLayer
    >>> CustomScaleLayer(0.5)([kyeo.ops.ones(2), kyeo.ops.ones(2)]).tolist()
    [1.5, 1.5]
    """

    mixes_rows = False

    def __init__(self, scale: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        """The sum."""
        return inputs[0] + inputs[1] * self.scale


def _residual(x: Any, branches: Any, scale: float, name: str, act: bool) -> Any:
    up = Conv2D(x.shape[channel_axis()], 1, padding="same", name=f"{name}_conv")(mixed(x, branches, f"{name}_mixed"))
    x = CustomScaleLayer(scale)([x, up])
    return Activation("relu", name=f"{name}_ac")(x) if act else x


def _build(request: Request) -> Model:
    image = image_input(request, 299, min_size=75)
    x = stem(image)
    for (name, branches), (kind, (count, scale, inner)) in zip(_SIDE_BY_SIDE.items(), _RESIDUAL.items()):
        x = mixed(x, branches, name)
        for index in range(1, count + 1):
            last = kind == "block8" and index == count  # of all: as it is
            x = _residual(x, inner, 1.0 if last else scale, f"{kind}_{index}", not last)
    x = Conv2D(1536, 1, padding="same", use_bias=False, name="conv_7b")(x)
    x = BatchNormalization(axis=channel_axis(), scale=False, name="conv_7b_bn")(x)
    x = head(request, Activation("relu", name="conv_7b_ac")(x), names=request.include_top)
    return finish(request, image, x, WEIGHTS["inception_resnet_v2"])


InceptionResNetV2 = variant(
    _build, "InceptionResNetV2", "inception_resnet_v2", __name__,
    "InceptionResNetV2 (Szegedy et al., AAAI 2017), for images of 299 x 299 prepared by `preprocess_input`.")
preprocess_input = preprocessing("tf")
