"""Open the training and validation data of an experiment and check that they fit each other."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.checks import (
    SHARED_VIDEOS,
    DataCheck,
    check_shared,
    check_splits,
    check_videos,
    find_shared,
    stop_if_fatal,
    warn_checks,
)
from yt8m_core.data.dataset import Videos, VideoSubset
from yt8m_core.data.feature_check.scale import load_norms
from yt8m_core.data.labeled import labeled_videos
from yt8m_core.data.scale import detect_scale
from yt8m_core.data.schema import describe_schema
from yt8m_core.data.segments import select_segments
from yt8m_core.data.tfrecord.bad_records import warn_bad_records
from yt8m_core.data.vocabulary import Vocabulary, load_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Experiment, parse_fold
from yt8m_core.inference.evaluation import open_experiment_data
from yt8m_core.processes.group import ALONE, Group
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.data_paths import advise_relocation
from yt8m_core.runs.run import Facts, Run
from yt8m_core.runs.weights import weights_digest

NOT_COMPARED = "init-data"  # name of the check where the training data of ``Experiment.init`` cannot be opened


@dataclass(frozen=True)
class Splits:
    """Training and validation videos, their vocabulary, and the facts that determine a model."""

    videos: Videos
    validation: Videos
    vocabulary: Vocabulary
    facts: Facts
    checks: tuple[DataCheck, ...]  # of both splits, and of what they have in common
    shared_videos: dict[str, int]
    """Metrics: the number of validation videos that are also training videos (``shared_videos``), and of those that
    the runs were trained on that this training starts from (``init_shared_videos``; only where these were compared)."""

    def warn(self) -> None:
        """Log the bad records, once each (both parts of a fold list those of their data set), and the checks."""
        warn_bad_records(list(dict.fromkeys([*self.videos.bad_records, *self.validation.bad_records])))
        warn_checks(self.checks)


def open_splits(
    experiment: Experiment,
    *,
    skip_bad: bool = False,
    allow: Sequence[str] = (),
    group: Group = ALONE,
    progress: Progress = silent,
) -> Splits:
    """Open the data of an experiment. A group of processes divides the indexing.

    Raises UserError where the data cannot be used, a fatal check is not allowed, or the splits do not fit each other.
    """
    data = experiment.data
    videos = open_experiment_data(experiment, data.train, skip_bad=skip_bad, group=group, progress=progress)
    videos = labeled_videos(select_segments(videos, data.segments), data.unlabeled)
    validation: Videos
    if data.fold:
        videos, validation = split_fold(videos, data.fold)
    else:
        validation = open_experiment_data(
            experiment, data.validation, skip_bad=skip_bad, group=group, progress=progress
        )
        validation = labeled_videos(select_segments(validation, data.segments), data.unlabeled)
    labels = np.concatenate([split.known_labels.values for split in (videos, validation)])
    vocabulary = load_vocabulary(data.train, data.vocabulary, labels, videos.schema)
    _check(videos, validation, vocabulary, experiment)
    facts = Facts(
        videos.schema,
        vocabulary.num_classes,
        detect_scale(data.train, len(videos)),
        len(videos),
        len(validation),
        len(videos.bad_records),
        0 if data.fold else len(validation.bad_records),  # a skipped record of the training data has no fold
        load_norms(videos),
    )
    checks = check_data(videos, validation)
    shared = {"shared_videos": sum(check.videos for check in checks if check.name == SHARED_VIDEOS)}
    if experiment.init:
        origin_checks, count = check_origins(experiment.init, validation)
        checks += origin_checks
        shared |= {} if count is None else {"init_shared_videos": count}
    stop_if_fatal(checks, allow)
    return Splits(videos, validation, vocabulary, facts, checks, shared)


def check_origins(path: str, validation: Videos) -> tuple[tuple[DataCheck, ...], int | None]:
    """Check whether the runs that a training starts from (``Experiment.init``) have learned from validation videos.

    Args:
        path: the run whose weights the training starts from; it may have started from another one.
        validation: the validation videos.

    Returns:
        The checks, and the number of validation videos that these runs have learned from; None where the training data
        of one of them cannot be compared.
    """
    checks: list[DataCheck] = []
    is_shared = np.zeros(len(validation), bool)
    digest, seen = "", {""}
    while path not in seen:
        seen.add(path)
        try:
            run = Run.open(path)
            if digest and digest != weights_digest(run.weights_file):
                raise UserError("its weights are no longer those that the training started from")
            training = open_training_videos(run)
        except UserError as error:
            message = f"Whether run {path} has learned from validation videos was not compared: {error}"
            return (*checks, DataCheck(NOT_COMPARED, 0, message)), None
        shared = find_shared(training, validation)
        for check in check_shared(shared, validation):
            message = f"Run {path}, whose weights the training starts from: {check.message}"
            checks.append(replace(check, message=message))
        is_shared |= shared.either
        path, digest = run.experiment.init, run.facts.init_weights
    return tuple(checks), int(is_shared.sum())


def open_training_videos(run: Run) -> Videos:
    """Return the videos that a run was trained on.

    Raises UserError where they cannot be opened any more, or where there are other ones now.
    """
    data = run.experiment.data
    with advise_relocation(run, data.train):
        videos = open_experiment_data(run.experiment, data.train, skip_bad=run.facts.train_bad_records > 0)
    videos = labeled_videos(select_segments(videos, data.segments), data.unlabeled)
    if data.fold:
        videos, _ = split_fold(videos, data.fold)
    if len(videos) != run.facts.train_videos:
        raise UserError(
            f"{len(videos):,} videos", where=data.train, expected=f"the {run.facts.train_videos:,} training videos"
        )
    return videos


def warn_learned(run: Run, videos: Videos) -> None:
    """Log how many of some videos a run was trained on, as far as its training data can be opened."""
    try:
        training = open_training_videos(run)
    except UserError:
        return
    if found := int(find_shared(training, videos).either.sum()):
        logging.getLogger(__name__).warning(
            "%s of %s videos are training videos of run %s: metrics on them are too good.",
            f"{found:,}",
            f"{len(videos):,}",
            run.name,
        )


def split_fold(videos: Videos, fold: str) -> tuple[VideoSubset, VideoSubset]:
    """Return views of the videos outside a fold K/N, and of those inside it.

    Raises UserError where one of them has no videos.
    """
    number, total = parse_fold(fold)
    is_inside = assign_folds(videos.video_ids.to_pylist(), total) == number
    outside, inside = np.flatnonzero(~is_inside), np.flatnonzero(is_inside)
    if not len(inside) or not len(outside):
        raise UserError(
            f"{len(inside):,} of {len(videos):,} videos in fold {fold}",
            where=videos.location(0),
            expected="videos inside and outside the fold",
            advice="Use fewer folds.",
        )
    return videos.subset(outside), videos.subset(inside)


def assign_folds(ids: Iterable[str], total: int) -> NDArray[np.int64]:
    """Return the fold of each video, 1 to ``total``: a hash of its id, the same in any order and on any machine.

    >>> assign_folds(["aaaa", "bbbb", "cccc", "dddd"], 2)
    array([2, 2, 1, 1])
    """
    digests = b"".join(hashlib.blake2b(video.encode(), digest_size=8).digest() for video in ids)
    return (np.frombuffer(digests, "<u8") % np.uint64(total)).astype(np.int64) + 1


def _check(videos: Videos, validation: Videos, vocabulary: Vocabulary, experiment: Experiment) -> None:
    if not videos.schema.accepts(validation.schema):
        raise UserError(
            describe_schema(validation.schema),
            where=experiment.data.validation_name,
            expected=f"{describe_schema(videos.schema)}, as in the training data",
        )
    for split in (videos, validation):
        split.check_labels(vocabulary.num_classes)
        if split.rated is not None and not len(split.label_values):
            raise UserError(
                "no segment in which a label was rated as present",
                where=split.location(0),
                expected="some in the training and in the validation data",
            )


def check_data(videos: Videos, validation: Videos) -> tuple[DataCheck, ...]:
    """Check the training and the validation videos, and whether they have videos in common."""
    checks = (*check_videos(videos), *check_splits(videos, validation))
    if videos.whole is not validation.whole:  # both parts of a fold have the checks of their data set
        checks += check_videos(validation)
    return checks
