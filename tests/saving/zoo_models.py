"""Models of every family, written once for Kyeo, Keras 3 and Keras 2: each function takes the package.

Only NumPy is imported, and the Python is old: `scripts/make_zoo.py` runs this file beside libraries of 2019.
"""

import numpy as np

__all__ = ["TRAINED", "ZOO", "arrays_for", "custom_objects", "labels_for", "trained", "usable"]


class Case:
    """One model of the zoo.

    Args:
        build: package -> model.
        inputs: the shape of each input without the batch; a shape and "int" or "text" for other kinds.
        needs: names of layers that old versions do not have.
        formats: in which of "keras", "h5", "weights" it is kept.
        shake: whether all weights are made different; not where layers learned them.
    """

    def __init__(self, build, inputs, needs=(), formats=("keras", "h5"), shake=True):
        self.build, self.inputs, self.needs, self.formats, self.shake = build, inputs, needs, formats, shake


ZOO = {}
WORDS = np.array(["red", "green", "blue", "red green", "green blue blue", "pink"])


def case(*inputs, **options):
    """Decorator: put a model into the zoo."""

    def enter(build):
        ZOO[build.__name__] = Case(build, inputs, **options)
        return build

    return enter


def version(k):
    """(major, minor) of the Keras that a package is or is like."""
    return (3, 15) if k.__name__ == "kyeo" else tuple(int(part) for part in k.__version__.split(".")[:2])


def layer(k, name):
    """A class of layers, also where it was "experimental"."""
    found = getattr(k.layers, name, None)
    old = getattr(getattr(k.layers, "experimental", None), "preprocessing", None)
    return found or getattr(old, name, None)


def usable(k, entry):
    """Whether a version has all that the model needs."""
    return all(layer(k, name) is not None or hasattr(k, name) for name in entry.needs)


def arrays_for(entry, seed=0):
    """Inputs of four rows."""
    rng = np.random.RandomState(seed)
    made = []
    for spec in entry.inputs:
        shape, kind = spec if isinstance(spec[-1], str) else (spec, "float")
        if kind == "text":
            made.append(WORDS[rng.randint(0, len(WORDS), (4,) + tuple(shape))])
        elif kind == "int":
            made.append(rng.randint(0, 6, (4,) + tuple(shape)).astype("int32"))
        else:
            made.append(rng.normal(size=(4,) + tuple(shape)).astype("float32"))
    return made


def shake(model):
    """Give the model weights that are all different, variances above zero."""
    rng = np.random.RandomState(1)
    values = []
    for weight, value in zip(model.weights, model.get_weights()):
        fresh = rng.uniform(0.2, 0.8, value.shape)
        sign = rng.choice([-1.0, 1.0], value.shape)
        name = getattr(weight, "path", weight.name)
        values.append((fresh if "variance" in name else fresh * sign).astype(value.dtype))
    model.set_weights(values)
    return model


# -- dense, pictures, volumes --------------------------------------------------------------------------------
@case((4,), formats=("keras", "h5", "weights"))
def chain(k):
    la = k.layers
    return k.Sequential([la.InputLayer(input_shape=(4,)) if version(k) < (3, 0) else k.Input((4,)),
                         la.Dense(3, activation="relu"), la.Dropout(0.5), la.GaussianNoise(0.1), la.Activation("tanh"),
                         la.Reshape((3, 1)), la.Permute((2, 1)), la.Flatten(), la.RepeatVector(2), la.Flatten(),
                         la.Dense(2, use_bias=False)], name="chain")


@case((4,))
def late(k):
    """A stack without an input of its own, built by its first call."""
    la = k.layers
    model = k.Sequential([la.Dense(3, activation="sigmoid"), la.Dense(2, activation="softmax")], name="late")
    model.build((None, 4))
    return model


@case((8, 8, 2), formats=("keras", "h5", "weights"))
def pictures(k):
    la = k.layers
    x = k.Input((8, 8, 2), name="picture")
    h = la.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2")(x)
    h = la.MaxPooling2D()(la.BatchNormalization()(h))
    h = la.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(h)
    h = la.SeparableConv2D(4, 2, use_bias=False)(la.SpatialDropout2D(0.2)(h))
    h = la.Conv2DTranspose(3, 2, strides=2, activation="tanh")(h)
    h = la.UpSampling2D(2, interpolation="bilinear")(la.ZeroPadding2D(1)(h))
    h = la.AveragePooling2D(3, strides=2, padding="same")(la.Cropping2D(((1, 0), (2, 1)))(h))
    h = la.Concatenate()([la.GlobalAveragePooling2D()(h), la.GlobalMaxPooling2D()(h)])
    return k.Model(x, la.Dense(3, activation="softmax", name="head")(h), name="pictures")


