"""One line a case: a layer, its input shapes, its arguments. The checks in test_layers.py run over all of them.

`case("Conv2D", (2, 8, 8, 3), filters=4, kernel_size=3)`. A list of shapes is a list of inputs; a tuple of
shapes are inputs one by one. Words that do not
belong to the constructor begin with an underscore: `_dtype` of the input, `_mask` the shape of a mask to call it
with, `_values` a range for integers, `_known` sizes that the layer must know when its shape is inferred,
`_floor` what counts as zero, times the tolerance, `_call` shapes of further arguments of the call.
`Inner("Dense", units=3)` is a layer within an argument.
"""

import re
from typing import Any

from tests.conformance.case import Case, case
from tests.conformance.data_cases import DATA, DATA_BAD
from tests.conformance.image_cases import IMAGES, IMAGES_BAD
from tests.conformance.recurrent_cases import RECURRENT, RECURRENT_BAD
from tests.thin import thinned

__all__ = ["BAD", "CASES", "NOISE", "NORM", "RANDOM", "Case"]

IMAGE, VOLUME, SERIES = (2, 7, 6, 4), (2, 5, 4, 6, 4), (2, 9, 4)
FIRST_IMAGE, FIRST_VOLUME, FIRST_SERIES = (2, 4, 7, 6), (2, 4, 5, 4, 6), (2, 4, 9)
SPATIAL = {1: (SERIES, FIRST_SERIES), 2: (IMAGE, FIRST_IMAGE), 3: (VOLUME, FIRST_VOLUME)}

CORE = [
    case("Dense", (3, 4), units=5),
    case("Dense", (3, 4), units=5, activation="relu", use_bias=False),
    case("Dense", (2, 3, 4), units=5, activation="softmax"),
    case("Dense", (2, 3, 2, 4), units=1, activation="gelu", kernel_initializer="he_normal", bias_initializer="ones"),
    case("Dense", (3, 4), units=5, kernel_regularizer="l2", bias_regularizer="l1", activity_regularizer="l2"),
    case("Dense", (3, 4), units=5, kernel_constraint="max_norm", bias_constraint="non_neg"),
    case("Dense", (3, 4), units=5, _dtype="int32"),
    case("EinsumDense", (3, 4), equation="ab,bc->ac", output_shape=5),
    case("EinsumDense", (3, 4), equation="ab,bc->ac", output_shape=5, bias_axes="c", activation="tanh"),
    case("EinsumDense", (3, 5, 4), equation="abc,cd->abd", output_shape=(None, 6), bias_axes="d"),
    case("EinsumDense", (3, 5, 4), equation="abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"),
    case("EinsumDense", (3, 5, 4), equation="abc,cde->abde", output_shape=(None, 2, 3), bias_axes="e"),
    case("EinsumDense", (3, 5, 2, 3), equation="abde,dec->abc", output_shape=(None, 6), bias_axes="c"),
    case("EinsumDense", (3, 5, 4), equation="...x,xy->...y", output_shape=7, bias_axes="y"),
    case("EinsumDense", (3, 4, 5, 2), equation="ab...,bc->ac...", output_shape=7, bias_axes="c", _known=True),
    case("EinsumDense", (3, 5, 4), equation="abc,bcd->abd", output_shape=(5, 6), bias_axes="bd", _known=True),
    case("EinsumDense", (3, 4), equation="ab,bc->ac", output_shape=5, kernel_regularizer="l2", bias_axes="c"),
    case("Embedding", (3, 4), input_dim=5, output_dim=6, _dtype="int32"),
    case("Embedding", (3, 4, 2), input_dim=5, output_dim=1, mask_zero=True, _dtype="int32"),
    case("Embedding", (3, 4), input_dim=5, output_dim=6, embeddings_regularizer="l2", _dtype="uint8"),
    case("Embedding", (3,), input_dim=5, output_dim=6, embeddings_constraint="unit_norm", _dtype="float32"),
    case("ReversibleEmbedding", (3, 4), input_dim=5, output_dim=6, mask_zero=True, _dtype="int32"),
    case("Identity", (3, 4)),
    case("Masking", (2, 5, 3)),
    case("Masking", (2, 5, 1), mask_value=1.0, _dtype="int32"),
    case("Rescaling", (2, 4, 4, 3), scale=1 / 255, _dtype="uint8"),
    case("Rescaling", (2, 4, 4, 3), scale=2.0, offset=-1.0),
    case("Rescaling", (2, 4, 4, 3), scale=[1.0, 2.0, 3.0], offset=[0.5, 0.0, -1.0]),
    case("Normalization", (3, 4), mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 3.0, 4.0]),
    case("Normalization", (3, 4), mean=3.0, variance=2.0, invert=True),
    case("Normalization", (3, 4), axis=None, mean=3.0, variance=2.0),
    case("Normalization", (3, 5, 4), axis=(1, 2)),
    case("Normalization", (3, 5, 4), axis=-1),
]

