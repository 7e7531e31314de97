"""calibration.json: written, read and refused."""

import json
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiny import CLASSES, tiny_experiment
from yt8m_core.errors import UserError
from yt8m_core.runs.calibration_file import (
    F1,
    BandError,
    Bin,
    Calibration,
    Temperature,
    read_calibration,
    write_calibration,
)
from yt8m_core.training.loop import train

CALIBRATION = Calibration(
    data="/data",
    chosen_on=20,
    measured_on=22,
    training_videos=0,
    target_precision=0.0,
    temperatures=[Temperature("scores", 1.5)],
    errors=[BandError("scores", "before", "head", 2, 9, 0.25, 0.1, 0.05, 0.15, 0.02)],
    bins=[Bin("scores", "before", "head", 40, 0.5, 0.25, 0.125, 0.375)],
    f1=[F1("global", "micro", 0.5, 0.6, 0.55, 0.5, 0.6, -0.1, -0.2, 0.0)],
    global_threshold=0.25,
    own_thresholds=1,
    thresholds=[0.25] * (CLASSES - 1) + [0.3],
)


def test_calibration_that_was_written_is_read(tmp_path: Path) -> None:
    file = write_calibration(tmp_path, CALIBRATION)
    assert file == tmp_path / "calibration.json"
    opened = read_calibration(tmp_path, CLASSES)
    assert opened == CALIBRATION
    assert opened.label_thresholds.tolist() == CALIBRATION.thresholds
    assert opened.table("errors").to_dict("records")[0]["ece"] == 0.1
    assert list(replace(opened, bins=[]).table("bins"))[:3] == ["output", "stage", "band"]
    assert [found.name for found in tmp_path.iterdir()] == ["calibration.json"]


def test_missing_calibration_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no calibration\. Run `yt8m calibrate` on labeled videos"):
        read_calibration(tmp_path, CLASSES)


def test_description_names_the_data_and_training_videos() -> None:
    text = "Temperatures and thresholds chosen on 20 videos of /data"
    assert CALIBRATION.description == text
    assert replace(CALIBRATION, training_videos=-1).description == text
    assert replace(CALIBRATION, training_videos=7).description == f"{text}, 7 of all videos from the training data"


@pytest.mark.fault
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["format"], 2, "found another format; expected format 1"),
        (["chosen_on"], 0, "chosen_on"),
        (["measured_on"], 2.5, "measured_on"),
        (["training_videos"], -2, "training_videos"),
        (["own_thresholds"], CLASSES + 1, "own_thresholds"),
        (["data"], 3, "data"),
        (["target_precision"], 1.5, "target_precision"),
        (["global_threshold"], float("nan"), "global_threshold"),
        (["thresholds"], [0.5], "1 thresholds; expected 6"),
        (["thresholds"], "x", "thresholds"),
        (["thresholds", 2], "0.5", "thresholds, 2"),
        (["thresholds", 2], -0.1, "thresholds, 2"),
        (["thresholds", 2], float("inf"), "thresholds, 2"),
        (["temperatures", 0, "temperature"], 0.0, "temperature"),
        (["temperatures", 0, "temperature"], float("inf"), "temperature"),
        (["temperatures", 0, "output"], "none", "output"),
        (["temperatures", 0], 3, "temperatures, 0"),
        (["errors", 0, "band"], "neck", "band"),
        (["errors", 0, "labels"], True, "labels"),
        (["errors", 0, "ece"], 1.1, "errors, 0, ece"),
        (["bins", 0, "pairs"], -1, "bins, 0, pairs"),
        (["bins", 0, "high"], None, "high"),
        (["f1", 0, "gain"], -1.5, "f1, 0, gain"),
        (["f1", 0, "f1"], float("nan"), "f1, 0, f1"),
        (["more"], 1, "unknown entry 'more'"),
    ],
)
def test_invalid_calibration_is_refused(tmp_path: Path, path: list[Any], value: object, message: str) -> None:
    file = write_calibration(tmp_path, CALIBRATION)
    values = json.loads(file.read_text())
    place = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file.write_text(json.dumps(values))
    with pytest.raises(UserError, match=rf"calibration\.json.*{message}.*Run `yt8m calibrate`"):
        read_calibration(tmp_path, CLASSES)


@given(st.data())
def test_damaged_bytes_are_read_or_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = write_calibration(Path(name), CALIBRATION)
        content = bytearray(file.read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        content[position : position + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
        file.write_bytes(content)
        with suppress(UserError):
            assert len(read_calibration(Path(name), CLASSES).label_thresholds) == CLASSES


@pytest.mark.parametrize("content", ["", "[]", "{", "\ud800"])
def test_file_that_is_no_json_object_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "calibration.json").write_text(content, errors="surrogatepass")
    with pytest.raises(UserError, match=r"calibration\.json"):
        read_calibration(tmp_path, CLASSES)


@pytest.mark.fault
def test_training_deletes_the_calibration_of_previous_weights(tmp_path: Path) -> None:
    run = train(tiny_experiment(tmp_path), tmp_path / "run")
    write_calibration(run.path, CALIBRATION)
    assert run.calibration == CALIBRATION
    train(run.experiment, run.path)  # finished: nothing is trained
    assert run.calibration == CALIBRATION
    (run.path / "metrics.json").unlink()
    train(run.experiment, run.path)
    assert not (run.path / "calibration.json").exists()
