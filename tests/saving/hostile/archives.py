"""Hostile archives of `kyeo.export`: headers that lie under a right checksum, and programs that are none."""

import dataclasses
import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
from jax import export as jax_export

from kyeo import InputSpec
from kyeo.export import ExportArchive
from kyeo.export.programs import bytecode_of, write_program
from tests.saving.hostile.files import Change

__all__ = ["PROGRAMS", "archived", "good_archive", "split", "with_code", "with_facts", "with_program"]


def good_archive(model: Any) -> bytes:
    """An archive with one endpoint, and the variables of the optimizer."""
    archive = ExportArchive()
    archive.track_and_add_endpoint("serve", model, [InputSpec(shape=(None, 3), dtype="float32")])
    archive.add_variable_collection("kept", model.optimizer.variables)
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(os.path.join(folder, "a"), verbose=False)
        return Path(folder, "a").read_bytes()


def split(good: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The header and the parts of an archive."""
    length = int.from_bytes(good[8:16], "little")
    facts, at, parts = json.loads(good[48:48 + length]), 48 + length, []
    for said in facts["parts"]:
        parts.append(good[at:at + said["size"]])
        at += said["size"]
    return facts, parts


def archived(header: Any, parts: list[bytes], length: int | None = None) -> bytes:
    """An archive whose checksum is right whatever its header says."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return b"KYEOEXP1" + (len(raw) if length is None else length).to_bytes(8, "little") + hashlib.sha256(
        raw).digest() + raw + b"".join(parts)


def with_facts(good: bytes, change: Callable[[dict], Any]) -> bytes:
    """Another header."""
    facts, parts = split(good)
    changed = change(facts)
    return archived(facts if changed is None else changed, parts)


