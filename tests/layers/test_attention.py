"""Attention under masks, with weights given back, with dropout; files both ways; SpectralNormalization."""

import jax
import keras
import numpy as np
import pytest

import kyeo
from kyeo.core.masks import get_mask

LAYERS = kyeo.layers
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 5, 8)).astype("float32"), RNG.normal(size=(2, 6, 8)).astype("float32")
Z = RNG.normal(size=(2, 3, 4, 8)).astype("float32")
SEEN = RNG.random((2, 5, 6)) < 0.6
OF_X, OF_Y = RNG.random((2, 5)) < 0.6, RNG.random((2, 6)) < 0.6
OF_Y[:, 0] = SEEN[..., 0] = True

MULTI = ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3})
GROUP = ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2})


def both(name, words, *arrays):
    """Our layer and Keras's with the same weights; for inputs one by one, or for a list of them."""
    made = []
    for room in (kyeo, keras):
        layer = getattr(room.layers, name)(**words)
        shapes = [a.shape for a in arrays]
        layer.build(*shapes) if "Head" in name or "Group" in name else layer.build(shapes)
        rng = np.random.default_rng(1)
        layer.set_weights([rng.normal(size=w.shape).astype("float32") for w in layer.weights])
        made.append(layer)
    return made


def assert_same(ours, theirs):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name, config", [MULTI, GROUP])
@pytest.mark.parametrize("words", [
    {"use_causal_mask": True}, {"attention_mask": SEEN}, {"attention_mask": SEEN[:1], "use_causal_mask": True},
    {"attention_mask": SEEN.astype("int32")}, {"attention_mask": np.stack([SEEN] * 2, 1)[:, :1]},
    {"value_mask": OF_Y}, {"key_mask": OF_Y, "value_mask": OF_Y, "use_causal_mask": True},
    {"value_mask": OF_Y, "attention_mask": SEEN}, {"return_attention_scores": True},
    {"return_attention_scores": True, "use_causal_mask": True},
    {"return_attention_scores": True, "attention_mask": SEEN & False},
], ids=str)
@pytest.mark.parametrize("more", [{}, {"sliding_window": 2}, {"dropout": 0.4}], ids=str)
def test_masks_as_in_keras(name, config, words, more):
    ours, theirs = both(name, {**config, **more}, X, Y)
    assert_same(ours(X, Y, **words), theirs(X, Y, **words))


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")
@pytest.mark.parametrize("name, config", [MULTI, GROUP])
def test_masks_carried_by_the_inputs(name, config):
    """Those of `Embedding(mask_zero=True)` count, and that of the queries is that of the output."""
    ids = np.array([[1, 2, 3, 0], [4, 0, 0, 0]])
    found = []
    layers = both(name, config, np.zeros((2, 4, 8)), np.zeros((2, 4, 8)))
    for room, layer, mask_of in zip((kyeo, keras), layers, (get_mask, keras.src.backend.get_keras_mask)):
        embedding = room.layers.Embedding(5, 8, mask_zero=True)
        embedding.build()
        embedding.set_weights([np.random.default_rng(2).normal(size=(5, 8))])
        x = embedding(ids)
        out = layer(x, x, use_causal_mask=True)
        found.append((out, mask_of(out)))
    assert_same(*found)
    symbolic = LAYERS.Embedding(5, 8, mask_zero=True)(kyeo.Input((None,), dtype="int32"))
    out, weights = layers[0](symbolic, symbolic, return_attention_scores=True)
    assert (out.shape, weights.shape[1:]) == ((None, None, 8), (layers[0]._query_dense.kernel.shape[1], None, None))
    assert get_mask(out) is not None and get_mask(weights) is None


