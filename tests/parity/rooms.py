"""Random losses, metrics, optimizers, initializers, regularizers, constraints and activations for `random_parity.py`."""

import copy
import inspect
import json

import jax
import jax.numpy as jnp
import keras
import numpy as np

import kyeo
from tests.conformance.test_layers import plain
from tests.numpy_jaxpr import in_numpy

__all__ = ["draw", "steps"]


def classes(room, base, without=()):
    there = getattr(keras, room)
    found = {c.__name__ for n, c in vars(there).items() if isinstance(c, type) and issubclass(c, base) and n == c.__name__}
    return sorted(found - {base.__name__, *without})


ROOMS = {
    "losses": classes("losses", keras.Loss),
    "metrics": classes("metrics", keras.Metric, ("MeanMetricWrapper", "Accuracy")),
    "optimizers": classes("optimizers", keras.optimizers.Optimizer, ("LossScaleOptimizer", "MultiOptimizer")),
    "initializers": classes("initializers", keras.initializers.Initializer, ("RandomInitializer",)),
    "regularizers": ["L1", "L2", "L1L2", "OrthogonalRegularizer"], "constraints": ["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"],
    "activations": sorted(n for n, f in vars(keras.activations).items() if inspect.isfunction(f) and n not in ("get", "serialize", "deserialize", "sparsemax")),
}
TABLE = {
    "from_logits": [True, False], "label_smoothing": [0.0, 0.1, 1.0], "axis": [-1, -1, 1, None], "alpha": [0.25, 0.7, 1.0], "gamma": [2.0, 0.0, 1.5],
    "apply_class_balancing": [True, False], "q": [0.3, 0.7], "delta": [0.5, 2.0], "beta": [0.3, 0.9], "ignore_class": [None, 0, 2, -1],
    "reduction": ["sum_over_batch_size", "sum", "mean", None, "none", "mean_with_sample_weight"], "dtype": [None, None, "float32", "bfloat16", "float16"],
    "num_thresholds": [2, 3, 50], "curve": ["ROC", "PR"], "summation_method": ["interpolation", "minoring", "majoring"], "multi_label": [False, True],
    "thresholds": [None, 0.3, [0.2, 0.7], [0.5]], "threshold": [0.5, 0.3], "target_class_ids": [[0], [0, 1]], "num_classes": [3],
    "sparse_y_true": [True, False], "sparse_y_pred": [True, False], "average": [None, "micro", "macro", "weighted"], "top_k": [None, 1, 2],
    "class_id": [None, 1], "recall": [0.4, 0.8], "precision": [0.5, 0.9], "specificity": [0.5, 0.7], "sensitivity": [0.5, 0.2], "num_regressors": [0],
    "class_aggregation": ["uniform_average", "variance_weighted_average", None], "k": [1, 2, 5], "from_sorted_ids": [False],
    "learning_rate": [0.1, 0.01, "schedule"], "momentum": [0.0, 0.9, 0.5], "nesterov": [True, False], "rho": [0.9, 0.5], "epsilon": [1e-7, 1e-3],
    "beta_1": [0.9, 0.5], "beta_2": [0.999, 0.8], "amsgrad": [True, False], "weight_decay": [None, 0.1, 0.004, 0.0], "clipnorm": [None, 0.5],
    "clipvalue": [None, 0.1], "global_clipnorm": [None, 0.7], "use_ema": [True, False], "ema_momentum": [0.9, 0.5], "ema_overwrite_frequency": [None, 2, 3],
    "loss_scale_factor": [None, 4.0], "gradient_accumulation_steps": [None, 2, 3], "centered": [True, False], "initial_accumulator_value": [0.1, 0.5, 0.0],
    "learning_rate_power": [-0.5, -0.3], "l1_regularization_strength": [0.0, 0.1], "l2_regularization_strength": [0.0, 0.1],
    "l2_shrinkage_regularization_strength": [0.0, 0.1], "beta_2_decay": [-0.8, -0.5], "epsilon_1": [1e-30], "epsilon_2": [1e-3], "clip_threshold": [1.0, 0.5],
    "relative_step": [True, False], "value": [0.0, 1.5, 3], "gain": [1.0, 0.5], "mean": [0.0, 1.0], "stddev": [0.05, 1.0], "minval": [-0.5, 0.0],
    "maxval": [0.5, 2.0], "scale": [1.0, 2.0], "mode": ["fan_in", "fan_out", "fan_avg"], "distribution": ["uniform", "truncated_normal", "untruncated_normal"],
    "seed": [3], "side": ["real", "imag"], "window": ["hann", "hamming", None], "scaling": ["density", "spectrum", None], "periodic": [True, False],
    "input_axes": [None], "output_axes": [None], "l1": [0.0, 0.1, 1], "l2": [0.0, 0.3, 2], "factor": [0.01, 1.0], "max_value": [1.0, 2, 0.5],
    "min_value": [0.0, 0.5, 1.0], "rate": [1.0, 0.3], "negative_slope": [0.0, 0.3], "approximate": [True, False], "default_value": [0.0, 2.0],
    "margin": [0.4, 0.1], "remove_diagonal": [True, False], "warmup_steps": [0, 2], "adam_beta_1": [0.9, 0.5], "adam_beta_2": [0.999, 0.8], "adam_weight_decay": [0.0, 0.1],
    "ns_steps": [5, 2], "adam_lr_ratio": [1, 0.5], "rms_rate": [0.2, 1.0, None], "exclude_embeddings": [True, False], "label_weights": [None], "num_labels": [None], "b": [4, 0.5, 0],
}
SCHEDULES = [("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5}), ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "alpha": 0.1}),
             ("PiecewiseConstantDecay", {"boundaries": [1, 3], "values": [0.1, 0.05, 0.01]}), ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "cycle": True}),
             ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5, "staircase": True}),
             ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 2}), ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 3, "warmup_target": 0.1, "warmup_steps": 2})]
