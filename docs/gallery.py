"""Take a screenshot of each page of the app in the current workspace (`make gallery`); needs Chromium.

The screenshots go to docs/gallery: of each page of the navigation, on a wide screen in the light theme, and on a phone
in the dark theme.
"""

import shutil
import sys
from pathlib import Path
from urllib.parse import urlparse

from playwright.sync_api import Page, expect, sync_playwright

from tests.support.server import FLAGS, served

FOLDER = Path(__file__).with_name("gallery")
# Suffix of the file, width, height, and theme.
SCREENS = (("", 1440, 900, "light"), ("_phone", 390, 844, "dark"))
TIMEOUT = 120_000  # ms; the first visit of a page may score a data set
ROOT_NAME = "overview"  # name of the page at the root


def main() -> None:
    """Take all screenshots."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("No Chromium: install it with apt-get install chromium")
    expect.set_options(timeout=TIMEOUT)
    with served({}) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        page = browser.new_page()
        page.goto(address)
        wait_for_page(page)
        links = page.get_by_test_id("stSidebarNav").get_by_role("link").all()
        names = [urlparse(str(link.get_attribute("href"))).path.strip("/") for link in links]
        FOLDER.mkdir(exist_ok=True)
        for suffix, width, height, theme in SCREENS:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
            for name in names:
                page.goto(f"{address}/{name}")
                wait_for_page(page)
                picture = FOLDER / f"{name.replace('-', '_') or ROOT_NAME}{suffix}.png"
                page.screenshot(path=picture)
                print(picture)
        browser.close()


def wait_for_page(page: Page) -> None:
    """Wait until the script of a page has finished and its figures are drawn."""
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=TIMEOUT)
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_attached(timeout=TIMEOUT)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    expect(page.locator(".js-plotly-plot .main-svg, [data-testid=stDataFrame]").first).to_be_visible()
    page.wait_for_timeout(500)  # figures fade in


if __name__ == "__main__":
    main()
