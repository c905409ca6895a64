"""Models made in every way Keras knows, and the hooks by which users change a step."""

import jax
import keras
import numpy as np
import pytest

import kyeo
from kyeo import layers
from kyeo.core.naming import reset_names

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 5)).astype("float32")
Y = (X[:, :2] * 2).astype("float32")


class Residual(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = layers.Dense(units, activation="relu")

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs, training=False):
        return inputs * self.scale + self.inner(inputs)


class Subclass(kyeo.Model):
    def __init__(self, units=5, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.blocks = [Residual(units), Residual(units)]
        self.drop = layers.Dropout(0.5)
        self.head = layers.Dense(2)

    def call(self, inputs, training=False):
        for block in self.blocks:
            inputs = block(inputs)
        return self.head(self.drop(inputs, training=training))


class JaxStep(kyeo.Model):
    """`train_step` in Keras's JAX form, metrics kept by hand."""

    def compute_loss_and_state(self, trainable, frozen, x, y, training=False):
        y_pred, frozen = self.stateless_call(trainable, frozen, x, training=training)
        return self.compute_loss(x, y, y_pred), (y_pred, frozen)

    def train_step(self, state, data):
        trainable, frozen, optimizer, metrics = state
        x, y = data[:2]
        gradient = jax.value_and_grad(self.compute_loss_and_state, has_aux=True)
        (loss, (y_pred, frozen)), grads = gradient(trainable, frozen, x, y, training=True)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, grads, trainable)
        logs, new_metrics = {}, []
        for metric in self.metrics:
            values = metrics[len(new_metrics):len(new_metrics) + len(metric.variables)]
            if metric.name == "loss":
                values = metric.stateless_update_state(values, loss)
            else:
                values = metric.stateless_update_state(values, y, y_pred)
            logs[metric.name] = metric.stateless_result(values)  # of all the compiled ones a dict, as in Keras's guide
            new_metrics += values
        return logs, (trainable, frozen, optimizer, new_metrics)