CATEGORICAL = ("Categorical", "OneHot", "TopK", "F1", "FBeta", "KLD")


def draw(rng):
    room = rng.choice(["losses"] * 3 + ["metrics"] * 4 + ["optimizers"] * 3 + ["initializers", "regularizers", "constraints", "activations"])
    name = rng.choice(ROOMS[room])
    there = getattr(getattr(keras, room), name)
    parameters = list(inspect.signature(there.__init__ if isinstance(there, type) else there).parameters.values())[1:]
    config = {}
    for p in parameters:
        if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "name" and (p.default is p.empty or rng.random() < 0.35):
            config[p.name] = rng.choice(TABLE.get(p.name, [p.default]))
    if room == "activations":
        config.update({k: rng.choice([0.5, 0.1]) for k in ("threshold",) if k in config})
        config.update({k: -1 for k in ("axis",) if k in config})
    if room == "constraints" or name == "OrthogonalRegularizer":
        config.update({k: rng.choice([0, 1, [0, 1], -1]) for k in ("axis",) if k in config}, **({"mode": rng.choice(["rows", "columns"])} if "mode" in config else {}))
    if room == "optimizers" and sum(config.get(k) is not None for k in ("clipnorm", "clipvalue", "global_clipnorm")) > 1:
        config.update(clipvalue=None, clipnorm=None)
    if "IoU" in name:
        config["dtype"] = "float32"  # else Keras counts in int32, without the fractions of weights
    rank = rng.choice([1, 2, 2, 2, 3, 4])
    shape = tuple(rng.choice([1, 2, 3, 4, 5]) for _ in range(rank))
    if any(word in name for word in (*CATEGORICAL, "IoU", "Tversky", "Dice")):
        shape = (*shape[:-1], rng.choice([2, 3]))
    kinds = [None, "scalar"] + ["rows"] * (rank < 3 and name not in ("Dice", "Tversky")) + ["column", "all", "but last"] * (room == "metrics" and rank < 3 and "Score" not in name)  # Keras makes outer products
    if name == "CTC":
        shape, rank = (rng.choice([1, 3]), rng.choice([4, 6]), 4), 3
    elif name == "Circle":
        shape = (rng.choice([3, 6]), rng.choice([2, 4]))
    case = {"cls": name, "room": room, "config": config, "shape": shape, "dtype": rng.choice(["float32"] * 8 + ["bfloat16", "float16"] * (room not in ("optimizers", "activations")) + ["int32"] * (room not in ("losses", "metrics"))),
            "labels": rng.choice(["float32", "float32", "int32", "bool", "uint8"]), "weights": [rng.choice(kinds) for _ in range(3)],
            "mask": rng.random() < 0.2 and rank < 3, "schedule": rng.randrange(len(SCHEDULES)), "trailing": rng.random() < 0.2 and "Sparse" in name, "seed": rng.randrange(1000)}
    return case


def made(k, case):
    config = dict(case["config"])
    if config.get("learning_rate") == "schedule":
        name, words = SCHEDULES[case["schedule"]]
        config["learning_rate"] = getattr(k.optimizers.schedules, name)(**words)
    return getattr(getattr(k, case["room"]), case["cls"])(**config)


