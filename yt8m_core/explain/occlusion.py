"""Occlusion: predictions from subsets of a video's frames.

The drop in probability without some frames measures their importance to the model, for any pooling (section 4.2 of
https://arxiv.org/abs/1311.2901). Attention weights only show where the pooling looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from yt8m_core.models.classifier import VideoClassifier

DRAWS = 19
"""Number of random baselines. A value above all 19 is significant at the 5% level (rank 1 of 20)."""
SEED = 0
MAX_BATCH_VALUES = 1 << 24  # float32 values of a batch, 64 MB

Probabilities = NDArray[np.float32]
Positions = NDArray[np.int64]


def predict_parts(model: VideoClassifier, frames: NDArray[Any], parts: Sequence[Positions]) -> Probabilities:
    """Predict a video from several subsets of its frames, in batches.

    Args:
        model: The model, in evaluation mode.
        frames: Frames as stored [T, D].
        parts: For each subset, ascending positions of the frames to keep. Removed frames leave no
            gap.

    Returns:
        Probabilities [parts, C]. For an empty subset, the model predicts a video without frames.
    """
    with torch.inference_mode():
        whole = torch.from_numpy(np.ascontiguousarray(frames))[None]
        # Prepare once for all subsets: normalization and fusion treat each frame independently.
        prepared, _ = model.preprocess(whole, torch.tensor([len(frames)]))
        prepared = torch.cat([prepared[0], prepared.new_zeros(1, prepared.shape[2])])  # the last row is padding
        step = max(1, MAX_BATCH_VALUES // max(1, prepared.numel()))
        batches = [parts[first : first + step] for first in range(0, len(parts), step)]
        return np.concatenate([_predict(model, prepared, batch) for batch in batches])


def _predict(model: VideoClassifier, prepared: torch.Tensor, parts: Sequence[Positions]) -> Probabilities:
    padding, longest = len(prepared) - 1, max(1, max(map(len, parts)))
    rows = np.full((len(parts), longest), padding)
    for row, part in zip(rows, parts, strict=True):
        row[: len(part)] = part
    index = torch.from_numpy(rows)  # [parts, T']
    scores, _ = model.score(prepared[index], index != padding)
    return scores.p.float().numpy()


def labels_of_interest(
    probabilities: Probabilities, true_labels: Sequence[int] | None, *, num_predicted: int = 3, limit: int = 8
) -> list[int]:
    """Select the true labels and the top predicted labels of a video, sorted by probability.

    Args:
        probabilities: Probabilities [C].
        true_labels: The true labels; None if unknown.
        num_predicted: Number of top predicted labels to include.
        limit: Maximum number of labels; true labels take precedence.

    >>> labels_of_interest(np.array([0.1, 0.2, 0.9, 0.3], np.float32), [0], num_predicted=1)
    [2, 0]
    """
    order = np.argsort(-probabilities, kind="stable").tolist()
    true = [label for label in order if label in set(true_labels or ())]
    selected = [*true, *(label for label in order[:num_predicted] if label not in true)][:limit]
    return sorted(selected, key=order.index)


def _mean_drops(whole: Probabilities, without: Probabilities, labels: Sequence[int]) -> NDArray[np.float64]:
    """Return the drop in mean probability of the labels from ``whole`` [C] to each row of ``without`` [R, C]: [R]."""
    return np.asarray((whole - without)[:, list(labels)].mean(axis=1), np.float64)


@dataclass(frozen=True)
class TopFrameRemoval:
    """Predictions without n frames and from n frames only: the n frames of highest weight, and n random frames.

    Attributes:
        frames: Positions of the n frames of highest weight, ascending [n].
        whole: Probabilities from all frames [C].
        without_top: Probabilities without the frames of highest weight [C].
        top_alone: Probabilities from only the frames of highest weight [C].
        without_random: Probabilities without n random frames [DRAWS, C].
        random_alone: Probabilities from only n random frames [DRAWS, C].
    """

    frames: Positions
    whole: Probabilities
    without_top: Probabilities
    top_alone: Probabilities
    without_random: Probabilities
    random_alone: Probabilities

    def drop(self, labels: Sequence[int]) -> float:
        """Return the drop in mean probability of the labels without the frames of highest weight."""
        return float((self.whole - self.without_top)[list(labels)].mean())

    def random_drops(self, labels: Sequence[int]) -> NDArray[np.float64]:
        """Return the drop in mean probability of the labels without random frames [DRAWS]."""
        return _mean_drops(self.whole, self.without_random, labels)


def _random_choices(num_frames: int, count: int) -> list[Positions]:
    """Draw ``DRAWS`` times ``count`` of the frames, each in ascending order."""
    random = np.random.default_rng(SEED)
    return [np.sort(random.permutation(num_frames)[:count]) for _ in range(DRAWS)]


def remove_top_frames(model: VideoClassifier, frames: NDArray[Any], weights: ArrayLike, count: int) -> TopFrameRemoval:
    """Predict without, and from only, the frames of highest weight, with random frames as a baseline.

    Args:
        model: The model, in evaluation mode.
        frames: Frames as stored [T, D].
        weights: Attention weights [T]. Ties go to the earlier frame.
        count: n, from 1 to T - 1.
    """
    top = np.sort(np.argsort(-np.asarray(weights), kind="stable")[:count])
    choices = [top, *_random_choices(len(frames), count)]
    everything = np.arange(len(frames))
    parts = [everything, *(np.setdiff1d(everything, choice) for choice in choices), *choices]
    p = predict_parts(model, frames, parts)
    without, alone = p[1 : DRAWS + 2], p[DRAWS + 2 :]
    return TopFrameRemoval(choices[0], p[0], without[0], alone[0], without[1:], alone[1:])


@dataclass(frozen=True)
class WindowOcclusion:
    """Predictions with each window of frames removed in turn.

    Attributes:
        starts: First frame of each window [W].
        width: Number of frames per window; the last window may have fewer.
        whole: Probabilities from all frames [C].
        without: Probabilities without each window [W, C].
        without_random: Probabilities without ``width`` random frames [DRAWS, C].
    """

    starts: Positions
    width: int
    whole: Probabilities
    without: Probabilities
    without_random: Probabilities

    def drops(self, labels: Sequence[int]) -> NDArray[np.float64]:
        """Return the drop in mean probability of the labels without each window [W]."""
        return _mean_drops(self.whole, self.without, labels)

    def random_drops(self, labels: Sequence[int]) -> NDArray[np.float64]:
        """Return the drop in mean probability of the labels without random frames [DRAWS]."""
        return _mean_drops(self.whole, self.without_random, labels)


def occlude_windows(model: VideoClassifier, frames: NDArray[Any], width: int) -> WindowOcclusion:
    """Predict with each window of ``width`` frames removed in turn, with random frames as a baseline.

    ``width`` is less than the number of frames.
    """
    everything = np.arange(len(frames))
    starts = everything[::width]
    removed = [*np.split(everything, starts[1:]), *_random_choices(len(frames), width)]
    p = predict_parts(model, frames, [everything, *(np.delete(everything, part) for part in removed)])
    without, without_random = p[1 : len(starts) + 1], p[len(starts) + 1 :]
    return WindowOcclusion(starts, width, p[0], without, without_random)
