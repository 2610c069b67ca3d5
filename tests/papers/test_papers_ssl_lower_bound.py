import numpy as np
import pytest
from drawing import assert_drawn

from theorylab import mixtures
from theorylab.lab import Results, Row
from theorylab.mixtures.selection import CRITERIA
from theorylab.papers.ssl_lower_bound import PAPER, real, synthetic, tables
from theorylab.papers.ssl_lower_bound.claims import bounds

pytestmark = pytest.mark.long  # the room is run once for all of them

RNG = np.random.default_rng(0)
CLAIMS = {c.id: c for c in PAPER.claims}


def sweep_arrays(cell, gain=1.0):
    """What `synthetic.risks` returns, with every method exactly at its prediction; SSL-EM `gain`
    times as good."""
    s, d, n_l, n_u, methods = (cell[k] for k in ("s", "d", "n_l", "n_u", "methods"))
    known = [m for m in methods if m in mixtures.METHODS]
    predicted = np.stack([mixtures.predicted_excess(m, s, d, n_l, n_u) for m in known])
    mean = (
        np.concatenate([predicted, predicted[:1] * 2])
        if len(known) < len(methods)
        else predicted.copy()
    )
    if "ssl_em" in methods:
        mean[methods.index("ssl_em")] /= gain
    bound = mixtures.assouad_bound(s, d, n_l, n_u)
    return {
        "mean": mean,
        "se": 0.01 * mean,
        "estimation": np.sqrt(mean[: len(known)]),
        "predicted": predicted,
        "wrong_sign": np.zeros(len(s)),
        "sl_exact": predicted[0],
        "bound": bound.excess,
        "bound_labels_only": mixtures.assouad_bound(s, d, n_l, n_u, information=0.0).excess,
        "bound_times_8": 8 * bound.excess,
    }


def learner_arrays(cell):
    shape = (cell["draws"], len(cell["labels"]))
    names = (
        "sl",
        "ul_plus",
        "self_training",
        *(f"{a} {b}" for a in ("ssl_w", "t") for b in CRITERIA),
    )
    values = {name: RNG.uniform(0.1, 0.3, shape) for name in names}
    return values | {
        "s_hat": RNG.uniform(1, 3, shape[0]),
        "bayes": RNG.uniform(0, 0.1, shape[0]),
        "n_u": 500,
    }


@pytest.fixture(scope="module")
def ideal():
    """Results in which theory holds to the letter, for the quick preset's cells."""
    preset, results = PAPER.preset("quick"), {}
    for experiment in PAPER.experiments:
        rows = []
        for cell in experiment.cells(preset):
            if experiment.run is synthetic.risks:
                rows.append(Row(cell, sweep_arrays(cell)))
            elif experiment.run is real.learners:
                rows.append(Row(cell, learner_arrays(cell)))
            elif experiment.name == "heat":
                rows.append(Row(cell, synthetic.heat(**cell)))
        results[experiment.name] = Results(tuple(rows))
    return results


@pytest.mark.parametrize("figure", PAPER.figures, ids=lambda f: f.name)
def test_every_figure_draws_from_its_csv(ideal, figure):
    assert_drawn(figure, ideal, PAPER.preset("quick"))


IDEAL = (
    "lower_bound",
    "risk_table",
    "no_rate_improvement",
    "constant_gain",
    "trade_off",
    "never_both_rates",
    "weighting_helps",
)


@pytest.mark.parametrize("name", IDEAL)
def test_a_claim_holds_and_its_controls_fall_where_theory_is_exact(ideal, name):
    assert CLAIMS[name].evaluate(ideal, PAPER.preset("quick")).status == "holds"


@pytest.mark.parametrize("name", [n for n in IDEAL if n != "weighting_helps"])
def test_a_claim_falls_when_ssl_em_is_ten_times_too_good(ideal, name):
    spoiled = {
        key: Results(tuple(Row(r.cell, sweep_arrays(r.cell, gain=10.0)) for r in rows))
        if "mean" in rows.rows[0].arrays
        else rows
        for key, rows in ideal.items()
        if len(rows)
    }
    assert CLAIMS[name].evaluate(spoiled, PAPER.preset("quick")).status == "fails"


def test_the_bound_is_judged_over_at_least_sixty_settings(ideal):
    evidence = bounds.lower_bound("bound")(ideal, PAPER.preset("quick"))
    assert next(e for e in evidence if e.label == "settings").measured >= 60
    table = tables.bounded(ideal)
    assert (
        len(
            {
                tuple(row[k] for k in ("s", "d", "n_l", "n_u"))
                for row in table.where(method="ssl_em").rows()
            }
        )
        >= 60
    )


