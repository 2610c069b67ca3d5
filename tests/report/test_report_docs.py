"""The documentation cannot lie: its Python runs, its links lead somewhere, every name and command
it shows exists."""

import linecache
import re
from pathlib import Path

import pytest
from typer.main import get_command

from theorylab.cli.app import app
from theorylab.ntk import infinite

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.S)


@pytest.mark.long
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.stem)
def test_the_python_of_a_page_runs_in_order(page, capsys):
    scope = {"__name__": "page"}
    for i, block in enumerate(blocks(page, "python")):
        cell = f"<{page.name} {i}>"
        # as a notebook does: source can be read
        linecache.cache[cell] = len(block), None, block.splitlines(True), cell
        exec(compile(block, cell, "exec"), scope)


def test_the_tutorials_are_numbered_and_have_code_that_checks_something():
    tutorials = [p for p in PAGES if p.parent.name == "tutorials"]
    assert [p.name.split("-")[0] for p in tutorials] == [str(i + 1) for i in range(len(tutorials))]
    assert len(tutorials) >= 6
    for page in tutorials:
        assert "assert " in "".join(blocks(page, "python")), page


def test_the_index_lists_every_page():
    listed = set(re.findall(r"\]\(([^)#]+)\)", (DOCS / "index.md").read_text()))
    pages = {str(p.relative_to(DOCS)) for p in PAGES} - {"index.md"}
    assert pages <= listed, f"not in docs/index.md: {sorted(pages - listed)}"


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
