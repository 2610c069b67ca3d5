"""Claims of the paper and of the thesis behind it, with their controls."""

import numpy as np

from theorylab.lab import Claim
from theorylab.papers.certified_training.theory_claims import (
    gradients,
    no_gap,
    ordered,
    partial_order,
    population,
    printed,
    risk,
    sound,
    sufficient,
    theorem,
    worked,
)
from theorylab.papers.certified_training.training_claims import (
    accumulates,
    below_certificate,
    best_certified,
    image_order,
    linear_order,
    linear_published,
    no_ball_gap,
    sphere_gap,
    wide_order,
)

PAPER = "De Bartolomeis et al. 2023 (arXiv 2306.06995)"
THESIS = "De Bartolomeis, master thesis (ETH 2022)"
BIG = ("quick", "medium", "full")
IMAGES = ("medium", "full")
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
        "our derivation, docs/derivations/robust_bounds.md, statement 2",
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
        no_ball_gap,
        {},
        kind="finding",
        note="Decided on base seed 0, where COAP's robust error is below that of AT, and confirmed "
        "on base seeds 101 to 105, where it is so again at each one. The learning rates and the "
        "stopping rule of the thesis's figure are not stated; at rates up to 1 the errors of AT "
        "and of standard training stay above the published ones.",
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
    Claim(
        "gap_grows_k",
        "On spheres the gap of COAP and AT grows by a tenth with the number of segments",
        f"{PAPER}, figure 2a, where it grows by .45; length near γ/2, since its scale does not "
        "reproduce",
        ("spheres",),
        sphere_gap("k", "coap"),
        {},
        kind="finding",
        note="The gap grows with the number of segments, by .01 to .05, and not by the tenth that "
        "is asked of the other axes. An earlier version held with a bound of .01, which had been "
        "lowered after base seed 0.",
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
            note="At one learning rate. Counts at the rates that are picked point by point mix "
            "rates; so counted, and of one seed, it failed for the margin at base seed 0.",
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
        "our check: the definition of a certificate",
        ("images", "lines"),
        below_certificate(False),
        {"robust and uncertified exchanged": below_certificate(True)},
        presets=BIG,
    ),
    *(
        Claim(
            f"images_l2_{data}",
            f"l2 balls on {data}: AT ahead of the best certified method in standard and robust "
            "error, COAP ahead of IBP",
            f"{PAPER}, tables of {data}",
            ("images",),
            best_certified(data, "adversarial", "coap", "ibp"),
            {"COAP and IBP exchanged": best_certified(data, "adversarial", "ibp", "coap")},
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
