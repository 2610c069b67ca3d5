"""Drawing: the house style and the figure writer."""

from theorylab.plotting.style import (
    COLOURS,
    DASHES,
    MARKERS,
    WIDTH,
    band,
    diagonal,
    house_style,
    legend_below,
    panels,
    ramp,
    sample_axis,
    shared_legend,
    whole_ticks,
)
from theorylab.plotting.writer import write_figure

__all__ = [
    "COLOURS",
    "DASHES",
    "MARKERS",
    "WIDTH",
    "band",
    "diagonal",
    "house_style",
    "legend_below",
    "panels",
    "ramp",
    "sample_axis",
    "shared_legend",
    "whole_ticks",
    "write_figure",
]
