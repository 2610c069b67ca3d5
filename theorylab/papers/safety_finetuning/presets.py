"""The presets, and what each of their values means."""

from typing import Any

from theorylab.lab import Preset
from theorylab.safety.prompt_sets import MINI_SETS

MEANINGS = {
    "world": "the world that prompts are of: scale and its options",
    "model": "options of the transformer",
    "training": "how the base model is trained",
    "worlds": "worlds, each with a base model of its own",
    "tuning": "how safety fine-tuning trains",
    "lr": "the paper's medium learning rate of fine-tuning, or what stands for it",
    "small_lr": "its small one, a tenth",
    "more_lrs": "further learning rates of supervised fine-tuning",
    "looking": "test prompts, sets, places and sites at which a network is looked at",
    "amounts": "how far along the change of weights networks are evaluated",
    "ball": "slots of soft tokens that may move, radius in mean embedding norms, gradient steps",
    "gradient_samples": "prompts of the gradients at the base model",
    "yields": "texts whose lengths are counted",
    "windows": "windows of each branch that a classifier is fitted to, and tested on",
}

_SCHEDULE = {"warmup": 0.1, "decay": 1.0, "floor": 0.0}

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
    "worlds": 3,
    "tuning": {"samples": 8000, "steps": 300, "batch_size": 64, "schedule": _SCHEDULE},
    "lr": 3e-4,
    "small_lr": 3e-5,
    "more_lrs": [1e-4, 1e-3],
    "looking": {
        "prompts": 256,
        "sets": list(MINI_SETS),
        "places": {"first": -1, "count": 1},
        "site": "mlp_out",
        "energy": 0.9,
        "leading": 15,
    },
    "amounts": [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0],
    "ball": {"slots": [[], [1], [1, 2]], "radius": 1.0, "steps": 10},
    "gradient_samples": 256,
    "yields": 20_000,
    "windows": [1000, 500],
}
_SMOKE = _QUICK | {
    "worlds": 1,
    "model": {"width": 16, "depth": 2, "heads": 2},
    "training": _QUICK["training"] | {"samples": 1000, "steps": 60, "batch_size": 32},
    # pairs are of 32 safe and 32 unsafe prompts, as many as are looked at: the same programs
    "tuning": _QUICK["tuning"] | {"samples": 64, "steps": 10, "batch_size": 32},
    "more_lrs": [],
    "looking": _QUICK["looking"] | {"prompts": 32},
    "amounts": [0.0, 1.0, 2.0],
    "ball": _QUICK["ball"] | {"steps": 2},
    "gradient_samples": 64,
    "yields": 500,
    "windows": [100, 100],  # one program draws both
}
_MEDIUM = _QUICK | {
    "model": {"width": 64, "depth": 3, "heads": 4},
    "training": _QUICK["training"] | {"steps": 2000, "batch_size": 128, "lr": 2e-3},
}
_PAPER_SCHEDULE = {"warmup": 0.2, "decay": 0.8, "floor": 0.01}
_FULL = _QUICK | {
    "world": {"scale": "paper", "grammars": [0, 1, 2, 3], "shortest": 25, "longest": 35},
    "model": {
        "width": 192,
        "depth": 6,
        "heads": 6,
        "positions": "sinusoidal",
        "normed_stream": True,
    },
    "training": {
        "samples": 1_000_000,
        "steps": 100_000,
        "batch_size": 512,
        "lr": 1e-3,
        "stages": 10,
        "schedule": _PAPER_SCHEDULE,
    },
    "worlds": 3,
    "tuning": {
        "samples": 750_000,
        "steps": 10_000,
        "batch_size": 512,
        "schedule": _PAPER_SCHEDULE,
    },
    "lr": 1e-4,
    "small_lr": 1e-5,
    "more_lrs": [3e-5, 3e-4],
    "looking": {
        "prompts": 1000,
        "sets": [
            "safe",
            "unsafe",
            "competing_tasks",
            "mixed_text",
            "synonyms",
            "held_out_text",
        ],
        "places": {"first": 0, "count": 10},
        "site": "mlp_act",
        "energy": 0.9,
        "leading": 15,
    },
    "ball": {"slots": [[], [5], [5, -1]], "radius": 1.0, "steps": 10},
}

_ALWAYS = (
    "Language models are left out throughout, and with them the lower half of figure 3; every "
    "prompt is of abstract tokens. A batch of supervised fine-tuning mixes safe and unsafe prompts."
)
PRESETS = {
    "smoke": Preset("smoke", _SMOKE, omits=f"Hardly trained, for tests. {_ALWAYS}"),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="A mini world of 12 letters, 7 operators and texts of 9 letters; a transformer of "
        "3 layers and width 48, three worlds. Fine-tuning takes 300 steps at 3e-4 and 3e-5 where "
        f"the paper takes 10,000 at 1e-4 and 1e-5. {_ALWAYS}",
    ),
    "medium": Preset(
        "medium",
        _MEDIUM,
        omits="The mini world with a transformer of 3 layers and width 64, three worlds. "
        f"{_ALWAYS}",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits="A refusal always empties the first output; the mixture of pretraining moves in ten "
        f"stages, at each of which Adam starts again. {_ALWAYS}",
    ),
}
