"""Wrong arguments made up from signatures: for each parameter values that it cannot mean, beside a call that is right."""

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["Call", "bad_values", "kind_of"]


class Nothing:
    """A value no parameter knows."""

    def __repr__(self) -> str:
        return "<nothing>"


NOTHING = Nothing()
TEXT = "no_such_name"
# By the kind of the parameter: values that it cannot mean.
BY_KIND: dict[str, tuple[Any, ...]] = {
    "bool": ("yes", 2), "int": ("three", 2.5, float("nan"), (1, 2, 3, 4, 5, 6, 7)), "float": ("many", float("nan"), [1, "x"]),
    "str": (3, 2.5, ["a", 1]), "function": (3, TEXT), "any": (), "sequence": (3.5, ["a", "b"]), "dict": (3, [1]),
    "dtype": ("float33", 3.5), "name": (3, 2.5), "choice": (TEXT, 3), "rule": (TEXT, 3.5), "axis": ("first", 1.5),
    "sizes": (0, -2, "three", 2.5, (1, 2, 3, 4, 5, 6, 7), ("a", "b")), "size": (0, -3), "seed": (TEXT, 2.5),
    "fraction": (-0.1, 1.5), "not_negative": (-1, -0.5),
}
SIZES = "kernel_size pool_size strides dilation_rate output_size size tile_grid_size".split()
SIZE = """units filters n input_dim output_dim num_heads key_dim value_dim head_dim num_query_heads num_key_value_heads depth_multiplier
    groups power_iterations num_bins fft_length frame_length sequence_stride sampling_rate num_mel_bins height width max_number num_classes
    num_thresholds decay_steps first_decay_steps bins num_ops num_chains chain_depth max_tokens num_tokens classes block_size lora_rank
    gradient_accumulation_steps dynamic_growth_steps ns_steps output_sequence_length sequence_length""".split()
FRACTIONS = """momentum rate dropout recurrent_dropout label_smoothing beta_1 beta_2 rho ema_momentum renorm_momentum sensitivity
    specificity precision recall""".split()
NOT_NEGATIVE = """epsilon stddev l1 l2 clipnorm clipvalue global_clipnorm patience cooldown min_delta learning_rate initial_learning_rate
    weight_decay gamma delta""".split()
FREE = set("""monitor path root field filepath filename log_dir backup_dir directory separator encoding salt package prefix vocabulary name
    source_name mask_token oov_token student_layer_name teacher_layer_name""".split())


def kind_of(parameter: inspect.Parameter) -> set[str]:
    """The kinds of a parameter, by its name, annotation and default."""
    name, annotation, default = parameter.name, parameter.annotation, parameter.default
    kinds = {"any"}
    parts = set(typing.get_args(annotation)) if isinstance(annotation, types.UnionType) else {annotation}
    for cls, kind in ((bool, "bool"), (int, "int"), (float, "float"), (str, "str"), (dict, "dict"), (Sequence, "sequence"),
                      (Callable, "function")):
        if parts - {type(None)} == {cls} or {typing.get_origin(p) or p for p in parts} - {type(None)} == {cls} or (
                type(default) is cls and annotation is Any):
            kinds.add(kind)
    if "str" in kinds and name not in FREE:
        kinds.add("choice")
    if name.rpartition("_")[2] in ("initializer", "regularizer", "constraint", "activation"):
        kinds.add("rule")
    for names, kind in ((SIZES, "sizes"), (SIZE, "size"), (FRACTIONS, "fraction"), (NOT_NEGATIVE, "not_negative"),
                        (("dtype",), "dtype"), (("name",), "name"), (("axis",), "axis"), (("seed",), "seed")):
        if name in names:
            kinds.add(kind)
    return kinds


def bad_values(parameter: inspect.Parameter) -> Iterator[Any]:
    """Values that a parameter cannot mean."""
    yield NOTHING
    for kind in sorted(kind_of(parameter)):
        yield from BY_KIND[kind]


class Call:
    """A class or function and arguments that it takes."""

    def __init__(self, name: str, target: Any, args: dict[str, Any], pairs: dict[str, inspect.Parameter]):
        self.name, self.target, self.args, self.parameters = name, target, args, pairs
