"""Videos without labels: leave them out, or take them as negatives."""

import numpy as np

from yt8m_core.data.dataset import Videos
from yt8m_core.data.schema import UNLABELED_POLICIES
from yt8m_core.errors import UserError, check_choice


def labeled_videos(videos: Videos, unlabeled: str) -> Videos:
    """Return the videos of a data set for training or evaluation, which need labels.

    Args:
        videos: the data set.
        unlabeled: what to do with videos without labels: "error", "skip" to leave them out, or "negative" to keep them
            as videos that have none of the labels.

    Raises:
        UserError: a video has no labels ("error"), none has any, or ``unlabeled`` is none of these words.
    """
    check_choice("unlabeled", unlabeled, UNLABELED_POLICIES)
    if videos.is_labeled.all():
        return videos
    first = int((~videos.is_labeled).argmax())
    where = videos.location(first)
    if not videos.is_labeled.any():
        advice = "Use labeled data; test shards have no labels, and `yt8m predict` needs none."
        raise UserError("no video has labels", where=where, advice=advice)
    if unlabeled == "error":
        count = int((~videos.is_labeled).sum())
        raise UserError(
            f"{count:,} of {len(videos):,} videos have no labels, the first: '{videos.id(first)}'",
            where=where,
            advice="To leave them out: --unlabeled skip. If they have none of the labels: --unlabeled negative.",
        )
    if unlabeled == "skip":
        return videos.subset(np.flatnonzero(videos.is_labeled))
    view = videos.subset(np.arange(len(videos)))
    view.is_labeled = np.ones(len(videos), bool)
    return view
