"""What the kept best labels of a run say, against loops over the videos."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from yt8m_core.analysis.top_k_errors import found_by_band, hardest_video, most_confident_false_positive
from yt8m_core.labels.statistics import bands
from yt8m_core.runs.run import Run, find_runs

CLASSES = 9
LABELS = some.lists(some.integers(0, CLASSES - 1), max_size=5, unique=True)


@some.composite
def predictions(draw: some.DrawFn) -> pd.DataFrame:
    videos = []
    for number in range(draw(some.integers(1, 6))):
        best = draw(some.permutations(range(CLASSES)))[: draw(some.integers(1, 4))]
        scores = sorted(draw(some.lists(some.floats(0, 1), min_size=len(best), max_size=len(best))), reverse=True)
        videos.append((f"v{number}", np.array(best), np.array(scores, np.float32), np.array(sorted(draw(LABELS)))))
    return pd.DataFrame(videos, columns=["id", "labels", "scores", "true_labels"])


@given(predictions())
def test_findings_equal_loops(table: pd.DataFrame) -> None:
    missed, mistakes = [], []
    given_to, found = np.zeros(CLASSES, int), np.zeros(CLASSES, int)
    for video in table.itertuples():
        true, best = set(video.true_labels), set(video.labels)
        missed.append(len(true - best))
        for label in true:
            given_to[label] += 1
            found[label] += label in best
        if true:
            mistakes += [s for label, s in zip(video.labels, video.scores, strict=True) if label not in true]
    hardest = hardest_video(table)
    if max(missed) == 0:
        assert hardest is None
    else:
        assert hardest is not None
        assert hardest.id == f"v{missed.index(max(missed))}"
        assert hardest.labels - hardest.found == max(missed)
    surest = most_confident_false_positive(table)
    assert (surest is None) == (not mistakes)
    if surest is not None:
        video = table.set_index("id").loc[surest.id]
        assert surest.probability == max(mistakes)
        assert surest.label in video["labels"]
        assert surest.label not in video["true_labels"]
    table_of_bands = found_by_band(table, CLASSES)
    if not given_to.sum():
        assert table_of_bands.empty
        return
    band = bands(given_to)
    for row in table_of_bands.itertuples():
        mine = band == row.band
        assert (row.given, row.found) == (given_to[mine].sum(), found[mine].sum())
        assert row.share == pytest.approx(row.found / row.given)
    assert table_of_bands["given"].sum() == given_to.sum()


def test_findings_of_a_run(demo_home: Path) -> None:
    run = Run.open(find_runs(demo_home / "runs")[0])
    table = found_by_band(run.predictions, run.facts.num_classes)
    assert table["band"].tolist() == ["head", "mid", "tail"]
    assert table["given"].sum() == run.predictions["true_labels"].map(len).sum()
