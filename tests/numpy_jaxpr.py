"""Keras's answer without a compiler: a function traced by JAX, its primitives then worked out by NumPy in float64.

Half of the suite's time was XLA compiling Keras's side of comparisons, programs that run once. And an answer that XLA
had no part in tells more: a fault of its compiler can no longer stand on both sides. What has no line here, JAX does.
"""

import math

import jax
import jax.extend
import numpy as np
import scipy.special

__all__ = ["compiled", "in_numpy", "program_of"]


def in_numpy(function, *args):
    """What the function gives for the arguments (trees of arrays), each primitive done by NumPy."""
    return program_of(function, *args)(*args)


def compiled(function, *args):
    """The same by XLA."""
    return jax.jit(function)(*args)


def program_of(function, *args):
    """The function as a program for arguments of these shapes and types: traced once, to be called often."""
    jaxpr, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    return lambda *args: jax.tree.unflatten(jax.tree.structure(shapes), [
        of_type(result, atom.aval) for result, atom in zip(
            evaluate(jaxpr.jaxpr, jaxpr.consts, jax.tree.leaves(args)), jaxpr.jaxpr.outvars, strict=True)])


def host(value):
    """The value as NumPy's, float32 as float64, but for keys of random numbers, which only JAX has."""
    if isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended):
        return value
    value = np.asarray(value)
    return value.astype("float64") if value.dtype == "float32" else value


def of_type(value, aval):
    """A value as what it stands for: what is float32 is held as float64."""
    return value.astype(aval.dtype) if isinstance(value, np.ndarray | np.generic) else value


