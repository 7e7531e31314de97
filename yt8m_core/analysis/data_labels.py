"""The labels of a data set with their names and counts."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from scipy.sparse import csr_array

from yt8m_core.data.dataset import Videos
from yt8m_core.data.vocabulary import Vocabulary, load_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.labels import statistics


@dataclass(frozen=True)
class Labels:
    """The labels of a data set and their counts."""

    vocabulary: Vocabulary
    num_videos: int  # labeled videos
    matrix: csr_array  # [num_videos, C]
    table: pd.DataFrame  # from ``rank_frequency``


def count_labels(videos: Videos, data: str | Path, vocabulary: str | Path | None = None) -> Labels:
    """Count the labels of a data set.

    Args:
        videos: The data set.
        data: Its path.
        vocabulary: Its vocabulary file; by default the one beside the data.

    Raises:
        UserError: No video has labels, or a label is not in the vocabulary.
    """
    if not videos.is_labeled.any():
        raise UserError("no video has labels", where=str(data), advice="Choose a data set with labels.")
    names = load_vocabulary(data, vocabulary, videos.label_values, videos.schema)
    videos.check_labels(names.num_classes)
    matrix = statistics.label_matrix(videos.label_values, videos.label_offsets, names.num_classes)
    table = statistics.rank_frequency(statistics.counts(matrix), names.to_frame())
    return Labels(names, int(videos.is_labeled.sum()), matrix, table)


def name_pairs(table: pd.DataFrame, vocabulary: Vocabulary) -> pd.DataFrame:
    """Add the names a and b of the labels to a table of pairs with columns label_a and label_b."""
    names = {side: [vocabulary.name(label) for label in table[f"label_{side}"].tolist()] for side in "ab"}
    return pd.concat([pd.DataFrame(names, table.index), table], axis=1)
