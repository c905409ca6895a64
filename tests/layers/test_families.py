"""What the table of the conformance suite does not hold: LoRA, adapt, Lambda, Wrapper, functional forms, marks."""

import jax
import keras
import numpy as np
import pytest

import kyeo
from kyeo.core.masks import get_mask
from kyeo.core.settings import settings

LAYERS = kyeo.layers


def doubled(x, times=2):
    return x * times


# -- functions and other layers as layers ------------------------------------------------------------------------


def test_lambda_passes_what_the_function_takes():
    seen = {}

    def function(x, mask=None, training=None, offset=0.0):
        seen.update(mask=mask, training=training)
        return x + offset

    x = LAYERS.Masking()(np.array([[[0.0], [1.0]]], "float32"))
    with pytest.warns(UserWarning, match="does not hand masks on") as told:
        y = LAYERS.Lambda(function, arguments={"offset": 2.0})(x, training=True)
    assert told[0].filename == __file__
    assert y.ravel().tolist() == [2.0, 3.0]
    assert seen["training"] is True and seen["mask"].tolist() == [[False, True]]
    assert get_mask(y) is None
    y = LAYERS.Lambda(lambda x: x + 1, mask=lambda inputs, mask: ~mask)(x)
    assert get_mask(y).tolist() == [[True, False]]
    assert LAYERS.Lambda(lambda x: x[:, 0])(kyeo.Input((5, 3))).shape == (None, 3)


def test_lambda_is_saved_by_name_only():
    name = kyeo.saving.register_keras_serializable("families")(doubled)
    layer = LAYERS.Lambda(name, arguments={"times": 3})
    again = LAYERS.Lambda.from_config(layer.get_config())
    assert again(np.ones((1, 2))).tolist() == [[3.0, 3.0]]
    with pytest.raises(ValueError, match="is a lambda"):
        LAYERS.Lambda(lambda x: x).get_config()


def test_wrapper_builds_and_saves_what_it_holds():
    @kyeo.saving.register_keras_serializable("families")
    class Residual(LAYERS.Wrapper):
        def call(self, inputs):
            return inputs + self.layer(inputs)

    layer = Residual(LAYERS.Dense(4, kernel_initializer="zeros"), name="residual")
    x = np.ones((2, 4), "float32")
    assert layer(x).tolist() == x.tolist()
    assert [w.path for w in layer.weights] == ["residual/dense/kernel", "residual/dense/bias"] or len(layer.weights) == 2
    again = Residual.from_config(layer.get_config())
    assert again.layer.units == 4
    assert layer.mixes_rows and not LAYERS.Dense(1).mixes_rows


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot"])
def test_functional_forms(name):
    x, y = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    words = {"concatenate": {"axis": 0}, "dot": {"axes": 1, "normalize": True}}.get(name, {})
    ours, theirs = (getattr(room.layers, name)([x, y], **words) for room in (kyeo, keras))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    graph = getattr(LAYERS, name)([kyeo.Input((4,)), kyeo.Input((4,))], name="merged")
    merged = graph.node.target
    assert merged.name == "merged" and merged.built
    for alone in (np.ones((2, 4), "float32"), kyeo.Input((4,)), []):  # its rows are not what is merged
        with pytest.raises(ValueError, match=r"takes a list(.|\n)*call it on \[x, y\]"):
            merged(alone)


@pytest.mark.parametrize("name, words, shapes, wanted", [
    ("Add", {}, [(None, None, 3), (None, 5, 3)], (None, 5, 3)),
    ("Add", {}, [(None, None, 3), (None, 1, 3)], (None, None, 3)),
    ("Concatenate", {"axis": 2}, [(None, None, 3), (None, 5, 3)], (None, 5, 6)),
    ("Concatenate", {"axis": 1}, [(None, None, 3), (None, 5, 3)], (None, None, 3)),
    ("Dot", {"axes": (1, 2)}, [(None, None, 3), (None, 4, 5)], (None, 3, 4)),
    ("Maximum", {}, [(8, 3), (None, 3)], (8, 3)),
])
def test_merging_known_and_unknown_sizes(name, words, shapes, wanted):
    symbols = [kyeo.Input(batch_shape=s) for s in shapes]
    assert getattr(LAYERS, name)(**words)(symbols).shape == wanted
    assert getattr(LAYERS, name)(**words)(inputs=symbols).shape == wanted


