"""The closed forms: the tilted policy, what imitation leaves alone, guards, printed intervals."""

import numpy as np
from scipy.stats import spearmanr

from theorylab.lab import Claim, Evidence, over_seeds
from theorylab.papers.jailbroken.claims.shared import PAGE, TRAINED, All, Measure, Preset
from theorylab.papers.jailbroken.experiments import conditions, tilts
from theorylab.papers.jailbroken.published import (
    CURATED,
    CURATED_PROMPTS,
    HELD_OUT,
    HELD_OUT_PROMPTS,
    MODELS,
)
from theorylab.papers.jailbroken.tables import (
    ENCODINGS,
    NAMES,
    REWRITES,
    UNSAFE,
    log_odds,
    of,
    through_guard,
)
from theorylab.safety import normal_halfwidth

# .06875, rounded up: half the distance in total variation of the joint equality patterns of an
# unsafe and a safe prompt's operators and of the two exchanged (statement 5)
GUARD_SPREAD = 0.069


def tilted(form: str) -> Measure:
    """Policies at the end of gradient ascent differ from the closed form by at most 1e-4."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        return [
            Evidence(
                f"largest difference, table {i + 1}",
                float(np.abs(row["ascended"] - row[form]).max()),
                high=1e-4,
            )
            for i, row in enumerate(results["tilted"])
        ]

    return measure


def worked_example(index: int) -> Measure:
    """The policy (.072494, .659674, .267832) within 1e-4, log-odds -2.208241 within 1e-3."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        row = results["tilted"].rows[index]
        wanted = np.array([0.072494, 0.659674, 0.267832])
        return [
            Evidence("policy", float(np.abs(row["ascended"][0] - wanted).max()), high=1e-4),
            Evidence("log-odds", float(abs(row["log_odds"][0] + 2.208241)), high=1e-3),
        ]

    return measure


def slope(rewards_exchanged: bool) -> Measure:
    """The slope of the log-odds over 1/beta is r(comply) - r(refuse), within 1e-3."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        out = []
        for i, row in enumerate(results["tilted"].rows[1:]):
            reward = row.cell["reward"]
            wanted = (reward[0] - reward[1]) * (-1 if rewards_exchanged else 1)
            found = np.polyfit(1 / np.array(row.cell["betas"]), row["log_odds"], 1)[0]
            out.append(
                Evidence(f"slope off by, table {i + 2}", float(abs(found - wanted)), high=1e-3)
            )
        return out

    return measure


def network_tilt(backwards: bool) -> Measure:
    """In the network: Spearman's correlation of 1/beta and the log-odds on unsafe prompts at most
    -.9, which of five values allows one exchange of neighbours."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        betas = np.array(p["betas"])
        found = [of(results, p, run, experiment="opened") for run in tilts(p)]
        odds = np.array([log_odds(rows, UNSAFE) for rows in found])
        odds = odds[::-1] if backwards else odds
        ranks = [spearmanr(1 / betas, odds[:, w])[0] for w in range(odds.shape[1])]
        return [over_seeds("rank correlation of 1/beta and log-odds", ranks, high=-0.9 + 1e-9)]

    return measure


def off_support(name: str) -> Measure:
    """The largest change of the law behind a compliant opening is 0, refusal above .99."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        row = results["off_support"].rows[0]
        return [
            Evidence("largest change", float(row[name]), 0.0, 0.0),
            Evidence("chance of refusing", float(row["refusal"].min()), low=0.99),
        ]

    return measure


def guard_reads_plain(array: str) -> Measure:
    """The area under the guard's curve on plain prompts is at least .99."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        return [over_seeds("area, plain", results["guarded"].stack(array)[:, 0], low=0.99)]

    return measure


def guard_blind(names: tuple[str, ...]) -> Measure:
    """On encodings the mean area is .5 within .069, the bound of the derivation."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        area = results["guarded"].stack("auroc")
        values = area[:, [REWRITES.index(name) for name in names]].mean(1)
        low, high = 0.5 - GUARD_SPREAD, 0.5 + GUARD_SPREAD
        return [over_seeds("mean area over encodings", values, low, high)]

    return measure


def guarded_success(complement: bool) -> Measure:
    """Success through the guard is BAD (1 - f), within .1, for each readable encoding."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        rows = of(results, p, conditions(p)["narrow"])
        out = []
        for name in ENCODINGS:
            measured, predicted = through_guard(results, rows, name)
            if complement:
                predicted = through_guard(results, rows, "none")[1]
            out.append(over_seeds(f"difference, {NAMES[name]}", measured - predicted, -0.1, 0.1))
        return out

    return measure


