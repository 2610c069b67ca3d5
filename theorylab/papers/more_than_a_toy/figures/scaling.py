"""Spectra, and how the risk falls with the sample."""

import numpy as np
from matplotlib.figure import Figure as MplFigure

from theorylab.lab import Figure, Preset, Table
from theorylab.papers.more_than_a_toy.figures.shared import (
    panel_grid,
    plain_ticks,
    rows_of,
    theory_looks,
)
from theorylab.papers.more_than_a_toy.tables import REAL, curves
from theorylab.papers.types import AllResults
from theorylab.plotting import legend_below, sample_axis, shared_legend
from theorylab.rmt import fit_exponents, predicted_exponent


def _spectrum_table(results: AllResults, preset: Preset) -> Table:
    table = Table("kernel", "data", "quantity", "x", "y")
    for kernel, name, rows in curves(results):
        sizes, _ = panel_grid(rows)
        spectrum, power = rows.stack("spectrum").mean(0), rows.stack("power").mean(0)
        power = power.sum(-1) if power.ndim > 1 else power
        index = np.unique(np.geomspace(1, len(spectrum), 60).astype(int))
        best = rows.stack("test").min(2).mean(0)
        for i in index:
            share = {
                "eigenvalue": spectrum[i - 1] / spectrum.sum(),
                "power": power[:i].sum() / power.sum(),
            }
            for quantity, y in share.items():
                table.add(kernel=kernel, data=name, quantity=quantity, x=int(i), y=y)
        for n, y in zip(sizes, best, strict=True):
            table.add(kernel=kernel, data=name, quantity="risk", x=n, y=y)
    return table


def _draw_spectra(table: Table) -> MplFigure:
    looks = theory_looks(table)
    figure, rows = rows_of(table, 3, 2.7)
    labels = {
        "eigenvalue": ("index", "eigenvalue / trace", "log"),
        "power": ("leading modes", "share of target power", "linear"),
        "risk": ("training samples N", "test risk, best ridge", "log"),
    }
    for data, axes, of_data in rows:
        for axis, (quantity, (x, y, scale)) in zip(axes, labels.items(), strict=True):
            for i, ((kernel,), part) in enumerate(
                of_data.where(quantity=quantity).groups("kernel")
            ):
                look = looks[str(kernel)] | ({} if quantity == "risk" else {"marker": ""})
                axis.plot(
                    part["x"], part["y"], ls=("-", "--", "-.", ":")[i % 4], label=kernel, **look
                )
            axis.set(xscale="log", yscale=scale, xlabel=x, title=y)
        axes[0].set_ylabel(str(data) if len(rows) > 1 else "")
        axes[0].set_ylim(1e-8, 2)  # below, the spectrum of a kernel of low rank is rounding
        sample_axis(axes[2], of_data.where(quantity="risk")["x"])
        plain_ticks(axes[2].yaxis)
    shared_legend(figure, [rows[0][1][2]], 4)
    return figure


def _scaling_table(results: AllResults, preset: Preset) -> Table:
    table = Table(
        "kernel", "data", "n", "kappa", "test", "alpha_hat", "rate", "rate_se", "predicted_rate"
    )
    for kernel, name, rows in curves(results):
        sizes, ridges = panel_grid(rows)
        if 0.0 not in ridges:
            continue
        ridgeless = ridges.index(0.0)
        kappa, test, gcv = (rows.stack(q)[:, :, ridgeless] for q in ("kappa", "test", "gcv"))
        fit = fit_exponents(np.asarray(sizes), kappa.T, test.T)
        from_gcv = fit_exponents(np.asarray(sizes), kappa.T, gcv.T)
        rate = predicted_exponent(max(from_gcv.alpha, 1.001), max(from_gcv.delta or 0.0, 1.001))
        for i, n in enumerate(sizes):
            table.add(
                kernel=kernel,
                data=name,
                n=n,
                kappa=kappa.mean(0)[i],
                test=test.mean(0)[i],
                alpha_hat=fit.alpha,
                rate=float(fit.rate or np.nan),
                rate_se=float(fit.rate_se or np.nan),
                predicted_rate=rate,
            )
    return table


def _draw_scaling(table: Table) -> MplFigure:
    looks = theory_looks(table)
    figure, rows = rows_of(table, 2, 3.0 + 0.17 * len(looks))
    for data, (left, right), of_data in rows:
        for (kernel,), part in of_data.groups("kernel"):
            n, look = part["n"], looks[str(kernel)]
            alpha, rate, expected = (
                float(part[c][0]) for c in ("alpha_hat", "rate", "predicted_rate")
            )
            left.plot(
                n, part["kappa"] / part["kappa"][0], label=f"{kernel}: N^{-alpha:.2f}", **look
            )
            right.plot(
                n, part["test"], label=f"N^{-rate:.2f}; from GCV and κ̂: N^{-expected:.2f}", **look
            )
        where = f"{data}: " if len(rows) > 1 else ""
        left.set(xscale="log", yscale="log", xlabel="N", title=f"{where}ridgeless κ̂ / first κ̂")
        right.set(xscale="log", yscale="log", xlabel="N", title=f"{where}ridgeless test risk")
        plain_ticks(right.yaxis)
        for axis in (left, right):
            legend_below(axis)
            sample_axis(axis, of_data["n"])
    return figure


FIGURES = (
    Figure(
        "mtt_fig4",
        "Spectra, alignment and risk",
        "content",
        REAL,
        _spectrum_table,
        _draw_spectra,
        (
            "Eigenvalues, cumulative target power in the leading eigenvectors, and test risk at "
            "the best ridge."
        ),
        "Networks trained here stand beside ImageNet-pretrained ones where the preset has them.",
    ),
    Figure(
        "mtt_fig5",
        "Scaling laws",
        "content",
        REAL,
        _scaling_table,
        _draw_scaling,
        "Effective regularisation and risk at ridge 0 against N with fitted exponents, in the "
        "same order left and right; the expected rate min(δ̂ - 1, 2α̂) is fitted without any test "
        "data.",
    ),
)
