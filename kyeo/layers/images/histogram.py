"""Layers that spread the values of images over their range, by what values there are."""

from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import int_tuple, number, positive_int
from kyeo.layers.images.base import ImageLayer, ranged
from kyeo.layers.images.color import range_of
from kyeo.ops.image.layout import as_batch, side_axes

__all__ = ["AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"]


class AutoContrast(ImageLayer):
    """Stretches the values of each channel of each image over the whole range; when not training too.

    Args:
        value_range: least and largest value of the images.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> kyeo.layers.AutoContrast()(kyeo.ops.array([[[[100.0], [150.0], [200.0]]]])).ravel().tolist()
    [0.0, 127.5, 255.0]
    """

    always = True

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any):
        super().__init__(**kwargs)
        self.value_range = range_of(self, value_range)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Stretched images; a channel of one value stays."""
        values, sides = ranged(images, self.value_range, (0, 255)), side_axes(self.data_format)
        low, high = values.min(sides, keepdims=True), values.max(sides, keepdims=True)
        part = (values - low) / jnp.where(high > low, high - low, 1.0)
        stretched = ranged(part * 255.0, (0, 255), self.value_range)
        return jnp.where(high > low, stretched, images)


class Equalization(ImageLayer):
    """Changes the values of each channel of each image so that all are about as frequent, while training.

    Args:
        value_range: least and largest value of the images.
        bins: how many values are told apart.

    Further arguments, inputs and outputs: see `kyeo.layers.RandomRotation`.

    >>> import kyeo
    >>> image = kyeo.ops.array([[[[1.0], [2.0], [2.0], [3.0]]]])
    >>> kyeo.layers.Equalization()(image, training=True).ravel().tolist()
    [0.0, 170.0, 170.0, 255.0]
    """

    def __init__(self, value_range: Any = (0, 255), bins: int = 256, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.bins = positive_int(self, minimum=2, bins=bins)
        self.value_range = range_of(self, value_range)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images with values by their rank."""
        return as_batch(type(self).__name__, images, self.data_format, self._equalized)

    def _equalized(self, images: Any) -> Any:
        _, height, width, channels = images.shape
        planes = jnp.moveaxis(ranged(images, self.value_range, (0, 255)), 3, 1).reshape(-1, height * width)
        counts = _counts((planes.astype("float32") * (self.bins - 1) / 255).astype("int32"), self.bins)
        up_to = jnp.cumsum(counts, 1)
        first = jnp.take_along_axis(up_to, jnp.argmax(up_to > 0, 1)[:, None], 1)
        rest = up_to[:, -1:] - first
        table = jnp.clip(jnp.round((up_to - first) * 255 / jnp.where(rest == 0, 1, rest)), 0, 255)
        place = jnp.clip(planes / 255.0 * (self.bins - 1), 0, self.bins - 1).astype("int32")
        found = jnp.take_along_axis(table, place, 1).astype(planes.dtype)
        found = jnp.where((counts > 0).sum(1, keepdims=True) <= 1, planes, found)
        found = jnp.moveaxis(found.reshape(-1, channels, height, width), 1, 3)
        return ranged(found, (0, 255), self.value_range).astype(images.dtype)


def _counts(values: Any, bins: int) -> Any:
    """How often each of `bins` values is in each row, shape (rows, bins); others count as the nearest."""
    rows = values.shape[0]
    return jnp.zeros((rows, bins), "int32").at[jnp.arange(rows)[:, None], jnp.clip(values, 0, bins - 1)].add(1)


