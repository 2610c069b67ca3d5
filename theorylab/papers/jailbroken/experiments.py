"""The experiments: from a preset to the cells of each."""

from collections.abc import Mapping
from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.jailbroken import exact, testing, tuning
from theorylab.papers.types import Cell, Cells
from theorylab.safety.attack_sets import ATTACKS, REWRITES
from theorylab.safety.base_models import HOME, base
from theorylab.safety.coverage import EVERY_FORMAT, partial_coverage

Needs = Mapping[str, tuple[str, Mapping[str, Any]]]
WORLD = {"scale": "mini"}
NARROW = {"none": 1.0}
PARITY = dict(EVERY_FORMAT)


def base_of(p: Preset, size: str) -> Cell:
    """What names the base models of a size."""
    return {"world": WORLD, **p["models"][size]}


def run_of(p: Preset, unsafe: Mapping[str, float], **options: Any) -> Cell:
    """A run of safety training, by the formats of its unsafe prompts.

    Options: "unlikelihood", a weight, or "beta", of the KL distance.
    """
    return {"unsafe": dict(unsafe), **p["tuning"], **options}


def patched(p: Preset, name: str) -> dict[str, float]:
    """Shares of the formats where one is patched."""
    return {"none": 1 - p["patch"], name: p["patch"]}


def conditions(p: Preset) -> dict[str, Any]:
    """The conditions of safety training that figures name, and the run of each; None is no run."""
    found = {
        "base model": None,
        "narrow": run_of(p, NARROW),
        "patched": run_of(p, patched(p, "prefix")),
        "partial": run_of(p, partial_coverage(p["partial"])),
        "parity": run_of(p, PARITY),
    }
    if p["unlikelihood"]:
        found["unlikelihood"] = run_of(p, NARROW, unlikelihood=p["unlikelihood"])
    return found


def runs(p: Preset) -> list[Cell]:
    """The runs of the main model whose answers are judged, each once."""
    shares = [
        NARROW,
        *(patched(p, name) for name in p["patches"]),
        partial_coverage(p["partial"]),
        *map(partial_coverage, p["coverages"]),
        PARITY,
    ]
    supervised = [run_of(p, s) for s in shares]
    return supervised + [run for name, run in conditions(p).items() if name == "unlikelihood"]


def tilts(p: Preset) -> list[Cell]:
    """The runs of the main model with a KL penalty, one for each beta."""
    return [run_of(p, NARROW, beta=beta) for beta in p["betas"]]


def _pairs(p: Preset) -> list[tuple[str, Cell]]:
    """Every size with every run that it is tried with."""
    main = [(p["main"], run) for run in runs(p)]
    return main + [(size, run_of(p, s)) for size in p["others"] for s in (NARROW, PARITY)]


def _bases(p: Preset) -> Cells:
    return [
        {**base_of(p, size), "seed": seed} for size in p["models"] for seed in p.seeds(p["worlds"])
    ]


def _tuned(p: Preset) -> Cells:
    return [
        {"base": base_of(p, size), "run": run, "seed": seed}
        for size, run in _pairs(p) + [(p["main"], run) for run in tilts(p)]
        for seed in p.seeds(p["worlds"])
    ]


def _opened(p: Preset) -> Cells:
    return [
        {"base": base_of(p, p["main"]), "run": run, "prompts": p["prompts"], "seed": seed}
        for run in [None, *tilts(p)]
        for seed in p.seeds(p["worlds"])
    ]


def _tested(p: Preset) -> Cells:
    untuned: list[tuple[str, Any]] = [(size, None) for size in p["models"]]
    return [
        {
            "base": base_of(p, size),
            "run": run,
            "prompts": p["prompts"],
            "attacks": list(ATTACKS),
            "group": 0,
            "seed": seed,
        }
        for size, run in untuned + _pairs(p)
        for seed in p.seeds(p["worlds"])
    ]


def _held_out(p: Preset) -> Cells:
    return [
        {
            "base": base_of(p, p["main"]),
            "run": run,
            "prompts": p["prompts"],
            "attacks": list(REWRITES),
            "group": 1,
            "seed": seed,
        }
        for run in conditions(p).values()
        for seed in p.seeds(p["worlds"])
    ]


def _guarded(p: Preset) -> Cells:
    return [
        {
            "world": WORLD,
            "samples": p["guard"]["samples"],
            "prompts": p["prompts"],
            "seed": seed,
        }
        for seed in p.seeds(p["guard"]["worlds"])
    ]


def _start(cell: Mapping[str, Any]) -> Needs:
    return {"start": ("base", {**cell["base"], "seed": cell["seed"]})}


def _both(cell: Mapping[str, Any]) -> Needs:
    if cell["run"] is None:
        return _start(cell)
    tuned: dict[str, Any] = {name: cell[name] for name in ("base", "run", "seed")}
    return {**_start(cell), "end": ("tuned", tuned)}


def _tables(_: Preset) -> Cells:
    # the first is the example of the derivation; rewards of comply, refuse and other
    return [
        {"policy": [0.6, 0.1, 0.3], "reward": [-1.0, 1.0, 0.0], "betas": betas}
        for betas in ([0.5], [0.25, 0.5, 1.0, 2.0])
    ] + [{"policy": [0.9, 0.02, 0.08], "reward": [-2.0, 0.5, 0.1], "betas": [0.5, 1.0, 2.0]}]


EXPERIMENTS = (
    Experiment("base", base, _bases, home=HOME),
    Experiment("tuned", tuning.tuned, _tuned, needs=_start),
    Experiment("tested", testing.tested, _tested, needs=_both),
    Experiment("held_out", testing.tested, _held_out, needs=_both),
    Experiment("opened", testing.opened, _opened, needs=_both),
    Experiment("guarded", testing.guarded, _guarded),
    Experiment("tilted", exact.tilted, _tables),
    Experiment(
        "off_support", exact.off_support, lambda _: [{"contents": 5, "steps": 200, "rate": 1.0}]
    ),
)
