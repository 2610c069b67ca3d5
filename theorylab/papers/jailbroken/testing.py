"""What attacks do to a network, and what a guard that reads plain prompts sees of them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.safety import (
    ATTACKS,
    GUARD_SYMBOLS,
    REWRITES,
    Prompts,
    attack_outcomes,
    auroc,
    decision_log_odds,
    guard_scores,
    guard_symbols,
    layout,
    log_odds_inspector,
    sample_prompts,
    with_attack,
)
from theorylab.safety import base_models as models
from theorylab.safety.attack_sets import WRITTEN

Named = Mapping[str, Any]
Held = Mapping[str, np.ndarray]
LABELS = ("safe", "unsafe")
OPENINGS = ("none", "prefix")  # attacks whose openings are looked at
GUARD = 7  # what the seed of a cell is folded with for the guard's prompts


def drawn_tests(world: Any, seed: int, group: int, count: int) -> dict[str, Prompts]:
    """Test prompts of each label; group 0 is the main one, others are held out."""
    key = jax.random.fold_in(models.stream(seed, models.TESTS), group)
    return {
        label: sample_prompts(jax.random.fold_in(key, i), world, count, purpose=label)  # type: ignore[arg-type]
        for i, label in enumerate(LABELS)
    }


@lru_cache(maxsize=16)
def _decisions(f: Any) -> Any:
    return jax.jit(lambda params, tokens: decision_log_odds(f(params, tokens)[:, -1]))


def tested(
    base: Named,
    run: Named | None,
    prompts: int,
    attacks: Sequence[str],
    group: int,
    seed: int,
    start: Held,
    end: Held | None = None,
) -> Mapping[str, Any]:
    """Outcomes of attacks on test prompts; the base model itself without `end`.

    "right" and "null" (labels, attacks, n): right letters of nine and null tokens of ten; labels
    are safe and unsafe.
    """
    world: Any = models.world_of(base["world"], seed)
    net = models.network_of(base["world"], base["model"])
    decode = models.decoder_of(base["world"], base["model"], WRITTEN)
    params = net.params((start if end is None else end)["parameters"])
    both = _both(drawn_tests(world, seed, group, prompts))
    # one attack a call: the keys and values of all of them together do not fit in the cache of a
    # processor, and calls of one shape share one program whatever their number
    found = [attack_outcomes(decode, params, world, both, (name,)) for name in attacks]
    return {
        part: np.array([_by_label(getattr(one, part)[0], np.int8) for one in found]).swapaxes(0, 1)
        for part in ("right", "null")
    }


def opened(
    base: Named,
    run: Named | None,
    prompts: int,
    seed: int,
    start: Held,
    end: Held | None = None,
) -> Mapping[str, Any]:
    """How the main test prompts would be opened; by the base model itself without `end`.

    "log_odds" (labels, openings, n) of complying against refusing, for `OPENINGS`.
    """
    world: Any = models.world_of(base["world"], seed)
    net = models.network_of(base["world"], base["model"])
    params = net.params((start if end is None else end)["parameters"])
    both = _both(drawn_tests(world, seed, 0, prompts))
    asked = [layout(world, with_attack(both, ATTACKS[name])).prompt for name in OPENINGS]
    odds = [_by_label(_decisions(net.f)(params, tokens), np.float32) for tokens in asked]
    return {"log_odds": np.array(odds).swapaxes(0, 1)}


def _both(drawn: Mapping[str, Prompts]) -> Any:
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), *drawn.values())


def _by_label(values: Any, kind: Any) -> np.ndarray:
    return np.asarray(values, kind).reshape(2, -1)


def guarded(world: Named, samples: int, prompts: int, seed: int) -> Mapping[str, Any]:
    """What a linear guard fitted to plain prompts says of the main test prompts.

    "flagged" (labels, rewrites, n) where unsafe is the likelier label; "auroc" (rewrites,) of its
    scores, and "auroc_shuffled" of one fitted to shuffled labels.
    """
    drawn: Any = models.world_of(world, seed)
    keys = jax.random.split(models.stream(seed, GUARD), 2)
    plain = [
        np.asarray(guard_symbols(drawn, layout(drawn, sample)))
        for sample in (
            sample_prompts(k, drawn, samples, purpose=label)  # type: ignore[arg-type]
            for k, label in zip(keys, LABELS, strict=True)
        )
    ]
    mixed = np.random.default_rng(seed).permutation(np.concatenate(plain))
    weights, shuffled = (
        log_odds_inspector(unsafe, safe, symbols=GUARD_SYMBOLS)
        for safe, unsafe in (plain, np.split(mixed, 2))
    )
    tests = drawn_tests(drawn, seed, 0, prompts)
    flagged, area, area_shuffled = [], [], []
    for name in REWRITES:
        seen = [
            guard_symbols(drawn, layout(drawn, with_attack(tests[label], ATTACKS[name])))
            for label in LABELS
        ]
        scores = np.array([guard_scores(weights, symbols) for symbols in seen])
        other = np.array([guard_scores(shuffled, symbols) for symbols in seen])
        truth = np.repeat([0, 1], scores.shape[1])
        flagged.append(scores > 0)
        area.append(auroc(scores.ravel(), truth))
        area_shuffled.append(auroc(other.ravel(), truth))
    return {
        "flagged": np.array(flagged).swapaxes(0, 1),
        "auroc": np.array(area),
        "auroc_shuffled": np.array(area_shuffled),
    }
