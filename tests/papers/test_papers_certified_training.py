import numpy as np
import pytest
from drawing import assert_drawn
from smoke_results import computed

from theorylab.lab import Row
from theorylab.papers.certified_training import PAPER, measures, published, theory_claims

SMOKE = PAPER.preset("smoke")


@pytest.fixture(scope="module")
def results():
    return computed(PAPER, SMOKE)


def test_the_published_tables_have_every_method_and_the_second_exception():
    for data, rows in published.TABLES.items():
        assert len(rows) == 8, data
        for each in rows.values():
            assert set(each) == set(published.METHODS)
            assert all(robust >= standard for robust, standard in each.values())
    # at 8/255 in l-infinity CROWN-IBP and FAST-IBP both beat AT, beside MNIST's rows
    row = published.TABLES["cifar10"]["linf", round(8 / 255, 6)]
    assert (
        row["crown-ibp"][0] < row["adversarial"][0] and row["fast-ibp"][0] < row["adversarial"][0]
    )
    for (threat, _), each in published.TABLES["mnist"].items():
        if threat == "linf":
            assert each["fast-ibp"][0] < each["adversarial"][0]


def test_the_learning_rate_is_the_best_among_those_that_interpolate():
    row = Row(
        {"recipe": "coap"},
        {
            "robust": np.array([[0.1, 0.2, 0.3], [0.4, 0.2, np.nan]]),
            "standard": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
            "train_error": np.array([[0.5, 0.0, 0.0], [0.1, 0.2, 0.3]]),
        },
    )
    assert measures.picked(row, "standard", False).tolist() == [1.0, 5.0]
    # the first point has two rates that interpolate, the second none
    assert measures.picked(row, "standard", True).tolist() == [2.0, 5.0]


def test_every_experiment_of_every_preset_lists_its_cells():
    for name in ("smoke", "quick", "medium", "full"):
        preset = PAPER.preset(name)
        for experiment in PAPER.experiments:
            cells = experiment.cells(preset)
            assert len({str(c) for c in cells}) == len(cells), (name, experiment.name)
    methods = {c["recipe"] for c in PAPER.experiments[-2].cells(PAPER.preset("medium"))}
    assert set(published.METHODS) <= methods


@pytest.mark.long
@pytest.mark.parametrize("figure", PAPER.figures, ids=lambda f: f.name)
def test_every_figure_draws_from_its_csv(results, figure):
    assert_drawn(figure, results, SMOKE)


@pytest.mark.long
@pytest.mark.parametrize(
    "claim", [c for c in PAPER.claims if "smoke" in c.presets], ids=lambda c: c.id
)
def test_exact_claims_hold_at_the_smallest_preset_and_controls_are_rejected(results, claim):
    verdict = claim.evaluate(results, SMOKE)
    assert verdict.status == ("finding" if claim.kind == "finding" else "holds"), verdict
    for control in claim.controls.values():
        assert any(not e.holds for e in control(results, SMOKE))


@pytest.mark.long
def test_bounds_hold_and_bounds_for_half_of_eps_do_not(results):
    good = theory_claims.sound(("ibp", "coap", "crown", "crown-ibp"))(results, SMOKE)
    bad = theory_claims.sound(("half",))(results, SMOKE)
    assert all(e.holds for e in good) and any(not e.holds for e in bad)
