"""What a description may ask for, how to allow more, and that a load that fails changes nothing."""

import json
import os
import random
import subprocess
import sys
import warnings

import h5py
import numpy as np
import pytest

import kyeo
from kyeo.core import reading
from kyeo.core.reading import Limits


def text_of(units):
    text = kyeo.Sequential([kyeo.Input((1000,)), kyeo.layers.Dense(2, name="only")]).to_json()
    return text.replace('"units": 2', f'"units": {units}')


@pytest.mark.parametrize("limits, words", [
    ({"variables": 4000}, "more memory than it may"), ({"size": 4000}, "units=5000"), ({"text": 3}, "at most 3 letters"),
    ({"objects": 3}, "more than 3"), ({"layers": 1}, "2 layers"), ({"tensor": 999}, "tensor of shape"),
])
def test_each_limit_holds_and_can_be_raised(limits, words):
    text = text_of(5000)
    with kyeo.saving.reading_limits(**limits), pytest.raises(ValueError, match=words) as caught:
        kyeo.models.model_from_json(text)
    assert next(iter(limits)) in str(caught.value) or "letters" in words
    with kyeo.saving.reading_limits(**{**limits, next(iter(limits)): 10**9}):
        kyeo.models.model_from_json(text)


@pytest.mark.parametrize("count", [10**7, 1e308, float("inf")])
def test_counts_that_a_loop_follows(count):
    with pytest.raises((ValueError, TypeError), match="num_thresholds"):
        kyeo.metrics.deserialize({"class_name": "AUC", "config": {"num_thresholds": count}})
    with pytest.raises((ValueError, TypeError), match="lora_rank"):  # which no stored weights speak for
        kyeo.layers.deserialize({"class_name": "Dense", "config": {"units": 2, "lora_rank": count}})


def test_stored_arrays_speak_for_layers(tmp_path, monkeypatch):
    """What `save` wrote is read, however deep it is."""
    model = kyeo.Sequential([kyeo.Input((2,)), *(kyeo.layers.Dense(2) for _ in range(4))])
    monkeypatch.setattr(reading, "_LAYERS", 3)
    monkeypatch.setattr(reading, "_OBJECTS", 20)
    for name in ("m.keras", "m.h5"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(tmp_path / name)
        assert len(kyeo.saving.load_model(tmp_path / name).layers) == 4
        for limit in ("layers", "objects"):
            with kyeo.saving.reading_limits(**{limit: 4}), pytest.raises(ValueError, match=f"{limit}=..."):
                kyeo.saving.load_model(tmp_path / name)
    with pytest.raises(ValueError, match="at most 3"):
        kyeo.models.model_from_json(model.to_json())


def test_variables_are_objects():
    layers = [{"class_name": "InputLayer", "config": {"batch_shape": [None, 3]}},
              {"class_name": "Dense", "config": {"units": 2}}]
    text = json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
    with kyeo.saving.reading_limits(objects=6), pytest.raises(ValueError, match="more than 6"):
        kyeo.models.model_from_json(text)
    with kyeo.saving.reading_limits(objects=7):
        kyeo.models.model_from_json(text)


def test_limits_that_are_none():
    with pytest.raises(TypeError, match="variables"), kyeo.saving.reading_limits(memory=3):
        pass
    assert Limits().size == 2**31


def test_without_weights_the_memory_is_the_limit():
    with pytest.raises(ValueError, match="half the memory there is"):
        kyeo.models.model_from_json(text_of(10**9))


def test_weights_are_the_evidence(tmp_path):
    model = kyeo.Sequential([kyeo.Input((1000,)), kyeo.layers.Dense(50, name="only")])
    model.save(tmp_path / "m", zipped=False)
    path = tmp_path / "m" / "config.json"
    path.write_text(path.read_text().replace('"units": 50', '"units": 60000'))
    (tmp_path / "m" / "metadata.json").unlink()
    with pytest.raises(ValueError, match="200,200 bytes of stored weights"):
        kyeo.saving.load_model(tmp_path / "m")
    path.write_text(path.read_text().replace('"units": 60000', '"units": 50'))
    kyeo.saving.load_model(tmp_path / "m")
    with kyeo.saving.reading_limits(variables=100), pytest.raises(ValueError, match="more memory"):
        kyeo.saving.load_model(tmp_path / "m")


def test_an_optimizer_fits_the_evidence(tmp_path):
    model = kyeo.Sequential([kyeo.Input((30,)), kyeo.layers.Dense(20)])
    model.compile("adam", "mse")  # saved before its first step: without slots
    model.save(tmp_path / "m.keras")
    with kyeo.saving.reading_limits(unstored=0):
        kyeo.saving.load_model(tmp_path / "m.keras")


def test_an_error_of_a_users_class_stays_what_it_is():
    class Mine(kyeo.layers.Dense):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            raise LookupError("of my own")

    text = text_of(2).replace('"class_name": "Dense"', '"class_name": "Mine"')
    with pytest.raises(LookupError, match="of my own"):
        kyeo.models.model_from_json(text, custom_objects={"Mine": Mine})


@pytest.mark.parametrize("seed", range(3))
def test_layers_may_stand_in_any_order(seed):
    x = h = kyeo.Input((2,), name="x")
    for i in range(30):
        h = kyeo.layers.Add(name=f"a{i}")([h, x]) if i % 3 else kyeo.layers.Dense(2, name=f"d{i}")(h)
    model = kyeo.Model(x, h)
    spec = json.loads(model.to_json())
    random.Random(seed).shuffle(spec["config"]["layers"])
    again = kyeo.models.model_from_json(json.dumps(spec))
    assert sorted(layer.name for layer in again.layers) == sorted(layer.name for layer in model.layers)
    assert again.output_shape == model.output_shape


def test_a_failed_load_leaves_lookups_as_they_were(tmp_path):
    def model(width):
        lookup = kyeo.layers.StringLookup(output_mode="tf_idf", name="lookup")
        lookup.adapt(np.array([["a", "b"], ["b", "c"]]))
        return kyeo.Sequential([kyeo.Input((2,), dtype="string"), lookup, kyeo.layers.Dense(width)])

    saved, other = model(3), model(4)
    saved.layers[0].idf_weights = saved.layers[0].idf_weights + 1
    saved.save_weights(tmp_path / "m.weights.h5")
    before = other.layers[0].idf_weights.copy()
    with pytest.raises(ValueError, match="do not fit"):
        other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(other.layers[0].idf_weights, before)


def test_bytes_packed_too_closely(tmp_path):
    """A few kilobytes that unpack to 80 MB of zeros are no evidence for a model of that size."""
    model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2)])
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        group = file["layers/dense/vars"]
        del group["0"]
        group.create_dataset("0", data=np.zeros((4, 5 * 10**6), "float32"), compression="gzip", chunks=(4, 10**5))
    with pytest.raises(ValueError, match="are stored"):
        model.load_weights(tmp_path / "m.weights.h5")


