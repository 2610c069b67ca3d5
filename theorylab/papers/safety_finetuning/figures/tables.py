"""The tables behind the figures: what is plotted, in long form."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from theorylab.lab import Preset, Table
from theorylab.papers.safety_finetuning import published
from theorylab.papers.safety_finetuning.tables import (
    CLASSES,
    EXECUTED,
    MATRICES,
    REFUSED,
    UNCLEAR,
    All,
    every_run,
    gap,
    label,
    number,
    of,
    panels_of_figure_3,
    rate,
)
from theorylab.safety import BAD, GOOD, SITES


def tau_table(results: All, p: Preset) -> Table:
    """Figure 3: tau by layer."""
    table = Table("panel", "protocol", "kind", "layer", "tau", "sd")
    for protocol, _, lr in panels_of_figure_3(p):
        rows = of(results["measured"], protocol, lr)
        site = SITES.index(p["looking"]["site"])
        means, sds = (rows.stack(name)[:, site].mean(0) for name in ("tau_mean", "tau_sd"))
        for kind in CLASSES:
            for layer, (m, s) in enumerate(
                zip(means[number(rows, kind)], sds[number(rows, kind)], strict=True)
            ):
                table.add(
                    panel=label(protocol, lr),
                    protocol=protocol,
                    kind=kind,
                    layer=layer + 1,
                    tau=m,
                    sd=s,
                )
    return table


def order_table(results: All, p: Preset) -> Table:
    """The gap in the last layer: published and ours."""
    table = Table("panel", "protocol", "published", "ours", "standardised")
    for protocol, medium, lr in panels_of_figure_3(p):
        rows = of(results["measured"], protocol, lr)
        table.add(
            panel=label(protocol, lr),
            protocol=protocol,
            published=published.last_gap(protocol, medium),
            ours=gap(rows)[:, -1].mean(),
            standardised=gap(rows, "standardised")[:, -1].mean(),
        )
    return table


def sites_table(results: All, p: Preset) -> Table:
    """The gap at every site and layer."""
    table = Table("site", "panel", "protocol", "layer", "gap", "standardised")
    for s, site in enumerate(SITES):
        for protocol, _, lr in panels_of_figure_3(p):
            rows = of(results["measured"], protocol, lr)
            found = (rows.stack(name)[:, s].mean(0) for name in ("gap", "standardised"))
            for layer, (g, z) in enumerate(zip(*found, strict=True)):
                table.add(
                    site=site,
                    panel=label(protocol, lr),
                    protocol=protocol,
                    layer=layer + 1,
                    gap=g,
                    standardised=z,
                )
    return table


def _changed(p: Preset) -> Iterator[tuple[str, float]]:
    for protocol in ("unlearning", "dpo", "supervised"):
        yield protocol, p["lr"]


def null_table(results: All, p: Preset) -> Table:
    """Figure 4: projections on the null space, sorted, beside a random direction's."""
    table = Table(
        "matrix", "protocol", "layer", "place", "projection", "baseline", "low", "high", "rank"
    )
    for protocol, lr in _changed(p):
        rows = of(results["measured"], protocol, lr)
        outputs = {"first": p["model"]["width"] * 4, "second": p["model"]["width"]}
        for m, matrix in enumerate(MATRICES):
            found = -np.sort(-rows.stack("projection")[:, m], axis=-1).mean(0)
            baseline = rows.stack("baseline")[:, m].mean(0)
            chance = rows.stack("chance")[:, m].mean(0)
            for layer, values in enumerate(found):
                for place, value in enumerate(values):
                    table.add(
                        matrix=matrix,
                        protocol=protocol,
                        layer=layer + 1,
                        place=place + 1,
                        projection=value,
                        baseline=baseline[layer],
                        low=chance[layer, 0],
                        high=chance[layer, 1],
                        rank=outputs[matrix] * (1 - baseline[layer] ** 2),
                    )
    return table


