"""Random layers: what `random_parity.py` draws for a class of `keras.layers`, and how the two layers are compared."""

import copy
import inspect
import json
import re

import jax
import keras
import numpy as np

import kyeo
from tests.conformance.case import Inner, made
from tests.conformance.test_layers import apart, everything, plain, state_of, stateless, to_jax, with_weights
from tests.numpy_jaxpr import in_numpy
from tests.parity.compare import unlike_words

__all__ = ["draw", "steps"]

INITIALIZERS = ["zeros", "ones", "he_normal", "glorot_uniform", "random_normal", "orthogonal", "lecun_uniform",
                {"class_name": "Constant", "config": {"value": 0.5}}, {"class_name": "TruncatedNormal", "config": {"stddev": 0.1}}]
REGULARIZERS = [None, "l1", "l2", "L1L2", {"class_name": "L1L2", "config": {"l1": 0.1, "l2": 0.2}}]
CONSTRAINTS = [None, "non_neg", "max_norm", "unit_norm", {"class_name": "MinMaxNorm", "config": {"min_value": 0.5, "axis": 0}}]
ACTIVATIONS = [None, "relu", "tanh", "gelu", "softmax", "elu", "linear", "hard_sigmoid", "sparse_plus", "glu", "celu", "hard_shrink",
               "squareplus", "soft_shrink", "tanh_shrink", "log_sigmoid", "threshold", "sparse_sigmoid", "hard_tanh", "relu6", "mish"]
POLICIES = ["float32"] * 8 + ["mixed_bfloat16", "mixed_float16", "bfloat16", "float16"]
SKIPPED = {  # not functions of their inputs, or not numbers: tested in their own places
    "FlaxLayer", "JaxLayer", "InputLayer", "InputSpec", "Layer", "Wrapper", "Pipeline", "Lambda", "TextVectorization",
    "StringLookup", "IntegerLookup", "Hashing", "HashedCrossing", "MaxNumBoundingBoxes"}
IMAGES = {"AugMix", "AutoContrast", "CutMix", "Equalization", "MixUp", "Solarization", "RandAugment",
          "ContrastLimitedAdaptiveHistogramEqualization"}
MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot")
CLASSES = sorted(n for n in kyeo.layers.__all__ if isinstance(getattr(keras.layers, n, None), type)
                 and getattr(keras.layers, n).__name__ == n and n not in SKIPPED | IMAGES and not n.startswith("Random"))
NOISE = ("Dropout", "Noise")


def sizes(rng, rank, low=1, high=7):
    return tuple(rng.randint(low, high) for _ in range(rank))


def windows(rng, rank, high=3, low=1):
    """An int, or one for each axis."""
    return rng.choice([rng.randint(low, high), list(sizes(rng, rank, low, high)), sizes(rng, rank, low, high)])


def pads(rng, rank):
    if rank == 1:
        return rng.choice([rng.randint(0, 2), list(sizes(rng, 2, 0, 2))])
    return rng.choice([rng.randint(0, 2), sizes(rng, rank, 0, 2), [list(sizes(rng, 2, 0, 2)) for _ in range(rank)]])


