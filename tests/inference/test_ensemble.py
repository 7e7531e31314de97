from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.support.tiny import CLASSES, tiny_experiment, write_tiny
from yt8m_core.data.vocabulary import unnamed_vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.inference.ensemble import Ensemble, average
from yt8m_core.inference.ensemble_comparison import Diversity
from yt8m_core.inference.evaluation import evaluate_model, open_run_data, score_batches
from yt8m_core.inference.prediction_files import write_predictions
from yt8m_core.metrics.top_k import global_average_precision
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="module")
def runs(root: Path) -> list[Run]:
    heads = {"moe": Slot("moe"), "logistic": Slot("logistic")}
    return [train(tiny_experiment(root, classification=head), root / name) for name, head in heads.items()]


def scores_of(run: Run) -> np.ndarray:
    videos = open_run_data(run, run.experiment.data.validation)
    return torch.cat([p for _, p in score_batches(run.load_model(), videos)]).double().numpy()


def write_parquet(run: Run, file: Path, change: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table) -> Path:
    """Write a run's scores in row groups of 7 videos, after a change."""
    videos = open_run_data(run, run.experiment.data.validation)
    write_predictions(score_batches(run.load_model(), videos), videos, file)
    schema = pq.read_schema(file)
    pq.write_table(pa.Table.from_pandas(change(pd.read_parquet(file)), schema, preserve_index=False), file, 7)
    return file


def test_average_equals_numpy() -> None:
    random = np.random.default_rng(0)
    scores, weights = random.uniform(0.01, 0.99, (3, 5, 4)), [2, 0.5, 1]
    tensors = [torch.from_numpy(p) for p in scores]
    mean = np.tensordot(np.array(weights) / 3.5, scores, 1)
    np.testing.assert_allclose(average(tensors, weights), mean, rtol=1e-12)
    logits = np.tensordot(np.array(weights) / 3.5, np.log(scores / (1 - scores)), 1)
    np.testing.assert_allclose(average(tensors, weights, "logit"), 1 / (1 + np.exp(-logits)), rtol=1e-12)
    confident = average([torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.5]])], [1, 1], "logit")
    assert (confident > 0).all()
    assert (confident < 1).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], "1 weights"),
        ([1, -1], "weights"),
        ([0, 0], "not all 0"),
        ([1, float("nan")], "weights"),
        ([1e308, 1e308], "a finite sum"),  # which would make all scores 0
    ],
)
def test_invalid_weights_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        average([torch.zeros(1, 1)] * 2, weights)
    with pytest.raises(UserError, match=r"unknown average 'logits'\. Did you mean 'logit'"):
        average([torch.zeros(1, 1)], [1], "logits")


def test_diversity_of_known_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yt8m_core.inference.ensemble_comparison.TOP_K", 2)
    first = torch.tensor([[0.9, 0.8, 0.1, 0.0], [0.1, 0.2, 0.7, 0.9]])
    second = torch.tensor([[0.9, 0.1, 0.8, 0.0], [0.0, 0.1, 0.9, 0.8]])
    diversity = Diversity()
    diversity.update(first[:1], second[:1])
    diversity.update(first[1:], second[1:])
    measures = diversity.compute()
    assert measures["overlap"] == pytest.approx((1 / 3 + 1) / 2)
    assert measures["same_best"] == 0.5
    x, y = [0.9, 0.8, 0.1, 0.7, 0.9], [0.9, 0.1, 0.8, 0.9, 0.8]
    assert measures["correlation"] == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_ensemble_averages_runs_and_files_by_video_id(runs: list[Run], tmp_path: Path) -> None:
    shuffled = write_parquet(runs[1], tmp_path / "b.parquet", lambda table: table.sample(frac=1, random_state=0))
    data = runs[0].experiment.data.validation
    ensemble = Ensemble.open([runs[0].path, shuffled], data, weights=[2, 1])
    comparison = ensemble.compare()
    means = torch.cat([p for _, p in ensemble.score(callback=comparison)]).numpy()
    members = [scores_of(run) for run in runs]
    np.testing.assert_allclose(means, (2 * members[0] + members[1]) / 3, rtol=1e-5)
    videos = ensemble.videos
    labels = np.array([np.isin(np.arange(CLASSES), videos.labels(video)) for video in range(len(videos))])
    table = comparison.members()
    assert list(table["member"]) == [str(runs[0].path), str(shuffled), "ensemble"]
    for gap, scores in zip(table["gap"], [*members, means], strict=True):
        assert gap == pytest.approx(global_average_precision(scores, labels, k=CLASSES))
    metrics = evaluate_model(runs[0].load_model(), videos, num_classes=CLASSES).metrics
    assert table.iloc[0].drop("member").to_dict() == pytest.approx(metrics)