@pytest.mark.parametrize("call, wanted", [
    (lambda k, t: k.layers.Softmax()(t((None, 3)), mask=t((None, None))), (None, None, 3)),
    (lambda k, t: k.layers.MultiHeadAttention(2, 2)(t((None, 4)), t((None, 3)), attention_mask=t((None, 5))), (None, None, 4)),
])
def test_a_size_that_one_input_leaves_open_is_that_of_another(call, wanted):
    assert call(kyeo, kyeo.Input).shape == call(keras, keras.Input).shape == wanted


@pytest.mark.parametrize("target, wanted", [((-1, 5), (None, None, 5)), ((2, -1), (None, 2, None)),
                                            ((4, 3), (None, 4, 3)), ((-1,), (None, None))])
def test_reshape_of_unknown_sizes(target, wanted):
    layer = LAYERS.Reshape(target)
    assert layer(kyeo.Input((None, 3))).shape == wanted
    rows = {(-1, 5): 10, (2, -1): 4, (4, 3): 4, (-1,): 3}[target]
    assert layer(np.ones((2, rows, 3))).shape[0] == 2


# -- weights -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, words, shape, big", [
    ("Dense", {"units": 6}, (3, 4), "kernel"),
    ("Conv2D", {"filters": 6, "kernel_size": 2}, (2, 5, 5, 4), "kernel"),
    ("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "bias_axes": "de"}, (2, 5, 4), "kernel"),
    ("Embedding", {"input_dim": 5, "output_dim": 3}, (2, 4), "embeddings"),
])
def test_lora_as_in_keras(name, words, shape, big):
    x = np.random.default_rng(0).integers(0, 5, size=shape).astype("int32" if name == "Embedding" else "float32")
    made = []
    for room in (kyeo, keras):
        layer = getattr(room.layers, name)(**words)
        layer(x)
        layer.enable_lora(2, lora_alpha=3.0)
        rng = np.random.default_rng(1)
        layer.set_weights([rng.normal(size=w.shape).astype("float32") for w in layer.weights])
        made.append(layer)
    ours, theirs = made
    assert [w.shape for w in ours.trainable_variables] == [w.shape for w in theirs.trainable_variables]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    ours.trainable = True
    assert big not in [w.name for w in ours.trainable_variables]  # the big weight stays frozen
    store, plain = {}, getattr(LAYERS, name)(**words)
    ours.save_own_variables(store)
    plain(x)
    plain.load_own_variables(store)  # the change is in the weight that was written
    np.testing.assert_allclose(plain(x), ours(x), rtol=1e-5, atol=1e-5)
    again = getattr(LAYERS, name)(**words, **({} if name == "Conv2D" else {"lora_rank": 2}))
    again(x)
    again.load_own_variables(store)
    np.testing.assert_allclose(again(x), ours(x), rtol=1e-5, atol=1e-5)


def test_lora_refusals():
    with pytest.raises(ValueError, match="not built"):
        LAYERS.Dense(3).enable_lora(2)
    layer = LAYERS.Dense(3, kernel_constraint="non_neg")
    layer.build((None, 4))
    with pytest.raises(ValueError, match="kernel_constraint"):
        layer.enable_lora(2)
    layer = LAYERS.Dense(3, lora_rank=2)
    layer.build((None, 4))
    with pytest.raises(ValueError, match="on already"):
        layer.enable_lora(2)


