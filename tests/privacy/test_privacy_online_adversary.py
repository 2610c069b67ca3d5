"""The adversary's choices by hand, and its guarantees against learners of every kind."""

import numpy as np
import pytest
from scipy import optimize

from theorylab.errors import InputError
from theorylab.privacy import online as po

EPS = po.REFERENCE_EPSILON


def private(epsilon, rounds, beta=0.1):
    return po.calibrate(rounds, beta, threshold_scale=1 / epsilon, test_scale=1 / epsilon)


def test_positions_on_255_rounds():
    """At epsilon = 1, noise 2: an independent prototype's positions and E[M]."""
    learner = po.calibrate(255, 0.1, threshold_scale=2.0, test_scale=2.0)
    attack = po.adversary_for(EPS)(learner, 255)
    assert attack.stream.ones == (1, 129, 193, 225, 241, 249, 253, 255)
    assert learner.threshold == pytest.approx(15.645, abs=1e-3)
    assert attack.mistakes == pytest.approx(6.7274, abs=1e-4)


def test_the_trace_is_what_the_law_says():
    learner = private(EPS, 127)
    attack = po.adversary_for(EPS)(learner, 127)
    for i, (low, high) in enumerate(zip(attack.lower[:-1], attack.upper[:-1], strict=True)):
        before = po.RunLengthStream(127, attack.stream.ones[:i])
        pmf = learner.firing_pmf(before)
        assert attack.survival[i] == pytest.approx(1 - pmf[: low - 1].sum(), abs=1e-12)
        assert attack.mass[i] == pytest.approx(pmf[low - 1 : high].sum(), abs=1e-12)
        assert attack.stream.ones[i] == low


