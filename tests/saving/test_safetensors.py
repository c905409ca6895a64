"""Weights in the form of safetensors: read and written beside the package of that name; damaged and hostile files."""

import json
import tracemalloc
import zlib

import ml_dtypes
import numpy as np
import pytest

import kyeo
from kyeo.core import tensors as tensors_module
from kyeo.core.tensors import DamagedFile, Tensors, write_tensors
from tests.saving.test_failing import small

safetensors, package = pytest.importorskip("safetensors"), pytest.importorskip("safetensors.numpy")
F8 = ["float8_e4m3fn", "float8_e5m2"]
DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16", "float32",
          "float64", *F8]


def everything():
    """A model with layers inside layers, frozen ones, seeds, a mixed dtype and an optimizer that has begun."""
    x = kyeo.Input((4,), name="x")
    inner = kyeo.Sequential([kyeo.layers.Dense(3), kyeo.layers.BatchNormalization(), kyeo.layers.Dropout(0.1)], name="inner")
    h = kyeo.layers.Dense(4, dtype="bfloat16", name="half")(inner(x))
    model = kyeo.Model(x, [kyeo.layers.Dense(2)(h), kyeo.layers.Dense(2)(h)])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 4), "float32"), [np.ones((4, 2), "float32")] * 2, verbose=0)
    return model


def test_same_weights_as_in_hdf5_and_in_the_package(tmp_path):
    model, other, third = everything(), everything(), everything()
    model.save_weights(tmp_path / "m.safetensors")
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.safetensors")
    third.load_weights(tmp_path / "m.weights.h5")
    for one in (other, third):
        for a, b in zip([*model.weights, *model.optimizer.variables], [*one.weights, *one.optimizer.variables], strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
    there = package.load_file(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(there["layers/functional/layers/dense/kernel"] if "layers/functional/layers/dense/kernel" in
                                  there else there["layers/sequential/layers/dense/kernel"], model.layers[1].layers[0].kernel)
    assert there["layers/dense/kernel"].dtype == ml_dtypes.bfloat16 and "optimizer/0" in there
    with package.safe_open(tmp_path / "m.safetensors", "numpy") as file:
        told = file.metadata()
    assert told["format"] == "kyeo" and told["kyeo_version"] == kyeo.__version__
    assert set(json.loads(told["crc32"])) == set(there)
    package.save_file({name: np.add(array, 1, dtype=array.dtype, out=np.empty_like(array)) for name, array in there.items()}, tmp_path / "more.safetensors")
    other.load_weights(tmp_path / "more.safetensors", verbose=False)
    np.testing.assert_array_equal(other.layers[1].layers[0].kernel, np.asarray(model.layers[1].layers[0].kernel) + 1)
    # without the optimizer, either way
    model.save_weights(tmp_path / "bare.safetensors", objects_to_skip=[model.optimizer])
    assert not [name for name in package.load_file(tmp_path / "bare.safetensors") if name.startswith("optimizer")]
    steps = int(other.optimizer.iterations)
    other.load_weights(tmp_path / "bare.safetensors")
    other.load_weights(tmp_path / "m.safetensors", objects_to_skip=[other.optimizer])
    assert int(other.optimizer.iterations) == steps == 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_number_types(dtype, tmp_path):
    """Each in both directions, bit for bit, arrays of every rank and of no element too."""
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    numbers = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 256, 24 * kind.itemsize, np.uint8).view(kind)
    arrays = {"a": numbers.reshape(2, 3, 4), "b": numbers[0].reshape(()), "c": numbers[:0], "d": numbers.reshape(4, 6).T[::2]}
    write_tensors(tmp_path / "ours", arrays, {"format": "kyeo"}, summed=True)
    there = {name: (found["dtype"], found["shape"], bytes(found["data"])) for name, found in
             safetensors.deserialize((tmp_path / "ours").read_bytes())}
    codes = {name: code for code, name in tensors_module._NAMES.items()}
    assert there == {name: (codes[dtype], list(a.shape), a.tobytes()) for name, a in arrays.items()}
    package.save_file({name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}, tmp_path / "theirs")
    with Tensors(tmp_path / "theirs") as theirs, Tensors(tmp_path / "ours") as ours:
        for tensors in (theirs, ours):
            assert_same_bits(tensors, arrays)
            tensors.check()
            for name in tensors:
                assert (tensors.shape(name), tensors.dtype(name)) == (arrays[name].shape, kind)


def assert_same_bits(there, arrays):
    assert set(there) == set(arrays)
    for name, array in arrays.items():
        assert there[name].dtype == array.dtype and there[name].shape == array.shape
        assert there[name].tobytes() == array.tobytes()


def test_weights_that_do_not_fit(tmp_path):
    small(units=5).save_weights(tmp_path / "m.safetensors")
    model = small()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r'"first" \(layers/dense\): kernel has shape \(3, 2\), in the file \(3, 5\)'):
        model.load_weights(tmp_path / "m.safetensors")
    with pytest.warns(UserWarning, match="skipped"):
        model.load_weights(tmp_path / "m.safetensors", skip_mismatch=True)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    write_tensors(tmp_path / "c.safetensors", {"layers/dense/kernel": np.ones((3, 2), "complex64"),
                                               "layers/dense/bias": np.ones(2, "int32"), "layers/dense_9/kernel": np.ones(2)})
    with pytest.raises(ValueError, match=r"of float32, in the file complex64(.|\n)*\"second\"(.|\n)*the file has 0"):
        model.load_weights(tmp_path / "c.safetensors")
    small(units=2).save_weights(tmp_path / "m.safetensors")
    arrays = package.load_file(tmp_path / "m.safetensors")
    package.save_file({**arrays, "layers/dense_2/kernel": np.ones(1)}, tmp_path / "more.safetensors")
    with pytest.warns(UserWarning, match="no place for: layers/dense_2"):
        model.load_weights(tmp_path / "more.safetensors")
    np.testing.assert_array_equal(model.layers[0].kernel, arrays["layers/dense/kernel"])
    with pytest.raises(FileExistsError):
        model.save_weights(tmp_path / "m.safetensors", overwrite=False)
    with pytest.raises(ValueError, match="Keras 2"):
        model.load_weights(tmp_path / "m.safetensors", by_name=True)


