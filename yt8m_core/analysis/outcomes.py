"""What runs got right and wrong in one video, and in which order videos are looked at."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BEST = 20  # labels of a video that GAP looks at

VERDICTS = {
    "hit": "true, and at or above the threshold",
    "near hit": f"true and among the best {BEST}, but below the threshold",
    "miss": f"true, but below the threshold and not among the best {BEST}",
    "false alarm": "at or above the threshold, but not true",
    "": f"among the best {BEST}, below the threshold and not true",
}
"""What each verdict on a label says."""


def verdicts(ranking: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The labels of a video that matter, best first, with their verdicts.

    Args:
        ranking: as ``Prediction.ranking`` gives it.
        threshold: in hundredths, as all that counts at a threshold has them.

    Returns:
        The rows of the best 20, of the labels at or above the threshold and of the true ones, and in ``predicted``
        whether a label is at or above it; ``verdict`` is a name in ``VERDICTS``, NA where the truth is not known.

    >>> ranking = pd.DataFrame({"rank": [1, 2, 30], "probability": [0.9, 0.6, 0.1], "true": [True, False, True]})
    >>> verdicts(ranking, 0.5)["verdict"].tolist()
    ['hit', 'false alarm', 'miss']
    """
    predicted = ranking["probability"].to_numpy(np.float32) >= edge(threshold)
    best = ranking["rank"].to_numpy() <= BEST
    known = ranking["true"].notna().to_numpy()
    true = ranking["true"].fillna(False).to_numpy(bool)
    verdict = np.select(
        [true & predicted, true & best, true, predicted], ["hit", "near hit", "miss", "false alarm"], default=""
    )
    words = pd.Series(verdict, ranking.index, dtype="string").where(known)
    table = ranking.assign(predicted=predicted, verdict=words)
    matters: NDArray[np.bool_] = best | predicted | true
    return table.loc[matters].reset_index(drop=True)


def side_by_side(members: Mapping[str, NDArray[np.float32]], first: pd.DataFrame) -> pd.DataFrame:
    """What several runs say of one video, and their mean, the ensemble of the paper's section 3.3; largest mean first.

    Args:
        members: the probabilities [C] of runs of the same labels, each by its name.
        first: the ranking of one of them, for names and truth.

    Returns:
        rank (by the mean), label, name, true, mean, spread (largest less smallest probability), and each member's
        probability under "p " and its name.
    """
    each = np.stack(list(members.values()))  # [members, C]
    mean = each.mean(axis=0)
    order = np.lexsort((np.arange(len(mean)), -mean))
    about = first.set_index("label").loc[order, ["name", "true"]].reset_index()
    about.insert(0, "rank", np.arange(1, len(order) + 1))
    about["mean"] = mean[order]
    about["spread"] = np.ptp(each, axis=0)[order]
    return pd.concat([about, pd.DataFrame(each.T[order], columns=[f"p {name}" for name in members])], axis=1)


def edge(threshold: float) -> np.float32:
    """A threshold as ``diagnosis.threshold_counts`` compares it with float32 probabilities.

    >>> bool(np.float32(0.07) >= edge(0.07000000000000001))
    True
    """
    return np.float32(round(threshold, 2))
