"""Programs for tf.keras and Keras of which only the import was changed: what they meet that nothing else tests."""

import gc
import warnings
import weakref

import numpy as np
import pytest

import kyeo as tf
from kyeo.keras import layers, ops

keras = tf.keras
X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
Y = X[:, 0]


@pytest.mark.parametrize(("name", "way"), [
    ("constant", "kyeo.ops.convert_to_tensor"), ("reduce_mean", "kyeo.ops.mean"), ("cast", "kyeo.ops.cast"),
    ("GradientTape", "jax.value_and_grad"), ("function", "jax.jit"), ("float32", '"float32"'),
    ("random.set_seed", "kyeo.utils.set_random_seed"), ("config.list_physical_devices", "kyeo.distribution"),
    ("keras.losses.Reduction", '"sum"'), ("data.AUTOTUNE", "read ahead"), ("constrants", "did you mean 'constraints'"),
])
def test_names_of_tensorflow_say_the_way(name, way):
    *rooms, last = name.split(".")
    owner = tf
    for room in rooms:
        owner = getattr(owner, room)
    assert not hasattr(owner, last)
    with pytest.raises(AttributeError, match=last) as caught:
        getattr(owner, last)
    assert way in str(caught.value)


def test_short_names_of_losses_and_metrics():
    for name in ("mse", "MSE", "mae", "kld"):
        np.testing.assert_allclose(getattr(keras.losses, name)(np.ones((2, 3)), np.full((2, 3), 0.5)),
                                   keras.losses.get(name)(np.ones((2, 3)), np.full((2, 3), 0.5)))
    assert keras.metrics.mse is keras.losses.mean_squared_error


def test_a_callback_of_predict_sees_no_padding():
    model, seen = keras.Sequential([keras.Input((4,)), layers.Dense(2)]), []
    told = keras.callbacks.LambdaCallback()
    told.on_predict_batch_end = lambda batch, logs: seen.append(logs["outputs"])
    outputs = model.predict(X, batch_size=8, verbose=0, callbacks=[told])
    np.testing.assert_array_equal(np.concatenate(seen), outputs)


def two_outputs():
    x = keras.Input((4,))
    return x, {"second": layers.Dense(1, name="second")(x), "first": layers.Dense(1, name="first")(x)}


def test_losses_in_the_order_of_compile():
    model = keras.Model(*two_outputs())
    model.compile("sgd", {"second": "mse", "first": "mae"})
    loss, second, first = model.evaluate(X, {"first": Y, "second": Y}, verbose=0)
    predicted = model.predict(X, verbose=0)
    np.testing.assert_allclose(second, np.mean((predicted["second"][:, 0] - Y) ** 2), rtol=1e-5)
    np.testing.assert_allclose([first, loss], [np.abs(predicted["first"][:, 0] - Y).mean(), first + second], rtol=1e-5)


def test_sample_weights_by_name_beside_a_list_of_labels():
    x, outputs = two_outputs()
    model = keras.Model(x, list(outputs.values()))
    model.compile("sgd", "mse")
    weight = np.linspace(0, 1, 20)
    by_name = model.evaluate(X, [Y, Y], sample_weight={"first": weight, "second": 1 - weight}, verbose=0)
    assert by_name == model.evaluate(X, [Y, Y], sample_weight=[1 - weight, weight], verbose=0)


def test_no_metrics_for_several_outputs():
    x, outputs = two_outputs()
    model = keras.Model(x, list(outputs.values()))
    model.compile("sgd", "mse", metrics=[], weighted_metrics=[])
    assert set(model.evaluate(X, [Y, Y], verbose=0, return_dict=True)) == {"loss", "first_loss", "second_loss"}


def test_own_loss_without_labels_beside_built_in_ones():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(4)

        def call(self, x):
            return self.dense(x), x

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.mean(ops.square(y_pred[0] - y_pred[1]))

    model = Own()
    model.compile("sgd", "mse", metrics=[])
    assert set(model.fit(X, verbose=0).history) == {"loss"}


def test_a_hook_that_is_misspelt_is_told():
    class Own(keras.callbacks.Callback):
        def on_epoch_ends(self, epoch, logs=None):
            """Never called."""

        def on_my_own_occasion(self):
            """No hook, and called by the user."""

    with pytest.warns(UserWarning, match=r"Own\.on_epoch_ends is never called.*on_epoch_end meant") as said:
        keras.callbacks.CallbackList([Own()])
    assert len(said) == 1


