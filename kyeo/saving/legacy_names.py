"""What Keras 2 called otherwise: the one table of old classes, arguments and operations.

A file of Keras 2 is put into the words of today by it (`kyeo.saving.legacy_config`), then read as every other file.
"""

from typing import Any

__all__ = ["BACK", "CLASSES", "GONE", "GRAPH_OPS", "OPTIMIZERS", "RENAMED", "SLOTS"]

ANY = None  # whatever the value is, it says nothing now

# Old name of a class -> today's.
CLASSES = {
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
    "Policy": "DTypePolicy", "PolicyV1": "DTypePolicy", "ThresholdedReLU": "ReLU",
    "SyncBatchNormalization": "BatchNormalization", "Convolution1D": "Conv1D", "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D", "Deconvolution2D": "Conv2DTranspose", "LSTMV1": "LSTM", "LSTMV2": "LSTM", "GRUV1": "GRU",
    "GRUV2": "GRU",
    "LossScaleOptimizerV3": "LossScaleOptimizer", "SGDW": "SGD",
}

# Class -> {old argument: today's}.
RENAMED: dict[str, dict[str, str]] = {
    "InputLayer": {"batch_input_shape": "batch_shape", "input_dtype": "dtype"},
    "LeakyReLU": {"alpha": "negative_slope"}, "ReLU": {"theta": "threshold"},
    "CategoryEncoding": {"max_tokens": "num_tokens"}, "Discretization": {"bins": "bin_boundaries"},
    "RepeatVector": {"size": "n"}, "Dropout": {"p": "rate"},
}

OPTIMIZERS = "SGD RMSprop Adagrad Adadelta Adam Adamax Nadam Ftrl AdamW Lion Adafactor LossScaleOptimizer"
RENAMED.update({name: {"lr": "learning_rate"} for name in OPTIMIZERS.split()})

# Class, or several -> {argument that is gone: its values that say nothing}; with another value the file is refused.
_RECURRENT = "SimpleRNN LSTM GRU RNN SimpleRNNCell LSTMCell GRUCell StackedRNNCells ConvLSTM1D ConvLSTM2D ConvLSTM3D"
_KERNEL = {"kernel_initializer": ANY, "kernel_regularizer": ANY, "kernel_constraint": ANY, "groups": (1,)}
_GONE: dict[str, dict[str, Any]] = {
    "*": {"batch_input_shape": ANY, "fn": ANY},
    "InputLayer": {"ragged": (False, None)},
    _RECURRENT: {"implementation": ANY, "time_major": (False, None)},
    "ConvLSTM1D ConvLSTM2D ConvLSTM3D": {"groups": (1,)},
    "Embedding": {"input_length": ANY, "sparse": (False,)},
    "BatchNormalization": {"renorm": (False, None), "renorm_clipping": ANY, "renorm_momentum": ANY, "fused": ANY,
                           "virtual_batch_size": (None,), "adjustment": (None,), "synchronized": ANY},
    "LayerNormalization": {"fused": ANY},
    "DepthwiseConv1D DepthwiseConv2D": {**_KERNEL, "filters": ANY},
    "SeparableConv1D SeparableConv2D": _KERNEL,
    "Conv1DTranspose Conv2DTranspose Conv3DTranspose": {"groups": (1,)},
    "MultiHeadAttention": {"query_shape": ANY, "key_shape": ANY, "value_shape": ANY, "built_from_signature": ANY},
    "Attention AdditiveAttention": {"causal": (False, None)},
    "SpatialDropout1D SpatialDropout2D SpatialDropout3D": {"noise_shape": ANY, "trainable": ANY},
    "Lambda": {"module": ANY, "function_type": ANY, "output_shape_type": ANY, "output_shape_module": ANY},
    "DTypePolicy": {"loss_scale": ANY},
    "RandomFlip RandomRotation RandomZoom RandomTranslation RandomCrop Resizing CenterCrop": {"value_range": ANY},
    "RandomFlip RandomRotation RandomZoom RandomTranslation RandomContrast RandomCrop RandomHeight RandomWidth "
    "CenterCrop Rescaling Resizing": {"batch_size": ANY},
    "Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal VarianceScaling Orthogonal Identity GlorotNormal "
    "GlorotUniform HeNormal HeUniform LecunNormal LecunUniform": {"dtype": ANY, "partition_shape": ANY},
    "CategoryEncoding": {"sparse": (False,)},
    OPTIMIZERS: {"jit_compile": ANY, "is_legacy_optimizer": ANY, "schedule_decay": ANY, "dynamic": (True,)},
}
BACK = {"BatchNormalization": ("renorm", "renorm_clipping", "renorm_momentum")}  # and there again in Keras 3
GONE: dict[str, dict[str, Any]] = {}
for _classes, _arguments in _GONE.items():
    for _name in _classes.split():
        GONE[_name] = {**GONE.get(_name, {}), **_arguments}

