"""Every metric against Keras over several batches, with and without weights; padding; what compile makes of them."""

import inspect
import itertools
import weakref

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from sklearn import metrics as sk

import kyeo
from kyeo import losses, metrics
from kyeo.core.errors import NotMaskable
from kyeo.core.masks import set_mask
from kyeo.core.scope import scope
from kyeo.metrics.resolve import Adapted, kind_of_labels, resolve
from tests.compiled import programs
from tests.numpy_jaxpr import in_numpy
from tests.thin import thinned

N, C, BATCHES = 8, 4, 3


def make_batch(r):
    """One batch of every kind: (labels, predictions)."""
    scores = r.uniform(0.01, 1, (N, C)).astype("f")
    probs = scores / scores.sum(1, keepdims=True)
    classes = r.integers(0, C, N)
    one_hot = np.eye(C, dtype="f")[classes]
    many_hot = (r.random((N, C)) < 0.4).astype("f")
    logits = r.normal(size=(N, C)).astype("f")
    pixels = r.integers(0, C, (N, 3, 3))
    return {
        "numbers": (r.uniform(0.01, 2, (N, C)).astype("f"), scores), "one-hot": (one_hot, probs),
        "classes": (classes, probs), "column": (classes[:, None], probs), "many-hot": (many_hot, scores),
        "yes-no": (many_hot[:, 0], scores[:, 0]), "yes-no-column": (many_hot[:, :1], scores[:, :1]),
        "yes-no-mixed": (many_hot[:, 0], scores[:, :1]), "logits": (one_hot, logits),
        "signs": (one_hot * 2 - 1, logits), "class-logits": (classes, logits),
        "integers": (classes, r.integers(0, C, N)), "steps": (pixels[:, 0], r.random((N, 3, C)).astype("f")),
        "ids": (classes, np.argsort(-scores, axis=1)), "pixels": (pixels, r.integers(0, C, (N, 3, 3))),
        "pixel-scores": (np.eye(C, dtype="f")[pixels], r.random((N, 3, 3, C)).astype("f")),
        "column-numbers": (logits[:, :1], scores[:, :1]),
    }


DATA = [make_batch(np.random.default_rng(seed)) for seed in range(BATCHES)]
THRESHOLDS = {"thresholds": [0.2, 0.5, 0.7]}
AT = {"SensitivityAtSpecificity": "specificity", "SpecificityAtSensitivity": "sensitivity",
      "PrecisionAtRecall": "recall", "RecallAtPrecision": "precision"}
MEANS = "MeanSquaredError MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredLogarithmicError " \
        "RootMeanSquaredError LogCoshError CosineSimilarity PearsonCorrelation ConcordanceCorrelation Poisson " \
        "KLDivergence"