@case((9, 2), (4, 4, 4, 1))
def lines_and_volumes(k):
    la = k.layers
    x, v = k.Input((9, 2), name="line"), k.Input((4, 4, 4, 1), name="volume")
    h = la.Conv1D(3, 3, strides=2, padding="causal", activation="elu")(la.ZeroPadding1D(1)(x))
    h = la.UpSampling1D(2)(la.Cropping1D((1, 0))(h))
    h = la.GlobalMaxPooling1D()(la.AveragePooling1D(2)(la.SeparableConv1D(3, 2)(h)))
    w = la.Conv3D(2, 2, dilation_rate=2)(la.ZeroPadding3D(1)(v))
    w = la.MaxPooling3D(2)(la.Conv3DTranspose(2, 2)(w))
    return k.Model([x, v], la.Concatenate()([h, la.GlobalAveragePooling3D()(w)]), name="lines_and_volumes")


# -- graphs --------------------------------------------------------------------------------------------------
@case((4,), (4,), formats=("keras", "h5", "weights"))
def shared(k):
    la = k.layers
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    first, other = la.Dense(4, name="first"), la.Dense(4, name="other")
    both = la.Concatenate(axis=-1)([first(a), other(first(b))])
    return k.Model([a, b], [la.Dense(1, name="y")(both), first(other(a))], name="shared")


@case((4,), (4,))
def nested(k):
    la = k.layers
    z = k.Input((4,), name="z")
    encoder = k.Model(z, [la.Dense(3, name="mean")(z), la.Dense(3, name="scale")(z)], name="encoder")
    decoder = k.Sequential([la.Dense(5, input_shape=(3,)) if version(k) < (3, 0) else k.Input((3,)), la.Dense(4)]
                           + [la.BatchNormalization(name="norm")], name="decoder")
    frozen = k.Model(z, la.Dense(4, name="in_frozen")(z), name="frozen")
    frozen.trainable = False
    x, y = k.Input((4,), name="x"), k.Input((4,), name="y")
    mean, scale = encoder(x)
    mean2, _ = encoder(decoder(mean))
    out = decoder(la.Multiply()([mean2, scale]))
    return k.Model([x, y], [out, la.Add()([decoder(mean), frozen(y)])], name="nested")


@case((4,), (4,), (4,))
def merged(k):
    la = k.layers
    a, b, c = (k.Input((4,), name=n) for n in "abc")
    h = [la.Add()([a, b, c]), la.Subtract()([a, b]), la.Multiply()([b, c]), la.Average()([a, c]),
         la.Maximum()([a, b]), la.Minimum()([b, c])]
    return k.Model([a, b, c], [la.Concatenate()(h), la.Dot(axes=1, normalize=True)([a, b])], name="merged")


@case((4, 3), needs=("mixed_precision",))
def calculated(k):
    """Arithmetic on tensors: TFOpLambda in Keras 2.4 and after, ops in Keras 3."""
    x = k.Input((4, 3), name="x")
    h = k.layers.Dense(3)(x)
    h = 2.0 * h + x - h / 3.0
    h = (h[:, 1:, :2] * x[:, :-1, ..., 1:]) ** 2.0
    h = h - 1.0
    return k.Model(x, [k.layers.Dense(2)(-h), 1.0 - h[:, 0]], name="calculated")


# -- sequences -----------------------------------------------------------------------------------------------
@case((5, 3))
def recurrent(k):
    la = k.layers
    x = k.Input((5, 3), name="x")
    h = la.SimpleRNN(3, return_sequences=True)(x)
    h = la.LSTM(3, return_sequences=True, go_backwards=True, recurrent_dropout=0.1)(h)
    h = la.GRU(4, return_sequences=True, reset_after=True)(h)
    h = la.GRU(3, return_sequences=True, reset_after=False, implementation=1)(h) if version(k) < (3, 0) else \
        la.GRU(3, return_sequences=True, reset_after=False)(h)
    h = la.Bidirectional(la.LSTM(2, return_sequences=True), merge_mode="sum")(h)
    h = la.TimeDistributed(la.Dense(3, activation="tanh"))(h)
    out = la.Bidirectional(la.GRU(2))(h)
    cells = la.RNN([la.LSTMCell(3), la.GRUCell(2), la.SimpleRNNCell(2)])(h)
    last, *states = la.LSTM(3, return_state=True)(h)
    again = la.LSTM(3)(x, initial_state=states)
    return k.Model(x, [out, cells, last, again], name="recurrent")


