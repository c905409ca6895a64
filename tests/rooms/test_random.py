"""Random numbers: the same bits as Keras for the same seed where both draw them alike, and the right laws."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from scipy import stats

import kyeo
from kyeo import random
from kyeo.core.variable import pure, variables_of

LOGITS = np.log(np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 1e-9]], "float32"))
ROWS = [  # the expression, and the law of the flattened result where one number has one
    ("normal((40, 50), seed=S)", stats.norm()), ("normal((2000,), 2.0, stddev=3.0, seed=S)", stats.norm(2, 3)),
    ("uniform((2000,), seed=S)", stats.uniform()),
    ("uniform((2000,), minval=-1.0, maxval=3.0, seed=S)", stats.uniform(-1, 4)),
    ("truncated_normal((2000,), seed=S)", stats.truncnorm(-2, 2)),
    ("truncated_normal((2000,), 1.0, 2.0, seed=S)", stats.truncnorm(-2, 2, 1, 2)),
    ("randint((3, 4), 0, 9, seed=S)", None), ("randint((4,), -5, 5, dtype='int8', seed=S)", None),
    ("categorical(LOGITS, 5, seed=S)", None), ("categorical(LOGITS, 3, dtype='uint8', seed=S)", None),
    ("shuffle(X, seed=S)", None), ("shuffle(X, axis=1, seed=S)", None), ("gamma((2000,), 2.0, seed=S)", stats.gamma(2)),
    ("gamma((2, 3), X[:2, :3], seed=S)", None), ("binomial((3, 2), 8, 0.25, seed=S)", None),
    ("binomial((2,), [4.0, 9.0], [0.5, 0.1], seed=S)", None), ("beta((2000,), 2.0, 5.0, seed=S)", stats.beta(2, 5)),
]
X = np.arange(1, 13, dtype="float32").reshape(3, 4)


def draw(expression, library, seed):
    return eval(expression, {**vars(library.random), "S": seed, "X": X, "LOGITS": LOGITS})


@pytest.mark.parametrize("expression", [row[0] for row in ROWS])
def test_same_bits_as_keras(expression):
    ours, theirs = (np.asarray(draw(expression, lib, 1234)) for lib in (kyeo, keras))
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("expression", [expression for expression, law in ROWS if law])
def test_law(expression):
    assert stats.kstest(np.ravel(draw(expression, kyeo, 3)), dict(ROWS)[expression].cdf).pvalue > 1e-3


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_drawn_in_float32(dtype):
    """From random numbers of 8 bits the largest of a normal distribution is 2.9, and of 1,000 equal classes 55 are never drawn."""
    drawn = random.normal((40_000,), dtype=dtype, seed=1)
    assert drawn.dtype == dtype and 3.5 < float(abs(drawn).max()) < 6
    np.testing.assert_array_equal(drawn, random.normal((40_000,), seed=1).astype(dtype))
    classes = random.categorical(jnp.zeros((1, 1000), dtype), 20_000, seed=2)[0]
    assert np.bincount(classes, minlength=1000).min() > 0
    high = random.uniform((40_000,), 1.0, 1.01, dtype=dtype, seed=3)
    assert float(high.min()) >= 1 and float(high.max()) < float(jnp.asarray(1.01, dtype))


@pytest.mark.parametrize("expression", [row[0] for row in ROWS] + ["dropout(X, 0.5, seed=S)"])
def test_kinds_of_seeds(expression):
    generator, twin = random.SeedGenerator(5), random.SeedGenerator(5)
    values = [np.asarray(draw(expression, kyeo, generator), "float32").tolist() for _ in range(2)]
    assert values == [np.asarray(draw(expression, kyeo, twin), "float32").tolist() for _ in range(2)]
    assert values[0] == np.asarray(draw(expression, kyeo, 5), "float32").tolist()
    kyeo.utils.set_random_seed(1)
    key = jax.random.key(5)  # of JAX, in either form
    assert np.array_equal(draw(expression, kyeo, key), draw(expression, kyeo, jax.random.key_data(key)))
    unseeded = [np.asarray(draw(expression, kyeo, None), "float32").tolist() for _ in range(3)]
    kyeo.utils.set_random_seed(1)
    assert unseeded[0] == np.asarray(draw(expression, kyeo, None), "float32").tolist()
    assert len({str(v) for v in unseeded}) > 1


def test_generator_states_are_those_of_keras():
    ours, theirs = random.SeedGenerator(9), keras.random.SeedGenerator(9)
    for ordered in (True, True, False, True):
        np.testing.assert_array_equal(ours.next(ordered), theirs.next(ordered))
    np.testing.assert_array_equal(ours.state, theirs.state.numpy())
    assert ours.state.name == theirs.state.name and not ours.state.trainable and ours.state.dtype == theirs.state.dtype
    assert set(ours.get_config()) == set(theirs.get_config())
    again = random.SeedGenerator.from_config(ours.get_config())
    assert again.seed == 9 and again.name == ours.name
    assert random.SeedGenerator(-3).state.numpy().tolist() == [2**32 - 3, 0]


def test_generator_is_pure_under_pure():
    generator = random.SeedGenerator(2)
    assert variables_of(generator) == [generator.state]
    run = jax.jit(pure(lambda: (generator.next(), random.uniform((2,), seed=generator)), [generator.state]))
    (key, numbers), (state,) = run([jnp.array([7, 3], "uint32")])
    assert key.tolist() == [7, 3] and state.tolist() == [7, 5] and generator.state.numpy().tolist() == [2, 0]
    assert numbers.shape == (2,)


def test_unseeded_inside_a_transformation_is_refused():
    with pytest.raises(ValueError, match="same numbers each time"):
        jax.jit(lambda: random.normal((2,)))()


@pytest.mark.parametrize(("rate", "noise_shape"), [(0.25, None), (0.9, None), (0.5, (None, 1)), (0.5, (1, 200))])
def test_dropout(rate, noise_shape):
    x = np.full((300, 200), 3.0, "float32")
    out = np.asarray(random.dropout(x, rate, noise_shape, seed=3))
    kept = out != 0
    np.testing.assert_allclose(out[kept], 3 / (1 - rate), rtol=1e-6)
    draws = kept.size if noise_shape is None else max(size or 300 for size in noise_shape)
    assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / draws)
    if noise_shape == (None, 1):
        assert (kept == kept[:, :1]).all()
    half = jax.eval_shape(lambda x: random.dropout(x, rate, seed=1), jax.ShapeDtypeStruct((4,), "bfloat16"))
    assert half.dtype == "bfloat16"


@pytest.mark.parametrize("name", ["normal", "truncated_normal"])
def test_numbers_have_the_dtype_asked_for(name):
    """Also where the mean or the deviation is of another type, as NumPy's numbers are."""
    found = jax.eval_shape(lambda: getattr(random, name)((2,), jnp.zeros(2), np.float32(0.5), "float16", seed=1))
    assert found.dtype == "float16"