class OwnLoss(kyeo.Model):
    """`compute_loss` and `call` with metrics of the model's own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tracker = kyeo.metrics.Mean(name="double")
        self.inputs_mean = kyeo.metrics.Mean(name="inputs_mean")

    def call(self, inputs):
        self.inputs_mean.update_state(inputs)
        return super().call(inputs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = kyeo.ops.mean((y - y_pred) ** 2)
        self.tracker.update_state(2 * loss)
        return loss


PREDICT_STEPS = {  # predict_step of a model's own, in Keras's JAX form: of the state it gives the non-trainable part
    "by hand": """def predict_step(self, state, data):
        outputs, frozen = self.stateless_call(*state, data)
        return ops.concatenate([outputs, -outputs], axis=-1), frozen""",
    "by its base": """def predict_step(self, state, data):
        outputs, frozen = Base.predict_step(self, state, data)
        return {"both": outputs * 2, "seen": frozen[0]}, frozen""",
}


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("form", PREDICT_STEPS)
def test_predict_step_as_users_write_it(form, eagerly):
    found = []
    for library in (kyeo, keras):
        names = {"ops": library.ops, "Base": library.Model}
        exec(PREDICT_STEPS[form], names)
        own = type("Own", (library.Model,), {"predict_step": names["predict_step"]})
        inputs = library.Input((3,))
        normed = library.layers.BatchNormalization()(inputs)
        model = own(inputs, library.layers.Dense(2, kernel_initializer="ones")(normed))
        model.compile(run_eagerly=eagerly)
        found.append(model.predict(np.arange(12.0).reshape(4, 3), batch_size=4, verbose=0))
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-5), *found)


LOSSES = {  # compute_loss as users write it: before Keras 3.3 it took no `training`; the names are theirs
    "no training": "lambda self, x=None, y=None, y_pred=None, sample_weight=None: ops.mean((y - y_pred) ** 2)",
    "own names": "lambda self, data, labels, output, weights, training=True: ops.mean((labels - output) ** 2)",
    "keywords": "lambda self, x, y, y_pred, sample_weight, **words: ops.mean((y - y_pred) ** 2) + len(words)",
}


@pytest.mark.parametrize("form", LOSSES)
def test_compute_loss_as_users_write_it(form):
    found = []
    for library in (kyeo, keras):
        own = type("Own", (library.Model,), {"compute_loss": eval(LOSSES[form], {"ops": library.ops})})
        inputs = library.Input((5,))
        model = own(inputs, library.layers.Dense(2, kernel_initializer="ones")(inputs))
        model.compile("sgd", "mse")
        found.append([model.evaluate(X, Y, batch_size=8, verbose=0), *model.fit(X, Y, batch_size=8, shuffle=False, verbose=0).history["loss"]])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


BASES = {"layer": "layers.Layer", "dense": "layers.Dense", "loss": "losses.Loss", "metric": "metrics.Metric", "initializer": "initializers.Initializer",
         "constraint": "constraints.Constraint", "optimizer": "optimizers.Optimizer", "adam": "optimizers.Adam",
         "scaled": "optimizers.LossScaleOptimizer", "schedule": "optimizers.schedules.ExponentialDecay"}
NEEDED = {"dense": lambda library: {"units": 2}, "optimizer": lambda library: {"learning_rate": 0.5},
          "scaled": lambda library: {"inner_optimizer": library.optimizers.SGD()},
          "schedule": lambda library: {"initial_learning_rate": 0.5, "decay_steps": 3, "decay_rate": 0.5}}


@pytest.mark.parametrize("kind", BASES)
def test_what_a_get_config_of_ones_own_is_given_by_its_base(kind):
    """Not the arguments that it adds itself: `dict(extra=..., **super().get_config())` would be given them twice."""
    found = []
    for library in (kyeo, keras):
        base = library
        for name in BASES[kind].split("."):
            base = getattr(base, name)

        class Own(base):
            def __init__(self, extra, function=None, **words):
                super().__init__(**words)
                self.extra, self.function = extra, function

            def get_config(self):
                return dict(extra=self.extra, **super().get_config())

        own = Own(3, lambda x: x, **NEEDED.get(kind, lambda library: {})(library))  # a lambda cannot be written
        found.append(own.get_config())
        assert library is keras or Own.from_config(found[-1]).get_config() == found[-1]
    assert set(found[0]) >= set(found[1]) - {"dtype"} and not {"function"} & set(found[0])


@pytest.mark.filterwarnings("ignore:The model .* is saved before it is built:UserWarning")  # the layer is
@pytest.mark.parametrize("shape", [(), ((None, 2),)])
def test_a_layer_built_without_a_shape_is_loaded(shape, tmp_path):
    layer = layers.Embedding(5, 3)
    layer.build(*shape)
    before = np.asarray(layer.embeddings)
    layer.build(*shape)
    kyeo.Sequential([layer]).save(tmp_path / "m.keras")
    for library in (kyeo, keras):
        loaded = library.saving.load_model(tmp_path / "m.keras").layers[0]
        np.testing.assert_array_equal(loaded.embeddings, before)


def graph(cls=kyeo.Model, **kwargs):
    x = kyeo.Input((5,))
    return cls(x, layers.Dense(2, name="head", **kwargs)(x))


def test_subclass_trains_and_is_found_whole():
    reset_names()
    model = Subclass()
    model.compile(kyeo.optimizers.Adam(0.01), "mse")
    model.fit(X, Y, epochs=1, verbose=0)
    before = model.evaluate(X, Y, verbose=0)
    model.fit(X, Y, epochs=60, verbose=0)
    assert model.evaluate(X, Y, verbose=0) < before * 0.7
    assert [v.path.split("/", 1)[1] for v in model.weights] == [
        "residual/scale", "residual/dense/kernel", "residual/dense/bias", "residual_1/scale",
        "residual_1/dense_1/kernel", "residual_1/dense_1/bias", "dense_2/kernel", "dense_2/bias"]
    assert len(model.layers) == 4 and model.get_config()["units"] == 5


def test_subclass_trained_in_jax_form():
    plain, custom = graph(), graph(JaxStep)
    custom.set_weights(plain.get_weights())
    histories = []
    for model in (plain, custom):
        model.compile("sgd", "mse", metrics=["mae"])
        histories.append(model.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0).history)
    assert type(custom) is JaxStep
    for key, values in histories[0].items():
        np.testing.assert_allclose(histories[1][key], values, rtol=1e-5)


def test_own_compute_loss():
    model = graph(OwnLoss)
    model.compile("sgd")
    logs = model.fit(X, Y, batch_size=24, verbose=0).history
    np.testing.assert_allclose(logs["double"][0], 2 * logs["loss"][0], rtol=1e-6)
    np.testing.assert_allclose(logs["inputs_mean"][0], X.mean(), rtol=1e-5, atol=1e-6)


def test_stateless_call_is_pure():
    model = kyeo.Sequential([kyeo.Input((5,)), layers.BatchNormalization(), layers.Dropout(0.5)])
    before = model.get_weights()
    trainable = [v.value for v in model.trainable_variables]
    frozen = [v.value for v in model.non_trainable_variables]
    out, new = jax.jit(lambda t, f, x: model.stateless_call(t, f, x, training=True))(trainable, frozen, X)
    assert out.shape == X.shape and any((a != b).any() for a, b in zip(frozen, new))
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_many_inputs_and_outputs_shared_layers_and_models_as_layers():
    a, b = kyeo.Input((5,), name="a"), kyeo.Input((5,), name="b")
    encoder = kyeo.Sequential([kyeo.Input((5,)), layers.Dense(4, activation="tanh")], name="encoder")
    both = layers.Concatenate()([encoder(a), encoder(b)])
    model = kyeo.Model({"a": a, "b": b}, {"sum": layers.Dense(1, name="s")(both), "parts": both})
    assert sum("encoder" in layer.name for layer in model.layers) == 1 and len(model.weights) == 4
    model.compile("adam", {"sum": "mse"})
    data = {"a": X, "b": X[::-1].copy()}
    model.fit(data, {"sum": Y[:, :1]}, epochs=2, verbose=0)
    out = model.predict(data, verbose=0)
    assert out["sum"].shape == (24, 1) and out["parts"].shape == (24, 8)
    np.testing.assert_allclose(out["parts"][:, :4], encoder.predict(X, verbose=0), rtol=1e-5, atol=1e-6)


def test_features_from_inside_a_graph():
    x = kyeo.Input((5,))
    h = layers.Dense(3, name="mid")(x)
    model = kyeo.Model(x, layers.Dense(1)(h))
    features = kyeo.Model(model.input, model.get_layer("mid").output)
    assert features.predict(X, verbose=0).shape == (24, 3)


def test_operators_in_a_graph():
    x = kyeo.Input((5,))
    model = kyeo.Model(x, (x * 2.0 + 1.0)[:, 1:3] - kyeo.ops.mean(x, axis=-1, keepdims=True))
    np.testing.assert_allclose(model(X), (X * 2 + 1)[:, 1:3] - X.mean(-1, keepdims=True), rtol=1e-5, atol=1e-6)


def test_frozen_layers_stay():
    model = kyeo.Sequential([kyeo.Input((5,)), layers.Dense(4, name="frozen"), layers.Dense(2)])
    model.get_layer("frozen").trainable = False
    model.compile("sgd", "mse")
    before = model.get_layer("frozen").get_weights()
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(before[0], model.get_layer("frozen").get_weights()[0])
    model.get_layer("frozen").trainable = True  # takes effect at once
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert (before[0] != model.get_layer("frozen").get_weights()[0]).any()


def test_add_loss_counts_once_in_training_and_evaluation():
    class Penalty(layers.Layer):
        def call(self, x):
            self.add_loss(kyeo.ops.mean(x**2))
            return x

    x = kyeo.Input((5,))
    model = kyeo.Model(x, Penalty()(x)[:, :2])
    model.compile("sgd", "mse")
    expected = ((X[:, :2] - Y) ** 2).mean() + (X**2).mean()
    np.testing.assert_allclose(model.evaluate(X, Y, batch_size=24, verbose=0), expected, rtol=1e-5)
    model(X)
    np.testing.assert_allclose(float(model.losses[0]), (X**2).mean(), rtol=1e-5)
    model.predict(X, verbose=0)
    assert not any(isinstance(v, jax.core.Tracer) for v in model.losses)


@pytest.mark.parametrize("policy", ["bfloat16", "mixed_bfloat16", "float16", "mixed_float16"])
def test_short_floats(policy):
    model = kyeo.Sequential([kyeo.Input((5,)), layers.Dense(8, activation="relu", dtype=policy),
                             layers.Dense(2, dtype=policy)])
    model.compile("adam", "mse")
    losses = model.fit(X, Y, batch_size=8, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert str(model(X).dtype) == policy.removeprefix("mixed_")
    assert model.weights[0].dtype == ("float32" if "mixed" in policy else policy)


def test_a_count_under_a_short_policy_is_kept_in_its_own_type():
    """bfloat16 has no 257; Keras adds in the compute dtype and stays at 256."""
    class Counts(kyeo.Layer):
        def build(self, shape):
            self.calls = self.add_weight((), "zeros", "float32", trainable=False, name="calls")

        def call(self, x):
            self.calls.assign_add(1.0)
            return x

    layer = Counts(dtype="mixed_bfloat16")
    layer.build((1, 1))
    layer.calls.assign(256.0)
    for _ in range(3):
        layer(np.ones((1, 1), "float32"))
    assert float(layer.calls) == 259


def test_no_policy_is_refused():
    for library in (kyeo, keras):
        with pytest.raises(ValueError):
            library.config.set_dtype_policy(None)


def test_loss_scaling_under_a_float16_policy():
    kyeo.config.set_dtype_policy("mixed_float16")
    try:
        model = kyeo.Sequential([kyeo.Input((5,)), layers.Dense(2)])
    finally:
        kyeo.config.set_dtype_policy("float32")
    model.compile("sgd", "mse")
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    losses = model.fit(X, Y, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_masks_reach_the_loss():
    x = kyeo.Input((4,), dtype="int32")
    h = layers.Embedding(6, 3, mask_zero=True)(x)
    model = kyeo.Model(x, layers.Dense(1)(h))
    model.compile("sgd", "mse")
    ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0]], "int32")
    target = np.ones((2, 4, 1), "float32")
    pred = model.predict(ids, verbose=0)
    real = ids != 0
    np.testing.assert_allclose(model.evaluate(ids, target, verbose=0), ((pred - target)[real] ** 2).mean(), rtol=1e-5)


def test_one_batch_methods():
    model = graph()
    model.compile("sgd", "mse", metrics=["mae"])
    first = model.train_on_batch(X, Y, return_dict=True)
    assert set(first) == {"loss", "mae"} and len(model.test_on_batch(X, Y)) == 2
    np.testing.assert_allclose(model.predict_on_batch(X), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6)


def test_run_eagerly_gives_the_same():
    plain, eager = graph(), graph()
    eager.set_weights(plain.get_weights())
    values = []
    for model in (plain, eager):
        model.compile("adam", "mse", metrics=["mae"], run_eagerly=model is eager)
        values.append(model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0).history)
    for key in values[0]:
        np.testing.assert_allclose(values[0][key], values[1][key], rtol=1e-4)


def test_sequential_in_every_order():
    late = kyeo.Sequential([layers.Dense(3), layers.Dense(2)])
    assert not late.built and late(X).shape == (24, 2) and late.built
    old_style = kyeo.Sequential()
    old_style.add(layers.Dense(3, input_shape=(5,)))
    old_style.add(layers.Dense(1))
    assert old_style.output_shape == (None, 1)
    old_style.pop()
    assert old_style.output_shape == (None, 3)


def test_generators_datasets_and_validation():
    class Batches(kyeo.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return X[index * 8:index * 8 + 8], Y[index * 8:index * 8 + 8]

    def endless():
        while True:
            yield X[:8], Y[:8]

    model = graph()
    model.compile("sgd", "mse")
    history = model.fit(Batches(), epochs=2, validation_data=Batches(), verbose=0).history
    assert len(history["val_loss"]) == 2
    model.fit(endless(), steps_per_epoch=4, epochs=2, verbose=0)
    assert int(model.optimizer.iterations.value) == 3 * 2 + 4 * 2


def test_logits_of_a_model_whose_activation_is_taken_away():
    """As Grad-CAM does: the last layer's softmax is set to None."""
    for layer, x in ((layers.Dense(3, activation="softmax"), X), (layers.Conv1D(3, 2, activation="softmax"), X[:, :, None])):
        model = kyeo.Sequential([layer])
        before = model(x)
        layer.activation = None
        logits = model(x)
        np.testing.assert_allclose(kyeo.ops.softmax(logits), before, rtol=1e-5)
        assert layer.get_config()["activation"] is None


