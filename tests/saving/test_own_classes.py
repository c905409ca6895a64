"""Models that users write: registered classes, custom_objects, layers inside, shared objects, fuzzed graphs."""

import json
import random
import re
import sys

import keras
import numpy as np
import pytest

import kyeo
from tests.saving.test_keras_files import assert_same, shake

X = np.linspace(-1, 1, 20).reshape(4, 5).astype("float32")


def own_model(k):
    class Tower(k.Model):
        def __init__(self, units=3, name=None, **kwargs):
            super().__init__(name=name, **kwargs)
            self.units = units
            self.zoo = k.layers.Dense(units)
            self.after = [k.layers.Dense(units), (k.layers.BatchNormalization(), k.layers.Dense(2))]
            self.named = {"b": k.layers.Dense(units), "a": k.layers.Dense(units)}
            self._private = k.layers.Dense(units)
            self.part = k.Sequential([k.layers.Dense(units), k.layers.Dense(units)])

        def call(self, x):
            x = self.part(self._private(self.named["a"](self.named["b"](self.after[0](self.zoo(x))))))
            return self.after[1][1](self.after[1][0](x))

        def get_config(self):
            return {"units": self.units, "name": self.name}

    return Tower


def own_layer(k):
    class Scale(k.layers.Layer):
        def __init__(self, start, inner=None, **kwargs):
            super().__init__(**kwargs)
            self.start = start
            self.inner = inner

        def build(self, input_shape):
            self.offset = self.add_weight(shape=(), initializer="zeros", trainable=False, name="offset")
            self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")
            if not self.inner.built:
                self.inner.build(input_shape)

        def call(self, x):
            return self.inner(x * self.factor * self.start + self.offset)

        def get_config(self):
            inner = k.saving.serialize_keras_object(self.inner)
            return {**super().get_config(), "start": self.start, "inner": inner}

        @classmethod
        def from_config(cls, config):
            inner = k.saving.deserialize_keras_object(config.pop("inner"))
            return cls(inner=inner, **config)

    return Scale


BOTH_WAYS = pytest.mark.parametrize("source, target", [(kyeo, keras), (keras, kyeo)], ids=["to_keras", "from_keras"])


@BOTH_WAYS
def test_own_model(source, target, tmp_path):
    model = own_model(source)(4, name="tower")
    model(X)
    shake(model)
    model.save(tmp_path / "m.keras")
    loaded = target.saving.load_model(tmp_path / "m.keras", custom_objects={"Tower": own_model(target)})
    assert loaded.units == 4
    assert_same(model, loaded, X)
    model.save_weights(tmp_path / "m.weights.h5")
    fresh = own_model(target)(4)
    fresh(X)
    fresh.load_weights(tmp_path / "m.weights.h5")
    assert_same(model, fresh, X)


def test_twice_through_a_file(tmp_path):
    classes = {"Tower": own_model(kyeo)}
    model = classes["Tower"](4)
    model(X)
    model.save(tmp_path / "one.keras")
    one = kyeo.saving.load_model(tmp_path / "one.keras", custom_objects=classes)
    one.save(tmp_path / "two.keras")
    assert_same(model, kyeo.saving.load_model(tmp_path / "two.keras", custom_objects=classes), X)
    assert one.to_json() == model.to_json()


@BOTH_WAYS
def test_own_layer(source, target, tmp_path):
    x = source.Input((5,))
    model = source.Model(x, own_layer(source)(2.0, source.layers.Dense(3), name="mine")(x))
    shake(model)
    model.save(tmp_path / "m.keras")
    with target.saving.custom_object_scope({"Scale": own_layer(target)}):
        loaded = target.saving.load_model(tmp_path / "m.keras")
    assert_same(model, loaded, X)


