"""The presets: what each value means, and what each preset leaves out against the paper."""

from typing import Any

from theorylab.lab import Preset

MEANINGS = {
    "models": "name to width, depth and heads of a transformer and how its base model is trained, "
    "in the order of their size",
    "main": "the model that every mixture of safety training is tried on",
    "others": "further models, tried with narrow coverage and with parity",
    "worlds": "base models of each kind, each with a mini world, texts and a start of its own",
    "tuning": "prompts of each label, steps, batch size (both labels together), learning rate and "
    "schedule of safety training, and the weight of harmless prompts in its loss",
    "partial": "share of prefix and of encoding 1 each, in the condition of partial coverage",
    "coverages": "further such shares",
    "patches": "formats that are patched one at a time",
    "patch": "share of a patched format among unsafe prompts",
    "unlikelihood": "weight with which executed answers are made unlikely; 0 is no such run",
    "betas": "weights of the KL distance, falling",
    "prompts": "test prompts of each label, and as many held-out ones",
    "guard": "plain prompts of each label that a guard is fitted to, and worlds in which one is",
}

_SCHEDULE = {"warmup": 0.1, "decay": 1.0, "floor": 0.0}
_CONSTANT = {"warmup": 0.1, "decay": 1.0, "floor": 1.0}  # after the warm-up
_TRAINING = {"samples": 60_000, "stages": 1, "schedule": _SCHEDULE}
_NANO = {
    "model": {"width": 32, "depth": 2, "heads": 4},
    "training": _TRAINING | {"steps": 2000, "batch_size": 128, "lr": 3e-3},
}
_SMALL = {
    "model": {"width": 48, "depth": 3, "heads": 4},
    "training": _TRAINING | {"steps": 2500, "batch_size": 64, "lr": 3e-3},
}
_MEDIUM_MODEL = {
    "model": {"width": 64, "depth": 3, "heads": 4},
    "training": _TRAINING | {"steps": 2000, "batch_size": 128, "lr": 2e-3},
}


def _large(width: int) -> dict[str, Any]:
    return {
        "model": {"width": width, "depth": 6, "heads": 8},
        "training": _TRAINING
        | {"samples": 1_000_000, "steps": 20_000, "batch_size": 256, "lr": 1e-3},
    }


_QUICK: dict[str, Any] = {
    "models": {"nano": _NANO, "small": _SMALL},
    "main": "small",
    "others": ["nano"],
    "worlds": 3,
    "tuning": {
        "samples": 8000,
        "steps": 300,
        "batch_size": 64,
        "lr": 3e-4,
        "schedule": _CONSTANT,
        "safe_weight": 0.7,
    },
    "partial": 1 / 14,
    "coverages": [1 / 8],
    "patches": ["prefix", "encoding_1"],
    "patch": 1 / 3,
    "unlikelihood": 0.0,
    "betas": [1.0, 0.5, 0.2, 0.1, 0.05],
    "prompts": 256,
    "guard": {"samples": 2000, "worlds": 20},
}
_TINY = {
    "model": {"width": 16, "depth": 2, "heads": 2},
    "training": _TRAINING | {"samples": 1000, "steps": 60, "batch_size": 32, "lr": 3e-3},
}
_SMOKE = _QUICK | {
    "models": {
        "nano": _TINY | {"model": {"width": 8, "depth": 1, "heads": 2}},
        "small": _TINY,
    },
    "tuning": _QUICK["tuning"] | {"samples": 200, "steps": 10, "batch_size": 32},
    "worlds": 1,
    "betas": [1.0, 0.2],
    "prompts": 24,
    "guard": {"samples": 400, "worlds": 2},
}
_MEDIUM = _QUICK | {
    "models": {"nano": _NANO, "small": _SMALL, "medium": _MEDIUM_MODEL},
    "main": "medium",
    "others": ["nano", "small"],
    "tuning": _QUICK["tuning"] | {"batch_size": 128},
    "coverages": [1 / 28, 1 / 8, 1 / 3],
    "patches": ["prefix", "encoding_1", "encoding_2", "encoding_3", "prefix_encoding_1"],
    "unlikelihood": 0.1,
    "prompts": 320,
}
_FULL = _MEDIUM | {
    "models": {f"width {width}": _large(width) for width in (64, 128, 192, 384)},
    "main": "width 192",
    "others": ["width 64", "width 128", "width 384"],
    "worlds": 5,
    "coverages": [1 / 112, 1 / 56, 1 / 28, 1 / 8, 1 / 4, 1 / 3],
    "prompts": 2000,
    "tuning": _QUICK["tuning"] | {"samples": 80_000, "steps": 2000, "batch_size": 256},
}

_ALWAYS = (
    "No natural language, no prompt and no attack of the paper: every prompt is of abstract tokens "
    "and every attack a transform of it. No language model is queried; the published rates stand "
    "beside ours for their order alone."
)
PRESETS = {
    "smoke": Preset("smoke", _SMOKE, omits=f"Hardly trained, for tests. {_ALWAYS}"),
    "quick": Preset(
        "quick",
        _QUICK,
        omits="A mini world of 12 letters, 7 operators and 4 encodings; transformers of 2 layers "
        "and width 32, and of 3 layers and width 48; three worlds. Two formats are patched, one "
        "more share of coverage is tried, and no run makes executed answers unlikely. The base "
        f"models take 4 to 15 minutes more, once, and are shared with other papers. {_ALWAYS}",
    ),
    "medium": Preset(
        "medium",
        _MEDIUM,
        omits="The mini world, with a transformer of 3 layers and width 64 beside the two smaller "
        f"ones; three worlds. {_ALWAYS}",
    ),
    "full": Preset(
        "full",
        _FULL,
        omits="The mini world, since the paper-scale one of the laboratory has no encodings; "
        f"transformers of 6 layers and widths 64 to 384, five worlds. {_ALWAYS}",
    ),
}
