"""Classes derived from a layer or model go by the names that Keras keeps its parts under; each runs on both libraries."""

import jax
import keras
import numpy as np
import pytest

import kyeo

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 5, 8)).astype("float32"), RNG.normal(size=(2, 6, 8)).astype("float32")
Z = RNG.normal(size=(2, 3, 4, 8)).astype("float32")
SEEN = RNG.random((2, 5, 6)) < 0.6
HERE = RNG.random((2, 3, 3)) < 0.6


def same(ours, theirs):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def cached(room):  # a `call` of its own, as where keys and values are kept
    def call(self, query, value, key=None, attention_mask=None, scores=False, causal=False):
        query, key, value = self._query_dense(query), self._key_dense(value), self._value_dense(value)
        output, weights = self._compute_attention(
            query=query, key=key, value=value, attention_mask=attention_mask, return_attention_scores=scores,
            training=None, use_causal_mask=causal)
        return (self._output_dense(output), weights) if scores else self._output_dense(output)
    return {"call": call}


def by_hand(room):  # products and weights of its own
    def call(self, query, value, key=None, attention_mask=None):
        query, key, value = self._query_dense(query), self._key_dense(value), self._value_dense(value)
        scores = room.ops.einsum(self._dot_product_equation, key, query * self._inverse_sqrt_key_dim)
        weights = self._dropout_layer(self._masked_softmax(scores, attention_mask))
        return self._output_dense(room.ops.einsum(self._combine_equation, weights, value))

    def build(self, query_shape, value_shape, key_shape=None):
        base.build(self, query_shape, value_shape)
        self._build_attention(len(query_shape) + 1)

    base = room.layers.MultiHeadAttention
    return {"call": call, "build": build}


def own_projections(room):
    def build(self, query_shape, value_shape, key_shape=None):
        self._use_bias = False
        for name in ("query", "key", "value"):
            layer = room.layers.EinsumDense("abc,cde->abde", (None, self._num_heads, self._key_dim), name=name,
                                            **self._get_common_kwargs_for_sublayer())
            layer.build(query_shape)
            setattr(self, f"_{name}_dense", layer)
        self._output_dense = room.layers.EinsumDense("abcd,cde->abe", (None, query_shape[-1]), name="back")
        self._output_dense.build((*query_shape[:-1], self._num_heads, self._value_dim))
        self._build_attention(4)
        self.built = True
    return {"build": build}


def own_attention(room):  # what Keras says a class may have of its own
    def compute(self, query, key, value, attention_mask=None, training=None, return_attention_scores=False):
        return query + room.ops.mean(value, axis=1, keepdims=True), key
    return {"_compute_attention": compute}


@pytest.mark.parametrize("methods, config, arrays, words", [
    (cached, {}, (X, Y), {}),
    (cached, {}, (X, Y), {"attention_mask": SEEN.astype("int32")}),
    (cached, {}, (X, Y), {"attention_mask": SEEN, "scores": True}),
    (cached, {}, (X, X), {"causal": True}),
    (cached, {"dropout": 0.3}, (X, Y), {"attention_mask": SEEN[:, None]}),
    (by_hand, {}, (X, Y), {"attention_mask": SEEN}),
    (by_hand, {"attention_axes": (1,)}, (Z, Z), {"attention_mask": HERE[:, None, None]}),
    (by_hand, {"attention_axes": (1, 2)}, (Z, Z), {}),
    (own_projections, {"kernel_regularizer": "l2"}, (X, X), {"use_causal_mask": True}),
    (own_attention, {}, (X, Y), {"attention_mask": SEEN}),
])
def test_attention(methods, config, arrays, words):
    made = []
    for room in (kyeo, keras):
        layer = type("Mine", (room.layers.MultiHeadAttention,), methods(room))(2, 3, **config)
        layer(*arrays)
        rng = np.random.default_rng(1)
        layer.set_weights([rng.normal(size=w.shape).astype("float32") for w in layer.weights])
        made.append((layer(*arrays, **words), layer.losses, [w.path.split("/", 1)[1] for w in layer.weights],
                     layer._use_bias, layer._key_dim, layer._output_shape))
    (ours, *our_rest), (theirs, *their_rest) = made
    same(ours, theirs)
    same(our_rest[0], their_rest[0])
    assert our_rest[1:] == their_rest[1:]


