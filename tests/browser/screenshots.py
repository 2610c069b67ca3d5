"""The pictures of the report in the README and in docs/guides/report.md, on a laptop and a phone:
`python tests/browser/screenshots.py SITE` writes docs/images/report_*.png."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SCREENS = {"laptop": (1440, 900), "phone": (390, 844)}
LARGEST = 150_000  # bytes of a picture


def save(page: Page, name: str) -> None:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    few = picture.quantize(128, kmeans=1, dither=Image.Dither.NONE)
    few.save(IMAGES / f"{name}.png", optimize=True)
    assert (IMAGES / f"{name}.png").stat().st_size <= LARGEST, name


def opened(browser: Browser, site: Path, name: str, screen: str) -> Page:
    width, height = SCREENS[screen]
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto((site / f"{name}.html").resolve().as_uri())
    page.wait_for_timeout(1500)
    return page


def show(page: Page, place: str, above: int) -> None:
    """Scroll until there are `above` pixels over the first element of a selector."""
    page.locator(place).first.evaluate(
        "(e, above) => scrollTo(0, e.getBoundingClientRect().top + scrollY - above)", above
    )
    page.wait_for_timeout(1500)


def hover_over_a_point(page: Page) -> None:
    """Open the charts of the first figure and put the pointer on a point of it."""
    box = page.locator("details.tl-charts").first
    box.locator("summary").click()
    page.wait_for_function("e => e.dataset.drawn", arg=box.element_handle(), timeout=60_000)
    show(page, "details.tl-charts", 430)
    place = box.locator('.mark-symbol path[opacity="1"]').nth(12).bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.wait_for_timeout(500)


def main(site: Path) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        found = shutil.which("chromium-headless-shell") or shutil.which("chromium")
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for screen in SCREENS:
            page = opened(browser, site, "index", screen)
            show(page, "#the-papers", 60)
            save(page, f"report_index_{screen}")
            page = opened(browser, site, "papers/learning_augmented", screen)
            if screen == "laptop":
                hover_over_a_point(page)
                save(page, "report_paper_laptop")
            show(page, ".tl-claims", 60)
            save(page, f"report_{'claims' if screen == 'laptop' else 'paper'}_{screen}")
            page = opened(browser, site, "benchmarks", screen)
            show(page, "h2", 60)
            save(page, f"report_benchmarks_{screen}")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
