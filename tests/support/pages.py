"""The app in a test: a page opened through Streamlit's AppTest, what it shows, and what moves its controls."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from yt8m_core.data.dataset import open_videos

MAIN = ROOT / "app" / "main.py"
PAGES = ("overview", "imbalance", "correlation", "attention", "predictions", "experiments")
OF_DATA = PAGES[1:5]  # the pages that show nothing without the data of the sidebar
ATTENDING, OTHER = "smoke-indirect-clustering-moe", "smoke-mean-mlp"


def opened(page: str = "overview", **query: str | list[str]) -> AppTest:
    """The app with a page open, as by a link."""
    at = AppTest.from_file(str(MAIN), default_timeout=60)
    for name, value in query.items():
        at.query_params[name] = value
    at.run()
    if page != "overview":
        at.switch_page(f"views/{page}/page.py").run()
    return at


def words(at: AppTest) -> str:
    """All text of the main area, as a reader sees it."""
    kinds = (at.title, at.caption, at.markdown, at.info, at.warning, at.error, at.success, at.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def charts(at: AppTest) -> list[str]:
    return [chart.proto.spec for chart in at.get("plotly_chart")]


def output(at: AppTest) -> str:
    """All that a page shows beside its controls."""
    assert not at.exception, at.exception[0].stack_trace
    tables = [table.value.to_csv() for table in at.dataframe]
    figures = [f"{metric.label} {metric.value} {metric.delta}" for metric in at.metric]
    return "\n".join([words(at), *figures, *charts(at), *tables])


def faults(at: AppTest) -> str:
    assert not at.exception, at.exception[0].stack_trace
    return "\n".join(error.value for error in at.error).replace("\\", "")


def first_video(home: Path) -> tuple[str, np.ndarray, list[int]]:
    videos = open_videos(home / "smoke" / "validation")
    return videos.id(0), videos.frames(0), videos.labels(0).tolist()


def at_id(home: Path, video: int) -> str:
    return open_videos(home / "smoke" / "validation").id(video)


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def select_last(key: str) -> Callable[[AppTest], Any]:
    return lambda at: at.selectbox(key=key).select(at.selectbox(key=key).options[-1])


def choose(key: str, value: str) -> Callable[[AppTest], Any]:
    return lambda at: at.get_by_key(key).set_value(value)


Controls = Mapping[str, Callable[[AppTest], Any]]


def changes(page: str, move: Callable[[AppTest], Any], **query: str) -> bool:
    """Whether moving a control changes what a page shows."""
    at = opened(page, **query)
    before = output(at)
    move(at)
    at.run()
    return output(at) != before


def controls(at: AppTest) -> set[str | None]:
    """The keys of all controls of a page that have a value."""
    kinds = (at.selectbox, at.multiselect, at.number_input, at.text_input, at.slider, at.checkbox, at.toggle)
    others = at.get("segmented_control")
    return {widget.key for kind in (*kinds, others) for widget in kind}
