"""Runs that were shared: the folder has no data, and says so."""

import shutil
from pathlib import Path

import pytest

from tests.app.conftest import CopyRun
from tests.support.pages import PAGES, error_text, open_page, page_text
from yt8m_core.runs.run import Run
from yt8m_core.sharing.shared_copy import shared_files


@pytest.fixture
def pulled(copy_run: CopyRun, tmp_path: Path) -> Path:
    """Replace the files of a listed run by those that are shared."""
    folder = copy_run("pulled")
    run = Run.open(shutil.copytree(folder, tmp_path / "original"))
    shutil.rmtree(folder)
    folder.mkdir()
    (tmp_path / "copy").mkdir()
    for name, file in shared_files(run, tmp_path / "copy", "ada/demo").items():
        shutil.copy(file, folder / name)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_pulled_run_with_other_data(pulled: Path, page: str) -> None:
    at = open_page(page, run="pulled", data="smoke/validation")
    missing = f"run {pulled} has no predictions; a pulled run has them if they were pushed."
    assert error_text(at) == (missing if page == "overview" else "")
    assert page_text(at)


def test_overview_says_that_the_data_are_not_included(pulled: Path) -> None:
    text = page_text(open_page(run="pulled", data="smoke/validation"))
    assert "on 32 validation videos of demo (data not included)/validation" in text
    assert "split of this run" not in text


def test_data_of_a_pulled_run_are_reported_as_missing(pulled: Path) -> None:
    data = "demo (data not included)/validation"
    at = open_page("predictions", run="pulled", data=data)
    assert data in at.selectbox(key="data").options
    assert "no file matches" in error_text(at)
    assert f"ada/{data}" in error_text(at)
