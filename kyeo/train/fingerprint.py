"""Fingerprint: a word for all that a step's trace can read off a model, so that models alike share a compiled step.

It is taken from the objects as they are, not from their configs: every attribute of every layer, loss, metric and
optimizer that the step can reach. Values of variables are inputs of a step and no part of it; a variable counts by its
place in the state. Whatever is not Kyeo's own (a layer, function or method of the user's) may do anything, so a model
with such a part has no fingerprint and shares nothing.
"""

import functools
import hashlib
import re
import sys
import types
from typing import Any

import jax
import numpy as np

from kyeo.core.owned import MetricOwner
from kyeo.core.scope import Scope, current
from kyeo.core.settings import settings
from kyeo.core.symbolic import Node
from kyeo.core.variable import Variable
from kyeo.dtype_policies import DTypePolicy
from kyeo.layers.layer import Layer

__all__ = ["fingerprint"]

_PLAIN = (type(None), bool, int, float, complex, str, bytes, slice, types.EllipsisType, np.generic, np.dtype)
_METHODS = ("__call__", "call", "update_step", "update_state", "result", "train_step", "compute_loss")
_LARGEST = 1 << 16  # bytes of a constant array that is looked at

# Attributes that no step reads: how an object came about, what it is called, what it did last, the trainer's own.
_OF_LAYERS = frozenset({
    "name", "path", "_build_shapes", "_call_shapes", "_input_shape_given", "_inbound_nodes", "_loss_values",
    "_kept_losses", "optimizer", "_objective", "_compile_config", "_runners", "_current_runners", "_state_cache",
    "_metrics_cache", "_looked_at", "_tried", "_pads_predictions", "_padding_refused", "history",
    "jit_compile", "loss", "stop_training", "stop_evaluating", "stop_predicting", "steps_per_execution", "_run_eagerly",
    "_output_names", "_calls", "_turns", "_changes",
})
_OF_COMPILE = ("kyeo.train.objective", "kyeo.train.compile_metrics")  # their names say what outputs are called
_OF_OTHERS = frozenset({"name", "owner", "_given"})


class _NotAlike(Exception):
    """A part may do what cannot be read off it."""


def fingerprint(model: Any, mode: str, groups: list[list[Variable]]) -> str | None:
    """The word for one kind of step of a model; None where it has none.

    Args:
        model: the model, built.
        mode: "train", "test" or "predict".
        groups: the variables of the state.
    """
    if current() != Scope():  # something around the step that it may read
        return None
    if mode != "predict" and not model._objective.built:  # its losses are not known yet
        return None
    outputs = model.output_names if len(model.output_names) > 1 else []
    inputs = sorted(range(len(model.input_names)), key=model.input_names.__getitem__)  # where a dict's parts go
    walk = _Walk(groups, named=bool(outputs))
    try:
        word = (
            mode, inputs, outputs, settings.floatx, settings.epsilon, settings.image_data_format,
            walk.of(settings.dtype_policy),
            [walk.of_variable(v) for group in groups for v in group], walk.of(model),
            walk.of(model._objective) if mode != "predict" else None,
            walk.of(model.optimizer) if mode == "train" else None,
            [v.path if walk.by_paths else v.name for group in groups[:2] for v in group],  # optimizers go by them
        )
    except _NotAlike:
        return None
    return hashlib.blake2b(repr(word).encode(), digest_size=20).hexdigest()


