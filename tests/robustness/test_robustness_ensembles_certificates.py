import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial import ConvexHull, HalfspaceIntersection

from theorylab.errors import InputError
from theorylab.robustness.ensembles import (
    Box,
    Ellipsoid,
    LpDualBall,
    Polytope,
    Zonotope,
    compare_certificates,
    ensemble_certificate,
    ensemble_gap,
    ensemble_regime,
    grid,
    lipschitz_certificate,
    member_certificates,
    minkowski,
    optimal_weights,
    pairwise_certificate,
    prediction_gap,
    reflect,
    s_certificate,
    vote_certificate,
)

FAST = settings(max_examples=15, deadline=None)


def random_set(rng, d):
    a = rng.normal(size=(d, d))
    return [
        Polytope(rng.normal(size=(4, d))),
        Ellipsoid(a @ a.T + 0.2 * np.eye(d)),
        Zonotope(rng.normal(size=(3, d)), rng.normal(size=d)),
        Box(-rng.uniform(0, 1, d), rng.uniform(0, 1, d)),
        LpDualBall(1.0, 3.0, d),
    ][rng.integers(5)]


@pytest.mark.parametrize("d", [2, 3])
def test_a_polytope_certificate_is_the_polar_of_the_difference_body(d):
    """Volume and radii against SciPy's half-space intersection."""
    V = np.random.default_rng(d).normal(size=(5, d))
    Q = s_certificate(Polytope(V), 0.7)
    D = (V[:, None] - V).reshape(-1, d)
    rows = np.concatenate([D, np.full((len(D), 1), -0.7)], 1)[np.abs(D).max(1) > 0]
    corners = HalfspaceIntersection(rows, np.zeros(d)).intersections
    volume = Q.volume(key=jax.random.key(0), n=20_000)
    assert abs(volume.value - ConvexHull(corners).volume) <= 4 * volume.error + 1e-5
    assert Q.inradius() == pytest.approx(0.7 / np.linalg.norm(D, axis=1).max(), rel=1e-9)
    assert Q.outradius() == pytest.approx(np.linalg.norm(corners, axis=1).max(), rel=1e-4)


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_a_ball_has_its_volume_and_radii(d):
    Q = s_certificate(LpDualBall(2.0, 2, d), 1.0)
    volume = Q.volume(key=jax.random.key(1), n=200)
    ball = math.pi ** (d / 2) / math.gamma(d / 2 + 1) / 4**d
    assert volume.value == pytest.approx(ball, rel=1e-9)
    assert Q.inradius() == pytest.approx(0.25) and Q.outradius() == pytest.approx(0.25)


@FAST
@given(seed=st.integers(0, 10**6), d=st.integers(1, 6))
def test_radial_contains_and_inradius_fit_together(seed, d):
    rng = np.random.default_rng(seed)
    Q = s_certificate(minkowski([random_set(rng, d), random_set(rng, d)]), rng.uniform(0.1, 2))
    u = rng.normal(size=(50, d)) * 10.0 ** rng.integers(-3, 4)
    t, unit = Q.radial(u), u / np.linalg.norm(u, axis=1, keepdims=True)
    some = np.isfinite(t)
    inside, outside = (unit[some] * (t[some] * s)[:, None] for s in (1 - 1e-9, 1 + 1e-9))
    assert Q.contains(inside).all() and not Q.contains(outside).any()
    low, high = Q.inradius_bounds()
    assert Q.inradius() == low <= high * (1 + 1e-12) and low <= t.min() * (1 + 1e-9)


def test_a_pairwise_certificate_is_at_least_the_common_one():
    rng = np.random.default_rng(0)
    for d in (1, 2, 5):
        S = [random_set(rng, d) for _ in range(3)]
        gaps = [0.5, 0.9]
        pairs = pairwise_certificate([minkowski([s, reflect(S[0])]) for s in S[1:]], gaps)
        u = grid(d, 64)
        each = [
            gap / minkowski([s, reflect(S[0])]).support(u)
            for s, gap in zip(S[1:], gaps, strict=True)
        ]
        np.testing.assert_allclose(pairs.radial(u), np.min(each, axis=0))
        common = s_certificate(S[0], 0.5)
        same = pairwise_certificate([minkowski([S[0], reflect(S[0])])] * 2, gaps)
        assert (same.radial(u) >= common.radial(u) * (1 - 1e-12)).all()


def test_flat_sets_make_unbounded_certificates_and_gaps_of_zero_empty_ones():
    segment, point = Zonotope([[1.0, 0.0]]), Polytope([[3.0, -1.0]])
    Q = s_certificate(segment, 1.0)
    assert Q.inradius() == 0.5 and Q.outradius() == math.inf and Q.volume().value == math.inf
    np.testing.assert_allclose(Q.radial([[1.0, 0.0], [0.0, 1.0]]), [0.5, math.inf])
    free = s_certificate(point, 0.1)
    assert free.inradius() == free.volume().value == math.inf
    assert free.contains([1e300, -1e300])
    for S in (segment, point, LpDualBall(1.0, 2, 2)):
        empty = s_certificate(S, 0.0)
        assert not empty.contains([[0.0, 0.0], [1e-9, 0.0]]).any()
        assert empty.inradius() == empty.outradius() == empty.volume().value == 0
        np.testing.assert_array_equal(empty.radial(grid(2, 5)), 0)
    half = pairwise_certificate([Polytope([[1.0, 0.0], [1.0, 1.0]])], [1.0])
    assert half.inradius() == pytest.approx(2**-0.5) and half.volume().value == math.inf
    wedge = pairwise_certificate([Polytope([[1.0, 0, 0, 0.2]]), Polytope(-np.eye(4)[1:])], [1, 1])
    assert wedge.outradius() == math.inf


