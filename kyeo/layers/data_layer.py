"""DataLayer: the base of layers that prepare data, with what classes derived from these expect of Keras's."""

from typing import Any

from kyeo import ops, random
from kyeo.layers.layer import Layer

__all__ = ["DataLayer"]


class _Backend:
    """`self.backend.cast(x, "float32")`, `self.backend.numpy.mean(x)`: the ops, by Keras's ways to them."""

    name = "jax"
    random = random
    core = image = linalg = math = nn = numpy = ops

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)


class DataLayer(Layer):
    """A layer that prepares data."""

    backend = _Backend()
