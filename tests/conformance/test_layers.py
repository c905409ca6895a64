"""Checks that run over every case of cases.py: the same as Keras, and at peace with JAX."""

import functools
import inspect
import json
import re
from unittest import mock

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo
from kyeo.core.scope import scope
from tests.conformance.cases import BAD, CASES, NOISE, NORM, RANDOM
from tests.conformance.image_cases import MIXES_ROWS
from tests.numpy_jaxpr import compiled, in_numpy
from tests.thin import SLOW, thinned

OURS = {name: value for name, value in vars(kyeo.layers).items()
        if name in kyeo.layers.__all__ and isinstance(value, type) and issubclass(value, kyeo.Layer)}
pytestmark = [pytest.mark.filterwarnings(f"ignore:{text}:UserWarning") for text in (
    "You passed `rms_scaling=True`", "Explicitly requested dtype int64", "Layer .* was passed an input with a mask")]
ONE_EACH = list({case.name: case for case in reversed(CASES)}.values())


def rows(cases):
    """A test of each case."""
    return pytest.mark.parametrize("case", cases, ids=str)


each = rows(CASES)
each_class = rows(ONE_EACH)
some = rows(thinned(CASES, 4, kind=lambda case: case.name))


def inputs_of(case, more_rows=0):
    """Arrays for the case, always the same ones."""
    rng = np.random.default_rng(len(str(case)))

    def array(shape):
        shape = (shape[0] + more_rows, *shape[1:])
        if case.dtype == "float32" and case.name != "Embedding":
            return rng.normal(size=shape).astype("float32")
        return rng.integers(0, case.values, size=shape).astype(case.dtype)

    return each_shape(case, array)


def each_shape(case, function, shapes=None):
    """The function of the one shape, or of each in the list or tuple of them."""
    shapes = case.shapes if shapes is None else shapes
    many = isinstance(shapes[0], (list, tuple))
    return type(shapes)(map(function, shapes)) if many else function(shapes)


def apart(inputs):
    """The positional arguments: a tuple is inputs one by one."""
    return inputs if isinstance(inputs, tuple) else (inputs,)


def call_words(case):
    rng = np.random.default_rng(1)
    words = jax.tree.map(lambda shape: rng.normal(size=shape).astype("float32"), case.call,
                         is_leaf=lambda v: isinstance(v, tuple))
    if case.mask is None:
        return words
    mask = np.random.default_rng(1).random(case.mask) < 0.7
    mask[..., 0] = True  # a row of nothing is another matter
    return {**words, "mask": mask}


@pytest.fixture(scope="module", autouse=True)
def pairs_of_this_file():
    yield
    pair.cache_clear()
    compared.cache_clear()
    jax.clear_caches()


def zeros_instead(shape, *args, dtype=None, **words):
    """Keras compiles a program for each first value it draws; here every value is replaced anyway."""
    return np.zeros(shape, dtype)


def with_weights(layer, inputs):
    """The layer, built for the inputs, with weights that are a function of their names and shapes."""
    with (mock.patch.multiple(keras.src.backend.random, uniform=zeros_instead, truncated_normal=zeros_instead),
          mock.patch.object(keras.initializers.Orthogonal, "__call__", lambda _, shape, dtype: np.zeros(shape, dtype))):
        layer.build(*([i.shape for i in inputs],) if isinstance(inputs, list) else [i.shape for i in apart(inputs)])
    rng = np.random.default_rng(5)
    values = [rng.normal(size=w.shape) for w in layer.weights]
    values = [np.abs(v) + 0.5 if "variance" in w.name or "stddev" in w.name else v
              for w, v in zip(layer.weights, values)]
    layer.set_weights([v.astype(w.dtype) for w, v in zip(layer.weights, values)])
    if hasattr(layer, "finalize_state"):  # Keras copies weights here, ours reads them
        layer.finalize_state()
    return layer


def both(case, **words):
    """Our layer and Keras's, with the same weights, and the inputs."""
    inputs = inputs_of(case)
    made = [with_weights(case.make(room, **words), inputs) for room in (kyeo.layers, keras.layers)]
    return *made, inputs


