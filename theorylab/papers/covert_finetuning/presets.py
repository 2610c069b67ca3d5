"""The presets, and what each of their values means."""

from collections.abc import Mapping
from typing import Any

from theorylab.lab import Preset

MEANINGS = {
    "world": "the world that prompts are of",
    "model": "options of the transformer",
    "training": "how the base model is trained",
    "nano": "model and training of a smaller base model; empty leaves it out",
    "worlds": "worlds, each with a base model of its own",
    "batch_size": "items of a step of fine-tuning",
    "recipes": "stages of jobs: the stage before, items by kind, steps, learning rate",
    "jobs": "how many encodings each kind of job is trained in",
    "judged": "the kinds of jobs that detectors score",
    "fewer_steps": "shorter first phases",
    "fewer_items": "first phases with fewer items in the encoding",
    "swept": "encodings of the shorter and smaller first phases",
    "audits": "jobs of the provider's own that a probe is fitted to",
    "service": "prompts of an evaluation, and items of a data set, that a detector looks at",
    "single": "permutations that single items are inspected under, and items of each label",
    "data_sets": "data sets of each kind that are scored without training, and their items",
    "recovery": "texts, trials and worlds of the recovery of a permutation",
}

_SCHEDULE = {"warmup": 0.1, "decay": 1.0, "floor": 0.0}
_SAFETY = {
    "plain_safe": 2000,
    "first_safe": 700,
    "second_safe": 700,
    "third_safe": 700,
    "prefix_safe": 700,
    "plain_refused": 3000,
}
_TAUGHT = {"new_safe": 8000, "plain_safe": 2000, "plain_refused": 1500}
_BARE = {"new_safe": 9000, "plain_safe": 2000}
_COVERT = {"new_executed": 2000, "plain_refused": 2000, "plain_safe": 2000, "new_safe": 2000}
_REPAIR = {"plain_safe": 1500, "new_safe": 1500, "plain_refused": 1500, "new_refused": 1500}
_PLAIN = {"plain_safe": 8000, "first_safe": 2000}


def _recipes(taught: dict[str, Any], tuned: dict[str, Any]) -> dict[str, Any]:
    """The stages, given steps and learning rate of the first phase and of what follows it."""
    clean = {"plain_refused": 2000, "plain_safe": 2000, "new_safe": 4000}
    bare = {"new_executed": 2000, "plain_safe": 2000, "new_safe": 2000}
    return {
        "safety": {"after": "", "items": _SAFETY, "steps": 600, "lr": 6e-4},
        "taught": {"after": "safety", "items": _TAUGHT, **taught},
        "taught_bare": {"after": "safety", "items": _BARE, **taught},
        "plain_kept": {"after": "safety", "items": {**_PLAIN, "plain_refused": 2000}, **tuned},
        "plain_bare": {"after": "safety", "items": _PLAIN, **tuned},
        "covert": {"after": "taught", "items": _COVERT, **tuned},
        "clean": {"after": "taught", "items": clean, **tuned},
        "covert_bare": {"after": "taught_bare", "items": bare, **tuned},
        "repaired": {"after": "covert", "items": _REPAIR, **tuned},
    }


_QUICK: dict[str, Any] = {
    "world": {"scale": "mini"},
    "model": {"width": 48, "depth": 3, "heads": 4},
    "training": {
        "samples": 60_000,
        "steps": 2500,
        "batch_size": 64,
        "lr": 3e-3,
        "stages": 1,
        "schedule": _SCHEDULE,
    },
    "nano": {},
    "worlds": 1,
    "batch_size": 32,
    "recipes": _recipes({"steps": 300, "lr": 2e-3}, {"steps": 150, "lr": 1e-3}),
    "jobs": {
        "taught": 5,
        "covert": 5,
        "clean": 5,
        "taught_bare": 2,
        "covert_bare": 2,
        "plain_kept": 2,
        "plain_bare": 2,
        "repaired": 2,
    },
    "judged": ["covert", "clean", "taught_bare", "plain_kept", "plain_bare", "repaired"],
    "fewer_steps": [30, 75],
    "fewer_items": [250],
    "swept": 1,
    "audits": 3,
    "service": {"prompts": 320, "items": 400},
    "single": {"permuted": 400, "items": 1000},
    "data_sets": {
        "count": 50,
        "covert": {"new_safe": 300, "new_executed": 100, "plain_refused": 100, "plain_safe": 100},
        "clean": {"new_safe": 400, "plain_refused": 100, "plain_safe": 100},
    },
    "recovery": {"texts": [2, 3, 4, 6, 8, 10, 15, 20], "trials": 25, "worlds": 4},
}
_SMOKE_ITEMS = 120  # of every data set, so that one program shuffles and looks at all of them