COUNTS = "TruePositives TrueNegatives FalsePositives FalseNegatives"
CASES = [
    *((name, {}, "numbers") for name in MEANS.split()), ("CosineSimilarity", {"axis": 1}, "pixel-scores"),
    ("MeanSquaredError", {}, "column-numbers"), ("RootMeanSquaredError", {}, "column-numbers"),
    ("Hinge", {}, "signs"), ("Hinge", {}, "logits"), ("SquaredHinge", {}, "signs"), ("CategoricalHinge", {}, "logits"),
    ("R2Score", {}, "numbers"), ("R2Score", {"class_aggregation": None}, "numbers"),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 2}, "numbers"),
    ("R2Score", {}, "column-numbers"),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, "many-hot"),
    ("BinaryCrossentropy", {"from_logits": True}, "logits"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "one-hot"),
    ("CategoricalCrossentropy", {"from_logits": True, "axis": 1}, "logits"),
    ("SparseCategoricalCrossentropy", {}, "column"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "class-logits"), ("Accuracy", {}, "integers"),
    ("BinaryAccuracy", {}, "yes-no-column"), ("BinaryAccuracy", {"threshold": 0.3}, "many-hot"),
    ("BinaryAccuracy", {}, "yes-no-mixed"), ("CategoricalAccuracy", {}, "one-hot"),
    ("CategoricalAccuracy", {}, "pixel-scores"), ("SparseCategoricalAccuracy", {}, "classes"),
    ("SparseCategoricalAccuracy", {}, "column"), ("SparseCategoricalAccuracy", {}, "steps"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one-hot"), ("SparseTopKCategoricalAccuracy", {"k": 3}, "classes"),
    ("SparseTopKCategoricalAccuracy", {}, "steps"),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, "ids"),
    *((name, options, "many-hot") for name, options in zip(COUNTS.split(), ({}, THRESHOLDS, {}, THRESHOLDS))),
    *((name, options, kind) for name in ("Precision", "Recall") for options, kind in (
        ({}, "yes-no-mixed"), (THRESHOLDS, "yes-no"), ({"thresholds": [0.0, 0.5, 1.0]}, "many-hot"),
        ({"class_id": 1}, "many-hot"), ({"top_k": 2, "class_id": 2}, "many-hot"))),
    *((name, {AT[name]: 0.4}, "many-hot") for name in AT),
    *((name, {AT[name]: 0.6, "num_thresholds": count, "class_id": 1}, "many-hot")
      for name, count in zip(AT, (1, 5, 5, 1))),
    *(("AUC", {"curve": curve, "summation_method": method, "num_thresholds": 20}, "many-hot")
      for curve, method in (("ROC", "interpolation"), ("ROC", "minoring"), ("PR", "interpolation"), ("PR", "majoring"),
                            ("PRGAIN", "interpolation"))),
    ("AUC", {}, "yes-no-mixed"), ("AUC", {"from_logits": True}, "logits"),
    ("AUC", {"thresholds": [0.1, 0.35, 0.8], "num_thresholds": None}, "yes-no"), ("AUC", {"multi_label": True}, "many-hot"),
    ("AUC", {"multi_label": True, "num_labels": C, "curve": "PR", "label_weights": [1.0, 2.0, 0.0, 1.0]}, "many-hot"),
    ("AUC", {"label_weights": [1.0, 2.0, 0.5, 1.0], "thresholds": [0.3]}, "many-hot"),
    *(("FBetaScore", {"average": average, "beta": 2.0, "threshold": threshold}, "many-hot")
      for average, threshold in ((None, 0.4), ("micro", 0.4), ("macro", None), ("weighted", None))),
    ("F1Score", {}, "one-hot"),
    ("IoU", {"num_classes": C, "target_class_ids": [0, 2]}, "pixels"),
    ("IoU", {"num_classes": 3, "target_class_ids": (1,), "ignore_class": 0}, "integers"),
    ("IoU", {"num_classes": C, "target_class_ids": [1], "sparse_y_pred": False, "dtype": "float32"}, "classes"),
    ("BinaryIoU", {}, "yes-no"), ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.3}, "many-hot"),
    ("MeanIoU", {"num_classes": C}, "pixels"),
    ("OneHotIoU", {"num_classes": C, "target_class_ids": [0, 3]}, "pixel-scores"),
    ("OneHotMeanIoU", {"num_classes": C}, "one-hot"),
]
IDS = [f"{name}-{'-'.join(f'{k}_{v}' for k, v in options.items())}-{kind}" for name, options, kind in CASES]
each_case = pytest.mark.parametrize(("name", "options", "kind"), CASES, ids=IDS)
# In Keras these give an error or a number without meaning for one weight a row.
NO_WEIGHTS = {("IoU", "pixels"), ("MeanIoU", "pixels"), ("OneHotIoU", "pixel-scores"),
              ("CosineSimilarity", "pixel-scores"), ("BinaryIoU", "many-hot")}


def weights_for(name, seed):
    # not 0 for R2Score, where Keras counts absent rows as samples
    w = np.random.default_rng(seed).integers(name == "R2Score", 4, N).astype("f")
    return w if "IoU" in name else w * 0.7


def fed(metric, kind, weights=None, keep=slice(None)):
    """The metric's value after all batches."""
    for seed, batch in enumerate(DATA):
        true, pred = (x[keep] for x in batch[kind])
        metric.update_state(true, pred, None if weights is None else weights(seed)[keep])
    return np.asarray(metric.result())


def traced(metric, kind, weights=None):
    """The metric's value after all batches, from its first state, by its stateless methods and NumPy."""
    if not metric.variables or isinstance(metric, keras.metrics.R2Score):  # made by the first batch; asks a value
        return fed(metric, kind, weights)
    state = [v.value for v in metric.variables]
    for seed, batch in enumerate(DATA):
        state = in_numpy(metric.stateless_update_state, state, *batch[kind], None if weights is None else weights(seed))
    return in_numpy(metric.stateless_result, state)


@pytest.mark.filterwarnings("ignore:You are passing weight:UserWarning")  # Keras's IoU: float weights, int64
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")
@pytest.mark.parametrize(("name", "options", "kind"), thinned(CASES, 2, kind=lambda case: case[0]))
def test_same_as_keras(name, options, kind):
    mine, other = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    np.testing.assert_allclose(fed(mine, kind), traced(other, kind), rtol=1e-5, atol=1e-6)
    assert [v.name for v in mine.variables] == [v.name for v in other.variables]
    assert [tuple(v.shape) for v in mine.variables] == [tuple(v.shape) for v in other.variables]
    mine.reset_state(), other.reset_state()
    if (name, kind) not in NO_WEIGHTS:
        def weights(seed):
            return weights_for(name, seed)
        np.testing.assert_allclose(traced(mine, kind, weights), traced(other, kind, weights), rtol=1e-5, atol=1e-6)
    assert mine._direction == getattr(other, "_direction", None)