@functools.cache
def pair(case):
    """`both`, once for each case: the tests that use it leave the layers as they are."""
    return both(case)


def to_jax(tree):
    return jax.tree.map(jnp.asarray, tree)


def state_of(layer):
    return [[v.value for v in variables] for variables in (layer.trainable_variables, layer.non_trainable_variables)]


def stateless(layer, values, frozen, inputs, words):
    """Outputs, new states and losses. Keras's own `stateless_call` of a layer leaves out casts and activity losses."""
    if isinstance(layer, kyeo.Layer):
        return layer.stateless_call(values, frozen, *apart(inputs), return_losses=True, **words)
    mapping = [*zip(layer.trainable_variables, values), *zip(layer.non_trainable_variables, frozen)]
    with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as kept:
        outputs = layer(*apart(inputs), **words)
        return outputs, [kept.get_current_value(v) for v in layer.non_trainable_variables], layer.losses


def everything(layer, values, frozen, inputs, words, training):
    """Output, new states, and gradients with respect to float inputs and weights, as a pure function."""
    leaves, tree = jax.tree.flatten(inputs)

    def loss(values, leaves):
        outputs, new, losses = stateless(
            layer, values, frozen, jax.tree.unflatten(tree, leaves), {**words, "training": training})
        total = sum(losses, jnp.float32(0))
        for output in jax.tree.leaves(outputs):
            weights = jnp.cos(jnp.arange(output.size, dtype="float32")).reshape(output.shape)
            total += jnp.sum(output.astype("float32") * weights)
        return total, (outputs, new)

    floats = jnp.issubdtype(leaves[0].dtype, jnp.floating)
    gradients, (outputs, new) = jax.grad(loss, argnums=(0, 1) if floats else 0, has_aux=True)(values, leaves)
    states = [n for n, v in zip(new, layer.non_trainable_variables) if "seed" not in v.path]
    return {"output": outputs, "states": states, "gradients": gradients}


def assert_close(ours, theirs, tolerance=1e-5, floor=1e-3):
    ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        if a.dtype.kind not in "biu":
            a, b = a.astype("float64"), b.astype("float64")
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(initial=0), floor))
        else:
            np.testing.assert_array_equal(a, b)


# -- the same as Keras -----------------------------------------------------------------------------------------


# What a usual run compiles, and calls uncompiled too: a row of each class, and each twelfth of the others.
COMPILED = {*thinned(CASES, 12, kind=lambda case: case.name)}


@functools.cache
def compared(case, training):
    """What `everything` finds out about our layer and about Keras's."""
    ours, theirs, inputs = pair(case)
    rest = to_jax(inputs), to_jax(call_words(case))
    return [run(lambda state, *rest: everything(layer, *state, *rest, training), state_of(layer), *rest)
            for layer, run in ((ours, compiled if case in COMPILED else in_numpy), (theirs, in_numpy))]


@some
def test_same_as_keras(case):
    """Outputs, gradients, new states, while training too where nothing is drawn; compiled and not."""
    ours, theirs, inputs = pair(case)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    for training in [False] + [True] * (case.name == "BatchNormalization" or case.config.get("rate") in (0, 1.0)):
        assert_close(*compared(case, training), floor=case.floor)
    if case in COMPILED:
        assert_close(ours(*apart(inputs), **call_words(case), training=False), compared(case, False)[0]["output"])


def plain(config):
    """A config without what may differ: automatic names, keys that say nothing, float32 as float64."""
    def walk(value):
        if isinstance(value, list):
            return [walk(v) for v in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("dtype"), str):
            value = {**value, "dtype": {"module": "keras", "class_name": "DTypePolicy",
                                        "config": {"name": value["dtype"]}, "registered_name": None}}
        dropped = {"build_config"} | ({"name"} if len(value) > 1 else set())
        return {k: walk(v) for k, v in value.items() if v not in (None, {}) and k not in dropped}

    return walk(json.loads(json.dumps(config), parse_float=lambda text: round(float(text), 6)))


