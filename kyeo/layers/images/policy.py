"""Layers made of others: several in a row, or some of them, chosen at random.

What is chosen is an index in the program, so that one program serves all choices, and each layer is compiled once
(`lax.switch` inside a loop), however often it may be chosen.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kyeo.core.errors import boolean, number, one_of, positive_int, problem
from kyeo.layers.call_spec import call_spec
from kyeo.layers.images.base import Extent, ImageLayer, span
from kyeo.layers.images.blend import shares
from kyeo.layers.images.color import (
    RandomBrightness,
    RandomContrast,
    RandomPosterization,
    RandomSharpness,
    Solarization,
    range_of,
)
from kyeo.layers.images.histogram import AutoContrast, Equalization
from kyeo.layers.images.program import call_program
from kyeo.layers.images.rgb import RandomColorDegeneration, RandomHue, RandomSaturation
from kyeo.layers.images.warp import RandomRotation, RandomShear, RandomTranslation
from kyeo.layers.layer import Layer
from kyeo.ops.kernels import derived_key, uniform_bits

__all__ = ["AugMix", "Pipeline", "RandAugment", "RandomColorJitter"]


def _augmentations(owner: Any, names: tuple[str, ...]) -> None:
    """Make the layers of these names as attributes of `owner`, all of its `factor`."""
    factor, color = owner.factor, {"value_range": owner.value_range}
    warp, drawn = {"interpolation": owner.interpolation}, {"seed": owner.seed}
    makers: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "random_shear": (RandomShear, {"x_factor": factor, "y_factor": factor, **warp, **drawn}),
        "random_translation": (RandomTranslation, {"height_factor": factor, "width_factor": factor, **warp, **drawn}),
        "random_rotation": (RandomRotation, {"factor": factor, **warp, **drawn}),
        "random_posterization": (RandomPosterization, {"factor": max(1, int(8 * factor[1])), **color, **drawn}),
        "solarization": (Solarization, {"addition_factor": factor, "threshold_factor": factor, **color, **drawn}),
        "auto_contrast": (AutoContrast, color),
        "equalization": (Equalization, color),
        "random_brightness": (RandomBrightness, {"factor": factor, **color, **drawn}),
        "random_color_degeneration": (RandomColorDegeneration, {"factor": factor, **color, **drawn}),
        "random_contrast": (RandomContrast, {"factor": factor, **color, **drawn}),
        "random_sharpness": (RandomSharpness, {"factor": factor, **color, **drawn}),
    }
    for name in names:
        maker, words = makers[name]
        setattr(owner, name, maker(**words, data_format=owner.data_format, dtype=owner.dtype_policy,
                                   bounding_box_format=owner.bounding_box_format))


class Policy(ImageLayer):
    """Base: layers inside, by name, which draw from keys of the policy's own."""

    _names: tuple[str, ...] = ()

    def build(self, input_shape: Any) -> None:
        """Nothing: the layers inside are used by their formulas, never called."""

    def _inner(self) -> list[tuple[str, ImageLayer]]:
        return [(name, getattr(self, name)) for name in self._names if getattr(self, name, None) is not None]

    def _draws(self, key: Any, extent: Extent) -> dict[str, Any]:
        """What each layer inside draws."""
        return {name: layer.draw(derived_key(key, i), extent) for i, (name, layer) in enumerate(self._inner())}


