"""Products, convolutions, and pools."""

import math
from typing import Any

import numpy as np

from kyeo.export.onnx.arrange import cut, permuted, spread
from kyeo.export.onnx.graph import Builder, Tensor, Unsupported

__all__ = ["FULL", "WHOLE"]


def _dot(b: Builder, eqn: Any, one: Tensor, two: Tensor) -> Tensor:
    """MatMul where the axes stand as it wants them; Einsum otherwise."""
    out = eqn.outvars[0].aval
    if one.dtype != two.dtype:
        one, two = b.cast(one, out.dtype), b.cast(two, out.dtype)
    ((sum_one, sum_two), (batch_one, batch_two)) = eqn.params["dimension_numbers"]
    ranks = len(one.shape), len(two.shape)
    lead = tuple(range(len(batch_one)))
    batched = tuple(batch_one) == tuple(batch_two) == lead
    last = len(sum_one) == 1 and sum_one[0] == ranks[0] - 1
    if batched and last and sum_two[0] in (ranks[1] - 1, ranks[1] - 2) and ranks[1] == len(lead) + 2 and (
            not lead or ranks[0] in (len(lead) + 1, len(lead) + 2)):
        if sum_two[0] == ranks[1] - 1:  # a turned matrix
            two = b.stored(two, (*lead, ranks[1] - 1, ranks[1] - 2))
        if lead and ranks[0] == len(lead) + 1:
            one = b.reshape(one, (*one.shape[:-1], 1, one.shape[-1]))
            found = b.emit("MatMul", [one, two], (*one.shape[:-1], two.shape[-1]), one.dtype)
            return b.cast(b.reshape(found, out.shape), out.dtype)
        return b.cast(b.emit("MatMul", [one, two], out.shape, one.dtype), out.dtype)
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    names = [[next(letters) for _ in range(rank)] for rank in ranks]
    for mine, others in zip((*sum_one, *batch_one), (*sum_two, *batch_two)):
        names[1][others] = names[0][mine]
    made = [names[0][a] for a in batch_one]
    made += [n for side, used in ((0, (*sum_one, *batch_one)), (1, (*sum_two, *batch_two)))
             for a, n in enumerate(names[side]) if a not in used]
    equation = f"{''.join(names[0])},{''.join(names[1])}->{''.join(made)}"
    return b.cast(b.emit("Einsum", [one, two], out.shape, one.dtype, equation=equation), out.dtype)


def _conv(b: Builder, eqn: Any, x: Tensor, kernel: Tensor) -> Tensor:
    params, out = eqn.params, eqn.outvars[0].aval
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    if params["batch_group_count"] != 1:
        raise Unsupported("a convolution with groups in the batch")
    x, kernel = b.stored(x, numbers.lhs_spec), b.stored(kernel, numbers.rhs_spec)
    perm = None if numbers.out_spec == tuple(range(len(x.shape))) else numbers.out_spec
    shape = tuple(out.shape[a] for a in numbers.out_spec)
    if max(params["lhs_dilation"]) > 1:
        known = kernel.weight or kernel.const is not None
        if max(params["window_strides"]) == 1 and (groups == 1 or known):
            return _conv_transpose(b, params, x, kernel, shape, perm)
        x = _apart(b, x, (1, 1, *params["lhs_dilation"]), 0)
    pads = params["padding"]
    if any(edge < 0 for pad in pads for edge in pad):
        x = cut(b, x, [0, 0, *(max(-lo, 0) for lo, _ in pads)],
                [*x.shape[:2], *(s - max(-hi, 0) for s, (_, hi) in zip(x.shape[2:], pads))])
        pads = [(max(lo, 0), max(hi, 0)) for lo, hi in pads]
    return b.emit("Conv", [x, kernel], shape, x.dtype, perm, kernel_shape=list(kernel.shape[2:]), group=groups,
                  strides=list(params["window_strides"]), dilations=list(params["rhs_dilation"]),
                  pads=[lo for lo, _ in pads] + [hi for _, hi in pads])


