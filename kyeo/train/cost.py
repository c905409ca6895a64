"""What a step asks of the machine, found from its traced form: how large it is decides how it is run."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

__all__ = ["Cost", "bounds_products", "step_cost"]

_LOOPS = ("scan", "while")
_SPREAD = ("broadcast_in_dim", "convert_element_type", "reshape")


@dataclasses.dataclass
class Cost:
    """The work of a step.

    Attributes:
        flops: floating-point operations of its products and convolutions.
        of_images: those of convolutions of images.
        operations: how many operations of any kind it is written with, by which the time to compile it goes.
        convolves: whether there is a convolution.
        loops: whether there is a loop.
        dtypes: of the operands of products and convolutions.
        example: what the step gives, as shapes.
    """

    flops: float = 0.0
    of_images: float = 0.0
    operations: int = 0
    convolves: bool = False
    loops: bool = False
    dtypes: set[str] = dataclasses.field(default_factory=set)
    example: Any = None

    def add(self, jaxpr: Any, times: float = 1.0) -> None:
        """Count what stands in a traced function that runs so many times."""
        for equation in jaxpr.eqns:
            name = equation.primitive.name
            self.operations += 1
            self.convolves |= name == "conv_general_dilated"
            self.loops |= name in _LOOPS
            if name in ("conv_general_dilated", "dot_general"):
                flops = times * _flops(equation)
                self.flops += flops
                self.of_images += flops if name == "conv_general_dilated" and equation.invars[0].aval.ndim == 4 else 0
                self.dtypes |= {str(variable.aval.dtype) for variable in equation.invars}
            for body in _inner(equation):
                self.add(body, times * equation.params.get("length", 1))


def bounds_products(jaxpr: Any, not_0: Iterable[Any] = ()) -> bool:
    """Whether a traced function takes the maximum of 0 and what may be a product; `not_0` are scalars among its inputs.

    >>> bounds_products(jax.make_jaxpr(lambda x: jax.numpy.maximum(x @ x, 0))(np.ones((2, 2))).jaxpr)
    True
    """
    scalars = _Scalars(set(not_0))
    for equation in jaxpr.eqns:
        if scalars.bound(equation):
            return True
        scalars.follow(equation)
        if any(bounds_products(body, scalars.handed_to(body, equation)) for body in _inner(equation)):
            return True
    return False


def _inner(equation: Any) -> Iterator[Any]:
    """The functions that an operation runs."""
    for inner in jax.tree.leaves(tuple(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
        body = getattr(inner, "jaxpr", inner)
        if hasattr(body, "eqns"):
            yield body


class _Scalars:
    """Which variables of a traced function are a scalar in every place, and may be 0; and what is no product."""

    def __init__(self, not_0: set[Any]):
        self.not_0 = not_0
        self.apart: set[Any] = set()  # scalars that may be 0, in every place; the largest or the sum of numbers

    def may_be_0(self, operand: Any) -> bool:
        if hasattr(operand, "val"):  # a literal
            return not np.any(operand.val)
        return operand not in self.not_0 and (not operand.aval.shape or operand in self.apart)

    def follow(self, equation: Any) -> None:
        """Note what an operation makes."""
        name = equation.primitive.name
        if name.startswith("reduce_") or (name in _SPREAD and self.may_be_0(equation.invars[0])):
            self.apart.update(equation.outvars)
        elif name in _SPREAD and self._is_not_0(equation.invars[0]):
            self.not_0.update(equation.outvars)

    def handed_to(self, body: Any, equation: Any) -> list[Any]:
        """The inputs of an inner function that are scalars other than 0."""
        if len(body.invars) != len(equation.invars):
            return []
        return [to for to, given in zip(body.invars, equation.invars, strict=True) if self._is_not_0(given)]

    def bound(self, equation: Any) -> bool:
        """Whether an operation is the maximum of 0 and what may be a product."""
        name, operands = equation.primitive.name, equation.invars
        pairs = {"max": (operands[:2], operands[1::-1]), "clamp": (operands[:2],)}.get(name, ())
        return any(self.may_be_0(low) and not (hasattr(other, "val") or self.may_be_0(other)) for low, other in pairs)

    def _is_not_0(self, operand: Any) -> bool:
        return bool(np.any(operand.val)) if hasattr(operand, "val") else operand in self.not_0


def step_cost(traced: Any) -> Cost:
    """The work of a traced step.

    >>> import jax.numpy as jnp
    >>> step_cost(jax.jit(lambda x: x @ x).trace(jnp.ones((10, 10)))).flops
    2000.0
    """
    cost = Cost(example=traced.out_info)
    cost.add(traced.jaxpr)
    return cost


def _flops(equation: Any) -> float:
    """Of one product or convolution."""
    output = equation.outvars[0].aval.shape
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2.0 * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted) * math.prod(output)
    kernel = equation.invars[1].aval.shape
    filters = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    return 2.0 * math.prod(output) * math.prod(kernel) / filters
