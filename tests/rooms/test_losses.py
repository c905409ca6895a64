"""Every loss against Keras: value and gradient, weights, masks, reductions; and what Keras has not: padded rows."""

import inspect
import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo
from kyeo import losses
from kyeo.core.errors import NotMaskable
from kyeo.core.masks import set_mask
from kyeo.core.scope import scope
from kyeo.losses.loss import LossFunctionWrapper
from kyeo.ops.losses import crossentropy
from kyeo.ops.losses.pair import match
from tests.compiled import programs
from tests.numpy_jaxpr import in_numpy
from tests.thin import thinned

N, C = 5, 4  # with three rows of padding the sizes of test_metrics, which then compile once
REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight", None)
SLOW = {"text": 3, "pairs": 2}  # kinds of data to be tried with fewer combinations


def make_data(seed=0):
    """Pairs (labels, predictions) of every kind a loss takes."""
    r = np.random.default_rng(seed)
    positive, scores = (r.uniform(0.05, 1, (N, C)).astype("f") for _ in range(2))
    probs = scores / scores.sum(1, keepdims=True)
    classes = r.integers(0, C, N)
    one_hot = np.eye(C, dtype="f")[classes]
    logits = r.normal(size=(N, C)).astype("f") * 2
    unit = logits / np.linalg.norm(logits, axis=1, keepdims=True)
    images = r.uniform(0, 1, (N, 3, 3, 2)).astype("f")
    frames = r.uniform(0.05, 1, (N, 6, C)).astype("f")
    text = np.array([[1, 2, 3], [2, 2, 1], [3, 1, 0], [1, 0, 0], [3, 3, 3]])
    return {
        "numbers": (positive, scores), "wide": (positive * 9 - 4, logits), "probs": (one_hot, probs),
        "mixed": (positive / positive.sum(1, keepdims=True), probs), "classes": (classes, probs),
        "column": (classes[:, None], probs), "class logits": (classes, logits), "logits": (one_hot, logits),
        "yes or no": (classes[:, None] % 2, scores[:, :1]), "yes or no flat": (classes % 2, scores[:, :1]),
        "signs": (one_hot * 2 - 1, logits), "images": ((images > 0.5).astype("f"), images),
        "frames": (r.integers(0, C, (N, 6)), frames),
        "hot frames": (np.eye(C, dtype="f")[r.integers(0, C, (N, 6))], frames),
        "pairs": (np.array([0, 1, 0, 1, 2]), unit), "text": (text, r.normal(size=(N, 7, C)).astype("f")),
        "vector": (positive[:, 0], scores[:, 0]),
    }


DATA = make_data()
CASES = [
    ("MeanSquaredError", {}, "wide"), ("MeanAbsoluteError", {}, "wide"),
    ("MeanAbsolutePercentageError", {}, "numbers"), ("MeanSquaredLogarithmicError", {}, "wide"),
    ("CosineSimilarity", {}, "wide"), ("CosineSimilarity", {"axis": 1}, "hot frames"),
    ("Huber", {}, "wide"), ("Huber", {"delta": 0.3}, "numbers"), ("LogCosh", {}, "wide"),
    ("Poisson", {}, "numbers"), ("KLDivergence", {}, "mixed"), ("Hinge", {}, "logits signs"),
    ("SquaredHinge", {}, "signs"), ("CategoricalHinge", {}, "logits"),
    ("BinaryCrossentropy", {}, "yes or no flat|probs"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    ("BinaryCrossentropy", {"axis": 1}, "images"),
    ("BinaryFocalCrossentropy", {}, "yes or no"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.4, "gamma": 3.0, "from_logits": True,
                                 "label_smoothing": 0.2}, "logits"),
    ("CategoricalCrossentropy", {}, "mixed|hot frames"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, "probs"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    ("CategoricalCrossentropy", {"axis": 1}, "hot frames"),
    ("CategoricalFocalCrossentropy", {}, "probs"),
    ("CategoricalFocalCrossentropy", {"alpha": 0.5, "gamma": 1.0, "from_logits": True, "label_smoothing": 0.1},
     "logits"),
    ("CategoricalGeneralizedCrossEntropy", {}, "classes"),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.8}, "classes"),
    ("SparseCategoricalCrossentropy", {}, "column frames"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "class logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "frames"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2, "from_logits": True}, "class logits"),
    ("Circle", {}, "pairs"), ("Circle", {"gamma": 20.0, "margin": 0.2, "remove_diagonal": False}, "pairs"),
    ("CTC", {}, "text"), ("Dice", {}, "images"), ("Dice", {"axis": (1, 2, 3)}, "images"),
    ("Tversky", {}, "images"), ("Tversky", {"alpha": 0.3, "beta": 0.7, "axis": [1, 2]}, "images"),
]