class _Walk:
    """One pass over the objects. An object met again is told by the number of its first meeting.

    Args:
        groups: the variables of the state.
        named: whether the names of outputs matter, as they do in the logs where there are several.
    """

    def __init__(self, groups: list[list[Variable]], named: bool):
        self._places = {v: (i, j) for i, group in enumerate(groups) for j, v in enumerate(group)}
        self._named = named
        self.by_paths = False  # whether a rule goes by the paths of weights
        self._met: dict[int, tuple[int, Any]] = {}  # the objects are held, so that no id is given away twice

    def of_variable(self, variable: Variable) -> Any:
        """What a step can read off a variable besides its value and its name."""
        return (variable.shape, variable._dtype, variable.trainable,
                variable.born_trainable, variable.autocast, variable.overwrite_with_gradient,
                self.of(variable.regularizer), self.of(variable.constraint))

    def of(self, value: Any) -> Any:
        """Plain values that say what `value` is."""
        if isinstance(value, _PLAIN):
            return type(value).__name__, repr(value)
        if type(value) is DTypePolicy:  # a value, whether layers share one object or each have their own
            return "policy", value.name
        if isinstance(value, Variable):
            if value not in self._places:
                raise _NotAlike  # a step would read it as a constant
            return "variable", self._places[value]
        if isinstance(value, (list, tuple)) and type(value).__module__ in ("builtins", "collections"):
            return type(value).__name__, [self.of(item) for item in value]
        if isinstance(value, dict):
            return "dict", [(self.of(key), self.of(item)) for key, item in value.items()]
        if isinstance(value, (set, frozenset)):
            return "set", sorted(repr(self.of(item)) for item in value)
        if isinstance(value, re.Pattern):
            return "pattern", value.pattern, value.flags
        if isinstance(value, (np.ndarray, jax.Array)):
            return self._of_array(value)
        if isinstance(value, type) or (callable(value) and not _is_ours(type(value))):
            return self._of_function(value)
        return self._of_object(value)

    def _of_array(self, value: Any) -> Any:
        if value.nbytes > _LARGEST or value.dtype == object or isinstance(value, jax.core.Tracer):
            raise _NotAlike
        weak = bool(getattr(value, "weak_type", False))
        return type(value).__name__, value.shape, str(value.dtype), weak, np.asarray(value).tobytes()

    def _of_function(self, value: Any) -> Any:
        """A function or class by its name, where the name says it all."""
        if isinstance(value, functools.partial):
            return "partial", self.of(value.func), self.of(value.args), self.of(value.keywords)
        if isinstance(value, types.MethodType):
            return "method", self.of(value.__self__), value.__func__.__qualname__
        module, name = getattr(value, "__module__", None) or "", getattr(value, "__qualname__", "")
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is not value or module.split(".")[0] not in ("kyeo", "jax", "jaxlib", "numpy", "builtins"):
            raise _NotAlike  # a function made while running, one with a borrowed name, or the user's own
        return "name", module, name

    def _of_object(self, value: Any) -> Any:
        cls = type(value)
        if id(value) in self._met:
            return "met", self._met[id(value)][0]
        if not _is_ours(cls) or not all(map(_is_ours, _work_of(cls))) or getattr(cls, "runs_on_host", False):
            raise _NotAlike  # what a step calls on the host is this very object
        before = [self._of_object(node) for node in _leading_to(value, self._met)] if isinstance(value, Node) else []
        self._met[id(value)] = len(self._met), value
        self.by_paths = self.by_paths or getattr(cls, "goes_by_paths", False)
        parts = [(name, self.of(part)) for name, part in _attributes(value) if not self._passes_over(value, name)]
        return "object", cls.__module__, cls.__qualname__, *before, parts

    def _passes_over(self, owner: Any, name: str) -> bool:
        if isinstance(owner, Layer):
            return name in _OF_LAYERS or name in _OF_OTHERS
        if type(owner).__module__ in _OF_COMPILE and name in ("name", "names", "_names", "way"):
            return not self._named
        if isinstance(owner, MetricOwner):  # logs go by their names
            return name == "_given"
        return name in _OF_OTHERS or (name in ("spec", "_checked") and hasattr(owner, "compiled_metrics"))


def _leading_to(node: Node, met: dict[int, Any]) -> list[Node]:
    """The calls not met yet that lead to this one, each after those it needs: a graph may be deeper than the stack."""
    order: list[Node] = []
    entered, stack = {id(node)}, [(node, iter(node.inputs))]
    while stack:
        rest = stack[-1][1]
        earlier = next((t.node for t in rest if t.node is not None and id(t.node) not in met
                        and id(t.node) not in entered), None)
        if earlier is not None:
            entered.add(id(earlier))
            stack.append((earlier, iter(earlier.inputs)))
        else:
            order.append(stack.pop()[0])
    return order[:-1]


def _attributes(value: Any) -> list[tuple[str, Any]]:
    """Names and values of what an object holds, by name: a copy may hold them in another order."""
    if isinstance(value, Node):  # some of it by weak references
        return [(name, getattr(value, name)) for name in ("target", "args", "kwargs", "outputs")]
    slots = [name for base in type(value).__mro__ for name in base.__dict__.get("__slots__", ())]
    in_slots = [(name, getattr(value, name)) for name in slots if hasattr(value, name)]
    return sorted([*getattr(value, "__dict__", {}).items(), *in_slots], key=lambda pair: pair[0])


def _work_of(cls: type) -> list[Any]:
    """The methods that a step runs, as they stand in the class or its bases now."""
    found = (next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None) for name in _METHODS)
    return [method for method in found if method is not None]


def _is_ours(thing: Any) -> bool:
    """Whether a class or function is Kyeo's. A function's globals tell where it was written; its name may lie."""
    module = thing.__globals__.get("__name__") if isinstance(thing, types.FunctionType) else thing.__module__
    return str(module).split(".")[0] == "kyeo"