def test_layers_with_arrays_of_their_own(tmp_path):
    class Own(kyeo.layers.Layer):
        def build(self, shape):
            self.one, self.two = (self.add_weight((2,), name="same") for _ in range(2))
            self.extra = 0

        def call(self, x):
            return x + self.one + self.two

        def save_own_variables(self, store):
            super().save_own_variables(store)
            store[KEY] = np.float32(7)

        def load_own_variables(self, store):
            self.one.assign(store["0"])
            self.two.assign(store["1"])
            self.extra = float(store[KEY])

    models = [kyeo.Sequential([kyeo.Input((2,)), Own(), kyeo.layers.Dense(2, name="d")]) for _ in range(2)]
    models[0].set_weights([w + 1 for w in models[0].get_weights()])
    for KEY in ("k", "a/b"):
        if "/" in KEY:
            with pytest.raises(ValueError, match="without /"):
                models[0].save_weights(tmp_path / "m.safetensors")
            continue
        models[0].save_weights(tmp_path / "m.safetensors")
        assert {"layers/own/0", "layers/own/k"} <= set(package.load_file(tmp_path / "m.safetensors"))
        models[1].load_weights(tmp_path / "m.safetensors")
        assert models[1].layers[0].extra == 7
        for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_memory_of_a_large_model(tmp_path):
    """Loading takes what the model takes, and one tensor more: nothing is staged."""
    def large():
        return kyeo.Sequential([kyeo.Input((1000,)), *(kyeo.layers.Dense(1000, use_bias=False) for _ in range(8))])

    model, other = large(), large()
    assert len(model.get_weights()) == len(other.get_weights())  # which makes the first values
    for name in ("m.safetensors", "m.weights.h5"):
        tracemalloc.start()
        model.save_weights(tmp_path / name)
        other.load_weights(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * 4e6 + 4e6 + 2.5e6, name  # the new arrays of the model, and one that is read
        np.testing.assert_array_equal(model.layers[-1].kernel, other.layers[-1].kernel)
    with open(tmp_path / "m.safetensors", "r+b") as file:  # what was loaded does not hang on the file
        file.write(bytes(2**25))
    np.testing.assert_array_equal(model.layers[3].kernel, other.layers[3].kernel)


def test_progress_is_shown_on_request(tmp_path, capsys):
    model = small()
    model.save_weights(tmp_path / "m.safetensors")
    model.load_weights(tmp_path / "m.safetensors")
    assert capsys.readouterr().out == ""
    model.load_weights(tmp_path / "m.safetensors", verbose=True)
    assert capsys.readouterr().out.startswith("Loading - 1/1 - 0s")


# -- damage ------------------------------------------------------------------------------------------------
def test_every_flipped_bit_and_prefix_is_found(tmp_path):
    path = tmp_path / "m.safetensors"
    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(2)])
    model.save_weights(path)
    data = path.read_bytes()
    before = model.get_weights()
    start = 8 + int.from_bytes(data[:8], "little")
    for at in range(start, len(data), 2):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises(DamagedFile, match="checksum"):
            model.load_weights(path, skip_mismatch=bool(at % 2))
    for at in range(0, 8 * start, 13):  # the header: refused, or the same weights
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        try:
            with Tensors(path) as tensors:
                tensors.check()
                found = dict(tensors)
        except DamagedFile:
            continue
        assert [a.tobytes() for a in found.values()] == [before[0].tobytes(), before[1].tobytes()]
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        with pytest.raises(DamagedFile):
            model.load_weights(path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def one(**changes):
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


def framed(header, data=bytes(8)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


HOSTILE = {
    "empty": b"", "short": b"\7\0\0", "no header": bytes(8), "header of one byte": b"\1" + bytes(7) + b"{",
    "header longer than the file": (2**40).to_bytes(8, "little") + b"{}", "header of 2**64-1": b"\xff" * 8 + b"{}",
    "header over the limit": (100_000_001).to_bytes(8, "little") + b"{}", "no json": framed(b"{hello}"),
    "no object": framed(b"[]"), "number": framed(b"12"), "space before": framed(b" {}", b""), "not utf-8": framed(b'{"\xff":1}'),
    "deep": framed(b'{"a":' + b"[" * 100_000), "deep objects": framed(b'{"a":' * 100_000),
    "crowded": framed(b'{"a":[' + b"[]," * 500_000 + b"[]]}"), "long number": framed(b'{"a":' + b"9" * 10_000 + b"}"),
    "twice": framed(b'{"a":%b,"a":%b}' % ((json.dumps(one()).encode(),) * 2)),
    "metadata twice": framed(b'{"__metadata__":{},"__metadata__":{"a":"b"}}', b""),
    "metadata no texts": framed({"__metadata__": {"a": 1}}, b""), "metadata list": framed({"__metadata__": []}, b""),
    "entry null": framed({"a": None}), "entry list": framed({"a": [1]}), "entry short": framed({"a": {"dtype": "F32"}}),
    "entry more": framed({"a": one(path="/etc/passwd")}), "dtype unknown": framed({"a": one(dtype="F31")}),
    "dtype object": framed({"a": one(dtype="O")}), "dtype number": framed({"a": one(dtype=4)}),
    "dtype list": framed({"a": one(dtype=["F32"])}), "shape text": framed({"a": one(shape="2")}),
    "shape negative": framed({"a": one(shape=[-2])}), "shape two negative": framed({"a": one(shape=[-2, -1])}),
    "shape float": framed({"a": one(shape=[2.0])}), "shape true": framed({"a": one(shape=[2, True])}),
    "shape huge": framed({"a": one(shape=[2**62, 4])}), "shape wraps": framed({"a": one(shape=[2**32, 2**32, 2])}),
    "shape petabyte": framed({"a": one(shape=[2**48])}), "shape of many axes": framed({"a": one(shape=[1] * 63 + [2])}),
    "shape nan": framed(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}'),
    "shape and bytes": framed({"a": one(shape=[3])}), "dtype and bytes": framed({"a": one(dtype="F64")}),
    "offsets three": framed({"a": one(data_offsets=[0, 8, 8])}), "offsets negative": framed({"a": one(data_offsets=[-8, 0])}),
    "offsets backward": framed({"a": one(data_offsets=[8, 0])}), "offsets beyond": framed({"a": one(data_offsets=[8, 16])}),
    "offsets huge": framed({"a": one(data_offsets=[0, 2**63])}), "gap before": framed({"a": one(data_offsets=[4, 12])}, bytes(12)),
    "overlap": framed({"a": one(), "b": one()}), "overlap by half": framed({"a": one(), "b": one(data_offsets=[4, 12])}, bytes(12)),
    "gap": framed({"a": one(), "b": one(data_offsets=[12, 20])}, bytes(20)), "bytes behind": framed({"a": one()}, bytes(9)),
    "bytes missing": framed({"a": one()}, bytes(7)), "no arrays but bytes": framed({}, bytes(8)),
    "checksums no json": framed({"__metadata__": {"crc32": "[["}, "a": one()}),
    "checksums deep": framed({"__metadata__": {"crc32": "[" * 100_000}, "a": one()}),
    "checksum missing": framed({"__metadata__": {"crc32": '{"b":"0"}'}, "a": one()}),
    "checksum wrong": framed({"__metadata__": {"crc32": '{"a":"00000000"}'}, "a": one()}),
    "lone surrogate": framed({"\ud800": one(dtype="F31")}), "zip": b"PK\3\4" + bytes(60), "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(60),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_headers(kind, tmp_path):
    """Refused with little memory, whatever they say they hold."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(HOSTILE[kind])
    model = small()
    tracemalloc.start()
    with pytest.raises(DamagedFile) as caught, Tensors(path) as tensors:
        tensors.check()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * len(HOSTILE[kind]) + 2e6
    assert str(path) in str(caught.value) and str(caught.value).isascii()
    with pytest.raises(ValueError):
        model.load_weights(path)


def test_arrays_in_any_order_are_read(tmp_path):
    """The order of names in the header need not be that of the bytes; arrays of no bytes may lie anywhere between."""
    path = tmp_path / "m"
    path.write_bytes(framed({"b": one(shape=[1], data_offsets=[4, 8]), "z": one(shape=[0, 5], data_offsets=[4, 4]),
                             "a": one(shape=[], data_offsets=[0, 4])}, np.float32([1, 2]).tobytes()))
    with Tensors(path) as tensors:
        assert float(tensors["a"]) == 1 and tensors["b"].tolist() == [2] and tensors["z"].shape == (0, 5)


def test_checksum_is_crc32_of_bytes_and_description(tmp_path):
    write_tensors(tmp_path / "m", {"a/b": np.float32([1, 2])}, summed=True)
    with Tensors(tmp_path / "m") as tensors:
        told = json.loads(tensors.metadata["crc32"])
    assert told == {"a/b": f"{zlib.crc32(np.float32([1, 2]).tobytes() + b'a/b F32 [2]'):08x}"}