@each
def test_config(case):
    ours = case.make(kyeo.layers)
    theirs = case.make(keras.layers)
    config = ours.get_config()
    assert plain(config) == plain(theirs.get_config())
    again = type(ours).from_config(json.loads(json.dumps(config)))
    assert json.dumps(again.get_config()) == json.dumps(config)
    keras_layer = type(theirs).from_config(json.loads(json.dumps(config)))  # Keras can read what we write
    assert plain(keras_layer.get_config()) == plain(theirs.get_config())
    assert ours.name.rstrip("_0123456789") == theirs.name.rstrip("_0123456789")


@pytest.mark.parametrize("name", sorted(OURS))
def test_parameters(name):
    def parameters(cls):
        return {p.name: p.default for p in inspect.signature(cls.__init__).parameters.values()
                if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"}

    def one(default):  # (1, 1) says what 1 says
        while isinstance(default, tuple) and len(set(default)) == 1:
            default = default[0]
        return default

    wanted, have = parameters(getattr(keras.layers, name)), parameters(OURS[name])
    taken_by_layer = {"name", "dtype"} if "kwargs" in inspect.signature(OURS[name].__init__).parameters else set()
    through_kwargs = {"weights"} if name == "Embedding" else set()
    missing = set(wanted) - set(have) - taken_by_layer - through_kwargs
    assert not missing
    required = inspect.Parameter.empty
    differing = {k: (have[k], v) for k, v in wanted.items()
                 if k in have and v is not required and one(have[k]) != one(v)}
    assert not differing
    common = [k for k in wanted if k in have]
    assert [k for k in have if k in common] == common, "another order"


TIMED = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "TimeDistributed")


def is_shape(value):
    return isinstance(value, (tuple, list)) and all(size is None or isinstance(size, int) for size in value)


def unknown(shape, first):
    return tuple(None if axis < first else size for axis, size in enumerate(shape))


@some
def test_shapes(case):
    """The shapes found by tracing are those of the outputs, and those of Keras, also with unknown sizes."""
    ours, theirs, _ = pair(case)
    outputs = jax.tree.leaves(compared(case, False)[0]["output"])
    many = isinstance(case.shapes[0], tuple)
    firsts = [0, 1] if SLOW or case in ONE_EACH else [1]
    has_channels = case.name.startswith((
        "Conv", "Depthwise", "Separable", "Max", "Average", "Adaptive", "Global", "ZeroP", "Cropping", "UpS", "Spatial"))
    if has_channels and not many and "data_format" not in case.config and not case.known and (
            "LSTM" not in case.name):
        firsts.append(len(case.shapes) - 1)
    if case.name in TIMED and not case.call:
        firsts.append(2)
    for first in firsts:
        given = each_shape(case, lambda s: unknown(s, first))
        words = jax.tree.map(lambda s, first=first: unknown(s, first), case.call, is_leaf=is_shape)
        symbols, words = jax.tree.map(
            lambda s: kyeo.Input(batch_shape=s, dtype=case.dtype), (given, words), is_leaf=is_shape)
        derived = jax.tree.leaves(ours(*apart(symbols), **words))
        assert [d.dtype for d in derived] == [o.dtype.name for o in outputs]
        derived = [d.shape for d in derived]
        assert [len(d) for d in derived] == [o.ndim for o in outputs]
        assert all(d is None or d == s for one, o in zip(derived, outputs) for d, s in zip(one, o.shape))
        if "states" in case.call:
            continue
        shapes = given if isinstance(given, tuple) and many else (given,)
        assert jax.tree.leaves(ours.compute_output_shape(*shapes), is_leaf=is_shape) == derived
        wanted = jax.tree.leaves(theirs.compute_output_shape(*shapes), is_leaf=is_shape)
        for one, two in zip(derived, wanted, strict=True):  # None where we know more
            assert all(w in (d, None) for w, d in zip(two, one, strict=True))


# What a policy does to a layer is the base class's work, so in a usual run each second class gets one, in turns.
POLICIES = ["bfloat16", "mixed_float16", "float16", "mixed_bfloat16"]
OF_POLICIES = [c for c in ONE_EACH if c.name not in ("TimeDistributed", "STFTSpectrogram", "RandomCrop")]  # two policies; refused there; no cast there


