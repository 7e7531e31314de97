"""Training and evaluation on rated segments: only what was rated counts, folds are of videos, and MAP@K is right."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.rated_videos import CLASSES, segment_experiment
from tests.support.tiny import STREAMS
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.segments import Segments, select_segments
from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard
from yt8m_core.data.tfrecord.ratings import Rating, rating_features
from yt8m_core.errors import UserError
from yt8m_core.experiment import Experiment
from yt8m_core.inference.evaluation import score_batches
from yt8m_core.inference.segment_evaluation import check_and_score, evaluate_segments, predict_segments
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train


def test_training_on_ratings_learns_and_folds_are_of_videos(rated: Path, base: Run, tmp_path: Path) -> None:
    tuned = train(segment_experiment(rated, init=str(base.path)), tmp_path / "run")
    assert tuned.facts.train_videos + tuned.facts.validation_videos == 120  # segments
    before, after = (evaluate_segments(run, rated)["map_at_k"] for run in (base, tuned))
    assert after > before
    assert Experiment.from_dict(tuned.experiment.to_dict()) == tuned.experiment
    metrics = tuned.metrics["validation"]
    assert metrics["num_videos"] == tuned.facts.validation_videos
    assert 0 < metrics["gap"] <= 1


def test_unrated_labels_have_no_part_in_the_training(rated: Path, base: Run, tmp_path: Path) -> None:
    """A label that nobody rated keeps its weights, apart from L2."""
    experiment = segment_experiment(rated, init=str(base.path))
    videos = open_videos(rated, streams=STREAMS)
    unrated = set(range(CLASSES)) - set(Segments(videos, "rated").rated.values.tolist())
    assert not unrated  # all six are rated: so remove the ratings of one
    folder = tmp_path / "without"
    payloads = []
    for number in range(24):
        ratings = [Rating(0, number % 5, number % 2 == 0), Rating(5, 1, True)]
        frames = np.random.default_rng(number).integers(0, 256, (10, 32), dtype=np.uint8)
        context = {"id": f"w{number}".encode(), **rating_features(ratings)}
        payloads.append(encode_sequence_example(context, {"rgb": frames[:, :24], "audio": frames[:, 24:]}))
    write_shard(folder / "a.tfrecord", payloads)
    experiment = replace(
        experiment,
        data=replace(experiment.data, train=str(folder), vocabulary=str(base.path / "vocabulary.csv")),
        training=replace(experiment.training, l2=0.0),
    )
    tuned = train(experiment, tmp_path / "run").load_model().state_dict()
    old = base.load_model().state_dict()
    for name in ("classification.expert.weight", "classification.expert.bias"):
        of_label = [tensor.reshape(CLASSES, -1) for tensor in (old[name], tuned[name])]
        assert torch.equal(of_label[0][5], of_label[1][5])
        assert not torch.equal(of_label[0][1], of_label[1][1])


@pytest.mark.parametrize("choice", ["rated", "all"])
def test_map_at_k_equals_a_slow_evaluation_of_all_scores(rated: Path, base: Run, choice: str) -> None:
    segments = select_segments(open_videos(rated, streams=STREAMS), choice)  # type: ignore[arg-type]
    p = torch.cat([p for _, p in score_batches(base.load_model(), segments)]).numpy()
    expected = []
    for label in range(CLASSES):
        rating = {}
        for row in range(len(segments)):
            if label in segments.rated.row(row):  # type: ignore[union-attr]
                rating[row] = label in segments.labels(row)
        hits, total = 0, 0.0
        for place, row in enumerate(sorted(rating, key=lambda row: -p[row, label]), 1):
            hits += rating[row]
            total += hits / place * rating[row]
        if any(rating.values()):
            expected.append(total / sum(rating.values()))
    metrics = evaluate_segments(base, rated, choice)  # type: ignore[arg-type]
    assert metrics["map_at_k"] == pytest.approx(np.mean(expected), abs=1e-12)
    assert metrics["map_low"] < metrics["map_at_k"] < metrics["map_high"]
    assert (metrics["num_ratings"], metrics["num_segments"]) == (120, 120 if choice == "rated" else 240)


def test_submission_has_all_segments_best_first_and_scores_as_the_run(rated: Path, base: Run, tmp_path: Path) -> None:
    output = tmp_path / "segments.csv"
    assert predict_segments(base, rated, output, labels=np.arange(CLASSES)) == 240
    with output.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["Class", "Segments"]
    assert [int(row[0]) for row in rows] == list(range(CLASSES))
    segments = Segments(open_videos(rated, streams=STREAMS), "all")
    p = torch.cat([p for _, p in score_batches(base.load_model(), segments)]).numpy()
    for label, (_, names) in enumerate(rows):
        order = sorted(range(240), key=lambda row: (-p[row, label], row))
        assert names.split(" ") == [segments.id(row) for row in order]
    checked = check_and_score(output, str(rated), str(base.path / "vocabulary.csv"), streams=STREAMS)
    assert (checked.num_labels, checked.num_segments) == (CLASSES, 240 * CLASSES)
    expected = evaluate_segments(base, rated, "all")
    assert checked.metrics["map_at_k"] == pytest.approx(expected["map_at_k"], abs=1e-6)  # ties aside


GOOD = ["Class,Segments", *(f"{label},r000:0 r001:5" for label in range(CLASSES))]


@pytest.mark.fault
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({0: "VideoId,Segments"}, "line 1: found 'VideoId,Segments'; expected the header"),
        ({1: "x,r000:0"}, "line 2.*whole number"),
        ({1: "0"}, "line 2: found '0'; expected a label, a comma"),
        ({2: "0,r000:0"}, "line 3: found label 0 a second time"),
        ({2: "77,r000:0"}, "line 3: found label 77"),
        ({2: None}, "no row of 1 labels"),
        ({1: "0,r000:0 r000:0"}, "segment r000:0 a second time"),
        ({1: "0,r000"}, "found 'r000'"),
        ({1: "0,r000:07"}, "found 'r000:07'"),
        ({1: "0,r000:2"}, "segment r000:2; expected a segment of the data set"),
        ({1: "0,nobody:0"}, "segment nobody:0"),
        ({1: "0," + " ".join(f"a:{second}" for second in range(100_001))}, "100,001 segments; expected at most"),
    ],
)
def test_faults_of_a_submission_are_named(
    changes: dict[int, str | None], message: str, rated: Path, base: Run, tmp_path: Path
) -> None:
    lines = [changes.get(number, line) for number, line in enumerate(GOOD)]
    file = tmp_path / "submission.csv"
    file.write_text("\n".join(line for line in lines if line is not None) + "\n")
    with pytest.raises(UserError, match=message):
        check_and_score(file, str(rated), str(base.path / "vocabulary.csv"), streams=STREAMS)
