"""What people do with models from habit: copies and pickles, plain lists, tables, names of Keras 2, notebooks."""

import copy
import pickle
import runpy
import sys
import warnings
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import kyeo
from kyeo import layers
from kyeo.core import gone
from kyeo.core.errors import problem

X = np.linspace(0, 1, 48, dtype="float32").reshape(12, 4)
Y = np.arange(12) % 3


class Own(kyeo.Model):
    """A subclass with several inputs by name."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x["a"]) + x["b"]


class OfOneNumber(layers.Layer):
    """A layer whose constructor takes nothing of the base class."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def call(self, x):
        return x * self.number


class Table:
    """As much of a pandas table as is looked at; integers and booleans are of the kind that may have gaps."""

    def __init__(self, gaps=False, **columns):
        self.columns, self._gaps = list(columns), gaps
        self._values = columns
        self.dtypes = {name: SimpleNamespace(kind=values.dtype.kind, na_value=None) for name, values in columns.items()}

    def __getitem__(self, name):
        return SimpleNamespace(isna=lambda: np.full(12, self._gaps))

    def isna(self):
        return {name: self[name].isna() for name in self.columns}

    def to_numpy(self, dtype=object, na_value=None):
        return np.stack([values.astype(dtype) for values in self._values.values()], axis=1)


