"""Values of the paper (arXiv 2306.06995), its tables exact and its figures read from their vector
graphics to about 1 % of an axis, and of the first author's master thesis (ETH, November 2022)."""

from collections.abc import Mapping

Pair = tuple[float, float]  # (robust error, standard error)
METHODS = ("adversarial", "coap", "crown-ibp", "ibp", "fast-ibp")


def _rows(text: str) -> Mapping[tuple[str, float], Mapping[str, Pair]]:
    """Lines `threat eps robust/standard ...` in the order of METHODS."""
    found = {}
    for line in text.strip().splitlines():
        threat, eps, *cells = line.split()
        top, _, bottom = eps.partition("/")
        value = float(top) / float(bottom or 1)
        pairs = [tuple(float(v) for v in c.split("/")) for c in cells]
        found[threat, round(value, 6)] = dict(zip(METHODS, pairs, strict=True))
    return found  # type: ignore[return-value]


TABLES = {
    "mnist": _rows("""
        linf .1 .021/.008 .026/.010 .024/.010 .026/.010 .017/.009
        linf .2 .045/.008 .066/.026 .050/.014 .060/.014 .032/.010
        linf .3 .095/.008 .224/.110 .075/.017 .091/.021 .058/.015
        linf .4 .321/.008 .806/.737 .120/.025 .147/.033 .104/.024
        l2 .5 .020/.006 .040/.014 .059/.027 .068/.032 .044/.022
        l2 .75 .035/.006 .100/.030 .125/.060 .145/.070 .124/.053
        l2 1.0 .048/.006 .193/.049 .355/.192 .539/.432 .361/.175
        l2 1.25 .092/.005 .302/.074 .760/.696 .806/.794 .724/.652
    """),
    "cifar10": _rows("""
        linf 1/255 .296/.150 .372/.309 .425/.331 .459/.356 .384/.290
        linf 2/255 .378/.166 .427/.336 .498/.363 .526/.415 .476/.357
        linf 4/255 .506/.193 .609/.502 .640/.548 .614/.487 .585/.449
        linf 8/255 .698/.239 .775/.729 .673/.539 .708/.606 .675/.546
        l2 9/255 .217/.151 .233/.219 .521/.491 .457/.424 .661/.647
        l2 18/255 .246/.151 .316/.287 .721/.690 .566/.515 .763/.753
        l2 36/255 .298/.152 .447/.399 .780/.740 .680/.622 .849/.844
        l2 72/255 .386/.172 .630/.574 .900/.900 .772/.740 .900/.900
    """),
}
# Tiny ImageNet, read from bars (to .01), linf 1/255 and l2 5/255: (robust, standard)
TINY = {
    "linf": {
        "adversarial": (0.64, 0.42),
        "crown-ibp": (0.813, 0.75),
        "ibp": (0.818, 0.74),
        "fast-ibp": (0.80, 0.745),
    },
    "l2": {
        "adversarial": (0.60, 0.57),
        "crown-ibp": (0.83, 0.82),
        "ibp": (0.785, 0.77),
        "fast-ibp": (0.89, 0.885),
    },
}


def _columns(x: str, **rows: str) -> Mapping[tuple[str, float], Pair]:
    """(recipe, x) -> (robust, standard), from rows of numbers."""
    found: dict[tuple[str, float], Pair] = {}
    at = [float(v) for v in x.split()]
    for recipe in ("standard", "adversarial", "coap"):
        if f"{recipe}_robust" in rows:
            robust = [float(v) for v in rows[f"{recipe}_robust"].split()]
            clean = rows.get(f"{recipe}_standard", "nan " * len(at))
            standard = [float(v) for v in clean.split()]
            found |= {(recipe, a): (r, s) for a, r, s in zip(at, robust, standard, strict=True)}
    return found


