import jax
import numpy as np
import pytest
from drawing import assert_drawn

from theorylab.lab import Results, Row
from theorylab.papers.wrong_line import PAPER, images, linear
from theorylab.papers.wrong_line.claims import theory
from theorylab.papers.wrong_line.settings import SETTINGS
from theorylab.papers.wrong_line.tables import line_of
from theorylab.shift import NuisanceModel, draw_training_set, fit_logistic_path, margin_model_error

SMOKE = PAPER.preset("smoke")


def shapes(experiment, cell):
    """Names and shapes of what a cell of this experiment returns."""
    n, e = len(cell.get("ns", [])), len(cell.get("etas", []))
    if "steps" in cell:
        return dict.fromkeys(
            ("id", "ood", "train_error", "sensitivity"), (n, e, len(cell["steps"]) + 1)
        )
    if "taus" in cell:
        grid = (n, e, len(cell["lams"]))
        return dict.fromkeys((*linear.STORED, "id", "norm_w_n"), grid) | {
            "ood": (*grid, len(cell["taus"])),
            "ood_bound": (n, e),
        }
    if experiment in ("coloured", "search"):
        return dict.fromkeys(("id", "ood", "train_error"), (n, e))
    if experiment == "mlp":
        return dict.fromkeys(("id", "ood", "train_error"), (n, e, 2))
    if experiment == "pairs":
        return dict.fromkeys(
            ("id", "ood", "train_error", "sensitivity", "gradient_norm"), (n, e, len(cell["lams"]))
        )
    if experiment == "mean_shift":
        return dict.fromkeys(("true", "bound", "bound_half_sigma"), (len(cell["margins"]),))
    return {}


@pytest.fixture(scope="module")
def drawn():
    """Results of the right shapes with made-up numbers: the figures must draw whatever comes."""
    rng, results = np.random.default_rng(0), {}
    for experiment in PAPER.experiments:
        cells = experiment.cells(SMOKE)
        arrays = [
            {q: rng.uniform(0.55, 0.95, s) for q, s in shapes(experiment.name, c).items()}
            for c in cells
        ]
        results[experiment.name] = Results(
            tuple(Row(c, a) for c, a in zip(cells, arrays, strict=True))
        )
    return results


@pytest.mark.parametrize("figure", PAPER.figures, ids=lambda f: f.name)
def test_every_figure_draws_from_its_csv(drawn, figure):
    assert_drawn(figure, drawn, SMOKE)


@pytest.mark.slow  # 400 samples: the size from which nothing is padded
def test_a_cell_of_the_grid_is_a_fit_done_by_hand():
    model = {"d_s": 3, "gap": 0.25, "k": 2000, "energy": 25.0, "tau": 0.5}
    n, eta, lam = 400, 0.1, 0.1  # 400: nothing is padded, so that the draw is the same
    found = linear.grid(model, [n], [eta], [lam], [0.5, 0.1], seed=2)
    data = NuisanceModel(**model)
    sample = draw_training_set(jax.random.fold_in(jax.random.key(2), n), data, n, eta)
    w = fit_logistic_path(sample.x, sample.noisy, [lam]).coef[0]
    at = {"direction": sample.direction, "gap": 0.25}
    for value, scale in ((found["id"], data.sigma), (found["ood"][..., 0], data.sigma_ood)):
        expected = 1 - margin_model_error(w[:3], np.linalg.norm(w[3:]), scale=scale, **at)
        np.testing.assert_allclose(value.item(), expected, rtol=1e-5)
    assert found["train_error"].item() == (sample.noisy * (sample.x @ w) <= 0).mean()
    assert np.isnan(found["ood_bound"]).all() == (found["min_margin"] <= 0).all()


def test_a_kernel_machine_is_its_normal_equations():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(12, 2, 2, 1)), rng.normal(size=(7, 2, 2, 1))
    labels = rng.choice([-1.0, 1.0], (12, 2))
    setting = SETTINGS["ridge"] | {"width": 0.1}
    fitted, predicted = images._kernel_machine(setting, x, labels, (x, z), None)
    a, b = x.reshape(12, -1), z.reshape(7, -1)
    kernel = [np.exp(-0.1 * ((p[:, None] - a) ** 2).sum(2)) for p in (a, b)]
    dual = np.linalg.solve(kernel[0] + np.eye(12), labels)
    np.testing.assert_array_equal(fitted, kernel[0] @ dual > 0)
    np.testing.assert_array_equal(predicted, kernel[1] @ dual > 0)


def test_pairs_are_centred_scaled_and_of_two_classes():
    x, y, x_test, y_test = images.pair_signal("fashion_mnist", True, 1, 3)
    assert x.shape[1] == x_test.shape[1] == 50 and set(y) == set(y_test) == {-1.0, 1.0}
    assert abs(x.mean(0)).max() < 1e-9 and (x**2).mean() == pytest.approx(1)
    variances = x.var(0)
    assert (np.diff(variances) <= 1e-9).all()  # principal components, the largest first


