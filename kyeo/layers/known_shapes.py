"""Shapes that were found before: a large model repeats a few layers many times, and tracing each costs a millisecond.

What a trace can read off a layer and its call is put in a key: every attribute, the inputs' shapes and dtypes, the
scope and the settings. Only layers whose `call` is Kyeo's own and does nothing else have one; whatever else is
found in a layer (an object of the user's, a function without a name, an array, a layer that is not built) leaves it
without a key, and it is traced as ever.
"""

import sys
import types
from typing import Any

import jax

from kyeo.core.dtypes import is_float
from kyeo.core.scope import Scope, current
from kyeo.core.settings import settings
from kyeo.core.symbolic import SymbolicTensor
from kyeo.core.variable import Variable
from kyeo.dtype_policies import DTypePolicy
from kyeo.random import SeedGenerator

__all__ = ["key_of", "known", "remember"]

_FILES = frozenset(f"kyeo.layers.{name}" for name in (
    "activation", "attention", "conv", "conv_transpose", "core", "dropout", "einsum", "merge", "multi_head", "norm",
    "pool", "reshape", "separable"))  # layers of other files read data, hold models or run what the user wrote
_UNREAD = ("kyeo.initializers", "kyeo.regularizers", "kyeo.constraints")  # no `call` asks them: their class is enough
_ASIDE = frozenset({  # how a layer came about and what it is called
    "name", "path", "_given", "_build_shapes", "_call_shapes", "_input_shape_given", "_inbound_nodes", "_changes"})
_PLAIN = (type(None), bool, int, float, str, bytes)
_MOST_PARTS, _MOST_KEYS = 500, 1024  # of a key; kept
_known: dict[Any, Any] = {}


class _NoKey(Exception):
    """A trace may read or do what is not in the key."""


def known(key: Any) -> Any:
    """The specs of the outputs that were found for this key; None if none were."""
    return None if key is None else _known.get(key)


def remember(key: Any, specs: Any) -> None:
    """Keep the specs; what was kept is dropped as a whole when it is much."""
    if key is not None:
        if len(_known) >= _MOST_KEYS:
            _known.clear()
        _known[key] = specs


def key_of(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], training: Any) -> Any:
    """The key of a symbolic call; None where its shapes are to be traced."""
    now = current()
    if type(layer).__module__ not in _FILES or now.row_mask is not None or now != Scope(now.training, now.path):
        return None
    leaves, structure = jax.tree.flatten((args, kwargs))
    config = jax.config
    try:
        walk = _Walk()
        return (
            walk.of_layer(layer), structure, tuple([_of_leaf(leaf) for leaf in leaves]), _of_leaf(training),
            _of_leaf(now.training), settings.floatx, settings.epsilon, settings.image_data_format,
            settings.flash_attention, settings.run_eagerly, settings.distribution is None, config.jax_enable_x64,
            config.jax_numpy_rank_promotion, config.jax_numpy_dtype_promotion)
    except _NoKey:
        return None


def _of_leaf(leaf: Any) -> Any:
    if isinstance(leaf, SymbolicTensor):
        if leaf.dtype == "string":
            raise _NoKey
        return leaf.shape, leaf.dtype
    if type(leaf) not in _PLAIN:
        raise _NoKey
    return type(leaf), repr(leaf)  # 1, 1.0 and True are alike to a dict; so are 0.0 and -0.0


class _Walk:
    """One pass over a layer's attributes. A variable or layer met again is told by the number of its first meeting."""

    def __init__(self) -> None:
        self._met: dict[int, int] = {}
        self._parts = 0

    def of_layer(self, layer: Any) -> Any:
        """What a trace can read off a layer and those inside it."""
        cls, held = type(layer), vars(layer)
        if (cls.__module__ not in _FILES or "call" in held or not _is_ours(cls.call) or not layer.built
                or type(layer.dtype_policy) is not DTypePolicy or held.get("_kept_losses") or layer._loss_values
                or layer.activity_regularizer is not None or (self._met and not layer.path)):
            raise _NoKey
        return (cls, cls.call, tuple([(name, self.of(value)) for name, value in held.items() if name not in _ASIDE]))

    def of(self, value: Any) -> Any:
        """A part of the key that says what `value` is."""
        self._parts += 1
        kind = type(value)
        if self._parts > _MOST_PARTS:
            raise _NoKey
        if kind in _PLAIN:
            return kind, repr(value) if kind in (float, int) else value
        if kind in (list, tuple):
            return kind, tuple([self.of(item) for item in value])
        if kind is dict:
            return kind, tuple([(self.of(name), self.of(item)) for name, item in value.items()])
        if kind is types.FunctionType:
            return self._of_function(value)
        return self._of_object(value)

    def _of_function(self, value: Any) -> Any:
        if not _is_ours(value) or getattr(sys.modules.get(value.__module__), value.__qualname__, None) is not value:
            raise _NoKey  # a function made while running, or the user's own
        return value

    def _of_object(self, value: Any) -> Any:
        kind = type(value)
        if id(value) in self._met:
            return "met", self._met[id(value)]
        if kind is Variable:
            self._met[id(value)] = len(self._met)
            return "variable", value.shape, value._dtype, value.autocast and is_float(value._dtype)
        if kind is SeedGenerator:
            return kind  # noise changes no shape
        if kind is DTypePolicy:
            return kind, value.name
        if kind.__module__.startswith(_UNREAD):
            return kind
        if kind.__module__ in _FILES and hasattr(value, "_inbound_nodes"):
            self._met[id(value)] = len(self._met)
            return self.of_layer(value)
        if kind.__module__ == "kyeo.layers.input_spec":
            return kind, tuple([(name, self.of(part)) for name, part in vars(value).items()])
        raise _NoKey


def _is_ours(function: Any) -> bool:
    return isinstance(function, types.FunctionType) and str(function.__globals__.get("__name__")).startswith("kyeo.")
