"""Rich displays of theorylab's results in notebooks: `%load_ext theorylab.report.notebook`.

Tables, results and verdicts of the laboratory show themselves. The dataclasses of the numerical
packages (kernels, ridge paths, laws, fits) hold large arrays, whose usual display is pages of
numbers; this shows what is in them.
"""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

import theorylab
from theorylab.table import html_table

PACKAGES = (
    "ntk",
    "ridge",
    "rmt",
    "nets",
    "federated",
    "mixtures",
    "shift",
    "collective",
    "matching",
    "online",
)


def describe(value: Any) -> str:
    """An HTML table of a dataclass: every field with its shape, kind and range."""
    rows = [(f.name, *_field(getattr(value, f.name))) for f in fields(value)]
    return html_table(type(value).__name__, ("field", "what", "range"), rows)


def _field(value: Any) -> tuple[str, str]:
    shape = getattr(value, "shape", None)
    if shape is None or not hasattr(value, "dtype"):
        text = repr(value)
        return (text if len(text) < 80 else f"{text[:77]}...", "")
    if not shape:
        return f"{value.dtype}", f"{np.asarray(value):.6g}" if np.issubdtype(
            value.dtype, np.number
        ) else str(value)
    kind = f"{value.dtype} {tuple(shape)}"
    if not np.issubdtype(value.dtype, np.number) or 0 in shape:
        return kind, ""
    array = np.abs(value) if np.issubdtype(value.dtype, np.complexfloating) else np.asarray(value)
    return kind, f"{np.nanmin(array):.4g} to {np.nanmax(array):.4g}"


def load_ipython_extension(shell: Any) -> None:
    """Show the dataclasses of the numerical packages by `describe`.

    Those that have a display of their own keep it.
    """
    html = shell.display_formatter.formatters["text/html"]
    for package in PACKAGES:
        module = getattr(theorylab, package)
        for kind in (getattr(module, name) for name in module.__all__):
            if isinstance(kind, type) and is_dataclass(kind) and not hasattr(kind, "_repr_html_"):
                html.for_type(kind, describe)
