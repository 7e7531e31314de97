from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from tests.support.tiny import CLASSES, tiny_experiment, write_tiny
from yt8m_core.data.loader import Batch
from yt8m_core.data.vocabulary import unnamed_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.inference.evaluation import open_run_data, score_batches
from yt8m_core.inference.prediction import Prediction, predict, predict_video
from yt8m_core.inference.prediction_files import write_predictions
from yt8m_core.inference.score_files import open_score_file
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("tiny")
    return train(tiny_experiment(root, pooling=Slot("indirect_clustering")), root / "run")


def test_ranking_sorts_by_probability_then_label_and_marks_true_labels() -> None:
    p = np.array([0.1, 0.5, 0.5, 0.9], np.float32)
    table = Prediction(p, p / 2, None).ranking(unnamed_vocabulary(4), (2, 0))
    assert list(table["label"]) == [3, 1, 2, 0]
    assert list(table["rank"]) == [1, 2, 3, 4]
    assert list(table["true"]) == [False, False, True, True]
    np.testing.assert_array_equal(table["classified"], p[[3, 1, 2, 0]] / 2)
    assert Prediction(p, p, None).ranking(unnamed_vocabulary(4))["true"].isna().all()
    assert not Prediction(p, p, None).ranking(unnamed_vocabulary(4), ())["true"].any()


def test_prediction_of_a_video_equals_the_model_output(run: Run) -> None:
    model, videos = run.load_model(), open_run_data(run, run.experiment.data.validation)
    prediction = predict_video(model, videos.frames(3))
    scores, trace = model(torch.from_numpy(videos.frames(3))[None], torch.tensor([videos.num_frames[3]]))
    np.testing.assert_array_equal(prediction.probabilities, scores.p[0].numpy())
    assert prediction.attention is not None
    assert trace.attention is not None
    np.testing.assert_array_equal(prediction.attention, trace.attention[0].numpy())
    assert prediction.attention.sum() == pytest.approx(1, abs=1e-5)


def test_csv_has_the_top_labels_of_every_video_without_true_labels(run: Run, tmp_path: Path) -> None:
    model, test = run.load_model(), write_tiny(tmp_path / "test", 9, seed=4, labeled=False)
    videos = open_run_data(run, test)
    write_predictions(score_batches(model, videos), videos, tmp_path / "out" / "p.csv")
    header, *rows = (tmp_path / "out" / "p.csv").read_text().splitlines()
    assert header == "VideoId,LabelConfidencePairs"
    assert [row.split(",")[0] for row in rows] == videos.ids
    for video, row in enumerate(rows):
        numbers = row.split(",")[1].split(" ")
        labels, confidences = [int(n) for n in numbers[::2]], [float(n) for n in numbers[1::2]]
        p = predict_video(model, videos.frames(video)).probabilities
        assert labels == sorted(range(CLASSES), key=lambda label: (-p[label], label))
        np.testing.assert_allclose(confidences, p[labels], rtol=1e-4)


def test_previous_csv_stays_when_a_new_one_fails(run: Run, tmp_path: Path) -> None:
    videos = open_run_data(run, run.experiment.data.validation)
    output = tmp_path / "p.csv"
    output.write_text("before")

    def fail_at_the_end() -> Iterator[tuple[Batch, Tensor]]:
        yield from score_batches(run.load_model(), videos)
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        write_predictions(fail_at_the_end(), videos, output)
    assert [file.name for file in tmp_path.iterdir()] == ["p.csv"]
    assert output.read_text() == "before"


def test_parquet_has_all_scores_of_every_video(run: Run, tmp_path: Path) -> None:
    model, videos = run.load_model(), open_run_data(run, run.experiment.data.validation)
    write_predictions(score_batches(model, videos), videos, tmp_path / "p.parquet")
    table = pd.read_parquet(tmp_path / "p.parquet")
    assert list(table["id"]) == videos.ids
    expected = torch.cat([p for _, p in score_batches(model, videos)]).numpy()
    np.testing.assert_array_equal(np.stack(table["scores"]), expected)


