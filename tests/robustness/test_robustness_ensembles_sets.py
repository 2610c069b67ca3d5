import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

from theorylab.errors import InputError
from theorylab.robustness.ensembles import (
    Box,
    Ellipsoid,
    LpDualBall,
    Polytope,
    Zonotope,
    difference,
    hull,
    intersect,
    linear_image,
    minkowski,
    reflect,
    s_certificate,
    scale,
    width,
)
from theorylab.robustness.ensembles.extents import least, reach

FAST = settings(max_examples=10, deadline=None)


def cloud(S, d, rng, n=400):
    """Points of a base set that hold all of its extreme points, or many of them."""
    if isinstance(S, Polytope):
        return np.asarray(S.vertices)
    if isinstance(S, Box):
        corners = np.stack(np.meshgrid(*[[0, 1]] * d, indexing="ij"), -1).reshape(-1, d)
        return S.lo + corners * (S.hi - S.lo)
    if isinstance(S, Zonotope):
        m = len(S.generators)
        signs = np.stack(np.meshgrid(*[[-1, 1]] * m, indexing="ij"), -1).reshape(-1, m)
        return signs @ S.generators + (0 if S.centre is None else S.centre)
    u = rng.normal(size=(n, d))
    if isinstance(S, Ellipsoid):
        root = np.linalg.inv(np.linalg.cholesky(S.Sigma)).T
        return u / np.linalg.norm(u, axis=1, keepdims=True) @ root.T
    q = math.inf if S.p == 1 else 1.0 if S.p == math.inf else S.p / (S.p - 1)
    return float(S.L) * u / np.linalg.norm(u, q, axis=1, keepdims=True)


def drawn(kind, d, rng):
    if kind == "ball":
        return LpDualBall(rng.uniform(0.1, 2), float(rng.choice([1, 1.5, 2, 4, math.inf])), d)
    if kind == "ellipsoid":
        a = rng.normal(size=(d, d))
        return Ellipsoid(a @ a.T + 0.1 * np.eye(d))
    if kind == "box":
        lo = rng.normal(size=d)
        return Box(lo, lo + rng.uniform(0, 2, d) * (rng.random(d) < 0.7))  # some axes are flat
    if kind == "polytope":
        return Polytope(rng.normal(size=(rng.integers(1, 6), d)))
    return Zonotope(rng.normal(size=(rng.integers(1, 5), d)), rng.normal(size=d))


KINDS = ("ball", "ellipsoid", "box", "polytope", "zonotope")
EXACT = ("box", "polytope", "zonotope")  # whose points can be listed


@pytest.mark.parametrize("kind", KINDS)
@FAST
@given(seed=st.integers(0, 10**6), d=st.integers(1, 5))
def test_support_is_the_largest_product_with_a_point_of_the_set(kind, seed, d):
    rng = np.random.default_rng(seed)
    S, v = drawn(kind, d, rng), rng.normal(size=(7, d))
    brute = (v @ cloud(S, d, rng).T).max(1)
    value, point = S.support(v), S.farthest(v)
    assert value.dtype == np.float64 and (brute <= value + 1e-12).all()
    np.testing.assert_allclose((point * v).sum(1), value, rtol=1e-12, atol=1e-12)
    if kind in EXACT:
        np.testing.assert_allclose(brute, value, rtol=1e-12, atol=1e-12)


@FAST
@given(seed=st.integers(0, 10**6), d=st.integers(1, 4), p=st.floats(1, 8))
def test_the_farthest_point_of_a_ball_lies_in_it_and_holder_is_tight(seed, d, p):
    rng = np.random.default_rng(seed)
    S, v = LpDualBall(1.5, p, d), rng.normal(size=(5, d))
    q = math.inf if p == 1 else p / (p - 1)
    assert (np.linalg.norm(S.farthest(v), q, axis=1) <= 1.5 * (1 + 1e-9)).all()
    np.testing.assert_allclose(S.support(v), 1.5 * np.linalg.norm(v, p, axis=1), rtol=1e-12)


