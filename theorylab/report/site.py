"""Builds the static site.

Pages come from the store and the registry, with the documentation around them; Zensical renders.

Zensical makes the pages, mkdocstrings the reference, Vega-Lite (from vl-convert) the charts.
Nothing is loaded from a network when the site is read; a browser can open it from the disk.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import theorylab
from theorylab.errors import InputError
from theorylab.lab.paper import Paper
from theorylab.report.benchmarks import benchmark_page
from theorylab.report.overview import environment_page, index_page
from theorylab.report.paper_page import missing_page, paper_page
from theorylab.report.room import ROOT, Room, Sources, furnish

ASSETS = Path(__file__).parent / "assets"
_NEEDED = {
    "zensical": "zensical",
    "mkdocstrings": "mkdocstrings[python]",
    "vl_convert": "vl-convert-python",
}
_SHIM = re.compile(r"https://unpkg\.com/iframe-worker/shim")
# where indentation is no text; the first alternative is what keeps its own
_INDENTED = re.compile(r"<(pre|script|style|textarea)\b.*?</\1>|\n\s+", re.DOTALL)


@dataclass(frozen=True)
class Site:
    """What was built."""

    index: Path
    rooms: Mapping[str, Room]
    pages: int
    bytes: int


def require_tools() -> None:
    """Raise `InputError` when what renders the site is not installed."""
    absent = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if absent:
        raise InputError(f"the report needs {', '.join(absent)}: pip install 'theorylab[docs]'")


def write_pages(
    folder: Path,
    titles: Mapping[str, str],
    rooms: Mapping[str, Paper],
    sources: Sources,
    preset: str,
    seed: int,
    command: str,
) -> Mapping[str, Room]:
    """Write the site's Markdown, data and assets to `folder`; the rooms shown."""
    if sources.docs.is_dir():
        shutil.copytree(sources.docs, folder, dirs_exist_ok=True)
    shown = {}
    for slug, title in titles.items():
        page = folder / "papers" / f"{slug}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        if slug in rooms:
            shown[slug] = furnish(rooms[slug], preset, seed, sources, folder / "papers" / slug)
            page.write_text(paper_page(shown[slug]))
        else:
            page.write_text(missing_page(slug, title))
    head = folder / "index.md"
    start = head.read_text() if head.is_file() else "# theorylab\n"
    head.write_text(index_page(start, titles, shown, command))
    text, charts = benchmark_page(sources.benchmarks)
    (folder / "benchmarks.md").write_text(text)
    (folder / "benchmarks").mkdir(exist_ok=True)
    for name, specs in charts.items():
        script = f"theorylabCharts[{json.dumps(name)}] = {json.dumps(specs, ensure_ascii=False)};\n"
        (folder / "benchmarks" / f"{name}.js").write_text(script)
    (folder / "environment.md").write_text(environment_page(shown))
    shutil.copytree(ASSETS, folder / "assets", dirs_exist_ok=True)
    return shown


def build(
    out: Path,
    titles: Mapping[str, str],
    rooms: Mapping[str, Paper],
    sources: Sources,
    *,
    preset: str = "quick",
    seed: int = 0,
    reference: bool = True,
    command: str = "theorylab report",
) -> Site:
    """Build the site into `out`, replacing an earlier one.

    Raises `InputError` for a folder of something else.

    reference: add the reference of the Python packages, made from their docstrings.
    """
    require_tools()
    _clear(out)
    with tempfile.TemporaryDirectory() as work:
        pages = Path(work) / "docs"
        pages.mkdir()
        shown = write_pages(pages, titles, rooms, sources, preset, seed, command)
        _vega(pages / "assets" / "vega.js")
        packages = _reference(pages) if reference else []
        there = {slug: title for slug, title in titles.items() if slug in shown}
        _configure(Path(work), _navigation(pages, there, packages))
        _run_zensical(Path(work))
        site = Path(work) / "site"
        _finish(site)
        shutil.copytree(site, out, dirs_exist_ok=True)
    files = [p for p in out.rglob("*") if p.is_file()]
    return Site(
        out / "index.html",
        shown,
        sum(p.suffix == ".html" for p in files),
        sum(p.stat().st_size for p in files),
    )


MARK = ".theorylab-report"