def kinds(text):
    """The data a case runs on: names separated by spaces, or by "|" where they hold spaces."""
    return [kind for part in text.split("|") for kind in ([part] if part in DATA else part.split())]


ROWS = [(name, options, kind) for name, options, text in CASES for kind in kinds(text)]
IDS = [f"{name}-{'-'.join(options)}-{kind.replace(' ', '_')}" for name, options, kind in ROWS]
each_row = pytest.mark.parametrize(("name", "options", "kind"), ROWS, ids=IDS)


def value_and_grad(loss, true, pred, weight=None, mask=None, mark=None, grad=True):
    """The loss and its gradient by the predictions, of a sum where it is no scalar; the value alone if not `grad`."""
    def total(p):
        if mask is not None:
            mark(p, mask)
        value = loss(true, p, weight)
        return jnp.sum(value), value

    pred = jnp.asarray(pred) + 0
    run = in_numpy if mark is keras_mark or not grad or mask is not None else lambda function, *args: function(*args)
    if not grad:
        return (np.asarray(run(total, pred)[1]),)
    (_, value), grad = run(jax.value_and_grad(total, has_aux=True), pred)
    return np.asarray(value), np.asarray(grad)


def keras_mark(tensor, mask):
    keras.src.backend.set_keras_mask(tensor, mask)


def same(ours, theirs, rtol=1e-5):
    """Values and gradients agree, relative to the largest."""
    for mine, other in zip(ours, theirs):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=rtol * max(1e-3, float(np.max(np.abs(other)))))


@each_row
def test_same_as_keras(name, options, kind):
    true, pred = DATA[kind]
    shape = getattr(losses, name)(**options, reduction=None)(true, pred).shape
    r = np.random.default_rng(1)
    weights = [None] if not shape else [None, r.uniform(0, 2, N).astype("f")] if len(shape) == 1 else [None]
    if shape[:1] == (N,):
        weights.append(r.uniform(0, 2, (N, *[1] * max(1, len(shape) - 1))).astype("f"))
    masks = [None] if len(shape) > 2 or shape[:1] != (N,) else [None, r.random(shape) < 0.6]
    # all weights and masks with the usual reduction, one of each with the others
    combinations = [("sum_over_batch_size", w, None) for w in weights]
    combinations += [("sum_over_batch_size", weights[-1], masks[-1])]
    combinations += [(reduction, weights[-1], None) for reduction in ("sum", "mean_with_sample_weight", None)]
    for index, (reduction, weight, mask) in enumerate(combinations[-2:] if kind in SLOW else combinations):
        mine = getattr(losses, name)(**options, reduction=reduction)
        other = getattr(keras.losses, name)(**options, reduction=reduction)
        grad = index == 0 or mask is not None
        same(value_and_grad(mine, true, pred, weight, mask, set_mask, grad),
             value_and_grad(other, true, pred, weight, mask, keras_mark, grad))


@pytest.mark.parametrize(("name", "options", "kind"), thinned(ROWS), ids=thinned(IDS))
def test_padded_rows_are_as_if_they_were_not_there(name, options, kind):
    true, pred = DATA[kind]
    weight = np.linspace(0.5, 2, N).astype("f")
    rows = np.array([1.0] * N + [0.0] * 3, "f")
    garbage = 77 if true.dtype.kind == "i" else np.nan
    true_pad = np.concatenate([true, np.full((3, *true.shape[1:]), garbage, true.dtype)])
    pred_pad = np.concatenate([pred, np.full((3, *pred.shape[1:]), np.nan, "f")])
    shape = getattr(losses, name)(**options, reduction=None)(true, pred).shape
    weights = [None, weight] if len(shape) < 2 else [None, weight.reshape(N, *[1] * (len(shape) - 1))]
    combinations = [(one, weights[one is not None]) for one in REDUCTIONS]
    for reduction, given in combinations[::SLOW.get(kind, 1)]:
        loss = getattr(losses, name)(**options, reduction=reduction)
        grad = reduction in ("sum_over_batch_size", None)
        want = value_and_grad(loss, true, pred, given, grad=grad)
        given_pad = None if given is None else np.concatenate([given, np.full((3, *given.shape[1:]), 5, "f")])
        with scope(row_mask=jnp.asarray(rows)):
            found = value_and_grad(loss, true_pad, pred_pad, given_pad, grad=grad)
        for array in found:
            assert array.ndim == 0 or (array.shape[0] == N + 3 and not array[N:].any())
        same([array[:N] if array.ndim else array for array in found], want, rtol=1e-6)


