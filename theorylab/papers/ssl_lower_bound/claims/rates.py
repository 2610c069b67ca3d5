"""Rates: what unlabelled data can and cannot improve."""

from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from theorylab.lab import Claim, Evidence, Preset, bootstrap, over_seeds
from theorylab.lab.claim import Measure
from theorylab.mixtures import gain_limits, spectral_information, unlabelled_information
from theorylab.papers.ssl_lower_bound.claims.shared import BIG, PAPER, enough_labels
from theorylab.papers.ssl_lower_bound.tables import by_method, regimes
from theorylab.papers.types import AllResults


def _gain(sl: np.ndarray, ul_plus: np.ndarray, ssl: np.ndarray) -> np.ndarray:
    """Best of SL and UL+ over an SSL method, of mean risks over seeds (first axis)."""
    return np.minimum(sl.mean(0), ul_plus.mean(0)) / ssl.mean(0)


def constant_gain(method: str) -> Measure:
    """Check 5: best(SL, UL+) / SSL-EM lies in [0.95, 2.1] all over, SSL-W within 1.15 of SSL-EM
    where the information n_l + n_u s²/(1+s²) is at least 10 d/s², which leading order needs (s =
    0.7 <= 1)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for name in ("labels", "limits"):
            risk = by_method(results[name])
            cell = results[name].rows[0].cell
            s, n_l, n_u = (np.asarray(cell[k], float) for k in ("s", "n_l", "n_u"))
            enough = enough_labels(s, cell["d"], n_l, n_u)
            risks = [risk[m] for m in ("sl", "ul_plus", method)]
            evidence += [
                bootstrap(
                    f"least gain of SSL-EM, {name}",
                    lambda *r: float(_gain(*r).min()),
                    risks,
                    low=0.95,
                ),
                bootstrap(
                    f"largest gain of SSL-EM, {name}",
                    lambda *r: float(_gain(*r).max()),
                    risks,
                    high=2.1,
                ),
                bootstrap(
                    f"largest SSL-W / SSL-EM, {name}",
                    _largest_ratio,
                    (risk["ssl_weighted"][:, enough], risk[method][:, enough]),
                    high=1.15,
                ),
            ]
        return evidence

    return measure


def _largest_ratio(above: np.ndarray, below: np.ndarray) -> float:
    """The largest ratio over settings of two mean risks over seeds (first axis)."""
    return float((above.mean(0) / below.mean(0)).max())


def peak(method: str) -> Measure:
    """The gain peaks in [1.6, 2.05] at n_l near q(s) n_u = 345, and is below 1.35 at n_l = 50 and
    n_l = 1600."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["labels"]
        risk, n_l = by_method(rows), np.asarray(rows.rows[0].cell["n_l"])
        risks = [risk[m] for m in ("sl", "ul_plus", method)]

        def gain_at(size: int) -> Callable[..., float]:
            return lambda *r: float(_gain(*r)[n_l == size][0])

        return [
            bootstrap("gain at n_l = 345 = q n_u", gain_at(345), risks, 1.6, 2.05),
            bootstrap(
                "n_l of the largest gain / (q n_u)",
                lambda *r: n_l[_gain(*r).argmax()] / 345,
                risks,
                0.5,
                2,
            ),
            bootstrap("gain at n_l = 50", gain_at(n_l[0]), risks, 0.95, 1.35),
            bootstrap("gain at n_l = 1600", gain_at(n_l[-1]), risks, 0.95, 1.35),
        ]

    return measure


def only_constants(results: AllResults, preset: Preset) -> list[Evidence]:
    """The folk reading "SSL cannot beat the better baseline at all": gain at most 1.1
    everywhere."""
    risk = by_method(results["labels"])
    risks = [risk[m] for m in ("sl", "ul_plus", "ssl_em")]
    return [bootstrap("largest gain", lambda *r: float(_gain(*r).max()), risks, high=1.1)]


def _limits(results: AllResults) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each regime: settings (3, steps), and SSL-EM's risk over SL's and over UL+'s of each seed
    (seeds, steps)."""
    found, risk = regimes(results["limits"]), by_method(results["limits"])
    over = {base: np.split(risk["ssl_em"] / risk[base], 3, axis=1) for base in ("sl", "ul_plus")}
    names = ("low", "intermediate", "high")
    return {name: (found[name], over["sl"][k], over["ul_plus"][k]) for k, name in enumerate(names)}


def trade_off(information: Callable[[float], float]) -> Measure:
    """Check 6: along n_u = 3 n_l, SSL-EM / SL is 1/(1 + c q) within 10 % at every size."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        (s, n_l, n_u), over_sl, _ = _limits(results)["intermediate"]
        limit = [1 / (1 + b / a * information(x)) for x, a, b in zip(s, n_l, n_u, strict=True)]
        return [
            over_seeds(
                f"(SSL-EM / SL) / limit, {n_l[i]:g} + {n_u[i]:g}",
                over_sl[:, i] / limit[i],
                0.9,
                1.1,
            )
            for i in range(len(s))
        ]

    return measure


