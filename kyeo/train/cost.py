"""What a step asks of the machine, found from its traced form: how large it is decides how it is run."""

import dataclasses
import math
from typing import Any

import jax
import numpy as np

__all__ = ["Cost", "step_cost"]

_LOOPS = ("scan", "while")
_SPREAD = ("broadcast_in_dim", "convert_element_type", "reshape")


@dataclasses.dataclass
class Cost:
    """The work of a step.

    Attributes:
        flops: floating-point operations of its products and convolutions.
        operations: how many operations of any kind it is written with, by which the time to compile it goes.
        convolves: whether there is a convolution.
        loops: whether there is a loop.
        clips: whether values are bounded by 0 that may come from a product.
        dtypes: of the operands of products and convolutions.
        example: what the step gives, as shapes.
    """

    flops: float = 0.0
    operations: int = 0
    convolves: bool = False
    loops: bool = False
    clips: bool = False
    dtypes: set[str] = dataclasses.field(default_factory=set)
    example: Any = None

    def add(self, jaxpr: Any, times: float = 1.0) -> None:
        """Count what stands in a traced function that runs so many times."""
        apart: set[Any] = set()  # what is no product, and scalars in every place, which may be 0
        for equation in jaxpr.eqns:
            name = equation.primitive.name
            self.operations += 1
            self.clips |= _is_bounded_by_0(equation, apart)
            if name.startswith("reduce_") or (name in _SPREAD and _may_be_0(equation.invars[0], apart)):
                apart.update(equation.outvars)
            self.convolves |= name == "conv_general_dilated"
            self.loops |= name in _LOOPS
            if name in ("conv_general_dilated", "dot_general"):
                self.flops += times * _flops(equation)
                self.dtypes |= {str(variable.aval.dtype) for variable in equation.invars}
            for inner in jax.tree.leaves(tuple(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
                body = getattr(inner, "jaxpr", inner)
                if hasattr(body, "eqns"):
                    self.add(body, times * equation.params.get("length", 1))


def step_cost(traced: Any) -> Cost:
    """The work of a traced step.

    >>> import jax.numpy as jnp
    >>> step_cost(jax.jit(lambda x: x @ x).trace(jnp.ones((10, 10)))).flops
    2000.0
    """
    cost = Cost(example=traced.out_info)
    cost.add(traced.jaxpr)
    return cost


def _may_be_0(operand: Any, apart: set[Any]) -> bool:
    if hasattr(operand, "val"):  # a literal
        return not np.any(operand.val)
    return not operand.aval.shape or operand in apart


def _is_bounded_by_0(equation: Any, apart: set[Any]) -> bool:
    """Whether it is the maximum of 0 and something that is none of `apart`."""
    name, operands = equation.primitive.name, equation.invars
    pairs = {"max": (operands[:2], operands[1::-1]), "clamp": (operands[:2],)}.get(name, ())
    return any(_may_be_0(bound, apart) and not (hasattr(other, "val") or _may_be_0(other, apart))
               for bound, other in pairs)


def _flops(equation: Any) -> float:
    """Of one product or convolution."""
    output = equation.outvars[0].aval.shape
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2.0 * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted) * math.prod(output)
    kernel = equation.invars[1].aval.shape
    filters = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    return 2.0 * math.prod(output) * math.prod(kernel) / filters
