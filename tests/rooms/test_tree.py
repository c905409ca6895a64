"""kyeo.tree, kyeo.backend, kyeo.config, kyeo.legacy and utils.Config against Keras: a row is an expression."""

import collections
import itertools

import keras
import numpy as np
import pytest

import kyeo

Point = collections.namedtuple("Point", "x y")
NAMES = {
    "A": {"b": [1, None], "a": (2, {"z": 3}), "c": []}, "B": [1, (2, 3)], "P": Point(1, [2]), "np": np,
    "O": collections.OrderedDict([("b", 1), ("a", [2])]), "D": collections.deque([1, 2]), "N": None, "Point": Point,
    "DD": collections.defaultdict(list, {"k": [1]}), "SHAPES": {"x": (None, 3), "y": [(1, 2), [4]]},
}
ROWS = """
flatten(A) | flatten(P) | flatten(O) | flatten(D) | flatten(N) | flatten(DD) | flatten(3) | flatten_with_path(A)
flatten_with_path(P) | flatten_with_path(O) | flatten_with_path(5) | is_nested(A) | is_nested([]) | is_nested(N) | is_nested('ab')
map_structure(str, A) | map_structure(lambda a, b: (a, b), B, B) | map_structure(str, O) | map_structure(str, P) | map_structure(str, DD)
map_structure(str, A, none_is_leaf=False) | map_structure(lambda a, b: a, [1], [[1]]) | map_structure(lambda a, b: a, [1], (1,))
map_structure(lambda a, b: a, [1], [1, 2]) | map_structure(lambda a, b: b, {'a': 1, 'b': 2}, {'b': 3, 'a': 4}) | map_structure(str)
map_structure(lambda a, b: a, {'a': 1}, {'b': 1}) | map_structure(3, A) | map_structure(lambda a, b: b, D, D)
map_structure_up_to([0, 0], lambda *v: v, B, B) | map_structure_up_to([0, [0]], str, B)
map_structure_up_to({'b': 0, 'a': 0}, str, O) | assert_same_structure(A, A) | assert_same_structure(B, [1, [2, 3]])
assert_same_structure([1], [[1]]) | assert_same_structure(P, Point(3, [4])) | assert_same_paths(B, (1, [2, 3])) | assert_same_paths(B, [1])
pack_sequence_as(B, [7, 8, 9]) | pack_sequence_as(A, [1, 2, 3, 4]) | pack_sequence_as(B, [7]) | pack_sequence_as(B, [1, 2, 3, 4])
pack_sequence_as(P, [5, 6]) | pack_sequence_as(O, [5, 6]) | lists_to_tuples(A) | lists_to_tuples(B) | map_shape_structure(str, SHAPES)
map_shape_structure(len, (None, 2)) | traverse(lambda v: v + 1 if isinstance(v, int) else None, B)
traverse(lambda v: MAP_TO_NONE if v == 2 else None, B) | traverse(lambda v: 'x' if isinstance(v, tuple) else None, B)
traverse(lambda v: len(v) if isinstance(v, tuple) else None, B, top_down=False)
"""


@pytest.mark.parametrize("row", [r.strip() for r in ROWS.replace("|", "\n").strip().split("\n")])
def test_tree(row):
    def run(library):
        try:
            return eval(row, {**{n: getattr(library.tree, n) for n in kyeo.tree.__all__}, **NAMES})
        except (ValueError, TypeError) as error:
            if library is kyeo:
                assert "\n  " in str(error)
            return type(error)

    ours, theirs = run(kyeo), run(keras)
    assert repr(ours) == repr(theirs)


def test_result_type():
    names = ["bool", "uint8", "int8", "uint32", "int32", "int64", "float16", "bfloat16", "float32", "complex64", int, float, None]
    for pair in [*itertools.product(names, repeat=2), (), ("int8", "bfloat16", float), ("bool", int, float)]:
        assert kyeo.backend.result_type(*pair) == keras.backend.result_type(*pair), pair
    for name in ["float16", "float8_e4m3fn", "int8", "bool", "complex64"]:
        assert kyeo.backend.is_float_dtype(name) == keras.backend.is_float_dtype(name)
        assert kyeo.backend.is_int_dtype(name) == keras.backend.is_int_dtype(name)
    with pytest.raises(ValueError, match="float8"):
        kyeo.backend.result_type("float8_e5m2", "float32")