CONV = [
    case(f"Conv{rank}D", shapes[words.get("data_format") == "channels_first"],
         filters=words.pop("filters", 6), kernel_size=words.pop("kernel_size", 3), **words)
    for rank, shapes in SPATIAL.items()
    for words in [
        {},
        {"padding": "same", "activation": "relu"},
        {"strides": 2},
        {"strides": 2, "padding": "same", "use_bias": False},
        {"strides": 3, "padding": "same", "kernel_size": 2},
        {"dilation_rate": 2, "kernel_size": 2},
        {"dilation_rate": 2, "padding": "same"},
        {"groups": 2},
        {"groups": 4, "filters": 8, "padding": "same", "strides": 2},
        {"data_format": "channels_first"},
        {"data_format": "channels_first", "padding": "same", "strides": 2, "groups": 2},
        {"kernel_size": 1, "filters": 1},
        {"kernel_size": 1, "strides": 2, "padding": "same", "activation": "elu"},
        {"kernel_regularizer": "l2", "bias_constraint": "non_neg", "activity_regularizer": "l1"},
    ]
] + [
    case("Conv1D", SERIES, filters=3, kernel_size=3, padding="causal"),
    case("Conv1D", SERIES, filters=3, kernel_size=2, padding="causal", dilation_rate=3),
    case("Conv1D", SERIES, filters=3, kernel_size=2, padding="causal", strides=2),
    case("Conv1D", FIRST_SERIES, filters=3, kernel_size=2, padding="causal", data_format="channels_first"),
    case("Conv2D", IMAGE, filters=3, kernel_size=(3, 2), strides=(2, 1), padding="same"),
    case("Conv2D", IMAGE, filters=3, kernel_size=(1, 4), dilation_rate=(1, 2), padding="same"),
    case("Conv2D", IMAGE, filters=3, kernel_size=7, padding="same"),
    case("Conv2D", (1, 28, 28, 1), filters=8, kernel_size=3, activation="relu"),
    case("Conv2D", IMAGE, filters=3, kernel_size=3, strides=4),
    case("Conv3D", VOLUME, filters=3, kernel_size=(1, 3, 2), strides=(1, 2, 1)),
] + [
    case(f"{kind}Conv{rank}D", shapes[words.get("data_format") == "channels_first"],
         **({"filters": 3} if kind == "Separable" else {}), kernel_size=words.pop("kernel_size", 3), **words)
    for kind in ("Depthwise", "Separable")
    for rank, shapes in SPATIAL.items() if rank < 3
    for words in [
        {},
        {"padding": "same", "activation": "relu"},
        {"strides": 2, "use_bias": False},
        {"strides": 2, "padding": "same", "kernel_size": 2},
        {"strides": 3, "padding": "same", "depth_multiplier": 2},
        {"dilation_rate": 2, "kernel_size": 2, "depth_multiplier": 3},
        {"dilation_rate": 2, "padding": "same"},
        {"data_format": "channels_first", "padding": "same", "strides": 2},
        {"data_format": "channels_first", "depth_multiplier": 2},
        {"kernel_size": 1, "strides": 2},
        {"depthwise_regularizer": "l2", "bias_constraint": "non_neg", "activity_regularizer": "l1"},
        {"depthwise_constraint": "max_norm", "depthwise_initializer": "he_normal", "bias_regularizer": "l2"},
    ]
] + [
    case("DepthwiseConv2D", IMAGE, kernel_size=(3, 2), strides=2, padding="same"),
    case("SeparableConv2D", IMAGE, filters=5, kernel_size=(1, 4), dilation_rate=(1, 2), padding="same"),
    case("SeparableConv2D", IMAGE, filters=2, kernel_size=2, pointwise_initializer="ones", pointwise_regularizer="l1",
         pointwise_constraint="non_neg", bias_initializer="ones"),
] + [
    case(f"Conv{rank}DTranspose", shapes[words.get("data_format") == "channels_first"],
         filters=words.pop("filters", 3), kernel_size=words.pop("kernel_size", 3), **words)
    for rank, shapes in SPATIAL.items()
    for words in [
        {},
        {"padding": "same", "activation": "relu"},
        {"strides": 2},
        {"strides": 2, "padding": "same", "use_bias": False},
        {"strides": 3, "padding": "same", "kernel_size": 2},
        {"strides": 2, "kernel_size": 2, "filters": 5},
        {"strides": 3, "kernel_size": 1},
        {"strides": 2, "padding": "same", "output_padding": 1},
        {"strides": 2, "kernel_size": 4, "output_padding": 0},
        {"dilation_rate": 2},
        {"dilation_rate": 2, "padding": "same", "kernel_size": 2},
        {"data_format": "channels_first", "strides": 2, "padding": "same"},
        {"kernel_regularizer": "l2", "bias_constraint": "non_neg", "activity_regularizer": "l1"},
    ]
] + [
    case("Conv2DTranspose", IMAGE, filters=3, kernel_size=(3, 2), strides=(2, 1), padding="same"),
    case("Conv2DTranspose", IMAGE, filters=3, kernel_size=(5, 4), strides=(2, 3), output_padding=(1, 2)),
]

