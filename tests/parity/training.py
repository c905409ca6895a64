"""Random trainings of one small model: steps and losses of a user's own, weights of rows and classes, forms of losses, metrics and data, callbacks, policies."""

import jax
import keras
import numpy as np

import kyeo

__all__ = ["draw", "steps"]

ROWS = 14
LOSSES = {"values": ["mse", "mae", "huber", "MeanSquaredError", "log_cosh"], "classes": ["sparse_categorical_crossentropy"],
          "binary": ["binary_crossentropy", "mse", "BinaryFocalCrossentropy", "hinge"], "hot": ["categorical_crossentropy", "kl_divergence", "mse"]}
METRICS = {"values": ["mae", "mse", "MeanAbsoluteError", "RootMeanSquaredError", "cosine_similarity"],
           "classes": ["accuracy", "acc", "sparse_categorical_accuracy", "SparseTopKCategoricalAccuracy", "sparse_categorical_crossentropy"],
           "binary": ["accuracy", "AUC", "Precision", "Recall", "bce", "binary_accuracy", "F1Score"],
           "hot": ["accuracy", "categorical_accuracy", "CategoricalCrossentropy", "F1Score", "top_k_categorical_accuracy"]}
OPTIMIZERS = [("SGD", {"learning_rate": 0.05}), ("SGD", {"learning_rate": 0.02, "momentum": 0.9}), ("Adam", {"epsilon": 0.05}), ("AdamW", {"epsilon": 0.05, "weight_decay": 0.1}),
              ("RMSprop", {"epsilon": 0.1}), ("ScheduleFreeAdamW", {"learning_rate": 0.02, "epsilon": 0.05}), ("Adadelta", {"epsilon": 0.1, "learning_rate": 0.5}),
              ("SGD", {"gradient_accumulation_steps": 2}), ("SGD", {"use_ema": True, "ema_momentum": 0.5}), ("Lion", {"learning_rate": 0.001})]
CALLBACKS = {
    "stop": lambda k, m: k.callbacks.EarlyStopping(m, patience=0, min_delta=0.05), "best": lambda k, m: k.callbacks.EarlyStopping(m, patience=1, mode="max", restore_best_weights=True),
    "plateau": lambda k, m: k.callbacks.ReduceLROnPlateau(m, factor=0.5, patience=0, min_delta=0.2), "rates": lambda k, m: k.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
    "nan": lambda k, m: k.callbacks.TerminateOnNaN(), "ema": lambda k, m: k.callbacks.SwapEMAWeights(swap_on_epoch=True)}


def draw(rng):
    kinds = [rng.choice(list(LOSSES)) for _ in range(rng.choice([1, 1, 2, 3]))]
    names = [f"out{i}" for i in range(len(kinds))]
    many, form = len(kinds) > 1, rng.choice(["list", "dict"]) if len(kinds) > 1 else "one"
    losses = [rng.choice(LOSSES[kind]) for kind in kinds]
    if many and rng.random() < 0.25:
        losses[rng.randrange(len(losses))] = None
    compiled = {"loss": formed(form, names, losses), "optimizer": rng.choice(OPTIMIZERS)}
    chosen = [rng.sample(METRICS[kind], 3) for kind in kinds]
    if rng.random() < 0.85:
        compiled["metrics"] = measures(rng, form, names, [c[:rng.randint(0, 2)] for c in chosen])
    if rng.random() < 0.4:
        compiled["weighted_metrics"] = measures(rng, form, names, [c[2:] for c in chosen])
    if many and rng.random() < 0.4 and None not in losses:
        compiled["loss_weights"] = formed(form, names, [rng.choice([0.5, 2.0, 1]) for _ in kinds])
    if rng.random() < 0.15:
        compiled["run_eagerly"] = True
    if rng.random() < 0.15:
        compiled["steps_per_execution"] = rng.choice([2, 3])
    fit = {"epochs": rng.choice([1, 2, 3]), "batch_size": rng.choice([4, 7, 32])}
    fit.update(rng.choice([{}, {}, {"validation_split": 0.3}, {"validation_data": "pair"}, {"validation_data": "pair", "validation_freq": 2}, {"validation_data": "triple"}, {"validation_data": "triple", "validation_batch_size": 5}]))
    weights = rng.choice([None, None, "rows", "each", "some" if many else "rows"])
    return {"kinds": kinds, "names": names, "form": form, "compile": compiled, "fit": fit, "weights": weights,
            "class_weight": not many and weights is None and kinds[0] != "values" and rng.random() < 0.4, "source": rng.choice(["arrays", "arrays", "generator", "dataset"]) if "validation_split" not in fit else "arrays",
            "own": rng.choice([None, None, None, "train_step", "compute_loss", "compute_metrics", "add_loss", "add_loss call", None, None]), "body": rng.choice(["flat", "Model", "Sequential", "twice"]),
            "layer": rng.choice(["dense", "norm", "penalty", "masked"]), "policy": rng.choice(["float32"] * 5 + ["mixed_bfloat16", "mixed_float16"]), "callbacks": rng.sample(list(CALLBACKS), rng.choice([0, 0, 1, 2])),
            "watch": rng.choice([None, "epoch", "batch"]), "monitor": rng.choice(["loss", "val_loss"]) if "validation_data" in fit and "validation_freq" not in fit else "loss"}