@case(((6,), "int"))
def masked(k):
    la = k.layers
    words = k.Input((6,), dtype="int32", name="words")
    h = la.Embedding(7, 4, mask_zero=True)(words)
    h = la.LSTM(3, return_sequences=True, recurrent_activation="sigmoid")(h)
    return k.Model(words, la.GRU(2, recurrent_activation="hard_sigmoid")(h), name="masked")


@case((3, 5, 5, 1), needs=("ConvLSTM2D",))
def frames(k):
    la = k.layers
    x = k.Input((3, 5, 5, 1), name="x")
    h = la.ConvLSTM2D(2, 3, padding="same", return_sequences=True, recurrent_activation="sigmoid")(x)
    h = la.TimeDistributed(la.Conv2D(2, 2))(h)
    return k.Model(x, la.TimeDistributed(la.Flatten())(h), name="frames")


@case((4, 6), (3, 6), needs=("MultiHeadAttention",))
def attentive(k):
    la = k.layers
    q, v = k.Input((4, 6), name="q"), k.Input((3, 6), name="v")
    h = la.MultiHeadAttention(2, 3, value_dim=2, dropout=0.1)(q, v)
    h = la.LayerNormalization(epsilon=1e-4)(la.Add()([q, h]))
    one = la.Attention(use_scale=True)([h, v])
    return k.Model([q, v], [one, la.AdditiveAttention()([h, v])], name="attentive")


# -- one layer after the other -------------------------------------------------------------------------------
@case((4, 6))
def normalized(k):
    la = k.layers
    x = k.Input((4, 6), name="x")
    h = la.BatchNormalization(axis=1, momentum=0.9, epsilon=0.01, scale=False)(x)
    h = la.BatchNormalization(center=False)(h)
    for name, options in [("LayerNormalization", {"axis": [2], "epsilon": 0.01}), ("GroupNormalization", {"groups": 3}),
                          ("UnitNormalization", {})]:
        h = layer(k, name)(**options)(h) if layer(k, name) else h
    return k.Model(x, h, name="normalized")


@case((6,))
def bent(k):
    la = k.layers
    modern = version(k) >= (3, 0)
    x = k.Input((6,), name="x")
    h = [la.PReLU()(x), la.ELU(0.7)(x), la.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2)(x), la.Softmax()(x),
         la.LeakyReLU(negative_slope=0.3)(x) if modern else la.LeakyReLU(alpha=0.3)(x)]
    h += [] if modern else [la.ThresholdedReLU(theta=0.4)(x)]
    names = ["relu", "elu", "selu", "softplus", "softsign", "tanh", "sigmoid", "hard_sigmoid", "exponential", "linear"]
    names += ["gelu", "swish"] if hasattr(k.activations, "gelu") else []
    h += [la.Activation(name)(x) for name in names]
    h += [la.ActivityRegularization(l1=0.1)(la.GaussianDropout(0.1)(la.AlphaDropout(0.1)(x)))]
    return k.Model(x, la.Concatenate()(h), name="bent")


@case((4,))
def held(k):
    """Initializers, regularizers and constraints as objects."""
    la = k.layers
    i, r, c = k.initializers, k.regularizers, k.constraints
    model = k.Sequential(name="held")
    if version(k) >= (3, 0):
        model.add(k.Input((4,)))
    first = {} if version(k) >= (3, 0) else {"input_shape": (4,)}
    model.add(la.Dense(5, kernel_initializer=i.RandomNormal(stddev=0.1, seed=3), bias_initializer=i.Constant(0.2),
                       kernel_regularizer=r.l1_l2(0.01, 0.02) if hasattr(r, "l1_l2") else r.L1L2(0.01, 0.02),
                       kernel_constraint=c.MaxNorm(2.0), **first))
    scaling = i.VarianceScaling(scale=2.0, mode="fan_in", distribution="uniform", seed=1)
    model.add(la.Dense(3, kernel_initializer=scaling, activity_regularizer="l2", bias_constraint=c.NonNeg()))
    model.add(la.Dense(3, kernel_initializer=i.Orthogonal(gain=1.5, seed=2), kernel_constraint=c.UnitNorm(axis=0),
                       bias_regularizer=r.l1(0.1) if hasattr(r, "l1") else r.L1(0.1)))
    model.add(la.Dense(2, kernel_initializer="he_normal", bias_initializer=i.TruncatedNormal(stddev=0.1),
                       kernel_constraint=c.MinMaxNorm(0.1, 1.0, rate=0.9)))
    return model


