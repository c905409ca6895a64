"""Random arguments for each function of `keras.ops`, for `random_parity.py`: eager, symbolic, with open sizes, compiled."""

import inspect
import random

import jax
import jax.numpy as jnp
import keras
import numpy as np

__all__ = ["draw", "steps"]

SKIPPED = set("""associative_scan cond fori_loop while_loop map scan switch vectorized_map vectorize jvp custom_gradient is_tensor shape dtype ndim
    size convert_to_numpy lu_factor ctc_loss ctc_decode istft stft einsum rearrange dot_product_attention fold unfold empty empty_like eig svd lstsq
    convert_to_tensor array get_item view depth_to_space space_to_depth extract_sequences sparsemax""".split())
NAMES = sorted(n for n, f in vars(keras.ops).items() if inspect.isfunction(f) and n[0] != "_" and n not in SKIPPED)
FIRSTS = {"x", "x1", "a", "array", "inputs", "tensor", "target", "output", "targets", "predictions", "query", "data", "y", "x2", "variable", "abs_", "angle", "values",
          "sorted_sequence", "mean", "variance", "bins"}
SAFE = {"log", "log10", "log2", "sqrt", "rsqrt", "log1p", "power"}


def tensor(rng, like=None, kinds=None, rank=None, size=None):
    """A description of an array: {shape, dtype, odd}."""
    if like is not None and rng.random() < 0.15:
        return rng.choice([2, -1, 0.5, True, 1.0])
    rank = rng.choice([0, 1, 1, 2, 2, 3, 4]) if rank is None else rank
    shape = tuple(rng.choice([1, 2, 3, 4] + [0] * (rng.random() < 0.1)) for _ in range(rank)) if size is None else size
    if like is not None and isinstance(like, dict):
        shape = like["shape"]
        if rng.random() < 0.4:
            shape = tuple(1 if rng.random() < 0.3 else s for s in shape)[rng.choice([0, 0, 1, len(shape)]):]
    dtype = rng.choice(kinds or ["float32"] * 4 + ["int32", "int32", "bool", "bfloat16", "float16", "uint8", "int8", "int16", "uint32"])
    return {"shape": shape, "dtype": dtype, "odd": rng.random() < 0.1, "seed": rng.randrange(100)}


def axis(rng, rank, several=True, none=True):
    if (none and rng.random() < 0.2) or not rank:
        return None if none else -1
    if several and rng.random() < 0.3:
        return tuple(rng.sample(range(rank), rng.randint(1, rank)))
    return rng.randrange(-rank, rank)