POOL = [
    case(f"{kind}Pooling{rank}D", shapes[words.get("data_format") == "channels_first"], pool_size=words.pop("size", 2),
         **words)
    for rank, shapes in SPATIAL.items()
    for kind in ("Max", "Average")
    for words in [
        {},
        {"padding": "same"},
        {"strides": 1},
        {"size": 3, "strides": 2, "padding": "same"},
        {"size": 3, "strides": 2},
        {"size": 1, "strides": 2},
        {"size": 4, "strides": 3, "padding": "same"},
        {"data_format": "channels_first"},
        {"data_format": "channels_first", "size": 3, "strides": 2, "padding": "same"},
    ]
] + [
    case("MaxPooling2D", IMAGE, pool_size=(2, 3), strides=(1, 2), padding="same"),
    case("AveragePooling2D", IMAGE, pool_size=(3, 1), strides=(2, 2)),
    case("MaxPooling2D", IMAGE, pool_size=2, _dtype="int32"),
] + [
    case(f"Adaptive{kind}Pooling{rank}D", shapes[words.get("data_format") == "channels_first"], **words)
    for rank, shapes in SPATIAL.items()
    for kind in ("Max", "Average")
    for words in [{"output_size": 1}, {"output_size": 2}, {"output_size": 3}, {"output_size": 4},
                  {"output_size": 3, "data_format": "channels_first"}]
] + [
    case("AdaptiveMaxPooling2D", IMAGE, output_size=(5, 4)),
    case("AdaptiveAveragePooling2D", IMAGE, output_size=(9, 3)),
    case("AdaptiveAveragePooling1D", SERIES, output_size=9),
    case("AdaptiveMaxPooling1D", SERIES, output_size=13),
] + [
    case(f"Global{kind}Pooling{rank}D", shapes[words.get("data_format") == "channels_first"], **words)
    for rank, shapes in SPATIAL.items()
    for kind in ("Max", "Average")
    for words in [{}, {"keepdims": True}, {"data_format": "channels_first"},
                  {"data_format": "channels_first", "keepdims": True}]
] + [
    case("GlobalAveragePooling1D", SERIES, _mask=(2, 9)),
    case("GlobalAveragePooling1D", SERIES, keepdims=True, _mask=(2, 9)),
    case("GlobalAveragePooling1D", FIRST_SERIES, data_format="channels_first", _mask=(2, 9)),
]

