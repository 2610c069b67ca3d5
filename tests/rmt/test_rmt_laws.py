"""Every law against one random matrix of 1,500 rows: the table that `benchmarks/laws.py` prints."""

import importlib
from pathlib import Path

import pytest


@pytest.mark.slow
def test_random_matrices_of_1500_rows_agree_with_every_law(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    laws = importlib.import_module("laws")
    rows = list(laws.rows(1500))
    assert len(rows) == 16
    for row in rows:
        print(f"{row.law}: {row.deviation:.2g} (bound {row.bound:.2g})")
        assert row.deviation < row.bound, row
        assert row.mass_error is None or row.mass_error < 1e-6, row