@pytest.mark.parametrize("axis", [-1, None, (1, 2), 1])
@pytest.mark.parametrize("batches", [False, True])
def test_adapt_as_in_keras(axis, batches):
    data = np.random.default_rng(0).normal(3, 2, size=(10, 4, 3)).astype("float32")
    ours, theirs = LAYERS.Normalization(axis), keras.layers.Normalization(axis)
    ours.adapt([data[:4], (data[4:], "labels")] if batches else data)
    theirs.adapt(data)
    np.testing.assert_allclose(ours(data), theirs(data), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours(data.tolist()), ours(data), rtol=1e-6)
    np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-5)
    assert ours.get_config()["mean"] is None
    again = LAYERS.Normalization.from_config(ours.get_config())
    again.build(data.shape)
    again.set_weights(ours.get_weights())
    np.testing.assert_array_equal(again(data), ours(data))
    with pytest.raises(ValueError, match="no data"):
        LAYERS.Normalization().adapt([])


def test_embedding():
    table = np.arange(12.0).reshape(4, 3)
    assert LAYERS.Embedding(4, 3, weights=table)(np.array([[3]])).tolist() == [[[9.0, 10.0, 11.0]]]
    assert "weights" not in LAYERS.Embedding(4, 3, weights=[table]).get_config()
    for bad in (4, -1):
        with pytest.raises(ValueError, match="ids from 0 to 3"):
            LAYERS.Embedding(4, 3)(np.array([[0, bad]]))
    layer = LAYERS.Embedding(70_000, 1, dtype="mixed_float16", weights=np.arange(70_000.0)[:, None])
    layer._embeddings.assign(layer._embeddings.value / 70_000)
    assert float(layer(np.array([[65_537.0]], "float32"))[0, 0, 0]) == np.float16(65_537 / 70_000)
    assert LAYERS.Embedding(4, 3)(kyeo.Input((None,))).shape == (None, None, 3)


def test_frozen_batch_normalization_uses_its_averages():
    layer = LAYERS.BatchNormalization()
    x = np.float32([[1.0], [3.0]])
    layer(x)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_allclose(layer(x, training=True), x / np.sqrt(1.001), rtol=1e-5)
    assert all((a == b).all() for a, b in zip(before, layer.get_weights()))


# -- settings and marks ------------------------------------------------------------------------------------------


def test_image_data_format_is_read_when_the_layer_is_made(monkeypatch):
    monkeypatch.setattr(settings, "image_data_format", "channels_first")
    assert LAYERS.Conv2D(3, 3).data_format == LAYERS.Flatten().data_format == "channels_first"
    x = np.ones((2, 3, 4, 4), "float32")
    assert LAYERS.GlobalMaxPooling2D()(x).shape == (2, 3)
    assert LAYERS.Rescaling([1.0, 2.0, 3.0])(x)[0, :, 0, 0].tolist() == [1.0, 2.0, 3.0]
    assert LAYERS.Rescaling(2.0, 1.0)([[1, 2], [3, 4]]).tolist() == [[3.0, 5.0], [7.0, 9.0]]


@pytest.mark.parametrize("layer, shapes, mixes", [
    (LAYERS.Dense(3), (2, 4), False), (LAYERS.Dense(3, activation=doubled), (2, 4), True),
    (LAYERS.Activation("relu"), (2, 4), False), (LAYERS.Activation(doubled), (2, 4), True),
    (LAYERS.Softmax(), (2, 4), False), (LAYERS.Softmax(axis=-2), (2, 4), True),
    (LAYERS.Concatenate(), [(2, 4), (2, 4)], False), (LAYERS.Concatenate(axis=0), [(2, 4), (2, 4)], True),
    (LAYERS.LayerNormalization(axis=[0, 1]), (2, 4), True), (LAYERS.BatchNormalization(), (2, 4), False),
    (LAYERS.Lambda(doubled), (2, 4), True), (LAYERS.Dropout(0.5, noise_shape=(1, None)), (2, 4), False),
])
def test_which_layers_mix_rows(layer, shapes, mixes):
    arrays = [np.ones(s, "float32") for s in shapes] if isinstance(shapes, list) else np.ones(shapes, "float32")
    layer(arrays)
    assert layer.mixes_rows is mixes


