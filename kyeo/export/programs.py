"""A program in an archive: what `jax.export` stores, its code as text, from a file that somebody else wrote.

JAX reads such bytes as if it had written them. They are a flatbuffer: tables that point at each other, so a few bytes
can stand for a tree without end. Here everything is visited once beforehand, and what is visited may not be more than
the bytes there are. JAX keeps the code as MLIR's bytecode, whose reader trusts it too: of bytecode changed at random
and well-formed as such, one in a hundred ended the process. MLIR's reader of text is made for mistakes; what it cannot
bear (deep nesting, a few sizes) is looked for beforehand. The program itself may call nothing but StableHLO.
"""

import dataclasses
import re
from typing import Any

from jax import export as jax_export
from jax.extend import mlir
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo
from jax.interpreters.mlir import make_ir_context

from kyeo.core.errors import is_told, problem

__all__ = ["bytecode_of", "read_program", "write_program"]

# What a program may call that is not StableHLO: kernels of linear algebra inside jaxlib, and notes on shapes and
# devices. Above all no call back into Python, which is given as an address in memory.
_CALLS = re.compile(r"lapack_\w+|Sharding|SPMD\w+|shape_assertion|annotate_device_placement"
                    r"|stablehlo\.dynamic_\w+|mhlo\.\w+")
_OLDEST = jax_export.minimum_supported_calling_convention_version
_NEWEST = jax_export.maximum_supported_calling_convention_version
_MAX_DEPTH = 100
_OPERATIONS = re.compile(r"stablehlo\.\w+|func\.(?:func|call|return)|builtin\.module")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
# What JAX does not write: comments, affine maps, resources, names for attributes and types.
_FOREIGN = re.compile(r"//|affine|\{-#|^\s*[#!][\w.$-]+\s*=", re.M)
_CONVOLUTION = re.compile(r"\[[^\[\]]*\]x\[[^\[\]]*\]->\[[^\[\]]*\]")
# A size in a shape, as JAX writes it: no sums in parentheses and no high powers, which would be multiplied out.
_SIZE = re.compile(rb"(?!.*(?:^|[^\w])\()(?!.*\^\d\d)[\w\s+*^(),-]{1,1000}", re.S)

# Fields of a table by their place in it: what they hold, in a list where there are many of them.
_TREE: dict[int, Any] = {10: "text", 12: "bytes", 8: ["text"]}
_TREE[6] = [_TREE]
_ARRAY: dict[int, Any] = {6: ["size"]}
_SHARDING: dict[int, Any] = {6: "bytes", 8: "nothing"}
_PROGRAM: dict[int, Any] = {
    6: "text", 8: _TREE, 10: [_ARRAY], 12: _TREE, 14: [_ARRAY], 18: [_SHARDING], 20: [_SHARDING], 22: ["text"],
    24: [{4: "text"}], 26: [{4: "text"}], 28: [{6: "text"}], 30: "bytes", 34: "bytes", 38: "nothing", 42: [_ARRAY],
    44: ["nothing"], 46: ["nothing"], 48: "bytes", 50: "bytes", 52: "bytes", 54: "bytes", 56: "text",
}


def write_program(exported: Any) -> bytes:
    """The bytes of a program (`jax.export.Exported`), without the places in the source that it came from."""
    with make_ir_context():
        text = ir.Module.parse(exported.mlir_module()).operation.get_asm(enable_debug_info=False)
    return bytes(dataclasses.replace(exported, mlir_module_serialized=text.encode()).serialize())


def read_program(data: bytes, where: str) -> Any:
    """The program (`jax.export.Exported`) in the bytes; nothing of it runs.

    Args:
        data: what `write_program` gave.
        where: how messages name it.

    Raises:
        ValueError: they are damaged, of a version of JAX that this one does not read, or call what they may not.
    """
    try:
        _Walk(data).table(_number(data, 0, 4), _PROGRAM, 0)
        exported = jax_export.deserialize(bytearray(data))
        if not _OLDEST <= exported.calling_convention_version <= _NEWEST:
            raise ValueError(f"version {exported.calling_convention_version} of the way in which programs are called")
        if exported.mlir_module_serialized[:4] == b"ML\xefR":
            raise ValueError("code as MLIR's bytecode, where an archive has text")
        code = bytecode_of(exported.mlir_module_serialized.decode("utf-8"), where)
        return dataclasses.replace(exported, mlir_module_serialized=code)
    except ImportError:
        raise
    except Exception as error:
        if is_told(error):
            raise
        raise problem("A program in this file is damaged, or of another version of JAX.", where=where,
                      received=f"{type(error).__name__}: {str(error).strip()[:200]}",
                      fix="write the archive again, with this version of JAX") from error


