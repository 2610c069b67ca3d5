"""Drawing: the house style and the figure writer."""

from theorylab.plotting.style import COLOURS, DASHES, MARKERS, band, diagonal, house_style, panels, ramp, sample_axis
from theorylab.plotting.writer import write_figure

__all__ = [
    "COLOURS",
    "DASHES",
    "MARKERS",
    "band",
    "diagonal",
    "house_style",
    "panels",
    "ramp",
    "sample_axis",
    "write_figure",
]
