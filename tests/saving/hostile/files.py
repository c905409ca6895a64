"""Hostile containers: zip, folder, HDF5, the arrays of `core/tensors.py`, checkpoints, archives to be unpacked.

Each row makes a file out of a good one. `refused` is None where it may also do no harm.
"""

import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from kyeo.callbacks.checkpoint import write_tree
from kyeo.core.tensors import write_tensors

__all__ = ["ARCHIVES", "CHECKPOINTS", "FOLDERS", "HDF5", "INDEXES", "TENSORS", "ZIPS", "Change", "members_of", "zipped"]


class Change(NamedTuple):
    """`change` takes the good bytes (or an open file) and the facts of the canary."""

    name: str
    change: Callable[..., Any]
    refused: bool | None = True


CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"


def members_of(good: bytes) -> dict[str, bytes]:
    """The members of a zip."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: Any, compression: int = zipfile.ZIP_STORED, **words: Any) -> bytes:
    """A zip of (name or ZipInfo, bytes) pairs, or of a dict."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression, **words) as archive:
        for name, data in parts.items() if isinstance(parts, dict) else parts:
            archive.writestr(name, data)
    return buffer.getvalue()


# -- zip ---------------------------------------------------------------------------------------------------
def _with(name: str, data: bytes = b"evil", **fields: Any) -> Callable[[bytes, dict], bytes]:
    """A member more."""
    def change(good: bytes, facts: dict) -> bytes:
        info = zipfile.ZipInfo(name)
        for key, value in fields.items():
            setattr(info, key, value)
        return zipped([*members_of(good).items(), (info, data)])

    return change


def _instead(member: str, data: Callable[[bytes], bytes], compression: int = zipfile.ZIP_STORED) -> Callable[..., bytes]:
    """Other bytes in a member."""
    def change(good: bytes, facts: dict) -> bytes:
        parts = members_of(good)
        return zipped({**parts, member: data(parts[member])}, compression)

    return change


def _central(member: str, offset: int, form: str, value: int) -> Callable[[bytes, dict], bytes]:
    """A lie in the central directory: another number at an offset of a member's record."""
    def change(good: bytes, facts: dict) -> bytes:
        data = bytearray(good)
        at = data.rfind(b"PK\x01\x02", 0, data.rfind(member.encode()))
        struct.pack_into(form, data, at + offset, value)
        return bytes(data)

    return change


def _local(offset: int, form: str, value: int) -> Callable[[bytes, dict], bytes]:
    def change(good: bytes, facts: dict) -> bytes:
        data = bytearray(good)
        struct.pack_into(form, data, data.find(b"PK\x03\x04") + offset, value)
        return bytes(data)

    return change


def _end(offset: int, form: str, value: int) -> Callable[[bytes, dict], bytes]:
    def change(good: bytes, facts: dict) -> bytes:
        data = bytearray(good)
        struct.pack_into(form, data, data.rfind(b"PK\x05\x06") + offset, value)
        return bytes(data)

    return change


