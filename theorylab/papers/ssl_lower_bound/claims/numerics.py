"""The simulation itself: shortcuts and number formats."""

from math import sqrt

import numpy as np

from theorylab.lab import Claim, Evidence, Preset
from theorylab.lab.claim import Measure
from theorylab.papers.ssl_lower_bound.tables import by_method
from theorylab.papers.types import AllResults


def shortcut(*names: tuple[str, str]) -> Measure:
    """The public estimators on explicit samples with random centres agree with the sweeps, to 4.5
    standard errors.

    One of the six is off by that much by chance once in 20,000 runs.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["table"].where(d=20)
        at = next(i for i, n in enumerate(rows.rows[0].cell["n_u"]) if n == 1000)
        swept, error = by_method(rows), by_method(rows, "se")
        row = results["explicit"].rows[0]
        evidence = []
        for method, name in names:
            values = row[name]
            mean = swept[method][:, at].mean()
            se = sqrt(
                values.var(ddof=1) / len(values)
                + (error[method][:, at] ** 2).mean() / len(swept[method])
            )
            score = float((values.mean() - mean) / se)
            evidence.append(
                Evidence(f"(explicit {name} - swept {method}) / standard error", score, -4.5, 4.5)
            )
        return evidence

    return measure


def precision(low: str, high: str) -> Measure:
    """Every reported risk agrees between float32 and float64, on the same draws, within 1 %."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = results["cancellation"].rows[0]
        evidence = [
            Evidence(f"{low} / {high} at SL, n={n:g}", float(a / b), 0.99, 1.01)
            for n, a, b in zip(row.cell["sizes"], row[low], row[high], strict=True)
        ]
        if low.startswith("naive"):
            return evidence
        rows = results["precision"]
        for methods in rows.unique("methods"):
            single, double = (
                rows.where(methods=methods, dtype=t).rows[0] for t in ("float32", "float64")
            )
            for i, method in enumerate(methods):
                ratio = single["mean"][i] / double["mean"][i]
                worst = ratio[np.abs(ratio - 1).argmax()]
                route = "moments" if "ul" in methods else "data"
                evidence.append(
                    Evidence(f"{method}, {route}: float32 / float64", float(worst), 0.99, 1.01)
                )
        return evidence

    return measure


WITH_EM = ("sl", "ul_plus", "ssl_switch", "ssl_weighted", "ssl_em")


CLAIMS = (
    Claim(
        "shortcut_is_exact",
        "The O(d) law and the rotated sweeps agree with explicit samples",
        "our derivation, docs/derivations/mixture_information.md, statement 8",
        ("table", "explicit"),
        shortcut(("ul_plus", "vote"), *((m, m) for m in WITH_EM)),
        {
            "shuffled labels": shortcut(("sl", "shuffled")),
            "SL taken for SSL-W": shortcut(("ssl_weighted", "sl")),
        },
    ),
    Claim(
        "precision",
        "float32 and float64 agree to 1 % on every reported risk",
        "our check: no cancellation",
        ("precision", "cancellation"),
        precision("stable float32", "stable float64"),
        {"the difference of two Φ in float32": precision("naive float32", "stable float64")},
    ),
)
