"""What identifies a function is what it computes: the same in every process, another for another
derivative."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.ntk.identity import function_digest

W = jnp.asarray(np.random.default_rng(0).standard_normal((4, 3)), jnp.float32)
X = jnp.asarray(np.random.default_rng(1).standard_normal((5, 4)), jnp.float32)

SCRIPT = """
import jax, jax.numpy as jnp, numpy as np
from flax import nnx
from theorylab.nets import CNN, functional
from theorylab.digests import tree_digest
from theorylab.ntk.identity import function_digest

SCALES = np.arange(3.0, dtype=np.float32)
KEY = jax.random.key(3)

@jax.custom_vjp
def clipped(x):
    return x * 2

clipped.defvjp(lambda x: (clipped(x), x), lambda r, ct: (ct * 3,))

def host(x):
    return np.sin(x) * SCALES[1]

def many(w, x):
    x = jax.nn.relu(x) @ w + SCALES * jax.random.normal(KEY, (3,))
    x = clipped(jax.nn.gelu(x)) + jax.nn.softmax(x)
    x, _ = jax.lax.scan(lambda c, s: (jnp.tanh(c * s), None), x, jnp.ones(3))
    x = jax.lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x)
    scalar = jax.ShapeDtypeStruct((), "float32")
    noise = jax.pure_callback(host, scalar, jnp.float32(1), vmap_method="sequential")
    return jax.checkpoint(jnp.exp)(x) + noise

image, weights = functional(CNN((6, 6, 1), 2, channels=(3,), hidden=(4,), rngs=nnx.Rngs(0)))[:2]
found = []
for f, w, x in (
    (many, jnp.ones((4, 3)), jnp.ones((5, 4))), (image, weights, jnp.ones((2, 6, 6, 1)))
):
    found += [function_digest(f, w, x), tree_digest(w)]
"""


@pytest.mark.long
def test_digests_are_the_same_in_processes_that_order_sets_and_place_objects_differently() -> None:
    here: dict = {}
    # traced before: another state of JAX's caches
    jax.jit(lambda x: jax.nn.softmax(jax.nn.relu(x)))(X)
    exec(SCRIPT, here)
    assert len(set(here["found"])) == 4
    for seed in ("1", "77"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "JAX_PLATFORMS": "cpu"}
        script = SCRIPT + "print(*found)"
        run = subprocess.run(
            [sys.executable, "-c", script], env=env, check=True, capture_output=True, text=True
        )
        assert run.stdout.split() == here["found"]


def with_derivative(factor: float) -> jax.custom_vjp:
    g = jax.custom_vjp(lambda x: x)
    g.defvjp(lambda x: (x, None), lambda r, ct: (factor * ct,))
    return g


def with_tangent(factor: float) -> jax.custom_jvp:
    g = jax.custom_jvp(lambda x: x)
    g.defjvp(lambda x, t: (x[0], factor * t[0]))
    return g


def closing_over(c: np.ndarray):
    return lambda w, x: x @ w + c


def calling(factor: float, function=np.sin):
    def f(w, x):
        told = jax.pure_callback(
            lambda v: factor * function(v), jax.ShapeDtypeStruct((5, 4), x.dtype), x
        )
        return told @ w

    return f


def one(w, x):
    return jnp.tanh(x @ w)


def test_names_do_not_matter() -> None:
    first = function_digest(one, W, X)
    assert function_digest(lambda weights, data: jnp.tanh(data @ weights), W, X) == first
    assert function_digest(jax.jit(one), W, X) == function_digest(
        jax.jit(lambda a, b: jnp.tanh(b @ a)), W, X
    )
    # a shape that is left to be inferred can be, in the one sample that is looked at
    flat = [
        function_digest(lambda w, x: x.reshape(len(x), -1) @ w, W, np.ones((n, 2, 2)))
        for n in (3, 5)
    ]
    assert flat[0] == flat[1] != first
    # values and the number of samples are not the function's
    assert function_digest(one, 2 * W, X[:2]) == first
    assert function_digest(closing_over(np.ones(3)), W, X) == function_digest(
        closing_over(np.ones(3)), W, X
    )


@pytest.mark.parametrize(
    ("f", "g"),
    [
        (one, lambda w, x: jnp.sin(x @ w)),
        (one, lambda w, x: 2 * jnp.tanh(x @ w)),
        (lambda w, x: x @ w + 0.0, lambda w, x: x @ w - 0.0),
        (closing_over(np.arange(3.0)), closing_over(np.arange(3.0)[::-1])),
        (closing_over(np.float32(0.1)), closing_over(np.nextafter(np.float32(0.1), np.float32(1)))),
        (lambda w, x: with_derivative(2.0)(x @ w), lambda w, x: with_derivative(3.0)(x @ w)),
        (lambda w, x: with_tangent(2.0)(x @ w), lambda w, x: with_tangent(3.0)(x @ w)),
        (calling(1.0), calling(2.0)),
        (lambda w, x: (x @ w)[:, :2], lambda w, x: (x @ w)[:, 1:]),
        (
            lambda w, x: jax.lax.scan(lambda c, s: (c * s, None), x @ w, jnp.ones(3))[0],
            lambda w, x: jax.lax.scan(lambda c, s: (c + s, None), x @ w, jnp.ones(3))[0],
        ),
        (
            lambda w, x: x @ w + jax.random.normal(jax.random.key(0), (3,)),
            lambda w, x: x @ w + jax.random.normal(jax.random.key(1), (3,)),
        ),
    ],
)
def test_what_computes_something_else_has_another_digest(f, g) -> None:
    assert function_digest(f, W, X) != function_digest(g, W, X)
