"""The best segments of each label of a data set, and MAP@K on the rated ones (2019 edition).

Segments are scored in parts, as videos are. A part keeps those segments of each label that may be among the K best, so
that neither memory nor disk grows with the number of segments times the number of labels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from yt8m_core.data.segments import Segments
from yt8m_core.errors import UserError
from yt8m_core.inference.compute import Compute, check_finite
from yt8m_core.inference.evaluation import score_batches
from yt8m_core.inference.scoring_parts import Batches, Count, score_parts
from yt8m_core.metrics.map_at_k import RatedRanking
from yt8m_core.metrics.top_segments import TopSegments
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.processes.group import Group
from yt8m_core.processes.parts import Parts
from yt8m_core.progress import Progress
from yt8m_core.storage.tensor_files import write_tensors

PART = "segments.safetensors"

Integers = NDArray[np.int64]


def score_segments(
    model: VideoClassifier,
    segments: Segments,
    labels: Integers,
    folder: Path,
    *,
    compute: Compute,
    group: Group,
    progress: Progress,
) -> Parts:
    """Score all segments, and store in parts those of each label that may be among the K best.

    Args:
        model: model on the device of ``compute``.
        segments: the segments.
        labels: [L] the labels to keep.
        folder: folder of the parts, whose name identifies all that they depend on.
        compute: device of the model.
        group: the processes that divide the work.
        progress: progress callback.

    Raises:
        UserError: a probability is not finite.
    """
    best = TopSegments(len(labels), len(segments))  # of this process: what is not among its K best is in no result
    columns = torch.from_numpy(labels)

    def write(batches: Batches, part: Path, count: Count) -> None:
        scores = []
        for batch, p in score_batches(model, segments, batches, compute=compute):
            check_finite(p)
            scores.append(p[:, columns.to(p.device)].float().cpu().numpy())
            count(len(batch.videos))
        matrix = np.concatenate(scores)  # [n, L]
        first = int(batches[0][0])
        kept = best.add(first, matrix).T  # [L, n]
        places = kept.nonzero()[1]
        tensors = {
            "counts": kept.sum(axis=1),
            "segments": (first + places).astype(np.int32),
            "scores": np.ascontiguousarray(matrix.T)[kept],
        }
        write_tensors(part / PART, {name: torch.from_numpy(values) for name, values in tensors.items()})

    return score_parts(folder, len(segments), write, group, progress)


def read_best(parts: Parts, num_labels: int, num_segments: int) -> TopSegments:
    """Return the best segments of each label from the parts."""
    best = TopSegments(num_labels, num_segments)
    for path in parts.paths:
        tensors = {name: tensor.numpy() for name, tensor in load_file(path / PART).items()}
        first = 0
        for label, count in enumerate(tensors["counts"].tolist()):
            rows = slice(first, first + count)
            best.add_best(label, tensors["segments"][rows], tensors["scores"][rows])
            first += count
    return best


def rated_labels(segments: Segments) -> Integers:
    """Return the labels that are rated as present in a segment. Raises UserError where there is none."""
    ratings = segments.ratings
    labels = np.unique(ratings.labels[ratings.is_present]).astype(np.int64)
    if not len(labels):
        raise UserError(
            "no label is rated as present in a segment",
            where=segments.videos.location(0),
            advice="MAP@K needs ratings, as in the validation shards of the 2019 edition.",
        )
    return labels


def rated_rankings(best: TopSegments, segments: Segments, labels: Sequence[int]) -> list[RatedRanking]:
    """Return the rated segments of each label that are among its K best.

    Args:
        best: the best segments of each label.
        segments: the segments, with their ratings.
        labels: [L] the labels of ``best``, each with a positive rating.
    """
    ratings = segments.ratings
    parents, number_of = np.unique(ratings.parents, return_inverse=True)  # video of each rating, counted from 0
    video_of = np.searchsorted(parents, segments.parents)  # of segments with a rating
    rated, present = (
        _by_label(segments.rated.values, segments.rated.offsets),
        _by_label(segments.label_values, segments.label_offsets),
    )
    none = np.empty(0, np.int64)
    rankings = []
    for number, label in enumerate(labels):
        found, scores = best.best(number)
        is_rated = np.isin(found, rated.get(label, none))
        rows = found[is_rated]
        is_present = np.isin(rows, present.get(label, none))
        positives = number_of[ratings.is_present & (ratings.labels == label)]
        rankings.append(RatedRanking(label, scores[is_rated], is_present, video_of[rows], positives))
    return rankings


def _by_label(values: NDArray[np.int32], offsets: Integers) -> dict[int, Integers]:
    """Return the rows that have each label, ascending."""
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.argsort(values, kind="stable")
    labels, first = np.unique(values[order], return_index=True)
    return dict(zip(labels.tolist(), np.split(rows[order], first[1:]), strict=True))