def values(rng, name, p, args):
    """A random value for a parameter of this name."""
    first = next((a for a in args.values() if isinstance(a, dict)), None)
    rank = len(first["shape"]) if first else 1
    table = {
        "axis": lambda: axis(rng, rank, several=name not in SINGLE, none=p.default is None or p.default is p.empty), "keepdims": lambda: rng.random() < 0.5, "axes": lambda: (
            rng.sample(range(rank), rank) if name == "transpose" else rng.choice([0, 1, 2]) if name == "tensordot" else axis(rng, rank, none=False) if name == "moments" else (0, 1)),
        "dtype": lambda: rng.choice(["float32", "int32", "bfloat16", "float16", "bool", "uint8"] + [None] * (p.default is None)),
        "decimals": lambda: rng.choice([0, 1, -1]), "offset": lambda: rng.choice([0, 1, -1]), "k": lambda: rng.choice([1, 0, 2, -1]) if name not in ("top_k", "in_top_k") else 1,
        "n": lambda: rng.choice([0, 1, 2]) if name == "diff" else 3, "N": lambda: rng.choice([1, 3]), "M": lambda: rng.choice([None, 2, 4]), "order": lambda: rng.choice([1, 2, 3, np.inf]),
        "ord": lambda: rng.choice([None, 1, 2, "fro", np.inf, "nuc", -1, 0]), "shift": lambda: rng.choice([1, -2, 0]), "repeats": lambda: rng.choice([1, 2, 0]) if name == "repeat" else
        rng.choice([2, (1, 2), (2, 1, 2)]), "shape": lambda: rng.choice([(2, 3), (3,), [4, 1], ()]), "newshape": lambda: rng.choice([(-1,), first["shape"][::-1], (-1, 1), first["shape"] + (1,), 1]),
        "num_classes": lambda: rng.choice([3, 4]), "nan": lambda: 1.0, "posinf": lambda: rng.choice([None, 5.0]), "neginf": lambda: rng.choice([None, -5.0]),
        "q": lambda: rng.choice([0.3, [0.2, 0.7], 0, 1]) if "quantile" in name else rng.choice([30, [20.0, 70.5]]), "method": lambda: rng.choice(["linear", "lower", "higher", "midpoint", "nearest"]),
        "mode": lambda: rng.choice(["constant", "reflect", "symmetric"]) if name == "pad" else rng.choice(["valid", "same", "full"]) if name == "correlate" else "reduced",
        "pad_width": lambda: rng.choice([1, [(rng.randint(0, 1), 1) for _ in range(rank)], ((1, 1),) * rank]), "constant_values": lambda: None, "indices_or_sections": lambda: rng.choice([1, 2, [1], [1, 2]]),
        "num": lambda: rng.choice([0, 1, 5]) if name != "unstack" else None, "endpoint": lambda: rng.random() < 0.5, "start": lambda: rng.choice([0, 1, 0.5, 2]), "stop": lambda: rng.choice([5, 3.5, 7]),
        "step": lambda: rng.choice([1, 2, 0.5]), "base": lambda: 2, "initial": lambda: rng.choice([None, 1.0, 0]), "rtol": lambda: 1e-3, "epsilon": lambda: 1e-3, "source": lambda: rng.randrange(-rank, rank) if rank else 0,
        "destination": lambda: rng.randrange(-rank, rank) if rank else 0, "axis1": lambda: 0, "axis2": lambda: rng.choice([1, -1]), "kth": lambda: 0, "side": lambda: rng.choice(["left", "right"]), "invert": lambda: rng.random() < 0.5,
        "negative_slope": lambda: 0.3, "threshold": lambda: 0.4, "default_value": lambda: 2.0, "alpha": lambda: 0.7, "b": lambda: 4, "approximate": lambda: rng.random() < 0.5, "from_logits": lambda: True,
        "minlength": lambda: 6, "range": lambda: rng.choice([None, (0.0, 1.0)]), "fill_value": lambda: rng.choice([1, 0.5, True]), "increasing": lambda: rng.random() < 0.5, "beta": lambda: 2.0, "max_val": lambda: 2.0,
        "nan_to_num": lambda: 0.0, "num_segments": lambda: 4, "sorted": lambda: True, "equal_nan": lambda: rng.random() < 0.5, "fft_length": lambda: rng.choice([None, 4, 8]), "lower": lambda: True, "upper": lambda: rng.random() < 0.5,
        "x_min": lambda: rng.choice([-1, 0.0, 0.5]), "x_max": lambda: rng.choice([1, 2.5]), "reverse": lambda: False, "dx": lambda: 0.5, "indexing": lambda: rng.choice(["xy", "ij"]), "tol": lambda: None, "rcond": lambda: None,
        "pool_size": lambda: 1, "output_size": lambda: 1, "return_index": lambda: False, "retstep": lambda: False, "assume_unique": lambda: False, "reduction": lambda: rng.choice([None, "add", "max", "min", "mul"]), "start_indices": lambda: [0] * rank,
    }
    return table[p.name]() if p.name in table else p.default if p.default is not p.empty else 1


SINGLE = {"argmax", "argmin", "cumsum", "cumprod", "nancumsum", "nancumprod", "nanargmax", "nanargmin", "sort", "argsort", "argpartition", "diff", "take", "take_along_axis", "repeat", "roll", "glu", "append", "concatenate", "stack",
          "split", "array_split", "unstack", "one_hot", "multi_hot", "trapezoid", "categorical_crossentropy", "sparse_categorical_crossentropy", "cross", "linspace", "logspace", "geomspace", "average", "unique"}
LISTS = {"concatenate", "stack", "hstack", "vstack", "dstack"}
SQUARES = {"det", "inv", "cholesky", "slogdet", "logdet", "eigh", "solve", "solve_triangular", "pinv", "cholesky_inverse", "matrix_rank", "qr"}


