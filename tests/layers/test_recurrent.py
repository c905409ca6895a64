"""Recurrent layers beyond the rows of the conformance suite: states, dropout, masks on the way, cells of one's own."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo
from kyeo import layers

X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_stateful_goes_on(name):
    """Two halves one after the other give what the whole gives; a reset begins anew; a compiled step keeps states."""
    layer = getattr(layers, name)(5, stateful=True, return_sequences=True)
    first, second = layer(X[:, :3]), layer(X[:, 3:])
    layer.reset_state()
    whole = layer(X)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=1e-6)
    assert len(layer.weights) == 3 and all((v != 0).any() for v in map(np.asarray, layer.states))
    layer.reset_states()
    model = kyeo.Sequential([kyeo.Input((3, 3), batch_size=4), layer])
    halves = [model.predict(part, batch_size=4, verbose=0) for part in (X[:, :3], X[:, 3:])]
    np.testing.assert_allclose(np.concatenate(halves, 1), whole, atol=1e-6)
    layer.reset_states()
    model.compile("sgd", "mse")
    model.train_on_batch(X[:, :3], np.zeros((4, 3, 5), "float32"))
    np.testing.assert_allclose(np.asarray(layer.states[0]), halves[0][:, -1], atol=1e-6)


def test_no_time_steps():
    with pytest.raises(ValueError, match="have no time steps"):
        layers.GRU(2)(np.ones((2, 0, 3), "float32"))


def test_stateful_needs_one_batch_size():
    layer = layers.LSTM(5, stateful=True)
    layer(X)
    with pytest.raises(ValueError, match=r"batches of one size[^$]*batch of 3"):
        layer(X[:3])
    with pytest.raises(ValueError, match="size of the batch"):
        layers.GRU(5, stateful=True)(kyeo.Input((6, 3)))


class Gated(kyeo.Layer):
    """A cell of a user's, with dropout, a counter and a loss of its own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.state_size = units
        self.inner, self.drop = layers.Dense(units), layers.Dropout(0.5, seed=3)

    def build(self, input_shape):
        self.inner.build(input_shape)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, inputs, states, training=False):
        self.calls.assign_add(1.0)
        self.add_loss(kyeo.ops.sum(states[0]) * 0 + 1.0)
        new = self.drop(self.inner(inputs), training=training) + states[0]
        return new, [new]


def test_a_cell_with_states_and_losses_of_its_own():
    layer = layers.RNN(Gated(5), return_sequences=True)
    outputs = layer(X, training=True)
    assert outputs.shape == (4, 6, 5) and float(layer.cell.calls.value) == 6
    assert sum(map(float, layer.losses)) == pytest.approx(6)
    dropped = np.diff(np.asarray(outputs), axis=1) == 0
    assert dropped.any() and (dropped[:, 1:] != dropped[:, :1]).any()  # drawn anew at each step
    model = kyeo.Sequential([kyeo.Input((6, 3)), layers.RNN(Gated(5)), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(X, np.zeros((4, 1)), verbose=0).history["loss"][0])


def test_a_cell_that_is_no_layer():
    class Plain:
        state_size = 3

        def call(self, inputs, states):
            return inputs + states[0], [inputs + states[0]]

    np.testing.assert_allclose(layers.RNN(Plain())(X), X.sum(1), atol=1e-5)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("words", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}])
def test_dropout(name, words):
    """The same inputs are dropped at all steps; a function of seed and step; nothing without training."""
    def outputs(seed, training=True):
        kyeo.utils.set_random_seed(1)
        layer = getattr(layers, name)(64, seed=seed, **words)
        return [np.asarray(layer(X, training=training)) for _ in range(2)]

    first, second = outputs(7)
    np.testing.assert_array_equal(outputs(7), [first, second])
    assert (first != second).any() and (outputs(8)[0] != first).any()
    calm = outputs(7, training=False)
    np.testing.assert_array_equal(calm[0], calm[1])
    assert (calm[0] != first).any()


def test_inputs_dropped_at_all_steps():
    layer = layers.SimpleRNN(1, activation=None, dropout=0.5, seed=1, return_sequences=True, use_bias=False)
    layer.build((None, 6, 3))
    layer.set_weights([np.ones((3, 1)), np.zeros((1, 1))])
    ones = np.asarray(layer(np.ones((50, 6, 3), "float32"), training=True))
    assert (ones == ones[:, :1]).all() and set(np.unique(ones)) == {0.0, 2.0, 4.0, 6.0}


def test_two_layers_drop_apart():
    a, b = layers.LSTM(3, dropout=0.5), layers.LSTM(3, dropout=0.5)
    assert (np.asarray(a.cell.seed_generator.state) != np.asarray(b.cell.seed_generator.state)).any()


