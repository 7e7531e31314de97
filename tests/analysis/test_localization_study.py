"""Comparison of localizers on rated segments, against MAP@K of the evaluation and the definition of the scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.rated_videos import write_rated
from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.analysis import localization_study
from yt8m_core.analysis.localization_study import compare_localizers, video_scores
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.segments import Segments
from yt8m_core.experiment import Data
from yt8m_core.inference.prediction import predict_video
from yt8m_core.inference.segment_evaluation import evaluate_segments
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("base")
    return train(replace(tiny_experiment(root), pooling=Slot("indirect_clustering")), root / "run")


def test_localizers_are_ranked_as_the_evaluation_ranks(
    base: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(localization_study, "RATES", (1e-4, 0.02))
    training = write_rated(tmp_path / "training", 300)
    validation = write_rated(tmp_path / "validation", 60, seed=4, prefix="v")
    data = Data(str(training), str(validation), streams=STREAMS, vocabulary=str(base.path / "vocabulary.csv"))
    study = compare_localizers(base, data, tmp_path / "runs", seeds=(0,))
    found = study.rows.set_index("localizer")["map"]
    runs = {localization_study.VIDEO_MODEL: base, localization_study.FINE_TUNED: study.fine_tuned}
    for name, run in runs.items():
        assert found[name] == pytest.approx(evaluate_segments(run, validation)["map_at_k"], abs=1e-12)
    assert found[localization_study.FINE_TUNED] > found[localization_study.VIDEO_MODEL]
    assert study.fine_tuned.experiment.training.learning_rate == 0.02
    differences = study.differences.set_index("localizer")["difference"]
    assert (found[differences.index] - found[localization_study.VIDEO_MODEL] - differences).abs().max() < 1e-12
    again = compare_localizers(base, data, tmp_path / "runs", seeds=(0,))
    assert again.fine_tuned.path == study.fine_tuned.path
    assert again.rows.equals(study.rows)


def test_attention_scores_are_shares_of_the_video(base: Run, tmp_path: Path) -> None:
    segments = Segments(open_videos(write_rated(tmp_path / "rated", 5), streams=STREAMS), "rated")
    whole, attention = video_scores(base, segments)
    assert attention is not None
    for row in range(len(segments)):
        video, start = int(segments.parents[row]), int(segments.starts[row])
        prediction = predict_video(base.load_model(), segments.videos.frames(video))
        assert prediction.attention is not None
        share = prediction.attention[start : start + 5].sum() / (5 / len(prediction.attention))
        assert whole[row] == pytest.approx(prediction.probabilities, rel=1e-6)
        assert attention[row] == pytest.approx(share * prediction.probabilities, rel=1e-5)
    assert len(np.unique(whole, axis=0)) == len(np.unique(segments.parents))