def test_names_in_a_stack_are_looked_at_once_for_each_layer():
    class Counting(str):
        compared = 0

        def __eq__(self, other):
            Counting.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    layers = [kyeo.layers.Identity(name=f"i{i}") for i in range(100)]
    for layer in layers:
        layer.name = Counting(layer.name)
    kyeo.Sequential(layers)
    assert Counting.compared < 500
    with pytest.raises(ValueError, match='"i7" twice'):
        kyeo.Sequential([*layers[:9], kyeo.layers.Identity(name="i7")])


def test_metrics_that_do_not_fit_the_outputs_are_refused_when_they_count():
    """A library may compile with metrics of its own choice, and only predict."""
    for room in (kyeo, keras):
        x = room.Input((3,))
        model = room.Model(x, {"a": room.layers.Dense(2)(x), "b": room.layers.Dense(1)(x)})
        model.compile("sgd", "mse", metrics=[room.metrics.MeanSquaredError()])
        assert set(model.predict(X[:, :3], verbose=0)) == {"a", "b"}
        with pytest.raises(ValueError, match="metrics"):
            model.fit(X[:, :3], {"a": X[:, :2], "b": X[:, :1]}, verbose=0)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("room", [kyeo, keras], ids=["kyeo", "keras"])
def test_what_a_class_hands_on_to_a_graph_model(room, recwarn):
    class Mine(room.Model):
        def __init__(self, **kwargs):
            x = room.Input((2,))
            super().__init__(x, room.layers.Dense(1)(x), **kwargs)

    model = Mine(name="mine", pooling="gap", trainable=False)
    assert (model.name, model.trainable, model.count_params()) == ("mine", False, 3)
    if room is kyeo:
        assert "Mine hands pooling='gap' on to kyeo.Model" in str(recwarn.pop(UserWarning).message)
        x = kyeo.Input((2,))
        with pytest.raises(TypeError, match="`pooling` is not a parameter"):
            kyeo.Model(x, layers.Dense(1)(x), pooling="gap")