def test_three_conventions_have_three_radii():
    radii = [
        lipschitz_certificate(2.0, 1.0, of=o, d=7).inradius()
        for o in ("components", "vector", "margin")
    ]
    np.testing.assert_allclose(radii, [0.25, 1 / (2 * math.sqrt(2)), 0.5])
    assert lipschitz_certificate(2.0, 1.0, of="vector").convention == "vector"


def test_predictions_tie_and_regimes_count_ties_and_leave_weight_zero_out():
    found = prediction_gap(np.float32([[1, 1, 1], [0, 2, 2], [3, 1, 2]]))
    assert found.top.tolist() == [0, 1, 0] and found.runner_up.tolist() == [1, 2, 2]
    assert found.gap.tolist() == [0, 0, 1] and found.gap.dtype == np.float64
    tie = [[1.0, 1.0, 0.0], [0.0, 1.0, 0.5]]
    assert ensemble_regime(tie) == "agree_A"  # class 1 is on top of both
    assert ensemble_regime([[1.0, 0.5, 0.5], [1.0, 0.0, 0.5]]) == "agree_AB"
    assert ensemble_regime([[1.0, 0.5, 0.5], [0.0, 1.0, 0.5]]) == "disagree"
    assert ensemble_regime([[1.0, 0.5, 0.5], [0.0, 1.0, 0.5]], [1.0, 0.0]) == "agree_AB"
    batch = np.random.default_rng(0).normal(size=(3, 5, 4))
    each = [str(ensemble_regime(batch[:, i])) for i in range(5)]
    assert ensemble_regime(batch).tolist() == each


@FAST
@given(seed=st.integers(0, 10**6), d=st.integers(1, 5), n=st.integers(1, 4), k=st.integers(2, 5))
def test_theorems_of_ensembles_hold_and_linear_members_do_what_is_certified(seed, d, n, k):
    rng = np.random.default_rng(seed)
    slopes, weights = rng.normal(size=(n, k, d)), rng.dirichlet(np.ones(n))
    weights *= (rng.random(n) > 0.3) | (weights == weights.max())
    weights /= weights.sum()
    scores = np.round(rng.normal(size=(n, k)) + 1.5 * rng.normal(size=k), 1)  # with some ties
    sets = [Polytope(w) for w in slopes]
    Q, members = ensemble_certificate(sets, scores, weights), member_certificates(sets, scores)
    u = grid(d, 90)
    t, mean = np.minimum(Q.radial(u), 1e6), weights @ scores
    moved = mean + (u * (t * (1 - 1e-9))[:, None]) @ np.tensordot(weights, slopes, 1).T
    assert (moved.argmax(1) == mean.argmax()).all() or Q.radial(u).max() == 0
    counted = [m for m, w in zip(members, weights, strict=True) if w > 0]
    said = compare_certificates(Q, counted, u)
    regime = ensemble_regime(scores, weights)
    if regime != "disagree":
        assert said.contains_intersection
        gaps = prediction_gap(scores).gap
        assert ensemble_gap(scores, weights).gap >= weights @ gaps - 1e-12
    if regime == "agree_AB":
        assert said.inside_union and not said.beats_all
    kept = weights > 0
    part = ensemble_certificate(
        [s for s, w in zip(sets, kept, strict=True) if w], scores[kept], weights[kept]
    )
    np.testing.assert_allclose(part.radial(u), Q.radial(u))
    vote = vote_certificate(members, scores.argmax(1), weights)
    far = vote.radial(u) * (1 - 1e-9)
    each = scores[:, None] + np.minimum(far, 1e6)[:, None] * np.einsum("ikd,nd->ink", slopes, u)
    share = np.tensordot(weights, each.argmax(-1) == vote.label, 1)
    assert ((share > 0.5) | (far == 0)).all()
    assert (vote.contains(u * far[:, None]) == (far > 0)).all()


