"""Empirical kernels: against Jacobians that NumPy contracts, axis by axis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import neural_tangents as nt
from theorylab.errors import InputError

CLOSE = {"rtol": 2e-5, "atol": 2e-5}
KEYS = jax.random.split(jax.random.key(0), 6)
PARAMS = [jax.random.normal(KEYS[0], (3, 4)), jax.random.normal(KEYS[1], (4, 2, 3))]
X1, X2 = jax.random.normal(KEYS[2], (5, 3)), jax.random.normal(KEYS[3], (4, 3))


def f(params, x):
    return jnp.einsum("nk,kab->nab", jnp.tanh(x @ params[0]), params[1])


def normalised(params, x):  # couples the samples of a batch
    out = f(params, x)
    return out / jnp.sqrt((out**2).mean(0) + 0.1)


def jacobian(g, x, params=PARAMS):
    rows = jax.jacrev(g)(params, x)
    shape = g(params, x).shape
    return np.concatenate([np.asarray(r).reshape(*shape, -1) for r in jax.tree.leaves(rows)], -1)


def by_hand(j1, j2, trace, diagonal):
    """The kernel by loops over axes: every pair of outputs, then the traces and diagonals."""
    ndim = j1.ndim - 1
    whole = np.tensordot(j1, j2, (-1, -1))  # (*outputs, *outputs)
    left, right = list(range(ndim)), list(range(ndim, 2 * ndim))
    out = []
    for axis in range(ndim):
        if axis in trace or axis in diagonal:
            right[axis] = left[axis]
        if axis in diagonal:
            out.append(left[axis])
        elif axis not in trace:
            out += [left[axis], right[axis]]
    size = np.prod([j1.shape[a] for a in trace], initial=1)
    return np.einsum(whole, left + right, out) / size


AXES = [
    ((-1,), ()),
    ((), ()),
    ((1, 2), ()),
    ((1,), (2,)),
    ((), (1, 2)),
    ((2,), (1,)),
    ((), (-1,)),
]


@pytest.mark.parametrize(("trace", "diagonal"), AXES)
@pytest.mark.parametrize("vmap_axes", [None, 0])
@pytest.mark.parametrize("compiled", [False, True])
def test_axes_of_the_kernel(trace, diagonal, vmap_axes, compiled):
    kernel_fn = nt.empirical_ntk_fn(f, trace, diagonal, vmap_axes)
    if compiled:
        kernel_fn = jax.jit(kernel_fn)
    expected = by_hand(
        jacobian(f, X1), jacobian(f, X2), [a % 3 for a in trace], [a % 3 for a in diagonal]
    )
    np.testing.assert_allclose(kernel_fn(X1, X2, PARAMS), expected, **CLOSE)


@pytest.mark.parametrize(("trace", "diagonal"), [((0,), ()), ((), (0, 1)), ((0, 1, 2), ())])
def test_the_axis_of_samples_can_be_traced_or_diagonal(trace, diagonal):
    kernel = nt.empirical_ntk_fn(f, trace, diagonal)(X1, None, PARAMS)
    j = jacobian(f, X1)
    np.testing.assert_allclose(kernel, by_hand(j, j, trace, diagonal), **CLOSE)


@pytest.mark.parametrize("implementation", list(nt.NtkImplementation))
def test_all_implementations_give_one_kernel(implementation):
    kernel_fn = nt.empirical_ntk_fn(f, implementation=implementation, _s_rules=True)
    expected = by_hand(jacobian(f, X1), jacobian(f, X2), [2], [])
    np.testing.assert_allclose(kernel_fn(X1, X2, PARAMS), expected, **CLOSE)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_function_that_couples_samples_has_the_kernel_of_the_whole_batch(compiled):
    kernel_fn = nt.empirical_ntk_fn(normalised, (2,))
    if compiled:
        kernel_fn = jax.jit(kernel_fn)
    expected = by_hand(jacobian(normalised, X1), jacobian(normalised, X2), [2], [])
    np.testing.assert_allclose(kernel_fn(X1, X2, PARAMS), expected, **CLOSE)


def test_samples_may_be_on_any_axis():
    turned = lambda p, x: jnp.moveaxis(f(p, x.T), 0, 2)  # noqa: E731
    for vmap_axes in (None, (1, 2, {})):
        for trace in ((0,), (0, 1), ()):
            kernel = nt.empirical_ntk_fn(turned, trace, (), vmap_axes)(X1.T, X2.T, PARAMS)
            expected = by_hand(jacobian(turned, X1.T), jacobian(turned, X2.T), trace, [])
            np.testing.assert_allclose(kernel, expected, **CLOSE)


def test_trees_of_inputs_and_outputs():
    def several(params, x):
        return {"a": f(params, x[0])[..., 0], "b": [x[1] @ params[0]]}

    x1, x2 = (X1, X1 * 2), (X2, X2 - 1)
    for vmap_axes in (None, 0):
        k = nt.empirical_kernel_fn(several, vmap_axes=vmap_axes)(x1, x2, None, PARAMS)
        a = lambda p, x: several(p, x)["a"]  # noqa: E731
        np.testing.assert_allclose(
            k["a"].ntk, by_hand(jacobian(a, x1), jacobian(a, x2), [1], []), **CLOSE
        )
        outputs = [np.asarray(several(PARAMS, x)["b"][0]) for x in (x1, x2)]
        np.testing.assert_allclose(k["b"][0].nngp, outputs[0] @ outputs[1].T / 4, **CLOSE)


def test_keyword_arguments_come_in_pairs_and_random_keys_follow_the_samples():
    def scaled(params, x, scale, rng=None):
        keep = 1.0 if rng is None else jax.random.bernoulli(rng, 0.5, x.shape)
        return scale[:, None] * (x * keep) @ params[0]

    scale = (jnp.arange(1.0, 6.0), jnp.arange(1.0, 5.0))
    kernel = nt.empirical_ntk_fn(scaled)(X1, X2, PARAMS, scale=scale)
    expected = scale[0][:, None] * scale[1] * (X1 @ X2.T)
    np.testing.assert_allclose(kernel, expected, **CLOSE)
    key = jax.random.key(7)
    once = nt.empirical_ntk_fn(scaled)(X1, X1, PARAMS, scale=(scale[0],) * 2, rng=key)
    masked = X1 * jax.random.bernoulli(key, 0.5, X1.shape)
    np.testing.assert_allclose(once, scale[0][:, None] * scale[0] * (masked @ masked.T), **CLOSE)
    other = nt.empirical_ntk_fn(scaled)(X1, 0.1 + X1, PARAMS, scale=(scale[0],) * 2, rng=key)
    assert not np.allclose(np.diag(other), np.diag(once), rtol=0.05)


def test_products_with_a_vector_are_products_with_the_kernel():
    kernel = nt.empirical_ntk_fn(f, ())(X1, X2, PARAMS)  # (5, 4, 2, 2, 3, 3)
    vector = jax.random.normal(KEYS[5], (4, 2, 3))
    product = nt.empirical_ntk_vp_fn(f, X1, X2, PARAMS)(vector)
    np.testing.assert_allclose(product, np.einsum("nmabcd,mbd->nac", kernel, vector), **CLOSE)


def test_products_of_outputs_take_the_same_axes():
    for trace, diagonal in AXES:
        outputs = [np.asarray(f(PARAMS, x))[..., None] for x in (X1, X2)]
        expected = by_hand(*outputs, [a % 3 for a in trace], [a % 3 for a in diagonal])
        kernel = nt.empirical_nngp_fn(f, trace, diagonal)(X1, X2, PARAMS)
        np.testing.assert_allclose(kernel, expected, **CLOSE)


def test_expansions_have_the_derivatives_of_the_function():
    g = lambda p, x: jnp.exp(p["w"] * x) + p["b"]  # noqa: E731
    start = {"w": jnp.array(0.3), "b": jnp.array(-1.0)}
    moved = {"w": jnp.array(0.8), "b": jnp.array(0.5)}
    x = jnp.array(1.7)
    terms = [np.exp(0.3 * 1.7) * (0.5 * 1.7) ** k / np.prod(np.arange(1, k + 1)) for k in range(4)]
    np.testing.assert_allclose(nt.linearize(g, start)(moved, x), sum(terms[:2]) + 0.5, rtol=1e-6)
    for degree in range(4):
        value = nt.taylor_expand(g, start, degree)(moved, x)
        bias = 0.5 if degree else -1.0
        np.testing.assert_allclose(value, sum(terms[: degree + 1]) + bias, rtol=1e-6)
    with pytest.raises(InputError):
        nt.taylor_expand(g, start, -1)


@pytest.mark.parametrize(
    "use",
    [
        lambda: nt.empirical_ntk_fn(f, implementation=7),
        lambda: nt.empirical_ntk_fn(f, j_rules=True),
        lambda: nt.empirical_ntk_fn(f, (1,), (1,))(X1, X2, PARAMS),
        lambda: nt.empirical_ntk_fn(f, (3,))(X1, X2, PARAMS),
        lambda: nt.empirical_nngp_fn(f, (0,))(X1, X2, PARAMS),
        lambda: nt.empirical_kernel_fn(f)(X1, X2, "cov1", PARAMS),
    ],
)
def test_bad_axes_are_refused(use):
    with pytest.raises(InputError):
        use()
