"""Exponents of spectra and of learning curves."""

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, Results, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.more_than_a_toy.claims.shared import BIG, PAPER, ridgeless
from theorylab.papers.types import AllResults
from theorylab.rmt import fit_exponents, power_law_kappa

SLOPES = {
    (1.5, 1.5): (-0.502, -0.517),
    (1.3, 2.0): (-1.006, -1.022),
    (2.0, 1.8): (-0.797, -0.804),
    (1.2, 3.0): (-1.95, -2.06),
    (1.2, 4.5): (-2.41, -2.51),
}


def capacity(quantity: str) -> Measure:
    """Claim 6: the capacity exponent fitted from kappa-hat is 1.20 +- 0.05."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        sizes, values, _ = ridgeless(results, quantity)
        slopes = [fit_exponents(np.asarray(sizes), row).alpha for row in values]
        return [over_seeds(f"-slope of {quantity}", slopes, 1.15, 1.25)]

    return measure


def constants(wrong: float) -> Measure:
    """Claim 6b: kappa = C_alpha N^-alpha and its derivative is alpha, within 2 % at N = 1,000."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for alpha in (1.5, 2.0, 3.0):
            row = next(iter(results["exponents"].where(alpha=alpha)))
            place = row.cell["sizes"].index(1000)
            ratio = row["kappa"][place] / (wrong * float(power_law_kappa(alpha, 1000)))
            evidence.append(Evidence(f"κ / C_α N^-α at α={alpha}", ratio, 0.98, 1.02))
            evidence.append(
                Evidence(
                    f"∂κ/∂λ / α at α={alpha}", row["dkappa"][place] / alpha / wrong, 0.98, 1.02
                )
            )
        return evidence

    return measure


def exponent_table(shift: float) -> Measure:
    """Claim 7: ridgeless slopes of the deterministic risk over N = 1e2..1e3 and 1e3..1e4, to
    0.02."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for (alpha, delta), references in SLOPES.items():
            row = next(iter(results["exponents"].where(alpha=alpha, delta=delta)))
            slopes = np.diff(np.log(row["risk"])) / np.diff(
                np.log(np.asarray(row.cell["sizes"], float))
            )
            for slope, reference in zip(slopes, references, strict=True):
                label = f"slope at α={alpha}, δ={delta}, expected {reference}"
                evidence.append(Evidence(label, slope + shift - reference, -0.02, 0.02))
        return evidence

    return measure


def training_helps(selector: str) -> Measure:
    """Claim 8: at the ridge of the least `selector`, the test risk of a kernel after training
    (here, or on ImageNet) is below that of the initial one at its ridge of the least GCV, by 3 % at
    every N.

    The splits of one run share the networks and the test images: they give one value a base seed,
    their mean.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        group = results["network_curves"]
        for name, network in group.unique("data", "network"):
            rows = group.where(data=name, network=network)
            initial = _selected(rows.where(weights="init"), "gcv")
            for weights in sorted({"trained", "pretrained"} & set(rows.unique("weights"))):
                trained = _selected(rows.where(weights=weights), selector)
                for i, n in enumerate(next(iter(rows)).cell["sizes"]):
                    label = f"{network} on {name}, {weights} / init, N={n}"
                    evidence.append(
                        over_seeds(label, (trained[:, i] / initial[:, i]).mean(), high=0.97)
                    )
        return evidence

    return measure


def _selected(rows: Results, selector: str) -> np.ndarray:
    """(splits, sizes): test risk at the ridge of the least `selector`."""
    best = rows.stack(selector).argmin(2)
    return np.take_along_axis(rows.stack("test"), best[..., None], axis=2)[..., 0]


CLAIMS = (
    Claim(
        "capacity_exponent",
        "The ReLU NTK of Fashion-MNIST has capacity exponent 1.20",
        "our check: the value of an independent computation",
        ("analytic",),
        capacity("kappa"),
        {"risk in place of κ̂": capacity("test")},
        presets=BIG,
    ),
    Claim(
        "power_law_constants",
        "κ = C_α N^-α and ∂κ/∂λ = α for a power-law spectrum",
        "our derivation, docs/derivations/kernel_risk.md, statement 2",
        ("exponents",),
        constants(1.0),
        {"constants 5 % off": constants(1.05)},
        presets=BIG,
    ),
    Claim(
        "scaling_exponents",
        "R falls as N^-min(δ-1, 2α): the slopes without ridge agree with the table",
        (
            "our derivation, docs/derivations/kernel_risk.md, statement 3; the omniscient "
            "risk of power laws, computed independently"
        ),
        ("exponents",),
        exponent_table(0.0),
        {"slopes shifted by 0.05": exponent_table(0.05)},
        kind="identity",
        presets=BIG,
    ),
    Claim(
        "training_helps",
        "The eNTK of a network trained here, or on ImageNet, generalises better than the one at "
        "initialisation, at the ridge that GCV selects",
        f"{PAPER}, section 5",
        ("network_curves",),
        training_helps("gcv"),
        {"trained at the ridge of least training risk": training_helps("train")},
        presets=BIG,
    ),
)
