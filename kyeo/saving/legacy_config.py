"""Descriptions of Keras 2 -> descriptions of today; plain values in, plain values out.

Nothing is made here and no name is looked up in a module: what comes out is read by `deserialize_keras_object`, as
every other description is. The old words are in `kyeo.saving.legacy_names`.
"""

import re
from typing import Any

import jax.numpy as jnp

from kyeo.core.errors import problem
from kyeo.core.op import op
from kyeo.core.registry import find, get_registered_object, register_for_files
from kyeo.saving.legacy_graph import modern_graph
from kyeo.saving.legacy_names import BACK, CLASSES, GONE, OPTIMIZERS, RENAMED

__all__ = ["hard_sigmoid", "modern", "version_of"]

_NO_LAYERS = {  # classes that stood in files of Keras 2 and have no heir
    "CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU", "LocallyConnected1D": None, "LocallyConnected2D": None,
    "TensorFlowOpLayer": None, "CategoryCrossing": None, "SequenceFeatures": None, "DenseFeatures": None,
}


@op
def hard_sigmoid(x: Any) -> Any:
    """The `hard_sigmoid` of Keras 2, clip(0.2 x + 0.5, 0, 1); today's has the slope 1/6.

    Args:
        x: array of any shape.

    >>> import kyeo
    >>> kyeo.saving.get_registered_name(hard_sigmoid), float(hard_sigmoid(1.0))
    ('keras2>hard_sigmoid', 0.699999988079071)
    """
    return jnp.clip(0.2 * jnp.asarray(x) + 0.5, 0.0, 1.0)


register_for_files("keras2>hard_sigmoid", hard_sigmoid)


def version_of(text: Any) -> tuple[int, int]:
    """(major, minor) of the text of a version, (2, 0) where it says none.

    >>> version_of("2.3.0-tf"), version_of(None)
    ((2, 3), (2, 0))
    """
    numbers = re.match(r"(\d{1,4})\.(\d{1,4})", text) if isinstance(text, str) else None
    return (int(numbers[1]), int(numbers[2])) if numbers else (2, 0)


def modern(value: Any, version: tuple[int, int]) -> Any:
    """A value of a description in the words of today.

    Args:
        value: plain values out of a file.
        version: of the Keras that wrote it.
    """
    if isinstance(value, (list, tuple)):
        return [modern(v, version) for v in value]
    if not isinstance(value, dict):
        return value
    name = value.get("class_name")
    if name in ("__tuple__", "TensorShape"):
        return [modern(v, version) for v in value.get("items") or ()]
    if name == "__ellipsis__":
        return {"class_name": name, "config": {}}
    if isinstance(name, str) and "config" in value:
        return _object(value, name, version)
    return {k: modern(v, version) for k, v in value.items()}


def _object(spec: dict[str, Any], name: str, version: tuple[int, int]) -> dict[str, Any]:
    """A class with its config."""
    bare = name.rpartition(">")[2]
    if bare != name and get_registered_object(name) is None and find(bare) is not None:
        name = bare  # Keras 2.11 filed its own optimizers under "Custom>"
    config, module = spec["config"], spec.get("module")
    own = get_registered_object(spec.get("registered_name") or name) is not None or \
        (module is not None and str(module).split(".")[0] != "keras")
    if not own:
        _refuse(name, config)
        name = CLASSES.get(name, name)
    if name in ("__lambda__", "function") or name.startswith("__"):
        return spec
    config = _model_config(config, version) if _is_model(config) else _arguments(name, config, version, own)
    if not own and name == "Model" and "input_layers" in config:
        name = "Functional"
    rest = {k: v for k, v in spec.items() if k in ("shared_object_id", "name", "inbound_nodes")}
    if (own or version >= (3, 0)) and "build_config" in spec:
        rest["build_config"] = spec["build_config"]
    if isinstance(spec.get("compile_config"), dict):
        rest["compile_config"] = {k: modern(v, version) for k, v in spec["compile_config"].items() if v is not None}
    known = own or find(name) is not None
    if not own and version >= (3, 0):
        return {**rest, "module": module or ("keras" if known else None), "class_name": name, "config": config,
                "registered_name": spec.get("registered_name")}
    return {**rest, "module": module if own else "keras" if known else None, "class_name": name, "config": config,
            "registered_name": spec.get("registered_name") or name}


def _is_model(config: Any) -> bool:
    return isinstance(config, list) or (isinstance(config, dict) and isinstance(config.get("layers"), list))


