"""Optimizers: their state, which variables they move, users' own rules, and mistakes."""

import warnings

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from kyeo import ops, optimizers
from kyeo.core.variable import Variable
from kyeo.optimizers import schedules
from tests.rooms.test_optimizers import ROWS
from tests.rooms.weights import close, draw, ours, theirs


@pytest.fixture
def compiles():
    count = [0]

    def listen(event, _duration, **_):
        count[0] += event.endswith("backend_compile_duration")

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield count
    jax.monitoring.unregister_event_duration_listener(listen)


# -- state -------------------------------------------------------------------------------------------------
def test_building_compiles_nothing(compiles):
    variables = [Variable(np.ones((11, 13))), Variable(np.ones(17))]  # shapes that no other test compiles for
    before = compiles[0]
    for name in ROWS:
        getattr(optimizers, name)(use_ema=True, gradient_accumulation_steps=2).build(variables)
    optimizers.LossScaleOptimizer(optimizers.Adam()).build(variables)
    assert compiles[0] == before


def test_the_learning_rate_changes_without_a_new_compilation():
    (variable,), optimizer = [Variable([1.0])], optimizers.SGD(0.5)
    optimizer.build([variable])
    step = jax.jit(optimizer.stateless_apply)
    seen = []
    for rate in (0.5, 0.25, np.float32(0.125), 1):
        optimizer.learning_rate = rate
        weights, _ = step([v.value for v in optimizer.variables], [np.ones(1, "float32")], [variable.value])
        seen.append(float(weights[0][0]))
    assert seen == [0.5, 0.75, 0.875, 0.0] and step._cache_size() == 1
    assert optimizer.get_config()["learning_rate"] == 1.0


def test_a_schedule_takes_the_place_of_the_rate_variable():
    optimizer = optimizers.SGD(0.5)
    optimizer.learning_rate = schedules.PiecewiseConstantDecay([0], [0.25, 0.125])
    assert [v.name for v in optimizer.variables] == ["iteration"]
    assert float(optimizer.learning_rate) == 0.25
    optimizer.apply([[1.0]], [Variable([1.0])])
    assert float(optimizer.learning_rate) == 0.125 and int(optimizer.iterations) == 1
    with pytest.raises(TypeError, match="follows a schedule"):
        optimizer.learning_rate = 0.1
    assert optimizers.SGD(lambda: 0.25).learning_rate.dtype == np.float32


def test_values_are_saved_in_the_layout_of_keras_and_loaded():
    trained, their, store = optimizers.Adam(0.1), keras.optimizers.Adam(0.3), {}
    trained.apply(draw(1), ours())
    trained.save_own_variables(store)
    assert list(store) == [str(i) for i in range(6)]
    their.build(theirs())
    their.load_own_variables(store)
    fresh = optimizers.Adam(0.2)
    with pytest.warns(UserWarning, match="not built yet"):
        fresh.load_own_variables(store)
    fresh.build(ours())
    fresh.load_own_variables(store)
    for mine, other, value in zip(fresh.variables, their.variables, store.values()):
        assert np.array_equal(mine.numpy(), value) and np.array_equal(other.numpy(), value)
    again = optimizers.Adam()
    again.build(ours())
    again.set_weights(list(store.values()))
    assert float(again.learning_rate) == float(trained.learning_rate)


def test_half_precision_weights_keep_their_dtype_and_move():
    start = np.full(3, 0.125)
    variable = Variable(start, dtype="bfloat16")
    for name in ROWS:
        variable.assign(start)
        optimizer = getattr(optimizers, name)(1.0)
        optimizer.apply([np.ones(3)], [variable])
        assert variable.value.dtype == "bfloat16" and np.isfinite(variable.numpy()).all()
        assert (variable.numpy() != start).all(), name
        assert all(not v.value.weak_type for v in optimizer.variables)


# -- which variables move ----------------------------------------------------------------------------------
def test_no_gradient_is_warned_about_and_leaves_the_variable():
    first, second = Variable([1.0], name="first"), Variable([1.0], name="second")
    optimizer = optimizers.SGD(0.5)
    with pytest.warns(UserWarning, match="second"):
        optimizer.apply([np.ones(1), None], [first, second])
    assert (float(first.value[0]), float(second.value[0]), int(optimizer.iterations)) == (0.5, 1.0, 1)
    with pytest.raises(ValueError, match="no gradient for any"):
        optimizer.apply([None, None])
    optimizer.apply([])
    assert int(optimizer.iterations) == 1


