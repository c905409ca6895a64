"""Names of Keras 1, Keras 2 and TensorFlow that people still write, and what stands for each today."""

import sys
import types
from typing import TYPE_CHECKING, Any, ClassVar

from kyeo.core.errors import did_you_mean, problem
from kyeo.core.op import OPS
from kyeo.core.registry import find

__all__ = ["SaysWhatIsGone", "answer_for_missing", "missing_at_top", "way_of_method"]

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
        "objectives": "kyeo.losses", "engine": "kyeo.Layer, kyeo.Model, kyeo.KerasTensor",
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
        **dict.fromkeys(("advanced_activations", "convolutional", "embeddings", "noise", "normalization", "pooling",
                         "recurrent", "wrappers"),
                        "kyeo.layers has them all: kyeo.layers.Dense, kyeo.layers.LSTM, ..."),
    },
    "utils": {
        "multi_gpu_model": "kyeo.distribution.set_distribution(kyeo.distribution.DataParallel())",
        "GeneratorEnqueuer": "fit(generator)", "OrderedEnqueuer": "kyeo.utils.PyDataset(workers=...)",
        "np_utils": "kyeo.utils.to_categorical", "generic_utils": "kyeo.utils",
        "vis_utils": "kyeo.utils.plot_model", "data_utils": "kyeo.utils.get_file, kyeo.utils.PyDataset",
        "layer_utils": "model.summary(), model.count_params()",
    },
    "initializers": {"normal": "kyeo.initializers.RandomNormal", "uniform": "kyeo.initializers.RandomUniform"},
    "models": {"model_from_yaml": "kyeo.models.model_from_json"},
    "mixed_precision": {"experimental": "kyeo.mixed_precision: set_global_policy, Policy"},
    "preprocessing.sequence": {
        "TimeseriesGenerator": "kyeo.utils.timeseries_dataset_from_array",
        "skipgrams": "kyeo.layers.TextVectorization and pairs made by NumPy",
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
_SHAPE = "layer.{0}.shape, once the layer was called in a graph; before, layer.compute_output_shape(input_shape)"
_OF_CALL = "keep what each call of the layer gives; layer.input and layer.output are those of its first call"
_UPDATES = "variable.assign(value) in `call`: the new value is kept"
_GRADIENTS = "jax.value_and_grad of a function of the weights, then optimizer.apply(gradients, variables)"
_OF_LAYERS = {
    "output_shape": _SHAPE.format("output"), "input_shape": _SHAPE.format("input"),
    **{f"get_{what}_at": _OF_CALL for what in ("input", "output", "input_shape", "output_shape")},
    "updates": _UPDATES, "add_update": _UPDATES, "get_updates_for": _UPDATES, "get_losses_for": "layer.losses",
}
# Methods and attributes that objects had in Keras 1 and 2, by the kind of the object.
_METHODS = {
    "Layers": _OF_LAYERS,
    "Models": {
        **_OF_LAYERS,
        "add": "call the layer: kyeo.Model(model.input, layer(model.output)); only a Sequential has `add`",
        "fit_generator": "fit(generator)", "evaluate_generator": "evaluate(generator)",
        "predict_generator": "predict(generator)", "predict_proba": "predict(x)",
        "make_predict_function": "nothing to make: the first `predict` compiles", "make_test_function":
        "nothing to make: the first `evaluate` compiles", "make_train_function": "give the model a `train_step`",
        "predict_classes": "predict(x).argmax(-1), or (predict(x) > 0.5).astype(int) for one unit",
        "reset_states": "layer.reset_state() of each layer that is stateful", "to_yaml": "to_json()",
    },
    "Optimizers": {
        "weights": "optimizer.variables", "get_weights": "[v.numpy() for v in optimizer.variables]",
        "minimize": _GRADIENTS, "get_gradients": _GRADIENTS, "get_updates": _GRADIENTS,
        "compute_gradients": _GRADIENTS,
    },
}


class SaysWhatIsGone:
    """What objects had in Keras 2 and have no more: asked for it, they say what stands for it."""

    _KIND: ClassVar[str]  # a key of the table

    if not TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any:  # only asked for what is not there
            gone = way_of_method(name, self, self._KIND) if not hasattr(type(self), name) else None
            if gone is not None:
                try:
                    raise gone
                finally:
                    del gone  # held by this frame, the error would hold itself and the object
            return object.__getattribute__(self, name)  # raises, in the words of Python or of a property


def way_of_method(name: str, owner: Any, kind: str = "Models") -> Exception | None:
    """The complaint about a method or an attribute that this kind of object had in Keras 2; None for other names.

    >>> print(way_of_method("predict_proba", None))
    Models have no `predict_proba` any more.
      Fix:      predict(x)
    """
    if name not in _METHODS[kind]:
        return None
    what = "{} have no `{}` any more." if name != "add" else "This model has no `{1}`."
    return problem(what.format(kind, name), where=owner, fix=_METHODS[kind][name], kind=AttributeError)


def missing_at_top(name: str, known: list[str]) -> Exception:
    """The complaint about a name that Kyeo itself does not have, often one of TensorFlow.

    >>> print(missing_at_top("reduce_mean", []))
    module 'kyeo' has no attribute 'reduce_mean'
      Fix:      instead: kyeo.ops.mean
    """
    way = _WAYS[""].get(name) or _WAYS["ops"].get(name) or (f"kyeo.ops.{name}" if name in OPS else None)
    return problem(f"module 'kyeo' has no attribute {name!r}", kind=AttributeError,
                   fix=f"instead: {way}" if way else did_you_mean(name, known))


class _File(types.ModuleType):
    """A file of a room, which Python shows as an attribute; called like a class, `layers.dropout(0.5)`, it names it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        room, _, name = self.__name__.rpartition(".")
        names = sys.modules[room].__all__
        alike = next((n for n in names if n.lower() == name.replace("_", "") and n != name), None)
        raise problem(f"`{self.__name__}` is a file of {room}, no class or function.", kind=TypeError,
                      fix=f"{room}.{alike}(...)" if alike else did_you_mean(name, [n for n in names if n != name]))


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
        names = [*getattr(sys.modules[module], "__all__", ()), *(_SHORT if room in ("losses", "metrics") else ())]
        raise problem(f"There is no `{name}` in {module}.", kind=AttributeError, fix=way or did_you_mean(name, names))

    room_itself: Any = sys.modules[module]
    for part in vars(room_itself).values():
        if type(part) is types.ModuleType and part.__name__.startswith(module + "."):
            part.__class__ = _File
    room_itself.__getattr__ = get
    room_itself.__dir__ = lambda: sorted([*sys.modules[module].__all__, "__all__", "__doc__", "__file__", "__name__"])
