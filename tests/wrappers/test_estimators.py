"""The estimators of scikit-learn: a few of its own checks (all of them are run by hand), pickles, clones, searches."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.ensemble import AdaBoostClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

import kyeo
from kyeo.wrappers import KerasClassifier, KerasRegressor, SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")



QUIET = {"verbose": 0, "epochs": 15}


def network(X, y, loss, activation="softmax", units=4, rate=0.1):
    model = kyeo.Sequential([kyeo.Input(X.shape[1:]), kyeo.layers.Dense(units, "tanh"),
                             kyeo.layers.Dense(y.shape[1] if activation != "sigmoid" else 1, activation)])
    model.compile(kyeo.optimizers.Adam(rate), loss)
    return model


def classifier(**words):
    return SKLearnClassifier(network, model_kwargs={"loss": "categorical_crossentropy", **words}, fit_kwargs=QUIET)


def regressor():
    return SKLearnRegressor(network, model_kwargs={"loss": "mse", "activation": None}, fit_kwargs=QUIET)


@pytest.mark.parametrize("words", [
    {}, {"loss": "binary_crossentropy", "activation": "sigmoid"}, {"loss": "sparse_categorical_crossentropy"},
    {"loss": kyeo.losses.CategoricalCrossentropy(from_logits=True), "activation": None},
    {"loss": kyeo.losses.BinaryCrossentropy(from_logits=True), "activation": "linear"}], ids=str)
def test_classifier(words):
    made = classifier(**words).fit(X, Y)
    assert made.score(X, Y) > 0.9
    assert list(made.classes_) == ["no", "yes"] and made.n_features_in_ == 3 and made.epoch_ == list(range(15))
    proba = made.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(made.classes_[proba.argmax(1)], made.predict(X))
    np.testing.assert_array_equal(made.classes_[(made.decision_function(X) > 0).astype(int)], made.predict(X))
    assert cross_val_score(made, X, Y, cv=2, scoring="roc_auc").mean() > 0.9


def test_pickle_and_clone():
    for made, y in ((classifier(), Y), (regressor(), X[:, 0])):
        kyeo.utils.set_random_seed(3)
        made.fit(X, y)
        again = pickle.loads(pickle.dumps(made))
        np.testing.assert_array_equal(again.predict(X), made.predict(X))
        assert again.history_.history.keys() == made.history_.history.keys()
        cloned = sklearn.clone(made)
        assert cloned.get_params().keys() == made.get_params().keys() and cloned.fit_kwargs == QUIET
        kyeo.utils.set_random_seed(3)
        np.testing.assert_array_equal(cloned.fit(X, y).predict(X), made.predict(X))  # training repeats
    whole = network(X, np.zeros((40, 1)), "mse", activation=None)
    made = sklearn.clone(SKLearnRegressor(whole, fit_kwargs=QUIET)).fit(X, X[:, 0])
    assert pickle.loads(pickle.dumps(made)).score(X, X[:, 0]) == pytest.approx(made.score(X, X[:, 0]))


def test_in_scikit_learn():
    search = GridSearchCV(classifier(), {"model_kwargs": [
        {"loss": "categorical_crossentropy", "rate": rate} for rate in (1e-6, 0.1)]}, cv=2).fit(X, Y)
    assert search.best_params_["model_kwargs"]["rate"] == 0.1
    assert cross_val_score(make_pipeline(StandardScaler(), regressor()), X, X[:, 0], cv=2).mean() > 0.5
    several = regressor().fit(X, X[:, :2])
    assert several.predict(X).shape == (40, 2)
    reduced = SKLearnTransformer(network, model_kwargs={"loss": "mse", "activation": None}, fit_kwargs=QUIET)
    assert reduced.fit_transform(X, X[:, :2]).shape == (40, 2)
    warm = SKLearnRegressor(network, warm_start=True, model_kwargs={"loss": "mse", "activation": None}, fit_kwargs=QUIET)
    model = warm.fit(X, X[:, 0]).model_
    assert warm.fit(X, X[:, 0]).model_ is model
    assert list(reduced.get_feature_names_out()) == ["sklearntransformer0", "sklearntransformer1"]  # for set_output
    assert (KerasClassifier, KerasRegressor) == (SKLearnClassifier, SKLearnRegressor)


def test_warm_start_goes_on_with_the_model_that_is_given():
    whole = network(X, np.zeros((40, 1)), "mse", activation=None)
    made = SKLearnRegressor(whole, warm_start=True, fit_kwargs=QUIET)
    for ours, its in zip(sklearn.clone(made).model.get_weights(), whole.get_weights()):
        np.testing.assert_array_equal(ours, its)
    assert sklearn.clone(made).model is not whole and made.fit(X, X[:, 0]).model_ is whole


def test_what_fit_is_told_of_classes_and_rows():
    made = classifier().fit(X, Y, validation_data=(X, Y), class_weight={"no": 1e-6, "yes": 1.0})
    assert made.history_.history["val_loss"][-1] > made.history_.history["loss"][-1]  # only "yes" counts in the second
    weighted = AdaBoostClassifier(classifier(), n_estimators=1).fit(X, Y)
    assert weighted.score(X, Y) > 0.9
    with sklearn.config_context(enable_metadata_routing=True):
        asks = regressor().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        GridSearchCV(asks, {"warm_start": [False]}, cv=2).fit(X, X[:, 0], sample_weight=np.ones(40))


@pytest.mark.parametrize("check", [
    "check_no_attributes_set_in_init", "check_estimators_unfitted", "check_estimators_pickle", "check_n_features_in",
    "check_dict_unchanged", "check_estimator_cloneable", "check_dont_overwrite_parameters",
    "check_sample_weights_not_an_array", "check_all_zero_sample_weights_error"])
def test_checks_of_scikit_learn(check):
    for made in (classifier(), regressor()):
        getattr(estimator_checks, check)(type(made).__name__, made)


@pytest.mark.parametrize(("make", "text"), [
    (lambda: SKLearnRegressor(3).fit(X, X[:, 0]), "`model` is not valid"),
    (lambda: SKLearnRegressor(kyeo.Sequential([kyeo.layers.Dense(1)])).fit(X, X[:, 0]), "not compiled"),
    (lambda: classifier().fit(X, X[:, 0]), "Unknown label type"),
    (lambda: classifier().fit(X, np.zeros(40)), "only one class"),
    (lambda: classifier().predict(X), "not fitted"),
    (lambda: classifier().fit(X, Y, validation_data=(X, np.array(["maybe"] * 40))), "classes that `y` does not have"),
    (lambda: SKLearnTransformer(network).fit(X, None), "requires y to be passed"),
    (lambda: SKLearnRegressor(lambda: 3).fit(X, X[:, 0]), r"(?s)`X` is not a parameter.*def model\(X, y"),
])
def test_refused(make, text):
    with pytest.raises((ValueError, TypeError, RuntimeError, AttributeError), match=text):
        make()
