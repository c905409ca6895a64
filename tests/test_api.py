"""Every public name of Keras is here, with its parameters, or docs/differences.md says why not."""

import inspect

import pytest

import kyeo
from scripts import compare_api, keras_stubs


def test_nothing_undocumented_is_missing(capsys):
    code = compare_api.main([])
    assert code == 0, capsys.readouterr().out


def test_what_is_left_out_says_what_to_use():
    for path in compare_api.documented("Names left out"):
        with pytest.raises(AttributeError, match="Fix:") as caught:
            compare_api.found(kyeo, path)
        assert path.rpartition(".")[2] in str(caught.value)
    with pytest.raises(AttributeError, match="did you mean 'Sequential'"):
        kyeo.Sequentail


def test_methods_are_compared():
    class Theirs:
        def a(self, x, y=1): ...
        def b(self, x): ...
        def call(self, x, mask=None): ...

    class Ours:
        def a(self, x, y=2): ...
        def call(self, inputs, previous=None): ...
        def __init__(self):
            self.kept = 1

    assert compare_api.has(Ours, "kept") and not compare_api.has(Ours, "b")
    assert [compare_api._same_method(getattr(Theirs, n), getattr(Ours, n), n) for n in ("a", "call")] == [False, True]
    with pytest.raises(NotImplementedError, match="train_step"):
        type("Own", (kyeo.Sequential,), {"make_train_function": lambda self: 0})([kyeo.layers.Dense(1)]).predict([[1.0]])


def test_signatures_are_compared():
    def parameters(text):
        return compare_api.parameters(eval(f"lambda {text}: 0"))

    for theirs, ours, same in [
        ("a, b=1", "a, b=1", True), ("a, b=1", "a, b=2", False), ("a, b=1", "b=1, a=2", False), ("a", "a, c=3", True),
        ("a", "a, c", False), ("a", "a=1", True), ("a=(1, 1)", "a=1", True), ("a, **kwargs", "a", False),
        ("a, **kwargs", "a, **more", True), ("a, name=None", "a, **kwargs", True), ("a, **kwargs", "a, name, trainable, dtype", False),
        ("a, **kwargs", "a, name=None, trainable=True, dtype=None", True), ("a, b=2", "a, *, b=2", False),
    ]:
        assert compare_api.same(parameters(theirs), parameters(ours)) == same, (theirs, ours)
    assert compare_api.parameters(3) is None and inspect.isclass(kyeo.Operation)


def test_stubs_are_what_the_script_writes():
    """What editors and type checkers take for `kyeo.keras`; `make types` looks at tests/typed_program.py through it."""
    folder = keras_stubs.FOLDER
    there = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.pyi")}
    assert there == keras_stubs.stubs(), "run scripts/keras_stubs.py"
    assert list(folder.rglob("*.py")) == [] and kyeo.keras is kyeo  # Python never reads them
