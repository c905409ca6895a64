"""Run with four virtual devices: a training on them is that on one, for any size of batch."""

import json
import sys

import jax
import numpy as np

import kyeo
from kyeo.ops.kernels import winograd

assert jax.device_count() == 4
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(22, 6, 6, 2)).astype("float32"), RNG.integers(0, 3, 22)
MESH = kyeo.distribution.DeviceMesh((2, 2), ["batch", "model"])
LAYOUTS = kyeo.distribution.LayoutMap(MESH)
LAYOUTS[".*dense.*kernel"] = (None, "model")
LAYOUTS[".*dense.*bias"] = ("model",)


def model(kind):
    kyeo.utils.set_random_seed(0)
    layers = kyeo.layers
    inner = {"dense": [layers.Flatten()], "own": [layers.Lambda(lambda x: 2 * x), layers.Flatten()],
             "conv": [layers.Conv2D(4, 3), layers.Flatten()]}[kind]
    made = kyeo.Sequential([kyeo.Input((6, 6, 2)), *inner, layers.Dense(8, "relu", name="dense_a"),
                            layers.BatchNormalization(momentum=0.5), layers.Dropout(0.3, seed=1),
                            layers.Dense(4, "softmax", name="dense_b")])
    made.compile(kyeo.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def results(made, batch):
    history = made.fit(X, Y, batch_size=batch, epochs=2, verbose=0, validation_data=(X[:9], Y[:9])).history
    scores = made.evaluate(X[:13], Y[:13], batch_size=batch, verbose=0)
    outputs = [made.predict(X, verbose=0), made.predict(X[:3], verbose=0), made.predict(X, batch_size=7, verbose=0)]
    return jax.tree.leaves([history, scores, outputs, made.get_weights(), [np.asarray(v) for v in made.optimizer.variables]])


def compare(distribution, kind, batch):
    kyeo.distribution.set_distribution(None)
    wanted = results(model(kind), batch)
    kyeo.distribution.set_distribution(distribution)
    made = model(kind)
    got = results(made, batch)
    assert len(got) == len(wanted)
    error = max(np.abs(np.float64(a) - np.float64(b)).max() / max(1, np.abs(b).max()) for a, b in zip(got, wanted))
    assert all(len(v.value.sharding.device_set) == 4 for v in made.variables), "not on all devices"
    return float(error), made


def gathers():
    """How often the devices, each with some of the filters, ask each other for a kernel's gradient by Winograd."""
    images = np.zeros((8, 8, 8, 32), "float32")
    filters = jax.NamedSharding(MESH.backend_mesh, jax.P(None, None, None, "model"))
    find = jax.jit(lambda x, g: winograd.kernel_gradient(x, g, ((1, 1), (1, 1))), out_shardings=filters)
    return find.lower(images, jax.device_put(images, filters)).compile().as_text().count("all-gather(")


if __name__ == "__main__":
    errors = {}
    parallel = kyeo.distribution.DataParallel()
    divided = kyeo.distribution.ModelParallel(layout_map=LAYOUTS)
    for name, distribution, kind, batch in [
        ("data dense 6", parallel, "dense", 6), ("data conv 8", parallel, "conv", 8), ("data dense 1", parallel, "dense", 1),
        ("data own 6", parallel, "own", 6),
        ("model dense 5", divided, "dense", 5), ("model conv 8", divided, "conv", 8),
    ]:
        errors[name], made = compare(distribution, kind, batch)
    kernel = made.get_layer("dense_a")._kernel
    slot = next(v for v in made.optimizer.variables if v.name.endswith("dense_a_kernel_momentum"))
    errors["kernel"], errors["slot"] = (str(v.value.sharding.spec) for v in (kernel, slot))

    # one batch by hand, a Sequential that was made before, and back to one device
    kyeo.distribution.set_distribution(None)
    before = model("dense")
    first = before.train_on_batch(X[:8], Y[:8])
    with parallel.scope():
        before.train_on_batch(X[:8], Y[:8])
        assert len(before.layers[1]._kernel.value.sharding.device_set) == 4
        before.save(sys.argv[1])
        again = kyeo.models.load_model(sys.argv[1])
        errors["file"] = float(np.abs(again.predict(X, verbose=0) - before.predict(X, verbose=0)).max())
    assert kyeo.distribution.distribution() is None and np.isfinite(first).all()
    errors["after"] = float(np.abs(before.predict(X, verbose=0) - again.predict(X, verbose=0)).max())

    errors["gathers"] = gathers()

    # extremes along an axis that lies on several devices
    spread = X[:8, 0, 0].copy()
    spread[5, 0] = np.nan
    whole = jax.device_put(spread, jax.NamedSharding(jax.make_mesh((4,), ("rows",)), jax.P("rows")))
    ends = [np.nan_to_num(ops(whole, axis=0)) - np.nan_to_num(by_numpy(spread, axis=0))
            for ops, by_numpy in ((kyeo.ops.max, np.max), (kyeo.ops.min, np.min))]
    errors["ends"] = float(np.abs(ends).max())
    print(json.dumps(errors))
