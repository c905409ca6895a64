"""plot_model and model_to_dot: a model as a drawing, in the language of Graphviz, which draws it."""

import html
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kyeo.core.errors import one_of, problem
from kyeo.core.files import writing
from kyeo.core.parameters import checked
from kyeo.core.symbolic import Node, SymbolicTensor

__all__ = ["DotGraph", "model_to_dot", "plot_model"]

_LINES = ("ortho", "curved", "polyline", "spline", "line", "true", "false", "compound", "none")
_FONT = 'fontname="Helvetica"'


class DotGraph:
    """A drawing in Graphviz's language; what `model_to_dot` gives where the package pydot is not installed.

    Attributes:
        source: the text.

    >>> DotGraph("digraph { a -> b }").to_string()
    'digraph { a -> b }'
    """

    def __init__(self, source: str):
        self.source = source

    def to_string(self) -> str:
        """The text."""
        return self.source

    def create(self, format: str = "png") -> bytes:
        """The picture as bytes, drawn by the program `dot` of Graphviz.

        Raises:
            ImportError: the program is not installed.
        """
        if format in ("dot", "raw", "gv"):
            return self.source.encode()
        program = shutil.which("dot")
        if program is None:
            raise problem("Pictures of models are drawn by the program `dot` of Graphviz, which is not installed.",
                          received=f"format={format!r}", kind=ImportError,
                          fix="install Graphviz (https://graphviz.org/download), write a file whose name ends in "
                              "'.dot' for another program, or print model.summary()")
        drawn = subprocess.run([program, f"-T{format}"], input=self.source.encode(), capture_output=True, check=False)
        if drawn.returncode:
            raise problem("Graphviz could not draw the model.", received=drawn.stderr.decode().strip(), kind=OSError,
                          fix="use another format, such as png or svg")
        return drawn.stdout

    def write(self, path: Any, prog: str | None = None, format: str = "raw") -> bool:
        """Write the text ("raw") or the picture into a file."""
        picture = self.create(format)
        with writing(path) as file:
            file.write(picture)
        return True

    def _repr_html_(self) -> str | None:
        """The picture in a notebook, where Graphviz is installed."""
        return self.create("svg").decode() if shutil.which("dot") else f"<pre>{html.escape(self.source)}</pre>"


@checked
def model_to_dot(
    model: Any, show_shapes: bool = False, show_dtype: bool = False, show_layer_names: bool = True,
    rankdir: str = "TB", expand_nested: bool = False, dpi: int = 200, subgraph: bool = False,
    show_layer_activations: bool = False, show_trainable: bool = False, splines: str = "ortho", **kwargs: Any,
) -> Any:
    """The layers of a model and what flows between them as a drawing.

    Args:
        model: a model that is built. One without a graph (a class with its own `call`) is a list of its layers.
        show_shapes: write the shapes of inputs and outputs.
        show_dtype: write the dtype of the output.
        show_layer_names: write names besides classes.
        rankdir: "TB" from the top down, "LR" from left to right, "BT" or "RL".
        expand_nested: draw models inside as frames with their layers.
        dpi: dots an inch.
        subgraph: give a frame to put into another drawing.
        show_layer_activations: write activations.
        show_trainable: write which layers are trained.
        splines: how lines are drawn: "ortho", "curved", "polyline", "spline" or "line".

    Returns:
        A `pydot.Dot` (`pydot.Cluster` for a subgraph) where pydot is installed, else a `DotGraph`, which has
        `to_string`, `write` and `create` too.

    >>> import kyeo
    >>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2, name="head")])
    >>> "head (Dense)" in kyeo.utils.model_to_dot(model).to_string()
    True
    """
    _refuse(model, kwargs)
    one_of("model_to_dot", _LINES, splines=splines)
    rankdir = one_of("model_to_dot", ("tb", "lr", "bt", "rl"), rankdir=rankdir).upper()
    show = {"shapes": show_shapes, "dtype": show_dtype, "names": show_layer_names,
            "activations": show_layer_activations, "trainable": show_trainable, "nested": expand_nested}
    lines = list(_Drawing(show).lines(model))
    if subgraph:
        head = f"subgraph {_quoted('cluster_' + model.name)} {{\n  style=dashed\n  label={_quoted(model.name)}\n"
    else:
        head = (f"digraph {_quoted(model.name)} {{\n  graph [rankdir={rankdir}, dpi={int(dpi)}, splines={splines}, "
                f"concentrate=true]\n")
    style = f"  node [shape=box, style=rounded, {_FONT}, fontsize=10]\n"
    source = head + style + "\n".join(f"  {line}" for line in lines) + "\n}\n"
    return _by_pydot(source, subgraph) or DotGraph(source)


