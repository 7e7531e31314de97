"""The key tasks of a daily user, on a run that was trained on real records: in few clicks."""

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import open_browser_page, wait_for_page
from tests.support.file_server import serve_files
from tests.support.server import FLAGS, served
from yt8m_core import Experiment, Slot, train
from yt8m_core.data.dataset import open_videos
from yt8m_core.experiment import Data, Training

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.real_data]

RUN, OTHER = "mlp", "wide-mlp"


@pytest.fixture(scope="module")
def real_home(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Path:
    """Return a workspace with two runs, trained on real records."""
    home = tmp_path_factory.mktemp("home")
    records = real_data / "yt8m-2018-video"
    data = Data(str(records / "train"), str(records / "validate"))
    for name, hidden in ((RUN, 256), (OTHER, 512)):
        experiment = Experiment(
            data, classification=Slot("mlp", {"hidden": [hidden]}), training=Training(epochs=1, learning_rate=0.003)
        )
        train(experiment, home / "runs" / name)
    return home


@pytest.fixture(scope="module")
def app(real_home: Path) -> Iterator[str]:
    """Serve the app, and return its address."""
    with served({"YT8M_HOME": str(real_home), "YT8M_RUNS": "", "YT8M_DATA": ""}) as address:
        yield address


class Task:
    """A task that starts on the overview of the run; counts its clicks."""

    def __init__(self, page: Page, app: str) -> None:
        self.page, self.clicks = page, 0
        page.goto(f"{app}/?run={RUN}")
        wait_for_page(page, "Overview")
        self.main = page.get_by_test_id("stMain")

    def click(self, target: Locator, title: str) -> None:
        """Click, and wait until the page with this title is complete."""
        target.click()
        self.page.wait_for_timeout(100)  # until the browser has sent the click
        wait_for_page(self.page, title)
        self.clicks += 1

    def open(self, title: str) -> None:
        """Open a page by its link in the navigation."""
        self.click(self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True), title)

    def click_row(self, table: Locator, title: str, row: int = 0) -> None:
        """Click the first cell of a row of a table."""
        table.scroll_into_view_if_needed()
        box = table.bounding_box()
        assert box
        self.click_at(box["x"] + 18, box["y"] + 52 + 35 * row, title)

    def click_at(self, x: float, y: float, title: str) -> None:
        """Click at a place of the screen."""
        self.page.mouse.click(x, y)
        self.page.wait_for_timeout(300)
        wait_for_page(self.page, title)
        self.clicks += 1


@pytest.fixture
def task(browser: Browser, app: str) -> Iterator[Task]:
    with open_browser_page(browser) as page:
        yield Task(page, app)


def test_worst_tail_labels_and_five_of_their_videos(task: Task) -> None:
    task.click(task.page.get_by_role("link", name="Label imbalance"), "Imbalance")  # a suggestion: the worst band
    expect(task.main).to_contain_text("Labels of the tail band")
    tables = task.page.get_by_test_id("stDataFrame")
    task.click_row(tables.last, "Imbalance")
    expect(task.main).to_contain_text(re.compile("rank [0-9,]+ of 3,862, tail band"))
    task.click(task.page.get_by_role("link", name="Open the page of this label"), "Label")
    videos = task.main.get_by_role("link", name=re.compile("probability 0\\."))
    expect(videos.nth(4)).to_be_visible()
    assert task.clicks <= 4


def test_labels_most_correlated_with_guitar_and_whether_the_run_knows_it(task: Task) -> None:
    task.open("Correlation")
    label = task.page.get_by_role("combobox", name="Label", exact=True)
    label.click()
    task.clicks += 1  # the open list hides the rest of the page
    label.fill("guitar")
    task.click(task.page.get_by_role("option", name="Guitar · 9"), "Correlation")
    expect(task.main).to_contain_text("Partners of Guitar")
    expect(task.main).to_contain_text(re.compile(r"The run expects \d+ of \d+ pairs about as often as they occur"))
    assert task.clicks <= 4


def test_where_two_runs_differ_and_a_video_of_it(task: Task) -> None:
    task.open("Compare")
    expect(task.main).to_contain_text(re.compile(r"95% CI \[.*\]"))
    task.click(task.page.get_by_role("radio", name="videos"), "Compare")
    expect(task.main).to_contain_text(f"{OTHER} is better")
    task.click_row(task.page.get_by_test_id("stDataFrame").first, "Predictions")
    expect(task.main).to_contain_text("true labels are in the top 20")
    assert task.clicks <= 4


def test_why_this_label(task: Task) -> None:
    task.open("Predictions")
    box = task.page.locator(".js-plotly-plot").first.locator(".bars .point path").nth(1).bounding_box()
    assert box
    task.click_at(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, "Predictions")
    expect(task.main).to_contain_text(re.compile(r": rank 2 of 3,862, probability 0\.\d+"))
    assert task.clicks <= 3


def test_upload_and_its_top_labels(task: Task, real_data: Path) -> None:
    videos = open_videos(real_data / "yt8m-2018-video" / "validate")
    file = io.BytesIO()
    frame = videos.frames(0)[0]
    np.savez(file, mean_rgb=frame[:1024], mean_audio=frame[1024:])
    task.page.goto(task.page.url.replace("/?", "/predictions?"))
    wait_for_page(task.page, "Predictions")
    task.click(task.page.get_by_text("my file"), "Predictions")
    task.page.locator("input[type=file]").set_input_files(
        {"name": "mine.npz", "mimeType": "application/zip", "buffer": file.getvalue()}
    )
    task.clicks += 1  # in the dialog of the browser
    expect(task.page.locator(".js-plotly-plot").first).to_contain_text("Top labels of video mine")
    assert task.clicks <= 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'i("id","dQw4w9WgXcQ");', "Watch dQw4w9WgXcQ on YouTube"),
        (b'i("id","<b>no id</b>");', "No YouTube id"),
        (None, "No YouTube id"),
        (b'top.document.title = "stolen";', "No YouTube id"),
    ],
    ids=["found", "invalid", "not public", "hostile"],
)
def test_youtube_id_is_looked_up_on_a_click(browser: Browser, app: str, answer: bytes | None, expected: str) -> None:
    """The public service is a local server."""
    with serve_files() as service:
        address = urlparse(service.address).netloc
        own_browser = browser.browser_type.launch(
            executable_path=shutil.which("chromium"),
            args=[*FLAGS.split(), f"--host-resolver-rules=MAP data.yt8m.org {address}"],
        )
        page = own_browser.new_page()
        page.goto(f"{app}/predictions?run={RUN}")
        wait_for_page(page, "Predictions")
        page.get_by_role("button", name="Watch on YouTube").click()
        lookup = page.get_by_role("button", name="Look up the YouTube id")
        expect(lookup).to_be_visible()
        path = urlparse(page.get_by_role("link", name="answer of the service").get_attribute("href") or "").path[1:]
        assert re.fullmatch(r"2/j/i/(\w\w)/\1\w\w\.js", path)
        if answer is not None:
            service.files[path] = answer
        assert service.requests == []  # nothing is sent before the click
        lookup.click()
        expect(page.get_by_role("status").filter(has_text=expected)).to_be_visible()
        expect(lookup).to_be_enabled()
        assert service.requests == [(path, None)]
        assert page.title() != "stolen"
        if expected.startswith("Watch"):
            link = page.get_by_role("link", name=expected)
            expect(link).to_have_attribute("href", "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=0s")
            expect(link).to_have_attribute("rel", "noopener noreferrer")
        own_browser.close()
