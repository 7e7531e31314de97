"""Accessibility of all pages in both themes, on a wide and a narrow screen: contrast, and a scan with axe-core."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.app.test_browser import IDLE, PAGES
from tests.support.browser import open_browser_page, wait_for_page
from tests.support.server import served, smoke_environment

pytestmark = pytest.mark.browser

CONTRAST = (Path(__file__).parents[1] / "support" / "contrast.js").read_text()
VIEWS = {
    "Overview": [""],
    "Imbalance": ["", "look=precision&label=Music+·+2", "look=adaptive+noise"],
    "Correlation": ["", "part=All+labels", "part=Pairs", "part=Calibration", "part=Label+processing"],
    "Attention": ["", "sharpness=5", "see=Does+it+matter", "see=One+second", "see=All+videos"],
    "Predictions": [""],
    "Label": ["label=Music+·+2", ""],
    "Calibration": ["", "judge=thresholds"],
    "Label issues": [""],
    "Videos": [""],
    "Map": [""],
    "Data checks": [""],
    "Compare": ["", "by=videos", "by=one+label&label=Music+·+2"],
    "Experiments": ["", "show=notebook+results"],
    "Welcome": [""],
}
OUTLINE = "link => { const style = getComputedStyle(link); return [style.outlineStyle, style.outlineWidth]; }"
TRANSITIONS_END = """() => Promise.race([
    Promise.allSettled(
        document.getAnimations().filter(animation => animation instanceof CSSTransition).map(({finished}) => finished)
    ),
    new Promise(resolve => setTimeout(resolve, 5000)),  // a page that draws no frame ends none
]).then(() => null)"""
CHARTS_FIT = """() => [...document.querySelectorAll(".stPlotlyChart")].every(chart => {
  const drawing = chart.querySelector(".main-svg")
  return !chart.checkVisibility() || (drawing && Math.abs(drawing.clientWidth - chart.clientWidth) < 2)
})"""
# The theme is switched on the open page, as in the settings: charts must follow without a rerun.
SCREENS = ((1440, "light"), (1440, "dark"), (390, "light"), (390, "dark"))


@pytest.fixture(scope="module")
def app(demo_home: Path) -> Iterator[str]:
    """Serve the app, and return its address."""
    with served(smoke_environment(demo_home)) as address:
        yield address


@pytest.mark.parametrize("title", VIEWS)
def test_text_has_contrast_and_axe_finds_nothing_serious(browser: Browser, app: str, title: str) -> None:
    found = []
    with open_browser_page(browser) as page:
        for query in VIEWS[title]:
            page.goto(f"{app}/{PAGES.get(title, title.lower())}?{query}")
            wait_for_page(page, title)
            expect(page.locator(".stPlotlyChart:not(:has(.main-svg))")).to_have_count(0)
            # All four screens for the first view of a page; the first and the last, to save time, for the others.
            for width, scheme in SCREENS if query == VIEWS[title][0] else SCREENS[::3]:
                _show(page, width, scheme)
                place = f"{title} {query} {width} px {scheme}:"
                found += [f"{place} contrast {text}" for text in page.evaluate(CONTRAST, 4.5)]
                found += [f"{place} axe {finding}" for finding in _scan(page)]
    assert not found, "\n".join(found)


def test_focused_links_have_an_outline(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(app)
        wait_for_page(page, "Overview")
        for scheme in ("light", "dark"):
            _show(page, 1440, scheme)
            for place in ("stSidebarNav", "stPageLink"):
                link = page.get_by_test_id(place).get_by_role("link").first
                link.focus()
                page.keyboard.press("Shift+Tab")  # the browser shows the focus of the keyboard only
                page.keyboard.press("Tab")
                expect(link).to_be_focused()
                assert link.evaluate(OUTLINE) == ["solid", "2px"]


def _show(page: Page, width: int, scheme: Any) -> None:
    """Set the width of the screen and the theme, and wait until both are drawn."""
    page.set_viewport_size({"width": width, "height": 900})
    # Streamlit keeps the old colors of a chart whose theme changes while it is drawn with another width.
    page.wait_for_function(CHARTS_FIT)
    page.evaluate(IDLE)
    page.emulate_media(color_scheme=scheme)
    color = "rgb(255, 255, 255)" if scheme == "light" else "rgb(23, 22, 20)"
    expect(page.locator(".stApp")).to_have_css("background-color", color)
    for chart in page.locator(".js-plotly-plot .main-svg:first-child").all():
        expect(chart).to_have_css("background-color", color)
    # Some colors fade into the new theme.
    page.evaluate(TRANSITIONS_END)


def _scan(page: Page) -> list[str]:
    """Return the serious and critical findings of axe."""
    violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{violation['id']} ({violation['help']}): {node['target']}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def test_contrast_and_scan_find_faults(browser: Browser) -> None:
    with open_browser_page(browser) as page:
        page.set_content(
            '<html lang="en"><title>t</title><main class="stApp" style="background: white">'
            '<h1>fine</h1><p style="color: #777">faint</p><p style="color: #767676">readable</p>'
            '<p style="opacity: 0.4">faded</p><button></button></main>'
        )
        assert page.evaluate(CONTRAST, 4.5) == ["4.48:1 faint", "2.85:1 faded"]
        assert any(finding.startswith("button-name") for finding in _scan(page))
