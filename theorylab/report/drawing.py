"""Everything that a page needs of one figure.

That is numbers, pictures, charts, and the code that made them.
"""

import inspect
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from theorylab.lab.paper import Figure
from theorylab.plotting import house_style
from theorylab.report.charts import Spec, charts
from theorylab.report.origin import Numbers
from theorylab.table import Table

_COLOURS = 48  # of a picture on the site: a quarter of the bytes, no visible difference
_DPI = 125  # of a picture on the site: a dot a pixel
_SHOWN = 125  # pixels of the page an inch


@dataclass(frozen=True)
class Drawing:
    """One figure on its page.

    It says where the numbers come from, how many panels can be hovered over, how many rows the CSV
    has, and why the figure is not there.

    size: pixels on the page, width and height. pictures: the PNG of each file that `write_picture`
    is still to write.
    """

    figure: Figure
    numbers: Numbers
    panels: int = 0
    rows: int = 0
    size: tuple[int, int] = (0, 0)
    error: str = ""
    pictures: Mapping[Path, bytes] = field(default_factory=dict, repr=False)

    @property
    def there(self) -> bool:
        """Whether the page can show the figure."""
        return self.numbers.origin != "none" and not self.error


def draw(figure: Figure, numbers: Numbers, target: Path) -> Drawing:
    """Write the numbers, the charts and the two pictures of a figure to `target`.

    All are of the same numbers: `name.csv`, `name.js` (the charts) and the pictures beside them.
    """
    if numbers.origin == "none":
        return Drawing(figure, numbers, error=numbers.fault)
    try:
        table = Table.from_csv(numbers.text)
        with house_style("light"):
            light = figure.draw(table)
            specs = charts(light)
            pictures = {target / f"{figure.name}.webp": _render(light)}
        with house_style("dark"):
            dark = figure.draw(Table.from_csv(numbers.text))
            pictures[target / f"{figure.name}.dark.webp"] = _render(dark)
    # older numbers may not suit today's drawing: say so on the page, go on with the others
    except Exception as error:
        if not numbers.stale:
            raise
        return Drawing(figure, numbers, error=f"{type(error).__name__}: {error}")
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{figure.name}.csv").write_text(numbers.text)
    (target / f"{figure.name}.js").write_text(
        f"theorylabCharts[{json.dumps(figure.name)}] = {_json(specs)};\n"
    )
    width, height = light.get_size_inches()
    size = (round(_SHOWN * width), round(_SHOWN * height))
    return Drawing(figure, numbers, len(specs), len(table), size, pictures=pictures)


def _json(specs: list[Spec]) -> str:
    return json.dumps(specs, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _render(drawn: Any) -> bytes:
    out = io.BytesIO()
    drawn.savefig(out, format="png", dpi=_DPI, metadata={"Software": "theorylab"})
    return out.getvalue()


def write_picture(path: Path, png: bytes) -> None:
    """Write a picture as lossless WebP of few colours. Safe to call from several threads."""
    from PIL import Image

    few = Image.open(io.BytesIO(png)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.convert("RGB").save(path, "webp", lossless=True, method=2, quality=60)


def source(function: Any) -> str:
    """The code of a function, or of what a partial or a closure wraps.

    Empty when Python cannot tell.
    """
    try:
        return inspect.getsource(getattr(function, "func", function))
    except (OSError, TypeError):
        return ""


def place(function: Any) -> str:
    """Where a function is written, e.g. `theorylab/papers/tct/figures.py`, line 12."""
    function = getattr(function, "func", function)
    module = inspect.getmodule(function)
    code = getattr(function, "__code__", None)
    path = "/".join(module.__name__.split(".")) + ".py" if module else "unknown"
    return f"{path}, line {code.co_firstlineno}" if code else path
