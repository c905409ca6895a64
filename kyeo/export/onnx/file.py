"""The file: the graph as ONNX's protobuf message, with only what an output hangs on."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kyeo.core.errors import problem
from kyeo.export.onnx.graph import Builder, Graph, Node, Tensor

__all__ = ["to_message"]

_LIMIT = 2**31 - 2**20  # bytes of one protobuf message


def _bodies(node: Node) -> Iterator[Graph]:
    yield from (value for value in node.attributes.values() if isinstance(value, Graph))


def _used(graph: Graph, wanted: set[str]) -> None:
    """Leave out nodes that nobody needs; `wanted` grows by the names that are needed from outside."""
    wanted.update(t.name for t in graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if any(t.name in wanted for t in node.outputs):
            kept.append(node)
            wanted.update(t.name for t in node.inputs if t is not None)
            for body in _bodies(node):
                _used(body, wanted)
    graph.nodes = kept[::-1]


def _info(helper: Any, tensor: Tensor, name: str) -> Any:
    sizes = [s if isinstance(s, int) else str(s) if str(s).isidentifier() else None for s in tensor.shape]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(tensor.dtype), sizes)


def _message(onnx: Any, graph: Graph, name: str, renamed: dict[str, str], initializers: Any = ()) -> Any:
    helper = onnx.helper

    def named(tensor: Tensor | None) -> str:
        return "" if tensor is None else renamed.get(tensor.name, tensor.name)

    nodes = []
    for node in graph.nodes:
        words = {k: _message(onnx, v, k, renamed) if isinstance(v, Graph) else v for k, v in node.attributes.items()}
        if node.op == "Cast":
            words["to"] = helper.np_dtype_to_tensor_dtype(np.dtype(words["to"]))
        nodes.append(helper.make_node(node.op, list(map(named, node.inputs)), list(map(named, node.outputs)),
                                      name=node.outputs[0].name, **words))
    return helper.make_graph(nodes, name, [_info(helper, t, named(t)) for t in graph.inputs],
                             [_info(helper, t, named(t)) for t in graph.outputs], list(initializers))


def to_message(onnx: Any, builder: Builder, name: str, metadata: dict[str, str]) -> Any:
    """The model as a message of the package `onnx`.

    A weight stored in another layout keeps its name where the weight itself is not in the file.
    """
    for tensor in builder.root.outputs:
        builder.name(tensor)
    wanted: set[str] = set()
    _used(builder.root, wanted)
    kept = [key for key in builder.initializers if key in wanted]
    renamed = dict(builder.renamed)
    for key in kept:
        base = builder.derived.get(key)
        if base is not None and base not in kept and base not in renamed.values():
            renamed[key] = base
    size = sum(builder.initializers[key].nbytes for key in kept)
    if size > _LIMIT:
        raise problem("The weights do not fit into one ONNX file.", received=f"{size / 2**30:.1f} GiB of weights",
                      expected="less than 2 GiB", where=name, fix='export(..., format="stablehlo")')
    arrays = [onnx.numpy_helper.from_array(builder.initializers[key], renamed.get(key, key)) for key in kept]
    graph = _message(onnx, builder.root, name, renamed, arrays)
    opset = onnx.helper.make_operatorsetid("", builder.opset)
    model = onnx.helper.make_model(
        graph, producer_name="kyeo", opset_imports=[opset], ir_version=onnx.helper.find_min_ir_version_for([opset]))
    onnx.helper.set_model_props(model, metadata)
    return model