@pytest.mark.filterwarnings("ignore:[\\s\\S]*overflow encountered in cast:RuntimeWarning")  # Keras's epsilon in float16
@pytest.mark.parametrize("case, policy", [
    pytest.param(case, policy, id=f"{case}-{policy}")
    for turn, case in enumerate(thinned(OF_POLICIES)) for policy in (POLICIES if SLOW else [POLICIES[turn % 4]])])
def test_dtype_policies(case, policy):
    """Under each policy: Keras's output type, and about its values; the weights are of the policy's type."""
    ours, theirs, inputs = both(case, dtype=policy)
    assert [w.dtype for w in ours.weights] == [w.dtype for w in theirs.weights]
    mine, keras_output = (in_numpy(lambda inputs: layer(*apart(inputs), **call_words(case), training=False), inputs)
                          for layer in (ours, theirs))
    assert [a.dtype for a in jax.tree.leaves(mine)] == [a.dtype for a in jax.tree.leaves(keras_output)]
    tolerance = 2e-2 if "bfloat16" in policy else 4e-3
    assert_close(mine, keras_output, tolerance)


# -- masks -----------------------------------------------------------------------------------------------------


def masked(room, values):
    return room.layers.Masking()(np.asarray(values, "float32"))


MASKED = [
    (layer, words, [x, y])
    for x, y in [([[[0, 0], [1, 2], [3, 4]]], [[[5, 6], [0, 0], [7, 8]]])]
    for layer, words in [
        ("Add", {}), ("Subtract", {}), ("Multiply", {}), ("Average", {}), ("Maximum", {}), ("Minimum", {}),
        ("Concatenate", {"axis": 1}), ("Concatenate", {"axis": -1})]
]
ONE_MASKED = ["Dense", "Dropout", "ReLU", "LayerNormalization", "BatchNormalization", "Activation", "Identity"]


@pytest.mark.parametrize("layer, words, values", MASKED)
@pytest.mark.parametrize("both_masked", [True, False])
def test_merged_masks(layer, words, values, both_masked):
    results = []
    for room, mask_of in ((kyeo, kyeo.core.masks.get_mask), (keras, keras.src.backend.get_keras_mask)):
        second = masked(room, values[1]) if both_masked else room.ops.convert_to_tensor(np.float32(values[1]))
        merged = getattr(room.layers, layer)(**words)([masked(room, values[0]), second])
        results.append((merged, mask_of(merged)))
    assert_close(*results)


@pytest.mark.parametrize("layer", ONE_MASKED + ["Flatten", "Conv1D", "Reshape", "Embedding", "GlobalAveragePooling1D"])
def test_masks_pass_on(layer):
    """A mask goes as far as it goes in Keras, on arrays and on symbolic tensors."""
    words = {"Dense": {"units": 3}, "Dropout": {"rate": 0.5}, "Activation": {"activation": "relu"},
             "Conv1D": {"filters": 2, "kernel_size": 1}, "Reshape": {"target_shape": (4, 2)},
             "Embedding": {"input_dim": 5, "output_dim": 2, "mask_zero": True}}.get(layer, {})
    values = np.float32([[[0, 0], [1, 2], [3, 4], [0, 0]]])
    found = []
    for room, mask_of in ((kyeo, kyeo.core.masks.get_mask), (keras, keras.src.backend.get_keras_mask)):
        made = getattr(room.layers, layer)(**words)
        x = np.int32([[1, 0, 2]]) if layer == "Embedding" else masked(room, values)
        mask = mask_of(made(x))
        symbolic = room.Input((None,), dtype="int32") if layer == "Embedding" else room.layers.Masking()(
            room.Input((4, 2)))
        found.append((None if mask is None else np.asarray(mask), mask_of(made(symbolic)) is not None))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


# -- at peace with JAX -----------------------------------------------------------------------------------------


@rows(thinned([c for c in CASES if c.name in RANDOM or c in NORM], kind=lambda case: case.name))
def test_jit_is_eager(case):
    """Also while training, also what is drawn."""
    layer = pair(case)[0]
    arguments = *state_of(layer), to_jax(inputs_of(case)), {**to_jax(call_words(case)), "training": True}
    call = functools.partial(stateless, layer)
    words = arguments[-1]
    jitted = jax.jit(lambda v, f, x: call(v, f, x, words))(*arguments[:-1])
    assert_close(jitted, call(*arguments))


