"""Optimizers and schedules against Keras, row by row; then what Keras does not promise: one compile, good errors."""

import json
import os
import warnings

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from kyeo import optimizers
from kyeo.core.scope import scope
from kyeo.core.variable import Variable
from kyeo.optimizers import schedules

STEPS = 20
SHAPES = {"dense/kernel": (4, 3), "dense/bias": (3,), "embedding/embeddings": (2, 3, 4)}


def schedule(module, kind="ExponentialDecay", **arguments):
    arguments = arguments or {"initial_learning_rate": 0.05, "decay_steps": 7, "decay_rate": 0.5}
    return getattr(module, kind)(**arguments)


# One row a configuration; a value that needs the library at hand is a function of its `optimizers` module.
SHARED = [
    {},
    {"learning_rate": 0.03, "weight_decay": 0.1, "clipnorm": 0.9},
    {"clipvalue": 0.4, "use_ema": True, "ema_momentum": 0.8},
    {"global_clipnorm": 1.5, "gradient_accumulation_steps": 3, "loss_scale_factor": 8.0},
    {"learning_rate": lambda o: schedule(o.schedules), "use_ema": True, "ema_overwrite_frequency": 6},
]
ROWS = {
    "SGD": [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "RMSprop": [{"momentum": 0.8}, {"centered": True, "rho": 0.7}, {"centered": True, "momentum": 0.5}],
    "Adam": [{"amsgrad": True}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
             {"use_ema": True, "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2}],
    "AdamW": [{"weight_decay": 0.2, "amsgrad": True}],
}
CASES = [(name, {**shared, **own}) for name, rows in ROWS.items()
         for shared, own in [(s, {}) for s in SHARED] + [({}, row) for row in rows]]
NOT_RULES = {"Optimizer", "deserialize", "get", "schedules", "serialize"}
UNLIKE_PATHS = {"variable"}  # Keras gives these no name of their own


def show(value):
    return "schedule" if callable(value) else str(value)


def identity(case):
    return case[0] + "".join(f"-{k}={show(v)}" for k, v in case[1].items())


def make(library, name, row):
    return getattr(library, name)(**{k: v(library) if callable(v) else v for k, v in row.items()}, name="opt")


def draw(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return [(scale * rng.standard_normal(shape)).astype("float32") for shape in SHAPES.values()]


def ours():
    made = []
    for path, value in zip(SHAPES, draw(0)):
        with scope(path=path.split("/")[0]):
            made.append(Variable(value, name=path.split("/")[1]))
    return made


def theirs():
    made = []
    for path, value in zip(SHAPES, draw(0)):
        with keras.name_scope(path.split("/")[0]):
            made.append(keras.Variable(value, name=path.split("/")[1]))
    return made


@pytest.fixture
def compiles():
    count = [0]

    def listen(event, _duration, **_):
        count[0] += event.endswith("backend_compile_duration")

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield count
    jax.monitoring.unregister_event_duration_listener(listen)


def close(got, wanted, what):
    np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=1e-5, atol=1e-6, err_msg=what)


def run_oracle(name, row):
    variables, optimizer = theirs(), make(keras.optimizers, name, row)
    optimizer.build(variables)
    step = jax.jit(optimizer.stateless_apply)
    weights, state = [v.value for v in variables], [v.value for v in optimizer.variables]
    for i in range(STEPS):
        weights, state = step(state, draw(i + 1), weights)
    return optimizer, weights, state


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_twenty_steps_are_those_of_keras(case):
    oracle, wanted, wanted_state = run_oracle(*case)
    variables, optimizer = ours(), make(optimizers, *case)
    optimizer.build(variables)
    traces = [0]

    def traced(*values):
        traces[0] += 1
        return optimizer.stateless_apply(*values)

    step = jax.jit(traced)
    weights, state = [v.value for v in variables], [v.value for v in optimizer.variables]
    kinds = [(v.dtype, v.weak_type) for v in weights + state]
    for i in range(STEPS):
        weights, state = step(state, draw(i + 1), weights)
    assert traces[0] == 1 and [(v.dtype, v.weak_type) for v in weights + state] == kinds
    assert [v.shape for v in optimizer.variables] == [v.shape for v in oracle.variables]
    assert [str(v.dtype) for v in optimizer.variables] == [str(v.dtype) for v in oracle.variables]
    for path, got, value in zip(SHAPES, weights, wanted):
        close(got, value, path)
    for mine, their, got, value in zip(optimizer.variables, oracle.variables, state, wanted_state):
        assert mine.path == their.path or their.name in UNLIKE_PATHS
        close(got, value, mine.path)


def plain(config):
    """A config with the module of schedules as registry.public_module now gives it."""
    return json.loads(json.dumps(config).replace("keras.optimizers.schedules", "keras.optimizers"))


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_config_is_that_of_keras_and_makes_the_same_optimizer(case):
    wanted, optimizer = make(keras.optimizers, *case).get_config(), make(optimizers, *case)
    config = optimizer.get_config()
    assert plain(config) == plain(wanted)
    assert type(optimizer).from_config(config).get_config() == config
    assert optimizers.get(optimizers.serialize(optimizer)).get_config() == config
    assert type(optimizer).from_config(wanted).get_config() == config  # files of Keras are read


@pytest.mark.parametrize("case", [c for c in CASES if c[1] in SHARED and c[0] in ("SGD", "Adam")], ids=identity)
def test_steps_on_the_variables_themselves_are_the_same(case):
    _, wanted, wanted_state = run_oracle(*case)
    variables, optimizer = ours(), make(optimizers, *case)
    for i in range(STEPS):
        optimizer.apply_gradients(zip(draw(i + 1), variables))
    for variable, value in zip(variables + optimizer.variables, wanted + wanted_state):
        close(variable.value, value, variable.path)


SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.6}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 2, "staircase": True}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "power": 0.5, "cycle": True}),
    ("PiecewiseConstantDecay", {"boundaries": [3, 8], "values": [0.5, 0.1, 0.01]}),
    ("PiecewiseConstantDecay", {"boundaries": [3], "values": [0.5, 0.1], "name": "mine"}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 7}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "alpha": 0.2}),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 7, "warmup_target": 0.3, "warmup_steps": 4}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 1.0, "m_mul": 0.5}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 1.5, "alpha": 0.1}),
]


@pytest.mark.parametrize("kind,arguments", SCHEDULES)
def test_schedule_is_that_of_keras(kind, arguments):
    mine, their = schedule(schedules, kind, **arguments), schedule(keras.optimizers.schedules, kind, **arguments)
    traced = jax.jit(mine)
    for step in range(25):
        got, wanted = traced(jnp.int32(step)), their(jnp.int32(step))
        assert got.dtype == np.float32 and not got.weak_type and got.shape == ()
        close(got, wanted, f"step {step}")
        close(mine(step), wanted, f"step {step}, a Python int")
    assert mine.get_config() == their.get_config()
    assert schedules.deserialize(schedules.serialize(mine)).get_config() == their.get_config()
