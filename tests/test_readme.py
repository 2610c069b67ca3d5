"""The README cannot lie: its Python blocks run, its table is the generated one, its commands
exist."""

import re
from pathlib import Path

import pytest

from theorylab import papers
from theorylab.lab import gallery

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


@pytest.mark.long
def test_the_python_blocks_run_in_order(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("THEORYLAB_DATA", str(tmp_path))
    scope = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), scope)
    shown = capsys.readouterr().out
    assert "GCV" in shown and "(20, 20)" in shown and "effective regularisation" in shown


def test_the_blocks_of_the_contributors_guide_run():
    scope = {}
    for block in blocks("python", (ROOT / "CONTRIBUTING.md").read_text()):
        exec(compile(block, "CONTRIBUTING.md", "exec"), scope)
    assert scope["claim"].id == "estimator_is_right"


def test_the_table_of_papers_is_the_generated_one():
    table = gallery.papers_table(papers.titles(), papers.rooms(), ROOT / "figures")
    assert gallery.update_readme(ROOT / "README.md", table) == README, (
        "run: theorylab list --readme README.md"
    )


def test_the_table_has_a_line_a_paper_with_a_picture_and_those_to_come_last():
    rows = README.split(gallery.BEGIN)[1].split(gallery.END)[0].strip().splitlines()[2:]
    slugs = [re.search(r"<br>`(\w+)` \|", row).group(1) for row in rows]
    titles, built = papers.titles(), list(papers.rooms())
    page = (ROOT / "figures" / "README.md").read_text()
    assert slugs == list(titles) and slugs[: len(built)] == built
    for slug, row in zip(slugs, rows, strict=True):
        assert titles[slug] in row and row.count(" | ") == 2
        if slug in built:
            assert (
                row.count("<img ") == 1
                and f'<a id="{slug}"></a>' in page
                and papers.get(slug).venue in row
            )
        else:
            assert row.endswith("| not yet |") and "<img" not in row


def test_the_gallery_page_is_the_generated_one(tmp_path):
    committed = (ROOT / "figures" / "README.md").read_text()
    for paper in papers.rooms().values():
        (tmp_path / paper.slug).symlink_to(ROOT / "figures" / paper.slug)
    assert gallery.write_gallery(papers.rooms().values(), tmp_path).read_text() == committed


@pytest.mark.parametrize("command", re.findall(r"theorylab (\w+)", "\n".join(blocks("bash"))))
def test_every_command_that_it_shows_exists(command):
    from typer.main import get_command

    from theorylab.cli.app import app

    assert command in get_command(app).commands


def test_links_to_files_are_good():
    targets = re.findall(r"\]\((?!http)([^)#]+)", README) + re.findall(
        r'(?:src|href)="(?!http)([^"#]+)', README
    )
    assert "figures/README.md" in targets and "figures/tct/tct_main_curves.png" in targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_everything_that_the_package_needs_at_run_time_is_in_the_wheel():
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["theorylab"]
    assert (ROOT / "theorylab/data/embedded/fashion_mnist.npz").stat().st_size <= 4_000_000
    for dependency in re.findall(
        r'^  "[a-z].*$', (ROOT / "pyproject.toml").read_text(), flags=re.M
    ):
        if ">=" in dependency:
            assert "#" in dependency, f"no justification: {dependency}"
