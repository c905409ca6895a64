"""Symbolic sizes: an expression such as `batch*floordiv(size1 - 1, 2)` as nodes that compute it from the inputs."""

import ast
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Size", "evaluate"]


class Size:
    """A size that is known when the file runs: a vector of one int64. Arithmetic adds nodes."""

    def __init__(self, builder: Any, tensor: Any):
        self.builder, self.tensor = builder, tensor

    def apply(self, op: str, other: Any, swapped: bool = False, **attributes: Any) -> "Size":
        """The operator on this and another size, or int."""
        one, two = self.tensor, other.tensor if isinstance(other, Size) else self.builder.ints(other)
        pair = [two, one] if swapped else [one, two]
        return Size(self.builder, self.builder.emit(op, pair, (1,), np.int64, **attributes))


_OPERATORS = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul", ast.Pow: "Pow"}
_FUNCTIONS = {"max": "Max", "min": "Min", "mod": "Mod"}


def evaluate(text: str, symbol: Callable[[str], Size]) -> Any:
    """The value of an expression as `str` of a symbolic size shows it.

    Args:
        text: sums, products and powers (`^`) of ints and names, `floordiv`, `mod`, `max` and `min`.
        symbol: gives the size of a name.

    >>> evaluate("2*n^2 - floordiv(n, 3)", lambda name: 4)
    31
    """
    return _value(ast.parse(text.replace("^", "**"), mode="eval").body, symbol)


def _value(node: ast.expr, symbol: Callable[[str], Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return symbol(node.id)
    if isinstance(node, ast.UnaryOp):
        return _apply("Mul", _value(node.operand, symbol), -1)
    if isinstance(node, ast.BinOp):
        return _apply(_OPERATORS[type(node.op)], _value(node.left, symbol), _value(node.right, symbol))
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    one, two = (_value(argument, symbol) for argument in node.args)
    if node.func.id == "floordiv":  # Div rounds towards zero: take away what is left over first
        return _apply("Div", _apply("Sub", one, _apply("Mod", one, two)), two)
    return _apply(_FUNCTIONS[node.func.id], one, two)


_NUMBERS: dict[str, Callable[[int, int], int]] = {
    "Add": lambda a, b: a + b, "Sub": lambda a, b: a - b, "Mul": lambda a, b: a * b, "Pow": lambda a, b: a**b,
    "Mod": lambda a, b: a % b, "Div": lambda a, b: a // b, "Max": max, "Min": min}


def _apply(op: str, one: Any, two: Any) -> Any:
    if isinstance(one, Size):
        return one.apply(op, two)
    return two.apply(op, one, swapped=True) if isinstance(two, Size) else _NUMBERS[op](one, two)
