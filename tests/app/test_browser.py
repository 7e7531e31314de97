"""The app in a browser: layout, clicks, links, and that it contacts only its own server."""

import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import follow_link, open_browser_page, wait_for_page
from tests.support.server import served, smoke_environment
from yt8m_core.analysis.label_decisions import read_decisions
from yt8m_core.data.dataset import open_videos

pytestmark = pytest.mark.browser

PAGES = {
    "Overview": "", "Imbalance": "imbalance", "Correlation": "correlation", "Label": "label",
    "Calibration": "calibration", "Label issues": "label-issues", "Videos": "videos", "Map": "map",
    "Predictions": "predictions", "Attention": "attention", "Data checks": "data-checks", "Compare": "compare",
    "Experiments": "experiments",
}  # fmt: skip

# Streamlit hears keys after it has drawn. A page that is never idle, or draws no frame, gets a time limit.
IDLE = """new Promise(resolve => {
    requestIdleCallback(() => resolve(null), {timeout: 2000})
    setTimeout(() => resolve(null), 5000)
})"""


@pytest.fixture(scope="module")
def app(demo_home: Path) -> Iterator[str]:
    """Serve the app, and return its address."""
    with served(smoke_environment(demo_home)) as address:
        yield address


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_every_page_fits_the_screen(
    browser: Browser, app: str, tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    with open_browser_page(browser, width=width, height=height, scheme=scheme) as page:
        page.goto(app)
        for title, path in PAGES.items():
            if width > 1000 and path:
                follow_link(page, title)
            else:
                page.goto(f"{app}/{path}")
                wait_for_page(page, title)
            expect(page.locator(".js-plotly-plot .main-svg, [data-testid=stDataFrame]").first).to_be_visible()
            expect(page.get_by_test_id("stAlert").filter(has_text=re.compile("error", re.I))).to_have_count(0)
            assert "demo world" in page.get_by_test_id("stMain").inner_text()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{title} is too wide"
            red = int(
                page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/\\d+/)[0]")
            )
            assert (red > 200) == (scheme == "light")
            page.screenshot(path=tmp_path / f"{title}-{width}-{scheme}.png")


def test_new_server_draws_its_first_chart(browser: Browser, demo_home: Path) -> None:
    with served(smoke_environment(demo_home)) as address, open_browser_page(browser) as page:
        page.goto(address)
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()