@FAST
@given(
    seed=st.integers(0, 10**6),
    d=st.integers(1, 4),
    kinds=st.lists(st.sampled_from(EXACT), min_size=2, max_size=3),
)
def test_composed_sets_are_those_of_listed_points(seed, d, kinds):
    """Sums, hulls, images, scaled and reflected sets against the points themselves."""
    rng = np.random.default_rng(seed)
    sets = [drawn(kind, d, rng) for kind in kinds]
    points = [cloud(S, d, rng) for S in sets]
    weights = rng.uniform(0, 1, len(sets)) * (rng.random(len(sets)) < 0.7)
    total = np.zeros((1, d))
    for w, listed in zip(weights, points, strict=True):
        total = (total[:, None] + w * listed).reshape(-1, d)
    A, v = rng.normal(size=(d, 3)), rng.normal(size=(9, d))
    u = rng.normal(size=(9, 3))
    cases = [
        (minkowski(sets, weights), total, v),
        (hull(sets), np.concatenate(points), v),
        (linear_image(sets[0], A), points[0] @ A, u),
        (reflect(scale(sets[0], 2.5)), -2.5 * points[0], v),
        (
            linear_image(hull([reflect(sets[0]), sets[1]]), A),
            np.concatenate([-points[0], points[1]]) @ A,
            u,
        ),
        (minkowski([hull(sets), scale(sets[0], 0.0)]), np.concatenate(points), v),
    ]
    for S, listed, at in cases:
        np.testing.assert_allclose(S.support(at), (at @ listed.T).max(1), rtol=1e-10, atol=1e-10)
        far = S.farthest(at)
        np.testing.assert_allclose((far * at).sum(1), S.support(at), rtol=1e-10, atol=1e-10)
        found, norms = reach(S, at.shape[1]), np.linalg.norm(listed, axis=1).max()
        assert found.low - 1e-9 <= norms <= found.high + 1e-9
        assert found.high <= found.low * (1 + 1e-5) + 1e-12  # exact for sets of few points


@FAST
@given(seed=st.integers(0, 10**6), d=st.integers(1, 3))
def test_bounds_of_reach_and_least_hold_and_close_in_few_dimensions(seed, d):
    rng = np.random.default_rng(seed)
    sets = [drawn(kind, d, rng) for kind in rng.choice(KINDS, 3)]
    S = minkowski(sets, rng.uniform(0.2, 1, 3))
    u = rng.normal(size=(3000, d))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    values, most, few = S.support(u), reach(S, d), least(difference(S), d)
    widths = width(S, u)
    assert values.max() <= most.high * (1 + 1e-12) and most.low <= most.high
    assert few.low <= widths.min() + 1e-9 and few.low <= few.high + 1e-12
    assert most.high <= most.low * 1.02 + 1e-12  # closed to 2 % at worst, where cells run out


@FAST
@given(seed=st.integers(0, 10**6), d=st.integers(4, 9))
def test_bounds_of_reach_hold_in_many_dimensions(seed, d):
    rng = np.random.default_rng(seed)
    S = minkowski([drawn(kind, d, rng) for kind in rng.choice(KINDS, 3)])
    u = rng.normal(size=(4000, d))
    best = S.support(u / np.linalg.norm(u, axis=1, keepdims=True)).max()
    most = reach(S, d)
    assert best <= most.low * (1 + 1e-9) <= most.high * (1 + 1e-8)


def test_two_reference_polygons():
    S = Polytope([[1, 0], [0, 2], [-1, -1]])
    np.testing.assert_allclose(width(S, [[1, 0], [0, 1], [1, 1]]), [2, 3, 4])
    both = S.vertices[:, None] - S.vertices
    area = ConvexHull(both.reshape(-1, 2)).volume
    angle = np.linspace(0, 2 * np.pi, 20001)[:-1]
    u = np.stack([np.cos(angle), np.sin(angle)], 1)
    h = difference(S).support(u)
    slope = np.gradient(np.append(h, h[0]), angle[1])[:-1]
    assert abs(0.5 * (h**2 - slope**2).mean() * 2 * np.pi - area) < 0.01  # Cauchy's formula


@FAST
@given(seed=st.integers(0, 10**6))
def test_an_intersection_is_approached_from_above(seed):
    """Against the linear program over the points of both sets."""
    rng = np.random.default_rng(seed)
    V, W = (
        np.concatenate([rng.normal(size=(4, 2)), 0.3 * np.eye(2), [[-0.3, -0.3]]]) * 2
        for _ in range(2)
    )
    S, v = intersect([Polytope(V), Polytope(W)], steps=200), rng.normal(size=(4, 2))
    found = S.support(v)
    for row, value in zip(v, found, strict=True):
        k, m = len(V), len(W)
        done = linprog(
            -np.concatenate([V @ row, np.zeros(m)]),
            A_eq=np.block([[V.T, -W.T], [np.ones(k), np.zeros(m)], [np.zeros(k), np.ones(m)]]),
            b_eq=[0, 0, 1, 1],
        )
        best = -done.fun
        assert best - 1e-9 <= value <= min((V @ row).max(), (W @ row).max()) + 1e-12
        assert value <= best + 0.05 * np.linalg.norm(row)


