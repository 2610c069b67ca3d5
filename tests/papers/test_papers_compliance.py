"""What every room must satisfy, without a line in its own tests; the room to copy comes first.

What runs a room's smoke preset is marked `slow` (minutes for all of them); for the room to copy it
takes a second.
"""

import inspect
import json
import os
import re
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import paper_room
import pytest
from figure_checker import findings

from theorylab import papers
from theorylab.errors import InputError
from theorylab.lab import PRESETS, STATUS_MEANING, Results, Runner, Store, Table
from theorylab.lab.experiment import canonical
from theorylab.lab.fingerprint import closure
from theorylab.lab.runner import check_data, compute, make_task
from theorylab.plotting import house_style

TEMPLATE = paper_room.PAPER
ROOMS = [TEMPLATE, *papers.rooms().values()]
PACKAGES = {p.slug: f"theorylab.papers.{p.slug}" for p in ROOMS} | {TEMPLATE.slug: "paper_room"}
LONGEST = 400  # lines of a file
# What a figure may do at the smoke preset all the same, and why; the list may only shrink.
ALLOWED = {
    ("ca_fig1", "blank"): "the fourth world needs a download, which smoke does without",
    ("ca_fig2", "blank"): "the fourth world needs a download, which smoke does without",
    ("la_v2", "overlap"): "ticks of the few sizes that smoke has",
    ("mm_v1", "covered"): "the curves of 300 rounds fill the panel",
    ("pn_attacks", "ticks"): "scores of networks that have hardly been trained",
    ("ssl_fig3", "no published"): "the paper has no numbers at the sizes of smoke",
    ("wl_learners", "no corr_of_means"): "a line through the means of one size is none",
    ("wl_mlp", "no corr_of_means"): "a line through the means of one size is none",
    ("wl_mlp", "covered"): "accuracies of networks of seconds fill the panel",
}

each_room = pytest.mark.parametrize("paper", ROOMS, ids=lambda p: p.slug)
each_preset = pytest.mark.parametrize(
    ("paper", "preset"),
    [pytest.param(p, name, id=f"{p.slug}-{name}") for p in ROOMS for name in p.presets],
)
each_figure = pytest.mark.parametrize(
    ("paper", "figure"),
    [pytest.param(p, f, id=f"{p.slug}-{f.name}") for p in ROOMS for f in p.figures],
)
each_claim = pytest.mark.parametrize(
    ("paper", "claim"),
    [pytest.param(p, c, id=f"{p.slug}-{c.id}") for p in ROOMS for c in p.claims],
)


def folder_of(paper):
    return Path(inspect.getfile(import_module(PACKAGES[paper.slug]))).parent


# What a room says of its paper


@each_room
def test_a_room_says_what_its_paper_is(paper):
    assert paper.slug.isidentifier() and paper.slug == paper.slug.lower()
    assert paper.title.strip() and paper.authors.strip()
    assert re.search(r"\b(19|20)\d\d$", paper.venue), f"venue with its year, not {paper.venue!r}"
    assert re.fullmatch(r"|\d{4}\.\d{4,5}", paper.arxiv), paper.arxiv
    sentences = re.findall(r"[.?!](?=\s|$)", paper.summary)
    assert 1 <= len(sentences) <= 4 and paper.summary.endswith("."), paper.summary
    assert 60 <= len(paper.summary) <= 500


@each_room
def test_every_preset_bears_its_name_and_says_what_it_leaves_out(paper):
    for name, preset in paper.presets.items():
        assert preset.name == name and preset.seed == 0 and preset.omits.strip()
        assert json.loads(json.dumps(dict(preset.values), allow_nan=False)) == preset.values
    assert list(paper.presets)[:2] == ["smoke", "quick"] and set(PRESETS) <= set(paper.presets)


@each_room
def test_every_value_of_a_preset_has_a_meaning_and_every_meaning_a_value(paper):
    meanings = import_module(f"{PACKAGES[paper.slug]}.presets").MEANINGS
    assert set(meanings) == set(paper.preset("quick").values)
    assert all(isinstance(text, str) and len(text) >= 5 for text in meanings.values())


@each_room
def test_files_of_a_room_are_short(paper):
    for path in folder_of(paper).rglob("*.py"):
        assert len(path.read_text().splitlines()) <= LONGEST, path


# Experiments