LEARNERS = {
    "noise 1/eps": (lambda T: private(EPS, T), 0.1, 0.0),
    "noise 2/eps": (lambda T: private(EPS / 2, T), 0.1, 0.0),
    "threshold noise alone is larger": (
        lambda T: po.calibrate(T, 0.05, threshold_scale=20.0, test_scale=1 / EPS),
        0.05,
        0.0,
    ),
    "name and shame": (lambda T: po.NameAndShame(0.01), 0.0, 0.01),
    "uniform, of its mistakes": (
        lambda T: po.UniformFiring(private(EPS, T), "mistakes"),
        0.1,
        0.0,
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("rounds", [1, 2, 63, 100, 2**30])
@pytest.mark.parametrize("name", LEARNERS)
def test_no_invariant_is_violated(name, rounds):
    rounds = min(rounds, 2**12) if name.startswith("uniform") else rounds
    make, beta, delta = LEARNERS[name]
    adversary = po.adversary_for(EPS)
    attack = adversary(make(rounds), rounds)
    certain = adversary.steps(rounds)
    assert attack.steps >= certain == int(np.log2(rounds + 1))
    survival, mass = adversary.bounds(beta, delta, certain)
    assert (attack.survival[:certain] >= survival[:certain] - 1e-9).all()
    assert (attack.mass[:certain] <= mass[:certain] + 1e-9).all()


def test_a_learner_that_is_not_private_violates_them():
    """Noise too small for epsilon: the adversary's guarantee must fail, or the check says
    nothing."""
    learner = po.calibrate(2**20 - 1, 0.1, threshold_scale=0.2, test_scale=0.2)
    attack = po.adversary_for(EPS)(learner, 2**20 - 1)
    survival, _ = po.adversary_for(EPS).bounds(0.1, 0.0, 20)
    assert (attack.survival[:20] < survival[:20] - 0.1).any()


@pytest.mark.parametrize("epsilon, rounds", [(0.05, 2**12), (0.2, 2**20), (0.15, 5000)])
def test_small_epsilon_inserts_several_at_once(epsilon, rounds):
    adversary = po.adversary_for(epsilon)
    assert adversary.repeats == int(EPS / epsilon) and adversary.weight is None
    attack = adversary(private(epsilon, rounds), rounds)
    k = adversary.steps(rounds)
    assert k == int(np.log2(rounds / adversary.repeats + 1))
    assert len(attack.stream.ones) >= k * adversary.repeats
    assert attack.mistakes >= k * adversary.repeats * (1 - 0.3)


# E[M] and least survival of the smallest-mass rule: an independent prototype's
LARGE = [
    (1.0, 30, 4, 14, 12.13, 0.855),
    (2.0, 40, 10, 12, 10.31, 0.844),
    (3.0, 60, 27, 13, 11.12, 0.839),
]


@pytest.mark.parametrize("epsilon, doublings, parts, steps, mistakes, least", LARGE)
def test_large_epsilon_cuts_in_more_parts(epsilon, doublings, parts, steps, mistakes, least):
    adversary, learner = po.adversary_for(epsilon), private(epsilon, 2**doublings)
    weighted = adversary(learner, 2**doublings)
    certain = adversary.steps(2**doublings)
    assert adversary.parts == parts and weighted.steps == steps >= certain
    assert weighted.survival[:certain].min() >= 1 - 0.2
    smallest = po.BisectionAdversary(epsilon, parts=parts, first_cut=adversary.first_cut)
    attack = smallest(learner, 2**doublings)
    assert attack.steps == steps
    np.testing.assert_allclose(attack.mistakes, mistakes, rtol=1e-3)
    np.testing.assert_allclose(attack.survival[:-1].min(), least, rtol=6e-3)


def test_without_the_first_cut_the_weighted_rule_loses_what_it_promises():
    adversary, learner = po.adversary_for(3.0), private(3.0, 2**60)
    uncut = po.BisectionAdversary(3.0, parts=adversary.parts, weight=adversary.weight)
    assert uncut(learner, 2**60).survival.min() < 0.3
    with pytest.raises(InputError, match="first_cut"):
        uncut.bounds(0.1, 0.0, 3)


def test_two_parts_promise_nothing_beyond_log_of_three_halves():
    with pytest.raises(InputError, match="epsilon"):
        po.BisectionAdversary(0.5).bounds(0.1, 0.0, 3)


def test_skipping_the_middle_keeps_the_invariants_and_half_the_mistakes():
    rounds = 3**12
    rule = po.BisectionAdversary(EPS, parts=3, skip_middle=True)
    learner = po.UniformFiring(private(EPS, rounds))
    attack, certain = rule(learner, rounds), rule.steps(rounds)
    survival, _ = rule.bounds(0.1, 0.0, certain)
    assert certain == 11 or certain == 12
    assert (attack.survival[:certain] >= survival[:certain]).all()
    assert attack.mistakes >= certain * (1 - 0.3) / 2
    for i in range(certain - 1):
        low, high = attack.lower[i] + 1, attack.upper[i]
        third = (high - low + 1) // 3
        first, last = attack.lower[i + 1] == low, attack.upper[i + 1] == high
        assert (first or last) and attack.upper[i + 1] - attack.lower[i + 1] <= third + 1


@pytest.mark.parametrize("weight", [None, 100.0])
def test_delta_costs_what_one_step_of_the_weighted_rule_can_lose(weight):
    """The step from its definition: masses Q_j of S = e^eps q + delta in s parts, all at once.

    The part that is taken minimises sum_{i<j} Q_i + kappa Q_j; the most that p - kappa q can then
    fall by, over all masses, is a linear program.
    """
    epsilon, delta = 1.0, 1e-3
    parts = 4
    kappa = weight or 4 * np.exp(epsilon) - 3
    rule = po.BisectionAdversary(epsilon, parts=parts, first_cut=100, weight=kappa)
    # maximise t over Q >= 0, sum Q = delta, with t at most every part's cost
    costs = np.tril(np.ones((parts, parts)), -1) + kappa * np.eye(parts)
    found = optimize.linprog(
        [*np.zeros(parts), -1.0],
        A_ub=np.hstack([-costs, np.ones((parts, 1))]),
        b_ub=np.zeros(parts),
        A_eq=[[1.0] * parts + [0.0]],
        b_eq=[delta],
    )
    lost = 1 - 2 * 0.1 - rule.bounds(0.1, delta, 1)[0][1]
    assert -found.fun <= lost * (1 + 1e-9)
    if weight is not None:
        assert -found.fun > 4 * delta  # what the smallest weight loses at most is not enough here


@pytest.mark.parametrize(("epsilon", "repeats"), [(0.1, 1), (0.1, 4), (1e-3, 405), (2.0, 3)])
def test_the_delta_of_a_group_is_the_geometric_sum(epsilon, repeats):
    adversary = po.BisectionAdversary(epsilon, repeats=repeats)
    want = 0.01 * sum(np.exp(j * epsilon) for j in range(repeats))
    assert adversary.group_delta(0.01) == pytest.approx(want, rel=1e-12)


def test_a_tiny_epsilon_takes_no_memory():
    """405 million examples a step are a number, not an array."""
    bound = po.mistake_lower_bound(10**6, 1e-9, 0.0, 0.1)
    assert bound.value == pytest.approx(0.9 * 10**6, rel=1e-3)
