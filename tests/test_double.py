"""Derivatives of what computes in float64, asked for in float32 programs: against differences of
float64 values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.double import float64_inside
from theorylab.ntk import infinite as inf
from theorylab.precision import as_float64
from theorylab.ridge import KernelRidgePath, RidgePath
from theorylab.rmt import DiscreteLaw, MarchenkoPastur, Semicircle, free_additive, slq_trace

RNG = np.random.default_rng(0)


def modes(f, at=0.0, compiled=True):
    """The derivative of a scalar function: forward, reverse and batched, and compiled."""
    scalar = lambda s: f(s) * 1.0  # noqa: E731
    return [
        jax.jvp(scalar, (at,), (1.0,))[1],
        jax.grad(scalar)(at),
        jax.vmap(jax.grad(scalar))(jnp.array([at, at]))[1],
        *([jax.jit(jax.grad(scalar))(at)] if compiled else []),
    ]


def check(f, at=0.0, rtol=1e-3, compiled=True):
    difference = (float(f(at + 1e-5)) - float(f(at - 1e-5))) / 2e-5
    np.testing.assert_allclose(modes(f, at, compiled), difference, rtol=rtol, atol=1e-5)


@float64_inside
def padded(x, label="kept"):
    x = jnp.pad(as_float64(x), (1, 1)).at[0].add(3.0)
    return {"value": (jnp.exp(x) ** 2).sum(), "whole": jnp.arange(3), "label": label}


@pytest.mark.long
def test_every_order_mode_and_transformation_of_one_operation():
    f, x = (lambda x: padded(x)["value"]), jnp.arange(3.0) / 3
    first, second = 2 * np.exp(2 * np.arange(3) / 3), 4 * np.exp(2 * np.arange(3) / 3)
    for gradient in (jax.grad(f), jax.jit(jax.grad(f)), jax.jacfwd(f)):
        np.testing.assert_allclose(gradient(x), first, rtol=1e-6)
        assert gradient(x).dtype == jnp.float32
    for hessian in (jax.hessian(f), jax.jacfwd(jax.jacfwd(f)), jax.jit(jax.jacrev(jax.jacrev(f)))):
        np.testing.assert_allclose(jnp.diagonal(hessian(x)), second, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(f)(jnp.stack([x, x]))[1], f(x), rtol=1e-6)
    out = padded(x)
    assert out["label"] == "kept" and isinstance(out["value"], np.ndarray)
    with jax.enable_x64(True):
        assert jax.grad(f)(jnp.arange(3.0)).dtype == jnp.float64


HEAD = (inf.relu(), inf.flatten(), inf.dense(1))
NETS = {
    "conv same": inf.serial(inf.conv(8, 3, padding="SAME"), *HEAD),
    "conv circular": inf.serial(inf.conv(8, 3, padding="CIRCULAR"), *HEAD),
    "pools": inf.serial(
        inf.dense(8),
        inf.relu(),
        inf.avg_pool(2),
        inf.dense(8),
        inf.relu(),
        inf.global_avg_pool(),
        inf.dense(1),
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", NETS)
def test_kernels_of_convolutions_and_pools_in_their_inputs(name):
    x = RNG.normal(size=(2, 4, 4, 2))
    x[1] = x[0]
    way = RNG.normal(size=x.shape)
    exact = lambda s: np.asarray(NETS[name].kernel(x + s * way)).sum()  # noqa: E731
    difference = (exact(1e-5) - exact(-1e-5)) / 2e-5
    total = lambda z: NETS[name].kernel(z).sum()  # noqa: E731
    z = jnp.asarray(x, jnp.float32)
    for gradient in (jax.grad(total)(z), jax.jit(jax.grad(total))(z)):
        np.testing.assert_allclose((gradient * way).sum(), difference, rtol=1e-3)
    forward = jax.jvp(total, (z,), (jnp.asarray(way, jnp.float32),))[1]
    np.testing.assert_allclose(forward, difference, rtol=1e-3)


@pytest.mark.long
def test_kernels_in_their_hyperparameters():
    x = RNG.normal(size=(3, 4, 4, 2))
    net = lambda s: inf.serial(inf.conv(8, 3, sigma_w=1.2 + s), *HEAD)  # noqa: E731
    check(
        lambda s: (
            net(s).kernel(x).sum()
            if isinstance(s, jax.Array)
            else np.asarray(net(s).kernel(x)).sum()
        )
    )


X, Y = RNG.normal(size=(12, 4)), RNG.normal(size=(12, 2))
W, K = RNG.uniform(0.5, 2, 12), X @ X.T + np.diag(np.arange(1.0, 13))
CHANGE = RNG.normal(size=(12, 12))


@pytest.mark.long
@pytest.mark.parametrize("which", ["design", "targets", "weights"])
@pytest.mark.parametrize("kind", ["kernel", "features"])
def test_ridge_paths_through_all_that_they_are_fitted_to(kind, which):
    def total(s):
        design = X if kind == "features" else K
        change = CHANGE[:, :4] if kind == "features" else CHANGE + CHANGE.T
        design = design + s * change if which == "design" else design
        y = Y + s * np.cos(Y) if which == "targets" else Y
        w = W + s * np.sin(W) if which == "weights" else W
        fit = RidgePath.fit if kind == "features" else KernelRidgePath.fit
        path, alphas = fit(design, y, weights=w, center=True), [1e-2, 0.3]
        test = X[:3] if kind == "features" else K[:3]
        return (
            path.gcv(alphas).sum()
            + path.loo(alphas).sum()
            + (path.predict(test, alphas) ** 2).sum()
            + path.kappa(alphas).sum()
            + path.dof(alphas).sum()
        )

    # compiled without XLA's optimisations, as tests are, this one sum of all came out NaN once
    check(total, compiled=False)


@pytest.mark.long
def test_traces_through_what_the_operator_closes_over():
    A = (K + K.T) / 2
    product = lambda s: lambda v: (1.5 + s) * (A @ v)  # noqa: E731
    trace = lambda s: slq_trace(product(s), 12, jnp.log, jax.random.key(0), steps=8)[0]  # noqa: E731
    np.testing.assert_allclose(modes(trace), 12 / 1.5, rtol=1e-5)  # log det of s A
    closing = lambda s: slq_trace(lambda v: s * v, 10, jnp.log, jax.random.key(0), steps=5)[0]  # noqa: E731
    np.testing.assert_allclose(modes(closing, 2.0), 5, rtol=1e-5)
    inside = lambda s: slq_trace(lambda v: 2 * v, 9, lambda x: s * x, jax.random.key(0), steps=5)[0]  # noqa: E731
    np.testing.assert_allclose(modes(inside), 18, rtol=1e-5)


@pytest.mark.long
def test_complex_transforms_of_laws():
    atoms = np.array([3.0, 2.0, 0.5])

    def total(s):
        law = free_additive(DiscreteLaw(atoms * (1 + s)), Semicircle(1.0 + s))
        m = law.stieltjes(1.0 + 0.5j) + MarchenkoPastur(0.5 * (1 + s)).stieltjes(1.0 + 0.3j)
        return m.imag

    check(total)
