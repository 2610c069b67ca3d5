"""Progress by a clock that the test sets."""

from io import StringIO

import pytest
import toy
from rich.console import Console

from theorylab.lab import Runner, Store
from theorylab.lab.cell_names import cell_names
from theorylab.progress import EVERY, Forecast, Progress, duration


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def lines(clock, cells, text):
    return Progress(Console(file=text), "toy (quick)", cells, bar=False, clock=clock)


def test_the_rest_costs_what_cells_of_its_experiment_took_else_what_all_took():
    cells = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b", "c1": "c"}
    forecast = Forecast(cells)
    assert forecast.seconds({}) is None
    forecast.finish("a1", 10.0)
    assert forecast.seconds({}) == 5 * 10
    forecast.finish("b1", 40.0)
    assert forecast.seconds({}) == 2 * 10 + 40 + 25  # a2 and a3, b2, and c1 by the mean of all
    forecast.finish("a2", 20.0)
    assert forecast.seconds({}) == pytest.approx(15 + 40 + 70 / 3)
    assert forecast.seconds({"b2": 30.0}) == pytest.approx(15 + 10 + 70 / 3)
    # it takes longer, and the others what they do
    assert forecast.seconds({"b2": 99.0}) == pytest.approx(15 + 70 / 3)
    assert forecast.seconds({}, speed=4.0) == pytest.approx((15 + 40 + 70 / 3) / 4)
    assert forecast.seconds({}, speed=0.5) == forecast.seconds({})
    forecast.finish("c1", None)  # it failed: nothing is known of its cost
    assert forecast.seconds({}) == 15 + 40


def test_a_line_at_the_start_one_every_half_minute_and_one_at_the_end(clock):
    text = StringIO()
    cells = {f"a{i}": "a" for i in range(8)}
    with lines(clock, cells, text) as progress:
        progress.found([("a0", 8.0), ("a1", 12.0)])
        for i in range(2, 8):
            progress.begin(f"a{i}", f"a {i}")
            clock.now += 10
            progress.finish(f"a{i}", 10.0)
    assert text.getvalue().splitlines() == [
        "toy (quick): 2 of 8 cells done; about 1 min left; in work: a 2",
        "toy (quick): 5 of 8 cells done; about 30 s left; in work: a 5",
        "toy (quick): 8 of 8 cells done; 6 of them now, in 1 min",
    ]
    assert EVERY == 30


def test_nothing_is_said_where_nothing_is_computed(clock):
    text = StringIO()
    with lines(clock, {"a": "a"}, text) as progress:
        progress.found([("a", 1.0)])
    assert text.getvalue() == ""


def test_cells_side_by_side_take_less(clock):
    text = StringIO()
    with lines(clock, {f"a{i}": "a" for i in range(12)}, text) as progress:
        progress.begin("dask://local", "12 cells on dask://local")
        clock.now += 30
        for i in range(4):
            progress.finish(f"a{i}", 30.0)
        clock.now += 30
        progress.finish("a4", 60.0)
    assert text.getvalue().splitlines()[:2] == [
        "toy (quick): 0 of 12 cells done; in work: 12 cells on dask://local",
        "toy (quick): 1 of 12 cells done; about 6 min left; in work: 12 cells on dask://…",
    ]
    assert "5 of 12 cells done; about 1 min left; in work: 12 cells on dask://…" in text.getvalue()


def test_a_run_that_ends_by_an_error_tells_no_end(clock):
    text = StringIO()
    with pytest.raises(ZeroDivisionError), lines(clock, {"a": "a"}, text) as progress:
        progress.begin("a", "a 1")
        progress.finish("a", 1.0)
        raise ZeroDivisionError
    assert len(text.getvalue().splitlines()) == 1


def test_a_line_fits_into_eighty_columns_and_loses_only_the_end_of_a_name(clock):
    text = StringIO()
    with lines(clock, {"a": "a", "b": "a"}, text) as progress:
        progress.begin("a", "a " + "x=7 " * 40)
        clock.now += 30
        progress.finish("a", 30.0)
        progress.begin("b", "b " + "x=7 " * 40)
    first, second, _ = text.getvalue().splitlines()[:3]
    assert len(first) == len(second) == 80 and first.endswith("…") and second.endswith("…")
    assert second.startswith("toy (quick): 1 of 2 cells done; about 30 s left; in work: b x=7 ")


def test_a_cell_is_called_by_what_differs_between_the_cells():
    model = {"depth": 3, "width": 48}
    cells = [
        {"base": {"model": model, "seed": s}, "seed": s, "rule": r}
        for s in (0, 1)
        for r in ("sgd", "adam")
    ]
    assert cell_names("train", cells)[1] == "train rule=adam seed=0"
    assert cell_names("laws", [{"seed": 0}]) == ["laws"]
    assert cell_names("a", [{"x": 1}, {"x": [0.5, None]}, {}]) == ["a x=1", "a x=[0.5,null]", "a"]


def test_a_reader_who_has_gone_does_not_end_the_computation(clock):
    class Gone(StringIO):
        def write(self, _):
            raise BrokenPipeError

    with lines(clock, {"a": "a"}, Gone()) as progress:
        progress.begin("a", "a 1")
        progress.finish("a", 1.0)


def test_a_terminal_gets_a_bar_with_the_cell_and_the_time_left(clock):
    text = StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    title = "a_paper_with_a_long_name (medium)"
    with Progress(console, title, {"a": "a", "b": "a"}, bar=True, clock=clock) as progress:
        progress.begin("a", 'a {"x":1}')
        clock.now += 40
        progress.finish("a", 40.0)
        progress.begin("b", f'a {{"x":[{",".join("7" * 60)}]}}')
        clock.now += 10
        shown = progress.now()
    assert shown.startswith('about 30 s left; in work: a {"x":[7,')
    told = text.getvalue()
    assert all(x in told for x in ("1/2", "in work: a", title)) and "…" not in told


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (150.1, "3 min"),
        (3600, "1 h"),
        (7830, "2 h 10 min"),
    ],
)
def test_durations_are_told_as_one_reads_them(seconds, said):
    assert duration(seconds) == said


def test_a_run_names_its_cells_on_standard_error_and_is_silent_when_all_is_there(tmp_path, capsys):
    preset = toy.PAPER.preset("quick")
    for run in range(2):
        Runner(Store(tmp_path)).run(toy.PAPER, preset, ["squares", "totals"])
        shown = capsys.readouterr()
        assert shown.out == ""
        if run == 0:
            first, last = shown.err.splitlines()
            assert first == "toy (quick): 0 of 7 cells done; in work: squares x=1 seed=0"
            assert last.startswith("toy (quick): 7 of 7 cells done; 7 of them now, in ")
    assert shown.err == ""


def test_stored_seconds_weigh_in_the_forecast(tmp_path, clock):
    preset = toy.PAPER.preset("quick", changes={"pause": 0.05, "xs": [1], "repeats": 2})
    rows = Runner(Store(tmp_path)).run(toy.PAPER, preset, ["squares"])["squares"]
    took = [row.meta["seconds"] for row in rows]
    forecast = Forecast({"0": "squares", "1": "squares", "2": "squares"})
    for i, seconds in enumerate(took):
        forecast.finish(str(i), seconds)
    assert forecast.seconds({}) == pytest.approx(sum(took) / 2) and min(took) >= 0.05
