"""Who may import whom, no cycles, small files and functions, `__all__` everywhere: read from the source."""

import ast
import graphlib
import importlib
import io
import pathlib
import re
import tokenize

import pytest

ROOT = pathlib.Path(__file__).parents[1] / "kyeo"

# A room may import itself and the rooms after the colon; a name in capitals stands for the rooms of that row,
# and "kyeo" is kyeo/__init__.py. To change an edge, change its row, and say why in ARCHITECTURE.md.
TABLE = """
core:
rooms:
ops: core
random dtype_policies activations regularizers constraints: core ops
initializers: core ops random
quantizers: core ops dtype_policies
LEAVES = core ops random dtype_policies activations regularizers constraints initializers quantizers
layers losses metrics optimizers: LEAVES
data callbacks: core ops
saving distribution export: core
PARTS = LEAVES layers losses metrics optimizers data callbacks saving distribution export
train: PARTS
models: PARTS train
config: core dtype_policies
datasets: core ops
legacy tree: core
mixed_precision: core dtype_policies optimizers
utils: core ops data callbacks layers saving datasets config legacy
wrappers: core models saving
backend: core config utils
distillation: PARTS train models
preprocessing visualization: core ops utils
visual: PARTS train models
applications: PARTS train models datasets
LATER = config datasets utils backend preprocessing visualization visual applications legacy tree mixed_precision
LAST = wrappers distillation
ALL = PARTS train models LATER LAST
compat: core data layers losses saving rooms kyeo
kyeo: ALL compat rooms
cli: ALL compat
__main__: cli
"""
# Imports inside functions: heavy or optional packages, and these pairs (importing module, imported module).
LATE_PACKAGES = {
    "h5py", "matplotlib", "rich", "IPython", "torch", "pandas", "tensorflow", "scipy", "PIL", "sklearn", "pydot", "onnx",
    "concurrent", "http", "multiprocessing", "urllib", "wave"}  # of Python's: 10 ms of each start in all
LATE = {
    ("cli.doctor", ":jax"),  # it must speak where JAX cannot be imported
    ("cli.doctor", "core.compile_cache"), ("cli.doctor", "core.processor"), ("cli.doctor", "datasets.fetch"),  # likewise
    ("core.memory", ":jax"),  # it sets the rules before JAX is loaded
    ("ops.image.warp", ":jax"),  # jax.scipy.ndimage: 2 ms, likewise
    ("ops.linalg", ":jax"),  # jax.scipy.linalg: 10 ms of each start for what few programs need
    ("models.files", "export"),  # loads parts of JAX that nothing else needs
    ("models.model", "models.functional"),  # Model(inputs, outputs) makes the class that Keras's files name
    ("models.model", "models.summary"),  # draws with rich
    ("models.model", "saving"),  # reads and writes with h5py
    ("saving.keras_file", "models.model"),  # for type checkers alone: what load_model gives
}

NOT_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
FILE_LINES, FUNCTION_LINES, FUNCTION_P90 = 400, 40, 25
FILES = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in sorted(ROOT.rglob("*.py"))}
FILES = {name.removesuffix("__init__").rstrip(".") or "kyeo": path for name, path in FILES.items()}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def may_import():
    """The table as {room: the rooms it may import}."""
    names, rooms = {}, {}
    for row in TABLE.split("\n")[1:-1]:
        left, right = re.split(" = |:", row)
        allowed = {room for word in right.split() for room in names.get(word, [word])}
        for name in left.split():
            (names if name.isupper() else rooms)[name] = allowed
    return rooms