def value(rng, cls, name, default, rank):
    """A random legal value for the parameter."""
    if name.endswith("initializer"):
        return rng.choice(INITIALIZERS)
    if name.endswith("regularizer"):
        return rng.choice(REGULARIZERS)
    if name.endswith("constraint"):
        return rng.choice(CONSTRAINTS)
    if name.endswith("activation"):
        return rng.choice(ACTIVATIONS) if "recurrent" not in name else rng.choice(["sigmoid", "hard_sigmoid", "tanh", None])
    if isinstance(default, bool) or name in ("keepdims", "use_scale"):
        return rng.random() < 0.5
    if name in ("dropout", "recurrent_dropout", "rate"):
        return rng.choice([0, 0.0, 0.5])
    table = {
        "data_format": lambda: rng.choice([None, "channels_first", "channels_last"]),
        "padding": lambda: pads(rng, rank) if "ZeroPadding" in cls else rng.choice(
            ["valid", "same", "causal"] if cls in ("Conv1D",) else ["valid", "same"]),
        "cropping": lambda: pads(rng, rank), "kernel_size": lambda: windows(rng, rank), "pool_size": lambda: windows(rng, rank),
        "strides": lambda: rng.choice([None, windows(rng, rank)]) if "Pool" in cls else rng.choice([1, windows(rng, rank)]),
        "dilation_rate": lambda: rng.choice([1, 1, windows(rng, rank)]), "groups": lambda: rng.choice([1, 2, -1, 4]),
        "output_padding": lambda: rng.choice([None, None, windows(rng, rank, 1, 0)]), "depth_multiplier": lambda: rng.randint(1, 3),
        "filters": lambda: rng.choice([1, 2, 4, 6]), "units": lambda: rng.randint(1, 5), "size": lambda: windows(rng, rank),
        "output_size": lambda: windows(rng, rank, 6), "epsilon": lambda: rng.choice([1e-3, 1e-5, 0.1, 0]),
        "momentum": lambda: rng.choice([0.0, 0.5, 0.99]), "renorm_momentum": lambda: rng.choice([0.5, 0.9]),
        "renorm_clipping": lambda: rng.choice([None, {"rmax": 2.0}, {"rmin": 0.5, "rmax": 1.5, "dmax": 0.1}]),
        "noise_shape": lambda: None, "seed": lambda: rng.choice([None, 3]), "stddev": lambda: rng.choice([0.0, 0.5]),
        "score_mode": lambda: rng.choice(["dot", "concat"]), "lora_rank": lambda: rng.choice([None, 1, 2]),
        "lora_alpha": lambda: rng.choice([None, 0.5, 3]), "negative_slope": lambda: rng.choice([0, 0.2, 1.5]),
        "max_value": lambda: rng.choice([None, 0, 1, 0.5]), "threshold": lambda: rng.choice([0, 0.3, 1]),
        "alpha": lambda: rng.choice([0, 0.5, 2]), "mask_value": lambda: rng.choice([0, 1.0, -1]),
        "n": lambda: rng.randint(1, 4), "scale": lambda: rng.choice([2, 0.5, [0.5], 1 / 255]),
        "offset": lambda: rng.choice([0, -1.5, [2.0]]), "interpolation": lambda: rng.choice(["nearest", "bilinear"] + ["bicubic"]),
        "height": lambda: rng.randint(1, 8), "width": lambda: rng.randint(1, 8), "fill_value": lambda: rng.choice([0.0, 0.5]),
        "fill_mode": lambda: "constant", "l1": lambda: rng.choice([0, 0.1]), "l2": lambda: rng.choice([0.0, 0.3]),
        "num_heads": lambda: rng.randint(1, 3), "key_dim": lambda: rng.randint(1, 3), "head_dim": lambda: rng.randint(1, 3),
        "num_query_heads": lambda: rng.choice([2, 4]), "num_key_value_heads": lambda: rng.choice([1, 2]),
        "sliding_window": lambda: rng.choice([None, 1, 2]), "input_dim": lambda: rng.randint(2, 6), "output_dim": lambda: rng.randint(1, 4),
        "logit_soft_cap": lambda: rng.choice([None, 1.0, 30]), "reverse_dtype": lambda: rng.choice([None, "float32"]),
        "num_tokens": lambda: 6, "output_mode": lambda: rng.choice(["multi_hot", "one_hot", "count"] + ["int"] * (cls == "Discretization")),
        "bin_boundaries": lambda: [-0.5, 0.0, 0.7], "merge_mode": lambda: rng.choice(["concat", "sum", "mul", "ave", None]),
        "power_iterations": lambda: rng.randint(1, 2), "normalize": lambda: rng.random() < 0.5,
        "activation": lambda: rng.choice(ACTIVATIONS), "fft_length": lambda: rng.choice([16, 20]), "sequence_stride": lambda: rng.choice([4, 8]),
        "sequence_length": lambda: rng.choice([None, 8, 16]), "sampling_rate": lambda: 1000, "num_mel_bins": lambda: rng.choice([4, 8]), "min_freq": lambda: rng.choice([0.0, 20.0]),
        "max_freq": lambda: rng.choice([None, 400.0]), "top_db": lambda: rng.choice([80.0, 20.0]), "mag_exp": lambda: rng.choice([1.0, 2.0]), "ref_power": lambda: rng.choice([1.0, 0.5]),
        "min_power": lambda: rng.choice([1e-10, 1e-3]), "mode": lambda: rng.choice(["log", "magnitude", "psd", "real", "imag", "angle", "stft"]), "frame_length": lambda: rng.choice([8, 16]),
        "frame_step": lambda: rng.choice([None, 4]), "window": lambda: rng.choice(["hann", "hamming"]), "scaling": lambda: rng.choice(["density", "spectrum", None]),
    }
    return table[name]() if name in table else default


