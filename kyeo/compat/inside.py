"""Names of Keras's inside that libraries built on it use, though they are not public: what stands for each in Kyeo.

A row is here only where Kyeo can keep what the name promises.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from kyeo.compat.lazy import LazyModule, print_msg
from kyeo.compat.stores import H5IOStore, load_model, save_model
from kyeo.core.errors import int_tuple, problem
from kyeo.core.masks import get_mask, set_mask
from kyeo.core.reading import is_reading
from kyeo.core.symbolic import Node, any_symbolic
from kyeo.data.weights import ClassWeights
from kyeo.layers.arguments import format_of
from kyeo.layers.conv import _Conv
from kyeo.layers.conv_transpose import _ConvTranspose
from kyeo.layers.data_layer import DataLayer
from kyeo.layers.merge import _Merge
from kyeo.layers.pool import _GlobalPooling, _Pooling
from kyeo.layers.separable import _DepthwiseConv, _SeparableConv
from kyeo.losses.loss import LossFunctionWrapper

__all__ = ["INSIDE", "MODULES"]

# Modules of Keras's inside that libraries reach as an attribute of the one above, without an import. `backend` has the
# ops there, which the public room of this name has not.
MODULES = frozenset({"backend.core", "backend.linalg", "backend.math", "backend.nn", "backend.numpy",
                     "saving.saving_lib", "src.backend", "src.utils", "utils.tracking"})


def _no(*args: Any, **kwargs: Any) -> bool:
    return False


def _same(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _weights_of_classes(y: Any, class_weight: dict[int, float]) -> np.ndarray:
    return ClassWeights(class_weight, whole=False)((None, np.asarray(y), None))[2]


def _any_symbolic(args: Any = None, kwargs: Any = None) -> bool:
    return any_symbolic((args, kwargs))


def _data_format(data_format: Any) -> str:
    return format_of("data_format", data_format)


def _tuple_of_ints(value: Any, n: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    return int_tuple(None, n, minimum=0 if allow_zero else 1, **{name: value})


def _refused(name: str) -> Callable[..., Any]:
    """A function that libraries import beside others that are found: an error where it is called, not where named."""
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise problem(f"{name} is a function of Keras's inside, which is not here.", kind=NotImplementedError,
                      fix="do without the layer of the library that uses it")

    return refuse


# name -> what it is here; the module in which it is asked for does not matter
INSIDE: dict[str, Any] = {
    **{name: _refused(name) for name in (  # HGQ2 calls them in attention and tables
        "_analyze_einsum_string", "_analyze_quantization_info", "_build_attention_equation", "_build_proj_equation",
        "compute_conv_output_shape")},
    "BaseConv": _Conv,
    "BaseConvTranspose": _ConvTranspose,
    "BaseDepthwiseConv": _DepthwiseConv,
    "BaseGlobalPooling": _GlobalPooling,
    "BasePooling": _Pooling,
    "BaseSeparableConv": _SeparableConv,
    "DataLayer": DataLayer,
    "H5IOStore": H5IOStore,
    "LazyModule": LazyModule,
    "LossFunctionWrapper": LossFunctionWrapper,
    "Merge": _Merge,
    "Node": Node,
    "any_symbolic_tensors": _any_symbolic,
    "class_weight_to_sample_weights": _weights_of_classes,
    "get_keras_mask": get_mask,
    "in_grain_data_pipeline": _no,  # arrays of a data pipeline are NumPy's
    "in_safe_mode": is_reading,  # a description that is read never runs code
    "in_tf_graph": _no,  # there is no TensorFlow
    "load_model": load_model,
    "no_automatic_dependency_tracking": _same,  # what a layer owns is found when it is asked for
    "print_msg": print_msg,
    "save_model": save_model,
    "set_keras_mask": set_mask,
    "standardize_data_format": _data_format,
    "standardize_tuple": _tuple_of_ints,
    "tensorflow": LazyModule("tensorflow"),  # as `tf`, in code that only runs where it is installed
}
