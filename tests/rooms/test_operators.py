"""The operators of variables and symbolic tensors, with arrays on either side."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo

OPERATORS = [text.strip() for text in """
    a + b | a - b | a * b | a / b | a // b | a % b | a ** b | a < b | a <= b | a > b | a >= b | a != b | -a | +a | abs(a)
    a + 1 | 1 + a | 2 - a | 2 * a | 1 / a | 7 // a | 7 % a | 2 ** a | 1 < a | a @ a.T if hasattr(a, 'T') else 0 | a[0]
    a[..., None] | a[:, 1:] | 1.5 != a | (a > 1) & (b > 1) | (a > 1) ^ (b > 1) | ~(a > 1)
""".replace("|", "\n").strip().split("\n")] + ["(a > 1) | (b > 1)"]


@pytest.mark.parametrize("text", OPERATORS)
def test_operators(text):
    """Variables with arrays of either library on either side, and symbolic tensors, do what arrays do."""
    array, other = jnp.asarray([[0.6, 1.1, 1.5], [2.0, 0.9, 3.2]]), jnp.asarray([[1.0, 3, 2], [2, 1, 1]])
    wanted = eval(text, {"a": array, "b": other})
    variables = kyeo.Variable(array), kyeo.Variable(other)
    for a, b in [variables, (variables[0], other), (array, variables[1]), (np.asarray(array), variables[1]),
                 (variables[0], np.asarray(other))]:
        if "T" in text or (isinstance(a, np.ndarray) and "b" not in text.replace("abs", "")):
            continue
        found = eval(text, {"a": a, "b": b})
        assert isinstance(found, jax.Array)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    a, b = (kyeo.KerasTensor(v.shape, "float32") for v in (array, other))
    for second in (b, np.asarray(other)):
        if "T" not in text:
            found = eval(text, {"a": a, "b": second})
            assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype.name)


def test_in_place_operators_do_not_assign():
    variable = kyeo.Variable([1.0, 2.0])
    result = variable
    result += 1
    assert isinstance(result, jax.Array) and variable.numpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", ["shape", "dtype", "sparse", "ragged"])
def test_a_symbolic_tensor_does_not_change(name):
    for library in (kyeo, keras):
        with pytest.raises(AttributeError):
            setattr(library.KerasTensor((2, 3)), name, None)


@pytest.mark.parametrize("shape", [3, None, "ab", (2, "x"), (2, -1), (2.5,)], ids=str)
def test_what_is_no_shape(shape):
    with pytest.raises(ValueError, match="`shape` is not valid"):
        kyeo.KerasTensor(shape)


def test_round():
    assert round(kyeo.Variable([1.26]), 1).dtype == "float32" and np.allclose(round(kyeo.Variable([1.26]), 1), 1.3)
    assert round(kyeo.KerasTensor((2,))).shape == (2,)


@pytest.mark.parametrize("values", [[3, -4], [True, False]], ids=str)
def test_bits_turned_over(values):
    """A mask made of `~` counts as in Keras: the bits of integers, the truth of booleans."""
    ours, theirs = (~library.Variable(values, dtype=np.asarray(values).dtype.name.replace("int64", "int32"))
                    for library in (kyeo, keras))
    assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()


def test_a_variable_is_hashed_by_identity_and_a_tensor_equal_to_itself_only():
    one, other = kyeo.Variable(1.0), kyeo.Variable(1.0)
    assert len({one, other}) == 2 and bool(one == other)
    tensor = kyeo.KerasTensor((2,))
    assert tensor in [tensor] and tensor not in [kyeo.KerasTensor((2,))]


@pytest.mark.parametrize(("text", "mend"), [
    ("bool(a)", "variable.value"), ("bool(one)", "variable.value"), ("not a", "is not None"), ("a and 1", "is not None"),
    ("float(a)", r"variable\[0\]"), ("int(a)", "sum"), ("[*t]", "kyeo.ops"), ("1 in t", "kyeo.ops"), ("len(t)", ""),
    ("bool(t)", "kyeo.ops"), ("0 < t < 1", "kyeo.ops"), ("float(t)", "kyeo.ops"), ("complex(t)", "kyeo.ops"),
    ("np.sum([t, t])", "kyeo.ops"), ("range(t)", ""), ("t.numpy()", "kyeo.ops"),
    ("t.mean()", "kyeo.ops.mean"), ("t.T", "kyeo.ops.transpose"), ("t.astype('int32')", "kyeo.ops.cast"),
    ("t.get_shape()", "x.shape"), ("t.nothing", "no attribute"),
])
def test_what_cannot_be_asked_of_variables_and_symbolic_tensors(text, mend):
    def ask(library):
        values = {"a": library.Variable([1.0, 2.0]), "one": library.Variable(1.0), "t": library.KerasTensor((3, 2))}
        with pytest.raises(Exception) as caught:
            eval(text, {"np": np, **values})
        return caught

    kind = ask(keras).type
    ours = ask(kyeo)
    assert isinstance(ours.value, kind)
    assert ours.match(mend) and "SymbolicTensor" not in str(ours.value)


def test_numpy_takes_a_variable_for_an_array():
    assert np.sqrt(kyeo.Variable([4.0])).tolist() == [2.0]
    with pytest.raises((TypeError, ValueError), match="has no values"):
        np.sqrt(kyeo.KerasTensor((2,)))
    with pytest.raises((TypeError, ValueError), match="has no values"):
        jnp.ones(2) * kyeo.KerasTensor((2,))


@pytest.mark.parametrize(("name", "good", "bad", "kind"), [
    ("constraint", abs, "nonneg", ValueError),
    ("regularizer", kyeo.regularizers.L1(0.1), 0.1, ValueError),
    ("overwrite_with_gradient", True, "yes", TypeError),
])
def test_what_is_set_on_a_variable_is_checked(name, good, bad, kind):
    for Variable in (kyeo.Variable, keras.Variable):
        variable = Variable([1.0], name="v")
        before = getattr(variable, name)
        with pytest.raises(kind):
            setattr(variable, name, bad)
        assert getattr(variable, name) == before
        setattr(variable, name, good)
        assert getattr(variable, name) == good
    with pytest.raises(kind, match=rf"`{name}` of a variable is not valid.\n  Received: {name}={bad!r}(.|\n)*variable 'v'"):
        setattr(kyeo.Variable([1.0], name="v"), name, bad)
