"""MAP@K of a run, or of a submission, on the rated segments of a data set; and the submission of a run (2019)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.checks import stop_if_fatal, warn_videos
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.feature_check.scale import check_scale
from yt8m_core.data.schema import SegmentChoice, Streams
from yt8m_core.data.segment_labels import read_segment_labels, segment_labels
from yt8m_core.data.segments import Segments, select_segments
from yt8m_core.errors import UserError
from yt8m_core.inference.array_cache import digest
from yt8m_core.inference.compute import choose_compute
from yt8m_core.inference.evaluation import open_run_data
from yt8m_core.inference.identity import compute_identity, run_identity, videos_identity
from yt8m_core.inference.segment_scores import rated_labels, rated_rankings, read_best, score_segments
from yt8m_core.inference.segment_submission import check_names, check_submission, submission_rankings, write_submission
from yt8m_core.metrics.map_at_k import RatedRanking, Ties, bootstrap_map, mean_average_precision
from yt8m_core.metrics.top_segments import TopSegments
from yt8m_core.processes.group import ALONE, Group
from yt8m_core.processes.parts import shared_lock
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.storage.paths import check_replaceable
from yt8m_core.workspace import workspace

REPLICATES = 200

Integers = NDArray[np.int64]


def evaluate_segments(
    run: Run,
    data: str | Path,
    choice: SegmentChoice = "rated",
    *,
    accelerator: str = "",
    precision: str = "",
    skip_bad: bool = False,
    allow: Sequence[str] = (),
    group: Group = ALONE,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Return MAP@K of a run on the segments of a data set.

    Args:
        run: finished run.
        data: a shard, a folder of shards, or a glob, on a disk or at an address.
        choice: "rated" ranks the rated segments among each other; "all" ranks them among all segments of their videos,
            as in the competition.
        accelerator, precision: as of ``compute.choose_compute``.
        skip_bad: skip bad records and warn about them; otherwise the first one raises an error.
        allow: names of fatal data checks (``data/checks.py``) that do not stop the evaluation.
        group: the processes that divide the work; each returns the result of all.
        progress: progress callback.

    Returns:
        ``map_at_k``, with ``map_low`` and ``map_high``, its 95% bootstrap CI over videos; and numbers: of segments, of
        ratings, of videos with ratings, and of labels with a positive rating.

    Raises:
        UserError: the run has no weights, or the data cannot be read, do not fit the run, or have no ratings.
    """
    segments = _open_segments(run, data, choice, skip_bad, allow, group, progress)
    Segments(segments.videos, "rated").check_labels(run.facts.num_classes)
    labels = rated_labels(segments)
    best = _best_segments(run, segments, labels, "evaluation", accelerator, precision, group, progress)
    return _metrics(rated_rankings(best, segments, labels.tolist()), segments)


def predict_segments(
    run: Run,
    data: str | Path,
    output: str | Path,
    *,
    labels: Integers,
    accelerator: str = "",
    precision: str = "",
    skip_bad: bool = False,
    allow: Sequence[str] = (),
    group: Group = ALONE,
    progress: Progress = silent,
) -> int:
    """Write the best segments of each label as a submission of the 2019 competition.

    Args:
        run: finished run.
        data: a shard, a folder of shards, or a glob, on a disk or at an address. Ratings are not needed.
        output: the ``.csv`` file to write.
        labels: the labels, as of ``submission_labels``.
        accelerator, precision, skip_bad, allow, group, progress: as of ``evaluate_segments``.

    Returns:
        Number of segments that were scored.

    Raises:
        UserError: as ``evaluate_segments``; or an id or the output cannot be written.
    """
    output = Path(output)
    if output.suffix != ".csv":
        raise UserError(f"'{output.suffix}'", where=str(output), expected="a .csv file")
    check_replaceable(output, kind="a .csv file to write")
    if (largest := int(labels.max(initial=0))) >= run.facts.num_classes:
        raise UserError(f"label {largest}", expected=f"labels below {run.facts.num_classes:,}, those of the run")
    segments = _open_segments(run, data, "all", skip_bad, allow, group, progress)
    check_names(segments, output)
    best = _best_segments(run, segments, labels, "submission", accelerator, precision, group, progress)
    if group.is_first:
        write_submission(best, segments, labels, output)
    group.wait()
    return len(segments)


