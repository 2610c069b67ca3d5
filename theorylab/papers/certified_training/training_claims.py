"""How the claims on trained networks are measured."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from theorylab.lab import Evidence, Preset, Results, over_seeds
from theorylab.papers.certified_training import published
from theorylab.papers.certified_training.measures import (
    cells,
    counts_of_neurons,
    curves,
    image_errors,
    main_linear,
    main_wide,
    radii,
    sphere_panels,
)

All = Mapping[str, Results]
CERTIFIED = ("coap", "crown-ibp", "ibp", "fast-ibp")
Measure = Callable[[All, Preset], Sequence[Evidence]]


def linear_order(coap: str) -> Measure:
    """Robust error of standard < AT < COAP at every radius, COAP at least .005 above AT up to ε =
    5; small samples, perturbed along the signal."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = main_linear(results)
        found, evidence = curves(rows, "robust", True), []
        for i, eps in enumerate(radii(rows)):
            at = {name: values[:, i] for name, values in found.items()}
            evidence.append(
                over_seeds(
                    f"AT less standard, ε = {eps:g}", at["adversarial"] - at["standard"], low=0.0
                )
            )
            if eps <= 5:
                gap = at[coap] - at["adversarial"]
                evidence.append(over_seeds(f"COAP less AT, ε = {eps:g}", gap, low=0.005))
        return evidence

    return measure


def linear_published(shift: float) -> Measure:
    """Mean robust errors within .05 of the published ones."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = main_linear(results)
        evidence = []
        for recipe, values in curves(rows, "robust", True).items():
            for i, eps in enumerate(radii(rows)):
                pair = published.LINEAR.get((recipe, eps))
                if pair is not None:
                    evidence.append(
                        over_seeds(
                            f"{recipe}, ε = {eps:g}; published {pair[0]:g}",
                            values[:, i] + shift,
                            pair[0] - 0.05,
                            pair[0] + 0.05,
                        )
                    )
        return evidence

    return measure


def no_ball_gap(results: All, preset: Preset) -> list[Evidence]:
    """In the l2 ball robust errors of COAP and AT on the linear signal differ by at most .05."""
    rows = cells(results["linear"], threat="l2")
    found = curves(rows, "robust", True)
    gap = np.abs(found["coap"] - found["adversarial"]).max(0)
    return [
        Evidence(f"|COAP less AT|, ε = {eps:g}", float(gap[i]), high=0.05)
        for i, eps in enumerate(radii(rows))
    ]


def wide_order(coap: str, at: str) -> Measure:
    """On the spheres of the thesis AT stays below .03, and COAP is above standard training from ε =
    .6 on and at least .3 at ε = 1."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = main_wide(results)
        found, evidence = curves(rows, "robust", True), []
        for i, eps in enumerate(radii(rows)):
            if eps >= 0.6:
                evidence.append(over_seeds(f"AT, ε = {eps:g}", found[at][:, i], high=0.03))
                gap = found[coap][:, i] - found["standard"][:, i]
                evidence.append(over_seeds(f"COAP less standard, ε = {eps:g}", gap, low=0.0))
            if eps == 1.0:
                evidence.append(over_seeds("COAP, ε = 1", found[coap][:, i], low=0.3))
        return evidence

    return measure


def sphere_gap(panel: str, coap: str) -> Measure:
    """COAP's robust error less that of AT grows along the axis: at least .1 more at its end than at
    its start."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        x, found = sphere_panels(results, partial(curves, name="robust"))[panel]
        gap = found[coap] - found["adversarial"]
        return [
            over_seeds(
                f"gap at {x[-1]:.3g} less gap at {x[0]:.3g}", gap[:, -1] - gap[:, 0], low=0.1
            )
        ]

    return measure


def accumulates(panel: str, reverse: bool) -> Measure:
    """COAP accumulates more unstable neurons at the end of the axis than at its start, at one
    learning rate."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        x, found = sphere_panels(results, counts_of_neurons)[panel]
        values = found["coap"][:, ::-1] if reverse else found["coap"]
        gain = values[:, -1] - values[:, 0]
        return [over_seeds(f"accumulated at {x[-1]:.3g} less at {x[0]:.3g}", gain, low=0.0)]

    return measure


def below_certificate(swap: bool) -> Measure:
    """Attacked error between the standard error and the share without a certificate, every run."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        worst = {"standard": -1.0, "certified": -1.0}
        for row in [*results["images"], *results["lines"]]:
            standard, robust, certified = (
                float(row[n]) for n in ("standard", "robust", "certified")
            )
            if swap:
                robust, certified = certified, robust
            worst["standard"] = max(worst["standard"], standard - robust)
            worst["certified"] = max(worst["certified"], robust - certified)
        return [
            Evidence("largest standard less robust error", worst["standard"], high=1e-6),
            Evidence("largest robust less uncertified error", worst["certified"], high=1e-6),
        ]

    return measure


def image_gap(threat: str, worse: str, better: str, data: str = "mnist") -> Measure:
    """The robust error of `worse` is above that of `better`: the mean over radii, per seed."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = image_errors(results, "robust")
        gaps = [
            each[worse] - each[better]
            for (name, kind, _), each in found.items()
            if name == data and kind == threat
        ]
        return [over_seeds(f"{worse} less {better}, {threat}, {data}", np.mean(gaps, 0), low=0.0)]

    return measure


def best_certified(data: str, at: str, coap: str, ibp: str) -> Measure:
    """In l2 balls AT's standard and robust errors are below the best ones of COAP, CROWN-IBP, IBP
    and FAST-IBP, and COAP's robust error is below IBP's: means over radii, one value per seed."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        evidence = []
        for name in ("robust", "standard"):
            found = image_errors(results, name)
            gaps = [
                np.min([each[m] for m in CERTIFIED], 0) - each[at]
                for (where, kind, _), each in found.items()
                if where == data and kind == "l2"
            ]
            evidence.append(
                over_seeds(f"best certified less AT, {name}, {data}", np.mean(gaps, 0), low=0.0)
            )
        return [*evidence, *image_gap("l2", ibp, coap, data)(results, preset)]

    return measure


def image_order(*pairs: tuple[str, str, str], data: str = "mnist") -> Measure:
    """`image_gap` of every (threat, worse, better)."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        return [e for pair in pairs for e in image_gap(*pair, data)(results, preset)]

    return measure
