"""Ops against Keras: a row is an expression, evaluated with the names of either library."""

import ast
import inspect
import re
import warnings

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kyeo
from kyeo.core.op import OPS
from kyeo.ops import rows as row_module
from tests.numpy_jaxpr import compiled, in_numpy
from tests.rooms.op_rows import MORE_ROWS, MORE_VALUES
from tests.thin import thinned

rng = np.random.default_rng(0)


def floats(*shape):
    return rng.normal(size=shape).astype("float32")


def words(text):
    return text.split()


def expressions(text):
    return [part.strip() for part in text.replace("|", "\n").strip().split("\n")]


P = np.abs(floats(2, 3)) + 0.5
SPD = (lambda a: (a @ a.T + 3 * np.eye(3)).astype("float32"))(floats(3, 3))
# What rows may name. Those of floats are differentiated.
VALUES = {
    "F": floats(2, 3), "G": floats(2, 3), "P": P, "U": (P / P.max() * 0.9).astype("float32"), "V": floats(6),
    "S": floats(3, 3), "SPD": SPD, "B": floats(2, 3, 4), "H": floats(3, 2), "ROW": floats(3),
    "I": rng.integers(-4, 5, (2, 3)).astype("int32"), "J": rng.integers(1, 4, (2, 3)).astype("int32"),
    "BOOL": np.array([[True, False, True], [False, False, True]]), "BOOL2": rng.integers(0, 2, (2, 3)) > 0,
    "ODD": np.array([1.5, -2.5, np.nan, np.inf, -np.inf, 0.0], "float32"),
    "Z": (floats(2, 3) + 1j).astype("complex64"),
    "SEQ": floats(2, 7, 4), "IMG": floats(2, 6, 5, 4), "VOL": floats(1, 4, 5, 3, 2), "K1": floats(3, 4, 6),
    "K2": floats(3, 2, 4, 6), "KG": floats(3, 2, 2, 6), "K3": floats(2, 3, 2, 2, 3), "D2": floats(3, 2, 4, 2),
    "PW": floats(1, 1, 8, 3), "T2": floats(3, 2, 5, 4), "T1": floats(3, 5, 4), "IMGF": floats(2, 4, 6, 5),
    "Q": floats(2, 4, 2, 8), "KV": floats(2, 5, 2, 8), "MASK": rng.integers(0, 2, (2, 1, 4, 5)) > 0,
    "BIAS": floats(2, 2, 4, 5), "IDS": np.array([0, 2, 1], "int32"),
    "SORTED": np.array([0, 0, 1]), "TWO": np.array([1, 2], "int32"), "ONEHOT": np.eye(3, dtype="float32")[[1, 0]],
}
UNARY_FLOAT = words("""
    abs absolute arcsinh arctan cbrt ceil conj conjugate copy cos cosh deg2rad erf erfc exp exp2 expm1 floor imag
    isfinite isinf isnan isneginf isposinf isreal logical_not negative rad2deg real reciprocal round sign signbit sin
    sinc sinh square tan tanh trunc hard_sigmoid hard_silu hard_swish hard_tanh log_sigmoid relu relu6 selu sigmoid silu
    swish softplus softsign sparse_plus sparse_sigmoid tanh_shrink leaky_relu elu celu gelu squareplus soft_shrink
    hard_shrink softmax log_softmax all any amax amin max min sum prod mean median std var ptp logsumexp
    nanmax nanmean nanmin nansum argmax argmin argsort sort cumsum cumprod count_nonzero average ravel transpose squeeze
    flip zeros_like ones_like empty_like stop_gradient convert_to_tensor array nan_to_num normalize layer_normalization
    rms_normalization norm nonzero unique size ndim shape dtype is_tensor convert_to_numpy
""")
BINARY = words("""
    add arctan2 divide divide_no_nan equal floor_divide fmax fmin fmod greater greater_equal hypot less less_equal
    logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum mod multiply not_equal subtract true_divide
    append isclose allclose inner outer vdot kron
""")
ROWS = [f"{name}(F)" for name in UNARY_FLOAT] + [f"{name}(F, P)" for name in BINARY] + expressions("""
    arccos(U) | arcsin(U) | arctanh(U) | erfinv(U) | arccosh(P + 1) | log(P) | log10(P) | log1p(P) | log2(P)
    rsqrt(P) | sqrt(P) | power(P, F) | power(I, J) | imag(Z) | real(Z) | conjugate(Z) | abs(Z) | isreal(Z)
    bitwise_and(I, J) | bitwise_or(I, J) | bitwise_xor(I, J) | bitwise_not(I) | bitwise_invert(I)
    bitwise_left_shift(I, J) | bitwise_right_shift(I, J) | left_shift(I, 2) | right_shift(I, J) | add(F, 1)
    add(I, 1.5) | add([1, 2, 3], F) | multiply(F, ROW) | divide(I, J) | subtract(1, I) | mod(I, J)
    floor_divide(I, J) | equal(I, 2) | clip(F, -0.5, 0.5) | clip(I, 0, 2) | clip(BOOL, 0, 1) | clip(F, ROW, ROW + 1)
    round(F, 2) | round(I * 100, -2) | nan_to_num(ODD) | nan_to_num(ODD, 1.0, 2.0, 3.0) | isnan(ODD) | isinf(ODD)
    isfinite(ODD) | isposinf(ODD) | isneginf(ODD) | isclose(F, F + 1e-6) | fmax(ODD, 1.0) | fmin(ODD, 1.0) | sign(ODD)
    isclose(ODD, ODD, equal_nan=True) | allclose(F, F + 1e-9, rtol=1e-3) | arctan2(I, J) | threshold(F, 0.1, -1.0)
    leaky_relu(F, 0.3) | elu(F, alpha=0.5) | celu(F, alpha=2.0) | gelu(F, approximate=False) | squareplus(F, b=2)
    soft_shrink(F, 0.2) | hard_shrink(F, threshold=0.2) | glu(B) | glu(F, axis=0) | softmax(F, axis=0)
    softmax(B, axis=(1, 2)) | log_softmax(B, axis=(0, 2)) | log_softmax(F, axis=0) | sum(B, axis=1)
    sum(B, axis=(0, -1), keepdims=True) | sum(I) | sum(BOOL, axis=0) | mean(I, axis=0) | mean(B, axis=(0, 1))
    mean(BOOL) | std(I) | var(B, axis=1, keepdims=True) | var(I) | max(B, axis=-1, initial=0.5)
    min(B, axis=0, keepdims=True) | min(B, axis=1, initial=-3.0) | prod(I, axis=1) | prod(F, axis=1, dtype='float16')
    all(BOOL, axis=1) | any(BOOL, axis=0, keepdims=True) | amax(I, axis=0) | amin(B, axis=(0, 1)) | ptp(B, axis=1)
    logsumexp(B, axis=(0, 1)) | logsumexp(F * 100, axis=1, keepdims=True) | median(B, axis=1)
    median(B, (0, 1), True) | nansum(ODD[:3]) | nanmean(ODD[:3]) | nanmax(ODD[:3]) | nanmin(ODD[:3])
    argmax(B, axis=1) | argmin(B, 0, True) | argmax(I) | argsort(I, axis=0) | argsort(F, axis=None) | sort(B, axis=1)
    sort(F, axis=None) | cumsum(B, axis=1)
    cumsum(BOOL, axis=0) | cumprod(F, axis=1) | cumsum(I, dtype='float32') | count_nonzero(I, axis=0)
    average(F, axis=1, weights=ROW) | average(F, weights=P) | top_k(F, 2) | top_k(I, 2, sorted=False)
    in_top_k(IDS, S, 2) | quantile(F, 0.3) | quantile(F, [0.1, 0.5], axis=1)
    quantile(B, 0.5, axis=(0, 1), keepdims=True, method='nearest') | bincount(J[0]) | bincount(J[1], minlength=9)
    bincount(J[0], weights=ROW) | searchsorted([1.0, 2.0, 3.0], [0.5, 2.0])
    searchsorted([1.0, 2.0, 3.0], [0.5, 2.0], side='right') | segment_sum(S, IDS, 3)
    segment_max(S, IDS, num_segments=4) | segment_sum(H, SORTED, num_segments=2, sorted=True) | matmul(F, S)
    matmul(B, floats_43) | matmul(ROW, S) | matmul(S, ROW) | dot(F, S) | dot(ROW, ROW) | dot(B, floats_43)
    tensordot(F, S, 1) | tensordot(B, B, axes=[[1, 2], [1, 2]]) | einsum('ij,jk->ik', F, S)
    einsum('bij,bij->b', B, B) | einsum('...j->...', B) | inner(F, F) | outer(ROW, ROW) | vdot(F, F) | kron(F, S)
    cross(S, S + 1) | trace(S) | trace(B, 1, 1, 2) | cross(S, S + 1, axis=0) | norm(F) | norm(F, axis=1)
    norm(F, ord=1, axis=0, keepdims=True) | norm(S, ord='fro') | norm(I) | norm(S, ord='nuc')
    norm(B, ord=2, axis=(1, 2)) | cholesky(SPD) | cholesky(SPD, upper=True) | det(S) | inv(SPD) | solve(SPD, H)
    solve(SPD, ROW) | pinv(F) | logdet(SPD) | solve_triangular(SPD, H) | solve_triangular(SPD, H, lower=True)
    slogdet(S) | qr(S) | qr(H, mode='complete') | svd(S) | svd(F, full_matrices=False) | svd(F, compute_uv=False)
    eigh(SPD) | eig(SPD) | lu_factor(S) | lstsq(H, ROW) | lu_factor(stack([S, SPD])) | reshape(B, (4, -1))
    reshape(B, -1) | reshape(B, (2, 12)) | reshape(B, [3, 8]) | transpose(B, (2, 0, 1)) | swapaxes(B, 0, 2)
    moveaxis(B, 0, -1) | moveaxis(B, (0, 1), (1, 2)) | expand_dims(F, -1) | expand_dims(F, (0, 3))
    squeeze(F[:, None]) | squeeze(F[:, None], axis=1) | broadcast_to(ROW, (4, 3)) | concatenate([F, P], axis=1)
    concatenate((F, I)) | concatenate([F, ROW], axis=None) | stack([F, P], axis=1) | stack([F, I]) | hstack([F, P]) | vstack([F, ROW])
    append(F, P, axis=1) | split(V, 3) | split(B, [1, 3], axis=2) | array_split(V, 4) | pad(F, 1)
    pad(F, ((1, 2), (0, 1)), constant_values=2.0) | pad(F, [[1, 1], [2, 2]], mode='reflect')
    pad(F, ((1, 0), (0, 1)), 'symmetric') | pad(F, 1, mode='edge') | tile(F, 2) | tile(F, (2, 1, 2)) | repeat(F, 2)
    repeat(F, 3, axis=1) | repeat(F, TWO, axis=0) | flip(B, axis=1) | flip(B, (0, 2)) | roll(F, 1)
    roll(F, (1, -1), axis=(0, 1)) | rot90(F) | rot90(B, k=3, axes=(1, 2)) | diff(B) | diff(F, n=2, axis=1)
    take(F, [0, 2], axis=1) | take(F, [[0, 5]]) | take(F, -1, axis=1) | take_along_axis(F, [[0], [2]], axis=1)
    where(BOOL, F, P) | where(BOOL, 1, 0) | where(BOOL, F, 0.0) | where(BOOL) | select([BOOL, BOOL2], [F, P], 7.0)
    nonzero(I) | isin(I, [1, 2]) | isin(I, [1, 2], invert=True) | unique(I)
    unique(I, return_inverse=True, return_counts=True, size=4) | diag(ROW) | diag(S, k=1) | diagonal(B, 1, 1, 2)
    tril(S) | triu(B, k=1) | tril(F, -1) | arange(5) | arange(1, 7, 2) | arange(0.0, 1.0, 0.25)
    arange(3, dtype='float32') | arange(2.0) | zeros((2, 3)) | zeros(3, 'int32') | ones((2,))
    ones((2, 3), dtype='bool') | empty((2, 3)) | full((2, 2), 3) | full((2,), TWO, 'int8')
    full((2, 2), True, dtype='bool') | full_like(F, 2) | full_like(I, 2, dtype='float32')
    zeros_like(I, dtype='float16') | ones_like(F, 'int32') | eye(3) | eye(2, 4, 1, dtype='int32') | identity(3)
    tri(3) | tri(2, 4, k=-1, dtype='int32') | linspace(0, 1, 5) | linspace(0.0, 2.0, num=4, endpoint=False)
    linspace(0, 1, 3, retstep=True) | linspace(ROW, 1, 3, axis=1) | logspace(0, 2, 3) | meshgrid(TWO, ROW)
    meshgrid(ROW, ROW, indexing='ij') | array([1, 2], 'float32') | array([[1.5], [2.5]])
    convert_to_tensor([1, 2], dtype='bfloat16') | convert_to_tensor(2.5) | cast(F * 3, 'int32') | cast(I, 'bool')
    cast(F, 'bfloat16') | saturate_cast(F * 200, 'uint8') | saturate_cast(F * 1e38, 'float16')
    saturate_cast(I, 'uint8') | saturate_cast(F * 1e12, 'int32') | saturate_cast(I, 'bool') | size(B) | ndim(B)
    shape(B) | slice(B, (0, 1, 2), (2, 2, 2)) | slice(F, [0, 1], [-1, -1]) | slice_update(F, (0, 1), ones((2, 2)))
    get_item(B, 0) | get_item(F, (0, 1)) | scatter(IDS[:2, None], F, (4, 3))
    scatter_update(F, [[0, 1], [1, 2]], [5.0, 6.0]) | scatter_update(F, [[0, 1], [0, 1]], ROW[:2], reduction='add')
    scatter_update(F, [[0], [1]], F, reduction='max') | scatter_update(F, [[0, 1]], [5.0], reduction='min')
    scatter_update(F, [[0, 1]], [5.0], reduction='mul') | unstack(B) | unstack(F, axis=1)
    cond(True, lambda: F, lambda: P) | switch(1, [lambda a: a + 1, lambda a: a * 2], F) | map(lambda a: a * 2, F)
    vectorized_map(lambda a: sum(a * a), F) | scan(lambda c, x: (c + x, c * x), ROW, F)
    scan(lambda c, x: (c + 1, c), 0, length=3) | scan(lambda c, x: (c + x, c), ROW, F, reverse=True, unroll=2)
    associative_scan(lambda a, b: a + b, F) | associative_scan(lambda a, b: a * b, F, reverse=True, axis=1)
    while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * 2), (0, I))
    while_loop(lambda i: i < 9, lambda i: i + 2, 0)
    while_loop(lambda i: i < 9, lambda i: i + 2, 0, maximum_iterations=2) | fori_loop(0, 3, lambda i, a: a + i, F) | fori_loop(0.0, 3.0, lambda i, a: a + i, F)
    custom_gradient(lambda a: (a * 2, lambda upstream: upstream * 10))(F) | one_hot([0, 2, -1, 5], 3)
    one_hot(J, 4, axis=1) | one_hot(I, 3, dtype='int32') | one_hot([[0, 1]], 2, axis=0)
    multi_hot([[0, 2], [1, 1]], 3) | multi_hot([0, 2], 4, dtype='int32') | multi_hot(J, num_classes=5)
    categorical_crossentropy(ONEHOT, softmax(F)) | categorical_crossentropy(ONEHOT, F, from_logits=True)
    categorical_crossentropy(P, P, axis=0) | sparse_categorical_crossentropy([1, 0], softmax(F))
    binary_crossentropy(U, U) | sparse_categorical_crossentropy([[1], [0]], F, from_logits=True)
    binary_crossentropy(BOOL, F, from_logits=True) | normalize(F, axis=0) | normalize(F, order=1)
    normalize(F, order=3, epsilon=0.1) | normalize(zeros((2, 3))) | normalize(B, axis=(0, 1))
    moments(B, axes=[0, 1]) | moments(F, axes=0, keepdims=True) | moments(cast(F, 'float16'), [0])
    batch_normalization(F, ROW, P[0], -1) | batch_normalization(F, ROW, P[0], 1, ROW + 1, ROW + 2, 1e-2)
    batch_normalization(B, ROW, P[0], axis=1, scale=ROW) | layer_normalization(B, axis=(1, 2))
    rms_normalization(B, axis=[0, 1]) | layer_normalization(F, ROW, ROW + 1, epsilon=1e-3)
    layer_normalization(B, ROW, axis=1) | rms_normalization(F, ROW, epsilon=0.1) | layer_normalization(F, 0.5, 2, axis=1)
    rms_normalization(B, 0.5, axis=(0, 1)) | binary_crossentropy(1.0, 0.3) | binary_crossentropy(0.0, 0.3, from_logits=True)
    layer_normalization(cast(F, 'float16')) | rms_normalization(cast(F, 'bfloat16'))
    dot_product_attention(Q, KV, KV) | dot_product_attention(Q, KV, KV, BIAS, MASK, scale=0.5)
    dot_product_attention(Q, Q, Q, is_causal=True) | dot_product_attention(Q, KV[:, :, :1], KV[:, :, :1], mask=MASK)
    conv(SEQ, K1) | conv(SEQ, K1, 2, 'same') | conv(SEQ, K1, padding='same', dilation_rate=2) | conv(IMG, K2)
    conv(IMG, K2, strides=(2, 1), padding='same') | conv(IMG, K2, dilation_rate=(1, 2)) | conv(IMG, KG)
    conv(VOL, K3) | conv(VOL, K3, 2, 'same') | conv(IMGF, K2, data_format='channels_first') | depthwise_conv(IMG, D2)
    depthwise_conv(IMG, D2, 2, 'SAME') | depthwise_conv(IMGF, D2, data_format='channels_first', dilation_rate=2)
    depthwise_conv(IMG[:0], D2) | depthwise_conv(SEQ, K1) | separable_conv(IMG, D2, PW) | separable_conv(IMG, D2, PW, strides=2, padding='same')
    conv_transpose(IMG, T2) | conv_transpose(IMG, T2, 2, 'same') | conv_transpose(IMG, T2, (3, 2), 'valid')
    conv_transpose(IMG, T2, 2, 'same', output_padding=1) | conv_transpose(IMG, T2, 2, output_padding=(1, 0))
    conv_transpose(SEQ, T1, 3, 'same') | conv_transpose(SEQ, T1, padding='same', dilation_rate=2)
    conv_transpose(IMGF, T2, 2, data_format='channels_first') | max_pool(SEQ, 2, 2)
    max_pool(IMG, 2, 2, padding='same') | max_pool(IMG, (3, 2), strides=1) | max_pool(VOL, 2, 1, 'same')
    max_pool(IMGF, 2, 3, data_format='channels_first') | average_pool(SEQ, 2, 2) | average_pool(IMG, 2, 2, 'same')
    average_pool(IMG, 3, strides=(1, 2)) | average_pool(VOL, 2, 2)
    max_pool(IMG > 0.9, 2, 2) | adaptive_max_pool(IMG > 0.9, 2)
    average_pool(IMGF, 2, 1, 'same', 'channels_first') | adaptive_max_pool(SEQ, 3) | adaptive_max_pool(IMG, (3, 2))
    adaptive_max_pool(VOL, (2, 3, 4)) | adaptive_max_pool(IMGF, 2, 'channels_first') | adaptive_average_pool(SEQ, 9)
    adaptive_average_pool(IMG, 4) | adaptive_average_pool(VOL, 2) | adaptive_average_pool(IMGF, (4, 3), 'channels_first')
""")
VALUES |= {"floats_43": floats(4, 3), **MORE_VALUES}
ROWS += MORE_ROWS
NOT_TRACEABLE = {"nonzero", "unique", "bincount", "convert_to_numpy", "dtype", "shape", "ndim", "is_tensor", "size",
                 "cholesky", "where(BOOL)", "bartlett", "blackman", "hamming", "hanning", "kaiser"}