def submission_labels(num_classes: int, vocabulary: str = "") -> Integers:
    """Return the labels of a submission: those of a file; else the 1,000 among 3,862 labels, or all labels.

    Raises UserError where the file cannot be read.
    """
    if vocabulary:
        return np.array(read_segment_labels(vocabulary), np.int64)
    return np.array(segment_labels() if num_classes == 3862 else range(num_classes), np.int64)


@dataclass(frozen=True)
class CheckedSubmission:
    """A submission without a fault.

    Attributes:
        num_labels: number of its labels.
        num_segments: number of segments in all rows.
        metrics: as of ``evaluate_segments``; empty where none of its labels is rated as present in the data.
    """

    num_labels: int
    num_segments: int
    metrics: dict[str, Any]


def check_and_score(
    file: Path,
    data: str = "",
    vocabulary: str = "",
    *,
    streams: Streams | None = None,
    skip_bad: bool = False,
    progress: Progress = silent,
) -> CheckedSubmission:
    """Check a submission, and score it where its data have ratings.

    MAP@K is in the order of the rows, as of Google's evaluation of a file, over the labels that are present anywhere.

    Args:
        file: the submission.
        data: the data set of its segments; without it, only the form is checked.
        vocabulary: vocabulary file with the labels that must be there; default: the 1,000 of 2019.
        streams: feature streams of the data set; those of YouTube-8M and AudioSet are recognized.
        skip_bad: skip bad records of the data set.
        progress: progress callback.

    Raises UserError for a submission with a fault.
    """
    labels = submission_labels(3862, vocabulary)
    if not data:
        return CheckedSubmission(len(labels), check_submission(file, labels), {})
    videos = open_videos(data, streams=streams, skip_bad=skip_bad, progress=progress)
    windows = Segments(videos, "all")
    count = check_submission(file, labels, windows)
    metrics = {}
    if len(windows.ratings.labels):
        rated = Segments(videos, "rated")
        rankings = submission_rankings(file, rated)
        metrics = _metrics(rankings, rated, "order") if rankings else {}
    return CheckedSubmission(len(labels), count, metrics)


def _open_segments(
    run: Run,
    data: str | Path,
    choice: SegmentChoice,
    skip_bad: bool,
    allow: Sequence[str],
    group: Group,
    progress: Progress,
) -> Segments:
    videos = open_run_data(run, data, skip_bad=skip_bad, group=group, progress=group.watch(progress))
    if group.is_first:
        warn_videos(videos)
        stop_if_fatal(check_scale(videos, run.facts.feature_norms), allow)
    segments = select_segments(videos, choice)
    if not isinstance(segments, Segments):
        raise UserError("no choice of segments", expected="rated or all")
    return segments


def _best_segments(
    run: Run,
    segments: Segments,
    labels: Integers,
    task: str,
    accelerator: str,
    precision: str,
    group: Group,
    progress: Progress,
) -> TopSegments:
    """Score the segments in parts, and return the best of each label."""
    compute = choose_compute(accelerator, precision)
    model = run.load_model(compute.device)
    identity = [run_identity(run), videos_identity(segments), compute_identity(compute), labels.tolist()]
    folder = workspace() / "parts" / digest(["segments", *identity], 24)
    with shared_lock(folder, task, group, progress):
        parts = score_segments(
            model, segments, labels, folder, compute=compute, group=group, progress=group.watch(progress)
        )
        best = read_best(parts, len(labels), len(segments))
        parts.remove(group)
    return best


def _metrics(rankings: Sequence[RatedRanking], segments: Segments, ties: Ties = "expected") -> dict[str, Any]:
    num_videos = len(np.unique(segments.ratings.parents))
    low, high = bootstrap_map(rankings, num_videos, 0, REPLICATES)
    return {
        "map_at_k": mean_average_precision(rankings, ties),
        "map_low": low,
        "map_high": high,
        "num_segments": len(segments),
        "num_ratings": len(segments.ratings.labels),
        "num_rated_videos": num_videos,
        "num_rated_labels": len(rankings),
    }
