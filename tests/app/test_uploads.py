"""Tests of several uploaded files at once on the predictions page."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_predictions import label_option, run_scores
from tests.support.pages import charts, error_text, first_video, npy, npz, open_page, page_text
from yt8m_core.data.dataset import open_videos

FILES = "predictions"
Files = list[tuple[str, bytes]]


def upload_files(files: Files) -> AppTest:
    """Open the page and upload files."""
    at = open_page(FILES, **{"from": "my file"})
    return set_files(at, files)


def set_files(at: AppTest, files: Files) -> AppTest:
    """Replace the uploaded files."""
    at.file_uploader(key="upload").set_value([(name, content, "") for name, content in files]).run()
    return at


def upload_table(at: AppTest) -> pd.DataFrame:
    """Return the table of the uploaded videos."""
    return next(table.value for table in at.main.dataframe if "file" in table.value)


def demo_file(home: Path, video: int, name: str) -> bytes:
    """Return a validation video as an .npz file."""
    frames = open_videos(home / "smoke" / "validation").frames(video)
    return npz(rgb=frames[:, :1024], audio=frames[:, 1024:], id=name)


def test_each_file_has_a_row_with_its_top_labels(demo_home: Path) -> None:
    at = upload_files([(f"{video}.npz", demo_file(demo_home, video, f"mine {video}")) for video in (0, 5)])
    assert error_text(at) == ""
    table = upload_table(at)
    assert "**2 videos**" in page_text(at)
    assert table["file"].tolist() == ["0.npz", "5.npz"]
    assert table["video"].tolist() == ["mine 0", "mine 5"]
    videos = open_videos(demo_home / "smoke" / "validation")
    assert table["seconds"].tolist() == videos.num_frames[[0, 5]].tolist()
    for row, video in enumerate((0, 5)):
        p = run_scores(demo_home).probabilities[video]
        top = int(p.argmax())
        assert table["top"].iloc[row].startswith(f"{label_option(demo_home, top).split(' · ')[0]} {p[top]:.3f}")
    assert table["features"].tolist() == ["✓ ok", "✓ ok"]
    assert "Top labels of video mine 0" in charts(at)[0]
    at.selectbox(key="video_of_file").select("2. mine 5").run()
    assert "Top labels of video mine 5" in charts(at)[0]


@pytest.mark.fault
def test_error_in_one_file_is_its_row_and_the_others_are_predicted(demo_home: Path) -> None:
    at = upload_files([("bad.npz", b"not a zip file"), ("mine.npz", demo_file(demo_home, 0, "mine"))])
    table = upload_table(at)
    assert error_text(at) == ""
    assert "**1 video, 1 file cannot be read**" in page_text(at)
    assert table["error"].iloc[0].startswith("bad.npz: found a file of unknown type")
    assert pd.isna(table["error"].iloc[1])
    assert "Top labels of video mine" in charts(at)[0]


@pytest.mark.fault
def test_error_ends_when_its_file_is_removed(demo_home: Path) -> None:
    bad, good = ("bad.npz", b"not a zip file"), ("mine.npz", demo_file(demo_home, 0, "mine"))
    at = upload_files([bad])
    assert error_text(at).startswith("bad.npz")
    set_files(at, [bad, good])
    set_files(at, [good])
    assert error_text(at) == ""
    assert not [table for table in at.main.dataframe if "file" in table.value]
    assert charts(at)
    set_files(at, [bad])
    assert error_text(at).startswith("bad.npz")
    assert not charts(at)
    set_files(at, [])
    assert error_text(at) == ""
    assert "bad.npz" not in page_text(at)


def test_only_errors_show_a_table_and_no_predictions() -> None:
    at = upload_files([("a.npz", b"not a zip file"), ("b.npy", b"nothing")])
    assert "**0 videos, 2 files cannot be read**" in page_text(at)
    assert len(upload_table(at)) == 2
    assert not charts(at)


@pytest.mark.fault
def test_wrong_features_are_marked_in_the_table(demo_home: Path) -> None:
    _, frames, _ = first_video(demo_home)
    bytes_as_floats = frames.astype(np.float32)
    at = upload_files([("bytes.npy", npy(bytes_as_floats)), ("mine.npy", npy(frames))])
    assert upload_table(at)["features"].tolist() == ["✗ wrong", "✓ ok"]
    assert "These do not look like the features" in error_text(at)  # of the video that is open
    at.selectbox(key="video_of_file").select("2. mine").run()
    assert error_text(at) == ""


def test_notes_are_those_of_the_open_video(demo_home: Path) -> None:
    _, frames, _ = first_video(demo_home)
    at = upload_files([("rgb.npy", npy(frames[:, :1024])), ("mine.npy", npy(frames))])
    assert "has no 'audio'" in page_text(at)
    at.selectbox(key="video_of_file").select("2. mine").run()
    assert "has no 'audio'" not in page_text(at)


def test_first_videos_of_many_are_predicted(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from views.predictions import uploads

    monkeypatch.setattr(uploads, "MAX_PREDICTED", 3)
    monkeypatch.setattr(uploads, "MAX_FILES", 4)
    at = upload_files([(f"{video}.npz", demo_file(demo_home, video, f"mine {video}")) for video in range(5)])
    assert upload_table(at)["top"].notna().tolist() == [True, True, True, False]
    assert "Only the first 4 of 5 files are read" in page_text(at)
    at.selectbox(key="video_of_file").select("4. mine 3").run()
    assert "Top labels of video mine 3" in charts(at)[0]


@pytest.mark.fault
def test_open_video_stays_open_when_another_file_is_removed(demo_home: Path) -> None:
    files = [(f"{video}.npz", demo_file(demo_home, video, "good")) for video in (0, 5, 7)]
    at = upload_files(files)
    at.selectbox(key="video_of_file").select("2. good").run()
    before = charts(at)[0]
    set_files(at, files[1:])
    assert at.selectbox(key="video_of_file").value == "1. good"
    assert charts(at)[0] == before
    set_files(at, files[2:] + files[:1])  # it is removed, too
    assert at.selectbox(key="video_of_file").value == "1. good"
    assert charts(at)[0] != before
    set_files(at, [*files, files[1]])  # the same file twice
    at.selectbox(key="video_of_file").select("4. good").run()
    assert at.selectbox(key="video_of_file").value == "4. good"
    assert charts(at)[0] == before