def test_registered(tmp_path):
    @kyeo.saving.register_keras_serializable("tests")
    def double(x):
        return 2 * x

    @kyeo.saving.register_keras_serializable("tests", name="Other")
    class Registered(kyeo.layers.Layer):
        def __init__(self, fn, inner, **kwargs):  # its config follows from this
            super().__init__(**kwargs)
            self.fn, self.inner = fn, inner

        def call(self, x):
            return self.fn(self.inner(x))

    model = kyeo.Sequential([kyeo.Input((5,)), Registered(double, kyeo.layers.Dense(3, activation=double)),
                             kyeo.layers.Lambda(double)])
    shake(model)
    model.save(tmp_path / "m.keras")
    loaded = kyeo.saving.load_model(tmp_path / "m.keras")
    assert type(loaded.layers[0]) is Registered
    assert_same(model, loaded, X)
    table = kyeo.saving.get_custom_objects()  # as in Keras: registered objects are among them
    assert (table["tests>double"], table["tests>Other"]) == (double, Registered)
    assert table.pop("tests>double") is double and kyeo.saving.get_registered_object("tests>double") is None
    assert not [name for name in table if name.startswith("keras2")]


@pytest.mark.parametrize("package, name", [("tests", "thrice"), ("Custom", "fourfold")])
def test_a_registered_function_without_its_package(package, name):
    """As files of Keras up to 3.6 name it."""
    @kyeo.saving.register_keras_serializable(package, name)
    def function(x):
        return 3 * x

    old = {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}
    assert kyeo.saving.deserialize_keras_object(old) is function
    dense = kyeo.layers.Dense(1).get_config()
    assert kyeo.layers.Dense.from_config({**dense, "activation": old}).activation is function
    kyeo.saving.register_keras_serializable("another", name)(lambda x: x)
    with pytest.raises(TypeError, match="not known"):  # which of two is meant cannot be told
        kyeo.saving.deserialize_keras_object(old)


def test_one_layer_at_two_places_stays_one(tmp_path):
    @kyeo.saving.register_keras_serializable("tests")
    class Pair(kyeo.Model):
        def __init__(self, first, second, **kwargs):
            super().__init__(**kwargs)
            self.first, self.second = first, second

        def call(self, x):
            return self.second(self.first(x))

    layer = kyeo.layers.Dense(5)
    model = Pair(layer, layer)
    model(X)
    model.save(tmp_path / "m.keras")
    loaded = kyeo.saving.load_model(tmp_path / "m.keras")
    assert loaded.first is loaded.second
    assert_same(model, loaded, X)


def test_subclass_of_a_graph_model(tmp_path):
    @kyeo.saving.register_keras_serializable("tests")
    class Graphic(kyeo.Model):
        def train_step(self, state, data):
            return super().train_step(state, data)

    x = kyeo.Input((5,))
    model = Graphic(x, kyeo.layers.Dense(2)(x))
    model.save(tmp_path / "m.keras")
    loaded = kyeo.saving.load_model(tmp_path / "m.keras")
    assert type(loaded) is Graphic
    assert_same(model, loaded, X)


def test_training_flag_of_a_call_is_kept():
    x = kyeo.Input((5,))
    dropout = kyeo.layers.Dropout(0.9)
    model = kyeo.Model(x, dropout(x, training=False))
    again = kyeo.Model.from_config(json.loads(json.dumps(model.get_config())))
    for one in (model, again):
        np.testing.assert_array_equal(one(X, training=True), X)
    keras_x = keras.Input((5,))
    from_keras = kyeo.models.model_from_json(keras.Model(keras_x, keras.layers.Dropout(0.9)(keras_x)).to_json())
    assert not np.array_equal(from_keras(X, training=True), X)


def random_graph(k, seed):
    r = random.Random(seed)
    tensors = [k.Input((4,), name=f"in{i}") for i in range(r.randint(1, 3))]
    inputs, shared = list(tensors), [k.layers.Dense(4, name=f"shared{i}") for i in range(2)]
    z = k.Input((4,), name="z")
    inner = k.Model(z, [k.layers.Dense(4, name="i0")(z), k.layers.Dense(4, name="i1")(z)], name="inner")
    makers = (
        lambda a, b, n: k.layers.Dense(4, name=f"dense{n}")(a), lambda a, b, n: r.choice(shared)(a),
        lambda a, b, n: k.layers.Add(name=f"add{n}")([a, b]), lambda a, b, n: a + b,
        lambda a, b, n: inner(a)[r.randint(0, 1)], lambda a, b, n: k.ops.concatenate([a, b], axis=-1)[:, 2:6],
    )
    for step in range(r.randint(3, 9)):
        maker = r.choices(makers, weights=(3, 3, 1, 2, 1, 1))[0]
        tensors.append(maker(r.choice(tensors), r.choice(tensors), step))
    outputs = r.sample(tensors[len(inputs):], min(r.randint(1, 3), len(tensors) - len(inputs)))
    for tensor in inputs:
        outputs[0] = outputs[0] + tensor
    return k.Model(inputs, outputs)