EAGER_IN_KERAS = {"rearrange", "ctc_decode"}  # which cannot trace them, or has NaN for their gradient
ROOMS = {"image", "linalg", "nn", "numpy"}
LIBRARIES = {"kyeo": kyeo.ops, "keras": keras.ops}


def call_name(row):
    return next(node.func.id for node in ast.walk(ast.parse(row)) if isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name))


def used(row):
    """The float arrays a row names."""
    names = {node.id for node in ast.walk(ast.parse(row)) if isinstance(node, ast.Name)}
    return {n: VALUES[n] for n in names if n in VALUES and VALUES[n].dtype == np.float32}


def evaluate(row, library, values=None):
    functions = {n: getattr(library, n) for n in kyeo.ops.__all__}
    return eval(row, {**functions, **VALUES, **(values or {})})


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def run(row, library):
    """The results of a row, and the gradient of its float results with respect to its float arrays, in one program."""
    def weighed(values):
        out = evaluate(row, library, values)
        terms = [o for o in map(jnp.asarray, jax.tree.leaves(out)) if o.dtype == jnp.float32]
        return sum((jnp.sum(o * np.cos(np.arange(o.size)).reshape(o.shape)) for o in terms), jnp.float32(0)), out

    both, values = jax.grad(weighed, has_aux=True), {k: jnp.asarray(v) for k, v in used(row).items()}
    return (compiled if library is kyeo.ops and row in COMPILED else in_numpy)(both, values)