def bytecode_of(text: str, where: str) -> bytes:
    """A program's text as MLIR's bytecode, if it calls nothing but StableHLO and kernels of linear algebra.

    Args:
        text: the program as MLIR writes it.
        where: how messages name it.

    Raises:
        ValueError: it calls what it may not, or is not the text of a program.
    """
    _check_text(text)
    with make_ir_context():
        module = ir.Module.parse(text)
        bad: set[str] = set()

        def visit(operation: Any) -> Any:
            name, known = operation.name, _OPERATIONS
            if name == "stablehlo.custom_call":
                name, known = ir.StringAttr(operation.attributes["call_target_name"]).value, _CALLS
            if not known.fullmatch(name):
                bad.add(name)
            return ir.WalkResult.ADVANCE

        module.operation.walk(visit)
        if bad:
            raise problem("A program in this file calls what is not part of StableHLO.", where=where,
                          received=", ".join(sorted(bad)),
                          expected="operations of StableHLO and kernels of linear algebra")
        if "main" not in ir.SymbolTable(module.operation):
            raise ValueError("no function to call")
        return mlir.serialize_portable_artifact(module, stablehlo.get_current_version(), False)


def _check_text(text: str) -> None:
    """Refuse text that MLIR's reader could not bear: it calls itself for what is nested, and counts what it is told."""
    bare = _QUOTED.sub("", text)
    foreign = _FOREIGN.search(bare)
    if foreign:
        raise ValueError(f"{foreign.group().strip()!r} in a program")
    depth = 0
    for sign in re.findall(r"->|[()\[\]{}<>]", bare):
        depth = depth + 1 if sign in "([{<" else max(depth - 1, 0) if sign in ")]}>" else depth
        if depth > _MAX_DEPTH:
            raise ValueError(f"brackets more than {_MAX_DEPTH} deep")
    if any(re.search(r"\d\d", layout) for layout in _CONVOLUTION.findall(re.sub(r"\s", "", bare))):
        raise ValueError("a convolution of more than ten dimensions")


def _number(data: bytes, at: int, width: int, signed: bool = False) -> int:
    if not 0 <= at <= len(data) - width:
        raise ValueError(f"a place outside of the {len(data):,} bytes")
    return int.from_bytes(data[at:at + width], "little", signed=signed)


class _Walk:
    """Visits what a flatbuffer holds, and pays for each step with a byte of it."""

    def __init__(self, data: bytes):
        self._data, self._left = data, len(data)

    def _pay(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError("more than the bytes can hold, so some stand for many things")

    def table(self, at: int, fields: dict[int, Any], depth: int) -> None:
        """The table at a place, whose fields hold what is said."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"tables more than {_MAX_DEPTH} deep")
        self._pay(4)
        places = at - _number(self._data, at, 4, signed=True)
        size = _number(self._data, places, 2)
        for field, kind in fields.items():
            offset = _number(self._data, places + field, 2) if field + 2 <= size else 0
            if offset:
                self._inside(at + offset, kind, depth)

    def _inside(self, at: int, kind: Any, depth: int) -> None:
        if kind == "nothing":
            raise ValueError("gradients or shardings, which an archive does not have")
        to = at + _number(self._data, at, 4)
        if isinstance(kind, dict):
            return self.table(to, kind, depth + 1)
        count = _number(self._data, to, 4)
        self._pay(count)
        if not isinstance(kind, list):
            _number(self._data, to + 4, count)
            if kind == "size" and not _SIZE.fullmatch(self._data[to + 4:to + 4 + count]):
                raise ValueError(f"a size that is none: {self._data[to + 4:to + 4 + min(count, 50)]!r}")
            return None
        for number in range(count):
            self._inside(to + 4 + 4 * number, kind[0], depth)
        return None
