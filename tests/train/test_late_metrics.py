"""Metrics that make variables at their first batch count every batch, in each of several models that are alike."""

import numpy as np
import pytest

import kyeo
from kyeo import metrics
from tests.thin import thinned

RNG = np.random.default_rng(0)
X = RNG.normal(size=(14, 3)).astype("float32")
LABELS = RNG.integers(0, 3, 14)
HOT = np.eye(3, dtype="float32")[LABELS]


class Own(metrics.Metric):
    """Makes its variable at its first batch."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        if not self.variables:
            self.rows = self.add_variable((), "zeros", name="rows")
        self.rows.assign_add(y_pred.shape[0])

    def result(self):
        return self.rows.value if self.variables else 0.0


class Listener(kyeo.callbacks.Callback):
    """Wants every batch by itself."""

    def on_train_batch_end(self, batch, logs=None):
        pass


CASES = [
    (lambda: metrics.F1Score(), "categorical_crossentropy", HOT),
    (lambda: metrics.FBetaScore(average="micro", threshold=0.4), "categorical_crossentropy", HOT),
    (lambda: metrics.R2Score(), "mse", HOT),
    (lambda: metrics.AUC(multi_label=True), "categorical_crossentropy", HOT),
    (lambda: metrics.Precision(average="macro"), "sparse_categorical_crossentropy", LABELS),
    (lambda: Own(name="own"), "mse", HOT),
]


@pytest.mark.parametrize("metric, loss, y, eagerly", thinned([(*case, False) for case in CASES] + [(*CASES[0], True)], 6))
def test_as_over_all_rows_at_once(metric, loss, y, eagerly):
    """With a rate of 0 the weights stay: an epoch's metric is that of all rows, however they came."""
    seen = []
    for callbacks in ([], [], [Listener()]):
        model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(3, activation="softmax")])
        model.compile(kyeo.optimizers.SGD(0.0), loss, metrics=[metric()], run_eagerly=eagerly)
        model.set_weights([np.eye(3), np.zeros(3)])
        size = 7 if isinstance(model._objective.spec["metrics"][0], Own) else 4  # it would count the rows filled in
        history = model.fit(X, y, batch_size=size, epochs=2, verbose=0, callbacks=callbacks,
                            validation_data=(X, y)).history
        name = next(name for name in history if name != "loss" and not name.startswith("val_"))
        seen += [*history[name], *history[f"val_{name}"], model.evaluate(X, y, batch_size=14, verbose=0)[1]]
    np.testing.assert_allclose(seen, [seen[-1]] * len(seen), rtol=1e-5)


def test_on_batches():
    """`train_on_batch` and a model's own step as well."""
    class Holder(kyeo.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.score = kyeo.layers.Dense(3, activation="softmax"), metrics.F1Score(average="macro")

        def call(self, x):
            return self.dense(x)

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            self.score.update_state(y, y_pred)
            return super().compute_metrics(x, y, y_pred, sample_weight)

    seen = []
    for _ in range(2):
        model = Holder()
        model.compile(kyeo.optimizers.SGD(0.0), "mse")
        model.build((None, 3))
        model.set_weights([np.eye(3), np.zeros(3)])
        seen += [model.train_on_batch(X, HOT, return_dict=True)["f1_score"],
                 model.fit(X, HOT, batch_size=4, epochs=1, verbose=0).history["f1_score"][0]]
    np.testing.assert_allclose(seen, [seen[0]] * 4, rtol=1e-5)


def test_metrics_given_as_objects_after_a_prediction():
    """`predict` before the first `fit` or `evaluate` lists the model's variables, when these metrics are not there yet."""
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(3)])
    model.compile(kyeo.optimizers.SGD(0.0), "mse", metrics=[metrics.MeanAbsoluteError(name="mae")])
    expected = np.abs(model.predict(X, verbose=0) - HOT).mean()
    found = [model.evaluate(X, HOT, batch_size=4, verbose=0)[1],
             *model.fit(X, HOT, batch_size=4, epochs=2, verbose=0).history["mae"]]
    np.testing.assert_allclose(found, [expected] * 3, rtol=1e-5)