def axes_of(rng, rank, several=True):
    """Axes of an array of this rank, the first one (rows) left out."""
    one = rng.randint(1, rank - 1)
    if several and rng.random() < 0.4:
        chosen = rng.sample(range(1, rank), rng.randint(1, rank - 1))
        return [a - rank if rng.random() < 0.3 else a for a in chosen]
    return rng.choice([one, one - rank, -1])


def draw(rng):
    """A layer to be made and called: {cls, config, shapes, dtype, mask, call, policy}."""
    cls = rng.choice(CLASSES)
    known = re.search(r"([123])D", cls)
    rank = int(known[1]) if known else rng.randint(0, 3)
    rows, channels = rng.randint(1, 3), rng.choice([1, 2, 3, 4])
    shape, dtype, config, call = (rows, *sizes(rng, rank), channels), "float32", {}, {}
    for parameter in list(inspect.signature(getattr(keras.layers, cls).__init__).parameters.values())[1:]:
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or parameter.name in (
                "weights", "name", "dtype", "quantization_config", "sparse", "use_cudnn", "gptq_unpacked_column_size", "synchronized",
                "flash_attention", "stateful"):
            continue
        required = parameter.default is parameter.empty
        if required or rng.random() < 0.4:
            config[parameter.name] = value(rng, cls, parameter.name, None if required else parameter.default, rank)
    if rng.random() < 0.15 and cls not in ("Dense",):
        config["activity_regularizer"] = rng.choice(REGULARIZERS)
    if cls.startswith("SpatialDropout") or cls == "Discretization":
        config.pop("activity_regularizer", None)
    if "data_format" in config and config["data_format"] == "channels_first":
        shape = (rows, shape[-1], *shape[1:-1])
    if cls.startswith("SpatialDropout"):
        config["rate"] = 0.5 if config["rate"] else 0
    if cls in ("UpSampling2D", "Resizing") and rng.random() < 0.5:
        config["interpolation"] = "nearest"
    if cls in ("Dense", "Embedding"):  # Keras forgets it
        config.pop("lora_alpha", None)
    if not config.get("lora_rank"):
        config.pop("lora_alpha", None)
    if config.get("activation") == "glu" or (cls.startswith("ConvLSTM") and config.get("activation") == "softmax"):
        config["activation"] = "tanh"  # Keras does not know glu's shape, and takes softmax over places
    if cls == "SimpleRNN":  # Keras forgets them
        config.pop("seed", None), config.pop("activity_regularizer", None)
    if cls in MERGES:
        shape = merged(rng, cls, config, shape)
    elif cls in SPECIAL:
        shape, dtype = SPECIAL[cls](rng, config, shape, call) or (shape, dtype)
    if dtype == "float32" and cls not in ("LayerNormalization", "GroupNormalization", "Softmax", "SpectralNormalization", "TimeDistributed"):
        dtype = rng.choice(["float32"] * 12 + ["int32", "bfloat16", "float16", "uint8", "float64"])
    return {"cls": cls, "config": config, "shapes": shape, "dtype": dtype, "call": call, "policy": "float32" if cls in ("TimeDistributed", "Bidirectional") or "SpatialD" in cls else rng.choice(POLICIES),
            "mask": rng.choice([None, None, "keyword"] + ["attached"] * ("initial_state" not in call)), "unknown": rng.choice([1, 1, 0, 2, 3])}


def merged(rng, cls, config, shape):
    number = 2 if cls in ("Subtract", "Dot") else rng.randint(1, 4)
    if cls == "Dot":
        rank = rng.choice([2, 2, 3])
        config["axes"] = rng.choice([1, -1, 2, (1, 1), [1, 2], (2, 1), (-1, -1)])
        return [(2, *rng.choice([(3,), (3, 3), (4, 3), (3, 4)][:rank + 1])) for _ in range(2)]
    shapes = [shape]
    for _ in range(number - 1):
        other = list(shape)
        if rng.random() < 0.4 and len(other) > 1:
            other[rng.randint(1, len(other) - 1)] = 1 if cls != "Concatenate" else rng.randint(1, 4)
        if rng.random() < 0.15 and cls != "Concatenate":
            del other[1:2]
        shapes.append(tuple(other))
    if cls == "Concatenate":
        config["axis"] = rng.choice([-1, 1, -1, len(shape) - 1, 0])
    return shapes


