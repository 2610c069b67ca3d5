"""What the claims on the mixture itself measure, each with the variant that its controls take."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
from scipy.stats import norm

from theorylab.lab import Evidence, Preset, bootstrap, over_seeds
from theorylab.lab.claim import Measure
from theorylab.mixtures import gain_limits, spectral_information, unlabelled_information
from theorylab.papers.ssl_lower_bound.published import SIMULATED
from theorylab.papers.ssl_lower_bound.tables import bounded, by_method, regimes
from theorylab.papers.types import AllResults


def information(gap: str, q: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Measure:
    """Check 1: E tanh = E tanh^2 to 1e-8, and s^2/(1+s^2) <= q <= min(1, s^2)."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = results["closed"].rows[0]
        s = np.asarray(row.cell["snrs"])
        value = q(row["q"], s)
        return [
            Evidence("max |E tanh - E tanh²|", float(np.abs(row[gap]).max()), 0.0, 1e-8),
            Evidence(
                "max of q - min(1, s²)", float((value - np.minimum(1, s**2)).max()), high=1e-12
            ),
            Evidence("min of q - s²/(1+s²)", float((value - row["spectral"]).min()), low=-1e-12),
        ]

    return measure


def kl(formula: str, bound: str) -> Measure:
    """Check 2: the formula is within 4.5 standard errors of Monte Carlo at all pairs, and at most
    the bound.

    One of the 12 pairs is off by that much by chance once in 12,000 runs.
    """

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        row = results["closed"].rows[0]
        score = (row["kl_mc"] - row[formula]) / row["kl_se"]
        over = (row[formula] / row[bound]).max()
        return [
            Evidence(
                "largest |Monte Carlo - formula| / standard error",
                float(np.abs(score).max()),
                0.0,
                4.5,
            ),
            Evidence("largest KL / (q ||difference||²/2)", float(over), 0.0, 1.0 + 1e-9),
        ]

    return measure


def lower_bound(column: str) -> Measure:
    """Check 3: (risk - bound) is never below -4 standard errors, over all methods and at least 60
    settings."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        table = bounded(results)
        settings = {tuple(row[k] for k in ("s", "d", "n_l", "n_u")) for row in table.rows()}
        # SSL-S in the trivial regime is a coin flip, exactly: its standard error is zero
        slack = (table["excess"] - table[column]) / np.maximum(table["se"], 1e-4 * table["excess"])
        em = table["method"] == "ssl_em"
        enough = 60 if preset.name != "smoke" else 5
        return [
            Evidence(
                "least (risk - bound) / standard error, all methods", float(slack.min()), low=-4.0
            ),
            Evidence(
                "least risk / bound, SSL-EM",
                float((table["excess"] / table[column])[em].min()),
                low=1.0,
            ),
            Evidence("settings", len(settings), low=enough),
            Evidence("simulations", len(table), low=enough),
        ]

    return measure


def _table(results: AllResults) -> list[tuple[str, tuple[float, ...], np.ndarray, float]]:
    """(method, (s, d, n_l, n_u), risk of each seed, prediction) of the reference settings."""
    found: list[tuple[str, tuple[float, ...], np.ndarray, float]] = []
    for d in results["table"].unique("d"):
        rows = results["table"].where(d=d)
        cell, first = rows.rows[0].cell, rows.rows[0]
        for i, (method, risk) in enumerate(by_method(rows).items()):
            predicted = first["sl_exact"] if method == "sl" else first["predicted"][i]
            found += [
                (method, (s, d, n_l, n_u), risk[:, j], float(predicted[j]))
                for j, (s, n_l, n_u) in enumerate(
                    zip(cell["s"], cell["n_l"], cell["n_u"], strict=True)
                )
            ]
    return found


def risk_table(scale: float = 1.0, information: str | None = None) -> Measure:
    """Check 4, the reference settings: SL within 3 % of its exact risk, the others within 10 % of
    leading order where it is due, with an information of at least 10 d/s^2; not SSL-S, which is no
    single formula."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for method, (s, d, n_l, n_u), risk, exact in _table(results):
            predicted = exact * scale
            known = {"ul_plus": 0, "ssl_weighted": n_l, "ssl_em": n_l}
            if method != "sl" and (method not in known or not _enough(s, d, known[method], n_u)):
                continue
            if information and method == "ssl_em":  # the wrong information function
                q = {"s squared": s**2, "one": 1.0}[information]
                predicted = float(norm.pdf(s)) * (d - 1) / (2 * s) / (n_l + q * n_u)
            allowed = 0.03 if method == "sl" else 0.1
            label = f"{method} / predicted at s={s:g}, d={d:g}, {n_l:g} + {n_u:g}"
            evidence.append(over_seeds(label, risk / predicted, 1 - allowed, 1 + allowed))
        return evidence

    return measure