@pytest.mark.parametrize("name, words, shape", [
    ("Conv2D", {"filters": 2, "kernel_size": 2}, (4, 4, 2)), ("Conv3D", {"filters": 2, "kernel_size": 2}, (4, 4, 4, 2)),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 2, "strides": 2}, (4, 4, 2)), ("SeparableConv2D", {"filters": 2, "kernel_size": 2, "depth_multiplier": 2}, (4, 4, 2)),
    ("LSTM", {"units": 2}, (4, 3)), ("GRU", {"units": 2}, (4, 3)), ("ConvLSTM2D", {"filters": 2, "kernel_size": 2}, (3, 4, 4, 2)),
])
def test_no_rows_have_gradients(name, words, shape):
    layer, x = getattr(LAYERS, name)(**words), jax.numpy.zeros((0, *shape))
    layer.build(x.shape)
    values, fixed = ([v.value for v in kind] for kind in (layer.trainable_variables, layer.non_trainable_variables))
    gradients, dx = jax.grad(lambda values, x: layer.stateless_call(values, fixed, x)[0].sum(), (0, 1))(values, x)
    assert dx.shape == x.shape and all(g.shape == v.shape and not g.any() for g, v in zip(gradients, values))


def test_a_users_layer_may_mix_rows():
    class Mine(LAYERS.Dense):
        pass

    class Apart(LAYERS.Dense):
        mixes_rows = False

    assert Mine(3).mixes_rows and not Apart(3).mixes_rows


@pytest.mark.parametrize("name, words, same", [
    ("LeakyReLU", {"alpha": 0.2}, {"negative_slope": 0.2}), ("Embedding", {"input_length": 3}, {}),
    ("Conv2D", {"padding": "SAME"}, {"padding": "same"}), ("Dense", {"units": 3.0}, {"units": 3}),
])
def test_older_spellings(name, words, same):
    rest = {"Embedding": {"input_dim": 2, "output_dim": 2}, "Conv2D": {"filters": 1, "kernel_size": 1}}.get(name, {})
    made = [getattr(LAYERS, name)(**rest, **w, name="x").get_config() for w in (words, {**same})]
    assert made[0] == made[1]


def test_byte_images():
    x = np.full((1, 4, 4, 1), 255, "uint8")
    layer = LAYERS.Conv2D(1, 1, kernel_initializer="ones")
    assert layer(x).dtype == "float32" and float(layer(x)[0, 0, 0, 0]) == 255


def test_docstrings_explain_the_arguments():
    for name in LAYERS.__all__:
        text = getattr(LAYERS, name).__doc__ or ""
        assert ">>>" in text or name in {"InputLayer", "InputSpec"}, name
    assert "pool_size:" in LAYERS.MaxPooling2D.__doc__ and "kernel_size:" in LAYERS.Conv1D.__doc__


@pytest.mark.parametrize("dtype, given", [("bfloat16", str), ("mixed_bfloat16", str), ("int8_from_bfloat16", object)])
def test_a_constructor_gets_a_plain_dtype_by_its_name(dtype, given):
    for library in (kyeo, keras):
        class Own(library.layers.Dense):
            def __init__(self, units, dtype=None, **words):
                self.got = dtype
                super().__init__(units, dtype=dtype, **words)

        got = Own.from_config(library.layers.Dense(2, dtype=dtype).get_config()).got
        assert got == dtype if given is str else got.name == dtype


def test_a_bidirectional_layer_keeps_use_cudnn():
    for library in (kyeo, keras):
        both = library.layers.Bidirectional(library.layers.LSTM(1, use_cudnn=False))
        assert both.forward_layer.use_cudnn is both.backward_layer.use_cudnn is False


@pytest.mark.filterwarnings("ignore:`build:UserWarning")  # Keras's
def test_a_layer_of_layers_is_built_without_a_shape():
    for library in (kyeo, keras):
        class Outer(library.layers.Layer):
            def __init__(self):
                super().__init__()
                self.inner = library.layers.Dense(2)

        outer = Outer()
        outer.build(None)
        assert outer.built and not outer.inner.built


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), [(2, 3), (2, 4)]], ids=["tuple", "list"])
def test_the_default_build_takes_several_shapes(shapes):
    class Two(LAYERS.Layer):
        def __init__(self):
            super().__init__()
            self.inner = LAYERS.Dense(3)

        def call(self, inputs):
            return inputs[0] + self.inner(inputs[1])

    layer = Two()
    layer.build(shapes)
    assert layer.inner.kernel.shape == (4, 3)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("own", ["convolution_op", "call"])
