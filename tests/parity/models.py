"""Random graphs of layers, compiled with random losses and metrics and trained by both packages for `random_parity.py`."""

import io
import json
import os
import tempfile

import jax
import keras
import numpy as np

import kyeo
from tests.conformance.case import Inner, made
from tests.parity.compare import unlike_words

__all__ = ["draw", "steps"]

ACTIVATIONS = ["relu", "tanh", "sigmoid", "gelu", None, "elu", "softplus"]
REGULARIZERS = [None] * 5 + ["l2", "l1"]


def layer(name, /, **words):
    return {"kind": name, "words": words}


def of_vector(rng, shape):
    n = shape[0]
    choices = [
        (layer("Dense", units=(u := rng.randint(1, 6)), activation=rng.choice(ACTIVATIONS), use_bias=rng.random() < 0.8,
               kernel_regularizer=rng.choice(REGULARIZERS), activity_regularizer=rng.choice(REGULARIZERS),
               kernel_constraint=rng.choice([None] * 5 + ["max_norm", "non_neg"]), trainable=rng.random() < 0.9), (u,)),
        (layer("BatchNormalization", momentum=rng.choice([0.5, 0.9]), epsilon=0.1, trainable=rng.random() < 0.8), shape),
        (layer("LayerNormalization", epsilon=0.1), shape), (layer("Activation", activation=rng.choice(ACTIVATIONS[:4])), shape),
        (layer("Dropout", rate=0.0), shape), (layer("RepeatVector", n=3), (3, n)), (layer("Reshape", target_shape=(n, 1)), (n, 1)),
        (layer("Rescaling", scale=0.5, offset=0.1), shape), (layer("PReLU"), shape), (layer("UnitNormalization"), shape),
        (layer("ActivityRegularization", l2=0.01), shape), (layer("GaussianNoise", stddev=0.0), shape), (layer("Softmax"), shape),
        (layer("SpectralNormalization", layer=Inner("Dense", units=2)), (2,)) if rng.random() < 0.3 else (layer("ReLU", max_value=2.0), shape)]
    return rng.choice(choices)