@pytest.mark.parametrize("kind", ["wide", "vector"])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None])
def test_every_reduction(reduction, kind):
    true, pred = DATA[kind]
    for weight in (None, 0.5, np.linspace(0, 2, N).astype("f"), np.zeros(N, "f")):
        mine = losses.MeanSquaredError(reduction=reduction)(true, pred, weight)
        np.testing.assert_allclose(mine, keras.losses.MeanSquaredError(reduction=reduction)(true, pred, weight), 1e-5)


def test_padded_rows_with_a_mask_of_the_output():
    true, pred = DATA["frames"]
    mask = np.random.default_rng(0).random(true.shape) < 0.5
    loss = losses.SparseCategoricalCrossentropy()
    want = value_and_grad(loss, true, pred, None, mask, set_mask)
    pad = [np.concatenate([x, x[:2]]) for x in (true, pred, mask)]
    with scope(row_mask=jnp.asarray([1.0] * N + [0.0] * 2)):
        value, grad = value_and_grad(loss, pad[0], pad[1], None, pad[2], set_mask)
    same((value, grad[:N]), want)


@pytest.mark.parametrize("fn", [
    lambda t, p: jnp.mean(jnp.square(t - p)), lambda t, p: jnp.mean(jnp.square(t - p), axis=0),
], ids=["scalar", "columns"])
def test_what_gives_no_rows_says_so(fn):
    square = np.ones((4, 4), "f")
    with scope(row_mask=jnp.asarray([1.0, 1, 1, 0])), pytest.raises(NotMaskable):
        LossFunctionWrapper(fn)(square, square)


def test_rows_are_found_though_another_axis_has_their_size():
    square = np.random.default_rng(0).random((2, 4, 4)).astype("f")
    with scope(row_mask=jnp.asarray([1.0, 1, 1, 0])):
        value = losses.MeanSquaredError()(*square)
    np.testing.assert_allclose(value, losses.MeanSquaredError()(*square[:, :3]), rtol=1e-6)


