"""The table that `model.summary()` prints: layers, output shapes, parameters, connections; drawn by rich."""

import re
import shutil
import sys
from collections.abc import Callable
from typing import Any

import jax

from kyeo.core.errors import problem
from kyeo.core.symbolic import Node
from kyeo.core.variable import Variable
from kyeo.layers.call_spec import shape_of
from kyeo.layers.layer import Layer
from kyeo.models.op_calls import op_class

__all__ = ["print_summary"]

_CHAIN = (("Layer (type)", "left"), ("Output Shape", "left"), ("Param #", "right"))
_SIZES = ("B", "KB", "MB", "GB", "TB", "PB")


def print_summary(
    model: Any, line_length: int | None = None, positions: Any = None,
    print_fn: Callable[..., Any] | None = None, expand_nested: bool = False, show_trainable: bool = False,
    layer_range: Any = None,
) -> None:
    """Print the table of a model; see `Model.summary` for the arguments."""
    is_chain = _is_chain(model)
    columns = list(_CHAIN) if is_chain else [*_CHAIN, ("Connected to", "left")]
    positions = list(positions or ([0.45, 0.80, 1.0] if is_chain else [0.3, 0.56, 0.74, 1.0]))
    width = 88 if is_chain else 108
    if show_trainable:
        columns.append(("Trainable", "center"))
        positions = [p * 0.90 for p in positions] + [1.0]
        width += 12
    if len(positions) < len(columns):
        raise problem("`positions` does not fit the columns.", where="summary", received=f"positions={positions}",
                      expected=f"where each of {len(columns)} columns ends: {', '.join(name for name, _ in columns)}")
    line_length = line_length or min(width, shutil.get_terminal_size().columns - 4)
    ascii_only = not str(getattr(sys.stdout, "encoding", "") or "utf").lower().startswith("utf")
    table = _table(columns, _widths(positions, line_length), line_length, ascii_only)
    operations = _operations(model)
    first, last = _bounds(operations, layer_range)
    for operation in operations[first:last]:
        for level, one in _rows(operation, expand_nested):
            table.add_row(*_cells(one, level, model, is_chain, show_trainable, ascii_only))
    _print(model, table, print_fn)


# -- what is shown -----------------------------------------------------------------------------------------
def _operations(model: Any) -> list[Any]:
    graph = getattr(model, "_graph", None)
    return list(model.layers) if graph is None or hasattr(model, "_stack") else list(graph.operations)


def _is_chain(model: Any) -> bool:
    """Whether each layer feeds the next and nothing else, so that connections need no column."""
    graph = getattr(model, "_graph", None)
    if graph is None or hasattr(model, "_stack"):
        return True
    one_after_another = len(graph.nodes) + len(graph.begins) == len(graph.operations) and all(
        len(node.inputs) <= 1 for node in graph.nodes)
    sources = [tensor for node in graph.nodes for tensor in node.inputs]
    return one_after_another and len(graph.input_tensors) == 1 and len(set(map(id, sources))) == len(sources)


def _rows(operation: Any, expand_nested: bool, level: int = 0) -> list[tuple[int, Any]]:
    """(how deep inside, layer or op) for an operation and, if asked, for the layers of a model."""
    inner = operation.layers if expand_nested and not isinstance(operation, Node) and hasattr(
        operation, "layers") else ()
    return [(level, operation), *(row for layer in inner for row in _rows(layer, True, level + 1))]


def _bounds(operations: list[Any], layer_range: Any) -> tuple[int, int]:
    """From which row to which, for two regular expressions of names."""
    if layer_range is None:
        return 0, len(operations)
    if not isinstance(layer_range, (list, tuple)) or len(layer_range) != 2 or not all(
            isinstance(name, str) for name in layer_range):
        raise problem("`layer_range` must be two names.", received=f"layer_range={layer_range!r}",
                      expected="(name of the first layer, name of the last layer)", where="summary")
    first, last = ([i for i, o in enumerate(operations) if re.match(name, o.name)] for name in layer_range)
    if not first or not last:
        raise problem("No layer has such a name.", received=f"layer_range={layer_range!r}", where="summary",
                      expected="names among " + ", ".join(o.name for o in operations))
    if min(first) > max(last):
        first, last = last, first
    return min(first), max(last) + 1


def _cells(operation: Any, level: int, model: Any, is_chain: bool, show_trainable: bool,
           ascii_only: bool) -> list[Any]:
    from rich.text import Text

    class_name = op_class(operation.target.__name__)[1] if isinstance(operation, Node) else type(operation).__name__
    prefix = "   " * level + ("+ " if ascii_only else "└ ") if level else ""
    cells: list[Any] = [Text.assemble(prefix + operation.name, " (", (class_name, "color(33)"), ")"),
                        _shape_text(operation), _params_text(operation)]
    if not is_chain:
        cells.append(_connections(operation, model._graph))
    if show_trainable:
        has_weights = isinstance(operation, Layer) and len(operation.weights) > 0
        mark = ("Y" if operation.trainable else "N") if has_weights else "-"
        cells.append(Text(mark, style={"Y": "bold color(34)", "N": "bold color(9)"}.get(mark, "bold")))
    return cells


