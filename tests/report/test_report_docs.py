"""The documentation cannot lie: its Python runs, its links lead somewhere, every name and command
it shows exists."""

import dataclasses
import doctest
import importlib
import inspect
import linecache
import re
from pathlib import Path

import pytest
from typer.main import get_command

from theorylab.cli.app import app
from theorylab.ntk import infinite

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.S)


def cells(path):
    """Pairs of a block of Python and the block of text right after it: what it prints, or ""."""
    pattern = r"```python\n(.*?)```(?:\n\s*```text\n(.*?)```)?"
    return re.findall(pattern, path.read_text(), flags=re.S)


RUN = [
    pytest.param(p, marks=pytest.mark.slow if p.stem == "choosing" else pytest.mark.long, id=p.stem)
    for p in PAGES
    if cells(p) and p.parent.name != "derivations"  # which have a test of their own
]


@pytest.mark.parametrize("page", RUN)
def test_the_python_of_a_page_runs_in_order_and_prints_what_the_page_shows(page, capsys):
    scope = {"__name__": "page"}
    for i, (block, shown) in enumerate(cells(page)):
        cell = f"<{page.name} {i}>"
        # as a notebook does: source can be read
        linecache.cache[cell] = len(block), None, block.splitlines(True), cell
        exec(compile(block, cell, "exec"), scope)
        printed = capsys.readouterr().out
        if shown:
            same = doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)
            assert same, f"{cell} prints\n{printed}"


def test_output_is_shown_only_where_it_is_compared():
    shown = {p.stem: [bool(text) for _, text in cells(p)] for p in PAGES}
    assert sum(shown["ntk-engine"]) == 7 and sum(shown["choosing"]) == 7


def test_the_tutorials_are_numbered_and_have_code_that_checks_something():
    tutorials = [p for p in PAGES if p.parent.name == "tutorials"]
    assert [p.name.split("-")[0] for p in tutorials] == [str(i + 1) for i in range(len(tutorials))]
    assert len(tutorials) >= 6
    for page in tutorials:
        assert "assert " in "".join(blocks(page, "python")), page


def test_the_index_leads_to_every_page():
    """By a link, or through the README of a folder that it links."""
    found, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        found.add(page)
        for target in re.findall(r"\]\((?!http)([^)#]+\.md)", page.read_text()):
            linked = (page.parent / target).resolve()
            if page.name in ("index.md", "README.md") and linked not in found:
                waiting.append(linked)
    missing = sorted(str(p.relative_to(DOCS)) for p in {p.resolve() for p in PAGES} - found)
    assert not missing, f"not in docs/index.md: {missing}"


def test_the_tutorial_of_a_room_shows_the_room_to_copy_word_for_word():
    shown = blocks(DOCS / "tutorials" / "5-paper-room.md", "py")
    room = {p.name: p.read_text() for p in (DOCS / "templates" / "paper_room").glob("*.py")}
    assert sorted(shown) == sorted(room.values())


def test_links_between_pages_are_good():
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_every_command_and_option_shown_exists():
    commands = get_command(app).commands
    text = "\n".join(p.read_text() for p in PAGES)
    shown = re.findall(r"theorylab ([a-z]+)((?: --?[a-z-]+(?: [^\s`-]\S*)?| [A-Za-z_]+)*)", text)
    seen = 0
    for name, rest in shown:
        if name not in commands:
            continue
        options = {o for p in commands[name].params for o in [*p.opts, *p.secondary_opts]}
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in options, f"theorylab {name} {option}"
            seen += 1
    assert seen >= 5


def test_every_layer_that_the_migration_page_maps_to_exists():
    text = (DOCS / "guides" / "neural-tangents.md").read_text()
    names = set(re.findall(r"infinite\.([a-z_]+)\(", text)) | {
        "erf",
        "gelu",
        "leaky_relu",
        "abs",
        "sin",
        "cos",
    }
    assert names <= set(infinite.__all__) and len(names) > 15


def names_of(place):
    """Arguments of a function or class, and fields and methods of a class, by its dotted path."""
    parts = place.split(".")
    depth = 3 if parts[:2] in (["data", "synthetic"], ["ntk", "infinite"]) else 2
    thing = importlib.import_module("theorylab." + ".".join(parts[: depth - 1]))
    for part in parts[depth - 1 :]:
        thing = getattr(thing, part)
    if not inspect.isclass(thing):
        return set(inspect.signature(thing).parameters)
    fields = (
        {f.name for f in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()
    )
    return {*inspect.signature(thing.__init__).parameters, *dir(thing), *fields}


def test_every_name_in_the_table_of_symbols_exists():
    text = (DOCS / "guides" / "symbols.md").read_text()
    rows = re.findall(r"^\| .* \| (`.*?`) \| `([\w.]+)` \| .* \|$", text, flags=re.M)
    assert len(rows) == text.count("\n| ") - text.count("\n|---") > 100  # each line but the headers
    for names, place in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert name in names_of(place), f"{place} has no {name}"


def test_pictures_of_the_documentation_are_small():
    pictures = [p for p in (DOCS / "images").iterdir() if p.suffix in (".png", ".webp")]
    assert len(pictures) >= 7 and all(p.stat().st_size <= 150_000 for p in pictures)