@pytest.mark.parametrize("limit", ["clipnorm", "global_clipnorm"])
def test_a_norm_in_half_precision_is_no_infinity(limit):
    variable = Variable(np.zeros(2, "float16"), dtype="float16")
    optimizers.SGD(1.0, **{limit: 1.0}).apply([np.array([300.0, -400.0])], [variable])  # 300**2 is infinite in float16
    np.testing.assert_allclose(variable.numpy(), [-0.6, 0.8], rtol=1e-3)


def test_constraints_are_applied_after_the_step():
    variable = Variable([1.0, 1.0])
    variable.constraint = lambda value: jnp.maximum(value, 0)
    optimizers.SGD(1.0).apply([[3.0, 0.5]], [variable])
    assert variable.numpy().tolist() == [0.0, 0.5]


def test_decay_leaves_out_what_is_excluded():
    kernel, bias, gamma = (Variable([1.0], name=name) for name in ("kernel", "bias", "gamma"))
    optimizer = optimizers.SGD(1.0, weight_decay=0.5)
    frozen = Variable([1.0], name="frozen")
    optimizer.exclude_from_weight_decay(var_list=[gamma, frozen], var_names=["bi.s"])
    optimizer.apply([np.zeros(1)] * 3, [kernel, bias, gamma])
    assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate"]  # weights are no state of its own
    assert [float(v.value[0]) for v in (kernel, bias, gamma)] == [0.5, 1.0, 1.0]
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


@pytest.mark.parametrize("row", [{}, {"gradient_accumulation_steps": 3}])
def test_some_variables_take_their_gradient_as_value(row):
    found = []
    for library, make_variables in ((keras.optimizers, theirs), (optimizers, ours)):
        variables, optimizer = make_variables(), library.Adam(**row)
        variables[1].overwrite_with_gradient = True
        optimizer.build(variables)
        assert optimizer._momentums[1] is None
        seen = []
        for i in range(4):
            optimizer.apply(draw(i + 1))
            seen += [np.array(v.value) for v in variables]
        found.append(seen)
    for wanted, got in zip(*found):
        close(got, wanted, "")


def test_the_average_takes_the_place_of_the_weights_at_the_end():
    variable, optimizer = Variable([1.0]), optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    optimizer.apply([[1.0]], [variable])
    optimizer.apply([[0.5]], [variable])
    optimizer.finalize_variable_values([variable])
    assert variable.numpy().tolist() == [0.375]


# -- users' own --------------------------------------------------------------------------------------------
def own_class(library, ops, variable_class):
    class Mine(library.Optimizer):
        """Written for Keras 3: slots, a variable of its own, `assign_add`, an index."""

        def __init__(self, learning_rate=0.1, momentum=0.9, **kwargs):
            super().__init__(learning_rate=learning_rate, **kwargs)
            self.momentum = momentum
            self.seen = variable_class(0.0, name="seen", trainable=False)

        def build(self, variables):
            if self.built:
                return
            super().build(variables)
            self.steps = [
                self.add_variable_from_reference(reference_variable=v, name="step", initializer="ones")
                for v in variables]
            self.held = {"counts": [variable_class(0.0, trainable=False) for _ in variables]}

        def update_step(self, gradient, variable, learning_rate):
            learning_rate = ops.cast(learning_rate, variable.dtype)
            gradient = ops.cast(gradient, variable.dtype)
            step = self.steps[self._get_variable_index(variable)]
            self.assign(step, ops.multiply(step, self.momentum) - ops.multiply(gradient, learning_rate))
            self.assign_add(variable, step)
            self.assign_add(self.seen, 1.0)
            self.assign_add(self.held["counts"][self._get_variable_index(variable)], 2.0)

        def get_config(self):
            return {**super().get_config(), "momentum": self.momentum}

    return Mine


def test_an_optimizer_written_for_keras_runs():
    found = []
    for library, their_ops, kind, variables in (
            (keras.optimizers, keras.ops, keras.Variable, theirs()), (optimizers, ops, Variable, ours())):
        mine = own_class(library, their_ops, kind)
        optimizer = mine(momentum=0.5, weight_decay=0.1, clipnorm=1.0, name="own")
        optimizer.build(variables)
        weights, state = [v.value for v in variables], [v.value for v in optimizer.variables]
        for i in range(3):
            weights, state = jax.jit(optimizer.stateless_apply)(state, draw(i + 1), weights)
        found.append((optimizer.get_config(), weights + state))
        assert type(optimizer).from_config(optimizer.get_config()).get_config() == optimizer.get_config()
    assert found[0][0] == found[1][0]
    for wanted, got in zip(found[0][1], found[1][1], strict=True):
        close(got, wanted, "")