def close(ours, theirs, what):
    assert len(ours) == len(theirs), what
    for a, b in zip(ours, theirs):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), what
        wide = np.complex64 if a.dtype.kind == "c" else np.float32
        np.testing.assert_allclose(a.astype(wide), b.astype(wide), rtol=1e-5, atol=2e-6, err_msg=what)


def program(row, library):
    """What JAX would compile for a row: its text without addresses in memory, and its constants."""
    closed = jax.make_jaxpr(lambda values: evaluate(row, library, values))(used(row))
    return re.sub(r"0x[0-9a-f]+", "", str(closed)), [np.asarray(c).tolist() for c in closed.consts]


COMPILED = {*thinned(ROWS, 5, kind=call_name)}  # the others are traced, and worked out by NumPy


@pytest.mark.parametrize("row", thinned(ROWS, kind=call_name))
def test_same_as_keras(row):
    """Value and gradient; where both libraries give JAX the same program there is nothing to run."""
    if not {call_name(row), row} & (NOT_TRACEABLE | EAGER_IN_KERAS):
        if program(row, kyeo.ops) != program(row, keras.ops):
            close(leaves(run(row, kyeo.ops)), leaves(run(row, keras.ops)), row)
        return
    ours, theirs = evaluate(row, kyeo.ops), evaluate(row, keras.ops)
    if isinstance(ours, (str, bool, int)) or call_name(row) == "shape":
        assert ours == theirs
    else:
        close(leaves(ours), leaves(theirs), row)


