"""ExportArchive: several functions of a model, with its variables, in one file that runs without the model."""

import inspect
import itertools
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import export as jax_export

from kyeo.core.errors import describe, no_more, one_of, problem
from kyeo.core.owned import VariableOwner
from kyeo.core.scope import scope
from kyeo.core.variable import Variable, pure, variables_of
from kyeo.export.container import write_parts
from kyeo.export.programs import write_program
from kyeo.export.signature import symbolic_inputs
from kyeo.export.stablehlo import check_flatbuffers

__all__ = ["ExportArchive"]


class ExportArchive:
    """Collects endpoints, functions with a name and a signature, and writes them into one file.

    Each endpoint is a StableHLO program that takes any number of rows; the variables are stored once, beside them.
    What an endpoint assigns to a variable that is not trained (a state, a seed) it assigns when the file is used, too.

    Args:
        format: "stablehlo".

    Attributes:
        variables, trainable_variables, non_trainable_variables: those that are tracked.

    >>> import kyeo, tempfile, pathlib
    >>> model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2)])
    >>> archive = kyeo.export.ExportArchive()
    >>> archive.track(model)
    >>> _ = archive.add_endpoint("serve", model.call, [kyeo.InputSpec(shape=(None, 3), dtype="float32")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "model.kyeo")
    ...     archive.write_out(file, verbose=False)
    ...     loaded = kyeo.export.load(file)
    >>> loaded.serve(kyeo.ops.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(self, format: str = "stablehlo"):
        one_of(self, ("stablehlo",), format=format)
        check_flatbuffers(self)
        self.variables: list[Variable] = []
        self._endpoints: dict[str, dict[str, Any]] = {}
        self._collections: dict[str, list[Variable]] = {}

    @property
    def trainable_variables(self) -> list[Variable]:
        """The tracked variables that are trained."""
        return [v for v in self.variables if v.trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The tracked variables that are not trained."""
        return [v for v in self.variables if not v.trainable]

    def track(self, resource: Any) -> None:
        """Store the variables of a layer or model once, for all endpoints that are added later.

        Those of the layer whose method an endpoint is are tracked anyway. Others become part of the program.
        """
        if not isinstance(resource, VariableOwner):
            raise problem("Only what holds variables can be tracked.", received=resource, where=self,
                          expected="a layer or a model")
        if not getattr(resource, "built", True):
            raise problem("The layer has no weights yet.", where=resource,
                          fix="call it on data, or `build(input_shape)`, first")
        self._keep(variables_of(resource))

    def _keep(self, variables: list[Variable]) -> None:
        known = set(self.variables)
        self.variables += [v for v in variables if v not in known]

    def add_endpoint(self, name: str, fn: Callable[..., Any], input_signature: Any = None, **kwargs: Any) -> Any:
        """Add a function of arrays under a name.

        Args:
            name: how the loaded file calls it; a Python name.
            fn: takes arrays, gives arrays; a method of a layer, or any function that calls layers.
            input_signature: a list with a spec, or a structure of specs, for each argument: InputSpec, symbolic tensor
                or `(shape, dtype)`; None in a shape is a size left open, None first the batch.
            is_static: whether to leave out what `fn` assigns to variables.

        Returns the function as the file will have it.
        """
        is_static = bool(kwargs.pop("is_static", False))
        no_more(self, kwargs)
        if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
            raise problem("An endpoint needs a name of letters, digits and underscores.", received=f"name={name!r}",
                          where=self, expected='a name such as "serve"')
        if name in self._endpoints or name in self._collections or name in ("endpoints", "variables"):
            raise problem("This name is taken.", received=f"name={name!r}", where=self, expected="another name")
        if not isinstance(input_signature, (list, tuple)):
            raise problem("An endpoint needs a spec for each argument.", where=self,
                          received=f"input_signature={describe(input_signature)}",
                          fix='input_signature=[kyeo.InputSpec(shape=(None, 28, 28, 1), dtype="float32")]')
        owner = getattr(fn, "__self__", None)
        if isinstance(owner, VariableOwner):
            self.track(owner)
        self._endpoints[name] = made = self._program(fn, list(input_signature), is_static)
        return made["function"]

    def _program(self, fn: Callable[..., Any], signature: list[Any], is_static: bool) -> dict[str, Any]:
        variables = list(self.variables)
        inputs = symbolic_inputs(signature, self)
        specs = [jax.ShapeDtypeStruct(v.shape, v._value.dtype) for v in variables]
        words = {"training": False} if "training" in _parameters(fn) else {}
        run = pure(lambda *args: fn(*args, **words), variables)
        with scope(losses=[]):
            program = jax.make_jaxpr(run)(specs, *inputs).jaxpr
            ends = program.outvars[len(program.outvars) - len(variables):]
            changed = [] if is_static else [
                k for k, (before, after) in enumerate(zip(program.invars, ends)) if before is not after]

            def function(values: Any, *args: Any) -> Any:
                outputs, new = run(values, *args)
                return outputs, [new[k] for k in changed]

            exported = jax_export.export(jax.jit(function))(specs, *inputs)
        return {"exported": exported, "changed": changed, "count": len(variables),
                "function": lambda *args: function([v.value for v in variables], *args)[0]}

    def track_and_add_endpoint(self, name: str, resource: Any, input_signature: Any, **kwargs: Any) -> Any:
        """`track` the layer or model, and add its call as an endpoint."""
        self.track(resource)
        return self.add_endpoint(name, resource.__call__, input_signature, **kwargs)

    def add_variable_collection(self, name: str, variables: Any) -> None:
        """Store variables under a name, such as those of the optimizer: an attribute of the loaded file."""
        if not isinstance(variables, (list, tuple, set)) or not all(isinstance(v, Variable) for v in variables):
            raise problem("A collection is a list of variables.", received=variables, where=self,
                          expected="a list, tuple or set of `kyeo.Variable`")
        if name in self._endpoints or not str(name).isidentifier() or name in ("endpoints", "variables"):
            raise problem("This name cannot be used for a collection.", received=f"name={name!r}", where=self)
        self._collections[name] = list(variables)

    def write_out(self, filepath: Any, options: Any = None, verbose: bool = True) -> None:
        """Write the file, which `kyeo.export.load` reads; it appears whole or not at all.

        Args:
            filepath: the file.
            options: nothing; TensorFlow's.
            verbose: whether to print the endpoints.
        """
        if not self._endpoints:
            raise problem("There is no endpoint yet.", where=self,
                          fix="archive.add_endpoint(name, fn, input_signature)")
        if options is not None:
            raise problem("There are no options.", received=f"options={describe(options)}", where=self)
        stored = list(dict.fromkeys([*self.variables, *itertools.chain(*self._collections.values())]))
        place = {v: k for k, v in enumerate(stored)}
        parts = [np.ascontiguousarray(v._value).tobytes() for v in stored]
        facts = {
            "variables": [{"path": v.path, "shape": list(v.shape), "dtype": str(v._value.dtype),
                           "trainable": v.trainable} for v in stored],
            "tracked": len(self.variables),
            "collections": {k: [place[v] for v in group] for k, group in self._collections.items()},
            "endpoints": [{"name": name, "changed": e["changed"], "count": e["count"]}
                          for name, e in self._endpoints.items()],
        }
        write_parts(filepath, facts, parts + [write_program(e["exported"]) for e in self._endpoints.values()])
        if verbose:
            print(f"Saved an archive at {os.fspath(filepath)!r} with the endpoints {', '.join(self._endpoints)}")


def _parameters(fn: Callable[..., Any]) -> Any:
    try:
        return inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return {}
