"""How the claims on one neuron and on bounds of random networks are measured."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from theorylab.lab import Evidence, Preset, Results
from theorylab.papers.certified_training import published

All = Mapping[str, Results]
Measure = Callable[[All, Preset], Sequence[Evidence]]
TINY = 1e-9


def gradients(column: str) -> Measure:
    """Closed gradients equal those of autodiff to 1e-9."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        (row,) = results["kinks"]
        names = ("adversarial", "coap") if column == "closed" else (column,)
        return [Evidence(f"largest error, {n}", float(row[n]), high=TINY) for n in names]

    return measure


def population(swap: bool = False) -> Measure:
    """Population gradients equal the reference's six digits."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        (row,) = results["neuron"]
        evidence = []
        for i, norm in enumerate(row.cell["norms"]):
            if norm in published.NEURON:
                pair = published.NEURON[norm]
                for j, name in enumerate(("AT", "COAP")):
                    value = float(row["gradient"][1 - j if swap else j, i])
                    # the norms are given to four digits: the gradients move by 2e-5
                    evidence.append(
                        Evidence(f"{name}, norm {norm:g}", value, pair[j] - 3e-5, pair[j] + 3e-5)
                    )
        return evidence

    return measure


def theorem(training: int, low: float, high: float) -> Measure:
    """The risk after a step of `training` less AT's is above 0 at every norm in [low, high]."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        (row,) = results["neuron"]
        gap = row["risk"][training] - row["risk"][0]
        return [
            Evidence(f"risk less AT's, norm {norm:g}", float(gap[i]), low=1e-12)
            for i, norm in enumerate(row.cell["norms"])
            if low <= norm <= high
        ]

    return measure


def no_gap(training: int) -> Measure:
    """The population gradient equals that of AT to 1e-12."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        (row,) = results["neuron"]
        gap = np.abs(row["gradient"][training] - row["gradient"][0]).max()
        return [Evidence("largest difference of gradients", float(gap), high=1e-12)]

    return measure


def sufficient(scale: float) -> Measure:
    """f < 0 from `scale` times the corrected threshold on."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        (row,) = results["thresholds"]
        evidence = []
        for i, ratio in enumerate(row.cell["ratios"]):
            beyond = row["r"] > scale * row["corrected"][i]
            evidence.append(
                Evidence(
                    f"largest f beyond the threshold, ε/γ = {ratio:g}",
                    float(row["f"][i][beyond].max(initial=-1e-9)),
                    high=0.0,
                )
            )
        return evidence

    return measure


def printed(results: All, preset: Preset) -> list[Evidence]:
    """As printed: beyond sqrt(24 γ³/σ²) f is negative, for every γ."""
    (row,) = results["thresholds"]
    return [
        Evidence(f"f/γ² at the printed threshold, γ = {g:g}", float(f), high=0.0)
        for g, f in zip(row.cell["small"], row["proof"], strict=True)
    ]


def risk(column: str) -> Measure:
    """The lemma's risk, less the share that a search breaks: 0 within the sampling error."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        (row,) = results["risk"]
        closed, draws = float(row["closed"]), int(row["draws"])
        error = 4 * np.sqrt(closed * (1 - closed) / draws)
        wrong = int(row[column])
        return [Evidence("share broken", wrong / draws, closed - error, closed + error)]

    return measure


def worked(swapped: bool) -> Measure:
    """The worked example to six digits."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        (row,) = results["example"]
        evidence = []
        for i, (kind, eps) in enumerate(row.cell["threats"]):
            for j, name in enumerate(("IBP", "COAP", "CROWN")):
                there = published.EXAMPLE[kind, eps][j]
                value = row["swapped"][i] if swapped and name == "COAP" else row["margins"][i, j]
                evidence.append(
                    Evidence(f"{name}, {kind} {eps}", float(value), there - 6e-7, there + 6e-7)
                )
        return evidence

    return measure


def sound(methods: Sequence[str]) -> Measure:
    """No bound is above the smallest sampled margin; where there are any, none above the LP's or
    the exact minimum either."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        evidence = []
        for row in results["networks"]:
            for method in methods:
                low = row[f"low_{method}"]
                broken = (low > row["sampled"] + 1e-7).sum()
                text = f"bounds above a sample, {method}, {row.cell['threat']}, of {low.size}"
                evidence.append(Evidence(text, float(broken), high=0.0))
                if len(row["exact"]):
                    slack = 1e-6 * (1 + np.abs(row["exact"]))
                    above = (low[: len(row["exact"])] > row["exact"] + slack).sum()
                    evidence.append(
                        Evidence(
                            f"bounds above the exact minimum, {method}", float(above), high=0.0
                        )
                    )
        return evidence

    return measure


def ordered(first: str) -> Measure:
    """`first` <= LP <= exact <= sampled, for every network with all of them."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        row = next(r for r in results["networks"] if r.cell["threat"] == "linf")
        count = len(row["exact"])
        slack = 1e-6 * (1 + np.abs(row["exact"]))
        chain = [row[first][:count], row["lp"], row["exact"], row["sampled"][:count]]
        steps = ("LP", "exact", "sampled")
        return [
            Evidence(
                f"pairs in the wrong order before {text}",
                float((a > b + slack).sum()),
                high=0.0,
            )
            for text, a, b in zip(steps, chain[:-1], chain[1:], strict=True)
        ]

    return measure


def partial_order(better: str, worse: str) -> Measure:
    """Neither of two methods is always the tighter one."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        a = np.concatenate([r[f"low_{better}"] for r in results["networks"]]).ravel()
        b = np.concatenate([r[f"low_{worse}"] for r in results["networks"]]).ravel()
        wins, losses = int((a > b + 1e-12).sum()), int((a < b - 1e-12).sum())
        return [
            Evidence(f"{better} tighter than {worse}", float(wins), low=1.0),
            Evidence(f"{worse} tighter than {better}", float(losses), low=1.0),
        ]

    return measure