def targets(module, node):
    """The modules an import statement names: kyeo's own as keys of FILES, others as ':package'."""
    if isinstance(node, ast.Import):
        names = [(alias.name, None) for alias in node.names]
    else:
        package = ["kyeo", *module.split(".")] if module != "kyeo" else ["kyeo"]
        up = node.level - (FILES[module].name == "__init__.py") if node.level else 0
        base = [".".join(package[: len(package) - up])] if node.level else []
        names = [(".".join([*base, *([node.module] if node.module else [])]), a.name) for a in node.names]
    for name, member in names:
        if name.split(".")[0] != "kyeo":
            yield ":" + name.split(".")[0]
            continue
        inside = name.removeprefix("kyeo").lstrip(".").removeprefix("keras.")
        deeper = f"{inside}.{member}".lstrip(".")
        yield deeper if member and deeper in FILES else inside or "kyeo"


def imports():
    """Every import as (importing module, imported module, kind): kind is 'top', 'late' or 'typing'."""
    found = []

    def walk(module, node, kind):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                found.extend((module, target, kind) for target in targets(module, child))
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                walk(module, child, "late")
            else:
                typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                walk(module, child, "typing" if typing else kind)

    for module, tree in TREES.items():
        walk(module, tree, "top")
    return found


def code_lines(path):
    """The numbers of the lines that hold code: no blanks, comments or docstrings."""
    text, lines = path.read_text(encoding="utf-8"), set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str):
            lines.difference_update(range(node.lineno, node.end_lineno + 1))
    return lines


def function_sizes():
    for name, path in FILES.items():
        code = code_lines(path)
        for node in ast.walk(TREES[name]):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}.{node.name}", len(code.intersection(range(node.lineno, node.end_lineno + 1)))


def test_directions():
    allowed = may_import()
    own = {(a, b) for a, b, _ in imports() if not b.startswith(":")} - LATE
    rooms = [(a, b, a.split(".")[0], b.split(".")[0]) for a, b in sorted(own)]
    wrong = [f"{a} imports {b}" for a, b, x, y in rooms if x != y and y not in allowed.get(x, ())]
    assert not wrong, "\n".join(["against the table above:", *wrong])


def test_no_cycles():
    graph = {name: set() for name in FILES}
    for a, b, kind in imports():
        if kind != "typing" and b in graph and (a, b) not in LATE:
            graph[a].add(b)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail("modules import each other: " + " <- ".join(error.args[1]))


def test_late_imports():
    late = {(a, b) for a, b, kind in imports() if kind == "late"}
    wrong = [f"{a}: {b}" for a, b in sorted(late - LATE) if b.removeprefix(":") not in LATE_PACKAGES]
    assert not wrong, "\n".join(["imports inside functions that the lists above do not name:", *wrong])


def test_sizes():
    long = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in FILES.items()}
    wrong = [f"{name}: {lines} lines" for name, lines in long.items() if lines > FILE_LINES]
    functions = list(function_sizes())
    wrong += [f"{name}: {lines} code lines" for name, lines in functions if lines > FUNCTION_LINES]
    assert not wrong, "\n".join(["too long:", *wrong])
    sizes = sorted(lines for _, lines in functions)
    assert sizes[len(sizes) * 9 // 10] <= FUNCTION_P90, "too many long functions"


@pytest.mark.parametrize("name", FILES)
def test_module_head(name):
    body = [n for top in TREES[name].body for n in (top.body if isinstance(top, ast.If) else [top])]
    assigned = {ast.unparse(t) for n in body if isinstance(n, ast.Assign) for t in n.targets}
    assigned |= {ast.unparse(n.target) for n in body if isinstance(n, ast.AnnAssign)}
    assert ast.get_docstring(TREES[name]), f"{FILES[name]} has no docstring"
    assert "__all__" in assigned, f"{FILES[name]} has no __all__"
    module = importlib.import_module("kyeo" if name == "kyeo" else f"kyeo.{name}")
    missing = [public for public in module.__all__ if not hasattr(module, public)]
    assert not missing, f"{FILES[name]}: __all__ names what is not there: {missing}"
    assert len(set(module.__all__)) == len(module.__all__), f"{FILES[name]}: a name twice in __all__"