def symbolic(row):
    """Whether a row takes symbolic tensors: it does not compute on its values, nor hide them in a closure."""
    if {call_name(row), row} & NOT_TRACEABLE or not used(row):
        return False
    closes_over = "lambda" in row and call_name(row) in ("cond", "switch", "custom_gradient", "vectorize")
    return not closes_over and not any(f"{n}{mark}" in row for n in used(row) for mark in ("[", " *", " +"))


@pytest.mark.parametrize("row", [row for row in ROWS if symbolic(row)])
def test_symbolic_call_has_the_eager_shape(row):
    values = {n: kyeo.KerasTensor(v.shape, "float32") for n, v in used(row).items()}
    found = jax.tree.leaves(evaluate(row, kyeo.ops, values))
    wanted = jax.tree.leaves(jax.eval_shape(lambda values: evaluate(row, kyeo.ops, values), used(row)))
    assert [(t.shape, t.dtype) for t in found] == [(a.shape, a.dtype.name) for a in wanted]


def test_every_op_has_a_row():
    named = {"sparsemax"} | {node.id for row in ROWS for node in ast.walk(ast.parse(row)) if isinstance(node, ast.Name)}
    missing = set(kyeo.ops.__all__) - named - ROOMS
    assert not missing, f"add a row to ROWS for: {sorted(missing)}"


@pytest.mark.parametrize("name", [n for n in kyeo.ops.__all__ if n not in ROOMS])
def test_signature_is_that_of_keras(name):
    def parameters(fn):
        return [(p.name, p.kind, p.default) for p in inspect.signature(fn).parameters.values()]

    assert parameters(getattr(kyeo.ops, name)) == parameters(getattr(keras.ops, name))


DTYPES = ["bool", "int8", "uint8", "int32", "float16", "bfloat16", "float32"]
UNARY_ROWS = [n for n in kyeo.ops.__all__ if isinstance(OPS.get(n), object) and n in OPS
              and list(inspect.signature(OPS[n]).parameters) in (["x"], ["x", "axis", "keepdims"])
              and n not in NOT_TRACEABLE | {"shape", "nonzero"}]
BINARY_ROWS = [n for n in kyeo.ops.__all__ if n in OPS and list(inspect.signature(OPS[n]).parameters) == ["x1", "x2"]]


def result_dtype(fn, *specs):
    try:
        return [leaf.dtype for leaf in jax.tree.leaves(jax.eval_shape(fn, *specs))]
    except (TypeError, ValueError) as error:
        return type(error).__name__


@pytest.mark.parametrize("name", UNARY_ROWS)
def test_dtypes_of_unary_ops(name):
    for dtype in DTYPES:
        spec = jax.ShapeDtypeStruct((3, 3), dtype)
        ours, theirs = (result_dtype(getattr(o, name), spec) for o in LIBRARIES.values())
        # where jax itself refuses, kyeo may know better (erf of integers)
        assert ours == theirs or theirs == "TypeError", (name, dtype, ours, theirs)


@pytest.mark.parametrize("name", BINARY_ROWS)
def test_dtypes_of_binary_ops(name):
    for a in ("bool", "uint8", "int32", "bfloat16"):
        for b in ["int8", "float16", "float32", 2, 2.5]:
            first = jax.ShapeDtypeStruct((3, 3), a)
            fns = [getattr(o, name) for o in LIBRARIES.values()]
            if isinstance(b, str):
                ours, theirs = (result_dtype(fn, first, jax.ShapeDtypeStruct((3, 3), b)) for fn in fns)
            else:
                ours, theirs = (result_dtype(lambda x, fn=fn, b=b: fn(x, b), first) for fn in fns)
            assert ours == theirs, (name, a, b, ours, theirs)