@pytest.mark.parametrize("seed", range(6))
def test_order_of_layers(seed, tmp_path):
    here, there = random_graph(kyeo, seed), random_graph(keras, seed)
    assert [layer.name for layer in here.layers] == [layer.name for layer in there.layers]
    assert [v.path for v in here.trainable_variables] == [v.path for v in there.trainable_variables]
    again = kyeo.models.model_from_json(there.to_json())
    assert [layer.name for layer in again.layers] == [layer.name for layer in there.layers]


class Counted(list):
    """Counts how often it is gone through."""

    walks = 0

    def __iter__(self):
        self.walks += 1
        return super().__iter__()


def test_deep_graph():
    x = h = kyeo.Input((2,))
    for i in range(600):
        h = kyeo.layers.Identity(name=f"i{i}")(h)
    model = kyeo.Model(x, h)
    model._graph.nodes = Counted(model._graph.nodes)
    again = kyeo.models.model_from_json(model.to_json())
    assert len(again.layers) == 601 and sys.getrecursionlimit() <= 1000
    assert model._graph.nodes.walks < 5, "the nodes are gone through for each layer"


def test_a_constructor_that_takes_nothing_of_the_base(tmp_path):
    """Its config has what it takes, so that its file can be read; Keras writes a dtype, and cannot read its own."""
    class Fixed(kyeo.layers.Layer):
        def __init__(self, units):
            super().__init__(dtype="float32")
            self.units = units
            self.inner = kyeo.layers.Dense(units)

        def call(self, x):
            return self.inner(x)

    class Whole(kyeo.Model):
        def __init__(self):
            super().__init__()
            self.parts = [Fixed(4), Fixed(2)]

        def call(self, x):
            return self.parts[1](self.parts[0](x))

    model = Whole()
    expected = model(X)
    assert model.get_config() == {} and model.parts[0].get_config() == {"units": 4}
    model.save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match="`Whole` is not known"):
        kyeo.saving.load_model(tmp_path / "m.keras")
    again = kyeo.saving.load_model(tmp_path / "m.keras", custom_objects={"Whole": Whole, "Fixed": Fixed})
    np.testing.assert_array_equal(again(X), expected)


@keras.saving.register_keras_serializable("tests")
@kyeo.saving.register_keras_serializable("tests")
class Picked:
    def __init__(self, of=1):
        self.of = of

    def get_config(self):
        return {"of": self.of}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@pytest.mark.parametrize("config", [
    "picked", {"class_name": "picked", "config": {"of": 3}}, {"class_name": "picked"}, "other", None,
    {"class_name": "Dense", "config": {"units": 3}, "module": "keras.layers", "registered_name": None},
], ids=str)
def test_by_a_name_in_a_table(config):
    """Libraries have names of their own for their classes; what is not among them is read as ever."""
    said = []
    for room in (kyeo, keras):
        table = {"picked": Picked, "Dense": room.layers.Dense}
        got = room.saving.deserialize_keras_object(config, module_objects=table, printable_module_name="things")
        said.append((type(got).__name__, got.of) if isinstance(got, Picked) else
                    (type(got).__name__, got.units) if hasattr(got, "units") else got)
    assert said[0] == said[1]


def recall(y_true, y_pred):
    return y_true * y_pred


def test_a_function_is_not_the_class_of_its_name():
    """`"recall"` as a metric means the class Recall; a function of this name is another thing."""
    for room in (kyeo, keras):
        config = room.metrics.MeanMetricWrapper(recall, name="r").get_config()["fn"]
        assert config["config"] == "recall"
        with pytest.raises(TypeError):
            room.saving.deserialize_keras_object(config)
        assert room.saving.deserialize_keras_object(config, custom_objects={"recall": recall}) is recall


