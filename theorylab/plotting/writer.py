"""Writes one figure: pictures, the plotted numbers as CSV, and its provenance as JSON.

The pictures are a light and a dark PNG and a PDF. CSV, JSON and the light PNG are worth keeping:
the others follow from the CSV.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from theorylab.files import digest, seal_record, write_atomically
from theorylab.plotting.style import Mode, house_style
from theorylab.records import record_text
from theorylab.table import Table

CSV_DIGEST = "csv_sha256"  # the key of a record that says which numbers it is about
DPI = 144  # two pixels per point: on a page, half as many again as the pixels that a figure takes


def write_figure(
    folder: Path,
    name: str,
    table: Table,
    draw: Callable[[Table], Figure],
    provenance: Mapping[str, Any],
) -> list[Path]:
    """Draw a table in both modes and write `name.{csv,png,dark.png,pdf,json}` to a folder.

    Every file is written atomically; the same table gives the same CSV bytes. The figure is drawn
    from the CSV text itself, so it can show nothing that a reader of the CSV would not find. The
    JSON says the digest of the CSV, so that numbers which are not these can be told.

    Args:
        folder: where to write.
        name: of the files.
        table: the plotted numbers.
        draw: table -> Matplotlib figure.
        provenance: what the JSON file says.

    Returns:
        The paths written.
    """
    text = table.to_csv()
    record = seal_record({**provenance, CSV_DIGEST: digest(text.encode())})
    files = {
        f"{name}.csv": text.encode(),
        **pictures(name, text, draw),
        f"{name}.json": record_text(record).encode(),
    }
    return write_files(folder, files)


def pictures(name: str, text: str, draw: Callable[[Table], Figure]) -> dict[str, bytes]:
    """The pictures of a figure by file name, drawn from the text of its CSV: PNG, dark PNG, PDF."""
    files = {}
    modes: tuple[Mode, ...] = ("light", "dark")
    for mode in modes:
        with house_style(mode):
            figure = draw(Table.from_csv(text))
            suffix = ".dark.png" if mode == "dark" else ".png"
            files[name + suffix] = _palette(_render(figure, "png"))
            if mode == "light":
                files[f"{name}.pdf"] = _render(figure, "pdf")
    return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files to a folder, each atomically; their paths."""
    for file, content in files.items():
        write_atomically(folder / file, content)
    return [folder / file for file in files]


def _render(figure: Figure, kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "pdf":
        figure.savefig(out, format=kind, metadata={"CreationDate": None})
    else:
        figure.savefig(out, format=kind, dpi=DPI, metadata={"Software": "theorylab"})
    return out.getvalue()


def _palette(png: bytes) -> bytes:
    """The picture with 256 colours in place of 16 million.

    It has a quarter of the bytes, and the eye sees no difference.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    few = picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette = few.getpalette() or []
    # averaged with its neighbours; a page would show the difference as a tint
    paper = 3 * int(np.asarray(few)[0, 0])
    palette[paper : paper + 3] = np.asarray(picture)[0, 0].tolist()
    few.putpalette(palette)
    out = io.BytesIO()
    few.save(out, "png", optimize=True, dpi=picture.info["dpi"])
    return out.getvalue()