def never_both(gains_both: bool) -> Measure:
    """Table 2: SSL's risks over SL's and over UL+'s sum to at least 0.9 in every regime (the
    limits: at least 0.95). Each is its limit within 10 % at the end of its own side. The control
    gains the product of both."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence, ends = [], []
        for name, (settings, over_sl, over_ul) in _limits(results).items():
            combined = over_sl * over_ul * 2 if gains_both else over_sl + over_ul
            evidence += [
                over_seeds(f"H_l + H_u, {name}, step {i + 1}", combined[:, i], low=0.9)
                for i in range(combined.shape[1])
            ]
            s, n_l, n_u = settings[:, -1]
            limit = gain_limits(n_u / n_l, unlabelled_information(s))
            # UL+'s constant is its own
            spectral = spectral_information(s) / unlabelled_information(s)
            if name == "low":
                ends.append(("SSL-EM / sl", name, over_sl[:, -1] / float(limit.over_sl)))
            if name == "high":
                ends.append(
                    ("SSL-EM / ul_plus", name, over_ul[:, -1] / float(limit.over_ul * spectral))
                )
        return evidence + [
            over_seeds(f"({what}) / limit at the end of '{name}'", value, 0.9, 1.1)
            for what, name, value in ends
        ]

    return measure


def exponents(shift: float) -> Measure:
    """Check 7: slopes of the excess risk: -1 in n (+- 0.05); times e^{s²/2}, -1 (SL) and -3 (UL) in
    s up to 1, the latter up to the factor 1 + s² of the spectral constant (+- 0.15)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["slopes"]
        cell, risk = rows.rows[0].cell, by_method(rows)
        s, n_l, n_u = (np.asarray(cell[k], float) for k in ("s", "n_l", "n_u"))
        in_n = n_l < 20_000
        low = ~in_n & (s <= 1)
        times = np.exp(s**2 / 2)

        def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return np.polyfit(np.log(x), np.log(y).T, 1)[0] + shift  # of each seed

        sl, ul = risk["sl"], risk["ul"]
        five = np.flatnonzero(in_n)[:5]
        large = in_n & (n_l >= 400)
        return [
            over_seeds("SL: slope in n, 400..3200", slopes(n_l[large], sl[:, large]), -1.05, -0.95),
            over_seeds("UL: slope in n, 500..8000", slopes(n_u[five], ul[:, five]), -1.05, -0.95),
            over_seeds("SL: slope in s", slopes(s[low], (sl * times)[:, low]), -1.15, -0.85),
            over_seeds(
                "UL / (1 + s²): slope in s",
                slopes(s[low], (ul * times / (1 + s**2))[:, low]),
                -3.15,
                -2.85,
            ),
        ]

    return measure


def high_snr(power: float) -> Measure:
    """For s in [2, 3] the printed s^-power: the slope of UL's risk times e^{s²/2}."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["slopes"]
        cell, risk = rows.rows[0].cell, by_method(rows)
        s, n_l = np.asarray(cell["s"], float), np.asarray(cell["n_l"])
        high = (n_l == 20_000) & (s >= 2)
        slopes = np.polyfit(np.log(s[high]), np.log((risk["ul"] * np.exp(s**2 / 2))[:, high]).T, 1)[
            0
        ]
        return [over_seeds("UL: slope in s over [2, 3]", slopes, -power - 0.25, -power + 0.25)]

    return measure


def beats_both(method: str) -> Measure:
    """SSL-W at t* has a smaller estimation error and excess risk than SL and than UL+, at every
    number of labels."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["labels"]
        evidence = []
        for what in ("mean", "estimation"):
            risk = by_method(rows, what)
            for base in ("sl", "ul_plus"):
                name = "excess risk" if what == "mean" else "estimation error"
                label = f"largest SSL-W / {base}, {name}"
                evidence.append(
                    bootstrap(label, _largest_ratio, (risk[method], risk[base]), high=0.99)
                )
        return evidence

    return measure