def parts(room):
    class Block(room.layers.Layer):
        def __init__(self, **words):
            super().__init__(**words)
            self.p, self.q = room.layers.Dense(3, name="p"), room.layers.Dense(3, name="q")

        def build(self, shape):
            self.p.build(shape)
            self.q.build(shape)

        def call(self, x):
            return self.q(self.p(x))

    class Graph(room.Model):  # its attributes are set in another order than the graph has
        def __init__(self):
            self.second, self.first = room.layers.Dense(3, name="second"), room.layers.Dense(3, name="first")
            self.blocks = [Block(name="b"), Block(name="a")]
            self.unused = room.layers.Dense(3, name="unused")
            self.unused.build((None, 3))
            x = room.Input((3,), name="x")
            super().__init__(x, self.blocks[0](self.blocks[1](self.second(self.first(x)))))
            self.extra = room.layers.Dense(3, name="extra")

    model = Graph()
    names = [[part.name for part in found] for found in (
        model.layers, model._flatten_layers(), model._flatten_layers(include_self=False),
        model._flatten_layers(recursive=False), model.blocks[0]._flatten_layers())]
    return [[n for n in found if n != model.name] for found in names], [w.path for w in model.weights], [
        layer.get_layer("a").name for layer in [model]]


def test_the_order_of_layers():
    assert parts(kyeo) == parts(keras)


@pytest.mark.parametrize("source, target", [(kyeo, keras), (keras, kyeo)], ids=["to Keras", "from Keras"])
def test_a_graph_with_attributes_through_a_file(source, target, tmp_path):
    def make(room):
        class Graph(room.Model):
            def __init__(self):
                self.second, self.first = room.layers.Dense(3), room.layers.Dense(3)
                x = room.Input((3,))
                super().__init__(x, self.second(self.first(x)))
        return Graph()

    first, second = make(source), make(target)
    first.save_weights(tmp_path / "m.weights.h5")
    second.load_weights(tmp_path / "m.weights.h5")
    same(first(X[0, :, :3]), second(X[0, :, :3]))


def test_own_reading_of_variables(tmp_path):
    made = []
    for room in (kyeo, keras):
        class Mine(room.layers.Layer):
            def build(self, shape):
                self.fixed = self.add_weight((2,), name="fixed", trainable=False)
                self.w = self.add_weight((2,), name="w")

            def load_own_variables(self, store):
                for i, v in enumerate(self._trainable_variables + self._non_trainable_variables):
                    v.assign(store[str(i)])

        layer = Mine()
        layer.build((2,))
        layer.load_own_variables({"0": np.ones(2), "1": np.zeros(2)})
        made.append([v.numpy().tolist() for v in (layer.w, layer.fixed)])
    assert made[0] == made[1] == [[1, 1], [0, 0]]


def by_name(room):  # several inputs, all by name: the first of the signature tells the shape
    class Mine(room.layers.Layer):
        def build(self, input_shape):
            self.dense = room.layers.Dense(input_shape[-1], kernel_initializer="ones")
            super().build(input_shape)  # `call` needs more than this shape

        def call(self, states, bias, *, again):
            return self.dense(states) + bias + again

    layer = Mine()
    return layer(again=X[..., :1], bias=X[..., :2] * 0, states=Y[:, :5, :2]), [w.shape for w in layer.weights]


def test_inputs_by_name():
    same(by_name(kyeo), by_name(keras))


@pytest.mark.parametrize("base", ["Layer", "Model"])
def test_a_build_that_asks_its_base(base):
    """The base leaves all to it, and does not run `call`."""
    for room in (kyeo, keras):
        class Mine(getattr(room, base)):
            def __init__(self):
                super().__init__()
                self.inner = room.layers.Dense(2)

            def build(self, input_shape):
                super().build((1, *input_shape))  # not what `call` gets

            def call(self, x):
                return self.inner(x)

        layer = Mine()
        layer.build((None, 3))
        assert layer.built and not layer.inner.built, room


