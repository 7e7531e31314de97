"""Open pages of the app through Streamlit's AppTest, read what they show, and move their controls."""

import io
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.source_util import PageInfo
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from yt8m_core.data.dataset import open_videos

MAIN = ROOT / "app" / "main.py"
# Folders of the pages in app/views.
PAGES = (
    "overview", "imbalance", "correlation", "label", "calibration", "label_issues", "videos", "map", "predictions",
    "attention", "compare", "experiments",
)  # fmt: skip
DATA_PAGES = tuple(page for page in PAGES if page not in ("overview", "experiments"))  # empty without the data set
# Filters of the videos page, which pages of one video have too; tests/app/test_videos.py tests them.
FILTER_KEYS = {"find", "label", "has", "score", "threshold", "order", "only", "band", "ap", "seconds", "run_b"}
ATTENTION_RUN, MEAN_RUN = "smoke-indirect-clustering-moe", "smoke-mean-mlp"


@cache
def registered_pages() -> dict[str, PageInfo]:
    """Return the pages that the app tells Streamlit. AppTest would learn them from a first run for each page."""
    return AppTest.from_file(str(MAIN), default_timeout=60).run()._registered_pages


def open_page(page: str = "overview", **query: str | list[str]) -> AppTest:
    """Open a page of the app with a query, as a link does."""
    at = AppTest.from_file(str(MAIN), default_timeout=60)
    if page != "overview":
        at._registered_pages = registered_pages()
        at.switch_page(f"views/{page}/page.py")
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def page_text(at: AppTest) -> str:
    """Return all text of the main area as a reader sees it."""
    kinds = (at.title, at.caption, at.markdown, at.info, at.warning, at.error, at.success, at.subheader)
    texts = [str(element.value) for kind in kinds for element in kind]
    return "\n".join([*texts, *(caption.help or "" for caption in at.caption)]).replace("\\", "")


def error_text(at: AppTest) -> str:
    """Return the errors of a page. Fails on an exception."""
    assert not at.exception, at.exception[0].stack_trace
    return "\n".join(error.value for error in at.error).replace("\\", "")


def charts(at: AppTest) -> list[str]:
    """Return the charts of a page as plotly JSON."""
    return [chart.proto.spec for chart in at.get("plotly_chart")]


def results(at: AppTest) -> list[Any]:
    """Return the charts and tables of the main area."""
    return [*charts(at), *(element.value for element in at.main.dataframe)]


def tables(at: AppTest) -> list[Any]:
    """Return the tables of a page as data frames."""
    return [element.value for element in at.dataframe]


def output(at: AppTest) -> str:
    """Return everything that a page shows except its controls."""
    assert not at.exception, at.exception[0].stack_trace
    metrics = [f"{metric.label} {metric.value} {metric.delta}" for metric in at.metric]
    return "\n".join([page_text(at), *metrics, *charts(at), *(table.to_csv() for table in tables(at))])


def first_video(home: Path) -> tuple[str, np.ndarray, list[int]]:
    """Return id, frames and labels of the first validation video of the demo world."""
    videos = open_videos(home / "smoke" / "validation")
    return videos.id(0), videos.frames(0), videos.labels(0).tolist()


def video_id_at(home: Path, video: int) -> str:
    """Return the id of a validation video of the demo world."""
    return open_videos(home / "smoke" / "validation").id(video)


def npz(**arrays: Any) -> bytes:
    """Return arrays as an .npz file."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    """Return an array as an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def select_last(key: str) -> Callable[[AppTest], Any]:
    """Return a function that selects the last option of a select box."""
    return lambda at: at.selectbox(key=key).select(at.selectbox(key=key).options[-1])


def find_button(at: AppTest, label: str) -> Any:
    """Return the button with a label."""
    (button,) = [button for button in at.button if button.label.replace("\\", "") == label]
    return button


def set_value(key: str, value: str) -> Callable[[AppTest], Any]:
    """Return a function that sets the value of a control."""
    return lambda at: at.get_by_key(key).set_value(value)


Controls = Mapping[str, Callable[[AppTest], Any]]


def changes_page(page: str, move: Callable[[AppTest], Any], **query: str) -> bool:
    """Return whether a control changes the output of a page."""
    at = open_page(page, **query)
    before = output(at)
    move(at)
    at.run()
    return output(at) != before


def control_keys(at: AppTest) -> set[str | None]:
    """Return the keys of all controls of a page that have a value."""
    kinds = (at.selectbox, at.multiselect, at.number_input, at.text_input, at.slider, at.checkbox, at.toggle)
    others = at.get("segmented_control")
    return {widget.key for kind in (*kinds, others) for widget in kind}
