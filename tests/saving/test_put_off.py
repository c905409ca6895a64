"""First values are made when someone asks for them: often a file brings others before."""

import copy
import pickle

import numpy as np
import pytest

import kyeo
from kyeo.core.variable import Variable

INITIALIZERS = [
    "zeros", "ones", "glorot_uniform", "he_normal", "lecun_uniform", "random_normal", "random_uniform", "orthogonal",
    "truncated_normal", "identity", {"class_name": "GlorotUniform", "config": {"seed": 3}},
    {"class_name": "VarianceScaling", "config": {"scale": 2.0, "input_axes": [0], "output_axes": [1]}},
    {"class_name": "Constant", "config": {"value": 2.0}},
]


@pytest.fixture
def made(monkeypatch):
    """The paths of the variables whose first value was made late."""
    paths, usual = [], Variable.__getattr__

    def watched(variable, name):
        if name == "_value":
            paths.append(variable.path)
        return usual(variable, name)

    monkeypatch.setattr(Variable, "__getattr__", watched)
    return paths


def network(initializer="glorot_uniform"):
    return kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(4, kernel_initializer=initializer, name="d"),
                            kyeo.layers.BatchNormalization(name="b")])


def read_at_once(config):
    kyeo.utils.set_random_seed(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Variable, "_put_off", lambda *_: False)
        return kyeo.Sequential.from_config(config)


@pytest.mark.parametrize("initializer", INITIALIZERS, ids=str)
def test_the_values_are_those_made_at_once(initializer):
    config = network(initializer).get_config()
    at_once = read_at_once(config)
    kyeo.utils.set_random_seed(5)
    later = kyeo.Sequential.from_config(config)
    kyeo.utils.set_random_seed(6)  # what comes between does not count
    for one, other in zip(at_once.get_weights(), later.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def trained():
    model = network()
    model.compile("adam", "mse")
    model.fit(np.ones((8, 4)), np.ones((8, 4)), verbose=0)
    return model


def test_what_a_file_brings_is_not_made_before(made, tmp_path):
    model = trained()
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    kyeo.models.load_model(tmp_path / "m.keras")  # the first of its kind may be looked at, to know its shapes
    made.clear()
    loaded = kyeo.models.load_model(tmp_path / "m.keras")
    fresh = kyeo.Sequential.from_config(model.get_config())
    fresh.load_weights(tmp_path / "m.weights.h5")
    assert made == []
    for one, *others in zip(model.get_weights(), loaded.get_weights(), fresh.get_weights(), strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)
    assert made == []


def test_where_loading_fails_the_first_values_are_made_after_all(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "m.weights.h5")
    wanted = read_at_once(model.get_config()).get_weights()
    kyeo.utils.set_random_seed(5)
    fresh = kyeo.Sequential.from_config(model.get_config())
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(kyeo.layers.BatchNormalization, "load_own_variables", lambda *_: (_ for _ in ()).throw(
            KeyboardInterrupt))
        fresh.load_weights(tmp_path / "m.weights.h5")
    for one, other in zip(wanted, fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


USES = {
    "fit": lambda m: (m.compile("sgd", "mse"), m.fit(np.ones((8, 4)), np.ones((8, 4)), verbose=0)),
    "predict": lambda m: m.predict(np.ones((2, 4)), verbose=0),
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "deepcopy of a variable": lambda m: np.testing.assert_array_equal(copy.deepcopy(m.weights[0]), m.weights[0]),
    "pickle of a variable": lambda m: np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(m.weights[0])), m.weights[0]),
    "assign": lambda m: m.weights[0].assign(np.ones((4, 4))),
    "assign_add": lambda m: m.weights[0].assign_add(np.ones((4, 4))),
    "count_params": lambda m: m.count_params(),
    "clone": lambda m: kyeo.models.clone_model(m).get_weights(),
}


@pytest.mark.parametrize("use", USES)
def test_use_of_a_model_without_values_yet(use):
    model = kyeo.Sequential.from_config(network().get_config())
    assert "_value" not in vars(model.layers[0].kernel)
    USES[use](model)
    assert np.isfinite(np.concatenate([np.ravel(w) for w in model.get_weights()])).all()


def test_a_summary_draws_nothing():
    model = network()
    model.summary(print_fn=lambda text: None)
    assert "_value" not in vars(model.layers[0].kernel)


def test_a_model_made_by_hand_waits_too(monkeypatch):
    assert "_value" not in vars(network().layers[0].kernel)
    monkeypatch.setattr("kyeo.core.variable._AT_ONCE", 63)  # bytes; the kernel has 64
    assert "_value" in vars(network().layers[0].kernel) and "_value" not in vars(network().layers[0].bias)
    with kyeo.device("cpu:0"):
        assert "_value" in vars(network().layers[0].bias)


def test_another_name_is_missing_as_ever():
    with pytest.raises(AttributeError, match="no attribute 'vaule'"):
        kyeo.Variable(1.0).vaule
