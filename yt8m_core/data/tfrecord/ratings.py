"""Ratings of segments in a record of the 2019 edition: whether a person saw a label in five seconds of the video.

Four lists of the context have one entry per rating. Ratings are not exhaustive: a label that was not rated in a segment
is unknown there. Of several ratings of a label in a segment, the last one counts, as in Google's evaluation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from yt8m_core.data.schema import MAX_LABEL
from yt8m_core.data.tfrecord.encode import FeatureValue

SEGMENT_FRAMES = 5
START_KEY, END_KEY = "segment_start_times", "segment_end_times"
LABEL_KEY, SCORE_KEY = "segment_labels", "segment_scores"
RATING_KEYS = (START_KEY, END_KEY, LABEL_KEY, SCORE_KEY)
MAX_START = 1 << 24  # seconds: half a year
MAX_RATINGS = 1 << 16  # of a video: 60 segments with 1,000 labels each have fewer

Error = Callable[..., Exception]  # field, found, expected=, advice=


class Rating(NamedTuple):
    """A rating of a label in a segment."""

    start: int  # first frame of the segment, which is its second
    label: int
    is_present: bool


def parse_ratings(features: Mapping[str, Any], error: Error) -> tuple[Rating, ...] | None:
    """Return the ratings in a record's context, by start and label, each pair once; None where it has none.

    Raises:
        RecordError: the lists differ in length or type, a segment is not of five frames, a label or a score is not
            possible, or there are too many ratings.
    """
    present = [key for key in RATING_KEYS if key in features]
    if not present:
        return None
    lists = {}
    for key in RATING_KEYS:
        kind = "float_list" if key == SCORE_KEY else "int64_list"
        found = features[key].WhichOneof("kind") if key in features else None
        if found not in (None, kind):
            raise error(f"context '{key}'", f"a {found}", expected=f"an {kind}" if kind[0] == "i" else f"a {kind}")
        lists[key] = list(getattr(features[key], kind).value) if found else []
    lengths = {key: len(values) for key, values in lists.items()}
    if len(set(lengths.values())) > 1:
        raise error(
            "context 'segment_…'",
            ", ".join(f"{length:,} {key}" for key, length in lengths.items()),
            expected="as many of each, one per rating",
        )
    if lengths[START_KEY] > MAX_RATINGS:
        raise error("context 'segment_…'", f"{lengths[START_KEY]:,} ratings", expected=f"at most {MAX_RATINGS:,}")
    ratings: dict[tuple[int, int], bool] = {}
    for number, (start, end, label, score) in enumerate(zip(*lists.values(), strict=True)):
        for key, value, is_valid, expected in (
            (START_KEY, start, 0 <= start <= MAX_START, f"0 to {MAX_START:,}"),
            (END_KEY, end, end == start + SEGMENT_FRAMES, f"its start {start} plus {SEGMENT_FRAMES}"),
            (LABEL_KEY, label, 0 <= label <= MAX_LABEL, f"0 to {MAX_LABEL:,}"),
            (SCORE_KEY, score, score in (0, 1), "1 for present or 0 for absent"),
        ):
            if not is_valid:
                raise error(f"context '{key}', rating {number}", f"{value:g}", expected=expected)
        ratings[start, label] = score == 1
    return tuple(Rating(start, label, is_present) for (start, label), is_present in sorted(ratings.items()))


def rating_features(ratings: Sequence[Rating]) -> dict[str, FeatureValue]:
    """Return the four lists of a record's context for ratings."""
    return {
        START_KEY: [rating.start for rating in ratings],
        END_KEY: [rating.start + SEGMENT_FRAMES for rating in ratings],
        LABEL_KEY: [rating.label for rating in ratings],
        SCORE_KEY: np.array([rating.is_present for rating in ratings], np.float32),
    }
