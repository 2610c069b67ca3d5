"""neural-tangents' names and signatures over the engines of theorylab: change one import.

    from theorylab import neural_tangents as nt

    init_fn, apply_fn, kernel_fn = nt.stax.serial(
        nt.stax.Dense(512), nt.stax.Relu(), nt.stax.Dense(1)
    )
    k = kernel_fn(x_test, x_train, "ntk")

It holds no engine: infinite width is `theorylab.ntk.infinite`, empirical kernels
`theorylab.ntk.empirical_ntk`, training `theorylab.ntk.gradient_flow`. For new programs use these:
`docs/guides/neural-tangents.md` has a table of both, and what differs.
"""

from theorylab.neural_tangents import predict, stax
from theorylab.neural_tangents.batching import batch
from theorylab.neural_tangents.empirical import (
    NtkImplementation,
    empirical_kernel_fn,
    empirical_nngp_fn,
    empirical_ntk_fn,
    empirical_ntk_vp_fn,
)
from theorylab.neural_tangents.expansion import linearize, taylor_expand
from theorylab.neural_tangents.kernel import Kernel
from theorylab.neural_tangents.monte_carlo import monte_carlo_kernel_fn

__all__ = [
    "Kernel",
    "NtkImplementation",
    "batch",
    "empirical_kernel_fn",
    "empirical_nngp_fn",
    "empirical_ntk_fn",
    "empirical_ntk_vp_fn",
    "linearize",
    "monte_carlo_kernel_fn",
    "predict",
    "stax",
    "taylor_expand",
]
