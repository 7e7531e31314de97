"""Errors in the stored top predictions of a run, against loops over the videos."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yt8m_core.analysis.top_k_errors import hardest_video, most_confident_false_positive, recall_by_band
from yt8m_core.labels.statistics import bands
from yt8m_core.runs.run import Run, find_runs

CLASSES = 9
LABELS = st.lists(st.integers(0, CLASSES - 1), max_size=5, unique=True)


@st.composite
def predictions(draw: st.DrawFn) -> pd.DataFrame:
    videos = []
    for number in range(draw(st.integers(1, 6))):
        best = draw(st.permutations(range(CLASSES)))[: draw(st.integers(1, 4))]
        scores = sorted(draw(st.lists(st.floats(0, 1), min_size=len(best), max_size=len(best))), reverse=True)
        videos.append((f"v{number}", np.array(best), np.array(scores, np.float32), np.array(sorted(draw(LABELS)))))
    return pd.DataFrame(videos, columns=["id", "labels", "scores", "true_labels"])


@given(predictions())
def test_top_k_errors_match_loops(table: pd.DataFrame) -> None:
    missing, false_positives = [], []
    positives, found = np.zeros(CLASSES, int), np.zeros(CLASSES, int)
    for video in table.itertuples():
        true, best = set(video.true_labels), set(video.labels)
        missing.append(len(true - best))
        for label in true:
            positives[label] += 1
            found[label] += label in best
        if true:
            false_positives += [
                s for label, s in zip(video.labels, video.scores, strict=True) if label not in true and s > 0
            ]
    hardest = hardest_video(table)
    if max(missing) == 0:
        assert hardest is None
    else:
        assert hardest is not None
        assert hardest.id == f"v{missing.index(max(missing))}"
        assert hardest.labels - hardest.found == max(missing)
    most_confident = most_confident_false_positive(table)
    assert (most_confident is None) == (not false_positives)
    if most_confident is not None:
        video = table.set_index("id").loc[most_confident.id]
        assert most_confident.probability == max(false_positives)
        assert most_confident.label in video["labels"]
        assert most_confident.label not in video["true_labels"]
    by_band = recall_by_band(table, CLASSES)
    if not positives.sum():
        assert by_band.empty
        return
    band = bands(positives)
    for row in by_band.itertuples():
        members = band == row.band
        assert (row.positives, row.found) == (positives[members].sum(), found[members].sum())
        assert row.recall == pytest.approx(row.found / row.positives)
    assert by_band["positives"].sum() == positives.sum()


def test_recall_by_band_of_a_run(demo_home: Path) -> None:
    run = Run.open(find_runs(demo_home / "runs")[0])
    table = recall_by_band(run.predictions, run.facts.num_classes)
    assert table["band"].tolist() == ["head", "mid", "tail"]
    assert table["positives"].sum() == run.predictions["true_labels"].map(len).sum()
