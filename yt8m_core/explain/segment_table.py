"""Table of the segments of a video: the probability of a label in each, and how well it agrees with the attention."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.data.tfrecord.ratings import SEGMENT_FRAMES


def segment_table(
    scores: NDArray[np.float32], num_frames: int, attention: NDArray[np.float32] | None = None
) -> pd.DataFrame:
    """Return one row per segment: start, end (one past the last frame), probability, and attention, its total weight.

    Args:
        scores: probabilities of a label in the segments [S].
        num_frames: T.
        attention: attention weights of the frames [T]; None leaves out the column.
    """
    starts = np.arange(len(scores)) * SEGMENT_FRAMES
    table = pd.DataFrame(
        {"start": starts, "end": np.minimum(starts + SEGMENT_FRAMES, num_frames), "probability": scores}
    )
    if attention is not None:
        table["attention"] = np.add.reduceat(attention, starts)
    return table


def attention_agreement(table: pd.DataFrame) -> float | None:
    """Return Spearman's rank correlation of attention per frame and probability over the segments.

    None without attention, or where one of them is constant, or with fewer than three segments.

    >>> table = segment_table(np.float32([0.1, 0.5, 0.9]), 15, np.float32([0.02] * 5 + [0.06] * 5 + [0.12] * 5))
    >>> attention_agreement(table)
    1.0
    """
    from scipy.stats import spearmanr  # half a second at the start of the app

    if "attention" not in table or len(table) < 3:
        return None
    weight = table["attention"] / (table["end"] - table["start"])
    if weight.nunique() < 2 or table["probability"].nunique() < 2:
        return None
    return round(float(spearmanr(weight, table["probability"]).statistic), 12)