def test_a_rule_may_be_derived_and_saved_without_a_config_of_its_own():
    class Gentle(optimizers.Adam):
        def __init__(self, *, share=0.5, **kwargs):
            super().__init__(**kwargs)
            self.share = share

        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate * self.share)

    whole, half = Variable([1.0]), Variable([1.0])
    optimizers.Adam(0.05).apply([[1.0]], [whole])
    optimizer = Gentle(learning_rate=0.1)
    optimizer.apply([[1.0]], [half])
    close(half.value, whole.value, "")
    saved = optimizers.serialize(optimizer)
    again = optimizers.deserialize(saved, custom_objects={"Gentle": Gentle})
    assert type(again) is Gentle and again.get_config()["share"] == 0.5


# -- mistakes ----------------------------------------------------------------------------------------------
MISTAKES = [
    (lambda: optimizers.Adam("fast"), "learning_rate='fast'", "a schedule of"),
    (lambda: optimizers.Adam(lr=0.1), "lr=0.1", "call it `learning_rate`"),
    (lambda: optimizers.SGD(momentum=1.5), "momentum=1.5", "at most 1"),
    (lambda: optimizers.SGD(nesterov="yes"), "nesterov='yes'", "True or False"),
    (lambda: optimizers.RMSprop(rho=-1), "rho=-1", "at least 0"),
    (lambda: optimizers.Adam(beta_1=2.0), "beta_1=2.0", "at most 1"),
    (lambda: optimizers.Adam(epsilon=None), "epsilon=None", "a number"),
    (lambda: optimizers.AdamW(weight_decay=None), "weight_decay=None", "a number"),
    (lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0), "clipnorm=1.0, clipvalue=1.0", "Only one"),
    (lambda: optimizers.Adam(gradient_accumulation_steps=1), "steps=1", "at least 2"),
    (lambda: optimizers.Adam(ema_momentum=3), "ema_momentum=3", "at most 1"),
    (lambda: optimizers.Adam(ema_overwrite_frequency=0), "frequency=0", "at least 1"),
    (lambda: optimizers.Lion(beta_1=0.0), "beta_1=0.0", "above 0"),
    (lambda: optimizers.Ftrl(learning_rate_power=1.0), "power=1.0", "at most 0"),
    (lambda: optimizers.LossScaleOptimizer("adam"), "'adam'", "an optimizer"),
    (lambda: optimizers.OptimizerMap("adam"), "'adam'", "an optimizer"),
    (lambda: optimizers.MultiOptimizer(3), "3", "an OptimizerMap"),
    (lambda: optimizers.get("adamm"), "'adamm'", "'adam'"),
    (lambda: optimizers.get(optimizers.Adam), "Adam", "Adam()"),
    (lambda: optimizers.get(7), "7", "a name"),
    (lambda: optimizers.Adam().build([np.ones(2)]), "ndarray", "Variable"),
    (lambda: optimizers.Adam().apply([np.ones(2)]), "", "optimizer.build"),
    (lambda: optimizers.Adam().apply([np.ones(2)], ours()), "1 gradients", "2 gradients"),
    (lambda: optimizers.Adam().apply([np.ones(2)], ours()[:1]), "shape (2,)", "shape (4, 3)"),
    (lambda: optimizers.Adam().stateless_apply([], [], []), "0 values", "optimizer.build"),
    (lambda: optimizers.Adam().set_weights([]), "0 values", "2 values"),
    (lambda: optimizers.Optimizer(0.1).apply([[1.0]], [Variable([1.0])]), "", "update_step"),
    (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps=0", "> 0"),
    (lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1]), "values=[0.1]", "one rate"),
    (lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), "[2, 1]", "above the one"),
    (lambda: schedules.LearningRateSchedule()(0), "", "__call__"),
]


@pytest.mark.parametrize("mistake,received,mended", MISTAKES)
def test_mistakes_are_named(mistake, received, mended):
    with pytest.raises((ValueError, TypeError, NotImplementedError)) as caught:
        mistake()
    text = str(caught.value)
    assert received in text and mended in text and "\n  Where:" in text


def test_another_optimizer_is_needed_for_other_variables():
    optimizer = optimizers.SGD()
    optimizer.build([Variable([1.0])])
    with pytest.raises(ValueError, match="not built for this variable"):
        optimizer.apply([[1.0]], [Variable([1.0], name="stranger")])


def test_an_old_argument_is_warned_about():
    with pytest.warns(UserWarning, match="InverseTimeDecay"):
        optimizers.SGD(decay=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizers.SGD(decay=None)
