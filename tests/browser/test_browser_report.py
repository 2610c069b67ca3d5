"""The report in a real browser, opened from the disk, with no network."""

import os
from pathlib import Path

import pytest

from theorylab.lab import Table

pytestmark = pytest.mark.browser
TIMEOUT = 60_000  # ms


def opened_charts(page, number=0):
    box = page.locator("details.tl-charts").nth(number)
    if box.get_attribute("open") is None:
        box.locator("summary").click()
    page.wait_for_function("e => e.dataset.drawn", arg=box.element_handle(), timeout=TIMEOUT)
    return box


def every_page(folder):
    return sorted(p for p in folder.rglob("*.html") if p.name != "404.html")


def check_pages(visit, folder):
    page = visit(folder / "index.html")
    for path in every_page(folder):
        page.goto(path.as_uri())
        for i in range(page.locator("details.tl-charts").count()):
            opened_charts(page, i)
        broken = page.evaluate(
            "async () => { const shown = [...document.images].filter(i => i.offsetParent);"
            "for (const i of shown) { i.loading = 'eager'; await i.decode().catch(() => 0) }"
            "return shown.filter(i => !i.naturalWidth).map(i => i.src) }"
        )
        links = page.eval_on_selector_all(
            "a[href]", "all => all.map(a => a.href).filter(h => h.startsWith('file:'))"
        )
        missing = {h for h in links if not Path(h.split("#")[0].removeprefix("file://")).exists()}
        assert not page.trouble and not broken and not missing, (
            path.name,
            page.trouble,
            broken,
            missing,
        )


def test_every_page_loads_from_disk_without_errors_missing_files_or_the_network(site, visit):
    assert len(every_page(site)) > 30
    check_pages(visit, site)


@pytest.mark.skipif(
    "THEORYLAB_SITE" not in os.environ, reason="THEORYLAB_SITE names no other site to check"
)
def test_every_page_of_the_real_report_loads(visit):
    check_pages(visit, Path(os.environ["THEORYLAB_SITE"]))


def test_the_table_of_papers_sorts_by_click_and_by_keyboard(site, visit):
    page = visit(site / "index.html")

    def column(n):
        return page.locator(f"table.sortable tbody tr td:nth-child({n})").all_text_contents()

    before = column(1)
    page.locator("table.sortable th", has_text="paper").click()
    page.wait_for_timeout(100)
    assert column(1) == sorted(before, key=str.casefold) != before
    head = page.locator("table.sortable th", has_text="claims")
    head.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    assert head.get_attribute("aria-sort") == "ascending" and column(5)[-2:] == ["2", "3"]
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    assert column(5)[0] == "3"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_tooltip_of_a_curve_shows_the_values_of_the_csv(site, visit, width):
    page = visit(site / "papers" / "toy.html", width=width)
    table = Table.from_csv((site / "papers" / "toy" / "toy_fig1.csv").read_text())
    box = opened_charts(page)
    points = box.locator(".mark-symbol path")
    assert points.count() == len(table)
    for i in range(len(table)):
        points.nth(i).hover()
        tip = page.locator("#vg-tooltip-element.visible")
        tip.wait_for(timeout=TIMEOUT)
        numbers = [
            float(t.replace("−", "-"))
            for t in tip.locator("td.value").all_inner_texts()
            if t.strip()
        ]
        assert numbers == [table["x"][i], table["mean"][i]]


def test_badges_are_green_where_claims_hold_and_red_where_one_fails(site, visit):
    colours = {}
    for slug in ("toy", "red"):
        badge = visit(site / "papers" / f"{slug}.html").locator(".tl-verdict .tl-badge").first
        colours[slug] = [
            int(c)
            for c in badge.evaluate("e => getComputedStyle(e).backgroundColor")[4:-1].split(",")
        ]
    assert colours["toy"][1] == max(colours["toy"])
    assert colours["red"][0] > 2 * max(colours["red"][1:])
    assert "failing: red" in visit(site / "index.html").locator(".tl-verdict").inner_text()


def test_light_and_dark_pages_show_their_own_picture_and_the_toggle_redraws_the_charts(site, visit):
    for scheme, other in (("light", "dark"), ("dark", "light")):
        page = visit(site / "papers" / "toy.html", scheme=scheme)
        assert (
            page.locator(f"img.tl-{scheme}").is_visible()
            and not page.locator(f"img.tl-{other}").is_visible()
        )
        box = opened_charts(page)
        assert box.get_attribute("data-drawn") == scheme
        page.locator("label[title^='Switch to']:visible").click()
        page.wait_for_function(
            "([e, mode]) => e.dataset.drawn === mode",
            arg=[box.element_handle(), other],
            timeout=TIMEOUT,
        )
        assert page.locator(f"img.tl-{other}").is_visible() and not page.trouble


def test_the_search_works_without_a_server(site, visit):
    page = visit(site / "index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("Silverstein", delay=20)
    page.get_by_text("SilversteinLaw").first.wait_for(timeout=TIMEOUT)
    assert not page.trouble


def test_a_phone_never_scrolls_sideways(site, visit):
    for name in (
        "index.html",
        "papers/toy.html",
        "benchmarks.html",
        "guides/neural-tangents.html",
        "reference/ntk.html",
    ):
        page = visit(site / name, width=390)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name


AUDITED = {
    "light": ["index", "papers/red", "tutorials/1-entk", "reference/ridge", "benchmarks"],
    "dark": ["index", "papers/red", "reference/ridge"],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(site, visit, scheme):
    from axe_playwright_python.sync_playwright import Axe

    for name in AUDITED[scheme]:
        page = visit(site / f"{name}.html", scheme=scheme)
        if page.locator("details.tl-charts").count():
            opened_charts(page)
        found = Axe().run(page).response["violations"]
        serious = [
            (v["id"], v["nodes"][0]["html"][:200])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
        assert not serious, (name, serious)
