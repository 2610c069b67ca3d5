"""The two pictures of the README: `python tests/browser/screenshots.py SITE` writes
docs/images/report_*.png."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def save(page: Page, name: str) -> None:
    few = (
        Image.open(io.BytesIO(page.screenshot()))
        .convert("RGB")
        .quantize(96, dither=Image.Dither.NONE)
    )
    few.save(IMAGES / f"{name}.png", optimize=True)


def main(site: Path) -> None:
    with sync_playwright() as play:
        found = shutil.which("chromium-headless-shell") or shutil.which("chromium")
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 960})
        page.goto((site / "index.html").resolve().as_uri())
        page.wait_for_timeout(800)
        save(page, "report_index")
        page.goto((site / "papers" / "learning_augmented.html").resolve().as_uri())
        box = page.locator("details.tl-charts").first
        box.locator("summary").click()
        page.wait_for_function("e => e.dataset.drawn", arg=box.element_handle(), timeout=60_000)
        page.evaluate(
            "scrollTo(0, "
            "document.querySelector('details.tl-charts').getBoundingClientRect().top "
            "+ scrollY - 580)"
        )
        page.wait_for_timeout(800)
        place = box.locator('.mark-symbol path[opacity="1"]').nth(12).bounding_box()
        assert place is not None
        page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        page.wait_for_timeout(500)
        save(page, "report_paper")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
