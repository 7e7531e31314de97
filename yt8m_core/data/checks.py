"""Data checks: faults of a data set that no single record shows, and that silently spoil results.

Each check counts the videos that it concerns. A check is fatal if results on the data mean nothing; a command then
stops, unless the user allows the check by name.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from yt8m_core.data.dataset import Videos
from yt8m_core.data.segments import Ratings, Segments
from yt8m_core.data.tfrecord.bad_records import warn_bad_records
from yt8m_core.data.tfrecord.scan import CONSTANT_STREAM, CONSTANT_VIDEO, MISSING_STREAM, REPEATED_LABEL
from yt8m_core.errors import UserError, check_choice

# Names of the fatal checks, for --allow.
REPEATED_LABELS, CONSTANT_FEATURES = "repeated-labels", "constant-features"
SHARED_VIDEOS, OTHER_SCALE = "shared-videos", "other-scale"
FATAL = (REPEATED_LABELS, CONSTANT_FEATURES, SHARED_VIDEOS, OTHER_SCALE)
FATAL_SHARE = 0.5  # of the videos: repeated labels or constant features
FATAL_SHARED = 0.01  # of the validation videos: found among the training videos


@dataclass(frozen=True)
class DataCheck:
    """Result of a check that found something."""

    name: str
    videos: int  # number of videos that it concerns
    message: str
    is_fatal: bool = False  # whether results on the data mean nothing


def check_videos(videos: Videos) -> tuple[DataCheck, ...]:
    """Check one data set; of segments, their videos."""
    if isinstance(videos.whole, Segments):
        videos = videos.whole.videos
    findings = videos.column("findings").to_numpy()
    checks = [
        _count(
            videos, findings & REPEATED_LABEL, REPEATED_LABELS, "a label more than once",
            "'labels' may be 0/1 vectors, or padded; they must be the ids of the video's labels.", FATAL_SHARE,
        ),
        _count(
            videos, findings & CONSTANT_VIDEO, CONSTANT_FEATURES, "features that are all the same value",
            "The extraction may be incomplete.", FATAL_SHARE,
        ),
        _count(
            videos, (findings & CONSTANT_STREAM) * ((findings & CONSTANT_VIDEO) == 0), "constant-stream",
            "a stream whose values are all the same", "A model learns nothing from it.",
        ),
        _count(videos, findings & MISSING_STREAM, "missing-audio", "no audio", _missing_advice(videos, findings)),
        _check_unread_keys(videos),
        _check_equal_content(videos, findings),
        *_check_ratings(videos),
    ]  # fmt: skip
    return tuple(check for check in checks if check is not None)


@dataclass(frozen=True)
class SharedVideos:
    """Which videos of a data set are also in another one."""

    by_id: NDArray[np.bool_]  # [N]
    by_content: NDArray[np.bool_]  # [N]; False where all features are the same value

    @property
    def either(self) -> NDArray[np.bool_]:
        """Videos that are found by their id or by their features [N]."""
        return self.by_id | self.by_content


def find_shared(training: Videos, validation: Videos) -> SharedVideos:
    """Find the validation videos [N] that are among the training videos."""
    by_id = pc.is_in(validation.video_ids, value_set=training.video_ids).to_numpy(zero_copy_only=False)
    content = _content_without_constants(training)
    return SharedVideos(by_id, np.isin(_content_without_constants(validation), content[content != 0]))


def check_splits(training: Videos, validation: Videos) -> tuple[DataCheck, ...]:
    """Check whether validation videos are among the training videos, by id and by content."""
    return check_shared(find_shared(training, validation), validation)


def check_shared(shared: SharedVideos, validation: Videos) -> tuple[DataCheck, ...]:
    """Return the check of ``find_shared``, if it has found any video."""
    if not (count := int(shared.either.sum())):
        return ()
    first = int(shared.either.argmax())
    message = (
        f"{count:,} of {len(validation):,} validation videos are also training videos: {shared.by_id.sum():,} have "
        f"the same id, {shared.by_content.sum():,} the same features. The first: '{validation.id(first)}' in "
        f"{validation.location(first)}. Validation results are too good by what the model has memorized of them."
    )
    return (DataCheck(SHARED_VIDEOS, count, message, count > FATAL_SHARED * len(validation)),)


def stop_if_fatal(checks: Iterable[DataCheck], allow: Collection[str] = ()) -> None:
    """Raise UserError for the first fatal check that is not allowed, and for an unknown name in ``allow``."""
    for name in allow:
        check_choice("allow", name, FATAL)
    for check in checks:
        if check.is_fatal and check.name not in allow:
            raise UserError(check.message, advice=f"Correct the data. To go on all the same: --allow {check.name}.")


def warn_videos(videos: Videos) -> None:
    """Log the bad records and the checks of a data set."""
    warn_bad_records(videos.bad_records)
    warn_checks(check_videos(videos))


def warn_checks(checks: Sequence[DataCheck]) -> None:
    """Log a warning for each check, once per process; without logging set up it goes to standard error."""
    for check in checks:
        _warn_once(check.message)


@lru_cache(maxsize=1024)
def _warn_once(message: str) -> None:
    logging.getLogger(__name__).warning("%s", message)


def _count(
    videos: Videos, concerned: NDArray[np.int8], name: str, what: str, advice: str, fatal_share: float = 2.0
) -> DataCheck | None:
    """Return a check of the videos with a finding, or None where there are none."""
    if not (count := int(np.count_nonzero(concerned))):
        return None
    first = int((concerned != 0).argmax())
    message = (
        f"{count:,} of {len(videos):,} videos have {what}. The first: '{videos.id(first)}' in "
        f"{videos.location(first)}. {advice}"
    )
    return DataCheck(name, count, message, count > fatal_share * len(videos))


def _missing_advice(videos: Videos, findings: NDArray[np.int8]) -> str:
    advice = "It is filled with byte 128, a value of about 0."
    if not (findings & MISSING_STREAM).all():
        return advice
    required = " ".join(f"{name}:{dim}" for name, dim in videos.schema.streams if not videos.schema.is_optional(name))
    return f"{advice} To train without it: --streams {required}."


def _check_unread_keys(videos: Videos) -> DataCheck | None:
    column = videos.column("unread_keys")
    if not (count := len(column) - column.null_count):
        return None
    keys = ", ".join(f"'{key}'" for key in sorted(pc.unique(pc.list_flatten(column)).to_pylist())[:8])
    message = f"{count:,} of {len(videos):,} records have the keys {keys}, which are not read: labels are in 'labels'."
    return DataCheck("unread-keys", count, message)


def _check_ratings(videos: Videos) -> Iterator[DataCheck]:
    """Yield the checks of the ratings of segments (2019 edition)."""
    if videos.schema.level != "frame":
        return
    ratings = Ratings(videos)
    total = len(ratings.labels) + ratings.num_beyond
    for name, count, text in (
        ("ratings-beyond", ratings.num_beyond, "after the last frame of its video. They are left out."),
        ("ratings-cut", ratings.num_cut, "whose five seconds the video does not have. They are of the frames it has."),
        ("ratings-between", ratings.num_between, "that begins at no multiple of five seconds. No submission has it."),
    ):
        if count:
            yield DataCheck(name, count, f"{count:,} of {total:,} ratings are of a segment {text}")


def _check_equal_content(videos: Videos, findings: NDArray[np.int8]) -> DataCheck | None:
    content = _content_without_constants(videos)
    values, first, counts = np.unique(content, return_index=True, return_counts=True)
    is_repeated = (counts > 1) & (values != 0)
    if not is_repeated.any():
        return None
    group = int(np.flatnonzero(is_repeated)[first[is_repeated].argmin()])
    pair = np.flatnonzero(content == values[group])[:2].tolist()
    count = int((counts[is_repeated] - 1).sum())
    names = " and ".join(f"'{videos.id(video)}'" for video in pair)
    message = f"{count:,} of {len(videos):,} videos have the features of another video. The first: {names}."
    return DataCheck("equal-features", count, message)


def _content_without_constants(videos: Videos) -> NDArray[np.int64]:
    """Return the digest of each video's features [N], 0 where they are all the same value."""
    content: NDArray[np.int64] = videos.column("content").to_numpy()
    return np.where(videos.column("findings").to_numpy() & CONSTANT_VIDEO, 0, content)