def _apart(b: Builder, x: Tensor, dilation: Any, value: Any) -> Tensor:
    """The elements standing apart along the axes as they are stored, and a value between them."""
    perm, x = x.perm, Tensor(x.shape, x.dtype, b.name(x), const=x.const, weight=x.weight)
    for axis, times in enumerate(dilation):
        x = spread(b, x, axis, times - 1, b.const(value, x.dtype)) if times > 1 else x
    return Tensor(x.shape, x.dtype, b.name(x), perm)


def _conv_transpose(b: Builder, params: Any, x: Tensor, kernel: Tensor, shape: Any, perm: Any) -> Tensor:
    """A convolution of an array whose elements stand apart. ONNX cuts off where JAX pads, and turns the kernel."""
    axes, groups = list(range(2, len(x.shape))), params["feature_group_count"]
    if kernel.weight or kernel.const is not None:
        kernel = b.derive(kernel, lambda array: _turned(np.flip(array, tuple(axes)), groups))
    else:
        kernel = Tensor(kernel.shape, kernel.dtype, kernel.name)
        count = len(axes)
        back = [b.ints(*[-1] * count), b.ints(*[-2**31] * count), b.ints(*axes), b.ints(*[-1] * count)]
        kernel = b.emit("Slice", [kernel, *back], kernel.shape, kernel.dtype)
        kernel = b.stored(kernel, (1, 0, *axes))
    reach = [(k - 1) * d for k, d in zip(kernel.shape[2:], params["rhs_dilation"])]
    pads = [(r - lo, r - hi) for r, (lo, hi) in zip(reach, params["padding"])]
    inner = [n - max(-lo, 0) - max(-hi, 0) for n, (lo, hi) in zip(shape[2:], pads)]
    y = b.emit("ConvTranspose", [x, kernel], (*shape[:2], *inner), x.dtype, perm, kernel_shape=list(kernel.shape[2:]),
               strides=list(params["lhs_dilation"]), dilations=list(params["rhs_dilation"]), group=groups,
               pads=[max(lo, 0) for lo, _ in pads] + [max(hi, 0) for _, hi in pads])
    more = [0, 0, *(max(-lo, 0) for lo, _ in pads), 0, 0, *(max(-hi, 0) for _, hi in pads)]  # nothing reaches there
    return b.emit("Pad", [y, b.ints(*more)], shape, x.dtype, perm) if any(more) else y


