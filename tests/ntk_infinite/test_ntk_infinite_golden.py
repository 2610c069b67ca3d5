"""Closed-form values that were checked by hand against the recursion and an independent library."""

import numpy as np
import pytest

from theorylab.ntk import infinite as inf

POINTS = np.array([(1, 0, 0), (0.6, 0.8, 0), (1, 1, 1), (-1, 0, 2)])
ROOT2 = 2**0.5

DENSE = {
    "1 relu": (
        [0.6666666667, 0.3668157422, 0.6139949034, -0.0227376641],
        [0.3333333333, 0.2258491893, 0.3820238114, 0.0947344633],
    ),
    "3 relu": (
        [1.3333333333, 0.6507622284, 1.0970896578, 0.5698535839],
        [0.3333333333, 0.2584374783, 0.4425252373, 0.3982823909],
    ),
    "1 erf": (
        [0.8871303587, 0.4801002505, 0.5467161293, -0.4300708803],
        [0.4096655294, 0.2344466225, 0.2651227356, -0.2109949918],
    ),
    "3 erf": (
        [2.5372345956, 1.0104041046, 0.9389307699, -0.6694317726],
        [0.4665177346, 0.2347794934, 0.2186264725, -0.1608574473],
    ),
}
CONV = {
    "SAME flatten": (
        [0.3212924859, 0.1072319306, 0.3566529492],
        [0.1070974953, 0.0637933152, 0.1188843164],
    ),
    "SAME global_avg_pool": (
        [0.1254140187, 0.0691041892, 0.108462825],
        [0.0621360071, 0.0493606146, 0.0600691867],
    ),
    "CIRCULAR flatten": (
        [0.8395061728, 0.2656630829, 1.037037037],
        [0.2798353909, 0.1695732104, 0.3456790123],
    ),
    "CIRCULAR global_avg_pool": (
        [0.5342625586, 0.2157484312, 0.3555044709],
        [0.2251800619, 0.1541112585, 0.1924071641],
    ),
}


@pytest.mark.parametrize("case", DENSE)
def test_dense_networks_have_the_golden_values(case):
    depth, name = case.split()
    sigma = ROOT2 if name == "relu" else 1.5
    hidden = [
        layer
        for _ in range(int(depth))
        for layer in (inf.dense(sigma_w=sigma), getattr(inf, name)())
    ]
    both = inf.serial(*hidden, inf.dense()).kernel(POINTS, get="both")
    np.testing.assert_allclose(both.ntk[0], DENSE[case][0], atol=1e-10)  # ten digits are given
    np.testing.assert_allclose(both.nngp[0], DENSE[case][1], atol=1e-10)


@pytest.mark.parametrize("case", CONV)
def test_convolutional_networks_have_the_golden_values(case):
    padding, readout = case.split()
    h, w = np.meshgrid(range(3), range(3), indexing="ij")
    images = np.stack([(3 * h + w) / 9, (h + 1) * (w - 1) / 3])[..., None]
    hidden = [inf.conv(1, 3, padding=padding, sigma_w=ROOT2), inf.relu()] * 2
    both = inf.serial(*hidden, getattr(inf, readout)(), inf.dense()).kernel(images, get="both")
    triangle = np.triu_indices(2)
    np.testing.assert_allclose(np.asarray(both.ntk)[triangle], CONV[case][0], atol=1e-10)
    np.testing.assert_allclose(np.asarray(both.nngp)[triangle], CONV[case][1], atol=1e-10)
