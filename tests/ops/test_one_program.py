"""Ops of several steps, called alone, are one program: each program more is a dispatch more, call for call."""

import jax.numpy as jnp
import numpy as np
import pytest

from kyeo import ops
from kyeo.ops.kernels.sigmoid import log_sigmoids
from tests.compiled import programs

X = jnp.asarray(np.random.default_rng(0).uniform(0.1, 0.9, (7, 13)).astype("float32"))
COLUMN, ROW, WHOLE = X[:, 0], X[0], jnp.arange(13)
INDICES, MASK = WHOLE[:, None], X > 0.5
CASES = {
    "batch_normalization": lambda: ops.batch_normalization(X, ROW, ROW, -1),
    "cdist": lambda: ops.cdist(X, X),
    "celu": lambda: ops.celu(X),
    "clip": lambda: ops.clip(X, 0.2, 0.8),
    "concatenate": lambda: ops.concatenate([X, X]),
    "divide_no_nan": lambda: ops.divide_no_nan(X, X),
    "einsum": lambda: ops.einsum("ij,kj->ik", X, X),
    "eye": lambda: ops.eye(29),
    "full": lambda: ops.full((23, 13), 2.0),
    "gelu": lambda: ops.gelu(X),
    "hard_shrink": lambda: ops.hard_shrink(X),
    "hypot": lambda: ops.hypot(X, X),
    "layer_normalization": lambda: ops.layer_normalization(X, ROW, ROW),
    "log_sigmoids": lambda: log_sigmoids(X),
    "logaddexp": lambda: ops.logaddexp(X, X),
    "logsumexp": lambda: ops.logsumexp(X, axis=1),
    "lstsq": lambda: ops.lstsq(X, COLUMN),
    "maximum with a number": lambda: ops.maximum(X, 0.5),
    "mean": lambda: ops.mean(X, axis=0),
    "multiply by a number": lambda: ops.multiply(X, 2.0),
    "nanmean": lambda: ops.nanmean(X, axis=0),
    "nanstd": lambda: ops.nanstd(X, axis=0),
    "nanvar": lambda: ops.nanvar(X, axis=0),
    "norm": lambda: ops.norm(X, axis=1),
    "norm of a matrix": lambda: ops.norm(X),
    "normalize": lambda: ops.normalize(X),
    "one_hot": lambda: ops.one_hot(WHOLE, 17),
    "one_hot of floats": lambda: ops.one_hot(X, 3),
    "ones": lambda: ops.ones((19, 13)),
    "power": lambda: ops.power(X, X),
    "power of a number": lambda: ops.power(X, 2),
    "ptp": lambda: ops.ptp(X, axis=0),
    "relu": lambda: ops.relu(X),
    "reshape": lambda: ops.reshape(X, (13, 7)),
    "rms_normalization": lambda: ops.rms_normalization(X, ROW),
    "scatter": lambda: ops.scatter(INDICES, ROW, (17,)),
    "scatter_update": lambda: ops.scatter_update(ROW, INDICES, ROW),
    "segment_sum": lambda: ops.segment_sum(ROW, WHOLE, 13),
    "soft_shrink": lambda: ops.soft_shrink(X),
    "softmax": lambda: ops.softmax(X),
    "sparsemax": lambda: ops.sparsemax(X),
    "stack": lambda: ops.stack([X, X]),
    "std": lambda: ops.std(X, axis=0, keepdims=True),
    "take": lambda: ops.take(X, WHOLE, axis=1),
    "threshold": lambda: ops.threshold(X, 0.5, 0.0),
    "var": lambda: ops.var(X, axis=0),
    "where": lambda: ops.where(MASK, X, 0.0),
    "zeros": lambda: ops.zeros((17, 13)),
}


@pytest.mark.parametrize("name", CASES)
def test_one_program(name):
    with programs() as compiled:
        CASES[name]()
    assert len(compiled) == 1
