"""Calls of ops in a graph <-> the form Keras's files give them: a class in CamelCase with a config.

Keras writes `ops.mean(x, axis=-1)` as the class `Mean` with axis in its config, called on x. Parameters have the
same names there as in the function, so a table of names tells which of them belong to the call.
"""

import functools
import inspect
from typing import Any

from kyeo.core.configurable import deserialize_value, serialize_value
from kyeo.core.errors import problem
from kyeo.core.op import OPS
from kyeo.core.symbolic import any_symbolic

__all__ = ["OpCall", "is_op_spec", "op_class"]

# Parameters that belong to the call; all others are in the config.
_CALL_NAMES = """
a abs_ angle array atol b beta bias bins branches choicelist condition condlist constant_values coordinates data
default depthwise_kernel elements elems end_points f false_fn fill_value fun gamma image1 image2 images index
indices init init_val inputs kernel key loop_vars mask mean offset operands output output_length output_shape
pointwise_kernel pred predictions primals q query rtol scale segment_ids sequence_lengths sorted_sequence start
start_indices start_points step stop tangents target target_length targets transform translation true_fn updates value
values variable variance weights x x1 x2 xs y
"""
_CALL = frozenset(_CALL_NAMES.split())
_IN_CONFIG = {  # names that belong to the call elsewhere
    "allclose": {"rtol", "atol"}, "bincount": {"weights"}, "diagonal": {"offset"}, "histogram": {"bins"},
    "affine_transform": {"fill_value"}, "elastic_transform": {"fill_value"}, "map_coordinates": {"fill_value"},
    "perspective_transform": {"fill_value"}, "resize": {"fill_value"},
    "squareplus": {"b"}, "trace": {"offset"}, "trapezoid": {"x"}, "unique": {"fill_value"},
}
_MODULES = {  # the Keras module of an op; those not named here are in "numpy"
    "core": """associative_scan cast cond convert_to_tensor fori_loop map saturate_cast scan scatter scatter_update
        slice slice_update stop_gradient switch unstack vectorized_map while_loop""",
    "image": """affine_transform crop_images elastic_transform extract_patches gaussian_blur hsv_to_rgb
        map_coordinates pad_images perspective_transform resize rgb_to_grayscale rgb_to_hsv
        scale_and_translate sobel_edges ssim""",
    "linalg": """cholesky cholesky_inverse det eig eigh inv jvp lstsq lu_factor matrix_rank norm pinv qr solve
        solve_triangular svd""",
    "math": """cdist erf erfc erfinv extract_sequences fft fft2 ifft2 in_top_k irfft istft logdet logsumexp rfft rsqrt
        segment_max segment_min segment_prod segment_sum stft top_k view_as_complex view_as_real""",
    "nn": """adaptive_average_pool adaptive_max_pool average_pool batch_normalization binary_crossentropy
        categorical_crossentropy celu conv conv_transpose ctc_decode ctc_loss depth_to_space depthwise_conv
        dot_product_attention elu fold gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh layer_normalization
        leaky_relu log_sigmoid log_softmax max_pool moments multi_hot normalize one_hot polar psnr relu relu6
        rms_normalization selu separable_conv sigmoid silu soft_shrink softmax softplus softsign space_to_depth
        sparse_categorical_crossentropy sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink threshold unfold""",
}
_CLASSES = {  # class names that are not the function's name in CamelCase
    "allclose": "AllClose", "batch_normalization": "BatchNorm", "cdist": "CDist", "ctc_decode": "CTCDecode",
    "ctc_loss": "CTCLoss", "fft": "FFT", "fft2": "FFT2", "hsv_to_rgb": "HSVToRGB", "ifft2": "IFFT2", "irfft": "IRFFT",
    "isin": "IsIn", "istft": "ISTFT", "jvp": "JVP", "layer_normalization": "LayerNorm", "psnr": "PSNR",
    "rfft": "RFFT", "rgb_to_grayscale": "RGBToGrayscale", "rgb_to_hsv": "RGBToHSV", "rms_normalization": "RMSNorm",
    "searchsorted": "SearchSorted", "ssim": "SSIM", "stft": "STFT", "svd": "SVD",
}
_FUNCTIONS = {class_name: name for name, class_name in _CLASSES.items()}
_Parts = tuple[dict[str, Any], list[Any], dict[str, Any]]


def op_class(name: str) -> tuple[str, str]:
    """The Keras module and class of the op `name`.

    >>> op_class("log_softmax")
    ('keras.src.ops.nn', 'LogSoftmax')
    """
    module = next((m for m, names in _MODULES.items() if name in names.split()), "numpy")
    return f"keras.src.ops.{module}", _CLASSES.get(name) or "".join(p[:1].upper() + p[1:] for p in name.split("_"))


def is_op_spec(spec: dict[str, Any]) -> bool:
    """Whether a file means an op by this entry of a graph."""
    module = spec.get("module")
    return isinstance(module, str) and module.startswith(("keras.src.ops.", "keras.ops"))


class OpCall:
    """An op with the part of its arguments that files keep in a config.

    Args:
        function: the op.
        config: arguments besides those of the call.
    """

    def __init__(self, function: Any, config: dict[str, Any] | None = None):
        self.function, self.config = function, config or {}
        self._call_names, self._variadic, self._before = _split(function)

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "OpCall":
        """The op that an entry of a graph names, out of the table of ops."""
        wanted = spec["class_name"]
        name = _FUNCTIONS.get(wanted) or next(
            (n for n in OPS if op_class(n)[1] == wanted or n.replace("_", "") == str(wanted).lower()), None)
        if name not in OPS:
            raise problem("The graph in the file uses an op that is not known here.", received=f"{wanted!r}",
                          expected="the class name of an op of kyeo.ops", where=spec.get("name"))
        config = {k: _tuples(deserialize_value(v)) for k, v in (spec["config"] or {}).items() if k != "name"}
        return cls(OPS[name], config)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._variadic:
            before = [self.config[n] for n in self._before]
            rest = {n: v for n, v in self.config.items() if n not in self._before}
            return self.function(*before, *args, **kwargs, **rest)
        given = dict(zip(self._call_names, map(_tuples, args)))
        return self.function(**given, **{k: _tuples(v) for k, v in kwargs.items()}, **self.config)

    @classmethod
    def split(cls, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Parts:
        """The arguments of a recorded call as (config, positional, by keyword)."""
        signature = inspect.signature(function)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        call_names, variadic, _ = _split(function)
        config, positional, by_name = {}, [], {}
        for name, value in bound.arguments.items():
            if name == variadic:
                positional += list(value)
            elif signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                config.update(value)
            elif name not in call_names:
                config[name] = value
            elif len(positional) == call_names.index(name) and not variadic:
                positional.append(value)
            else:
                by_name[name] = value
        return {k: serialize_value(v, name=k) for k, v in config.items()}, positional, by_name


@functools.cache
def _split(function: Any) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    """Names of parameters of the call, the name of `*args` or None, names of the config's before it."""
    parameters = inspect.signature(function).parameters.values()
    inside = _IN_CONFIG.get(function.__name__, set())
    call = tuple(p.name for p in parameters if p.name in _CALL and p.name not in inside
                 and p.kind is not p.VAR_POSITIONAL)
    variadic = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    before = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD) if variadic else ()
    return call, variadic, before


def _tuples(value: Any) -> Any:
    """Lists as the tuples they were before JSON, unless tensors are in them."""
    if isinstance(value, list) and not any_symbolic(value):
        return tuple(map(_tuples, value))
    return value
