"""Random frame features of demo videos, matched to statistics of real features."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray


@dataclass(frozen=True)
class StreamModel:
    """Parameters of a stream, and the real statistic that each was set on (rgb and audio)."""

    dim: int
    spread: float  # standard deviation before clipping: frame norm, 31.9 and 10.4
    view_share: float  # variance share of the scene's content: how much of a mean vector labels explain, 12% and 15%
    setting_share: float  # variance share of the scene's setting: cosine similarity of distant frames
    cut_rate: float  # probability of a new shot at a frame: decrease of cosine similarity with distance
    stillness: tuple[float, float]  # beta distribution over shots: quantiles of the cosine similarity of neighbors
    loudness: float  # relative deviation of the norm between shots: standard deviation of the frame norm, 4.5 and 3.6
    repeat_rate: float  # fraction of frames identical to the previous one


RGB = StreamModel(
    1024,
    spread=1.06,
    view_share=0.055,
    setting_share=0.1,
    cut_rate=0.12,
    stillness=(0.5, 0.45),
    loudness=0.2,
    repeat_rate=0.0,
)
AUDIO = StreamModel(
    128,
    spread=1.0,
    view_share=0.09,
    setting_share=0.15,
    cut_rate=0.12,
    stillness=(0.5, 0.8),
    loudness=0.45,
    repeat_rate=0.36,
)
# Real features are in PCA order: labels explain this many times more of the first component than of the last.
_FIRST_TO_LAST = 30.0


def draw_frames(
    rng: Generator,
    model: StreamModel,
    prototypes: NDArray[Any],
    views: list[list[int]],
    view_of_frame: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Draw the frames of one stream, uint8 [T, dim].

    A frame is the sum of its view, the setting of the scene, the shot, and noise.
    """
    T, dim = len(view_of_frame), model.dim
    profile = _FIRST_TO_LAST ** -np.linspace(0, 1, dim)
    view_share = model.view_share * profile / profile.mean()
    # The variance of a view does not depend on its number of labels.
    contents = np.stack([prototypes[view].sum(0) / math.sqrt(len(view)) for view in views]) * np.sqrt(view_share)
    settings = math.sqrt(model.setting_share) * rng.standard_normal((len(views), dim), np.float32)
    settings[1] = settings[0]  # both halves of the main scene have the same setting

    is_cut = (np.diff(view_of_frame, prepend=view_of_frame[0]) != 0) | (rng.random(T) < model.cut_rate)
    shot_of_frame = np.cumsum(is_cut)
    shots = rng.standard_normal((shot_of_frame[-1] + 1, dim), np.float32)
    stillness = rng.beta(*model.stillness, len(shots)).astype(np.float32)[:, None]
    loudness = model.spread * (1 + model.loudness * math.sqrt(3) * rng.uniform(-1, 1, len(shots)))

    frames = rng.standard_normal((T, dim), np.float32)  # [T, dim] from here on
    frames *= np.sqrt(1 - stillness)[shot_of_frame]
    frames += (np.sqrt(stillness) * shots)[shot_of_frame]
    frames *= np.sqrt(1 - view_share - model.setting_share).astype(np.float32)
    frames += (contents.astype(np.float32) + settings)[view_of_frame]
    frames *= loudness.astype(np.float32)[shot_of_frame, None]
    codes: NDArray[np.uint8] = np.rint((np.clip(frames, -2, 2) + 2) * np.float32(255 / 4)).astype(np.uint8)
    is_repeated = rng.random(T) < model.repeat_rate
    return codes[np.maximum.accumulate(np.where(is_repeated, 0, np.arange(T)))]
