"""Tangent kernels: the empirical kernel of any JAX function, infinite-width kernels, training in closed form."""

from theorylab.ntk.empirical import empirical_ntk

__all__ = ["empirical_ntk"]