NORM = [
    case("BatchNormalization", (6, 4)),
    case("BatchNormalization", (6, 4), momentum=0.5, epsilon=0.1),
    case("BatchNormalization", (6, 4), center=False),
    case("BatchNormalization", (6, 4), scale=False),
    case("BatchNormalization", (6, 4), center=False, scale=False),
    case("BatchNormalization", SERIES),
    case("BatchNormalization", IMAGE),
    case("BatchNormalization", FIRST_IMAGE, axis=1),
    case("BatchNormalization", VOLUME, axis=-2),
    case("BatchNormalization", SERIES, _mask=(2, 9)),
    case("BatchNormalization", IMAGE, _mask=(2, 7, 6)),
    case("BatchNormalization", IMAGE, renorm=True),
    case("BatchNormalization", (6, 4), renorm=True, scale=False, renorm_momentum=0.5),
    case("BatchNormalization", (6, 4), renorm=True, center=False, scale=False),
    case("BatchNormalization", (6, 4), renorm=True, renorm_clipping={"rmin": 0.5, "rmax": 2.0, "dmax": 0.3}),
    case("BatchNormalization", (6, 4), beta_initializer="ones", gamma_regularizer="l2", beta_regularizer="l1"),
    case("BatchNormalization", (6, 4), gamma_constraint="non_neg", moving_variance_initializer="zeros"),
    case("LayerNormalization", (6, 4)),
    case("LayerNormalization", IMAGE),
    case("LayerNormalization", IMAGE, axis=(1, 2, 3), _known=True),
    case("LayerNormalization", IMAGE, axis=[3, 1], _known=True),
    case("LayerNormalization", SERIES, axis=1, _known=True),
    case("LayerNormalization", SERIES, axis=-1, epsilon=0.1, center=False),
    case("LayerNormalization", SERIES, scale=False),
    case("LayerNormalization", SERIES, rms_scaling=True),
    case("LayerNormalization", SERIES, gamma_regularizer="l2", beta_constraint="non_neg", beta_initializer="ones"),
    case("GroupNormalization", IMAGE, groups=2),
    case("GroupNormalization", FIRST_IMAGE, groups=2, axis=1),
    case("GroupNormalization", SERIES, groups=-1),
    case("GroupNormalization", SERIES, groups=1, epsilon=0.1, center=False),
    case("GroupNormalization", (6, 4), groups=4, scale=False),
    case("RMSNormalization", SERIES),
    case("RMSNormalization", SERIES, axis=[1, 2], epsilon=0.1, _known=True),  # Keras fails on axis=1
    case("UnitNormalization", SERIES),
    case("UnitNormalization", SERIES, axis=1),
    case("UnitNormalization", IMAGE, axis=[1, 2]),
]

NOISE = [
    case("Dropout", (4, 6), rate=0.5),
    case("Dropout", (4, 6), rate=0),
    case("Dropout", (4, 6), rate=1.0),
    case("Dropout", (4, 5, 6), rate=0.3, noise_shape=(None, 1, None), seed=3),
    case("SpatialDropout1D", SERIES, rate=0.5),
    case("SpatialDropout2D", IMAGE, rate=0.5),
    case("SpatialDropout2D", FIRST_IMAGE, rate=0.5, data_format="channels_first"),
    case("SpatialDropout3D", VOLUME, rate=0.5),
    case("SpatialDropout3D", FIRST_VOLUME, rate=0.5, data_format="channels_first"),
    case("GaussianDropout", (4, 6), rate=0.5),
    case("GaussianNoise", (4, 6), stddev=0.5),
    case("AlphaDropout", (4, 6), rate=0.5),
    case("AlphaDropout", (4, 5, 6), rate=0.5, noise_shape=(None, 1, None)),
    case("ActivityRegularization", (4, 6), l1=0.1, l2=0.2),
]

ACTIVATION = [
    *(case("Activation", (3, 4), activation=name) for name in (
        "linear", "relu", "relu6", "softmax", "sigmoid", "tanh", "elu", "selu", "gelu", "silu", "softplus", "softsign",
        "exponential", "hard_sigmoid", "leaky_relu", "log_softmax", "mish", "swish")),
    case("ReLU", (3, 4)),
    case("ReLU", (3, 4), max_value=0.5),
    case("ReLU", (3, 4), negative_slope=0.2, threshold=0.3),
    case("ReLU", (3, 4), max_value=1.0, negative_slope=0.2, threshold=0.3),
    case("LeakyReLU", (3, 4)),
    case("LeakyReLU", (3, 4), negative_slope=0.01),
    case("PReLU", (3, 4)),
    case("PReLU", IMAGE, shared_axes=[1, 2]),
    case("PReLU", IMAGE, shared_axes=3, alpha_initializer="ones", alpha_regularizer="l2", _known=True),
    case("ELU", (3, 4)),
    case("ELU", (3, 4), alpha=0.3),
    case("Softmax", (3, 4)),
    case("Softmax", (3, 4, 5), axis=1),
    case("Softmax", (3, 4, 5), axis=[1, 2]),
    case("Softmax", (3, 4, 5), axis=[2]),
    case("Softmax", (3, 4), _mask=(3, 4)),
    case("Softmax", (3, 4), _mask=(3, 4), _dtype="uint8"),
    case("Softmax", (3, 4, 5), axis=[1, 2], _mask=(3, 4, 5)),
]

