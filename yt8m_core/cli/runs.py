"""Commands on runs: evaluate, predict, submission and ensemble."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from yt8m_core.cli.arguments import (
    Accelerator,
    Allowed,
    Precision,
    RunArgument,
    Streams,
    choose_device,
    format_results,
)
from yt8m_core.errors import UserError
from yt8m_core.processes.group import open_group
from yt8m_core.progress import console_progress, silent
from yt8m_core.storage.typed_json import check_number

if TYPE_CHECKING:
    from yt8m_core.runs.run import Run


def evaluate(
    run: RunArgument,
    data: str,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    skip_bad: bool = False,
    unlabeled: str = "",
    segments: Annotated[Literal["rated", "all"] | None, tyro.conf.arg(metavar="{rated,all}")] = None,
    allow: Allowed = (),
    accelerator: Accelerator = None,
    precision: Precision = None,
) -> None:
    """Evaluate a run on a data set.

    With --segments, also MAP@K on the rated segments of the videos (2019 edition).

    Args:
        run: Run folder.
        data: A shard, a folder of shards, or a glob, on a disk or at an address.
        segments: Segments that are ranked for MAP@K: the rated ones, or all of the videos, as in the competition.
        as_json: Print the metrics as JSON.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
        unlabeled: Videos without labels: error, skip to leave them out, or negative if they have none of the labels.
            Default: as in the training of the run.
        allow: Data checks that do not stop the evaluation: repeated-labels, constant-features, other-scale.
    """
    from yt8m_core.inference.evaluation import evaluate as evaluate_run
    from yt8m_core.inference.evaluation import open_run_data
    from yt8m_core.inference.segment_evaluation import evaluate_segments
    from yt8m_core.runs.run import Run
    from yt8m_core.training.splits import warn_learned

    choose_device(accelerator, precision)
    opened = Run.open(run)
    with open_group() as group:
        progress = console_progress() if group.is_first else silent
        metrics: dict[str, Any] = {}
        bad_records, has_labels = 0, True
        if segments:
            videos = open_run_data(opened, data, skip_bad=skip_bad, group=group, progress=group.watch(progress))
            if group.is_first:
                warn_learned(opened, videos)
            metrics = evaluate_segments(
                opened, data, segments, skip_bad=skip_bad, allow=allow, group=group, progress=progress
            )
            # Shards of rated segments may have no labels of videos.
            bad_records, has_labels = len(videos.bad_records), bool(videos.is_labeled.any())
        if has_labels:
            evaluation = evaluate_run(
                opened, data, skip_bad=skip_bad, unlabeled=unlabeled, allow=allow, group=group, progress=progress
            )
            metrics, bad_records = evaluation.metrics | metrics, evaluation.bad_records
    if not group.is_first:
        return
    if as_json:
        print(json.dumps({"run": str(run), "data": data, "bad_records": bad_records, **metrics}))
        return
    print(f"{opened.path} on {data}: {format_results(metrics)}")
    for name, value in metrics.items():
        print(f"  {name}: {value:.6g}")


def submission(
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    data: str = "",
    vocabulary: str = "",
    streams: Streams = (),
    skip_bad: bool = False,
) -> None:
    """Check a submission of the 2019 competition (Class,Segments), and score it where the data have ratings.

    Args:
        file: The submission.
        data: The data set of its segments: a shard, a folder of shards, or a glob, on a disk or at an address.
            Without it, only the form is checked.
        vocabulary: Vocabulary file with the labels that must be there, one row each. Default: the 1,000 of 2019.
        streams: Custom feature streams as name:width. Default: those of YouTube-8M and AudioSet are recognized.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
    """
    from yt8m_core.inference.segment_evaluation import check_and_score

    checked = check_and_score(
        file, data, vocabulary, streams=streams or None, skip_bad=skip_bad, progress=console_progress()
    )
    print(f"{file}: {checked.num_segments:,} segments of {checked.num_labels:,} labels, no fault found")
    for name, value in checked.metrics.items():
        print(f"  {name}: {value:.6g}")


def predict(
    run: RunArgument,
    features: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[FEATURES]")] = None,
    data: str = "",
    output: Path | None = None,
    threshold: Annotated[float | Literal["calibrated"] | None, tyro.conf.arg(metavar="{NUMBER,calibrated}")] = None,
    segments: Annotated[Literal["all"] | None, tyro.conf.arg(metavar="{all}")] = None,
    vocabulary: str = "",
    top: int = 5,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    skip_bad: bool = False,
    allow: Allowed = (),
    accelerator: Accelerator = None,
    precision: Precision = None,
) -> None:
    """Print the top labels of the videos in a feature file, or write the predictions of a data set.

    FEATURES is any file that `yt8m import` takes, such as features.npz. With --data and --output, a .csv file has the
    format of the 2017 and 2018 Kaggle competitions, with the 20 top labels of each video; a .parquet file has all
    scores. Both can be members of an ensemble. With --threshold, both have the labels at or above it, however many.

    With --segments all, the .csv file is a submission of the 2019 competition: each label with its best segments.

    Args:
        run: Run folder.
        features: Feature file, or a folder of them.
        data: A shard, a folder of shards, or a glob, on a disk or at an address. Labels are not needed.
        output: File to write, .csv or .parquet.
        threshold: Threshold of all labels, from 0 to 1; or calibrated, for the threshold of each label that `yt8m
            calibrate` chose on one half of its data.
        segments: Write the best segments of each label instead of the labels of each video.
        vocabulary: Vocabulary file with the labels of a submission. Default: the 1,000 of 2019 for a run with 3,862
            labels, else all labels.
        top: Number of labels to print per video of FEATURES.
        as_json: Print the labels of FEATURES as one JSON object per line.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
        allow: Data checks that do not stop the prediction: other-scale.
    """
    from yt8m_core.inference.feature_files import predict_file
    from yt8m_core.inference.prediction import predict as predict_run
    from yt8m_core.runs.run import Run

    if (features is None) == (not data) or bool(data) != (output is not None):
        raise UserError(
            "no videos to predict, or two kinds of them",
            expected="a feature file, or --data and --output",
            advice="yt8m predict RUN features.npz, or yt8m predict RUN --data DATA --output predictions.csv.",
        )
    if vocabulary and not segments:
        raise UserError("--vocabulary without --segments all", advice="It names the labels of a submission.")
    if threshold is not None and segments:
        raise UserError("--threshold with --segments", advice="A submission has the best segments of each label.")
    choose_device(accelerator, precision)
    check_number(top, 0, where="top")
    opened = Run.open(run)
    if features is not None:
        for video in predict_file(opened, features):
            if as_json:
                print(json.dumps(video.to_dict(top), ensure_ascii=False))
                continue
            print(video.id)
            for name, probability in video.top(top):
                print(f"  {probability:.3f}  {name}")
            for note in video.notes:
                print(f"  {note}")
        return
    if segments:
        _predict_segments(opened, data, str(output), vocabulary, skip_bad, allow)
        return
    with open_group() as group:
        progress = console_progress() if group.is_first else silent
        num_videos = predict_run(
            opened,
            data,
            str(output),
            threshold=threshold,
            skip_bad=skip_bad,
            allow=allow,
            group=group,
            progress=progress,
        )
    if not group.is_first:
        return
    if threshold == "calibrated":
        print(opened.calibration.description)
    print(f"{output}: {num_videos:,} videos")


def _predict_segments(
    run: "Run", data: str, output: str, vocabulary: str, skip_bad: bool, allow: Sequence[str]
) -> None:
    from yt8m_core.inference.segment_evaluation import predict_segments, submission_labels

    labels = submission_labels(run.facts.num_classes, vocabulary)
    with open_group() as group:
        progress = console_progress() if group.is_first else silent
        num_segments = predict_segments(
            run, data, output, labels=labels, skip_bad=skip_bad, allow=allow, group=group, progress=progress
        )
    if group.is_first:
        print(f"{output}: the best of {num_segments:,} segments for each of {len(labels):,} labels")


def ensemble(
    members: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MEMBER")],
    data: str,
    output: Path | None = None,
    weights: tuple[float, ...] = (),
    average: str = "probability",
    skip_bad: bool = False,
    allow: Allowed = (),
    accelerator: Accelerator = None,
    precision: Precision = None,
) -> None:
    """Average the scores of several runs, and show the metrics and the diversity of the members.

    Args:
        members: Run folders, at least one; .parquet files that `yt8m predict` wrote for the same data; .csv files of
            any program in the format of the Kaggle competitions, whose missing labels count 0.
        data: A shard, a folder of shards, or a glob, on a disk or at an address.
        output: .csv or .parquet file to write the ensemble's predictions to.
        weights: One weight per member. Default: equal weights.
        average: Average of probability or of logit.
        skip_bad: Skip bad records and list them. Without it, the first one is an error.
        allow: Data checks that do not stop the ensemble: repeated-labels, constant-features, other-scale.
    """
    from yt8m_core.inference.ensemble import Ensemble

    choose_device(accelerator, precision)
    with open_group() as group:
        progress = console_progress() if group.is_first else silent
        opened = Ensemble.open(
            members, data, weights=weights, kind=average, skip_bad=skip_bad, allow=allow, group=group, progress=progress
        )
        comparison = opened.run(output, group=group, progress=progress)
    if not group.is_first:
        return
    for note in opened.notes:
        print(note)
    if output is not None:
        print(f"{output}: {len(opened.videos):,} videos")
    if comparison.is_labeled:
        print(comparison.members().to_string(index=False, float_format="%.4f"))
    if len(members) > 1:
        print("\nDiversity of the members:")
        print(comparison.diversity().to_string(index=False, float_format="%.3f"))
