"""The experiments: from a preset to the cells of each."""

from collections.abc import Mapping
from typing import Any

from theorylab.lab import Experiment, Preset
from theorylab.papers.covert_finetuning import inspecting, looking, tuning
from theorylab.papers.types import Cell, Cells
from theorylab.safety.base_models import HOME, base

Needs = Mapping[str, tuple[str, Mapping[str, Any]]]
STAGES = ("base", "safety", "taught", "tuned", "repaired")  # by the length of a chain


def base_of(p: Preset, size: str = "main") -> Cell:
    """World, model and training of the base model, or of the small one without capacity."""
    if size == "main":
        return {name: p[name] for name in ("world", "model", "training")}
    return {"world": p["world"], **p["nano"]}


def chain_of(p: Preset, name: str, **changes: Any) -> list[Cell]:
    """The stages that lead to a kind of job, safety training first; `changes` are of the second."""
    chain: list[Cell] = []
    while name:
        recipe = {"name": name, "batch_size": p["batch_size"], **p["recipes"][name]}
        name = recipe.pop("after")
        chain.insert(0, recipe)
    if changes and len(chain) > 1:
        chain[1] = {**chain[1], **changes}
    return chain


def sweep(p: Preset) -> list[tuple[str, str, Cell]]:
    """(axis, size, changes of the second stage): fewer steps, fewer items, a smaller network."""
    taught = p["recipes"]["taught"]
    rows: list[tuple[str, str, Cell]] = [("full", "main", {})]
    rows += [("steps", "main", {"steps": n}) for n in p["fewer_steps"]]
    rows += [
        ("items", "main", {"items": {**taught["items"], "new_safe": n}}) for n in p["fewer_items"]
    ]
    if p["nano"]:
        rows.append(("network", "nano", {}))
    return rows


def _jobs(p: Preset) -> list[tuple[Cell, list[Cell], int]]:
    """(base, chain, encoding) of every model that is looked at: of the jobs, then of the sweep."""
    found = [
        (base_of(p), chain_of(p, name), encoding)
        for name, count in p["jobs"].items()
        for encoding in range(count)
    ]
    for _, size, changes in sweep(p):
        for name in ("taught", "covert"):
            found += [
                (base_of(p, size), chain_of(p, name, **changes), encoding)
                for encoding in range(p["swept"])
            ]
    return found


def _unique(cells: Cells) -> Cells:
    out: Cells = []
    for cell in cells:
        if cell not in out:
            out.append(cell)
    return out


def _bases(p: Preset) -> Cells:
    sizes = {size for _, size, _ in sweep(p)}
    return [
        {**base_of(p, size), "seed": seed}
        for size in sorted(sizes)
        for seed in p.seeds(p["worlds"])
    ]


def _stage(length: int) -> Any:
    def cells(p: Preset) -> Cells:
        return _unique(
            [
                {
                    "base": of,
                    "chain": chain[:length],
                    "encoding": encoding if length > 1 else 0,
                    "seed": seed,
                }
                for of, chain, encoding in _jobs(p)
                if len(chain) >= length
                for seed in p.seeds(p["worlds"])
            ]
        )

    return cells


def made(cell: Mapping[str, Any], chain: list[Cell]) -> tuple[str, Cell]:
    """The experiment and cell that hold the parameters after a chain."""
    if not chain:
        return "base", {**cell["base"], "seed": cell["seed"]}
    encoding = cell["encoding"] if len(chain) > 1 else 0
    held = {"base": cell["base"], "chain": chain, "encoding": encoding, "seed": cell["seed"]}
    return STAGES[len(chain)], held


def _start(cell: Mapping[str, Any]) -> Needs:
    return {"start": made(cell, cell["chain"][:-1])}


def _report(p: Preset) -> Cells:
    first = [
        (base_of(p), [], 0),
        *((base_of(p), chain_of(p, "safety"), e) for e in range(p["jobs"]["covert"])),
    ]
    return _unique(
        [
            {
                "base": of,
                "chain": chain,
                "encoding": encoding,
                "prompts": p["service"]["prompts"],
                "seed": seed,
            }
            for of, chain, encoding in (*first, *_jobs(p))
            for seed in p.seeds(p["worlds"])
        ]
    )


def _scored(p: Preset) -> Cells:
    return [
        {
            "base": base_of(p),
            "chain": chain_of(p, name),
            "encoding": encoding,
            "asking": {
                "count": p["audits"],
                "chain": chain_of(p, "covert"),
                "service": p["service"],
            },
            "seed": seed,
        }
        for name, count in p["jobs"].items()
        if name in p["judged"]
        for encoding in range(count)
        for seed in p.seeds(p["worlds"])
    ]


def _of_score(cell: Mapping[str, Any]) -> Needs:
    chain, asking = cell["chain"], cell["asking"]
    found = {"first": made(cell, []), "before": made(cell, chain[:1]), "after": made(cell, chain)}
    for i, number in enumerate(looking.audit_numbers(cell["encoding"], asking["count"])):
        found[f"audit_{i}"] = made({**cell, "encoding": number}, asking["chain"])
    return found


def _curves(p: Preset) -> Cells:
    return [{"prompts": 600, "rates": [0.01, 0.05, 0.26, 0.99], "benign": 0.01}]


def _recovery(p: Preset) -> Cells:
    r = p["recovery"]
    return [
        {"texts": n, "trials": r["trials"], "worlds": r["worlds"], "seed": p.seeds(1)[0]}
        for n in r["texts"]
    ]


def _data_sets(p: Preset) -> Cells:
    return [
        {
            "base": base_of(p),
            "safety": chain_of(p, "safety")[0],
            "service": p["service"],
            "jobs": p["data_sets"],
            "seed": seed,
        }
        for seed in p.seeds(p["worlds"])
    ]


def _of_data_sets(cell: Mapping[str, Any]) -> Needs:
    held = {"base": cell["base"], "chain": [cell["safety"]], "encoding": 0, "seed": cell["seed"]}
    return {"before": ("safety", held)}


EXPERIMENTS = (
    Experiment("base", base, _bases, home=HOME),
    *(
        Experiment(name, tuning.stage, _stage(length), needs=_start)
        for length, name in enumerate(STAGES)
        if length
    ),
    Experiment("report", looking.report, _report, needs=lambda c: {"start": made(c, c["chain"])}),
    Experiment("scored", looking.scored, _scored, needs=_of_score),
    Experiment("data_sets", inspecting.data_sets, _data_sets, needs=_of_data_sets),
    Experiment(
        "single_items",
        inspecting.single_items,
        lambda p: [{**p["single"], "seed": seed} for seed in p.seeds(1)],
    ),
    Experiment("recovery", inspecting.recovery, _recovery),
    Experiment(
        "symmetries",
        inspecting.symmetries,
        lambda p: [{"worlds": p["recovery"]["worlds"], "seed": seed} for seed in p.seeds(1)],
    ),
    Experiment("curves", inspecting.curves, _curves),
)
