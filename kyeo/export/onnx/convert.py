"""From the program that JAX traces to a graph of ONNX: one table from a primitive to the function that writes it."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kyeo.core.errors import problem
from kyeo.export.onnx import arrange, control, elementwise, indexing, linear, reduce
from kyeo.export.onnx.graph import Builder, Tensor, Unsupported

__all__ = ["Converter"]

LAZY = elementwise.LAZY | arrange.LAZY | control.LAZY  # take tensors in any layout, with what repeats left out
WHOLE = arrange.WHOLE | reduce.WHOLE | linear.WHOLE  # with every element, in any layout
FULL = reduce.FULL | linear.FULL | indexing.FULL  # as the program sees them

NEVER_NOW = ("broadcast_in_dim", "while", "scan", "cond")
LARGEST = 1 << 22  # elements of an array that is computed now instead of in the file
_WHY = {
    "pure_callback": "it computes on the host, outside of the program",
    "random_bits": "it draws random numbers", "threefry2x32": "it draws random numbers",
    "complex": "ONNX has no complex numbers",
}


class Converter(Builder):
    """A Builder that runs programs."""

    def run(self, program: Any, args: Sequence[Tensor]) -> list[Tensor]:
        """Write the program (a closed jaxpr) for these inputs; its outputs."""
        known = {**dict(zip(program.jaxpr.constvars, (self.const(np.asarray(c)) for c in program.consts))),
                 **dict(zip(program.jaxpr.invars, args))}

        def read(atom: Any) -> Tensor:
            if hasattr(atom, "val"):
                return self.const(np.asarray(atom.val, atom.aval.dtype))
            return known[atom]

        outer = self.where
        needed = self._needed(program.jaxpr)
        for eqn, wanted in zip(program.jaxpr.eqns, needed):
            if not wanted:
                continue
            inner = str(eqn.source_info.name_stack)
            self.where = "/".join(part for part in (outer, inner) if part)
            outputs = self._write(eqn, [read(atom) for atom in eqn.invars])
            known.update(zip(eqn.outvars, outputs))
            self.where = outer
        return [read(atom) for atom in program.jaxpr.outvars]

    def _needed(self, jaxpr: Any) -> list[bool]:
        """Which equations an output hangs on."""
        wanted = {v for v in jaxpr.outvars if not hasattr(v, "val")}
        found = []
        for eqn in reversed(jaxpr.eqns):
            found.append(bool(wanted.intersection(eqn.outvars)))
            if found[-1]:
                wanted.update(v for v in eqn.invars if not hasattr(v, "val"))
        return found[::-1]

    def _write(self, eqn: Any, args: list[Tensor]) -> list[Tensor]:
        inner, name = control.inner_program(eqn), eqn.primitive.name
        if inner is not None:
            return self.run(inner if hasattr(inner, "consts") else jax.extend.core.ClosedJaxpr(inner, ()), args)
        if name == "call_hi_primitive":  # one that JAX writes out later
            made = eqn.params["_prim"]
            return self.run(jax.make_jaxpr(lambda *flat: made.expand(*jax.tree.unflatten(made.in_tree, flat)))(
                *(jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars)), args)
        if args and all(a.const is not None for a in args) and name not in NEVER_NOW:
            folded = self._folded(eqn, args)
            if folded is not None:
                return folded
        if any(a.parts for a in args) and name not in ("real", "imag", "abs"):
            raise self._refusal(name, "ONNX has no complex numbers")
        handler = LAZY.get(name) or WHOLE.get(name) or FULL.get(name)
        if handler is None:
            raise self._refusal(name, _WHY.get(name, f"ONNX has no operator for JAX's {name!r}"))
        if name in WHOLE:
            args = [self.whole(a, v.aval.shape) for a, v in zip(args, eqn.invars)]
        elif name in FULL:
            args = [self.full(a, v.aval.shape) for a, v in zip(args, eqn.invars)]
        try:
            made = handler(self, eqn, *args)
        except Unsupported as error:
            raise self._refusal(name, f"ONNX has no operator for {error}") from None
        return made if isinstance(made, list) else [made]

    def _refusal(self, name: str, why: str) -> Exception:
        return problem("This model cannot be written as ONNX.", received=f"the computation {name!r}: {why}",
                       where=f"layer {self.where!r}" if self.where else "the model's call", kind=NotImplementedError,
                       expected="computations that ONNX has operators for",
                       fix='export(..., format="stablehlo"), or leave this layer out and run it before the model')

    def _folded(self, eqn: Any, args: list[Tensor]) -> list[Tensor] | None:
        """Known values are computed now; None where sizes are open or the result is large."""
        shapes = [v.aval.shape for v in eqn.outvars]
        if not all(isinstance(s, int) for shape in shapes for s in shape):
            return None
        if any(np.prod(shape) > LARGEST or jnp.issubdtype(v.aval.dtype, jax.dtypes.extended)
               for shape, v in zip(shapes, eqn.outvars)):
            return None
        with jax.ensure_compile_time_eval():
            arrays = [jnp.asarray(self.full(a, v.aval.shape).const) for a, v in zip(args, eqn.invars)]
            try:
                made = eqn.primitive.bind(*arrays, **eqn.params)
            except NotImplementedError:  # a size inside is open
                return None
        made = made if eqn.primitive.multiple_results else [made]
        return [self.const(np.asarray(value)) for value in made]