MIXED = expressions("""
    concatenate([A, B]) | stack([A, B]) | hstack([A, B]) | vstack([A, B]) | dstack([A, B]) | append(A, B) | where(A > 0, A, B)
    where(A > 0, A, 2.5) | where(A > 0, 1, B) | matmul(A, B) | dot(A, B) | tensordot(A, B, 1) | einsum('ij,jk->ik', A, B) | cross(A, B)
    outer(A, B) | inner(A, B) | kron(A, B) | vdot(A, B) | select([A > 0], [A], B) | select([A > 0], [B], 2.5) | clip(A, 0, 2)
    clip(A, -0.5, 1.5) | full_like(A, 2.5) | full((2,), A[0, 0]) | average(A, weights=B) | linspace(A, B, 3) | logspace(A, B, 3)
    geomspace(A, B, 3) | power(A, 2) | power(A, 2.5) | power(2, A) | add(A, True) | multiply(A, 2.5) | A + 1 | 2.5 * A | A / 2 | A // 2
    A % 2 | -A | abs(A) | softmax(A) | relu(A) | gelu(A) | elu(A) | log_softmax(A) | leaky_relu(A) | one_hot(A, 3) | cumsum(A)
    cumprod(A) | sum(A, axis=0) | prod(A) | mean(A) | var(A) | std(A) | max(A, initial=0) | quantile(A, 0.5) | percentile(A, 50) | norm(A)
    searchsorted(A[0], B) | digitize(A, B[0]) | trapezoid(A, B) | correlate(A[0], B[0]) | corrcoef(A) | diff(A) | sort(A) | argsort(A)
    top_k(A, 2) | segment_sum(A, SORTED, 2) | take(A, [0]) | pad(A, 1) | pad(A, 1, constant_values=2) | isclose(A, B) | round(A, 1)
    nan_to_num(A) | logaddexp(A, B) | arctan2(A, B) | hypot(A, B) | heaviside(A, B) | nextafter(A, B) | divide_no_nan(A, B)
    floor_divide(A, B) | mod(A, 2.5) | maximum(A, 1) | minimum(A, 2.5) | histogram(A[0]) | vander(A[0]) | ldexp(A, [1, 2, 3])
    slice_update(A, (0, 0), B[:2, :2]) | scatter([[0], [1], [2]], A, (4, 3)) | scatter_update(A, [[0, 1]], [2.5]) | polar(A, B)
    nanmean(A) | nanvar(A) | nansum(A) | nancumsum(A) | nanmedian(A) | cdist(A, B) | psnr(A, B, 2) | moments(A, [0]) | view_as_real(A)
    batch_normalization(A, B[0], B[1], -1) | layer_normalization(A) | rms_normalization(A) | normalize(A) | median(A) | logsumexp(A)
    categorical_crossentropy(A, B) | binary_crossentropy(A, B) | rfft(A) | angle(A) | i0(A) | fabs(A) | sinc(A) | square(A) | sign(A)
    bitwise_and(A, B) | left_shift(A, B) | gcd(A, B) | tril(A) | trace(A) | diag(A) | repeat(A, 2) | tile(A, 2) | arange(3, dtype=A.dtype)
""")
MIXED_DTYPES = [
    ("int32", "float16"), ("bool", "int8"), ("uint8", "int8"), ("uint8", "bfloat16"), ("bfloat16", "float16"), ("float32", "int32"),
    ("bfloat16", "float32"), ("bool", "bool"), ("bfloat16", "bfloat16"), ("int8", "int8"),
]


@pytest.mark.parametrize("row", MIXED)
def test_dtypes_of_mixed_arguments(row):
    """Keras's dtypes, and the same ones for symbolic tensors; where Keras cannot, Kyeo may."""
    def found(library, first, second):
        def run(a, b):
            return evaluate(row, library, {"A": a, "B": b})

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore" if library is keras.ops else "error")
                out = jax.eval_shape(run, *(jax.ShapeDtypeStruct((3, 3), dtype) for dtype in (first, second)))
        except (TypeError, ValueError, jax.errors.JAXTypeError):
            return None
        return [(leaf.shape, leaf.dtype.name) for leaf in jax.tree.leaves(out)]

    for first, second in MIXED_DTYPES if "B" in row else [(first, "int8") for first in DTYPES]:
        ours, theirs = found(kyeo.ops, first, second), found(keras.ops, first, second)
        assert theirs is None or ours == theirs, (first, second)
        if ours is not None:
            tensors = {"A": kyeo.KerasTensor((3, 3), first), "B": kyeo.KerasTensor((3, 3), second)}
            symbolic_ones = jax.tree.leaves(evaluate(row, kyeo.ops, tensors))
            assert [(t.shape, t.dtype if isinstance(t.dtype, str) else t.dtype.name) for t in symbolic_ones] == ours