@pytest.mark.parametrize("base, words", [("Rescaling", {"scale": 2.0}), ("Normalization", {"mean": 0.0, "variance": 1.0}),
                                         ("RandomFlip", {})])
def test_the_ops_by_a_layer_of_data(base, words):
    def mean(room):
        class Mine(getattr(room.layers, base)):
            def call(self, inputs):
                return self.backend.numpy.mean(self.backend.cast(inputs, "float32"), axis=-1) * (
                    self.backend.core.convert_to_tensor(2.0))
        layer = Mine(**words)
        return layer(Z), layer.backend.name

    (ours, our_name), (theirs, their_name) = mean(kyeo), mean(keras)
    same(ours, theirs)
    assert our_name == their_name == "jax"


@pytest.mark.parametrize("name, words", [("Embedding", {"output_dim": 2}), ("CategoryEncoding", {"output_mode": "count"})])
def test_numbers_known_before_a_step(name, words):
    """Ids that a layer holds, say of places, are none of the step's values."""
    class Mine(kyeo.layers.Layer):
        def build(self, shape):
            self.ids = kyeo.ops.arange(3)
            self.inner = getattr(kyeo.layers, name)(3, **words)
            self.inner.build((3,))

        def call(self, x):
            return kyeo.ops.sum(x) + self.inner(self.ids)

    x = kyeo.Input((8,), batch_size=5)
    model = kyeo.Model(x, Mine()(x))
    same(jax.jit(model.layers[1])(X[0]), model.layers[1](X[0]))


def test_the_order_of_weights_is_that_of_getting_them():
    """A name that stood for nothing at first counts from when it gets its layer or weight."""
    def paths(room):
        class Mine(room.layers.Layer):
            def __init__(self):
                super().__init__(name="mine")
                self.late = self.later = self.weight = None
                self.early = room.layers.Dense(2, name="early")

            def build(self, shape):
                self.later = [room.layers.Dense(3, name="later")]
                self.late = room.layers.Dense(4, name="late")
                self.weight = self.add_weight(shape=(1,), name="weight")
                for layer in (self.late, *self.later, self.early):
                    layer.build(shape)

        layer = Mine()
        layer.build((None, 5))
        return [(weight.path, tuple(weight.shape)) for weight in layer.weights]

    assert paths(kyeo) == paths(keras)


@pytest.mark.parametrize("room", [kyeo, keras], ids=["kyeo", "keras"])
def test_a_step_that_does_all_by_itself(room):
    """Batches are dicts, `call` is for something else, the mean of the loss is updated by its name in the trainer."""
    class Mine(room.Model):
        def __init__(self):
            super().__init__()
            self.inner = room.layers.Dense(1, kernel_initializer="ones")
            self.quality = room.metrics.Mean(name="quality")

        def build(self, shape):
            self.inner.build(shape["a"])
            self.built = True

        def call(self, inputs):
            raise NotImplementedError("asked for outputs")

        def train_step(self, state, data):
            assert set(data) == {"a", "b"}
            trainable, frozen, optimizer, metrics = state

            def loss_of(trainable):
                out, _ = self.inner.stateless_call(trainable, [], data["a"])
                return room.ops.mean((out - data["b"]) ** 2)

            loss, grads = jax.value_and_grad(loss_of)(trainable)
            trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
            with room.StatelessScope(zip(self.metrics_variables, metrics)) as scope:
                self._loss_tracker.update_state(loss)
            return {"loss": loss}, (trainable, frozen, optimizer,
                                    [scope.get_current_value(v) for v in self.metrics_variables])

    class Batches(room.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return {"a": X[0], "b": X[0, :, :1]}

    model = Mine()
    model.build({"a": (None, 8), "b": (None, 1)})
    model.compile("sgd")
    losses = model.fit(Batches(), epochs=2, verbose=0).history["loss"]
    assert len(losses) == 2 and losses[1] < losses[0]
    assert model._metrics == [model.quality]
