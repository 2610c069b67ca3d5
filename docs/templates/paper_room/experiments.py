"""The experiments: from a preset to the cells of each.

A cell is what is cached, resumed and sent to a cluster: make it seconds to minutes long. Whatever
is drawn takes a seed of `preset.seeds(count)`, which moves with the base seed of the run.
"""

from theorylab.lab import Experiment, Preset
from theorylab.papers.types import Cells

from .sampling import spread


def _spread(p: Preset) -> Cells:
    return [
        {"n": n, "draws": p["draws"], "seed": seed}
        for n in p["sizes"]
        for seed in p.seeds(p["repeats"])
    ]


EXPERIMENTS = (Experiment("spread", spread, _spread),)
