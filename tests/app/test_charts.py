"""The chart component: provenance, events, and the export of image, data and code."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.support.browser import open_browser_page
from tests.support.pages import charts
from tests.support.server import STREAMLIT, served

PROVENANCE = "run real-mlp · data yt8m/validate · 3,541 videos · sample"
SCRIPT = """
import sys

sys.path.insert(0, "APP")
import pandas as pd
import streamlit as st

from components.charts import show_chart, style_page
from yt8m_core import figures

DATA = pd.DataFrame({"run": ["=a", "b"], "gap": [0.5, 0.6], "gap_low": 0.4, "gap_high": 0.7})


@st.fragment
def section():
    chart = figures.gap_intervals(DATA, scale="sample")
    event = show_chart(
        chart, key="gaps", alt="GAP of two runs", provenance="PROVENANCE", data=DATA, file_name="gap of: runs",
        code="figures.gap_intervals(table, scale='sample')", on_select="rerun",
    )
    show_chart(figures.gap_intervals(DATA, scale="sample"), key="other", alt="Other", provenance="PROVENANCE")
    st.write(f"{len(event.selection.points)} selected")


style_page()
section()
""".replace("APP", str(ROOT / "app")).replace("PROVENANCE", PROVENANCE)  # fmt: skip


def open_script(*, is_open: bool = False) -> AppTest:
    at = AppTest.from_string(SCRIPT)
    if is_open:
        at.session_state["gaps export"] = True
    return at.run()


def test_chart_names_its_provenance_and_a_closed_menu_is_empty() -> None:
    at = open_script()
    assert not at.exception
    subtitles = [json.loads(chart)["layout"]["title"]["subtitle"]["text"] for chart in charts(at)]
    assert subtitles == [f"{PROVENANCE}<br>95% bootstrap CI over videos"] * 2
    assert "0 selected" in [element.value for element in at.markdown]
    assert not at.get("download_button")
    assert not at.code


def test_open_menu_offers_formats_data_and_code() -> None:
    at = open_script(is_open=True)
    assert not at.exception
    (formats,) = at.get("segmented_control")
    assert formats.value == "PNG"
    assert "Save the image with the camera above the chart." in [caption.value for caption in at.caption]
    assert [code.value for code in at.code] == ["figures.gap_intervals(table, scale='sample')"]
    assert [button.label for button in at.get("download_button")] == ["Data as CSV"]
    chart = at.get("plotly_chart")[0].proto
    assert '"format": "png"' in chart.config
    assert '"filename": "gap_of_runs"' in chart.config
    formats.set_value("SVG").run()
    assert '"format": "svg"' in at.get("plotly_chart")[0].proto.config
    assert '"format": "png"' in at.get("plotly_chart")[1].proto.config


def test_format_is_kept_while_the_menu_is_closed() -> None:
    at = open_script(is_open=True)
    at.get("segmented_control")[0].set_value("SVG").run()
    at.session_state["gaps export"] = False
    at.run()
    assert not at.get("segmented_control")
    assert '"format": "svg"' in at.get("plotly_chart")[0].proto.config


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Serve the script with the settings of the app, and return its address."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    shutil.copytree(ROOT / "app" / ".streamlit", tmp_path / ".streamlit")
    command = [str(script) if part == "app/main.py" else part for part in STREAMLIT]
    with served({"PYTHONPATH": str(ROOT)}, command) as address:
        yield address


@pytest.mark.browser
def test_camera_saves_an_image_with_the_provenance(browser: Browser, address: str, tmp_path: Path) -> None:
    with open_browser_page(browser) as page:
        page.goto(address)
        width, height = (page.locator(".main-svg").first.evaluate(f"svg => svg.{side}.baseVal.value") for side in
                         ("width", "height"))  # fmt: skip
        save_image(page, tmp_path / "gap_of_runs.png")
        with Image.open(tmp_path / "gap_of_runs.png") as image:
            assert image.size == pytest.approx((2 * width, 2 * height), abs=2)
            assert len(np.unique(np.asarray(image.convert("L")))) > 10
        page.get_by_role("button", name="Export").first.click()
        page.get_by_role("radio", name="SVG").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Data as CSV").click()
        assert download.value.suggested_filename == "gap_of_runs-figure.csv"
        assert Path(download.value.path()).read_text().startswith('"run","gap","gap_low","gap_high"\n"=a",0.5,0.4,0.7')
        page.keyboard.press("Escape")
        expect(page.get_by_role("radio", name="SVG")).to_have_count(0)
        save_image(page, tmp_path / "gap_of_runs.svg")
        assert PROVENANCE in (tmp_path / "gap_of_runs.svg").read_text()


def save_image(page: Page, path: Path) -> None:
    """Save the first chart by its camera button, and check the proposed name."""
    page.locator(".js-plotly-plot").first.hover()
    with page.expect_download() as download:
        page.locator(".modebar-btn[data-title^=Download]").first.click()
    assert download.value.suggested_filename == path.name
    download.value.save_as(path)