@case((6,), needs=("Normalization",), shake=False)
def prepared(k):
    x = k.Input((6,), name="x")
    normal = layer(k, "Normalization")(axis=-1)
    data = np.random.RandomState(3).normal(2.0, 3.0, (20, 6)).astype("float32")
    normal.adapt(data)
    h = layer(k, "Rescaling")(2.0, offset=0.5)(normal(x))
    return k.Model(x, h, name="prepared")


@case((8, 8, 3), ((1,), "int"), needs=("RandomFlip", "CategoryEncoding", "Discretization"))
def looked_at(k):
    x, n = k.Input((8, 8, 3), name="picture"), k.Input((1,), name="number", dtype="int32")
    h = layer(k, "CenterCrop")(6, 6)(layer(k, "RandomFlip")("horizontal")(x))
    h = layer(k, "RandomZoom")(0.2)(layer(k, "RandomRotation")(0.1)(h))
    h = layer(k, "RandomTranslation")(0.1, 0.1)(layer(k, "RandomContrast")(0.1)(h))
    h = layer(k, "Resizing")(4, 4)(layer(k, "Rescaling")(0.5)(h))
    if version(k) < (2, 6):
        return k.Model([x, n], h, name="looked_at")
    code = layer(k, "CategoryEncoding")(num_tokens=6, output_mode="one_hot")(n)
    bins = layer(k, "Discretization")(bin_boundaries=[0.0, 1.0])(x)
    return k.Model([x, n], [h, code, bins], name="looked_at")


@case(((1,), "text"), needs=("StringLookup", "TextVectorization"), formats=("keras",), shake=False)
def read(k):
    words = k.Input((1,), dtype="string", name="words")
    lookup = k.layers.StringLookup(output_mode="multi_hot")
    lookup.adapt(np.array(["red", "green", "red", "blue"]))
    text = k.layers.TextVectorization(output_sequence_length=4)
    text.adapt(np.array(["red green", "blue green green"]))
    return k.Model(words, [lookup(words), text(words)], name="read")


@case((4,))
def half(k):
    """Layers that compute in another type than their weights have."""
    if version(k) < (2, 4):
        return chain(k)
    la = k.layers
    policy = getattr(k, "dtype_policies", None)
    policy = policy.DTypePolicy("mixed_float16") if policy else (
        getattr(k.mixed_precision, "Policy", None) or k.mixed_precision.experimental.Policy)("mixed_float16")
    x = k.Input((4,), name="x")
    h = la.Dense(3, dtype=policy)(x)
    h = la.Activation("relu", dtype=policy)(la.BatchNormalization(dtype=policy)(h))
    return k.Model(x, la.Dense(2, dtype="float32")(h), name="half")


# -- the user's own ------------------------------------------------------------------------------------------
def custom_objects(k):
    """A layer, a regularizer-free function and a model of the user, made for the package."""

    class Scale(k.layers.Layer):
        """Multiplies by a learned number for each feature, and bends."""

        def __init__(self, power=1, bend=None, **kwargs):
            super().__init__(**kwargs)
            self.power, self.bend = power, k.activations.get(bend)

        def build(self, shape):
            self.factor = self.add_weight(name="factor", shape=(int(shape[-1]),), initializer="ones")
            self.built = True

        def call(self, x):
            return self.bend(x) * self.factor ** self.power

        def compute_output_shape(self, shape):
            return shape

        def get_config(self):
            config = super().get_config()
            return dict(config, power=self.power, bend=k.activations.serialize(self.bend))

    def squared(x):
        return x * x

    return {"Scale": Scale, "squared": squared}


@case((4,))
def own(k):
    found = (k.utils if hasattr(k.utils, "get_custom_objects") else k.saving).get_custom_objects()
    made = {name: found.get(name) or value for name, value in custom_objects(k).items()}
    found.update(made)
    x = k.Input((4,), name="x")
    h = made["Scale"](power=2, bend=made["squared"], name="scale")(x)
    return k.Model(x, k.layers.Dense(2, activation=made["squared"])(h), name="own")


