"""What functions of this package give where they give two things: each by its name, in this order.

`SmoothedDensity`, `Spike` and other results of more parts stand beside what computes them.

Source: each names the paper of the function that gives it.
"""

from typing import NamedTuple

from jaxtyping import Array, Float


class DegreesOfFreedom(NamedTuple):
    """Degrees of freedom of ridge regression at an effective regularisation.

    Attributes:
        dof1: tr Σ(Σ+κ)⁻¹, of kappa's shape.
        dof2: tr Σ²(Σ+κ)⁻², of kappa's shape.
    """

    dof1: Float[Array, "..."]
    dof2: Float[Array, "..."]


class EdgeScaling(NamedTuple):
    """Where the largest eigenvalue of a random matrix lies: (λ_max - centre)/scale fluctuates.

    Attributes:
        centre: μ.
        scale: σ.
    """

    centre: float
    scale: float


class Edges(NamedTuple):
    """The ends of a bulk.

    Attributes:
        low: the left one.
        high: the right one.
    """

    low: Float[Array, ""]
    high: Float[Array, ""]


class PluginSpectrum(NamedTuple):
    """A spectrum and the power of the targets along it, estimated from samples.

    Attributes:
        eigenvalues: (m,) falling.
        target_power: (m,) of each.
    """

    eigenvalues: Float[Array, "m"]
    target_power: Float[Array, "m"]


class SpectralMean(NamedTuple):
    """The mean of a function over a spectrum, and how far the probes scatter.

    Attributes:
        mean: estimate.
        standard_error: of the estimate over probes (infinite with one probe).
    """

    mean: Float[Array, "..."]
    standard_error: Float[Array, "..."]


class TraceEstimate(NamedTuple):
    """A trace, and how far the probes scatter.

    Attributes:
        trace: estimate.
        standard_error: of the estimate over probes (infinite with one probe).
    """

    trace: Float[Array, ""]
    standard_error: Float[Array, ""]