def labels_and_predictions(case, rng):
    name, shape = case["cls"], case["shape"]
    kinds = rng.integers(0, 3 if "Crossentropy" in name or "IoU" in name else shape[-1], size=shape)
    y_pred = rng.normal(size=shape).astype("float32")
    if name == "CTC":  # 0 is the blank, and what follows a label
        y_true = rng.integers(1, shape[-1], size=(shape[0], 3)) * (np.arange(3) < rng.integers(1, 4, (shape[0], 1)))
        return y_true.astype("int32"), np.asarray(jnp.asarray(y_pred, case["dtype"]))
    if name == "Circle":
        return rng.integers(0, 3, size=shape[:1]).astype("int32"), np.asarray(jnp.asarray(y_pred, case["dtype"]))
    probable = any(w in name for w in ("ross", "AUC", "Precision", "Recall", "Sens", "Spec", "Posit", "Negat", "Binary", "Dice", "Tversky", "KL", "Poisson", "F1", "FBeta"))
    if probable and not case["config"].get("from_logits"):
        y_pred = np.exp(y_pred) / np.exp(y_pred).sum(-1, keepdims=True) if any(w in name for w in CATEGORICAL) else 1 / (1 + np.exp(-y_pred))
    if "Sparse" in name or "Generalized" in name:
        y_true = rng.integers(0, shape[-1], size=shape[:-1] + ((1,) if case["trailing"] else ()))
    elif any(w in name for w in CATEGORICAL):
        y_true = np.eye(shape[-1])[rng.integers(0, shape[-1], size=shape[:-1])]
    elif "IoU" in name:
        y_true = kinds
        y_pred = rng.integers(0, 3, size=shape)
        words = {"sparse_y_true": "One" not in name, "sparse_y_pred": "One" not in name, **case["config"]}
        y_true = y_true if words["sparse_y_true"] else np.eye(3, dtype="int32")[y_true]
        y_pred = y_pred if words["sparse_y_pred"] else np.eye(3, dtype="float32")[y_pred]
        if name == "BinaryIoU":
            y_true, y_pred = np.minimum(kinds, 1), rng.uniform(size=shape).astype("float32")
    elif probable or "Hinge" in name:
        y_true = rng.integers(0, 2, size=shape)
    else:
        y_true = rng.normal(size=shape) * 2
        case = {**case, "labels": "float32"}
    if case["trailing"] and "Sparse" not in name and shape[-1] == 1:
        y_true = y_true[..., 0]
    return np.asarray(y_true).astype(case["labels"]), np.asarray(jnp.asarray(y_pred, case["dtype"] if "IoU" not in name else y_pred.dtype))


def weight(kind, shape, rng):
    sizes = {None: None, "scalar": (), "rows": shape[:1], "column": (shape[0], 1), "all": shape, "but last": shape[:-1]}[kind]
    return sizes if sizes is None else rng.integers(0, 3, size=sizes).astype("float32") * np.float32(0.5)


def configs(k, case):
    thing = made(k, case)
    if not hasattr(thing, "get_config"):
        return None
    written = thing.get_config()
    text = json.loads(json.dumps(written, default=lambda v: np.asarray(v).tolist()))
    room = getattr((keras if k is kyeo else kyeo), case["room"])
    if case["room"] == "losses":  # Keras does not write it
        written.pop("dtype", None), text.pop("dtype", None)
    other, again = getattr(room, case["cls"]).from_config(copy.deepcopy(text)), type(thing).from_config(copy.deepcopy(text))
    assert plain(again.get_config()) == plain(written), f"its own config changed {again.get_config()} {written}"
    assert plain(other.get_config()) == plain(written), f"the other's config changed {other.get_config()} {written}"
    return {key: v for key, v in plain(written).items() if key != "name" and v is not None} | {"name": str(getattr(thing, "name", None)).rstrip("_0123456789")}


def run_loss(k, case):
    rng = np.random.default_rng(case["seed"])
    y_true, y_pred = labels_and_predictions(case, rng)
    w = weight(case["weights"][0], y_pred.shape, rng)
    mask = rng.random(y_pred.shape[:-1] if y_pred.ndim > 1 else y_pred.shape) < 0.7

    def value(y_pred, y_true, w):
        if case["mask"]:
            (kyeo.core.masks.set_mask if k is kyeo else keras.src.backend.set_keras_mask)(y_pred, jnp.asarray(mask))
        return made(k, case)(y_true, y_pred, sample_weight=w)

    def both(y_pred, *rest):
        result = value(y_pred, *rest)
        if y_pred.dtype.kind in "iub":
            return result
        return result, jax.grad(lambda y: value(y, *rest).astype("float32").sum())(y_pred)

    return in_numpy(both, jnp.asarray(y_pred), jnp.asarray(y_true), w if w is None else jnp.asarray(w))


