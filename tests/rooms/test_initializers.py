"""Initializers: the fixed ones against Keras's values, the drawn ones against their distributions."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from scipy import stats

import kyeo
from kyeo import initializers
from kyeo.core.configurable import Configurable
from kyeo.core.scope import scope

FIXED = [
    ("Zeros", {}, (2, 3)), ("Ones", {}, (2, 3)), ("Ones", {}, ()), ("Constant", {}, (2,)),
    ("Constant", {"value": 3}, (2, 3)), ("Constant", {"value": [1.0, 2.0]}, (3, 2)), ("Identity", {}, (3, 3)), ("Identity", {"gain": 2.0}, (2, 4)),
    ("STFT", {}, (8, 1, 5)), ("STFT", {"side": "imag", "window": "hamming", "periodic": True}, (8, 1, 5)),
    ("STFT", {"window": None}, (4, 1, 3)), ("STFT", {"scaling": "spectrum"}, (6, 1, 4)),
    ("STFT", {"scaling": None}, (6, 1, 4)),
]
# name, arguments, shape, and the distribution to be met: (kind, location, scale)
CONV, DENSE = (3, 3, 16, 64), (120, 80)
DRAWN = [
    ("RandomNormal", {}, DENSE, ("norm", 0, 0.05)),
    ("RandomNormal", {"mean": 1.0, "stddev": 2.0}, DENSE, ("norm", 1, 2)),
    ("TruncatedNormal", {"mean": -1.0, "stddev": 0.5}, DENSE, ("truncnorm", -1, 0.5)),
    ("RandomUniform", {}, DENSE, ("uniform", -0.05, 0.1)),
    ("RandomUniform", {"minval": 2, "maxval": 3}, DENSE, ("uniform", 2, 1)),
    ("GlorotUniform", {}, DENSE, ("uniform", -np.sqrt(6 / 200), 2 * np.sqrt(6 / 200))),
    ("GlorotUniform", {}, CONV, ("uniform", -np.sqrt(6 / 720), 2 * np.sqrt(6 / 720))),
    ("GlorotNormal", {}, DENSE, ("variance", 0, np.sqrt(2 / 200))),
    ("HeNormal", {}, CONV, ("variance", 0, np.sqrt(2 / 144))),
    ("HeUniform", {}, DENSE, ("uniform", -np.sqrt(6 / 120), 2 * np.sqrt(6 / 120))),
    ("LecunNormal", {}, DENSE, ("variance", 0, np.sqrt(1 / 120))),
    ("LecunNormal", {}, (5000,), ("variance", 0, 1 / np.sqrt(5000))),
    ("LecunUniform", {}, DENSE, ("uniform", -np.sqrt(3 / 120), 2 * np.sqrt(3 / 120))),
    ("VarianceScaling", {"scale": 4.0, "mode": "fan_out"}, CONV, ("variance", 0, np.sqrt(4 / 576))),
    ("VarianceScaling", {"distribution": "untruncated_normal"}, DENSE, ("norm", 0, np.sqrt(1 / 120))),
    ("VarianceScaling", {"distribution": "normal", "mode": "fan_avg"}, DENSE, ("variance", 0, np.sqrt(1 / 100))),
    ("VarianceScaling", {"input_axes": [1], "output_axes": [0], "distribution": "uniform"}, DENSE,
     ("uniform", -np.sqrt(3 / 80), 2 * np.sqrt(3 / 80))),
]
ORTHOGONAL = [({}, (6, 4)), ({}, (4, 6)), ({"gain": 2.0}, (3, 3, 2, 5)), ({}, (2, 2, 1, 40))]
CLASSES = [n for n in initializers.__all__ if isinstance(getattr(initializers, n), type) and n[0].isupper()]


def distribution(kind, location, scale):
    if kind == "variance":  # a truncated normal of that standard deviation after the cut
        kind, scale = "truncnorm", scale / stats.truncnorm(-2, 2).std()
    return stats.truncnorm(-2, 2, location, scale) if kind == "truncnorm" else getattr(stats, kind)(location, scale)


@pytest.mark.parametrize(("name", "arguments", "shape"), FIXED, ids=str)
@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16"])
def test_fixed_ones_are_those_of_keras(name, arguments, shape, dtype):
    if name == "STFT" and dtype is not None:  # Keras computes angles in half precision
        assert np.asarray(initializers.STFT(**arguments)(shape, dtype)).dtype == dtype
        return
    ours, theirs = (np.asarray(getattr(lib.initializers, name)(**arguments)(shape, dtype)) for lib in (kyeo, keras))
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    tolerance = 1e-5 if dtype is None else 2e-2
    np.testing.assert_allclose(ours.astype("float32"), theirs.astype("float32"), rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize(("name", "arguments", "shape", "law"), DRAWN, ids=str)
def test_drawn_ones_follow_their_law(name, arguments, shape, law):
    values = np.asarray(getattr(initializers, name)(**arguments, seed=3)(shape))
    assert values.dtype == "float32" and values.shape == shape
    law = distribution(*law)
    low, high = law.support()
    assert values.min() >= low - 1e-6 and values.max() <= high + 1e-6
    assert stats.kstest(values.ravel(), law.cdf).pvalue > 1e-3
    assert abs(values.mean() - law.mean()) < 5 * law.std() / np.sqrt(values.size)
    assert abs(values.std() / law.std() - 1) < 0.06


@pytest.mark.parametrize(("arguments", "shape"), ORTHOGONAL, ids=str)
def test_orthogonal(arguments, shape):
    values = np.asarray(initializers.Orthogonal(**arguments, seed=1)(shape)).reshape(-1, shape[-1])
    values = values if values.shape[0] >= values.shape[1] else values.T
    gain = arguments.get("gain", 1.0)
    np.testing.assert_allclose(values.T @ values, gain**2 * np.eye(values.shape[1]), atol=1e-5)


def test_orthogonal_is_uniform():
    """A column of a random 3 x 3 rotation is uniform on the sphere, so each coordinate is uniform on [-1, 1]."""
    draws = [np.asarray(initializers.Orthogonal(seed=s)((3, 3))) for s in range(400)]
    for i, j in [(0, 0), (2, 1), (1, 2)]:
        assert stats.kstest([d[i, j] for d in draws], stats.uniform(-1, 2).cdf).pvalue > 1e-3


CONFIGS = [row[:2] for row in FIXED + DRAWN] + [("Orthogonal", {"gain": 2.0})]


@pytest.mark.parametrize(("name", "arguments"), CONFIGS, ids=str)
def test_config(name, arguments):
    seed = {} if name in ("Zeros", "Ones", "Constant", "Identity", "STFT") else {"seed": 7}
    one = getattr(initializers, name)(**arguments, **seed)
    theirs = getattr(keras.initializers, name)(**arguments, **seed)
    written = initializers.serialize(one)
    lost = {"gain": one.gain} if name == "Identity" else {}  # Keras forgets it
    assert one.get_config() == {**theirs.get_config(), **lost}
    assert written == {**keras.initializers.serialize(theirs), "config": one.get_config()}
    again = initializers.deserialize(written)
    assert type(again) is type(one) and again.get_config() == one.get_config() == one.clone().get_config()


def test_seeds():
    normal = initializers.RandomNormal
    a = normal(seed=1)
    assert (a((3,)) == a((3,))).all() and (a((3,)) == normal(seed=np.int64(1))((3,))).all()
    assert (a((3,)) != normal(seed=2)((3,))).all()
    generator = kyeo.random.SeedGenerator(4)
    b = normal(seed=generator)
    assert (b((3,)) != b((3,))).all() and generator.state.value[1] == 2
    again = initializers.deserialize(initializers.serialize(b))
    assert isinstance(again.seed, kyeo.random.SeedGenerator) and again.seed.seed == 4


def test_unseeded_draws_belong_to_process_seed_path_and_count():
    def draw(path, seed=5, times=1):
        kyeo.utils.set_random_seed(seed)
        with scope(path=path):
            return [np.asarray(initializers.get("he_normal")((4, 4))).tolist() for _ in range(times)]

    first = draw("dense/kernel", times=2)
    assert first == draw("dense/kernel", times=2) and first[0] != first[1]
    assert first[0] not in (draw("dense/bias")[0], draw("dense/kernel", seed=6)[0])
    assert first[0] == draw("dense_3/kernel")[0]  # the same model built again in the same process
    kyeo.utils.set_random_seed(5)
    one, two = (kyeo.Variable(initializers.HeNormal(), shape=(4, 4), name="kernel").numpy().tolist() for _ in "12")
    assert draw("kernel")[0] == one != two


def test_no_draw_compiles(monkeypatch):
    def compiled(*args, **kwargs):
        raise AssertionError("compiled")

    monkeypatch.setattr("jax._src.interpreters.pxla.lower_sharding_computation", compiled)
    for name in CLASSES:
        if name not in ("Initializer", "Identity", "IdentityInitializer", "STFT", "STFTInitializer"):
            for dtype in ("float32", "bfloat16"):
                kyeo.Variable(getattr(initializers, name)(), shape=(7, 5), dtype=dtype)
    with pytest.raises(AssertionError, match="compiled"):  # the trap works
        jax.jit(lambda x: x * 77)(jnp.ones(3))


def test_bits_do_not_change():
    """Weights of a seed are a promise; this fails when the way they are drawn changes."""
    values = np.asarray(initializers.GlorotUniform(seed=1)((2, 2))).ravel()
    np.testing.assert_array_equal(values, np.float32([-0.14613378, -0.4102407, -0.70383227, 0.29139006]))


NAMES = [name for name in initializers.__all__ if name not in ("get", "serialize", "deserialize", "Initializer")]


@pytest.mark.parametrize("name", [*NAMES, "normal", "one", "uniform", "zero"])
def test_names(name):
    found = initializers.get(name)
    theirs = getattr(keras.initializers, name, None) or type(keras.initializers.get(name))
    assert type(found).__name__ == theirs.__name__
    assert isinstance(found, initializers.Initializer) and isinstance(found, Configurable)
    assert type(getattr(initializers, name, type(found))()) is type(found)


def test_identifiers():
    def halves(shape, dtype=None):
        return np.full(shape, 0.5, dtype)

    assert initializers.get(None) is None and initializers.get(halves) is halves
    assert type(initializers.get(initializers.Ones)) is initializers.Ones
    assert initializers.get({"class_name": "Constant", "config": {"value": 2.0}}).value == 2.0
    whole = initializers.get(np.arange(6.0).reshape(2, 3))
    assert whole((2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]] and whole((2, 3)).dtype == "float32"
    again = initializers.deserialize(initializers.serialize(whole))
    assert again((2, 3)).tolist() == whole((2, 3)).tolist()


BAD = [
    (lambda i: i.get("glorot_unifrm"), "did you mean"), (lambda i: i.get(3), "cannot be read"),
    (lambda i: i.RandomNormal(seed="a"), "`seed`"), (lambda i: i.RandomNormal(stddev="a"), "`stddev`"),
    (lambda i: i.VarianceScaling(scale=0), "`scale`"), (lambda i: i.VarianceScaling(mode="fan"), "`mode`"),
    (lambda i: i.VarianceScaling(distribution="flat"), "`distribution`"),
    (lambda i: i.Identity()((2, 2, 2)), "matrices"),
    (lambda i: i.Orthogonal()((3,)), "need a matrix"), (lambda i: i.get(np.ones(5))((3, 5)), "do not fit"),
    (lambda i: i.Constant([1, 2])((3,)), "do not fit"), (lambda i: i.RandomUniform()((2,), "int32"), "floats"),
    (lambda i: i.STFT(side="both"), "`side`"), (lambda i: i.STFT(scaling="no"), "`scaling`"),
    (lambda i: i.STFT(window=np.ones(3))((8, 1, 5)), "length"), (lambda i: i.Initializer()((2,)), "must say how"),
]


@pytest.mark.parametrize(("make", "part"), BAD, ids=[part for _, part in BAD])
def test_bad_arguments(make, part):
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=part):
        make(initializers)


def test_every_initializer_has_a_row():
    rows = {row[0] for row in FIXED + DRAWN} | {"Orthogonal", "Initializer"}
    aliases = {"IdentityInitializer", "OrthogonalInitializer", "STFTInitializer"}
    assert set(CLASSES) - aliases == rows
    assert set(initializers.__all__) == {name for name in dir(keras.initializers) if not name.startswith("_")}
