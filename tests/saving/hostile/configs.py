"""Hostile descriptions: each row changes the description of a good model. Where it stands decides in which forms
(a `.keras` zip or folder, JSON text, `from_config`, layer by layer) it is tried."""

import base64
import json
import marshal
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["CONFIGS", "Pattern", "TEXTS", "layer", "put"]


class Pattern(NamedTuple):
    """A change of a description; `refused` is None where it may also do no harm."""

    name: str
    change: Callable[[dict, dict], Any]  # (spec, facts of the canary) -> None, or another spec
    refused: bool | None = True
    place: str = "layer"  # or "top", which only whole files and texts show
    base: str = "stack"


def layer(spec: dict, index: int = 1) -> dict:
    """The description of one layer."""
    return spec["config"]["layers"][index]


def put(index: int = 1, **values: Any) -> Callable[[dict, dict], None]:
    """Change the config of a layer."""
    return lambda spec, facts: layer(spec, index)["config"].update(values)


def replaced(class_name: str, config: Any, module: Any = "keras.layers", **fields: Any) -> Callable[[dict, dict], None]:
    """Put another layer in the place of the first."""
    def change(spec: dict, facts: dict) -> None:
        inside = config(facts) if callable(config) else config
        layer(spec).clear()
        layer(spec).update(module=module, class_name=class_name, config=inside, registered_name=None, **fields)
        if spec["class_name"] == "Functional":
            raise AssertionError("for stacks")

    return change


def compiled(**values: Any) -> Callable[[dict, dict], None]:
    """Change what the model is compiled with."""
    return lambda spec, facts: spec["compile_config"].update(values)