def described(dtype="float32", *shape, high=3):
    return {"shape": shape, "dtype": dtype, "odd": False, "seed": 3, **({"high": high} if dtype != "float32" else {})}


def of_form(rng):
    """A call of a function whose arguments must fit one another."""
    n, m, k, f = rng.randint(1, 4), rng.randint(1, 4), rng.choice([1, 2, 3]), described
    square = f("float32", *rng.choice([(), (2,)]), 3, 3)
    frames = {"sequence_length": (size := rng.choice([3, 4, 6])), "sequence_stride": rng.choice([2, 3]), "fft_length": rng.choice([size, 8, 9]), "window": rng.choice(["hann", "hamming", None]), "center": rng.random() < 0.5}
    heads, mask = rng.choice([1, 2, 4]), rng.choice([None, f("bool", 2, 1, n, m, high=2), f("bool", 1, 4, n, m, high=2)])
    window = {"kernel_size": rng.choice([1, 2, (2, 1)]), "dilation": rng.choice([1, 2, (1, 2)]), "padding": rng.choice([0, 1, (0, 1)]), "stride": rng.choice([1, 2, (2, 1)])}
    types = ["float32", "int32", "int8", "uint8", "bool", "float16"]
    table = {
        "einsum": lambda: {"subscripts": (e := rng.choice([("ij,jk->ik", (n, m), (m, k)), ("ij,ij", (n, m), (n, m)), ("bij,bjk", (2, n, m), (2, m, k)), ("...ij,kj->...ik", (2, n, m), (k, m)), ("i,j->ij", (n,), (m,)), ("abcd,cde->abe", (2, n, m, k), (m, k, 2)), ("i,i->", (n,), (n,)), ("ij,j", (n, m), (m,))]))[0],
                           "*": [f(rng.choice(types[:2] + ["int8", "float16"]), *e[1]), f(rng.choice(types[:4]), *e[2])]},
        "rearrange": lambda: {"tensor": f("float32", 2, n, 4), **dict(rng.choice([[("pattern", "a b c -> c (a b)")], [("pattern", "a b (c d) -> a b c d"), ("c", 2)], [("pattern", "a b (c d) -> (d a) c b"), ("d", 4)], [("pattern", "a b c -> a b c")], [("pattern", "a b c -> (c b a)")]]))},
        "dot_product_attention": lambda: {"query": f("float32", 2, n, 4, k), "key": f("float32", 2, m, heads, k), "value": f("float32", 2, m, heads, k), "bias": rng.choice([None, f("float32", 2, 4, n, m), f("float32", 1, 1, n, m)]), "mask": mask,
                                          "scale": rng.choice([None, 0.5]), "is_causal": rng.random() < 0.3, "attn_logits_soft_cap": rng.choice([None, None, 1.5])},
        "unfold": lambda: {"x": f("float32", 2, k, 4, 5), **window},
        "lu_factor": lambda: {"x": square}, "eig": lambda: {"x": square}, "svd": lambda: {"x": f("float32", n, m), "full_matrices": rng.random() < 0.5, "compute_uv": rng.random() < 0.5},
        "lstsq": lambda: {"a": f("float32", 4, n), "b": f("float32", 4, *rng.choice([(), (2,)])), "rcond": rng.choice([None, 0.1])},
        "ctc_loss": lambda: {"target": f("int32", 2, 3, high=3), "output": f("float32", 2, 6, 4), "target_length": f("int32", 2, high=4), "output_length": f("int32", 2, high=7), "mask_index": 3},
        "ctc_decode": lambda: {"inputs": f("float32", 2, 5, 4), "sequence_lengths": rng.choice([[5, 3], [1, 4], [5, 5]]), "strategy": rng.choice(["greedy", "beam_search"]), "beam_width": 4, "top_paths": rng.choice([1, 2]), "merge_repeated": rng.random() < 0.5, "mask_index": rng.choice([0, 3])},
        "stft": lambda: {"x": f("float32", *rng.choice([(), (2,)]), 20), **frames}, "istft": lambda: {"x": (f("float32", 4, 5), f("float32", 4, 5)), **frames, "fft_length": 8, "sequence_length": rng.choice([4, 8]), "length": rng.choice([None, 9])},
        "view": lambda: {"x": f(rng.choice(types), 2, 4), "dtype": rng.choice(["int32", "float16", "uint8", "int16", "float32"])}, "get_item": lambda: {"x": f("float32", 3, 4), "key": rng.choice([0, -1, slice(1, 3), (slice(None), 2), (0, 1), None, Ellipsis, (None, 1), (slice(None, None, -1),), [0, 2]])},
        "depth_to_space": lambda: {"x": f("float32", 2, 3, 2, 8), "block_size": rng.choice([2, 1]), "data_format": rng.choice([None, "channels_last"])}, "space_to_depth": lambda: {"x": f("float32", 2, 4, 2, k), "block_size": rng.choice([2, 1]), "data_format": rng.choice([None, "channels_last"])},
        "extract_sequences": lambda: {"x": f("float32", *rng.choice([(), (2,)]), 11), "sequence_length": rng.choice([2, 5, 11]), "sequence_stride": rng.choice([1, 3])},
        "convert_to_tensor": lambda: {"x": rng.choice([f(rng.choice(types), 2, 3), 2, 0.5, True, [1, 2.5], [[1], [2]], ()]), "dtype": rng.choice([None, "float32", "int32", "bool", "bfloat16"])},
        "array": lambda: {"x": rng.choice([f(rng.choice(types), 2, 3), 2, 0.5, True, [1, 2.5]]), "dtype": rng.choice([None, "float32", "int32"])}, "shape": lambda: {"x": f("float32", n, m)}, "ndim": lambda: {"x": f("float32", n, m)}, "size": lambda: {"x": f("float32", n, m)}}
    name = rng.choice(list(table))
    return {"cls": name, "args": table[name](), "jit": rng.random() < 0.15 and name != "ctc_decode", "formed": True}