def formed(form, names, values):
    return values[0] if form == "one" else list(values) if form == "list" else dict(zip(names, values))


def measures(rng, form, names, lists):
    """Metrics for each output: lists of lists, single ones, or left out of a dict."""
    if form == "one":
        return lists[0] if rng.random() < 0.6 else [lists[0]] if rng.random() < 0.5 else {names[0]: lists[0]}
    single = [found[0] if len(found) == 1 and rng.random() < 0.5 else found for found in lists]
    if form == "dict":
        return {name: found for name, found in zip(names, single) if found or rng.random() < 0.5}
    return [found if found or rng.random() < 0.5 else None for found in single]


def objects(k, value, room):
    """Names with a capital as objects."""
    if isinstance(value, dict):
        return {key: objects(k, one, room) for key, one in value.items()}
    if isinstance(value, list):
        return [objects(k, one, room) for one in value]
    return getattr(getattr(k, room), value)() if isinstance(value, str) and value[0].isupper() else value


def classes(k, case):
    """The model's class, with a step, a loss or a metric of its own."""
    class Own(k.Model):
        def __init__(self, *args, **words):
            super().__init__(*args, **words)
            if case["own"] == "train_step":
                self.extra = k.metrics.Mean(name="extra")

    def train_step(self, state, data):
        trainable, untrainable, slots, counters = state
        x, y, w = k.utils.unpack_x_y_sample_weight(data)
        (loss, (y_pred, untrainable, counters)), gradients = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)(
            trainable, untrainable, counters, x, y, w, training=True)
        trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
        logs, fresh = {}, []
        for metric in self.metrics:
            mine = counters[len(fresh):len(fresh) + len(metric.variables)]
            if metric.name == "loss":
                mine = metric.stateless_update_state(mine, loss)
            elif metric.name == "extra":
                mine = metric.stateless_update_state(mine, loss * 2)
            else:
                mine = metric.stateless_update_state(mine, y, y_pred, sample_weight=w)
            logs.update(result if isinstance(result := metric.stateless_result(mine), dict) else {metric.name: result})
            fresh += mine
        return logs, (trainable, untrainable, slots, fresh)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = k.Model.compute_loss(self, x, y, y_pred, sample_weight, training=training)
        return loss + 0.1 * k.ops.mean(k.ops.square(k.tree.flatten(y_pred)[0]))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {**k.Model.compute_metrics(self, x, y, y_pred, sample_weight), "one_more": k.ops.cast(1.5, "float32")}

    if case["own"] in ("train_step", "compute_loss", "compute_metrics"):
        setattr(Own, case["own"], {"train_step": train_step, "compute_loss": compute_loss, "compute_metrics": compute_metrics}[case["own"]])
    return Own if case["own"] in ("train_step", "compute_loss", "compute_metrics") else k.Model


def penalty(k, case):
    class Penalty(k.layers.Layer):
        def call(self, x):
            self.add_loss(0.3 * k.ops.mean(k.ops.square(x)))
            return x

    return Penalty(name="penalty")


def build(k, case):
    policy = {} if case["policy"] == "float32" else {"dtype": case["policy"]}
    x = k.Input((4,), name="x")
    layers = {"dense": lambda: [k.layers.Dense(5, activation="tanh", name="a", **policy)], "norm": lambda: [k.layers.Dense(5, name="a", **policy), k.layers.BatchNormalization(epsilon=0.1, momentum=0.5, name="b", **policy)],
              "penalty": lambda: [k.layers.Dense(5, kernel_regularizer="l2", activity_regularizer="l2", name="a", **policy)],
              "masked": lambda: [k.layers.Reshape((2, 2), name="r", **policy), k.layers.Masking(name="m", **policy), k.layers.GRU(5, name="a", **policy)]}[case["layer"]]()
    if case["own"] and case["own"].startswith("add_loss"):
        layers.append(penalty(k, case))
    if case["body"] in ("Sequential",):
        layers = [k.Sequential(layers, name="body")]
    elif case["body"] == "Model":
        inner = y = k.Input((4,))
        for layer in layers:
            y = layer(y)
        layers = [k.Model(inner, y, name="body")]
    y = x
    for layer in layers:
        y = layer(y)
    if case["body"] == "twice" and case["layer"] == "dense":
        y = k.layers.Add(name="sum")([y, layers[0](k.ops.flip(x, -1))])
    heads = {"values": (2, None), "classes": (3, "softmax"), "binary": (1, "sigmoid"), "hot": (3, "softmax")}
    outputs = [k.layers.Dense(heads[kind][0], activation=heads[kind][1], name=name, dtype="float32")(y) for kind, name in zip(case["kinds"], case["names"])]
    return classes(k, case)(x, formed(case["form"], case["names"], outputs), name="whole")