@pytest.mark.long
@each_preset
def test_every_cell_is_json_that_its_function_accepts_and_has_a_key_of_its_own(paper, preset):
    chosen = paper.preset(preset)
    for experiment in paper.experiments:
        cells = experiment.cells(chosen)
        assert [canonical(c) for c in cells] == [canonical(c) for c in experiment.cells(chosen)]
        for cell in cells:
            assert json.loads(canonical(cell)) == cell, "cells hold JSON alone: lists, no tuples"
            inspect.signature(experiment.run).bind(**cell, **experiment.needs(cell))
        keys = [make_task(paper, experiment.name, cell).key for cell in cells]
        assert keys and len(set(keys)) == len(keys), experiment.name


@each_preset
def test_another_base_seed_changes_every_cell_that_has_a_seed_and_no_other(paper, preset):
    """A replication that drew the same numbers again would replicate nothing."""
    for experiment in paper.experiments:
        one, other = (
            {canonical(c): c for c in experiment.cells(paper.preset(preset, seed))}
            for seed in (0, 1)
        )
        for text, cell in one.items():
            sampled = any("seed" in name for name in cell)
            assert sampled != (text in other), f"{experiment.name}: {text}"


@each_room
def test_every_experiment_is_used_by_a_figure_or_a_claim(paper):
    used = {name for item in (*paper.figures, *paper.claims) for name in item.needs}
    for experiment in paper.experiments:
        for preset in paper.presets:
            for cell in experiment.cells(paper.preset(preset)):
                used |= {name for name, _ in experiment.needs(cell).values()}
    assert {e.name for e in paper.experiments} == used


@each_room
def test_results_do_not_depend_on_how_they_are_shown_or_judged(paper):
    package = re.escape(PACKAGES[paper.slug])
    shown = rf"{package}(\.(figures|claims|tables|presets|experiments)\b.*)?$|theorylab\.plotting\b"
    for experiment in paper.experiments:
        reached = [m for m in closure(experiment.run.__module__) if re.match(shown, m)]
        assert not reached, f"{experiment.run.__module__} imports {reached}"


@each_room
def test_smoke_needs_no_download(paper, monkeypatch, tmp_path):
    monkeypatch.setenv("THEORYLAB_DATA", str(tmp_path))
    check_data(paper, paper.preset("smoke"), [e.name for e in paper.experiments])


@each_room
def test_a_missing_data_set_is_one_error_with_the_fetch_command(paper, monkeypatch, tmp_path):
    monkeypatch.setenv("THEORYLAB_DATA", str(tmp_path))
    needs_data = [e.name for e in paper.experiments if e.data(paper.preset("full"))]
    if needs_data:
        with pytest.raises(InputError, match=r"fetch it: theorylab data fetch \w+"):
            check_data(paper, paper.preset("full"), needs_data)


# Figures and claims


@each_figure
def test_every_figure_says_what_it_shows_and_how_it_relates_to_the_paper(paper, figure):
    assert figure.name.isidentifier() and figure.status in STATUS_MEANING
    # the title is what a reader hears who cannot see the picture, the caption what is read below it
    assert len(figure.title) >= 10 and not figure.title.endswith(".")
    assert figure.caption.strip().endswith(".") and figure.caption != figure.title
    assert figure.status != "scaled" or figure.differs.strip()
    assert [f.title for f in paper.figures].count(figure.title) == 1


@each_claim
def test_every_claim_states_something_whose_source_can_be_found(paper, claim):
    """A paper (its year or its figure, theorem, table, section, abstract), or a derivation or check
    of ours."""
    words = (
        r"\b(19|20)\d\d\b|Theorem|Lemma|Proposition|Corollary|Eq\.|Fig|Table|Section|abstract"
        r"|[oO]ur |Algorithm"
    )
    assert claim.id.isidentifier() and len(claim.statement) >= 20
    assert re.search(words, claim.source), claim.source
    assert not re.search(r"dossier|issue|prototype|TODO", claim.source, re.IGNORECASE), claim.source


@each_claim
def test_every_claim_is_judged_at_a_preset_that_exists_and_at_quick_or_above(paper, claim):
    assert set(claim.presets) & set(paper.presets) - {"smoke"}, claim.presets


# The smoke preset, computed


