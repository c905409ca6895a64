"""clone_model copies the architecture, not the weights."""

import copy
import pickle
import sys

import jax
import numpy as np
import pytest

import kyeo
from tests.saving.builders import BUILDERS, inputs_for

SHAPED = [b for b in BUILDERS if b.__name__ != "piece"]


@pytest.mark.parametrize("build", SHAPED, ids=[b.__name__ for b in SHAPED])
def test_same_function_after_copying_weights(build):
    model = build(kyeo)
    cloned = kyeo.models.clone_model(model)
    assert [layer.name for layer in cloned.layers] == [layer.name for layer in model.layers]
    assert not {id(v) for v in cloned.variables} & {id(v) for v in model.variables}
    cloned.set_weights(model.get_weights())
    for one, other in zip(jax.tree.leaves(model(inputs_for(model))), jax.tree.leaves(cloned(inputs_for(model)))):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_functions_and_tensors():
    x = kyeo.Input((4,))
    inner = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(4)], name="inner")
    model = kyeo.Model(x, kyeo.layers.Dense(2)(inner(x)))
    seen = []

    def wider(layer):
        seen.append(layer.name)
        return kyeo.layers.Dense(7) if isinstance(layer, kyeo.layers.Dense) else layer

    base = kyeo.Input((4,)) * 2.0
    cloned = kyeo.models.clone_model(model, input_tensors=base, clone_function=wider, recursive=True)
    assert cloned.output_shape == (None, 7) and cloned.input is base and len(seen) == 2
    with pytest.raises(ValueError, match="number of input tensors"):
        kyeo.models.clone_model(model, input_tensors=[base, base])
    with pytest.raises(TypeError, match="must give a layer"):
        kyeo.models.clone_model(model, clone_function=lambda layer: 3)


def test_call_function_sees_the_calls_of_the_graph_and_not_those_inside_stacks():
    x = kyeo.Input((4,))
    inner = kyeo.Sequential([kyeo.Input((4,)), kyeo.layers.Dense(4)], name="inner")
    model = kyeo.Model(x, kyeo.layers.Dense(2, name="last")(inner(x)))
    seen = []

    def called(layer, *args, **kwargs):
        seen.append(layer.name)
        return layer(*args, **kwargs)

    cloned = kyeo.models.clone_model(model, call_function=called)
    cloned.set_weights(model.get_weights())
    assert seen == ["inner", "last"]
    np.testing.assert_allclose(cloned(np.ones((1, 4))), model(np.ones((1, 4))), rtol=1e-6)


@pytest.mark.parametrize("x", (np.ones((2, 3)), {"a": np.ones((2, 3)), "b": np.ones((2, 4))}), ids=("array", "dict"))
def test_a_copy_of_a_subclass_takes_the_weights(x):
    class Own(kyeo.Model):
        def __init__(self, units=2, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.parts = [kyeo.layers.Dense(units), kyeo.layers.Dense(units)]

        def call(self, inputs):
            return sum(part(one) for part, one in zip(self.parts, jax.tree.leaves(inputs)))

    model = Own(3)
    model(x)
    model.compile("adam", "mse")
    cloned = kyeo.models.clone_model(model)
    assert cloned.built and cloned.compiled
    cloned.set_weights(model.get_weights())
    np.testing.assert_allclose(cloned(x), model(x), rtol=1e-6)


def deep(calls=250):
    tensors = [kyeo.Input((2,))]
    shared = kyeo.layers.Dense(2, kernel_initializer="identity")
    for number in range(calls):
        tensors.append(shared(tensors[-1]) if number % 2 else kyeo.layers.ReLU()(tensors[-1]))
    return tensors


@pytest.mark.parametrize("cut", [
    lambda t: kyeo.Model(t[0], t[-1]), lambda t: kyeo.Model(t[0], t[-50]), lambda t: kyeo.Model(t[len(t) // 2], t[-1]),
    lambda t: kyeo.Model(t[0], [t[-50], t[10]]), lambda t: kyeo.Model(t[0], t[-1]).layers[-1], lambda t: t[-10],
], ids=["whole", "head", "tail", "two outputs", "layer", "tensor"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])
def test_what_lies_deep_in_a_graph_is_copied(cut, copied):
    # Python 3.11's pickle goes as deep as the program may; later ones have more room, and a whole model is pickled flat
    one = cut(deep(250 if sys.version_info >= (3, 12) or copied is copy.deepcopy else 60))
    other = copied(one)
    if isinstance(one, kyeo.Model):
        x = np.ones((1, 2), "float32")
        for mine, copies in zip(jax.tree.leaves(one(x)), jax.tree.leaves(other(x))):
            np.testing.assert_array_equal(mine, copies)
        assert not {id(v) for v in one.variables} & {id(v) for v in other.variables}