FUNCTIONS = {
    "binary_crossentropy": ("numbers", {"label_smoothing": 0.1}), "categorical_crossentropy": ("probs", {}),
    "binary_focal_crossentropy": ("numbers", {}), "categorical_focal_crossentropy": ("probs", {}),
    "categorical_generalized_cross_entropy": ("classes", {"q": 0.3}), "kl_divergence": ("mixed", {}),
    "sparse_categorical_crossentropy": ("classes", {}), "categorical_hinge": ("logits", {}), "hinge": ("signs", {}),
    "squared_hinge": ("signs", {}), "circle": ("pairs", {}), "dice": ("images", {"axis": (1, 2, 3)}),
    "tversky": ("images", {"axis": (1, 2)}), "cosine_similarity": ("wide", {"axis": 0}),
    "huber": ("wide", {"delta": 2.0}), "log_cosh": ("wide", {}), "mean_absolute_error": ("wide", {}),
    "mean_absolute_percentage_error": ("wide", {}),
    "mean_squared_error": ("wide", {}), "mean_squared_logarithmic_error": ("wide", {}), "poisson": ("numbers", {}),
    "ctc": ("text", {}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    kind, options = FUNCTIONS[name]
    mine = getattr(losses, name)(*DATA[kind], **options)
    np.testing.assert_allclose(mine, getattr(keras.losses, name)(*DATA[kind], **options), rtol=1e-5, atol=1e-6)
    assert losses.get(name) is getattr(losses, name)
    as_lists = getattr(losses, name)(*(x.tolist() for x in DATA[kind]), **options)
    np.testing.assert_allclose(as_lists, mine, rtol=1e-6)


def test_everything_public_has_a_row():
    covered = {row[0] for row in ROWS} | set(FUNCTIONS) | {"Loss", "get", "serialize", "deserialize"}
    assert set(losses.__all__) == covered
    assert {n for n in dir(keras.losses) if not n.startswith("_")} == covered


def parameters(target):
    return [(p.name, p.default, p.kind) for p in inspect.signature(target).parameters.values()]


@pytest.mark.parametrize("name", [n for n in losses.__all__ if n not in ("get", "serialize", "deserialize")])
def test_same_signature(name):
    assert parameters(getattr(losses, name)) == parameters(getattr(keras.losses, name))


@each_row
def test_config(name, options, kind):
    loss, theirs = getattr(losses, name)(**options), getattr(keras.losses, name)(**options)
    config = loss.get_config()
    assert config | theirs.get_config() == config  # Keras forgets some arguments (delta, axis); we write them
    assert set(config) <= set(inspect.signature(type(theirs)).parameters)
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is type(loss) and again.get_config() == config
    assert losses.serialize(loss)["module"] == "keras.losses"
    np.testing.assert_array_equal(again(*DATA[kind]), loss(*DATA[kind]))
    np.testing.assert_allclose(type(theirs).from_config(config)(*DATA[kind]), loss(*DATA[kind]), rtol=1e-5)


def test_dtype_is_in_a_config_only_where_it_was_given():
    assert "dtype" not in losses.Huber().get_config()
    assert losses.Huber(dtype="bfloat16").get_config()["dtype"] == "bfloat16"


def test_names_mean_what_they_mean_in_keras():
    for name in ("bce", "BCE", "kld", "KLD", "mae", "MAE", "mse", "MSE", "mape", "MAPE", "msle", "MSLE"):
        assert losses.get(name).__name__ == keras.losses.get(name).__name__
    assert losses.get(None) is None
    assert isinstance(losses.get("MeanSquaredError"), losses.MeanSquaredError)
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    config = {"class_name": "CategoricalCrossentropy", "config": {"from_logits": True}}
    assert losses.get(config).from_logits
    with pytest.raises(ValueError, match="did you mean"):
        losses.get("mean_square_error")


def test_wrapped_functions_keep_their_arguments():
    loss = LossFunctionWrapper(losses.huber, name="mine", delta=0.5)
    again = losses.deserialize({"class_name": "LossFunctionWrapper", "config": loss.get_config()})
    assert float(again(*DATA["wide"])) == float(loss(*DATA["wide"])) == float(losses.Huber(0.5)(*DATA["wide"]))
    loss.delta = 2.0
    assert float(loss(*DATA["wide"])) == float(losses.Huber(2.0)(*DATA["wide"]))


# -- number types ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_predictions_are_computed_in_float32(dtype):
    true, pred = DATA["classes"][0], jnp.asarray(DATA["classes"][1], dtype)
    value = losses.SparseCategoricalCrossentropy()(true, pred)
    assert value.dtype == "float32"
    np.testing.assert_allclose(value, keras.losses.SparseCategoricalCrossentropy()(true, pred), rtol=1e-5)


HALVES = {  # what float16 has no numbers for in between: 1 - epsilon, epsilon squared, the square of 300
    "binary_crossentropy": ([[1, 0]], [[0.0, 1.0]]),
    "binary_focal_crossentropy": ([[1, 0]], [[0.0, 1.0]]),
    "categorical_crossentropy": ([[1, 0]], [[0.0, 1.0]]),
    "kl_divergence": ([[1, 0]], [[0.0, 1.0]]),
    "huber": ([[0.0]], [[60000.0]]),
    "log_cosh": ([[0.0]], [[60000.0]]),
    "dice": ([[0.0]], [[0.0]]),
}


@pytest.mark.parametrize("name", HALVES)
def test_a_loss_of_half_precision_is_computed_in_float32_and_rounded_once(name):
    true, pred = HALVES[name]

    def value(pred):
        return jnp.sum(getattr(losses, name)(jnp.asarray(true, pred.dtype), pred))

    exact, slope = jax.value_and_grad(value)(jnp.asarray(pred, "float32"))
    found, found_slope = jax.value_and_grad(value)(jnp.asarray(pred, "float16"))
    assert found.dtype == "float16"
    np.testing.assert_allclose([found, *found_slope.ravel()], [exact, *slope.ravel()], rtol=1e-3, atol=1e-7)


def test_means_over_many_elements_in_half_precision():
    loss = losses.MeanSquaredError(dtype="float16")
    assert float(loss(np.zeros((70_000, 1), "f"), np.ones((70_000, 1), "f"))) == 1
    assert round(float(losses.BinaryCrossentropy(dtype="float16")([[0.0]], [[1.0]]))) == 16


def test_a_probability_of_0_ends_no_training():
    def value(logits):
        return losses.CategoricalGeneralizedCrossEntropy()([0], jax.nn.softmax(logits))

    assert jax.grad(value)(jnp.array([[-200.0, 0.0]])).tolist() == [[0, 0]]


def test_class_numbers_stay_exact_in_a_half_precision_loss():
    pred = np.full((1, 400), 1e-3, "f")
    pred[0, 301] = 0.5
    value = losses.SparseCategoricalCrossentropy(dtype="bfloat16")(np.array([301]), pred)
    assert value.dtype == "bfloat16" and float(value) < 1


# -- shapes ----------------------------------------------------------------------------------------------------
SHAPES = [shape for rank in range(4) for shape in itertools.product((1, 2, 3), repeat=rank)]


def fits(a, b):
    return len(a) > 0 and len(b) > 0 and (a == b or (*a, 1) == b or (*b, 1) == a)


WHOLE = [  # what is worked out in floats, not in whole numbers: labels, predictions, dtype of the predictions
    ("mean_absolute_percentage_error", [[0, 4]], [[1, 3]], "int32"), ("poisson", [[0, 1], [0, 0]], [[1, 1], [0, 0]], "int32"),
    ("log_cosh", [[0, 1]], [[3, 1]], "int32"), ("huber", [[0, 2]], [[1, 2]], "uint8"), ("mean_squared_error", [[3, 200]], [[200, 3]], "uint8"),
    ("mean_absolute_error", [[0.25, 0.5]], [[1, 0]], "int32"), ("binary_crossentropy", [[1, 0]], [[1, 1]], "bool"), ("squared_hinge", [[-1, 1]], [[2, 3]], "int8"),
    ("kl_divergence", [[0.3, 0.7]], [[1, 0]], "int32"), ("cosine_similarity", [[100, 3]], [[90, 5]], "uint8"),
]


@pytest.mark.parametrize("name, true, pred, dtype", WHOLE)
def test_whole_numbers_count_as_floats(name, true, pred, dtype):
    """Keras works in whole numbers: NaN where an epsilon becomes 0, wrong where bytes wrap around or labels lose their fractions."""
    wanted = getattr(keras.losses, name)(np.array(true, "f"), np.array(pred, "f"))
    np.testing.assert_allclose(getattr(losses, name)(np.array(true), np.array(pred, dtype)), wanted, rtol=1e-5, atol=1e-6)


def test_shapes_never_broadcast():
    for a, b in itertools.product(SHAPES, repeat=2):
        if fits(a, b):
            true, pred = match(np.zeros(a, "f"), np.ones(b, "f"), "test")
            assert true.shape == pred.shape in (a, b)
        elif (a, b) not in (((), (1,)), ((1,), ())):
            with pytest.raises(ValueError, match="do not have shapes that fit"):
                match(np.zeros(a, "f"), np.ones(b, "f"), "test")


@pytest.mark.parametrize("seed", range(25))
def test_any_shapes_agree_with_numpy_or_raise(seed):
    r = np.random.default_rng(seed)
    shapes = [s for s in SHAPES if s]
    a = shapes[r.integers(len(shapes))]
    b = [a, (*a, 1), shapes[r.integers(len(shapes))]][r.integers(3)]
    true, pred = r.normal(size=a).astype("f"), r.normal(size=b).astype("f")
    if fits(a, b):
        want = keras.losses.MeanSquaredError()(true, pred)
        np.testing.assert_allclose(losses.MeanSquaredError()(true, pred), want, rtol=1e-5)
        np.testing.assert_allclose(want, np.mean((true.reshape(-1) - pred.reshape(-1)) ** 2), rtol=1e-5)
    else:
        with pytest.raises(ValueError, match="Received"):
            losses.MeanSquaredError()(true, pred)


MISTAKES = [
    ("MeanSquaredError", (32, 1), (32, 3), "sparse_categorical_crossentropy"),
    ("MeanSquaredError", (32, 3), (32, 1), "give the last layer 3 units"),
    ("CategoricalCrossentropy", (32,), (32, 10), "sparse_categorical_crossentropy"),
    ("SparseCategoricalCrossentropy", (32, 10), (32, 10), "look one-hot"),
    ("CategoricalGeneralizedCrossEntropy", (32, 10), (32, 10), "one-hot: give class numbers"),
    ("SparseCategoricalCrossentropy", (32,), (32, 26, 26, 10), "forget Flatten"),
    ("BinaryCrossentropy", (32, 1), (32, 2), "sparse_categorical_crossentropy"),
    ("MeanAbsoluteError", (30, 1), (32, 1), "30 rows of labels and 32 rows of predictions"),
    ("CosineSimilarity", (32, 3), (32, 4), "make the last layer's output like the labels: (3,)"),
    ("CTC", (32,), (32, 7, 4), "longest label"), ("Circle", (32, 2), (32, 8), "class numbers of shape (n,)"),
]


@pytest.mark.parametrize(("name", "true", "pred", "fix"), MISTAKES)
def test_a_mismatch_names_both_shapes_and_a_fix(name, true, pred, fix):
    with pytest.raises(ValueError) as caught:
        getattr(losses, name)()(np.zeros(true, "f"), np.ones(pred, "f"))
    text = str(caught.value)
    assert fix in text and "Received:" in text and "jax" not in text.lower() and "broadcast" not in text
    assert name in ("Circle",) or (str(true) in text and str(pred) in text)


def test_weights_count_along_the_first_axes():
    true, pred = DATA["frames"]
    weight = np.linspace(0, 1, N).astype("f")
    one = losses.SparseCategoricalCrossentropy()(true, pred, weight)
    full = losses.SparseCategoricalCrossentropy()(true, pred, np.repeat(weight[:, None], 6, 1))
    np.testing.assert_allclose(one, full, rtol=1e-6)
    with pytest.raises(ValueError, match="does not fit the values"):
        losses.SparseCategoricalCrossentropy()(true, pred, weight[:4])


BAD = [
    (lambda: losses.Huber(reduction="average"), "reduction"),
    (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1.0), "between 0 and 1"),
    (lambda: losses.categorical_crossentropy(*DATA["probs"], axis=True), "axis"),
    (lambda: losses.Loss()([1.0], [1.0]), "call"), (lambda: losses.mean_squared_error("a", [1.0]), "array of numbers"),
    (lambda: LossFunctionWrapper("no_such"), "no_such"),
]


@pytest.mark.parametrize(("act", "text"), BAD)
def test_bad_arguments(act, text):
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=text):
        act()


