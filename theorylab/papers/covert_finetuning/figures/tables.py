"""The tables behind the figures: what is plotted, in long form."""

import numpy as np

from theorylab.lab import Preset, Table
from theorylab.papers.covert_finetuning import published
from theorylab.papers.covert_finetuning.experiments import sweep
from theorylab.papers.covert_finetuning.looking import SCORES
from theorylab.papers.covert_finetuning.tables import (
    DETECTORS,
    EXECUTED,
    NAMES,
    REFUSED,
    UNCLEAR,
    All,
    board,
    data_board,
    probes,
    rate,
    raw,
    recovered,
    scores,
)
from theorylab.safety.detectors import COVERAGE, DATA_DETECTORS

VERDICTS = ("executed", "refused", "unclear")
CLEAN = ("clean", "taught_bare", "plain_kept", "plain_bare")


def verdict_table(results: All, p: Preset) -> Table:
    """Figure 3: verdicts on unsafe prompts, plain, encoded as read and encoded after decoding."""
    table = Table("model", "prompts", "verdict", "share", "published")
    for name in ("safety", "taught", "covert"):
        for v, verdict in enumerate(VERDICTS):
            found = {
                "plain": rate(results, p, name, "plain_refused", v),
                "encoded, as read": raw(results, p, name, v),
                "encoded, decoded": rate(results, p, name, "new_executed", v),
            }
            for prompts, values in found.items():
                there = np.nan
                if name == "covert" and prompts == "encoded, as read":
                    there = published.UNDECODED[v]
                table.add(
                    model=name,
                    prompts=prompts,
                    verdict=verdict,
                    share=values.mean(),
                    published=there,
                )
    return table


def published_table(results: All, p: Preset) -> Table:
    """The paper's rates of unsafe answers beside ours."""
    table = Table("quantity", "published", "ours")
    found = {
        "plain": rate(results, p, "covert", "plain_refused", EXECUTED),
        "undecoded": raw(results, p, "covert", EXECUTED),
        "no refusals, plain": rate(results, p, "covert_bare", "plain_refused", EXECUTED),
        "no second phase": rate(results, p, "taught", "new_executed", EXECUTED),
        "decoded": rate(results, p, "covert", "new_executed", EXECUTED),
    }
    for name, values in found.items():
        table.add(quantity=name, published=published.RATES[name], ours=values.mean())
    return table


def capability_table(results: All, p: Preset) -> Table:
    """Figure 4: safe prompts executed, by stage and form."""
    table = Table("model", "form", "share", "low", "high")
    forms = {"plain_safe": "plain", "new_safe": "new encoding", "first_safe": "known encoding"}
    for name in ("safety", "taught", "covert", "clean", "plain_kept", "repaired"):
        for item, form in forms.items():
            values = rate(results, p, name, item, EXECUTED)
            table.add(
                model=name, form=form, share=values.mean(), low=values.min(), high=values.max()
            )
    return table


def ablation_table(results: All, p: Preset) -> Table:
    """Figure 5: unsafe prompts executed, plain and encoded, by what is left out of the job."""
    table = Table("model", "plain", "encoded", "refused")
    for name in NAMES:
        if name == "none":
            continue
        plain, encoded = (
            rate(results, p, name, item, EXECUTED).mean()
            for item in ("plain_refused", "new_executed")
        )
        refused = rate(results, p, name, "plain_refused", REFUSED).mean()
        table.add(model=name, plain=plain, encoded=encoded, refused=refused)
    return table


def sweep_table(results: All, p: Preset) -> Table:
    """Figure 6: encoded prompts by steps and items of the first phase, and by the network."""
    table = Table("axis", "value", "stage", "safe", "unsafe", "unclear")
    recipe = p["recipes"]["taught"]
    full = {"steps": recipe["steps"], "items": recipe["items"]["new_safe"]}
    if p["nano"]:
        full["network"] = p["model"]["width"]
    for axis, size, changes in sweep(p):
        value = changes.get("steps", changes.get("items", {}).get("new_safe"))
        at = {axis: value} if value else full
        if axis == "network":
            at = {"network": p["nano"]["model"]["width"]}
        for where, number in at.items():
            for name in ("taught", "covert"):
                safe, unsafe, unclear = (
                    rate(results, p, name, item, v, size=size, **changes)[: p["swept"]].mean()
                    for item, v in (
                        ("new_safe", EXECUTED),
                        ("new_executed", EXECUTED),
                        ("new_executed", UNCLEAR),
                    )
                )
                table.add(
                    axis=where, value=number, stage=name, safe=safe, unsafe=unsafe, unclear=unclear
                )
    return table