def test_dropout_of_nothing_and_of_all():
    assert random.dropout(X, 0.0, seed=1).tolist() == X.tolist()
    assert not random.dropout(X, 1.0, seed=1).any()


def test_categorical_follows_the_probabilities():
    drawn = np.asarray(random.categorical(LOGITS, 20000, seed=1))
    counts = np.stack([np.bincount(row, minlength=3) for row in drawn]) / 20000
    np.testing.assert_allclose(counts, [[0.1, 0.2, 0.7], [0.5, 0.5, 0]], atol=0.015)


BAD = [
    (lambda r: r.normal((2,), seed="a"), "`seed`"), (lambda r: r.normal((2,), seed=True), "`seed`"),
    (lambda r: r.normal((2,), dtype="int32"), "gives floats"),
    (lambda r: r.uniform((2,), dtype="int32"), "gives floats"),
    (lambda r: r.randint((2,), 0, 2, dtype="float32"), "gives integers"), (lambda r: r.dropout(X, 1.5), "`rate`"),
    (lambda r: r.categorical(X[0], 2), "must be a matrix"), (lambda r: r.categorical(LOGITS, -1), "num_samples"),
    (lambda r: r.SeedGenerator("a"), "`seed`"), (lambda r: r.SeedGenerator(1.5), "`seed`"),
    (lambda r: r.beta((2,), 1.0, 1.0, dtype="int32"), "gives floats"),
]


@pytest.mark.parametrize(("make", "part"), BAD, ids=[f"{i}-{part}" for i, (_, part) in enumerate(BAD)])
def test_bad_arguments(make, part):
    with pytest.raises((ValueError, TypeError), match=part):
        make(random)


def test_every_function_has_a_row():
    named = {expression.split("(")[0] for expression, _ in ROWS} | {"dropout", "SeedGenerator", "make_default_seed"}
    assert set(random.__all__) == named
    assert {name for name in dir(keras.random) if not name.startswith("_")} <= set(random.__all__)
