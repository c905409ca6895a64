"""What all architectures share: their arguments and the checks of them, the image at one end, the classifier or the
pool at the other, and the weights.

A family is a function from a `Request` to a model. It begins with `image_input`, lays its blocks, and ends with
`head` and `finish`; `variant` makes the public function of each of its sizes.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from kyeo import activations
from kyeo.applications.imagenet_utils import CLASSES
from kyeo.applications.published import Weights
from kyeo.core.errors import boolean, did_you_mean, one_of, positive_int, problem
from kyeo.core.parameters import checked
from kyeo.core.plain import warn
from kyeo.core.settings import settings
from kyeo.core.symbolic import SymbolicTensor
from kyeo.layers import Dense, GlobalAveragePooling2D, GlobalMaxPooling2D, Input
from kyeo.models import Model

__all__ = [
    "Architecture", "Request", "channel_axis", "check_agreement", "correct_pad", "finish", "head",
    "image_input", "image_shape", "input_of", "named", "rounded", "sides_of", "square_of", "variant",
]

Shape = tuple[int | None, ...]


class Architecture(Protocol):
    """A function that makes a network; most have these parameters."""

    __name__: str

    def __call__(
        self, include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
        pooling: str | None = None, classes: int = 1000, classifier_activation: Any = "softmax", name: str = ...,
    ) -> Model:
        """Make the network; the parameters are explained in each function's own text."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What a user asked of the architecture `title`; checked as it is made."""

    title: str
    include_top: bool = True
    weights: Any = None
    input_tensor: Any = None
    input_shape: Any = None
    pooling: str | None = None
    classes: int = CLASSES
    classifier_activation: Any = "softmax"
    name: str | None = None

    def __post_init__(self) -> None:
        boolean(self.title, include_top=bool(self.include_top))
        one_of(self.title, (None, "avg", "max"), pooling=self.pooling)
        positive_int(self.title, classes=self.classes)
        activations.get(self.classifier_activation)
        weights = self.weights
        if not (weights is None or weights == "imagenet" or _is_file(weights)):
            raise problem("There are no such weights.", received=f"weights={weights!r}", where=self.title,
                          expected='None (random), "imagenet", or the path of a file of weights',
                          fix=did_you_mean(weights, ["imagenet"]) if isinstance(weights, str) else None)
        if weights == "imagenet" and self.include_top and self.classes != CLASSES:
            raise problem(f"The published classifier has {CLASSES} classes.", received=f"classes={self.classes}",
                          where=self.title, fix="include_top=False, and put a Dense layer of your own on the network")
        if weights is not None and self.include_top:
            kind = activations.get(self.classifier_activation)
            if kind not in (activations.get("softmax"), activations.get(None)):
                raise problem("Trained weights were trained with softmax.", where=self.title,
                              received=f"classifier_activation={self.classifier_activation!r}",
                              expected='"softmax" or None')
        if self.input_tensor is not None and not isinstance(self.input_tensor, SymbolicTensor):
            raise problem("`input_tensor` must be symbolic.", received=self.input_tensor, where=self.title,
                          expected="what kyeo.Input(...) gives, or something computed from it")

    @property
    def pretrained(self) -> bool:
        """Whether the published weights are asked for."""
        return self.weights == "imagenet"


def _is_file(weights: Any) -> bool:
    return isinstance(weights, (str, os.PathLike)) and os.path.exists(weights)


def variant(build: Callable[[Request], Model], title: str, name: str, module: str, about: str) -> Architecture:
    """The public function of one network: `build` takes what it was asked. `about` begins its text."""

    def make(
        include_top: bool = True, weights: Any = "imagenet", input_tensor: Any = None, input_shape: Any = None,
        pooling: str | None = None, classes: int = CLASSES, classifier_activation: Any = "softmax", name: str = name,
    ) -> Model:
        return build(Request(title, include_top, weights, input_tensor, input_shape, pooling, classes,
                             classifier_activation, name))

    return named(make, title, module, about)


def named(make: Any, title: str, module: str, about: str, more: str = "") -> Any:
    """The function with the name, the place and the text of a public one; `more` are lines on its own parameters."""
    make.__name__ = make.__qualname__ = title
    make.__module__ = module
    make.__doc__ = _TEXT.format(about=about, more=more)
    return checked(make)


_TEXT = """{about}

Args:
    include_top: whether the classifier is part of the network.
    weights: "imagenet" loads the published weights (downloaded once into `~/.keras/models`); None leaves them
        random; else the path of a file of weights, `.weights.h5`, `.keras` or the `.h5` of Keras 2.
    input_tensor: a symbolic tensor to put the network on, instead of an input of its own.
    input_shape: (height, width, channels) of an image; height and width may be None without the classifier.
    pooling: without the classifier, what ends the network: "avg" or "max" over all places, or None for the map.
    classes: of the classifier.
    classifier_activation: of the classifier; None gives logits.
    name: of the model.
{more}
Returns:
    A `kyeo.Model`.

Raises:
    ValueError: the arguments do not go together; the message says which.
    OSError: the published weights are not in the cache and cannot be downloaded.
"""


# -- the image ---------------------------------------------------------------------------------------------
def channel_axis() -> int:
    """The axis of the channels of a batch of images, by the process's setting."""
    return 1 if settings.image_data_format == "channels_first" else 3