def test_masks_along_other_axes():
    """With axes apart, masks go to the places they name: each line of places by itself gives the same."""
    (layer, _), mask = both(*MULTI, Z, Z), RNG.random((2, 3, 4)) < 0.7
    mask[..., 0] = True
    layer = LAYERS.MultiHeadAttention(2, 3, attention_axes=2)
    whole = layer(Z, Z, value_mask=mask, use_causal_mask=True)
    flat = LAYERS.MultiHeadAttention(2, 3)
    flat.build((6, 4, 8), (6, 4, 8))
    flat.set_weights(layer.get_weights())
    lines = flat(Z.reshape(6, 4, 8), Z.reshape(6, 4, 8), value_mask=mask.reshape(6, 4), use_causal_mask=True)
    assert_same(whole, lines.reshape(Z.shape))
    other = LAYERS.MultiHeadAttention(2, 3, attention_axes=1)
    other.build(Z.shape, Z.shape)
    other.set_weights(layer.get_weights())
    turned = Z.transpose(0, 2, 1, 3)
    assert_same(other(turned, turned, value_mask=mask.transpose(0, 2, 1), query_mask=mask.transpose(0, 2, 1)),
                np.transpose(layer(Z, Z, value_mask=mask, query_mask=mask), (0, 2, 1, 3)))
    every, mask_all = LAYERS.MultiHeadAttention(2, 3), mask.reshape(2, 12)
    every.build(Z.shape, Z.shape)
    flat.set_weights(every.get_weights())
    line = Z.reshape(2, 12, 8)
    assert_same(every(Z, Z, value_mask=mask), flat(line, line, value_mask=mask_all).reshape(Z.shape))


@pytest.mark.parametrize("words, text", [
    ({"use_causal_mask": True}, "several axes"), ({"attention_mask": SEEN}, "MultiHeadAttention"),
])
def test_masks_that_do_not_fit(words, text):
    with pytest.raises((ValueError, TypeError), match=text):
        LAYERS.MultiHeadAttention(2, 3)(Z, Z, **words)


@pytest.mark.parametrize("name, words", [
    ("Attention", {}), ("Attention", {"use_scale": True, "score_mode": "concat"}), ("AdditiveAttention", {})])