def _clear(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        if not (out / MARK).is_file():
            raise InputError(
                f"--out {out}: is not empty and not an earlier report; give a new folder"
            )
        shutil.rmtree(out)


def _vega(path: Path) -> None:
    """Vega, Vega-Lite and Vega-Embed as one script.

    It is made once by vl-convert and kept in the user's cache.
    """
    import pooch
    import vl_convert

    kept = Path(pooch.os_cache("theorylab")) / f"vega-{metadata.version('vl-convert-python')}.js"
    if not kept.is_file():
        from theorylab.files import write_atomically

        bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]
        script = f"(() => {{{bundle}}})();\n"  # its names stay its own
        try:
            write_atomically(kept, script.encode())
        except OSError:
            path.write_text(script)
            return
    shutil.copyfile(kept, path)


def _reference(pages: Path) -> list[str]:
    """One page of reference for every public package."""
    names = [n for n in theorylab.__all__ if (Path(theorylab.__file__).parent / n).is_dir()]
    (pages / "reference").mkdir(exist_ok=True)
    for name in names:
        (pages / "reference" / f"{name}.md").write_text(
            f"# theorylab.{name}\n\n::: theorylab.{name}\n"
        )
    return names


def _title(path: Path) -> str:
    first = path.read_text().lstrip().splitlines()[0]
    # a menu shows its text as it is, so marks of code would be read
    return first.removeprefix("# ").replace("`", "").strip()


def _navigation(pages: Path, titles: Mapping[str, str], packages: Sequence[str]) -> list[Any]:
    """Start, papers, tutorials, guides, reference: what the documentation's folders hold."""
    nav: list[Any] = [
        {"Overview": "index.md"},
        {"Papers": [{_brief(t): f"papers/{s}.md"} for s, t in titles.items()]},
    ]
    for folder, name in (("tutorials", "Tutorials"), ("guides", "Guides")):
        found = sorted((pages / folder).glob("*.md"))
        if found:
            nav.append({name: [{_title(p): f"{folder}/{p.name}"} for p in found]})
    if packages:
        nav.append({"Reference": [{f"theorylab.{n}": f"reference/{n}.md"} for n in packages]})
    return [*nav, {"Benchmarks": "benchmarks.md"}, {"Environment": "environment.md"}]


def _brief(title: str) -> str:
    return title.split(":")[0] if ":" in title and len(title.split(":")[0]) > 2 else title


def _configure(work: Path, nav: Sequence[Any]) -> None:
    template = (ASSETS / "zensical.toml").read_text()
    listed = ",\n".join(f"  {_toml(item)}" for item in nav)
    text = template.replace("@NAV@", f"[\n{listed}\n]").replace("@ROOT@", json.dumps(str(ROOT)))
    (work / "zensical.toml").write_text(text)


def _toml(item: Mapping[str, Any]) -> str:
    ((name, target),) = item.items()
    value = (
        json.dumps(target) if isinstance(target, str) else "[" + ", ".join(map(_toml, target)) + "]"
    )
    return f"{{ {json.dumps(name, ensure_ascii=False)} = {value} }}"


def _run_zensical(work: Path) -> None:
    command = [sys.executable, "-m", "zensical", "build", "--clean"]
    done = subprocess.run(
        command, cwd=work, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    if done.returncode != 0 or not (work / "site" / "index.html").is_file():
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise RuntimeError(f"zensical could not build the site: {' '.join(lines[-3:])}")


def _finish(site: Path) -> None:
    """Point the one remote script to our copy of it, and sign the folder.

    The script searches without a server. Pages lose their indentation, a sixth of their bytes.
    """
    for page in site.rglob("*.html"):
        text = page.read_text()
        up = "../" * (len(page.relative_to(site).parts) - 1) or "./"
        page.write_text(unindented(_SHIM.sub(f"{up}assets/iframe-worker.js", text)))
    # the same as search.js, which also works from a disk
    (site / "search.json").unlink(missing_ok=True)
    # the look of another theme
    shutil.rmtree(site / "assets" / "stylesheets" / "classic", ignore_errors=True)
    (site / MARK).write_text("made by `theorylab report`; the folder is replaced by the next one\n")


def unindented(html: str) -> str:
    """A page without blank lines and indentation, but where they are shown or are code."""
    return _INDENTED.sub(lambda found: found[0] if found[1] else "\n", html)