def image_input(request: Request, default_size: int = 224, min_size: int = 32) -> Any:
    """The tensor that a network of images begins with."""
    return input_of(request, image_shape(request, default_size, min_size))


def input_of(request: Request, shape: Any) -> Any:
    """The user's tensor, or an input of this shape."""
    return Input(shape) if request.input_tensor is None else request.input_tensor


def sides_of(shape: Any) -> Shape:
    """Height and width in the shape of an image, or of a batch of them."""
    return tuple(shape[-2:] if channel_axis() == 1 else shape[-3:-1])


def square_of(shape: Any, sizes: Sequence[int], default: int = 224) -> int:
    """The side of a square image where it is one of `sizes`, else the default."""
    sides = sides_of(shape) if shape is not None else ()
    return sides[0] if len(set(sides)) == 1 and sides[0] in sizes else default  # type: ignore[return-value]


def check_agreement(request: Request) -> None:
    """The shape and the tensor that a user gave must be of the same width."""
    if request.input_shape is None or request.input_tensor is None:
        return
    shape, tensor = request.input_shape, request.input_tensor
    if sides_of(shape) != sides_of(tensor.shape):
        raise problem("`input_shape` and `input_tensor` contradict each other.", where=request.title,
                      received=f"input_shape={shape} and a tensor of shape {tensor.shape}", fix="give one of them")


def image_shape(request: Request, default_size: int = 224, min_size: int = 32) -> Shape:
    """The shape of an image: the user's, where it goes with the rest of the request, or the usual one."""
    first = channel_axis() == 1

    def image(size: int | None, channels: Any) -> Shape:
        return (channels, size, size) if first else (size, size, channels)

    if request.input_shape is None:
        return image(default_size if request.include_top else None, 3)
    shape = _checked(request, min_size)
    channels = shape[0 if first else -1]
    if request.pretrained and request.include_top and shape != image(default_size, 3):
        raise problem("The published classifier takes images of one size.", received=f"input_shape={shape}",
                      expected=f"{image(default_size, 3)}", where=request.title,
                      fix="include_top=False, or weights=None")
    if request.pretrained and channels != 3:
        raise problem("The published weights are for three channels.", received=f"input_shape={shape}",
                      where=request.title, fix="repeat the one channel of grey images three times, or weights=None")
    if channels not in (1, 3):
        warn(f"{request.title} usually takes images of 1 or 3 channels. Received: input_shape={shape}, "
             f"so {channels}.")
    if request.include_top and None in shape:
        raise problem("The classifier needs images of a known size.", received=f"input_shape={shape}",
                      where=request.title, fix="give all three sizes, or include_top=False")
    return shape


def _checked(request: Request, min_size: int) -> Shape:
    given = request.input_shape
    kinds = "three ints such as (224, 224, 3); the sides may be None without the classifier"
    try:
        shape = tuple(None if size is None else int(size) for size in given)
    except (TypeError, ValueError):
        raise problem("This is no shape of an image.", received=f"input_shape={given!r}", where=request.title,
                      expected=kinds, kind=TypeError) from None
    if len(shape) != 3:
        raise problem("An image has three axes; the batch is not among them.", received=f"input_shape={shape}",
                      expected=kinds, where=request.title)
    if any(side is not None and side < min_size for side in sides_of(shape)):
        raise problem("The image is too small for this network.", received=f"input_shape={shape}",
                      expected=f"at least {min_size} x {min_size} pixels", where=request.title)
    return shape


def correct_pad(x: Any, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The zeros around an image that let a window of `size` step by two as TensorFlow's "same" does; unknown sides
    count as odd ones do not: as even."""
    sides = sides_of(x.shape)
    half = size // 2
    even = [1 if side is None or side % 2 == 0 else 0 for side in sides]
    return (half - even[0], half), (half - even[1], half)


def rounded(filters: float, divisor: int = 8, keep: bool = True) -> int:
    """A number of filters as a multiple of `divisor`; with `keep` never less than 90 % of what was asked."""
    near = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return near + divisor if keep and near < 0.9 * filters else near


# -- the end -----------------------------------------------------------------------------------------------
def head(request: Request, x: Any, top: Callable[[Any], Any] | None = None, names: bool = True) -> Any:
    """The classifier (`top`, or the usual one) or the pool that was asked for; `names`: it is named by its kind."""
    if request.include_top:
        if top is not None:
            return top(x)
        x = GlobalAveragePooling2D(name="avg_pool" if names else None)(x)
        return Dense(request.classes, activation=request.classifier_activation, name="predictions")(x)
    if request.pooling is None:
        return x
    layer = GlobalAveragePooling2D if request.pooling == "avg" else GlobalMaxPooling2D
    return layer(name=f"{request.pooling}_pool" if names else None)(x)


def finish(request: Request, image: Any, outputs: Any, published: Weights | None = None) -> Model:
    """The model, with the weights that were asked for."""
    inputs = image if request.input_tensor is None else _sources(image)
    model = Model(inputs, outputs, name=request.name)
    if request.pretrained and published is not None:
        model.load_weights(published.fetch(request.include_top))
    elif request.weights is not None:
        model.load_weights(request.weights)
    return model


def _sources(tensor: SymbolicTensor) -> list[SymbolicTensor]:
    """The inputs that a tensor was computed from."""
    found: dict[int, SymbolicTensor] = {}
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if one.node is None or not one.node.inputs:
            found[id(one)] = one
        else:
            waiting += reversed(one.node.inputs)
    return list(found.values())