def with_program(good: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Another program, with the checksum and the size it has."""
    facts, parts = split(good)
    parts[-1] = change(parts[-1])
    facts["parts"][-1] = {"size": len(parts[-1]), "sha256": hashlib.sha256(parts[-1]).hexdigest()}
    return archived(facts, parts)


def _header(raw: Any, **words: Any) -> Callable[[bytes, dict], bytes]:
    return lambda good, facts: archived(raw, split(good)[1], **words)


def _at(*path: Any, to: Any) -> Callable[[bytes, dict], bytes]:
    def inside(facts: dict) -> None:
        *through, last = path
        for key in through:
            facts = facts[key]
        if to is Ellipsis:
            del facts[last]
        else:
            facts[last] = to

    return lambda good, facts: with_facts(good, inside)


def _program(change: Callable[[bytes], bytes]) -> Callable[[bytes, dict], bytes]:
    return lambda good, facts: with_program(good, change)


def _field(data: bytes, number: int) -> int:
    """Where a field of the top table stands."""
    at = struct.unpack_from("<I", data)[0]
    places = at - struct.unpack_from("<i", data, at)[0]
    return at + struct.unpack_from("<H", data, places + number)[0]


def _patched(number: int, form: str, value: int, through: int = 0) -> Callable[[bytes], bytes]:
    """Another number in a field of the top table, or where it points."""
    def change(data: bytes) -> bytes:
        made, at = bytearray(data), _field(data, number)
        for step in range(through):
            at += struct.unpack_from("<I", data, at)[0] + 4 * step
        struct.pack_into(form, made, at, value)
        return bytes(made)

    return change


def _many_trees(data: bytes) -> bytes:
    """A tree in which each node has two children that are one: 2**60 leaves in few bytes."""
    builder = flatbuffers.Builder(0)
    node = 0
    for depth in range(60):
        children = 0
        if depth:
            builder.StartVector(4, 2, 4)
            builder.PrependUOffsetTRelative(node)
            builder.PrependUOffsetTRelative(node)
            children = builder.EndVector()
        builder.StartObject(5)
        builder.PrependInt8Slot(0, 3 if depth else 1, 0)
        builder.PrependUOffsetTRelativeSlot(1, children, 0)
        node = builder.EndObject()
    builder.StartObject(27)
    builder.PrependUOffsetTRelativeSlot(2, node, 0)
    builder.PrependUOffsetTRelativeSlot(4, node, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _sizes(text: bytes) -> Callable[[bytes], bytes]:
    """A size in a shape that takes for ever to multiply out."""
    def change(data: bytes) -> bytes:
        made, at = bytearray(data), data.find(b"\x05\0\0\0batch\0")
        assert at > 0 and len(text) == 5
        made[at + 4:at + 9] = text
        return bytes(made)

    return change


def _calls_back(data: bytes) -> bytes:
    """A program that calls an address in memory."""
    import jax
    import jax.numpy as jnp

    called = jax.jit(lambda *leaves: jax.ffi.ffi_call("xla_ffi_python_cpu_callback", jax.ShapeDtypeStruct((2,), jnp.float32))(
        leaves[0], callback=7))
    shape = jax.ShapeDtypeStruct((2,), jnp.float32)
    return write_program(jax_export.export(called, disabled_checks=[jax_export.DisabledSafetyCheck.custom_call(
        "xla_ffi_python_cpu_callback")])(shape))


def with_code(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A program with other code."""
    def changed(data: bytes) -> bytes:
        exported = jax_export.deserialize(bytearray(data))
        code = change(exported.mlir_module_serialized)
        return bytes(dataclasses.replace(exported, mlir_module_serialized=code).serialize())

    return changed


def _as_bytecode(code: bytes) -> bytes:
    """The code as MLIR's bytecode, whose reader follows an attribute that holds itself for ever."""
    return bytecode_of(code.decode(), "here")


def _module(body: str) -> Callable[[bytes], bytes]:
    return lambda code: f"module @m {body} {{ func.func @main() {{ return }} }}".encode()


_DEEP = 10**5
_CODE: dict[str, Callable[[bytes], bytes]] = {
    "bytecode": _as_bytecode, "nothing": lambda code: b"", "no main": lambda code: code.replace(b"@main", b"@other"),
    "deep lists": _module("attributes {a = " + "[" * _DEEP + "]" * _DEEP + "}"),
    "deep types": _module("attributes {a = " + "tuple<" * _DEEP + ">" * _DEEP + "}"),
    "deep modules": lambda code: b"module { " * _DEEP + b"}" * _DEEP,
    "an affine map": _module("attributes {a = affine_map<(d0) -> (" + "- " * _DEEP + "d0)>}"),
    "a place within itself": lambda code: b"#a = loc(#a)\n" + code,
    "a comment": lambda code: code + b"// x", "a resource": lambda code: code + b"{-# dialect_resources: {} #-}",
    "a convolution of 2**31 dimensions": _module("attributes {a = #stablehlo.conv<[b, 2147483648, f]x[0, i, o]->[b, 0, f]>}"),
    "the same apart": _module("attributes {a = #stablehlo.conv<[b, 0, f] x\n[0, i, o] -> [b, 2147483648, f]>}"),
    "memory": lambda code: code.replace(b"return", b"%m = memref.alloc() : memref<2xf32>\n return", 1),
    "an operation of others": lambda code: code.replace(b"return", b'%m = "os.system"() : () -> i32\n return', 1),
    "an unknown value": lambda code: code.replace(b"%0", b"%77", 1),
    "a tensor without its numbers": _module('attributes {a = dense<"0x00"> : tensor<1000000000xf32>}'),
}


_ODD: tuple[Any, ...] = (None, 7, -1, 1.5, True, "x", [], {}, [[]], 10**30)
PROGRAMS = [
    *(Change(f"header is {raw[:12]!r}", _header(raw)) for raw in (
        b"", b"{}", b"[]", b"null", b"7", b"{", b"\xff\xfe", b'{"parts":NaN}', b'{"parts":' * 50_000, b"[" * 10**6,
        b'{"parts":[' + b"[]," * 10**6 + b"[]]}", b'{"parts":[],"parts":[]}', b'{"parts":' + b"9" * 10**6 + b"}")),
    *(Change(f"header of {length:#x} bytes", _header({"parts": []}, length=length)) for length in (0, 10**9, 2**63, 2**64 - 1)),
    *(Change(f"without {'.'.join(map(str, path))}", _at(*path, to=...)) for path in (
        ("parts",), ("variables",), ("tracked",), ("collections",), ("endpoints",), ("parts", 0, "size"), ("parts", 0, "sha256"),
        ("parts", 0), ("variables", 0), ("variables", 0, "path"), ("variables", 0, "shape"), ("variables", 0, "dtype"),
        ("variables", 0, "trainable"), ("endpoints", 0), ("endpoints", 0, "name"), ("endpoints", 0, "count"), ("endpoints", 0, "changed"))),
    *(Change(f"{'.'.join(map(str, path))} is {str(value)[:8]}", _at(*path, to=value), None if (path, value) == (("tracked",), 7) else True)
      for value in _ODD for path in (
        ("parts",), ("parts", 0), ("parts", 0, "size"), ("parts", 0, "sha256"), ("variables",), ("variables", 0), ("variables", 0, "path"),
        ("variables", 0, "shape"), ("variables", 0, "dtype"), ("tracked",), ("collections",), ("endpoints",), ("endpoints", 0),
        ("endpoints", 0, "name"), ("endpoints", 0, "count"), ("endpoints", 0, "changed"), ("collections", "kept"))
      if not ((value == "x" and path in (("variables", 0, "path"), ("endpoints", 0, "name"))) or (value in ([], {}) and path[0] in (
          "collections",)) or (value == [] and path[-1] == "changed") or (value == {} and path[-1] in ("changed",)))),
    *(Change(f"{'.'.join(map(str, path))} = {str(value)[:20]}", _at(*path, to=value)) for path, value in (
        (("variables", 0, "shape"), [10**12]), (("variables", 0, "shape"), [2**62, 4]), (("variables", 0, "shape"), [-3, -4]),
        (("variables", 0, "shape"), [1] * 100 + [3, 4]), (("variables", 0, "shape"), [4, 3]), (("variables", 0, "dtype"), "object"),
        (("variables", 0, "dtype"), "int32"), (("parts", 0, "size"), 2**63), (("parts", 0, "size"), -1), (("parts", 1, "size"), 0),
        (("collections", "kept"), [99]), (("collections", "kept"), [-1]), (("collections", "__class__"), []), (("collections", "serve"), []),
        (("endpoints", 0, "name"), "__init__"), (("endpoints", 0, "name"), "a b"), (("endpoints", 0, "name"), "x" * 10**5),
        (("endpoints", 0, "changed"), [-1]), (("endpoints", 0, "changed"), [99]), (("endpoints", 0, "count"), 1), (("tracked",), 0))),
    *(Change(f"program cut off at {part}/8", _program(lambda d, p=part: d[:len(d) * p // 8])) for part in range(8)),
    *(Change(f"program of {name}", _program(lambda d, b=data: b)) for name, data in (
        ("zeros", bytes(4096)), ("ones", b"\xff" * 4096), ("random bytes", hashlib.shake_256(b"x").digest(4096)), ("text", b"import os\n" * 50),
        ("a pickle", b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x11touch /tmp/hacked\x85R."))),
    *(Change(f"program with {value:#x} as field {number}", _program(_patched(number, form, value))) for number, form, value in (
        (32, "<H", 0), (32, "<H", 999))),
    *(Change(f"program with {value:#x} things in field {number}", _program(_patched(number, "<I", value, 1))) for number in (10, 18, 22, 30, 42)
      for value in (2**32 - 1, 10**6)),
    *(Change(f"program with field {number} elsewhere", _program(_patched(number, "<I", value)), True if value else None)
      for number in (8, 12, 30, 42)
      for value in (2**32 - 1, 0)),
    Change("program whose MLIR is zeros", _program(lambda d: _zeroed(d))), Change("program with 2**60 leaves", _program(_many_trees)),
    *(Change(f"program with a size {text!r}", _program(_sizes(text)), None if text == b"__x__" else True) for text in (b"b^9^9", b"(a+b)", b"a^999", b"__x__", b"\xff\xfe\xff\xfe\xff", b"a\0b\0c")),
    Change("program that calls back", _program(_calls_back)),
    *(Change(f"program's code: {name}", _program(with_code(change))) for name, change in _CODE.items()),
]


def _zeroed(data: bytes) -> bytes:
    at = _field(data, 30)
    at += struct.unpack_from("<I", data, at)[0]
    size = struct.unpack_from("<I", data, at)[0]
    return data[:at + 4] + bytes(size) + data[at + 4 + size:]
