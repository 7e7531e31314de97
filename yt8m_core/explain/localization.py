"""Localization: the scores of the labels in each segment of a video.

Each segment is scored as if it were a video, the baseline of the 2019 edition
(https://research.google.com/youtube8m/). A model that was trained on whole videos has never seen such short ones.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yt8m_core.data.tfrecord.ratings import SEGMENT_FRAMES
from yt8m_core.models.classifier import VideoClassifier

BATCH = 64  # segments


def score_segments(model: VideoClassifier, frames: NDArray[Any]) -> NDArray[np.float32]:
    """Score each five frames of a video, from its first frame on; the last segment may be shorter.

    Args:
        model: model on the CPU, in evaluation mode.
        frames: frames of the video as stored [T, D].

    Returns:
        Probabilities [S, C] with S = ⌈T / 5⌉.
    """
    T, D = frames.shape
    S = -(-T // SEGMENT_FRAMES)
    padded = np.zeros((S * SEGMENT_FRAMES, D), frames.dtype)
    padded[:T] = frames
    segments = torch.from_numpy(padded.reshape(S, SEGMENT_FRAMES, D))
    num_frames = torch.from_numpy(np.minimum(T - np.arange(S) * SEGMENT_FRAMES, SEGMENT_FRAMES))
    with torch.inference_mode():
        parts = [
            model(segments[first : first + BATCH], num_frames[first : first + BATCH])[0].p.float()
            for first in range(0, S, BATCH)
        ]
    scores: NDArray[np.float32] = torch.cat(parts).numpy()
    return scores
