"""The training loop and the methods that train."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from theorylab import unlearning as u
from theorylab.unlearning.batches import descending
from theorylab.unlearning.network import belongs
from theorylab.unlearning.scrub import distillation

KEY = jax.random.key(5)
BUDGET = u.Budget(12, 8, 0.1)
PLAIN = u.Budget(1, 8, 0.1, momentum=0.0, weight_decay=0.0)


def close(a, b, rtol=2e-5, atol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def forget_of(data, gamma=0.5):
    return u.identified_subset(data.manipulated, gamma, key=KEY)


@pytest.mark.long
def test_training_is_optax_sgd_on_the_same_batches(linear, poisoned):
    start = linear.init(KEY)
    plan = descending(~forget_of(poisoned), 12, 8, KEY)
    found = u.train(linear, poisoned, start, plan, BUDGET, key=KEY)
    schedule = u.linear_budget_schedule(12, 0.1)
    sgd = optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(schedule, momentum=0.9))
    params, state = start.params, sgd.init(start.params)
    for index in np.asarray(plan.index):
        x, y = poisoned.batch(index)

        def loss(p, x=x, y=y):
            logits = linear.evaluate(p, {}, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        updates, state = sgd.update(jax.grad(loss)(params), state, params)
        params = optax.apply_updates(params, updates)
    close(found.params, params)


@pytest.mark.long
def test_a_removed_sample_has_no_influence_whatever_it_holds(mlp, poisoned):
    forget = forget_of(poisoned)
    broken = dataclasses.replace(
        poisoned,
        x=jnp.where(forget[:, None, None], jnp.nan, poisoned.x),
        y=jnp.where(forget, 2, poisoned.y),
    )
    a, b = (
        u.retrain_without_deletion(mlp, data, forget, BUDGET, key=KEY)
        for data in (poisoned, broken)
    )
    same(a, b)
    original = u.pretrain(mlp, poisoned, BUDGET, key=KEY)
    same(*(u.fine_tune(mlp, d, original, forget, BUDGET, key=KEY) for d in (poisoned, broken)))


def test_unidentified_samples_stay_in_the_retain_set(mlp, poisoned):
    """The most common mistake: leaving out all of S_m where only S_f is known."""
    forget = forget_of(poisoned)
    a, b = (
        u.retrain_without_deletion(mlp, poisoned, mask, BUDGET, key=KEY)
        for mask in (forget, poisoned.manipulated)
    )
    assert not np.allclose(jax.tree.leaves(a)[0], jax.tree.leaves(b)[0])


def test_with_nothing_removed_retraining_is_pretraining(mlp, poisoned):
    none = jnp.zeros(40, bool)
    same(
        u.retrain_without_deletion(mlp, poisoned, none, BUDGET, key=KEY),
        u.pretrain(mlp, poisoned, BUDGET, key=KEY),
    )


@pytest.mark.long
def test_one_program_over_seeds_and_deletion_sets_gives_the_runs_one_by_one(mlp, poisoned):
    original = u.pretrain(mlp, poisoned, BUDGET, key=KEY)
    keys = jax.random.split(KEY, 3)
    forgets = jnp.stack([forget_of(poisoned, g) for g in (0.2, 0.6, 1.0)])
    runs = {
        "fine_tune": lambda f, k: u.fine_tune(mlp, poisoned, original, f, BUDGET, key=k),
        "retrain": lambda f, k: u.retrain_without_deletion(mlp, poisoned, f, BUDGET, key=k),
        "scrub": lambda f, k: u.scrub(
            mlp, poisoned, original, f, BUDGET, weight=0.1, options=u.ScrubOptions(7), key=k
        ),
        "bad_teacher": lambda f, k: u.bad_teacher(mlp, poisoned, original, f, BUDGET, key=k),
    }
    for run in runs.values():
        together = jax.vmap(run)(forgets, keys)
        for i in range(3):
            close(jax.tree.map(lambda a, i=i: a[i], together), run(forgets[i], keys[i]), rtol=2e-4)


@pytest.mark.long
def test_the_loop_on_the_host_gives_what_the_compiled_one_gives(small_resnet, large_images):
    start = small_resnet.init(KEY)
    forget = forget_of(large_images)
    a, b = (
        u.fine_tune(
            small_resnet, large_images, start, forget, u.Budget(2, 8, 0.05, loop=loop), key=KEY
        )
        for loop in ("device", "host")
    )
    close(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("method", [u.fine_tune, u.exact_unlearn])
def test_frozen_layers_come_out_bit_for_bit_running_statistics_included(
    method, small_resnet, large_images
):
    original = u.pretrain(small_resnet, large_images, u.Budget(2, 8, 0.05), key=KEY)
    forget = forget_of(large_images)
    found = method(
        small_resnet, large_images, original, forget, u.Budget(2, 8, 0.05), layers=3, key=KEY
    )
    assert small_resnet.last(3) == (("res2",), ("conv4",), ("fc",))
    for new, old in ((found.params, original.params), (found.state, original.state)):
        trained = jax.tree.leaves(belongs(old, small_resnet.last(3)))
        pairs = list(zip(jax.tree.leaves(new), jax.tree.leaves(old), trained, strict=True))
        assert {moved for _, _, moved in pairs} == {True, False}
        for a, b, moved in pairs:
            assert np.array_equal(a, b) != moved or (not moved and np.array_equal(a, b))


@pytest.mark.long
def test_frozen_norms_run_in_eval_mode(small_resnet):
    """In train mode the output of an image depends on the others of its batch."""
    model = small_resnet.init(KEY)
    x = jax.random.normal(KEY, (6, 12, 12, 1))
    with_others, _ = small_resnet.apply(1)(model.params, model.state, x)
    alone, _ = small_resnet.apply(1)(model.params, model.state, x[:1])
    np.testing.assert_allclose(with_others[:1], alone, rtol=1e-4, atol=1e-5)
    together, _ = small_resnet.apply(None)(model.params, model.state, x)
    assert np.abs(together[:1] - alone).max() > 1e-2


@pytest.mark.long
def test_exact_unlearning_starts_its_last_layers_anew(mlp, poisoned):
    still = u.Budget(1, 8, 1e-12)
    original = u.pretrain(mlp, poisoned, BUDGET, key=KEY)
    forget = forget_of(poisoned)
    tuned = u.fine_tune(mlp, poisoned, original, forget, still, layers=1, key=KEY)
    exact = u.exact_unlearn(mlp, poisoned, original, forget, still, layers=1, key=KEY)
    close(tuned.params, original.params)
    last, before = exact.params["layers"][2], original.params["layers"][2]
    assert np.abs(last["kernel"] - before["kernel"]).max() > 0.1
    same(exact.params["layers"][0], original.params["layers"][0])
    assert len(jax.tree.leaves(exact)) == len(jax.tree.leaves(original))


# SCRUB
def test_distillation_is_the_divergence_at_that_temperature():
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 5, 4))

    def softmax(z):
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    p, q = softmax(teacher / 4.0), softmax(student / 4.0)
    np.testing.assert_allclose(
        distillation(student, teacher, 4.0), 16 * (p * np.log(p / q)).sum(1), rtol=1e-4
    )


@pytest.mark.long
def test_the_first_ascent_of_the_divergence_alone_does_not_move(linear, poisoned):
    """Student and teacher agree at first, so the divergence has no gradient; the loss has one."""
    original = u.pretrain(linear, poisoned, BUDGET, key=KEY)
    forget = forget_of(poisoned)

    def ascended(what):
        options = u.ScrubOptions(1, ascend=what)
        return u.scrub(
            linear, poisoned, original, forget, PLAIN, weight=1.0, options=options, key=KEY
        )

    kl = ascended("kl")
    close(kl.params, original.params)
    x, y = poisoned.batch(jnp.flatnonzero(forget))

    def loss(p):
        logits = linear.evaluate(p, {}, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    uphill = jax.tree.map(
        lambda p, g: p + 0.1 * g, original.params, jax.grad(loss)(original.params)
    )
    close(ascended("loss").params, uphill)


@pytest.mark.long
def test_without_ascent_and_divergence_scrub_fine_tunes(linear, poisoned):
    original = u.pretrain(linear, poisoned, BUDGET, key=KEY)
    forget = forget_of(poisoned)
    whole = u.Budget(1, int((~forget).sum()), 0.1, momentum=0.0, weight_decay=0.0)
    scrubbed = u.scrub(
        linear, poisoned, original, forget, whole, weight=0.0, options=u.ScrubOptions(0), key=KEY
    )
    tuned = u.fine_tune(linear, poisoned, original, forget, whole, key=KEY)
    close(scrubbed.params, tuned.params)  # the batch is the whole retain set, in two orders


# Bad teacher
@pytest.mark.long
def test_the_mean_reduction_divides_the_step_by_the_number_of_classes(linear, poisoned):
    original = u.pretrain(linear, poisoned, BUDGET, key=KEY)
    forget = forget_of(poisoned, 1.0)
    whole = u.Budget(1, 40, 0.1, momentum=0.0, weight_decay=0.0)
    mean, batchmean = (
        u.bad_teacher(linear, poisoned, original, forget, whole, reduction=r, key=KEY)
        for r in ("mean", "batchmean")
    )
    steps = [jax.tree.map(lambda a, b: a - b, m.params, original.params) for m in (mean, batchmean)]
    close(jax.tree.map(lambda a: 3 * a, steps[0]), steps[1], rtol=1e-3, atol=1e-6)
    assert max(np.abs(s).max() for s in jax.tree.leaves(steps[1])) > 1e-4


def test_a_bad_teacher_of_nobody_leaves_the_student_where_it_is(linear, poisoned):
    original = u.pretrain(linear, poisoned, BUDGET, key=KEY)
    none = jnp.zeros(40, bool)
    found = u.bad_teacher(linear, poisoned, original, none, PLAIN, key=KEY)
    close(found.params, original.params)


@pytest.mark.long
def test_a_student_of_a_bad_teacher_unlearns_the_labels_of_the_deletion_set(mlp, poisoned):
    original = u.pretrain(mlp, poisoned, u.Budget(200, 8, 0.1), key=KEY)
    forget = poisoned.manipulated
    budget = u.Budget(200, 8, 0.1, weight_decay=0.0)
    found = u.bad_teacher(mlp, poisoned, original, forget, budget, reduction="batchmean", key=KEY)
    before, after = (
        float(u.deletion_agreement(mlp, m, poisoned, forget)) for m in (original, found)
    )
    assert before > 0.9 and after < before
