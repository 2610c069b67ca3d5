"""`theorylab bench` on a folder with one small benchmark, and on the folder of this checkout."""

import json
import sys
from pathlib import Path

import pytest

from theorylab.cli.app import run

HERE = Path(__file__).parents[2] / "benchmarks"
SCRIPT = '''"""Adding numbers: `python adding.py`."""

import argparse
import sys

sys.path.insert(0, {here!r})
from record import arguments, fastest, keep

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=1000)
parser.add_argument("--peer-python")
options = arguments(parser, smoke={{"n": 10}})
(wall, cpu), = fastest({{"sum": lambda: sum(range(options.n))}}, 2).values()
keep("adding", vars(options), rows=[{{"what": "sum", "ours_wall_s": wall, "ours_cpu_s": cpu}}])
if options.n < 0:
    raise SystemExit(3)
'''


@pytest.fixture
def folder(desk):
    (desk / "benchmarks").mkdir()
    (desk / "benchmarks" / "adding.py").write_text(SCRIPT.format(here=str(HERE)))
    (desk / "benchmarks" / "helper.py").write_text("print('no benchmark')\n")
    return desk / "benchmarks"


@pytest.mark.long
def test_a_benchmark_runs_at_a_preset_and_its_record_says_what_the_device_reaches(folder, capfd):
    assert run(["bench", "adding", "--preset", "smoke", "--peer-python", sys.executable]) == 0
    (path,) = (folder / "results").glob("*.json")
    record = json.loads(path.read_text())
    assert record["options"] == {"n": 10, "preset": "smoke", "peer_python": sys.executable}
    assert record["rows"][0]["ours_wall_s"] > 0
    # a product of matrices is never slower than 10 MFLOP/s, nor a copy than 10 MB/s
    assert min(record["limits"].values()) > 0.01
    capfd.readouterr()
    assert run(["bench"]) == 0
    listed = capfd.readouterr().out
    assert "adding: Adding numbers" in listed and "helper" not in listed
    assert "1 benchmarks" in listed and "not measured" in listed  # on a GPU


@pytest.mark.parametrize(
    ("factor", "options", "said"),
    [
        (1.0, {}, "0 of 2 times changed"),
        (1.2, {}, "rows sum ours_wall_s: 2 to 2.4, x 1.20"),
        (0.5, {}, "rows sum ours_wall_s: 2 to 1, x 0.50"),
        (2.0, {"n": 7}, "made with other options"),
    ],
)
def test_what_changed_by_more_than_a_tenth_since_a_record_is_told(
    folder, capfd, monkeypatch, factor, options, said
):
    def record(seconds, **given):
        rows = [{"what": "sum", "ours_wall_s": seconds, "ours_cpu_s": seconds / 2}]
        return json.dumps({"rows": rows, "options": {"n": 5} | given, "load_average": [0.25, 0, 0]})

    earlier, now = folder / "earlier", folder / "results"
    for place in (earlier, now):
        place.mkdir()
    (earlier / "adding-cpu.json").write_text(record(2.0))
    (now / "adding-cpu.json").write_text(record(2.0 * factor, **options))
    (earlier / "torn-cpu.json").write_text("{")
    (folder / "adding.py").write_text("arguments()")  # and does nothing else
    monkeypatch.setattr("subprocess.run", lambda *a, **k: type("Done", (), {"returncode": 0}))
    assert run(["bench", "adding", "--against", str(earlier)]) == 0
    told = " ".join(capfd.readouterr().out.split())
    assert said.removeprefix("rows ") in told and "torn-cpu.json is no record" in told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nope"], "no benchmark 'nope'; choose among: adding, or all"),
        (["--preset", "huge"], "unknown preset 'huge'; choose one of: smoke, quick, full"),
        (["--scripts", "none"], "--scripts none: no such folder"),
        (["--scripts", "."], "--scripts .: no benchmark there"),
        (["adding", "--peer-python", "none"], "--peer-python none: no such file"),
        (["adding", "--against", "none"], "--against none: no such file or folder"),
        (["adding", "--out", "/proc/none"], "--out /proc/none: cannot write there"),
    ],
)
def test_a_mistake_is_one_line_with_exit_code_2(folder, capsys, given, said):
    assert run(["bench", *given]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1


def test_a_benchmark_that_fails_is_named_and_the_exit_code_is_1(folder, capfd):
    (folder / "failing.py").write_text("def arguments(): raise SystemExit(3)\narguments()\n")
    assert run(["bench", "failing"]) == 1
    assert "failed: failing" in capfd.readouterr().out


def test_every_script_with_a_record_in_this_checkout_is_a_benchmark_with_presets():
    from theorylab.cli.bench_command import subjects

    kept = {path.name.split("-")[0] for path in (HERE / "results").glob("*.json")}
    assert kept <= set(subjects(HERE))


def test_no_committed_row_is_below_its_peer_without_a_reason_beside_it():
    from theorylab.report.benchmarks import tables_of
    from theorylab.report.quantities import quantity

    unexplained = []
    for path in sorted((HERE / "results").glob("*.json")):
        record = json.loads(path.read_text())
        for row in (row for _, rows in tables_of(record) for row in _ours(rows)):
            ratios = [v for k, v in row.items() if quantity(k).kind == "ratio" and v is not None]
            names = [v for v in row.values() if isinstance(v, str)]
            said = any(r.startswith(f"{n}:") for n in names for r in record.get("below_peer", ()))
            if ratios and min(ratios) < 1 and not said:
                unexplained.append((path.name, names))
    assert not unexplained


def _ours(rows):
    """Where rows name their tools, those of theorylab."""
    named = [row for row in rows if str(row.get("what", "")).startswith("theorylab")]
    return named or rows
