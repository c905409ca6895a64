"""Turn an error from inside a layer into one that names the layer and the shapes it got."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from kyeo.core.errors import problem

__all__ = ["explained"]


@contextmanager
def explained(layer: Any, bound: dict[str, Any]) -> Iterator[None]:
    """Inside: what JAX or NumPy complain of in a built-in layer is said in the layer's terms; an exception from a
    user's own `call` keeps its type and gets a note that names the layer."""
    try:
        yield
    except (TypeError, ValueError, IndexError, ZeroDivisionError, AssertionError) as error:
        if getattr(error, "_kyeo_located", False) or "Received:" in str(error) or "  Where:" in str(error):
            raise
        inputs = ", ".join(f"{name} {_shapes(value)}" for name, value in bound.items() if _shapes(value))
        if type(layer).__module__.startswith("kyeo."):
            reason = str(error).strip().split("\n")[0]
            raise problem("The layer cannot take this input.", received=inputs or "no tensors", where=layer,
                          expected=f"shapes that fit together ({reason})") from None
        error.add_note(f'  in layer "{layer.name}" ({type(layer).__name__}), called with {inputs}')
        error._kyeo_located = True  # type: ignore[union-attr]
        raise


def _shapes(value: Any) -> str:
    leaves = [leaf for leaf in jax.tree.leaves(value) if hasattr(leaf, "shape")]
    texts = [str(tuple(s if isinstance(s, int) else None for s in leaf.shape)) for leaf in leaves]
    return "of shape " + ", ".join(texts) if texts else ""