def test_64_bits_as_guides_write_them_are_no_reason_to_warn():
    x = keras.Input((2,), dtype="int64")
    model = keras.Model(x, ops.cast(x, "int64") + ops.arange(2, dtype="int64") + ops.ones_like(x, dtype="uint64"))
    assert model.output.dtype == "int32" and model(np.zeros((1, 2), "int64")).dtype == "int32"
    assert keras.Input((2,), dtype="float64").dtype == "float64"


def test_a_model_of_ones_own_that_was_built_by_its_shape_is_loaded(tmp_path):
    @keras.saving.register_keras_serializable("test_changed_import")
    class Own(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model.build((None, 4))
    model.save(tmp_path / "own.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "own.keras").dense.kernel, model.dense.kernel)


def test_config_of_an_own_model_has_its_name():
    class Own(keras.Model):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    config = Own(3, name="special").get_config()
    assert set(config) == {"name", "trainable", "dtype", "units"}
    assert Own.from_config(config).name == "special"


def test_a_second_build_makes_no_second_weights():
    class Around(layers.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def build(self, shape):
            self.inner.build(shape)

        def call(self, x):
            return self.inner(x)

    dense = layers.Dense(2)
    dense.build((None, 4))
    kernel = dense.kernel
    Around(dense)(X)
    assert len(dense.weights) == 2 and dense.kernel is kernel


def test_metrics_of_ones_own():
    class Seen(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="seen")
            self.total = self.add_weight(name="total", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(ops.sum(ops.ones_like(y_true)))

        def result(self):
            return self.total  # the variable itself, as for TensorFlow

    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Seen(), lambda y_true, y_pred: ops.mean(y_pred)])
    assert set(model.fit(X, Y, verbose=0).history) == {"loss", "seen", "lambda"}
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["seen"] == 20


def test_attention_on_masked_tensors_warns_of_nothing():
    embedded = layers.Embedding(5, 3, mask_zero=True)(np.array([[1, 2, 0], [3, 0, 0]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert layers.MultiHeadAttention(2, 3)(embedded, embedded).shape == (2, 3, 3)


class Squares(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.square(y_true - y_pred)


@pytest.mark.parametrize(("loss", "labels", "warns"), [
    (Squares(), Y, True), (Squares(), Y[:, None], False), (lambda a, b: ops.mean((a - b) ** 2), Y, False),
    (lambda a, b: ops.mean((ops.squeeze(a, -1) - b) ** 2), Y, True),
    (lambda a, b: ops.mean(ops.maximum(np.array([0.1, 0.9]) * (a - b), np.array([-0.9, -0.1]) * (a - b))), Y, False),
    (lambda a, b: ops.mean(ops.relu(1 - (b - ops.transpose(b)) * ops.sign(a - ops.transpose(a)))), Y, False),
], ids=["class", "columns", "function", "squeezed", "quantiles", "pairs"])
def test_a_loss_of_ones_own_that_compares_all_rows_with_all(loss, labels, warns):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, name="head")])
    model.compile("sgd", loss)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(X, labels, batch_size=20, verbose=0)
    assert [str(w.message)[:16] for w in said] == ['In output "head"'] * warns


def test_batchnorm_recalibrated():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8), layers.BatchNormalization(), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    x, y = 3 + 5 * X, 2 + Y
    trained = model.fit(x, y, epochs=30, verbose=0).history["loss"][-1]
    assert model.evaluate(x, y, verbose=0) > 5 * trained
    model.recalibrate_batchnorm(x)
    assert model.evaluate(x, y, verbose=0) < 1.5 * trained and model.layers[1].momentum == 0.99
    inner = model.layers[0](x).__array__()
    np.testing.assert_allclose(model.layers[1].moving_mean.numpy(), inner.mean(0), rtol=1e-4)
    model.layers[1].trainable = False
    with pytest.raises(ValueError, match="no averages"):
        model.recalibrate_batchnorm(x)


def test_a_layer_on_its_own_output_is_freed():
    dense, x = layers.Dense(4), keras.Input((4,))
    model = keras.Model(x, dense(dense(x)))
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)
    kernel = weakref.ref(dense.kernel)
    del dense, x, model
    gc.collect()
    assert kernel() is None