@pytest.mark.parametrize("n", [2, 6, 10, 14, 22, 98])
def test_half_of_the_votes_is_no_majority(n):
    """Sums of n / 2 weights of 1 / n are above 1/2 by rounding for some n."""
    certain = s_certificate(LpDualBall(1.0, 2, 2), 1.0)
    tops = [0] * (n // 2) + [1] * (n // 2)
    tie = vote_certificate([certain] * n, tops, np.full(n, 1 / n, np.float32))
    assert not tie.contains([0.1, 0.0]) and tie.radial([1.0, 0.0]) == 0
    most = vote_certificate([certain] * (n + 1), [*tops, 0])
    assert most.contains([0.1, 0.0]) and most.radial([1.0, 0.0]) == 0.5


def test_sets_of_each_class_make_a_pairwise_certificate():
    rng = np.random.default_rng(1)
    slopes, scores = rng.normal(size=(2, 3, 4)), np.array([[2.0, 0.0, 1.0], [1.0, 0.5, 0.0]])
    own = [[Polytope([row]) for row in member] for member in slopes]  # linear scores, exact sets
    Q, u = ensemble_certificate(own, scores, [0.25, 0.75]), grid(4, 40)
    mean, slope = np.tensordot([0.25, 0.75], scores, 1), np.tensordot([0.25, 0.75], slopes, 1)
    rise = (slope[1:] - slope[0]) @ u.T
    exact = np.where(rise > 0, (mean[0] - mean[1:])[:, None] / np.where(rise > 0, rise, 1), np.inf)
    np.testing.assert_allclose(Q.radial(u), exact.min(0))
    common = ensemble_certificate([Polytope(w) for w in slopes], scores, [0.25, 0.75])
    assert (common.radial(u) <= Q.radial(u) * (1 + 1e-12)).all()


@pytest.mark.parametrize("seed", range(4))
def test_best_weights_are_those_of_a_search_over_the_simplex(seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 4))
    sets = [Polytope(rng.normal(size=(3, d))) for _ in range(3)]
    scores = rng.normal([1.5, 0, 0], size=(3, 3))
    best, u = optimal_weights(sets, scores, label=0), grid(d, 800)
    widths = np.stack([S.support(u) + S.support(-u) for S in sets])

    def lost(z):
        w = np.abs(z) / max(np.abs(z).sum(), 1e-12)
        mean = w @ scores
        return -(mean[0] - mean[1:].max()) / (w @ widths).max()

    found = max(
        -minimize(lost, z, method="Nelder-Mead").fun
        for z in np.concatenate([np.eye(3) + 0.01, rng.random((3, 3))])
    )
    assert best.value >= max(found, 0) * (1 - 0.01) and best.weights.sum() == pytest.approx(1)
    if best.value > 0:
        Q = ensemble_certificate(sets, scores, best.weights)
        assert Q.inradius() == pytest.approx(best.value, rel=1e-6)


def test_best_weights_at_the_ends():
    ball = [LpDualBall(L, 2, 3) for L in (1.0, 2.0, 0.5)]
    scores = [[1.0, 0.2], [1.0, -3.0], [1.0, 0.9]]
    best = optimal_weights(ball, scores)
    assert best.weights.argmax() == 1 and best.weights.max() == pytest.approx(1)
    assert best.value == pytest.approx(1.0) and best.label == 0
    volume = optimal_weights(ball, scores, objective="volume")
    assert volume.weights.tolist() == [0, 1, 0]
    free = optimal_weights([LpDualBall(1.0, 2, 2), Polytope([[1.0, 1.0]])], [[1, 0], [1, 0.9]])
    assert free.value == math.inf and free.weights.tolist() == [0, 1]
    none = optimal_weights(ball, [[1.0, 1.0]] * 3)
    assert none.value == 0 and none.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: s_certificate(LpDualBall(1.0, 2), -0.1), "gap = -0.1"),
        (lambda: s_certificate(LpDualBall(1.0, 2), 1.0).inradius(), "dimension is not known"),
        (lambda: s_certificate(Box([0.0], [1.0]), 1.0).contains([[1.0, 2.0]]), "delta has shape"),
        (lambda: s_certificate(Box([0.0], [1.0]), 1.0).radial([[0.0]]), "row of zeros"),
        (lambda: s_certificate(LpDualBall(1.0, 2, 3), 1.0).volume(), "give a key"),
        (lambda: pairwise_certificate([Box([0.0], [1.0])], [1.0, 2.0]), "2 given for 1 sets"),
        (lambda: prediction_gap([[1.0]]), "K >= 2"),
        (lambda: prediction_gap([[1.0, math.nan]]), "scores holds nan"),
        (lambda: ensemble_gap([[1.0, 0.0]] * 2, [0.5, 0.6]), "sums to 1.1"),
        (lambda: ensemble_gap([[1.0, 0.0]] * 2, [1.5, -0.5]), "weights holds -0.5"),
        (lambda: ensemble_gap([[1.0, 0.0]] * 2, [1.0]), "1 given for 2 members"),
        (lambda: ensemble_certificate([Box([0.0], [1.0])], [[1.0, 0.0]] * 2), "1 given for 2"),
        (
            lambda: ensemble_certificate(
                [Box([0.0], [1.0]), LpDualBall(1.0, 2, 2)], [[1.0, 0.0]] * 2
            ),
            "dimensions",
        ),
        (lambda: vote_certificate([], []), "empty"),
        (lambda: optimal_weights([LpDualBall(1.0, 2)], [[1.0, 0.0]]), "dimension is not known"),
        (
            lambda: optimal_weights([Box([0.0], [1.0])], [[1.0, 0.0]], objective="area"),
            "inradius, volume",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(make, said):
    with pytest.raises(InputError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)