def test_the_risk_table_asks_leading_order_where_the_information_suffices(ideal):
    labels = [e.label for e in bounds.risk_table()(ideal, PAPER.preset("quick"))]
    # at s=0.5, d=10, 1000 unlabelled points have 1000 / 5 = 200 of the 10 * 10 / 0.25 = 400 that
    # are needed
    assert [x for x in labels if "d=10," in x and x.startswith("ul_plus")] == []
    assert sum("d=20," in x for x in labels) == 3 * 4 and sum("d=10," in x for x in labels) == 3


def test_parts_of_a_split_are_disjoint_and_padded_rows_weigh_nothing():
    X, y = RNG.normal(size=(500, 6)).astype(np.float32), RNG.choice([-1.0, 1.0], 500)
    parts = real.split(X, y, seed=3)
    sizes = {k: int(parts[f"w_{k}"].sum()) for k in ("test", "val", "pool")}
    assert sizes == {"test": 100, "val": 100, "pool": 300} and parts["X_pool"].shape == (5000, 6)
    rows = np.concatenate([parts[f"X_{k}"][: sizes[k]] for k in sizes])
    assert len(np.unique(rows.round(4), axis=0)) == 500
    pool = parts["X_pool"][:300]
    np.testing.assert_allclose(pool.mean(0), 0, atol=1e-5)
    assert pool.var(0).mean() == pytest.approx(1, rel=1e-3) and not np.allclose(
        pool.var(0), 1, atol=0.02
    )


def test_labels_are_drawn_with_both_classes():
    y = np.where(np.arange(200) < 190, 1.0, -1.0)
    for n_l in (2, 4, 6, 20):
        rows = real.choose_labels(y, n_l, np.random.default_rng(0))
        assert len(set(rows)) == n_l and (y[rows] == -1).sum() >= min(3, n_l // 2)


def test_a_task_is_a_pair_of_classes():
    X, y = real.task("fashion_mnist/0v6", True)
    assert X.shape == (len(y), 784) and set(y) == {-1.0, 1.0} and X.min() >= 0 and X.max() == 1.0


@pytest.mark.slow
def test_the_learners_learn_a_task_of_the_embedded_sample():
    found = real.learners("fashion_mnist/1v8", True, [20], 1, 0)
    assert found["sl"].shape == (1, 1) and found["bayes"][0] < 0.05 and found["sl"][0, 0] < 0.2
    best = found["ssl_w oracle"][0, 0]
    assert best <= min(found["sl"][0, 0], found["ul_plus"][0, 0]) + 1e-6


def test_the_closed_forms_meet_their_monte_carlo():
    found = synthetic.closed([0.5, 1.0], [[1.0, 0.5], [0.5, 2.0]], 50_000, 0)
    assert (np.abs(found["kl_mc"] - found["kl"]) < 4.5 * found["kl_se"]).all()
    assert (found["kl"] < found["kl_bound"]).all() and (
        found["kl_bound"] < found["kl_labelled"]
    ).all()


def test_float32_is_caught_subtracting_and_not_integrating():
    found = synthetic.cancellation(1.0, 5, [10**3, 10**7], 50, 0)
    np.testing.assert_allclose(found["stable float32"], found["stable float64"], rtol=1e-4)
    assert abs(found["naive float32"][1] / found["stable float64"][1] - 1) > 0.05


@pytest.mark.slow
def test_explicit_samples_agree_with_theory_and_shuffled_labels_do_not():
    found = synthetic.explicit(1.0, 10, 200, 400, 100, 0)
    error = found["sl"].std() / 10
    assert abs(found["sl"].mean() - float(mixtures.sl_excess_exact(1.0, 10, 200))) < 4 * error
    assert found["shuffled"].mean() > 0.2 and found["ssl_em"].mean() < found["sl"].mean()


@pytest.mark.slow
def test_generated_twonorm_is_as_predicted():
    found = real.twonorm("generated", 40, 200, 200, 0)
    for method in ("sl", "ul_plus", "ssl_weighted", "ssl_em"):
        ratio = found[f"excess {method}"] / found[f"predicted {method}"]
        assert abs(ratio.mean() - 1) < 0.1 + 4 * ratio.std() / np.sqrt(200)
