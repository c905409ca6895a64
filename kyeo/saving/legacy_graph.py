"""The graph of a model in a file of Keras 2 -> the form of today.

There a call was `[[layer, number of its call, number of the output, keyword arguments], ...]`, one entry for each
tensor of the first argument; operations of TensorFlow were layers (TFOpLambda), and the calls of a model inside counted
from 1.
"""

from typing import Any

from kyeo.core.errors import problem
from kyeo.core.op import OPS
from kyeo.saving.legacy_names import GRAPH_OPS

__all__ = ["modern_graph"]

_OPERATIONS = ("TFOpLambda", "SlicingOpLambda")
_RECURRENT = ("SimpleRNN", "LSTM", "GRU", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional")
_CONSTANT = "_CONSTANT_VALUE"


def modern_graph(entries: list[Any], config: dict[str, Any], version: tuple[int, int]) -> dict[str, Any]:
    """`layers`, `input_layers` and `output_layers` of a graph in today's form.

    Args:
        entries: the layers, each already in today's words, with its old calls.
        config: of the model, with the ends of the graph.
        version: of the Keras that wrote it; today's own files come through as they are.
    """
    if version >= (3, 0):
        return {"layers": [_as_op(entry) for entry in entries], "input_layers": config["input_layers"],
                "output_layers": config["output_layers"]}
    graph = _Graph(entries)
    return {"layers": [graph.entry(entry) for entry in entries], "input_layers": graph.ends(config["input_layers"]),
            "output_layers": graph.ends(config["output_layers"])}


def _as_op(entry: Any) -> Any:
    """An op in an `.h5` of Keras 3, where it looks like a layer but for what every layer says of itself."""
    if isinstance(entry, dict) and isinstance(entry.get("config"), dict) and "trainable" not in entry["config"]:
        name = str(entry.get("class_name"))
        if name.lower() in {op.replace("_", "") for op in OPS}:
            return {**entry, "module": "keras.ops"}
    return entry


class _Graph:
    """What the calls refer to."""

    def __init__(self, entries: list[Any]):
        self._names: dict[str, int] = {}  # layer -> by how much its calls are counted too high
        for entry in entries:
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) \
                    or not isinstance(entry.get("config"), dict) or not isinstance(entry.get("inbound_nodes"), list):
                raise _wrong("an entry without name, config or calls", "")
            self._names[entry["name"]] = 1 if _begins_inside(entry["config"]) else 0
        self._functional = {e["name"] for e in entries if "input_layers" in e["config"]}

    def entry(self, entry: dict[str, Any]) -> dict[str, Any]:
        """A layer with its calls."""
        if entry["class_name"] in _OPERATIONS:
            return self._operation(entry)
        return {**entry, "inbound_nodes": [self._call(entry, node) for node in entry["inbound_nodes"]]}

    def ends(self, tree: Any) -> Any:
        """The places where the graph begins or ends; there, a model made from a graph counts from 1 to this day."""
        if _is_place(tree, self._names):
            name, number, index = tree
            return [name, number - self._names[name] + (name in self._functional), index]
        if isinstance(tree, dict):
            return {k: self.ends(v) for k, v in tree.items()}
        return [self.ends(v) for v in tree] if isinstance(tree, list) else tree

    def _call(self, entry: dict[str, Any], node: Any) -> dict[str, Any]:
        first, kwargs = self._first(node, entry["name"])
        kwargs = {k: v for k, v in kwargs.items() if v is not None}
        if entry["class_name"] in _RECURRENT and isinstance(first, list) and len(first) > 1:
            first, *states = first  # states stood beside the input
            kwargs["initial_state"] = states
        elif isinstance(first, list) and len(first) == 1:
            first = first[0]
        return {"args": [first], "kwargs": kwargs, "given": ["training"] if "training" in kwargs else []}

    def _first(self, node: Any, name: str) -> tuple[Any, dict[str, Any]]:
        """The first argument of a call, and the keyword arguments, which stand with its tensors."""
        kwargs: dict[str, Any] = {}

        def read(tree: Any) -> Any:
            if isinstance(tree, list) and tree and isinstance(tree[0], str):
                if len(tree) not in (3, 4) or (len(tree) == 4 and not isinstance(tree[3], dict)):
                    raise _wrong(str(tree)[:100], name)
                kwargs.update({k: self._value(v) for k, v in (tree[3] if len(tree) == 4 else {}).items()})
                return tree[2] if tree[0] == _CONSTANT else self._tensor(tree[:3], name)
            if isinstance(tree, list):
                return [read(item) for item in tree]
            if isinstance(tree, dict):
                return {k: read(item) for k, item in tree.items()}
            raise _wrong(str(tree)[:100], name)

        return read(node), kwargs

    def _tensor(self, place: list[Any], name: str) -> dict[str, Any]:
        if not _is_place(place, self._names):
            raise _wrong(str(place)[:100], name)
        layer, number, index = place
        return {"class_name": "__keras_tensor__",
                "config": {"keras_history": [layer, number - self._names[layer], index]}}

    def _value(self, value: Any) -> Any:
        """A keyword argument: a tensor, a slice, or a plain value."""
        if _is_place(value, self._names):
            return self._tensor(value, "")
        if isinstance(value, list) and len(value) == 3 and value[0] == _CONSTANT:
            return value[2]
        if isinstance(value, list):
            return [self._value(v) for v in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"start", "stop", "step"}:
            return {"class_name": "__slice__", "config": {k: self._value(v) for k, v in value.items()}}
        if value.get("class_name") == "__tuple__":
            return [self._value(v) for v in value.get("items") or ()]
        if value.get("class_name") == "__ellipsis__":
            return {"class_name": "__ellipsis__", "config": {}}
        return {k: self._value(v) for k, v in value.items()}

    def _operation(self, entry: dict[str, Any]) -> dict[str, Any]:
        """An operation of TensorFlow as a call of an op."""
        old, name = entry["config"].get("function"), entry["name"]
        if old == "__operators__.getitem":
            return _op_entry(name, "get_item", [self._sliced(node, name) for node in entry["inbound_nodes"]])
        if old not in GRAPH_OPS:
            raise problem(f"The model computes with tf.{old}, which has no counterpart here.", where=f'"{name}"',
                          expected="an operation of kyeo.ops", kind=TypeError,
                          fix="write the model again with kyeo.ops and load its weights with load_weights")
        new, text = GRAPH_OPS[old]
        names = dict(pair.split("=") for pair in text.split())
        first_name = next(iter(names.values()), "x")
        calls = []
        for node in entry["inbound_nodes"]:
            first, given = self._first(node, name)
            if isinstance(first, list) and len(first) == 1 and old not in ("concat", "stack"):
                first = first[0]
            given = {names.get(k, k): v for k, v in given.items() if k != "name" and v is not None}
            flags = {k: v for k, v in given.items() if v is False and k not in ("keepdims", "exclusive", "reverse")}
            given = {k: v for k, v in given.items() if k not in flags}
            calls.append({"args": [], "kwargs": {first_name: first, **given}})
        return _op_entry(name, new, calls)

    def _sliced(self, node: Any, name: str) -> dict[str, Any]:
        first, given = self._first(node, name)
        key = given.get("slice_spec")
        first = first[0] if isinstance(first, list) and len(first) == 1 else first
        return {"args": [first], "kwargs": {"key": key}}


def _op_entry(name: str, op: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    class_name = op.replace("_", "")
    return {"module": "keras.ops", "class_name": class_name, "config": {"name": name}, "registered_name": class_name,
            "name": name, "inbound_nodes": calls}


def _begins_inside(config: dict[str, Any]) -> bool:
    """Whether a layer is a model with an input of its own, whose making counted as its first call."""
    layers = config.get("layers")
    return isinstance(layers, list) and bool(layers) and isinstance(layers[0], dict) \
        and layers[0].get("class_name") == "InputLayer"


def _is_place(value: Any, names: dict[str, int]) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and value[0] in names \
        and all(isinstance(v, int) and not isinstance(v, bool) for v in value[1:])


def _wrong(what: str, name: str) -> Exception:
    return problem("The description of the graph is not well formed.", received=what, where=f'calls of "{name}"',
                   expected="[layer, number of its call, number of the output, keyword arguments]")
