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


def test_the_table_of_claims_sorts_by_click_and_by_keyboard(site, visit):
    page = visit(site / "papers" / "red.html")

    def column(n):
        cells = page.locator(f".tl-claims tbody tr td:nth-child({n})")
        return cells.evaluate_all("all => all.map(e => e.dataset.sort)")

    before = column(2)
    page.locator(".tl-claims th", has_text="claim").click()
    page.wait_for_timeout(100)
    assert column(2) == sorted(before, key=str.casefold) != before
    head = page.locator(".tl-claims th", has_text="measured")
    head.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(v) for v in column(3)] == sorted(float(v) for v in column(3))
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    assert float(column(3)[0]) == max(float(v) for v in column(3))


@pytest.mark.parametrize("width", [390, 1440, 1920])
def test_every_column_of_the_claims_is_on_the_screen(site, visit, width):
    page = visit(site / "papers" / "red.html", width=width)
    labels = ("verdict", "claim", "measured", "bound", "controls")
    for column, label in enumerate(labels, 1):
        cells = page.locator(f".tl-claims td:nth-child({column})")
        assert cells.count() == 3
        for i in range(3):
            box = cells.nth(i).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width, (label, box)
            inside = cells.nth(i).evaluate("e => e.scrollWidth - e.clientWidth")
            assert inside <= 1 and cells.nth(i).inner_text().strip(), label
    if width == 390:  # a card names the last three; its first two need no name
        names = (
            cells.nth(0)
            .locator("xpath=..")
            .locator("td")
            .evaluate_all("all => all.map(e => getComputedStyle(e, '::before').content)")
        )
        assert names == ["none", "none", *(f'"{label}"' for label in labels[2:])]
    scroll = page.locator(".tl-claims").evaluate("e => e.scrollWidth - e.clientWidth")
    assert scroll <= 1
    rows = page.locator(".tl-claims tbody tr").evaluate_all(
        "all => all.map(e => getComputedStyle(e).display)"
    )
    assert set(rows) == ({"block"} if width == 390 else {"table-row"})
    # cards stay a table for who hears the page
    assert page.locator(".tl-claims").get_by_role("row").count() == 4


@pytest.mark.parametrize("width", [390, 1440, 1920])
def test_the_index_shows_a_picture_for_each_paper_and_no_hole(site, visit, width):
    page = visit(site / "index.html", width=width)
    cards = page.locator("li.tl-paper")
    assert cards.count() == 3
    for i in range(3):
        picture = cards.nth(i).locator("img.tl-light")
        picture.scroll_into_view_if_needed()
        page.wait_for_function(
            "e => e.complete && e.naturalWidth > 0", arg=picture.element_handle(), timeout=TIMEOUT
        )
        assert not cards.nth(i).locator("img.tl-dark").is_visible()
    boxes = [e.bounding_box() for e in page.locator("ul.tl-papers > li").all()]
    whole = page.locator("ul.tl-papers").bounding_box()
    for top in {round(b["y"]) for b in boxes}:
        row = [b for b in boxes if round(b["y"]) == top]
        assert max(b["x"] + b["width"] for b in row) >= whole["x"] + whole["width"] - 2
    page.locator("li.tl-paper a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/papers/toy.html", timeout=TIMEOUT)


def test_a_page_without_results_of_ones_own_shows_the_gallery(site, visit):
    page = visit(site / "papers" / "kept.html")
    assert "those of the committed gallery" in page.locator(".tl-source").inner_text()
    assert "not computed" not in page.locator("article").inner_text()
    assert opened_charts(page).locator(".mark-symbol path").count() > 0 and not page.trouble


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
        "papers/red.html",
        "papers/tct.html",
        "benchmarks.html",
        "environment.html",
        "guides/neural-tangents.html",
        "reference/ntk.html",
    ):
        page = visit(site / name, width=390)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name


AUDITED = {
    "light": [
        "index",
        "papers/red",
        "papers/tct",
        "tutorials/1-entk",
        "reference/ridge",
        "benchmarks",
        "environment",
    ],
    "dark": ["index", "papers/red", "reference/ridge", "benchmarks"],
}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_axe_finds_no_serious_violation(site, visit, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    for name in AUDITED[scheme]:
        page = visit(site / f"{name}.html", scheme=scheme, width=width)
        if page.locator("details.tl-charts").count():
            opened_charts(page)
        found = Axe().run(page).response["violations"]
        serious = [
            (v["id"], v["nodes"][0]["html"][:200])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
        assert not serious, (name, serious)
