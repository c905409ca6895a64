"""Every op of Kyeo has the name and the split of arguments that Keras's files give it."""

import importlib
import inspect

import keras
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


OPEN, FULL = (None, None, 8), (None, 10, 8)  # a tensor that leaves open what the other knows
SIZES_OF_OTHERS = [  # calls, shapes of tensors, what comes out
    ("a + b", OPEN, FULL, FULL), ("a * b", OPEN, (10, 8), FULL), ("ops.where(a > 0, a, b)", OPEN, FULL, FULL),
    ("ops.stack([a, b])", OPEN, FULL, (2, *FULL)), ("ops.einsum('btc,btc->bt', a, b)", OPEN, FULL, (None, 10)),
    ("ops.concatenate([a, b], -1)", OPEN, (None, 10, None), (None, 10, None)),
    ("ops.concatenate([a, b], 1)", (None, 4), (3, None), (3, None)), ("a - b", (None, 3), (2, 3), (2, 3)),
    ("ops.matmul(a, b)", (None, 3, 4), (2, 4, 5), (2, 3, 5)), ("a + b", (None, None), (2, 3), (2, 3)),
    ("a + b", (None, 4, 7), (3, None, 8), None), ("ops.reshape(a, (-1, 5)) + b", (None, 4), (5,), (None, 5)),
    ("ops.matmul(a, b)", (None, 4, 20), OPEN, (None, 4, 8)), ("ops.dot(a, b)", (7, 4, None), (None, 6, 8), (7, 4, None, 8)),
    ("ops.einsum('bij,bjk->bik', a, b)", (None, 4, 20), OPEN, (None, 4, 8)),
    ("ops.reshape(a, (2, -1)) + b", (None, 5), (1,), (2, None)),
]


@pytest.mark.parametrize("text, first, second, wanted", SIZES_OF_OTHERS)
def test_a_size_that_one_tensor_leaves_open_is_that_of_another(text, first, second, wanted):
    def shape(library):
        return eval(text, {"ops": library.ops, "a": library.KerasTensor(first), "b": library.KerasTensor(second)}).shape

    if wanted is None:
        for library in (kyeo, keras):
            with pytest.raises((ValueError, TypeError, IndexError)):
                shape(library)
        return
    assert shape(kyeo) == wanted
    assert all(theirs in (None, ours) for theirs, ours in zip(shape(keras), wanted, strict=True))


SIZES_BY_MEANING = [  # calls, shapes of the tensors, what comes out: known, or None
    ("ops.einsum('...ij,...jk->...ik', a, b)", [(None,) * 3, (5, 3, 4)], (5, None, 4)), ("ops.einsum('ii->i', a)", [(None, 4)], (4,)),
    ("ops.dot_product_attention(a, b, c)", [(3, None, 4, 8), (3, None, None, 8), (3, 6, None, 8)], (3, None, 4, 8)),
    ("ops.dot_product_attention(a, b, c)", [(2, 5, None, 4), (2, 7, 3, 4), (None, 7, 3, 4)], (2, 5, None, 4)),
    ("ops.dot_product_attention(a, b, c, bias=d)", [(None, 5, 2, 4), (2, None, 2, 4), (None, 7, 2, 4), (None, 1, 5, 7)], (2, 5, 2, 4)),
    ("ops.dot_product_attention(a, b, c, bias=d)", [(2, None, 4, None), (None, 4, None, None), (None, None, 2, None), (1, 1, None, None)], (2, None, 4, None)),
    ("layers.Attention()([a, b, c])", [(None, 5, 8), (2, None, 4), (2, 7, 8)], (2, 5, 4)),
    ("layers.AdditiveAttention()([a, b, c])", [(None, 5, None), (2, None, 4), (2, 7, 3)], (2, 5, 4)),
    ("layers.MultiHeadAttention(2, 4)(a, b, c)", [(None, 5, 8), (2, None, 8), (2, 7, 8)], (2, 5, 8)),
    ("ops.ctc_decode(a, [5, 5])[1]", [(None, None, 4)], (2, 1)), ("ops.ctc_decode(a, [5, 5], 'beam_search', 4)[0]", [(None, 5, None)], (1, 2, 5)),
    ("ops.ctc_loss(a, b, c, d)", [(None, 3), (2, None, 4), (None,), (2,)], (2,)), ("ops.lstsq(a, b)", [(4, None), (None,)], (None,)),
    ("ops.solve(a, b)", [(2, None, 3), (None, 2)], (2, 3, 2)), ("ops.inv(a)", [(None, 3, None)], (None, 3, 3)), ("ops.split(a, 3)[0]", [(None, 4)], (None, 4)),
    ("ops.image.perspective_transform(a, b, c)", [(None, 5, 6, 3), (2, 4, 2), (None, 4, 2)], (2, 5, 6, 3)), ("ops.image.affine_transform(a, b)", [(2, 5, 6, 3), (None, 8)], (2, 5, 6, 3)),
    ("ops.image.rgb_to_grayscale(a)", [(None,) * 4], (None, None, None, 1)), ("ops.image.rgb_to_hsv(a)", [(None,) * 4], (None, None, None, 3)),
]


@pytest.mark.parametrize("text, shapes, wanted", SIZES_BY_MEANING)
def test_open_sizes_that_are_known_by_what_the_axes_mean(text, shapes, wanted):
    kinds = [("int32" if text.startswith("ops.ctc_loss") and i != 1 else "float32") for i in range(4)]
    tensors = {name: kyeo.KerasTensor(shape, kind) for name, shape, kind in zip("abcd", shapes, kinds)}
    assert eval(text, {"ops": kyeo.ops, "layers": kyeo.layers, **tensors}).shape == wanted


def test_a_model_with_such_a_size_in_another():
    x = kyeo.Input((None, 8))
    inner = kyeo.Model(x, x + np.ones((10, 8), "float32"))
    y = kyeo.Input((None, 8))
    model = kyeo.Model(y, kyeo.layers.Dense(2)(inner(y)))
    assert inner.output_shape == (None, 10, 8) and model.output_shape == (None, 10, 2)
    model.compile("sgd", "mse")
    model.fit(np.ones((3, 10, 8)), np.ones((3, 10, 2)), verbose=0)
    assert model.predict(np.ones((3, 10, 8)), verbose=0).shape == (3, 10, 2)
    assert kyeo.models.clone_model(model).output_shape == (None, 10, 2)