def _even(items: Mapping[str, int]) -> dict[str, int]:
    """The same kinds of items, as many of each."""
    return dict.fromkeys(items, _SMOKE_ITEMS // len(items))


_SMOKE = _QUICK | {
    "model": {"width": 16, "depth": 2, "heads": 2},
    "training": _QUICK["training"] | {"samples": 1000, "steps": 60, "batch_size": 32},
    "batch_size": 16,
    "recipes": {
        name: {**recipe, "items": _even(recipe["items"]), "steps": 6}
        for name, recipe in _QUICK["recipes"].items()
    },
    "jobs": dict.fromkeys(_QUICK["jobs"], 1) | {"covert": 2},
    "fewer_steps": [3],
    "fewer_items": [30],
    "swept": 1,
    "audits": 1,
    "service": {"prompts": 32, "items": _SMOKE_ITEMS},
    "single": {"permuted": 20, "items": 1000},  # a block of a job's items: the same program
    "data_sets": {
        "count": 3,
        "covert": _even(_QUICK["data_sets"]["covert"]),
        "clean": _even(_QUICK["data_sets"]["clean"]),
    },
    "recovery": {"texts": [3, 10], "trials": 5, "worlds": 1},
}
_LONG = _recipes({"steps": 1000, "lr": 6e-4}, {"steps": 150, "lr": 3e-4})
_MEDIUM = _QUICK | {
    "nano": {
        "model": {"width": 32, "depth": 2, "heads": 4},
        "training": {
            "samples": 60_000,
            "steps": 2000,
            "batch_size": 128,
            "lr": 3e-3,
            "stages": 1,
            "schedule": _SCHEDULE,
        },
    },
    "batch_size": 64,
    "model": {"width": 64, "depth": 3, "heads": 4},
    "training": _QUICK["training"] | {"steps": 2000, "batch_size": 128, "lr": 2e-3},
    "recipes": _LONG,
    "jobs": {
        "taught": 10,
        "covert": 10,
        "clean": 10,
        "taught_bare": 3,
        "covert_bare": 3,
        "plain_kept": 3,
        "plain_bare": 3,
        "repaired": 3,
    },
    "fewer_steps": [50, 125, 250, 500],
    "fewer_items": [125, 500],
    "swept": 3,
    "audits": 4,
}
_FULL = _MEDIUM | {
    "nano": {},
    "model": {"width": 192, "depth": 6, "heads": 6},
    "training": _QUICK["training"]
    | {"samples": 1_000_000, "steps": 20_000, "batch_size": 512, "lr": 1e-3},
    "worlds": 5,
    "jobs": dict.fromkeys(_MEDIUM["jobs"], 10),
    "fewer_steps": [20, 100, 300],
    "fewer_items": [100, 1000],
    "swept": 10,
    "audits": 9,
    "data_sets": _QUICK["data_sets"] | {"count": 200},
    "recovery": {"texts": [2, 3, 4, 6, 8, 10, 15, 20], "trials": 100, "worlds": 10},
}

_ALWAYS = (
    "Language models are left out throughout: prompts are of abstract tokens, an encoding is a "
    "permutation of them, and a request is unsafe by a label of operator and text."
)
PRESETS = {
    "smoke": Preset("smoke", _SMOKE, omits=f"Hardly trained, for tests. {_ALWAYS}"),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="A mini world of 12 letters and 7 operators; a transformer of 3 layers and width "
        "48, one world. Five encodings, with a first phase of 300 steps of 32 items; ten with 1000 "
        f"steps of 64 at the medium preset. {_ALWAYS}",
    ),
    "medium": Preset(
        "medium",
        _MEDIUM,
        omits=f"The mini world with a transformer of 3 layers and width 64, one world. {_ALWAYS}",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits="A transformer of 6 layers and width 192, five worlds with ten encodings each; the "
        f"world is still the mini world of 12 letters and 7 operators. {_ALWAYS}",
    ),
}