def stack():
    model = kyeo.Sequential([kyeo.Input((4,)), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("again", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_a_trained_model_is_copied_whole(again):
    model = stack()
    model.fit(X, Y, verbose=0)
    before = model.predict(X, verbose=0)
    other = again(model)
    np.testing.assert_array_equal(other.predict(X, verbose=0), before)
    assert other.history.history == model.history.history
    other.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)
    assert (int(model.optimizer.iterations), int(other.optimizer.iterations)) == (1, 2)
    assert repr(model.history).startswith("<History of 1 epochs: loss=")


def test_plain_lists_and_tables():
    model = stack()
    lists, arrays = (model.evaluate(X, y, verbose=0) for y in (Y.tolist(), Y))
    assert lists == arrays and "loss" in model.fit(X, Y[:, None].tolist(), verbose=0).history
    table = Table(a=X[:, 0], b=Y, c=Y > 0, d=X[:, 1])
    want = np.stack([X[:, 0], Y, Y > 0, X[:, 1]], axis=1).astype("float32")
    np.testing.assert_array_equal(model.predict(table, verbose=0), model.predict(want, verbose=0))
    with pytest.raises(ValueError, match=r"missing values[\s\S]*\['b', 'c'\]"):
        model.predict(Table(True, a=X[:, 0], b=Y, c=Y > 0, d=X[:, 1]), verbose=0)


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(OverflowError, match="8589934597"):
        kyeo.ops.convert_to_tensor(np.array([2**33 + 5]))
    with pytest.raises(OverflowError, match="8589934592 is no int32"):
        kyeo.ops.convert_to_tensor(2**33)
    with pytest.raises(OverflowError):
        layers.Embedding(5, 2)(np.array([2**33]))
    assert kyeo.ops.convert_to_tensor(np.array([2**31 - 1])).tolist() == [2**31 - 1]
    with pytest.raises(ValueError, match=r"run -1\.\.1"):
        model = kyeo.Sequential([layers.Dense(1)])
        model.compile("sgd", kyeo.losses.BinaryFocalCrossentropy(from_logits=True))
        model.train_on_batch(X, np.where(Y == 1, 1, -1))


def test_large_integers_become_floats():
    far = np.array([2**40])
    for given in (kyeo.ops.cast(far, "float32"), kyeo.ops.convert_to_tensor(far, "float32"),
                  kyeo.ops.array(far, "float32")):
        assert float(given[0]) == 2.0**40
    with pytest.raises(OverflowError, match="do not fit into 32 bits"):
        kyeo.ops.cast(far, "int32")


def test_complaints_come_out_of_other_processes():
    error = pickle.loads(pickle.dumps(problem("No such name.", received="a", kind=KeyError)))
    assert isinstance(error, KeyError) and str(error).splitlines()[0] == "No such name."


class OwnStep(kyeo.Model):
    """A model that needs no optimizer of `compile`."""

    def train_step(self, state, data):
        return {"loss": 1.0}, state


def test_an_own_step_needs_no_optimizer():
    model = OwnStep(*(lambda x: (x, layers.Dense(1)(x)))(kyeo.Input((4,))))
    model.compile(optimizer=None)
    assert model.fit(X, verbose=0).history == {"loss": [1.0]}


def test_a_function_of_c_may_be_a_callback():
    seen = []
    callback = kyeo.callbacks.Callback()
    callback.on_epoch_begin = lambda epoch, logs=None: seen.append(epoch)
    callback.on_epoch_end = max  # has no signature; of an epoch and a dict it fails when it is called
    model = kyeo.Sequential([kyeo.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="not supported between"):
        model.fit(X, Y, callbacks=[callback], verbose=0)
    assert seen == [0]


@pytest.mark.parametrize("first", [[], [kyeo.Input((4,))]])
def test_the_output_of_a_stack_inside_another_model(first):
    """As for any layer: `Model(inputs, model.get_layer("backbone").output)` is the part up to there."""
    stack = kyeo.Sequential([*first, layers.Dense(3), layers.Dense(2)], name="backbone")
    inputs = kyeo.Input((4,))
    model = kyeo.Model(inputs, layers.Dense(1)(stack(inputs)))
    part = kyeo.Model(model.inputs, model.get_layer("backbone").output)
    np.testing.assert_allclose(part(X), stack(X), rtol=1e-5)
    assert stack.input is inputs and stack.output_shape == (None, 2)
    assert kyeo.Model(stack.inputs, stack.outputs)(X).shape == (12, 2)
    alone = kyeo.Sequential([kyeo.Input((4,)), layers.Dense(3)])
    assert kyeo.Model(alone.input, alone.output)(X).shape == (12, 3)


@pytest.mark.parametrize(("momentum", "trained", "warned"), [(0.99, False, True), (0.99, True, False), (1.0, False, False)])
def test_young_averages_are_told_of_where_nobody_trained_them(momentum, trained, warned):
    model = kyeo.Sequential([kyeo.Input((4,)), layers.BatchNormalization(momentum=momentum), layers.Dense(1)])
    if trained:
        model.layers[0].moving_mean.assign(np.full(4, 0.5))
    model.compile("sgd", "mse")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit(X, Y, validation_data=(X * 100, Y), verbose=0)
    assert warned == any("moving averages" in str(w.message) for w in told)


class RateFirst(kyeo.optimizers.SGD):
    """An optimizer of a user's that keeps its rate before it is set up."""

    def __init__(self, lr):
        self.lr = lr
        super().__init__(lr)


def test_names_of_keras_2():
    assert float(RateFirst(0.25).lr) == 0.25
    model = stack()
    model.optimizer.lr = 0.5
    assert (float(model.optimizer.learning_rate), float(model.optimizer.lr), model.loss) == (
        0.5, 0.5, "sparse_categorical_crossentropy")
    assert float(kyeo.backend.mean(kyeo.backend.square(np.full(3, 2.0)), axis=-1)) == 4.0
    for room, name, way in (("backend", "set_value", "assign"), ("backend", "arcsin", "kyeo.ops.arcsin"),
                            ("layers", "CuDNNLSTM", "kyeo.layers.LSTM"), ("layers", "dense", "'Dense'"),
                            ("ops", "reduce_mean", "kyeo.ops.mean"), ("utils", "multi_gpu_model", "DataParallel"),
                            ("layers", "recurrent", "kyeo.layers has them all"), ("utils", "vis_utils", "plot_model"),
                            ("mixed_precision", "experimental", "set_global_policy")):
        with pytest.raises(AttributeError, match=way):
            getattr(getattr(kyeo, room), name)
    with pytest.raises(AttributeError, match="timeseries_dataset_from_array"):
        kyeo.preprocessing.sequence.TimeseriesGenerator
    for owner, name, way in ((model.layers[0], "output_shape", "layer.output.shape"), (model, "updates", "assign"),
                             (model.layers[0], "get_output_at", "layer.output"), (model, "to_yaml", "to_json"),
                             (model, "predict_proba", "predict"), (model.optimizer, "minimize", "value_and_grad"),
                             (model.optimizer, "get_weights", "optimizer.variables")):
        with pytest.raises(AttributeError, match=f"have no `{name}` any more(.|\n)*{way}"):
            getattr(owner, name)
    assert model.output_shape and not hasattr(model.layers[0], "output_shape") and not hasattr(model, "no_such")
    assert {"Dense", "LSTM"} < set(dir(layers)) and "missing" not in dir(layers)
    assert kyeo.distribution.list_devices("gpu") == [] or kyeo.distribution.list_devices("gpu")[0].startswith("gpu")


def test_a_property_of_ones_own_under_an_old_name():
    """What fails inside it is told, not that the name is gone."""
    class Shaped(layers.Layer):
        @property
        def output_shape(self):
            return self.built_shape

    with pytest.raises(AttributeError, match="built_shape"):
        Shaped().output_shape


def test_what_keras_2_called_the_same_is_there():
    """Every name of `keras.backend` that means the same today gives a function."""
    assert all(callable(getattr(kyeo.backend, name)) for name in gone._SAME)


def test_a_wrong_type_is_caught_as_in_keras():
    with pytest.raises(ValueError, match="units") as caught:
        layers.Dense("a")
    assert isinstance(caught.value, TypeError)
    copied = pickle.loads(pickle.dumps(caught.value))
    assert type(copied) is type(caught.value) and str(copied) == str(caught.value)


def test_masks_by_the_name_keras_gives_them():
    mask = [np.array([True, False]), np.array([False, False])]
    for layer in (layers.Add(), layers.Attention(), layers.Concatenate(), layers.LSTM(1, return_sequences=True)):
        assert layer.compute_mask([np.ones((2, 1))] * 2, mask=mask) is not None


def test_the_rank_given_by_enable_lora_is_saved(tmp_path):
    model = kyeo.Sequential([kyeo.Input((5, 2)), layers.Conv1D(3, 2)])
    model.layers[0].enable_lora(2)
    model.save(tmp_path / "model.keras")
    layer = kyeo.saving.load_model(tmp_path / "model.keras").layers[0]
    assert layer.lora_enabled and layer.lora_kernel_a.shape == (2, 2, 2) and layer.lora_kernel_b.shape == (2, 3)
    made = layers.Conv1D(3, 2, lora_rank=1)
    made.build((None, 5, 2))
    assert [v.shape for v in made.trainable_variables] == [(3,), (2, 2, 1), (1, 3)]


def test_a_layer_that_cannot_be_compiled():
    class Printing(layers.Layer):
        supports_jit = False

        def call(self, inputs):
            return inputs * float(np.asarray(inputs).max())

    model = kyeo.Sequential([Printing(), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert model.run_eagerly
    model.compile("sgd", "mse", jit_compile=True)
    assert not model.run_eagerly


def test_a_layer_that_states_its_shape_need_not_be_traced():
    class OnValues(layers.Layer):
        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 1)

        def call(self, inputs):
            return np.asarray(inputs).sum(-1, keepdims=True)

    inputs = kyeo.Input((3,))
    outputs = OnValues()(inputs)
    assert outputs.shape == (None, 1)
    np.testing.assert_array_equal(kyeo.Model(inputs, outputs)(np.ones((2, 3), "float32")), [[3.0], [3.0]])


def test_a_stack_takes_what_its_layers_take():
    """As in Keras; where they cannot, the message is that of the shape it was made for."""
    model = kyeo.Sequential([kyeo.Input((8, 3)), layers.Conv1D(2, 3), layers.GlobalMaxPooling1D()])
    model.compile("sgd", "mse")
    longer = np.ones((2, 9, 3), "float32")
    assert model(longer).shape == model.predict(longer, verbose=0).shape == (2, 2)
    model.fit(longer, np.ones((2, 2)), verbose=0)
    for use in (model, lambda x: model.predict(x, verbose=0), lambda x: model.fit(x, np.ones((2, 2)), verbose=0)):
        with pytest.raises(ValueError, match="shape of the model's input"):
            use(np.ones((2, 9, 4), "float32"))


def test_weights_made_by_each_call_are_refused():
    class Leaking(layers.Layer):
        def call(self, inputs):
            return inputs + self.add_weight((), "zeros")

    class Once(layers.Layer):
        weight = None

        def call(self, inputs):
            if self.weight is None:
                self.weight = self.add_weight((), "ones")
            return inputs + self.weight

    layer = Leaking()
    layer(np.ones(2, "float32"))
    with pytest.raises(ValueError, match="makes new weights"):
        layer(np.ones(2, "float32"))
    layer = Once()
    assert [float(layer(np.ones((), "float32"))) for _ in range(2)] == [2.0, 2.0] and len(layer.weights) == 1


def test_build_may_ask_for_the_shape_of_a_mask():
    class Masked(layers.Layer):
        def build(self, inputs_shape, attention_mask_shape=None):
            self.shapes = inputs_shape, attention_mask_shape

        def call(self, inputs, attention_mask=None):
            return inputs

    layer = Masked()
    layer(np.ones((2, 3)), attention_mask=np.ones((2, 1)))
    assert layer.shapes == ((2, 3), (2, 1))


def test_several_losses_on_one_output():
    """Totals as Keras has them: each loss times its weight."""
    inputs = kyeo.Input((2,))
    outputs = {name: layers.Dense(1, kernel_initializer="ones", name=name)(inputs) for name in "ab"}
    model = kyeo.Model(inputs, outputs)
    x, y = np.array([[1, 2], [0, 1]], "float32"), np.zeros((2, 1), "float32")
    square, size = 5.0, 2.0  # the means of 9 and 1, of 3 and 1
    for loss, weights, total in (
            ({"a": ["mse", "mae"], "b": "mse"}, None, 2 * square + size),
            ({"a": ["mse", "mae"], "b": "mse"}, {"a": [0.5, 3.0], "b": 2.0}, 2.5 * square + 3 * size),
            ({"a": ["mae"]}, {"a": 4.0}, 4 * size), ({"a": ["mae", lambda t, p: p[:, 0]]}, None, 2 * size)):
        model.compile("sgd", loss, loss_weights=weights)
        assert float(model.evaluate(x, {"a": y, "b": y}, verbose=0, return_dict=True)["loss"]) == total
    class Own(kyeo.losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred[:, 0]

    model.compile("sgd", {"a": ["mae", Own()]})
    assert float(model.evaluate(x, {"a": y, "b": y}, verbose=0, return_dict=True)["loss"]) == 2 * size
    model.compile("sgd", {"a": [kyeo.losses.BinaryCrossentropy(from_logits=True)]})
    with pytest.raises(ValueError, match="binary_crossentropy"):  # each of them looks at the labels, as one alone does
        model.fit(x, {"a": y - 3, "b": y}, verbose=0)
    model.compile("sgd", {"a": ["mse", "mae"]}, loss_weights={"a": [1.0]})
    with pytest.raises(ValueError, match="does not match `loss`"):
        model.evaluate(x, {"a": y, "b": y}, verbose=0)


def test_inputs_that_are_not_clear_are_refused():
    first, second = kyeo.Input((2,), name="z"), kyeo.Input((2,), name="a")
    model = kyeo.Model({"z": first, "a": second}, layers.subtract([first, second]))
    x = np.ones((1, 2), "float32")
    assert model({"z": x, "a": x}).shape == (1, 2)
    for inputs, words in (([x, x], "their order is not clear"), ({"z": x, "a": None}, "not optional")):
        with pytest.raises(ValueError, match=words):
            model(inputs)
    stack = kyeo.Sequential([kyeo.Input((2,), batch_size=3), layers.Dense(2)])
    stack.build((3, 2)), stack.build((None, 2))
    with pytest.raises(ValueError, match="another shape"):
        stack.build((3, 4))
    stack.compile("sgd", "mse")
    with pytest.raises(ValueError, match="array"):
        stack.fit([None], np.ones((4, 1)), verbose=0)


def test_a_clone_of_a_compiled_model_is_compiled():
    model = kyeo.Sequential([kyeo.Input((2,)), layers.Dense(2)])
    for loss, compiled in (("mse", True), (lambda t, p: p - t, False)):
        model.compile(kyeo.optimizers.Adam(0.25), loss, metrics=["mae"])
        clone = kyeo.models.clone_model(model)
        assert clone.compiled is compiled
        assert not compiled or (clone.optimizer is not model.optimizer and clone.optimizer.learning_rate == 0.25)


def test_optimizers_as_arguments():
    optimizer = kyeo.optimizers.Adam(0.25)
    schedule = kyeo.optimizers.schedules.PolynomialDecay(optimizer.learning_rate, 4)
    assert schedule.get_config()["initial_learning_rate"] == 0.25
    weight = kyeo.Variable([1.0])
    kyeo.optimizers.MultiOptimizer(kyeo.optimizers.SGD(0.5)).apply([[1.0]], [weight])
    assert weight.numpy().tolist() == [0.5]


def test_a_dtype_policy_given_later():
    layer = layers.Dense(2)
    layer.dtype_policy = "mixed_bfloat16"
    assert layer(np.ones((1, 3), "float32")).dtype == "bfloat16"
    layer = layers.Dense(2)
    layer.build((None, 4))
    for takes_data in ("gptq/4/-1_from_float32", "awq/4/-1_from_float32"):
        with pytest.raises(ValueError, match="do not say how to quantize"):
            layer.dtype_policy = takes_data
    layer.dtype_policy = "int8_from_float32"
    assert layer.quantization_mode == "int8" and len(layer.variables) == 3


def test_numbers_of_python_have_32_bits():
    for kind, name in ((int, "int32"), (float, "float32"), (complex, "complex64"), (bool, "bool")):
        assert kyeo.backend.standardize_dtype(kind) == kyeo.backend.standardize_dtype(kind.__name__) == name
    assert layers.Dense(1, dtype="float").compute_dtype == "float32" and kyeo.Input((1,), dtype="int").dtype == "int32"


@pytest.mark.parametrize("args, kwargs", [
    (((3, 4), "ones", "float16"), {"name": "w"}), (("w", (3, 4), "float16", "ones"), {}),
    (("w",), {"shape": (3, 4), "initializer": "ones", "dtype": "float16"}), (("w", [3, 4]), {"dtype": "float16"}),
])
def test_orders_of_add_weight(args, kwargs):
    weight = layers.Layer().add_weight(*args, **kwargs)
    assert (weight.name, weight.shape, weight.dtype) == ("w", (3, 4), "float16")


def test_masks_that_belong_to_no_input_are_refused():
    for inputs, mask in (([1, 2], [None]), ([1, 2], np.ones(2)), (np.ones(2), [None, None])):
        with pytest.raises(ValueError, match="a mask, or None"):
            layers.Add().compute_mask(inputs, mask)


def test_files(tmp_path):
    model = kyeo.Sequential([kyeo.Input((4,)), OfOneNumber(3)])
    model.save(tmp_path / "a.keras", save_format="keras")
    again = kyeo.models.load_model(tmp_path / "a.keras", custom_objects={"OfOneNumber": OfOneNumber})
    np.testing.assert_allclose(again(X), 3 * X)
    with pytest.raises(TypeError, match="save_format"):
        model.save(tmp_path / "a", save_format="tf")
    own = Own()
    batch = {"a": X, "b": X[:, :1]}
    want = own(batch)
    own.export(tmp_path / "program", verbose=False)
    program = jax.export.deserialize(bytearray((tmp_path / "program").read_bytes()))
    np.testing.assert_allclose(program.call({"a": X[:5], "b": X[:5, :1]}), want[:5], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"jax\.export\.deserialize"):
        kyeo.export.load(tmp_path / "program")


def test_the_command_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kyeo"])
    monkeypatch.delitem(sys.modules, "kyeo.__main__", raising=False)  # or runpy warns that it is there
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("kyeo", run_name="__main__")
    assert ended.value.code == 2 and "doctor" in capsys.readouterr().err
    assert "(None, 3)" in stack()._repr_html_()


def test_warnings_at_the_line_of_the_user():
    labels = np.sort(np.arange(60) % 3)
    with pytest.warns(UserWarning, match="looks sorted") as caught:
        stack().fit(np.ones((60, 4), "float32"), labels, validation_split=0.2, verbose=0)
    assert caught[0].filename == __file__
    model = kyeo.Sequential([kyeo.Input((4,)), layers.BatchNormalization(), layers.Dense(1)])
    model.compile(kyeo.optimizers.Adam(0.1), "mse")
    x = 50 + 10 * X
    with pytest.warns(UserWarning, match="have seen 20 updates, of the 100"):
        model.fit(x, X[:, 0], epochs=20, validation_data=(x, X[:, 0]), verbose=0)
    model = kyeo.Sequential([kyeo.Input((4,)), layers.Dense(3, "relu")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match='activation="softmax" there'):
        model.evaluate(X, Y, verbose=0)
    model = kyeo.Sequential([kyeo.Input((3,)), layers.Embedding(5, 2), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="vectors for the ids 0 to 4"):
        model.fit(np.full((12, 3), 9), np.ones(12), verbose=0)


def test_layers_made_in_call_are_noticed():
    class Makes(kyeo.layers.Layer):
        def __init__(self, kept):
            super().__init__()
            self.kept, self.inner = kept, None

        def call(self, x):
            x = kyeo.layers.ReLU()(x)  # has no weights
            if self.kept == "once" and self.inner is not None:
                return self.inner(x)
            inner = kyeo.layers.Dense(1)
            self.inner = inner if self.kept else None
            return inner(x)

    x = np.ones((2, 3), "float32")
    for kept, warns in (("", 1), ("each time", 1), ("once", 0)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = kyeo.Sequential([kyeo.Input((3,)), Makes(kept)])
            for _ in range(3):
                model(x), model.predict(x, verbose=0)
        assert [("`call` of Makes" in str(w.message), w.filename) for w in caught] == [(True, __file__)] * warns, kept


def test_input_of_a_tensor_is_that_tensor():
    x = kyeo.Input((3,))
    assert kyeo.Input(tensor=x) is x and layers.InputLayer(input_tensor=(free := kyeo.KerasTensor((None, 3)))).output is free
    hidden = layers.Dense(2)(x)
    model = kyeo.Model(begin := kyeo.Input(tensor=hidden), layers.Dense(1)(begin))
    assert model.input_shape == (None, 2) and kyeo.Model(x, layers.Dense(1)(hidden)).count_params() == 11