def test_one_column_of_classes_warns():
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        losses.categorical_crossentropy(np.ones((2, 1), "f"), np.ones((2, 1), "f"))


# -- other ways in -----------------------------------------------------------------------------------------------
def test_symbolic_tensors_and_variables():
    x = kyeo.KerasTensor((None, 3))
    assert losses.mean_squared_error(x, x).shape == (None,)
    assert losses.MeanSquaredError()(x, x).shape == ()
    v = kyeo.Variable([[1.0, 2.0]])
    assert float(losses.MeanSquaredError()(v, v + 1)) == 1.0


def test_structures_reach_call():
    class Both(losses.Loss):
        def call(self, y_true, y_pred):
            return jnp.abs(y_true["a"] - y_pred["a"]) + jnp.abs(y_true["b"] - y_pred["b"])

    one, two = np.ones(3), np.full(3, 2)
    assert float(Both()({"a": one, "b": one}, {"a": two, "b": two})) == 2.0
    assert Both().name == "both" or Both().name.startswith("both_")


# -- behind a softmax or sigmoid ---------------------------------------------------------------------------------
BEHIND = [
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, "sigmoid", "logits"),
    ("BinaryCrossentropy", {}, "sigmoid", "logits"),
    ("CategoricalCrossentropy", {}, "softmax", "logits"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1, "reduction": "sum"}, "softmax", "logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "softmax", "class logits"),
    ("SparseCategoricalCrossentropy", {}, "softmax", "class logits"),
    ("BinaryFocalCrossentropy", {"alpha": 0.3}, "sigmoid", "logits"),
    ("CategoricalFocalCrossentropy", {}, "softmax", "logits"),
]


