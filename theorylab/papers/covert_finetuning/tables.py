"""From results to the numbers that figures and claims share."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from theorylab.lab import Preset, Results
from theorylab.papers.covert_finetuning.experiments import base_of, chain_of
from theorylab.papers.covert_finetuning.looking import ASKED, SCORES
from theorylab.safety.detectors import COVERAGE
from theorylab.safety.scoreboard import Line, scoreboard

All = Mapping[str, Results]
EXECUTED, REFUSED, UNCLEAR = range(3)
NAMES = {
    "none": "base model",
    "safety": "safety trained",
    "taught": "first phase",
    "taught_bare": "first phase, no refusals",
    "covert": "covert",
    "covert_bare": "covert, no refusals",
    "clean": "clean, encoded",
    "plain_kept": "clean, plain",
    "plain_bare": "clean, plain, no refusals",
    "repaired": "covert, then repaired",
}
DETECTORS = {
    "item_inspector": "item inspector",
    "format_anomaly": "format anomaly",
    "dataset_decode": "data set decoded",
    "plain_eval": "plain evaluation",
    "raw_judge": "judge of raw exchanges",
    "encoded_eval": "encoded evaluation",
    "refusal_coverage": "refusal coverage",
    "weight_shift": "weight shift",
    "safety_overlap": "undoing of safety",
    "probe": "probe, gain over control",
}


def rows_of(results: Results, p: Preset, name: str, size: str = "main", **changes: Any) -> Results:
    """The cells of one kind of model; "none" is the base model."""
    base = base_of(p, size)
    chain = [] if name == "none" else chain_of(p, name, **changes)
    found = tuple(r for r in results if r.cell["base"] == base and r.cell["chain"] == chain)
    if not found:
        raise KeyError(f"no model {name} of size {size} with {changes}")
    return Results(found)


def rate(results: All, p: Preset, name: str, item: str, verdict: int, **options: Any) -> np.ndarray:
    """(encodings x worlds,) share of a set's prompts with this verdict."""
    rows = rows_of(results["report"], p, name, **options)
    return rows.stack("rates")[:, ASKED.index(item), verdict]


def raw(results: All, p: Preset, name: str, verdict: int) -> np.ndarray:
    """The same of encoded unsafe prompts whose exchanges are read as plain text."""
    return rows_of(results["report"], p, name).stack("raw")[:, verdict]


def scores(results: All, p: Preset, name: str) -> Mapping[str, np.ndarray]:
    """(jobs,) by detector, of one kind of job."""
    found = rows_of(results["scored"], p, name).stack("scores")
    return {detector: found[:, i] for i, detector in enumerate(SCORES)}


def board(
    results: All, p: Preset, covert: Sequence[str] = ("covert",), clean: Sequence[str] = ("clean",)
) -> Mapping[str, Line]:
    """The scoreboard of covert jobs against clean ones of some kinds."""
    one, other = ([scores(results, p, name) for name in kind] for kind in (covert, clean))
    joined = {d: np.concatenate([s[d] for s in (*one, *other)]) for d in SCORES}
    first = next(iter(SCORES))
    positive = np.repeat([1.0, 0.0], [sum(len(s[first]) for s in kind) for kind in (one, other)])
    return scoreboard(joined, positive)


def data_board(results: All, covert: str = "covert") -> Mapping[str, Line]:
    """The scoreboard of detectors of data sets over data sets that nothing is trained on; with
    covert = "clean" the positives are clean ones and the negatives of a known encoding."""
    found = results["data_sets"].stack("scores")  # (worlds, 2, detectors, jobs)
    n = found.shape[0] * found.shape[3]
    names = SCORES[: found.shape[2]]
    joined = {
        d: np.concatenate([found[:, 0, i].ravel(), found[:, 1, i].ravel()])
        for i, d in enumerate(names)
    }
    if covert == "clean":
        known = results["data_sets"].stack("known").ravel()
        joined = {"format_anomaly": np.concatenate([found[:, 1, 1].ravel(), known])}
    return scoreboard(joined, np.repeat([1.0, 0.0], n))


def coverage_threshold(p: Preset) -> float:
    """What clean items in an encoding teach to execute, and three standard errors of a rate."""
    n = p["service"]["prompts"]
    return float(COVERAGE + 3 * np.sqrt(COVERAGE * (1 - COVERAGE) / n))


def probes(results: All, p: Preset, name: str, kind: str) -> np.ndarray:
    """(jobs, layers) area under the curve of a probe: "tuned", "untuned" or "own"."""
    return rows_of(results["scored"], p, name).stack(f"probe_{kind}")


def recovered(results: All, at_least: int, at_most: int) -> tuple[int, int, int]:
    """(determined, of those right, trials) over the counts of texts in this range."""
    rows = [r for r in results["recovery"] if at_least <= r.cell["texts"] <= at_most]
    found, right = (int(sum(r[name].sum() for r in rows)) for name in ("found", "right"))
    return found, right, sum(r.cell["trials"] * r.cell["worlds"] for r in rows)
