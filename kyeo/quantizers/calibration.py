"""Quantizing by data: runs it through a model's blocks, one after the other, and rounds the layers of each by what
they met. Each block gets what the rounded ones before it give."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from kyeo.core.errors import describe, problem
from kyeo.core.owned import Structure
from kyeo.core.variable import unwrap
from kyeo.quantizers.calibrated import awq, gptq
from kyeo.quantizers.config import CalibratedConfig
from kyeo.quantizers.schemes import can_be, chosen, put, quantize_layers, resolved

__all__ = ["quantize_model", "windows"]


def quantize_model(model: Any, mode: Any, config: Any, filters: Any, type_check: bool = True) -> None:
    """Quantize the layers of a model; see `Model.quantize`."""
    config = resolved(mode, config)
    if not isinstance(config, CalibratedConfig):
        return quantize_layers(model, None, config, filters, type_check)
    blocks, inputs = _structure(model, config)
    wanted = chosen(model, filters)
    for number, block in enumerate(blocks):
        layers = [layer for layer in block._flatten_layers() if can_be(layer, config.mode, type_check)
                  and layer.quantization_mode is None and wanted(layer)]
        with _watched(layers) as seen:
            for x in inputs:
                Structure.version += 1  # or a program compiled for an earlier call would run
                block(x)
        for layer in layers:
            if seen[layer].count:
                put(layer, config, _made(layer, seen[layer], config))
        if number < len(blocks) - 1:
            inputs = [_batch(block(x)) for x in inputs]
    return None


def _structure(model: Any, config: Any) -> tuple[list[Any], list[Any]]:
    """The blocks, and what the first of them gets."""
    structure = config.quantization_layer_structure
    structure = model.get_quantization_layer_structure(config.mode) if structure is None else structure
    if not isinstance(structure, dict) or not structure.get("sequential_blocks"):
        raise problem("The blocks to be quantized are not known.", where=model, received=describe(structure),
                      expected='{"pre_block_layers": [...], "sequential_blocks": [...]}',
                      fix="give `quantization_layer_structure` to the config, or write the model's "
                          "`get_quantization_layer_structure`")
    inputs: list[Any] = list(windows(config))
    for layer in structure.get("pre_block_layers") or ():
        inputs = [layer(x) for x in inputs]
    return list(structure["sequential_blocks"]), [_batch(x) for x in inputs]


def _batch(x: Any) -> Any:
    x = x[0] if isinstance(x, (list, tuple)) else x
    return x[None] if len(x.shape) == 2 else x


def windows(config: Any) -> np.ndarray:
    """The tokens of a config's data, in pieces: shape (num_samples, 1, sequence_length).

    The pieces begin at even distances, from the first token on; data that is too short is repeated.

    >>> import kyeo
    >>> config = kyeo.quantizers.GPTQConfig([[1, 2, 3], [4, 5]], None, num_samples=2, sequence_length=3)
    >>> windows(config).tolist()
    [[[1, 2, 3]], [[5, 1, 2]]]
    """
    data, length, count = config.dataset, config.sequence_length, config.num_samples
    if data is None or isinstance(data, (str, bytes)) or not hasattr(data, "__iter__"):
        raise problem("There is no data to calibrate on.", received=f"dataset={describe(data)}", where=type(config),
                      expected="texts, or rows of tokens", kind=TypeError)
    pieces = [_tokens(config, piece) for piece in data]
    tokens = np.concatenate([*pieces, np.zeros(0, "int32")])
    if not tokens.size:
        raise problem("There is no data to calibrate on.", received="an empty dataset", where=type(config),
                      expected="texts, or rows of tokens")
    tokens = np.tile(tokens, max(1, math.ceil(count * length / tokens.size)))
    places = tokens.size - length + 1
    starts = np.arange(count) * max(1, places // count) % places
    return np.stack([tokens[start:start + length] for start in starts])[:, None, :]


def _tokens(config: Any, piece: Any) -> np.ndarray:
    if isinstance(piece, str):
        tokenize = getattr(config.tokenizer, "tokenize", config.tokenizer)
        if not callable(tokenize):
            raise problem("Texts need a tokenizer.", received=f"tokenizer={describe(config.tokenizer)}",
                          where=type(config), expected="a function, or an object with `tokenize`", kind=TypeError)
        piece = tokenize(piece)
    return np.asarray(unwrap(piece)).reshape(-1).astype("int32")


# -- what a layer meets ------------------------------------------------------------------------------------


class _Seen:
    """A scheme that rounds nothing and keeps in mind what its layer was called on."""

    keeps_weight = True

    def __init__(self) -> None:
        self.count, self.hessian, self.peaks = 0, np.zeros(()), np.zeros(())

    def weight(self, layer: Any, form: Any = None) -> Any:
        """The weight itself."""
        return getattr(layer, f"_{layer.adaptable}")

    stored = weight

    def product(self, layer: Any, multiply: Callable[..., Any], inputs: Any, axes: Any = -1, weight: Any = None) -> Any:
        """`multiply(inputs, weight)`, and a look at the inputs."""
        self.look(layer.calibration_rows(inputs))
        return multiply(inputs, unwrap(self.weight(layer)))

    def look(self, rows: Any) -> None:
        """Take rows of inputs into the means."""
        rows = np.asarray(rows, "float32")
        total = self.count + len(rows)
        self.hessian = self.hessian * np.float32(self.count / total) + np.float32(2 / total) * (rows.T @ rows)
        self.peaks = np.maximum(self.peaks, np.abs(rows).max(axis=0, initial=0))
        self.count = total


@contextmanager
def _watched(layers: list[Any]) -> Iterator[dict[Any, _Seen]]:
    seen = {layer: _Seen() for layer in layers}
    try:
        for layer, scheme in seen.items():
            layer.scheme = scheme
        with jax.disable_jit():  # loops and branches show values too
            yield seen
    finally:
        for layer in layers:
            layer.scheme = None


def _made(layer: Any, seen: _Seen, config: Any) -> tuple[np.ndarray, ...]:
    kernel = np.asarray(layer._kernel.value, "float32")
    flat = kernel.reshape(layer.flat_shape(kernel.shape))
    return gptq(flat, seen.hessian, config) if config.mode == "gptq" else awq(flat, seen.peaks, config)