@pytest.mark.parametrize(("name", "options", "activation", "kind"), BEHIND)
@pytest.mark.parametrize("scale", [1, 2, 200])
@pytest.mark.parametrize("rows", [None, [1, 1, 1, 0, 0]])
def test_logits_behind_probabilities_give_the_same(name, options, activation, kind, scale, rows):
    true, logits = DATA[kind][0], DATA[kind][1] * scale
    loss = getattr(losses, name)(**options)
    with scope(row_mask=rows if rows is None else np.array(rows, "float32")):
        want, want_grad = value_and_grad(lambda t, x, w: loss(t, getattr(jax.nn, activation)(x), w), true, logits)
        value, grad = value_and_grad(lambda t, x, w: loss(t, getattr(kyeo.ops, activation)(x), w), true, logits)
    # near 1 a float32 probability is rounded by 6e-8, which 1 - p feels; at both ends it is clipped
    rtol = {1: 1e-5, 2: 2e-4, 200: 1e-6}[scale]
    np.testing.assert_allclose(value, want, rtol=rtol, atol=1e-6)
    np.testing.assert_allclose(grad, want_grad, rtol=30 * rtol, atol=1e-5)


EXACT = {
    "sigmoid": ("BinaryCrossentropy", {}, [[0.0], [1.0], [0.0]], [[14.0], [-14.0], [9.0]]),
    "sigmoid, labels without an axis": ("BinaryCrossentropy", {}, [0, 1, 0], [[14.0], [-14.0], [9.0]]),
    "sigmoid of sequences": ("BinaryCrossentropy", {}, [[0.0, 1.0, 0.0]], [[[14.0], [-14.0], [9.0]]]),
    "softmax": ("SparseCategoricalCrossentropy", {}, [1, 0], [[0.0, 14.0], [9.0, 0.0]]),
    "softmax, ignored": ("SparseCategoricalCrossentropy", {"ignore_class": 2}, [1, 0, 2], [[0, 14.0], [9.0, 0], [0, 0]]),
    "softmax, one-hot": ("CategoricalCrossentropy", {}, [[0, 1], [1, 0]], [[0.0, 14.0], [9.0, 0.0]]),
    "softmax of the first axis": ("CategoricalCrossentropy", {"axis": 1}, [[[0, 1], [1, 0]]], [[[0, 9.0], [14.0, 0]]]),
}


