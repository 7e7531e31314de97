"""The app in a real browser: what it looks like, what is clicked, and that it talks to nobody but its own server."""

import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import skip_or_fail
from tests.support.server import FLAGS, served
from yt8m_core.data.dataset import open_videos

pytestmark = pytest.mark.browser

PAGES = {
    "Overview": "", "Imbalance": "imbalance", "Correlation": "correlation", "Attention": "attention",
    "Predictions": "predictions", "Experiments": "experiments",
}  # fmt: skip
PATIENCE = 60_000  # ms; a test machine may be busy


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        skip_or_fail("no Chromium: install it with apt-get install chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        yield browser
        browser.close()


def smoke(home: Path) -> dict[str, str]:
    """The environment of an app that has this workspace at the smallest scale, and nothing else."""
    return {"YT8M_HOME": str(home), "YT8M_SCALE": "smoke", "YT8M_RUNS": "", "YT8M_DATA": ""}


@pytest.fixture(scope="module")
def app(demo_home: Path) -> Iterator[str]:
    with served(smoke(demo_home)) as address:
        yield address


@contextmanager
def open_browser_page(browser: Browser, *, width: int = 1440, height: int = 900, scheme: str = "light") -> Iterator[Page]:
    """A page that may show no error, log none, and ask no other server for anything."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # Below a page's own path, Streamlit looks for its server in two places and finds it in the second.
    page.on(
        "console",
        lambda told: (
            complaints.append(f"{told.text} {told.location}")
            if told.type == "error" and "/_stcore/" not in told.location["url"]
            else None
        ),
    )
    page.on(
        "request",
        lambda asked: (
            complaints.append(f"asked {asked.url}") if urlparse(asked.url).hostname not in (None, "127.0.0.1") else None
        ),
    )
    yield page
    context.close()
    assert complaints == []


def settle(page: Page, title: str) -> None:
    """Wait until the page with this title is all there."""
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_attached()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert "Traceback" not in page.inner_text("body")


def follow(page: Page, title: str) -> None:
    """Go to another page by its link."""
    link = page.get_by_test_id("stSidebarNav").get_by_role("link", name=title)
    if not link.is_visible():
        page.get_by_test_id("stExpandSidebarButton").click()
    link.click()
    settle(page, title)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_every_page_is_drawn(browser: Browser, app: str, tmp_path: Path, width: int, height: int, scheme: str) -> None:
    with open_browser_page(browser, width=width, height=height, scheme=scheme) as page:
        page.goto(app)
        for title, path in PAGES.items():
            if width > 1000 and path:
                follow(page, title)
            else:
                page.goto(f"{app}/{path}")
                settle(page, title)
            expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
            expect(page.get_by_test_id("stAlert").filter(has_text=re.compile("error", re.I))).to_have_count(0)
            assert "demo world" in page.get_by_test_id("stMain").inner_text()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{title} is too wide"
            red = int(
                page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/\\d+/)[0]")
            )
            assert (red > 200) == (scheme == "light")
            page.screenshot(path=tmp_path / f"{title}-{width}-{scheme}.png")


def test_cold_server_draws_its_first_chart(browser: Browser, demo_home: Path) -> None:
    with served(smoke(demo_home)) as address, open_browser_page(browser) as page:
        page.goto(address)
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()


def test_click_on_a_cell_tells_the_pair_in_words(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/correlation")
        settle(page, "Correlation")
        box = page.locator(".js-plotly-plot .nsewdrag").bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] * 0.5 / 30, box["y"] + box["height"] * 1.5 / 30)  # row 1, column 0
        expect(page.get_by_test_id("stMain")).to_contain_text(re.compile(r"videos have both"))


def test_click_on_a_label_opens_its_card_and_a_video_of_it_its_predictions(browser: Browser, app: str) -> None:
    point = """() => {
        const plot = document.querySelector(".js-plotly-plot"), {xaxis, yaxis} = plot._fullLayout
        const drawn = plot._fullData[0], box = plot.querySelector(".nsewdrag").getBoundingClientRect()
        return [box.x + xaxis.d2p(drawn.x[0]), box.y + yaxis.d2p(drawn.y[0])]
    }"""
    with open_browser_page(browser) as page:
        page.goto(f"{app}/imbalance")
        settle(page, "Imbalance")
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        page.mouse.click(*page.evaluate(point))
        expect(page.get_by_test_id("stMain")).to_contain_text("rank 1 of 120, a head label")
        expect(page).to_have_url(re.compile("label="))
        settle(page, "Imbalance")
        page.get_by_role("link", name=re.compile("at rank")).first.click()
        settle(page, "Predictions")
        expect(page.get_by_test_id("stMain")).to_contain_text("; true label.")


def test_click_on_a_cluster_opens_it_in_the_window(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/correlation?part=All+labels")
        settle(page, "Correlation")
        framed = page.locator(".js-plotly-plot .scatterlayer .points path").first
        # Plotly takes a click for that of the point it is hovering, and the page may still move while it is drawn.
        framed.hover(force=True)
        expect(page.locator(".hoverlayer .hovertext").first).to_be_visible()
        page.mouse.down()
        page.mouse.up()
        # For a moment the figure of before stands beside the new one.
        expect(page.locator(".js-plotly-plot").filter(has_text="Label association").first).to_be_visible()
        expect(page.get_by_role("combobox", name=re.compile("Cluster, of"))).to_be_visible()


def test_click_on_a_weight_tells_of_its_second(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/attention")
        settle(page, "Attention")
        weights = page.locator(".js-plotly-plot").first.locator(".scatterlayer .trace").first
        point = weights.locator(".points path").nth(7)
        point.scroll_into_view_if_needed()
        box = point.bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.get_by_test_id("stMain")).to_contain_text("Weight of second 7")
        expect(page).to_have_url(re.compile("second=7"))


def test_click_on_a_row_opens_its_run_and_a_hint_leads_to_its_video(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/experiments?run=smoke-mean-mlp&methods=indirect_clustering")
        settle(page, "Experiments")
        box = page.get_by_test_id("stDataFrame").first.bounding_box()
        assert box
        page.mouse.click(box["x"] + 18, box["y"] + 52)  # the box before the first row
        expect(page.get_by_role("combobox", name="Run")).to_have_value("smoke-indirect-clustering-moe")
        follow(page, "Overview")
        page.get_by_role("link", name="Its surest mistake").click()
        settle(page, "Predictions")
        expect(page).to_have_url(re.compile("video=.*label=|label=.*video="))
        video = re.findall(r"video=([^&]+)", page.url)[0]
        expect(page.get_by_role("combobox", name="Video")).to_have_value(video)
        expect(page.get_by_test_id("stMain")).to_contain_text(re.compile(r": rank \d+ of 120"))


def test_label_and_video_go_along_and_the_link_restores_them(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/imbalance")
        settle(page, "Imbalance")
        page.get_by_role("combobox", name="Label", exact=True).fill("musc")  # found all the same
        page.get_by_role("option", name="Music · 2").click()
        expect(page.get_by_test_id("stMain")).to_contain_text("Music is in")
        follow(page, "Predictions")
        expect(page.get_by_test_id("stMain")).to_contain_text("Music: rank")
        page.keyboard.press("n")  # the next video
        expect(page).to_have_url(re.compile("video="))
        settle(page, "Predictions")
        video = page.get_by_role("combobox", name="Video").input_value()
        link = page.url
        follow(page, "Attention")
        expect(page.get_by_role("combobox", name="Video")).to_have_value(video)
        follow(page, "Correlation")
        expect(page.get_by_role("combobox", name="A label to look at")).to_have_value("Music · 2")
        page.goto(link)
        settle(page, "Predictions")
        expect(page.get_by_role("combobox", name="Video")).to_have_value(video)
        expect(page.get_by_test_id("stMain")).to_contain_text("Music: rank")


def test_file_is_uploaded_and_refused_or_predicted(browser: Browser, app: str, demo_home: Path) -> None:
    videos = open_videos(demo_home / "smoke" / "validation")
    frames, file = videos.frames(3), io.BytesIO()
    np.savez(file, rgb=frames[:, :1024], audio=frames[:, 1024:], labels=videos.labels(3), id=np.array("mine"))
    with open_browser_page(browser) as page:
        page.goto(f"{app}/predictions")
        settle(page, "Predictions")
        page.get_by_text("my file").click()
        expect(page.get_by_role("button", name="Download example file")).to_be_visible()
        chooser = page.locator("input[type=file]")
        chooser.set_input_files({"name": "mine.npz", "mimeType": "application/zip", "buffer": b"nothing of the kind"})
        expect(page.get_by_test_id("stAlert")).to_contain_text("mine.npz")
        chooser.set_input_files({"name": "mine.npz", "mimeType": "application/zip", "buffer": file.getvalue()})
        expect(page.locator(".js-plotly-plot").first).to_contain_text("Top labels of video mine")
        settle(page, "Predictions")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download all 120 labels as CSV").click()
        assert "mine" in download.value.suggested_filename
        assert len(Path(download.value.path()).read_text().splitlines()) == 121


def test_welcome_page_builds_the_demo_world_and_arrives(browser: Browser, tmp_path: Path) -> None:
    with served(smoke(tmp_path / "home")) as address, open_browser_page(browser) as page:
        page.goto(address)
        settle(page, "Welcome")
        page.get_by_role("button", name="Build the demo world").click()
        expect(page.get_by_text("Building the demo world and training its runs")).to_be_visible()
        settle(page, "Overview")
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        expect(page.get_by_test_id("stSidebarNav").get_by_role("link", name="Welcome")).to_have_count(0)