class RandomColorJitter(Policy):
    """Changes brightness, contrast, saturation and hue of each image, in this order, while training.

    Args:
        value_range: least and largest value of the images.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: the factors of `RandomBrightness`,
            `RandomContrast`, `RandomSaturation` and `RandomHue`; None leaves it as it is.
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> layer = kyeo.layers.RandomColorJitter(brightness_factor=0.2, hue_factor=0.1)
    >>> layer(kyeo.Input((4, 4, 3))).shape
    (None, 4, 4, 3)
    """

    _names = ("random_brightness", "random_contrast", "random_saturation", "random_hue")

    def __init__(self, value_range: Any = (0, 255), brightness_factor: Any = None, contrast_factor: Any = None,
                 saturation_factor: Any = None, hue_factor: Any = None, seed: int | None = None,
                 data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = range_of(self, value_range)
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        self._set_seed(seed)
        kinds = ((RandomBrightness, -1), (RandomContrast, 0), (RandomSaturation, -1), (RandomHue, 0))
        for name, (kind, least) in zip(self._names, kinds):
            parameter = f"{name.removeprefix('random_')}_factor"
            factor = getattr(self, parameter)
            if factor is not None:
                span(self, least, 1, strict=False, **{parameter: factor})
            layer = None if factor is None else kind(  # type: ignore[operator]
                factor, value_range=self.value_range, seed=seed, data_format=self.data_format, dtype=self.dtype_policy)
            setattr(self, name, layer)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """What the layers draw."""
        return self._draws(key, extent)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """One change after the other."""
        for name, layer in self._inner():
            images = lax.optimization_barrier(layer.change_images(images, transformation[name]))  # see Pipeline
        return images


class RandAugment(Policy):
    """Applies some of eleven augmentations, chosen for each batch, while training.

    Args:
        value_range: least and largest value of the images.
        num_ops: how many, one after the other; the same may come again.
        factor: how strong they are, from 0 to 1: one number, or two to draw from.
        interpolation: "bilinear" or "nearest".
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    Cubuk, Zoph, Shlens, Le, "RandAugment: practical automated data augmentation with a reduced search space",
    NeurIPS 2020.

    >>> import kyeo
    >>> kyeo.layers.RandAugment()(kyeo.Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    _names = (
        "random_shear", "random_translation", "random_rotation", "random_brightness", "random_color_degeneration",
        "random_contrast", "random_sharpness", "random_posterization", "solarization", "auto_contrast",
        "equalization",
    )

    def __init__(self, value_range: Any = (0, 255), num_ops: int = 2, factor: Any = 0.5,
                 interpolation: str = "bilinear", seed: int | None = None, data_format: str | None = None,
                 **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range, self.num_ops = range_of(self, value_range), positive_int(self, minimum=0, num_ops=num_ops)
        self.factor = span(self, 0, 1, strict=False, factor=factor)
        self.interpolation = one_of(self, ("nearest", "bilinear"), interpolation=interpolation)
        self._set_seed(seed)
        _augmentations(self, self._names)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """Which augmentations come, and what each of them would do."""
        chosen = uniform_bits(derived_key(key, 99), (self.num_ops,)) % len(self._names)
        return {"transforms": self._draws(key, extent), "layer_idxes": chosen.astype("int32")}

    def _in_turn(self, value: Any, transformation: Any, change: Callable[[ImageLayer, Any, Any], Any]) -> Any:
        """The value after each of the chosen changes."""
        if not self.num_ops:
            return value
        drawn = transformation["transforms"]
        branches = [lambda v, name=name, layer=layer: change(layer, v, drawn[name]) for name, layer in self._inner()]
        chosen = jnp.asarray(transformation["layer_idxes"])
        return lax.fori_loop(0, self.num_ops, lambda i, v: lax.switch(chosen[i], branches, v), value)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """One chosen augmentation after the other."""
        return self._in_turn(images, transformation, lambda layer, v, t: layer.change_images(v, t))

    def change_masks(self, masks: Any, transformation: Any) -> Any:
        """Masks go where the images go."""
        return self._in_turn(masks, transformation, lambda layer, v, t: layer.change_masks(v, t))

    def change_boxes(self, bounding_boxes: dict[str, Any], transformation: Any, height: Any, width: Any) -> Any:
        """Boxes too."""
        return self._in_turn(bounding_boxes, transformation,
                             lambda layer, v, t: layer.change_boxes(v, t, height, width))


class AugMix(Policy):
    """Mixes each batch with copies of itself that went through chains of augmentations, while training.

    Args:
        value_range: least and largest value of the images; results are cut off there.
        num_chains: how many copies.
        chain_depth: how many augmentations each copy goes through, at most.
        factor: how strong they are, from 0 to 1: one number, or two to draw from.
        alpha: how even the mixtures are: weights come from Dirichlet and Beta distributions of it.
        all_ops: whether the augmentations that benchmarks of robustness test for are among them too.
        interpolation: "bilinear" or "nearest".
        seed: makes the draws repeat.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    Hendrycks et al., "AugMix: a simple data processing method to improve robustness and uncertainty", ICLR 2020.

    >>> import kyeo
    >>> kyeo.layers.AugMix(num_chains=2)(kyeo.Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    def __init__(self, value_range: Any = (0, 255), num_chains: int = 3, chain_depth: int = 3, factor: Any = 0.3,
                 alpha: float = 1.0, all_ops: bool = True, interpolation: str = "bilinear", seed: int | None = None,
                 data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range, self.num_chains = range_of(self, value_range), positive_int(self, num_chains=num_chains)
        self.chain_depth = positive_int(self, chain_depth=chain_depth)
        self.factor = span(self, 0, 1, strict=False, factor=factor)
        self.alpha = number(self, check=lambda v: v > 0, expected="a number above 0", alpha=alpha)
        self.all_ops = boolean(self, all_ops=all_ops)
        self.interpolation = one_of(self, ("nearest", "bilinear"), interpolation=interpolation)
        self._set_seed(seed)
        some = ("random_shear", "random_translation", "random_rotation", "random_posterization", "solarization",
                "auto_contrast", "equalization")
        more = ("random_brightness", "random_color_degeneration", "random_contrast", "random_sharpness")
        self._names = some + (more if self.all_ops else ())
        _augmentations(self, self._names)

    def draw(self, key: Any, extent: Extent) -> dict[str, Any]:
        """Weights, which augmentation comes at each step of each chain (one more than there are: none), and what each
        of them would do there."""
        steps = (self.num_chains, self.chain_depth)
        draws = [[self._draws(derived_key(key, 1000 + chain * self.chain_depth + step), extent)
                  for step in range(steps[1])] for chain in range(steps[0])]
        return {
            "chain_mixing_weights": shares(derived_key(key, 100), self.alpha, (), self.num_chains),
            "weight_sample": shares(derived_key(key, 101), self.alpha, (), 2)[0],
            "choices": (uniform_bits(derived_key(key, 99), steps) % (len(self._names) + 1)).astype("int32"),
            "transforms": jax.tree.map(lambda *parts: jnp.stack(parts).reshape(*steps, *parts[0].shape),
                                       *[draw for chain in draws for draw in chain])}

    def _mixed(self, value: Any, transformation: Any, change: Callable[[ImageLayer, Any, Any], Any]) -> Any:
        weights = jnp.asarray(transformation["chain_mixing_weights"]).astype(value.dtype)
        share = jnp.asarray(transformation["weight_sample"]).astype(value.dtype)
        inner = self._inner()

        def step(current: Any, now: Any) -> Any:
            choice, drawn = now
            branches = [lambda v, name=name, layer=layer: change(layer, v, drawn[name]) for name, layer in inner]
            return lax.switch(choice, [*branches, lambda v: v], current), None

        def chain(total: Any, now: Any) -> Any:
            weight, *rest = now
            return total + lax.scan(step, value, tuple(rest))[0] * weight, None

        total, _ = lax.scan(chain, jnp.zeros_like(value), (
            weights, jnp.asarray(transformation["choices"]), transformation["transforms"]))
        return share * value + (1 - share) * total

    def change_images(self, images: Any, transformation: Any) -> Any:
        """The mixture of images and chains."""
        return jnp.clip(self._mixed(images, transformation, lambda layer, v, t: layer.change_images(v, t)),
                        *self.value_range)

    def change_masks(self, masks: Any, transformation: Any) -> Any:
        """The same mixture of masks, as floats; they should be one-hot."""
        masks = jnp.asarray(masks, "float32")
        return self._mixed(masks, transformation, lambda layer, v, t: layer.change_masks(v, t))


class Pipeline(Layer):
    """Layers in a row, as one layer: for preprocessing outside of a model. On arrays all run as one program.

    Args:
        layers: the layers.

    >>> import kyeo
    >>> pipeline = kyeo.layers.Pipeline([kyeo.layers.RandomFlip(), kyeo.layers.RandomRotation(0.1)])
    >>> pipeline(kyeo.ops.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    def __init__(self, layers: Any, name: str | None = None):
        super().__init__(name=name)
        if not isinstance(layers, (list, tuple)) or not all(isinstance(layer, Layer) for layer in layers):
            raise problem("`layers` is not valid.", received=layers, where=self, expected="a list of layers")
        self.layers = list(layers)
        self.autocast = False
        self.mixes_rows = any(layer.mixes_rows for layer in layers)

    def build(self, input_shape: Any) -> None:
        """Nothing: each layer is built at its first call."""

    def get_config(self) -> dict[str, Any]:
        """Layers and name."""
        config = super().get_config()
        return {name: config[name] for name in ("layers", "name")}

    def call(self, inputs: Any, training: bool = True, mask: Any = None) -> Any:
        """The inputs after each layer."""
        known = all(isinstance(layer, (ImageLayer, Pipeline)) and layer.built for layer in self.layers)
        if mask is None and known and all(hasattr(leaf, "shape") for leaf in jax.tree.leaves(inputs)):
            return call_program(self, self._run_layers, inputs, training)
        return self._run_layers(inputs, training, mask)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """None: the layers inside have marked what they gave."""
        return None

    def _run_layers(self, inputs: Any, training: bool, mask: Any = None) -> Any:
        for layer in self.layers:
            masked = {"mask": mask} if mask is not None and call_spec(type(layer)).takes("mask") else {}
            inputs, mask = layer(inputs, training=training, **masked), None  # the next one sees what its input carries
        return inputs