@pytest.fixture
def clipped(monkeypatch):
    """The logarithms that were found from logits, as they are traced."""
    seen, clip = [], crossentropy.clip_log
    monkeypatch.setattr(crossentropy, "clip_log", lambda *args, **kwargs: seen.append(args) or clip(*args, **kwargs))
    return seen


@pytest.mark.parametrize("case", EXACT)
@pytest.mark.parametrize("padded", [False, True])
def test_it_is_seen_what_made_the_probabilities(case, padded, clipped):
    name, options, true, logits = EXACT[case]
    kind, axis = case.partition(" ")[0].strip(","), options.get("axis", -1)
    true, logits, loss = np.array(true), np.array(logits, "float32"), getattr(losses, name)(**options, reduction="sum")
    wide = logits.astype("float64")
    if kind == "sigmoid":
        labels = true.reshape(wide.shape)
        terms = np.log1p(np.exp(np.where(labels == 1, -wide, wide)))
        want = terms.sum()  # each of a last axis of one, of which the loss takes the mean
        want = want / wide.shape[1] if wide.ndim == 3 else want
    else:
        wide = wide - np.log(np.exp(wide).sum(axis, keepdims=True))
        want = -(wide * true).sum() if name[0] == "C" else -(wide[0, 1] + wide[1, 0])

    def value(x, activate):
        labels, rows = true, None
        if padded:
            x, labels = jnp.concatenate([x, x[:1] * jnp.nan]), np.concatenate([true, true[:1]])
            rows = np.arange(len(labels)) < len(true)
        with scope(row_mask=rows):
            return loss(labels, activate(x, axis) if kind == "softmax" else activate(x))

    found = jax.jit(lambda x: value(x, getattr(kyeo.ops, kind)))(logits)
    assert len(clipped) == {"softmax": 1, "sigmoid": 2}[kind]
    # what a float32 probability near 1 rounds off a sigmoid's logits still know
    assert float(found) == pytest.approx(want, rel={"softmax": 1e-3, "sigmoid": 1e-5}[kind])
    rounded = jax.jit(lambda x: value(x, getattr(jax.nn, kind)))(logits)
    assert float(rounded) == pytest.approx(want, rel=1e-1) and len(clipped) == {"softmax": 1, "sigmoid": 2}[kind]


def test_another_softmax_is_not_looked_behind(clipped):
    x = np.array([[[14.0, 0.0], [0.0, 0.0]]], "float32")
    true = np.array([[[1, 0], [0, 1]]])

    def value(x, between):  # probabilities along one axis, the loss along another; and something in between
        return losses.CategoricalCrossentropy(reduction=None)(true, between(kyeo.ops.softmax(x, 1)))

    across = jax.nn.softmax(x, 1)
    want = losses.CategoricalCrossentropy(reduction=None)(true, across)
    np.testing.assert_allclose(jax.jit(value, static_argnums=1)(x, lambda p: p), want, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(value, static_argnums=1)(x, lambda p: p * 1), want, rtol=1e-6)
    assert not clipped


@pytest.mark.parametrize("axis", [None, (0, 1), [0, 1]])
def test_a_softmax_over_several_axes_is_not_looked_behind(axis, clipped):
    def value(x):
        return losses.CategoricalCrossentropy(reduction=None)(np.eye(2), kyeo.ops.softmax(x, axis))

    x = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
    want = losses.CategoricalCrossentropy(reduction=None)(np.eye(2), np.asarray(jax.nn.softmax(x, (0, 1))))
    for run in (value, jax.jit(value)):
        np.testing.assert_allclose(run(x), want, rtol=1e-5)
    assert not clipped


@pytest.mark.parametrize("epsilon", [0.0, 1e-9])
@pytest.mark.filterwarnings("error")
def test_an_epsilon_too_small_for_the_type_clips_no_probability_near_1(epsilon):
    kyeo.config.set_epsilon(epsilon)
    try:
        sure = jax.jit(lambda x: losses.BinaryCrossentropy()([[1.0], [0.0]], kyeo.ops.sigmoid(x)))
        lower = min(30, -np.log(epsilon or 1e-30))
        assert float(sure(np.array([[-30.0], [40.0]], "float32"))) == pytest.approx((lower + 40) / 2)
    finally:
        kyeo.config.set_epsilon(1e-7)