@each_class
def test_no_tracer_stays(case):
    inputs = inputs_of(case)
    layer = case.make(kyeo.layers)

    def step(x, words):
        return layer(*apart(x), **words, training=True)  # builds inside the trace

    words = call_words(case)
    with scope(overlay={}):
        jax.eval_shape(step, inputs, words)
    leaves = [v._value for v in layer.variables] + layer._loss_values
    assert not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
    layer(*apart(inputs), **words, training=True)
    leaves = [v._value for v in layer.variables] + layer._loss_values
    assert all(isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) for leaf in leaves)


PADDED = [c for c in CASES if (c in ONE_EACH and c.name not in MIXES_ROWS) or c in thinned([*NORM, *NOISE]) or "activity_regularizer" in c.config]


@rows(PADDED)
def test_padding_rows_change_nothing(case):
    """With rows of padding and a mask of real rows: the same rows, states and losses as without."""
    layer, _, inputs = pair(case)
    rows = jax.tree.leaves(case.shapes)[0]
    assert not layer.mixes_rows or 0 in np.atleast_1d(case.config["axis"])

    def padded(x):
        return jnp.concatenate([x, jnp.full((2, *x.shape[1:]), 1, x.dtype)])

    def call(state, x, words, mask):
        with scope(row_mask=mask):
            return stateless(layer, *state, x, {**words, "training": True})

    def with_and_without(state, x, words):
        mask = (jnp.arange(rows + 2) < rows).astype("float32")
        return call(state, x, words, None), call(state, *jax.tree.map(padded, (x, words)), mask)

    (output, *rest), (more, *others) = in_numpy(
        with_and_without, state_of(layer), to_jax(inputs), to_jax(call_words(case)))
    assert all(one.shape[0] == rows + 2 for one in jax.tree.leaves(more))
    assert_close([jax.tree.map(lambda one: one[:rows], more), *others], [output, *rest], 2e-6)


# -- the family that draws -------------------------------------------------------------------------------------


NOISY = [case for case in NOISE if case.name in RANDOM and case.config.get("rate") not in (0, 1.0)]


@pytest.mark.parametrize("case", NOISY, ids=str)
def test_noise_is_a_function_of_seed_and_step(case):
    def outputs(seed, rows=0):
        layer = getattr(kyeo.layers, case.name)(**{**case.config, "seed": seed})
        x = np.ones((case.shapes[0] + rows, *case.shapes[1:]), "float32")
        return [np.asarray(layer(x, training=True)) for _ in range(3)], np.asarray(layer(x))

    (first, second, third), inference = outputs(7)
    np.testing.assert_array_equal(inference, np.ones(case.shapes))
    assert (first != second).any() and (second != third).any()
    np.testing.assert_array_equal(outputs(7)[0], [first, second, third])
    assert (outputs(8)[0][0] != first).any()
    taller = [o[: case.shapes[0]] for o in outputs(7, rows=3)[0]]
    np.testing.assert_allclose(taller, [first, second, third], rtol=1e-5)


@pytest.mark.parametrize("case", NOISY, ids=str)
def test_noise_statistics(case):
    shape = (400, *(s if s > 1 else 1 for s in case.shapes[1:]))
    layer = getattr(kyeo.layers, case.name)(**{**case.config, "seed": 1})
    x = np.random.default_rng(0).normal(size=shape).astype("float32") + (case.name != "AlphaDropout")
    y = np.asarray(layer(x, training=True))
    rate = case.config.get("rate")
    if "Gaussian" in case.name:
        noise = y / x if case.name == "GaussianDropout" else y - x
        assert abs(noise.mean() - (case.name == "GaussianDropout")) < 0.06
        assert abs(noise.std() - (1.0 if rate else 0.5)) < 0.06
    elif case.name == "AlphaDropout":
        assert abs(y.mean() - x.mean()) < 0.1 and abs(y.std() - x.std()) < 0.1
    else:
        dropped = y == 0
        assert abs(dropped.mean() - rate) < 0.03
        np.testing.assert_allclose(y[~dropped], x[~dropped] / (1 - rate), rtol=1e-5)


