"""clone_model copies the architecture, not the weights."""

import jax
import numpy as np
import pytest

import kyeo
from tests.saving.builders import BUILDERS, inputs_for

SHAPED = [b for b in BUILDERS if b.__name__ != "piece"]


@pytest.mark.parametrize("build", SHAPED, ids=[b.__name__ for b in SHAPED])
def test_same_function_after_copying_weights(build):
    model = build(kyeo)
    copy = kyeo.models.clone_model(model)
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    assert not {id(v) for v in copy.variables} & {id(v) for v in model.variables}
    copy.set_weights(model.get_weights())
    for one, other in zip(jax.tree.leaves(model(inputs_for(model))), jax.tree.leaves(copy(inputs_for(model)))):
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
    copy = kyeo.models.clone_model(model, input_tensors=base, clone_function=wider, recursive=True)
    assert copy.output_shape == (None, 7) and copy.input is base and len(seen) == 2
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

    copy = kyeo.models.clone_model(model, call_function=called)
    copy.set_weights(model.get_weights())
    assert seen == ["inner", "last"]
    np.testing.assert_allclose(copy(np.ones((1, 4))), model(np.ones((1, 4))), rtol=1e-6)


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
    copy = kyeo.models.clone_model(model)
    assert copy.built and copy.compiled
    copy.set_weights(model.get_weights())
    np.testing.assert_allclose(copy(x), model(x), rtol=1e-6)
