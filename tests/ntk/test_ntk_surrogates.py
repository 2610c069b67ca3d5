"""Surrogate kernels: exact where they are exact, unbiased with the stated error where they are
random."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ntk_zoo import ZOO, dense_kernel, reduced

from theorylab.ntk import (
    empirical_ntk,
    entk_features,
    nystrom_features,
    random_head,
    sample_coordinates,
    sketch_ntk,
)
from theorylab.ntk.sketches import _project

F, PARAMS, X = ZOO["mlp"]()
DENSE = dense_kernel(F, PARAMS, X)
KEY = jax.random.key(7)
FEATURES = entk_features(F, PARAMS, X, batch_size=2)


def test_logit_sum_features_give_the_pseudo_ntk() -> None:
    np.testing.assert_allclose(
        FEATURES @ FEATURES.T, reduced(DENSE, "sum_logits"), atol=1e-5 * DENSE.max()
    )


def test_per_class_features_give_every_block() -> None:
    features = entk_features(F, PARAMS, X, head="per_class")
    np.testing.assert_allclose(
        np.einsum("nop,mqp->nmoq", features, features), DENSE, atol=1e-5 * DENSE.max()
    )


def test_random_head_features_equal_its_kernel_and_end_with_hidden_values_and_one() -> None:
    g, params = random_head(F, PARAMS, X, KEY)
    features = entk_features(F, PARAMS, X, head="random", key=KEY)
    kernel = empirical_ntk(g, params, X)
    np.testing.assert_allclose(features @ features.T, kernel, atol=1e-5 * kernel.max())
    # jax.tree.leaves orders {"body", "head": {"b", "w"}}: the bias has gradient 1, the weights the
    # hidden values.
    np.testing.assert_allclose(
        features[:, -4:], np.concatenate([np.ones((5, 1)), F(PARAMS, X)], 1), rtol=1e-5
    )


def test_coordinates_select_columns_of_the_features() -> None:
    coords = sample_coordinates(PARAMS, 20, KEY)
    assert np.all(np.diff(coords) > 0)
    # Other batch sizes may sum in another order: float32 rounding.
    np.testing.assert_allclose(
        entk_features(F, PARAMS, X, coords=coords), FEATURES[:, coords], atol=1e-6
    )


@pytest.mark.parametrize("kind", ["gaussian", "rademacher", "sjlt"])
def test_projection_is_unbiased_with_the_stated_variance(kind: str) -> None:
    """Over 400 keys: the mean within 4.5 standard errors, the variance within 35 %, five of its own
    (~7 % each)."""
    k, keys = 16, jax.random.split(KEY, 400)
    g = FEATURES[:2]
    kernel = g @ g.T
    both = jax.jit(
        jax.vmap(lambda key: jax.vmap(lambda v: _project(v, k, kind, 4, key))(jnp.asarray(g)))
    )(keys)
    draws = np.einsum("ski,ski->s", both[:, :1], both[:, 1:])
    less = 0.0 if kind == "gaussian" else 2 * (g[0] ** 2 * g[1] ** 2).sum()
    variance = (kernel[0, 0] * kernel[1, 1] + kernel[0, 1] ** 2 - less) / k
    assert abs(draws.mean() - kernel[0, 1]) < 4.5 * np.sqrt(variance / len(keys))
    assert draws.var(ddof=1) == pytest.approx(variance, rel=0.35)


def test_the_kinds_of_projection_are_what_they_are_called() -> None:
    """The gradient of a single weight shows its row: 32 signs, a sign in each of 4, or neither."""
    x = np.array([[3.0], [5.0]], np.float32)

    def entries(**kind: object) -> np.ndarray:
        sketch = sketch_ntk(lambda w, x: x * w, jnp.ones(1), x, 32, KEY, **kind)
        return np.abs(sketch.features) / x

    np.testing.assert_allclose(entries(), 32**-0.5, rtol=1e-6)  # of signs, unless told
    np.testing.assert_allclose(entries(kind="rademacher"), 32**-0.5, rtol=1e-6)
    sparse = entries(kind="sjlt", nonzeros=4)
    np.testing.assert_allclose(sparse.reshape(2, 4, 8).max(-1), 0.5, rtol=1e-6)
    assert (sparse > 0).sum() == 2 * 4
    assert len(np.unique(entries(kind="gaussian")[0].round(5))) > 24


def test_sketch_states_its_error_and_repeats_with_its_key() -> None:
    sketch = sketch_ntk(F, PARAMS, X, 32, KEY)
    np.testing.assert_allclose(
        sketch.features[:2], sketch_ntk(F, PARAMS, X[:2], 32, KEY).features, atol=1e-5
    )
    assert sketch.relative_error == 0.25
    np.testing.assert_allclose(
        sketch.standard_error().diagonal(), 0.25 * sketch.kernel().diagonal(), rtol=1e-6
    )


@pytest.mark.long
def test_nystrom_with_all_landmarks_is_exact_and_with_few_lies_below() -> None:
    kernel = reduced(DENSE, "trace")
    every = nystrom_features(F, PARAMS, X, np.arange(5), dtype=jnp.float64, rcond=1e-12)
    np.testing.assert_allclose(every @ every.T, kernel, rtol=1e-8)
    few = nystrom_features(F, PARAMS, X, np.array([0, 3]), dtype=jnp.float64)
    rest = kernel - few @ few.T
    np.testing.assert_allclose(rest[[0, 3]], 0, atol=1e-8)
    assert np.linalg.eigvalsh(rest).min() > -1e-8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: entk_features(F, PARAMS, X, head="mean"), "head = 'mean'"),
        (lambda: entk_features(F, PARAMS, X, head="random"), "key: head='random'"),
        (lambda: entk_features(F, PARAMS, X, batch_size=0), "batch_size = 0"),
        (lambda: sample_coordinates(PARAMS, 0, KEY), "p = 0"),
        (lambda: sketch_ntk(F, PARAMS, X, 10, KEY, kind="sjlt"), "multiple of nonzeros=8"),
        (lambda: sketch_ntk(F, PARAMS, X, 10, KEY, kind="fft"), "kind = 'fft'"),
        (lambda: nystrom_features(F, PARAMS, X, np.arange(2), reduce="full"), "one number a pair"),
    ],
)
def test_bad_arguments_of_surrogates_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