RESHAPE = [
    case("Flatten", IMAGE),
    case("Flatten", (3, 4)),
    case("Flatten", (3,)),
    case("Flatten", FIRST_IMAGE, data_format="channels_first"),
    case("Flatten", (3, 4, 2), _dtype="int32"),
    case("Reshape", (3, 12), target_shape=(3, 4)),
    case("Reshape", (3, 12), target_shape=(2, -1, 2)),
    case("Reshape", (3, 4, 3), target_shape=(-1,)),
    case("Reshape", (3, 1), target_shape=()),
    case("Permute", (2, 3, 4), dims=(2, 1)),
    case("Permute", IMAGE, dims=(3, 1, 2)),
    case("RepeatVector", (3, 4), n=3),
    case("ZeroPadding1D", SERIES, padding=2),
    case("ZeroPadding1D", SERIES, padding=(0, 3)),
    case("ZeroPadding1D", FIRST_SERIES, padding=1, data_format="channels_first"),
    case("ZeroPadding2D", IMAGE, padding=2),
    case("ZeroPadding2D", IMAGE, padding=(1, 2)),
    case("ZeroPadding2D", IMAGE, padding=((1, 0), (2, 3))),
    case("ZeroPadding2D", FIRST_IMAGE, padding=((1, 0), (2, 3)), data_format="channels_first"),
    case("ZeroPadding3D", VOLUME, padding=1),
    case("ZeroPadding3D", VOLUME, padding=((1, 0), (2, 3), (0, 1))),
    case("ZeroPadding3D", FIRST_VOLUME, padding=(1, 2, 0), data_format="channels_first"),
    case("Cropping1D", SERIES, cropping=2),
    case("Cropping1D", SERIES, cropping=(0, 3)),
    case("Cropping2D", IMAGE, cropping=1),
    case("Cropping2D", IMAGE, cropping=((1, 0), (2, 3))),
    case("Cropping2D", IMAGE),
    case("Cropping2D", FIRST_IMAGE, cropping=(2, 1), data_format="channels_first"),
    case("Cropping3D", VOLUME, cropping=1),
    case("Cropping3D", FIRST_VOLUME, cropping=((1, 0), (0, 0), (2, 3)), data_format="channels_first"),
    case("UpSampling1D", SERIES, size=3),
    case("UpSampling2D", IMAGE),
    case("UpSampling2D", IMAGE, size=(2, 3)),
    case("UpSampling2D", FIRST_IMAGE, size=2, data_format="channels_first"),
    *(case("UpSampling2D", IMAGE, size=(2, 3), interpolation=name)
      for name in ("bilinear", "bicubic", "lanczos3", "lanczos5")),
    case("UpSampling2D", FIRST_IMAGE, size=2, data_format="channels_first", interpolation="bilinear"),
    case("UpSampling3D", VOLUME, size=2),
    case("UpSampling3D", FIRST_VOLUME, size=(1, 2, 3), data_format="channels_first"),
]

MERGE = [
    *(case(name, shapes) for name in ("Add", "Multiply", "Average", "Maximum", "Minimum") for shapes in (
        [(3, 4), (3, 4)], [(3, 4), (3, 4), (3, 4)], [(3, 5, 4), (3, 1, 4)], [(3, 4), (3, 5, 4)], [(3, 4)])),
    case("Average", [(3, 4), (3, 4)], _dtype="int32"),
    case("Subtract", [(3, 4), (3, 4)]),
    case("Subtract", [(3, 4), (3, 5, 4)]),
    case("Concatenate", [(3, 4), (3, 5)]),
    case("Concatenate", [(3, 4, 2), (3, 1, 2), (3, 2, 2)], axis=1),
    case("Concatenate", [(3, 2, 2, 4), (3, 2, 3, 4)], axis=-2),
    case("Dot", [(3, 4), (3, 4)], axes=1),
    case("Dot", [(3, 4), (3, 4)], axes=-1, normalize=True),
    case("Dot", [(3, 5, 4), (3, 4)], axes=(2, 1)),
    case("Dot", [(3, 5, 4), (3, 2, 4)], axes=2),
    case("Dot", [(3, 5, 4), (3, 2, 5)], axes=(1, 2), normalize=True),
    case("Dot", [(3, 5, 4, 2), (3, 2, 5)], axes=(3, 1)),
    case("Dot", [(3, 4), (3, 2, 4)], axes=-1),
]


def heads(name: str, shapes: Any, **words: Any) -> Case:
    """The gradient of the keys' bias is zero, but for what rounding leaves: up to 1.2e-5, seen on a Sapphire Rapids."""
    return case(name, shapes, _floor=4.0, **words)