class ContrastLimitedAdaptiveHistogramEqualization(ImageLayer):
    """Equalizes images part by part, with a limit to how much contrast grows; when not training too.

    Args:
        value_range: least and largest value of the images.
        clip_limit: how many times the mean a value may count in a tile; what is above is spread over all. 0: no limit.
        tile_grid_size: how many tiles the height and the width are cut into.

    Between the middles of tiles their tables are mixed. Images keep their dtype. Further arguments: see
    `kyeo.layers.RandomRotation`.

    Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994.

    >>> import kyeo
    >>> layer = kyeo.layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2))
    >>> layer(kyeo.Input((8, 8, 3))).shape
    (None, 8, 8, 3)
    """

    always = takes_integers = True

    def __init__(self, value_range: Any = (0, 255), clip_limit: float = 4.0, tile_grid_size: Any = (8, 8),
                 data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = range_of(self, value_range)
        self.clip_limit = number(self, clip_limit=clip_limit)
        self.tile_grid_size = int_tuple(self, 2, tile_grid_size=tile_grid_size)

    def prepared(self, images: Any) -> Any:
        """Integers stay what they are."""
        return images if jnp.issubdtype(images.dtype, jnp.integer) else super().prepared(images)

    def change_images(self, images: Any, transformation: Any) -> Any:
        """Images equalized by the tables of the four tiles around each pixel."""
        return as_batch(type(self).__name__, images, self.data_format, self._equalized)

    def _equalized(self, images: Any) -> Any:
        _, height, width, _ = images.shape
        grid = self.tile_grid_size
        sides = [-(-size // tiles) for size, tiles in zip((height, width), grid)]  # of a tile
        ends = [(0, side * tiles - size) for side, tiles, size in zip(sides, grid, (height, width))]
        values = ranged(images.astype("float32"), self.value_range, (0, 255))
        values = jnp.pad(values, [(0, 0), *ends, (0, 0)], mode="symmetric")
        pixels = jnp.clip(values, 0, 255).astype("int32")
        tables = self._tables(pixels, sides)
        (top, bottom, down), (left, right, across) = (_neighbours(s, n) for s, n in zip(sides, grid))
        batch, channels = images.shape[0], images.shape[3]
        image, channel = jnp.arange(batch)[:, None, None, None], jnp.arange(channels)

        def read(row: Any, column: Any) -> Any:
            return tables[image, row[:, None, None], column[:, None], channel, pixels]

        down, across = down[:, None, None], across[:, None]
        upper = read(top, left) * (1.0 - across) + read(top, right) * across
        lower = read(bottom, left) * (1.0 - across) + read(bottom, right) * across
        mixed = (upper * (1.0 - down) + lower * down)[:, :height, :width]
        return ranged(mixed, (0, 255), self.value_range).astype(images.dtype)

    def _tables(self, pixels: Any, sides: list[int]) -> Any:
        """For each tile and channel what each of 256 values becomes, shape (batch, rows, columns, channels, 256)."""
        (tall, wide), (rows, columns) = sides, self.tile_grid_size
        batch, channels = pixels.shape[0], pixels.shape[3]
        tiles = pixels.reshape(batch, rows, tall, columns, wide, channels).transpose(0, 1, 3, 5, 2, 4)
        counts = _counts(tiles.reshape(-1, tall * wide), 256).astype("float32")
        if self.clip_limit > 0:
            kept = jnp.clip(counts, 0, self.clip_limit * (tall * wide) / 256.0)
            counts = kept + (counts - kept).sum(1, keepdims=True) / 256.0
        up_to = jnp.cumsum(counts, 1)
        least = up_to.min(1, keepdims=True)
        rest = tall * wide - least
        tables = jnp.clip((up_to - least) * 255.0 / jnp.where(rest == 0, 1.0, rest), 0, 255)
        return tables.reshape(batch, rows, columns, channels, 256)


def _neighbours(side: int, tiles: int) -> tuple[Any, Any, Any]:
    """For each place along an axis the tile whose middle is before it, the one after, and how near the latter is."""
    place = (jnp.arange(side * tiles, dtype="float32") - side / 2.0) / side
    before = jnp.floor(place)
    first, second = (jnp.clip(tile, 0, tiles - 1).astype("int32") for tile in (before, before + 1))
    return first, second, place - before
