"""Reference numbers of an independent NumPy prototype, to the digits that it printed.

Learners are AboveThreshold with b1 = b2 = 2/epsilon and beta = 0.1, unless it is said otherwise.
"""

# k: theta, E[M] against the adversary, p and q before the last insertion, E[M] of ones alone;
# epsilon = log(3/2), T = 2^k - 1
ROWS = {
    6: (31.699, 5.453, 0.8673, 2.85e-3, 24.40),
    10: (45.436, 8.911, 0.8612, 3.88e-4, 37.92),
    14: (59.116, 12.354, 0.8603, 5.43e-5, 51.58),
    20: (79.630, 17.515, 0.8601, 2.86e-6, 72.09),
    30: (113.821, 26.116, 0.8601, 2.12e-8, 106.28),
    40: (148.011, 34.717, 0.8601, 1.6e-10, 140.47),
    60: (216.391, 51.919, 0.8601, 9e-15, 208.85),
}
COLUMNS = ("theta", "mistakes", "p", "q", "front")
# relative tolerances of the columns; of q the digits given say less where it is below 1e-9
TOLERANCE = {"theta": 1e-3, "mistakes": 1e-3, "p": 1e-3, "q": 3e-3, "front": 1e-3}
SMALL_Q = {40: 0.02, 60: 0.06}
# epsilon: E[M] of ones alone at log2 T = 4, 8, ..., 24
FRONT = {
    0.1: (14.93, 99.65, 154.24, 209.59, 265.03, 320.48),
    0.5: (13.07, 26.05, 37.08, 48.16, 59.25, 70.34),
    1.0: (8.886, 14.320, 19.846, 25.389, 30.934, 36.480),
    2.0: (5.125, 7.838, 10.604, 13.376, 16.148, 18.921),
}
FRONT_DOUBLINGS = (4, 8, 12, 16, 20, 24)
# epsilon, log2 T: parts, insertions, E[M], least p of the smallest-mass rule at b1 = b2 = 1/epsilon
PARTS = {
    (1.0, 30): (4, 14, 12.13, 0.855),
    (2.0, 40): (10, 12, 10.31, 0.844),
    (3.0, 60): (27, 13, 11.12, 0.839),
}
# log2 T: 0.9-quantile of the largest error of a tree counter at epsilon = 1, within 8 %
COUNTER_QUANTILES = {4: 31.0, 6: 62.0, 8: 104.0, 10: 162.0, 12: 221.0, 14: 300.0, 16: 394.0}
# E[M] of Name & Shame at delta = 0.01: ones, mistakes
SHAME = {100: 63.397, 1000: 99.996}
