"""What the claims on the mixture itself measure, each with the variant that its controls take."""

from collections.abc import Callable, Mapping, Sequence
from math import sqrt

import numpy as np
from scipy.stats import norm

from theorylab.lab import Evidence, Preset, Results, over_seeds
from theorylab.papers.ssl_lower_bound.tables import bounded, by_method, regimes, risk_rows

All = Mapping[str, Results]
Measure = Callable[[All, Preset], Sequence[Evidence]]


def information(gap: str, q: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Measure:
    """Check 1: E tanh = E tanh^2 to 1e-8, and s^2/(1+s^2) <= q <= min(1, s^2)."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        row = results["closed"].rows[0]
        s = np.asarray(row.cell["snrs"])
        value = q(row["q"], s)
        return [
            Evidence("max |E tanh - E tanh²|", float(np.abs(row[gap]).max()), 0.0, 1e-8),
            Evidence("max of q - min(1, s²)", float((value - np.minimum(1, s**2)).max()), high=1e-12),
            Evidence("min of q - s²/(1+s²)", float((value - row["spectral"]).min()), low=-1e-12),
        ]

    return measure


def kl(formula: str, bound: str) -> Measure:
    """Check 2: the formula is within 4.5 standard errors of Monte Carlo at all pairs, and at most the bound."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        row = results["closed"].rows[0]
        score = (row["kl_mc"] - row[formula]) / row["kl_se"]
        over = (row[formula] / row[bound]).max()
        return [
            Evidence("largest |Monte Carlo - formula| / standard error", float(np.abs(score).max()), 0.0, 4.5),
            Evidence("largest KL / (q ||difference||²/2)", float(over), 0.0, 1.0 + 1e-9),
        ]

    return measure


def lower_bound(column: str) -> Measure:
    """Check 3: (risk - bound) is never below -4 standard errors, over all methods and at least 60 settings."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        table = bounded(results)
        settings = {tuple(row[k] for k in ("s", "d", "n_l", "n_u")) for row in table.rows()}
        # SSL-S in the trivial regime is a coin flip, exactly: its standard error is zero
        slack = (table["excess"] - table[column]) / np.maximum(table["se"], 1e-4 * table["excess"])
        em = table["method"] == "ssl_em"
        enough = 60 if preset.name != "smoke" else 5
        return [
            Evidence("least (risk - bound) / standard error, all methods", float(slack.min()), low=-4.0),
            Evidence("least risk / bound, SSL-EM", float((table["excess"] / table[column])[em].min()), low=1.0),
            Evidence("settings", len(settings), low=enough),
            Evidence("simulations", len(table), low=enough),
        ]

    return measure


def risk_table(scale: float = 1.0, information: str | None = None) -> Measure:
    """Check 4, the table of the dossier: SL within 3 % of its exact risk, the others within 10 % of leading order, or
    4 standard errors if that is more; the trivial setting excepted."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        evidence = []
        for row in risk_rows(results["table"]).rows():
            d, s, n_l, n_u = (float(row[k]) for k in ("d", "s", "n_l", "n_u"))
            if d == 50 or row["method"] == "ssl_switch":
                continue
            predicted = float(row["predicted"]) * scale
            if information and row["method"] == "ssl_em":  # the wrong information function
                q = {"s squared": s**2, "one": 1.0}[information]
                predicted = float(norm.pdf(s)) * (d - 1) / (2 * s) / (n_l + q * n_u)
            allowed = max(0.03 if row["method"] == "sl" else 0.1, 4 * float(row["se"]) / predicted)
            label = f"{row['method']} / predicted at s={s:g}, d={d:g}, {n_l:g} + {n_u:g}"
            evidence.append(Evidence(label, float(row["excess"]) / predicted, 1 - allowed, 1 + allowed))
        return evidence

    return measure


def biased_low(results: All, preset: Preset) -> list[Evidence]:
    """UL's leading order at s = 0.5, d = 10, 1000 points: its information 200 is half of 10 d/s^2."""
    rows = [r for r in risk_rows(results["table"]).rows() if r["d"] == 10 and r["method"] == "ul_plus"]
    return [Evidence("UL+ / leading order at s=0.5, d=10", float(r["ratio"]), 0.9, 1.1) for r in rows]


def published_simulation(column: int = 0) -> Measure:
    """The dossier's own simulation, an independent NumPy program: ours within 10 % or 4 joint standard errors."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        evidence = []
        for row in risk_rows(results["table"]).rows():
            key = tuple(float(row[k]) for k in ("s", "d", "n_l", "n_u"))
            known = SIMULATED.get(key, {})
            names = list(known)
            if row["method"] not in known:
                continue
            method = names[(names.index(str(row["method"])) + column) % len(names)]
            value, error = known[method]
            allowed = max(0.1, 4 * sqrt(float(row["se"]) ** 2 + error**2) / value)
            label = f"{row['method']} at s={key[0]:g}, d={key[1]:g}, {key[2]:g} + {key[3]:g} / {value:g}"
            evidence.append(Evidence(label, float(row["excess"]) / value, 1 - allowed, 1 + allowed))
        return evidence

    return measure


SIMULATED: Mapping[tuple[float, ...], Mapping[str, tuple[float, float]]] = {
    (1.0, 20, 400, 1000): {"sl": (0.00569, 0.00011), "ul_plus": (0.00456, 0.00009), "ssl_weighted": (0.00261, 0.00005),
                           "ssl_em": (0.00244, 0.00005)},
    (0.5, 20, 400, 4000): {"sl": (0.01531, 0.00038), "ul_plus": (0.00838, 0.00022), "ssl_weighted": (0.00559, 0.00013),
                           "ssl_em": (0.00543, 0.00013)},
    (1.0, 20, 50, 5000): {"sl": (0.03993, 0.00102), "ul_plus": (0.00096, 0.00002), "ssl_weighted": (0.00093, 0.00002),
                          "ssl_em": (0.00084, 0.00002)},
    (0.5, 10, 1000, 1000): {"sl": (0.00302, 0.00010), "ul_plus": (0.01870, 0.00102),
                            "ssl_weighted": (0.00262, 0.00008), "ssl_em": (0.00255, 0.00008)},
    (0.3, 50, 20, 200): {"sl": (0.0958, 0.002), "ul_plus": (0.1126, 0.003), "ssl_weighted": (0.0970, 0.002),
                         "ssl_em": (0.1050, 0.003)},  # standard errors not reported there: of the order of ours
}  # fmt: skip


def constant_gain(method: str) -> Measure:
    """Check 5: best(SL, UL+) / SSL-EM lies in [0.95, 2.1] all over, SSL-W within 1.15 of SSL-EM where the information
    n_l + n_u s²/(1+s²) is at least 10 d/s², which leading order needs (s = 0.7 <= 1)."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        evidence = []
        for name in ("labels", "limits"):
            risk = by_method(results[name])
            gain = np.minimum(risk["sl"].mean(0), risk["ul_plus"].mean(0)) / risk[method].mean(0)
            cell = results[name].rows[0].cell
            s, n_l, n_u = (np.asarray(cell[k], float) for k in ("s", "n_l", "n_u"))
            enough = n_l + n_u * s**2 / (1 + s**2) >= 10 * cell["d"] / s**2
            evidence += [
                Evidence(f"least gain of SSL-EM, {name}", float(np.min(gain)), 0.95, 2.1),
                Evidence(f"largest gain of SSL-EM, {name}", float(np.max(gain)), 0.95, 2.1),
                Evidence(f"largest SSL-W / SSL-EM, {name}",
                         float(np.max((risk["ssl_weighted"].mean(0) / risk[method].mean(0))[enough])), 0.0, 1.15),
            ]  # fmt: skip
        return evidence

    return measure


def peak(method: str) -> Measure:
    """The gain peaks in [1.6, 2.05] at n_l near q(s) n_u = 345, and is below 1.35 at n_l = 50 and n_l = 1600."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["labels"]
        risk, n_l = by_method(rows), rows.rows[0].cell["n_l"]
        gain = np.minimum(risk["sl"].mean(0), risk["ul_plus"].mean(0)) / risk[method]
        at = n_l.index(345)
        best = int(gain.mean(0).argmax())
        return [
            over_seeds("gain at n_l = 345 = q n_u", gain[:, at], 1.6, 2.05),
            Evidence("n_l of the largest gain / (q n_u)", n_l[best] / 345, 0.5, 2.0),
            over_seeds("gain at n_l = 50", gain[:, 0], 0.95, 1.35),
            over_seeds("gain at n_l = 1600", gain[:, -1], 0.95, 1.35),
        ]

    return measure


def only_constants(results: All, preset: Preset) -> list[Evidence]:
    """The folk reading "SSL cannot beat the better baseline at all": gain at most 1.1 everywhere."""
    risk = by_method(results["labels"])
    gain = np.minimum(risk["sl"].mean(0), risk["ul_plus"].mean(0)) / risk["ssl_em"].mean(0)
    return [Evidence("largest gain", float(np.max(gain)), 0.0, 1.1)]


def trade_off(information: Callable[[float], float]) -> Measure:
    """Check 6: along n_u = 3 n_l, SSL-EM / SL is 1/(1 + c q) within 10 % at every size."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = regimes(results["limits"])
        s, n_l, n_u = found["intermediate"]
        evidence = []
        for i in range(len(s)):
            limit = 1 / (1 + n_u[i] / n_l[i] * information(s[i]))
            ratio = found["intermediate sl"][:, i] / limit
            label = f"(SSL-EM / SL) / limit, {n_l[i]:g} + {n_u[i]:g}"
            evidence.append(over_seeds(label, ratio, 0.9, 1.1))
        return evidence

    return measure


def never_both(gains_both: bool) -> Measure:
    """Table 2: SSL's risks over SL's and over UL+'s sum to at least 0.9 in every regime (the limits: at least 0.95).
    Each stays near 1 on its own side. The control gains the product of both."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = regimes(results["limits"])
        evidence = []
        for name in ("low", "intermediate", "high"):
            over_sl, over_ul = found[f"{name} sl"], found[f"{name} ul_plus"]
            both = over_sl * over_ul * 2 if gains_both else over_sl + over_ul
            evidence += [
                over_seeds(f"H_l + H_u, {name}, step {i + 1}", both[:, i], 0.9, 1.3) for i in range(both.shape[1])
            ]
        for name, base in (("low", "sl"), ("high", "ul_plus")):
            last = float(found[f"{name} {base}"].mean(0)[-1])
            evidence.append(Evidence(f"SSL-EM / {base} at the end of '{name}'", last, 0.75, 1.05))
        return evidence

    return measure


def exponents(shift: float) -> Measure:
    """Check 7: slopes of the excess risk: -1 in n (+- 0.05); times e^{s²/2}, -1 (SL) and -3 (UL) in s up to 1, the
    latter up to the factor 1 + s² of the spectral constant (+- 0.15)."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["slopes"]
        cell, risk = rows.rows[0].cell, by_method(rows)
        s, n_l, n_u = (np.asarray(cell[k], float) for k in ("s", "n_l", "n_u"))
        in_n = n_l < 20_000
        low = ~in_n & (s <= 1)
        times = np.exp(s**2 / 2)

        def slope(x: np.ndarray, y: np.ndarray) -> float:
            return float(np.polyfit(np.log(x), np.log(y), 1)[0]) + shift

        sl, ul = risk["sl"].mean(0), risk["ul"].mean(0)
        five = np.flatnonzero(in_n)[:5]
        large = in_n & (n_l >= 400)
        return [
            Evidence("SL: slope in n, 400..3200", slope(n_l[large], sl[large]), -1.05, -0.95),
            Evidence("UL: slope in n, 500..8000", slope(n_u[five], ul[five]), -1.05, -0.95),
            Evidence("SL: slope in s", slope(s[low], (sl * times)[low]), -1.15, -0.85),
            Evidence("UL / (1 + s²): slope in s", slope(s[low], (ul * times / (1 + s**2))[low]), -3.15, -2.85),
        ]

    return measure


def high_snr(power: float) -> Measure:
    """For s in [2, 3] the printed s^-power: the slope of UL's risk times e^{s²/2}."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["slopes"]
        cell, risk = rows.rows[0].cell, by_method(rows)
        s, n_l = np.asarray(cell["s"], float), np.asarray(cell["n_l"])
        high = (n_l == 20_000) & (s >= 2)
        slope = np.polyfit(np.log(s[high]), np.log((risk["ul"].mean(0) * np.exp(s**2 / 2))[high]), 1)[0]
        return [Evidence("UL: slope in s over [2, 3]", float(slope), -power - 0.25, -power + 0.25)]

    return measure


def beats_both(method: str) -> Measure:
    """SSL-W at t* has a smaller estimation error and excess risk than SL and than UL+, at every number of labels."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["labels"]
        evidence = []
        for what in ("mean", "estimation"):
            risk = by_method(rows, what)
            for base in ("sl", "ul_plus"):
                worst = np.max(risk[method].mean(0) / risk[base].mean(0))
                name = "excess risk" if what == "mean" else "estimation error"
                evidence.append(Evidence(f"largest SSL-W / {base}, {name}", float(worst), 0.0, 0.99))
        return evidence

    return measure


def signs(rule: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Measure:
    """The wrong-sign rate of UL+ is Phi(-sqrt(n_l) s cos), within 4 standard errors; cos from UL's own mean excess."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["grid"].where(replicates=preset["grid_replicates"])
        row = rows.rows[0]
        s, n_l = np.asarray(row.cell["s"]), np.asarray(row.cell["n_l"])
        ul = row["mean"][row.cell["methods"].index("ul")]
        cos = -norm.ppf(np.minimum(ul + norm.cdf(-s), 0.5)) / s  # (the rate is nearly linear in cos)
        known = cos > 0.9  # where UL's direction hardly varies
        rate, expected = row["wrong_sign"][known], rule(np.sqrt(n_l) * s, cos)[known]
        se = np.sqrt(expected * (1 - expected) / preset["grid_replicates"]) + 1e-3
        return [Evidence("largest |rate - expected| / standard error", float((np.abs(rate - expected) / se).max()),
                         0.0, 4.5)]  # fmt: skip

    return measure


def shortcut(*names: tuple[str, str]) -> Measure:
    """The public estimators on explicit samples with random centres agree with the sweeps, to 4.5 standard errors."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = results["table"].where(d=20)
        at = next(i for i, n in enumerate(rows.rows[0].cell["n_u"]) if n == 1000)
        swept, error = by_method(rows), by_method(rows, "se")
        row = results["explicit"].rows[0]
        evidence = []
        for method, name in names:
            values = row[name]
            mean = swept[method][:, at].mean()
            se = sqrt(values.var(ddof=1) / len(values) + (error[method][:, at] ** 2).mean() / len(swept[method]))
            score = float((values.mean() - mean) / se)
            evidence.append(Evidence(f"(explicit {name} - swept {method}) / standard error", score, -4.5, 4.5))
        return evidence

    return measure


def precision(low: str, high: str) -> Measure:
    """Every reported risk agrees between float32 and float64, on the same draws, within 1 %."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        row = results["cancellation"].rows[0]
        evidence = [
            Evidence(f"{low} / {high} at SL, n={n:g}", float(a / b), 0.99, 1.01)
            for n, a, b in zip(row.cell["sizes"], row[low], row[high], strict=True)
        ]
        if low.startswith("naive"):
            return evidence
        rows = results["precision"]
        for methods in rows.unique("methods"):
            single, double = (rows.where(methods=methods, dtype=t).rows[0] for t in ("float32", "float64"))
            for i, method in enumerate(methods):
                ratio = single["mean"][i] / double["mean"][i]
                worst = ratio[np.abs(ratio - 1).argmax()]
                route = "moments" if "ul" in methods else "data"
                evidence.append(Evidence(f"{method}, {route}: float32 / float64", float(worst), 0.99, 1.01))
        return evidence

    return measure


def q_of(s: float) -> float:
    from theorylab.mixtures import unlabelled_information

    return float(unlabelled_information(s))