@pytest.mark.parametrize("masks", [None, [OF_X, OF_Y], [None, OF_Y], [OF_X, None]], ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_plain_attention_as_in_keras(name, words, masks, causal):
    ours, theirs = both(name, words, X, Y)
    words = {"mask": masks, "return_attention_scores": True, "use_causal_mask": causal}
    if masks and causal and masks[1] is not None:
        masks[1][:, 0] = True
    assert_same(ours([X, Y], **words), theirs([X, Y], **words))


def test_plain_attention_passes_on_the_mask_of_the_queries():
    x = LAYERS.Masking()(np.float32([[[0, 0], [1, 2]]]))
    assert get_mask(LAYERS.Attention()([x, np.ones((1, 3, 2), "float32")])).tolist() == [[False, True]]


@pytest.mark.parametrize("name, config", [MULTI, GROUP, ("Attention", {})])
def test_dropout_drops_weights(name, config):
    """The share is that asked for, what stays is scaled up, and rows added to the batch change nothing."""
    def output(rows):
        layer = getattr(LAYERS, name)(**config, dropout=0.25, seed=3)
        x = np.ones((rows, 40, 8), "float32")
        given = [[x, x]] if name == "Attention" else [x, x]
        return np.asarray(layer(*given, training=True, return_attention_scores=True)[1]), layer, given

    _, layer, given = output(3)
    plain, dropped = layer(*given), layer(*given, training=True)
    assert not np.allclose(plain, dropped) and not np.allclose(layer(*given, training=True), dropped)
    if name == "Attention":
        weights = output(3)[0]
        assert abs((weights == 0).mean() - 0.25) < 0.03
        np.testing.assert_allclose(weights[weights != 0], 1 / 40 / 0.75, rtol=1e-5)
        np.testing.assert_array_equal(output(5)[0][:3], weights)


def test_files_both_ways(tmp_path):
    """With a gate, dropout and grouped heads: Keras reads our file and we read its."""
    def model(k):
        x = k.Input((5, 8), name="x")
        h = k.layers.MultiHeadAttention(2, 3, use_gate=True, dropout=0.1)(x, x, use_causal_mask=True)
        h = k.layers.GroupQueryAttention(3, 4, 2, use_gate=True)(h, x)
        h = k.layers.Attention(use_scale=True, score_mode="concat")([h, x])
        h = k.layers.SpectralNormalization(k.layers.Dense(4))(h)
        return k.Model(x, h)

    for here, there, load in ((kyeo, keras, keras.models.load_model), (keras, kyeo, kyeo.saving.load_model)):
        written = model(here)
        written.set_weights([RNG.normal(size=w.shape).astype("float32") for w in written.weights])
        written.save(tmp_path / "m.keras")
        read = load(tmp_path / "m.keras")
        assert type(read).__module__.startswith(there.__name__)
        np.testing.assert_allclose(read.predict(X, verbose=0), written.predict(X, verbose=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make, shape", [
    (lambda k: k.layers.Dense(3), (4, 5)), (lambda k: k.layers.Conv2D(3, 2), (2, 5, 5, 4)),
])
@pytest.mark.parametrize("iterations", [1, 3])
def test_spectral_normalization_as_in_keras(make, shape, iterations):
    x = RNG.normal(size=shape).astype("float32")
    made = [room.layers.SpectralNormalization(make(room), iterations) for room in (kyeo, keras)]
    for layer in made:
        layer.build(x.shape)
        rng = np.random.default_rng(1)
        layer.set_weights([rng.normal(size=w.shape).astype("float32") for w in layer.weights])
    ours, theirs = made
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert {**ours.get_config(), "layer": 0, "name": 0, "dtype": 0} == {
        **theirs.get_config(), "layer": 0, "name": 0, "dtype": 0}
    for _ in range(2):
        assert_same(ours(x, training=True), theirs(x, training=True))
    assert_same(ours(x), theirs(x))
    assert_same(ours.get_weights(), theirs.get_weights())


def test_spectral_normalization_of_zeros_and_of_nothing():
    layer = LAYERS.SpectralNormalization(LAYERS.Dense(3, kernel_initializer="zeros"))
    assert layer(np.ones((2, 4), "float32"), training=True).tolist() == np.zeros((2, 3)).tolist()
    ids = LAYERS.SpectralNormalization(LAYERS.Embedding(5, 3))(np.array([[1, 2]]), training=True)
    assert ids.dtype == "float32" and bool((ids != 0).any())
    with pytest.raises(ValueError, match="no weight to be normalized"):
        LAYERS.SpectralNormalization(LAYERS.ReLU())(np.ones((2, 4), "float32"))


def test_what_attention_refuses():
    with pytest.raises(ValueError, match="do not fit together"):
        LAYERS.MultiHeadAttention(2, 3)(X, Y, X)
    with pytest.raises(ValueError, match="does not have"):
        LAYERS.MultiHeadAttention(2, 3, attention_axes=2)(X, Y)
    with pytest.raises(ValueError, match="flash_attention"):
        LAYERS.MultiHeadAttention(2, 3, flash_attention=True)(X, X, return_attention_scores=True)
    with pytest.raises(ValueError, match="3 axes"):
        LAYERS.GroupQueryAttention(3, 4, 2)(Z, Z)
    with pytest.raises(ValueError, match="list of tensors"):
        LAYERS.Attention()(X)
    with pytest.raises(ValueError, match="same size"):
        LAYERS.AdditiveAttention()([X, Y[..., :3]])
    with pytest.raises(ValueError, match="for each input"):
        LAYERS.Attention()([X, Y], mask=OF_X)


def test_attention_over_the_batch_mixes_rows():
    layer = LAYERS.MultiHeadAttention(2, 3, attention_axes=0)
    layer(X, X)
    other = LAYERS.MultiHeadAttention(2, 3)
    other(X, X)
    assert layer.mixes_rows and not other.mixes_rows


@pytest.mark.parametrize("name", ["Attention", "AdditiveAttention"])
def test_a_query_in_half_precision_that_sees_nothing_is_no_nan(name):
    low = np.full((1, 2, 4), -9.0, "float16")  # scores far below 0: less 65504 they would be infinite
    y = getattr(LAYERS, name)(dtype="float16")([low, -low], mask=[None, np.zeros((1, 2), bool)])
    assert y.tolist() == (-low).tolist()
