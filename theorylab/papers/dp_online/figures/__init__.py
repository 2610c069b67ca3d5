"""Figures: the schematic of the paper, computed, and what its proof rests on, step by step."""

from theorylab.papers.dp_online.figures import mechanisms, mistakes

_ORDER = (
    "dpo_fig1",
    "dpo_table",
    "dpo_slopes",
    "dpo_counters",
    "dpo_traces",
    "dpo_positions",
    "dpo_audit",
    "dpo_rate",
    "dpo_regimes",
    "dpo_uniform",
    "dpo_concentration",
)
_ALL = {figure.name: figure for figure in (*mistakes.FIGURES, *mechanisms.FIGURES)}
FIGURES = tuple(_ALL[name] for name in _ORDER)
