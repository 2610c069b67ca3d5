"""Figures 3 to 7 of the paper on abstract tokens, its table, its appendix, and what is ours."""

from theorylab.papers.safety_finetuning.figures import attacks, clusters, weights

_ORDER = (
    "sf_fig3",
    "sf_order",
    "sf_fig4",
    "sf_fig5",
    "sf_fig6",
    "sf_fig7",
    "sf_table",
    "sf_path",
    "sf_spectra",
    "sf_fragility",
    "sf_sites",
    "sf_grammar",
)
_ALL = {f.name: f for f in (*clusters.FIGURES, *weights.FIGURES, *attacks.FIGURES)}
FIGURES = tuple(_ALL[name] for name in _ORDER)