def test_run_and_its_own_file_agree_completely(runs: list[Run], tmp_path: Path) -> None:
    data = runs[0].experiment.data.validation
    ensemble = Ensemble.open([runs[0].path, write_parquet(runs[0], tmp_path / "a.parquet")], data)
    comparison = ensemble.compare()
    list(ensemble.score(callback=comparison))
    (row,) = comparison.diversity().to_dict("records")
    assert [row[name] for name in ("overlap", "same_best", "correlation")] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.iloc[3:],
            r"a\.parquet: found 3 videos that are missing, the first of them '020000'; expected.*40",
        ),
        (lambda t: pd.concat([t, t[:2].assign(id=["x", "y"])]), r"2 videos that are not in the data set, .* 'x'"),
        (lambda t: pd.concat([t, t[:1]]), r"duplicate video '020000'"),
    ],
)
def test_file_of_other_videos_is_refused(
    runs: list[Run], tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    file = write_parquet(runs[0], tmp_path / "a.parquet", change)
    with pytest.raises(UserError, match=message):
        Ensemble.open([runs[1].path, file], runs[0].experiment.data.validation)


def test_invalid_members_are_refused(runs: list[Run], tmp_path: Path) -> None:
    data = runs[0].experiment.data.validation
    file = write_parquet(runs[0], tmp_path / "a.parquet")
    with pytest.raises(UserError, match="no run among the members"):
        Ensemble.open([file], data)
    with pytest.raises(UserError, match="duplicate member"):
        Ensemble.open([runs[0].path, runs[0].path], data)
    pq.write_table(pa.table({"id": ["a"], "scores": pa.array([[0.5]], pa.list_(pa.float32(), 1))}), file)
    with pytest.raises(UserError, match=f"expected {CLASSES} numbers per video"):
        Ensemble.open([runs[0].path, file], data)
    file.write_bytes(b"PAR1 not")
    with pytest.raises(UserError, match="cannot read the scores of a member"):
        Ensemble.open([runs[0].path, file], data)


def test_members_with_other_labels_are_refused(root: Path, runs: list[Run], tmp_path: Path) -> None:
    write_vocabulary(tmp_path / "vocabulary.csv", unnamed_vocabulary(CLASSES + 1))
    data = tiny_experiment(root).data
    other = train(
        tiny_experiment(
            root, data=type(data)(data.train, data.validation, str(tmp_path / "vocabulary.csv"), data.streams)
        ),
        tmp_path / "other",
    )
    with pytest.raises(UserError, match="other: found other labels; expected those of"):
        Ensemble.open([runs[0].path, other.path], data.validation)


def test_unlabeled_data_are_scored_without_metrics(runs: list[Run], tmp_path: Path) -> None:
    test = write_tiny(tmp_path / "test", 9, seed=4, labeled=False)
    ensemble = Ensemble.open([run.path for run in runs], test)
    comparison = ensemble.compare()
    write_predictions(ensemble.score(callback=comparison), ensemble.videos, tmp_path / "p.csv")
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 10
    assert not comparison.is_labeled
    assert len(comparison.diversity()) == 1