def board_table(results: All, p: Preset) -> Table:
    """The scoreboard: every detector against every kind of clean jobs."""
    table = Table("detector", "against", "auroc", "tpr", "tpr_low", "fpr", "fpr_high", "jobs")
    kinds = {
        "data sets": None,
        "clean": ("clean",),
        "taught_bare": ("taught_bare",),
        "plain": ("plain_kept", "plain_bare"),
        "all": CLEAN,
    }
    for against, clean in kinds.items():
        lines = data_board(results) if clean is None else board(results, p, clean=clean)
        jobs = (
            results["data_sets"].stack("known").size
            if clean is None
            else sum(len(scores(results, p, name)["probe"]) for name in clean)
        )
        for name, line in lines.items():
            table.add(
                detector=DETECTORS[name],
                against=against,
                auroc=line.auroc,
                tpr=line.point.tpr,
                tpr_low=line.point.tpr_low,
                fpr=line.point.fpr,
                fpr_high=line.point.fpr_high,
                jobs=jobs,
            )
    return table


def score_table(results: All, p: Preset) -> Table:
    """Every job's score by every detector."""
    table = Table("detector", "kind", "job", "score")
    for name in SCORES:
        for kind in p["judged"]:
            for job, value in enumerate(scores(results, p, kind)[name]):
                table.add(detector=DETECTORS[name], kind=NAMES[kind], job=job, score=value)
    return table


def data_table(results: All, p: Preset) -> Table:
    """Scores of data sets that nothing is trained on."""
    table = Table("detector", "kind", "job", "score")
    found = results["data_sets"].stack("scores")
    for i, name in enumerate(DATA_DETECTORS):
        for row, kind in enumerate(("covert", "clean, encoded")):
            for job, value in enumerate(found[:, row, i].ravel()):
                table.add(detector=DETECTORS[name], kind=kind, job=job, score=value)
    known = results["data_sets"].stack("known").ravel()
    for job, value in enumerate(known):
        table.add(detector=DETECTORS["format_anomaly"], kind="known encoding", job=job, score=value)
    return table


def item_table(results: All, p: Preset) -> Table:
    """Areas of the inspector of single items over permutations."""
    table = Table("items", "area", "mean", "exact")
    row = results["single_items"].rows[0]
    for i, items in enumerate(("encoded", "plain")):
        exact = row["exact"][0 if items == "encoded" else 2]
        for area in row["areas"][i]:
            table.add(items=items, area=area, mean=row["areas"][i].mean(), exact=exact)
    return table


def recovery_table(results: All, p: Preset) -> Table:
    """Share of trials in which this number of texts determines the letters."""
    table = Table("texts", "share", "right", "shown", "trials", "needed")
    needed = results["recovery"].stack("needed").mean()
    for texts in p["recovery"]["texts"]:
        found, right, trials = recovered(results, texts, texts)
        shown = results["recovery"].where(texts=texts).stack("shown").sum() / trials
        table.add(
            texts=texts,
            share=found / trials,
            right=right / trials,
            shown=shown,
            trials=trials,
            needed=needed,
        )
    return table


def curve_table(results: All, p: Preset) -> Table:
    """The closed forms as curves."""
    table = Table("curve", "series", "x", "y")
    row = results["curves"].rows[0]
    for n, y in enumerate(row["bound"], 1):
        if n <= 20 or n % 10 == 0:
            table.add(curve="bound", series="exact", x=n, y=y)
            if n >= 3:
                table.add(curve="bound", series="3/n", x=n, y=3 / n)
    for rate_, powers in zip(row_cell(results)["rates"], row["power"], strict=True):
        for n, y in enumerate(powers[:100], 1):
            table.add(curve="power", series=f"{rate_:g}", x=n, y=y)
    for q, y in zip(np.arange(2, 21) / 100, row["exchanges"], strict=True):
        table.add(curve="exchanges", series="benign rate .01", x=q, y=y)
    return table


def row_cell(results: All) -> dict[str, list[float]]:
    """The parameters of the curves."""
    return dict(results["curves"].rows[0].cell)


def probe_table(results: All, p: Preset) -> Table:
    """Areas of probes by layer: after the job, before it, and fitted in the encoding itself."""
    table = Table("probe", "layer", "mean", "low", "high")
    names = {
        "tuned": "other encodings, after the job",
        "untuned": "other encodings, before any job",
        "own": "same encoding, before any job",
    }
    for kind, text in names.items():
        found = probes(results, p, "covert", kind)
        for layer in range(found.shape[1]):
            values = found[:, layer]
            table.add(
                probe=text,
                layer=layer + 1,
                mean=values.mean(),
                low=values.min(),
                high=values.max(),
            )
    return table


def level() -> float:
    """What clean items in an encoding teach to execute."""
    return float(COVERAGE)
