"""Models written once for Kyeo and for Keras: each function takes the package and gives (model, shapes of inputs)."""

import numpy as np

__all__ = ["BUILDERS", "inputs_for"]


def chain(k):
    layers = [k.Input((4,), name="x"), k.layers.Dense(3, activation="relu"), k.layers.Dropout(0.5), k.layers.Dense(2)]
    return k.Sequential(layers, name="chain")


def pictures(k):
    x = k.Input((8, 8, 2), name="picture")
    h = k.layers.Conv2D(3, 3, padding="same", activation="relu", kernel_regularizer="l2")(x)
    h = k.layers.MaxPooling2D()(k.layers.BatchNormalization()(h))
    h = k.layers.Flatten()(k.layers.Activation("tanh")(h))
    return k.Model(x, k.layers.Dense(3, activation="softmax", name="head")(h), name="pictures")


def shared_twice(k):
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    shared, other = k.layers.Dense(4, name="shared"), k.layers.Dense(4, name="other")
    both = k.layers.Concatenate()([shared(a), other(shared(b))])
    return k.Model([a, b], [k.layers.Dense(1, name="y")(both), shared(other(a))], name="shared_twice")


def feeds_itself(k):
    x = k.Input((4,), name="x")
    one, two = k.layers.Dense(4, name="one"), k.layers.Dense(4, name="two")
    return k.Model(x, one(two(one(two(x)))), name="feeds_itself")


def with_ops(k):
    x = k.Input((4, 3), name="x")
    h = k.layers.Dense(3)(x)
    h = 2.0 * h + x - k.ops.mean(h, axis=-1, keepdims=True)
    h = k.ops.concatenate([h[:, 1:, :2], h[:, :-1, ..., 1:]], axis=-1)
    h = k.ops.reshape(k.ops.relu(h), (-1, 12))
    return k.Model(x, [k.layers.Dense(2)(h), k.ops.max(h, axis=1) ** 2], name="with_ops")


def residual(k):
    x = h = k.Input((4,), name="x")
    for i in range(4):
        h = h + k.layers.Dense(4, name=f"block{i}")(h)
        h = k.layers.Add(name=f"sum{i}")([h, k.layers.Dense(4, name=f"side{3 - i}")(x)])
    return k.Model(x, h, name="residual")


def nested(k):
    z = k.Input((4,), name="z")
    encoder = k.Model(z, [k.layers.Dense(3, name="mean")(z), k.layers.Dense(3, name="scale")(z)], name="encoder")
    decoder = k.Sequential([k.Input((3,)), k.layers.Dense(5), k.layers.Dense(4)], name="decoder")
    x, y = k.Input((4,), name="x"), k.Input((4,), name="y")
    mean, scale = encoder(x)
    mean2, _ = encoder(decoder(mean))
    out = decoder(k.layers.Multiply()([mean2, scale]))
    return k.Model({"x": x, "y": y}, {"out": out, "more": k.layers.Add()([decoder(mean), y])}, name="nested")


def ends_in_model(k):
    z = k.Input((4,), name="z")
    inner = k.Model(z, [k.layers.Dense(3, name="mean")(z), k.layers.Dense(3, name="scale")(z)], name="inner")
    stack = k.Sequential([k.Input((4,)), k.layers.Dense(4)], name="stack")
    x = k.Input((4,), name="x")
    first, last = inner(stack(x))
    return k.Model(x, [last, first, inner(x)[0], stack(x)], name="ends_in_model")


def dict_of_inputs(k):
    inputs = {"b": k.Input((3,), name="b"), "a": k.Input((3,), name="a")}
    h = k.layers.Concatenate()([inputs["a"], k.layers.Dense(2)(inputs["b"])])
    return k.Model(inputs, {"y": k.layers.Dense(2)(h), "w": h}, name="dict_of_inputs")


def normalized(k):
    x = k.Input((6, 4), name="x")
    h = k.layers.LayerNormalization()(x)
    h = k.layers.Permute((2, 1))(h)
    h = k.layers.Reshape((12, 2))(h)
    h = k.layers.Conv1D(4, 3, strides=2, padding="causal", use_bias=False)(h)
    return k.Model(x, k.layers.GlobalAveragePooling1D()(h), name="normalized")


def frozen(k):
    base = k.Sequential([k.Input((4,)), k.layers.Dense(3), k.layers.BatchNormalization()], name="base")
    base.trainable = False
    x = k.Input((4,), name="x")
    return k.Model(x, k.layers.Dense(2)(base(x)), name="frozen")


def piece(k):
    """A model that begins in the middle of another."""
    x = k.Input((4,), name="x")
    h = k.layers.Dense(3, name="before")(x)
    y = k.layers.Dense(2, name="after")(h)
    return k.Model(h, y, name="piece")


BUILDERS = (chain, pictures, shared_twice, feeds_itself, with_ops, residual, nested, ends_in_model, dict_of_inputs,
            normalized, frozen, piece)


def inputs_for(model):
    """Random arrays in the structure the model takes."""
    rng = np.random.default_rng(0)
    tensors = model.inputs
    arrays = [rng.normal(size=(3, *t.shape[1:])).astype("float32") for t in tensors]
    names = getattr(model, "input_names", None) or [t.name for t in tensors]
    return dict(zip(names, arrays)) if len(arrays) > 1 else arrays[0]
