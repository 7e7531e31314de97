"""Predictions of feature files, in Python and on the command line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.command import yt8m
from tests.support.tiny import tiny_experiment
from yt8m_core import Run, open_videos, predict_file, train
from yt8m_core.data.feature_check.scale import load_norms
from yt8m_core.errors import UserError
from yt8m_core.inference.ensemble import Ensemble
from yt8m_core.inference.prediction import predict_video


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("tiny")
    return train(tiny_experiment(root), root / "run")


@pytest.fixture
def features(run: Run, tmp_path: Path) -> Path:
    """Save the first validation videos as .npz files."""
    videos = open_videos(run.experiment.data.validation, streams=run.facts.schema.streams)
    for video in range(3):
        frames = videos.frames(video)
        np.savez(tmp_path / f"{videos.id(video)}.npz", rgb=frames[:, :24], audio=frames[:, 24:])
    return tmp_path


def test_predictions_of_files_are_those_of_the_data_set(run: Run, features: Path) -> None:
    videos = open_videos(run.experiment.data.validation, streams=run.facts.schema.streams)
    model = run.load_model()
    predicted = list(predict_file(run, features))
    assert [video.id for video in predicted] == sorted(videos.ids[:3])
    for video in predicted:
        expected = predict_video(model, videos.frames(videos.ids.index(video.id)))
        assert (video.prediction.probabilities == expected.probabilities).all()
        names, probabilities = zip(*video.top(2), strict=True)
        assert list(probabilities) == sorted(expected.probabilities.tolist(), reverse=True)[:2]
        assert names[0] == run.vocabulary.name(int(expected.probabilities.argmax()))
        assert video.notes == ()


def test_command_prints_the_top_labels(
    run: Run, features: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = min(features.glob("*.npz"))
    yt8m(monkeypatch, "predict", str(run.path), str(file), "--top", "2")
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], len(lines)) == (file.stem, 3)
    yt8m(monkeypatch, "predict", str(run.path), str(file), "--top", "2", "--json")
    (video,) = predict_file(run, file)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(video.to_dict(2)))


@pytest.mark.fault
def test_features_of_another_scale_or_shape_are_named(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "scaled.npz", rgb=np.full((3, 24), 90.0), audio=np.zeros((3, 8), np.uint8))
    (video,) = predict_file(run, tmp_path / "scaled.npz")
    assert any("'rgb' has a mean norm of 441" in note and "probably meaningless" in note for note in video.notes)
    np.savez(tmp_path / "other.npz", rgb=np.zeros((3, 7), np.uint8))
    with pytest.raises(UserError, match=r"found the shape \(3, 7\); expected \(T, 24\)"):
        list(predict_file(run, tmp_path / "other.npz"))


@pytest.mark.parametrize("arguments", [(), ("a.npz", "--data", "x", "--output", "y.csv"), ("--data", "x")])
def test_command_needs_a_file_or_a_data_set(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit, match=r"expected a feature file, or --data and --output"):
        yt8m(monkeypatch, "predict", str(run.path), *arguments)


@pytest.mark.fault
def test_data_of_another_scale_are_not_predicted_unless_allowed(run: Run, tmp_path: Path) -> None:
    from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard
    from yt8m_core.inference.evaluation import evaluate
    from yt8m_core.inference.prediction import predict

    random = np.random.default_rng(0)
    frames = {"rgb": random.normal(0, 50, (3, 24)).astype(np.float32), "audio": np.ones((3, 8), np.float32)}
    write_shard(tmp_path / "a.tfrecord", [encode_sequence_example({"id": b"a", "labels": [1]}, frames)])
    for use in (
        lambda **options: predict(run, tmp_path, tmp_path / "p.csv", **options),
        lambda **options: evaluate(run, tmp_path, **options),
    ):
        with pytest.raises(UserError, match=r"'rgb' have a mean norm of .*another scale.*--allow other-scale"):
            use()
        use(allow=["other-scale"])
    with pytest.raises(UserError, match="another scale"):  # whatever the order of the members
        Ensemble.open([unscaled(run, tmp_path / "own"), run.path], tmp_path)
    older = replace(run, facts=replace(run.facts, feature_norms=()))
    predict(older, tmp_path, tmp_path / "p.csv")


def unscaled(run: Run, folder: Path) -> Path:
    """Return a copy of a run that does not know the scale of its features."""
    copy = Path(shutil.copytree(run.path, folder))
    config = json.loads((copy / "config.json").read_text())
    config["facts"]["feature_norms"] = []
    (copy / "config.json").write_text(json.dumps(config))
    return copy


def test_norms_are_measured_again_where_they_cannot_be_stored(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = open_videos(run.experiment.data.validation, streams=run.facts.schema.streams)
    norms = load_norms(videos)
    monkeypatch.setenv("YT8M_HOME", str(tmp_path))
    (tmp_path / "norms").touch()  # no folder can be made here
    assert load_norms(videos) == norms
