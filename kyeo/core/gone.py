"""Names of Keras 1, Keras 2 and TensorFlow that people still write, and what stands for each today."""

import sys
from typing import Any

from kyeo.core.errors import did_you_mean, problem
from kyeo.core.op import OPS
from kyeo.core.registry import find

__all__ = ["answer_for_missing", "missing_at_top", "way_of_method"]

# What stands for a name that a room does not have; "" is kyeo itself, imported in the place of tensorflow.
_WAYS: dict[str, dict[str, str]] = {
    "": {
        "GradientTape": "jax.value_and_grad of a function of the weights; model.stateless_call is one",
        "function": "nothing: fit, evaluate and predict are compiled; jax.jit compiles functions of your own",
        "executing_eagerly": "nothing: outside of fit and jax.jit all runs at once", "init_scope": "nothing",
        "nn": "kyeo.ops, kyeo.activations, kyeo.losses", "math": "kyeo.ops", "linalg": "kyeo.ops",
        "image": "kyeo.ops.image", "io": "kyeo.utils.load_img, kyeo.utils.get_file, or Python's own open",
        "strings": "kyeo.layers.TextVectorization, kyeo.layers.StringLookup", "newaxis": "None",
        "Tensor": "jax.Array, or kyeo.KerasTensor in a graph", "TensorSpec": "kyeo.Input(shape)",
        "Module": "kyeo.Layer",
        "range": "kyeo.ops.arange", "print": "print, or jax.debug.print in compiled code", "constant_initializer":
        "kyeo.initializers.Constant", "distribute": "kyeo.distribution", "summary": "kyeo.callbacks.TensorBoard",
        "saved_model": "model.save(name.keras), model.export(name)", "lite": "model.export(name.onnx)",
        "ragged": "kyeo.utils.pad_sequences, and masks", "sparse": "dense arrays", "estimator": "model.fit",
        "feature_column": "kyeo.utils.FeatureSpace", "shape": "kyeo.ops.shape, or x.shape", "test":
        "kyeo.distribution.list_devices() for the devices; pytest", "dtypes": 'names as text, such as "float32"',
        "experimental": "names without it", "errors": "Python's own exceptions",
        "debugging": "assert, or jax.debug", "distributions": "kyeo.random",
        **{name: f'the name as text: "{name}"' for name in ("float16", "bfloat16", "float32", "float64", "int8",
                                                            "int32", "int64", "uint8", "string")},
    },
    "compat": {"v1": "the Keras 3 names in kyeo", "v2": "kyeo itself"},
    "random": {"set_seed": "kyeo.utils.set_random_seed(seed)", "Generator": "kyeo.random.SeedGenerator(seed)"},
    "config": {
        "list_physical_devices": "kyeo.distribution.list_devices()", "list_logical_devices":
        "kyeo.distribution.list_devices()", "run_functions_eagerly": "model.compile(..., run_eagerly=True)",
        "set_visible_devices": "the variable JAX_PLATFORMS, set before Python starts", "experimental":
        "nothing: memory is asked for as JAX is told to", "threading": "kyeo.config.set_num_threads(n)",
        "optimizer": "nothing: XLA compiles each step",
    },
    "losses": {"Reduction": 'reduction="sum", "sum_over_batch_size", "mean" or None'},
    "data": {"AUTOTUNE": "nothing: batches are read ahead", "TextLineDataset": "kyeo.utils.text_dataset_from_directory",
             "TFRecordDataset": "a kyeo.utils.PyDataset that reads the records"},
    "wrappers": {"scikit_learn": "kyeo.wrappers.SKLearnClassifier, SKLearnRegressor"},
    "optimizers": {"experimental": "kyeo.optimizers"},
    "callbacks": {"experimental": "kyeo.callbacks.BackupAndRestore"},
    "layers": {
        "experimental": "its layers are in kyeo.layers itself: kyeo.layers.Rescaling, kyeo.layers.RandomFlip, ...",
        "CuDNNLSTM": "kyeo.layers.LSTM", "CuDNNGRU": "kyeo.layers.GRU", "SyncBatchNormalization":
        "kyeo.layers.BatchNormalization(synchronized=True)", "ThresholdedReLU": "kyeo.layers.ReLU(threshold=...)",
        "LocallyConnected1D": "a layer of your own", "LocallyConnected2D": "a layer of your own",
        "DenseFeatures": "kyeo.utils.FeatureSpace", "merge": "kyeo.layers.Add, Concatenate, Dot, ...",
    },
    "utils": {
        "multi_gpu_model": "kyeo.distribution.set_distribution(kyeo.distribution.DataParallel())",
        "GeneratorEnqueuer": "fit(generator)", "OrderedEnqueuer": "kyeo.utils.PyDataset(workers=...)",
        "np_utils": "kyeo.utils.to_categorical", "generic_utils": "kyeo.utils",
    },
    "preprocessing": {"text": "kyeo.layers.TextVectorization; kyeo.layers.StringLookup"},
    "preprocessing.image": {
        "ImageDataGenerator": "kyeo.utils.image_dataset_from_directory for files; kyeo.layers.RandomFlip, "
                              "RandomRotation, ... for changes at random, kyeo.layers.Rescaling for `rescale`",
    },
    "ops": {
        "reduce_mean": "kyeo.ops.mean", "reduce_sum": "kyeo.ops.sum", "reduce_max": "kyeo.ops.max",
        "reduce_min": "kyeo.ops.min", "reduce_prod": "kyeo.ops.prod", "reduce_any": "kyeo.ops.any",
        "reduce_all": "kyeo.ops.all", "concat": "kyeo.ops.concatenate", "gather": "kyeo.ops.take",
        "constant": "kyeo.ops.convert_to_tensor", "pow": "kyeo.ops.power",
        "clip_by_value": "kyeo.ops.clip", "random": "kyeo.random",
    },
    "backend": {
        "get_value": "np.asarray(variable)", "set_value": "variable.assign(value); for the learning rate "
        "optimizer.learning_rate = value", "batch_get_value": "model.get_weights()",
        "batch_set_value": "model.set_weights(values)", "variable": "kyeo.Variable(value)",
        "placeholder": "kyeo.Input(shape)", "constant": "kyeo.ops.convert_to_tensor(value)",
        "function": "kyeo.Model(inputs, outputs)", "gradients": "jax.grad of a pure function; see model.stateless_call",
        "learning_phase": "the argument `training` of `call`", "set_learning_phase": "model(x, training=True)",
        "get_session": "nothing: there are no sessions", "set_session": "nothing: there are no sessions",
        "tensorflow_backend": "kyeo.ops", "dot": "kyeo.ops.matmul", "batch_dot": "kyeo.ops.matmul or kyeo.ops.einsum",
        "int_shape": "x.shape", "ndim": "x.ndim", "eval": "np.asarray(x)", "pow": "kyeo.ops.power",
        "random_normal": "kyeo.random.normal", "random_uniform": "kyeo.random.uniform",
        "permute_dimensions": "kyeo.ops.transpose", "switch": "kyeo.ops.where or kyeo.ops.cond",
        "concatenate": "kyeo.ops.concatenate(tensors, axis=-1)", "argmax": "kyeo.ops.argmax(x, axis=-1)",
        "argmin": "kyeo.ops.argmin(x, axis=-1)", "cumsum": "kyeo.ops.cumsum(x, axis=0)",
        "cumprod": "kyeo.ops.cumprod(x, axis=0)", "expand_dims": "kyeo.ops.expand_dims(x, axis=-1)",
        "relu": "kyeo.activations.relu(x, negative_slope=..., max_value=..., threshold=...)",
        "gather": "kyeo.ops.take", "print_tensor": "jax.debug.print", "l2_normalize": "kyeo.ops.normalize",
    },
}
# Functions of `keras.backend` of Keras 2 that mean the same in `kyeo.ops`: same arguments, same defaults.
_SAME = frozenset((
    "abs", "all", "any", "binary_crossentropy", "cast", "categorical_crossentropy", "clip", "cos", "elu", "equal",
    "exp", "greater", "greater_equal", "less", "less_equal", "log", "max", "maximum", "mean", "min", "minimum",
    "not_equal", "one_hot", "ones_like", "prod", "reshape", "round", "shape", "sigmoid", "sign", "sin", "softmax",
    "softplus", "softsign", "sparse_categorical_crossentropy", "sqrt", "square", "squeeze", "std", "stop_gradient",
    "sum", "tanh", "var", "zeros_like",
))
_SHORT = frozenset(("bce", "kld", "mae", "mape", "mse", "msle"))  # functions of losses and metrics in tf.keras
_METHODS = {
    "add": "call the layer: kyeo.Model(model.input, layer(model.output)); only a Sequential has `add`",
    "fit_generator": "fit(generator)", "evaluate_generator": "evaluate(generator)",
    "predict_generator": "predict(generator)", "predict_proba": "predict(x)",
    "make_predict_function": "nothing to make: the first `predict` compiles", "make_test_function":
    "nothing to make: the first `evaluate` compiles", "make_train_function": "give the model a `train_step`",
    "predict_classes": "predict(x).argmax(-1), or (predict(x) > 0.5).astype(int) for one unit",
}