def action_table(results: All, p: Preset) -> Table:
    """Figure 5: how the change of the first MLP matrix acts, direction by direction and in all."""
    table = Table("protocol", "kind", "layer", "place", "profile", "acted")
    for protocol, lr in _changed(p):
        rows = of(results["measured"], protocol, lr)
        profile = rows.stack("profile").mean(0)
        acted = rows.stack("acted").mean((0, -1))
        for c, kind in enumerate(CLASSES):
            for layer in range(profile.shape[0]):
                for place, value in enumerate(profile[layer, c]):
                    table.add(
                        protocol=protocol,
                        kind=kind,
                        layer=layer + 1,
                        place=place + 1,
                        profile=value,
                        acted=acted[layer, c],
                    )
    return table


def lipschitz_table(results: All, p: Preset) -> Table:
    """Figure 6: local Lipschitz constants, every tenth quantile of each class."""
    table = Table("output", "panel", "protocol", "kind", "quantile", "value")
    for protocol, lr in (("none", 0.0), *_changed(p)):
        slopes = of(results["measured"], protocol, lr).stack("slopes")
        for o, output in enumerate(("logit", "prob")):
            for c, kind in enumerate(CLASSES):
                values = slopes[:, o, c].ravel()
                for q in np.linspace(0.05, 0.95, 19):
                    table.add(
                        output=output,
                        panel=label(protocol, lr),
                        protocol=protocol,
                        kind=kind,
                        quantile=round(float(q), 3),
                        value=float(np.quantile(values, q)),
                    )
    return table


def attack_sets(p: Preset) -> list[str]:
    """The sets on which safety fine-tuning may fail."""
    known = ("competing_tasks", "mixed_text", "synonyms", "encoded", "held_out_text")
    return [name for name in p["looking"]["sets"] if name in known]


def attack_table(results: All, p: Preset) -> Table:
    """Figure 7: tau in the last layer of every set, of all its prompts and by the verdict."""
    table = Table("protocol", "set", "prompts", "tau", "share")
    for protocol, lr in _changed(p):
        rows = of(results["measured"], protocol, lr)
        for name in (*CLASSES, *attack_sets(p)):
            place = number(rows, name)
            tau, verdict = (rows.stack(a)[:, place].ravel() for a in ("tau", "verdicts"))
            every = np.ones(len(tau), bool)
            kinds = {"all": every, "executed": verdict == BAD, "refused": verdict == GOOD}
            _add_kinds(table, protocol, name, kinds, tau)
        held = of(results["fragility"], protocol, lr)
        tau, done = held.stack("tau")[:, -1].ravel(), held.stack("executed_each")[:, -1].ravel()
        kinds = {"all": np.ones(len(tau), bool), "executed": done, "refused": ~done}
        _add_kinds(table, protocol, "soft_tokens", kinds, tau)
    return table


def _add_kinds(
    table: Table, protocol: str, name: str, kinds: Mapping[str, np.ndarray], tau: np.ndarray
) -> None:
    for kind, chosen in kinds.items():
        table.add(
            protocol=protocol,
            set=name,
            prompts=kind,
            tau=float(tau[chosen].mean()) if chosen.any() else np.nan,
            share=float(chosen.mean()),
        )


def rates_table(results: All, p: Preset) -> Table:
    """The table of accuracies: executed, refused, neither; of every run on every set."""
    table = Table("panel", "protocol", "lr", "set", "executed", "refused", "unclear")
    for protocol, lr in every_run(p):
        rows = of(results["measured"], protocol, lr)
        for name in p["looking"]["sets"]:
            found = [float(rate(rows, name, v).mean()) for v in (EXECUTED, REFUSED, UNCLEAR)]
            table.add(
                panel=label(protocol, lr),
                protocol=protocol,
                lr=lr,
                set=name,
                executed=found[0],
                refused=found[1],
                unclear=found[2],
            )
    return table


