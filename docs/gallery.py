"""`make gallery`: a picture of each page of the app, as the workspace at hand shows it, into docs/gallery.

Needs Chromium, as the browser tests do. Every page of the navigation is taken, so that none is forgotten.
"""

import shutil
import sys
from pathlib import Path
from urllib.parse import urlparse

from playwright.sync_api import Page, expect, sync_playwright

from tests.support.server import FLAGS, served

FOLDER = Path(__file__).with_name("gallery")
SIZE = {"width": 1440, "height": 900}
PATIENCE = 120_000  # ms; the first look at a page may score a data set
FIRST = "overview"  # what the page at the root is called


def main() -> None:
    """Take all pictures anew."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("No Chromium: install it with apt-get install chromium")
    expect.set_options(timeout=PATIENCE)
    with served({}) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        page = browser.new_context(viewport=SIZE, color_scheme="light").new_page()  # type: ignore[arg-type]
        page.goto(address)
        settle(page)
        links = page.get_by_test_id("stSidebarNav").get_by_role("link").all()
        addresses = [str(link.get_attribute("href")) for link in links]
        FOLDER.mkdir(exist_ok=True)
        for name in (urlparse(each).path.strip("/") for each in addresses):
            page.goto(f"{address}/{name}")
            settle(page)
            picture = FOLDER / f"{name or FIRST}.png"
            page.screenshot(path=picture)
            print(picture)
        browser.close()


def settle(page: Page) -> None:
    """Wait until a page is all there: its script has run, and its figures are drawn."""
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=PATIENCE)
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_attached(timeout=PATIENCE)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    page.wait_for_timeout(500)  # a figure fades in


if __name__ == "__main__":
    main()
