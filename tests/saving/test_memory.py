"""A `.keras` file is read where it lies: of a large one little is in memory besides the model, packed or not."""

import io
import os
import random
import tracemalloc
import zipfile
import zlib

import h5py
import numpy as np
import pytest

import kyeo
from kyeo.saving import zips
from kyeo.saving.hdf5 import ReadGroup, open_for_reading
from kyeo.saving.heaps import HEAP, _Pieces, check_heaps

LAYERS, UNITS = 5, 1024
TENSOR = 4 * UNITS**2  # bytes of the largest


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    model = kyeo.Sequential([kyeo.Input((UNITS,)), *(kyeo.layers.Dense(UNITS) for _ in range(LAYERS))])
    model.layers[0].bias.assign(np.arange(UNITS))
    model.save(folder / "plain.keras")
    with zipfile.ZipFile(folder / "plain.keras") as old, zipfile.ZipFile(
            folder / "packed.keras", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return folder, model


@pytest.mark.parametrize("name", ["plain", "packed"])
def test_little_is_held(name, saved, monkeypatch):
    """One tensor after the other is read, and no more than one is held."""
    folder, model = saved
    monkeypatch.setattr(zips, "_BLOCK", 2**19)
    monkeypatch.setattr(zips, "_KEPT", 3)
    monkeypatch.setattr(zips, "memory", lambda: 0)
    tracemalloc.start()
    try:
        with zips.opened_archive(folder / f"{name}.keras") as (_, weights, _, _), open_for_reading(weights, name) as store:
            for i in range(LAYERS):
                assert ReadGroup(store, f"layers/dense_{i}" if i else "layers/dense", name)["0"].nbytes == TENSOR
        assert tracemalloc.get_traced_memory()[1] < TENSOR + 6 * 2**20 < LAYERS * TENSOR / 1.5
    finally:
        tracemalloc.stop()
    again = kyeo.saving.load_model(folder / f"{name}.keras")
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def packed(data):
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("seed", range(3))
def test_back_and_forth(seed, monkeypatch):
    """Any order of reading gives the bytes; beyond the end are zeros, as HDF5 expects; what is kept has a bound."""
    monkeypatch.setattr(zips, "_BLOCK", 1000)
    monkeypatch.setattr(zips, "_TIMES", 500)
    monkeypatch.setattr(zips, "memory", lambda: 16_000 * zips._MEMORY)
    draw = random.Random(seed)
    data = b"".join(draw.randbytes(300) + bytes(draw.randrange(2000)) for _ in range(40))
    stored = packed(data)
    for window in (zips._Window(io.BytesIO(b"head" + data + b"tail"), 4, len(data), len(data)),
                   zips._Unpacked(io.BytesIO(b"head" + stored + b"tail"), 4, len(stored), len(data))):
        for _ in range(100):
            at, size = draw.randrange(len(data) + 50), draw.randrange(3000)
            assert window.seek(at) == at
            buffer = bytearray(b"x" * size)
            assert window.readinto(buffer) == max(0, min(size, len(data) - at))
            assert buffer == data[at:at + size].ljust(size, b"\0")
        window.seek(-5, 2)
        assert window.read() == data[-5:]
        assert len(getattr(window, "_blocks", ())) <= 16


@pytest.mark.parametrize("blocks, times", [(7.5, 1), (15.5, 1), (39.5, 2.4)])
def test_read_three_times(blocks, times, monkeypatch):
    """As a model with heaps is: the checksum, what there is, the values. It is unpacked once if memory is large enough."""
    monkeypatch.setattr(zips, "_BLOCK", 1000)
    monkeypatch.setattr(zips, "memory", lambda: 16_000 * zips._MEMORY)
    data = random.Random(0).randbytes(int(blocks * 1000))
    window = zips._Unpacked(io.BytesIO(packed(data)), 0, len(packed(data)), len(data))
    for _ in range(3):
        window.seek(0)
        assert b"".join(iter(lambda: window.read(700), b"")) == data
    assert window._done <= times * len(data)
    bomb = zips._Unpacked(io.BytesIO(packed(bytes(10**5))), 0, len(packed(bytes(10**5))), 10**5)
    assert len(bomb.read()) == 10**5 and len(bomb._blocks) == zips._KEPT


@pytest.mark.parametrize("change, words", [
    (lambda f: b"\xff" * 50 + f[50:], "invalid block"), (lambda f: f[:-50], "shorter"), (lambda f: b"", "shorter"),
])
def test_damage_that_comes_later(change, words):
    data = random.Random(0).randbytes(10**5)
    window = zips._Unpacked(io.BytesIO(change(packed(data))), 0, len(packed(data)), len(data))
    with pytest.raises(OSError, match=words):
        window.read()
    with pytest.raises(OSError, match="shorter"):
        zips._Window(io.BytesIO(data[:-1]), 0, len(data), len(data)).read()


def test_unpacked_over_and_over(monkeypatch):
    """A file that leads HDF5 from its end to its beginning and back costs no more than some times its size."""
    monkeypatch.setattr(zips, "_BLOCK", 1000)
    window = zips._Unpacked(io.BytesIO(packed(bytes(100_000))), 0, len(packed(bytes(100_000))), 100_000)
    with pytest.raises(OSError, match="over and over"):
        for at in range(10**5):
            window.seek(at * 7919 % 100_000)
            window.read(1)
    assert window._done <= zips._TIMES * 100_000 + 1000


def test_a_checksum_that_is_wrong(saved, tmp_path):
    """One bit of an array, in which HDF5 would see nothing."""
    folder, _ = saved
    data = bytearray((folder / "plain.keras").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "m.keras").write_bytes(data)
    with pytest.raises(ValueError, match=r"damaged(.|\n)*checksum"):
        kyeo.saving.load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("at", [0, 2**20 - 3, 2**20, 2**21 + 2])
def test_whether_there_are_heaps_is_seen_with_the_checksum(at):
    """Also where the sign lies across two pieces that are read."""
    data = bytearray(2**21 + 7)
    data[at:at + 5] = HEAP
    assert zips._checksum(io.BytesIO(data), HEAP) == (zlib.crc32(data), True)
    assert zips._checksum(io.BytesIO(data.replace(HEAP, b"     ")), HEAP)[1] is False


def test_heaps_of_a_file_without_a_name():
    """Long texts are looked at piece by piece, those that lie across two pieces too."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["before"] = np.zeros(2**20 - 3000, "uint8")
        for i in range(40):
            file.attrs[f"text{i}"] = "long " * 200
    good = buffer.getvalue()
    assert good.count(b"GCOL\x01") > 3
    for at in (None, good.find(b"GCOL\x01"), good.rfind(b"GCOL\x01")):
        data = bytearray(good)
        if at is not None:
            data[at + 24:at + 32] = (2**40).to_bytes(8, "little")  # the length of its first object
        with h5py.File(io.BytesIO(data), "r") as file:
            file.source = io.BytesIO(data)
            if at is None:
                check_heaps(file, "here")
            else:
                with pytest.raises(ValueError, match="an object of 1,099,511,627,776"):
                    check_heaps(file, "here")


@pytest.mark.parametrize("left", [0, 3, 5000, 2**20 + 2])
def test_a_file_cut_off_while_heaps_are_sought(left, tmp_path):
    """By another program: the search for the next heap would go round for ever at the new end."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["before"] = np.zeros(2**21, "uint8")
    with h5py.File(tmp_path / "m.h5", "r") as file:
        os.truncate(tmp_path / "m.h5", left)
        walked = _Pieces(open(tmp_path / "m.h5", "rb", buffering=0))  # noqa: SIM115
        with walked._file, pytest.raises(OSError, match="become shorter"):
            walked._size = 2**21
            walked.find(HEAP)
        check_heaps(file, "here")
