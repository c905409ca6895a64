"""Wrong arguments made up from signatures: for each parameter, values that it cannot mean; and what is said of them.

What may be accepted stands in `ACCEPTED`, with the reason.
"""

import inspect
import types
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kyeo.core.errors import is_told

__all__ = ["NOTHING", "bad_values", "complaints", "parameters_of"]


class Nothing:
    """A value no parameter knows."""

    def __repr__(self) -> str:
        return "<nothing>"


NOTHING, TEXT, NAN = Nothing(), "no_such_name", float("nan")
# By the kind of a parameter: values that it cannot mean.
BY_KIND: dict[str, tuple[Any, ...]] = {
    "bool": ("yes", 2), "int": ("three", 2.5, NAN, (1, 2, 3, 4, 5, 6, 7)), "float": ("many", NAN, [1, "x"]),
    "str": (3, 2.5, ["a", 1]), "function": (3, TEXT), "ints": (3.5, ["a", "b"]), "several": (3.5,), "dict": (3, [1]),
    "dtype": ("float33", 3.5), "name": (3, 2.5), "choice": (TEXT, 3), "rule": (TEXT, 3.5), "axis": ("first", 1.5),
    "sizes": (0, -2, "three", 2.5, (1, 2, 3, 4, 5, 6, 7), ("a", "b")), "size": (0, -3), "seed": (TEXT, 2.5),
    "fraction": (-0.1, 1.5), "not_negative": (-1, -0.5),
}
BY_TYPE = {bool: "bool", int: "int", float: "float", str: "str", dict: "dict", Sequence: "several", Callable: "function"}
BY_NAME = {name: kind for kind, names in {
    "sizes": "kernel_size pool_size strides dilation_rate output_size tile_grid_size",
    "size": """units filters input_dim output_dim num_heads key_dim value_dim head_dim num_query_heads num_key_value_heads depth_multiplier
        groups power_iterations num_bins fft_length frame_length sequence_stride sampling_rate num_mel_bins height width max_number
        num_classes num_thresholds decay_steps first_decay_steps bins num_ops num_chains chain_depth max_tokens num_tokens block_size
        lora_rank gradient_accumulation_steps dynamic_growth_steps output_sequence_length sequence_length""",
    "fraction": """momentum rate dropout recurrent_dropout label_smoothing beta_1 beta_2 rho ema_momentum renorm_momentum sensitivity
        specificity precision recall""",
    "not_negative": """epsilon stddev l1 l2 clipnorm clipvalue global_clipnorm patience cooldown learning_rate initial_learning_rate
        weight_decay gamma delta""",
    "dtype": "dtype", "name": "name", "axis": "axis", "seed": "seed",
}.items() for name in names.split()}
FREE_TEXT = set("""monitor path root field filepath filename log_dir backup_dir directory separator encoding salt package prefix name
    source_name mask_token oov_token student_layer_name teacher_layer_name unit_name signature printable_module_name cache_subdir""".split())


def kinds_of(parameter: inspect.Parameter) -> set[str]:
    """The kinds of a parameter, by its name, annotation and default."""
    name, annotation, default = parameter.name, parameter.annotation, parameter.default
    parts = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    named = {typing.get_origin(part) or part for part in parts} - {types.NoneType}
    kinds = {BY_TYPE[cls] for cls in named if len(named) == 1 and cls in BY_TYPE}
    if annotation is Any and type(default) in (bool, str):
        kinds.add(BY_TYPE[type(default)])
    if any(typing.get_origin(part) is Sequence and int in typing.get_args(part) for part in parts):
        kinds.add("ints")
    if "str" in kinds and name not in FREE_TEXT:
        kinds.add("choice")
    if name.rpartition("_")[2] in ("initializer", "regularizer", "constraint", "activation"):
        kinds.add("rule")
    return kinds | ({BY_NAME[name]} if name in BY_NAME else set())


