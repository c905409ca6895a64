"""Layers that mix each image of a batch with another one, and their labels with them."""

from typing import Any

import jax
import jax.numpy as jnp

from kyeo.core.errors import number, problem
from kyeo.layers.images.base import Extent, ImageLayer, between, per_image, span
from kyeo.layers.images.blur import rectangles
from kyeo.ops.kernels import derived_key, uniform_bits, uniform_numbers

__all__ = ["CutMix", "MixUp", "shares"]


def shares(key: Any, alpha: Any, shape: tuple[Any, ...], parts: int) -> Any:
    """Numbers that add up to 1, from the symmetric Dirichlet distribution of `alpha`, shape (*shape, parts). The first
    of two has the Beta(alpha, alpha) distribution."""
    words = jax.random.wrap_key_data(key, impl="threefry2x32")
    return jax.nn.softmax(jax.random.loggamma(words, alpha, (*shape, parts)))


def _permutation(key: Any, size: Any) -> Any:
    return jnp.argsort(uniform_bits(key, (size,)))


class Blend(ImageLayer):
    """Base: each image meets the one at its place in "permutation_order", with its own weight "mix_weight"."""

    mixes_rows = True

    def _partner(self, values: Any, transformation: Any) -> Any:
        return jnp.take(values, jnp.asarray(transformation["permutation_order"]), axis=0)

    def _mixed(self, values: Any, transformation: Any) -> Any:
        weight = per_image(transformation["mix_weight"], values.ndim).astype(
            values.dtype if jnp.issubdtype(values.dtype, jnp.floating) else "float32")
        return weight * values + (1.0 - weight) * self._partner(values, transformation)

    def change_labels(self, labels: Any, transformation: Any) -> Any:
        """Labels mixed as much as the images; they should be one-hot."""
        return self._mixed(jnp.asarray(labels), transformation)


class MixUp(Blend):
    """Mixes each image with another one of the batch, and their labels, while training.

    Args:
        alpha: how even the mixtures are: weights are drawn from the Beta(alpha, alpha) distribution.
        seed: makes the draws repeat.

    Labels should be one-hot; of boxes both images' are kept. Further arguments, inputs and outputs: see
    `kyeo.layers.RandomRotation`.

    Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018.

    >>> import kyeo
    >>> data = {"images": kyeo.ops.ones((2, 4, 4, 3)), "labels": kyeo.ops.one_hot([0, 1], 2)}
    >>> kyeo.layers.MixUp()(data)["labels"].sum(1).tolist()
    [1.0, 1.0]
    """

    def __init__(self, alpha: float = 0.2, data_format: str | None = None, seed: int | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.alpha = number(self, check=lambda v: v > 0, expected="a number above 0", alpha=alpha)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """Which image meets which, and how much of each is left."""
        return {"mix_weight": shares(derived_key(key, 0), self.alpha, (extent.batch,), 2)[:, 0],
                "permutation_order": _permutation(derived_key(key, 1), extent.batch)}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """The mixtures."""
        return self._mixed(images, transformation)

    def change_masks(self, masks: Any, transformation: Any) -> Any:
        """Masks mixed likewise; they should be one-hot."""
        return self._mixed(masks, transformation)

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """The boxes of both images."""
        return {name: jnp.concatenate([values, self._partner(values, transformation)], 1)
                for name, values in bounding_boxes.items()}


class CutMix(Blend):
    """Puts a rectangle of another image of the batch into each image, and mixes their labels, while training.

    Args:
        factor: how even the mixtures are: alpha is drawn from [0, factor], or between two numbers, and areas from the
            Beta(alpha, alpha) distribution.
        seed: makes the draws repeat.

    Labels should be one-hot; boxes are refused. Further arguments, inputs and outputs: see
    `kyeo.layers.RandomRotation`.

    Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features", ICCV 2019.

    >>> import kyeo
    >>> data = {"images": kyeo.Input((4, 4, 3)), "labels": kyeo.Input((2,))}
    >>> kyeo.layers.CutMix()(data)["labels"].shape
    (None, 2)
    """

    takes_integers = True

    def __init__(self, factor: Any = 1.0, seed: int | None = None, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = span(self, 0, 1, strict=False, factor=factor)
        self._set_seed(seed)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """Which image meets which, the rectangle of each, and how much is left of it."""
        alpha = between(uniform_numbers(derived_key(key, 2), (1,))[0], self.factor) + 1e-6
        side = jnp.sqrt(shares(derived_key(key, 0), alpha, (extent.batch,), 2)[:, 1])
        places = uniform_numbers(derived_key(key, 3), (extent.batch, 2))
        masks, left = rectangles(jnp.stack([side, side], -1), places, extent, self.data_format)
        return {"permutation_order": _permutation(derived_key(key, 1), extent.batch), "batch_masks": masks,
                "mix_weight": left}

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images with a rectangle of another one."""
        return jnp.where(transformation["batch_masks"], self._partner(images, transformation), images)

    change_masks = change_images

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """Refused: part of a box may be gone."""
        raise problem("Bounding boxes cannot be cut and mixed.", received='data with "bounding_boxes"', where=self,
                      expected="images, labels and segmentation masks", kind=NotImplementedError)