def _turned(kernel: np.ndarray, groups: int) -> np.ndarray:
    """(filters, channels of a group, window) -> (channels, filters of a group, window)."""
    filters, channels, *window = kernel.shape
    apart = kernel.reshape(groups, filters // groups, channels, *window).swapaxes(1, 2)
    return apart.reshape(groups * channels, filters // groups, *window)


def _windows(b: Builder, params: Any, x: Tensor) -> tuple[Tensor, Any, dict[str, Any]]:
    """The array as a batch with channels, stored for a pool, the window's axes, and the pool's attributes."""
    window = params["window_dimensions"]
    used = [a for a, w in enumerate(window) if w > 1 or params["window_strides"][a] > 1]
    others = [a for a in range(len(window)) if a not in used]
    while len(others) > 2:  # an axis the window leaves alone
        used.append(others.pop(1))
    if len(others) < 2 or len(used) > 3:
        raise Unsupported("a pool over as many axes")
    order = (*others, *sorted(used)) if used else (*others, *range(2, len(window)))
    pads = [params["padding"][a] for a in order[2:]]
    return b.stored(x, order), order, {
        "kernel_shape": [window[a] for a in order[2:]], "strides": [params["window_strides"][a] for a in order[2:]],
        "dilations": [params["window_dilation"][a] for a in order[2:]],
        "pads": [lo for lo, _ in pads] + [hi for _, hi in pads]}


def _dilated(b: Builder, op: str, x: Tensor, shape: Any, perm: Any, attributes: dict[str, Any]) -> Tensor:
    """A pool whose window has holes. Padding is made first, as a pool takes none that is longer than its window; a sum
    is a convolution by ones, for operators of version 18 know holes only in MaxPool."""
    pads, count = attributes["pads"], len(attributes["kernel_shape"])
    if any(pads):
        edge = b.const(0 if op == "AveragePool" else -np.inf, x.dtype)
        size = [s + lo + hi for s, lo, hi in zip(x.shape[2:], pads[:count], pads[count:])]
        x = b.emit("Pad", [x, b.ints(0, 0, *pads[:count], 0, 0, *pads[count:]), edge], (*x.shape[:2], *size), x.dtype,
                   x.perm)
    attributes = {**attributes, "pads": [0] * len(pads)}
    if op == "MaxPool":
        return b.emit(op, [x], shape, x.dtype, perm, **attributes)
    channels = x.shape[1]
    if not isinstance(channels, int):  # then they are rows
        rows = Tensor(x.shape, x.dtype, b.name(x))
        rows = b.reshape(rows, (x.shape[0] * channels, 1, *x.shape[2:]))
        made = _dilated(b, op, rows, (x.shape[0] * channels, 1, *shape[2:]), None, attributes)
        made = b.reshape(made, shape)
        return Tensor(shape, x.dtype, b.name(made), perm)
    ones = b.const(np.ones((channels, 1, *attributes["kernel_shape"])), x.dtype)
    return b.emit("Conv", [x, ones], shape, x.dtype, perm, group=channels, **attributes)


def _lowest(dtype: np.dtype) -> Any:
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _pool(op: str, **more: Any) -> Any:
    def pool(b: Builder, eqn: Any, x: Tensor) -> Tensor:
        kind, made = x.dtype, eqn.outvars[0].aval.shape
        params, x = _with_others(b, eqn.params, x)
        shape = (*(1,) * (len(x.shape) - len(made)), *made)
        if max(params["base_dilation"]) > 1:
            x = _apart(b, b.plain(x), params["base_dilation"], 0 if op == "AveragePool" else _lowest(kind))
        size = x.seen
        x, order, attributes = _windows(b, params, b.cast(x, np.float64) if x.dtype.kind != "f" else x)
        perm = None if order == tuple(range(len(order))) else order
        if max(attributes["dilations"]) > 1:
            out = _dilated(b, op, x, permuted(order, shape), perm, attributes)
        else:
            del attributes["dilations"]
            out = b.emit(op, [x], permuted(order, shape), x.dtype, perm, (dict(params), size), **attributes, **more)
            if op == "AveragePool":
                window = b.const(math.prod(attributes["kernel_shape"]), x.dtype)
                out = b.elementwise("Mul", [out, window], len(shape))
        return b.cast(out if shape == made else b.reshape(out, made), kind)

    return pool


def _with_others(b: Builder, params: Any, x: Tensor) -> tuple[dict[str, Any], Tensor]:
    """A pool's parameters and array with two axes that its window leaves alone; new ones where there are none."""
    window, strides = params["window_dimensions"], params["window_strides"]
    count = max(2 - sum(w == s == 1 for w, s in zip(window, strides)), 0)
    if not count:
        return dict(params), x
    new = {name: (*((0, 0) if name == "padding" else 1,) * count, *value) for name, value in params.items()
           if isinstance(value, tuple) and len(value) == len(window)}
    return {**params, **new}, b.reshape(x, (*(1,) * count, *x.seen))


def _fourier(b: Builder, eqn: Any, x: Tensor) -> Tensor:
    """The transform of real numbers as two products with cosines and sines."""
    lengths, out = eqn.params["fft_lengths"], eqn.outvars[0].aval
    if getattr(eqn.params["fft_type"], "name", "") != "RFFT" or len(lengths) != 1:
        raise Unsupported("a Fourier transform of complex numbers, or of several axes")
    size = lengths[0]
    turns = np.outer(np.arange(size), np.arange(size // 2 + 1)) % size * (2 * np.pi / size)
    real, imaginary = (b.emit("MatMul", [x, b.const(wave, x.dtype)], out.shape, x.dtype)
                       for wave in (np.cos(turns), -np.sin(turns)))
    return Tensor(out.shape, np.dtype(out.dtype), parts=(real, imaginary))


FULL: dict[str, Any] = {"dot_general": _dot, "fft": _fourier}
WHOLE: dict[str, Any] = {
    "conv_general_dilated": _conv, "reduce_window_max": _pool("MaxPool"),
    "reduce_window_sum": _pool("AveragePool", count_include_pad=1),
}
