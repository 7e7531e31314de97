from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.tiny import CLASSES, STREAMS, tiny_experiment, write_tiny
from yt8m_core.data.dataset import open_videos
from yt8m_core.errors import UserError
from yt8m_core.inference.evaluation import evaluate_model, open_run_data, score_batches
from yt8m_core.metrics.top_k import global_average_precision
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("tiny")
    return train(tiny_experiment(root), root / "run")


def test_metrics_equal_those_of_single_videos(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Single videos need no padding."""
    monkeypatch.setattr("yt8m_core.inference.evaluation.BATCH_SIZE", 7)
    model, videos = run.load_model(), open_run_data(run, run.experiment.data.validation)
    evaluation = evaluate_model(model, videos, num_classes=CLASSES)
    rows, truth = [], np.zeros((len(videos), CLASSES))
    for video in range(len(videos)):
        frames = torch.from_numpy(videos.frames(video))[None]
        rows.append(model(frames, torch.tensor([frames.shape[1]]))[0].p[0].numpy())
        truth[video, videos.labels(video)] = 1
    scores = np.stack(rows)
    assert evaluation.metrics["gap"] == pytest.approx(global_average_precision(scores, truth), abs=1e-6)
    assert evaluation.metrics["num_videos"] == len(videos)
    predictions = evaluation.predictions
    assert list(predictions["id"]) == videos.ids
    for video in range(len(videos)):
        labels = predictions["labels"][video]
        assert sorted(labels) == list(range(CLASSES))  # fewer than 20 classes: all of them
        np.testing.assert_allclose(predictions["scores"][video], scores[video][labels], atol=1e-6)
        assert (np.diff(predictions["scores"][video]) <= 0).all()
        assert list(predictions["true_labels"][video]) == list(videos.labels(video))


def test_stored_metrics_equal_a_new_evaluation(run: Run) -> None:
    videos = open_run_data(run, run.experiment.data.validation)
    counts = run.training_counts
    again = evaluate_model(run.load_model(), videos, num_classes=CLASSES, training_counts=counts)
    assert again.metrics == pytest.approx(run.metrics["validation"])


def test_model_stays_in_its_mode(run: Run) -> None:
    model, videos = run.load_model(), open_run_data(run, run.experiment.data.validation)
    evaluate_model(model.train(), videos, num_classes=CLASSES)
    assert model.training


def test_unlabeled_data_are_refused(run: Run, tmp_path: Path) -> None:
    test = write_tiny(tmp_path / "test", 4, seed=3, labeled=False)
    with pytest.raises(UserError, match=r"no video has labels.*yt8m predict"):
        evaluate_model(run.load_model(), open_run_data(run, test), num_classes=CLASSES)


def test_data_with_other_features_are_refused_with_both_schemas(run: Run, real_data: Path) -> None:
    other = Run(run.path, tiny_experiment(run.path.parent), run.facts)
    other.experiment.data.__dict__["streams"] = ()  # recognized from the data
    with pytest.raises(UserError, match=r"video-level features mean_rgb.*expected frame-level features rgb \(24\)"):
        open_run_data(other, real_data / "yt8m-2018-video" / "validate")


def test_labels_outside_the_runs_vocabulary_are_refused(run: Run, tmp_path: Path) -> None:
    from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard

    frames = {"rgb": np.zeros((2, 24), np.uint8), "audio": np.zeros((2, 8), np.uint8)}
    write_shard(tmp_path / "a.tfrecord", [encode_sequence_example({"id": b"x", "labels": [CLASSES]}, frames)])
    assert len(open_videos(tmp_path, streams=STREAMS)) == 1
    with pytest.raises(UserError, match=f"found label {CLASSES} of video 'x'; expected 0 to {CLASSES - 1}"):
        open_run_data(run, tmp_path)


def test_partial_iteration_over_scores_leaves_gradients_enabled(run: Run) -> None:
    scored = score_batches(run.load_model().requires_grad_(True), open_run_data(run, run.experiment.data.validation))
    _, p = next(scored)
    assert not p.requires_grad
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
