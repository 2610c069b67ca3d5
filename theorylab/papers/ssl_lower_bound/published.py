"""What the paper's real-data figure shows, read off the vector graphics of its public poster (to
0.0005), and what an independent NumPy simulation of the mixture gave."""

from collections.abc import Mapping
from typing import NamedTuple

# SL - SSL-W, UL+ - SSL-W, SL - self-training, UL+ - self-training
PUBLISHED = {
    "musk": (0.0745, 0.2301, -0.0572, 0.0985),
    "mnist/3v8": (0.0227, 0.1735, 0.0136, 0.1645),
    "mnist/5v9": (0.0489, 0.1847, 0.0163, 0.1520),
    "mnist/5v6": (0.0590, 0.1668, 0.0036, 0.1113),
    "adult": (0.0317, 0.1688, -0.0416, 0.0954),  # a9a
    "vehicleNorm": (0.0692, 0.1042, -0.0193, 0.0157),
    "philippine": (0.1032, 0.0095, -0.0049, -0.0986),
    "madeline": (0.0290, 0.0165, -0.0031, -0.0156),
    "mnist/1v7": (0.1393, 0.0765, 0.0214, -0.0413),
    "mnist/0v1": (0.1573, 0.0171, 0.0305, -0.1097),
}


class Mixture(NamedTuple):
    """Two Gaussians at signal-to-noise ratio s in d dimensions, with labelled and unlabelled points
    from them."""

    s: float
    d: int
    n_l: int
    n_u: int


# Excess risk and its standard error.
SIMULATED: Mapping[Mixture, Mapping[str, tuple[float, float]]] = {
    Mixture(1.0, 20, 400, 1000): {
        "sl": (0.00569, 0.00011),
        "ul_plus": (0.00456, 0.00009),
        "ssl_weighted": (0.00261, 0.00005),
        "ssl_em": (0.00244, 0.00005),
    },
    Mixture(0.5, 20, 400, 4000): {
        "sl": (0.01531, 0.00038),
        "ul_plus": (0.00838, 0.00022),
        "ssl_weighted": (0.00559, 0.00013),
        "ssl_em": (0.00543, 0.00013),
    },
    Mixture(1.0, 20, 50, 5000): {
        "sl": (0.03993, 0.00102),
        "ul_plus": (0.00096, 0.00002),
        "ssl_weighted": (0.00093, 0.00002),
        "ssl_em": (0.00084, 0.00002),
    },
    Mixture(0.5, 10, 1000, 1000): {
        "sl": (0.00302, 0.00010),
        "ul_plus": (0.01870, 0.00102),
        "ssl_weighted": (0.00262, 0.00008),
        "ssl_em": (0.00255, 0.00008),
    },
    Mixture(0.3, 50, 20, 200): {
        "sl": (0.0958, 0.002),
        "ul_plus": (0.1126, 0.003),
        "ssl_weighted": (0.0970, 0.002),
        # standard errors not reported there: of the order of ours
        "ssl_em": (0.1050, 0.003),
    },
}
FASHION = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "boot",
)


def _short(name: str) -> str:
    base, _, pair = name.rpartition("/")
    if base == "fashion_mnist":
        return " v ".join(FASHION[int(k)] for k in pair.split("v"))
    return (
        f"{base.removeprefix('keel/')} {pair}"
        if base and pair[0].isdigit()
        else name.removeprefix("keel/")
    )


_NAMES = (
    *(f"mnist/{p}" for p in ("3v8", "5v9", "5v6", "1v7", "0v1")),
    *(f"fashion_mnist/{a}v{b}" for a in range(10) for b in range(10)),
    *(
        f"keel/{t}"
        for t in (
            "twonorm",
            "ring",
            "spambase",
            "wdbc",
            "ionosphere",
            "satimage/2v5",
            "optdigits/3v8",
            "optdigits/5v9",
            "optdigits/1v7",
            "magic",
            "phoneme",
            "sonar",
            "mushroom",
            "segment/0v3",
        )
    ),
)
TASKS = {name: _short(name) for name in _NAMES} | {"adult": "a9a (Adult)"}