# -- compiled ------------------------------------------------------------------------------------------------
def plain(k):
    la = k.layers
    x = k.Input((4,), name="x")
    h = la.Dense(3, activation="tanh", name="hidden")(x)
    return k.Model(x, la.Dense(3, activation="softmax", name="out")(h), name="plain")


def two_heads(k):
    la = k.layers
    x = k.Input((4,), name="x")
    h = la.Dense(3, activation="tanh", name="hidden")(x)
    return k.Model(x, [la.Dense(3, activation="softmax", name="kind")(h), la.Dense(1, name="size")(h)], name="two_heads")


def optimizer(name, **options):
    """package -> optimizer, or None where it has none of that name."""
    def make(k):
        cls = getattr(k.optimizers, name, None)
        given = dict(options)
        if version(k) < (2, 4):
            given["lr"] = given.pop("learning_rate")
        return None if cls is None else cls(**given)

    return make


def decayed(k):
    if not hasattr(getattr(k.optimizers, "schedules", None), "ExponentialDecay"):
        return None
    return k.optimizers.Adam(k.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5))


def shrinking(k):
    """SGD with the `decay` of old."""
    if version(k) >= (3, 0):
        return None
    cls = getattr(getattr(k.optimizers, "legacy", None), "SGD", k.optimizers.SGD)
    return cls(0.1, decay=0.2, momentum=0.5) if version(k) >= (2, 4) else cls(lr=0.1, decay=0.2, momentum=0.5)


TRAINED = {
    "sgd": optimizer("SGD", learning_rate=0.1), "momentum": optimizer("SGD", learning_rate=0.1, momentum=0.9, nesterov=True),
    "adam": optimizer("Adam", learning_rate=0.05), "amsgrad": optimizer("Adam", learning_rate=0.05, amsgrad=True),
    "rmsprop": optimizer("RMSprop", learning_rate=0.02, rho=0.8), "adagrad": optimizer("Adagrad", learning_rate=0.1),
    "adadelta": optimizer("Adadelta", learning_rate=0.5), "adamax": optimizer("Adamax", learning_rate=0.05),
    "nadam": optimizer("Nadam", learning_rate=0.05), "ftrl": optimizer("Ftrl", learning_rate=0.1),
    "adamw": optimizer("AdamW", learning_rate=0.05, weight_decay=0.1), "lion": optimizer("Lion", learning_rate=0.02),
    "decayed": decayed, "shrinking": shrinking, "heads": optimizer("Adam", learning_rate=0.05),
}
TRAINED_FORMATS = {"adam": ("keras", "h5", "weights"), "heads": ("keras", "h5")}


def trained(k, name):
    """A compiled model that has taken two steps; None where the version has no such optimizer."""
    chosen = TRAINED[name](k)
    if chosen is None:
        return None
    heads = name == "heads"
    model = shake((two_heads if heads else plain)(k))
    if heads:
        model.compile(chosen, loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
                      loss_weights={"kind": 1.0, "size": 0.5}, metrics={"kind": ["accuracy"], "size": ["mae"]})
    elif name == "sgd":
        model.compile(chosen, loss=k.losses.CategoricalCrossentropy(label_smoothing=0.1),
                      metrics=[k.metrics.CategoricalAccuracy(name="right")])
    else:
        model.compile(chosen, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    two_steps(model, name)
    return model


def labels_for(name):
    """The batch of the training: inputs and labels."""
    rng = np.random.RandomState(5)
    x, kind = rng.normal(size=(6, 4)).astype("float32"), np.array([0, 1, 2, 0, 1, 2])
    if name == "heads":
        return x, [kind, rng.normal(size=(6, 1)).astype("float32")]
    return x, (np.eye(3, dtype="float32")[kind] if name == "sgd" else kind)


def two_steps(model, name):
    """Train on one batch twice."""
    x, y = labels_for(name)
    for _ in range(2):
        model.train_on_batch(x, y)


def weights_of(model):
    """Values of the weights, trainable ones first: the one order that all versions have."""
    weights = list(model.trainable_weights) + list(model.non_trainable_weights)
    try:
        return [np.array(w.numpy() if hasattr(w, "numpy") else w.value) for w in weights]
    except NotImplementedError:  # TensorFlow 1
        return model.get_weights()
