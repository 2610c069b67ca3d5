import io
from types import SimpleNamespace

import numpy as np
from rich.console import Console

import theorylab
from theorylab import rmt
from theorylab.lab import Claim, Evidence, Results, Row, Runner, Store, Table
from theorylab.plotting import panels
from theorylab.report import notebook
from theorylab.report.notebook import describe, load_ipython_extension


def test_tables_results_and_verdicts_show_themselves_escaped():
    table = Table("x", "name")
    for i in range(30):
        table.add(x=i / 7, name="<b>")
    shown = table._repr_html_()
    assert (
        shown.count("<tr>") == 21
        and "30 rows, the first 20 shown" in shown
        and "&lt;b&gt;" in shown
    )
    results = Results((Row({"n": 3}, {"risk": np.zeros((2, 5))}, {"seconds": 1.5}),))
    assert "risk (2, 5)" in results._repr_html_() and "1 cells" in results._repr_html_()
    one = lambda value: lambda results, preset: [Evidence("x", value, 0.0, 1.0)]  # noqa: E731
    claim = Claim("c", "x <= 1", "eq. 1", (), one(0.5), {"twice": one(2.0)})
    html = claim.evaluate({}, SimpleNamespace(name="quick"))._repr_html_()
    assert "c: holds. x &lt;= 1" in html and "control: twice" in html and "<td>0.5</td>" in html


def test_the_extension_shows_results_of_the_numerical_packages_by_shape_and_range(monkeypatch):
    assert set(notebook.PACKAGES) < set(theorylab.__all__)
    monkeypatch.setattr(notebook, "PACKAGES", ("rmt",))
    known = {}
    formatter = SimpleNamespace(for_type=known.__setitem__)
    load_ipython_extension(
        SimpleNamespace(display_formatter=SimpleNamespace(formatters={"text/html": formatter}))
    )
    law = rmt.SilversteinLaw(np.array([1.0, 4.0]), None, gamma=0.5)
    shown = known[rmt.SilversteinLaw](law)
    assert (
        shown == describe(law)
        and "float64 (2,)" in shown
        and "1 to 4" in shown
        and "<td>None</td>" in shown
    )
    assert len(known) > 10 and Table not in known


def test_the_progress_bar_is_shown_in_a_notebook_and_not_in_a_pipe(tmp_path):
    assert Runner(Store(tmp_path), console=Console(force_jupyter=True)).progress
    piped = Console(file=io.StringIO(), force_terminal=False)
    assert not Runner(Store(tmp_path), console=piped).progress


def test_figures_are_matplotlib_figures():
    figure, _ = panels(1)
    assert type(figure).__module__ == "matplotlib.figure"