def _bomb(member: str, size: int, declared: int | None = None) -> Callable[[bytes, dict], bytes]:
    """A member that unpacks to `size` zeros, and may say that it is smaller."""
    def change(good: bytes, facts: dict) -> bytes:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = b"".join([packer.compress(b" " * 2**20) for _ in range(size // 2**20)]) + packer.flush()
        parts = {name: part for name, part in members_of(good).items() if name != member}
        made = bytearray(zipped([*parts.items(), (member, data)]))
        for head, method, length in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
            at = made.rfind(head, 0, made.rfind(member.encode()) if head == b"PK\x01\x02" else made.find(member.encode()))
            struct.pack_into("<H", made, at + method, 8)
            struct.pack_into("<I", made, at + length, min(size if declared is None else declared, 2**32 - 2))
        return bytes(made)

    return change


def _lied_about(good: bytes, facts: dict) -> bytes:
    """A bomb that says it is stored in as many bytes as it would need."""
    data = bytearray(_bomb(WEIGHTS, 150 * 2**20)(good, facts))
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(WEIGHTS.encode()))
    struct.pack_into("<I", data, at + 20, 2**31)
    return bytes(data)


def _overlapping(good: bytes, facts: dict) -> bytes:
    """Two members that share their bytes."""
    data = bytearray(good)
    first = data.find(b"PK\x01\x02")
    second = data.find(b"PK\x01\x02", first + 4)
    data[second + 42:second + 46] = data[first + 42:first + 46]
    return bytes(data)


ZIPS = [
    *(Change(f"member {name[:20]!r}", _with(name), None) for name in (
        "../evil.py", "/etc/evil", "C:\\evil", "a/../../evil", "assets/../../evil", "assets/first/../../../evil",
        "assets//evil", "assets/first/x\0y", "..", "evil.pkl", "data.pkl", "assets/first/vocabulary.txt",
        "assets/" + "x" * 60_000, "CONFIG.JSON", "config.json/", "./config.json", "config.json ")),
    Change("link", _with("assets/first/link", b"/etc/passwd", external_attr=0o120777 << 16, create_system=3), None),
    Change("config twice", lambda g, f: zipped([*members_of(g).items(), (CONFIG, b"{}")])),
    Change("weights twice", lambda g, f: zipped([*members_of(g).items(), (WEIGHTS, members_of(g)[WEIGHTS])])),
    *(Change(f"no {name}", lambda g, f, n=name: zipped({k: v for k, v in members_of(g).items() if k != n}),
             name != METADATA) for name in (CONFIG, WEIGHTS, METADATA)),
    Change("config of 65 MB of spaces", _instead(CONFIG, lambda d: d + b" " * (65 * 2**20), zipfile.ZIP_DEFLATED)),
    Change("weights bomb", _bomb(WEIGHTS, 150 * 2**20)), Change("config bomb", _bomb(CONFIG, 150 * 2**20)),
    Change("weights bomb that says it is small", _bomb(WEIGHTS, 150 * 2**20, 1000)),
    Change("config bomb that says it is small", _bomb(CONFIG, 150 * 2**20, 1000)),
    Change("weights bomb that says it is stored", _lied_about),
    Change("asset bomb", _with("assets/first/vocabulary.txt", b"x" * (100 * 2**20), compress_type=8)),
    Change("bzip2", _instead(WEIGHTS, lambda d: d, zipfile.ZIP_BZIP2)),
    Change("lzma", _instead(WEIGHTS, lambda d: d, zipfile.ZIP_LZMA)),
    Change("lzma bomb", _instead(CONFIG, lambda d: d + b" " * (20 * 2**20), zipfile.ZIP_LZMA)),
    Change("many members", lambda g, f: zipped([*members_of(g).items(), *((f"a{i}", b"") for i in range(25_000))])),
    Change("overlapping members", _overlapping),
    Change("nested zip", lambda g, f: zipped({"model.keras": g})),
    Change("config is a zip", lambda g, f: _instead(CONFIG, lambda d: g)(g, f)),
    Change("weights is a zip", lambda g, f: _instead(WEIGHTS, lambda d: g)(g, f)),
    Change("weights is a pickle", _instead(WEIGHTS, lambda d: b"\x80\x04cos\nsystem\n(S'true'\ntR.")),
    Change("weights is a shell script", _instead(WEIGHTS, lambda d: b"#!/bin/sh\ntouch /tmp/hacked\n")),
    Change("config is a pickle", _instead(CONFIG, lambda d: b"cos\nsystem\n(S'true'\ntR.")),
    Change("config in UTF-16", _instead(CONFIG, lambda d: d.decode().encode("utf-16")), None),
    Change("config in no encoding", _instead(CONFIG, lambda d: b"\xff\xfe\xfd" + d)),
    Change("nothing", lambda g, f: b""), Change("one byte", lambda g, f: b"P"), Change("end only", lambda g, f: g[-22:]),
    Change("a tar", lambda g, f: b"config.json" + b"\0" * 600), Change("text", lambda g, f: b"import os"),
    *(Change(f"cut off at {part}/8", lambda g, f, p=part: g[:len(g) * p // 8]) for part in range(1, 8)),
    *(Change(f"begins at {part}/8", lambda g, f, p=part: g[len(g) * p // 8:]) for part in (1, 4, 7)),
    Change("garbage before", lambda g, f: b"#!/bin/sh\ntrue\n" + g, None),
    Change("garbage after", lambda g, f: g + b"garbage" * 10, None),
    Change("garbage of a megabyte after", lambda g, f: g + b"x" * 2**20, None),
    Change("two zips", lambda g, f: zipped({"x": b"1"}) + g, None), Change("the other zip", lambda g, f: g + zipped({"x": b"1"})),
    *(Change(f"{what} of {member}: {value:#x}", _central(member, offset, form, value), None)
      for member in (CONFIG, WEIGHTS)
      for what, offset, form, value in (
        ("flags", 8, "<H", 1), ("flags", 8, "<H", 0xFFFF), ("method", 10, "<H", 99), ("method", 10, "<H", 8),
        ("checksum", 16, "<I", 0), ("stored", 20, "<I", 0), ("stored", 20, "<I", 0xFFFFFFFE), ("size", 24, "<I", 0),
        ("size", 24, "<I", 0xFFFFFFFE), ("name length", 28, "<H", 0xFFFF), ("extra length", 30, "<H", 0xFFFF),
        ("place", 42, "<I", 0xFFFFFFFE), ("place", 42, "<I", 0), ("disk", 34, "<H", 9), ("zip64", 24, "<I", 0xFFFFFFFF))),
    *(Change(f"local {what}", _local(offset, form, value), None) for what, offset, form, value in (
        ("flags", 6, "<H", 1), ("method", 8, "<H", 99), ("name length", 26, "<H", 0xFFFF), ("size", 22, "<I", 2**31))),
    *(Change(f"end {what}", _end(offset, form, value), None) for what, offset, form, value in (
        ("disk", 4, "<H", 7), ("entries", 10, "<H", 0xFFFF), ("entries none", 10, "<H", 0), ("size", 12, "<I", 0xFFFFFFFE),
        ("size none", 12, "<I", 0), ("place", 16, "<I", 0xFFFFFFFE), ("place none", 16, "<I", 0),
        ("comment", 20, "<H", 0xFFFF))),
]


def _linked(name: str) -> Callable[[Path, dict], None]:
    def change(folder: Path, facts: dict) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(facts["secret"])

    return change


def _pipe(name: str) -> Callable[[Path, dict], None]:
    def change(folder: Path, facts: dict) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return change


def _linked_assets(folder: Path, facts: dict) -> None:
    (folder / "assets").symlink_to(Path(facts["secret"]).parent)


FOLDERS = [
    *(Change(f"{name} is a link", _linked(name), name != METADATA) for name in (CONFIG, WEIGHTS, METADATA)),
    *(Change(f"{name} is a pipe", _pipe(name), name != METADATA) for name in (CONFIG, WEIGHTS, METADATA)),
    Change("assets is a link", _linked_assets, None),
    Change("SavedModel", lambda d, f: [(d / n).unlink() for n in (CONFIG, WEIGHTS)] + [
        (d / "saved_model.pb").write_bytes(b"\x08\x01")]),
    Change("weights is a folder", lambda d, f: [(d / WEIGHTS).unlink(), (d / WEIGHTS).mkdir()]),
    Change("config is big", lambda d, f: os.truncate(d / CONFIG, 2**40)),
]


# -- HDF5 --------------------------------------------------------------------------------------------------
def _dataset(file: h5py.File) -> tuple[h5py.Group, str, tuple[int, ...]]:
    """The first array of the file: its group, its key, its shape."""
    found: list[Any] = []
    file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) and item.ndim == 2 else None)
    item = found[0]
    return item.parent, item.name.rpartition("/")[2], item.shape


def _new(**words: Any) -> Callable[[h5py.File, dict], None]:
    """Another dataset in the place of the first; functions in `words` get the facts and the shape."""
    def change(file: h5py.File, facts: dict) -> None:
        group, key, shape = _dataset(file)
        del group[key]
        made = {k: v(facts, shape) if callable(v) and not isinstance(v, type) else v for k, v in words.items()}
        group.create_dataset(key, **{"shape": shape, "dtype": "float32", **made})

    return change


def _link(make: Callable[[dict], Any]) -> Callable[[h5py.File, dict], None]:
    def change(file: h5py.File, facts: dict) -> None:
        group, key, _ = _dataset(file)
        del group[key]
        group[key] = make(facts)

    return change


def _group_link(make: Callable[[dict], Any], depth: int = 1) -> Callable[[h5py.File, dict], None]:
    """A link in the place of a group above the first array."""
    def change(file: h5py.File, facts: dict) -> None:
        group, _, _ = _dataset(file)
        for _ in range(depth - 1):
            group = group.parent if group.parent.name != "/" else group
        name, parent = group.name.rpartition("/")[2], group.parent
        del parent[name]
        parent[name] = make(facts)

    return change


def _virtual(file: h5py.File, facts: dict) -> None:
    group, key, shape = _dataset(file)
    del group[key]
    layout = h5py.VirtualLayout(shape, "float32")
    layout[:] = h5py.VirtualSource(str(Path(facts["secret"]).with_suffix(".h5")), "0", (3, 4))[:shape[0], :shape[1]]
    group.create_virtual_dataset(key, layout)


def _cycle(file: h5py.File, facts: dict) -> None:
    group, key, _ = _dataset(file)
    del group[key]
    group[key] = file["/"]


def _attribute(name: str, value: Any) -> Callable[[h5py.File, dict], None]:
    def change(file: h5py.File, facts: dict) -> None:
        group, key, _ = _dataset(file)
        made = value(file) if callable(value) else value
        for item in (file, group, group.parent, group[key]):
            item.attrs[name] = made

    return change


def _filtered(number: int) -> Callable[[h5py.File, dict], None]:
    """A dataset packed by a filter that is a plug-in, marked as optional so that it can be written."""
    def change(file: h5py.File, facts: dict) -> None:
        group, key, shape = _dataset(file)
        del group[key]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(shape)
        properties.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
        h5py.h5d.create(group.id, key.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(shape), properties)

    return change


def _many_groups(file: h5py.File, facts: dict) -> None:
    for i in range(3000):
        file.create_group(f"x{i}/y/vars")


def _deep_groups(file: h5py.File, facts: dict) -> None:
    file.create_group("/".join(["a"] * 1500))


def _big_chunk(file: h5py.File, facts: dict) -> None:
    group, key, shape = _dataset(file)
    del group[key]
    group.create_dataset(key, data=np.ones(shape, "float32"), maxshape=(None, None), chunks=(10**4, 5 * 10**3),
                         compression="gzip")


def _bytes(change: Callable[[bytearray], bytes]) -> Callable[[bytes, dict], bytes]:
    return lambda good, facts: change(bytearray(good))


def _heap(number: int, size: int) -> Callable[[bytes, dict], bytes]:
    """The heap of texts with another size of its first object. Found by fuzzing: libhdf5 goes round for ever at 0."""
    def change(good: bytes, facts: dict) -> bytes:
        data = bytearray(good)
        at = data.find(b"GCOL") + 16
        struct.pack_into("<HHIQ", data, at, number, 1, 0, size)
        return bytes(data)

    return change


def _heaps(step: int, count: int) -> Callable[[bytes, dict], bytes]:
    """Heaps behind the file, in each other (`step` 32) or of one long row of objects (0): walking through them took a time
    that grew with the square of the file's size, 5 s for 64 KB. libhdf5 itself never looks there."""
    def change(good: bytes, facts: dict) -> bytes:
        last = struct.pack("<HHIQ", 0, 0, 0, 4096) + bytes(4080)
        if not step:
            return good + struct.pack("<4sB3xQ", b"GCOL", 1, 16 * count + 16 + 4096) + struct.pack("<HHIQ", 1, 1, 0, 0) * count + last
        return good + b"".join(struct.pack("<HHIQ4sB3xQ", 1, 1, 0, 16, b"GCOL", 1, left * step - 16 + 4096)
                               for left in range(count, 0, -1)) + last

    return change


def _texts_of_no_kind(bits: int) -> Callable[[bytes, dict], bytes]:
    """Names whose type is no text and no list. Found by fuzzing: libhdf5 read what was not there, and the process ended."""
    def change(good: bytes, facts: dict) -> bytes:
        data = bytearray(good)
        at = data.find(b"weight_names\0\0\0\0\x19") + 17
        data[at:at + 2] = bits.to_bytes(2, "little")
        return bytes(data)

    return change


def _key_of_no_text(file: h5py.File, facts: dict) -> None:
    """A name that is no UTF-8. Found by fuzzing."""
    group, _, _ = _dataset(file)
    h5py.h5g.create(group.id, b"\xff\xfe")


def _weight_of_no_name(file: h5py.File, facts: dict) -> None:
    """A list of weights that names one of no name. Found by fuzzing."""
    for item in (file, *file.values()):
        if "weight_names" in item.attrs:
            item.attrs["weight_names"] = [b""] * len(item.attrs["weight_names"])


def _root_version(good: bytes, facts: dict) -> bytes:
    """Another version of the header of the top group. Found by fuzzing: the file opens, its attributes do not."""
    data = bytearray(good)
    data[96] = 0x77
    return bytes(data)


def _pickled_numpy(good: bytes, facts: dict) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], object), allow_pickle=True)
    return buffer.getvalue()


def _secret(suffix: str) -> Callable[[dict], str]:
    return lambda facts: str(Path(facts["secret"]).with_suffix(suffix))


HDF5 = [
    Change("external storage", _new(external=lambda f, s: [(_secret(".bin")(f), 0, 48)])),
    Change("external storage by a relative name", _new(external=lambda f, s: [("../canary/secret.bin", 0, 48)])),
    Change("external storage of /etc/passwd", _new(external=[("/etc/passwd", 0, 48)])),
    Change("external storage without end", _new(external=lambda f, s: [(_secret(".bin")(f), 0, h5py.h5f.UNLIMITED)])),
    Change("external link", _link(lambda f: h5py.ExternalLink(_secret(".h5")(f), "/0"))),
    Change("external link to nothing", _link(lambda f: h5py.ExternalLink("nothing.h5", "/0"))),
    Change("soft link", _link(lambda f: h5py.SoftLink("/elsewhere"))), Change("soft link up", _link(lambda f: h5py.SoftLink("../.."))),
    Change("soft link to itself", _link(lambda f: h5py.SoftLink("."))), Change("hard link to the top", _cycle),
    *(Change(f"{name} in the place of a group, {depth} up", _group_link(make, depth)) for depth in (1, 2, 3)
      for name, make in (("external link", lambda f: h5py.ExternalLink(_secret(".h5")(f), "/")),
                         ("soft link", lambda f: h5py.SoftLink("/")),
                         ("an array", lambda f: np.ones((3, 4), "float32")))),
    Change("virtual dataset", _virtual),
    Change("never written", _new()), Change("filled", _new(fillvalue=7.0)), Change("packed and never written", _new(
        chunks=lambda f, s: s, compression="gzip")),
    Change("10**12 rows", _new(shape=(10**12, 2), chunks=(1024, 2))), Change("10**18 numbers", _new(shape=(10**9, 10**9), chunks=(10, 10))),
    Change("many axes", _new(shape=(1,) * 32)), Change("no axes", _new(shape=())), Change("no rows", _new(shape=(0, 4))),
    Change("empty", lambda file, f: _link(lambda f: h5py.Empty("float32"))(file, f)),
    Change("big chunks", _big_chunk),
    *(Change(f"numbers of type {dtype}", _new(dtype=dtype, **({"data": np.zeros((3, 4), dtype)} if kept else {})), refused)
      for dtype, kept, refused in (
        ("S10", True, True), ("V7", True, True), ("V2", True, None), ("float64", True, None), (">f4", True, None),
        ("float16", True, None), ("complex64", True, None), ("int64", True, None), ("uint8", True, None), ("bool", True, None),
        (np.dtype([("a", "f4"), ("b", "S3")]), True, True), (h5py.string_dtype(), False, True), (h5py.ref_dtype, False, True),
        (h5py.regionref_dtype, False, True), (h5py.vlen_dtype("float32"), False, True), (h5py.opaque_dtype("M8[s]"), False, True),
        (h5py.enum_dtype({"a": 1}, "i4"), False, None), (np.dtype(("f4", (2,))), False, True))
      for _ in [0]),
    *(Change(f"filter {number}", _filtered(number)) for number in (4, 5, 6, 305, 32000, 32001, 32004, 32015)),
    Change("group in the place of an array", lambda file, f: (lambda g, k: (g.__delitem__(k), g.create_group(k)))(*_dataset(file)[:2])),
    Change("named type in the place of an array", _link(lambda f: np.dtype("float32"))),
    Change("attribute dtype of many numbers", _attribute("dtype", np.arange(5_000.0)), None),
    Change("attribute dtype is a reference", _attribute("dtype", lambda file: file.ref), None),
    Change("attribute dtype is bfloat16", _attribute("dtype", "bfloat16"), None),
    Change("attribute dtype is opaque", _attribute("dtype", np.void(b"xxxx")), None),
    Change("attribute dtype is empty", _attribute("dtype", h5py.Empty("f4")), None),
    Change("attribute name of 60 KB", _attribute("name", "x" * 60_000), None),
    *(Change(f"attribute {name} is {what}", _attribute(name, value), None) for name in ("layer_names", "weight_names", "model_config")
      for what, value in (("a number", 7), ("a reference", lambda file: file.ref), ("empty", h5py.Empty("S3")), ("no text", [b"\xff\xfe"]),
                          ("a path", [b"../../x", b"/", b".", b"a//b"]), ("many", np.array([b"x"] * 5000)), ("nested", [[b"x"]]))),
    Change("key of no text", _key_of_no_text, None), Change("weight of no name", _weight_of_no_name, None),
    Change("many groups", _many_groups, None), Change("deep groups", _deep_groups, None),
]
# Changes of the bytes themselves.
HDF5_BYTES = [
    *(Change(f"heap object {number} of {size} bytes", _heap(number, size), None) for number, size in (
        (0, 0), (1, 0), (0, 8), (7, 2**63), (1, 2**32), (0, 2**64 - 1))),
    Change("heap of a million objects", _heaps(0, 2**20), None), Change("heaps in each other", _heaps(32, 2**15), None),
    # where there are no such names it is the head that says how many links a node holds, for which 2 is as good as any
    *(Change(f"texts of kind {bits:x}", _texts_of_no_kind(bits), None if bits == 2 else True)
      for bits in (0xFFFF, 0x0, 0x2, 0xF, 0x31, 0xF01)),
    Change("version of the top", _root_version),
    Change("nothing", _bytes(lambda b: b"")), Change("signature alone", _bytes(lambda b: bytes(b[:8]))),
    Change("text", _bytes(lambda b: b"import os")), Change("a numpy file with a pickle", _pickled_numpy),
    *(Change(f"cut off at {part}/8", _bytes(lambda b, p=part: bytes(b[:len(b) * p // 8]))) for part in range(1, 8)),
    *(Change(f"zeros from {part}/8", _bytes(lambda b, p=part: bytes(b[:len(b) * p // 8]) + bytes(len(b) - len(b) * p // 8)), None)
      for part in range(1, 8)),
    *(Change(f"ones at byte {at}", _bytes(lambda b, a=at: bytes(b[:a]) + b"\xff" * 8 + bytes(b[a + 8:])), None)
      for at in (*range(8, 96, 8), 136, 680, 800, 1024)),
]
__all__ += ["HDF5_BYTES"]


# -- arrays and checkpoints --------------------------------------------------------------------------------
def _header(text: Any, data: bytes = b"\0" * 16, length: int | None = None) -> Callable[[bytes, dict], bytes]:
    raw = text if isinstance(text, bytes) else json.dumps(text).encode()
    return lambda good, facts: (len(raw) if length is None else length).to_bytes(8, "little", signed=False) + raw + data


def _entry(**fields: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **fields}}


TENSORS = [
    *(Change(f"{key}: {str(value)[:30]}", _header(_entry(**{key: value}))) for key, value in (
        ("dtype", "F33"), ("dtype", None), ("dtype", ["F32"]), ("dtype", "O"), ("dtype", "object"), ("dtype", "C64"),
        ("shape", [10**12]), ("shape", [-4]), ("shape", [2.0]), ("shape", "4"), ("shape", [True]), ("shape", [1] * 100),
        ("shape", [2**61, 2**61]), ("shape", [5]), ("shape", None), ("shape", [[4]]), ("data_offsets", [0, 32]),
        ("data_offsets", [16, 0]), ("data_offsets", [-16, 0]), ("data_offsets", [0]), ("data_offsets", [0, 16, 32]),
        ("data_offsets", None), ("data_offsets", [0, 2**63]), ("data_offsets", [8, 24]), ("data_offsets", [0, 1e400]),
        ("extra", 1))),
    Change("overlap", _header({**_entry(), "b": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})),
    Change("hole", _header({**_entry(), "b": {"dtype": "U8", "shape": [1], "data_offsets": [17, 18]}}, b"\0" * 18)),
    Change("bytes after", _header(_entry(), b"\0" * 20)), Change("bytes missing", _header(_entry(), b"\0" * 12)),
    Change("name twice", _header(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}')),
    Change("metadata of numbers", _header({"__metadata__": {"a": 1}, **_entry()})),
    Change("metadata is a list", _header({"__metadata__": [], **_entry()})),
    *(Change(f"header of {length:#x} bytes", _header(_entry(), length=length)) for length in (0, 1, 5, 10**4, 10**9, 2**63, 2**64 - 1)),
    *(Change(f"header is {text[:12]!r}", _header(text)) for text in (
        b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'{"a":NaN}', b'{"a":' * 50_000, b"[" * 10**6, b'{"a":' + b"9" * 10**6 + b"}")),
    Change("header of many lists", _header(b'{"a":[' + b"[]," * 10**6 + b"[]]}")),
    Change("nothing", lambda g, f: b""), Change("7 bytes", lambda g, f: g[:7]), Change("8 bytes", lambda g, f: g[:8]),
    Change("a pickle", lambda g, f: b"\x80\x04cos\nsystem\n(S'true'\ntR."), Change("a zip", lambda g, f: zipped({"a": g})),
    Change("polyglot with a zip", lambda g, f: g + zipped({"a": b"x"})),
    *(Change(f"cut off at {part}/8", lambda g, f, p=part: g[:len(g) * p // 8]) for part in range(1, 8)),
]


def _tree(value: Any, **arrays: Any) -> Callable[[Path, dict], None]:
    """A sealed checkpoint whose tree is not as it is written."""
    def change(path: Path, facts: dict) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        write_tensors(path, {"w": np.ones(3), **arrays}, {"form": "kyeo checkpoint 1", "tree": text}, sealed=True)

    return change


CHECKPOINTS = [
    *(Change(f"tree {str(value)[:24]}", _tree(value), refused) for value, refused in (
        ({"__array__": "nothing", "scalar": False}, True), ({"__array__": "w"}, True), ({"__array__": ["w"], "scalar": 0}, True),
        ({"__bytes__": "seal"}, None), ({"__bytes__": 7}, True), ({"__tuple__": 7}, True), ({"__dict__": 7}, True), ({"__dict__": [7]}, True),
        ({"__dict__": [[[], 1]]}, True), ({"__dict__": [[{"__array__": "w", "scalar": False}, 1]]}, True), ("[" * 10**5, True),
        ('{"a":' * 900 + "1" + "}" * 900, None), ("", True), ("nope", True), ("9" * 10**5, True), ({"__class__": "os.system"}, None),
        ({"__torch__": "nothing"}, True), ({"__array__": "w", "scalar": True}, None))),
    Change("another form", lambda p, f: write_tensors(p, {"w": np.ones(3)}, {"form": "x", "tree": "{}"}, sealed=True)),
    Change("no tree", lambda p, f: write_tensors(p, {"w": np.ones(3)}, {"form": "kyeo checkpoint 1"}, sealed=True)),
    Change("not sealed", lambda p, f: write_tensors(p, {"w": np.ones(3)}, {"form": "kyeo checkpoint 1", "tree": "{}"})),
    Change("a flipped bit", lambda p, f: (write_tree(p, {"a": np.ones(9)}), p.write_bytes(
        (b := p.read_bytes())[:-60] + bytes([b[-60] ^ 1]) + b[-59:]))),
    *(Change(f"cut off at {part}/4", lambda p, f, n=part: (write_tree(p, {"a": np.ones(9)}), p.write_bytes(
        p.read_bytes()[:p.stat().st_size * n // 4]))) for part in range(4)),
]


# -- an index of weights in several files ------------------------------------------------------------------
INDEXES = [Change(f"index {str(value)[:40]}", lambda path, f, v=value: path.write_text(json.dumps(v).replace("SECRET", f["secret"])))
           for value in (
    None, [], {}, {"weight_map": []}, {"weight_map": {}}, {"weight_map": {"/vars": []}}, {"weight_map": {"/vars": None}},
    {"weight_map": {"/vars": "../x.weights.h5"}}, {"weight_map": {"/vars": "/etc/passwd"}}, {"weight_map": {"/vars": "SECRET"}},
    {"weight_map": {"/vars": "nothing.weights.h5"}}, {"weight_map": {"/vars": ["a", {}, 7]}}, {"weight_map": {"/vars": "a\0.weights.h5"}},
    {"weight_map": {f"/{i}/vars": f"{i}.weights.h5" for i in range(20_000)}}, {"weight_map": {"/vars": "http://127.0.0.1:9/x.weights.h5"}})]


# -- archives that `get_file(extract=True)` unpacks --------------------------------------------------------
def _tar(*entries: tuple[str, dict[str, Any], bytes]) -> Callable[[Path, dict], None]:
    def change(path: Path, facts: dict) -> None:
        with tarfile.open(path, "w") as archive:
            for name, fields, data in entries:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                for key, value in fields.items():
                    setattr(info, key, value.replace("SECRET", facts["secret"]) if isinstance(value, str) else value)
                archive.addfile(info, io.BytesIO(data))

    return change


_SYMBOLIC, _HARD = {"type": tarfile.SYMTYPE}, {"type": tarfile.LNKTYPE}
ARCHIVES = [
    Change("tar ../", _tar(("../evil", {}, b"x"))), Change("tar /", _tar(("/tmp/kyeo-evil", {}, b"x"))),
    Change("tar a/../../", _tar(("a/../../evil", {}, b"x"))),
    Change("tar link", _tar(("link", {**_SYMBOLIC, "linkname": "SECRET"}, b""))),
    Change("tar link and through it", _tar(("link", {**_SYMBOLIC, "linkname": "../"}, b""), ("link/evil", {}, b"x"))),
    Change("tar long link", _tar(("a" * 90, {**_SYMBOLIC, "linkname": "b/" * 2000 + "../" * 50}, b""), ("a" * 90 + "/evil", {}, b"x"))),
    Change("tar hard link", _tar(("hard", {**_HARD, "linkname": "SECRET"}, b""))),
    Change("tar hard link up", _tar(("hard", {**_HARD, "linkname": "../../canary/secret.txt"}, b""), ("hard", {}, b"x"))),
    Change("tar device", _tar(("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b""))),
    Change("tar pipe", _tar(("pipe", {"type": tarfile.FIFOTYPE}, b""))),
    Change("tar mode", _tar(("set", {"mode": 0o6777}, b"x")), None),
    Change("zip ../", lambda p, f: p.write_bytes(zipped({"../evil": b"x"}))),
    Change("zip /", lambda p, f: p.write_bytes(zipped({"/tmp/kyeo-evil": b"x"}))),
    Change("zip backslash", lambda p, f: p.write_bytes(zipped({"..\\evil": b"x"}))),
    Change("zip bomb", lambda p, f: p.write_bytes(zipped({"a": b"\0" * (80 * 2**20)}, zipfile.ZIP_DEFLATED)), None),
]