def test_a_users_convolution(own, data_format):
    """As in Keras, `convolution_op` takes inputs in the format of the layer, whoever writes it or calls it."""
    def centred(room):
        class Own(room.layers.Conv2D):
            pass

        def convolution_op(self, inputs, kernel):
            assert tuple(inputs.shape) == (2, 6, 5, 3)
            return super(Own, self).convolution_op(inputs, kernel - room.ops.mean(kernel, keepdims=True))

        def call(self, inputs):
            return room.layers.Conv2D.convolution_op(self, inputs, self.kernel * 2.0)

        setattr(Own, own, {"convolution_op": convolution_op, "call": call}[own])
        layer = Own(4, (2, 3), strides=2, padding="same", data_format=data_format)
        layer.build((2, 6, 5, 3))
        return layer

    ours, theirs = centred(kyeo), centred(keras)
    ours.set_weights(theirs.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 3)).astype("float32")
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", [
    lambda: LAYERS.RMSNormalization(), lambda: LAYERS.GaussianNoise(0.5, seed=1),
    lambda: LAYERS.GaussianDropout(0.5, seed=1), lambda: LAYERS.AlphaDropout(0.5, seed=1),
], ids=["rms", "noise", "gaussian dropout", "alpha dropout"])
@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_integers_are_worked_on_as_floats(make, dtype):
    x = np.array([[1, 2, 3, 10]], dtype)
    ours, of_floats = (make()(values, training=True) for values in (x, x.astype("float32")))
    assert ours.dtype == "float32" and ours.tolist() == of_floats.tolist()


def test_raw_numbers_keep_their_digits_under_a_half_precision_policy():
    policy = {"dtype": "mixed_bfloat16"}
    assert LAYERS.Discretization([100.55], **policy)(np.array([100.5, 100.6], "float32")).tolist() == [0, 1]
    assert LAYERS.CategoryEncoding(1000, "one_hot", **policy)(np.array([999.0], "float32")).argmax() == 999
    layer = LAYERS.Normalization(mean=1e5, variance=1e8, axis=None, dtype="mixed_float16")  # infinite in float16
    y = layer(np.array([1e5, 1.1e5], "float32"))
    assert y.dtype == "float16" and y.tolist() == [0.0, 1.0]


def test_float64_is_told_once_and_is_what_it_says():
    with pytest.warns(UserWarning, match="float64 was asked for, and float32 is used") as told:
        layer = LAYERS.Dense(2, dtype="float64")
    y = layer(np.ones((1, 3)))  # without the warnings of JAX: they would be errors here
    assert len(told) == 1 and y.dtype == layer.compute_dtype == layer.dtype == "float32"
    assert layer.dtype_policy.name == "float64"


def test_types_of_floats_under_a_half_precision_floatx():
    kyeo.config.set_floatx("float16")
    try:
        given = [np.ones(2, "float32"), np.ones(2, "float16"), np.ones(2), 1.5, [1.5]]
        assert [kyeo.Variable(v).dtype for v in given] == ["float32", "float16", "float16", "float16", "float16"]
        assert kyeo.ops.arange(3.0).dtype == "float16" and kyeo.ops.arange(np.float32(3)).dtype == "float32"
    finally:
        kyeo.config.set_floatx("float32")
    assert kyeo.Variable(np.ones(2, "float16")).dtype == "float16"


@pytest.mark.parametrize("name", ["SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"])
def test_a_dropout_of_channels_is_a_dropout(name):
    """A loop over layers that sets the rate of each Dropout meets them too."""
    for room in (LAYERS, keras.layers):
        assert isinstance(getattr(room, name)(0.5), room.Dropout)
