"""A matrix in few bits, rounded so that its products with the data it meets change least: GPTQ and AWQ.

Both give `(ints, scale, zero, groups)` of the transposed matrix: ints and inputs' groups so that
`weight = (ints - zero[group]) * scale[group]`. All is computed on the host, in float32.
"""

import functools
from typing import Any

import numpy as np

from kyeo.core.errors import problem

__all__ = ["awq", "gptq", "scale_and_zero"]

_BLOCK = 128  # columns that are corrected one by one before the error goes to the rest at once


def scale_and_zero(values: np.ndarray, bits: int, symmetric: bool = False, per_channel: bool = True) -> Any:
    """The step between two ints and the int that means 0, both of shape (rows, 1), for the values of each row.

    Args:
        values: shape (rows, n).
        bits: an int has 2**bits values, from 0 on.
        symmetric: whether the range is as wide below 0 as above it.
        per_channel: whether each row has a range of its own.

    >>> scale, zero = scale_and_zero(np.array([[-1.0, 14.0]]), bits=4)
    >>> scale.tolist(), zero.tolist()
    ([[1.0]], [[1.0]])
    """
    most = 2**bits - 1
    low, high = (f(values, axis=1 if per_channel else None, keepdims=True) for f in (np.min, np.max))
    if symmetric:
        high = np.maximum(np.abs(low), high)
        low = -high
    flat = low == high
    low, high = np.where(flat, low - 1, low), np.where(flat, high + 1, high)
    low = np.minimum(low, 0)  # so that the zero is one of the bytes 0 to 255, here and in the next line
    high = np.where(-low * most > 255 * (high - low), 0, high)
    scale = (high - low) / most
    zero = np.full_like(scale, (most + 1) / 2) if symmetric else np.round(-low / scale)
    return np.broadcast_to(scale, (len(values), 1)), np.broadcast_to(zero, (len(values), 1))


def _rounded(values: np.ndarray, scale: np.ndarray, zero: np.ndarray, bits: int) -> np.ndarray:
    return np.clip(np.round(values / scale + zero), 0, 2**bits - 1)


def gptq(kernel: np.ndarray, hessian: np.ndarray, config: Any) -> tuple[np.ndarray, ...]:
    """Round one input's weights after the other, and let the weights of the inputs still to come make up for the error.

    E. Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers" (2022),
    https://arxiv.org/abs/2210.17323. As in Keras, the inverse of the Hessian itself tells how the error spreads; the
    paper takes its Cholesky factor. So where inputs depend on each other much, plain rounding may lose less.

    Args:
        kernel: shape (inputs, outputs).
        hessian: shape (inputs, inputs): twice the mean product of the inputs with each other.
        config: a `GPTQConfig`.
    """
    inverse, diagonal = _inverse(hessian, config.hessian_damping)
    inputs, weights = len(kernel), np.array(kernel.T, "float32")
    group = inputs if config.group_size == -1 else config.group_size
    order = np.argsort(-diagonal, kind="stable") if config.activation_order else np.arange(inputs)
    weights, inverse = weights[:, order], inverse[order][:, order]
    parameters = functools.partial(scale_and_zero, bits=config.weight_bits, symmetric=config.symmetric,
                                   per_channel=config.per_channel)
    ints, scales, zeros = np.zeros(weights.shape, "uint8"), [], []
    for start in range(0, inputs, _BLOCK):
        end = min(start + _BLOCK, inputs)
        block, errors = weights[:, start:end].copy(), np.zeros((len(weights), end - start), "float32")
        for i, j in enumerate(range(start, end)):
            if j % group == 0:
                scale, zero = parameters(weights[:, j:j + group])
                scales.append(scale)
                zeros.append(zero)
            column = block[:, i:i + 1]
            whole = _rounded(column, scale, zero, config.weight_bits)
            ints[:, j:j + 1] = whole
            errors[:, i:i + 1] = (column - scale * (whole - zero)) / inverse[j, j]
            block[:, i + 1:] -= errors[:, i:i + 1] * inverse[j, j + 1:end]
        weights[:, end:] -= errors @ inverse[start:end, end:]
    back = np.argsort(order)
    groups = (np.arange(inputs) / group).astype("float32")[back]  # fractions, as in Keras's files
    return ints[:, back], np.hstack(scales), np.hstack(zeros), groups


def _inverse(hessian: np.ndarray, damping: float) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of the damped Hessian, and the diagonal of what was inverted. Inputs that are always 0 count as 1."""
    diagonal = np.diag(hessian)
    diagonal = np.where(diagonal == 0, 1, diagonal)
    diagonal = diagonal + damping * diagonal.mean()
    whole = np.array(hessian, "float64")
    np.fill_diagonal(whole, diagonal)
    try:
        inverse = np.linalg.inv(whole).astype("float32")
    except np.linalg.LinAlgError:
        inverse = np.full(whole.shape, np.nan, "float32")
    if not np.all(np.diag(inverse) > 0):
        raise problem("The data does not say how errors spread: inputs of a layer depend on each other.",
                      received=f"hessian_damping={damping}", where="GPTQ", expected="a greater one, or more data",
                      fix="hessian_damping=0.01")
    return inverse, diagonal


def awq(kernel: np.ndarray, peaks: np.ndarray, config: Any) -> tuple[np.ndarray, ...]:
    """Stretch the weights of inputs that become large before rounding, by the power of their size that loses least;
    the last of the results is what each input's weights are divided by again.

    J. Lin et al., "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration" (2023),
    https://arxiv.org/abs/2306.00978

    Args:
        kernel: shape (inputs, outputs).
        peaks: the largest absolute value of each input.
        config: an `AWQConfig`.
    """
    weights = np.asarray(kernel.T, "float32")
    peaks = np.where(peaks < 1e-8, 1, peaks).astype("float32")
    group = len(kernel) if config.group_size == -1 else config.group_size
    groups = np.arange(len(kernel)) // group

    def tried(ratio: float) -> tuple[Any, ...]:
        stretch = np.maximum(peaks**np.float32(ratio), np.float32(1e-4))
        stretch = stretch / np.maximum(np.sqrt(stretch.max() * stretch.min()), np.float32(1e-8))
        ints, scale, zero = _in_groups(weights * stretch, group, config.weight_bits)
        restored = (ints - zero[:, groups]) * scale[:, groups] / stretch
        loss = np.mean((weights - restored)**2 * peaks**2)
        return float(loss), ints.astype("uint8"), scale, zero, groups.astype("float32"), stretch

    steps = config.num_grid_points
    return min((tried(i / steps) for i in range(steps + 1)), key=lambda found: found[0])[1:]


def _in_groups(weights: np.ndarray, size: int, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ints, scales and zeros of a matrix whose rows have a scale for each `size` values."""
    missing = -weights.shape[1] % size if size < weights.shape[1] else 0
    padded = np.pad(weights, [(0, 0), (0, missing)])  # the zeros count in the last group, as in Keras
    parts = [scale_and_zero(padded[:, i:i + size], bits) for i in range(0, padded.shape[1], size)]
    scale, zero = (np.hstack(part) for part in zip(*parts))
    groups = np.arange(weights.shape[1]) // size
    return _rounded(weights, scale[:, groups], zero[:, groups], bits), scale, zero