def of_sequence(rng, shape):
    steps, n = shape
    units, kind = rng.randint(1, 4), rng.choice(["LSTM", "GRU", "SimpleRNN"])
    whole = rng.random() < 0.5
    after = (steps, units) if whole else (units,)
    twice = (steps, 2 * units) if whole else (2 * units,)
    return rng.choice([
        (layer(kind, units=units, return_sequences=whole, go_backwards=rng.random() < 0.2), after),
        (layer("Bidirectional", layer=Inner(kind, units=units, return_sequences=whole)), twice),
        (layer("Conv1D", filters=units, kernel_size=rng.randint(1, 3), padding=rng.choice(["same", "causal"])), (steps, units)),
        (layer("Dense", units=units, activation="tanh"), (steps, units)), (layer("TimeDistributed", layer=Inner("Dense", units=units)), (steps, units)),
        (layer("GlobalAveragePooling1D"), (n,)), (layer("GlobalMaxPooling1D"), (n,)), (layer("Flatten"), (steps * n,)),
        (layer("LayerNormalization", epsilon=0.1), shape), (layer("Masking"), shape), (layer("Permute", dims=(2, 1)), (n, steps)),
        (layer("BatchNormalization", epsilon=0.1), shape), (layer("SpatialDropout1D", rate=0.0), shape),
        (layer("ZeroPadding1D", padding=1), (steps + 2, n)), (layer("MaxPooling1D", pool_size=2, padding="same"), (-(-steps // 2), n))])


def of_image(rng, shape):
    h, w, c = shape
    f = rng.randint(1, 4)
    return rng.choice([
        (layer("Conv2D", filters=f, kernel_size=rng.randint(1, 3), padding="same", activation=rng.choice(ACTIVATIONS[:4])), (h, w, f)),
        (layer("DepthwiseConv2D", kernel_size=2, padding="same"), shape), (layer("MaxPooling2D", padding="same"), (-(-h // 2), -(-w // 2), c)),
        (layer("AveragePooling2D", padding="same", pool_size=2), (-(-h // 2), -(-w // 2), c)),
        (layer("BatchNormalization", epsilon=0.1), shape), (layer("GlobalAveragePooling2D"), (c,)), (layer("Flatten"), (h * w * c,)),
        (layer("Reshape", target_shape=(h * w, c)), (h * w, c)), (layer("SeparableConv2D", filters=f, kernel_size=2, padding="same"), (h, w, f)),
        (layer("GroupNormalization", groups=1, epsilon=0.1), shape), (layer("UpSampling2D"), (2 * h, 2 * w, c)) if h < 6 else (layer("GlobalMaxPooling2D"), (c,))])


def grown(rng, shape):
    return {1: of_vector, 2: of_sequence, 3: of_image}[len(shape)](rng, shape)


OPS = {"double": lambda k, x: x * 2 + 0.5, "mean": lambda k, x: k.ops.mean(x, axis=-1, keepdims=True), "tanh": lambda k, x: k.ops.tanh(x),
       "minus": lambda k, x: 1 - x, "square": lambda k, x: k.ops.square(x) * 0.1, "where": lambda k, x: k.ops.where(x > 0, x, 0.1 * x)}


def draw(rng):
    inputs = []
    for i in range(rng.choice([1, 1, 2, 3])):
        kind = rng.choice(["vector", "vector", "sequence", "image", "ids"])
        shape = {"vector": (rng.randint(2, 5),), "sequence": (rng.randint(2, 5), rng.randint(1, 3)), "image": (4, 4, rng.randint(1, 2)),
                 "ids": (rng.randint(2, 5),)}[kind]
        inputs.append({"name": f"in{i}", "shape": shape, "dtype": "int32" if kind == "ids" else "float32", "kind": kind})
    nodes, shapes, used = [], [i["shape"] for i in inputs], {}
    live = [i for i, one in enumerate(inputs) if one["kind"] != "ids"]
    for i, one in enumerate(inputs):
        if one["kind"] == "ids":
            nodes.append({"layer": "Embedding", "of": [i], "words": {"input_dim": 7, "output_dim": (d := rng.randint(1, 3)), "mask_zero": rng.random() < 0.6}})
            shapes.append((*one["shape"], d))
            live.append(len(shapes) - 1)
    # nodes that come first refer to inputs only; node j makes tensor len(inputs) + j
    for _ in range(rng.randint(4, 12)):
        at = rng.choice(live)
        alike = [j for j in live if shapes[j] == shapes[at] and j != at]
        chance = rng.random()
        if alike and chance < 0.35:
            name = rng.choice(["Add", "Multiply", "Average", "Maximum", "Concatenate", "Subtract", "Minimum"])
            of = [at, rng.choice(alike)] + ([at] if name in ("Add", "Concatenate") and rng.random() < 0.2 else [])
            shape = shapes[at] if name != "Concatenate" else (*shapes[at][:-1], shapes[at][-1] * len(of))
            nodes.append({"layer": name, "of": of, "words": {}})
        elif chance < 0.45:
            op = rng.choice(list(OPS))
            shape = shapes[at] if op != "mean" else (*shapes[at][:-1], 1)
            nodes.append({"op": op, "of": [at]})
        elif chance < 0.55 and len(shapes[at]) == 2:
            name = rng.choice(["Attention", "MultiHeadAttention"])
            shape = shapes[at]
            nodes.append({"layer": name, "of": [at, at], "words": {"num_heads": 2, "key_dim": 2} if name != "Attention" else {}})
        elif chance < 0.65:
            first, shape = grown(rng, shapes[at])
            second, shape = grown(rng, shape)
            nodes.append({"model": [first, second], "of": [at], "given": shapes[at], "kind": rng.choice(["Sequential", "Functional", "bare"])})
        else:
            again = [j for j, (shape_in, _) in used.items() if shape_in == shapes[at]]
            if again and rng.random() < 0.5:
                shared = rng.choice(again)
                shape = used[shared][1]
                nodes.append({"shared": shared, "of": [at]})
            else:
                words, shape = grown(rng, shapes[at])
                if not words["words"].get("activity_regularizer") and words["kind"] != "ActivityRegularization":  # Keras counts its last call only
                    used[len(nodes)] = shapes[at], shape
                nodes.append({"layer": words["kind"], "of": [at], "words": words["words"]})
        shapes.append(shape)
        live.append(len(shapes) - 1)
    outputs = []
    for i, at in enumerate(rng.sample(live, min(len(live), rng.choice([1, 1, 2, 3])))):
        outputs.append({"name": f"out{i}", "of": at, "rank": len(shapes[at]), "kind": rng.choice(["values", "classes", "binary", "hot"])})
    return {"inputs": inputs, "nodes": nodes, "outputs": outputs, **training(rng, inputs, outputs)}


LOSSES = {"values": ["mse", "mae", "huber", "log_cosh", {"class_name": "MeanSquaredError", "config": {"reduction": "sum"}}, {"class_name": "Huber", "config": {"delta": 0.5}},
                     {"class_name": "MeanAbsoluteError", "config": {"reduction": "mean_with_sample_weight"}}, "cosine_similarity"],
          "classes": ["sparse_categorical_crossentropy", {"class_name": "SparseCategoricalCrossentropy", "config": {"ignore_class": 1}}],
          "binary": ["binary_crossentropy", "hinge", {"class_name": "BinaryFocalCrossentropy", "config": {"gamma": 1.5}}, "mse",
                     {"class_name": "BinaryCrossentropy", "config": {"label_smoothing": 0.1, "reduction": "sum"}}],
          "hot": ["categorical_crossentropy", "kl_divergence", {"class_name": "CategoricalCrossentropy", "config": {"label_smoothing": 0.2}}, "mse", "categorical_focal_crossentropy"]}
METRICS = {"values": ["mae", "mse", "RootMeanSquaredError", "cosine_similarity", "msle", "MeanRelativeError"][:5],
           "classes": ["accuracy", "acc", "sparse_top_k_categorical_accuracy", "sparse_categorical_crossentropy"],
           "binary": ["accuracy", "AUC", "Precision", "Recall", "binary_crossentropy", "TruePositives", "mse", "BinaryIoU"],
           "hot": ["accuracy", "categorical_crossentropy", "top_k_categorical_accuracy", "CategoricalAccuracy", "AUC", "Precision"]}
OPTIMIZERS = [("SGD", {"learning_rate": 0.05}), ("SGD", {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True}), ("SGD", {"clipnorm": 0.5}),
              ("Adam", {"epsilon": 0.05}), ("SGD", {"weight_decay": 0.01, "global_clipnorm": 1.0}), ("SGD", {"use_ema": True, "ema_overwrite_frequency": 3}),
              ("SGD", {"gradient_accumulation_steps": 2}), ("Adagrad", {"epsilon": 0.05}), ("SGD", {"clipvalue": 0.1, "use_ema": True})]


def per_output(rng, outputs, values, empty):
    """The value of each output as one, a list or a dict."""
    if len(outputs) == 1 and rng.random() < 0.7:
        return values[0]
    if rng.random() < 0.5:
        return list(values)
    return {o["name"]: v for o, v in zip(outputs, values) if v is not None or not empty}


def training(rng, inputs, outputs):
    losses = [rng.choice(LOSSES[o["kind"]]) for o in outputs]
    if len(outputs) > 1 and rng.random() < 0.15:
        losses[rng.randrange(len(outputs))] = None
    metrics = [rng.sample(METRICS[o["kind"]], rng.randint(0, 2)) for o in outputs]
    dicts = len(outputs) > 1 and rng.random() < 0.4  # Keras fails where losses are a list and labels a dict
    compiled = {"loss": {o["name"]: one for o, one in zip(outputs, losses)} if dicts else losses if len(losses) > 1 else rng.choice([losses, losses[0]]), "optimizer": rng.choice(OPTIMIZERS),
                "metrics": per_output(rng, outputs, metrics, False) if rng.random() < 0.8 else None}
    if rng.random() < 0.3:
        values = [rng.choice([0.5, 2.0, 1]) for _ in outputs]
        compiled["loss_weights"] = {o["name"]: v for o, v in zip(outputs, values)} if isinstance(compiled["loss"], dict) else values
    if rng.random() < 0.3:
        given = [m[:] for m in metrics]  # Keras gives those twice that stand in both lists
        compiled["weighted_metrics"] = per_output(rng, outputs, [[m for m in METRICS[o["kind"]] if m not in g][-1:] for o, g in zip(outputs, given)], False)
    if rng.random() < 0.2:
        compiled["steps_per_execution"] = rng.choice([2, 3])
    fit = {"batch_size": rng.choice([4, 5, 32]), "epochs": 2}
    if rng.random() < 0.35:
        fit["validation_split"] = rng.choice([0.25, 0.4])
    if rng.random() < 0.2:
        fit["initial_epoch"] = 1
    return {"dicts": dicts and rng.random() < 0.5, "frozen": rng.random() < 0.2, "inside": rng.random(), "compile": compiled, "fit": fit, "weights": rng.choice([None, None, "rows", "outputs"]), "validation": rng.choice([None, None, "pair", "triple"]),
            "class_weight": len(outputs) == 1 and rng.random() < 0.25, "x": rng.choice(["list", "dict"]), "y": "dict" if dicts else "list",
            "more": rng.choice([{}, {}, {"validation_freq": 2}, {"validation_batch_size": 3},
                                {"validation_steps": 1} if "steps_per_execution" not in compiled else {}])}


def objects(k, words):
    """The words of `compile` with losses made by the package; nothing is shared with the case."""
    if isinstance(words, dict):
        if set(words) == {"class_name", "config"}:
            return getattr(k.losses, words["class_name"])(**words["config"])
        return {key: objects(k, value) for key, value in words.items()}
    return [objects(k, value) for value in words] if isinstance(words, list) else words


def build(k, case):
    tensors = [k.Input(i["shape"], dtype=i["dtype"], name=i["name"]) for i in case["inputs"]]
    inputs, layers = tensors[:], {}

    def make(words, name):
        return getattr(k.layers, words["kind"])(**made(k.layers, words["words"]), name=name)

    for number, node in enumerate(case["nodes"]):
        of = [tensors[i] for i in node["of"]]
        if "op" in node:
            out = OPS[node["op"]](k, of[0])
        elif "shared" in node:
            out = layers[node["shared"]](of[0])
        elif "model" in node:
            parts = [make(w, f"n{number}_{i}") for i, w in enumerate(node["model"])]
            if node["kind"] == "Functional":
                x = k.Input(node["given"])
                parts = k.Model(x, parts[1](parts[0](x)), name=f"n{number}")
            else:
                parts = k.Sequential(([k.Input(node["given"])] if node["kind"] == "Sequential" else []) + parts, name=f"n{number}")
            out = parts(of[0])
        else:
            layers[number] = make({"kind": node["layer"], "words": node["words"]}, f"n{number}")
            out = layers[number](*of) if node["layer"] == "MultiHeadAttention" else layers[number](of if len(of) > 1 else of[0])
        tensors.append(out)
    outputs = []
    for o in case["outputs"]:
        x = tensors[o["of"]]
        if o["rank"] > 2 or (o["rank"] == 2 and o["kind"] != "values"):
            x = k.layers.Flatten(name=o["name"] + "_flat")(x)
        units, activation = {"values": (2, None), "classes": (3, "softmax"), "binary": (1, "sigmoid"), "hot": (3, "softmax")}[o["kind"]]
        outputs.append(k.layers.Dense(units, activation=activation, name=o["name"])(x))
    if case["dicts"]:
        outputs = {o["name"]: out for o, out in zip(case["outputs"], outputs)}
        inputs = {i["name"]: one for i, one in zip(case["inputs"], inputs)} if case["x"] == "dict" else inputs
        return k.Model(inputs, outputs, name="whole")
    return k.Model(inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0], name="whole")


ROWS = 15


def data(case, shapes):
    rng = np.random.default_rng(3)
    xs = {i["name"]: rng.integers(0, 7, (ROWS, *i["shape"])).astype("int32") if i["kind"] == "ids" else rng.normal(size=(ROWS, *i["shape"])).astype("float32")
          for i in case["inputs"]}
    for i in case["inputs"]:
        if i["kind"] == "sequence":
            xs[i["name"]][:, -1:] *= rng.integers(0, 2, (ROWS, 1, 1))
    ys = {o["name"]: {"values": lambda s: rng.normal(size=(ROWS, *s[1:])), "classes": lambda s: rng.integers(0, 3, ROWS), "binary": lambda s: rng.integers(0, 2, (ROWS, 1)),
                      "hot": lambda s: np.eye(3)[rng.integers(0, 3, ROWS)]}[o["kind"]](s) for o, s in zip(case["outputs"], shapes)}
    ys = {n: y.astype("int32" if y.dtype.kind == "i" and y.ndim == 1 else "float32") for n, y in ys.items()}
    ws = {n: rng.uniform(0, 2, ROWS).astype("float32") for n in ys}

    def shaped(values, form):
        return (next(iter(values.values())) if len(values) == 1 and form == "list" else list(values.values()) if form == "list" else values)

    w = None if case["weights"] is None else shaped(ws, case["y"]) if case["weights"] == "outputs" or len(ws) == 1 else next(iter(ws.values()))
    return shaped(xs, case["x"]), shaped(ys, case["y"]), w


def steps(case):
    models, folder = {}, tempfile.mkdtemp()

    def make(k):
        k.utils.clear_session()  # automatic names begin anew
        keras.utils.set_random_seed(1)
        models[k] = build(k, case)
        if k is kyeo:
            models[k].set_weights(models[keras].get_weights())
        return ([(w.path.split("/", 1)[-1] if w.path.startswith("whole/") else w.path, tuple(w.shape), w.trainable) for w in models[k].weights],
                [(tuple(o.shape), str(o.dtype)) for o in models[k].outputs], list(models[k].output_names), sorted(one.name for one in models[k].layers if one.name[0] == "n" or one.name[0] == "o"))

    def described(k):
        out = io.StringIO()
        models[k].summary(print_fn=lambda *a, **w: out.write(str(a[0])))
        text = models[k].to_json()
        again = k.models.model_from_json(text)  # which knows objects that stand twice, as from_config of a part does not
        assert json.loads(again.to_json()) == json.loads(text), "its config changed: " + "; ".join(unlike_words(json.loads(again.to_json()), json.loads(text)))[:500]
        copy = k.models.clone_model(models[k])
        assert [tuple(w.shape) for w in copy.weights] == [tuple(w.shape) for w in models[k].weights]
        assert models[k].count_params() == copy.count_params()
        other = (keras if k is kyeo else kyeo).models.model_from_json(text)
        x = data(case, [o.shape for o in models[k].outputs])[0]
        other.set_weights(models[k].get_weights())
        again.set_weights(models[k].get_weights())
        named = [one for one in models[k].layers if one.name[:1] == "n" and one.name[1:].isdigit()]
        inside = named and sorted(named, key=lambda one: int(one.name[1:]))[int(case["inside"] * len(named))]
        part = k.Model(models[k].inputs, inside.output) if named and len(inside._inbound_nodes) == 1 else models[k]
        if case["frozen"] and named:
            inside.trainable = False
        return [jax.tree.map(np.asarray, m.predict(x, verbose=0)) for m in (models[k], other, again, part)], len(models[k].trainable_weights)

    def trained(k):
        model, words = models[k], dict(case["compile"])
        shapes = [o.shape for o in model.outputs]
        x, y, w = data(case, shapes)
        name, config = words.pop("optimizer")
        words = objects(k, words)
        model.compile(optimizer=getattr(k.optimizers, name)(**config), **words)
        fit = {**case["fit"], **case["more"], "shuffle": False, "verbose": 0}
        if case["validation"] and "validation_split" not in fit:
            fit["validation_data"] = jax.tree.map(lambda a: a[:6], (x, y) if case["validation"] == "pair" or w is None else (x, y, w))
        if case["class_weight"] and case["outputs"][0]["kind"] != "values":
            fit["class_weight"] = {0: 0.5, 1: 2.0, 2: 1.5}
            w = None if True else w
        history = model.fit(x, y, sample_weight=w, **fit).history
        return {"history": sorted(history.items()), "weights": model.get_weights()}

    def used(k):
        model = models[k]
        x, y, w = data(case, [o.shape for o in model.outputs])
        return [sorted(model.evaluate(x, y, batch_size=5, sample_weight=w, verbose=0, return_dict=True).items()),
                np.asarray(model.evaluate(x, y, batch_size=5, verbose=0)), jax.tree.map(np.asarray, model.predict(x, batch_size=4, verbose=0)),
                jax.tree.map(np.asarray, model.predict_on_batch(x)), [np.asarray(model.test_on_batch(x, y, sample_weight=w))],
                [np.asarray(model.train_on_batch(x, y, sample_weight=w))]]

    def saved(k):
        model, path = models[k], os.path.join(folder, f"{k.__name__}.keras")
        x = data(case, [o.shape for o in model.outputs])[0]
        model.save(path)
        results = [jax.tree.map(np.asarray, model.predict(x, verbose=0))]
        for package in (keras, kyeo):
            loaded = package.models.load_model(path)
            results.append(jax.tree.map(np.asarray, loaded.predict(x, verbose=0)))
            results.append([np.asarray(v) for v in (loaded.optimizer.variables if loaded.optimizer else [])])
        return results

    yield "make", make
    yield "described", described
    yield "trained", trained
    yield "used", used
    yield "saved", saved
