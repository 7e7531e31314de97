"""Table of the scored videos of a run, and filters of its rows.

A filter returns a mask: bool [N], one value per row of ``CachedScores``, in the order of the table. Masks combine with
``&``. Filters by a number, such as average precision, errors, length or disagreement, are ``in_range`` of a column.
"""

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from yt8m_core.analysis.outcomes import float32_threshold
from yt8m_core.data.dataset import Videos
from yt8m_core.errors import UserError, check_choice
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.labels.statistics import BANDS

Mask = NDArray[np.bool_]

CHUNK = 1 << 20  # maximum number of scores held in memory at once, 4 MB, which a CPU cache holds

LABEL_OUTCOMES = {
    "true positive": "videos that have the label, at or above the threshold",
    "missed": "videos that have the label, below the threshold",
    "false positive": "videos without the label, at or above the threshold",
    "": "videos without the label, below the threshold",
}
"""Outcomes of one label in a video, which divide the videos, and their definitions."""

LABEL_FILTERS = {
    "true": ("true positive", "missed"),
    "predicted": ("true positive", "false positive"),
    "true positive": ("true positive",),
    "missed": ("missed",),
    "false positive": ("false positive",),
}
"""Filters by one label, and the outcomes that each selects."""


def video_table(
    scored: CachedScores,
    videos: Videos,
    ranks: pd.DataFrame,
    difficulty: pd.DataFrame,
    band: NDArray[np.str_],
) -> pd.DataFrame:
    """Describe each scored video. ``per_video.video_outcomes`` adds the errors at a threshold.

    Args:
        scored: Scores of the videos.
        videos: The data set.
        ranks: Result of ``true_ranks``.
        difficulty: Result of ``video_difficulty``.
        band: Frequency band of each label [C], as ``statistics.bands`` returns.

    Returns:
        ``difficulty`` with these columns:

        - id.
        - num_frames: number of frames used, one per second; 1 at video level.
        - lowest_label, lowest_probability: the true label that ranks lowest (at ``worst_rank``) and its probability.
        - false_label, false_probability: the most probable label that is not true, at any threshold, and its
          probability; of equal ones the first.
        - rarest_band: the rarest band of the true labels, a categorical ordered as ``BANDS``.

        Values that do not exist (no true label, or no other label) are missing.
    """
    N = len(scored.videos)
    lowest = ranks.sort_values(["row", "rank"]).drop_duplicates("row", keep="last").set_index("row").reindex(range(N))
    false_label, false_probability = _top_false_labels(scored)
    rarity = np.array([BANDS.index(name) for name in band])
    rarest = np.full(N, -1)
    rows = np.repeat(np.arange(N), np.diff(scored.truth.indptr))
    np.maximum.at(rarest, rows, rarity[scored.truth.indices])
    return difficulty.assign(
        id=videos.column("id").take(pa.array(scored.videos)).to_pandas(),
        num_frames=videos.num_frames[scored.videos],
        lowest_label=lowest["label"].astype("Int64").array,
        lowest_probability=lowest["probability"].array,
        false_label=pd.array(false_label, "Int64"),
        false_probability=false_probability,
        rarest_band=pd.Categorical.from_codes(rarest, pd.Index(BANDS), ordered=True),
    ).assign(false_label=lambda table: table["false_label"].where(table["false_probability"].notna()))


def outcome_of_label(scored: CachedScores, label: int, threshold: float) -> NDArray[np.str_]:
    """Return the outcome of one label in each video [N], a key of ``LABEL_OUTCOMES``.

    Unlike "false negative" in ``outcomes.OUTCOMES``, "missed" includes labels in the top 20.

    Args:
        scored: Scores of the videos.
        label: The label.
        threshold: Threshold, rounded to hundredths.
    """
    predicted = scored.probabilities[:, label] >= float32_threshold(threshold)
    true = scored.truth[:, [label]].toarray().ravel() > 0
    outcome: NDArray[np.str_] = np.select(
        [true & predicted, true, predicted], ["true positive", "missed", "false positive"], default=""
    )
    return outcome


def filter_by_label(scored: CachedScores, label: int, choice: str, threshold: float) -> Mask:
    """Select the videos in which a label has an outcome.

    Args:
        scored: Scores of the videos.
        label: The label.
        choice: A key of ``LABEL_FILTERS``.
        threshold: Threshold, rounded to hundredths.

    Raises:
        UserError: Unknown choice.
    """
    check_choice("label filter", choice, LABEL_FILTERS)
    return np.isin(outcome_of_label(scored, label, threshold), LABEL_FILTERS[choice])


