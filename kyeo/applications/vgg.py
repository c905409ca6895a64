"""VGG: convolutions of 3x3 and pools, in five blocks.

K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.

>>> from kyeo import applications
>>> applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3)).output_shape  # doctest: +SKIP
(None, 1, 1, 512)
"""

from typing import Any

from kyeo.applications.frame import Architecture, Request, finish, head, image_input, variant
from kyeo.applications.published import WEIGHTS
from kyeo.layers import Conv2D, Dense, Flatten, MaxPooling2D
from kyeo.models import Model

__all__ = ["vgg"]

_CONVOLUTIONS = {"VGG16": (2, 2, 3, 3, 3), "VGG19": (2, 2, 4, 4, 4)}  # in each block


def _build(request: Request) -> Model:
    x = image = image_input(request)
    for block, count in enumerate(_CONVOLUTIONS[request.title], 1):
        for index in range(1, count + 1):
            x = Conv2D(min(32 * 2**block, 512), (3, 3), activation="relu", padding="same",
                       name=f"block{block}_conv{index}")(x)
        x = MaxPooling2D((2, 2), strides=(2, 2), name=f"block{block}_pool")(x)

    def top(x: Any) -> Any:
        x = Flatten(name="flatten")(x)
        for name in ("fc1", "fc2"):
            x = Dense(4096, activation="relu", name=name)(x)
        return Dense(request.classes, activation=request.classifier_activation, name="predictions")(x)

    return finish(request, image, head(request, x, top, names=False), WEIGHTS[request.title.lower()])


def vgg(title: str) -> Architecture:
    """The public function of a depth."""
    return variant(_build, title, title.lower(), f"kyeo.applications.{title.lower()}",
                   f"{title} (Simonyan and Zisserman, ICLR 2015), for images of 224 x 224 prepared by "
                   "`preprocess_input`.")
