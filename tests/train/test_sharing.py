"""Models that are alike share what is compiled; each trains as it would alone, to the bit; none keeps another alive."""

import copy
import functools
import weakref

import jax
import numpy as np
import pytest

import kyeo
from kyeo.core.settings import set_seed, settings
from kyeo.train import compiled, prepare
from kyeo.train.fingerprint import fingerprint
from tests.conformance.cases import CASES

RNG = np.random.default_rng(5)
X = RNG.normal(size=(20, 6)).astype("float32")
Y = RNG.integers(0, 3, 20).astype("int32")
SAME = {"Activation-activation=swish-(3,4)"}  # two names of one thing
COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compilations():
    """A list that grows with each compilation; nothing is shared with other tests."""
    compiled._shared.clear()
    seen, on = [], [True]
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *args, **kwargs: seen.append(event) if on and event == COMPILED else None)
    yield seen
    on.clear()


def make(rate=0.3, units=8, optimizer=None, loss="sparse_categorical_crossentropy", weights=None, frozen=(), seed=None,
         metrics=("accuracy",), regularizer=None, activation="relu"):
    x = kyeo.Input((6,))
    h = kyeo.layers.Dense(units, activation=activation, kernel_regularizer=regularizer)(x)
    h = kyeo.layers.BatchNormalization()(h)
    h = kyeo.layers.Dropout(rate, seed=seed)(h)
    model = kyeo.Model(x, kyeo.layers.Dense(3, activation="softmax")(h))
    for index in frozen:
        model.layers[index].trainable = False
    model.compile(optimizer or kyeo.optimizers.Adam(0.01), loss, loss_weights=weights, metrics=list(metrics))
    return model


def trained(draw, start=0, **options):
    """Everything that a training leaves: logs, weights, the optimizer's state."""
    set_seed(draw)
    model = make(**{key: value() if callable(value) else value for key, value in options.items()})
    history = model.fit(X[start:], Y[start:], batch_size=10, verbose=0).history
    state = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    return history, state


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


VARIANTS = {
    "plain": {},
    "another learning rate": {"optimizer": lambda: kyeo.optimizers.Adam(0.5)},
    "a schedule": {"optimizer": lambda: kyeo.optimizers.Adam(kyeo.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5))},
    "another beta": {"optimizer": lambda: kyeo.optimizers.Adam(0.01, beta_1=0.5)},
    "a loss weight": {"weights": 3.0},
    "another loss weight": {"weights": 0.5},
    "frozen first": {"frozen": (1,)},
    "frozen last": {"frozen": (4,)},
    "another rate": {"rate": 0.6},
    "another seed": {"seed": 7},
    "regularized more": {"regularizer": lambda: kyeo.regularizers.L2(0.5)},
    "another metric": {"metrics": ("accuracy", "sparse_categorical_crossentropy")},
    "another loss": {"loss": lambda: kyeo.losses.SparseCategoricalCrossentropy(ignore_class=0)},
    "fewer rows": {"start": 5},
}


def build(name):
    options = {key: value() if callable(value) else value for key, value in VARIANTS[name].items() if key != "start"}
    model = make(**options)
    prepare.build_for(model, (X, Y, None))
    return fingerprint(model, "train", list(model.state_variables()))


def test_what_a_step_depends_on_tells_models_apart():
    words = {name: build(name) for name in VARIANTS}
    alike = {"plain", "another learning rate", "fewer rows"}  # a rate and rows are inputs of the step
    assert {name for name in words if words[name] == words["plain"]} == alike
    assert len(set(words.values())) == len(VARIANTS) - len(alike) + 1 and None not in words.values()
    assert words == {name: build(name) for name in VARIANTS}


def test_a_graph_deeper_than_the_stack(monkeypatch):
    monkeypatch.setattr(settings, "dtype_policy", kyeo.dtype_policies.DTypePolicy("float32"))  # shared by all layers
    x = y = kyeo.Input((2,))
    for _ in range(300):
        y = kyeo.layers.Activation("tanh")(y)
    model = kyeo.Model(x, y)
    words = [fingerprint(m, "predict", list(m.state_variables())) for m in (model, copy.deepcopy(model))]
    assert words[0] == words[1] is not None
    middle = kyeo.Model(model.layers[200].output, y)  # its input has a past
    assert fingerprint(middle, "predict", list(middle.state_variables())) is not None


def test_each_trains_as_it_would_alone(compilations):
    names = ("plain", "another learning rate", "another loss weight", "frozen first", "fewer rows")
    alone = {}
    for number, name in enumerate(names):
        compiled._shared.clear()
        alone[name] = trained(number, **VARIANTS[name])
    compiled._shared.clear()
    for number, name in enumerate(names):  # now with what the others have left
        assert same(trained(number, **VARIANTS[name]), alone[name]), name


def test_models_alike_compile_once(compilations):
    histories, models, counts = [], [], []
    for seed in range(20):
        set_seed(seed)
        model = make(optimizer=kyeo.optimizers.Adam(0.01 * (seed + 1)))
        histories.append(model.fit(X, Y, batch_size=8, epochs=1, verbose=0).history["loss"])
        model.evaluate(X, Y, verbose=0), model.predict(X[:1], verbose=0)
        models.append(weakref.ref(model))
        counts.append(len(compilations))
    assert counts == [3] * 20  # fit, evaluate and predict of the first
    assert len({loss for (loss,) in histories}) == 20
    del model  # nobody waits for the garbage collector
    assert not any(reference() for reference in models)


