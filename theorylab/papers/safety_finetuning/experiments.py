"""The experiments: from a preset to the cells of each."""

from collections.abc import Mapping
from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.safety_finetuning import measuring, texts, tuning
from theorylab.papers.types import Cell, Cells
from theorylab.safety.base_models import HOME, base

Needs = Mapping[str, tuple[str, Mapping[str, Any]]]
PAIRS = (  # grammar, branches, order of the classifier
    (0, "safe", "unsafe_trained", 1),
    (1, "safe", "unsafe_trained", 1),
    (0, "safe", "unsafe_trained", 0),
    (1, "safe", "unsafe_trained", 0),
    (0, "full", "safe", 1),
    (0, "unsafe_trained", "unsafe_held_out", 1),
)


def _of_base(p: Preset) -> Cell:
    return {name: p[name] for name in ("world", "model", "training")}


def _run(p: Preset, protocol: str, lr: float) -> Cell:
    return {"protocol": protocol, "lr": lr, **p["tuning"]}


def _runs(p: Preset) -> Cells:
    """The five of the paper, and supervised fine-tuning at further learning rates."""
    main = [_run(p, protocol, p["lr"]) for protocol in ("unlearning", "dpo", "supervised")]
    small = [_run(p, protocol, p["small_lr"]) for protocol in ("dpo", "supervised")]
    return [*main, *small, *(_run(p, "supervised", lr) for lr in p["more_lrs"])]


def _bases(p: Preset) -> Cells:
    return [{**_of_base(p), "seed": seed} for seed in p.seeds(p["worlds"])]


def _tuned(p: Preset) -> Cells:
    return [
        {"base": _of_base(p), "run": run, "seed": seed}
        for run in _runs(p)
        for seed in p.seeds(p["worlds"])
    ]


def _measured(p: Preset) -> Cells:
    return [
        {"base": _of_base(p), "run": run, "looking": p["looking"], "seed": seed}
        for run in (None, *_runs(p))
        for seed in p.seeds(p["worlds"])
    ]


def _path(p: Preset) -> Cells:
    sets = [n for n in p["looking"]["sets"] if not n.startswith("safe_") and n != "synonyms"]
    looking = p["looking"] | {"sets": sets}
    return [
        {
            "base": _of_base(p),
            "run": _run(p, protocol, p["lr"]),
            "looking": looking,
            "amounts": p["amounts"],
            "seed": seed,
        }
        for protocol in ("unlearning", "dpo", "supervised")
        for seed in p.seeds(p["worlds"])
    ]


def _fragility(p: Preset) -> Cells:
    return [
        {
            "base": _of_base(p),
            "run": _run(p, protocol, p["lr"]),
            "looking": p["looking"],
            "ball": p["ball"],
            "seed": seed,
        }
        for protocol in ("unlearning", "dpo", "supervised")
        for seed in p.seeds(p["worlds"])
    ]


def _gradients(p: Preset) -> Cells:
    return [
        {"base": _of_base(p), "samples": p["gradient_samples"], "seed": seed}
        for seed in p.seeds(p["worlds"])
    ]


def _locality(p: Preset) -> Cells:
    train, test = p["windows"]
    return [
        {
            "index": index,
            "one": one,
            "other": other,
            "order": order,
            "train": train,
            "test": test,
            "seed": p.seeds(1)[0],
        }
        for index, one, other, order in PAIRS
    ]


def _start(cell: Mapping[str, Any]) -> Needs:
    return {"start": ("base", {**cell["base"], "seed": cell["seed"]})}


def _both(cell: Mapping[str, Any]) -> Needs:
    if cell["run"] is None:
        return _start(cell)
    tuned: dict[str, Any] = {name: cell[name] for name in ("base", "run", "seed")}
    return {**_start(cell), "end": ("tuned", tuned)}


EXPERIMENTS = (
    Experiment("base", base, _bases, home=HOME),
    Experiment("tuned", tuning.tuned, _tuned, needs=_start),
    Experiment("measured", measuring.measured, _measured, needs=_both),
    Experiment("path", measuring.path, _path, needs=_both),
    Experiment("fragility", measuring.fragility, _fragility, needs=_both),
    Experiment("gradients", tuning.gradients, _gradients, needs=_start),
    Experiment(
        "laws",
        texts.laws,
        lambda p: [
            {"variant": variant, "samples": p["yields"], "seed": p.seeds(1)[0]}
            for variant in ("full", "safe")
        ],
    ),
    Experiment("letters", texts.letters, lambda p: [{"indices": [0, 1, 2, 3]}]),
    Experiment("locality", texts.locality, _locality),
)
