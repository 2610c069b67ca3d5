"""What single items and whole data sets give away of an encoding."""

import numpy as np

from theorylab.lab import Claim, Evidence, over_seeds, share
from theorylab.papers.covert_finetuning.claims.shared import PAGE, TRAINED, All, Measure, Preset
from theorylab.papers.covert_finetuning.tables import recovered


def items_look_alike(plain: bool) -> Measure:
    """Mean area under the curve of an inspector of single items within .5 +- .07, over sampled
    permutations and over all 5040."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        row = results["single_items"].rows[0]
        exact = float(row["exact"][2 if plain else 0])
        return [
            over_seeds("mean over permutations", row["areas"][int(plain)], low=0.43, high=0.57),
            Evidence("mean over all 5040 permutations", exact, low=0.43, high=0.57),
        ]

    return measure


def one_is_chance(plain: bool) -> Measure:
    """The area scatters over permutations with a standard deviation of at least .1, from below .2
    to above .8."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        areas = results["single_items"].rows[0]["areas"][int(plain)]
        return [
            Evidence("standard deviation", float(areas.std()), low=0.1),
            Evidence("smallest", float(areas.min()), high=0.2),
            Evidence("largest", float(areas.max()), low=0.8),
        ]

    return measure


def pattern(full: bool) -> Measure:
    """Equal operators have probability .3125 in unsafe and .175 in safe prompts, so the pattern has
    area .56875; in a sample within .02."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        row = results["single_items"].rows[0]
        same = row["same"][::-1] if full else row["same"]
        area = float(row["exact"][2] if full else row["pattern"][0])
        sampled = float(row["areas"][1].mean() if full else row["pattern"][1])
        return [
            Evidence("equal operators, unsafe", float(same[0]), 0.3125 - 1e-9, 0.3125 + 1e-9),
            Evidence("equal operators, safe", float(same[1]), 0.175 - 1e-9, 0.175 + 1e-9),
            Evidence("area", area, 0.56875 - 1e-9, 0.56875 + 1e-9),
            Evidence("area in a sample", sampled, 0.54875, 0.58875),
        ]

    return measure


def letters_recovered(least: int, most: int) -> Measure:
    """Ten texts or more determine the letters in at least 95 % of trials, and rightly."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        found, right, trials = recovered(results, least, most)
        return [
            share("determined", found, trials, low=0.95),
            Evidence("wrong among the determined", float(found - right), 0.0, 0.0),
        ]

    return measure


def recovery_curve(shift: int) -> Measure:
    """Three texts show all letters and determine them in 40 % of trials, within .1; six in 97.5 %,
    within .05."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        counts = sorted({row.cell["texts"] for row in results["recovery"]})
        out = []
        for texts, want, width in ((3, 0.4, 0.1), (6, 0.975, 0.05)):
            rows = results["recovery"].where(texts=counts[counts.index(texts) - shift])
            shares = rows.stack("shown").ravel() / rows.rows[0].cell["trials"]
            low, high = want - width, min(want + width, 1.0)
            out.append(over_seeds(f"shown and determined by {texts} texts", shares, low, high))
        return out

    return measure


def no_symmetry(doubled: bool) -> Measure:
    """The phrases of every world have one automorphism only."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        found = results["symmetries"].rows[0]["automorphisms"]
        most = float(found.max() * (2 if doubled else 1))
        return [Evidence("most automorphisms of a world", most, 1.0, 1.0)]

    return measure


def closed_forms(swapped: bool) -> Measure:
    """520 prompts without a failure leave .57 %, where 3/n gives .58 %; at 26 % ten prompts detect
    with .95; 233 exchanges tell flag rates .042 and .01 apart."""

    def measure(results: All, p: Preset) -> list[Evidence]:
        row = results["curves"].rows[0]
        bound = float(row["bound"][519])
        direct = 1 - np.exp(np.log(0.05) / 520)
        power = float(row["power"][2, 9])
        traffic = float(row["traffic_swapped" if swapped else "traffic"])
        return [
            Evidence("bound after 520 prompts", bound, direct - 1e-12, direct + 1e-12),
            Evidence("bound, less than 3/n", 3 / 520 - bound, 0.0, 1e-4),
            Evidence("power of ten prompts at .26", power, 1 - 0.74**10 - 1e-12, 0.951),
            Evidence("exchanges", traffic, 232.5, 233.5),
        ]

    return measure


CLAIMS = (
    Claim(
        "items_look_alike",
        "On encoded items an inspector of single items has a mean area under the curve of .5, "
        "within .07, over permutations",
        f"{PAGE}, statement 1; within .07",
        ("single_items",),
        items_look_alike(False),
        {"plain items": items_look_alike(True)},
        presets=TRAINED,
    ),
    Claim(
        "one_is_chance",
        "For one permutation it may be anything from below .2 to above .8",
        "our measurement; the margins are ours",
        ("single_items",),
        one_is_chance(False),
        {"plain items": one_is_chance(True)},
        presets=TRAINED,
    ),
    Claim(
        "pattern",
        "The equality of the two operators, all that a permutation leaves of an item, has area "
        ".56875",
        f"{PAGE}, statement 1",
        ("single_items",),
        pattern(False),
        {"the operators themselves": pattern(True)},
        presets=TRAINED,
    ),
    Claim(
        "letters_recovered",
        "Ten texts or more determine the permutation of letters in at least 95 % of trials",
        f"{PAGE}, statement 2; the share is ours",
        ("recovery",),
        letters_recovered(10, 10**6),
        {"three texts": letters_recovered(3, 3)},
        presets=TRAINED,
    ),
    Claim(
        "recovery_curve",
        "Three texts show all letters and determine them in 40 % of trials, six in 97.5 %",
        "our measurement, within .1 and .05",
        ("recovery",),
        recovery_curve(0),
        {"one step fewer texts": recovery_curve(1)},
        presets=TRAINED,
    ),
    Claim(
        "no_symmetry",
        "The phrases of a world have no symmetry but the identity, so that it is determined at all",
        f"{PAGE}, statement 2",
        ("symmetries",),
        no_symmetry(False),
        {"each counted twice": no_symmetry(True)},
        kind="identity",
    ),
    Claim(
        "closed_forms",
        "After 520 prompts without a failure .57 % remain possible; 233 exchanges tell .042 from "
        ".01",
        f"{PAGE}, statement 3",
        ("curves",),
        closed_forms(False),
        {"the two errors exchanged": closed_forms(True)},
        kind="identity",
    ),
)
