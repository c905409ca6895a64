"""Ops of several steps, called alone, are one program: each program more is a dispatch more, call for call."""

import jax.numpy as jnp
import numpy as np
import pytest

from kyeo import ops
from kyeo.ops.kernels.sigmoid import log_sigmoids
from tests.compiled import programs

X = jnp.asarray(np.random.default_rng(0).uniform(0.1, 0.9, (7, 13)).astype("float32"))
COLUMN, WHOLE = X[:, 0], jnp.arange(13)
CASES = {
    "cdist": lambda: ops.cdist(X, X),
    "divide_no_nan": lambda: ops.divide_no_nan(X, X),
    "hypot": lambda: ops.hypot(X, X),
    "logaddexp": lambda: ops.logaddexp(X, X),
    "log_sigmoids": lambda: log_sigmoids(X),
    "logsumexp": lambda: ops.logsumexp(X, axis=1),
    "lstsq": lambda: ops.lstsq(X, COLUMN),
    "mean": lambda: ops.mean(X, axis=0),
    "nanmean": lambda: ops.nanmean(X, axis=0),
    "nanstd": lambda: ops.nanstd(X, axis=0),
    "nanvar": lambda: ops.nanvar(X, axis=0),
    "norm": lambda: ops.norm(X, axis=1),
    "norm of a matrix": lambda: ops.norm(X),
    "normalize": lambda: ops.normalize(X),
    "one_hot": lambda: ops.one_hot(WHOLE, 17),
    "one_hot of floats": lambda: ops.one_hot(X, 3),
    "power": lambda: ops.power(X, X),
    "ptp": lambda: ops.ptp(X, axis=0),
    "std": lambda: ops.std(X, axis=0, keepdims=True),
    "var": lambda: ops.var(X, axis=0),
}


@pytest.mark.parametrize("name", CASES)
def test_one_program(name):
    with programs() as compiled:
        CASES[name]()
    assert len(compiled) == 1