@pytest.mark.parametrize(("name", "options", "kind"), thinned(CASES, 4, kind=lambda case: case[0]))
def test_rows_of_weight_0_are_as_if_they_were_not_there(name, options, kind):
    want = fed(getattr(metrics, name)(**options), kind, keep=slice(N - 3))
    metric = getattr(metrics, name)(**options)
    rows = np.array([1.0] * (N - 3) + [0.0] * 3, "f")
    for batch in DATA:
        true, pred = (np.array(x) for x in batch[kind])
        true[N - 3:] = np.nan if true.dtype.kind == "f" else 77
        pred[N - 3:] = np.nan if pred.dtype.kind == "f" else 55
        metric.update_state(true, pred, sample_weight=rows)
    np.testing.assert_allclose(metric.result(), want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "options", "kind"), list({case[0]: case for case in CASES}.values()))
def test_stateless(name, options, kind):
    metric = getattr(metrics, name)(**options)
    true, pred = DATA[0][kind]
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (true, pred)]
    metric.build_from(*shapes)
    start = [np.asarray(v.value) for v in metric.variables]
    assert start and not any(x.any() for x in start)
    step = jax.jit(lambda state, t, p: metric.stateless_update_state(state, t, p))
    state = metric.stateless_reset_state()
    for batch in DATA[:2]:
        state = step(state, *batch[kind])
    value = metric.stateless_result(state)
    assert not any(np.asarray(v.value).any() for v in metric.variables)
    for batch in DATA[:2]:
        metric.update_state(*batch[kind])
    np.testing.assert_allclose(value, metric.result(), rtol=1e-5, atol=1e-6)


@each_case
def test_config(name, options, kind):
    metric, theirs = (getattr(room, name)(**options) for room in (metrics, keras.metrics))
    config, other = metric.get_config(), theirs.get_config()
    assert {k: np.asarray(v).tolist() for k, v in other.items() if k != "name"} \
        == {k: np.asarray(config[k]).tolist() for k in other if k != "name"}
    assert set(config) - set(other) <= {"axis"}  # which Keras forgets for CosineSimilarity
    spec = metrics.serialize(metric)
    assert spec["module"] == "keras.metrics" and metrics.deserialize(spec).get_config() == config
    assert type(theirs).from_config(config).name == metric.name
    assert fed(metrics.deserialize(spec), kind).tolist() == fed(metric, kind).tolist()