SEQUENCE, QUERY, VALUE = (2, 5, 8), (2, 4, 8), (2, 6, 8)
ATTENTION = [
    *(case(name, shapes, **words) for name in ("Attention", "AdditiveAttention") for shapes, words in (
        ([QUERY, VALUE], {}),
        ([QUERY, VALUE, VALUE], {"use_scale": True}),
        ([QUERY, VALUE], {"use_scale": False, "dropout": 0.3, "seed": 1}),
        ([(2, 3, *QUERY[1:]), (2, 3, *VALUE[1:])], {}),
    )),
    case("Attention", [QUERY, VALUE, VALUE], score_mode="concat"),
    case("Attention", [QUERY, VALUE], score_mode="concat", use_scale=True),
    heads("MultiHeadAttention", (SEQUENCE, SEQUENCE), num_heads=2, key_dim=3),
    heads("MultiHeadAttention", (QUERY, VALUE), num_heads=2, key_dim=3, value_dim=5, dropout=0.1),  # Keras fails without
    heads("MultiHeadAttention", (QUERY, (2, 6, 3), (2, 6, 7)), num_heads=2, key_dim=3, use_bias=False),
    heads("MultiHeadAttention", (QUERY, VALUE), num_heads=1, key_dim=3, output_shape=5, bias_initializer="ones"),
    heads("MultiHeadAttention", (QUERY, VALUE), num_heads=2, key_dim=3, output_shape=(5, 2)),
    heads("MultiHeadAttention", (SEQUENCE, SEQUENCE), num_heads=2, key_dim=3, sliding_window=2, use_gate=True),
    heads("MultiHeadAttention", (SEQUENCE, SEQUENCE), num_heads=2, key_dim=3, dropout=0.3, seed=2),
    heads("MultiHeadAttention", (SEQUENCE, SEQUENCE), num_heads=2, key_dim=3, kernel_regularizer="l2",
          bias_regularizer="l1", activity_regularizer="l2", kernel_constraint="max_norm", bias_constraint="non_neg"),
    heads("MultiHeadAttention", ((2, 3, 4, 6), (2, 3, 5, 6)), num_heads=2, key_dim=3, attention_axes=2, _known=True),
    heads("MultiHeadAttention", ((2, 3, 4, 6), (2, 5, 4, 6)), num_heads=2, key_dim=3, attention_axes=(1,), _known=True),
    heads("MultiHeadAttention", ((2, 3, 4, 6), (2, 5, 2, 6)), num_heads=2, key_dim=3, value_dim=4),
    heads("MultiHeadAttention", ((2, 3, 4, 6), (2, 5, 2, 6)), num_heads=2, key_dim=3, attention_axes=[-3, -2]),
    heads("GroupQueryAttention", (SEQUENCE, SEQUENCE), head_dim=3, num_query_heads=4, num_key_value_heads=2),
    heads("GroupQueryAttention", (QUERY, VALUE), head_dim=3, num_query_heads=4, num_key_value_heads=1, use_gate=True),
    heads("GroupQueryAttention", (SEQUENCE, SEQUENCE), head_dim=3, num_query_heads=2, num_key_value_heads=2,
          sliding_window=3, use_bias=False, activity_regularizer="l2", dropout=0.2, kernel_initializer="he_normal"),
]

EVERY = [*CORE, *CONV, *POOL, *NORM, *NOISE, *ACTIVATION, *RESHAPE, *MERGE, *ATTENTION, *IMAGES, *RECURRENT, *DATA]
# Convolutions and pools along 1 and 3 axes are the code of those along 2: a usual run takes a third of them.
ALIKE = [case for case in EVERY if re.search("(Conv|Pooling).*[13]D", case.name)]
LEFT_OUT = {*ALIKE}.difference(thinned(ALIKE, 3, kind=lambda case: case.name))
CASES = [case for case in EVERY if case not in LEFT_OUT]

# Layers that draw while training: compared with Keras where they do nothing, and by their statistics.
RANDOM = {
    "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D",
}

