"""What users open: StatelessScope, name_scope, device, RematScope; and Operation and Function."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo


def test_stateless_scope():
    layer = kyeo.layers.BatchNormalization()
    layer.build((None, 3))
    extra = kyeo.Variable(0.0, name="extra")

    def both(library, layer):
        given = [(v, np.full(v.shape, 0.5, "float32")) for v in layer.weights]
        with library.StatelessScope(given, collect_losses=True) as block:
            out = layer(np.arange(12.0, dtype="float32").reshape(4, 3), training=True)
        return [np.asarray(out), *(np.asarray(block.get_current_value(v)) for v in layer.weights)]

    theirs = keras.layers.BatchNormalization()
    theirs.build((None, 3))
    before = layer.get_weights()
    for a, b in zip(both(kyeo, layer), both(keras, theirs)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer.get_weights(), before)
    with kyeo.StatelessScope() as block:
        block.add_update((extra, jnp.float32(3)))
        block.add_loss(2.0)
        assert float(extra.value) == 3
        assert [float(v) for v in block.losses] == [2.0]
    assert (float(extra.value), float(block.get_current_value(extra))) == (0, 3)
    assert block.get_current_value(layer.gamma) is None


@pytest.mark.parametrize("opened, seen", [
    (lambda library: library.name_scope("a"), lambda library: library.Variable(0.0, name="v").path),
    (lambda library: library.RematScope("full"),
     lambda library: any(v for k, v in vars(library.layers.Dense(1)).items() if k in ("_remat", "_remat_mode"))),
])
def test_a_scope_is_entered_again_while_it_is_open(opened, seen):
    def what_is_seen(library):
        block, out = opened(library), []
        with block:
            with block:
                out.append(seen(library))
            out.append(seen(library))
        with block:
            out.append(seen(library))
        return [*out, seen(library)]

    assert what_is_seen(kyeo) == what_is_seen(keras)


def test_losses_of_layers_are_collected():
    layer = kyeo.layers.Dense(1, activity_regularizer="l2")
    layer.build((None, 2))
    with kyeo.StatelessScope(collect_losses=True) as block:
        layer(np.ones((4, 2), "float32"))
    assert len(block.losses) == 1 and not layer.losses


def test_paths_have_the_names_of_scopes():
    def paths(library):
        out, caller = [], object()
        with library.name_scope("a"), library.name_scope("b", caller=caller):
            out.append(library.Variable(0.0, name="v").path)
            with library.name_scope("b", caller=caller):
                out.append(library.Variable(0.0, name="v").path)
            with library.name_scope("b", caller=caller, deduplicate=False):
                out.append(library.Variable(0.0, name="v").path)
            with library.name_scope("c", override_parent="x"):
                out.append(library.Variable(0.0, name="v").path)
            with library.name_scope("c", override_parent=""):
                out.append(library.Variable(0.0, name="v").path)
        return out

    assert paths(kyeo) == paths(keras)


MODES = [("full", {}), ("activations", {}), ("larger_than", {"output_size_threshold": 3}), ("larger_than", {}),
         ("list_of_layers", {"layer_names": ["d"]}), (None, {})]


@pytest.mark.parametrize(("mode", "more"), MODES)
def test_remat_scope_changes_no_number(mode, more):
    with kyeo.RematScope(mode, **more):
        layers = [kyeo.layers.Dense(4, "tanh", kernel_initializer="ones", name="d"), kyeo.layers.Dropout(0.5, seed=1)]
    x = jnp.linspace(-1, 1, 6).reshape(2, 3)
    layers[0].build((None, 3))
    plain = kyeo.layers.Dense(4, "tanh", kernel_initializer="ones")
    plain.build((None, 3))

    def loss(weights, layer):
        return jnp.sum(layer.stateless_call(weights, [], x)[0] ** 2)

    weights = [v.value for v in plain.weights]
    text = str(jax.make_jaxpr(jax.grad(lambda w: loss(w, layers[0])))(weights))
    assert ("checkpoint" in text or "remat" in text) == (mode is not None and (mode, more) != ("larger_than", {}))
    for a, b in zip(jax.grad(loss)(weights, layers[0]), jax.grad(loss)(weights, plain)):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    seed = layers[1].seed_generator.state.numpy()
    layers[1](x, training=True)
    assert (layers[1].seed_generator.state.numpy() != seed).any()  # what a layer assigns comes out


def test_remat_scope_trains():
    with kyeo.RematScope("full"):
        layers = [kyeo.layers.Dense(3, "tanh"), kyeo.layers.BatchNormalization(), kyeo.layers.Dropout(0.2)]
    model = kyeo.Sequential([*layers, kyeo.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(np.ones((8, 2), "float32"), np.zeros((8, 1), "float32"), epochs=2, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert (layers[1].moving_mean.numpy() != 0).any()


class Scale(kyeo.Operation):
    """A user's operation."""

    def __init__(self, factor, name=None):
        super().__init__(name=name)
        self.factor = factor

    def call(self, x):
        return x * self.factor


