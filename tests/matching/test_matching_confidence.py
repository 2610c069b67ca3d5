import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theorylab.errors import InputError
from theorylab.matching import linear, typed, unstructured

HORIZON = 100


def history(rng, n, m, rounds):
    """Random matchings with one report per agent."""
    for _ in range(rounds):
        X = np.zeros((n, m), bool)
        k = rng.integers(1, min(n, m) + 1)
        X[rng.permutation(n)[:k], rng.permutation(m)[:k]] = True
        yield X, rng.normal(size=n), rng.normal(size=m)


def run(model, rng, n, m, rounds=12):
    with jax.enable_x64(True):
        state, seen = model.init(), []
        for X, row, col in history(rng, n, m, rounds):
            state = model.update(state, jnp.asarray(X), jnp.asarray(row), jnp.asarray(col))
            seen.append((X, row, col))
        return jax.tree.map(np.asarray, model.intervals(state)), seen


def test_a_pairs_interval_is_the_mean_of_its_reports_with_the_papers_half_width():
    found, seen = run(
        unstructured((3, 4), horizon=HORIZON, width=0.5, clip=False), np.random.default_rng(0), 3, 4
    )
    for i in range(3):
        for j in range(4):
            row = [r[i] for X, r, _ in seen if X[i, j]]
            col = [c[j] for X, _, c in seen if X[i, j]]
            half = 0.5 * np.sqrt(np.log(7 * HORIZON) / len(row)) if row else None
            expected = (
                [np.mean(row) - half, np.mean(row) + half, np.mean(col) - half, np.mean(col) + half]
                if row
                else [-1, 1, -1, 1]
            )
            got = [getattr(found, f)[i, j] for f in ("low_row", "high_row", "low_col", "high_col")]
            np.testing.assert_allclose(got, expected, atol=1e-12)


def test_clipping_cuts_the_same_intervals_to_the_unit_range():
    free, _ = run(
        unstructured((3, 4), horizon=HORIZON, width=0.5, clip=False), np.random.default_rng(0), 3, 4
    )
    cut, _ = run(unstructured((3, 4), horizon=HORIZON, width=0.5), np.random.default_rng(0), 3, 4)
    for a, b in zip(jax.tree.leaves(free), jax.tree.leaves(cut), strict=True):
        np.testing.assert_array_equal(np.clip(a, -1, 1), b)


def test_types_pool_all_reports_of_a_round():
    types_row, types_col = np.array([0, 1, 0]), np.array([1, 1, 0, 1])
    model = typed(types_row, types_col, horizon=HORIZON, width=0.5, clip=False)
    found, seen = run(model, np.random.default_rng(1), 3, 4, rounds=30)
    for i in range(3):
        for j in range(4):
            same = np.outer(types_row == types_row[i], types_col == types_col[j])
            row = np.concatenate([r[np.nonzero(X & same)[0]] for X, r, _ in seen])
            col = np.concatenate([c[np.nonzero(X & same)[1]] for X, _, c in seen])
            half = 0.5 * np.sqrt(np.log(7 * HORIZON) / len(row))
            assert found.high_row[i, j] == pytest.approx(row.mean() + half)
            assert found.low_col[i, j] == pytest.approx(col.mean() - half)


@pytest.mark.long
def test_linear_intervals_are_ridge_regressions_solved_from_scratch():
    rng = np.random.default_rng(2)
    rows, cols = rng.normal(size=(3, 2)), rng.normal(size=(4, 2))
    rows, cols = (
        rows / np.linalg.norm(rows, axis=1)[:, None],
        cols / np.linalg.norm(cols, axis=1)[:, None],
    )
    model = linear(rows, cols, horizon=HORIZON, noise_std=0.3, l2=0.7, clip=False)
    found, seen = run(model, rng, 3, 4)

    def by_hand(contexts, reports):
        gram = 0.7 * np.eye(2) + sum((np.outer(c, c) for c, _ in reports), np.zeros((2, 2)))
        theta = np.linalg.solve(gram, sum((c * y for c, y in reports), np.zeros(2)))
        beta = 0.3 * np.sqrt(
            2 * np.log(1 + len(reports) / (0.7 * 2)) + 2 * np.log(7 * HORIZON)
        ) + np.sqrt(0.7)
        spread = np.sqrt(np.einsum("bd,de,be->b", contexts, np.linalg.inv(gram), contexts))
        return contexts @ theta - beta * spread, contexts @ theta + beta * spread

    for i in range(3):
        reports = [(cols[X[i].argmax()], r[i]) for X, r, _ in seen if X[i].any()]
        np.testing.assert_allclose(
            (found.low_row[i], found.high_row[i]), by_hand(cols, reports), atol=1e-10
        )
    for j in range(4):
        reports = [(rows[X[:, j].argmax()], c[j]) for X, _, c in seen if X[:, j].any()]
        np.testing.assert_allclose(
            (found.low_col[:, j], found.high_col[:, j]), by_hand(rows, reports), atol=1e-10
        )


def test_intervals_hold_their_own_bounds_and_nothing_outside():
    found, _ = run(unstructured((3, 4), horizon=HORIZON, width=0.5), np.random.default_rng(0), 3, 4)
    assert np.all(found.hold(found.low_row, found.high_col))
    assert not np.any(found.hold(found.low_row, found.high_col + 0.01))


def test_models_that_make_no_sense_are_refused():
    unit = np.eye(2)
    for call, words in (
        (lambda: unstructured((2, 2), horizon=0, width=1.0), "horizon = 0"),
        (lambda: unstructured((2, 2), horizon=9, width=float("nan")), "width = nan"),
        (
            lambda: typed(np.array([0, -1]), np.array([0]), horizon=9, width=1.0),
            "types_row must lie in 0",
        ),
        (lambda: typed(np.array([0.5]), np.array([0]), horizon=9, width=1.0), "integers"),
        (lambda: linear(2 * unit, unit, horizon=9, noise_std=1.0), "unit ball"),
        (lambda: linear(unit, np.eye(3), horizon=9, noise_std=1.0), "of one d"),
        (lambda: linear(unit, unit, horizon=9, noise_std=1.0, l2=0.0), "l2 = 0"),
    ):
        with pytest.raises(InputError, match=words):
            call()