FUNCTIONS = {
    "binary_accuracy": ("many-hot", {"threshold": 0.4}), "categorical_accuracy": ("one-hot", {}),
    "sparse_categorical_accuracy": ("column", {}), "top_k_categorical_accuracy": ("one-hot", {"k": 2}),
    "sparse_top_k_categorical_accuracy": ("classes", {"k": 2}), "pearson_correlation": ("numbers", {"axis": 0}),
    "concordance_correlation": ("numbers", {}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    kind, options = FUNCTIONS[name]
    mine, other = (getattr(room, name)(*DATA[0][kind], **options) for room in (metrics, keras.metrics))
    np.testing.assert_allclose(np.ravel(mine), np.ravel(other), rtol=1e-5, atol=1e-6)


def test_everything_public_has_a_row():
    bases = {"Metric", "Mean", "Sum", "MeanMetricWrapper", "get", "serialize", "deserialize"}
    shared = {name for name in metrics.__all__ if getattr(metrics, name) is getattr(losses, name, None)}
    assert set(metrics.__all__) == {row[0] for row in CASES} | set(FUNCTIONS) | bases | shared
    assert {n for n in dir(keras.metrics) if not n.startswith("_")} == set(metrics.__all__)


@pytest.mark.parametrize("name", [n for n in metrics.__all__ if n not in ("get", "serialize", "deserialize")])
def test_same_signature(name):
    mine, other = ([(p.name, p.default, p.kind) for p in inspect.signature(getattr(room, name)).parameters.values()]
                   for room in (metrics, keras.metrics))
    assert mine[:len(other)] == other
    assert [p[0] for p in mine[len(other):]] == {"Accuracy": ["exact"], "Precision": ["average"],
                                                 "Recall": ["average"]}.get(name, [])


@pytest.mark.parametrize("name", ["Sum", "Mean"])
@pytest.mark.parametrize(("values", "weight"), [
    (3.0, None), (np.arange(4.0), None), (np.arange(4.0), np.array([0.0, 1, 2, 3])), (np.ones((4, 2)), np.arange(4.0)),
    (np.arange(8.0).reshape(4, 2), np.arange(8.0).reshape(4, 2)), (np.ones((4, 1)), np.arange(4.0)), (5.0, 2.0),
])
def test_sum_and_mean(name, values, weight):
    mine, other = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for _ in range(2):
        mine.update_state(values, weight), other.update_state(values, weight)
    np.testing.assert_allclose(mine.result(), other.result(), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sums_in_half_precision_do_not_stand_still(dtype):
    mean, score = metrics.Mean(dtype=dtype), metrics.FBetaScore("micro", threshold=0.5, dtype=dtype)
    mean.update_state(1.0)
    mean.count.assign(70_000.0)  # infinite in float16; and in bfloat16 one more is no more
    mean.total.assign(35_000.0)
    mean.update_state(np.zeros(32, "float32"))
    assert mean.count.numpy() == 70_032 and abs(mean.result() - 0.5) < 1e-3 and mean.result().dtype == dtype
    score.update_state(np.eye(2), np.eye(2))
    assert {v.dtype for v in score.variables} == {"float32"} and score.result().dtype == dtype
    kyeo.config.set_floatx(dtype)
    try:
        assert metrics.TruePositives().accumulator.dtype == "float32"
    finally:
        kyeo.config.set_floatx("float32")


def test_predictions_in_half_precision_are_compared_in_float32():
    true, pred = np.zeros((2, 1), "f"), jnp.array([[300.0], [400.0]], "float16")
    assert float(metrics.MeanSquaredError()(true, pred)) == 125_000
    root = metrics.RootMeanSquaredError(dtype="float16")(true, pred)
    assert root.dtype == "float16" and abs(float(root) - 353.55) < 0.2


def test_class_numbers_beyond_the_type_of_the_labels():
    scores = np.eye(300, dtype="f")[[257, 1]]
    assert metrics.sparse_categorical_accuracy(np.array([1, 1], "uint8"), scores).tolist() == [0, 1]
    ids = np.array([[1], [1]], "uint8")
    hits = metrics.sparse_top_k_categorical_accuracy(np.array([257, 1]), ids, from_sorted_ids=True)
    assert hits.tolist() == [0, 1]


def test_counts_of_iou_have_fractions_and_no_end():
    half = metrics.BinaryIoU.from_config(metrics.BinaryIoU().get_config())
    half.update_state([0, 1, 1], [0.0, 1.0, 0.0], sample_weight=[0.5, 0.5, 0.25])
    assert abs(float(half.result()) - (0.5 / 0.75 + 0.5 / 0.75) / 2) < 1e-6
    half.total_cm.assign(np.full((2, 2), 2**31 - 1, "float32"))
    half.update_state([0, 1], [0.0, 1.0])
    assert abs(float(half.result()) - 1 / 3) < 1e-6


def test_wrapped_function():
    metric = metrics.MeanMetricWrapper(losses.huber, name="h", delta=0.5)
    other = keras.metrics.MeanMetricWrapper(keras.losses.huber, name="h", delta=0.5)
    np.testing.assert_allclose(fed(metric, "numbers"), fed(other, "numbers"), rtol=1e-6)
    again = metrics.deserialize(metrics.serialize(metric))
    assert again.delta == 0.5 and fed(again, "numbers") == fed(metrics.deserialize(metrics.serialize(again)), "numbers")
    assert metrics.MeanMetricWrapper("binary_accuracy").fn is metrics.binary_accuracy
    with pytest.raises(NotMaskable):
        metrics.MeanMetricWrapper(lambda t, p: jnp.mean(t - p))(*DATA[0]["numbers"], np.ones(N, "f"))
    with pytest.raises(NotMaskable):
        metrics.PearsonCorrelation(axis=0)(*DATA[0]["numbers"], np.ones(N, "f"))


def test_masks():
    true, pred = DATA[0]["steps"]
    mask = np.random.default_rng(0).random(true.shape) < 0.5
    ours, theirs = jnp.asarray(pred) + 0, jnp.asarray(pred) + 0
    set_mask(ours, mask)
    keras.src.backend.set_keras_mask(theirs, mask)
    for weight in (None, weights_for("", 0)[:, None]):
        mine, other = metrics.SparseCategoricalAccuracy(), keras.metrics.SparseCategoricalAccuracy()
        np.testing.assert_allclose(mine(true, ours, weight), other(true, theirs, weight), rtol=1e-6)


def test_ignored_classes_are_not_counted_with_or_without_weights():
    true, pred = DATA[0]["classes"]
    metric, plain = metrics.SparseCategoricalCrossentropy(ignore_class=1), metrics.SparseCategoricalCrossentropy()
    kept = true != 1
    want = float(plain(true[kept], pred[kept]))
    assert float(metric(true, pred)) == pytest.approx(want)
    metric.reset_state()
    assert float(metric(true, pred, np.ones(N, "f"))) == pytest.approx(want)


def test_names():
    for name in ("bce", "BCE", "mse", "MSE", "mae", "mape", "msle", "accuracy", "mean_squared_error", "AUC", "auc",
                 "f1_score", "Precision", "sparse_top_k_categorical_accuracy"):
        assert type(metrics.get(name)).__name__ == type(keras.metrics.get(name)).__name__
    assert metrics.get(None) is None and metrics.get("huber") is losses.huber
    assert metrics.get({"class_name": "Precision", "config": {"top_k": 3}}).top_k == 3
    with pytest.raises(ValueError, match="did you mean"):
        metrics.get("acuracy")


def test_kyeos_own_arguments_are_in_a_config_only_where_they_are_used():
    assert "exact" not in metrics.Accuracy().get_config() and metrics.Accuracy(exact=True).get_config()["exact"]
    assert "average" not in metrics.Recall().get_config()
    assert metrics.Recall(average="macro").get_config()["average"] == "macro"


def test_a_metric_of_ones_own_may_hold_others():
    class Both(metrics.Metric):
        def __init__(self, name="both", **kwargs):
            super().__init__(name=name, **kwargs)
            self.low, self.high = metrics.Mean(name="low"), metrics.Mean(name="high")
            self.count = self.add_weight(name="count")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.low.update_state(jnp.min(y_pred))
            self.high.update_state(jnp.max(y_pred))
            self.count.assign_add(1)

        def result(self):
            return {"low": self.low.result(), "high": self.high.result()}

    metric = Both()
    assert [v.path for v in metric.variables] == ["both/count", "low/total", "low/count", "high/total", "high/count"]
    assert {k: float(v) for k, v in metric(0, np.array([1.0, 3.0])).items()} == {"low": 1.0, "high": 3.0}
    state = metric.stateless_update_state([v.value for v in metric.variables], 0, np.array([3.0, 5.0]))
    assert {k: float(v) for k, v in metric.stateless_result(state).items()} == {"low": 2.0, "high": 4.0}
    metric.reset_state()
    assert not any(float(v.value) for v in metric.variables)
    assert not any(v.trainable for v in metric.variables)


def test_a_metric_in_a_layer_adds_no_weights():
    class WithMetric(kyeo.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seen = metrics.Mean()

    assert WithMetric().weights == []


BAD = [
    (lambda: metrics.Precision(thresholds=1.5), "from 0 to 1"),
    (lambda: metrics.Precision(average="all"), "average"),
    (lambda: metrics.Precision(average="macro", top_k=1), "top_k"),
    (lambda: metrics.AUC(num_thresholds=1), "num_thresholds"),
    (lambda: metrics.AUC(num_thresholds=None), "num_thresholds"),
    (lambda: metrics.Precision(class_id=2)([0, 1, 1], [0.2, 0.1, 0.6]), "class_id"),
    (lambda: metrics.Recall(class_id=2)([[0, 1]], [[0.2, 0.1]]), "class_id"),
    (lambda: metrics.AUC(curve="roc2"), "curve"), (lambda: metrics.AUC(num_labels=3), "multi_label"),
    (lambda: metrics.AUC(multi_label=True)([1.0], [0.5]), "row for each sample"),
    (lambda: metrics.FBetaScore(beta=0.0), "beta"), (lambda: metrics.F1Score(threshold=0.0), "threshold"),
    (lambda: metrics.F1Score()([1.0], [1.0]), "row for each sample"),
    (lambda: metrics.IoU(2, [2]), "not classes"), (lambda: metrics.RecallAtPrecision(1.5), "precision"),
    (lambda: metrics.R2Score(class_aggregation="sum"), "class_aggregation"),
    (lambda: metrics.R2Score(num_regressors=-1), "num_regressors"),
    (lambda: metrics.TopKCategoricalAccuracy(k=0), "k"), (lambda: metrics.Metric().result(), "result"),
    (lambda: metrics.Metric().update_state(1), "update_state"),
    (lambda: metrics.Accuracy()(np.ones((4,)), np.ones((4, 3))), "do not have shapes that fit"),
    (lambda: metrics.Precision()(np.ones((4,)), np.ones((4, 3))), "do not have shapes that fit"),
    (lambda: metrics.MeanIoU(3)(np.ones((4,)), np.ones((5,))), "rows of labels"),
    (lambda: metrics.Mean()(np.ones(4), np.ones(5)), "does not fit the values"),
    (lambda: resolve("accuracy", (4,), "<U3", (4, 3)), "texts"),
]


@pytest.mark.parametrize(("act", "text"), BAD)
def test_bad_arguments(act, text):
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=text) as caught:
        act()
    assert "jax" not in str(caught.value).lower()


def test_a_metric_without_super_init_says_so():
    class Forgot(metrics.Metric):
        def __init__(self):
            self.total = self.add_variable((), "zeros")

    with pytest.raises(RuntimeError, match="super"):
        Forgot()


# -- averages as scikit-learn has them ----------------------------------------------------------------------------
@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
@pytest.mark.parametrize("kind", ["classes", "column", "one-hot", "class-logits"])
def test_averages_are_those_of_scikit_learn(average, kind):
    batches = [batch[kind] for batch in DATA]
    true = np.concatenate([t.argmax(1) if t.ndim == 2 and t.shape[1] > 1 else t.ravel() for t, _ in batches])
    pred = np.concatenate([p.argmax(1) for _, p in batches])
    weight = np.concatenate([weights_for("", seed) for seed in range(BATCHES)])
    for cls, oracle in ((metrics.Precision, sk.precision_score), (metrics.Recall, sk.recall_score)):
        want = oracle(true, pred, average=average, zero_division=0)
        np.testing.assert_allclose(fed(cls(average=average), kind), want, rtol=1e-6)
        want = oracle(true, pred, average=average, sample_weight=weight, zero_division=0)
        np.testing.assert_allclose(fed(cls(average=average), kind, lambda seed: weights_for("", seed)), want, rtol=1e-5)


def test_the_axis_of_f_scores_can_be_read():
    assert metrics.F1Score().axis == 0 and metrics.FBetaScore(average="micro").axis is None


def test_average_of_two_classes_with_one_score():
    true, pred = DATA[0]["yes-no-mixed"]
    want = sk.precision_score(true, pred.ravel() > 0.5, average="macro", zero_division=0)
    np.testing.assert_allclose(metrics.Precision(average="macro")(true, pred), want, rtol=1e-6)


def test_classes_that_never_occur_do_not_enter_a_macro_average():
    pred = np.eye(5, dtype="f")[[0, 1, 1]]
    want = sk.precision_score([0, 1, 0], [0, 1, 1], average="macro")
    assert float(metrics.Precision(average="macro")([0, 1, 0], pred)) == pytest.approx(want)


# -- what compile makes of them -----------------------------------------------------------------------------------
def outputs(columns, kind, seed=0):
    """Scores of a model that ends in a softmax, a sigmoid or nothing."""
    logits = np.random.default_rng(seed).normal(size=(60, columns)).astype("f") * 2
    turned = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid, "linear": lambda x: x}[kind](logits)
    return logits, np.asarray(turned)


GRID = list(itertools.product(("softmax", "sigmoid", "linear"), ("int", "one-hot", "binary")))


@pytest.mark.parametrize(("activation", "labels"), GRID)
@pytest.mark.parametrize("asked", ["accuracy", "acc", "Accuracy()"])
def test_accuracy_is_that_of_scikit_learn(activation, labels, asked):
    columns = 5 if labels != "binary" else 2 if activation == "softmax" else 1
    logits, pred = outputs(columns, activation)
    classes = np.random.default_rng(1).integers(0, max(columns, 2), 60)
    called = logits.argmax(1) if columns > 1 else (logits[:, 0] > 0).astype(int)
    from_logits = activation == "linear"
    for true in ([np.eye(columns)[classes]] if labels == "one-hot" else [classes, classes[:, None]]):
        spec = metrics.Accuracy() if asked == "Accuracy()" else asked
        metric, said = resolve(spec, true.shape, true.dtype, pred.shape, activation, from_logits)
        assert metric.name == ("accuracy" if asked == "Accuracy()" else asked)
        assert float(metric(true, pred)) == pytest.approx(sk.accuracy_score(classes, called))
        if asked == "Accuracy()":
            assert float(spec.result()) == float(metric.result()) and type(metric).__name__ in said
            assert len(said.splitlines()) == 1 and "Accuracy(exact=True)" in said
        else:
            assert said is None


def test_exact_accuracy_is_left_alone():
    metric = metrics.Accuracy(exact=True)
    assert resolve(metric, (4,), "int32", (4, 3), "softmax") == (metric, None)


@pytest.mark.parametrize(("true", "pred", "kind"), [
    ((8,), (8, 3), "sparse"), ((8, 1), (8, 3), "sparse"), ((8, 3), (8, 3), "categorical"), ((8, 1), (8, 1), "binary"),
    ((8,), (8, 1), "binary"), ((8,), (8,), "binary"), ((8, 5), (8, 5, 3), "sparse"), ((8, 5), (8, 5, 1), "binary"),
    ((None,), (None, 10), "sparse"),
])
def test_kinds_of_labels(true, pred, kind):
    assert kind_of_labels(true, pred) == kind
    names = {"sparse": "SparseCategoricalCrossentropy", "categorical": "CategoricalCrossentropy",
             "binary": "BinaryCrossentropy"}
    for name in ("crossentropy", "ce"):
        metric, _ = resolve(name, true, "float32", pred, None, True)
        assert type(metric).__name__ == names[kind] and metric.from_logits and metric.name == name


def test_strings_keep_their_names():
    assert resolve("mse", (4, 1), "float32", (4, 1))[0].name == "mse"
    assert resolve(losses.huber, (4, 1), "float32", (4, 1)) == (losses.huber, None)
    assert isinstance(resolve(metrics.AUC, (4, 1), "float32", (4, 1))[0], metrics.AUC)


@pytest.mark.parametrize("cls", [metrics.Precision, metrics.Recall])
def test_class_numbers_become_one_hot_for_precision_and_recall(cls):
    true, pred = DATA[0]["classes"]
    asked = cls()
    metric, said = resolve(asked, true.shape, true.dtype, pred.shape, "softmax")
    want = float(cls()(np.eye(C)[true], pred))
    assert float(metric(true, pred)) == want == float(asked.result())
    assert metric.name == asked.name and metric.variables == asked.variables and metric._direction == "up"
    assert "one-hot" in said and 'average="macro"' in said and len(said.splitlines()) == 1
    metric.reset_state()
    assert float(metric(true[:, None], pred)) == want
    for options in ({"class_id": 1}, {"top_k": 1}):
        one, _ = resolve(cls(**options), true.shape, true.dtype, pred.shape, "softmax")
        assert float(one(true, pred)) == float(cls(**options)(np.eye(C)[true], pred))


@pytest.mark.parametrize(("cls", "oracle"), [
    (metrics.Precision, sk.precision_score), (metrics.Recall, sk.recall_score),
])
def test_two_scores_a_row_mean_the_second_class(cls, oracle):
    logits, pred = outputs(2, "softmax")
    true = np.random.default_rng(3).integers(0, 2, 60)
    metric, said = resolve(cls(), true.shape, true.dtype, pred.shape, "softmax")
    assert "class 1" in said
    assert float(metric(true, pred)) == pytest.approx(oracle(true, pred[:, 1] > 0.5))
    metric, _ = resolve(cls(), true.shape, true.dtype, pred.shape, "linear", True)
    assert float(metric(true, logits)) == pytest.approx(oracle(true, pred[:, 1] > 0.5))


def test_one_hot_labels_keep_the_definition_of_keras():
    true, pred = DATA[0]["one-hot"]
    asked = metrics.Precision()
    metric, said = resolve(asked, true.shape, true.dtype, pred.shape, "softmax")
    assert metric is asked and 'average="macro"' in said
    assert resolve(metrics.Precision(), true.shape, true.dtype, pred.shape, "sigmoid")[1] is None
    assert resolve(metrics.Precision(top_k=1), true.shape, true.dtype, pred.shape, "softmax")[1] is None
    macro = metrics.Precision(average="macro")
    assert resolve(macro, (N,), "int32", pred.shape, "softmax") == (macro, None)


@pytest.mark.parametrize("make", [
    metrics.BinaryAccuracy, metrics.Recall, metrics.TruePositives, metrics.AUC,
    lambda: metrics.RecallAtPrecision(0.5), lambda: metrics.Precision(thresholds=[0.3, 0.6]), metrics.BinaryIoU,
    lambda: metrics.F1Score(threshold=0.5), lambda: metrics.Precision(average="macro"),
])
def test_thresholds_mean_probabilities_where_the_loss_takes_logits(make):
    logits, pred = outputs(1, "sigmoid")
    true = np.random.default_rng(2).integers(0, 2, (60, 1)).astype("f")
    metric, said = resolve(make(), true.shape, true.dtype, logits.shape, "linear", True)
    assert isinstance(metric, Adapted) and said is None
    np.testing.assert_allclose(metric(true, logits), make()(true, pred), rtol=1e-5)
    again = metrics.deserialize(metrics.serialize(metric))
    np.testing.assert_allclose(again(true, logits), metric.result(), rtol=1e-6)


@pytest.mark.parametrize("metric", [
    metrics.BinaryAccuracy(threshold=0.0), metrics.Precision(thresholds=0), metrics.AUC(from_logits=True),
    metrics.MeanSquaredError(), metrics.F1Score(),
])
def test_thresholds_that_were_set_for_logits_stay(metric):
    assert resolve(metric, (8, 1), "float32", (8, 1), "linear", True) == (metric, None)


def test_one_hot_logits_are_read_by_the_link():
    true, logits = DATA[0]["logits"]
    for link, act in (("softmax", jax.nn.softmax), ("sigmoid", jax.nn.sigmoid)):
        metric, _ = resolve(metrics.Precision(), true.shape, true.dtype, logits.shape, "linear", True, link)
        assert float(metric(true, logits)) == float(metrics.Precision()(true, np.asarray(act(logits))))


def test_an_adapted_metric_sees_the_mask_and_pads():
    true, logits = DATA[0]["yes-no-mixed"]
    metric = Adapted(metrics.BinaryAccuracy(), link="sigmoid")
    tensor = jnp.asarray(logits) + 0
    set_mask(tensor, np.arange(N) < 3)
    value = float(metric(true, tensor))
    assert value == float(metrics.BinaryAccuracy()(true[:3], jax.nn.sigmoid(logits[:3])))
    with scope(overlay={}):
        metric.reset_state()
    assert float(metric.result()) == value  # what happened in a pure function stays there


# -- called by itself --------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [
    lambda **k: metrics.AUC(multi_label=True, **k), lambda **k: metrics.Precision(top_k=2, **k), metrics.F1Score,
    lambda **k: metrics.R2Score(num_regressors=1, **k), metrics.CosineSimilarity,
])
def test_an_update_is_one_program_and_so_is_a_result(make):
    true = np.eye(C, dtype="f")[np.arange(19) % C]  # of a size no other test has
    weights = [0.0, *[1.0] * 18]
    with programs() as seen:
        metric = make()
        metric.update_state(true, pred := true[::-1].copy(), sample_weight=weights)
        assert len(seen) == 1
        first = np.asarray(metric.result())
        assert len(seen) <= 2
        again = make(name="again")
        again.update_state(true, pred, sample_weight=weights)
        np.testing.assert_array_equal(again.result(), first)
        assert len(seen) <= 2, "metrics that are alike share them"
    with scope(overlay={}):  # an operation at a time
        plain = make()
        plain.update_state(true, pred, sample_weight=weights)
        np.testing.assert_allclose(plain.result(), first, rtol=1e-6)