def _colored(text: str) -> Any:
    """Text with its numbers in green and `None` in blue."""
    from rich.text import Text

    colored = Text(text)
    colored.highlight_regex(r"\d[\d,]*", "color(34)")
    colored.highlight_regex(r"None", "color(45)")
    return colored


def _shape_text(operation: Any) -> Any:
    shapes = _output_shapes(operation)
    if shapes is None:
        return "?"
    texts = jax.tree.map(lambda shape: f"({', '.join(map(str, shape))})", shapes, is_leaf=_is_shape)
    flat = jax.tree.leaves(texts)
    texts = flat if isinstance(texts, tuple) else texts  # several outputs are shown as a list
    return _colored(flat[0] if len(flat) == 1 else str(texts).replace("'", ""))


def _output_shapes(operation: Any) -> Any:
    """Shape(s) of the last call in a graph, or for the shapes it was built with; None where it is not known."""
    nodes = [operation] if isinstance(operation, Node) else operation._inbound_nodes
    if nodes:
        return shape_of(nodes[-1].structure)
    if getattr(operation, "_graph", None) is not None:
        return shape_of(operation._graph.outputs)
    if not operation._build_shapes:
        return None
    try:
        return operation.compute_output_shape(*operation._build_shapes.values())
    except Exception:  # a layer that does not run on shapes alone has no shape to show
        return None


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(size is None or isinstance(size, int) for size in value)


def _params_text(operation: Any) -> Any:
    if not isinstance(operation, Layer):
        return _colored("0")
    if operation.built:
        return _colored(f"{operation.count_params():,}")
    has_none = type(operation).build is Layer.build and not any(operation.layers_inside())
    return _colored("0" if has_none else "0 (unbuilt)")


def _connections(operation: Any, graph: Any) -> Any:
    """Where the inputs come from, as layer[number of its call][number of the output]."""
    inside = set(map(id, graph.nodes))
    nodes = [operation] if isinstance(operation, Node) else operation._inbound_nodes
    return _colored(", ".join(_origin(tensor, graph) for node in nodes if id(node) in inside
                              for tensor in node.inputs) or "-")


def _origin(tensor: Any, graph: Any) -> str:
    node, begin = tensor.node, graph.begin_of(tensor)
    if begin is not None:
        return f"{begin.name}[0][0]"
    calls = [node] if node.operation is node else node.target._inbound_nodes
    number = next(i for i, other in enumerate(calls) if other is node)
    return f"{node.name}[{number}][{tensor.index}]"


# -- how it is drawn ---------------------------------------------------------------------------------------
def _widths(positions: list[float], line_length: int) -> list[int]:
    ends = [int(p * line_length) if p <= 1 else int(p) for p in positions]
    widths = [end - start for start, end in zip([0, *ends], ends)]
    if any(width < 4 for width in widths):
        raise problem("There is not enough room for the table.", where="summary",
                      received=f"line_length={line_length}, positions={positions}",
                      expected="at least 4 characters for each column")
    return widths


def _table(columns: list[tuple[str, Any]], widths: list[int], line_length: int, ascii_only: bool) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(width=line_length, show_lines=True, box=box.ASCII if ascii_only else box.HEAVY_HEAD)
    for (name, justify), width in zip(columns, widths):
        table.add_column(name, justify=justify, width=width, overflow="fold" if ascii_only else "ellipsis")
    return table


def _print(model: Any, table: Any, print_fn: Callable[..., Any] | None) -> None:
    from rich.console import Console

    width = max(shutil.get_terminal_size().columns, table.width)  # what was asked for is not cut off
    console = Console(highlight=False, width=width) if print_fn is None else Console(
        highlight=False, width=width, force_terminal=False, force_jupyter=False, color_system=None)
    if print_fn is not None:
        console.begin_capture()
    console.print(f'Model: "{model.name}"', style="bold", markup=False)
    console.print(table)
    for label, variables in _totals(model):
        size = sum(v.nbytes for v in variables)  # not of their values: those may not be drawn yet
        console.print(f"[bold] {label}: [/][color(34)]{sum(v.size for v in variables):,}[/] ({_size_text(size)})")
    if print_fn is not None:
        print_fn(console.end_capture())


def _totals(model: Any) -> list[tuple[str, list[Variable]]]:
    trainable, frozen = model.trainable_weights, model.non_trainable_weights
    optimizer = getattr(model, "optimizer", None)
    slots = list(optimizer.variables) if optimizer is not None and optimizer.built else []
    rows = [("Total params", trainable + frozen + slots), ("Trainable params", trainable),
            ("Non-trainable params", frozen)]
    return [*rows, ("Optimizer params", slots)] if slots else rows


def _size_text(size: float) -> str:
    """A number of bytes in the unit that leaves fewer than four digits before the point."""
    unit = 0
    while size >= 1024 and unit < len(_SIZES) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.2f} {_SIZES[unit]}"
