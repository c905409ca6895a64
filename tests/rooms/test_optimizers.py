"""Optimizers and schedules against Keras, row by row."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from kyeo import optimizers
from kyeo.core.configurable import parameters_of
from kyeo.core.variable import Variable
from kyeo.optimizers import schedules
from tests.numpy_jaxpr import program_of
from tests.rooms.weights import close, draw, ours, theirs
from tests.thin import thinned

STEPS = 20
oracles = {}  # what Keras gave, by the identity of the case



def schedule(module, kind="ExponentialDecay", **arguments):
    arguments = arguments or {"initial_learning_rate": 0.05, "decay_steps": 7, "decay_rate": 0.5}
    return getattr(module, kind)(**arguments)


# One row a configuration; a value that needs the library at hand is a function of its `optimizers` module.
# Every optimizer runs the second and third; Adam runs them all.
SHARED = [
    {},
    {"learning_rate": lambda o: schedule(o.schedules), "clipnorm": 0.9, "weight_decay": 0.1},
    {"learning_rate": 0.03, "global_clipnorm": 1.5, "gradient_accumulation_steps": 3, "use_ema": True},
    {"clipvalue": 0.4, "use_ema": True, "ema_momentum": 0.8},
    {"use_ema": True, "ema_overwrite_frequency": 6, "loss_scale_factor": 8.0},
    {"use_ema": True, "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2},
    {"gradient_accumulation_steps": 2, "weight_decay": 0.1, "clipnorm": 0.5, "loss_scale_factor": 2.0},
]
ROWS = {
    "SGD": [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "RMSprop": [{"momentum": 0.8}, {"centered": True, "rho": 0.7}, {"centered": True, "momentum": 0.5}],
    "Adam": [{"amsgrad": True}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}],
    "AdamW": [{"weight_decay": 0.2, "amsgrad": True}],
    "Adagrad": [{"initial_accumulator_value": 0.5, "epsilon": 1e-3}],
    "Adadelta": [{"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-4}],
    "Adamax": [{"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}],
    "Nadam": [{"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}],
    "Ftrl": [{"learning_rate": 0.1, "learning_rate_power": -0.7, "beta": 0.3,
              "l1_regularization_strength": 0.2, "l2_regularization_strength": 0.1,
              "l2_shrinkage_regularization_strength": 0.05}],
    "Lion": [{"beta_1": 0.5, "beta_2": 0.7}],
    "Lamb": [{"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}],
    "ScheduleFreeAdamW": [{"beta_1": 0.5, "warmup_steps": 5, "weight_decay": 0.01}],
    "Adafactor": [{"learning_rate": 0.5, "clip_threshold": 0.7, "beta_2_decay": -0.5},
                  {"relative_step": False}],
    "Muon": [{"nesterov": False, "ns_steps": 3, "adam_lr_ratio": 0.1},
             {"rms_rate": None, "momentum": 0.5},
             {"exclude_layers": ["dens."], "adam_weight_decay": None}, {"exclude_embeddings": False}],
}
CASES = [(name, {**shared, **own}) for name, rows in ROWS.items()
         for shared, own in [*((s, {}) for s in (SHARED if name == "Adam" else SHARED[1:3])),
                             *(({}, row) for row in rows)]]


def show(value):
    return "schedule" if callable(value) else str(value)


def identity(case):
    return case[0] + "".join(f"-{k}={show(v)}" for k, v in case[1].items())


def make(library, name, row):
    return getattr(library, name)(**{k: v(library) if callable(v) else v for k, v in row.items()}, name="opt")


def run_oracle(name, row):
    key = identity((name, row))
    if key not in oracles:
        oracles[key] = _run_oracle(name, row)
    return oracles[key]


def _run_oracle(name, row):
    variables, optimizer = theirs(name), make(keras.optimizers, name, row)
    optimizer.build(variables)
    weights, state = [v.value for v in variables], [v.value for v in optimizer.variables]
    step = program_of(optimizer.stateless_apply, state, draw(1, name), weights)
    for i in range(STEPS):
        weights, state = step(state, draw(i + 1, name), weights)
    return optimizer, weights, state


@pytest.mark.parametrize("case", thinned(CASES, 2, kind=lambda case: case[0]), ids=identity)
def test_twenty_steps_are_those_of_keras(case):
    oracle, wanted, wanted_state = run_oracle(*case)
    variables, optimizer = ours(case[0]), make(optimizers, *case)
    optimizer.build(variables)
    traces = [0]

    def traced(*values):
        traces[0] += 1
        return optimizer.stateless_apply(*values)

    step = jax.jit(traced)
    weights, state = [v.value for v in variables], [v.value for v in optimizer.variables]
    kinds = [(v.dtype, v.weak_type) for v in weights + state]
    for i in range(STEPS):
        weights, state = step(state, draw(i + 1, case[0]), weights)
    assert traces[0] == 1 and [(v.dtype, v.weak_type) for v in weights + state] == kinds
    assert [v.shape for v in optimizer.variables] == [v.shape for v in oracle.variables]
    assert [str(v.dtype) for v in optimizer.variables] == [str(v.dtype) for v in oracle.variables]
    for variable, got, value in zip(variables, weights, wanted):
        close(got, value, variable.path)
    for mine, their, got, value in zip(optimizer.variables, oracle.variables, state, wanted_state):
        assert mine.path == their.path or not their.path.startswith("opt/")  # a few of Keras's are loose
        close(got, value, mine.path)


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_config_is_that_of_keras_and_makes_the_same_optimizer(case):
    their, optimizer = make(keras.optimizers, *case), make(optimizers, *case)
    wanted, config = their.get_config(), optimizer.get_config()
    assert config == wanted
    assert optimizers.serialize(optimizer) == keras.optimizers.serialize(their)
    assert type(optimizer).from_config(config).get_config() == config
    assert optimizers.get(optimizers.serialize(optimizer)).get_config() == config
    assert type(optimizer).from_config(wanted).get_config() == config  # files of Keras are read


@pytest.mark.parametrize("case", [("Adam", row) for row in SHARED], ids=identity)
def test_steps_on_the_variables_themselves_are_the_same(case):
    _, wanted, wanted_state = run_oracle(*case)
    variables, optimizer = ours(), make(optimizers, *case)
    for i in range(STEPS):
        optimizer.apply_gradients(zip(draw(i + 1), variables))
    for variable, value in zip(variables + optimizer.variables, wanted + wanted_state):
        close(variable.value, value, variable.path)


# A rate to begin with and a length are given to all but those that say otherwise.
SCHEDULES = {
    "ExponentialDecay": [{"decay_rate": 0.6}, {"decay_rate": 0.6, "staircase": True}],
    "InverseTimeDecay": [{"decay_rate": 0.6}, {"decay_rate": 2, "staircase": True}],
    "PolynomialDecay": [{}, {"power": 0.5, "cycle": True}, {"power": 2.0, "end_learning_rate": 0.02}],
    "PiecewiseConstantDecay": [{"boundaries": [3, 8], "values": [0.5, 0.1, 0.01]},
                               {"boundaries": [3], "values": [0.5, 0.1], "name": "mine"}],
    "CosineDecay": [{}, {"alpha": 0.2}, {"warmup_target": 0.3, "warmup_steps": 4}],
    "CosineDecayRestarts": [{}, {"t_mul": 1.0, "m_mul": 0.5}, {"t_mul": 1.5, "alpha": 0.1}],
}
SCHEDULE_CASES = [
    (kind, row if "values" in row else {
        "initial_learning_rate": 0.1, "first_decay_steps" if "Restarts" in kind else "decay_steps": 7, **row})
    for kind, rows in SCHEDULES.items() for row in rows]


@pytest.mark.parametrize("kind,arguments", SCHEDULE_CASES)
def test_schedule_is_that_of_keras(kind, arguments):
    mine = schedule(schedules, kind, **arguments)
    their = schedule(keras.optimizers.schedules, kind, **arguments)
    steps = np.arange(25, dtype="int32")
    got = jax.jit(jax.vmap(mine))(steps)
    assert got.dtype == np.float32 and not got.weak_type
    # Keras compiled divides inexactly and jumps a step late; uncompiled it is right
    with jax.disable_jit():
        wanted = [their(jnp.int32(step)) for step in steps]
    close(got, wanted, kind)
    close(mine(steps.reshape(5, 5)), np.reshape(wanted, (5, 5)), "many steps at once, as for a drawing")
    for step in (0, 7, 14):
        close(mine(step), wanted[step], f"step {step}, a Python int")
    assert mine.get_config() == their.get_config()
    assert schedules.serialize(mine) == keras.optimizers.schedules.serialize(their)
    assert schedules.deserialize(schedules.serialize(mine)).get_config() == their.get_config()


# -- the whole public face ---------------------------------------------------------------------------------
OTHERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}  # tested below, by name


def public_classes(module):
    return {name for name, value in vars(module).items() if isinstance(value, type) and name[0] != "_"}


def test_every_class_of_keras_is_here_and_has_a_row():
    assert public_classes(keras.optimizers) <= set(optimizers.__all__)
    assert set(optimizers.__all__) == set(ROWS) | OTHERS | {
        "OptaxOptimizer", "deserialize", "get", "legacy", "schedules", "serialize"}
    assert set(schedules.__all__) == set(SCHEDULES) | {"LearningRateSchedule", "deserialize", "serialize"}
    assert public_classes(keras.optimizers.schedules) == public_classes(schedules) & set(schedules.__all__)


@pytest.mark.parametrize("name", sorted(set(ROWS) | OTHERS))
def test_arguments_and_defaults_are_those_of_keras(name):
    def given(parameters):
        return {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "self"}

    their = given(inspect.signature(getattr(keras.optimizers, name).__init__).parameters.values())
    assert parameters_of(getattr(optimizers, name)) == their


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_arguments_of_schedules_are_those_of_keras(name):
    mine, their = getattr(schedules, name), getattr(keras.optimizers.schedules, name)
    plain = [[(p.name, p.default) for p in inspect.signature(c).parameters.values()] for c in (mine, their)]
    assert plain[0] == plain[1]


@pytest.mark.parametrize("name", sorted(set(ROWS)))
def test_strings_in_any_case(name):
    for text in (name, name.lower(), name.upper()):
        assert type(optimizers.get(text)) is getattr(optimizers, name)


# -- wrappers ----------------------------------------------------------------------------------------------
def loss_scaled(library):
    return library.LossScaleOptimizer(library.Adam(0.05, use_ema=True, ema_overwrite_frequency=3, name="in"),
                                      initial_scale=4.0, dynamic_growth_steps=3, name="opt")


def multiple(library):
    chosen = library.OptimizerMap(library.SGD(0.1, momentum=0.9, name="sgd"),
                                  {".*/bias": library.Adam(0.1, clipnorm=0.5, name="adam")})
    return library.MultiOptimizer(chosen, loss_scale_factor=2.0, name="opt")


@pytest.mark.parametrize("build", [loss_scaled, multiple])
@pytest.mark.parametrize("compiled", [True, False])
def test_wrappers_step_as_those_of_keras(build, compiled):
    def grads(i):
        drawn = draw(i + 1, scale=5.0)
        if build is loss_scaled and i in (4, 9):
            drawn[1][0] = [np.inf, np.nan][i % 2]
        return drawn

    their, theirs_, mine, ours_ = build(keras.optimizers), theirs(), build(optimizers), ours()
    their.build(theirs_)
    mine.build(ours_)
    state = [[v.value for v in theirs_], [v.value for v in their.variables]]
    mine_state = [[v.value for v in ours_], [v.value for v in mine.variables]]
    step, my_step = jax.jit(their.stateless_apply), jax.jit(mine.stateless_apply)
    for i in range(STEPS):
        state = step(state[1], grads(i), state[0])
        if compiled:
            mine_state = my_step(mine_state[1], grads(i), mine_state[0])
        else:
            mine.apply(grads(i))
            mine_state = [v.value for v in ours_], [v.value for v in mine.variables]
    assert my_step._cache_size() == (1 if compiled else 0)
    for value, got, wanted in zip(mine.variables, mine_state[1], state[1], strict=True):
        close(got, wanted, value.path)
    for got, wanted in zip(mine_state[0], state[0]):
        close(got, wanted, "weights")
    assert [v.path for v in mine.variables] == [v.path for v in their.variables]


@pytest.mark.parametrize("build", [loss_scaled, multiple])
def test_wrappers_have_the_config_of_keras(build):
    config = build(optimizers).get_config()
    assert config == build(keras.optimizers).get_config()
    assert optimizers.get(optimizers.serialize(build(optimizers))).get_config() == config


def test_a_function_may_choose_the_optimizer():
    slow, fast = optimizers.SGD(0.1), optimizers.SGD(1.0)
    optimizer = optimizers.MultiOptimizer(lambda v: slow if v.name == "bias" else fast)
    kernel, bias = Variable([1.0], name="kernel"), Variable([1.0], name="bias")
    optimizer.apply_gradients([(np.ones(1), kernel), (np.ones(1), bias)])
    assert (float(kernel.value[0]), round(float(bias.value[0]), 4)) == (0.0, 0.9)
    assert not hasattr(optimizer, "learning_rate") and optimizer.optimizers == [fast, slow]


@pytest.mark.parametrize("shape", [(7,), (5, 3), (3, 3, 2, 16), (4, 100), (2, 0), ()])
@pytest.mark.parametrize("name", ["Adam", "AdamW", "Adamax", "Nadam", "Lamb", "ScheduleFreeAdamW"])
def test_a_traced_step_is_the_step(name, shape):
    draw = np.random.default_rng(0)
    values, gradients = draw.normal(size=(2, 3, *shape)).astype("float32")
    weights = [Variable(values[0]) for _ in range(2)]
    called, traced = (getattr(optimizers, name)(0.1) for _ in range(2))
    traced.build([weights[1]])
    step = jax.jit(traced.stateless_apply)
    state, weight = [v.value for v in traced.variables], [weights[1].value]
    for gradient in gradients:
        called.apply([gradient], [weights[0]])
        weight, state = step(state, [gradient], weight)
    for one, other in zip([weights[0], *called.variables], [*weight, *state], strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", ROWS)
def test_a_dead_unit_behind_a_dead_unit_leaves_all_weights_finite(name):
    """Whose gradients are 0 in a whole row and a whole column; Adafactor of Keras gives NaN."""
    optimizer = getattr(optimizers, name)(0.1)
    grad = np.ones((3, 4), "float32")
    grad[1], grad[:, 2] = 0, 0
    weight = Variable(np.full((3, 4), 0.5, "float32"))
    for _ in range(3):
        optimizer.apply([grad], [weight])
    after = weight.numpy()
    assert np.isfinite(after).all() and (after != 0.5)[grad > 0].all()


@pytest.mark.parametrize("name", ROWS)
def test_what_is_not_a_number_is_not_hidden(name):
    """The weights tell; nothing takes them for a dead unit's."""
    optimizer, weight = getattr(optimizers, name)(0.1), Variable(np.full((3, 4), 0.5, "float32"))
    grad = np.ones((3, 4), "float32")
    grad[1, 2] = np.nan
    optimizer.apply([grad], [weight])
    assert np.isnan(weight.numpy()[1, 2])
