"""Every op of Kyeo has the name and the split of arguments that Keras's files give it."""

import importlib
import inspect

import numpy as np
import pytest
from keras.src.ops.operation import Operation

import kyeo
from kyeo.core.op import OPS
from kyeo.models.op_calls import OpCall, _split, op_class

importlib.import_module("kyeo.ops")
MODULES = [importlib.import_module(f"keras.src.ops.{m}") for m in ("numpy", "nn", "math", "core", "linalg", "image")]
CLASSES = {(m.__name__, n): c for m in MODULES for n, c in vars(m).items()
           if isinstance(c, type) and issubclass(c, Operation) and c is not Operation and c.__module__ == m.__name__}
KNOWN = [name for name in OPS if op_class(name) in CLASSES]


def names(function, skip=("self", "name", "args", "kwargs")):
    return [p for p in inspect.signature(function).parameters if p not in skip]


@pytest.mark.parametrize("name", KNOWN)
def test_split(name):
    theirs = CLASSES[op_class(name)]
    call, variadic, _ = _split(OPS[name])
    if names(theirs.call) == ["x", "y"] and call == ("x1", "x2"):
        return  # both are given by position
    config = set(names(OPS[name])) - set(call) - {variadic}
    assert not set(call) - set(names(theirs.call)), "arguments of the call"
    assert not config - set(names(theirs.__init__)), "arguments of the config"
    shared = [n for n in names(theirs.call) if n in call]
    assert shared == list(call), "order of the call's arguments"


def test_most_ops_are_known():
    assert len(KNOWN) >= 200
    by_class = {class_name.lower() for _, class_name in CLASSES}
    missing = [n for n in OPS if op_class(n) not in CLASSES and n.replace("_", "") in by_class]
    assert not missing, "ops that Keras has under another name or in another module"


def test_calls_with_many_tensors():
    x, y = kyeo.Input((3,)), kyeo.Input((3,))
    node = kyeo.ops.einsum("bi,bi->b", x, y).node
    config, args, kwargs = OpCall.split(node.target, node.args, node.kwargs)
    assert (config, len(args), kwargs) == ({"subscripts": "bi,bi->b"}, 2, {})
    spec = {"module": "keras.src.ops.numpy", "class_name": "Einsum", "config": {"name": "e", **config}}
    ones = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(OpCall.from_spec(spec)(ones, ones), [3, 3])


def test_unknown_op():
    spec = {"module": "keras.src.ops.numpy", "class_name": "Nonsense", "config": {}, "name": "here"}
    with pytest.raises(ValueError, match="'Nonsense'") as caught:
        OpCall.from_spec(spec)
    assert "here" in str(caught.value)
