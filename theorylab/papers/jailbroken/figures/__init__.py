"""Analogues of the paper's tables and of its two failure modes, on abstract tokens."""

from theorylab.papers.jailbroken.figures import attacks, coverage, forms

_ORDER = (
    "jb_attacks",
    "jb_held_out",
    "jb_published",
    "jb_capability",
    "jb_coverage",
    "jb_patches",
    "jb_tilt",
    "jb_unions",
    "jb_guard",
    "jb_thresholds",
)
_ALL = {f.name: f for f in (*attacks.FIGURES, *coverage.FIGURES, *forms.FIGURES)}
FIGURES = tuple(_ALL[name] for name in _ORDER)
