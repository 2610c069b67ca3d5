"""The forms for issues are what GitHub reads, and the commands that they name exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from theorylab.cli.app import app

FOLDER = Path(__file__).parents[1] / ".github" / "ISSUE_TEMPLATE"
FORMS = sorted(path for path in FOLDER.glob("*.yml") if path.name != "config.yml")
KINDS = {"input", "textarea", "checkboxes", "dropdown", "markdown"}


def test_there_is_a_form_for_a_bug_a_wrong_number_and_a_new_paper():
    assert {"bug", "wrong_number", "new_paper"} <= {path.stem for path in FORMS}


@pytest.mark.parametrize("path", FORMS, ids=lambda p: p.stem)
def test_a_form_parses_and_asks_for_something(path):
    yaml = pytest.importorskip("yaml")
    form = yaml.safe_load(path.read_text())
    assert form["name"] and form["description"]
    fields = form["body"]
    assert all(field["type"] in KINDS and field["attributes"]["label"] for field in fields)
    names = [field["id"] for field in fields]
    assert len(set(names)) == len(names)
    assert any(field.get("validations", {}).get("required") for field in fields)
    for field in fields:
        assert field["type"] != "checkboxes" or field["attributes"]["options"]


@pytest.mark.parametrize("path", FORMS, ids=lambda p: p.stem)
def test_what_a_form_refers_to_exists(path):
    text = path.read_text()
    shown = re.findall(r"(?:`|placeholder: )theorylab (\w+)", text)
    assert set(shown) <= set(get_command(app).commands)
    for page in re.findall(r"docs/[\w/.-]+\.md", text):
        assert (FOLDER.parents[1] / page).is_file(), page