BAD = [  # expression, a part of the message
    ("reshape(F, (-1, -1))", "at most one -1"), ("reshape(F, (4, 2))", "do not fit the new shape"),
    ("reshape(F, (-2, 3))", "is not a shape"), ("matmul(F, F)", "cannot be multiplied"),
    ("pad(F, 1, mode='reflect', constant_values=1)", "Only a constant border"), ("where(BOOL, F)", "both values"),
    ("select([], [])", "must be a list"), ("rot90(ROW)", "two different axes"), ("eye(2.5)", "`N` is not valid"),
    ("scan(lambda c, x: (c, x), 0, F, unroll=0)", "`unroll`"), ("one_hot(I, 0)", "num_classes"),
    ("one_hot(I, 3, sparse=True)", "Sparse"), ("convert_to_tensor(F, sparse=True)", "Sparse"),
    ("multi_hot(I)", "num_classes"), ("bincount([1], sparse=True)", "Sparse"), ("searchsorted(F, F)", "one sorted"),
    ("segment_sum(S, IDS)", "number of segments"), ("segment_max(S, [0], 2)", "segment_ids"),
    ("scatter_update(F, [[0, 0]], [1.0], reduction='mean')", "reduction"), ("normalize(F, order=0)", "order"),
    ("moments(F, 0, synchronized=True)", "sharding"), ("cholesky(-SPD)", "positive definite"), ("inv(F)", "equal last"),
    ("qr(S, mode='raw')", "mode"), ("solve(SPD, F)", "does not fit"), ("svd(ROW)", "at least two axes"),
    ("categorical_crossentropy(F, S)", "matching shapes"), ("sparse_categorical_crossentropy([1], F)", "matching"),
    ("binary_crossentropy(F, S)", "matching shapes"), ("dot_product_attention(F, F, F)", "4 axes"),
    ("dot_product_attention(Q, Q, Q, attn_logits_soft_cap=1.0)", "soft cap"), ("cast(F, 'float33')", "dtype"),
    ("conv(F, K1)", "3, 4 or 5 axes"), ("conv(SEQ, K2)", "kernel does not fit"), ("conv(IMG, T2)", "channels"),
    ("conv(SEQ, K1, strides=0)", "strides"), ("conv(SEQ, K1, padding='full')", "padding"),
    ("conv(SEQ[:, :2], K1)", "smaller than the window"), ("conv(SEQ, K1, dilation_rate=9)", "dilated to"), ("conv(SEQ, K1, data_format='last')", "data_format"),
    ("depthwise_conv(VOL[0], D2)", "channels"), ("conv_transpose(IMG, K2)", "channels"),
    ("max_pool(IMG, 0)", "pool_size"),
    ("adaptive_max_pool(IMG, 0)", "output_size"), ("adaptive_average_pool(F, 1)", "3, 4 or 5 axes"),
    ("max_pool(IMG, (2, 2, 2))", "pool_size"), ("average_pool(IMG, 2, strides=-1)", "strides"),
    ("ldexp(F, P)", "exponent"), ("histogram(F)", "vector"), ("histogram(V, 0)", "bins"), ("digitize(F, F)", "edges"),
    ("histogram(V, 3, (2, 1))", "range"), ("vander(F)", "vector"), ("vander(ROW, -1)", "`N`"), ("vander(ROW, 2, 1)", "increasing"),
    ("correlate(V, ROW, 'all')", "mode"), ("percentile(F, 50, method='mean')", "method"), ("jvp(len, F, F)", "primals"),
    ("vectorize(3)", "pyfunc"), ("bartlett(-1)", "`x`"), ("kaiser(3, 'a')", "beta"), ("cdist(F, H)", "different spaces"),
    ("cholesky_inverse(F)", "equal last"), ("matrix_rank(ROW)", "two axes"), ("fft(F)", "pair"), ("irfft((I, I))", "pair"),
    ("fft2((ROW, ROW))", "2 axes"), ("rfft(SIG, 0)", "fft_length"), ("stft(SIG, 8, 0, 8)", "sequence_stride"),
    ("stft(SIG, 8, 2, 4)", "at least as long"), ("stft(I, 2, 2, 2)", "float32"), ("stft(SIG, 4, 2, 64)", "shorter"),
    ("stft(SIG, 4, 2, 4, 'flat')", "window"), ("stft(SIG, 4, 2, 4, ROW)", "does not fit"), ("view_as_complex(F)", "pair"),
    ("extract_sequences(VEC, 6, 1)", "shorter"), ("depth_to_space(F, 2)", "images"), ("depth_to_space(PIX, 3)", "divided"),
    ("space_to_depth(PIX, 1)", "block_size"), ("space_to_depth(PIX, 5)", "divided"), ("unfold(F, 2)", "images"),
    ("unfold(PIX, 9)", "smaller"), ("fold(COLS, 5, 2)", "not the windows"), ("psnr(F, S, 1.0)", "one shape"),
    ("rearrange(F, 'a b')", "->"), ("rearrange(F, 'a b -> a')", "either side"), ("rearrange(F, 'a, b -> b a')", "read"),
    ("rearrange(F, 'a b c -> a b c')", "number of axes"), ("rearrange(F, 'a (b c) -> a b c', b=2)", "do not fit"),
    ("rearrange(F, 'a b -> b a', c=2)", "not there"), ("ctc_loss(F, F, [1], [1])", "labels"),
    ("ctc_loss(TARGET, LOGITS, LEN3, LEN6, 4)", "blank"), ("ctc_decode(LOGITS, [1])", "one length"),
    ("ctc_decode(LOGITS, LEN6, 'best')", "strategy"), ("ctc_decode(LOGITS, LEN6, 'beam_search', 2, 3)", "top_paths"),
    ("layer_normalization(F, rms_scaling=True)", "rms_normalization"), ("multi_hot(J, 5, tokens=5)", "no such argument"),
    ("vectorized_map(lambda a: STATE.assign(1.0), F)", "assigned"), ("jvp(lambda a: STATE.assign(1.0), (1.0,), (1.0,))", "assigned"),
    ("associative_scan(lambda a, b: a + b + STATE.assign(1.0), F)", "assigned"),
    ("unstack(F, axis=7)", "axes from -2 to 1"), ("swapaxes(F, 0, 7)", "axes from -2 to 1"), ("expand_dims(F, 7)", "axes from -3 to 2"),
    ("broadcast_to(X, (2, -1))", "of 0 or more"), ("broadcast_to(F, (None, 5))", "cannot be repeated"),
    ("broadcast_to(X, (None, 3, 3))", "size to broadcast to is not known"),
    ("get_item(F, (0, 3))", "from -3 to 2"), ("X[2]", "from -2 to 1"), ("get_item(B, (..., None, -5))", "from -4 to 3"),
    ("matmul(ROWS, ROWS)", "6 rows"), ("unstack(F, num=5)", "2 slices"), ("unstack(X, axis=1)", "must be known"), ("nonzero(X)", "depends on values"),
    ("where(X)", "depends on values"), ("unique(X)", "depends on values"), ("bincount(cast(X, 'int32'))", "depends on values"),
    ("meshgrid(1.0)", "Arguments to meshgrid"), ("array_split(F, 0)", "no size of 0"), ("ones((-1, 2))", "sizes of 0 or more, not (-1, 2)"),
    ("slice_update(F, [0, 0], ROWS)", "sizes that are known"),
    ("cast(300, 'uint8')", "300 is no uint8"), ("convert_to_tensor([[2, -1]], 'uint32')", "-1 is no uint32"),
    ("array(float('nan'), 'int32')", "nan is no int32"), ("add(F, 2**31)", "2147483648 is no int32"),
]


@pytest.mark.parametrize(("row", "part"), BAD)
def test_bad_arguments(row, part):
    with pytest.raises((ValueError, TypeError, OverflowError)) as caught:
        evaluate(row, kyeo.ops, {"STATE": kyeo.Variable(0.0, name="state"), "X": kyeo.KerasTensor((2, None)),
                                   "ROWS": kyeo.KerasTensor((None, 6))})
    assert part in str(caught.value) and "\n  " in str(caught.value)