def test_masks_go_through_a_model():
    """Embedding's mask reaches each layer, also from step to step; the same as Keras after loading its file."""
    def build(k):
        return k.Sequential([
            k.Input((None,), dtype="int32"), k.layers.Embedding(9, 4, mask_zero=True),
            k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True)), k.layers.GRU(3, return_sequences=True),
            k.layers.TimeDistributed(k.layers.Dense(2)), k.layers.SimpleRNN(2)])

    ours, theirs = build(kyeo), build(keras)
    ours.set_weights(theirs.get_weights())
    ids = np.random.default_rng(0).integers(0, 9, (5, 7)).astype("int32")
    ids[:, -2:] = 0
    wanted = np.asarray(theirs(ids))
    np.testing.assert_allclose(ours(ids), wanted, atol=1e-5)
    np.testing.assert_allclose(ours(ids[:, :-2]), wanted, atol=1e-5)


def test_files_both_ways(tmp_path):
    """Cells within cells, and a bidirectional layer, through files of either package."""
    def build(k):
        x = k.Input((6, 3))
        h = k.layers.RNN([k.layers.LSTMCell(4), k.layers.GRUCell(3)], return_sequences=True)(x)
        return k.Model(x, k.layers.Bidirectional(k.layers.GRU(2, dropout=0.1))(h))

    theirs, ours = build(keras), build(kyeo)
    theirs.save(tmp_path / "theirs.keras")
    ours.save(tmp_path / "ours.keras")
    for path, model in (("theirs", theirs), ("ours", ours)):
        for load in (keras.saving.load_model, kyeo.saving.load_model):
            np.testing.assert_allclose(np.asarray(load(tmp_path / f"{path}.keras")(X)), np.asarray(model(X)), atol=1e-6)


def test_batches_in_time_distributed():
    """BatchNormalization inside counts step by step, as in Keras; a Dropout inside draws for each step."""
    ours, theirs = (k.layers.TimeDistributed(k.layers.BatchNormalization(momentum=0.5)) for k in (kyeo, keras))
    np.testing.assert_allclose(ours(X, training=True), theirs(X, training=True), atol=1e-5)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(other), atol=1e-5)
    drawn = np.asarray(layers.TimeDistributed(layers.Dropout(0.5, seed=1))(np.ones((4, 6, 3), "float32"), training=True))
    assert (drawn != drawn[:, :1]).any()


@pytest.mark.parametrize("words, text", [
    ({"backward_layer": layers.GRU(2)}, "same direction"),
    ({"backward_layer": layers.GRU(2, go_backwards=True, return_sequences=True)}, "differ in `return_sequences`"),
    ({"merge_mode": "product"}, "merge_mode"), ({"backward_layer": 3}, "a recurrent layer")])
def test_bidirectional_refuses(words, text):
    with pytest.raises((ValueError, TypeError), match=text):
        layers.Bidirectional(layers.GRU(2), **words)


# -- ConvLSTM ----------------------------------------------------------------------------------------------


def test_conv_lstm_masks_and_drops():
    """A masked step is as if it were not there (Keras crashes); dropout is drawn anew each time, only in training."""
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 5, 2)).astype("float32")
    for data_format in ("channels_last", "channels_first"):
        layer = kyeo.layers.ConvLSTM2D(
            3, 2, data_format=data_format, dropout=0.5, recurrent_dropout=0.5, seed=1, return_state=True)
        given = x if data_format == "channels_last" else np.moveaxis(x, -1, 2)
        mask = np.array([[True, True, False, False]] * 2)
        for masked, shorter in zip(layer(given, mask=mask), layer(given[:, :2])):
            np.testing.assert_allclose(masked, shorter, rtol=1e-5, atol=1e-6)
        first, second = (np.asarray(layer(given, training=True)[0]) for _ in range(2))
        assert first.shape == layer(given)[0].shape and np.abs(first - second).max() > 1e-3


def test_no_convolution_in_a_loop():
    layer = kyeo.layers.ConvLSTM2D(3, 2, padding="same", return_sequences=True)
    x = jnp.ones((2, 4, 5, 5, 2))
    layer.build(x.shape)
    weights, others = ([v.value for v in part] for part in (layer.trainable_variables, layer.non_trainable_variables))
    step = jax.make_jaxpr(jax.grad(lambda w: layer.stateless_call(w, others, x)[0].sum()))(weights)

    def loops(jaxpr):
        for equation in jaxpr.eqns:
            for inner in jax.tree.leaves(tuple(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
                body = getattr(inner, "jaxpr", inner)
                if hasattr(body, "eqns"):
                    yield from [str(body)] if equation.primitive.name == "scan" else loops(body)

    found = list(loops(step.jaxpr))
    assert len(found) == 2 and not any("conv_general_dilated" in body for body in found)


@pytest.mark.parametrize("merge", ["concat", None])
@pytest.mark.parametrize("sequences", [True, False])
def test_the_mask_of_a_bidirectional_layer(merge, sequences):
    mask, found = np.ones((1, 2), bool), []
    for library in (kyeo, keras):
        layer = library.layers.Bidirectional(library.layers.LSTM(2, return_sequences=sequences), merge_mode=merge)
        found.append(layer.compute_mask(np.ones((1, 2, 2)), mask))
    assert type(found[0]) is type(found[1]) and str(found[0]) == str(found[1])