def path_table(results: All, p: Preset) -> Table:
    """Along the change of weights."""
    table = Table("protocol", "set", "amount", "executed", "refused", "gap")
    for protocol, lr in _changed(p):
        rows = of(results["path"], protocol, lr)
        rates, gaps = rows.stack("rates").mean(0), rows.stack("gap").mean(0)
        for name in rows.rows[0].cell["looking"]["sets"]:
            for i, amount in enumerate(p["amounts"]):
                table.add(
                    protocol=protocol,
                    set=name,
                    amount=amount,
                    executed=rates[i, number(rows, name), EXECUTED],
                    refused=rates[i, number(rows, name), REFUSED],
                    gap=gaps[i],
                )
    return table


def spectra_table(results: All, p: Preset) -> Table:
    """Spectra of the change, and the leading share of each class's cluster."""
    table = Table("quantity", "series", "protocol", "x", "value")
    for protocol, lr in _changed(p):
        rows = of(results["measured"], protocol, lr)
        singular = rows.stack("singular")[:, 0, -1].mean(0)
        for i, value in enumerate(singular / singular.sum()):
            table.add(
                quantity="change",
                series=label(protocol, lr),
                protocol=protocol,
                x=i + 1,
                value=value,
            )
        for layer, value in enumerate(rows.stack("size")[:, 0].mean(0)):
            table.add(
                quantity="size",
                series=label(protocol, lr),
                protocol=protocol,
                x=layer + 1,
                value=value,
            )
    for protocol, lr in (("none", 0.0), *_changed(p)):
        shares = of(results["measured"], protocol, lr).stack("cluster")[..., 0].mean(0)
        for c, kind in enumerate(CLASSES):
            for layer, value in enumerate(shares[c]):
                table.add(
                    quantity=kind,
                    series=label(protocol, lr),
                    protocol=protocol,
                    x=layer + 1,
                    value=value,
                )
    return table


def fragility_table(results: All, p: Preset) -> Table:
    """How far refusals hold in a ball of embeddings."""
    table = Table("protocol", "slots", "opened", "executed", "tau", "tau_safe")
    for protocol, lr in _changed(p):
        rows = of(results["fragility"], protocol, lr)
        for i, slots in enumerate(p["ball"]["slots"]):
            table.add(
                protocol=protocol,
                slots=len(slots),
                opened=rows.stack("opened")[:, i].mean(),
                executed=rows.stack("executed")[:, i].mean(),
                tau=rows.stack("tau")[:, i].mean(),
                tau_safe=rows.stack("tau_safe").mean(),
            )
    return table


def grammar_table(results: All, p: Preset) -> Table:
    """Lengths of yields, exact and sampled, and how well classifiers tell branches apart."""
    table = Table("quantity", "series", "x", "value", "sampled")
    for row in results["laws"]:
        for n, exact, seen in zip(
            row["lengths"], row["probabilities"], row["sampled"], strict=True
        ):
            table.add(
                quantity="length",
                series=row.cell["variant"],
                x=int(n),
                value=float(exact),
                sampled=float(seen),
            )
    for row in results["locality"]:
        c = row.cell
        name = f"G{c['index'] + 1}: {branch(c['one'])} / {branch(c['other'])}"
        table.add(
            quantity="locality",
            series=f"{name}, {'pairs' if c['order'] else 'letters'}",
            x=c["order"],
            value=np.nan,
            sampled=float(row["right"] / row["trials"]),
        )
    unigram: Any = results["letters"].rows[0]["unigram"]
    for g, law in enumerate(unigram):
        table.add(
            quantity="support",
            series=f"G{g + 1}",
            x=g + 1,
            value=float((law > 0).sum()),
            sampled=np.nan,
        )
    return table


def branch(name: str) -> str:
    """A branch's name, for a reader."""
    return {"unsafe_trained": "unsafe", "unsafe_held_out": "held out"}.get(name, name)
