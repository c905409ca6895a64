"""Filters and what is measured with them: blur, edges, structural similarity."""

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from kyeo.core.arrays import as_floats, to_array
from kyeo.core.dtypes import is_float
from kyeo.core.errors import int_tuple, positive_int, problem
from kyeo.core.op import op
from kyeo.ops.image.layout import as_batch, channel_axis, format_of, image_of, side_axes
from kyeo.ops.kernels.sample import bell, filtered

__all__ = ["gaussian_blur", "sobel_edges", "ssim"]


@op
def gaussian_blur(images: Any, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0),
                  data_format: str | None = None) -> Array:
    """Images blurred by a Gaussian window, zeros outside.

    Args:
        images: floats, or integers, which are rounded.
        kernel_size: sizes of the window along x (width) and y (height).
        sigma: standard deviations along x and y, in pixels.
        data_format: "channels_last", "channels_first", or None for the setting.

    >>> import kyeo
    >>> dot = kyeo.ops.image.pad_images(kyeo.ops.ones((1, 1, 1)), 1, 1, 1, 1)
    >>> [f"{float(v):.3f}" for v in kyeo.ops.image.gaussian_blur(dot)[1, :, 0]]
    ['0.124', '0.204', '0.124']
    """
    where = "ops.image.gaussian_blur"
    images, axes = image_of(where, images), side_axes(format_of(where, data_format))
    sizes = int_tuple(where, 2, kernel_size=kernel_size)
    floats = as_floats(images)
    sigmas = jnp.broadcast_to(jnp.asarray(sigma, floats.dtype), (2,))
    for axis, size, width in zip(axes, sizes[::-1], (sigmas[1], sigmas[0])):
        floats = filtered(floats, bell(size, width, floats.dtype), axis % images.ndim)
    return floats if is_float(images.dtype) else lax.round(floats).astype(images.dtype)


@op
def sobel_edges(images: Any, data_format: str | None = None) -> Array:
    """How much images change downwards and to the right, by Sobel's 3x3 windows, zeros outside.

    Args:
        images: an image or a batch; edges of integers are of int32, for bytes know no change downwards.
        data_format: "channels_last", "channels_first", or None for the setting.

    Returns: the shape of the images with an axis of 2 at the end: change along y, change along x.

    >>> import kyeo
    >>> ramp = kyeo.ops.reshape(kyeo.ops.arange(9.0), (3, 3, 1))
    >>> kyeo.ops.image.sobel_edges(ramp)[1, 1, 0].tolist()
    [24.0, 8.0]
    """
    def edges(batch: Array) -> Array:
        batch = batch if is_float(batch.dtype) else batch.astype("int32")
        both = ((2, 1), (1, 2))  # along which axis to smooth, along which to take differences
        return jnp.stack([filtered(filtered(batch, [1, 2, 1], across), [-1, 0, 1], along)
                          for across, along in both], -1)

    return as_batch("ops.image.sobel_edges", images, data_format, edges)


@op
def ssim(
    image1: Any, image2: Any, max_val: float = 1.0, filter_size: int = 11, filter_sigma: float = 1.5,
    k1: float = 0.01, k2: float = 0.03, data_format: str | None = None,
) -> Array:
    """Structural similarity of images, at most 1; 1 where they are the same.

    Args:
        image1, image2: images, or batches of them, of one shape.
        max_val: how far the largest value may be from the smallest: 1.0, 255, ...
        filter_size: size of the Gaussian window; no larger than the images.
        filter_sigma: its standard deviation.
        k1, k2: what keeps the quotients finite.
        data_format: "channels_last", "channels_first", or None for the setting.

    Returns: one number for each image.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity",
    IEEE Transactions on Image Processing 13(4), 2004.

    >>> import kyeo
    >>> x = kyeo.random.uniform((1, 12, 12, 3), seed=0)
    >>> float(kyeo.ops.image.ssim(x, x)[0]), bool(kyeo.ops.image.ssim(x, 1 - x)[0] < 0)
    (1.0, True)
    """
    where = "ops.image.ssim"
    first, second = image_of(where, image1, image1=0), image_of(where, image2, image2=0)
    axes, size = side_axes(format_of(where, data_format)), positive_int(where, filter_size=filter_size)
    if any(isinstance(first.shape[a], int) and first.shape[a] < size for a in axes):
        raise problem("The images are smaller than the window.", received=first, where=where,
                      expected=f"height and width of at least filter_size={size}", fix="give a smaller `filter_size`")
    dtype = first.dtype if is_float(first.dtype) else "float32"
    weights, c1, c2 = bell(size, filter_sigma, dtype), (k1 * max_val) ** 2, (k2 * max_val) ** 2

    a, b = to_array(first, dtype), to_array(second, dtype)
    means = jnp.stack([a, b, a * a, b * b, a * b])
    for axis in axes:
        means = filtered(means, weights, axis % means.ndim, "valid")
    mean_a, mean_b, squares_a, squares_b, products = means
    variances = squares_a - mean_a * mean_a + squares_b - mean_b * mean_b
    covariance = products - mean_a * mean_b
    alike = (2.0 * mean_a * mean_b + c1) * (2.0 * covariance + c2)
    total = alike / ((mean_a * mean_a + mean_b * mean_b + c1) * (variances + c2))
    return total.mean((*axes, channel_axis(format_of(where, data_format))))