def test_unseeded_noise_follows_the_process_seed():
    def draw():
        kyeo.core.settings.set_seed(3)
        kyeo.core.naming.reset_names()
        return np.asarray(kyeo.layers.Dropout(0.5)(np.ones((5, 8), "float32"), training=True))

    np.testing.assert_array_equal(draw(), draw())
    assert (np.asarray(kyeo.layers.Dropout(0.5)(np.ones((5, 8), "float32"), training=True)) != draw()).any()


# -- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, words", BAD, ids=lambda v: re.sub(r" |at0x\w+|at 0x\w+", "", str(v)))
def test_bad_arguments(name, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(kyeo.layers, name)(**words)
    message = str(caught.value)
    assert "Received:" in message and "keras" not in message.lower()
    assert OURS[name].__name__.rstrip("123D") in message or any(room in message for room in ("initializers", "regularizers", "constraints",
                                                                "activations", "dtype", "L1L2", "SeedGenerator"))


MISFITS = [
    (kyeo.layers.Conv2D(3, 3), (2, 8, 8), "channel axis is missing"),
    (kyeo.layers.Conv2D(3, 9), (2, 8, 8, 1), "larger than the input"),
    (kyeo.layers.Conv2D(4, 3, groups=2), (2, 8, 8, 3), "multiple of `groups`"),
    (kyeo.layers.MaxPooling2D(9), (2, 8, 8, 1), "larger than the input"),
    (kyeo.layers.Cropping2D(4), (2, 8, 8, 1), "leave nothing"),
    (kyeo.layers.Reshape((3, 5)), (2, 8), "do not fit"),
    (kyeo.layers.Dense(3), (8,), "`x[None]` makes a batch"),
    (kyeo.layers.Dot(1), [(2, 3), (2, 4)], "the same size on axis 1"),
    (kyeo.layers.Add(), (2, 3), "call it on [x, y]"),
    (kyeo.layers.Add(), [(2, 3), (2, 4)], "the same size, or 1"),
    (kyeo.layers.Subtract(), [(2, 3)], "2 tensors"),
    (kyeo.layers.Concatenate(), [(2, 3), (3, 3)], "the same sizes on all axes but -1"),
    (kyeo.layers.LayerNormalization(axis=3), (2, 3), "does not have this axis"),
    (kyeo.layers.GroupNormalization(3), (2, 4), "multiple of `groups`"),
    (kyeo.layers.PReLU(shared_axes=[4]), (2, 3), "does not have"),
]


@pytest.mark.parametrize("layer, shapes, text", MISFITS, ids=lambda v: str(v).replace(" ", ""))
@pytest.mark.parametrize("symbolic", [False, True])
def test_misfits(layer, shapes, text, symbolic):
    make = (lambda s: kyeo.Input(batch_shape=s)) if symbolic else (lambda s: np.ones(s, "float32"))
    inputs = [make(s) for s in shapes] if isinstance(shapes, list) else make(shapes)
    with pytest.raises((ValueError, TypeError)) as caught:
        type(layer).from_config(layer.get_config())(inputs)
    assert text in str(caught.value) and "Received:" in str(caught.value) and layer.name in str(caught.value)


def test_every_class_has_a_case():
    exempt = {  # tested in tests/layers
        "FlaxLayer", "JaxLayer", "Layer", "InputLayer", "Lambda", "Pipeline", "SpectralNormalization", "Wrapper"}
    exempt |= {name for name, cls in OURS.items() if getattr(cls, "runs_on_host", False)}  # tested in tests/text
    aliases = {name for name, cls in OURS.items() if cls.__name__ != name}
    missing = set(OURS) - aliases - exempt - {case.name for case in CASES}
    assert not missing, f"add a line to tests/conformance/cases.py for {sorted(missing)}"
    assert all(getattr(kyeo.layers, a).__name__ == getattr(keras.layers, a).__name__ for a in aliases)
    assert {name for name, _ in BAD} >= set(OURS) - aliases - {
        "Layer", "InputLayer", "Average", "Maximum", "Minimum", "Multiply", "Subtract"}
