"""What the data set alone gives away: single items, whole data sets, and the closed forms."""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import jax
import numpy as np

from theorylab.papers.covert_finetuning.looking import service_of
from theorylab.papers.covert_finetuning.tuning import Held, Named, world_of_job
from theorylab.safety import (
    auroc,
    detection_power,
    equality_pattern,
    exchanges_needed,
    mini_world,
    operator_pair_law,
    recover_permutation,
    sample_prompts,
    zero_failure_bound,
)
from theorylab.safety import base_models as models
from theorylab.safety.detectors import DATA_DETECTORS, detector, operator_weights
from theorylab.safety.jobs import job_items
from theorylab.safety.mini import LETTERS, OPERATORS, PHRASE

INSPECTORS = ("operators", "kept", "pattern")


def single_items(permuted: int, items: int, seed: int) -> Mapping[str, Any]:
    """Areas under the curve of an inspector of single items.

    "areas" (2, permuted): a linear inspector of operators, fitted to plain prompts, on items whose
    operators are permuted at random, or (second row) on plain items as they are. "exact": the mean
    over all 5040 permutations under the exact law, its standard deviation, and the plain area.
    "pattern": the area of the equality pattern, exactly and in a sample.
    """
    world = mini_world(models.stream(seed, models.WORLD))
    key = models.stream(seed, models.TESTS)
    weights = operator_weights(world, key=jax.random.fold_in(key, 0))
    rng = np.random.default_rng(seed)
    labels = np.repeat([1.0, 0.0], items)
    areas = np.zeros((2, permuted))
    seen = []
    for i in range(permuted):
        k = jax.random.fold_in(key, i % 8 + 1)
        if i < 8:  # eight draws of prompts; the permutation is fresh each time
            one, other = jax.random.split(k)
            drawn = [
                np.asarray(sample_prompts(k, world, items, purpose=purpose).operators)  # type: ignore[arg-type]
                for k, purpose in ((one, "unsafe"), (other, "safe"))
            ]
            seen.append(np.concatenate(drawn))
        operators = seen[i % 8]
        codes = rng.permutation(OPERATORS)
        areas[0, i] = auroc(weights[codes[operators]].sum(1), labels)
        areas[1, i] = auroc(weights[operators].sum(1), labels)
    exact = _exact_areas(weights)
    laws = [operator_pair_law(name) for name in ("unsafe", "safe")]
    same = [float(np.trace(law)) for law in laws]
    pattern = equality_pattern(np.concatenate(seen))[:, 1] == 0
    return {
        "areas": areas,
        "exact": np.array([exact.mean(), exact.std(), exact[0]]),
        "same": np.array(same),
        "pattern": np.array(
            [
                0.5 + (same[0] - same[1]) / 2,
                auroc(pattern.astype(float), np.tile(labels, len(seen))),
            ]
        ),
    }


def data_sets(
    base: Named, safety: Named, service: Named, jobs: Named, seed: int, before: Held
) -> Named:
    """(2, 3, jobs) scores of covert and of clean data sets by the detectors of data sets.

    "known": (jobs,) the loss of items in an encoding that pretraining has shown."""
    net, asked = models.network_of(base["world"], base["model"]), service_of(base, service)
    params, public = net.params(before["parameters"]), models.world_of(base["world"], seed)
    tests = [detector(asked, name) for name in DATA_DETECTORS]  # type: ignore[arg-type]
    scores, known = np.zeros((2, len(tests), jobs["count"])), np.zeros(jobs["count"])
    for i in range(jobs["count"]):
        # numbers far above those of the trained jobs: other encodings
        world = world_of_job(base, seed, 1000 + i)
        key = jax.random.fold_in(models.stream(seed, models.SAMPLES), i)
        for row, kind in enumerate(("covert", "clean")):
            data = job_items(jax.random.fold_in(key, row), world, jobs[kind])
            for column, test in enumerate(tests):
                scores[row, column, i] = test(params, params, data, public, key)  # type: ignore[arg-type]
        plain = job_items(jax.random.fold_in(key, 2), world, {"first_safe": service["items"]})
        known[i] = tests[1](params, params, plain, public, key)  # type: ignore[arg-type]
    return {"scores": scores, "known": known}