def bad_values(parameter: inspect.Parameter) -> Iterator[Any]:
    """Values that a parameter cannot mean."""
    yield NOTHING
    for kind in sorted(kinds_of(parameter)):
        yield from BY_KIND[kind]


def parameters_of(target: Any) -> Mapping[str, inspect.Parameter]:
    """The parameters of a function; of a class, also those that `**kwargs` hand on to its bases."""
    if not inspect.isclass(target):
        return inspect.signature(target).parameters
    found: dict[str, inspect.Parameter] = {}
    for base in target.__mro__:
        if "__init__" not in base.__dict__ or base is object:
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


# What a parameter may mean, whoever has it or one owner: "owner.parameter" or "parameter", the values, the reason.
ACCEPTED: dict[str, tuple[Any, str]] = {
    "TensorBoard.embeddings_metadata": (NOTHING, "files are looked for when training begins"),
    "CallbackList.model": (NOTHING, "whatever the callbacks take"), "Hashing.mask_value": (NOTHING, "any value may stand in the data"),
    "Lambda.mask": (NOTHING, "a mask is any value"), "Lambda.output_shape": (NOTHING, "kept for files only"),
    "layer_normalization.gamma": ((-1, -0.5), "arithmetic"),
    "weights": (NOTHING, "array-like; looked at when the layer is built"), "offset": (float("nan"), "arithmetic"),
    "value": (float("nan"), "a constant may be NaN"), "nan": (float("nan"), "what NaN is replaced by"), "dx": (float("nan"), "arithmetic"),
    "base": ((2.5, float("nan")), "arithmetic"), "default": ((2.5, float("nan")), "any number"), "is_tensor.x": (NOTHING, "the question"),
    "ModelParallel.device_mesh": (NOTHING, "is that of the map, as in Keras"), "JaxLayer.params": (NOTHING, "any tree"),
    "JaxLayer.state": (NOTHING, "any tree"), "JaxLayer.native_serialization_platforms": (NOTHING, "kept for files only"),
    "window": ("no_such_name", "the names of SciPy, which is imported at the first call"), "unique.fill_value": (NOTHING, "unused without `size`"),
    "get_registered_name.obj": (NOTHING, "any object has a name"), "plot_model.to_file": ("no_such_name", "needs Graphviz, as is told"),
    "save_img.no_such": (NOTHING, "for Pillow"), "split_dataset.preferred_backend": ("no_such_name", "there is one engine"),
    "RandAugment.num_ops": (0, "no augmentation, as in Keras"),
    "get_source_inputs.tensor": (NOTHING, "given back, as in Keras"),
    "structure": (NOTHING, "what is no container is a leaf"), "check_types": (NOTHING, "unused, as in Keras"),
    "compute_iou.mask_val": (NOTHING, "unused without `use_masking`"), "preprocess_input.x": (NOTHING, "some give back what they get"),
    "model_from_json.json_string": ("no_such_name", "names what JSON found"), "clone_model.input_tensors": (NOTHING, "told by their number"),
    "assert_same_paths.b": (NOTHING, "shows both paths"), "get_file.origin": ("no_such_name", "told by where it is looked for"),
    "deserialize_keras_object.config": (NOTHING, "an object in a config stands for itself"),
}


def is_accepted(owner, name, value):
    for key in (name, f"{owner}.{name}"):
        values = ACCEPTED.get(key, ((),))[0]
        if any(value is v or repr(value) == repr(v) for v in (values if isinstance(values, tuple) else (values,))):
            return True
    return False


def complaints(owner, name, values, call):
    """A line for each wrong value that `call` takes, or refuses in unclear words."""
    for value in values:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call(value)
        except Exception as error:
            text = str(error)
            if not is_told(error) or "\n  " not in text:
                yield f"{owner}({name}={value!r}): not clear: {type(error).__name__}: {text}"
            elif name not in text and repr(value) not in text and not is_accepted(owner, name, value):
                yield f"{owner}({name}={value!r}): does not say which: {text}"
        else:
            if not is_accepted(owner, name, value):
                yield f"{owner}({name}={value!r}): accepted"