@checked
def plot_model(
    model: Any, to_file: Any = "model.png", show_shapes: bool = False, show_dtype: bool = False,
    show_layer_names: bool = False, rankdir: str = "TB", expand_nested: bool = False, dpi: int = 200,
    show_layer_activations: bool = False, show_trainable: bool = False, splines: str = "ortho", **kwargs: Any,
) -> Any:
    """Draw a model into a file, by the program `dot` of Graphviz; a name that ends in ".dot" needs nothing.

    Args:
        model: a model that is built.
        to_file: the file; its ending says the format: png, svg, pdf, dot, ...
        show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi, show_layer_activations,
            show_trainable, splines: as in `model_to_dot`.

    Returns:
        In a notebook the picture; else None.

    Raises:
        ImportError: Graphviz is not installed.

    >>> import kyeo, tempfile
    >>> model = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(2)])
    >>> kyeo.utils.plot_model(model, tempfile.mkdtemp() + "/model.dot")
    """
    _refuse(model, kwargs)
    drawing = model_to_dot(model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
                           show_layer_activations=show_layer_activations, show_trainable=show_trainable,
                           splines=splines)
    path = Path(os.fspath(to_file))
    picture = DotGraph(drawing.to_string()).create(path.suffix[1:] or "png")
    with writing(path) as file:
        file.write(picture)
    if "IPython" in sys.modules and path.suffix in (".png", ""):
        return sys.modules["IPython"].display.Image(data=picture)
    return None


def _refuse(model: Any, kwargs: dict[str, Any]) -> None:
    kwargs = {name: value for name, value in kwargs.items() if name != "layer_range" or value is not None}
    if kwargs:
        raise problem("There is no such argument.", received=", ".join(kwargs), where="plot_model")
    if not getattr(model, "built", False):
        raise problem("The model is not built, so there is nothing to draw.", where=model,
                      fix="call it on data, or begin it with Input(shape=...), first")


def _by_pydot(source: str, subgraph: bool) -> Any:
    """The drawing as an object of pydot; None where pydot is not installed."""
    try:
        import pydot
    except ImportError:
        return None
    if not subgraph:
        return pydot.graph_from_dot_data(source)[0]
    (whole,) = pydot.graph_from_dot_data(f"digraph {{\n{source}}}")
    (cluster,) = whole.get_subgraphs()
    frame = pydot.Cluster(cluster.get_name().strip('"').removeprefix("cluster_"))
    frame.obj_dict = {**cluster.obj_dict, "name": cluster.get_name()}
    return frame


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Drawing:
    """Writes the boxes and lines of a model and of the models inside it."""

    def __init__(self, show: dict[str, bool]):
        self._show = show
        self._ids: dict[int, str] = {}
        self._frames: dict[int, Any] = {}  # models that are drawn as frames

    def lines(self, model: Any) -> Iterator[str]:
        graph = getattr(model, "_graph", None)
        if graph is None:
            layers = list(getattr(model, "layers", []))
            for layer in layers:
                yield self._box(layer)
            if type(model).__name__ == "Sequential":
                for before, after in itertools.pairwise(layers):
                    yield f"{self._id(before)} -> {self._id(after)}"
            return
        for operation in graph.operations:
            if self._show["nested"] and getattr(operation, "_graph", None) is not None:
                self._frames[id(operation)] = operation
                yield f"subgraph {_quoted('cluster_' + self._id(operation))} {{"
                yield f"  style=dashed; labeljust=l; label={_quoted(operation.name)}"
                yield from (f"  {line}" for line in self.lines(operation))
                yield "}"
            else:
                yield self._box(operation)
        drawn: set[str] = set()
        for node in graph.nodes:
            for tensor in node.inputs:
                begin = graph.begin_of(tensor)
                end = self._end_of(tensor) if begin is None else self._id(begin)
                line = f"{end} -> {self._begin_of(node.operation)}"
                if line not in drawn:
                    drawn.add(line)
                    yield line

    def _id(self, operation: Any) -> str:
        return self._ids.setdefault(id(operation), f"n{len(self._ids)}")

    def _end_of(self, tensor: SymbolicTensor) -> str:
        """The box that a tensor comes from."""
        assert tensor.node is not None
        operation, index = tensor.node.operation, tensor.index
        while id(operation) in self._frames:
            inner = operation._graph.output_tensors[index]
            operation, index = inner.node.operation, inner.index
        return self._id(operation)

    def _begin_of(self, operation: Any) -> str:
        """The box that takes what flows into a thing."""
        while id(operation) in self._frames:
            operation = operation._graph.input_tensors[0].node.operation
        return self._id(operation)

    def _box(self, operation: Any) -> str:
        is_op = isinstance(operation, Node)
        kind = getattr(operation.target, "__name__", "op") if is_op else type(operation).__name__
        nodes = [operation] if is_op else operation._inbound_nodes
        rows = [f"{operation.name} ({kind})" if self._show["names"] else kind]
        activation = getattr(operation, "activation", None)
        if self._show["activations"] and activation is not None:
            rows.append(f"activation: {getattr(activation, '__name__', type(activation).__name__)}")
        if nodes and self._show["shapes"]:
            node = nodes[-1]
            rows += [f"input: {_shapes(node.inputs)}"] if node.inputs else []
            rows.append(f"output: {_shapes(node.output_tensors)}")
        if nodes and self._show["dtype"]:
            rows.append("dtype: " + ", ".join(t.dtype for t in nodes[-1].output_tensors))
        if self._show["trainable"] and not is_op and operation.weights:
            rows.append("trainable" if operation.trainable else "not trainable")
        return f"{self._id(operation)} [label={_quoted(chr(10).join(rows)).replace(chr(10), chr(92) + 'n')}]"


def _shapes(tensors: list[SymbolicTensor]) -> str:
    return ", ".join(str(tuple(t.shape)) for t in tensors)