def draw(rng):
    if rng.random() < 0.12:
        return of_form(rng)
    name = rng.choice(NAMES)
    args = {}
    for p in inspect.signature(getattr(keras.ops, name)).parameters.values():
        if p.kind in (p.VAR_KEYWORD,):
            continue
        first = next((a for a in args.values() if isinstance(a, dict)), None)
        if name in LISTS and p.name in ("x", "xs"):
            one = tensor(rng)
            args[p.name] = [one] + [{**one, "dtype": rng.choice([one["dtype"], "float32", "int32"])} for _ in range(rng.randint(0, 2))]
        elif p.kind is p.VAR_POSITIONAL:
            args["*"] = [tensor(rng, rank=1) for _ in range(2)]
        elif name in SQUARES and p.name in ("x", "a", "b"):
            args[p.name] = tensor(rng, kinds=["float32"] * 4 + ["int32", "float16"], size=rng.choice([(3, 3), (2, 3, 3)]) if p.name != "b" else (3, 2))
        elif p.name in ("indices", "condition", "segment_ids", "weights", "condlist") and (p.default is p.empty or rng.random() < 0.5):
            size = first["shape"] if first and name != "take" else rng.choice([(), (2,), (2, 2)])
            args[p.name] = {"shape": size[:1] if "segment" in name else size, "dtype": "bool" if p.name == "condition" else "int32" if p.name != "weights" else "float32", "odd": False, "seed": 1, "high": 1 if name in ("take", "take_along_axis", "scatter_update") else 3}
        elif p.name in ("x", "x1", "a", "array", "inputs", "tensor", "target", "targets", "data", "y", "variable", "abs_", "sorted_sequence") and first is None:
            kinds = ["int32", "uint8", "bool", "int8"] if "bitwise" in name or "shift" in name or name in ("gcd", "lcm", "bincount") else None
            args[p.name] = tensor(rng, kinds=kinds, rank={"rot90": 2, "bincount": 1, "fliplr": 2, "cdist": 2, "vander": 1, "trace": 2, "diagonal": 3, "kron": 2, "sorted_sequence": 1, "corrcoef": 2, "searchsorted": 1}.get(name))
        elif p.name in ("x2", "y", "output", "predictions", "angle", "x1", "values", "updates") and (p.default is p.empty or rng.random() < 0.6):
            args[p.name] = tensor(rng, like=first, kinds=["int32", "uint8", "bool"] if "bitwise" in name or "shift" in name or name in ("gcd", "lcm") else None)
        elif p.name == "bins":
            args[p.name] = [-0.5, 0.0, 1.0] if name == "digitize" else 4
        elif p.default is p.empty or rng.random() < 0.5:
            args[p.name] = values(rng, name, p, args)
    return {"cls": name, "args": args, "jit": rng.random() < 0.15}