def printed(prompts: int, curated: int) -> Measure:
    """Printed half widths are the normal ones, off by at most .005 and rounding; curated rates are
    whole numbers of 32 prompts, off by at most .005."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        out = []
        for name, rows in HELD_OUT.items():
            for model, (rate, width) in zip(MODELS, rows, strict=True):
                # the rate itself is rounded to .01, which moves the half width by less than .001
                off = abs(float(normal_halfwidth(rate, prompts)) - width)
                out.append(Evidence(f"half width, {name}, {model}", off, high=0.006))
        rates = np.array(list(CURATED.values())).ravel()
        off = np.abs(np.round(rates * curated) / curated - rates).max()
        return [*out, Evidence("largest distance to a share", float(off), high=0.005 + 1e-9)]

    return measure


CLAIMS = (
    Claim(
        "tilted_policy",
        "Gradient ascent on reward less a KL penalty ends within 1e-4 of the closed form",
        f"our derivation, {PAGE}, statement 2",
        ("tilted",),
        tilted("closed"),
        {"the penalty doubled": tilted("doubled")},
    ),
    Claim(
        "worked_example",
        "From (.6, .1, .3) with rewards (-1, 1, 0) and beta .5 it ends at (.0725, .6597, .2678)",
        f"our derivation, {PAGE}, statement 2",
        ("tilted",),
        worked_example(0),
        {"another start and other rewards": worked_example(2)},
    ),
    Claim(
        "slope_is_reward",
        "Log-odds are linear in 1/beta with slope r(comply) - r(refuse), within 1e-3",
        f"our derivation, {PAGE}, statement 2",
        ("tilted",),
        slope(False),
        {"rewards exchanged": slope(True)},
    ),
    Claim(
        "network_tilt",
        "In a network that approaches the tilted law by natural gradients, log-odds of complying "
        "with prompts that it has not seen fall with 1/beta: rank correlation at most -.9",
        f"our derivation, {PAGE}, statement 2; the bound is ours",
        ("opened",),
        network_tilt(False),
        {"penalties in reverse": network_tilt(True)},
        presets=TRAINED,
        note="By plain gradients on the reward and the penalty it came out at -.2 in one world and "
        "-1 in two others: refusing starts at a chance of 1e-5, and their gradient carries that "
        "factor.",
    ),
    Claim(
        "off_support",
        "Imitating refusals changes the law behind a compliant opening by 0 in a table",
        f"our derivation, {PAGE}, statement 3",
        ("off_support",),
        off_support("change"),
        {"openings that share their logits": off_support("shared")},
        kind="identity",
    ),
    Claim(
        "guard_reads_plain",
        "A linear guard tells safe from unsafe plain prompts with an area of .99",
        f"our measurement; {PAGE} says what it reads",
        ("guarded",),
        guard_reads_plain("auroc"),
        {"labels shuffled": guard_reads_plain("auroc_shuffled")},
        presets=TRAINED,
    ),
    Claim(
        "guard_blind",
        "On encodings the mean area under its curve is .5, within .069",
        f"our derivation, {PAGE}, statement 5",
        ("guarded",),
        guard_blind(tuple(f"encoding_{i}" for i in range(1, 5))),
        {"plain prompts": guard_blind(("none",))},
        presets=TRAINED,
    ),
    Claim(
        "guarded_success",
        "Success through the guard is BAD (1 - f), within .1, on readable encodings",
        f"our derivation, {PAGE}, statement 5; the margin is ours",
        ("tested", "guarded"),
        guarded_success(False),
        {"flags as on plain prompts": guarded_success(True)},
        presets=TRAINED,
    ),
    Claim(
        "printed_intervals",
        "The printed half widths are the normal ones of 317 prompts, and curated rates are shares "
        "of 32",
        "Wei et al. 2023, tables 1 and 2; our check",
        (),
        printed(HELD_OUT_PROMPTS, CURATED_PROMPTS),
        {"100 prompts and shares of 10": printed(100, 10)},
        kind="identity",
    ),
)
