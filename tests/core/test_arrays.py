"""Values from the host: copied, cast as JAX casts, and never compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kyeo
from kyeo.core.arrays import from_host, to_array


@pytest.fixture
def no_compilation(monkeypatch):
    def compiled(*args, **kwargs):
        raise AssertionError("compiled")

    monkeypatch.setattr("jax._src.interpreters.pxla.lower_sharding_computation", compiled)


def aligned(values):
    """A NumPy array that JAX could take over without a copy."""
    values = np.asarray(values)
    buffer = np.empty(values.nbytes + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    out = buffer[start:start + values.nbytes].view(values.dtype).reshape(values.shape)
    out[...] = values
    return out


@pytest.mark.parametrize("make", [
    from_host, to_array, kyeo.Variable, lambda x: kyeo.Variable(x, dtype="float32"), lambda x: kyeo.ops.add(x, 0),
    lambda x: kyeo.Variable(np.zeros_like(x)).assign(x), lambda x: kyeo.Variable(np.zeros_like(x)).assign_add(x),
    kyeo.ops.convert_to_tensor, kyeo.ops.array,
    lambda x: kyeo.Variable(kyeo.initializers.Constant(x), shape=x.shape),
])
def test_memory_is_not_shared(make):
    host = aligned(np.ones(4096, "float32"))
    made = make(host)
    host[:] = 2
    assert float(np.asarray(made)[0]) == 1


@pytest.mark.parametrize("value", [
    np.ones((2, 13)), np.ones((3, 17), "float32"), np.arange(19), np.ones(23, bool), [1.0] * 29, [[1, 2, 3, 4]] * 7,
    np.float64(3), np.ones((5, 31), "float32")[:, ::2],
], ids=lambda v: f"{type(v).__name__}{np.shape(v)}")
def test_nothing_compiles(value, no_compilation):
    to_array(value)
    kyeo.Variable(value)
    kyeo.Variable(np.asarray(value), dtype="bfloat16")


@pytest.mark.parametrize("value", [
    1, 1.5, True, [1, 2], [1.0, 2], [True, False], [], [[1.0], [2.0]], np.float16(1), np.int64(7), np.float64(7),
    np.arange(3), np.arange(3.0), np.ones(2, "uint8"), np.ones(2, "complex64"), np.ones(2, jnp.bfloat16), [np.float16(2)],
    (1, 2), [1j],
], ids=repr)
def test_types_are_those_of_jax(value):
    ours, theirs = to_array(value), jnp.asarray(value)
    assert (ours.dtype, ours.shape, ours.weak_type) == (theirs.dtype, theirs.shape, theirs.weak_type)


def test_inside_a_trace():
    host = np.arange(3.0)
    assert jax.jit(lambda x: x + to_array(host))(1.0).tolist() == [1, 2, 3]
    assert jax.jit(lambda x: to_array([x, 2.0]))(1.0).tolist() == [1, 2]


MODEL = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(3)], name="small")


@pytest.mark.parametrize(("dtype", "mend"), [
    (np.dtypes.StringDType(), "text into integers"), ("U1", "text into integers"), ("S1", "text into integers"),
    ([("a", "f4"), ("b", "i4")], "structured_to_unstructured"), ("V4", r"x.view\("), ("M8[s]", "times into numbers"),
    ("m8[s]", "times into numbers"),
], ids=str)
@pytest.mark.parametrize("take", [
    from_host, kyeo.Variable, kyeo.ops.convert_to_tensor, lambda x: kyeo.ops.add(x, 1), MODEL, MODEL.layers[0],
    lambda x: MODEL.predict(x, verbose=0), MODEL.layers[0].kernel.assign,
], ids=["from_host", "Variable", "convert_to_tensor", "add", "model", "layer", "predict", "assign"])
def test_what_are_no_numbers_is_refused_in_our_words(take, dtype, mend):
    with pytest.raises(TypeError, match=rf"(?s)does not hold numbers\..*Received: ndarray.*{mend}") as caught:
        take(np.zeros((3, 3), dtype))
    assert ("Where:" in str(caught.value)) == (take in (MODEL, MODEL.layers[0]))


def test_numbers_stored_as_objects_are_numbers():
    assert to_array(np.array([1, 2.5], object)).tolist() == [1, 2.5]
