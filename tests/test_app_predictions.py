"""The page of predictions, of a video of the data set or out of a file."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages import (
    Controls,
    at_id,
    changes,
    charts,
    choose,
    controls,
    faults,
    first_video,
    npy,
    npz,
    opened,
    select_last,
    words,
)
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.vocabulary import read_vocabulary

pytestmark = pytest.mark.usefixtures("demo_app")
PAGE = "predictions"

CONTROLS: Controls = {
    "run": select_last("run"),
    "data": select_last("data"),
    "video": select_last("video"),
    "label": select_last("label"),
    "from": choose("from", "my file"),
}


def test_predictions_say_what_was_found_and_what_was_missed(demo_home: Path) -> None:
    at = opened("predictions")
    _, _, labels = first_video(demo_home)
    best = at.dataframe[-1].value
    assert len(best) == 20
    assert best["probability"].is_monotonic_decreasing
    assert best["rank"].tolist() == list(range(1, 21))
    found = int(best["true"].sum())
    assert f"**{found} of {len(labels)}** true labels are among the best 20" in words(at)
    missed = at.dataframe[0].value if found < len(labels) else []
    assert len(missed) == len(labels) - found


def test_label_looked_up_says_whether_it_is_true(demo_home: Path) -> None:
    vocabulary = read_vocabulary(demo_home / "smoke" / "vocabulary.csv")
    video, _, true = first_video(demo_home)
    false = next(label for label in range(vocabulary.num_classes) if label not in true)
    at = opened("predictions")
    assert at.selectbox(key="video").value == video
    for label, ending in ((true[0], ", and a true label."), (false, ".")):
        at.selectbox(key="label").select(f"{vocabulary.name(label)} · {label}").run()
        (sentence,) = [
            line for line in words(at).splitlines() if line.startswith(f"**{vocabulary.name(label)}** is at")
        ]
        assert re.fullmatch(r".* is at rank \d+ of 120, probability 0\.\d{4}" + re.escape(ending), sentence)


def upload(name: str, content: bytes, **query: str) -> AppTest:
    at = opened("predictions", **{"from": "my file", **query})
    at.file_uploader(key="upload").upload(name, content).run()
    return at


def test_uploaded_video_of_the_data_set_is_predicted_as_there(demo_home: Path) -> None:
    video_id, frames, labels = first_video(demo_home)
    at = upload("mine.npz", npz(rgb=frames[:, :1024], audio=frames[:, 1024:], labels=labels, id=video_id))
    assert faults(at) == ""
    assert "your file" in charts(at)[0]
    there = opened("predictions")
    assert at.dataframe[-1].value.equals(there.dataframe[-1].value)


def test_example_file_can_be_uploaded(demo_home: Path) -> None:
    import state

    example = state.example_file(open_videos(demo_home / "smoke" / "validation"), 2)
    at = upload("example.npz", example)
    assert faults(at) == ""
    assert not at.warning
    assert at.dataframe[-1].value.equals(opened("predictions", video=at_id(demo_home, 2)).dataframe[-1].value)


def test_file_of_several_videos_has_a_picker(demo_home: Path) -> None:
    shard = next((demo_home / "smoke" / "validation").glob("*.tfrecord"))
    at = upload("mine.tfrecord", shard.read_bytes())
    assert faults(at) == ""
    before = charts(at)
    select_last("video_of_file")(at).run()
    assert charts(at) != before


def test_notes_about_a_file_are_shown(demo_home: Path) -> None:
    _, frames, _ = first_video(demo_home)
    at = upload("mine.npy", npy(frames[:, :1024]))
    assert "has no 'audio'" in words(at)
    assert "true labels of this video are not known" in words(at)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("random.npz", np.random.default_rng(0).bytes(5000)),
        ("random.tfrecord", np.random.default_rng(1).bytes(5000)),
        ("pickle.npz", pickle.dumps({"rgb": [1, 2, 3]})),
        ("objects.npy", npy(np.array([{"rgb": 1}], dtype=object))),
        ("empty.npz", b""),
        ("names.npz", npz(**{"**bold** [link](http://localhost)": np.zeros(3)})),
        ("wide.npy", npy(np.zeros((4, 7), np.uint8))),
        ("big.npy", bytes(21 << 20)),
    ],
)
def test_file_that_cannot_be_used_is_refused_in_a_sentence(name: str, content: bytes) -> None:
    at = upload(name, content)
    assert faults(at).startswith(name)
    assert not charts(at)
    if name == "names.npz":
        assert r"\*\*bold\*\* \[link\]" in at.error[0].value


def test_real_video_is_predicted_by_a_run_with_other_labels(real_data: Path) -> None:
    at = upload("SjJ3.npz", (real_data / "frame-level" / "SjJ3.npz").read_bytes())
    assert faults(at) == ""
    assert "different sets of labels: the run knows the 120 made-up labels of the demo world" in words(at)
    assert "whose labels are 11, is no video of it" in words(at)
    assert "true labels of this video are not known" in words(at)
    assert "video SjJ3" in charts(at)[0]
    assert len(at.dataframe[-1].value) == 20


def test_labels_that_the_run_does_not_know_are_told_and_predictions_shown(demo_home: Path) -> None:
    _, frames, _ = first_video(demo_home)
    at = upload("mine.npz", npz(rgb=frames[:, :1024], audio=frames[:, 1024:], labels=np.array([11, 3861])))
    assert faults(at) == ""
    assert "different sets of labels: the file gives 11, 3861, and the run knows 0 to 119" in words(at)
    assert "true labels of this video are not known" in words(at)
    assert len(at.dataframe[-1].value) == 20


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes(PAGE, CONTROLS[control])


def test_every_control_is_among_those_tested() -> None:
    assert controls(opened(PAGE)) - set(CONTROLS) <= set()
