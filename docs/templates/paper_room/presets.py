"""The presets: the same values at three sizes, what each value means, and what each preset leaves
out against the paper."""

from theorylab.lab import Preset

MEANINGS = {
    "sizes": "numbers in a sample",
    "draws": "samples in a cell",
    "repeats": "cells of a size, each with a seed of its own",
}

_QUICK = {
    "sizes": [4, 16, 64, 256],
    "draws": 2000,
    "repeats": 8,
}

_SMOKE = _QUICK | {
    "sizes": [4, 16],
    "draws": 400,
    "repeats": 4,
}

_FULL = _QUICK | {
    "sizes": [4, 16, 64, 256, 1024],
    "draws": 20_000,
}

PRESETS = {
    "smoke": Preset("smoke", _SMOKE, omits="Two sizes and few samples, for tests."),
    "quick": Preset("quick", _QUICK, omits="Samples of at most 256 numbers."),
    "full": Preset("full", _FULL, omits="Nothing."),
}