def wrapped(rng, config, shape, call):
    units = rng.randint(1, 3)
    kind = rng.choice(["LSTM", "GRU", "SimpleRNN"])
    config["layer"] = Inner(kind, units=units, return_sequences=rng.random() < 0.5, return_state=rng.random() < 0.3,
                            go_backwards=rng.random() < 0.3)
    if rng.random() < 0.2:
        config["backward_layer"] = Inner(kind, units=units, return_sequences=config["layer"].words["return_sequences"],
                                         return_state=config["layer"].words["return_state"],
                                         go_backwards=not config["layer"].words["go_backwards"])
    else:
        config.pop("backward_layer", None)
    return (2, 4, 3), "float32"


def distributed(rng, config, shape, call):
    config["layer"] = rng.choice([Inner("Dense", units=3, activation=rng.choice(ACTIVATIONS[:4])), Inner("Conv1D", filters=2, kernel_size=2),
                                  Inner("LayerNormalization"), Inner("Flatten"), Inner("Dropout", rate=0.0), Inner("GRU", units=2),
                                  Inner("BatchNormalization"), Inner("GlobalMaxPooling1D"), Inner("RepeatVector", n=2)])
    return (2, 3, *((5, 2) if config["layer"].name in ("Conv1D", "GRU", "GlobalMaxPooling1D") else (4,))), "float32"


def einsum(rng, config, shape, call):
    equation, shape, out, letters = rng.choice([
        ("ab,bc->ac", (3, 4), [5, (5,)], "c"), ("abc,cd->abd", (2, 3, 4), [(None, 5), (3, 5)], "bd"),
        ("abc,cde->abde", (2, 3, 4), [(None, 2, 5)], "bde"), ("...x,xy->...y", (2, 3, 4), [5], "y"),
        ("abc,bd->adc", (2, 3, 4), [(5, None), (5, 4)], "dc"), ("abc,cd->adb", (2, 3, 4), [(5, None)], "db"),
        ("abcd,cde->abe", (2, 3, 4, 2), [(None, 5)], "be")])
    config.update(equation=equation, output_shape=rng.choice(out), bias_axes=rng.choice([None, letters, *letters]))
    return shape, "float32"


def cells(rng, config, shape, call):
    config["cell"] = rng.choice([Inner("LSTMCell", units=3), [Inner("GRUCell", units=2), Inner("LSTMCell", units=3)],
                                 Inner("SimpleRNNCell", units=2, activation="relu"), Inner("StackedRNNCells", cells=[Inner("GRUCell", units=2)])])
    return (2, 4, 3), "float32"


def recurrent(states, cell=False):
    def apply(rng, config, shape, call):
        state = (2, config["units"])
        if cell:
            call["states"] = [state] * states
            return (2, 3), "float32"
        if rng.random() < 0.3:
            call["initial_state"] = [state] * states
        return (2, 4, 3), "float32"

    return apply


def heads(rng, config, shape, call):
    q = (2, 3, 4)
    if "output_shape" in config:
        config["output_shape"] = rng.choice([None, 5, (2, 3)])
    if "value_dim" in config:
        config["value_dim"] = rng.choice([None, 2])
    many = rng.choice([(q, q), (q, (2, 5, 3)), (q, (2, 5, 3), (2, 5, 2))])
    if rng.random() < 0.3:
        call["attention_mask"] = (2, 3, many[1][1])
    if rng.random() < 0.2:
        call["use_causal_mask"] = True
    if rng.random() < 0.2:
        call["return_attention_scores"] = True
    return many, "float32"


def attended(rng, config, shape, call):
    q = (2, 3, 4)
    if rng.random() < 0.2:
        call["use_causal_mask"] = True
    if rng.random() < 0.2:
        call["return_attention_scores"] = True
    return [q, *rng.choice([[(2, 5, 4)], [(2, 5, 4), (2, 5, 4)], [(2, 5, 2), (2, 5, 4)]])[:2]][:3], "float32"


def normalized(rng, config, shape, call, several=True):
    if len(shape) < 2:
        shape = (3, 4)
    if "axis" in config:
        config["axis"] = axes_of(rng, len(shape), several)
    if "groups" in config:
        config["groups"] = rng.choice([-1, 1, 2])
    return shape, "float32"


def standardized(rng, config, shape, call):
    config.update(mean=rng.choice([1.5, [1.0] * shape[-1]]), variance=2.0)
    if not isinstance(config["mean"], float):
        config["variance"] = [2.0] * shape[-1]
    config["axis"] = rng.choice([-1, None]) if isinstance(config["mean"], float) else -1