def test_points_and_segments_are_sets():
    point, segment = Polytope([[1.0, 2.0, 3.0]]), Zonotope([[1.0, 0.0, 0.0]])
    v = np.eye(3)
    np.testing.assert_array_equal(width(point, v), [0, 0, 0])
    np.testing.assert_allclose(width(segment, v), [2, 0, 0])
    assert reach(difference(point), 3) == (0, 0) and reach(difference(segment), 3) == (2, 2)
    assert least(difference(segment), 3).high == 0
    assert s_certificate(point, 1.0).inradius() == math.inf
    flat = linear_image(Ellipsoid([[4.0]]), [[1.0, 1.0]])
    np.testing.assert_allclose(flat.support([[1.0, 1.0], [1.0, -1.0]]), [1.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(LpDualBall(0.0, 2).support(v), 0.0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
def test_narrow_inputs_are_taken_exactly_and_computed_in_float64(dtype):
    rng = np.random.default_rng(0)
    V, v = (np.asarray(3 * rng.normal(size=s), dtype) for s in ((5, 3), (11, 3)))
    exact = (v.astype(np.float64) @ V.astype(np.float64).T).max(1)
    for given_as in (np.asarray, jnp.asarray):
        found = Polytope(given_as(V)).support(given_as(v))
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, exact)


def test_sets_are_pytrees_that_can_be_stacked_and_compiled():
    rng = np.random.default_rng(0)
    many = [
        minkowski(
            [Polytope(rng.normal(size=(4, 3))), reflect(Ellipsoid(np.diag([1.0, 2.0, 3.0])))],
            rng.uniform(size=2),
        )
        for _ in range(5)
    ]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *many)
    v = rng.normal(size=(7, 3))
    found = jax.jit(jax.vmap(lambda S: hull([S, LpDualBall(0.1, 2)]).support(v)))(stacked)
    expected = [np.maximum(S.support(v), 0.1 * np.linalg.norm(v, axis=1)) for S in many]
    np.testing.assert_allclose(found, expected, rtol=2e-5)
    back = jax.jit(lambda S: S)(many[0])
    np.testing.assert_allclose(back.support(v), many[0].support(v), rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: scale(LpDualBall(1.0, 2), -1.0), "factor of at least 0.*reflect"),
        (lambda: minkowski([LpDualBall(1.0, 2, 2), Box([0.0], [1.0])]), r"dimensions \[2, 1\]"),
        (lambda: hull([]), "at least one set"),
        (lambda: minkowski([Box([0.0], [1.0])], [-1.0]), "weights holds -1"),
        (lambda: minkowski([Box([0.0], [1.0])], [1.0, 2.0]), "2 given for 1 sets"),
        (lambda: Polytope(np.zeros((0, 2))), "empty set"),
        (lambda: Polytope([[math.nan, 0.0]]), "vertices holds nan"),
        (lambda: Box([0.0, 2.0], [1.0, 1.0]), "Box is empty: lo = 2 above hi = 1 at axis 1"),
        (lambda: Box([0.0, 2.0], [1.0]), "shapes"),
        (lambda: Zonotope([[1.0, 0.0]], [1.0]), "centre has shape"),
        (lambda: Ellipsoid([[1.0, 0.0], [0.0, 0.0]]), "positive definite"),
        (lambda: Ellipsoid([[1.0, 0.5], [0.0, 1.0]]), "not symmetric"),
        (lambda: LpDualBall(-1.0, 2), "L = -1"),
        (lambda: LpDualBall(1.0, 0.5), "p = 0.5"),
        (lambda: Box([0.0], [1.0]).support([1.0, 2.0]), r"\(..., 1\) is needed"),
        (lambda: linear_image(Box([0.0], [1.0]), [[1.0], [2.0]]), r"\(1, d\) is needed"),
        (lambda: reflect("ball"), "a set, such as"),
        (lambda: scale(Box([0.0], [1.0]), "2"), "c = '2'"),
    ],
)
def test_bad_input_is_refused_in_one_line(make, said):
    with pytest.raises(InputError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)
