"""Numbers that are known independently: of these mechanisms, not of the paper, whose tables could
not be read."""

# cost factors of a mean behind mean imputation, in full and by groups: n, missing
FACTORS = {(1000, 100): (1.2346, 10201.0), (1000, 10): (1.0203, 121.0), (200, 50): (1.7778, 2601.0)}
# least bounds of Gaussian-type curves: rho, smooth rho, order
CLOSED = {(0.02, 0.001, 8.0): 0.239554, (0.5, 0.5, 1.5): 3.0, (0.01, 0.09, 32.0): 5.12}
# bounds by coupling, and without sampling: rate, noise, order, records, movement
COUPLED = {
    (0.5, 2, 3, 4, 0.6): (1.100, 2.16),
    (0.2, 1, 2, 5, 0.3): (0.1944, 2.25),
    (0.3, 1, 4, 3, 0.4): (1.698, 2.88),
    (0.1, 1, 4, 1, 0.5): (0.0996, 0.5),
}
# epsilon at delta = 1e-5 of Gaussians shifted by .1, .5 and 1; rho of epsilon .1 and .7
GAUSSIAN = {
    "exact": (0.34067, 1.99309, 4.37718),
    "curve": (0.37526, 2.16572, 4.72839),
    "zcdp": (0.48485, 2.52426, 5.29853),
    "rho": (2.1621e-4, 1.03285e-2),
}
# curve of one step at orders 2, 4, 8, 16; epsilon of all by curves, and by loss distributions
SAMPLED = {
    (0.01, 1.0, 1000): ((1.71813e-4, 3.63154e-4, 8.93644e-4, 3.08785), 2.1014, 1.8282),
    (0.02, 1.1, 500): ((5.13941e-4, 1.107422e-3, 2.877038e-3, 2.438962), 2.5757, 2.2932),
}
# threshold of a private test with epsilon 1, delta 1e-5, and P[release] at margins 0, 10, 20
RELEASE = (10.820, (1e-5, 0.2203, 0.99995))
# excess loss of four pipelines at epsilon .5, 1, 2, 4, 8, by another program and other data
PIPELINES = {
    "full dimension": (0.261, 0.149, 0.077, 0.045, 0.035),
    "PCA": (0.174, 0.082, 0.047, 0.034, 0.031),
    "private PCA": (0.162, 0.055, 0.034, 0.031, 0.0305),
    "PCA, naive": (0.032, 0.030, 0.030, 0.031, 0.031),
}
