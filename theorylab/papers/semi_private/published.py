"""Numbers of the paper, its poster and its code, and of an independent prototype."""

# epsilon, 1 / sampling rate, steps taken: noise multiplier by Rényi accounting, delta = 1e-5, for
# the settings of the paper's code; computed apart from this package with dp-accounting 0.6.0
ACCOUNTED = (
    (0.1, 44, 968, 24.10),
    (0.1, 44, 484, 17.09),
    (0.1, 44, 2992, 42.30),
    (0.1, 44, 5984, 59.79),
    (0.7, 44, 968, 4.10),
    (0.7, 88, 19976, 9.07),
    (0.7, 176, 19888, 4.57),
    (0.7, 704, 39424, 1.74),
    (0.7, 352, 19712, 2.36),
    (0.7, 352, 39776, 3.27),
    (0.7, 176, 39952, 6.43),
    (0.7, 704, 19712, 1.33),
)
# dimension of the mixture: records for 90 % without projection, by the prototype, within 25 %
FULL_SIZES = {64: 2200.0, 256: 3200.0, 1024: 6200.0}
PILLAR_SIZES = (80.0, 400.0)  # the range of the records for 90 % with projection
# CIFAR-10, supervised ResNet-50 features, measured from the poster's drawing: test accuracy in %
POSTER_RANKS = (40, 200, 360, 520, 768, 1028, 1284, 1540, 2048)
POSTER = {
    0.0: (83.9, 86.6, 87.1, 87.5, 88.1, 88.0, 88.0, 88.3, 88.3),
    0.7: (83.5, 85.5, 85.6, 85.8, 85.7, 84.9, 85.4, 85.3, 85.1),
    0.1: (81.2, 80.3, 80.2, 79.4, 78.6, 78.3, 77.3, 76.9, 76.2),
}
# CIFAR-100, epsilon = 0.1, the poster's bars
POSTER_METHODS = {
    "PILLAR": 27.5,
    "no projection": 13.0,
    "Johnson-Lindenstrauss": 13.7,
    "GEP": 12.4,
    "AdaDPS": 6.2,
}
# the poster's bars and its table of shifted directions, in %, at epsilon = 0.1: PILLAR and no
# projection, with supervised features and with those of BYOL
POSTER_BARS = {
    "CIFAR-10": ((81.2, 76.2), (72.3, 69.1)),
    "CIFAR-100": ((27.5, 13.0), (19.9, 12.0)),
    "Flower-16": ((68.4, 41.9), (65.6, 51.6)),
    "GTSRB": ((46.1, 36.3), (36.4, 31.1)),
    "DermNet": ((17.5, 11.4), (18.3, 14.0)),
    "Pneumonia": ((79.9, 74.0), (82.8, 65.2)),
    "PCAM": ((72.5, 67.1), (77.5, 74.8)),
}
# PILLAR with directions of CIFAR-10v1, another set of photographs
POSTER_SHIFTED = {"CIFAR-10": (81.18, 73.24), "CIFAR-100": (27.18, 19.21)}