@pytest.mark.parametrize("name", sorted({*UNARY_ROWS, *BINARY_ROWS} - {"shape", "ndim"}))
def test_what_is_no_array_is_refused_in_our_words(name):
    fn = getattr(kyeo.ops, name)
    others = [VALUES["S"]] * (list(inspect.signature(fn).parameters)[1:2] == ["x2"])
    cases = [(value, *others) for value in ("a word", None, object(), {"a": 1})]
    cases += [(VALUES["S"], np.ones((4, 5), "float32"))] if others and name not in ("append", "kron", "outer") else []
    if "axis" in inspect.signature(fn).parameters:
        cases += [(VALUES["S"], 7), (VALUES["S"], "first")]
    for case in cases:
        with pytest.raises((TypeError, ValueError, IndexError)) as caught:
            fn(*case)
        text = str(caught.value)
        assert "\n  Received: " in text and "Tracer" not in text, (case, text)


STATEFUL = [  # expression; STATE and OTHER after it, which were 1 and 5
    ("cond(True, lambda: STATE.assign_add(2.0), lambda: OTHER.assign(9.0))", 3, 5),
    ("cond(False, lambda: STATE.assign_add(2.0), lambda: OTHER.assign(9.0))", 1, 9),
    ("switch(1, [lambda: 0.0, lambda: STATE.assign(7.0)])", 7, 5),
    ("scan(lambda c, x: (c + STATE.assign_add(1.0), x), 0.0, F)", 3, 5),
    ("map(lambda x: x + STATE.assign_add(1.0), F)", 3, 5),
    ("fori_loop(0, 4, lambda i, c: c + STATE.assign_add(1.0) + OTHER.assign_sub(1.0), 0.0)", 5, 1),
    ("while_loop(lambda i: STATE.value < 4, lambda i: i + 1 + 0 * cast(STATE.assign_add(1.0), 'int32'), 0)", 4, 5),
    ("scan(lambda c, x: (cond(x > 0, lambda: STATE.assign_add(x), lambda: STATE.value), c), 1.0, array([1.0, -2.0, 3.0]))", 5, 5),
    ("REMAT(lambda a: a * STATE.assign_add(1.0))(2.0)", 2, 5),
]


@pytest.mark.parametrize(("row", "first", "second"), STATEFUL)
def test_what_is_assigned_inside_comes_out(row, first, second):
    from kyeo.core.variable import pure

    state, other = kyeo.Variable(1.0, name="state"), kyeo.Variable(5.0, name="other")
    names = {"STATE": state, "OTHER": other, "REMAT": kyeo.remat}
    run = jax.jit(pure(lambda: jax.tree.map(jnp.asarray, evaluate(row, kyeo.ops, names)), [state, other]))
    assert [float(v) for v in run([jnp.float32(1), jnp.float32(5)])[1]] == [first, second]
    evaluate(row, kyeo.ops, names)
    assert [float(state), float(other)] == [first, second]


def test_where_keras_goes_wrong():
    """Its sparsemax does not sum to 1, and its pools need strides although they have a default."""
    b = VALUES["B"]
    for axis in (0, 1, -1):
        found = np.asarray(jax.jit(kyeo.ops.sparsemax, static_argnums=1)(b, axis))
        np.testing.assert_allclose(found.sum(axis), 1, rtol=1e-6)
        # the nearest point of the simplex: what is left of b - p is the same wherever p > 0, and nowhere else larger
        high, low = np.where(found > 0, b - found, -np.inf).max(axis), np.where(found > 0, b - found, np.inf).min(axis)
        np.testing.assert_allclose(high, low, atol=1e-6)
        assert (np.where(found > 0, -np.inf, b).max(axis) <= low + 1e-6).all()
    for pool in ("max_pool", "average_pool"):
        close(leaves(evaluate(f"{pool}(IMG, 2)", kyeo.ops)), leaves(evaluate(f"{pool}(IMG, 2, 2)", kyeo.ops)), pool)
    hot = kyeo.ops.one_hot(np.array([0, 44], "uint8"), 300), kyeo.ops.one_hot(np.array([0, 44, -1], "int8"), 300)
    assert [one.sum(-1).tolist() for one in hot] == [[1, 1], [1, 1, 0]]  # 256 is 0 in a byte
    assert kyeo.ops.round(np.array([123456789, -15, 25, 2**31 - 1, -(2**31)], "int32"), -1).tolist() == [
        123456790, -20, 20, 2**31 - 1, -(2**31)]  # halves to the even ten; no digits of floats, no overflow
    assert kyeo.ops.round(np.array([126, 250, 45], "uint8"), -2).tolist() == [100, 200, 0]


@pytest.mark.parametrize("dtype, low, high, wanted", [
    ("uint8", -1, 100, [0, 100, 100]), ("int8", -300, 300, [-2, 100, 127]), ("int32", 0, 2**40, [0, 100, 127])])
def test_clip_at_numbers_that_the_type_does_not_have(dtype, low, high, wanted):
    x = np.array([-2 if dtype != "uint8" else 0, 100, 127], dtype)
    assert kyeo.ops.clip(x, low, high).tolist() == wanted and kyeo.ops.clip(x, low, high).dtype == dtype
    assert kyeo.ops.power(np.array([100], "int8"), np.int32(2)).tolist() == [10000]
    assert kyeo.ops.bincount([[1, 1], [3, 0]]).tolist() == [[0, 2, 0, 0], [1, 0, 0, 1]]
    assert kyeo.ops.sparsemax([[True, False]]).tolist() == keras.ops.sparsemax(np.array([[True, False]])).tolist()


@pytest.mark.parametrize("row, same", [
    ("quantile(I, 1)", "quantile(I, 1.0)"), ("nanquantile(I, 0, axis=1)", "nanquantile(I, 0.0, axis=1)"),
    ("dot_product_attention(Q, KV, KV, BIAS, cast(MASK, 'int32'))", "dot_product_attention(Q, KV, KV, BIAS, MASK)"),
    ("stop_gradient({'a': [F], 'b': P})", "[F, P]"), ("normalize(F, epsilon=0.0)", "normalize(F)"),
    ("associative_scan(lambda a, b: a + b, F, reverse=True, axis=-1)", "flip(cumsum(flip(F, 1), 1), 1)"),
])
def test_where_keras_fails(row, same):
    close(leaves(evaluate(row, kyeo.ops)), leaves(evaluate(same, kyeo.ops)), row)


ZERO, LOW = np.zeros(3, "float32"), np.full(3, -np.inf, "float32")


