"""Prediction from a part of a video's frames: without those of highest weight, without each, or from a few alone.

What a model loses with some frames is what they are worth to it, whatever its pooling (occlusion, section 4.2 of
https://arxiv.org/abs/1311.2901); attention weights only say where a pooling looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from yt8m_core.models.classifier import VideoClassifier

DRAWS = 19
"""Random choices to compare with: more than in all of 19 is more than in 95 of 100."""
SEED = 0
CELLS = 1 << 24  # numbers of a batch of parts, 64 MB

Probabilities = NDArray[np.float32]
Positions = NDArray[np.int64]


def predict_parts(model: VideoClassifier, frames: NDArray[Any], parts: Sequence[Positions]) -> Probabilities:
    """What a model says of a video cut down to some of its frames, many cuts at once.

    Args:
        model: in evaluation mode.
        frames: [T, D] as stored.
        parts: of each cut, the positions of the frames that stay, rising; they close up, as if there were no others.

    Returns:
        Probabilities [parts, C]. Where no frame stays, the model judges a video without frames.
    """
    with torch.inference_mode():
        whole = torch.from_numpy(np.ascontiguousarray(frames))[None]
        # Once for all parts: what is made of a frame, also by the fusion, depends on no other frame.
        seen, _ = model.prepare(whole, torch.tensor([len(frames)]))
        seen = torch.cat([seen[0], seen.new_zeros(1, seen.shape[2])])  # the last row is the padding
        step = max(1, CELLS // max(1, seen.numel()))
        some = [parts[first : first + step] for first in range(0, len(parts), step)]
        return np.concatenate([_predict(model, seen, each) for each in some])


def _predict(model: VideoClassifier, seen: torch.Tensor, parts: Sequence[Positions]) -> Probabilities:
    padding, longest = len(seen) - 1, max(1, max(map(len, parts)))
    rows = np.full((len(parts), longest), padding)
    for row, part in zip(rows, parts, strict=True):
        row[: len(part)] = part
    index = torch.from_numpy(rows)  # [parts, T']
    scores, _ = model.score(seen[index], index != padding)
    return scores.p.float().numpy()


def watched(
    probabilities: Probabilities, true_labels: Sequence[int] | None, *, best: int = 3, most: int = 8
) -> list[int]:
    """The labels of a video to keep an eye on: its true ones and the best predicted, likeliest first, ``most`` at most.

    >>> watched(np.array([0.1, 0.2, 0.9, 0.3], np.float32), [0], best=1)
    [2, 0]
    """
    order = np.argsort(-probabilities, kind="stable").tolist()
    true = [label for label in order if label in set(true_labels or ())]
    wanted = [*true, *(label for label in order[:best] if label not in true)][:most]  # the true ones first
    return sorted(wanted, key=order.index)


@dataclass(frozen=True)
class Removal:
    """A video with n frames removed, and with n alone: those of the highest weight, and n random ones a draw."""

    frames: Positions  # [n], those of the highest weight, rising
    whole: Probabilities  # [C]
    without_top: Probabilities  # [C]
    top_alone: Probabilities  # [C]
    without_random: Probabilities  # [DRAWS, C]
    random_alone: Probabilities  # [DRAWS, C]

    def fall(self, labels: Sequence[int]) -> float:
        """How much the probability of some labels falls, on average, without the frames of the highest weight."""
        return float((self.whole - self.without_top)[list(labels)].mean())

    def random_falls(self, labels: Sequence[int]) -> NDArray[np.float64]:
        """The same without random frames, a number a draw."""
        return np.asarray((self.whole - self.without_random)[:, list(labels)].mean(axis=1), np.float64)


def remove_top(model: VideoClassifier, frames: NDArray[Any], weights: ArrayLike, count: int) -> Removal:
    """Remove the ``count`` frames of the highest weight, or keep them alone; and as many random ones, to compare.

    Args:
        model: in evaluation mode.
        frames: [T, D] as stored.
        weights: [T]; of equal ones, the earlier frame goes first.
        count: n, from 1 to T - 1.
    """
    T = len(frames)
    random = np.random.default_rng(SEED)
    top = np.argsort(-np.asarray(weights), kind="stable")[:count]
    choices = [np.sort(choice) for choice in (top, *(random.permutation(T)[:count] for _ in range(DRAWS)))]
    everything = np.arange(T)
    parts = [everything, *(np.setdiff1d(everything, choice) for choice in choices), *choices]
    p = predict_parts(model, frames, parts)
    without, alone = p[1 : DRAWS + 2], p[DRAWS + 2 :]
    return Removal(choices[0], p[0], without[0], alone[0], without[1:], alone[1:])


@dataclass(frozen=True)
class LeftOut:
    """A video without each of its windows, one after the other."""

    starts: Positions  # [W], the first frame of each window
    width: int  # frames of a window; the last may have fewer
    whole: Probabilities  # [C]
    without: Probabilities  # [W, C]

    def falls(self, labels: Sequence[int]) -> NDArray[np.float64]:
        """How much the probability of some labels falls, on average, without each window [W]."""
        return np.asarray((self.whole - self.without)[:, list(labels)].mean(axis=1), np.float64)


def leave_out(model: VideoClassifier, frames: NDArray[Any], width: int) -> LeftOut:
    """Leave out each window of ``width`` frames in turn. The video has more frames than that."""
    everything = np.arange(len(frames))
    starts = everything[::width]
    parts = [everything, *(np.delete(everything, slice(start, start + width)) for start in starts)]
    p = predict_parts(model, frames, parts)
    return LeftOut(starts, width, p[0], p[1:])
