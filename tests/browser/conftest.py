"""A built site and a browser. Without Chromium the tests are skipped, saying so;
THEORYLAB_BROWSER=required (as in CI) makes them fail instead."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))  # the toy paper
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def _absent(what):
    message = f"{what}; see docs/guides/report.md, 'Tests in a browser'"
    if os.environ.get("THEORYLAB_BROWSER") == "required":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The whole site with the toy paper in place of the real ones: one that holds, one that is
    broken on purpose, and one of which there is the gallery alone."""
    from dataclasses import replace

    import toy

    from theorylab import papers
    from theorylab.lab import Claim, Evidence, Runner, Store
    from theorylab.lab.reproduce import reproduce
    from theorylab.report import Sources, build, require_tools

    try:
        require_tools()
    except ValueError as error:
        _absent(str(error))
    folder = tmp_path_factory.mktemp("report")
    false = Claim(
        "broken",
        "2 is at most 1",
        "nowhere",
        ("squares",),
        lambda *_: [Evidence("x", 2.0, 0.0, 1.0)],
        {"three": lambda *_: [Evidence("x", 3.0, 0.0, 1.0)]},
    )
    rooms = {
        "toy": toy.PAPER,
        "red": replace(toy.PAPER, slug="red", claims=(*toy.PAPER.claims, false)),
    }
    for room in rooms.values():
        reproduce(room, room.preset("quick"), Runner(Store(folder / "results")), folder / "figures")
    rooms["kept"] = replace(toy.PAPER, slug="kept")
    elsewhere = Runner(Store(folder / "elsewhere"))
    reproduce(rooms["kept"], rooms["kept"].preset("quick"), elsewhere, folder / "figures")
    titles = {
        "toy": "A toy",
        "red": "A toy with a broken claim",
        "kept": "A toy of the gallery",
        **papers.titles(),
    }
    return build(
        folder / "site", titles, rooms, Sources(folder / "results", folder / "figures")
    ).index.parent


@pytest.fixture(scope="session")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _absent("playwright is not installed: pip install 'theorylab[browser]'")
    with sync_playwright() as play:
        found = next((path for path in map(shutil.which, NAMES) if path), None)
        if found is None and not Path(play.chromium.executable_path).exists():
            _absent(
                f"no Chromium here (looked for {', '.join(NAMES)}): apt-get install "
                f"chromium-headless-shell"
            )
        chromium = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """Opens a file in a new page; whatever goes wrong there, or asks for the network, is in
    `page.trouble`."""
    contexts = []

    def failed(page, request):
        there = Path(request.url.removeprefix("file://").split("#")[0]).is_file()
        if not (there and request.failure == "net::ERR_ABORTED"):  # cut off by the next page
            page.trouble.append(f"missing {request.url}")

    def open_page(path, *, scheme="light", width=1280, anchor=""):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.trouble = []
        page.on("console", lambda m: page.trouble.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: page.trouble.append(str(e)))
        page.on("requestfailed", lambda r: failed(page, r))
        page.on(
            "request",
            lambda r: page.trouble.append(f"network {r.url}") if r.url.startswith("http") else None,
        )
        page.goto(f"{path.as_uri()}{anchor}")
        return page

    yield open_page
    for context in contexts:
        context.close()
