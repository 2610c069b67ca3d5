"""Reference numbers of independent NumPy programs, to the digits that they printed.

The paper's own figures and tables could not be read; these are what ours are compared with.
"""

# polygon of vertices (1, 0), (0, 2), (-1, -1), gap 1: along (1, 0), (0, 1), (1, 1)
WIDTHS = (2.0, 3.0, 4.0)
LENGTHS = (0.5, 0.33333, 0.35355)
# area, inradius, outradius of its certificate
SIZES = (0.6, 0.316228, 0.632456)
# radii of two crossed ellipses and of their ensemble; areas
INRADII = (0.166667, 0.166667, 0.223607)
AREAS = (0.261799, 0.261799, 0.174388)
# gaps of two members with other runner-ups, the third class -M behind, M = 0, 1, 5
RUNNER_UPS = (0.6, 1.1, 3.1)
# members, lead of class 0: P(all agree), P(gap > largest), P(gap < smallest), E gap / E gap of one
GAUSSIAN = {
    (2, 0.0): (0.1003, 0.1994, 0.4092, 0.709),
    (2, 4.0): (0.9673, 0.3743, 0.0020, 1.167),
    (5, 2.0): (0.1402, 0.1785, 0.0118, 1.452),
    (10, 4.0): (0.8424, 0.0814, 0.0000, 1.396),
}
# radius: best member, mean member, ensemble; five 64-64-64-10 networks on 8 x 8 digits
DIGITS = {
    0.0: (0.956, 0.941, 0.968),
    0.05: (0.935, 0.913, 0.945),
    0.1: (0.894, 0.875, 0.905),
    0.15: (0.838, 0.818, 0.864),
    0.2: (0.764, 0.744, 0.786),
    0.3: (0.554, 0.526, 0.563),
}
