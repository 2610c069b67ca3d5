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
