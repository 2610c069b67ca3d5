import shutil

from theorylab.lab import Store
from theorylab.report import take_stock


def test_results_of_todays_code_are_fresh_and_complete(toy_run, toy_paper):
    stock = take_stock(toy_paper, toy_paper.preset("quick"), Store(toy_run / "results"))
    assert (
        stock.states == {"squares": "fresh", "totals": "fresh"}
        and stock.state(("squares", "totals")) == "fresh"
    )
    assert len(stock.results["squares"]) == 6


def test_results_of_other_code_are_stale_but_shown(toy_run, toy_paper, monkeypatch):
    monkeypatch.setattr("theorylab.lab.runner.fingerprint", lambda module: "other code")
    stock = take_stock(toy_paper, toy_paper.preset("quick"), Store(toy_run / "results"))
    assert set(stock.states.values()) == {"stale"} and len(stock.results["squares"]) == 6
    assert stock.results["squares"].where(x=3)  # the right cells, in the right order
    assert [r.cell["x"] for r in stock.results["squares"]] == [1, 1, 2, 2, 3, 3]


def test_a_missing_cell_makes_its_experiment_missing_and_nothing_else(toy_run, toy_paper, tmp_path):
    shutil.copytree(toy_run / "results", tmp_path / "results")
    next((tmp_path / "results/toy/totals").glob("*.result")).unlink()
    stock = take_stock(toy_paper, toy_paper.preset("quick"), Store(tmp_path / "results"))
    assert (
        stock.states == {"squares": "fresh", "totals": "missing"} and "totals" not in stock.results
    )
    assert stock.state(("squares",)) == "fresh" and stock.state(("squares", "totals")) == "missing"


def test_a_damaged_result_is_never_read(toy_run, toy_paper, tmp_path):
    shutil.copytree(toy_run / "results", tmp_path / "results")
    path = next((tmp_path / "results/toy/totals").glob("*.result"))
    path.write_bytes(path.read_bytes()[:-10])
    stock = take_stock(toy_paper, toy_paper.preset("quick"), Store(tmp_path / "results"))
    assert stock.states["totals"] == "missing"
    path.write_bytes(b"junk")
    assert (
        take_stock(toy_paper, toy_paper.preset("quick"), Store(tmp_path / "results")).states[
            "totals"
        ]
        == "missing"
    )


def test_an_empty_store_is_all_missing(toy_paper, tmp_path):
    stock = take_stock(toy_paper, toy_paper.preset("quick"), Store(tmp_path))
    assert stock.counts() == {"missing": 2} and not stock.results
