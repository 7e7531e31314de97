"""Where in the video a label is: on the Predictions page, and the best segments on the Label page."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.pages import ATTENTION_RUN, MEAN_RUN, charts, error_text, npz, open_page, page_text, tables
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.segments import Segments
from yt8m_core.explain.localization import score_segments
from yt8m_core.explain.segment_table import attention_agreement, segment_table
from yt8m_core.inference.evaluation import score_batches
from yt8m_core.runs.run import Run

DATA = "smoke-segments/validate"


@pytest.fixture
def rated(demo_home: Path) -> Segments:
    return Segments(open_videos(demo_home / "smoke-segments" / "validate"), "rated")


def test_scores_of_segments_equal_those_of_the_data_set(demo_home: Path) -> None:
    run = Run.open(demo_home / "runs" / ATTENTION_RUN)
    videos = open_videos(demo_home / "smoke" / "validation")
    segments, model = Segments(videos, "all"), run.load_model()
    own = np.flatnonzero(segments.parents == 3)
    expected = np.concatenate([p.numpy() for _, p in score_batches(model, segments, [own])])
    np.testing.assert_allclose(score_segments(model, videos.frames(3)), expected, atol=1e-6)


def test_table_sums_the_attention_of_each_segment() -> None:
    attention = np.arange(12, dtype=np.float32) / 66
    table = segment_table(np.float32([0.1, 0.3, 0.2]), 12, attention)
    assert table[["start", "end"]].to_numpy().tolist() == [[0, 5], [5, 10], [10, 12]]
    np.testing.assert_allclose(table["attention"], [10 / 66, 35 / 66, 21 / 66])
    assert attention_agreement(table) == 0.5  # ranks 1, 3, 2 of the scores against 1, 2, 3 of the weight per frame
    assert attention_agreement(table.drop(columns="attention")) is None
    assert attention_agreement(table.assign(probability=0.5)) is None


@pytest.mark.parametrize(("run", "has_attention"), [(ATTENTION_RUN, True), (MEAN_RUN, False)])
def test_predictions_page_shows_scores_ratings_and_attention_over_time(
    rated: Segments, run: str, has_attention: bool
) -> None:
    row = int(np.flatnonzero(np.diff(rated.label_offsets))[0])  # rated as present
    video, label = rated.videos.id(int(rated.parents[row])), int(rated.labels(row)[0])
    at = open_page("predictions", run=run, data=DATA, video=video)
    at.selectbox(key="label").select_index(label).run()
    assert error_text(at) == ""
    assert "Where in the video" in page_text(at)
    (chart,) = (spec for spec in charts(at) if "probability in the segment" in spec)
    assert "rated present" in chart
    assert "in the whole video" in chart
    assert ("attention of the segment" in chart) == has_attention
    assert "main scene" in chart  # the truth of the demo world
    assert "Top labels from" in page_text(at)
    assert any(list(table.columns) == ["name", "segment", "video"] for table in tables(at))


def test_uploaded_video_has_segments_and_no_ratings(demo_home: Path, rated: Segments) -> None:
    at = open_page("predictions", run=MEAN_RUN, **{"from": "my file"})
    frames = rated.videos.frames(0)
    at.file_uploader[0].upload("clip.npz", npz(rgb=frames[:, :1024], audio=frames[:, 1024:]), "application/zip").run()
    assert error_text(at) == ""
    (chart,) = (spec for spec in charts(at) if "probability in the segment" in spec)
    assert "rated" not in chart


def test_video_of_one_segment_has_no_section(demo_home: Path, rated: Segments) -> None:
    at = open_page("predictions", run=MEAN_RUN, **{"from": "my file"})
    frames = rated.videos.frames(0)[:5]
    at.file_uploader[0].upload("clip.npz", npz(rgb=frames[:, :1024], audio=frames[:, 1024:]), "application/zip").run()
    assert error_text(at) == ""
    assert "Where in the video" not in page_text(at)


def test_best_segments_of_a_label_lead_to_their_videos(demo_home: Path) -> None:
    run = Run.open(demo_home / "runs" / MEAN_RUN)
    option = f"{run.vocabulary.name(0)} · 0"
    at = open_page("label", run=MEAN_RUN, data=DATA, label=option)
    assert "probability" not in "".join(link.label for link in at.get("page_link") if " s, " in link.label)
    at = open_page("label", run=MEAN_RUN, data=DATA, label=option, **{"segments of": "best segments"})
    assert error_text(at) == ""
    links = [link.label for link in at.get("page_link") if " s, probability" in link.label]
    assert len(links) == 10
    scores = [float(text.split("probability ")[1][:6]) for text in links]
    assert scores == sorted(scores, reverse=True)
