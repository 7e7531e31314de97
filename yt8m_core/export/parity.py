"""Parity of an exported file with its run: the same outputs for batches of several sizes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from yt8m_core.data.quantization import dequantize
from yt8m_core.data.sources import find_sources
from yt8m_core.errors import UserError
from yt8m_core.inference.compute import check_finite
from yt8m_core.inference.evaluation import check_run_data, open_experiment_data
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.runs.run import Run

LIMITS = {"float32": 1e-4, "float16": 1e-2}  # largest difference of a probability or an attention weight
SEED = 0
MAX_VIDEOS = 12
MAX_FRAMES = 300  # of random videos
# B and T of the batches; None for the longest video and rows after it. The size that was traced is not among them.
SHAPES = ((1, 1), (7, None), (4, 2), (2, None))
PADDING = 3  # number of rows after the longest video


class Batch(NamedTuple):
    """Inputs of the graph. The rows of padding have random values, which must not matter."""

    frames: NDArray[Any]  # [B, T, D]
    num_frames: NDArray[np.int64]  # [B]


class Session(Protocol):
    """An exported file, opened by a runtime."""

    def run(self, frames: NDArray[Any], num_frames: NDArray[Any]) -> list[NDArray[Any]]:
        """Frames [B, T, D] and num_frames [B] → probabilities [B, C] and, if any, attention [B, T]."""


def load_videos(run: Run) -> list[NDArray[Any]]:
    """Return a few videos [T, D] of the first shard of the run's data; none where it cannot be read or does not fit."""
    data = run.experiment.data
    try:
        shard = find_sources(data.train if data.fold else data.validation)[0].path
        videos = open_experiment_data(run.experiment, shard)
        check_run_data(run, videos, shard)
        positions = np.linspace(0, len(videos) - 1, min(MAX_VIDEOS, len(videos)), dtype=np.int64)
        return [videos.frames(int(video)) for video in positions]
    except (UserError, OSError):
        return []


def random_videos(run: Run) -> list[NDArray[Any]]:
    """Return videos [T, D] of random bytes, or at video level of random values."""
    random, D = np.random.default_rng(SEED), run.facts.schema.width
    if run.facts.schema.level == "video":
        return [random.standard_normal((1, D), np.float32) for _ in range(MAX_VIDEOS)]
    lengths = random.integers(1, min(run.experiment.data.max_frames, MAX_FRAMES) + 1, MAX_VIDEOS)
    return [random.integers(0, 256, (length, D), np.uint8) for length in lengths]


def build_batches(videos: Sequence[NDArray[Any]], level: str, input_type: str) -> Iterator[Batch]:
    """Yield batches of videos [T, D], cut and padded to several sizes; one video has no frames.

    Args:
        videos: Videos as stored, repeated where a batch needs more.
        level: Level of the data; at video level T is 1.
        input_type: Type of the frames: "uint8" or "float".
    """
    random, first = np.random.default_rng(SEED), 0
    for B, T in SHAPES:
        chosen = [videos[(first + row) % len(videos)] for row in range(B)]
        first += B
        T = 1 if level == "video" else T or max(map(len, chosen)) + PADDING
        frames = random.integers(0, 256, (B, T, chosen[0].shape[1]), np.uint8).astype(chosen[0].dtype)
        num_frames = np.array([min(len(video), T) for video in chosen], np.int64)
        num_frames[4:5] = 0  # a video without frames
        for row, video, length in zip(frames, chosen, num_frames, strict=True):
            row[:length] = video[:length]
        yield Batch(_convert(frames, input_type), num_frames)


def _convert(frames: NDArray[Any], input_type: str) -> NDArray[Any]:
    """Dequantize codes for a graph that takes floats."""
    is_code = frames.dtype == np.uint8
    return dequantize(torch.from_numpy(frames)).numpy() if is_code and input_type == "float" else frames


def largest_difference(model: VideoClassifier, session: Session, batches: Iterable[Batch]) -> float:
    """Return the largest absolute difference of an output; infinite for NaN, and for another shape or type.

    Raises UserError where the run's own outputs are not finite.


    Args:
        model: The run's model.
        session: The exported file.
        batches: Inputs.
    """
    largest = 0.0
    for batch in batches:
        with torch.inference_mode():
            scores, trace = model(*map(torch.from_numpy, batch))
        expected = [scores.p] if trace.attention is None else [scores.p, trace.attention]
        check_finite(*expected)
        for wanted, output in zip(expected, session.run(*batch), strict=True):
            if output.dtype != np.float32 or output.shape != tuple(wanted.shape):
                return float("inf")
            difference = float(np.abs(output - wanted.numpy()).max())
            largest = max(largest, difference if difference == difference else float("inf"))
    return largest
