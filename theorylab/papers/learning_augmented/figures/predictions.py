"""Cost against the noise of the prediction."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.learning_augmented.scheduling import JOB_POLICIES
from theorylab.papers.learning_augmented.ski import RULES
from theorylab.papers.types import AllResults
from theorylab.plotting import COLOURS, DASHES, MARKERS, band, panels


def _noise_table(results: AllResults, preset: Preset) -> Table:
    table = Table("experiment", "series", "sigma", "ratio", "low", "high", "exact")
    rows = results["psk_ski"]
    cell = next(iter(rows)).cell
    mean, exact = rows.stack("mean"), rows.stack("exact")[0]
    for i, rule in enumerate(RULES):
        for j, sigma in enumerate(cell["sigmas"]):
            value = mean[:, i, j]
            table.add(
                experiment="ski rental",
                series=rule,
                sigma=sigma / cell["b"],
                ratio=value.mean(),
                low=np.min(value),
                high=np.max(value),
                exact=exact[i, j],
            )
    rows = results["psk_jobs"]
    ratio = rows.stack("ratio")  # seeds, policies, sigmas, instances
    for i, policy in enumerate(JOB_POLICIES):
        for j, sigma in enumerate(next(iter(rows)).cell["sigmas"]):
            value = ratio[:, i, j].mean(-1)
            table.add(
                experiment="scheduling",
                series=policy,
                sigma=sigma,
                ratio=value.mean(),
                low=np.min(value),
                high=np.max(value),
                exact=value.mean(),
            )
    return table


def _noise_draw(table: Table) -> MplFigure:
    figure, axes = panels(2, height=3.2)
    labels = {
        "D": "D, λ = 0.5",
        "R": "R, λ = ln 1.5",
        "trust": "trust the prediction",
        "classical": "R without prediction",
    }
    for axis, ((experiment,), part) in zip(axes[0], table.groups("experiment"), strict=True):
        for i, ((series,), rows) in enumerate(part.groups("series")):
            axis.plot(
                rows["sigma"],
                rows["ratio"],
                color=COLOURS[i],
                marker=MARKERS[i],
                ls=DASHES[i],
                label=labels.get(str(series), series),
            )
            band(
                axis,
                rows["sigma"].tolist(),
                rows["low"].tolist(),
                rows["high"].tolist(),
                COLOURS[i],
            )
            if experiment == "ski rental":
                axis.plot(
                    rows["sigma"], rows["exact"], color=COLOURS[i], lw=0.6, marker="", alpha=0.7
                )
        axis.set_title(str(experiment))
    axes[0, 0].set(
        xlabel="noise of the prediction σ / b", ylabel="average cost / OPT", ylim=(0.95, 2.15)
    )
    axes[0, 0].legend(loc="upper left", ncols=2)
    axes[0, 1].set_xscale("symlog", linthresh=1)
    noise = sorted(set(table.where(experiment="scheduling")["sigma"]))
    axes[0, 1].set_xlim(-0.2, max(noise) * 1.3)
    ticks = [0, *(t for t in (1, 10, 100, 1000, 10_000) if t <= max(noise))]
    axes[0, 1].set_xticks(ticks, ["0", *(f"$10^{{{int(np.log10(t))}}}$" for t in ticks[1:])])
    axes[0, 1].minorticks_off()
    axes[0, 1].set(xlabel="noise of the prediction σ", ylabel="average cost / OPT")
    axes[0, 1].legend(loc="upper left")
    return figure


FIGURES = (
    Figure(
        "la_v3",
        "Cost against the noise of the prediction",
        "ours",
        ("psk_ski", "psk_jobs"),
        _noise_table,
        _noise_draw,
        "The predecessor's experiments. Left: b = 100, seasons uniform on 1..400; thin lines are "
        "exact expectations. Right: 50 Pareto(1.1) jobs. Bands: smallest and largest average over "
        "seeds. The two-stage schedule jumps to round robin's cost at any noise.",
        "Predictions of job sizes are cut at 0.",
    ),
)