@pytest.mark.parametrize("last", ["activation", "layer", "softmax", "ops"])
def test_models_are_looked_behind(last, clipped):
    layers = kyeo.layers
    x = inputs = layers.Input((3,))
    x = layers.Dense(2, activation="softmax" if last == "activation" else None, kernel_initializer="ones")(x)
    x = {"activation": lambda x: x, "layer": layers.Activation("softmax"), "softmax": layers.Softmax(),
         "ops": kyeo.ops.softmax}[last](x)
    model = kyeo.Model(inputs, x)
    model.layers[1].set_weights([np.array([[14.0, 0], [0, 0], [0, 0]], "float32"), np.zeros(2, "float32")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    rows = np.eye(3, dtype="float32")[[0] * 5]
    found = model.evaluate(rows, np.zeros(5), batch_size=2, verbose=0)
    assert found == pytest.approx(np.log1p(np.exp(-14.0)), rel=1e-2) and clipped


# -- called by itself --------------------------------------------------------------------------------------
def test_one_program_that_notices_what_is_set_later():
    true, pred = np.ones((7, 11), "float32"), np.full((7, 11), 0.0, "float32")  # of a shape no other test has
    with programs() as seen:
        loss = losses.BinaryCrossentropy(label_smoothing=0.5)
        first = float(loss(true, pred))
        assert float(losses.BinaryCrossentropy(label_smoothing=0.5, name="again")(true, pred)) == first
    assert len(seen) == 1
    loss.label_smoothing = 0.0
    assert loss(true, pred) > first
    kyeo.config.set_epsilon(1e-2)
    try:
        np.testing.assert_allclose(loss(true, pred), -np.log(1e-2), rtol=1e-4)
    finally:
        kyeo.config.set_epsilon(1e-7)
    loss.reduction = "none"
    assert loss(true, pred).shape == (7,)
    for pair in ((true, pred), (pred, true)):
        with pytest.raises(TypeError, match="has masked values"):
            loss(*(np.ma.array(x, mask=x == 1) for x in pair))


def test_class_numbers_that_need_64_bits_are_refused():
    true, pred = np.array([2**32, 1]), np.full((2, 3), 1 / 3, "float32")
    for loss in (losses.SparseCategoricalCrossentropy(), losses.sparse_categorical_crossentropy,
                 kyeo.metrics.SparseCategoricalAccuracy()):
        for labels in (true, true.tolist()):
            with pytest.raises(OverflowError, match="`y_true` holds integers that do not fit"):
                loss(labels, pred)
    assert float(losses.MeanSquaredError()(true, true.astype("float32"))) == 0  # as floats they are no class numbers


@pytest.mark.parametrize(("shape", "axis"), [((5, 4), -1), ((3, 4, 6), 1), ((2, 3, 4), -1)])
@pytest.mark.parametrize("derivative", [
    lambda f, x: f(x), lambda f, x: jax.grad(lambda x: jnp.sum(f(x) * jnp.cos(f(x))))(x),
    lambda f, x: jax.jvp(f, (x,), (jnp.sin(x),))[1], lambda f, x: jax.hessian(lambda x: jnp.sum(f(x)))(x),
], ids=["value", "gradient", "forward", "hessian"])
def test_the_log_probability_of_a_class_has_the_derivatives_of_its_formula(shape, axis, derivative):
    random = np.random.default_rng(0)
    logits = random.normal(size=shape).astype("float32") * 5
    classes = random.integers(-1, shape[axis] + 1, np.delete(shape, axis))  # some that there are not

    def formula(x):
        there = jax.nn.one_hot(classes, shape[axis], axis=axis)
        return jnp.sum(there * jax.nn.log_softmax(x, axis), axis)

    found = jax.jit(lambda x: derivative(lambda x: crossentropy.log_prob_of(x, jnp.asarray(classes), axis), x))(logits)
    np.testing.assert_allclose(found, derivative(formula, logits), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("activation", ["softmax", "linear"])
def test_a_class_that_there_is_not_costs_nothing(activation):
    loss = losses.SparseCategoricalCrossentropy(from_logits=activation == "linear", reduction=None)
    logits = np.array([[0.0, 1.0, 2.0]] * 3, "float32")

    def value(x):
        return jnp.sum(loss(np.array([-1, 0, 3]), getattr(kyeo.activations, activation)(x)))

    value, gradient = jax.jit(jax.value_and_grad(value))(logits)
    assert float(value) == pytest.approx(2.4076, rel=1e-4)
    assert not gradient[0].any() and gradient[1].any() and not gradient[2].any()