def integers(rng, config, shape, call):
    return rng.choice([(3,), (2, 3), (2, 3, 2), (2, 1)][:2 if "num_tokens" in config else 4]), rng.choice(["int32", "uint8", "int8", "float32" if "num_tokens" not in config else "int32"])


def permuted(rng, config, shape, call):
    shape = (2, *sizes(rng, rng.randint(1, 3)))
    config["dims"] = rng.sample(range(1, len(shape)), len(shape) - 1)
    return shape, "float32"


def reshaped(rng, config, shape, call):
    config["target_shape"] = rng.choice([(3, 4), (-1,), (2, -1), (12,), [3, 2, 2], (4, -1, 3), 12, (1, -1, 1), (-1, 5)])
    return (2, *rng.choice([(12,), (3, 4), (2, 3, 2)])), "float32"


def dropped(rng, config, shape, call):
    if "noise_shape" in config:
        config["noise_shape"] = rng.choice([None, tuple(rng.choice([None, 1, s]) for s in shape)])


SPECIAL = {
    "Bidirectional": wrapped, "TimeDistributed": distributed, "EinsumDense": einsum, "RNN": cells, "LSTM": recurrent(2),
    "GRU": recurrent(1), "SimpleRNN": recurrent(1), "LSTMCell": recurrent(2, True), "GRUCell": recurrent(1, True),
    "SimpleRNNCell": recurrent(1, True), "MultiHeadAttention": heads, "GroupQueryAttention": heads, "Attention": attended,
    "AdditiveAttention": attended, "BatchNormalization": lambda *a: normalized(*a, False), "LayerNormalization": normalized,
    "GroupNormalization": lambda *a: normalized(*a, False), "RMSNormalization": normalized, "UnitNormalization": normalized,
    "Softmax": normalized, "Normalization": standardized, "Embedding": integers, "ReversibleEmbedding": integers,
    "CategoryEncoding": integers, "Permute": permuted, "Reshape": reshaped, "RepeatVector": lambda *a: ((2, 4), "float32"),
    "Dropout": dropped, "AlphaDropout": dropped,
    "ConvLSTM1D": lambda r, c, s, k: ((2, 3, *s[1:]), "float32"), "ConvLSTM2D": lambda r, c, s, k: ((2, 2, *s[1:]), "float32"),
    "ConvLSTM3D": lambda r, c, s, k: ((2, 2, *s[1:]), "float32"),
    "SpectralNormalization": lambda r, c, s, k: c.update(layer=Inner(*r.choice([("Dense",)]), units=3)),
    "StackedRNNCells": lambda r, c, s, k: (c.update(cells=[Inner("LSTMCell", units=2), Inner("GRUCell", units=3)]),
                                           k.update(states=[[(2, 2), (2, 2)], [(2, 3)]])) and ((2, 3), "float32"),
    "MelSpectrogram": lambda r, c, s, k: c.update(fft_length=c.get("fft_length", 16), sampling_rate=1000, num_mel_bins=c.get("num_mel_bins", 4), sequence_stride=8) or (r.choice([(40,), (2, 40)]), "float32"),
    "STFTSpectrogram": lambda r, c, s, k: (c.update(frame_length=c.get("frame_length", 16)), c.pop("fft_length", 0)) and ((2, 40, r.choice([1, 2])) if c.get("data_format") != "channels_first" else (2, r.choice([1, 2]), 40), "float32"),
    "PReLU": lambda r, c, s, k: c.update(shared_axes=r.choice([None, 1, [1], list(range(1, len(s)))])) if "shared_axes" in c else None,
}


def array(rng, shape, dtype, high=5):
    if dtype in ("float32", "float64", "bfloat16", "float16"):
        return np.asarray(rng.normal(size=shape).astype("float32")).astype(jax.numpy.dtype(dtype))
    return rng.integers(0, high, size=shape).astype(dtype)