@pytest.mark.parametrize(("row", "x"), [
    ("norm(X)", ZERO), ("norm(X, 3)", ZERO), ("std(X)", ZERO + 2), ("nanstd(X)", ZERO + 2), ("hypot(X, 0.0)", ZERO),
    ("logsumexp(X)", LOW), ("logaddexp(X, X)", LOW), ("power(X, 0.0)", ZERO), ("power(X, [0.0, 0.0, 2.0])", ZERO),
    ("gelu(cast(X, 'float16'))", ZERO - 400),
])
def test_a_gradient_where_nothing_grows_is_zero(row, x):
    gradient = jax.grad(lambda x: evaluate(row, kyeo.ops, {"X": x}).sum().astype("float32"))
    assert gradient(x).tolist() == [0, 0, 0]


def test_gradients_that_equal_singular_values_or_certainty_do_not_spoil():
    a, b = np.eye(3, 2, dtype="float32"), np.array([1.0, 2.0, 3.0], "float32")
    found = jax.grad(lambda a: kyeo.ops.lstsq(a, b).sum())(a)
    step = np.zeros_like(a)
    step[0, 1] = 1e-2
    wanted = (np.linalg.lstsq(a + step, b)[0].sum() - np.linalg.lstsq(a - step, b)[0].sum()) / 2e-2
    assert abs(found[0, 1] - wanted) < 1e-3
    for gamma in (0.0, 0.5, 2.0):
        focal = jax.grad(lambda p, g=gamma: kyeo.losses.binary_focal_crossentropy([[1.0]], p[None], gamma=g)[0])
        assert focal(np.ones(1, "float32")).tolist() == [0]


@pytest.mark.parametrize(("row", "wanted"), [
    ("norm(X)", 500), ("norm(X, 3)", 450), ("std(X * 6)", 300), ("nanstd(X * 6)", 300), ("cdist(X[None], X[None] * 2)", 500),
    ("squareplus(X[:1])", 300), ("normalize(X) * 500", [300, 400]), ("normalize(X / 30000 / 100) * 500", [300, 400]),
    ("nanmean(repeat(X, 300))", 350), ("binary_crossentropy(X * 0, X * 0 + 1)", 15.942),
    ("categorical_crossentropy(X * 0 + 1, X * 0 + 1)", 1.386),
])
def test_half_precision_is_summed_in_float32(row, wanted):
    found = evaluate(row, kyeo.ops, {"X": jnp.array([300.0, 400.0], "float16")})
    assert found.dtype == "float16" and np.allclose(found.astype("float32"), wanted, rtol=2e-3), found


@pytest.mark.parametrize("number", [-1, 256, 300])
def test_a_number_that_bytes_do_not_have_lies_beyond_them(number):
    x, wide = jnp.array([0, 44, 255], "uint8"), np.array([0, 44, 255])
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
        ours, numpys = getattr(kyeo.ops, name), getattr(np, name)
        assert ours(x, number).tolist() == numpys(wide, number).tolist(), name
        assert ours(number, x).tolist() == numpys(number, wide).tolist(), name
    for name in ("maximum", "minimum", "fmax", "fmin"):
        wanted = np.clip(getattr(np, name)(wide, number), 0, 255).astype("uint8")
        assert getattr(kyeo.ops, name)(number, x).tolist() == wanted.tolist(), name


@pytest.mark.parametrize("row", ["clip(F, {0}, 9)", "clip(F, None, {0})", "linspace({0}, 1, 4)", "logspace(0, {0}, 4, axis=1)",
                                 "geomspace({0}, {0}, 4)"])
def test_lists_are_taken_as_arrays(row):
    found, wanted = (evaluate(row.format(text), kyeo.ops) for text in ("[0.1, 0.2, 0.3]", "array([0.1, 0.2, 0.3])"))
    close(leaves(found), leaves(wanted), row)


def test_unknown_sizes():
    x = kyeo.KerasTensor((None, 8, 6, 3))
    o = kyeo.ops
    wanted = {
        o.conv(x, jnp.ones((3, 3, 3, 4)), 2, "same"): (None, 4, 3, 4), o.max_pool(x, 2): (None, 4, 3, 3),
        o.reshape(x, (-1, 4)): (None, 4), o.reshape(x, (o.shape(x)[0], -1)): (None, 144), x[:, 0]: (None, 6, 3),
        o.transpose(x): (3, 6, 8, None), o.mean(x, axis=[1, 2]): (None, 3), x[None] * x: (1, None, 8, 6, 3),
        o.broadcast_to(x, (None, 8, 6, 3)): (None, 8, 6, 3), o.broadcast_to(x, (2, None, 8, 6, 3)): (2, None, 8, 6, 3),
        o.broadcast_to(x[:, :1], (4, 8, 6, 3)): (4, 8, 6, 3), o.repeat(x, [1, 0, 2], axis=0): (None, 8, 6, 3),
        o.repeat(x, [1, 0, 2], axis=-1): (None, 8, 6, 3), o.unstack(x, 5)[4]: (8, 6, 3), o.solve(x[:, :3, :3, 0], x[:, :3, 0, 0]): (None, 3),
    }
    table, row = kyeo.KerasTensor((None, 3)), kyeo.KerasTensor((None,), "int32")
    wanted |= {
        o.diag(table): (None,), o.diag(row, 1): (None, None), o.diagonal(x, 0, 1, 0): (6, 3, None), o.diagonal(x, 0, 1, -1): (None, 6, 3),
        o.diagflat(table, -1): (None, None), o.vander(row): (None, None), o.vander(row, 2): (None, 2), o.stop_gradient([table, row])[1]: (None,),
        o.segment_sum(table, np.array([0, 1]), 4): (4, 3), o.segment_max(np.ones((2, 3)), row, 4): (4, 3),
    }
    for tensor, shape in wanted.items():
        assert tensor.shape == shape


def test_no_direction_has_no_gradient():
    """A vector of zeros, such as a row behind relu or of padding, does not turn all weights into NaN."""
    zeros, ones = jnp.zeros((2, 3)), jnp.ones((2, 3))
    unit, dot = kyeo.layers.UnitNormalization(), kyeo.layers.Dot(1, normalize=True)
    for fn in (kyeo.ops.normalize, unit, lambda x: dot([x, ones]), lambda x: kyeo.losses.cosine_similarity(ones, x)):
        for dtype in ("float32", "float16"):
            found, slope = jax.value_and_grad(lambda x, fn=fn: fn(x).sum())(zeros.astype(dtype))
            assert found == 0 and not slope.any() and slope.dtype == dtype


def test_rows_carry_their_own_names():
    assert kyeo.ops.sin.__name__ == "sin" and kyeo.ops.sin.__module__ == "kyeo.ops.elementwise"
    assert kyeo.ops.nn.softmax is kyeo.ops.softmax and kyeo.ops.numpy.sum is kyeo.ops.sum
    assert row_module.to_array([1, 2]).dtype == "int32"