def test_operations_stand_in_graphs(tmp_path):
    x = kyeo.Input((3,), name="x")
    scale = Scale(2.0, name="twice")
    model = kyeo.Model(x, kyeo.layers.Dense(1)(scale(x)))
    assert isinstance(model.layers[1], kyeo.Operation) and scale.output.shape == (None, 3)
    data = np.ones((5, 3), "float32")
    model.summary(print_fn=lambda line: None)
    model.compile("sgd", "mse")
    model.fit(data, data[:, :1], batch_size=2, verbose=0)  # the user's operation may mix rows: no padding
    model.save(tmp_path / "m.keras")
    again = kyeo.models.load_model(tmp_path / "m.keras", custom_objects={"Scale": Scale})
    np.testing.assert_allclose(again.predict(data, verbose=0), model.predict(data, verbose=0))
    assert Scale.from_config(scale.get_config()).factor == 2.0


def test_function():
    def both(library):
        a, b = library.KerasTensor((None, 3), name="a"), library.KerasTensor((None, 3), name="b")
        c = library.ops.matmul(a, library.ops.transpose(b))
        fn = library.Function([a, b], {"c": c, "d": library.ops.exp(a)}, name="f")
        out = fn([np.ones((2, 3), "float32"), np.full((2, 3), 0.5, "float32")])
        spec = fn.compute_output_spec([library.KerasTensor((4, 3)), library.KerasTensor((4, 3))])
        return ({k: np.asarray(v).tolist() for k, v in out.items()}, {k: (v.shape, v.dtype) for k, v in spec.items()},
                fn.name, len(fn.inputs), len(fn.outputs))

    assert both(kyeo) == both(keras)
    a = kyeo.KerasTensor((None, 3))
    assert kyeo.Function(a, a * 2).compute_output_shape((5, 3)) == (5, 3)
    counts = [len(library.Function(one, library.ops.exp(one) * 2).operations)  # without, and with an InputLayer
              for library in (keras, kyeo) for one in (library.KerasTensor((None, 3)), library.Input((3,)))]
    assert counts[:2] == counts[2:]


@pytest.mark.parametrize(("call", "part"), [
    (lambda: kyeo.StatelessScope([(3, 4)]), "Only variables"), (lambda: kyeo.name_scope("a/b"), "'/'"),
    (lambda: kyeo.StatelessScope([(kyeo.Variable(1.0), [1.0, 2.0])]), "does not fit"), (lambda: kyeo.device("gpux:0"), "no such device"),
    (lambda: kyeo.device("cpu:99"), "no such device"), (lambda: kyeo.RematScope("some"), "mode"), (lambda: kyeo.remat(3), "`f`"),
    (lambda: kyeo.Operation("a/b"), "'/'"), (lambda: kyeo.Operation()(1), "no `call`"), (lambda: kyeo.Operation().input, "symbolic"),
])
def test_bad_arguments(call, part):
    with pytest.raises((ValueError, TypeError, NotImplementedError, AttributeError)) as caught:
        call()
    assert part in str(caught.value) and "\n  " in str(caught.value)


def test_device():
    with kyeo.device("CPU"):
        assert kyeo.ops.ones(1).device == jax.devices("cpu")[0]
    with kyeo.device(jax.devices("cpu")[0]):
        assert kyeo.Variable([1.0]).value.device == jax.devices("cpu")[0]


def _states(library):
    optimizer, metric = library.optimizers.SGD(0.1, momentum=0.9), library.metrics.Mean()
    weights = [library.Variable(np.ones((2, 3), "float32")), library.Variable(np.zeros(3, "float32"))]
    optimizer.build(weights)
    return {
        "optimizer": lambda: optimizer.stateless_apply(
            optimizer.variables, [np.ones((2, 3), "float32"), np.ones(3, "float32")], weights),
        "metric": lambda: metric.stateless_update_state(metric.variables, np.float32([1, 3])),
        "result": lambda: metric.stateless_result(metric.variables),
    }


@pytest.mark.parametrize("of", ["optimizer", "metric", "result"])
def test_stateless_functions_take_the_variables_themselves(of):
    found, wanted = (jax.tree.leaves(_states(library)[of]()) for library in (kyeo, keras))
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_a_container_that_holds_itself_is_looked_into_once(tmp_path):
    for library in (kyeo, keras):
        class Ring(library.Model):
            def __init__(self):
                super().__init__()
                self.blocks = [library.layers.Dense(2)]
                self.blocks.append(self.blocks)

            def call(self, x):
                return self.blocks[0](x)

        model = Ring()
        before = np.asarray(model(np.ones((1, 3), "float32")))
        model.save_weights(tmp_path / "ring.weights.h5")
        model.blocks[0].kernel.assign(np.zeros((3, 2), "float32"))
        model.load_weights(tmp_path / "ring.weights.h5")
        np.testing.assert_array_equal(model(np.ones((1, 3), "float32")), before)
        assert len(model.weights) == 2


def test_a_scope_of_custom_objects_is_entered_again():
    for library in (keras, kyeo):
        scope = library.saving.CustomObjectScope({"double": lambda x: 2 * x})
        for _ in range(2):
            with scope as entered:
                assert entered is scope and library.saving.get_registered_object("double")(3) == 6
        assert isinstance(scope, library.utils.custom_object_scope)
        assert library.saving.get_registered_object("double") is None