@pytest.mark.parametrize("name", ["inputs", "outputs", "input_shape", "output_shape", "input_names", "output_names"])
@pytest.mark.parametrize("room", [kyeo, keras], ids=["kyeo", "keras"])
def test_a_subclass_keeps_what_it_calls_by_the_names_of_a_graph(room, name):
    class Mine(room.Model):
        def __init__(self):
            super().__init__()
            setattr(self, name, (8, 8))

    model = Mine()
    assert tuple(getattr(model, name)) == (8, 8)
    if room is kyeo and name != "output_names":
        x = kyeo.Input((2,))
        for graph in (kyeo.Model(x, layers.Dense(1)(x)), kyeo.Sequential([layers.Dense(1)])):
            with pytest.raises(AttributeError, match="read off the layer"):
                setattr(graph, name, (8, 8))


def test_outputs_are_given_other_names():
    """As in Keras, where the list is a plain attribute that `compile` reads."""
    x = kyeo.Input((2,))
    one, two = layers.Dense(1, name="one")(x), layers.Dense(1, name="two")(x)
    model = kyeo.Model(x, [one, two])
    model.output_names = ["p", "q"]
    model.compile(loss={"q": "mae", "p": "mse"}, metrics={"q": ["mse"]})
    labels = {"q": X[:4, :1], "p": X[:4, :1]}
    results = model.evaluate(X[:4, :2], labels, verbose=0, return_dict=True)
    assert list(results) == ["loss", "p_loss", "q_loss", "q_mse"] and model.output_names == ["p", "q"]
    for wrong, outputs in ((["p"], [one, two]), (["p", "q"], {"a": one, "b": two})):
        with pytest.raises(ValueError, match="do not fit the outputs"):
            kyeo.Model(x, outputs).output_names = wrong


def test_a_prediction_of_one_batch_speaks_when_asked(capsys):
    model = kyeo.Sequential([layers.Input((2,)), layers.Flatten()])
    said = {}
    for verbose in ("auto", 0, 1, 2, 2):  # the second time goes straight to the compiled step
        model.predict(X[:3, :2], verbose=verbose)
        said[verbose] = capsys.readouterr().out
    assert not said["auto"] and not said[0] and said[1].startswith("1/1") and said[2].startswith("1/1")
    with pytest.raises(ValueError, match="verbose"):
        model.predict(X[:3, :2], verbose=7)