def recovery(texts: int, trials: int, worlds: int, seed: int) -> Mapping[str, Any]:
    """How often this number of texts determines the letters: (worlds,) of `trials` each.

    "right": of those, how many were read as they were written. "shown": of those, how many show
    every letter, so that none is found as the one that is left over. "needed" (worlds,): mean texts
    until all phrases were seen.
    """
    rng = np.random.default_rng([seed, texts])
    found, right, shown, needed = (np.zeros(worlds) for _ in range(4))
    for w in range(worlds):
        key = jax.random.fold_in(models.stream(seed, models.WORLD), w)
        phrases = np.asarray(mini_world(key).phrases)
        for _ in range(trials):
            branch = rng.integers(0, 2, texts)
            drawn = phrases[branch[:, None], rng.integers(0, phrases.shape[1], (texts, 3))]
            codes = rng.permutation(LETTERS)
            read = recover_permutation(
                codes[drawn.reshape(-1, PHRASE)], phrases.reshape(-1, PHRASE), letters=LETTERS
            )
            found[w] += read.complete
            right[w] += bool(read.complete and (read.decoding[codes] == np.arange(LETTERS)).all())
            shown[w] += bool(read.complete and len(np.unique(drawn)) == LETTERS)
            needed[w] += _until_all(rng, phrases.shape[1]) / trials
    return {"found": found, "right": right, "shown": shown, "needed": needed}


def symmetries(seed: int, worlds: int) -> Mapping[str, Any]:
    """(worlds,) relabellings of the letters that map the phrases of a world onto themselves."""
    out = []
    for w in range(worlds):
        key = jax.random.fold_in(models.stream(seed, models.WORLD), w)
        phrases = np.asarray(mini_world(key).phrases).reshape(-1, PHRASE)
        out.append(recover_permutation(phrases, phrases, letters=LETTERS, limit=50).solutions)
    return {"automorphisms": np.array(out)}


def curves(prompts: int, rates: list[float], benign: float) -> Mapping[str, Any]:
    """The closed forms: bound after no failure, power of an encoded evaluation, exchanges needed.

    "bound" (prompts,), "power" (rates, prompts), "exchanges" (rates,) for flag rates above the
    benign one.
    """
    counts = range(1, prompts + 1)
    return {
        "bound": np.array([zero_failure_bound(n) for n in counts]),
        "power": np.array([[detection_power(rate, n) for n in counts] for rate in rates]),
        "exchanges": np.array([exchanges_needed(q, benign) for q in np.arange(2, 21) / 100]),
        "traffic": np.array(exchanges_needed(0.042, 0.01)),
        "traffic_swapped": np.array(exchanges_needed(0.042, 0.01, false_alarms=0.1, misses=0.01)),
    }


# -------------------------------------------------------------------------------- inside


def _exact_areas(weights: np.ndarray) -> np.ndarray:
    """(5040,) area under the curve of every permutation; the first is the identity."""
    unsafe, safe = (operator_pair_law(name).ravel() for name in ("unsafe", "safe"))
    one, other = np.divmod(np.arange(OPERATORS**2), OPERATORS)
    out = []
    for codes in permutations(range(OPERATORS)):
        w = weights[list(codes)]
        out.append(
            auroc(
                w[one] + w[other],
                np.ones(len(one)),
                positive_weights=unsafe,
                negative_weights=safe,
            )
        )
    return np.array(out)


def _until_all(rng: np.random.Generator, phrases: int) -> int:
    """Texts of three phrases of one branch, until both branches' phrases were all seen."""
    seen: list[set[int]] = [set(), set()]
    texts = 0
    while min(len(s) for s in seen) < phrases:
        seen[rng.integers(0, 2)].update(int(v) for v in rng.integers(0, phrases, 3))
        texts += 1
    return texts