def steps(case):
    """Name and function of each comparison: the function takes a package and gives what must be alike."""
    cls, shapes, rng = case["cls"], case["shapes"], np.random.default_rng(7)
    high = case["config"].get("input_dim", 5) if isinstance(case["config"].get("input_dim", 5), int) else 5
    is_many = isinstance(shapes[0], (tuple, list))
    each = (lambda f: type(shapes)(map(f, shapes))) if is_many else (lambda f: f(shapes))
    inputs = each(lambda s: array(rng, s, case["dtype"], high))
    words = {k: v if v is True else jax.tree.map(
        lambda s: array(rng, s, "float32") if k != "attention_mask" else rng.random(s) < 0.7, v,
        is_leaf=lambda v: isinstance(v, tuple)) for k, v in case["call"].items()}
    takes = inspect.signature(getattr(keras.layers, cls).call).parameters
    first = jax.tree.leaves(inputs)[0]
    mask = None
    if case["mask"] and first.ndim > 1 and not (cls == "BatchNormalization" and first.ndim > 3) and cls not in NOT_MASKED:
        mask = rng.random(first.shape[:2]) < 0.7
        mask[:, 0] = True
    if len({one.shape[:2] for one in jax.tree.leaves(inputs)}) > 1:
        mask = None
    if mask is not None and case["mask"] == "keyword" and "mask" in takes and not is_many:
        words["mask"] = mask if cls != "Softmax" else rng.random(first.shape) < 0.8
    layers = {}

    def make(k):
        layers[k] = getattr(k.layers, cls)(**made(k.layers, case["config"]), **({} if case["policy"] == "float32" else {"dtype": case["policy"]}))
        return type(layers[k]).__name__

    def config(k):
        written = layers[k].get_config()
        text = json.loads(json.dumps(written))
        other = getattr((keras if k is kyeo else kyeo).layers, cls).from_config(copy.deepcopy(text))
        again = type(layers[k]).from_config(copy.deepcopy(text))
        assert plain(again.get_config()) == plain(written), "its own config changed"
        assert not (d := unlike_words(plain(other.get_config()), plain(written))), f"the other's config changed: {d}"
        return plain(written)

    def unknown(shape):
        return tuple(None if a < case["unknown"] and (a < len(shape) - 1 or not a) else n for a, n in enumerate(shape))

    def symbolic(k):
        layer = getattr(k.layers, cls)(**made(k.layers, case["config"]), **({} if case["policy"] == "float32" else {"dtype": case["policy"]}))
        given = each(lambda s: k.Input(batch_shape=unknown(s), dtype=case["dtype"]))
        more = jax.tree.map(lambda a: k.Input(batch_shape=unknown((*a.shape, 0))[:-1] if str(a.dtype) == 'bool' else unknown(a.shape), dtype=str(a.dtype)) if hasattr(a, "shape") else a, words)
        out = layer(*apart(given), **more)
        flat = [(tuple(o.shape), str(o.dtype) if "float" in case["dtype"] else None) for o in jax.tree.leaves(out)]
        k.Model([given, more] if more and all(hasattr(v, "shape") for v in jax.tree.leaves(more)) else given, out)
        return flat

    def weights(k):
        with_weights(layers[k], inputs)
        return [(w.path.split("/")[-1], tuple(w.shape), str(w.dtype), w.trainable) for w in layers[k].weights]

    def run(training):
        def apply(k):
            layer = layers[k]
            if mask is not None and case["mask"] == "attached":
                set_mask = kyeo.core.masks.set_mask if k is kyeo else keras.src.backend.set_keras_mask
                get_mask = kyeo.core.masks.get_mask if k is kyeo else keras.src.backend.get_keras_mask

                def call(inputs, words):
                    for one in jax.tree.leaves(inputs):
                        set_mask(one, jax.numpy.asarray(mask))
                    output, _states, *_ = stateless(layer, *state_of(layer), inputs, {**words, "training": training})
                    return output, [get_mask(o) for o in jax.tree.leaves(output)]

                return in_numpy(call, to_jax(inputs), to_jax(words))
            return in_numpy(lambda s, i, w: everything(layer, *s, i, {**fixed, **w}, training), state_of(layer), to_jax(inputs), arrays)

        fixed = {k: v for k, v in words.items() if v is True}
        arrays = to_jax({k: v for k, v in words.items() if v is not True})
        return apply

    yield "make", make
    yield "config", config
    yield "symbolic", symbolic
    yield "weights", weights
    yield "inference", run(False)
    noisy = any(case["config"].get(k) for k in ("rate", "dropout", "recurrent_dropout", "stddev"))
    if not noisy:
        yield "training", run(True)


NOT_MASKED = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Cropping1D", "Cropping2D", "Cropping3D", "SpectralNormalization", "StackedRNNCells", "LSTMCell", "GRUCell", "SimpleRNNCell", "Embedding")
