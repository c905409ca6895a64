"""Turn an error from inside a layer into one that names the layer and the shapes it got."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import jax

from kyeo.core.errors import NotMaskable, is_told, problem, retold
from kyeo.core.naming import is_kyeos
from kyeo.core.plain import Words, in_plain_words
from kyeo.core.scope import current

__all__ = ["explained", "explained_as", "shapes_of"]

_USUAL = (TypeError, ValueError, IndexError, KeyError, AttributeError, ZeroDivisionError, AssertionError)
_RUNTIME = ("UNKNOWN: ", "UNAVAILABLE: ", "INTERNAL: ", "ABORTED: ")  # words of XLA: another process died, say


@contextmanager
def explained(layer: Any, bound: dict[str, Any]) -> Iterator[None]:
    """Inside: what JAX or NumPy complain of is said in the layer's terms; an exception from a user's own `call`
    keeps its type and gets a note that names the layer."""
    try:
        with jax.named_scope(layer.name) if current().plain else nullcontext():
            yield
    except NotMaskable:
        raise
    except _USUAL as error:
        if getattr(error, "_kyeo_located", False) or str(error).startswith(_RUNTIME):
            raise
        if is_told(error):
            raise retold(error, layer) from None
        inputs = ", ".join(f"{name} {shapes_of(value)}" for name, value in bound.items() if shapes_of(value))
        built_in = is_kyeos(type(layer))
        words = in_plain_words(error) or (Words(str(error).strip().split("\n")[0]) if built_in else None)
        if words is not None:
            raise explained_as(error, "The layer cannot take this input." if built_in else
                               "The computation of this layer does not work out.", words, layer,
                               inputs or "no tensors") from None
        error.add_note(f'  in layer "{layer.name}" ({type(layer).__name__}), called with {inputs}')
        error._kyeo_located = True  # type: ignore[union-attr]
        raise


def explained_as(error: Exception, what: str, words: Words, where: Any, received: str) -> Exception:
    """A foreign exception as one of ours, with its traceback, of the Python type that it is a kind of."""
    kind = next(cls for cls in type(error).__mro__ if cls.__module__ == "builtins")
    return problem(what, received=received, expected=words.text, where=where, fix=words.fix, kind=kind).with_traceback(
        error.__traceback__)


def shapes_of(value: Any) -> str:
    """The shapes of the tensors in a value; nothing where there are none."""
    leaves = [leaf for leaf in jax.tree.leaves(value) if hasattr(leaf, "shape")]
    texts = [str(tuple(s if isinstance(s, int) else None for s in leaf.shape)) for leaf in leaves]
    return "of shape " + ", ".join(texts) if texts else ""