def test_overview_has_an_address_of_its_own(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/overview")
        wait_for_page(page, "Overview")
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_keys_open_pages_and_labels_and_are_listed(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(app)
        wait_for_page(page, "Overview")
        page.keyboard.press("?")
        keys = page.get_by_role("dialog", name="Keyboard shortcuts")
        expect(keys).to_contain_text("Previous or next video")
        page.keyboard.press("Escape")
        expect(keys).to_be_hidden()
        page.keyboard.press("]")
        wait_for_page(page, "Imbalance")
        page.keyboard.press("[")
        wait_for_page(page, "Overview")
        page.keyboard.press("3")
        wait_for_page(page, "Correlation")
        page.keyboard.press("/")
        page.keyboard.type("musc?")  # typed text is no shortcut
        expect(keys).to_be_hidden()
        expect(page.get_by_role("combobox", name="Label", exact=True)).to_have_value("musc?")


def test_click_on_a_cell_describes_its_pair(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/correlation")
        wait_for_page(page, "Correlation")
        box = page.locator(".js-plotly-plot .nsewdrag").bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] * 0.5 / 30, box["y"] + box["height"] * 1.5 / 30)  # row 1, column 0
        expect(page.get_by_test_id("stMain")).to_contain_text(re.compile(r"videos with both"))


def test_click_on_a_label_opens_its_card_and_its_videos(browser: Browser, app: str) -> None:
    point = """() => {
        const plot = document.querySelector(".js-plotly-plot"), {xaxis, yaxis} = plot._fullLayout
        const drawn = plot._fullData[0], box = plot.querySelector(".nsewdrag").getBoundingClientRect()
        return [box.x + xaxis.d2p(drawn.x[0]), box.y + yaxis.d2p(drawn.y[0])]
    }"""
    with open_browser_page(browser) as page:
        page.goto(f"{app}/imbalance")
        wait_for_page(page, "Imbalance")
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        page.mouse.click(*page.evaluate(point))
        expect(page.get_by_test_id("stMain")).to_contain_text("rank 1 of 120, head band")
        expect(page).to_have_url(re.compile("label="))
        wait_for_page(page, "Imbalance")
        page.get_by_role("link", name="Open the page of this label").click()
        wait_for_page(page, "Label")
        page.get_by_role("link", name=re.compile("rank \\d+ in the video")).first.click()
        wait_for_page(page, "Predictions")
        expect(page.get_by_test_id("stMain")).to_contain_text("; true label.")


@pytest.mark.parametrize(
    ("address", "title", "table", "opened", "named"),
    [
        ("compare?by=labels&at_least=1", "Compare", 0, "Label", "label"),
        ("compare?by=videos", "Compare", 0, "Predictions", "video"),
        ("calibration?judge=thresholds", "Calibration", 0, "Label", "label"),
    ],
)
def test_click_on_a_row_opens_its_label_or_video(
    browser: Browser, app: str, address: str, title: str, table: int, opened: str, named: str
) -> None:
    with open_browser_page(browser, height=1800) as page:
        page.goto(f"{app}/{address}")
        wait_for_page(page, title)
        drawn = page.get_by_test_id("stDataFrame").nth(table)
        expect(drawn).to_be_visible()
        box = drawn.bounding_box()
        assert box
        page.mouse.click(box["x"] + 30, box["y"] + 52)  # the first cell
        wait_for_page(page, opened)
        expect(page).to_have_url(re.compile(f"{named}="))
        expect(page.get_by_test_id("stAlert")).to_have_count(0)


def test_click_on_a_point_lists_the_pairs_of_its_bin(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/calibration")
        wait_for_page(page, "Calibration")
        point = page.locator(".js-plotly-plot .scatterlayer .trace").first.locator(".points path").first
        box = point.bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.get_by_test_id("stMain")).to_contain_text(re.compile(r"[\d,]+ pairs in this bin"))
        expect(page).to_have_url(re.compile("bin="))


def test_numbers_of_the_bars_fit_a_narrow_screen(browser: Browser, app: str) -> None:
    with open_browser_page(browser, width=390, height=844) as page:
        page.goto(f"{app}/label-issues?candidate=83ad+·+Lego+minifigure+·+57")  # a long name, and a ✓ on the first bar
        wait_for_page(page, "Label issues")
        expect(page.locator(".js-plotly-plot .bartext")).to_have_count(10)
        rights = """elements => elements.map(element => element.getBoundingClientRect().right)"""
        numbers = page.locator(".js-plotly-plot .bartext").evaluate_all(rights)
        (chart, *_) = page.locator(".js-plotly-plot .main-svg").evaluate_all(rights)
        assert max(numbers) < chart, (numbers, chart)


@pytest.fixture
def decisions(demo_home: Path) -> Iterator[Callable[[], pd.DataFrame]]:
    """Return a function that reads the decisions about label issues; none are stored before and after the test."""
    folder = demo_home / "label-decisions"
    shutil.rmtree(folder, ignore_errors=True)
    yield lambda: pd.concat(map(read_decisions, folder.glob("*.csv")), ignore_index=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.usefixtures("decisions")
def test_keys_decide_about_a_candidate_and_go_on(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/label-issues")
        wait_for_page(page, "Label issues")
        candidate = page.get_by_role("combobox", name="Candidate")
        first = candidate.input_value()
        for key, decided in (("a", 1), ("x", 2), ("u", 3), ("z", 2)):
            page.keyboard.press(key)
            expect(page.get_by_test_id("stProgress")).to_contain_text(f"{decided} of 1,000 decided")
            wait_for_page(page, "Label issues")
        third = candidate.input_value()
        page.keyboard.press("n")
        expect(candidate).not_to_have_value(third)
        assert third != first


@pytest.mark.fault
@pytest.mark.parametrize(("presses", "pause"), [(20, 0), (20, 150), (6, 500)])
def test_fast_keys_decide_only_about_candidates_on_the_screen(
    browser: Browser, app: str, decisions: Callable[[], pd.DataFrame], presses: int, pause: int
) -> None:
    with open_browser_page(browser) as page:
        page.add_init_script(  # the page shows late what the server has sent, as on a slow connection
            """const listen = WebSocket.prototype.addEventListener
            WebSocket.prototype.addEventListener = function (type, listener, ...options) {
              const late = event => setTimeout(() => listener.call(this, event), 1500)
              listen.call(this, type, type === "message" ? late : listener, ...options)
            }"""
        )
        page.goto(f"{app}/label-issues")
        wait_for_page(page, "Label issues")
        page.evaluate(
            """() => {
              window.questions = []
              const main = document.querySelector("[data-testid=stMain]")
              const ask = () => window.questions.push(main.innerText.match(/Is .* missing in video .*\\?/)[0])
              window.addEventListener("keydown", ask, true)
            }"""
        )
        for _ in range(presses):
            page.keyboard.press("a")
            page.wait_for_timeout(pause)
        expect(page.get_by_test_id("stProgress")).not_to_contain_text(re.compile("^0 of"))
        page.wait_for_timeout(3000)
        wait_for_page(page, "Label issues")
        asked = list(dict.fromkeys(page.evaluate("window.questions")))
    stored = [f"Is {row.name} missing in video {row.video}?" for row in decisions().itertuples(index=False)]
    assert stored
    assert stored == asked[: len(stored)]


@pytest.mark.fault
def test_first_of_several_fast_keys_counts(browser: Browser, app: str, decisions: Callable[[], pd.DataFrame]) -> None:
    """Streamlit drops a press when another one follows before it has run the callback of the first."""
    with open_browser_page(browser) as page:
        page.goto(f"{app}/label-issues")
        wait_for_page(page, "Label issues")
        page.evaluate(IDLE)
        page.evaluate(
            """keys => {
              for (const key of keys) {
                const keyCode = key.toUpperCase().charCodeAt(0)
                document.body.dispatchEvent(new KeyboardEvent("keydown", { key, keyCode, bubbles: true }))
                document.body.dispatchEvent(new KeyboardEvent("keyup", { key, keyCode, bubbles: true }))
              }
            }""",
            list("xauzn"),
        )
        expect(page.get_by_test_id("stProgress")).to_contain_text("1 of 1,000 decided")
        wait_for_page(page, "Label issues")
        page.evaluate(IDLE)
        page.keyboard.press("Control+x")  # no press of a button, so the next one counts
        page.keyboard.press("a")  # the next answer takes the next press
        expect(page.get_by_test_id("stProgress")).to_contain_text("2 of 1,000 decided")
        wait_for_page(page, "Label issues")
    assert decisions()["decision"].tolist() == ["reject", "accept"]


@pytest.mark.fault
def test_keys_do_not_reach_buttons_behind_a_dialog_or_menu(
    browser: Browser, app: str, decisions: Callable[[], pd.DataFrame]
) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/label-issues")
        wait_for_page(page, "Label issues")
        keys = page.get_by_role("dialog", name="Keyboard shortcuts")
        page.keyboard.press("?")
        expect(keys).to_be_visible()
        for key in "axuzn2]":
            page.keyboard.press(key)
        page.keyboard.press("Enter")  # on the button Close
        expect(keys).to_be_hidden()
        page.get_by_test_id("stMainMenuButton").click()
        expect(page.get_by_test_id("stMainMenuPopover")).to_be_visible()
        for key in "xn2":
            page.keyboard.press(key)
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("stMainMenuPopover")).to_be_hidden()
        page.keyboard.press("u")
        expect(page.get_by_test_id("stProgress")).to_contain_text("1 of 1,000 decided")
        wait_for_page(page, "Label issues")
    assert decisions()["decision"].tolist() == ["unsure"]


@pytest.mark.fault
@pytest.mark.parametrize("typed", ["", "musc"])
def test_escape_leaves_the_search_and_keeps_the_label(browser: Browser, app: str, typed: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/predictions?label=Music+·+2")
        wait_for_page(page, "Predictions")
        label, video = (page.get_by_role("combobox", name=name, exact=True) for name in ("Label", "Video"))
        first = video.input_value()
        page.keyboard.press("/")
        expect(label).to_be_focused()
        page.keyboard.type(typed)
        page.keyboard.press("Escape")
        expect(label).not_to_be_focused()
        expect(page.get_by_role("listbox")).to_have_count(0)
        page.keyboard.press("n")
        expect(video).not_to_have_value(first)
        wait_for_page(page, "Predictions")
        expect(label).to_have_value("Music · 2")


def test_click_on_a_cluster_opens_it_in_the_window(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/correlation?part=All+labels")
        wait_for_page(page, "Correlation")
        framed = page.locator(".js-plotly-plot .scatterlayer .points path").first
        # Plotly reports the point under the pointer, and the page may still move while it is drawn.
        framed.hover(force=True)
        expect(page.locator(".hoverlayer .hovertext").first).to_be_visible()
        page.mouse.down()
        page.mouse.up()
        # For a moment the old figure is still next to the new one.
        expect(page.locator(".js-plotly-plot").filter(has_text="Label association").first).to_be_visible()
        expect(page.get_by_role("combobox", name="Cluster")).to_be_visible()


def test_click_on_a_weight_selects_its_second(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/attention")
        wait_for_page(page, "Attention")
        weights = page.locator(".js-plotly-plot").first.locator(".scatterlayer .trace").first
        point = weights.locator(".points path").nth(7)
        point.scroll_into_view_if_needed()
        box = point.bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.get_by_test_id("stMain")).to_contain_text("Weight of second 7")
        page.get_by_role("button", name="Effect of second 7").click()
        expect(page.get_by_test_id("stMain")).to_contain_text("from second 7 only")
        expect(page).to_have_url(re.compile("see=One.second"))
        expect(page).to_have_url(re.compile("second=7"))


def test_click_on_a_row_selects_its_run_and_a_suggestion_opens_a_video(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/experiments?run=smoke-mean-mlp&methods=indirect_clustering")
        wait_for_page(page, "Experiments")
        box = page.get_by_test_id("stDataFrame").first.bounding_box()
        assert box
        page.mouse.click(box["x"] + 18, box["y"] + 52)  # the box before the first row
        expect(page.get_by_role("combobox", name="Run")).to_have_value("smoke-indirect-clustering-moe")
        follow_link(page, "Overview")
        page.get_by_role("link", name="Top false positive").click()
        wait_for_page(page, "Predictions")
        expect(page).to_have_url(re.compile("video=.*label=|label=.*video="))
        video = re.findall(r"video=([^&]+)", page.url)[0]
        expect(page.get_by_role("combobox", name="Video")).to_have_value(video)
        expect(page.get_by_test_id("stMain")).to_contain_text(re.compile(r": rank \d+ of 120"))


def test_label_and_video_are_kept_on_all_pages_and_in_links(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/imbalance")
        wait_for_page(page, "Imbalance")
        page.get_by_role("combobox", name="Label", exact=True).fill("musc")  # a part of the name
        page.get_by_role("option", name="Music · 2").click()
        expect(page.get_by_test_id("stMain")).to_contain_text("Music is in")
        follow_link(page, "Predictions")
        expect(page.get_by_test_id("stMain")).to_contain_text("Music: rank")
        shown = page.get_by_role("combobox", name="Video")
        first = shown.input_value()
        page.keyboard.press("n")  # the next video
        expect(shown).not_to_have_value(first)
        wait_for_page(page, "Predictions")
        video = shown.input_value()
        expect(page).to_have_url(re.compile(f"video={video}"))
        link = page.url
        follow_link(page, "Attention")
        expect(page.get_by_role("combobox", name="Video")).to_have_value(video)
        follow_link(page, "Correlation")
        expect(page.get_by_role("combobox", name="Label", exact=True)).to_have_value("Music · 2")
        page.goto(link)
        wait_for_page(page, "Predictions")
        expect(page.get_by_role("combobox", name="Video")).to_have_value(video)
        expect(page.get_by_test_id("stMain")).to_contain_text("Music: rank")


def test_filters_stand_in_the_link_and_a_click_on_a_row_opens_the_video(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/videos")
        wait_for_page(page, "Videos")
        page.get_by_role("slider", name="Average precision").first.press("ArrowRight")
        expect(page).to_have_url(re.compile("ap=0.01&ap=1"))
        page.get_by_role("button", name="tail").click()
        expect(page).to_have_url(re.compile("band=tail"))
        wait_for_page(page, "Videos")
        count = page.get_by_text(re.compile(r"\d+ of 32 videos")).inner_text()
        box = page.get_by_test_id("stDataFrame").first.bounding_box()
        assert box
        page.mouse.click(box["x"] + 200, box["y"] + 52)
        wait_for_page(page, "Predictions")
        expect(page.get_by_text(f"Video 1 of {count.split()[0]} selected by the filters.")).to_be_visible()
        expect(page).to_have_url(re.compile("band=tail"))
        link = page.url
        page.goto(link)
        wait_for_page(page, "Predictions")
        expect(page.get_by_text(f"Video 1 of {count.split()[0]} selected by the filters.")).to_be_visible()


def test_box_in_the_map_opens_its_videos(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/map")
        wait_for_page(page, "Map")
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        box = page.locator(".js-plotly-plot .nsewdrag").bounding_box()
        assert box
        corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.04)]
        for number, (x, y) in enumerate(corners):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
            if number == 0:
                page.mouse.down()
        page.mouse.up()
        count = page.get_by_text(re.compile(r"^\d+ videos selected$")).first
        expect(count).not_to_have_text("0 videos selected")
        number = int(count.inner_text().split()[0])
        page.get_by_role("button", name="Open selection").click()
        wait_for_page(page, "Videos")
        expect(page.get_by_text(f"{number} of 32 videos").first).to_be_visible()
        page.get_by_role("button", name="Clear", exact=True).click()
        expect(page.get_by_text("32 of 32 videos").first).to_be_visible()


def test_pair_of_the_matrix_opens_its_videos(browser: Browser, app: str) -> None:
    with open_browser_page(browser) as page:
        page.goto(f"{app}/correlation")
        wait_for_page(page, "Correlation")
        box = page.locator(".js-plotly-plot .nsewdrag").bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] * 0.5 / 30, box["y"] + box["height"] * 1.5 / 30)
        button = page.get_by_role("button", name=re.compile(r"Open \d+ videos? with"))
        number = re.findall(r"Open (\d+)", button.inner_text())[0]
        button.click()
        wait_for_page(page, "Videos")
        expect(page.get_by_text(f"{number} of 32 videos").first).to_be_visible()


def test_upload_is_refused_or_predicted(browser: Browser, app: str, demo_home: Path) -> None:
    videos = open_videos(demo_home / "smoke" / "validation")
    frames, file = videos.frames(3), io.BytesIO()
    np.savez(file, rgb=frames[:, :1024], audio=frames[:, 1024:], labels=videos.labels(3), id=np.array("mine"))
    with open_browser_page(browser) as page:
        page.goto(f"{app}/predictions")
        wait_for_page(page, "Predictions")
        page.get_by_text("my file").click()
        expect(page.get_by_role("button", name="Download example file")).to_be_visible()
        chooser = page.locator("input[type=file]")
        chooser.set_input_files({"name": "mine.npz", "mimeType": "application/zip", "buffer": b"not a zip file"})
        expect(page.get_by_test_id("stAlert")).to_contain_text("mine.npz")
        chooser.set_input_files({"name": "mine.npz", "mimeType": "application/zip", "buffer": file.getvalue()})
        expect(page.locator(".js-plotly-plot").first).to_contain_text("Top labels of video mine")
        wait_for_page(page, "Predictions")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download all 120 labels as CSV").click()
        assert "mine" in download.value.suggested_filename
        assert len(Path(download.value.path()).read_text().splitlines()) == 121


def test_welcome_page_builds_the_demo_world_and_opens_the_overview(browser: Browser, tmp_path: Path) -> None:
    with served(smoke_environment(tmp_path / "home")) as address, open_browser_page(browser) as page:
        page.goto(address)
        wait_for_page(page, "Welcome")
        page.get_by_role("button", name="Build the demo world").click()
        expect(page.get_by_text("Building the demo world and training its runs")).to_be_visible()
        expect(page.get_by_role("button", name="Build the demo world")).to_be_disabled()
        wait_for_page(page, "Overview")
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
        expect(page.get_by_test_id("stSidebarNav").get_by_role("link", name="Welcome")).to_have_count(0)
