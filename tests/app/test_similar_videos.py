"""Tests of the similar videos on the predictions page, compared with a plain computation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_predictions import label_option, run_scores
from tests.support.pages import MEAN_RUN, error_text, first_video, npz, open_page, page_text
from tests.support.shards import Content, write
from yt8m_core.data.dataset import open_videos
from yt8m_core.runs.run import Run


def open_similar(**query: str) -> AppTest:
    """Open the predictions page with the section open."""
    at = open_page("predictions", **{"run": MEAN_RUN, **query}).run()
    at.session_state["similar videos"] = True
    return at.run()


def similar(at: AppTest) -> pd.DataFrame:
    """Return the table of similar videos."""
    return next(table.value for table in at.main.dataframe if "similarity" in table.value)


def nearest(vectors: np.ndarray, query: np.ndarray, exclude: int | None) -> list[int]:
    """Return the positions of the 20 nearest vectors by cosine, with a plain loop."""
    cosine = {
        video: float(vector @ query / np.linalg.norm(vector) / np.linalg.norm(query))
        for video, vector in enumerate(vectors.astype(np.float64))
        if video != exclude
    }
    return sorted(cosine, key=lambda video: -cosine[video])[:20]


def test_nothing_is_computed_while_the_section_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.videos.vectors", lambda *arguments: pytest.fail("computed"))
    at = open_page("predictions", run=MEAN_RUN)
    assert error_text(at) == ""
    assert "Similar videos" in [expander.label for expander in at.expander]


def test_nearest_by_scores_with_labels_and_rank(demo_home: Path) -> None:
    scores, videos = run_scores(demo_home, MEAN_RUN), open_videos(demo_home / "smoke" / "validation")
    at = open_similar(similar_by="scores", video=videos.id(4), label=label_option(demo_home, 3))
    assert error_text(at) == ""
    table = similar(at)
    expected = nearest(scores.probabilities, scores.probabilities[4].astype(np.float64), 4)
    assert table["id"].tolist() == [videos.id(video) for video in expected]
    assert table["similarity"].is_monotonic_decreasing
    own, other = set(videos.labels(4).tolist()), set(videos.labels(expected[0]).tolist())
    for column, labels in (("shared", own & other), ("only_video", own - other), ("only_neighbor", other - own)):
        names = [label_option(demo_home, label).split(" · ")[0] for label in sorted(labels)]
        assert table[column].iloc[0] == ", ".join(names)
    for row, video in enumerate(expected):
        p = scores.probabilities[video]
        order = sorted(range(len(p)), key=lambda label: (-p[label], label))
        assert table["rank"].iloc[row] == order.index(3) + 1


def test_nearest_by_pooled_frames(demo_home: Path) -> None:
    import torch

    videos, model = (
        open_videos(demo_home / "smoke" / "validation"),
        Run.open(demo_home / "runs" / MEAN_RUN).load_model(),
    )
    vectors = []
    for video in range(32):
        frames = torch.from_numpy(videos.frames(video))[None]
        with torch.inference_mode():
            vectors.append(model.summarize(frames, torch.tensor([frames.shape[1]])).vector[0].numpy())
    at = open_similar(video=videos.id(4))
    expected = nearest(np.stack(vectors), vectors[4].astype(np.float64), 4)
    assert similar(at)["id"].tolist() == [videos.id(video) for video in expected]


@pytest.mark.parametrize("kind", ["pooled frames", "scores"])
def test_file_is_nearest_to_the_same_video_of_the_data_set(demo_home: Path, kind: str) -> None:
    video_id, frames, _ = first_video(demo_home)
    at = open_page("predictions", **{"from": "my file", "run": MEAN_RUN, "similar_by": kind})
    at.file_uploader(key="upload").upload(
        "mine.npz", npz(rgb=frames[:, :1024], audio=frames[:, 1024:], id="mine")
    ).run()
    at.session_state["similar videos"] = True
    at.run()
    assert error_text(at) == ""
    table = similar(at)
    assert table["id"].iloc[0] == video_id
    assert table["similarity"].iloc[0] == pytest.approx(1, abs=1e-3)
    assert "shared" not in table  # its labels are unknown


def test_single_video_and_videos_without_labels(
    tmp_path: Path, demo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frames, _ = first_video(demo_home)
    contents = [
        Content(f"abc{i}", None, {"rgb": frames[i : i + 3, :1024], "audio": frames[i : i + 3, 1024:]}) for i in range(3)
    ]
    write(tmp_path / "test" / "a.tfrecord", *contents)
    write(tmp_path / "one" / "a.tfrecord", contents[0])
    monkeypatch.setenv("YT8M_DATA", f"{tmp_path / 'test'}:{tmp_path / 'one'}")
    at = open_similar(data=f"{tmp_path.name}/test")
    assert error_text(at) == ""
    assert sorted(similar(at)["id"]) == ["abc1", "abc2"]
    at = open_similar(data=f"{tmp_path.name}/one")
    assert "There is no other video in this data set" in page_text(at)
