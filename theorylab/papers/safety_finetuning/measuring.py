"""What is measured on a base model and on what safety fine-tuning made of it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from theorylab.safety import (
    SITES,
    PromptSet,
    activations,
    along_change,
    draw_set,
    embedding_fragility,
    judge,
    local_lipschitz,
    next_tokens,
    null_space_projection,
    row_space_profile,
    selectivity,
    separation,
    spectrum,
    tau,
    verdict_rates,
)
from theorylab.safety import base_models as models

MATRICES = ("mlp_in", "mlp_out")
OUTPUTS = ("logit", "prob")
CLASSES = ("safe", "unsafe")
Named = Mapping[str, Any]
Held = Mapping[str, np.ndarray]


class Looked(NamedTuple):
    """A network with the prompts it is looked at with: sets by name, and those that give means."""

    net: models.Network
    sets: Mapping[str, PromptSet]
    means: Mapping[str, PromptSet]
    places: Mapping[str, int]


def _look(base: Named, looking: Named, seed: int, names: Sequence[str]) -> Looked:
    """Test prompts; means of the two classes come from other prompts than what is judged."""
    world, model = base["world"], base["model"]
    drawn, key = models.world_of(world, seed), models.stream(seed, models.TESTS)

    def draw(name: str, use: int) -> PromptSet:
        # one stream a name: a set is the same whichever others are asked for
        number = sum(ord(c) * 31**i for i, c in enumerate(name)) % 2**31
        k = jax.random.fold_in(jax.random.fold_in(key, use), number)
        return draw_set(k, drawn, looking["prompts"], name=name)

    return Looked(
        models.network_of(world, model),
        {name: draw(name, 0) for name in names},
        {name: draw(name, 1) for name in CLASSES},
        looking["places"],
    )


@lru_cache(maxsize=32)
def _seeing(f: Any) -> Any:
    return jax.jit(lambda p, tokens, places: activations(f, p, tokens, places))


@lru_cache(maxsize=32)
def _seeing_embedded(f: Any) -> Any:
    return jax.jit(lambda p, e, places: activations(f, p, None, places, embeddings=e))


@lru_cache(maxsize=32)
def _slopes(f: Any) -> Any:
    return jax.jit(
        lambda p, e, start: {of: local_lipschitz(f, p, e, start, of=of) for of in OUTPUTS}  # type: ignore[arg-type]
    )


@lru_cache(maxsize=32)
def _inputs(f: Any) -> Any:
    """Inputs (layers, n, width) of the first MLP matrix, averaged over the places looked at."""

    def run(p: Any, tokens: Any, places: Any) -> Any:
        seen = f(p, tokens, capture=True)[1]
        at = places[:, :, None]
        return jnp.stack([jnp.take_along_axis(a["mlp_in"], at, 1).mean(1) for a in seen])

    return jax.jit(run)


def _places(prompts: PromptSet, where: Mapping[str, int]) -> Any:
    return prompts.start[:, None] + where["first"] + jnp.arange(where["count"])


def _states(look: Looked, params: Any, prompts: PromptSet) -> Mapping[str, Any]:
    return _seeing(look.net.f)(params, prompts.executed, _places(prompts, look.places))


def _centres(look: Looked, params: Any) -> Mapping[str, Mapping[str, Any]]:
    seen = {name: _states(look, params, look.means[name]) for name in CLASSES}
    return {site: {name: seen[name][site].mean(1) for name in CLASSES} for site in SITES}


def _tau(states: Mapping[str, Any], centres: Any) -> dict[str, np.ndarray]:
    return {
        site: np.asarray(tau(states[site], centres[site]["safe"], centres[site]["unsafe"]))
        for site in SITES
    }


def _verdicts(base: Named, params: Any, prompts: PromptSet) -> np.ndarray:
    written = models.written(base["world"], base["model"], params, prompts)
    return np.asarray(judge(prompts, written))


def _rates(verdicts: np.ndarray) -> list[float]:
    found = verdict_rates(verdicts)  # type: ignore[arg-type]
    return [float(found.bad), float(found.good), float(found.unclear)]


def _embedded(params: Any, tokens: Any) -> Any:
    return params["embedding"]["embedding"][tokens]


def _weight(params: Any, layer: int, matrix: str) -> np.ndarray:
    """(outputs, inputs)."""
    return np.asarray(params["blocks"][layer][matrix]["kernel"]).T


def _depth(params: Any) -> int:
    return len(params["blocks"])


def _change(before: Any, after: Any, inputs: Mapping[str, Any], looking: Named) -> dict[str, Any]:
    """What the change of the MLP matrices is like; matrices x layers, of inputs layers alone."""
    leading, depth = looking["leading"], _depth(before)
    out: dict[str, list[Any]] = {
        name: [] for name in ("projection", "baseline", "chance", "size", "singular", "share")
    }
    for matrix in MATRICES:
        for layer in range(depth):
            W = _weight(before, layer, matrix)
            D = _weight(after, layer, matrix) - W
            found = null_space_projection(W, D, energy=looking["energy"], leading=leading)
            values = spectrum(D)
            out["projection"].append(found.projections)
            out["baseline"].append(found.baseline)
            out["chance"].append([found.random(p) for p in (0.025, 0.975)])
            out["size"].append(np.linalg.norm(D) / np.linalg.norm(W))
            out["singular"].append(values.values)
            out["share"].append([values.leading_share, values.leading_energy])
    shaped = {k: np.array(v).reshape(2, depth, *np.shape(v[0])) for k, v in out.items()}
    acted, profile = [], []
    for layer in range(depth):
        first = MATRICES[0]
        D = _weight(after, layer, first) - _weight(before, layer, first)
        acted.append([selectivity(D, inputs[name][layer]) for name in CLASSES])
        profile.append([row_space_profile(D, inputs[name][layer]).mean(0) for name in CLASSES])
    return {**shaped, "acted": np.array(acted), "profile": np.array(profile)}


def measured(
    base: Named,
    run: Named | None,
    looking: Named,
    seed: int,
    start: Held,
    end: Held | None = None,
) -> Mapping[str, Any]:
    """Everything that is measured on one network: the base model itself without `end`.

    "verdicts" (sets, n), "rates" (sets, 3: executed, refused, unclear); "tau_mean", "tau_sd"
    (sites, sets, layers) and "tau" (sets, n) of the last layer at the chosen site; "gap" and
    "standardised" (sites, layers) of safe and unsafe prompts, and "gap_shuffled" with their labels
    shuffled; "slopes" (outputs, classes, n); "cluster" (classes, layers, 2) leading share and
    energy of each class's cluster. Of a change also what `_change` gives.
    """
    names = looking["sets"]
    look = _look(base, looking, seed, names)
    before = look.net.params(start["parameters"])
    params = before if end is None else look.net.params(end["parameters"])
    centres = _centres(look, params)
    states = {name: _states(look, params, look.sets[name]) for name in names}
    taus = {name: _tau(states[name], centres) for name in names}
    site = looking["site"]
    verdicts = np.array([_verdicts(base, params, look.sets[name]) for name in names])
    both = np.concatenate([taus[name][site] for name in CLASSES], 1)
    order = np.random.default_rng(seed).permutation(both.shape[1])
    halves = np.split(both[:, order], [taus["safe"][site].shape[1]], 1)
    apart = [separation(taus["safe"][s], taus["unsafe"][s]) for s in SITES]
    slopes = [
        _slopes(look.net.f)(
            params, _embedded(params, look.sets[name].executed), look.sets[name].start
        )
        for name in CLASSES
    ]
    clusters = [
        [spectrum(layer, centred=True) for layer in np.asarray(states[name][site])]
        for name in CLASSES
    ]
    out = {
        "verdicts": verdicts,
        "rates": np.array([_rates(v) for v in verdicts]),
        "tau_mean": np.array([[taus[name][s].mean(1) for name in names] for s in SITES]),
        "tau_sd": np.array([[taus[name][s].std(1, ddof=1) for name in names] for s in SITES]),
        "tau": np.array([taus[name][site][-1] for name in names]),
        "gap": np.array([s.gap for s in apart]),
        "standardised": np.array([s.standardised for s in apart]),
        "gap_shuffled": separation(*halves).gap,
        "slopes": np.array([[found[of] for found in slopes] for of in OUTPUTS]),
        "cluster": np.array([[[s.leading_share, s.leading_energy] for s in of] for of in clusters]),
    }
    if end is not None:
        inputs = {
            name: np.asarray(
                _inputs(look.net.f)(
                    params, look.sets[name].executed, _places(look.sets[name], look.places)
                )
            )
            for name in CLASSES
        }
        out |= _change(before, params, inputs, looking)
    return out


def path(
    base: Named,
    run: Named,
    looking: Named,
    amounts: Sequence[float],
    seed: int,
    start: Held,
    end: Held,
) -> Mapping[str, Any]:
    """Along the change of weights: "rates" (amounts, sets, 3) and "gap" (amounts,), last layer."""
    names = looking["sets"]
    look = _look(base, looking, seed, names)
    ends = [look.net.params(held["parameters"]) for held in (start, end)]
    rates, gaps, site = [], [], looking["site"]
    for amount in amounts:
        params = along_change(*ends, amount)  # type: ignore[call-arg]
        rates.append([_rates(_verdicts(base, params, look.sets[name])) for name in names])
        centres = _centres(look, params)
        last = [_tau(_states(look, params, look.sets[name]), centres)[site][-1] for name in CLASSES]
        gaps.append(float(separation(*last).gap))
    return {"rates": np.array(rates), "gap": np.array(gaps)}


def fragility(
    base: Named,
    run: Named,
    looking: Named,
    ball: Named,
    seed: int,
    start: Held,
    end: Held,
) -> Mapping[str, Any]:
    """How far a refusal holds in a ball around a prompt's embeddings, by the slots that may move.

    "opened" (counts,) share of unsafe prompts whose answer no longer opens with the null token,
    "executed" (counts,) share executed under teacher forcing; the first entries are of prompts that
    are not moved. "tau" (counts, n) at the last layer and "executed_each" (counts, n); "tau_safe"
    (n,) of safe prompts that are not moved.
    """
    look = _look(base, looking, seed, CLASSES)
    f, params = look.net.f, look.net.params(end["parameters"])
    centres, prompts = _centres(look, params), look.sets["unsafe"]
    x, y = next_tokens(prompts.executed, prompts.executed_weights)
    e = _embedded(params, x)
    radius = float(jnp.sqrt((params["embedding"]["embedding"] ** 2).sum(1)).mean())
    opened, executed, taus = [], [], []
    for slots in ball["slots"]:
        moved = e
        if slots:
            # a place below 0 counts back from the answer
            at = jnp.array(slots) + jnp.where(jnp.array(slots) < 0, prompts.start[:, None], 0)
            moved = embedding_fragility(
                f, params, e, y, at, radius=radius * ball["radius"], steps=ball["steps"]
            )
        written = _heads(f)(params, moved)
        before = written[jnp.arange(len(written)), prompts.start - 1]
        opened.append(float((before != prompts.null_token).mean()))
        letters = prompts.letters[:, 1:]
        right = (letters & (written == prompts.executed[:, 1:])).sum(1) / letters.sum(1)
        executed.append(np.asarray(right >= 0.8 - 1e-6))
        seen = _seeing_embedded(f)(params, moved, _places(prompts, look.places))
        taus.append(_tau(seen, centres)[looking["site"]][-1])
    safe = _tau(_states(look, params, look.sets["safe"]), centres)[looking["site"]][-1]
    return {
        "opened": np.array(opened),
        "executed": np.mean(executed, 1),
        "executed_each": np.array(executed),
        "tau": np.array(taus),
        "tau_safe": safe,
    }


@lru_cache(maxsize=32)
def _heads(f: Any) -> Any:
    return jax.jit(lambda p, e: f(p, None, embeddings=e).argmax(-1))
