"""The presets, and what each of their values means."""

from theorylab.lab import MEDIUM, Preset

MEANINGS = {
    "cases": "random cases of the closed form",
    "missing": "numbers of missing records among 1,000",
    "mechanism_missing": "numbers of missing records among 200 behind which mechanisms stand",
    "steps": "numbers of steps of descent",
    "sampled": "[rate, noise, order, records, movement] of Poisson-sampled sums",
    "spreads": "random shifts of the last iterate",
    "sampled_epsilons": "[rate, noise, steps] of sampled Gaussians that are accounted for in full",
    "pairs": "adversarial replacements for each bound",
    "margin_pairs": "adversarial replacements for each margin",
    "lengths": "records of chains of near-duplicates",
    "turned": "[records, replacements] of data sets whose worst neighbour is searched for",
    "low_rank": "[records, dimensions, seeds, repeated noise] of data of nearly rank 3",
    "tables": "[tables, records, seeds, repeated noise] whose missing values are imputed",
    "copies": "records of the tables among which duplicates are counted",
    "images": "[source, records, repeated noise, seeds] of image features",
    "ranks": "numbers of principal directions of the images",
}

_QUICK = {
    "cases": 100,
    "missing": [0, 1, 10, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900],
    "mechanism_missing": [0, 10, 20, 40, 60, 80],
    "steps": [1, 2, 5, 10, 20, 50, 100, 200],
    "sampled": [
        [0.5, 2, 3, 4, 0.6],
        [0.2, 1, 2, 5, 0.3],
        [0.3, 1, 4, 3, 0.4],
        [0.1, 1, 4, 1, 0.5],
    ],
    "spreads": 200,
    "sampled_epsilons": [[0.01, 1.0, 1000], [0.02, 1.1, 500]],
    "pairs": 100_000,
    "margin_pairs": 10_000,
    "lengths": [10, 20, 40, 80],
    "turned": [400, 400],
    "low_rank": [2000, 500, 5, 2],
    "tables": [["adult", "fars"], 8000, 2, 2],
    "copies": 40_000,
    "images": [["fashion_mnist", 4000, 2, 1]],
    "ranks": [1, 2, 3],
}
_SMOKE = _QUICK | {
    "cases": 10,
    "missing": [0, 10, 100, 500, 900],
    "mechanism_missing": [0, 20, 60],
    "steps": [1, 10, 100],
    "sampled": [[0.3, 1, 4, 3, 0.4]],
    "spreads": 20,
    "sampled_epsilons": [[0.01, 1.0, 1000]],
    "pairs": 3000,
    "margin_pairs": 2000,
    "lengths": [10, 40],
    "turned": [100, 60],
    "low_rank": [400, 20, 2, 1],
    "tables": [["fashion_mnist sample"], 400, 2, 1],
    "copies": 400,
    "images": [["fashion_mnist sample", 400, 1, 1]],
    "ranks": [1, 2],
}
_MEDIUM = _QUICK | {
    "low_rank": [4000, 1000, 10, 4],
    "tables": [["adult", "fars"], 20_000, 5, 4],
    "images": [["fashion_mnist", 20_000, 2, 3], ["cifar10", 8000, 2, 1]],
    "ranks": [1, 2, 3, 5, 8],
}
_FULL = _MEDIUM | {
    "cases": 1000,
    "pairs": 1_000_000,
    "margin_pairs": 100_000,
    "turned": [2000, 100_000],
    "low_rank": [20_000, 2000, 20, 4],
    "images": [["fashion_mnist", 60_000, 4, 5], ["cifar10", 50_000, 4, 5]],
}

PRESETS = {
    "smoke": Preset("smoke", _SMOKE, omits="Sizes of seconds, for tests: learning is not judged."),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="The paper's own experiments could not be read; ours have 2,000 records of 500 "
        "dimensions, 8,000 of each table, and pooled pixels of 4,000 images in the place of "
        "features.",
    ),
    MEDIUM: Preset(
        MEDIUM,
        _MEDIUM,
        omits="The paper's own experiments could not be read; ours have 4,000 records of 1,000 "
        "dimensions, 20,000 of each table, and features of 8,000 photographs.",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits="The paper's own experiments could not be read; ours are of the same kind.",
    ),
}
