import json
import re
from pathlib import Path

import pytest

from theorylab.report.benchmarks import benchmark_page
from theorylab.report.quantities import quantity

FOLDER = Path(__file__).parents[2] / "benchmarks" / "results"


@pytest.mark.parametrize(
    ("key", "heading", "kind"),
    [
        ("ours_wall_s", "theorylab, s", "time"),
        ("numpy_cpu_s", "numpy, processor, s", "time"),
        ("first_call_wall_s", "first call, s", "time"),
        ("wall", "time, s", "time"),
        ("cpu", "time, processor, s", "time"),
        ("compile", "compiling, s", "time"),
        ("peer_us", "peer, µs", "time"),
        ("wall_ms_an_entry", "time, ms an entry", "time"),
        ("projected_minutes", "projected, min", "time"),
        ("peak_gb", "peak, GB", "memory"),
        ("needs_gflop", "work, GFLOP", "other"),
        ("gflop_explicit", "explicit, GFLOP", "other"),
        ("flop_per_round", "work, FLOP per round", "other"),
        ("instances_per_s", "instances, 1/s", "rate"),
        ("gflop_per_s", "work, GFLOP/s", "rate"),
        ("training_gflop_per_cpu_s", "training, processor, GFLOP/s", "rate"),
        ("sets_per_minute_cpu", "sets, processor, 1/min", "rate"),
        ("ratio", "ratio, ×", "ratio"),
        ("cpu_times", "ratio, processor, ×", "ratio"),
        ("ratio_cpu", "ratio, processor, ×", "ratio"),
        ("cpu_of_plain_loop", "ratio to the plain loop, processor, ×", "ratio"),
        ("risk_ratio", "risk ratio", "other"),
        ("mean_ratio_to_opt", "mean ratio to opt", "other"),
        ("largest difference to the plain loop", "largest difference to the plain loop", "other"),
    ],
)
def test_the_key_of_a_number_becomes_a_heading_with_its_unit(key, heading, kind):
    assert (quantity(key).heading, quantity(key).kind) == (heading, kind)


def write(folder, name, record, docstring='"""Ridge paths beside a peer: `python x`."""'):
    results = folder / "results"
    results.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(docstring)
    (results / f"{name}-cpu.json").write_text(json.dumps(record))
    return results


def test_a_section_has_a_title_its_device_and_seconds_apart_from_ratios(tmp_path):
    rows = [
        {"what": "fit", "n": 7, "seconds": {"ours": 0.5, "peer": 5.0}, "ratio": 10.0},
        {"what": "peer / ours, fit", "wall": 10.0, "cpu": 9.0},
    ]
    record = {"device": "cpu", "cpu": "x86_64", "cores": 2, "gpu": "not measured", "rows": rows}
    page, charts = benchmark_page(write(tmp_path, "ridge", record))
    assert "## Ridge paths beside a peer\n" in page and "ridge-cpu</h" not in page
    assert "CPU, x86_64, 2 cores; GPU not measured" in page
    heads = re.findall(r'scope="col"[^>]*>([^<]+)<', page)
    assert heads[:5] == ["what", "n", "theorylab, s", "peer, s", "ratio, ×"]
    assert heads[5:7] == ["what", "ratio, ×"] and "ratio, processor, ×" in heads[7:]
    for number in ("0.5", "5.0", "10.0", "9.0", "7"):
        assert f'data-sort="{number}"' in page, number
    assert "<code>python benchmarks/ridge.py</code>" in page
    assert charts["ridge-cpu"][0]["columns"]["ratios"] == {
        "x": [10.0, 10.0],
        "y": ["fit", "peer / ours, fit"],
    }


def test_numbers_named_by_sentences_are_rows_and_tools_are_rows_of_their_own(tmp_path):
    record = {
        "device": "cpu",
        "seconds": {"a law, 20 atoms": 0.25, "a law, 500 atoms": 0.75},
        "max_error": {"a law, 20 atoms": 1e-16},
        "rows": [{"network": "cnn", "tools": {"ours": {"wall": 1.5}, "nt": {"error": "out\nof"}}}],
        "options": {"steps": 9, "folder": "/tmp/somewhere"},
        "pairs": [{"k": 3, "seconds": {"ours": [0.125, 0.0625]}}],
    }
    page, _ = benchmark_page(write(tmp_path, "rmt", record))
    for part in ('data-sort="0.75"', 'data-sort="1e-16"', "max error", ">nt<", ">out<", "<dd>9"):
        assert part in page, part
    assert "theorylab, processor, s" in page and 'data-sort="0.0625"' in page
    assert "/tmp/somewhere" not in page


def test_a_damaged_file_is_named_and_the_others_are_shown(tmp_path):
    results = write(tmp_path, "good", {"device": "cpu", "rows": [{"what": "x", "wall": 1.0}]})
    for name, text in (("bad", "{"), ("odd", "[1]"), ("null", "null")):
        (results / f"{name}-cpu.json").write_text(text)
    page, _ = benchmark_page(results)
    for name in ("bad", "odd", "null"):
        assert f"<code>{name}-cpu.json</code> is damaged" in page
    assert 'data-sort="1.0"' in page
    assert "No results in" in benchmark_page(tmp_path / "none")[0]


def numbers(value):
    """Every number of a record that a table or a list must show, as the page sorts or writes it."""
    if isinstance(value, dict):
        return [n for k, v in value.items() if k != "versions" for n in numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in numbers(v)]
    is_number = isinstance(value, float | int) and not isinstance(value, bool)
    return [value] if is_number else []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda p: p.stem)
def test_every_committed_number_is_on_the_page_under_a_title(path):
    page, charts = benchmark_page(FOLDER)
    record = json.loads(path.read_text())
    skipped = ("load_average", "cores", "devices", "versions")
    for number in numbers({k: v for k, v in record.items() if k not in skipped}):
        told = f"{number:.4g}" if isinstance(number, float) else str(number)
        assert f'data-sort="{number!r}"' in page or told in page, (path.name, number)
    assert f"## {path.stem}" not in page and set(charts) <= {p.stem for p in FOLDER.glob("*.json")}
    assert "`" not in re.sub(r"~~~.*?~~~", "", page, flags=re.S)
