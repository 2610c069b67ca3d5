import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theorylab import unlearning as u
from theorylab.nets import CNN

KEY = jax.random.key(7)


def residuals(network, model, data):
    """softmax - one-hot (n, c) and flat inputs (n, d) of a linear classifier, in float64."""
    x, y = data.batch(jnp.arange(len(data.y)))
    z = np.asarray(network.logits(model, x), np.float64)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p - np.eye(p.shape[1])[np.asarray(y)], np.asarray(x, np.float64).reshape(len(x), -1)


@pytest.mark.parametrize("size", [1, 2, 4, 16, 40])
def test_importances_of_a_linear_classifier_are_their_closed_form(linear, poisoned, size):
    model = linear.init(KEY)
    mask = np.arange(40) % 5 > 0  # 32 samples
    r, x = residuals(linear, model, poisoned)
    rows = np.flatnonzero(mask)
    parts = [rows[i : i + size] for i in range(0, len(rows), size)]
    expected = {
        "w": np.mean([np.square(x[p].T @ r[p] / len(p)) for p in parts], 0),
        "b": np.mean([np.square(r[p].mean(0)) for p in parts], 0),
    }
    found = u.gradient_importance(
        linear, model, poisoned, mask, batch_size=size, options=u.ImportanceOptions(chunk=8)
    )
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-4, atol=1e-9)


def test_at_batch_size_one_both_semantics_agree_and_differ_beyond(linear, poisoned):
    model, mask = linear.init(KEY), np.ones(40, bool)
    each, two, four = (
        u.gradient_importance(linear, model, poisoned, mask, batch_size=b)["w"] for b in (1, 2, 4)
    )
    by_ones = u.gradient_importance(
        linear, model, poisoned, mask, options=u.ImportanceOptions(structured=False)
    )
    np.testing.assert_allclose(each, by_ones["w"], rtol=1e-4)
    # alpha does not carry over: the ratio of importances depends on the entry, and on the size
    assert float((each / two).max()) > 1.5 and float((each / four).max()) > 2.5


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 5, 8, 20, 40]))
def test_batch_means_never_exceed_single_samples(linear, poisoned, seed, size):
    """Jensen's inequality, for batches of equal size."""
    model = linear.init(jax.random.key(seed))
    each, mean = (
        u.gradient_importance(linear, model, poisoned, np.ones(40, bool), batch_size=b)
        for b in (1, size)
    )
    for a, b in zip(jax.tree.leaves(each), jax.tree.leaves(mean), strict=True):
        assert (b <= a * (1 + 1e-4) + 1e-9).all()


@pytest.mark.long
@pytest.mark.parametrize("power", [1, 2])
def test_structured_single_sample_gradients_are_those_of_vmap(small_resnet, large_images, power):
    model = u.pretrain(small_resnet, large_images, u.Budget(2, 8, 0.05), key=KEY)
    mask = np.arange(24) % 4 > 0
    a, b = (
        u.gradient_importance(
            small_resnet,
            model,
            large_images,
            mask,
            options=u.ImportanceOptions(structured=s, power=power, chunk=8),
        )
        for s in (True, False)
    )
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(y).max() > 0
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5 * float(y.max()))


@pytest.mark.long
@pytest.mark.parametrize("bias", [True, False])
def test_structured_gradients_hold_with_biases_and_without(bias, large_images):
    net = u.network(
        lambda rngs: CNN((12, 12, 1), 3, channels=(3, 4), hidden=(5,), bias=bias, rngs=rngs)
    )
    model, mask = net.init(KEY), np.ones(24, bool)
    model = u.Model(jax.tree.map(lambda a: a + 0.05, model.params), model.state)
    a, b = (
        u.gradient_importance(
            net, model, large_images, mask, options=u.ImportanceOptions(structured=s)
        )
        for s in (True, False)
    )
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-6 * float(y.max()))


def test_the_norm_of_the_outputs_needs_no_labels(linear, poisoned):
    model, mask = linear.init(KEY), np.arange(40) < 30
    x, _ = poisoned.batch(jnp.arange(30))
    z = np.asarray(linear.logits(model, x), np.float64)
    flat, unit = np.asarray(x).reshape(30, -1), z / np.linalg.norm(z, axis=1, keepdims=True)
    parts = np.split(np.arange(30), 3)
    expected = np.mean([np.abs(flat[p].T @ unit[p] / 10) for p in parts], 0)
    options = u.ImportanceOptions("output_norm", power=1)
    found = u.gradient_importance(linear, model, poisoned, mask, batch_size=10, options=options)
    np.testing.assert_allclose(found["w"], expected, rtol=1e-4)


@pytest.mark.long
def test_masks_traced_together_give_what_they_give_alone(mlp, poisoned):
    model = mlp.init(KEY)
    masks = jnp.stack([jnp.arange(40) < k for k in (3, 9)])
    for size in (1, 4):
        together = jax.vmap(
            lambda m, size=size: u.gradient_importance(
                mlp, model, poisoned, m, batch_size=size, most=9
            )
        )(masks)
        for i in range(2):
            alone = u.gradient_importance(mlp, model, poisoned, masks[i], batch_size=size)
            jax.tree.map(
                lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-8),
                together,
                alone,
            )


def test_an_empty_mask_has_no_importance(linear, poisoned):
    found = u.gradient_importance(linear, linear.init(KEY), poisoned, np.zeros(40, bool))
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(found))