def test_the_cache_of_steps_is_bounded(compilations, monkeypatch):
    monkeypatch.setattr(compiled, "_MOST_SHARED", 2)
    for units in (1, 2, 3, 1):
        make(units=units).predict(X[:1], verbose=0)
    assert len(compiled._shared) == 2 and len(compilations) == 4


def test_a_change_after_the_first_step_reaches_no_other_model(compilations):
    one, other = make(rate=0.3), make(rate=0.3)
    for model in (one, other):
        model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    before = list(compiled._shared.values())
    one.layers[3].rate = 0.9
    one.train_on_batch(X[:5], Y[:5])  # a new shape is traced, with the new rate
    assert one.runner("train")._compiled not in before and other.runner("train")._compiled in before


def alone(case):
    """The fingerprint of a model that is nothing but the layer of a case."""
    several = isinstance(case.shapes[0], tuple)
    inputs = [kyeo.Input(batch_shape=shape, dtype=case.dtype) if "stateful" in case.config
              else kyeo.Input(shape[1:], dtype=case.dtype) for shape in (case.shapes if several else [case.shapes])]
    layer = case.make(kyeo.layers)
    one_by_one = several and isinstance(case.shapes, tuple)
    outputs = layer(*inputs) if one_by_one else layer(inputs if several else inputs[0])
    model = kyeo.Model(inputs, outputs)
    return fingerprint(model, "predict", [model.trainable_variables, model.non_trainable_variables])


def test_every_built_in_layer_is_told_from_every_other():
    kyeo.utils.clear_session()
    known = {}
    for case in CASES:
        if case.call:
            continue  # needs more than inputs
        word = alone(case)
        assert word is not None, case
        if str(case) in SAME:
            continue
        other = known.setdefault(word, case)
        assert (other.name, other.config, str(other.shapes)) == (case.name, case.config, str(case.shapes))
    again = [alone(case) == word for word, case in list(known.items())[::9]]
    assert sum(again) > 0.9 * len(again)  # and known again, but for those with several outputs, whose names count


def own_loss(y_true, y_pred):
    return kyeo.ops.mean(kyeo.ops.square(y_pred), axis=-1)


@functools.wraps(kyeo.losses.sparse_categorical_crossentropy)
def borrowed_name(y_true, y_pred):
    return own_loss(y_true, y_pred)


class Own(kyeo.layers.Dense):
    pass


@pytest.mark.parametrize("case", ["lambda", "own layer", "own loss", "borrowed name", "own step", "own method", "own activation"])
def test_what_is_not_ours_is_not_shared(case, compilations):
    def build():
        x = kyeo.Input((6,))
        h = {"lambda": kyeo.layers.Lambda(lambda v: v * 2), "own layer": Own(4),
             "own activation": kyeo.layers.Dense(4, activation=lambda v: v)}.get(case, kyeo.layers.Dense(4))(x)
        kind = type("Mine", (kyeo.Model,), {"train_step": lambda self, state, data: super(
            type(self), self).train_step(state, data)}) if case == "own step" else kyeo.Model
        model = kind(x, kyeo.layers.Dense(3, activation="softmax")(h))
        if case == "own method":
            model.compute_loss = lambda *args, **kwargs: 0.0
        losses = {"own loss": own_loss, "borrowed name": borrowed_name}
        model.compile("sgd", losses.get(case, "sparse_categorical_crossentropy"))
        prepare.build_for(model, (X, Y, None))
        return model

    model = build()
    assert fingerprint(model, "train", list(model.state_variables())) is None


def test_a_patched_class_is_not_shared(compilations, monkeypatch):
    model = make()
    model.fit(X, Y, verbose=0)
    whole = kyeo.layers.Dense.call
    monkeypatch.setattr(kyeo.layers.Dense, "call", functools.wraps(whole)(lambda self, inputs: whole(self, inputs) * 2))
    assert fingerprint(model, "train", list(model.state_variables())) is None


def two_outputs(names):
    x = kyeo.Input((6,))
    outputs = [kyeo.layers.Dense(3, activation="softmax", name=name)(x) for name in names]
    model = kyeo.Model(x, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", "accuracy"])
    return model.fit(X, [Y, Y], verbose=0).history


def test_logs_go_by_the_names_of_the_model_itself(compilations):
    for names in (("a", "b"), ("c", "d")):
        assert set(two_outputs(names)) == {"loss", *(f"{n}_{kind}" for n in names for kind in ("loss", "accuracy"))}


@pytest.mark.parametrize("rows", [3, 8])
def test_a_changed_model_leaves_predictions_of_others_alone(rows):
    x = np.random.default_rng(3).normal(size=(32, 5)).astype("float32")

    def make():
        return kyeo.Sequential([kyeo.layers.Input((5,)), kyeo.layers.Dense(4, activation="relu", name="one")], name="m")

    changed, other = make(), make()
    changed.predict(x, verbose=0)
    other.predict(x, verbose=0)
    assert changed.runner("predict")._compiled is other.runner("predict")._compiled
    object.__setattr__(changed.layers[0], "activation", kyeo.activations.tanh)  # behind the counter of changes
    weights, bias = (np.asarray(w) for w in other.get_weights())
    changed.predict(x[:rows], verbose=0)
    np.testing.assert_allclose(other.predict(x[:rows], verbose=0), np.maximum(x[:rows] @ weights + bias, 0), atol=1e-6)
