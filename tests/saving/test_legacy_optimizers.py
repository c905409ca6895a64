"""The state of optimizers in files of Keras 2, in the layouts that Keras 2.15 wrote for `optimizers` and `optimizers.legacy`.

What these layouts are, and that training goes on to the same numbers, was seen once with files of Keras 2.15.1 itself:
2 and 60 steps, then two more, each of these optimizers and eight others within 1e-6 (a Nadam of `optimizers` from 60 on).
"""

import json
import zipfile

import h5py
import numpy as np
import pytest

import kyeo

SIZES = {"a/kernel": (3, 4), "a/bias": (4,), "b/kernel": (4, 2), "b/bias": (2,)}


def by_kind(optimizer, kinds):
    """Names as in `optimizers.legacy`: the count, then one kind of slot after the other."""
    return [f"{optimizer}/iter:0", *(f"{optimizer}/{w}/{kind}:0" for kind in kinds.split() for w in SIZES)]


def by_weight(optimizer, kinds, first=()):
    """Names as Keras 2.11 to 2.15 had them: the count, averages, then all slots of one weight after the other."""
    begin = f"{optimizer}/" if optimizer else ""
    return ["iteration:0", *(f"{begin}{kind}/{w}:0" for kind in first for w in SIZES),
            *(f"{begin}{kind}/{w}:0" for w in SIZES for kind in kinds.split())]


ADAFACTOR = [name for name in by_weight("Adafactor", "r c v") if name[10:11] not in "rc" or name.endswith("kernel:0")]
IN_SCALE = {"class_name": "LossScaleOptimizer", "config": {"inner_optimizer": {"class_name": "Adam", "config": {}}}}
CASES = {  # optimizer as in the file, names of its state in a .h5, what of today's slots they are in the order of the file
    "legacy Adam": ({"class_name": "Adam", "config": {"decay": 0.0}}, by_kind("Adam", "m v"), "momentum velocity"),
    "legacy AMSGrad": ({"class_name": "Adam", "config": {"amsgrad": True, "decay": 0.0}}, by_kind("Adam", "m v vhat"),
                       "momentum velocity velocity_hat"),
    "legacy RMSprop": ({"class_name": "RMSprop", "config": {"momentum": 0.9, "centered": True, "decay": 0.0}},
                       by_kind("RMSprop", "rms momentum mg"), "velocity momentum average_gradient"),
    "legacy Adadelta": ({"class_name": "Adadelta", "config": {"decay": 0.0}}, by_kind("Adadelta", "accum_grad accum_var"),
                        "accumulated_grad accumulated_delta_var"),
    "Adam with averages": ({"class_name": "Adam", "config": {"use_ema": True}}, by_weight("Adam", "m v", ["average"]), None),
    "Adam": ({"class_name": "Adam", "config": {}}, by_weight("Adam", "m v"), None),
    "SGD without momentum": ({"class_name": "SGD", "config": {"momentum": 0.0}}, by_weight("SGD", "m"), None),
    "Adafactor": ({"class_name": "Adafactor", "config": {}}, ADAFACTOR, None),
    "scaled": (IN_SCALE, by_weight("", "m v"), None),
}


def size_of(name):
    weight = next(w for w in SIZES if w in name)
    kind = name.partition(":")[0].split("/")[1]
    size = SIZES[weight]
    return size[:-1] if kind == "r" else (*size[:-2], size[-1]) if kind == "c" else size


def state_of(names):
    draw = np.random.default_rng(0)
    return {name: np.int64(7) if number == 0 else np.float32(0.5) if "cache" in name else
            draw.normal(size=size_of(name)).astype("float32") for number, name in enumerate(names)}


