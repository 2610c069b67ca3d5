"""Claims of the paper and of the thesis behind it, with their controls."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from theorylab.lab import Claim, Evidence, Preset, Results, over_seeds
from theorylab.papers.certified_training import published
from theorylab.papers.certified_training.measures import (
    cells,
    curves,
    image_errors,
    main_linear,
    main_wide,
    radii,
    sphere_panels,
)

All = Mapping[str, Results]
Measure = Callable[[All, Preset], Sequence[Evidence]]
PAPER = "De Bartolomeis et al. 2023 (arXiv 2306.06995)"
THESIS = "De Bartolomeis, master thesis (ETH 2022)"
BIG = ("quick", "medium", "full")
IMAGES = ("medium", "full")
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


def no_ball_gap(threat: str) -> Measure:
    """In the l2 ball robust errors of COAP and AT on the linear signal differ by at most .05."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        rows = cells(results["linear"], threat="l2")
        found = curves(rows, "robust", True)
        first = found["coap"] if threat == "l2" else 0.5 + 0 * found["coap"]
        gap = np.abs(first - found["adversarial"]).max(0)
        return [
            Evidence(f"|COAP less AT|, ε = {eps:g}", float(gap[i]), high=0.05)
            for i, eps in enumerate(radii(rows))
        ]

    return measure


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
    """COAP's robust error less that of AT grows along the axis: at least .1 more at the end than at
    the start."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        x, found = sphere_panels(results, "robust")[panel]
        gap = found[coap] - found["adversarial"]
        return [
            over_seeds(
                f"gap at {x[-1]:.3g} less gap at {x[0]:.3g}", gap[:, -1] - gap[:, 0], low=0.1
            )
        ]

    return measure


def accumulates(panel: str, reverse: bool) -> Measure:
    """COAP accumulates more unstable neurons at the end of the axis than at its start."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        x, found = sphere_panels(results, "accumulated")[panel]
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
    """The robust error of `worse` is above that of `better`, mean over radii, one value a seed."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        found = image_errors(results, "robust")
        gaps = [
            each[worse] - each[better]
            for (name, kind, _), each in found.items()
            if name == data and kind == threat
        ]
        return [over_seeds(f"{worse} less {better}, {threat}, {data}", np.mean(gaps, 0), low=0.0)]

    return measure


def image_order(*pairs: tuple[str, str, str], data: str = "mnist") -> Measure:
    """`image_gap` of every (threat, worse, better)."""

    def measure(results: All, preset: Preset) -> list[Evidence]:
        return [e for pair in pairs for e in image_gap(*pair, data)(results, preset)]

    return measure


CLAIMS = (
    Claim(
        "one_neuron_gradients",
        "The closed gradients of AT and of COAP are those of the margins they are derived from",
        f"{THESIS}, propositions 4.3 and 4.4",
        ("kinks",),
        gradients("closed"),
        {"radius halved in the closed form": gradients("reversed")},
        kind="identity",
    ),
    Claim(
        "population_gradients",
        "Population gradients of one neuron, γ = 6, ε = 5, at d = 3 to 1000",
        "our computation: adaptive quadrature between the kinks, two implementations",
        ("neuron",),
        population(),
        {"AT and COAP exchanged": population(swap=True)},
        kind="identity",
    ),
    Claim(
        "coap_step_is_worse",
        "One population gradient step of COAP leaves a higher robust risk than one of AT",
        f"{THESIS}, theorem 4.6; from ‖θ₂:‖ = 5 on, which the corrected threshold's sharp form "
        "covers",
        ("neuron",),
        theorem(1, 5.0, np.inf),
        {
            "d = 3 (norm 1.41)": theorem(1, 0.0, 1.5),
            "lower slopes of 0": theorem(2, 5.0, np.inf),
        },
    ),
    Claim(
        "slope_drives_it",
        "With lower slopes of 0 COAP's population gradient is that of AT: the slope u/(u - l), not "
        "relaxing, drives the theorem",
        "our derivation: an unstable neuron's smallest output is 0, so slope 0 is exact",
        ("neuron",),
        no_gap(2),
        {"COAP's own slope": no_gap(1)},
        kind="identity",
    ),
    Claim(
        "corrected_threshold",
        "Beyond the corrected threshold the function of the proof is negative",
        "our derivation: docs/derivations/robust_bounds.md",
        ("thresholds",),
        sufficient(1.0),
        {"a third of the threshold": sufficient(1 / 3)},
    ),
    Claim(
        "printed_threshold",
        "Beyond the printed threshold, sqrt(24 γ³/σ²), the function of the proof is negative",
        f"{THESIS}, theorem 4.6",
        ("thresholds",),
        printed,
        {},
        kind="finding",
        note="The threshold has the wrong dimension: for small γ it is below the sign change of "
        "the proof's function.",
    ),
    Claim(
        "robust_risk",
        "The closed robust risk is the share of samples that a perturbation breaks",
        f"{THESIS}, lemma 4.5",
        ("risk",),
        risk("wrong"),
        {"half of ε": risk("wrong_half")},
    ),
    Claim(
        "worked_example",
        "Margins by IBP, COAP and CROWN of a network with three hidden units",
        "our computation, by hand",
        ("example",),
        worked(False),
        {"CROWN's slopes in COAP": worked(True)},
        kind="identity",
    ),
    Claim(
        "sound",
        "No bound is above the margin of any perturbed point",
        "Wong and Kolter 2018, theorem 1; Gowal et al. 2018; Zhang et al. 2018",
        ("networks",),
        sound(("ibp", "coap", "crown", "crown-ibp")),
        {"bounds for half of ε": sound(("half",))},
        presets=BIG,
    ),
    Claim(
        "lp_between",
        "COAP ≤ LP of the triangle relaxation ≤ exact minimum ≤ smallest sampled margin",
        "Wong and Kolter 2018, section 3",
        ("networks",),
        ordered("low_coap"),
        {"bounds for half of ε": ordered("low_half")},
        presets=BIG,
    ),
    Claim(
        "no_total_order",
        "COAP is not always tighter than IBP, nor IBP than COAP",
        "our computation",
        ("networks",),
        partial_order("coap", "ibp"),
        {"COAP against the LP's own bound": partial_order("coap", "coap")},
        presets=BIG,
    ),
    Claim(
        "linear_signal",
        "Perturbed along the signal, small samples: standard < AT < COAP in robust error",
        f"{THESIS}, figure 4.1",
        ("linear",),
        linear_order("coap"),
        {"lower slopes of 0": linear_order("zero")},
        presets=BIG,
    ),
    Claim(
        "linear_values",
        "Robust errors on the linear signal within .05 of the published ones",
        f"{THESIS}, figure 4.1",
        ("linear",),
        linear_published(0.0),
        {"errors .1 higher": linear_published(0.1)},
        presets=BIG,
    ),
    Claim(
        "no_gap_in_the_ball",
        "In the l2 ball there is no gap on the linear signal",
        f"{THESIS}, figure 3.7a",
        ("linear",),
        no_ball_gap("l2"),
        {"a constant classifier": no_ball_gap("constant")},
        presets=BIG,
    ),
    Claim(
        "spheres_of_the_thesis",
        "On spheres in 100 dimensions AT stays robust and COAP collapses",
        f"{THESIS}, figure 3.7b",
        ("wide",),
        wide_order("coap", "adversarial"),
        {"AT in the place of COAP": wide_order("adversarial", "adversarial")},
        presets=BIG,
    ),
    *(
        Claim(
            f"gap_grows_{panel}",
            f"On spheres the gap of COAP and AT grows with {text}",
            f"{PAPER}, figure {number}; radii up to γ/2, since its scale does not reproduce",
            ("spheres",),
            sphere_gap(panel, "coap"),
            {"AT in the place of COAP": sphere_gap(panel, "adversarial")},
            presets=BIG,
        )
        for panel, text, number in (
            ("k", "the number of segments", "2a"),
            ("l2", "the radius", "3a"),
            ("margin", "the inverse margin", "4a"),
        )
    ),
    *(
        Claim(
            f"unstable_grows_{panel}",
            f"COAP accumulates more unstable neurons with {text}",
            f"{PAPER}, figure {number}",
            ("spheres",),
            accumulates(panel, False),
            {"the axis reversed": accumulates(panel, True)},
            presets=BIG,
        )
        for panel, text, number in (
            ("k", "more segments", "5b"),
            ("l2", "a larger radius", "5d"),
            ("margin", "a larger inverse margin", "5f"),
        )
    ),
    Claim(
        "attack_below_certificate",
        "Every robust error is between the standard and the uncertified one",
        "definition of a certificate",
        ("images", "lines"),
        below_certificate(False),
        {"robust and uncertified exchanged": below_certificate(True)},
        presets=BIG,
    ),
    *(
        Claim(
            f"images_l2_{data}",
            f"l2 balls on {data}: AT ahead of COAP, COAP ahead of IBP in robust error",
            f"{PAPER}, tables of {data}",
            ("images",),
            image_order(("l2", "coap", "adversarial"), ("l2", "ibp", "coap"), data=data),
            {"COAP and IBP exchanged": image_order(("l2", "coap", "ibp"), data=data)},
            presets=IMAGES,
        )
        for data in ("mnist", "cifar10")
    ),
    Claim(
        "images_linf_reversed",
        "l-infinity balls on MNIST: FAST-IBP ahead of AT, and AT ahead of COAP",
        f"{PAPER}, table of MNIST",
        ("images",),
        image_order(("linf", "adversarial", "fast-ibp"), ("linf", "coap", "adversarial")),
        {"l2 in the place of l-infinity": image_order(("l2", "adversarial", "fast-ibp"))},
        presets=IMAGES,
    ),
)
