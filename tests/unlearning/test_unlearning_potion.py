import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import unlearning as u
from theorylab.unlearning.potion import thresholds

KEY = jax.random.key(11)


def test_thresholds_are_percentiles_of_the_finite_ratios():
    rng = np.random.default_rng(0)
    forget = {"a": rng.uniform(size=50).astype("f"), "b": rng.uniform(size=(5, 7)).astype("f")}
    retain = {k: rng.uniform(size=v.shape).astype("f") for k, v in forget.items()}
    retain["a"][:3], forget["a"][0] = 0, 0  # two infinite ratios and one that is no number
    search = u.TriggerSearch(start=0.5, factor=1.5, tries=6)
    ratios = np.concatenate(
        [(forget[k] / np.where(retain[k] > 0, retain[k], np.nan)).ravel() for k in "ab"]
    )
    q = 0.5 * 0.2 * 1.5 ** np.arange(6)
    expected = np.nanpercentile(ratios, 100 - np.log(1 + 100 * q))
    np.testing.assert_allclose(thresholds(forget, retain, 0.2, search), expected, rtol=1e-4)
    assert (np.diff(expected) < 0).all()


@pytest.fixture(scope="module")
def trained(mlp, poisoned):
    return u.pretrain(mlp, poisoned, u.Budget(200, 8, 0.1), key=KEY)


def test_the_weakest_threshold_that_neutralises_the_trigger_is_taken(mlp, poisoned, trained):
    forget = u.identified_subset(poisoned.manipulated, 0.5, key=KEY)
    search = u.TriggerSearch(stop=0.3)
    found = u.potion(mlp, trained, poisoned, forget, batch_size=8, search=search)
    options = u.ImportanceOptions("output_norm", power=1)
    f, r = (
        u.gradient_importance(mlp, trained, poisoned, m, batch_size=8, options=options)
        for m in (forget, ~forget)
    )
    goal = 0.3 * float(u.deletion_agreement(mlp, trained, poisoned, forget))
    tries = 0
    for alpha in thresholds(f, r, forget.mean(), search):
        tries += 1
        params = u.selective_synaptic_dampening(trained.params, f, r, alpha=alpha, lam=1.0)
        left = float(u.deletion_agreement(mlp, u.Model(params, {}), poisoned, forget))
        if left <= goal:
            break
    assert int(found.tries) == tries and float(found.agreement) == pytest.approx(left)
    assert 1 < tries < 200 and float(found.alpha) == pytest.approx(float(alpha))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found.model.params, params
    )


@pytest.mark.long
def test_searches_side_by_side_end_each_at_its_own_threshold(mlp, poisoned, trained):
    forgets = jnp.stack([u.identified_subset(poisoned.manipulated, g, key=KEY) for g in (0.3, 1.0)])
    run = lambda f: u.potion(mlp, trained, poisoned, f, batch_size=8, most=8)  # noqa: E731
    together = jax.vmap(run)(forgets)
    for i in range(2):
        alone = u.potion(mlp, trained, poisoned, forgets[i], batch_size=8)
        assert int(together.tries[i]) == int(alone.tries)
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-6),
            together.model.params,
            alone.model.params,
        )


def test_host_and_device_search_alike(mlp, poisoned, trained):
    forget = u.identified_subset(poisoned.manipulated, 0.5, key=KEY)
    a, b = (
        u.potion(mlp, trained, poisoned, forget, batch_size=8, loop=loop)
        for loop in ("device", "host")
    )
    assert int(a.tries) == int(b.tries) and float(a.alpha) == pytest.approx(float(b.alpha))


def test_a_search_that_cannot_succeed_keeps_its_last_try(mlp, poisoned, trained):
    forget = u.identified_subset(poisoned.manipulated, 0.5, key=KEY)
    for loop in ("device", "host"):
        found = u.potion(
            mlp,
            trained,
            poisoned,
            forget,
            batch_size=8,
            search=u.TriggerSearch(start=1e-6, tries=3),
            loop=loop,
        )
        assert int(found.tries) == 3 and float(found.agreement) > 0.2
