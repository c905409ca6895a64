"""Functions that do not fit the op they are given to: the message says what they gave, and nothing of JAX."""

import re

import jax
import jax.numpy as jnp
import pytest

from kyeo import ops

X, ONE = jnp.arange(3.0), jnp.int32(0)
MISTAKES = [  # the call, and what its message holds
    (lambda: ops.cond(True, lambda: X, lambda: X[:2]), "true_fn gives float32 of shape (3,), false_fn gives float32 of shape (2,)"),
    (lambda: ops.cond(True, lambda: X, lambda: None), "false_fn gives None"),
    (lambda: ops.cond(True, lambda a: a, lambda: X), "a function of 0 arguments"),
    (lambda: ops.cond(X > 1, lambda: X, lambda: X), "kyeo.ops.any"),
    (lambda: ops.switch(0, [lambda a: a, lambda a: (a, a)], X), "branches[1] gives (float32 of shape (3,), float32 of shape (3,))"),
    (lambda: ops.switch(0, [], X), "at least one"),
    (lambda: ops.switch(X, [lambda a: a], X), "an integer, of shape ()"),
    (lambda: ops.switch(1.0, [lambda a: a], X), "`index` is not an integer"),
    (lambda: ops.switch(jnp.bool_(True), [lambda a: a], X), "`index` is not an integer"),
    (lambda: ops.while_loop(lambda i: i < 3, lambda i: (i + 1.5,), (ONE,)), "(int32 of shape (),) goes in, (float32 of shape (),) comes out"),
    (lambda: ops.while_loop(lambda i, j: i < 3, lambda i, j: (i,), (ONE, ONE)), "(int32 of shape (),) comes out"),
    (lambda: ops.while_loop(lambda i: i < 3, lambda i: i, X), "`cond` is not one value"),
    (lambda: ops.scan(lambda c, x: c + x, 0.0, X), "(carry, y)"),
    (lambda: ops.scan(lambda c, x: (c + 0.5, x), ONE, X), "int32 of shape () goes in, float32 of shape () comes out"),
    (lambda: ops.scan(lambda c, x: (c, x), 0.0, (X, X[:2])), "a first axis of the same size"),
    (lambda: ops.scan(lambda c, x: (c, x), 0.0, X, length=5), "a first axis of size 5"),
    (lambda: ops.scan(lambda c, x: (c, x), 0.0), "`length`"),
    (lambda: ops.fori_loop(0, 3, lambda i, c: ops.stack([c, c]), X), "float32 of shape (2, 3) comes out"),
    (lambda: ops.fori_loop(0, 2.5, lambda i, c: c, X), "equal types"),
    (lambda: ops.fori_loop(0, X, lambda i, c: c, X), "`upper` is not one value"),
    (lambda: ops.map(lambda a, b: a, X), "ops.map"),
    (lambda: ops.map(lambda a: a, (X, X[:2])), "ops.map"),
    (lambda: ops.vectorized_map(lambda a: a, X[0]), "a first axis of the same size"),
    (lambda: ops.vectorized_map(lambda a, b: a, X), "a function of 1 argument"),
    (lambda: ops.associative_scan(lambda a: a, X), "a function of 2 arguments"),
    (lambda: ops.associative_scan(lambda a, b: ops.sum(a), X), "float32 of shape () comes out"),
    (lambda: ops.associative_scan(lambda a, b: a, (X, X[:2])), "a first axis of the same size"),
    (lambda: ops.associative_scan(lambda a, b: a, (X, X), axis=1), "an axis 1 of the same size"),
    (lambda: ops.vectorize(lambda a, b: a + b)(X, X[:2]), "shapes (3,), (2,) cannot be combined"),
    (lambda: ops.vectorize(lambda a: a, signature="(n)->"), 'as in "(n),(n)->()"'),
    (lambda: ops.slice(X, (0, 0), (1, 1)), "1 axes, and as many"),
    (lambda: ops.slice(X, (0, 0), (1,)), "shape=(1,)"),
    (lambda: ops.slice_update(X, [0], [[1.0]]), "updates=array of dtype float32 and shape (1, 1)"),
    (lambda: ops.custom_gradient(lambda a: a)(X), "(value, gradient function)"),
    (lambda: ops.custom_gradient(lambda a: (a, 3))(X), "no gradient function"),
    (lambda: jax.grad(ops.custom_gradient(lambda a: (ops.sum(a), lambda g: jnp.ones(5))))(X), "as many gradients as arguments (1)"),
    (lambda: jax.grad(ops.custom_gradient(lambda a, b: (ops.sum(a * b), lambda g: g * a)))(X, X), "as many gradients as arguments (2)"),
]


@pytest.mark.parametrize(("call", "said"), MISTAKES)
def test_functions_that_do_not_fit(call, said):
    with pytest.raises(ValueError, match=re.escape(said)) as error:  # a wrong type is both kinds of error
        call()
    text = str(error.value).replace("body_fun", "")
    assert "Expected:" in text and "ops." in text and not re.search("jax|pytree|[Tt]racer|ShapedArray|_fun", text), text


def test_an_error_inside_a_function_is_its_own():
    def body(x):
        raise TypeError("mine")

    for call in (lambda: ops.cond(True, lambda: body(1), lambda: 1), lambda: ops.while_loop(lambda x: True, body, 1)):
        with pytest.raises(TypeError, match="mine"):
            call()
