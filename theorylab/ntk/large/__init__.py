"""Tangent kernels beyond one machine's memory: tile by tile into one array on disk.

Each tile is a call of `empirical_ntk`, so the mathematics and its sources are those of that
function (Jacot, Gabriel & Hongler 2018).
"""

from theorylab.ntk.large.call import tiled_ntk
from theorylab.ntk.large.plan import TilePlan, plan_tiles

__all__ = ["TilePlan", "plan_tiles", "tiled_ntk"]