def _model_config(config: Any, version: tuple[int, int]) -> dict[str, Any]:
    config = {"layers": config} if isinstance(config, list) else dict(config)  # a list: Keras 2.0
    layers = config.pop("layers")
    if "input_layers" in config:
        made = [modern(entry, version) for entry in layers]
        return {**modern_graph(made, config, version), **{k: modern(v, version) for k, v in config.items()
                                                 if k not in ("input_layers", "output_layers")}}
    first = layers[0] if layers else {}
    shape = _shape_of(first)
    made = [modern(entry, version) for entry in layers]
    if shape is not None and first.get("class_name") != "InputLayer":
        inside = first["config"]
        made.insert(0, modern({"class_name": "InputLayer", "config": {
            "batch_input_shape": shape, "name": f"{inside.get('name')}_input", "dtype": _dtype_of(first)}}, version))
    return {**{k: modern(v, version) for k, v in config.items()}, "layers": made}


def _shape_of(entry: Any) -> Any:
    config = entry.get("config") if isinstance(entry, dict) else None
    return config.get("batch_input_shape") if isinstance(config, dict) else None


def _dtype_of(entry: dict[str, Any]) -> Any:
    """What a stack takes whose first layer says the shape; the dtype of a layer may be a policy, or of its weights."""
    if entry["class_name"] == "Embedding":
        return "int32"
    dtype = entry["config"].get("dtype")
    return dtype if isinstance(dtype, str) and not dtype.startswith("mixed") else None


def _refuse(name: str, config: Any) -> None:
    if name in _NO_LAYERS:
        label = config.get("name") if isinstance(config, dict) else None
        heir = _NO_LAYERS[name]
        raise problem(f"The file holds a layer of Keras 2 that there is no more: {name}.", where=f'{name} "{label}"',
                      expected=f"a {heir} layer" if heir else "a layer of today", kind=TypeError,
                      fix=f'write the class yourself and pass custom_objects={{"{name}": {name}}}')


def _arguments(name: str, config: Any, version: tuple[int, int], own: bool) -> Any:
    """The config of a layer, initializer, ... by today's names."""
    if not isinstance(config, dict):
        return config
    if name == "Lambda" and not own:
        config = _lambda(config)
    gone = {} if own else {**GONE.get("*", {}), **GONE.get(name, {})}
    back = BACK.get(name, ()) if version >= (3, 0) else ()
    gone = {k: v for k, v in gone.items() if k not in RENAMED.get(name, {}) and k not in back}
    made = {}
    for key, value in config.items():
        if key in gone:
            if gone[key] is not None and not any(value is v or value == v for v in gone[key]):
                raise problem(f"The file says `{key}={value}`, which there is no more.",
                              where=f'{name} "{config.get("name")}"',
                              expected=f"{key}={gone[key][0] if gone[key] else None}")
            continue
        made[key if own else RENAMED.get(name, {}).get(key, key)] = modern(value, version)
    return made if own else _values(name, made, version)


def _old_optimizer(name: str, config: dict[str, Any]) -> None:
    """Put the arguments of an optimizer of `optimizers.legacy` and before (all have a `decay`) in today's words."""
    decay = config.pop("decay")
    if decay and name != "Nadam":  # there it is how fast the momenta rise
        falling = {"initial_learning_rate": config.get("learning_rate"), "decay_steps": 1, "decay_rate": decay}
        config["learning_rate"] = {"module": "keras.optimizers.schedules", "class_name": "InverseTimeDecay",
                                   "config": falling}
    epsilon = config.get("epsilon")
    if name == "RMSprop" and not config.get("momentum") and isinstance(epsilon, float):
        config["epsilon"] = epsilon**2  # it was added to the root, today it is added inside of the root


def _values(name: str, config: dict[str, Any], version: tuple[int, int]) -> dict[str, Any]:
    """Values that mean something else today."""
    if config.get("name", "") is None:
        del config["name"]
    axis = config.get("axis")
    if name == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    if name == "DTypePolicy":
        config = {"name": config.get("name")}
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    if name in OPTIMIZERS.split() and "decay" in config:
        _old_optimizer(name, config)
    if name == "CategoryEncoding" and config.get("output_mode") == "binary":
        config["output_mode"] = "multi_hot"
    if version < (3, 0):
        for key in ("activation", "recurrent_activation"):
            if config.get(key) == "hard_sigmoid":
                config[key] = {"module": "builtins", "class_name": "function", "config": "keras2>hard_sigmoid",
                               "registered_name": "function"}
    return config


def _lambda(config: dict[str, Any]) -> dict[str, Any]:
    """A Lambda whose function stands by its name, or as bytecode, which the reader refuses."""
    function, kind = config.get("function"), config.get("function_type")
    if isinstance(function, list):
        function = {"class_name": "__lambda__", "config": {}}
    elif isinstance(function, str) and kind != "lambda":
        function = {"module": "builtins", "class_name": "function", "config": function, "registered_name": "function"}
    elif isinstance(function, str):
        function = {"class_name": "__lambda__", "config": {}}
    return {**config, "function": function}
