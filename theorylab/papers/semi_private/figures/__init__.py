"""Figures: accuracy over directions, records and methods, and what the theory promises."""

from theorylab.papers.semi_private.figures import real, theory

_ORDER = (
    "spl_fig1",
    "spl_fig2",
    "spl_fig4",
    "spl_fig5",
    "spl_methods",
    "spl_sizes",
    "spl_numbers",
    "spl_spiked",
    "spl_margin",
    "spl_directions",
    "spl_table",
    "spl_accounting",
)
_ALL = {figure.name: figure for figure in (*real.FIGURES, *theory.FIGURES)}
FIGURES = tuple(_ALL[name] for name in _ORDER)