def test_what_is_set_later_counts_and_a_metric_of_one_s_own_runs_as_it_is_written():
    class Own(metrics.BinaryAccuracy):
        def update_state(self, y_true, y_pred, sample_weight=None):
            seen.append(type(y_pred))
            super().update_state(y_true, y_pred, sample_weight)

    true, pred, seen = np.ones((4, 1), "f"), np.full((4, 1), 0.4, "f"), []
    metric = metrics.BinaryAccuracy()
    assert float(metric(true, pred)) == 0
    metric.threshold = 0.3
    assert float(metric(true, pred)) == 0.5
    assert float(Own()(true, pred)) == 0
    assert seen == [np.ndarray]


def test_a_program_keeps_no_metric_alive():
    metric = metrics.TruePositives()
    metric(np.ones(3), np.ones(3))
    kept = weakref.ref(metric)
    del metric
    assert kept() is None


@pytest.mark.filterwarnings("error")
def test_lists_beside_what_no_program_takes():
    metric = metrics.Hinge()
    assert float(metric([[np.float32(1)], [-1.0]], [[0.5], [1.0]], sample_weight=[1.0, 0.0])) == 0.5
    assert float(metrics.CosineSimilarity(axis=-1)([[np.float32(1)]], [[2.0]], sample_weight=[1.0])) == 1


def test_a_batch_without_rows_beside_weights():
    metric = metrics.Hinge()
    metric.update_state(np.zeros((0, 2)), np.zeros((0, 2)), sample_weight=np.zeros(0))
    assert float(metric([[1.0, 1.0]], [[0.5, 0.5]], sample_weight=[1.0])) == 0.5


def test_r2_of_numbers_far_from_zero():
    r = np.random.default_rng(0)
    true = (10_000 + r.normal(size=(60, 1))).astype("f")
    pred = true + r.normal(size=(60, 1)).astype("f") / 2
    metric = metrics.R2Score()
    for part in range(0, 60, 20):
        metric.update_state(true[part:part + 20], pred[part:part + 20])
    assert float(metric.result()) == pytest.approx(sk.r2_score(true, pred), abs=1e-3)