def test_limits_and_lines(capsys):
    model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((12, 2), "float32"), np.ones((12, 1), "float32")
    kyeo.config.set_max_epochs(2)
    kyeo.config.set_max_steps_per_epoch(1)
    kyeo.config.disable_interactive_logging()
    try:
        assert (kyeo.config.max_epochs(), kyeo.config.max_steps_per_epoch()) == (2, 1)
        assert len(model.fit(x, y, batch_size=4, epochs=5).history["loss"]) == 2
        assert model.predict(x, batch_size=4, verbose=0).shape == (4, 1)
        assert "\r" not in capsys.readouterr().out
    finally:
        kyeo.config.set_max_epochs(None)
        kyeo.config.set_max_steps_per_epoch(None)
        kyeo.config.enable_interactive_logging()
    assert model.predict(x, verbose=0).shape == (12, 1) and kyeo.utils.is_interactive_logging_enabled()


def test_switches():
    config = kyeo.config
    for name in ("flash_attention", "traceback_filtering"):
        for library in (config, keras.config):
            getattr(library, f"disable_{name}")()
        assert getattr(config, f"is_{name}_enabled")() == getattr(keras.config, f"is_{name}_enabled")()
        for library in (config, keras.config):
            getattr(library, f"enable_{name}")()
        assert getattr(config, f"is_{name}_enabled")() == getattr(keras.config, f"is_{name}_enabled")()
    config.set_backend("jax")
    assert config.is_nnx_enabled() is False
    for call, part in [(lambda: config.set_backend("torch"), "JAX"), (config.enable_unsafe_deserialization, "custom_objects"),
                       (lambda: config.set_max_epochs(0), "max_epochs")]:
        with pytest.raises(ValueError, match=part):
            call()


def test_config_of_names():
    def both(library):
        config = library.utils.Config(a=1)
        config.b = 2
        config["c"] = 3
        config.update({"d": 4})
        config.pop("a")
        del config["c"]
        out = [sorted(config.keys()), config.get("x", 7), config.b, "b" in config, len(config), config.to_json(), config.as_dict()]
        config.freeze()
        with pytest.raises(ValueError, match="frozen"):
            config.b = 3
        with pytest.raises(AttributeError):
            config.e
        with pytest.raises(KeyError):
            config["e"]
        return [*out, config.frozen, config.unfreeze()]

    assert both(kyeo) == both(keras)


def test_legacy_configs():  # Keras's own can no longer read what it writes
    for module in (kyeo.utils.legacy, kyeo.legacy.saving):
        spec = module.serialize_keras_object(kyeo.initializers.Constant(2.0))
        assert spec == {"class_name": "Constant", "config": {"value": 2.0}}
        assert module.deserialize_keras_object(spec, module_objects={"Constant": kyeo.initializers.Constant}).value == 2.0
        name = module.serialize_keras_object(kyeo.activations.relu)
        assert module.deserialize_keras_object(name, {"relu": kyeo.activations.relu}) is kyeo.activations.relu
        assert module.deserialize_keras_object(None) is None and module.serialize_keras_object(None) is None
        assert module.deserialize_keras_object("Mine", custom_objects={"Mine": dict}) == {}
    for bad in ({"class_name": "A"}, "nobody", 3.5):
        with pytest.raises(ValueError, match="Where"):
            kyeo.legacy.saving.deserialize_keras_object(bad, {"Anybody": dict})
    with pytest.raises(ValueError, match="Where"):
        kyeo.legacy.saving.serialize_keras_object(3.5)


def test_source_inputs_and_policies():
    a, b = kyeo.Input((2,), name="a"), kyeo.Input((2,), name="b")
    both = kyeo.layers.Dense(2)(a) + b * a
    assert [t.name for t in kyeo.utils.get_source_inputs(both)] == ["a", "b"] and kyeo.utils.get_source_inputs(3) == 3
    assert kyeo.mixed_precision.Policy is kyeo.DTypePolicy and kyeo.mixed_precision.LossScaleOptimizer is kyeo.optimizers.LossScaleOptimizer
    spec = kyeo.utils.serialize_keras_object(kyeo.layers.Dense(3, name="d"))
    assert kyeo.utils.deserialize_keras_object(spec).units == 3
