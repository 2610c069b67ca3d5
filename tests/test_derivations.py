"""The derivations are right as far as numbers can tell: every check on their pages runs, every
statement has one, and every claim that names a statement names one that exists."""

import re
from pathlib import Path

import pytest

from theorylab import papers

FOLDER = Path(__file__).parents[1] / "docs" / "derivations"
PAGES = sorted(page.stem for page in FOLDER.glob("[a-z]*.md"))


def statements(page):
    """Number to text of the statements of a page."""
    parts = re.split(r"^## Statement (\d+): .+$", (FOLDER / f"{page}.md").read_text(), flags=re.M)
    return dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES)
def test_the_checks_of_a_page_run(page):
    text = (FOLDER / f"{page}.md").read_text()
    scope = {}
    for block in re.finditer(r"^```python\n(.*?)^```", text, flags=re.S | re.M):
        lines = text[: block.start()].count("\n") + 1  # so that an error names the page's own line
        exec(compile("\n" * lines + block[1], f"{page}.md", "exec"), scope)


@pytest.mark.parametrize("page", PAGES)
def test_statements_are_numbered_proved_and_checked(page):
    found = statements(page)
    assert found and list(found) == list(range(1, len(found) + 1))
    for number, text in found.items():
        assert "*Proof" in text and "∎" in text, f"{page}, statement {number} has no proof"
        checks = re.findall(r"^```python\n(.*?)^```", text, flags=re.S | re.M)
        assert any("assert " in code for code in checks), f"{page}, statement {number}: no check"


def test_the_index_links_every_page_and_no_other():
    links = re.findall(r"\]\((\w+)\.md\)", (FOLDER / "README.md").read_text())
    assert PAGES and sorted(links) == PAGES


def test_every_statement_that_a_claim_rests_on_exists():
    for slug in papers.rooms():
        for claim in papers.get(slug).claims:
            for page, numbers in re.findall(
                r"docs/derivations/(\w+)\.md, statements? (\d+(?:(?:, | and )\d+)*)", claim.source
            ):
                for number in map(int, re.findall(r"\d+", numbers)):
                    assert number in statements(page), f"{slug}, {claim.id}: {page}, {number}"


def test_every_reference_of_the_code_to_a_statement_exists():
    root = Path(__file__).parents[1]
    for file in sorted((root / "theorylab").rglob("*.py")):
        said = re.sub(r"\s+", " ", file.read_text())
        assert said.count("docs/derivations/") == len(re.findall(r"docs/derivations/\w+\.md", said))
        for page, number in re.findall(r"docs/derivations/(\w+)\.md(?:, statements? (\d+))?", said):
            assert page in PAGES and (not number or int(number) in statements(page)), file