CODE = base64.b64encode(marshal.dumps((lambda x: __import__("os").system("touch /tmp/hacked")).__code__)).decode()
LAMBDA = {"class_name": "__lambda__", "config": {"code": CODE, "defaults": None, "closure": None}}
VALUES: dict[str, Any] = {  # objects that must not be made, wherever they stand
    "bytecode": LAMBDA,
    "bytecode in a list": [LAMBDA],
    "os.system": {"module": "os", "class_name": "system", "config": {"command": "touch /tmp/hacked"}},
    "eval": {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"},
    "dotted": {"module": "builtins", "class_name": "function", "config": "os.system", "registered_name": None},
    "load_model": {"module": "keras.saving", "class_name": "load_model", "config": {"filepath": "/etc/passwd"}},
    "get_file": {"module": "keras.utils", "class_name": "get_file", "config": {
        "fname": "x", "origin": "http://127.0.0.1:9/x", "extract": True}},
    "unsafe": {"module": "keras.config", "class_name": "enable_unsafe_deserialization", "config": {}},
    "trap": {"module": None, "class_name": "trap", "config": {"x": 1}, "registered_name": "canary>trap"},
    "partial": {"module": "functools", "class_name": "partial", "config": {"func": "os.system"}},
}
SLOTS = ("activation", "kernel_initializer", "bias_initializer", "kernel_regularizer", "kernel_constraint",
         "activity_regularizer", "dtype", "name", "units", "use_bias")
MODULES = [
    ("os", "system"), ("posix", "system"), ("builtins", "exec"), ("builtins", "__import__"), ("subprocess", "Popen"),
    ("importlib", "import_module"), ("pickle", "loads"), ("numpy", "load"), ("jax", "jit"), ("h5py", "File"),
    ("kyeo", "config"), ("kyeo.utils", "get_file"), ("kyeo.saving", "load_model"), ("kyeo.core.registry", "find"),
    ("kyeo.datasets.fetch", "fetch"), ("keras.config", "set_floatx"), ("keras.models", "load_model"),
    ("keras.saving", "register_keras_serializable"), ("keras.src.utils.file_utils", "get_file"),
    ("keras.src.saving.saving_lib", "load_model"), ("keras.src.utils.torch_utils", "TorchModuleWrapper"),
    ("keras.layers", "TorchModuleWrapper"), ("keras.layers", "TFSMLayer"), ("keras.layers", "__init__"),
    ("keras.layers", "Dense.__init__"), ("keras.layers", "Dense\0"), ("keras.layers", "D\u0435nse"), ("evil", "Dense"),
    ("../evil", "Dense"), ("keras.layers;os", "system"), ("keras.layers", ""), ("keras.wrappers", "SKLearnClassifier"),
    ("keras.utils", "FeatureSpace"), ("tensorflow.python.ops.gen_io_ops", "read_file"), ("joblib", "load"),
]
NAMES = ["a/b", "../../x", "/etc/passwd", "a\0b", "C:\\x", "x" * 65536, "..", "a\nb", "\u202ex", "\ud800", "$(touch x)", "", " ",
         "con", "\u0430dmin", "%s%n", "{0.__class__}"]


def _deep(n: int) -> Any:
    value: Any = []
    for _ in range(n):
        value = [value]
    return value


def _nested_models(spec: dict, facts: dict, n: int = 60) -> None:
    for _ in range(n):
        inner = json.loads(json.dumps(layer(spec))) if layer(spec)["class_name"] != "Sequential" else layer(spec)
        spec["config"]["layers"][1] = {"module": "keras", "class_name": "Sequential", "registered_name": None,
                                       "config": {"name": inner["config"]["name"], "layers": [inner]}}


def _cycle(spec: dict, facts: dict) -> None:
    layer(spec)["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = ["only", 0, 0]


def _history(value: Any) -> Callable[[dict, dict], None]:
    def change(spec: dict, facts: dict) -> None:
        layer(spec)["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = value

    return change


def _many(n: int, backwards: bool = False) -> Callable[[dict, dict], None]:
    def change(spec: dict, facts: dict) -> None:
        layers = spec["config"]["layers"]
        extra = [{"module": "keras.layers", "class_name": "Identity", "config": {"name": f"i{i}"}, "name": f"i{i}",
                  "registered_name": None, "inbound_nodes": []} for i in range(n)]
        spec["config"]["layers"] = layers[:1] + (extra[::-1] if backwards else extra) + layers[1:]

    return change


def _backwards(n: int) -> Callable[[dict, dict], None]:
    """A chain whose layers stand in the wrong order and end in nothing."""
    def change(spec: dict, facts: dict) -> None:
        def entry(i: int) -> dict:
            tensor = {"class_name": "__keras_tensor__", "config": {
                "shape": [None, 3], "dtype": "float32", "keras_history": [f"i{i + 1}", 0, 0]}}
            return {"module": "keras.layers", "class_name": "Identity", "config": {"name": f"i{i}"}, "name": f"i{i}",
                    "registered_name": None, "inbound_nodes": [{"args": [tensor], "kwargs": {}}]}

        spec["config"]["layers"] += [entry(i) for i in range(n)]

    return change


def _op(class_name: str, **config: Any) -> Callable[[dict, dict], None]:
    """An op in the place of the dropout of the graph."""
    def change(spec: dict, facts: dict) -> None:
        layer(spec, 2).update(module="keras.src.ops.numpy", class_name=class_name, registered_name=class_name,
                              config={"name": "drop", **config})
        layer(spec, 2)["inbound_nodes"][0]["kwargs"] = {}

    return change


def _lookup(path: Callable[[dict], str], class_name: str = "StringLookup", **more: Any) -> Callable[[dict, dict], None]:
    return replaced(class_name, lambda facts: {"name": "first", "vocabulary": path(facts), **more})


def _every(key: str, value: Any) -> Callable[[dict, dict], None]:
    """The same value under a key wherever it stands."""
    def change(spec: dict, facts: dict) -> None:
        todo: list[Any] = [spec]
        while todo:
            one = todo.pop()
            if isinstance(one, dict):
                if key in one:
                    one[key] = value
                todo += [v for k, v in one.items() if k != key]
            elif isinstance(one, list):
                todo += one

    return change


CONFIGS = [
    *(Pattern(f"{name} as {slot}", put(**{slot: value})) for slot in SLOTS for name, value in VALUES.items()
      if not (slot == "activation" and name == "partial")),
    *(Pattern(f"{name} as {slot} of compile", compiled(**{slot: value}), place="top") for slot in (
        "loss", "optimizer", "metrics", "weighted_metrics") for name, value in VALUES.items()
      if name in ("bytecode", "eval", "os.system", "load_model")),
    *(Pattern(f"layer {class_name[:12]!r} of {module}", lambda s, f, m=module, c=class_name: layer(s).update(
        module=m, class_name=c, registered_name=None), None if class_name == "FeatureSpace" else True)
      for module, class_name in MODULES),
    *(Pattern(f"model {class_name[:12]!r} of {module}", lambda s, f, m=module, c=class_name: s.update(
        module=m, class_name=c, registered_name=None), None if class_name == "FeatureSpace" else True, "top")
      for module, class_name in MODULES[:12]),
    *(Pattern(f"layer named {name[:12]!r}", put(name=name), None) for name in NAMES),
    *(Pattern(f"model named {name[:12]!r}", lambda s, f, n=name: s["config"].update(name=n), None, "top")
      for name in NAMES[:9]),
    *(Pattern(f"units={str(value)[:20]}", put(units=value)) for value in (
        10**9, 2**31, 10**12, 10**30, -1, 0, 1.5, "7", None, True, [], {}, float("nan"), float("inf"), 10**4000)),
    # -- kinds and numbers that are taken for each other
    *(Pattern(f"config of a layer: {str(value)[:12]}", lambda s, f, v=value: layer(s).update(config=v))
      for value in (None, [], "x", 7, [[]], {"units": {}}, {"a": 1}, {"": 0})),
    *(Pattern(f"{key} of a layer: {str(value)[:12]}", lambda s, f, k=key, v=value: layer(s).update({k: v}), None)
      for key in ("module", "registered_name", "build_config", "compile_config", "shared_object_id")
      for value in ([], {}, 7, "x", {"input_shape": [None, 10**12]}, {"input_shape": "x"}, {"shapes_dict": {"x": [1]}})),
    Pattern("dtype is a dict", put(2, dtype={"x": 1})),  # found by fuzzing
    Pattern("class_name is a list", lambda s, f: layer(s).update(class_name=["Dense"])),
    Pattern("class_name is a dict", lambda s, f: layer(s).update(class_name={})),
    Pattern("no class_name", lambda s, f: layer(s).pop("class_name"), None),
    Pattern("no config", lambda s, f: layer(s).pop("config")),
    Pattern("no module", lambda s, f: layer(s).pop("module"), None),
    Pattern("registered function for a layer", lambda s, f: layer(s).update(registered_name="canary>trap")),
    Pattern("registered function by its class name", lambda s, f: layer(s).update(class_name="canary>trap", module=None)),
    Pattern("layers is a dict", lambda s, f: s["config"].update(layers={"a": 1}), True, "top"),
    Pattern("layers is a text", lambda s, f: s["config"].update(layers="abc"), True, "top"),
    Pattern("layers of null", lambda s, f: s["config"].update(layers=[None]), True, "top"),
    Pattern("unknown argument", put(filepath="/etc/passwd")),
    Pattern("self as argument", put(self=1)),
    Pattern("_given as argument", put(_given=[])),
    Pattern("__class__ as argument", put(__class__="x")),
    Pattern("too many layers", _many(12_000), True, "top", "stack"),
    Pattern("nested models", _nested_models, None, "top"),
    Pattern("deep list", put(units=_deep(350))),
    Pattern("deep dict in compile", compiled(loss=_deep(300)), None, "top"),
    Pattern("thresholds without end", compiled(metrics=[{"module": "keras.metrics", "class_name": "AUC", "config": {
        "num_thresholds": 1e308}, "registered_name": None}]), None, "top"),
    Pattern("shared_object_id of another kind", lambda s, f: (layer(s).update(shared_object_id=1), layer(s, 3)["config"].update(
        activation={"module": "keras.layers", "class_name": "ReLU", "config": {}, "shared_object_id": 1})), None),
    Pattern("every name the same", _every("name", "x"), None, "top"),
    Pattern("every config null", _every("config", None), True, "top"),
    Pattern("every class a function", _every("class_name", "function"), True, "top"),
    Pattern("every module os", _every("module", "os"), True, "top"),
    Pattern("every shape huge", _every("batch_shape", [None, 2**40]), None, "top"),
    Pattern("every dtype odd", _every("dtype", "object"), None, "top"),
    # -- sizes
    Pattern("input of many axes", lambda s, f: layer(s, 0)["config"].update(batch_shape=[None] + [1] * 500)),
    Pattern("input of 10**18 numbers", lambda s, f: layer(s, 0)["config"].update(batch_shape=[None, 10**9, 10**9])),
    Pattern("input of negative size", lambda s, f: layer(s, 0)["config"].update(batch_shape=[None, -3])),
    Pattern("input of size 1e400", lambda s, f: layer(s, 0)["config"].update(batch_shape=[None, 10**400])),
    Pattern("embedding of 10**12 rows", replaced("Embedding", {"input_dim": 10**12, "output_dim": 10**6})),
    Pattern("embedding of 10**9 rows", replaced("Embedding", {"input_dim": 10**9, "output_dim": 64}), None),
    Pattern("repeat", replaced("RepeatVector", {"n": 10**10})),
    Pattern("repeat below the limit", replaced("RepeatVector", {"n": 9 * 10**7}), None),
    Pattern("reshape", replaced("Reshape", {"target_shape": [10**9, 10**9]})),
    Pattern("padding", replaced("ZeroPadding1D", {"padding": [10**9, 10**9]})),
    Pattern("array with a huge repeat", put(kernel_initializer={
        "module": "keras.initializers", "class_name": "Constant", "config": {"value": {
            "class_name": "__numpy__", "config": {"value": [[1.0]] * 10, "dtype": "object"}}}})),
    Pattern("array of another kind", put(units={"class_name": "__numpy__", "config": {"value": 3, "dtype": "int32"}}), None),
    Pattern("array of text", put(units={"class_name": "__numpy__", "config": {"value": "x", "dtype": "string"}})),
    Pattern("array without a value", put(units={"class_name": "__numpy__", "config": {}})),
    Pattern("array of ragged rows", put(units={"class_name": "__numpy__", "config": {"value": [[1], 2], "dtype": "float32"}})),
    Pattern("tensor of a code as dtype", put(units={"class_name": "__tensor__", "config": {"value": 1, "dtype": "O8,V9"}})),
    Pattern("bytes of an int", put(units={"class_name": "__bytes__", "config": {"value": 7}})),
    Pattern("slice of nothing", put(units={"class_name": "__slice__", "config": {}})),
    Pattern("slice of huge ints", put(units={"class_name": "__slice__", "config": {"start": 0, "stop": 10**30, "step": 1}})),
    Pattern("typespec", put(units={"class_name": "__typespec__", "config": {"name": "os.system"}})),
    # -- paths
    Pattern("vocabulary from a path", _lookup(lambda f: f["secret"])),
    Pattern("vocabulary from a URL", _lookup(lambda f: "http://127.0.0.1:9/v.txt")),
    Pattern("vocabulary from file://", _lookup(lambda f: "file://" + f["secret"])),
    Pattern("vocabulary of integers from a path", _lookup(lambda f: f["secret"], "IntegerLookup")),
    Pattern("vocabulary of texts from a path", _lookup(lambda f: f["secret"], "TextVectorization")),
    Pattern("idf_weights from a path", _lookup(lambda f: ["a"], idf_weights="/etc/passwd", output_mode="tf_idf")),
    *(Pattern(f"encoding {name}", _lookup(lambda f: ["a"], encoding=name)) for name in (
        "zip", "../evil", "evil", "unicode_escape", "idna", "rot13", "x" * 10**5, 7)),
    Pattern("SavedModel by path", replaced("TFSMLayer", lambda f: {"filepath": f["secret"], "call_endpoint": "serve"})),
    Pattern("weights by path", replaced("Embedding", lambda f: {"input_dim": 3, "output_dim": 4, "weights": f["secret"]})),
    Pattern("JAX function by name", replaced("JaxLayer", {"call_fn": {
        "module": "builtins", "class_name": "function", "config": "eval"}})),
    Pattern("Flax module by name", replaced("FlaxLayer", {"module": {
        "module": "keras.optimizers", "class_name": "SGD", "config": {}}, "method": "__class__"})),
    Pattern("Lambda by bytecode", replaced("Lambda", {"name": "first", "function": LAMBDA})),
    Pattern("Lambda by code text", replaced("Lambda", {"name": "first", "function": [CODE, None, None],
                                                       "function_type": "lambda"})),
    Pattern("Lambda of a builtin", replaced("Lambda", {"name": "first", "function": "exec"})),
    Pattern("Lambda of a class", replaced("Lambda", {"name": "first", "function": "SGD"}), None),
    Pattern("Lambda with output_shape as code", replaced("Lambda", {"name": "first", "function": "relu", "output_shape": LAMBDA})),
    # -- time
    Pattern("expression that never ends", put(dtype={"module": "keras.dtype_policies", "class_name": "DTypePolicyMap", "config": {
        "default_policy": None, "policy_map": {"(s*)*(t*)*x": "float32"}}})),
    Pattern("expression of many choices", put(dtype={"module": "keras.dtype_policies", "class_name": "DTypePolicyMap", "config": {
        "default_policy": None, "policy_map": {"(s|s)(t|t)(a|a)" * 12: "float32"}}})),
    Pattern("expression that is none", put(dtype={"module": "keras.dtype_policies", "class_name": "DTypePolicyMap", "config": {
        "default_policy": None, "policy_map": {"(": "float32"}}})),
    Pattern("recurrent layer of many steps", lambda s, f: (
        layer(s, 0)["config"].update(batch_shape=[None, 100_000, 2]),
        replaced("LSTM", {"units": 2, "unroll": True})(s, f)), None),
    Pattern("einsum", replaced("EinsumDense", {"equation": "ab," * 50 + "->" + "c" * 100, "output_shape": 3})),
    Pattern("wrapper of itself", replaced("TimeDistributed", {"layer": {"class_name": "TimeDistributed", "config": {
        "layer": {"class_name": "TimeDistributed", "config": {}}}}})),
    # -- graphs
    Pattern("cycle", _cycle, True, "layer", "graph"),
    Pattern("self loop", _history(["first", 0, 0]), True, "layer", "graph"),
    *(Pattern(f"origin {value!r:.20}", _history(value), True, "layer", "graph") for value in (
        None, [], ["x"], ["x", 0], ["x", 0, 7], ["x", 0, -1], ["x", 10**30, 0], ["x", -1, 0], [["x"], 0, 0], "x00",
        ["nobody", 0, 0], ["x", "0", "0x0"], [None, 0, 0])),
    *(Pattern(f"calls {str(value)[:20]}", lambda s, f, v=value: layer(s).update(inbound_nodes=v), True, "layer", "graph")
      for value in (7, "x", [7], [[]], [{}], [{"args": 7, "kwargs": 7}], [{"args": [], "kwargs": {}}], {"a": 1})),
    Pattern("no calls", lambda s, f: layer(s).update(inbound_nodes=[]), True, "layer", "graph"),
    Pattern("arguments of a call", lambda s, f: layer(s)["inbound_nodes"][0]["kwargs"].update(
        mask={"module": "os", "class_name": "system", "config": {}}), True, "layer", "graph"),
    Pattern("unknown argument of a call", lambda s, f: layer(s)["inbound_nodes"][0]["kwargs"].update(evil=1), True, "layer",
            "graph"),
    Pattern("two layers of one name", lambda s, f: s["config"]["layers"].append(layer(s)), True, "layer", "graph"),
    Pattern("4_900 layers backwards", _backwards(4_900), True, "top", "graph"),
    *(Pattern(f"outputs {str(value)[:20]}", lambda s, f, v=value: s["config"].update(output_layers=v), True, "layer", "graph")
      for value in (None, [], {}, "x", [["nobody", 0, 0]], [["x", 0, 0, 0]], [["only", 0, 10**20]], {"a": {"b": 7}})),
    *(Pattern(f"inputs {str(value)[:20]}", lambda s, f, v=value: s["config"].update(input_layers=v), refused, "layer", "graph")
      for value, refused in ((None, True), ([], True), ({}, True), ("x", True), ([["only", 0, 0]], None))),
    *(Pattern(f"op {name}", _op(name, **config), refused, "layer", "graph") for name, config, refused in (
        ("Repeat", {"repeats": 10**10, "axis": 1}, True), ("Repeat", {"repeats": 2**30, "axis": 1}, None),
        ("Tile", {"repeats": [1, 10**12]}, True), ("Pad", {"pad_width": [[0, 0], [0, 10**12]]}, True),
        ("BroadcastTo", {"shape": [10**6, 10**6, 4]}, True), ("Reshape", {"newshape": [10**9, -1]}, True),
        ("Arange", {}, True), ("Eval", {}, True), ("__import__", {}, True), ("Load", {}, True), ("Tri", {}, True),
        ("OneHot", {"num_classes": 10**12}, True), ("Roll", {"shift": 10**30}, None),
        ("Einsum", {"subscripts": "ab->" + "ab" * 40}, True), ("Map", {"f": "os.system"}, True),
        ("Cond", {}, True), ("WhileLoop", {"cond": "eval", "body": "exec"}, True))),
]

# Texts that are no JSON of a model.
TEXTS: dict[str, Callable[[str], str]] = {
    "nothing": lambda good: "", "null": lambda good: "null", "number": lambda good: "7", "list": lambda good: "[]",
    "text": lambda good: '"x"', "empty object": lambda good: "{}", "cut off": lambda good: good[:len(good) // 2],
    "deep lists": lambda good: "[" * 100_000 + "]" * 100_000, "deep objects": lambda good: '{"a":' * 50_000,
    "deep and whole": lambda good: '{"config":' * 390 + "7" + "}" * 390,
    "10**7 digits": lambda good: good.replace('"units": 4', '"units": ' + "9" * 10**7),
    "4000 digits": lambda good: good.replace('"units": 4', '"units": ' + "9" * 4000),
    "1e999": lambda good: good.replace('"units": 4', '"units": 1e999'),
    "NaN": lambda good: good.replace('"units": 4', '"units": NaN'),
    "name twice": lambda good: good.replace('"units": 4', '"units": 4, "units": 5'),
    "class twice": lambda good: good.replace('"class_name": "Dense"', '"class_name": "Dense", "class_name": "Lambda"'),
    "garbage after it": lambda good: good + "garbage", "comment": lambda good: "/* */" + good,
    "python": lambda good: "__import__('os').system('touch /tmp/hacked')", "yaml": lambda good: "!!python/object/apply:os.system ['x']",
    "lone surrogate": lambda good: good.replace('"first"', '"\\ud800"'), "byte order mark": lambda good: "\ufeff" + good,
    "NUL": lambda good: good.replace('"first"', '"fi\\u0000rst"'), "control": lambda good: good.replace('"first"', '"fi\trst"'),
    "config is JSON in a text": lambda good: json.dumps(good),
    "many keys": lambda good: "{" + ",".join(f'"k{i}": 0' for i in range(300_000)) + "}",
    "many lists": lambda good: "[" + ",".join("[]" for _ in range(500_000)) + "]",
    "prefix of a zip": lambda good: "PK\x03\x04" + good,
}
