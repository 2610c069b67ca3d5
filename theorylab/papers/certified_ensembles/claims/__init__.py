"""Claims of the theory and of the trained networks, with their controls."""

from theorylab.lab import Claim
from theorylab.papers.certified_ensembles.claims.networks import NETWORKS
from theorylab.papers.certified_ensembles.claims.theory import (
    AGREE,
    ALL,
    best,
    bounded,
    covered,
    crossed,
    equal_shapes,
    excess,
    gaussian,
    jensen,
    larger,
    leads,
    none_of,
    opposed,
    polygon,
    strict,
    tight,
)

PAPER = "Petrov et al. 2023"
PAGE = "our derivation: docs/derivations/certified_ensembles.md"
THEORY = (
    Claim(
        "calculus",
        "Negatives, sums, compositions, maxima, minima and squashed functions rise by at most what "
        "the calculus of sets says, to 1e-12",
        f"{PAPER}, S-Lipschitzness; rules: {PAGE}, statement 1",
        ("calculus",),
        excess("excess"),
        {
            "the set of h for all of them": excess("plain"),
            "|h(y) - h(x)|, as if the sets were symmetric": excess("two_sided"),
        },
    ),
    Claim(
        "certificate_is_tight",
        "For every set and gap there are functions whose gap is exactly r - D(δ)",
        f"{PAGE}, statement 2",
        ("calculus",),
        tight("tight"),
        {"ρ_S(δ) in place of the width": tight("tight_one_width")},
        kind="identity",
    ),
    Claim(
        "polygon",
        "The certificate of conv{(1,0), (0,2), (-1,-1)} at gap 1 has area .6, inradius .316228 and "
        "outradius .632456",
        "our check, an independent program",
        ("polygon",),
        polygon("one"),
        {"the set made two-sided": polygon("two")},
        kind="identity",
    ),
    Claim(
        "one_sided_is_larger",
        "The one-sided definition certifies more than 1.1 times the area, inradius and outradius "
        "of the two-sided one, on the polygon",
        f"{PAGE}, statement 2",
        ("polygon",),
        larger("one"),
        {"the two-sided one in both places": larger("two")},
    ),
    Claim(
        "certificates_hold",
        "No linear ensemble changes its class where its certificate says that it does not",
        f"{PAPER}, the ensemble's certificate: {PAGE}, statement 3",
        ("sweep",),
        none_of("changed", ALL),
        {
            "twice the lengths": none_of("changed_doubled", ALL),
            "the mean of gaps for the gap of means": none_of("changed_mean_gap", ALL),
            "a vote inside of the average's certificate": none_of("vote_changed", ALL),
        },
    ),
    Claim(
        "votes_hold",
        "No vote changes where certain members hold more than half of it",
        f"{PAGE}, statement 6",
        ("sweep",),
        none_of("vote_safe_changed", ALL),
        {"the certificate of the average": none_of("vote_changed", ALL)},
    ),
    Claim(
        "agreeing_is_safe",
        "Members that agree on the top class certify together at least what all of them do",
        f"{PAPER}; {PAGE}, statement 4",
        ("sweep",),
        none_of("below_all", AGREE),
        {"members that disagree": none_of("below_all", ("disagree",))},
    ),
    Claim(
        "gaps_add_up",
        "With agreement the gap of the ensemble is at least the mean gap",
        f"{PAGE}, statement 4",
        ("sweep",),
        none_of("lead_short", AGREE),
        {"members that disagree": none_of("lead_short", ("disagree",))},
    ),
    Claim(
        "common_runner_up",
        "With a common runner-up no direction is certified further than by the best member",
        f"{PAPER}; {PAGE}, statement 4",
        ("sweep",),
        none_of("beyond_all", ("agree_AB",)),
        {"runner-ups that differ": none_of("beyond_all", ("agree_A",))},
    ),
    Claim(
        "strictly_better_and_worse",
        "Ensembles that beat all members everywhere exist with other runner-ups, and ones worse "
        "than all with other top classes",
        f"{PAPER}; {PAGE}, statement 5",
        ("sweep",),
        strict(("agree_A",), ("disagree",)),
        {"a common runner-up, and agreement": strict(("agree_AB",), AGREE)},
        presets=("quick", "medium", "full"),
    ),
    Claim(
        "gains",
        "Runner-ups that differ make gaps of .6, 1.1, 3.1 of two of .2; N probabilities make "
        "(1+r)/2 - (1-r)/(2N)",
        f"{PAGE}, statement 5",
        ("leads",),
        leads("runner_ups"),
        {"the mean of gaps": leads("mean_gaps")},
        kind="identity",
    ),
    Claim(
        "losses",
        "Two members of opposite signs have the gap |Σ w s r|, which is 0 at balance",
        f"{PAGE}, statement 5",
        ("leads",),
        opposed(0.5),
        {"away from balance": opposed(0.6)},
        kind="identity",
    ),
    Claim(
        "radius_can_grow",
        "Two crossed ellipses with inradius .1667 make an ensemble of .2236, and of smaller area",
        f"our check; {PAGE}, statement 5",
        ("ellipses",),
        crossed("crossed"),
        {"sets of equal shape": crossed("equal")},
        kind="identity",
    ),
    Claim(
        "equal_shapes",
        "With sets of equal shape and a common runner-up no weights beat the best member",
        f"{PAGE}, statement 5",
        ("ellipses",),
        equal_shapes("equal"),
        {"crossed ellipses": equal_shapes("crossed")},
    ),
    Claim(
        "best_weights",
        "The weights of the linear program are at least as good as any of a grid, to 0.1 %",
        f"{PAGE}, statement 7",
        ("weights",),
        best("best"),
        {"equal weights": best("uniform")},
    ),
    Claim(
        "gaussian_scores",
        "How often ensembles of Gaussian scores agree, gain and lose, within .005 of the reference",
        "our check, an independent program",
        ("gaussian",),
        gaussian("gain"),
        {"the mean of gaps for the gap of means": gaussian("gain_mean_gap")},
    ),
    Claim(
        "norms",
        "The bound of a spectral norm is at least the norm, and at most 1 % more",
        f"{PAGE}, statement 9",
        ("norms",),
        bounded("svd"),
        {"ten steps of power iteration": bounded("power")},
    ),
    Claim(
        "gram_norms",
        "The bound by powers of the Gram matrix is at least the norm, and at most 1 % more",
        f"Delattre et al. 2023; {PAGE}, statement 9",
        ("norms",),
        bounded("gram"),
        {"ten steps of power iteration": bounded("power")},
    ),
    Claim(
        "bounds_are_divided",
        "At most 5 % of points have a wrong bound of a probability at confidence .95",
        f"Clopper & Pearson 1934; {PAGE}, statement 8",
        ("coverage",),
        covered("split"),
        {"each bound at .95 by itself": covered("unsplit")},
    ),
    Claim(
        "probits_gain",
        "Under one noise law the mean of Φ⁻¹(g) leads by no less than Φ⁻¹ of the mean, if all p >= "
        "1/2",
        f"{PAGE}, statement 8",
        ("coverage",),
        jensen("above_half"),
        {"p below 1/2": jensen("below_half")},
    ),
)

CLAIMS = (*THEORY, *NETWORKS)
