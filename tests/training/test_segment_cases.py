"""Rated segments in unusual data, and beside other features: relocation, priors of labels, model cards, caches."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.command import yt8m
from tests.support.rated_videos import CLASSES, segment_experiment, write_rated
from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.analysis.top_k_errors import most_confident_false_positive
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.segment_labels import read_segment_labels, segment_labels
from yt8m_core.data.segments import Segments
from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard
from yt8m_core.data.tfrecord.ratings import Rating, rating_features
from yt8m_core.data.vocabulary import unnamed_vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data
from yt8m_core.inference import segment_evaluation
from yt8m_core.inference.pooled_cache import load_pooled
from yt8m_core.inference.segment_evaluation import check_and_score, evaluate_segments, predict_segments
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.sharing.card import render_card
from yt8m_core.training.loop import train
from yt8m_core.training.relocation import relocate

pytestmark = [pytest.mark.usefixtures("own_workspace")]


@pytest.fixture(scope="module")
def tuned(rated: Path, base: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(segment_experiment(rated, init=str(base.path)), tmp_path_factory.mktemp("tuned") / "run")


@pytest.fixture
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


def write_ratings(folder: Path, ratings: Sequence[Sequence[Rating]], T: int = 20, prefix: str = "w") -> Path:
    """Write one video for each sequence of ratings."""
    payloads = []
    for number, of_video in enumerate(ratings):
        frames = np.random.default_rng([number, *prefix.encode()]).integers(0, 256, (T, 32), dtype=np.uint8)
        context = {"id": f"{prefix}{number}".encode(), **rating_features(of_video)}
        payloads.append(encode_sequence_example(context, {"rgb": frames[:, :24], "audio": frames[:, 24:]}))
    write_shard(folder / "a.tfrecord", payloads)
    return folder


@pytest.mark.fault
def test_submission_of_labels_that_are_present_nowhere_is_not_scored(base: Run, tmp_path: Path) -> None:
    data = write_ratings(tmp_path / "data", [[Rating(0, 1, False)], [Rating(5, 2, False)]])
    output = tmp_path / "segments.csv"
    predict_segments(base, data, output, labels=np.arange(CLASSES))
    checked = check_and_score(output, str(data), str(base.path / "vocabulary.csv"), streams=STREAMS)
    assert checked.metrics == {}
    for choice in ("rated", "all"):
        with pytest.raises(UserError, match="no label is rated as present"):
            evaluate_segments(base, data, choice)  # type: ignore[arg-type]


def test_ratings_between_the_windows_count_as_not_found(base: Run, tmp_path: Path) -> None:
    """So that an evaluation of all segments and that of a submission agree: positives are all positive ratings."""
    ratings = [
        [Rating(0, 1, True), Rating(2, 1, True), Rating(3, 4, True)],
        [Rating(5, 1, False)],
        [Rating(5, 2, True)],
    ]
    data = write_ratings(tmp_path / "data", ratings)
    output = tmp_path / "segments.csv"
    predict_segments(base, data, output, labels=np.arange(CLASSES))
    submitted = check_and_score(output, str(data), str(base.path / "vocabulary.csv"), streams=STREAMS).metrics
    metrics = evaluate_segments(base, data, "all")
    assert metrics["map_at_k"] == pytest.approx(submitted["map_at_k"], abs=1e-9)
    assert metrics["num_rated_labels"] == submitted["num_rated_labels"] == 3
    assert metrics["num_ratings"] == 5
    assert evaluate_segments(base, data, "rated")["map_at_k"] > metrics["map_at_k"]


@pytest.mark.fault
def test_labels_that_a_run_lacks_are_named(base: Run, tmp_path: Path) -> None:
    data = write_ratings(tmp_path / "data", [[Rating(0, 1, True), Rating(5, CLASSES, False)]])
    for choice in ("rated", "all"):
        with pytest.raises(
            UserError, match=f"'segment_labels': found label {CLASSES} of segment 'w0:5'; expected 0 to 5"
        ):
            evaluate_segments(base, data, choice)  # type: ignore[arg-type]


@pytest.mark.parametrize("fold", ["1/2", ""])
def test_labels_that_are_rated_as_absent_only_have_a_row_in_the_vocabulary(tmp_path: Path, fold: str) -> None:
    ratings = [[Rating(0, number % 2, True), Rating(5, 4, False)] for number in range(24)]
    data = Data(str(write_ratings(tmp_path / "train", ratings)), "", streams=STREAMS, fold=fold, segments="rated")
    if not fold:
        data = replace(data, validation=str(write_ratings(tmp_path / "validation", ratings[:6], prefix="v")))
    run = train(replace(tiny_experiment(tmp_path / "tiny"), data=data), tmp_path / "run")
    assert run.facts.num_classes == 5


@pytest.mark.fault
def test_validation_without_a_positive_rating_is_refused_before_the_training(tmp_path: Path) -> None:
    training = write_ratings(tmp_path / "train", [[Rating(0, number % 2, True)] for number in range(8)])
    validation = write_ratings(tmp_path / "validation", [[Rating(0, 1, False)]], prefix="v")
    data = Data(str(training), str(validation), streams=STREAMS, segments="rated")
    with pytest.raises(UserError, match="no segment in which a label was rated as present"):
        train(replace(tiny_experiment(tmp_path / "tiny"), data=data), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_run_on_ratings_can_be_relocated(rated: Path, tuned: Run, tmp_path: Path) -> None:
    moved, copy = tmp_path / "moved", tmp_path / "run"
    shutil.copytree(rated, moved)
    shutil.copytree(tuned.path, copy)
    assert relocate(Run.open(copy), train=str(moved)).experiment.data.train == str(moved)


@pytest.mark.fault
def test_loss_with_a_prior_of_labels_is_refused_on_ratings(rated: Path, base: Run, tmp_path: Path) -> None:
    experiment = segment_experiment(rated, init=str(base.path))
    with pytest.raises(UserError, match="logit_adjusted with --segments"):
        train(replace(experiment, loss=Slot("logit_adjusted")), tmp_path / "run")
    with pytest.raises(UserError, match="with --segments"):
        train(replace(experiment, init="", label_processing=Slot("correlation")), tmp_path / "run")


def test_evaluation_warns_of_segments_that_the_run_was_trained_on(
    rated: Path, tuned: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    yt8m(monkeypatch, "evaluate", tuned.path, "--data", rated, "--segments", "rated")
    assert "of 60 videos are training videos of run run: metrics on them are too good" in caplog.text
    caplog.clear()
    others = write_rated(tmp_path / "others", 8, seed=9, prefix="o")
    yt8m(monkeypatch, "evaluate", tuned.path, "--data", others, "--segments", "rated")
    assert "training videos" not in caplog.text


def test_results_of_rated_pairs_are_named_as_such(tuned: Run) -> None:
    card = render_card(tuned)
    assert "| rated segments |" in card
    assert "rated segments of the validation data" in card
    assert "are of the labels that were rated in a segment" in card
    found = most_confident_false_positive(tuned.predictions)
    assert found is None or found.probability > 0


@pytest.mark.fault
def test_id_that_cannot_be_written_is_refused_before_the_scoring(
    base: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_ratings(tmp_path / "data", [[Rating(0, 1, True)]], prefix="a b")
    monkeypatch.setattr(segment_evaluation, "score_segments", lambda *_: pytest.fail("scored"))
    with pytest.raises(UserError, match="the id 'a b0'"):
        predict_segments(base, data, tmp_path / "segments.csv", labels=np.arange(CLASSES))


def test_pooled_segments_depend_on_the_frames_of_their_videos(base: Run, tmp_path: Path) -> None:
    data = write_ratings(tmp_path / "data", [[Rating(15, 1, True)]])
    vectors = []
    for max_frames in (18, 20):
        segments = Segments(open_videos(data, streams=STREAMS, max_frames=max_frames), "rated")
        pooled = load_pooled(base.load_model(), segments)
        assert pooled is not None
        vectors.append(pooled.vectors(np.array([0])))
    assert not np.allclose(*vectors)


@pytest.mark.fault
def test_options_without_an_effect_are_refused(rated: Path, base: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["predict", base.path, "--data", rated, "--output", rated.parent / "out.csv"]
    for options, message in (
        (["--segments", "all", "--threshold", "0.5"], "--threshold with --segments"),
        (["--vocabulary", base.path / "vocabulary.csv"], "--vocabulary without --segments all"),
    ):
        with pytest.raises(SystemExit, match=message):
            yt8m(monkeypatch, *command, *options)


def test_labels_of_a_submission_are_a_column_of_ids_or_a_vocabulary(tmp_path: Path) -> None:
    file = tmp_path / "ids.csv"
    file.write_text("Index\n" + "".join(f"{label}\n" for label in segment_labels()))
    assert tuple(read_segment_labels(file)) == segment_labels()
    write_vocabulary(tmp_path / "vocabulary.csv", unnamed_vocabulary(3))
    assert read_segment_labels(tmp_path / "vocabulary.csv") == [0, 1, 2]
    file.write_text("Index\n3\n3\n")
    with pytest.raises(UserError, match="a label twice"):
        read_segment_labels(file)