def whole_h5(path, optimizer, state):
    layers = [{"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "dtype": "float32", "name": "x"}},
              {"class_name": "Dense", "config": {"name": "a", "units": 4}}, {"class_name": "Dense", "config": {"name": "b", "units": 2}}]
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": layers}})
        file.attrs["training_config"] = json.dumps({"loss": "mse", "optimizer_config": optimizer})
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = ["x", "a", "b"]
        for layer in "xab":
            group = weights.create_group(layer)
            group.attrs["weight_names"] = [f"{w}:0" for w in SIZES if w.startswith(layer + "/")]
            for name in group.attrs["weight_names"]:
                group[name] = np.ones(SIZES[name[:-2]], "float32")
        group = file.create_group("optimizer_weights")
        group.attrs["weight_names"] = list(state)
        for name, value in state.items():
            group[name] = value
    return path


def whole_keras(path, optimizer, state):
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(4, name="a"), kyeo.layers.Dense(2, name="b")])
    model.save(path.with_name("today.keras"))
    with zipfile.ZipFile(path.with_name("today.keras")) as old, zipfile.ZipFile(path, "w") as new:
        spec = {**json.loads(old.read("config.json")), "compile_config": {"loss": "mse", "optimizer": optimizer}}
        new.writestr("config.json", json.dumps(spec))
        new.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        path.with_name("w.h5").write_bytes(old.read("model.weights.h5"))
        with h5py.File(path.with_name("w.h5"), "a") as file:
            group = file.create_group("optimizer/vars")
            for number, value in enumerate(state.values()):
                group[str(number)] = value
        new.write(path.with_name("w.h5"), "model.weights.h5")
    return path


def assert_state(optimizer, state, order):
    """The count, and the slots: by kind as `order` has them, or as they stand."""
    assert int(optimizer.iterations.value) == 7
    slots = [v for v in optimizer.variables if v.shape != ()]
    if order:
        slots = [v for kind in order.split() for v in slots if v.name.endswith(("kernel_" + kind, "bias_" + kind))]
    stored = list(state.values())[1:]
    assert len(slots) == len(stored) or (not slots and optimizer.momentum == 0)
    for variable, value in zip(slots, stored):
        np.testing.assert_array_equal(np.asarray(variable.value), value, err_msg=variable.name)


@pytest.mark.parametrize("name", CASES)
def test_the_state_is_taken(name, tmp_path):
    optimizer, names, order = CASES[name]
    state = state_of(names)
    assert_state(kyeo.saving.load_model(whole_h5(tmp_path / "m.h5", optimizer, state)).optimizer, state, order)
    if order is None:  # `optimizers.legacy` has nothing in a `.keras`
        assert_state(kyeo.saving.load_model(whole_keras(tmp_path / "m.keras", optimizer, state)).optimizer, state, order)


def test_what_cannot_go_on_is_said(tmp_path):
    nadam = {"class_name": "Nadam", "config": {"decay": 0.004}}
    names = by_kind("Nadam", "m v")
    state = state_of([names[0], "Nadam/momentum_cache:0", *names[1:]])
    with pytest.warns(UserWarning, match="250 times slower"):
        found = kyeo.saving.load_model(whole_h5(tmp_path / "m.h5", nadam, state)).optimizer
    del state["Nadam/momentum_cache:0"]
    assert_state(found, state, "momentum velocity")
    adam = {"class_name": "Adam", "config": {"decay": 0.0, "is_legacy_optimizer": True}}
    with pytest.warns(UserWarning, match=r"no state of the optimizer(.|\n)*begins with a fresh one"):
        assert int(kyeo.saving.load_model(whole_keras(tmp_path / "m.keras", adam, {})).optimizer.iterations.value) == 0
    state = state_of(by_weight("Adam", "m v"))
    for wrong in ({"iteration:0": np.int64(2**40)}, {"iteration:0": np.float32(3)}, {"Adam/m/a/bias:0": np.ones(4) * 1j}):
        with pytest.warns(UserWarning, match="does not fit Adam"):
            found = kyeo.saving.load_model(whole_h5(tmp_path / "m.h5", {"class_name": "Adam", "config": {}}, {**state, **wrong}))
        assert int(found.optimizer.iterations.value) == 0


def test_one_that_has_not_begun(tmp_path):
    """A model that is compiled and saved at once has nothing to warn of."""
    model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2)])
    model.compile("adam", "mse")
    with pytest.warns(UserWarning, match="old form"):
        model.save(tmp_path / "m.h5")
    assert int(kyeo.saving.load_model(tmp_path / "m.h5").optimizer.iterations.value) == 0
    early = {"iteration:0": np.int64(0)}
    kyeo.saving.load_model(whole_h5(tmp_path / "old.h5", {"class_name": "Adam", "config": {}}, early))
