"""The linear theory."""

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, over_seeds
from theorylab.lab.claim import Measure
from theorylab.papers.projection_norm.claims.shared import PAPER
from theorylab.papers.types import AllResults

EXACT = 1e-9  # relative, for two float64 computations of one number


def closed_forms(quantity: str) -> Measure:
    """Proposition 1: relative difference of the closed forms to the fits below 1e-9."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["bounds"]
        off = np.abs(rows.stack(quantity) / rows.stack("fit") - 1).max(0)
        return [
            Evidence(f"{what}, largest of {len(rows)}", float(x), high=EXACT)
            for what, x in zip(("||theta_hat - theta~||", "test loss"), off, strict=True)
        ]

    return measure


def sandwich(missed: str, factor: float = 1.0) -> Measure:
    """Proposition 2: (s_min^2/m) missed^2 <= loss <= (s_max^2/m) missed^2 for every signal;
    `factor` scales missed."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["bounds"]
        swap = (factor * rows.stack(missed) / rows.stack("missed")) ** 2
        loss = rows.stack("loss")
        return [
            Evidence(
                "largest loss / upper bound",
                float((loss / (swap * rows.stack("upper"))).max()),
                high=1 + EXACT,
            ),
            Evidence(
                "least loss / lower bound",
                float((loss / (swap * rows.stack("lower"))).min()),
                low=1 - EXACT,
            ),
        ]

    return measure


def expectations(quantity: str, formula: int) -> Measure:
    """Proposition 3: mean of PN^2, and of the test loss, over isotropic signals / trace formula in
    [0.98, 1.02], for
    every (n, m): five standard errors at 4,000 signals; and the expected loss within its bounds."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for n, m in results["bounds"].unique("n", "m"):
            rows = results["bounds"].where(n=n, m=m)
            expected = rows.stack("expected")
            ratio = (rows.stack(quantity) ** 2).mean(1) / expected[:, formula]
            loss, bounded = (
                rows.stack("loss").mean(1) / expected[:, 2],
                expected[:, 2:3] / expected[:, 3:],
            )
            evidence += [
                over_seeds(f"mean {quantity}^2 / formula, n={n}, m={m}", ratio, 0.98, 1.02),
                over_seeds(f"mean loss / formula, n={n}, m={m}", loss, 0.97, 1.03),
                Evidence(
                    f"expected loss / upper bound, n={n}, m={m}", float(bounded[:, 1].max()), 0, 1
                ),
                Evidence(
                    f"expected loss / lower bound, n={n}, m={m}", float(bounded[:, 0].min()), 1
                ),
            ]
        return evidence

    return measure


def typical_kappa(n: int, m: int) -> Measure:
    """Proposition 4: the median over isotropic signals of kappa = PN / missed lies in [0.95,
    1.05]."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        kappa = results["bounds"].where(n=n, m=m).stack("kappa")
        return [over_seeds(f"median kappa, n={n}, m={m}", np.median(kappa, axis=1), 0.95, 1.05)]

    return measure


def always_bounded(results: AllResults, preset: Preset) -> list[Evidence]:
    """(s_max^2/m) PN^2 >= loss: as a share of signals, 1 if the bound held for each."""
    rows = results["bounds"].where(n=20, m=20)
    scale = rows.stack("upper")[:, :1] / rows.stack("missed")[:, :1] ** 2
    held = scale * rows.stack("pn") ** 2 >= rows.stack("loss")
    hidden = scale[:, 0] * rows.stack("hidden")[:, 0] ** 2 >= rows.stack("hidden")[:, 1]
    return [
        over_seeds("share of isotropic signals", held.mean(1), low=1.0),
        over_seeds("share of signals in the null space of P", hidden.astype(float), low=1.0),
    ]


def blind(quantity: str) -> Measure:
    """Proposition 5: what the outputs show is constant in s to rounding, while PN never falls and
    the loss grows.

    By how much in the example, a factor of 1.1 and of 5, are margins of ours.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["hidden"]
        shown, pn, loss = rows.stack(quantity), rows.stack("pn"), rows.stack("loss")
        varies = float(np.max(np.ptp(shown, 1) / shown.mean(1)))
        return [
            Evidence(f"range of the {quantity} over s / mean", varies, 0, 1e-12),
            Evidence("least step of PN", float(np.diff(pn, axis=1).min()), low=-1e-12),
            over_seeds("loss at the largest s / at s = 0", loss[:, -1] / loss[:, 0], low=5.0),
            over_seeds("PN at the largest s / at s = 0", pn[:, -1] / pn[:, 0], low=1.1),
            Evidence(
                "PN / its limit ||a||",
                float(np.max(pn.max(1) / rows.stack("limit"))),
                high=1 + EXACT,
            ),
            Evidence("PN - closed form", float(np.abs(pn - rows.stack("closed")).max()), high=1e-9),
        ]

    return measure


def more_data(quantity: str) -> Measure:
    """Proposition 6: never rises with m, and is 0 (1e-9) once the test set has d rows or more."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["more_data"]
        cell = next(iter(rows)).cell
        values = rows.stack(quantity)
        full = [i for i, m in enumerate(cell["sizes"]) if m >= cell["d"]]
        return [
            Evidence(
                f"largest step of {quantity} with m",
                float(np.diff(values, axis=1).max()),
                high=1e-9,
            ),
            Evidence(f"{quantity} at m >= d", float(np.max(values[:, full])), high=1e-9),
        ]

    return measure