@pytest.fixture(
    scope="module",
    params=[TEMPLATE, *(pytest.param(p, marks=pytest.mark.slow) for p in ROOMS[1:])],
    ids=lambda p: p.slug,
)
def computed(request, tmp_path_factory):
    """A room and the results of its smoke preset, computed once (set THEORYLAB_STORE to keep
    them)."""
    paper = request.param
    kept = os.environ.get("THEORYLAB_STORE")
    store = Store(Path(kept) if kept else tmp_path_factory.mktemp("results"))
    names = [e.name for e in paper.experiments]
    return paper, Runner(store, progress=False).run(paper, paper.preset("smoke"), names)


def faults_of(figure, results, preset):
    """What a reader would find wrong with a figure and with its table: kinds of fault."""
    table = figure.table({n: results[n] for n in figure.needs}, preset)
    found = set() if len(table) else {"no rows"}
    for name in table.columns:
        if np.issubdtype(table[name].dtype, np.number):
            found |= {f"infinite {name}"} if np.isinf(table[name]).any() else set()
            # not a number says that there is none, which cannot be so in every row
            found |= {f"no {name}"} if np.isnan(table[name]).all() else set()
    with house_style():
        picture = figure.draw(Table.from_csv(table.to_csv()))
        return found | {f.kind for f in findings(picture, f"{figure.caption} {figure.differs}")}


def test_every_table_has_numbers_and_is_drawn_from_its_csv_without_a_fault(computed):
    paper, results = computed
    for figure in paper.figures:
        allowed = {fault for name, fault in ALLOWED if name == figure.name}
        assert faults_of(figure, results, paper.preset("smoke")) == allowed, figure.name


def test_no_claim_fails_and_sampled_evidence_comes_from_cells_with_seeds(computed):
    paper, results = computed
    smoke = paper.preset("smoke")
    judged = 0
    for claim in paper.claims:
        verdict = claim.evaluate(results, smoke)
        assert not verdict.failed, f"{claim.id}: {verdict.status} {verdict.evidence}"
        seeded = any("seed" in key for n in claim.needs for row in results[n] for key in row.cell)
        assert seeded or all(e.sample is None for e in verdict.evidence), claim.id
        judged += verdict.status != "skipped"
    assert judged or all("smoke" not in c.presets for c in paper.claims)


def test_a_cell_computed_again_gives_the_same_numbers(computed):
    paper, results = computed
    for experiment in paper.experiments:
        row = min(results[experiment.name], key=lambda r: r.meta["seconds"])
        needs = experiment.needs(row.cell)
        upstream = {
            kw: next(r for r in results[name] if canonical(r.cell) == canonical(cell)).arrays
            for kw, (name, cell) in needs.items()
        }
        # both here: on another machine, rounding may turn a choice and with it all that follows
        one, other = (compute(experiment, row.cell, upstream).arrays for _ in range(2))
        assert set(one) == set(other) == set(row.arrays)
        for name, array in one.items():
            assert same(array, other[name]), f"{experiment.name}: {name}"


def same(one, other):
    """Equal up to the rounding of sums whose order is not fixed, which training enlarges."""
    if one.shape != other.shape or not np.issubdtype(one.dtype, np.inexact):
        return np.array_equal(one, other)
    kept = np.isfinite(other)
    if not np.array_equal(one[~kept], other[~kept], equal_nan=True):
        return False
    size = np.linalg.norm(other[kept])
    return np.linalg.norm(one[kept] - other[kept]) <= 1e-3 * size + 1e-9


# The room to copy, and what is found when it is spoiled


def spoiled(**changes):
    return replace(TEMPLATE, **changes)


def with_cells(cells):
    (spread,) = TEMPLATE.experiments
    return spoiled(experiments=(replace(spread, cells=cells),))


