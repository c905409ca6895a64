"""ConvNeXt: convolutions of 7x7, each beside a small dense network on every pixel.

Z. Liu et al., "A ConvNet for the 2020s", CVPR 2022.

>>> from kyeo import applications
>>> applications.ConvNeXtTiny(weights=None, include_top=False, input_shape=(32, 32, 3)).output_shape  # doctest: +SKIP
(None, 1, 1, 768)
"""

from typing import Any, Protocol

from kyeo.applications.frame import Request, channel_axis, finish, head, image_input, named
from kyeo.applications.imagenet_utils import CLASSES, decode_predictions, preprocessing
from kyeo.applications.published import WEIGHTS
from kyeo.core.errors import positive_int, problem
from kyeo.initializers import Constant
from kyeo.layers import (
    Activation,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Layer,
    LayerNormalization,
    Normalization,
)
from kyeo.models import Model, Sequential

__all__ = [
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge", "LayerScale",
    "decode_predictions", "preprocess_input",
]

_SIZES = {  # blocks of the third stage (the others have three), channels of the first (each next has twice as many)
    "Tiny": (9, 96), "Small": (27, 96), "Base": (27, 128), "Large": (27, 192), "XLarge": (27, 256),
}
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, for pixels of 0 to 1


class LayerScale(Layer):
    """Each channel times a learned number.

    H. Touvron et al., "Going Deeper with Image Transformers", 2021 (https://arxiv.org/abs/2103.17239).

    Args:
        init_values: what the numbers begin with.
        projection_dim: how many channels there are.

    >>> import kyeo
    >>> from kyeo.applications.convnext import LayerScale
    >>> LayerScale(0.5, 3)(kyeo.ops.ones((1, 3))).tolist()
    [[0.5, 0.5, 0.5]]
    """

    mixes_rows = False

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = positive_int(self, projection_dim=projection_dim)

    def build(self, input_shape: Any) -> None:
        """Make the numbers."""
        self.gamma = self.add_weight((self.projection_dim,), Constant(self.init_values), name="gamma")
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The product."""
        return inputs * self.gamma


def _norm(name: str | None = None) -> Layer:
    return LayerNormalization(epsilon=1e-6, name=name)


def _block(inputs: Any, channels: int, name: str) -> Any:
    x = Conv2D(channels, 7, padding="same", groups=channels, name=f"{name}_depthwise_conv")(inputs)
    x = Dense(4 * channels, name=f"{name}_pointwise_conv_1")(_norm(f"{name}_layernorm")(x))
    x = Dense(channels, name=f"{name}_pointwise_conv_2")(Activation("gelu", name=f"{name}_gelu")(x))
    x = LayerScale(1e-6, channels, name=f"{name}_layer_scale")(x)
    return inputs + Activation("linear", name=f"{name}_identity")(x)


def _smaller(channels: int, name: str, stage: int) -> Layer:
    """What stands before a stage: patches of the image, or a quarter of the places."""
    if stage == 0:
        return Sequential([Conv2D(channels, 4, strides=4, name=f"{name}_stem_conv"), _norm(f"{name}_stem_layernorm")],
                          name=f"{name}_stem")
    number = stage - 1
    return Sequential([_norm(f"{name}_downsampling_layernorm_{number}"),
                       Conv2D(channels, 2, strides=2, name=f"{name}_downsampling_conv_{number}")],
                      name=f"{name}_downsampling_block_{number}")


def _build(request: Request, kind: str, preprocess: bool) -> Model:
    if channel_axis() == 1:
        raise problem("ConvNeXt takes images whose channels come last.", received="channels_first",
                      where=request.title, fix='kyeo.config.set_image_data_format("channels_last")')
    (third, width), name = _SIZES[kind], request.name
    x = image = image_input(request)
    if preprocess and image.shape[-1] == 3:
        x = Normalization(mean=[255 * m for m in _MEAN], variance=[(255 * d) ** 2 for d in _DEVIATION],
                          name=f"{name}_prestem_normalization")(x)
    stages = [_smaller(width * 2**stage, str(name), stage) for stage in range(4)]
    for stage, smaller in enumerate(stages):
        x = smaller(x)
        for block in range(third if stage == 2 else 3):
            x = _block(x, width * 2**stage, f"{name}_stage_{stage}_block_{block}")

    def top(x: Any) -> Any:
        x = _norm(f"{name}_head_layernorm")(GlobalAveragePooling2D(name=f"{name}_head_gap")(x))
        return Dense(request.classes, activation=request.classifier_activation, name=f"{name}_head_dense")(x)

    x = head(request, x, top, names=False)
    return finish(request, image, x if request.include_top else _norm()(x), WEIGHTS[f"convnext_{kind.lower()}"])


class _Maker(Protocol):
    def __call__(
        self, include_top: bool = True, include_preprocessing: bool = True, weights: Any = "imagenet",
        input_tensor: Any = None, input_shape: Any = None, pooling: str | None = None, classes: int = 1000,
        classifier_activation: Any = "softmax", name: str = ...,
    ) -> Model: ...


def _variant(kind: str) -> _Maker:
    title = f"ConvNeXt{kind}"

    def make(
        include_top: bool = True, include_preprocessing: bool = True, weights: Any = "imagenet",
        input_tensor: Any = None, input_shape: Any = None, pooling: str | None = None, classes: int = CLASSES,
        classifier_activation: Any = "softmax", name: str = f"convnext_{kind.lower()}",
    ) -> Model:
        request = Request(title, include_top, weights, input_tensor, input_shape, pooling, classes,
                          classifier_activation, name)
        return _build(request, kind, include_preprocessing)

    return named(make, title, __name__, f"{title} (Liu et al., CVPR 2022), for images of 224 x 224 with values 0 to "
                 "255.", "    include_preprocessing: whether the network normalizes the pixels itself.\n")


ConvNeXtTiny, ConvNeXtSmall, ConvNeXtBase, ConvNeXtLarge, ConvNeXtXLarge = map(_variant, _SIZES)
preprocess_input = preprocessing(None)
