"""A model called on arrays: compiled where nobody can tell, layer by layer where anybody could."""

import jax
import numpy as np
import pytest

import kyeo

RNG = np.random.default_rng(2)
X = RNG.normal(size=(4, 6)).astype("float32")


def make(*more, **dense):
    x = kyeo.Input((6,))
    h = kyeo.layers.BatchNormalization()(kyeo.layers.Dense(5, activation="tanh", **dense)(x))
    for layer in (kyeo.layers.Dropout(0.5), *more):
        h = layer(h)
    return kyeo.Model(x, h)


def layer_by_layer(model, x, **kwargs):
    return kyeo.layers.Layer.__call__(model, x, **kwargs)


def is_compiled(model, x, **kwargs):
    """Whether this call does not run the layers."""
    ran, whole = [], kyeo.layers.Layer._run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kyeo.layers.Layer, "_run", lambda *a: ran.append(1) or whole(*a))
        model(x, **kwargs)
    return not ran


@pytest.mark.parametrize("x", [X, X.astype("float64"), X[:1], jax.numpy.asarray(X), (X * 9).astype("int64")],
                         ids=["float32", "float64", "one row", "JAX", "int64"])
def test_same_numbers(x):
    model = make()
    model.get_layer(index=2).moving_mean.assign(RNG.normal(size=5))
    expected = layer_by_layer(model, x)
    first = model(x)
    assert list(model._calls._compiled.values()) == [True]  # the first call already
    second, third = model(x), model(x, training=False)
    assert is_compiled(model, x)
    for outputs in (first, second, third):
        assert isinstance(outputs, jax.Array) and outputs.dtype == expected.dtype
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_new_weights_count_at_once():
    model = make()
    for _ in range(3):
        model(X)
    model.layers[1].kernel.assign(np.zeros((6, 5)))
    np.testing.assert_allclose(model(X), layer_by_layer(model, X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("set_it", [
    lambda layers: setattr(layers[1], "activation", kyeo.activations.sigmoid),
    lambda layers: setattr(layers[1], "use_bias", False) or setattr(layers[1], "bias", None),
    lambda layers: setattr(layers[2], "epsilon", 10.0),
    lambda layers: setattr(layers[2], "dtype_policy", "mixed_bfloat16"),
    lambda layers: setattr(layers[2], "call", lambda inputs, **kwargs: inputs * 2),
], ids=["activation", "bias", "epsilon", "policy", "call"])
def test_what_is_set_in_a_layer_counts_at_once(set_it):
    model = make()
    model.layers[1].bias.assign(np.ones(5))
    before = [np.asarray(model(X), "float32") for _ in range(3)][-1]
    set_it(model.layers)
    after = np.asarray(model(X), "float32")
    assert np.abs(after - before).max() > 1e-6
    np.testing.assert_allclose(after, layer_by_layer(model, X), rtol=1e-5, atol=1e-6)


def test_a_call_put_into_a_layer_is_called_each_time():
    model, seen = make(), []
    layer, own = model.layers[1], model.layers[1].call
    layer.call = lambda *args, **kwargs: seen.append(own(*args, **kwargs)) or seen[-1]
    for _ in range(3):
        model(X)
    assert len(seen) == 3 and all(isinstance(one, jax.Array) and not isinstance(one, jax.core.Tracer) for one in seen)


def test_other_layers_count_at_once():
    model = kyeo.Sequential([kyeo.Input((6,)), kyeo.layers.Dense(5)])
    for _ in range(3):
        model(X)
    model.add(kyeo.layers.Dense(2))
    assert model(X).shape == (4, 2)


def test_training_changes_state_and_draws():
    model = make()
    for _ in range(3):
        model(X)
    before = model.layers[2].moving_mean.numpy()
    one, other = model(X, training=True), model(X, training=True)
    assert not np.array_equal(one, other) and not np.array_equal(before, model.layers[2].moving_mean.numpy())


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_the_mode_given_when_a_graph_is_made_is_kept(given, nested):
    """As for a base that is tuned with its averages as they are, or dropout while predicting."""
    inner = kyeo.Sequential([kyeo.Input((6,)), kyeo.layers.BatchNormalization(), kyeo.layers.Dropout(0.5)])
    x = h = kyeo.Input((6,))
    for layer in [inner] if nested else inner.layers:
        h = layer(h, training=given)
    model = kyeo.Model(x, h)
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)
    assert given == bool(np.any(inner.layers[0].moving_mean.numpy()))
    assert given != np.array_equal(model.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize("model", [
    lambda: make(activity_regularizer="l2"), lambda: make(kyeo.layers.Lambda(lambda v: v * 2)),
    lambda: make(kyeo.layers.Masking()),
], ids=["loss", "lambda", "mask"])
def test_calls_that_leave_a_trace_are_not_compiled(model):
    model = model()
    for _ in range(3):
        model(X)
    assert not is_compiled(model, X)


def test_losses_of_the_last_call():
    model = make(activity_regularizer="l2")
    for scale in (1, 2, 3):
        model(X * scale)
        expected = kyeo.regularizers.L2(0.01)(model.layers[1](X * scale)) / len(X)
        assert float(model.losses[0]) == pytest.approx(float(expected), rel=1e-5)


def test_transforms_see_through():
    model = make()
    for _ in range(3):
        model(X)
    gradient = jax.grad(lambda x: model(x).sum())(jax.numpy.asarray(X))
    assert np.abs(gradient).max() > 0
    np.testing.assert_allclose(jax.jit(model)(X), model(X), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="shape"):
        model(X[:, :3])


def test_a_model_built_on_some_rows_takes_any_number():
    """As in Keras: the sizes of the other axes are checked, the number of rows is not."""
    first, second = (kyeo.Sequential([kyeo.layers.Dense(2)]) for _ in range(2))
    first(X[:1])
    second.build((3, X.shape[1]))
    inputs, more = kyeo.Input(X.shape[1:], batch_size=3), np.ones((5, X.shape[1]), "float32")
    for model in (first, second, kyeo.Model(inputs, kyeo.layers.Dense(2)(inputs))):
        assert model(more).shape == model.predict(more, verbose=0).shape == (5, 2)
        with pytest.raises(ValueError, match="shape"):
            model(X[:, :3])
