"""Everything that a page needs of one figure: numbers, pictures, charts, and the code that made
them."""

import inspect
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from theorylab.lab.paper import Figure, Paper
from theorylab.lab.reproduce import figure_record
from theorylab.plotting import house_style
from theorylab.report.charts import Spec, charts
from theorylab.report.stock import State, Stock
from theorylab.table import Table

Mode = Literal["light", "dark"]
_COLOURS = 64  # of a picture on the site: a quarter of the bytes, no visible difference


@dataclass(frozen=True)
class Drawing:
    """One figure on its page: how many panels can be hovered over, how many rows its CSV has, why
    it is not there.

    pictures: the PNG of each file that `write_picture` is still to write.
    """

    figure: Figure
    state: State
    record: Mapping[str, Any]
    panels: int = 0
    rows: int = 0
    error: str = ""
    pictures: Mapping[Path, bytes] = field(default_factory=dict, repr=False)

    @property
    def there(self) -> bool:
        return self.state != "missing" and not self.error


def draw(stock: Stock, figure: Figure, gallery: Path, target: Path) -> Drawing:
    """Write `name.csv` and `name.js` (the charts) to `target`, and bring the two pictures that
    belong there.

    A picture that `reproduce` drew from the very same numbers is taken from `gallery`; the others
    are drawn here.
    """
    state = stock.state(figure.needs)
    if state == "missing":
        return Drawing(figure, state, {})
    used = {n: stock.results[n] for n in figure.needs}
    record = figure_record(stock.paper, figure, stock.preset, used)
    try:
        text = figure.table(used, stock.preset).to_csv()
        table = Table.from_csv(text)
        with house_style("light"):
            drawn = figure.draw(table)
            specs = charts(drawn)
        target.mkdir(parents=True, exist_ok=True)
        pictures = _pictures(stock.paper, figure, text, drawn, gallery, target)
    # stale results may not suit today's drawing: say so on the page, go on with the others
    except Exception as error:
        if state == "fresh":
            raise
        return Drawing(figure, state, record, error=f"{type(error).__name__}: {error}")
    (target / f"{figure.name}.csv").write_text(text)
    (target / f"{figure.name}.js").write_text(
        f"theorylabCharts[{json.dumps(figure.name)}] = {_json(specs)};\n"
    )
    return Drawing(figure, state, record, len(specs), len(table), pictures=pictures)


def _json(specs: list[Spec]) -> str:
    return json.dumps(specs, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _pictures(
    paper: Paper, figure: Figure, text: str, drawn: Any, gallery: Path, target: Path
) -> Mapping[Path, bytes]:
    known = gallery / paper.slug / f"{figure.name}.csv"
    same = known.is_file() and known.read_text() == text
    found = {}
    for mode, suffix in (("light", ""), ("dark", ".dark")):
        committed = gallery / paper.slug / f"{figure.name}{suffix}.png"
        if same and committed.is_file():
            content = committed.read_bytes()
        else:
            content = _render(figure, text, drawn if mode == "light" else None, mode)
        found[target / f"{figure.name}{suffix}.webp"] = content
    return found


def _render(figure: Figure, text: str, drawn: Any, mode: Any) -> bytes:
    out = io.BytesIO()
    with house_style(mode):
        (drawn or figure.draw(Table.from_csv(text))).savefig(
            out, format="png", metadata={"Software": "theorylab"}
        )
    return out.getvalue()


def write_picture(path: Path, png: bytes) -> None:
    """Write a picture as lossless WebP of few colours. Safe to call from several threads."""
    from PIL import Image

    few = Image.open(io.BytesIO(png)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.convert("RGB").save(path, "webp", lossless=True, method=2, quality=60)


def source(function: Any) -> str:
    """The code of a function, or of what a partial or a closure wraps; empty when Python cannot
    tell."""
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