@pytest.mark.parametrize("pattern, fine", [("encoder/.*", True), ("(a|b)/.*/c", True), ("(a+)+b", False),
                                           ("a*a*a*b", False), ("(a|a)" * 12, False)])
def test_expressions_in_a_policy_map(pattern, fine):
    config = {"default_policy": None, "policy_map": {pattern: "float32"}}
    if fine:
        assert len(kyeo.dtype_policies.DTypePolicyMap.from_config(config)) == 1
    else:
        with pytest.raises(ValueError, match="cannot hold such an expression"):
            kyeo.dtype_policies.DTypePolicyMap.from_config(config)


# -- the limit of the process ------------------------------------------------------------------------------
CHILD = '''
import json, resource, sys
import jax, kyeo
from kyeo.core import reading
jax.config.update("jax_disable_most_optimizations", True)

def text_of(columns):
    layers = [kyeo.Input((3,)), kyeo.layers.Embedding(7, 5, name="only")]
    return kyeo.Sequential(layers).to_json().replace('"input_dim": 7', '"input_dim": 1000000').replace(
        '"output_dim": 5', f'"output_dim": {columns}')

texts = {columns: text_of(columns) for columns in (10, 80, 120, 400)}
most = reading._used() + 1280 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
assert abs(most - reading._room() - reading._used()) < 2**20 and abs(reading.memory() - reading._room()) < 2**20
for columns, text in texts.items():
    try:
        print(kyeo.models.model_from_json(text).count_params())
    except ValueError as error:
        print(str(error).split("\\n")[0])
with kyeo.saving.reading_limits(variables=2**30):
    try:
        print(kyeo.models.model_from_json(texts[120]).count_params())
    except ValueError as error:
        print(str(error).split("\\n")[0])
'''


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux's")
def test_a_limit_of_the_process():
    """What does not fit beside what the process has already is refused in words, before it is asked for."""
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "KYEO_COMPILE_CACHE": "0", "MALLOC_ARENA_MAX": "1"})
    assert done.returncode == 0, done.stderr
    more = "The description asks for more memory than "
    assert done.stdout.splitlines() == [
        "10000000", more + "this process may take.", more + "this process may take.", more + "it may.",
        "There is too little memory for what the description asks for."]


def test_a_system_that_does_not_tell(monkeypatch):
    reading = sys.modules["kyeo.core.reading"]
    monkeypatch.setattr("builtins.open", lambda *_, **__: (_ for _ in ()).throw(OSError()))
    used = reading._used()
    monkeypatch.undo()
    assert 2**26 < used < 2**36
    monkeypatch.setattr(reading, "resource", None)
    assert reading._room() is None and reading.memory() > 2**28


@pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux's")
@pytest.mark.parametrize("most, units, words", [
    ("max", 12_000, None), ("no number", 12_000, None), ("100000000", 7000, None),
    ("100000000", 12_000, "than this process may take.*48,000,000 bytes; making it takes 3 times as many"),
    ("100000000", 13_000, "half the memory there is")])
def test_a_limit_of_a_container(most, units, words, tmp_path, monkeypatch):
    """What a container may take is the memory there is, and a variable takes three times its size while it is drawn."""
    (tmp_path / "most").write_text(most)
    monkeypatch.setattr("kyeo.core.reading._GROUP", str(tmp_path / "most"))
    if words is None:
        kyeo.models.model_from_json(text_of(units))
    else:
        with pytest.raises(ValueError, match=f"(?s){words}"):
            kyeo.models.model_from_json(text_of(units))
