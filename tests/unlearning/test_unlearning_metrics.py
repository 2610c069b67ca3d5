import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab import unlearning as u

KEY = jax.random.key(17)
X = np.zeros((12, 4, 4), np.float32)
Y = np.arange(12) % 3


def constant(label):
    """A model that always answers `label`."""
    net = u.of_function(
        lambda p, x: jnp.zeros((len(x), 3)) + p["b"], lambda key: {"b": jnp.zeros(3)}
    )
    return net, u.Model({"b": jax.nn.one_hot(label, 3)}, {})


def test_the_exam_of_poisoning_is_the_test_set_with_and_without_trigger():
    found = u.exam(u.BackdoorPatch(2, 5.0), X, Y, X[:3], Y[:3])
    assert (np.asarray(found.x_affected)[:, 2:, 2:] == 5).all()
    np.testing.assert_array_equal(found.x_other, X)
    np.testing.assert_array_equal(found.y_affected, Y)  # clean labels
    np.testing.assert_array_equal(found.x_validation, X[:3])


def test_the_exam_of_confusion_parts_the_two_classes_from_the_rest():
    found = u.exam(u.InterclassConfusion(0, 2), X, Y, X[:3], Y[:3])
    assert set(np.asarray(found.y_affected)) == {0, 2} and set(np.asarray(found.y_other)) == {1}


def test_a_perfect_backdoor_leaves_the_share_of_the_target_class():
    net, model = constant(0)
    data = u.manipulate(X, Y, u.BackdoorPatch(2, 5.0), 6, key=KEY)
    found = u.scores(
        net, model, u.exam(u.BackdoorPatch(2, 5.0), X, Y, X, Y), data, data.manipulated
    )
    assert float(found.corrected) == pytest.approx(1 / 3)
    assert float(found.agreement) == 1
    clean = Y[np.asarray(data.manipulated)]
    assert float(found.manipulated) == pytest.approx((clean == 0).mean())


def test_agreement_counts_the_identified_samples_alone():
    net, model = constant(1)
    data = u.manipulate(X, Y, u.InterclassConfusion(0, 1), 8, key=KEY)
    # manipulated: the four samples of class 0 are now 1, those of class 1 now 0
    zeros, ones = np.asarray(data.y) == 1, np.asarray(data.y) == 0
    for mask, share in ((zeros & (Y == 0), 1.0), (ones & (Y == 1), 0.0), (data.manipulated, 0.5)):
        assert float(u.deletion_agreement(net, model, data, mask)) == share
    assert float(u.deletion_agreement(net, model, data, np.zeros(12, bool))) == 0


def test_agreement_of_scores_is_of_identified_manipulated_samples_in_a_trace_too():
    net, model = constant(1)
    data = u.manipulate(X, Y, u.InterclassConfusion(0, 1), 4, key=KEY)
    questions = u.exam(u.InterclassConfusion(0, 1), X, Y, X, Y)
    grade = lambda data: u.scores(net, model, questions, data, np.ones(12, bool)).agreement  # noqa: E731
    # two of the four manipulated samples are called 1 now; of all twelve it would be another share
    assert float(grade(data)) == float(jax.jit(grade)(data)) == 0.5 != (Y == 1).mean()


@pytest.mark.long
def test_models_and_masks_side_by_side_score_as_alone(mlp, poisoned):
    models = jax.vmap(mlp.init)(jax.random.split(KEY, 3))
    forgets = jnp.stack(
        [u.identified_subset(poisoned.manipulated, g, key=KEY) for g in (0.1, 0.5, 1)]
    )
    questions = u.exam(
        u.BackdoorPatch(2, 3.0), poisoned.x, poisoned.clean, poisoned.x, poisoned.clean
    )
    together = jax.vmap(lambda m, f: u.scores(mlp, m, questions, poisoned, f, most=8))(
        models, forgets
    )
    for i in range(3):
        one = jax.tree.map(lambda a, i=i: a[i], models)
        alone = u.scores(mlp, one, questions, poisoned, forgets[i])
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-6), together, alone
        )


def made_up(**arrays):
    shape = np.shape(next(iter(arrays.values())))
    rest = {name: np.zeros(shape) for name in vars(u.Scores(*[0] * 5))}
    return u.Scores(**(rest | {k: np.asarray(v) for k, v in arrays.items()}))


def test_the_oracle_looks_at_the_test_set_and_the_deployable_rule_does_not():
    found = made_up(
        corrected=[[0.9, 0.5, 0.1]],
        retained=[[0.8, 0.9, 0.1]],
        validation=[[0.7, 0.9, 0.2]],
        agreement=[[0.5, 0.1, 0.0]],
    )
    assert u.select(found, "oracle").tolist() == [0]
    assert u.select(found, "deployable").tolist() == [1]


def test_the_deployable_rule_rewards_the_loss_of_confused_classes():
    """Validation falls by a fifth, agreement by more: the ruined model is chosen."""
    found = made_up(
        corrected=[0.6, 0.0], retained=[0.97, 0.7], validation=[0.9, 0.7], agreement=[0.8, 0]
    )
    assert int(u.select(found, "deployable")) == 1 and int(u.select(found, "oracle")) == 0


def test_healed_shares_and_requirements():
    np.testing.assert_allclose(u.healed_share([0.2, 0.55, 0.9], 0.2, 0.9), [0, 0.5, 1])
    gammas = [0.1, 0.5, 1.0]
    assert u.identification_requirement(gammas, [0.2, 0.82, 0.9], 0.9) == 0.5
    assert u.identification_requirement(gammas, [0.2, 0.3, 0.4], 0.9) == float("inf")
    assert u.identification_requirement(gammas, [0.9, 0.3, 0.4], 0.9, share=1.0) == 0.1