def run_metric(k, case):
    rng, metric = np.random.default_rng(case["seed"]), made(k, case)
    results, name = [], case["cls"]
    other = made(k, case)
    for turn, kind in enumerate(case["weights"]):
        y_true, y_pred = labels_and_predictions(case, rng)
        w = weight(kind, y_pred.shape if "Sparse" not in name else y_true.shape, rng)
        y = (y_pred,) if name in ("Mean", "Sum") else (y_true, y_pred)
        metric.update_state(*y, **({} if w is None else {"sample_weight": w}))
        if turn == 1:
            results.append(np.asarray(metric.result()))
            other.update_state(*y)
    results.append(np.asarray(metric.result()))
    if not hasattr(metric, "interpolate_pr_auc") or True:
        metric.merge_state([other]) if hasattr(metric, "merge_state") else None
        results.append(np.asarray(metric.result()))
    results.append([np.asarray(v) for v in metric.variables])
    metric.reset_state()
    results.append(np.asarray(metric.result()))
    return results


def run_optimizer(k, case):
    rng, optimizer = np.random.default_rng(case["seed"]), made(k, case)
    dtype = "float32" if case["dtype"] in ("int32", "float16") else case["dtype"]
    variables = [k.Variable(rng.normal(size=s).astype("float32"), dtype=dtype, name=n) for s, n in (((3, 4), "kernel"), ((4,), "bias"), ((2, 3, 2), "gamma"), ((), "scalar"))]
    if case["mask"] and case["config"].get("weight_decay"):
        optimizer.exclude_from_weight_decay(var_list=[variables[0]], var_names=["bias"])
    optimizer.build(variables)

    def step(slots, values, gradients):
        return optimizer.stateless_apply(slots, gradients, values)

    slots, values, history = [v.value for v in optimizer.variables], [v.value for v in variables], []
    for turn in range(6):
        gradients = [jnp.asarray(rng.normal(size=v.shape), v.dtype) for v in values]
        if turn == 2:
            gradients[1] = jnp.zeros_like(gradients[1])
        values, slots = in_numpy(step, slots, values, gradients)
        values, slots = jax.tree.map(jnp.asarray, (list(values), list(slots)))
        history.append([np.asarray(v) for v in values])
    for v, new in zip([*variables, *optimizer.variables], [*values, *slots]):
        v.assign(new)
    optimizer.finalize_variable_values(variables)
    names = [(v.path.split("/")[-1], list(v.shape)) for v in optimizer.variables]
    return [n for n in names if not n[0].startswith(("variable", "u_product"))], history, [np.asarray(s) for s in slots], [np.asarray(v) for v in variables], np.asarray(optimizer.learning_rate)


def run_initializer(k, case):
    initializer = made(k, case)
    rank = {"Identity": 2, "STFT": 3}.get(case["cls"], len(case["shape"]))
    shape = (8, 1, 5) if rank == 3 and case["cls"] == "STFT" else ((300, 40, 5)[:rank] if rank > 1 else (40000,)) if case["cls"] != "Identity" else (3, 4)
    dtype = "float32" if case["dtype"] == "int32" else case["dtype"]
    values = np.asarray(initializer(shape, dtype=dtype))
    if "seed" not in inspect.signature(type(initializer).__init__).parameters:
        return values
    wide = values.astype("float64")
    if case["cls"] == "Orthogonal":
        flat = wide.reshape(-1, shape[-1])
        return np.round(flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T, 3).astype("float32") + np.float32(0), str(values.dtype)
    spread = wide.std() or 1.0
    return str(values.dtype), values.shape, np.asarray(jnp.asarray([1.0, np.log(spread), wide.mean() / spread / 4], "bfloat16"))  # compared roughly


def run_function(k, case):
    rng = np.random.default_rng(case["seed"])
    shape = case["shape"] if case["room"] != "constraints" else (3, 4) if len(case["shape"]) < 3 else (2, 3, 4)
    if case["cls"] == "OrthogonalRegularizer":
        shape = (3, 4)
    x = jnp.asarray(rng.normal(size=shape) * 2, case["dtype"])
    if case["room"] == "activations":
        function = getattr(k.activations, case["cls"])
        if x.dtype.kind == "i":
            return in_numpy(lambda x: function(x, **case["config"]), x)
        return in_numpy(lambda x: (function(x, **case["config"]), jax.grad(lambda x: function(x, **case["config"]).astype("float32").sum())(x)), x)
    thing = made(k, case)
    return in_numpy(lambda x: thing(x), x)


def steps(case):
    yield "config", lambda k: configs(k, case) if case["room"] != "activations" else None
    yield "run", lambda k: {"losses": run_loss, "metrics": run_metric, "optimizers": run_optimizer, "initializers": run_initializer}.get(case["room"], run_function)(k, case)