def test_unknown_file_type_is_refused(run: Run, tmp_path: Path) -> None:
    videos = open_run_data(run, run.experiment.data.validation)
    with pytest.raises(UserError, match=r"p\.json: unknown file type '\.json'.*Known: \.csv, \.parquet"):
        write_predictions(score_batches(run.load_model(), videos), videos, tmp_path / "p.json")
    assert not list(tmp_path.iterdir())


def test_threshold_selects_all_labels_at_or_above_it_in_descending_order(run: Run, tmp_path: Path) -> None:
    model, videos = run.load_model(), open_run_data(run, run.experiment.data.validation)
    p = torch.cat([p for _, p in score_batches(model, videos)]).numpy()
    thresholds = np.linspace(0.05, 0.6, CLASSES)
    thresholds[2] = p[5, 2]  # a score at its threshold counts
    thresholds[3] = 1.0  # a label that is never predicted
    for suffix in (".csv", ".parquet"):
        write_predictions(score_batches(model, videos), videos, tmp_path / f"p{suffix}", thresholds)
    table = pd.read_parquet(tmp_path / "p.parquet")
    lines = (tmp_path / "p.csv").read_text().splitlines()[1:]
    assert list(table["id"]) == [line.split(",")[0] for line in lines] == videos.ids
    for video, line in enumerate(lines):
        order = sorted(range(CLASSES), key=lambda label: (-p[video, label], label))
        expected = [label for label in order if float(p[video, label]) >= thresholds[label]]
        numbers = line.split(",")[1].split()
        assert [int(label) for label in numbers[::2]] == table["labels"][video].tolist() == expected
        np.testing.assert_array_equal(table["scores"][video], p[video, expected])
    assert 2 in table["labels"][5]
    assert len({len(labels) for labels in table["labels"]}) > 1


def test_threshold_may_select_no_label_or_more_than_the_top_labels(run: Run, tmp_path: Path) -> None:
    validation = run.experiment.data.validation
    for threshold, labels in ((1.0, 0), (0.0, CLASSES)):
        predict(run, validation, tmp_path / "p.csv", threshold=threshold)
        predict(run, validation, tmp_path / "p.parquet", threshold=threshold)
        lines = (tmp_path / "p.csv").read_text().splitlines()[1:]
        assert {len(line.split(",")[1].split()) for line in lines} == {2 * labels}
        assert {len(row) for row in pd.read_parquet(tmp_path / "p.parquet")["labels"]} == {labels}


def test_parquet_of_selected_labels_is_not_a_member_of_an_ensemble(run: Run, tmp_path: Path) -> None:
    validation = run.experiment.data.validation
    predict(run, validation, tmp_path / "p.parquet", threshold=0.5)
    with pytest.raises(UserError, match=r"p\.parquet: found scores of type list.*expected 6 numbers per video"):
        open_score_file(tmp_path / "p.parquet", open_run_data(run, validation), CLASSES)


def test_unknown_threshold_is_an_error(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown threshold 'calibratd'\. Did you mean 'calibrated'"):
        predict(run, run.experiment.data.validation, tmp_path / "p.csv", threshold="calibratd")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="threshold: found nan"):
        predict(run, run.experiment.data.validation, tmp_path / "p.csv", threshold=float("nan"))
    assert not list(tmp_path.iterdir())


@pytest.mark.fault
def test_scores_that_are_not_finite_and_folders_are_not_written(run: Run, tmp_path: Path) -> None:
    model, videos = run.load_model(), open_run_data(run, run.experiment.data.validation)
    for parameter in model.parameters():
        parameter.fill_(3e38)  # finite, but their products are not
    with pytest.raises(UserError, match="not finite"):
        write_predictions(score_batches(model, videos), videos, tmp_path / "p.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match=r"folder\.csv: found a folder; expected a \.csv or"):
        predict(run, run.experiment.data.validation, tmp_path / "folder.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]