def array(spec):
    if "exact" in spec:
        return np.asarray(spec["exact"], spec["dtype"])
    rng = np.random.default_rng(spec["seed"])
    dtype = jnp.dtype(spec["dtype"])
    if dtype.kind in "biu":
        low, high = (-3 if dtype.kind == "i" and "high" not in spec else 0), spec.get("high", 2 if dtype.kind == "b" else 5)
        return rng.integers(low, high, size=spec["shape"]).astype(dtype)
    x = np.asarray(rng.normal(size=spec["shape"]), "float32") if not spec.get("unit") else rng.uniform(size=spec["shape"]).astype("float32")
    if spec["odd"] and x.size:
        x.ravel()[rng.integers(0, x.size, 2)] = rng.choice([np.nan, np.inf, -np.inf], 2)
    return x.astype(dtype)


def is_spec(v):
    return isinstance(v, dict) and "seed" in v


def steps(case):
    name = case["cls"]

    def call(k, leaf):
        args = {key: type(a)(leaf(v) if is_spec(v) else v for v in a) if isinstance(a, (list, tuple)) and any(map(is_spec, a)) else leaf(a) if is_spec(a) else a for key, a in case["args"].items()}
        if "subscripts" in args:
            return k.ops.einsum(args["subscripts"], *args["*"])
        room = k.ops.image if case.get("room") == "image" else k.ops
        return getattr(room, name)(*args.pop("*", ()), **args)

    def eager(k):
        return [np.asarray(v) for v in jax.tree.leaves(call(k, lambda spec: jnp.asarray(array(spec))))]

    def symbolic(k):  # Keras's own shapes and types are often not those of its arrays
        out = [(tuple(o.shape), str(o.dtype)) for o in jax.tree.leaves(call(k, lambda spec: k.KerasTensor(spec["shape"], dtype=spec["dtype"])))]
        return "as from arrays" if k is keras or (case.get("formed") and not out) or out == [(o.shape, str(o.dtype)) for o in eager(k)] else out

    def opened(k):
        """Of sizes some are open: what Kyeo says is right, or None."""
        rng = random.Random(str(case["args"]))

        def symbol(spec):
            return k.KerasTensor([None if size > 1 and rng.random() < 0.5 else size for size in spec["shape"]], dtype=spec["dtype"])

        out = [(tuple(o.shape), str(o.dtype)) for o in jax.tree.leaves(call(k, symbol))]
        real = [] if k is keras else [(o.shape, str(o.dtype)) for o in eager(k)]
        fits = len(out) == len(real) and all(len(s) == len(r) and d == e and all(a in (None, b) for a, b in zip(s, r)) for (s, d), (r, e) in zip(out, real))
        return "as from arrays" if k is keras or (case.get("formed") and not out) or fits else out

    def jitted(k):
        specs = []

        def collect(spec):
            specs.append(spec)
            return jnp.asarray(array(spec))

        call(k, collect)
        return [np.asarray(v) for v in jax.tree.leaves(jax.jit(lambda xs: (lambda it: call(k, lambda spec: next(it)))(iter(xs)))([jnp.asarray(array(s)) for s in specs]))]

    yield "inference", eager
    if name not in ("convert_to_tensor", "array", "shape", "ndim", "size", "nonzero", "unique", "where", "bincount"):
        yield "from symbols", symbolic
        late = [("from open sizes", opened)]
    else:
        late = []
    if case["jit"] and name not in ("bincount", "nonzero", "unique"):
        yield "jit", jitted
    yield from late  # which Keras often refuses