# Constructor arguments that must be refused: (layer, arguments), the last argument is the wrong one.
BAD = [
    *DATA_BAD,
    ("Dense", {"units": 0}), ("Dense", {"units": -3}), ("Dense", {"units": 2.5}), ("Dense", {"units": "3"}),
    ("Dense", {"units": None}), ("Dense", {"units": 3, "use_bias": "no"}), ("Dense", {"units": 3, "activation": "rlu"}),
    ("Dense", {"units": 3, "kernel_initializer": "glorot"}), ("Dense", {"units": 3, "kernel_regularizer": "l7"}),
    ("Dense", {"units": 3, "lora_rank": 0}), ("Dense", {"units": 3, "quantization_config": {"mode": "int8"}}),
    ("Dense", {"units": 3, "bias_constraint": 4}), ("Dense", {"units": 3, "name": "a/b"}),
    ("Dense", {"units": 3, "unit": 4}), ("Dense", {"units": 3, "trainable": 1}), ("Dense", {"units": 3, "dtype": "f31"}),
    ("EinsumDense", {"equation": "ab,bc", "output_shape": 3}), ("EinsumDense", {"equation": 3, "output_shape": 3}),
    ("EinsumDense", {"equation": "ab,bc->ac", "output_shape": "x"}),
    ("Embedding", {"input_dim": 0, "output_dim": 3}), ("Embedding", {"input_dim": 3, "output_dim": "x"}),
    ("Embedding", {"input_dim": 3, "output_dim": 3, "mask_zero": 1}),
    ("ReversibleEmbedding", {"input_dim": 3, "output_dim": 3, "tie_weights": 1}), ("JaxLayer", {"call_fn": 3}),
    ("ReversibleEmbedding", {"input_dim": 3, "output_dim": 3, "logit_soft_cap": 0}), ("FlaxLayer", {"module": 3}),
    ("JaxLayer", {"call_fn": lambda x: x}), ("JaxLayer", {"call_fn": lambda params, inputs: inputs}),
    ("Conv2D", {"filters": 0, "kernel_size": 3}), ("Conv2D", {"filters": 3, "kernel_size": 0}),
    ("Conv2D", {"filters": 3, "kernel_size": (3, 3, 3)}), ("Conv2D", {"filters": 3, "kernel_size": "3"}),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "padding": "full"}),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "padding": "causal"}),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "strides": 0}),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "strides": 2, "dilation_rate": 2}),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "groups": 2}),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "data_format": "NHWC"}),
    ("Conv1D", {"filters": 3, "kernel_size": (3, 3)}), ("Conv3D", {"filters": 3, "kernel_size": (3, 3)}),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 0}), ("DepthwiseConv2D", {"kernel_size": 0}),
    ("DepthwiseConv2D", {"kernel_size": 3, "padding": "causal"}),
    ("DepthwiseConv2D", {"kernel_size": 3, "depthwise_initializer": "glorot"}),
    ("SeparableConv1D", {"filters": 3, "kernel_size": (3, 3)}), ("SeparableConv2D", {"filters": -1, "kernel_size": 3}),
    ("SeparableConv2D", {"filters": 3, "kernel_size": 3, "depth_multiplier": None}),
    ("SeparableConv2D", {"filters": 3, "kernel_size": 3, "pointwise_regularizer": "l7"}),
    ("Conv1DTranspose", {"filters": 3, "kernel_size": 3, "padding": "causal"}),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 2}),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": (0, -1)}),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2, "dilation_rate": 2}),
    ("Conv3DTranspose", {"filters": 3, "kernel_size": 3, "strides": (2, 2)}),
    ("MaxPooling1D", {"pool_size": 0}), ("MaxPooling2D", {"pool_size": (2, 2, 2)}), ("MaxPooling3D", {"strides": -1}),
    ("AveragePooling1D", {"padding": "causal"}), ("AveragePooling2D", {"pool_size": "2"}),
    ("AveragePooling3D", {"data_format": "last"}),
    ("AdaptiveMaxPooling1D", {"output_size": (3, 3)}), ("AdaptiveMaxPooling2D", {"output_size": 0}),
    ("AdaptiveMaxPooling3D", {"output_size": None}), ("AdaptiveAveragePooling1D", {"output_size": 2.5}),
    ("AdaptiveAveragePooling2D", {"output_size": 2, "data_format": "x"}),
    ("AdaptiveAveragePooling3D", {"output_size": (2, 2)}),
    ("GlobalMaxPooling1D", {"keepdims": 1}), ("GlobalMaxPooling2D", {"data_format": "x"}),
    ("GlobalMaxPooling3D", {"keepdims": "yes"}), ("GlobalAveragePooling1D", {"keepdims": None}),
    ("GlobalAveragePooling2D", {"data_format": 1}), ("GlobalAveragePooling3D", {"keepdims": 2}),
    ("BatchNormalization", {"axis": "last"}), ("BatchNormalization", {"axis": [1, 2]}),
    ("BatchNormalization", {"momentum": 1.5}), ("BatchNormalization", {"momentum": "0.9"}),
    ("BatchNormalization", {"epsilon": -1}), ("BatchNormalization", {"center": 1}),
    ("BatchNormalization", {"synchronized": True}), ("BatchNormalization", {"renorm_clipping": {"max": 1}}),
    ("BatchNormalization", {"renorm_clipping": {"rmin": 2, "rmax": 1}}),
    ("LayerNormalization", {"axis": 1.5}), ("LayerNormalization", {"epsilon": "x"}),
    ("LayerNormalization", {"scale": None}),
    ("GroupNormalization", {"groups": 0}), ("GroupNormalization", {"groups": -2}),
    ("RMSNormalization", {"epsilon": -1}), ("UnitNormalization", {"axis": "x"}),
    ("Dropout", {"rate": 1.5}), ("Dropout", {"rate": -0.1}), ("Dropout", {"rate": "0.5"}), ("Dropout", {"rate": None}),
    ("Dropout", {"rate": True}), ("Dropout", {"rate": 0.5, "noise_shape": "x"}),
    ("Dropout", {"rate": 0.5, "noise_shape": (0, 1)}), ("Dropout", {"rate": 0.5, "seed": "x"}),
    ("SpatialDropout1D", {"rate": 2}), ("SpatialDropout2D", {"rate": 0.5, "data_format": "x"}),
    ("SpatialDropout3D", {"rate": -1}), ("GaussianDropout", {"rate": 1}), ("GaussianNoise", {"stddev": -1}),
    ("AlphaDropout", {"rate": 1}), ("ActivityRegularization", {"l1": -1}), ("ActivityRegularization", {"l2": "x"}),
    ("Activation", {"activation": "rleu"}), ("Activation", {"activation": 3}),
    ("ReLU", {"max_value": -1}), ("ReLU", {"negative_slope": None}), ("ReLU", {"threshold": "x"}),
    ("LeakyReLU", {"negative_slope": -1}), ("ELU", {"alpha": "x"}), ("PReLU", {"shared_axes": 0}),
    ("PReLU", {"shared_axes": "x"}), ("Softmax", {"axis": "x"}), ("Softmax", {"axis": 1.0}),
    ("Flatten", {"data_format": "x"}), ("Reshape", {"target_shape": 3}), ("Reshape", {"target_shape": (-1, -1)}),
    ("Reshape", {"target_shape": (2, "x")}), ("Permute", {"dims": (0, 1)}), ("Permute", {"dims": (2, 3)}),
    ("Permute", {"dims": 1}), ("RepeatVector", {"n": 0}), ("RepeatVector", {"n": "x"}),
    ("ZeroPadding1D", {"padding": -1}), ("ZeroPadding1D", {"padding": (1, 2, 3)}), ("ZeroPadding2D", {"padding": "x"}),
    ("ZeroPadding2D", {"padding": ((1, 2),)}), ("ZeroPadding3D", {"padding": (1, 2)}),
    ("Cropping1D", {"cropping": -1}), ("Cropping2D", {"cropping": (1, 2, 3)}), ("Cropping3D", {"cropping": 1.5}),
    ("UpSampling1D", {"size": 0}), ("UpSampling2D", {"size": (2, 2, 2)}), ("UpSampling2D", {"interpolation": "cubic"}),
    ("UpSampling3D", {"size": "2"}), ("Concatenate", {"axis": "x"}), ("Dot", {"axes": "x"}), ("Dot", {"axes": (1, 2, 3)}),
    ("Dot", {"axes": 1, "normalize": 1}), ("Rescaling", {"scale": "x"}), ("Rescaling", {"scale": 1, "offset": None}),
    ("Normalization", {"mean": 1.0}), ("Normalization", {"mean": [1.0, 2.0], "variance": [1.0]}),
    ("Lambda", {"function": 3}), ("Wrapper", {"layer": 3}), ("Identity", {"units": 3}), ("Masking", {"autocast": 1}),
    ("Add", {"axis": 1}), ("SpectralNormalization", {"layer": 3}),
    ("Attention", {"score_mode": "x"}), ("Attention", {"dropout": 2}), ("Attention", {"use_scale": 1}),
    ("AdditiveAttention", {"dropout": "x"}), ("AdditiveAttention", {"seed": "x", "dropout": 0.5}),
    ("MultiHeadAttention", {"num_heads": 0, "key_dim": 2}), ("MultiHeadAttention", {"num_heads": 2, "key_dim": "x"}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "value_dim": -1}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "output_shape": "x"}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "attention_axes": 1.5}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "sliding_window": 0}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "dropout": 0.5, "flash_attention": True}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "use_gate": 1}),
    ("GroupQueryAttention", {"head_dim": 2, "num_query_heads": 4, "num_key_value_heads": 3}),
    ("GroupQueryAttention", {"head_dim": 2, "num_query_heads": 0, "num_key_value_heads": 1}),
    *IMAGES_BAD,
    *RECURRENT_BAD,
]