# An operation of TensorFlow as it stands in a graph -> (op, its arguments: old=new); an argument that is not named
# keeps its name. "name" is always dropped.
_PAIR, _ONE = "x=x1 y=x2", "x=x features=x logits=x input_tensor=x input=x t=x tensor=x value=x a=x"
_REDUCE = "input_tensor=x axis=axis keepdims=keepdims"
GRAPH_OPS: dict[str, tuple[str, str]] = {
    **{old: (new, _PAIR) for old, new in {
        "__operators__.add": "add", "math.add": "add", "math.subtract": "subtract", "math.multiply": "multiply",
        "math.truediv": "true_divide", "math.divide": "true_divide", "math.floordiv": "floor_divide",
        "math.floormod": "mod", "math.mod": "mod", "math.pow": "power", "math.maximum": "maximum",
        "math.minimum": "minimum", "math.greater": "greater", "math.greater_equal": "greater_equal",
        "math.less": "less", "math.less_equal": "less_equal", "math.equal": "equal", "math.not_equal": "not_equal",
        "math.logical_and": "logical_and", "math.logical_or": "logical_or", "math.atan2": "arctan2",
        "__operators__.eq": "equal", "__operators__.ne": "not_equal"}.items()},
    **{old: (new, _ONE) for old, new in {
        "math.negative": "negative", "math.abs": "abs", "math.exp": "exp", "math.log": "log", "math.log1p": "log1p",
        "math.expm1": "expm1", "math.sqrt": "sqrt", "math.rsqrt": "rsqrt", "math.square": "square", "math.sin": "sin",
        "math.cos": "cos", "math.tan": "tan", "math.tanh": "tanh", "math.sigmoid": "sigmoid", "math.sign": "sign",
        "math.floor": "floor", "math.ceil": "ceil", "math.reciprocal": "reciprocal", "math.logical_not": "logical_not",
        "math.softplus": "softplus", "math.erf": "erf", "math.round": "round", "nn.relu": "relu", "nn.relu6": "relu6",
        "nn.sigmoid": "sigmoid", "nn.tanh": "tanh", "nn.softplus": "softplus", "nn.softsign": "softsign",
        "nn.elu": "elu", "nn.selu": "selu", "nn.silu": "silu", "stop_gradient": "stop_gradient", "identity": "copy",
        "ones_like": "ones_like", "zeros_like": "zeros_like"}.items()},
    **{f"math.reduce_{name}": (new, _REDUCE) for name, new in {
        "mean": "mean", "sum": "sum", "max": "max", "min": "min", "prod": "prod", "any": "any", "all": "all",
        "std": "std", "variance": "var", "logsumexp": "logsumexp"}.items()},
    "nn.softmax": ("softmax", _ONE), "nn.log_softmax": ("log_softmax", _ONE),
    "nn.leaky_relu": ("leaky_relu", "features=x alpha=negative_slope"), "nn.gelu": ("gelu", "features=x"),
    "reshape": ("reshape", "tensor=x shape=newshape"), "expand_dims": ("expand_dims", "input=x"),
    "squeeze": ("squeeze", "input=x"), "compat.v1.squeeze": ("squeeze", "input=x"),
    "transpose": ("transpose", "a=x perm=axes"), "compat.v1.transpose": ("transpose", "a=x perm=axes"),
    "cast": ("cast", ""), "clip_by_value": ("clip", "t=x clip_value_min=x_min clip_value_max=x_max"),
    "concat": ("concatenate", "values=xs"), "stack": ("stack", "values=x"),
    "tile": ("tile", "input=x multiples=repeats"),
    "repeat": ("repeat", "input=x"), "where": ("where", "condition=condition x=x1 y=x2"),
    "linalg.matmul": ("matmul", "a=x1 b=x2"), "math.argmax": ("argmax", "input=x"),
    "math.argmin": ("argmin", "input=x"),
    "one_hot": ("one_hot", "indices=x depth=num_classes"), "math.cumsum": ("cumsum", "x=x"),
    "math.l2_normalize": ("normalize", "x=x"),
}

# What a file calls the slots of an optimizer -> today's; a class of its own where the same word means two things.
SLOTS: dict[str, dict[str, str]] = {
    "*": {"m": "momentum", "v": "velocity", "vhat": "velocity_hat", "rms": "velocity", "momentum": "momentum",
          "velocity": "velocity", "mg": "average_gradient", "average_gradient": "average_gradient",
          "accumulator": "accumulator", "accum_grad": "accumulated_grad", "accum_var": "accumulated_delta_var",
          "accumulated_grad": "accumulated_grad", "accumulated_delta_var": "accumulated_delta_var", "linear": "linear",
          "u": "norm", "moment": "momentum"},
    "Adamax": {"v": "norm"}, "RMSprop": {"accumulator": "velocity"},
    "Adadelta": {"accumulator": "accumulated_grad", "delta_accumulator": "accumulated_delta_var"},
}