def signs(rule: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Measure:
    """The wrong-sign rate of UL+ is Phi(-sqrt(n_l) s cos), within 4.5 standard errors; cos from
    UL's own mean excess.

    One of the 64 settings is off by that much by chance once in 2,000 runs.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        rows = results["grid"].where(replicates=preset["grid_replicates"])
        row = rows.rows[0]
        s, n_l = np.asarray(row.cell["s"]), np.asarray(row.cell["n_l"])
        ul = row["mean"][row.cell["methods"].index("ul")]
        # (the rate is nearly linear in cos)
        cos = -norm.ppf(np.minimum(ul + norm.cdf(-s), 0.5)) / s
        steady = cos > 0.9  # where UL's direction hardly varies
        rate, expected = row["wrong_sign"][steady], rule(np.sqrt(n_l) * s, cos)[steady]
        se = np.sqrt(expected * (1 - expected) / preset["grid_replicates"]) + 1e-3
        return [
            Evidence(
                "largest |rate - expected| / standard error",
                float((np.abs(rate - expected) / se).max()),
                0.0,
                4.5,
            )
        ]

    return measure


def q_of(s: float) -> float:
    return float(unlabelled_information(s))


CLAIMS = (
    Claim(
        "no_rate_improvement",
        "SSL beats the better of SL and UL+ by a constant only: their ratio lies between 1 and 2, "
        "within 5 %",
        (
            f"{PAPER}, theorem 3; the constant 2: our derivation, "
            "docs/derivations/mixture_information.md, statement 5"
        ),
        ("labels", "limits"),
        constant_gain("ssl_em"),
        {"SL as SSL": constant_gain("sl")},
        presets=BIG,
    ),
    Claim(
        "constant_gain",
        "The gain peaks near 2 (1.6 to 2.05) where n_l = q(s) n_u, and is below 1.35 elsewhere",
        "our derivation, docs/derivations/mixture_information.md, statement 5",
        ("labels",),
        peak("ssl_em"),
        {"SSL-S, which switches": peak("ssl_switch"), "no gain by more than 1.1": only_constants},
        presets=BIG,
    ),
    Claim(
        "trade_off",
        "SSL / SL -> 1/(1 + c q) for n_u = c n_l",
        f"{PAPER}, corollary, with q(s) for s²",
        ("limits",),
        trade_off(q_of),
        {"s² in place of q(s)": trade_off(lambda s: s**2)},
        presets=BIG,
    ),
    Claim(
        "never_both_rates",
        "SSL's risk cannot vanish against SL's and against UL+'s at once: the ratios sum to 0.9 "
        "or more",
        (
            f"{PAPER}, corollary; the sum of the limits: our derivation, "
            "docs/derivations/mixture_information.md, statement 6"
        ),
        ("limits",),
        never_both(False),
        {"a learner that gains both rates, H_l = H_u = H_l H_u": never_both(True)},
        presets=BIG,
    ),
    Claim(
        "exponents",
        "The rates of Table 1 are right: 1/n, and s^-1 for SL and s^-3 for UL+ up to s = 1",
        f"{PAPER}, table 1",
        ("slopes",),
        exponents(0.0),
        {"slopes shifted by 0.2": exponents(0.2)},
        presets=BIG,
    ),
    Claim(
        "high_snr_rate",
        "UL+'s printed rate s^-3 is right above s = 1",
        f"{PAPER}, table 1 outside of s <= 1",
        ("slopes",),
        high_snr(3.0),
        kind="finding",
        presets=BIG,
        note=(
            "The paper states it for s in (0, 1]: for larger s it would be below the rate with "
            "all labels."
        ),
    ),
    Claim(
        "weighting_helps",
        "SSL-W beats SL and UL+ at once, in estimation error and excess risk",
        f"{PAPER}, proposition on SSL-W",
        ("labels",),
        beats_both("ssl_weighted"),
        {"switching instead": beats_both("ssl_switch")},
        presets=BIG,
    ),
    Claim(
        "sign_step",
        "UL+ picks the wrong side with probability Φ(-√n_l s cos)",
        "our derivation, docs/derivations/mixture_information.md, statement 7",
        ("grid",),
        signs(lambda x, cos: norm.cdf(-x * cos)),
        {
            "a random sign": signs(lambda x, cos: 0.5 + 0 * x),
            "without the factor s √n_l, Φ(-1)": signs(lambda x, cos: norm.cdf(-1 + 0 * x)),
        },
        presets=BIG,
    ),
)