def filter_by_probability(scored: CachedScores, label: int, low: float, high: float) -> Mask:
    """Select the videos in which the probability of a label is from ``low`` to ``high``, compared in float32."""
    probability = scored.probabilities[:, label]
    selected: Mask = (probability >= np.float32(low)) & (probability <= np.float32(high))
    return selected


def filter_by_band(scored: CachedScores, band: NDArray[np.str_], chosen: Collection[str]) -> Mask:
    """Select the videos with a true label in one of the chosen bands.

    Args:
        scored: Scores of the videos.
        band: Frequency band of each label [C], as ``statistics.bands`` returns.
        chosen: Bands, of ``BANDS``.

    Raises:
        UserError: Unknown band.
    """
    for name in chosen:
        check_choice("band", name, BANDS)
    selected: Mask = scored.truth @ np.isin(band, list(chosen)).astype(np.int32) > 0
    return selected


def in_range(column: pd.Series, low: float = -np.inf, high: float = np.inf) -> Mask:
    """Select the rows whose value is from ``low`` to ``high``; missing values are not selected.

    >>> in_range(pd.Series([0.2, np.nan, 0.5]), low=0.5).tolist()
    [False, False, True]
    """
    return column.between(low, high).fillna(False).to_numpy(bool)


def filter_by_position(table: pd.DataFrame, positions: Iterable[int]) -> Mask:
    """Select the videos at these positions in the data set, for example those selected in a figure."""
    return table["video"].isin(list(positions)).to_numpy(bool)


def filter_by_id(table: pd.DataFrame, ids: Iterable[str]) -> tuple[Mask, list[str]]:
    """Select the videos with these ids.

    Returns:
        The mask, and the ids that no scored video has, each once.
    """
    wanted = list(dict.fromkeys(ids))
    selected = table["id"].isin(wanted)
    known = set(table.loc[selected, "id"])
    return selected.to_numpy(bool), [name for name in wanted if name not in known]


def disagreement(scored: CachedScores, other: CachedScores) -> pd.DataFrame:
    """Find the label on which two runs differ most in each video: the largest |p_a - p_b| over all labels.

    Large values need one run that is confident. The overlap of the top 20 labels, in contrast, is mostly that of labels
    with probabilities near 0, whose order is noise. A run with higher probabilities throughout also differs.

    Args:
        scored: Scores of the first run.
        other: Scores of the second run on the same data set, possibly of another sample of it.

    Returns:
        One row per row of ``scored``: disagreement (0 to 1), disputed_label (of equal ones the first), probability and
        other_probability; missing for videos that the second run did not score.

    Raises:
        UserError: The runs have different numbers of labels, or of videos in the data set.
    """
    C = scored.probabilities.shape[1]
    for noun, number, expected in (
        ("labels", other.probabilities.shape[1], C),
        ("videos", other.num_videos, scored.num_videos),
    ):
        if number != expected:
            raise UserError(f"{number:,} {noun}", where=f"run {other.name}", expected=f"{expected:,}, as {scored.name}")
    _, rows, other_rows = np.intersect1d(scored.videos, other.videos, assume_unique=True, return_indices=True)
    label = np.empty(len(rows), np.int64)
    step = max(1, CHUNK // C)
    for first in range(0, len(rows), step):
        chunk = slice(first, first + step)
        difference = scored.probabilities[rows[chunk]] - other.probabilities[other_rows[chunk]]
        label[chunk] = np.abs(difference, out=difference).argmax(axis=1)
    p, q = scored.probabilities[rows, label], other.probabilities[other_rows, label]
    table = pd.DataFrame(
        {"disagreement": abs(p - q), "disputed_label": label, "probability": p, "other_probability": q}, rows
    )
    return table.astype({"disputed_label": "Int64"}).reindex(range(len(scored.videos)))


def _top_false_labels(scored: CachedScores) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the most probable label of each video that is not true [N], and its probability; NaN if all are true."""
    N, C = scored.probabilities.shape
    label, probability = np.empty(N, np.int64), np.empty(N, np.float32)
    step = max(1, CHUNK // C)
    for first in range(0, N, step):
        chunk = slice(first, first + step)
        p = np.array(scored.probabilities[chunk])
        truth = scored.truth[chunk].tocoo()
        p[truth.row, truth.col] = -1
        label[chunk] = p.argmax(axis=1)
        probability[chunk] = np.take_along_axis(p, label[chunk, None], axis=1)[:, 0]
    probability[probability < 0] = np.nan
    return label, probability
