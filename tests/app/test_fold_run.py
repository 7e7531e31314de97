"""Runs on a fold of their training data, which have no validation data of their own."""

import json
from pathlib import Path

from tests.app.conftest import CopyRun
from tests.support.pages import error_text, open_page, page_text


def make_fold_run(copy_run: CopyRun) -> Path:
    """Add a run that claims to have been trained outside the fold 1/5 of its training data."""
    folder = copy_run("fold")
    config = json.loads((folder / "config.json").read_text())
    config["experiment"]["data"] |= {"validation": "", "fold": "1/5"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_overview_tells_the_fold_that_a_run_was_measured_on(copy_run: CopyRun, demo_home: Path) -> None:
    make_fold_run(copy_run)
    at = open_page(run="fold")
    assert error_text(at) == ""
    assert f"on 32 validation videos of fold 1/5 of {demo_home / 'smoke' / 'train'}" in page_text(at)


def test_data_sets_of_a_fold_run_are_its_training_data_only(copy_run: CopyRun) -> None:
    make_fold_run(copy_run)
    options = open_page(run="fold").selectbox(key="data").options
    assert sorted(options) == ["smoke-segments/validate", "smoke/train", "smoke/validation"]


def test_training_data_of_a_fold_run_are_seen_outside_the_fold(copy_run: CopyRun) -> None:
    make_fold_run(copy_run)
    seen = "(training split of this run, so the run has seen its labels"
    text = page_text(open_page(run="fold", data="smoke/train"))
    assert f"{seen} outside fold 1/5)" in text
    assert f"{seen})" in page_text(open_page(data="smoke/train"))
    assert "split of this run" not in page_text(open_page(run="fold", data="smoke/validation"))