def test_tasks_give_labels_of_the_right_images():
    labels = np.array([0, 5, 9, 1, 7, 4])
    rows, y = images._task({"classes": None}, labels, np.random.default_rng(0), 10)
    assert sorted(zip(labels[rows].tolist(), y.tolist(), strict=True)) == [
        (0, 0),
        (1, 0),
        (4, 0),
        (5, 1),
        (7, 1),
        (9, 1),
    ]
    rows, y = images._task({"classes": [1, 7]}, labels, np.random.default_rng(0), 10)
    assert sorted(zip(labels[rows].tolist(), y.tolist(), strict=True)) == [(1, 0), (7, 1)]


def made_up(corr, cells):
    """Results of the noise experiment whose accuracies lie on a line of the given sign at every
    noise rate."""
    rng, rows = np.random.default_rng(0), []
    for cell in cells:
        shape = (len(cell["ns"]), len(cell["etas"]), len(cell["lams"]))
        inside = np.linspace(0.8, 0.95, shape[0])[:, None, None] + rng.normal(size=shape) / 1e4
        rows.append(
            Row(
                cell,
                {
                    "id": inside,
                    "ood": (0.5 + corr * (inside - 0.8))[..., None].repeat(len(cell["taus"]), -1),
                },
            )
        )
    return Results(tuple(rows))


def claim(name):
    return next(c for c in PAPER.claims if c.id == name)


def test_claims_see_the_sign_of_a_line():
    cells = next(e for e in PAPER.experiments if e.name == "noise").cells(SMOKE)
    falling, rising = ({"noise": made_up(sign, cells)} for sign in (-1, 1))
    assert all(e.holds for e in claim("wrong_line").measure(falling, SMOKE))
    assert not any(e.holds for e in claim("wrong_line").measure(rising, SMOKE))
    assert all(e.holds for e in claim("clean_line").measure(rising, SMOKE))
    assert not any(e.holds for e in claim("clean_line").measure(falling, SMOKE))


def test_claims_catch_a_violated_bound_and_a_loose_fit(drawn):
    results = {name: drawn[name] for name in ("noise", "precision")}
    rows = tuple(
        Row(
            r.cell,
            {
                **r.arrays,
                "norm_w_n": np.full_like(r["norm_w_n"], 1.5),
                "memorised": np.ones_like(r["memorised"]),
            },
        )
        for r in results["noise"]
    )
    holds = {"noise": Results(rows)}
    assert all(e.holds for e in claim("memorisation_bound").measure(holds, SMOKE))
    assert not all(
        e.holds for e in claim("memorisation_bound").controls["4 |B| wrong labels"](holds, SMOKE)
    )
    tight = claim("memorisation_tight")
    assert all(e.holds for e in tight.measure(holds, SMOKE))
    assert not any(e.holds for e in tight.controls["4 |B| wrong labels"](holds, SMOKE))
    loose = dict.fromkeys(("noise", "penalty", "dimension", "shortcut"), holds["noise"]) | {
        "pairs": drawn["pairs"]
    }
    # made-up norms are near 1
    assert not any(e.holds for e in claim("converged").measure(loose, SMOKE))


def test_a_search_result_is_negative_only_with_its_interval(drawn):
    from theorylab.papers.wrong_line.claims.images import searched

    cell = {"name": "s", "ns": [1, 2, 3], "etas": [0.1]}
    down, up = np.array([[0.7], [0.6], [0.55]]), np.array([[0.55], [0.6], [0.7]])
    inside = np.array([[0.7], [0.8], [0.9]])

    def results(*outside):
        return {
            "search": Results(
                tuple(
                    Row({**cell, "seed": i}, {"id": inside, "ood": o})
                    for i, o in enumerate(outside)
                )
            )
        }

    assert all(e.holds for e in searched("s", 0.1)(results(down, down, down * 0.99), SMOKE))
    (mixed,) = searched("s", 0.1)(results(down, down, up), SMOKE)
    assert mixed.holds and mixed.outcome == "undecided"


def test_the_error_of_the_reference_is_in_the_interval_of_the_means():
    from scipy import stats

    from theorylab.lab.sample import Mean

    gaps = np.random.default_rng(0).normal(0.01, 0.03, size=(theory.BASE_SEEDS, 4))
    gaps -= gaps.mean(1, keepdims=True)  # no scatter between base seeds: the factor in closed form
    pooled = Mean(tuple(np.concatenate([theory.with_reference_error(g) for g in gaps])))
    low, high = pooled.interval(0.99)
    half = stats.t.ppf(0.995, 19) * gaps.std(ddof=1) * np.sqrt(1 / 20 + 1 / 4)
    np.testing.assert_allclose([low, high], [-half, half], rtol=1e-12)


def test_lines_pool_and_average():
    inside, outside = np.array([[0.7, 0.8], [0.72, 0.82]]), np.array([[0.7, 0.6], [0.72, 0.62]])
    pooled, slope, means = line_of(inside, outside, [100, 200])
    assert means == pytest.approx(-1) and -1 < pooled < 0 and slope < 0


def test_presets_name_known_settings():
    for name in PAPER.presets:
        assert set(PAPER.preset(name)["search"]) <= set(SETTINGS)
    keys = {frozenset(s) for s in SETTINGS.values()}
    assert len(keys) == 1
