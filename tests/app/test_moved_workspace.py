"""The data sets that are listed where a workspace was copied, moved or linked."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.app.conftest import CopyRun
from tests.support.pages import ATTENTION_RUN, DATA_PAGES, MEAN_RUN, error_text, open_page, page_text
from yt8m_core.demo import runs as demo_runs
from yt8m_core.runs.run import Run

LISTED = ["smoke/validation", "smoke/train", "smoke-segments/validate"]


@pytest.fixture
def copy(demo_home: Path, tmp_path: Path) -> Path:
    """Return a copy of the workspace: its demo worlds and its runs."""
    for name in ("smoke", "smoke-segments", "runs"):
        shutil.copytree(demo_home / name, tmp_path / "copy" / name)
    return tmp_path / "copy"


def listed(run: str = ATTENTION_RUN) -> list[str]:
    at = open_page(run=run)
    assert error_text(at) == ""
    options: list[str] = at.selectbox(key="data").options
    return options


@pytest.mark.fault
def test_copied_workspace_lists_each_data_set_once(
    copy: Path, demo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YT8M_HOME", str(copy))
    assert listed() == LISTED
    assert demo_runs.is_ready()
    assert "(validation split of this run)" in page_text(open_page("predictions", data=LISTED[0]))
    at = open_page("predictions", run=MEAN_RUN, data=LISTED[0])
    assert error_text(at) == ""
    assert str(demo_home) not in page_text(at)


def test_runs_of_another_workspace_have_its_data(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "runs" / MEAN_RUN).rename(copy / "runs" / "other")
    shutil.rmtree(copy / "runs" / ATTENTION_RUN)
    monkeypatch.setenv("YT8M_RUNS", str(copy / "runs"))
    options = listed("other")
    own = [option for option in options if option not in LISTED]
    assert sorted(options) == sorted([*LISTED, *own])
    assert [key[:-5] for key in own] == LISTED[:2]  # with a digest
    assert "(validation split of this run)" in page_text(open_page("predictions", run="other", data=own[0]))


@pytest.mark.parametrize("run", [ATTENTION_RUN, MEAN_RUN])
def test_links_and_dots_list_no_data_set_twice(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: str
) -> None:
    """Also for runs of older versions, whose paths do not follow the workspace."""
    (tmp_path / "link").symlink_to(copy)
    for folder, home in ((ATTENTION_RUN, tmp_path / "link"), (MEAN_RUN, copy / "runs" / "..")):
        config = copy / "runs" / folder / "config.json"
        values = json.loads(config.read_text())
        del values["workspace"]
        data = {split: str(home / "smoke" / split) for split in ("train", "validation")}
        values["experiment"]["data"] |= data
        config.write_text(json.dumps(values))
        assert Run.open(config.parent).experiment.data.train == data["train"]
    monkeypatch.setenv("YT8M_HOME", str(copy))
    monkeypatch.setenv(
        "YT8M_DATA", os.pathsep.join([str(tmp_path / "link/smoke/train"), f"{copy}/smoke/../smoke/train"])
    )
    assert listed(run) == LISTED
    text = page_text(open_page("predictions", run=run, data="smoke/validation"))
    assert "(validation split of this run)" in text
    assert "on 32 validation videos of smoke/validation" in page_text(open_page(run=run))
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "link"))
    assert listed(run) == LISTED


@pytest.mark.fault
def test_missing_data_of_a_run_are_reported_with_the_command(copy_run: CopyRun, tmp_path: Path) -> None:
    folder = copy_run("mine", MEAN_RUN)
    config = folder / "config.json"
    config.write_text(config.read_text().replace("smoke/validation", "gone/validation"))
    for page in DATA_PAGES:
        at = open_page(page, run="mine", data="gone/validation")
        assert "no file matches" in error_text(at)
        assert f"yt8m relocate {folder} --validation DATA" in error_text(at).replace("'", "")
        assert "Traceback" not in error_text(at)