def data(case):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(ROWS, 4)).astype("float32")
    x[::3, 2:] = 0
    make = {"values": lambda: rng.normal(size=(ROWS, 2)).astype("float32"), "classes": lambda: rng.integers(0, 3, ROWS), "binary": lambda: rng.integers(0, 2, (ROWS, 1)).astype("float32"),
            "hot": lambda: np.eye(3, dtype="float32")[rng.integers(0, 3, ROWS)]}
    y = formed(case["form"], case["names"], [make[kind]() for kind in case["kinds"]])
    each = [rng.uniform(0, 2, ROWS).astype("float32") for _ in case["kinds"]]
    if case["weights"] == "some":
        each[0] = None
    w = None if case["weights"] is None else each[0] if case["weights"] == "rows" else formed(case["form"], case["names"], each)
    return x, y, w


def batches(k, case, x, y, w, size):
    parts = (x, y) if w is None else (x, y, w)

    def cut(at):
        return tuple(jax.tree.map(lambda a: None if a is None else a[at * size:(at + 1) * size], part, is_leaf=lambda a: a is None) for part in parts)

    if case["source"] == "generator":
        return (cut(at % -(-ROWS // size)) for at in range(10 ** 6)), {"steps_per_epoch": -(-ROWS // size)}

    class Batches(k.utils.PyDataset):
        def __len__(self):
            return -(-ROWS // size)

        def __getitem__(self, at):
            return cut(at)

    return Batches(), {}


def watcher(k, case, seen):
    class Watch(k.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((f"epoch {epoch}", sorted((n, np.asarray(v)) for n, v in logs.items())))

        def on_train_begin(self, logs=None):
            seen.append(("begin", sorted(logs or {})))

        def on_test_end(self, logs=None):
            seen.append(("test", sorted((n, np.asarray(v)) for n, v in logs.items())))

        def on_train_end(self, logs=None):
            seen.append(("end", sorted(logs)))

    if case["watch"] == "batch":
        Watch.on_train_batch_end = lambda self, batch, logs=None: seen.append((f"batch {batch}", sorted((n, np.asarray(v)) for n, v in logs.items())))
    return [Watch()] if case["watch"] else []


def steps(case):
    models = {}

    def made(k):
        k.utils.clear_session()
        keras.utils.set_random_seed(2)
        models[k] = build(k, case)
        if k is kyeo:
            models[k].set_weights(models[keras].get_weights())
        words = dict(case["compile"])
        name, config = words.pop("optimizer")
        for room in ("metrics", "weighted_metrics", "loss"):
            if room in words:
                words[room] = objects(k, words[room], "losses" if room == "loss" else "metrics")
        models[k].compile(optimizer=getattr(k.optimizers, name)(**config), **words)
        return [list(w.shape) for w in models[k].weights]

    def trained(k):
        model, fit = models[k], {**case["fit"], "shuffle": False, "verbose": 0}
        x, y, w = data(case)
        if isinstance(fit.get("validation_data"), str):
            parts = (x, y) if fit["validation_data"] == "pair" or w is None else (x, y, w)
            fit["validation_data"] = jax.tree.map(lambda a: a[:6], parts)
            if any(leaf is None for leaf in jax.tree.leaves(w, is_leaf=lambda a: a is None)):
                fit["validation_data"] = fit["validation_data"][:2]
        if case["class_weight"]:
            fit["class_weight"] = {0: 0.5, 1: 2.0, 2: 1.5} if case["kinds"][0] != "binary" else {0: 0.5, 1: 2.0}
        seen = []
        fit["callbacks"] = [CALLBACKS[name](k, case["monitor"]) for name in case["callbacks"]] + watcher(k, case, seen)
        if case["source"] == "generator":
            fit.pop("class_weight", None)  # Keras refuses it
        if case["source"] == "arrays":
            history = model.fit(x, y, sample_weight=w, **fit)
        else:
            source, more = batches(k, case, x, y, w, fit.pop("batch_size"))
            fit.pop("validation_batch_size", None)
            history = model.fit(source, **more, **fit)
        return {"history": sorted(history.history.items()), "epochs": history.epoch, "seen": seen, "weights": [np.asarray(v) for v in model.get_weights()], "metrics": [m.name for m in model.metrics]}

    def used(k):
        model = models[k]
        x, y, w = data(case)
        results = [sorted(model.evaluate(x, y, batch_size=5, sample_weight=w, verbose=0, return_dict=True).items()), jax.tree.map(np.asarray, model.evaluate(x, y, batch_size=5, verbose=0)),
                   sorted((n, np.asarray(v)) for n, v in model.test_on_batch(x, y, sample_weight=w, return_dict=True).items()),
                   sorted((n, np.asarray(v)) for n, v in model.train_on_batch(x, y, sample_weight=w, return_dict=True).items()), list(model.metrics_names)]
        return results, [np.asarray(p) for p in jax.tree.leaves(model.predict(x, batch_size=5, verbose=0))]

    yield "made", made
    yield "trained", trained
    yield "used", used
