"""Missing labels of the demo world, which are known, and how many of them the candidates contain."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from yt8m_core.analysis.candidate_quality import KS, candidate_quality
from yt8m_core.analysis.label_evidence import EVIDENCE_ONLY, PROBABILITY_ONLY
from yt8m_core.analysis.missing_labels import FoldRuns
from yt8m_core.data.dataset import Videos
from yt8m_core.demo.world import read_truth

SPARE = 3  # pairs per pair that is measured, because a bootstrap draw leaves out a third of the videos


def removed_labels(folder: Path, videos: Videos, num_classes: int) -> csr_array:
    """Return the true labels that label noise has removed, sparse bool [N, C].

    Args:
        folder: folder of the demo world.
        videos: one of its splits.
        num_classes: C.
    """
    truth = read_truth(folder)["clean_labels"]
    removed = [np.setdiff1d(truth[video_id], videos.labels(video)) for video, video_id in enumerate(videos.ids)]
    offsets = np.cumsum([0, *map(len, removed)])
    labels = np.concatenate(removed).astype(np.int32)
    return csr_array((np.ones(len(labels), bool), labels, offsets), (len(videos), num_classes))


def finder_quality(folder: Path, runs: FoldRuns) -> pd.DataFrame:
    """Compare the candidates with those of the out-of-fold probability alone, and of the listed labels alone.

    Args:
        folder: folder of the demo world.
        runs: runs of its training split.

    Returns:
        As ``candidate_quality`` does. Differences are to the candidates with both.
    """
    combinations = {"both": runs.fit(), "probability": PROBABILITY_ONLY, "listed labels": EVIDENCE_ONLY}
    rankings = {name: runs.rank(combination, SPARE * max(KS)) for name, combination in combinations.items()}
    return candidate_quality(rankings, removed_labels(folder, runs.videos, runs.labels.shape[1]), runs.labels)
