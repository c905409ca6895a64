"""Parts of images: cropping, padding, patches."""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from kyeo.core.arrays import to_array
from kyeo.core.errors import describe, int_tuple, one_of, positive_int, problem
from kyeo.core.op import op
from kyeo.core.parameters import checked
from kyeo.ops.image.layout import format_of, image_of, side_axes
from kyeo.ops.kernels.windows import pads_of, slices

__all__ = ["crop_images", "extract_patches", "extract_patches_3d", "pad_images"]


def _ends(where: str, names: tuple[str, str, str], before: Any, after: Any, target: Any, missing: Any) -> tuple:
    """What is cut off or added before and after along one side, from two of three numbers.

    `missing(target, other)` is the end that follows from the target and the other end.
    """
    given = dict(zip(names, (before, after, target)))
    for name, value in given.items():
        positive_int(where, minimum=0, optional=True, **{name: value})
    if list(given.values()).count(None) != 1:
        raise problem(f"Two of `{names[0]}`, `{names[1]}` and `{names[2]}` are needed.", where=where,
                      received=", ".join(f"{n}={v}" for n, v in given.items()), expected="two ints and one None")
    before = missing(target, after) if before is None else before
    after = missing(target, before) if after is None else after
    negative = next((v for v in (before, after) if isinstance(v, int) and v < 0), None)
    if negative is not None:
        raise problem("The target does not fit the images.", where=where,
                      received=", ".join(f"{n}={v}" for n, v in given.items() if v is not None),
                      expected=f"numbers that leave no negative rest; here it is {negative}")
    return before, after


@op
def pad_images(
    images: Any, top_padding: int | None = None, left_padding: int | None = None, bottom_padding: int | None = None,
    right_padding: int | None = None, target_height: int | None = None, target_width: int | None = None,
    data_format: str | None = None,
) -> Array:
    """Images with zeros around them.

    Args:
        images: an image or a batch.
        top_padding, left_padding, bottom_padding, right_padding: rows and columns to add.
        target_height, target_width: sizes of the result; give two of the three numbers of each side.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo
    >>> kyeo.ops.image.pad_images(kyeo.ops.ones((2, 2, 1)), 1, 0, target_height=4, target_width=3).shape
    (4, 3, 1)
    """
    where = "ops.image.pad_images"
    images, axes = image_of(where, images), side_axes(format_of(where, data_format))
    pads = [(0, 0, 0)] * images.ndim  # before, after, between
    for side, axis, before, after, target in (
            ("top_padding bottom_padding target_height", axes[0], top_padding, bottom_padding, target_height),
            ("left_padding right_padding target_width", axes[1], left_padding, right_padding, target_width)):
        size = images.shape[axis]
        pads[axis] = *_ends(where, tuple(side.split()), before, after, target,  # type: ignore[arg-type]
                            lambda wanted, other, size=size: wanted - other - size), 0
    return lax.pad(images, jnp.zeros((), images.dtype), pads)  # jnp.pad asks for the sign of what follows from a size


@op
def crop_images(
    images: Any, top_cropping: int | None = None, left_cropping: int | None = None,
    bottom_cropping: int | None = None, right_cropping: int | None = None, target_height: int | None = None,
    target_width: int | None = None, data_format: str | None = None,
) -> Array:
    """Images without what is cut off at their sides.

    Args:
        images: an image or a batch.
        top_cropping, left_cropping, bottom_cropping, right_cropping: rows and columns to cut off.
        target_height, target_width: sizes of the result; give two of the three numbers of each side.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo
    >>> kyeo.ops.image.crop_images(kyeo.ops.ones((5, 5, 1)), 1, 0, target_height=2, right_cropping=2).shape
    (2, 3, 1)
    """
    where = "ops.image.crop_images"
    images, axes = image_of(where, images), side_axes(format_of(where, data_format))
    for side, axis, before, after, target in (
            ("top_cropping bottom_cropping target_height", axes[0], top_cropping, bottom_cropping, target_height),
            ("left_cropping right_cropping target_width", axes[1], left_cropping, right_cropping, target_width)):
        size = images.shape[axis]
        first, rest = _ends(where, tuple(side.split()), before, after, target,  # type: ignore[arg-type]
                            lambda wanted, other, size=size: size - wanted - other)
        kept = size - first - rest if target is None else target
        if isinstance(kept, int) and kept < 0:
            raise problem("More is cut off than there is.", received=f"{first} + {rest} of {size}", where=where,
                          expected="croppings that leave something")
        images = lax.slice_in_dim(images, first, first + kept, axis=axis % images.ndim)
    return images


@op
def extract_patches(
    images: Any, size: Any, strides: Any = None, dilation_rate: Any = 1, padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """The window at every place of the images, its elements as channels.

    Args:
        images: an image or a batch; volumes (depth, height, width, channels) where `size` has three numbers.
        size: sizes of a window: an int, or one for each side.
        strides: steps from window to window; the window's size where None.
        dilation_rate: steps between the elements of a window.
        padding: "valid", or "same" with zeros outside.
        data_format: "channels_last", "channels_first", or None for the setting.

    Returns: places as height and width, rows of the window after each other as channels.

    >>> import kyeo
    >>> image = kyeo.ops.reshape(kyeo.ops.arange(16), (4, 4, 1))
    >>> kyeo.ops.image.extract_patches(image, 2)[0].tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7]]
    """
    if not isinstance(size, (int, tuple, list)):
        raise problem("`size` is not valid.", received=f"size={describe(size)}", kind=TypeError,
                      expected="an int, two ints, or three for volumes", where="ops.image.extract_patches")
    rank = 2 if isinstance(size, int) else len(size)
    if rank not in (2, 3):
        raise problem("`size` is not valid.", received=f"size={size}", where="ops.image.extract_patches",
                      expected="an int, two ints, or three for volumes")
    return _patches("ops.image.extract_patches", images, rank, size, strides, dilation_rate, padding, data_format)


@checked
def extract_patches_3d(
    volumes: Any, size: Any, strides: Any = None, dilation_rate: Any = 1, padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """The window at every place of volumes, its elements as channels. Arguments as `extract_patches`.

    >>> import kyeo
    >>> kyeo.ops.image.extract_patches_3d(kyeo.ops.ones((4, 4, 4, 1)), 2).shape
    (2, 2, 2, 8)
    """
    window = int_tuple("ops.image.extract_patches_3d", 3, size=size)
    return extract_patches(volumes, window, strides, dilation_rate, padding, data_format)  # one op in files too


def _patches(where: str, images: Any, rank: int, size: Any, strides: Any, dilation: Any, padding: Any,
             data_format: Any) -> Array:
    images, first = to_array(images), format_of(where, data_format) == "channels_first"
    if images.ndim not in (rank + 1, rank + 2):
        raise problem("The input has the wrong number of axes.", received=images, where=where,
                      expected=f"{rank + 1} axes, or {rank + 2} with the batch first")
    window = int_tuple(where, rank, size=size)
    steps = window if strides is None else int_tuple(where, rank, strides=strides)
    apart = int_tuple(where, rank, dilation_rate=dilation)
    padding = one_of(where, ("valid", "same"), padding=padding)
    single = images.ndim == rank + 1
    images = images[None] if single else images
    images = jnp.moveaxis(images, 1, -1) if first else images
    spans = [(k - 1) * d + 1 for k, d in zip(window, apart)]
    pads = pads_of(padding, images.shape[1:-1], spans, steps)
    patches = jnp.concatenate(slices(images, 0, window, steps, pads, apart), -1)
    patches = jnp.moveaxis(patches, -1, 1) if first else patches
    return patches[0] if single else patches