def early_stopping(at_rest: int) -> Measure:
    """Proposition 7: closed forms against integration and iteration; without shift PN_ref is 0; one
    limit."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["early"]
        flow, limit = rows.stack("flow"), rows.stack("limit")
        return [
            Evidence(
                "flow - matrix exponential",
                float(np.abs(flow - rows.stack("integrated")).max()),
                high=1e-9,
            ),
            Evidence(
                "descent - iteration",
                float(np.abs(rows.stack("descent") - rows.stack("iterated")).max()),
                high=1e-12,
            ),
            Evidence(
                "norm without shift, any t",
                float(rows.stack("unshifted")[:, at_rest].max()),
                high=1e-12,
            ),
            Evidence(
                "last t - limit", float(np.abs(flow[:, :, -1] - limit[:, None]).max()), high=1e-9
            ),
        ]

    return measure


def finite_sample_floor(quantity: str) -> Measure:
    """Proposition 8: sqrt(n) times the mean norm in [2.0, 2.7] at every n, log-log slope in [-0.6,
    -0.4]."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["floor"]
        sizes = np.asarray(next(iter(rows)).cell["sizes"], float)
        means = rows.stack(quantity).mean(1)
        slopes = [np.polyfit(np.log(sizes), np.log(mean), 1)[0] for mean in means]
        return [over_seeds("slope in n", slopes, -0.6, -0.4)] + [
            over_seeds(f"sqrt(n) x norm at n={n:g}", means[:, i] * np.sqrt(n), 2.0, 2.7)
            for i, n in enumerate(sizes)
        ]

    return measure


def gram_form(quantity: str) -> Measure:
    """Gram matrices of tangent features give the primal norm to 1e-8."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["kernel"]
        off = np.abs(rows.stack(quantity) / rows.stack("primal") - 1)
        return [Evidence("largest relative difference", float(off.max()), high=1e-8)]

    return measure


CLAIMS = (
    Claim(
        "closed_forms",
        "theta~ is the projection of theta_hat, which gives the norm and the test loss in closed "
        "form",
        "our derivation, docs/derivations/linear_projection_norm.md, statement 1",
        ("bounds",),
        closed_forms("closed"),
        {"theta_0 forgotten": closed_forms("no_start")},
        kind="identity",
    ),
    Claim(
        "sandwich",
        "The test loss lies between spectral multiples of the signal that training missed",
        "our derivation, docs/derivations/linear_projection_norm.md, statement 2",
        ("bounds",),
        sandwich("missed"),
        {
            "a signal's missed part twice too small": sandwich("missed", 0.5),
            "its missed part twice too large": sandwich("missed", 2.0),
        },
    ),
    Claim(
        "isotropic_expectation",
        "For isotropic signals PN^2 and the loss have trace formulas, and PN^2 bounds the loss",
        (
            f"{PAPER}, linear theory; trace formulas: our derivation, "
            "docs/derivations/linear_projection_norm.md, statement 3"
        ),
        ("bounds",),
        expectations("pn", 0),
        {"missed part in place of PN, ranks not accounted for": expectations("missed", 0)},
    ),
    Claim(
        "typical_kappa",
        "With equal ranks and isotropic signals, the two projected parts are of one size",
        "our derivation, docs/derivations/linear_projection_norm.md, statement 4",
        ("bounds",),
        typical_kappa(20, 20),
        {"unequal ranks": typical_kappa(30, 20)},
    ),
    Claim(
        "pn_bounds_each_loss",
        "For n = m, (s_max^2/m) PN^2 bounds the test loss of each signal",
        f"{PAPER}, linear theory, without its assumption on the two parts",
        ("bounds",),
        always_bounded,
        kind="finding",
        note="It bounds the expectation over isotropic signals (isotropic_expectation), but not "
        "each signal, and none in the null space of the training inputs: there the norm is 0 and "
        "the loss is not.",
    ),
    Claim(
        "confidence_is_blind",
        "Outputs cannot see a shift orthogonal to the training data; the Projection Norm does",
        (
            f"{PAPER}, on outputs and orthogonal directions; the example: our derivation, "
            "docs/derivations/linear_projection_norm.md, statement 5"
        ),
        ("hidden",),
        blind("output"),
        {"test loss in place of outputs": blind("loss")},
        note=(
            "PN saturates while the loss keeps growing: it ranks shifts, it is not proportional "
            "to the loss."
        ),
    ),
    Claim(
        "more_test_data",
        "The norm falls with the number of test samples and vanishes at full rank",
        "our derivation, docs/derivations/linear_projection_norm.md, statement 6",
        ("more_data",),
        more_data("pn"),
        {"test loss in place of PN": more_data("loss")},
    ),
    Claim(
        "early_stopping",
        "With early stopping, comparing with the reference removes what training without shift "
        "moves",
        "our derivation, docs/derivations/linear_projection_norm.md, statement 7",
        ("early",),
        early_stopping(0),
        {"theta_hat in place of the reference": early_stopping(1)},
    ),
    Claim(
        "finite_sample_floor",
        "Without shift the norm after early stopping is not 0, but falls as n^-1/2",
        (
            "our derivation, docs/derivations/linear_projection_norm.md, statement 8; the "
            "constant: an independent simulation"
        ),
        ("floor",),
        finite_sample_floor("pn"),
        {"a shift": finite_sample_floor("shifted")},
    ),
    Claim(
        "gram_form",
        "Gram matrices of tangent features give the norm",
        "our derivation, docs/derivations/linear_projection_norm.md, statement 9",
        ("kernel",),
        gram_form("gram"),
        {"targets in place of residuals": gram_form("raw_targets")},
        kind="identity",
    ),
)
