"""Open the training and validation data of an experiment and check that they fit each other."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.dataset import Videos, VideoSubset
from yt8m_core.data.scale import detect_scale
from yt8m_core.data.vocabulary import Vocabulary, load_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Experiment, parse_fold
from yt8m_core.inference.evaluation import describe_schema, open_experiment_data
from yt8m_core.progress import Progress
from yt8m_core.runs.run import Facts


def open_splits(
    experiment: Experiment, *, skip_bad: bool, progress: Progress
) -> tuple[Videos, Videos, Vocabulary, Facts]:
    """Return the training videos, the validation videos, the vocabulary, and the facts that determine a model.

    Raises UserError where the data cannot be used, or the splits do not fit each other.
    """
    data = experiment.data
    videos = open_experiment_data(experiment, data.train, skip_bad=skip_bad, progress=progress)
    validation: Videos
    if data.fold:
        videos, validation = split_fold(videos, data.fold)
    else:
        validation = open_experiment_data(experiment, data.validation, skip_bad=skip_bad, progress=progress)
    labels = np.concatenate([videos.label_values, validation.label_values])
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
    )
    return videos, validation, vocabulary, facts


def split_fold(videos: Videos, fold: str) -> tuple[VideoSubset, VideoSubset]:
    """Return views of the videos outside a fold K/N, and of those inside it.

    Raises UserError where one of them has no videos.
    """
    number, total = parse_fold(fold)
    is_inside = assign_folds(videos.ids, total) == number
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
    if videos.schema != validation.schema:
        raise UserError(
            describe_schema(validation.schema),
            where=experiment.data.validation_name,
            expected=f"{describe_schema(videos.schema)}, as in the training data",
        )
    check_labeled(videos)
    if not validation.is_labeled.any():
        raise UserError(
            "no video has labels", where=experiment.data.validation_name, advice="Validate on labeled data."
        )
    for split in (videos, validation):
        split.check_labels(vocabulary.num_classes)


def check_labeled(videos: Videos) -> None:
    """Raise UserError for the first video without labels, which cannot be used for training."""
    if not videos.is_labeled.all():
        unlabeled = int((~videos.is_labeled).argmax())
        raise UserError(
            f"video '{videos.id(unlabeled)}' has no labels",
            where=videos.location(unlabeled),
            advice="Train on labeled shards; test shards have no labels.",
        )