def evaluate(jaxpr, consts, args):
    values = {variable: host(value) for variable, value in zip(
        [*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True)}

    def read(atom):
        return host(atom.val) if isinstance(atom, jax.extend.core.Literal) else values[atom]

    with np.errstate(all="ignore"):
        for equation in jaxpr.eqns:
            results = outputs(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def outputs(equation, args):
    """The list of what one equation gives."""
    name, params = equation.primitive.name, equation.params
    if name in CONTROL:
        return CONTROL[name](params, *args)
    avals, many = [variable.aval for variable in equation.outvars], equation.primitive.multiple_results
    by_jax = any(isinstance(a, jax.Array) for a in args) or name not in DONE
    if by_jax or name in JUMPS:
        args = [of_type(value, atom.aval) for value, atom in zip(args, equation.invars)]
    if by_jax:
        results = equation.primitive.bind(*args, **params)
        return list(map(host, results if many else [results]))
    results = ELEMENTWISE[name](*wide(args)) if name in ELEMENTWISE else STRUCTURED[name](params, avals[0], *args)
    results = results if many else [results]
    results = [np.asarray(r).astype("float64" if aval.dtype == "float32" else aval.dtype, copy=False)
               for r, aval in zip(results, avals, strict=True)]
    assert [r.shape for r in results] == [aval.shape for aval in avals], name
    return results


def wide(args):
    """Real floats as float64: those of half precision are rounded once, after the primitive."""
    return [a.astype("float64") if jax.numpy.issubdtype(a.dtype, jax.numpy.floating) else a for a in args]


# -- the primitives --------------------------------------------------------------------------------------------


ELEMENTWISE = {
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative, "max": np.maximum,
    "min": np.minimum, "abs": np.abs, "floor": np.floor, "ceil": np.ceil, "exp": np.exp, "expm1": np.expm1,
    "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "square": np.square, "cos": np.cos, "sin": np.sin,
    "tanh": np.tanh, "eq": np.equal, "ne": np.not_equal, "gt": np.greater, "ge": np.greater_equal, "lt": np.less,
    "le": np.less_equal, "and": np.bitwise_and, "or": np.bitwise_or, "not": np.invert, "xor": np.bitwise_xor,
    "is_finite": np.isfinite, "erf": scipy.special.erf, "erfc": scipy.special.erfc, "logistic": scipy.special.expit,
    "rsqrt": lambda x: 1 / np.sqrt(x), "one_minus_square": lambda x: 1 - x * x, "copy": np.asarray,
    "stop_gradient": np.asarray,
}


def divide(params, aval, x, y):
    if aval.dtype.kind in "iu":  # towards zero
        return np.sign(x) * np.sign(y) * (np.abs(x) // np.where(y == 0, 1, np.abs(y)))
    return np.divide(*wide([x, y]))


def convert(params, aval, x):
    if aval.dtype.kind in "iu" and jax.numpy.issubdtype(x.dtype, jax.numpy.floating):  # XLA keeps to the type's range
        bounds = np.iinfo(aval.dtype)
        return np.clip(np.trunc(np.nan_to_num(x.astype("float64"))), bounds.min, bounds.max)
    return x.astype(aval.dtype)


def broadcast(params, aval, x):
    sizes = [1] * len(aval.shape)
    for size, axis in zip(x.shape, params["broadcast_dimensions"], strict=True):
        sizes[axis] = size
    return np.broadcast_to(x.reshape(sizes), aval.shape)


def iota(params, aval):
    sizes = [1] * len(aval.shape)
    sizes[params["dimension"]] = -1
    return np.broadcast_to(np.arange(aval.shape[params["dimension"]]).reshape(sizes), aval.shape)


def padded(x, value, config):
    """The array with padding before, after and between its elements; less than none cuts."""
    result = np.full([max(0, low) + max(0, size + (size - 1) * inner if size else 0) + max(0, high)
                      for size, (low, high, inner) in zip(x.shape, config)], value, x.dtype)
    result[tuple(slice(max(0, low), max(0, low) + (size - 1) * (inner + 1) + 1 if size else 0, inner + 1)
                 for size, (low, high, inner) in zip(x.shape, config))] = x
    return result[tuple(slice(max(0, -low), size - max(0, -high)) for size, (low, high, _) in zip(result.shape, config))]


def slices(params, aval, x):
    steps = params["strides"] or [1] * x.ndim
    return x[tuple(map(slice, params["start_indices"], params["limit_indices"], steps))]


def split(params, aval, x):
    return np.split(x, np.cumsum(params["sizes"])[:-1], params["axis"])


def dot(params, aval, x, y):
    (contract_x, contract_y), (batch_x, batch_y) = params["dimension_numbers"]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    of_x = [next(letters) for _ in x.shape]
    of_y = [next(letters) for _ in y.shape]
    for i, j in (*zip(contract_x, contract_y), *zip(batch_x, batch_y)):
        of_y[j] = of_x[i]
    out = [of_x[i] for i in batch_x]
    out += [c for i, c in enumerate(of_x) if i not in (*contract_x, *batch_x)]
    out += [c for j, c in enumerate(of_y) if j not in (*contract_y, *batch_y)]
    return np.einsum(f"{''.join(of_x)},{''.join(of_y)}->{''.join(out)}", *wide([x, y]), optimize=True)


def windows(x, sizes, strides, dilation):
    """The windows of each axis as axes of their own, behind."""
    spans = [(size - 1) * d + 1 for size, d in zip(sizes, dilation)]
    short = [(0, max(0, span - size)) for span, size in zip(spans, x.shape)]  # no window fits: none is the answer
    seen = np.lib.stride_tricks.sliding_window_view(np.pad(x, short), spans)
    seen = seen[tuple(slice(0 if after else None) for _, after in short)]
    return seen[(*(slice(None, None, s) for s in strides), *(slice(None, None, d) for d in dilation))]


def reduce_window(fold, empty):
    def apply(params, aval, x):
        x = padded(x.astype("float64"), empty, [(*pair, d - 1) for pair, d in zip(params["padding"], params["base_dilation"])])
        seen = windows(x, params["window_dimensions"], params["window_strides"], params["window_dilation"])
        return fold(seen, axis=tuple(range(x.ndim, 2 * x.ndim)))

    return apply


def pool_gradient(params, aval, gradient, x):
    """Each window's gradient goes to its first largest element."""
    pads = [(*pair, 0) for pair in params["padding"]]
    assert params["select_prim"].name == "ge"
    places = padded(np.arange(x.size).reshape(x.shape), -1, pads)
    sizes, strides = params["window_dimensions"], params["window_strides"]
    seen, where = (windows(a, sizes, strides, (1,) * x.ndim).reshape(*gradient.shape, math.prod(sizes))
                   for a in (padded(x.astype("float64"), -np.inf, pads), places))
    first = np.take_along_axis(where, seen.argmax(-1)[..., None], -1)
    return np.bincount(first.ravel(), gradient.ravel(), x.size).reshape(x.shape)


def convolution(params, aval, x, kernel):
    numbers, groups, rank = params["dimension_numbers"], params["feature_group_count"], x.ndim - 2
    x, kernel = wide([x.transpose(numbers.lhs_spec), kernel.transpose(numbers.rhs_spec)])  # rows, channels, places
    if params["batch_group_count"] > 1:
        groups = params["batch_group_count"]  # the gradient of groups: rows of one group are channels of the next
        x = np.concatenate(np.split(x, groups), axis=1)
    x = padded(x, 0, [(0, 0, 0)] * 2 + [(*pair, d - 1) for pair, d in zip(params["padding"], params["lhs_dilation"])])
    sizes = kernel.shape[2:]
    seen = windows(x, (1, 1, *sizes), (1, 1, *params["window_strides"]), (1, 1, *params["rhs_dilation"]))
    seen = seen.reshape(*seen.shape[:2 + rank], *sizes)
    places, taps = "stuv"[:rank], "wxyz"[:rank]
    seen = seen.reshape(seen.shape[0], groups, seen.shape[1] // groups, *seen.shape[2:])
    kernel = kernel.reshape(groups, -1, *kernel.shape[1:])
    out = np.einsum(f"ngc{places}{taps},gfc{taps}->ngf{places}", seen, kernel, optimize=True)
    out = out.reshape(out.shape[0], out.shape[1] * out.shape[2], *out.shape[3:])
    return out.transpose(np.argsort(numbers.out_spec))


def reduction(fold):
    return lambda params, aval, x: fold(*wide([x]), axis=tuple(params["axes"]))


def shifted(shift):
    return lambda params, aval, x, by: np.where(by < aval.dtype.itemsize * 8, shift(x, by), 0)


def from_start(x, starts, sizes):
    """The part of an array that a dynamic slice means: moved inside where it would leave."""
    return tuple(slice(at, at + size) for whole, size, start in zip(x.shape, sizes, starts)
                 for at in [min(max(int(start), 0), whole - size)])


def updated(params, aval, x, part, *starts):
    x = np.array(x)
    x[from_start(x, starts, part.shape)] = part
    return x


STRUCTURED = {
    "div": divide, "convert_element_type": convert, "broadcast_in_dim": broadcast, "iota": iota, "slice": slices,
    "split": split, "dot_general": dot, "conv_general_dilated": convolution,
    "reshape": lambda params, aval, x: x.transpose(params["dimensions"] or range(x.ndim)).reshape(aval.shape),
    "squeeze": lambda params, aval, x: x.reshape(aval.shape),
    "transpose": lambda params, aval, x: x.transpose(params["permutation"]),
    "rev": lambda params, aval, x: np.flip(x, params["dimensions"]),
    "stack": lambda params, aval, *xs: np.stack(xs, params["axis"]),
    "unstack": lambda params, aval, x: list(np.moveaxis(x, params["axis"], 0)),
    "concatenate": lambda params, aval, *xs: np.concatenate(xs, params["dimension"]),
    "pad": lambda params, aval, x, value: padded(x, value, params["padding_config"]),
    "select_n": lambda params, aval, which, *cases: np.choose(which.astype("int32"), cases),
    "integer_pow": lambda params, aval, x: np.power(wide([x])[0], params["y"]),
    "reduce_sum": reduction(np.sum), "reduce_max": reduction(np.max), "reduce_min": reduction(np.min),
    "reduce_and": reduction(np.all), "reduce_or": reduction(np.any),
    "select_and_scatter_add": pool_gradient,
    "reduce_window_sum": reduce_window(np.sum, 0), "reduce_window_max": reduce_window(np.max, -np.inf),
    "shift_left": shifted(np.left_shift),
    "shift_right_logical": shifted(lambda x, by: x.view(f"u{x.dtype.itemsize}") >> by.astype(f"u{x.dtype.itemsize}")),
    "dynamic_slice": lambda params, aval, x, *starts: x[from_start(x, starts, params["slice_sizes"])],
    "dynamic_update_slice": updated, "optimization_barrier": lambda params, aval, *args: args,
}
# Where the last digit decides: they look at the float32 that a value stands for, as a compiled program does.
JUMPS = {"eq", "ne", "gt", "ge", "lt", "le", "floor", "ceil", "convert_element_type"}
DONE = {*ELEMENTWISE, *STRUCTURED}


# -- programs within programs ----------------------------------------------------------------------------------


def called(key):
    def apply(params, *args):
        inner = params[key]
        return evaluate(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), args)

    return apply


def scan(params, *args):
    if "ft_in" in params:  # JAX 0.12 and later
        fixed, carry, each = map(list, params["ft_in"].update(args).unpack())
    else:
        consts, carried = params["num_consts"], params["num_consts"] + params["num_carry"]
        fixed, carry, each = args[:consts], args[consts:carried], args[carried:]
    steps = range(params["length"])
    rows = []
    for step in reversed(steps) if params["reverse"] else steps:
        results = called("jaxpr")(params, *fixed, *carry, *(x[step] for x in each))
        carry = results[:len(carry)]
        rows.append(results[len(carry):])
    if params["reverse"]:
        rows.reverse()
    return [*carry, *(np.stack(column) for column in zip(*rows))]


def while_loop(params, *args):
    ask, do = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    carry = args[do:]
    while called("cond_jaxpr")(params, *args[:ask], *carry)[0]:
        carry = called("body_jaxpr")(params, *args[ask:do], *carry)
    return list(carry)


def choice(params, index, *args):
    branch = params["branches"][min(max(int(index), 0), len(params["branches"]) - 1)]
    return evaluate(branch.jaxpr, branch.consts, args)


CONTROL = {"jit": called("jaxpr"), "closed_call": called("call_jaxpr"), "custom_jvp_call": called("call_jaxpr"),
           "custom_vjp_call": called("call_jaxpr"), "checkpoint": called("jaxpr"), "scan": scan, "while": while_loop,
           "cond": choice}