@keras.saving.register_keras_serializable("tests")
@kyeo.saving.register_keras_serializable("tests")
class Refusing(Picked):
    @classmethod
    def from_config(cls, config):
        raise TypeError("not without its function")


def test_what_a_plain_class_says_of_its_config():
    for room in (kyeo, keras):
        with pytest.raises(TypeError, match="not without its function"):
            room.saving.deserialize_keras_object(room.saving.serialize_keras_object(Refusing()))


def test_a_library_reads_values_of_its_own(monkeypatch):
    """BayesFlow replaces the function in its module, so that the classes it writes as texts are read inside dicts."""
    said = []
    for room in (kyeo, keras):
        own = room.saving.deserialize_keras_object

        def reads(config, own=own, **kwargs):
            return int if config == "type: int" else own(config, **kwargs)

        monkeypatch.setattr(sys.modules[own.__module__], "deserialize_keras_object", reads)
        picked = room.saving.serialize_keras_object(Picked(2))
        said.append(reads({"a": ["type: int", 3, {"b": "type: int"}], "c": picked}))
        said[-1]["c"] = said[-1]["c"].of
    assert said[0] == said[1] == {"a": [int, 3, {"b": int}], "c": 2}


def test_any_op_as_an_activation(tmp_path):
    """It is saved under the name of the op, which both find; Keras writes a name alone, and takes `gelu` for another."""
    for name in ("gelu", "sin"):
        model = kyeo.Sequential([kyeo.Input((5,)), kyeo.layers.Dense(2, activation=getattr(kyeo.ops, name))])
        model.save(tmp_path / "m.keras")
        for room in (kyeo, keras):
            again = room.saving.load_model(tmp_path / "m.keras")
            assert again.layers[-1].activation is getattr(room.ops, name)
            np.testing.assert_allclose(again(X), model(X), atol=1e-6)


def test_a_constructor_of_several_layers_that_writes_its_config():
    """What the base says of it is without them, as in Keras."""
    for room in (kyeo, keras):
        class Chain(room.layers.Layer):
            def __init__(self, *parts, **kwargs):
                super().__init__(**kwargs)
                self.parts = list(parts)

            def get_config(self):
                return super().get_config()

        config = Chain(room.layers.Dense(2), room.layers.Dense(3), name="chain").get_config()
        assert config["name"] == "chain" and "parts" not in config


def test_a_layer_alone_in_a_file(tmp_path):
    for room in (kyeo, keras):
        layer = room.layers.Dense(3)
        layer.build((None, 5))
        room.saving.save_model(layer, tmp_path / "layer.keras")
        np.testing.assert_array_equal(room.saving.load_model(tmp_path / "layer.keras")(X), layer(X))


def test_a_layer_is_asked_for_its_config_once():
    """Which objects stand twice in a description is known when it is there; numbers of others are not in it."""
    class Asked(kyeo.layers.Layer):
        times = 0

        def call(self, x):
            return x

        def get_config(self):
            Asked.times += 1
            return super().get_config()

    rule = kyeo.initializers.HeNormal(seed=1)
    model = kyeo.Sequential([
        kyeo.Input((3,)), Asked(), *(kyeo.layers.Dense(3, kernel_initializer=rule) for _ in range(2)),
        kyeo.layers.Dense(3, kernel_initializer=kyeo.initializers.HeNormal(seed=1))])
    text = model.to_json()
    written = json.loads(text)["config"]["layers"]
    rules = [layer["config"]["kernel_initializer"] for layer in written if layer["class_name"] == "Dense"]
    assert Asked.times == 1
    shared = [int(number) for number in dict.fromkeys(re.findall(r'"shared_object_id": (\d+)', text))]
    number = rules[0]["shared_object_id"]
    assert [one.get("shared_object_id") for one in rules] == [number, number, None]
    assert shared == [*range(1, len(shared) + 1)] and number in shared
    assert not any("shared_object_id" in layer for layer in written)
