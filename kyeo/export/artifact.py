"""Artifact: a file of ExportArchive, loaded. It runs StableHLO and nothing else."""

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.errors import is_told, problem
from kyeo.core.scope import scope
from kyeo.core.variable import Variable
from kyeo.export.container import read_parts
from kyeo.export.programs import read_program

__all__ = ["Artifact", "load"]

_DTYPES = frozenset("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64".split())


class Artifact:
    """The endpoints of a file as callables, each also an attribute: `artifact.serve(x)`.

    Attributes:
        endpoints: the callables by name.
        variables, trainable_variables, non_trainable_variables: what was tracked.

    Collections of variables are attributes too.
    """

    def __init__(self, endpoints: dict[str, Callable[..., Any]], variables: list[Variable],
                 collections: dict[str, list[Variable]]):
        self.endpoints, self.variables = endpoints, variables
        self.trainable_variables = [v for v in variables if v.trainable]
        self.non_trainable_variables = [v for v in variables if not v.trainable]
        self._named: dict[str, Any] = {**collections, **endpoints}

    def __getattr__(self, name: str) -> Any:
        named = self.__dict__.get("_named", {})
        if name in named:
            return named[name]
        raise AttributeError(f"This file has no endpoint or collection {name!r}; it has {', '.join(named)}")

    def __repr__(self) -> str:
        return f"<Artifact endpoints={list(self.endpoints)}, variables={len(self.variables)}>"


class _Endpoint:
    """A program, called with the values of the variables before its arguments."""

    def __init__(self, name: str, exported: Any, variables: list[Variable], changed: list[int]):
        self.name, self.exported, self.variables = name, exported, variables
        self.changed = [variables[k] for k in changed]
        self._run = jax.jit(exported.call)

    def __call__(self, *args: Any) -> Any:
        leaves, tree = jax.tree.flatten(args)
        wanted = self.exported.in_avals[len(self.variables):]
        if len(leaves) == len(wanted):
            leaves = [jnp.asarray(leaf, aval.dtype) for leaf, aval in zip(leaves, wanted)]
        try:
            outputs, new = self._run([v.value for v in self.variables], *jax.tree.unflatten(tree, leaves))
        except (TypeError, ValueError) as error:
            shapes = ", ".join(f"{aval.dtype} {aval.shape}" for aval in wanted)
            raise problem("The endpoint cannot take these inputs.", received=", ".join(str(x.shape) for x in leaves),
                          expected=shapes, where=f"endpoint {self.name!r}") from error
        except (MemoryError, jax.errors.JaxRuntimeError):  # while it runs
            raise
        except Exception as error:  # JAX cannot make sense of the program
            raise problem("The program of the endpoint is damaged.", received=f"{type(error).__name__}: {error}",
                          where=f"endpoint {self.name!r}", fix="write the archive again") from error
        for variable, value in zip(self.changed, new):
            variable.assign(value)
        return outputs

    def __repr__(self) -> str:
        shapes = ", ".join(f"{a.dtype}{a.shape}" for a in self.exported.in_avals[len(self.variables):])
        return f"<endpoint {self.name}({shapes})>"


def load(filepath: Any) -> Artifact:
    """Load a file that `ExportArchive.write_out` wrote.

    Every size and checksum is compared before anything is used, no object is made from names in the file, and
    programs that call anything but StableHLO are refused.

    Args:
        filepath: the file.

    Raises:
        ValueError: the file is broken, or holds what it may not.
    """
    facts, parts = read_parts(filepath)
    try:
        return _artifact(facts, parts)
    except Exception as error:
        if is_told(error):
            raise
        raise problem("This file does not hold what an archive holds.", where=os.fspath(filepath),
                      received=f"{type(error).__name__}: {str(error)[:200]}") from error


def _artifact(facts: dict[str, Any], parts: list[bytes]) -> Artifact:
    listed, endpoints = facts["variables"], facts["endpoints"]
    if len(parts) != len(listed) + len(endpoints):
        raise problem("This file does not hold what it lists.", received=f"{len(parts)} parts")
    stored = [_variable(said, part) for said, part in zip(listed, parts)]
    variables = [stored[i] for i in range(_count(facts["tracked"], len(stored)))]
    collections = {_name(k): [stored[_place(i, stored)] for i in v] for k, v in facts["collections"].items()}
    made: dict[str, Callable[..., Any]] = {}
    for said, part in zip(endpoints, parts[len(listed):]):
        name = _name(said["name"])
        if name in made or name in collections:
            raise problem("This file has two things of one name.", received=name)
        taken = variables[:_count(said["count"], len(variables))]
        exported = read_program(part, f"endpoint {name!r}")
        wanted = [(v.shape, v._value.dtype) for v in taken]
        if [(aval.shape, aval.dtype) for aval in exported.in_avals[:len(taken)]] != wanted:
            raise problem("A program in this file is for other variables.", where=f"endpoint {name!r}")
        made[name] = _Endpoint(name, exported, taken, [_place(i, taken) for i in said["changed"]])
    return Artifact(made, variables, collections)


def _name(text: Any) -> str:
    if not isinstance(text, str) or not text.isidentifier() or text.startswith("_") or len(text) > 1000:
        raise problem("This file names something as nothing can be named.", received=repr(text)[:100])
    return text


def _count(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise problem("This file counts more than it holds.", received=repr(value)[:100], expected=f"0 to {most}")
    return value


def _place(value: Any, things: list[Any]) -> int:
    return _count(value, len(things) - 1)


def _variable(said: dict[str, Any], part: bytes) -> Variable:
    if not isinstance(said["dtype"], str) or said["dtype"] not in _DTYPES:
        raise problem("This file holds numbers of an unknown type.", received=f"dtype {said['dtype']!r}")
    dtype, shape = jnp.dtype(said["dtype"]), tuple(said["shape"])
    if not all(type(s) is int and s >= 0 for s in shape) or len(shape) > 32 or int(
            np.prod(shape, dtype=object)) * dtype.itemsize != len(part):
        raise problem("A variable of this file has another size than its shape says.", received=f"{len(part)} bytes",
                      expected=f"shape {shape} of {dtype}")
    *path, name = said["path"].split("/")
    with scope(path="/".join(path)):
        return Variable(np.frombuffer(part, dtype).reshape(shape), dtype=said["dtype"], name=name,
                        trainable=said["trainable"] is True)