(FIGURE,), (CLAIM,) = TEMPLATE.figures, TEMPLATE.claims
SPOILED = [
    (test_a_room_says_what_its_paper_is, spoiled(summary="")),
    (test_a_room_says_what_its_paper_is, spoiled(venue="Biometrika")),
    (test_a_room_says_what_its_paper_is, spoiled(arxiv="arXiv 2207")),
    (
        test_every_preset_bears_its_name_and_says_what_it_leaves_out,
        spoiled(presets={n: replace(p, omits="") for n, p in TEMPLATE.presets.items()}),
    ),
    (
        test_every_experiment_is_used_by_a_figure_or_a_claim,
        spoiled(figures=(), claims=()),
    ),
    (
        test_results_do_not_depend_on_how_they_are_shown_or_judged,
        spoiled(experiments=(replace(TEMPLATE.experiments[0], run=FIGURE.table),)),
    ),
]
SPOILED_CELLS = [
    (
        test_every_cell_is_json_that_its_function_accepts_and_has_a_key_of_its_own,
        [{"n": 4, "draws": 2, "seed": 0}] * 2,
    ),
    (
        test_every_cell_is_json_that_its_function_accepts_and_has_a_key_of_its_own,
        [{"n": (4, 5), "draws": 2, "seed": 0}],
    ),
    (
        test_every_cell_is_json_that_its_function_accepts_and_has_a_key_of_its_own,
        [{"n": 4, "draws": 2, "base": 0}],
    ),
    (
        test_another_base_seed_changes_every_cell_that_has_a_seed_and_no_other,
        [{"n": 4, "draws": 2, "seed": 0}],
    ),
]


@pytest.mark.parametrize(("check", "paper"), SPOILED)
def test_a_spoiled_room_is_caught(check, paper):
    with pytest.raises(AssertionError):
        check(paper)


@pytest.mark.parametrize(("check", "cells"), SPOILED_CELLS)
def test_spoiled_cells_are_caught(check, cells):
    with pytest.raises((AssertionError, TypeError)):
        check(with_cells(lambda preset: cells), "smoke")


@pytest.mark.parametrize(
    "change",
    [{"status": "new"}, {"status": "scaled"}, {"title": "Errors"}, {"caption": "Of the mean"}],
)
def test_a_spoiled_figure_is_caught(change):
    figure = replace(FIGURE, **change)
    with pytest.raises(AssertionError):
        test_every_figure_says_what_it_shows_and_how_it_relates_to_the_paper(
            spoiled(figures=(figure,)), figure
        )


@pytest.mark.parametrize("source", ["the paper", "the dossier of 2024", ""])
def test_a_spoiled_source_is_caught(source):
    with pytest.raises(AssertionError):
        test_every_claim_states_something_whose_source_can_be_found(
            TEMPLATE, replace(CLAIM, source=source)
        )


def results_with(change):
    cells = TEMPLATE.experiments[0].cells(TEMPLATE.preset("smoke"))
    rows = [compute(TEMPLATE.experiments[0], cell, {}) for cell in cells]
    changed = (replace(r, arrays={k: change(v) for k, v in r.arrays.items()}) for r in rows)
    return {"spread": Results(tuple(changed))}


def draw_without_a_seed(n, draws, seed):
    return {name: np.random.default_rng().normal(size=3) for name in ("mean", "median")}


def test_spoiled_results_are_caught():
    with pytest.raises(AssertionError):
        test_every_table_has_numbers_and_is_drawn_from_its_csv_without_a_fault(
            (TEMPLATE, results_with(lambda a: a * np.nan))
        )
    unseeded = replace(TEMPLATE.experiments[0], run=draw_without_a_seed)
    with pytest.raises(AssertionError):
        test_a_cell_computed_again_gives_the_same_numbers(
            (spoiled(experiments=(unseeded,)), results_with(lambda a: a))
        )
    judged = spoiled(claims=(replace(CLAIM, presets=("smoke",)),))
    with pytest.raises(AssertionError):
        test_no_claim_fails_and_sampled_evidence_comes_from_cells_with_seeds(
            (judged, results_with(lambda a: 0.5 * a))
        )


def test_a_folder_copied_beside_the_rooms_is_a_room(monkeypatch):
    before = list(papers.rooms())
    beside = [*papers.__path__, str(folder_of(TEMPLATE).parent)]
    monkeypatch.setattr(papers, "__path__", beside)
    found = papers.rooms()
    assert set(found) == {*before, "paper_room"} and len(found) == len(before) + 1
    assert found["paper_room"].title == TEMPLATE.title


def test_a_room_whose_slug_is_not_its_folder_is_refused(monkeypatch):
    monkeypatch.setattr(papers, "__path__", [str(folder_of(TEMPLATE).parent)])
    monkeypatch.setattr(paper_room, "PAPER", spoiled(slug="another"))
    monkeypatch.setitem(sys.modules, "theorylab.papers.paper_room", paper_room)
    with pytest.raises(InputError, match="write slug='paper_room'"):
        papers.get("paper_room")