def way_of_method(name: str, owner: Any) -> Exception | None:
    """The complaint about a method that models had in Keras 2; None for other names.

    >>> print(way_of_method("predict_proba", None))
    Models have no `predict_proba` any more.
      Fix:      predict(x)
    """
    if name not in _METHODS:
        return None
    what = "Models have no `{}` any more." if name != "add" else "This model has no `{}`."
    return problem(what.format(name), where=owner, fix=_METHODS[name], kind=AttributeError)


def missing_at_top(name: str, known: list[str]) -> Exception:
    """The complaint about a name that Kyeo itself does not have, often one of TensorFlow.

    >>> print(missing_at_top("reduce_mean", []))
    module 'kyeo' has no attribute 'reduce_mean'
      Fix:      instead: kyeo.ops.mean
    """
    way = _WAYS[""].get(name) or _WAYS["ops"].get(name) or (f"kyeo.ops.{name}" if name in OPS else None)
    return problem(f"module 'kyeo' has no attribute {name!r}", kind=AttributeError,
                   fix=f"instead: {way}" if way else did_you_mean(name, known))


def answer_for_missing(module: str, left_out: dict[str, str] | None = None) -> None:
    """Give a room its `__getattr__` and `__dir__`: for names it does not have, the one says what stands for them or
    what was meant; the other gives the names it has. (Written in the room itself, they would tell type checkers that
    every name is there.)

    Args:
        module: the `__name__` of the room.
        left_out: further names, with what to do instead.
    """
    room = module.removeprefix("kyeo.")
    ways = {name: f"instead: {way}" for name, way in _WAYS.get(room, {}).items()} | (left_out or {})

    def get(name: str) -> Any:
        if room == "backend" and name in _SAME:
            return getattr(sys.modules["kyeo"].ops, name)
        if name.startswith("_"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        short = find(name.lower(), "losses") if room in ("losses", "metrics") and name.lower() in _SHORT else None
        if short is not None:  # tf.keras.losses.mse, tf.keras.metrics.MSE
            return short
        way = ways.get(name) or (f"instead: kyeo.ops.{name}" if room == "backend" and name in OPS else None)
        raise problem(f"There is no `{name}` in {module}.", kind=AttributeError,
                      fix=way or did_you_mean(name, getattr(sys.modules[module], "__all__", ())))

    room_itself: Any = sys.modules[module]
    room_itself.__getattr__ = get
    room_itself.__dir__ = lambda: sorted([*sys.modules[module].__all__, "__all__", "__doc__", "__file__", "__name__"])