def _enough(s: Any, d: float, n_l: Any, n_u: Any) -> Any:
    """Whether the information n_l + n_u s²/(1+s²) is the 10 d/s² that leading order needs."""
    return n_l + n_u * s**2 / (1 + s**2) >= 10 * d / s**2 * (1 - 1e-9)


def biased_low(results: AllResults, preset: Preset) -> list[Evidence]:
    """UL's leading order at s = 0.5, d = 10, 1000 points: its information 200 is half of 10
    d/s^2."""
    return [
        over_seeds("UL+ / leading order at s=0.5, d=10", risk / predicted, 0.9, 1.1)
        for method, setting, risk, predicted in _table(results)
        if method == "ul_plus" and setting[1] == 10
    ]


def published_simulation(column: int = 0) -> Measure:
    """An independent NumPy simulation: ours within 10 % of it, or within 4 of its standard errors
    if that is more."""

    def measure(results: AllResults, preset: Preset) -> list[Evidence]:
        evidence = []
        for method, setting, risk, _ in _table(results):
            names = list(SIMULATED.get(setting, {}))
            if method not in names:
                continue
            value, error = SIMULATED[setting][names[(names.index(method) + column) % len(names)]]
            allowed = max(0.1, 4 * error / value)
            label = (
                f"{method} at s={setting[0]:g}, d={setting[1]:g}, {setting[2]:g} + {setting[3]:g} "
                f"/ {value:g}"
            )
            evidence.append(over_seeds(label, risk / value, 1 - allowed, 1 + allowed))
        return evidence

    return measure


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
            enough = _enough(s, cell["d"], n_l, n_u)
            three = [risk[m] for m in ("sl", "ul_plus", method)]
            evidence += [
                bootstrap(
                    f"least gain of SSL-EM, {name}",
                    lambda *r: float(_gain(*r).min()),
                    three,
                    low=0.95,
                ),
                bootstrap(
                    f"largest gain of SSL-EM, {name}",
                    lambda *r: float(_gain(*r).max()),
                    three,
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
        three = [risk[m] for m in ("sl", "ul_plus", method)]

        def at(size: int) -> Callable[..., float]:
            return lambda *r: float(_gain(*r)[n_l == size][0])

        return [
            bootstrap("gain at n_l = 345 = q n_u", at(345), three, 1.6, 2.05),
            bootstrap(
                "n_l of the largest gain / (q n_u)",
                lambda *r: n_l[_gain(*r).argmax()] / 345,
                three,
                0.5,
                2,
            ),
            bootstrap("gain at n_l = 50", at(n_l[0]), three, 0.95, 1.35),
            bootstrap("gain at n_l = 1600", at(n_l[-1]), three, 0.95, 1.35),
        ]

    return measure


def only_constants(results: AllResults, preset: Preset) -> list[Evidence]:
    """The folk reading "SSL cannot beat the better baseline at all": gain at most 1.1
    everywhere."""
    risk = by_method(results["labels"])
    three = [risk[m] for m in ("sl", "ul_plus", "ssl_em")]
    return [bootstrap("largest gain", lambda *r: float(_gain(*r).max()), three, high=1.1)]


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
        evidence, last = [], []
        for name, (settings, over_sl, over_ul) in _limits(results).items():
            both = over_sl * over_ul * 2 if gains_both else over_sl + over_ul
            evidence += [
                over_seeds(f"H_l + H_u, {name}, step {i + 1}", both[:, i], low=0.9)
                for i in range(both.shape[1])
            ]
            s, n_l, n_u = settings[:, -1]
            limit = gain_limits(n_u / n_l, unlabelled_information(s))
            # UL+'s constant is its own
            spectral = spectral_information(s) / unlabelled_information(s)
            if name == "low":
                last.append(("SSL-EM / sl", name, over_sl[:, -1] / float(limit.over_sl)))
            if name == "high":
                last.append(
                    ("SSL-EM / ul_plus", name, over_ul[:, -1] / float(limit.over_ul * spectral))
                )
        return evidence + [
            over_seeds(f"({what}) / limit at the end of '{name}'", value, 0.9, 1.1)
            for what, name, value in last
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
        known = cos > 0.9  # where UL's direction hardly varies
        rate, expected = row["wrong_sign"][known], rule(np.sqrt(n_l) * s, cos)[known]
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


def q_of(s: float) -> float:
    return float(unlabelled_information(s))