# spheres, d = 10, n = 500, gamma = 20; the inner radius is not stated
SPHERES = {
    "k": _columns(  # figure 2a, segments, eps = 5
        "1 2 3 4 5 6 7 8 9 10",
        coap_standard="0 .0006 .0014 .0046 .0094 .0168 .0262 .0649 .1036 .2231",
        adversarial_standard=".0163 .0016 .003 .0036 .0041 .004 .002 .0006 .0008 0",
        coap_robust="0 .0006 .002 .0066 .0138 .0278 .0547 .1291 .2427 .4599",
        adversarial_robust=".003 .0036 .0078 .0066 .0083 .012 .0161 .0148 .016 .0111",
    ),
    "l2": _columns(  # figure 3a
        "1 2 3 4",
        coap_standard=".0143 .1006 .0946 .3221",
        coap_robust=".1042 .2427 .3373 .4766",
        adversarial_standard="0 0 0 0",
        adversarial_robust="0 0 .0017 .1223",
    ),
    "margin": _columns(  # figure 4a, l2, eps = 4; by 1 / gamma
        f"{1 / 30} {1 / 24} {1 / 20}",
        coap_standard=".0004 .0408 .3221",
        coap_robust=".0943 .2970 .4766",
        adversarial_standard="0 0 0",
        adversarial_robust="0 .0004 .1223",
    ),
    "linf": _columns(  # figure 6a
        ".32 .63 .79 .95",
        coap_standard="0 0 .0106 .0525",
        coap_robust="0 .0014 .0857 .239",
        adversarial_standard="0 0 0 0",
        adversarial_robust="0 0 0 0",
    ),
}
# accumulated unstable neurons of COAP, figures 5 and 7
UNSTABLE = {
    "k": {1.0: 16.45, 3.0: 30.99, 5.0: 35.65, 10.0: 38.10},
    "l2": {2.0: 36.62, 2.25: 37.89, 2.5: 39.10, 3.0: 41.36},
    "margin": {1 / 30: 36.66, 1 / 24: 39.13, 1 / 20: 41.36},
    "linf": {0.31: 56.16, 0.63: 69.29, 0.79: 73.43, 0.94: 77.17},
}
# thesis, figure 4.1, segments along the signal, n = 50
LINEAR = _columns(
    "3 4 5 5.5",
    standard_standard="0 0 0 0",
    standard_robust=".0063 .0470 .2007 .3369",
    adversarial_standard=".0014 .0142 .0895 .1835",
    adversarial_robust=".0632 .2263 .4086 .4688",
    coap_standard=".0038 .0276 .1195 .2141",
    coap_robust=".0873 .2573 .4204 .4727",
)
# the same with n = 10,000, robust error
LINEAR_LARGE = _columns(
    "4.75 5 5.25",
    standard_robust=".0055 .0207 .0629",
    adversarial_robust="0 .0014 .0420",
    coap_robust=".0029 .2344 .3828",
)
# thesis, figure 3.7a: linear data, l2 ball
LINEAR_L2 = _columns(
    "3 3.5 4 4.5 5",
    standard_robust=".0043 .0301 .1286 .3589 .6590",
    adversarial_robust=".0031 .0291 .1422 .3783 .6857",
    coap_robust=".0026 .0201 .1318 .3758 .6444",
)
# thesis, figure 3.7b: spheres of radii 1 and 12 in 100 dimensions, l2 ball, n = 50
WIDE = _columns(
    ".1 .3 .6 .7 .9 1.0",
    standard_robust=".0035 .005 .0286 .0851 .2715 .2983",
    adversarial_robust=".0035 .006 .008 .0090 .020 .0297",
    coap_robust=".0032 .0153 .1400 .4848 .4935 .4952",
)
# an independent float32 simulation of figure 3.7b with 5 seeds
WIDE_SIMULATED = _columns(
    ".3 .6 .8 1.0",
    standard_robust=".003 .030 .105 .280",
    adversarial_robust=".0006 .0002 .0002 .010",
    coap_robust=".0055 .090 .251 .458",
)
# thesis, figure 3.8: share of unstable neurons at the end, in %
FINAL_UNSTABLE = {
    "linear": {0.2: 9.2, 0.4: 18.2, 0.8: 35.9, 1.0: 44.3},
    "spheres": {0.2: 48.9, 0.4: 63.2, 0.8: 74.8, 1.0: 79.7},
}
# CIFAR-10 and MNIST on segments: figures 2b (eps = 2.5) and 8a (eps = 20)
LINES = {
    "cifar10": _columns(
        "1 10 25 50 75 100",
        coap_standard=".3377 .4112 .4340 .4466 .4584 .4658",
        coap_robust=".3377 .4112 .4340 .4466 .4584 .4658",
        adversarial_standard=".2883 .2911 .2919 .2903 .2929 .2876",
        adversarial_robust=".3292 .3838 .4013 .4094 .4215 .4206",
    ),
    "mnist": _columns(
        "1 10 50",
        coap_standard=".0166 .0449 .0966",
        coap_robust=".0166 .0449 .0966",
        adversarial_standard=".0140 .0136 .0356",
        adversarial_robust=".0191 .0275 .0509",
    ),
}
# MNIST over l2 radii, figure 8b
MNIST_L2 = _columns(
    ".25 .5 .75 1.0 1.25 1.5",
    coap_standard=".0091 .0144 .0296 .0489 .0741 .1419",
    coap_robust=".0147 .0400 .0991 .1936 .3029 .4415",
    adversarial_standard=".0062 .0058 .0061 .0058 .0050 .0060",
    adversarial_robust=".0121 .0203 .0347 .0482 .0920 .1311",
)
# accumulated unstable neurons of COAP on images, figures 5c, 5e and 9
UNSTABLE_IMAGES = {
    ("cifar10", "lines"): {1.0: 1.388, 10.0: 2.081, 50.0: 2.207, 100.0: 2.265},
    ("cifar10", "l2"): {0.03: 1.058, 0.07: 1.365, 0.14: 1.626},
    ("mnist", "lines"): {1.0: 1.574, 10.0: 1.598, 50.0: 2.011},
    ("mnist", "l2"): {1.0: 1.582, 1.5: 1.685, 2.0: 1.888},
}
# population gradients of one neuron by ||theta_2:||; gamma = 6, eps = 5: (adversarial, COAP)
NEURON = {
    1.4142: (-0.203505, -0.273327),
    5.0: (-0.215284, 0.055529),
    10.0: (-0.230776, 0.175857),
    31.607: (-0.243713, -0.060771),
}
# the worked example: margins by IBP, COAP, CROWN; linf .3, l2 .3, linf .6
EXAMPLE = {
    ("linf", 0.3): (-2.4, -1.845833, -1.6),
    ("l2", 0.3): (-1.941641, -1.216616, -1.207479),
    ("linf", 0.6): (-4.2, -3.891667, -3.4),
}
