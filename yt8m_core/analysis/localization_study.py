"""Compare localizers on rated segments: a model of whole videos, the same model fine-tuned on ratings, its attention.

All rank the same segments, and all intervals are of the same bootstrap draws of videos, so that differences are paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from yt8m_core.data.segments import Segments
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment
from yt8m_core.inference.array_cache import digest
from yt8m_core.inference.evaluation import open_run_data, score_batches
from yt8m_core.inference.identity import run_identity, videos_identity
from yt8m_core.inference.prediction import predict_video
from yt8m_core.inference.segment_scores import rated_labels, rated_rankings
from yt8m_core.metrics.map_at_k import RatedRanking, map_draws, mean_average_precision
from yt8m_core.metrics.top_segments import TopSegments
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train

RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)  # of the fine-tuning, to choose from
TUNING_FOLD = "1/4"  # of the training ratings: it chooses the rate
EPOCHS = 10
REPLICATES = 400
VIDEO_MODEL, FINE_TUNED = "video model", "fine-tuned on ratings"
ATTENTION, WHOLE_VIDEO = "attention × video probability", "video probability, no localization"


@dataclass(frozen=True)
class LocalizationStudy:
    """Result of ``compare_localizers``.

    Attributes:
        rows: one row per localizer: localizer, map, low and high (its 95% CI over videos); means over seeds.
        differences: one row per localizer but the first: localizer, difference to the video model, low, high.
        rates: MAP@K on the tuning fold by learning rate: learning_rate, map.
        fine_tuned: the fine-tuned run of the first seed, with the chosen rate.
        num_ratings, num_videos: what is ranked.
        present: share of the ratings that are of a present label, about the MAP of a random order.
    """

    rows: pd.DataFrame
    differences: pd.DataFrame
    rates: pd.DataFrame
    fine_tuned: Run
    num_ratings: int
    num_videos: int
    present: float


def compare_localizers(
    base: Run, data: Data, folder: Path, *, seeds: Sequence[int] = (0, 1, 2), progress: Progress = silent
) -> LocalizationStudy:
    """Compare localizers on the validation ratings of ``data``.

    Args:
        base: a run that was trained on labels of whole videos, at frame level.
        data: training and validation data with ratings, of different videos. The validation ratings decide nothing.
        folder: folder for the fine-tuned runs, which are trained where they are missing.
        seeds: seeds of the fine-tuning.
        progress: progress callback.

    Raises:
        UserError: the data do not fit the run or have no ratings.
    """
    rated = Segments(open_run_data(base, data.train), "rated")
    segments = Segments(open_run_data(base, data.validation), "rated")
    folder /= digest([run_identity(base), videos_identity(rated), videos_identity(segments), EPOCHS], 8)
    tuning = replace(data, validation="", fold=TUNING_FOLD, segments="rated")
    values = []
    for rate in RATES:
        run = train(fine_tuning(base, tuning, rate, 0), folder / f"tuning-rate-{rate:g}", progress=progress)
        values.append(float(run.metrics["validation"]["ap_all"]))  # of rated segments: MAP without a cut
    rates = pd.DataFrame({"learning_rate": RATES, "map": values})
    rate = RATES[int(np.argmax(values))]
    labels = rated_labels(segments)
    scores: dict[str, list[NDArray[np.float32]]] = {VIDEO_MODEL: [model_scores(base, segments)[:, labels]]}
    tuned = [
        train(fine_tuning(base, replace(data, segments="rated"), rate, seed), path, progress=progress)
        for seed, path in ((seed, folder / f"rate-{rate:g}-seed-{seed}") for seed in seeds)
    ]
    scores[FINE_TUNED] = [model_scores(run, segments)[:, labels] for run in tuned]
    whole, attention = video_scores(base, segments)
    if attention is not None:
        scores[ATTENTION] = [attention[:, labels]]
    scores[WHOLE_VIDEO] = [whole[:, labels]]
    return _study(scores, segments, labels, rates, tuned[0])


def fine_tuning(base: Run, data: Data, learning_rate: float, seed: int) -> Experiment:
    """Return the experiment that continues a run on ratings, with a fresh optimizer."""
    training = replace(base.experiment.training, epochs=EPOCHS, learning_rate=learning_rate)
    return replace(base.experiment, data=data, training=training, seed=seed, init=str(base.path))


def model_scores(run: Run, segments: Segments) -> NDArray[np.float32]:
    """Return the probabilities of a run in segments, each scored as a video [n, C]."""
    return torch.cat([p.float() for _, p in score_batches(run.load_model(), segments)]).numpy()


def video_scores(run: Run, segments: Segments) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return scores of segments from one pass over each video, [n, C] each.

    Returns:
        The probabilities in the video, and these times the share of the video's attention in the segment, relative to
        uniform attention; None for a run without attention.
    """
    model = run.load_model()
    whole = np.empty((len(segments), run.facts.num_classes), np.float32)
    shares = np.empty((len(segments), 1), np.float32)
    has_attention = True
    for video in np.unique(segments.parents).tolist():
        prediction = predict_video(model, segments.videos.frames(video))
        rows = np.flatnonzero(segments.parents == video)
        whole[rows] = prediction.probabilities
        if prediction.attention is None:
            has_attention = False
            continue
        T = len(prediction.attention)
        for row in rows.tolist():
            start, length = int(segments.starts[row]), int(segments.num_frames[row])
            shares[row] = prediction.attention[start : start + length].sum() * T / length
    return whole, whole * shares if has_attention else None


def _study(
    scores: Mapping[str, Sequence[NDArray[np.float32]]],
    segments: Segments,
    labels: NDArray[np.int64],
    rates: pd.DataFrame,
    fine_tuned: Run,
) -> LocalizationStudy:
    num_videos = len(np.unique(segments.parents))
    values: dict[str, float] = {}
    draws: dict[str, NDArray[np.float64]] = {}
    for name, matrices in scores.items():
        rankings = [_rankings(matrix, segments, labels) for matrix in matrices]
        values[name] = float(np.mean([mean_average_precision(of_seed) for of_seed in rankings]))
        draws[name] = np.mean([map_draws(of_seed, num_videos, 0, REPLICATES) for of_seed in rankings], axis=0)
    first = next(iter(scores))

    def interval(drawn: NDArray[np.float64]) -> dict[str, float]:
        low, high = np.quantile(drawn, [0.025, 0.975])
        return {"low": float(low), "high": float(high)}

    rows = [{"localizer": name, "map": values[name], **interval(draws[name])} for name in scores]
    differences = [
        {"localizer": name, "difference": values[name] - values[first], **interval(draws[name] - draws[first])}
        for name in scores
        if name != first
    ]
    return LocalizationStudy(
        pd.DataFrame(rows),
        pd.DataFrame(differences),
        rates,
        fine_tuned,
        len(segments.rated.values),
        num_videos,
        len(segments.label_values) / len(segments.rated.values),
    )


def _rankings(scores: NDArray[np.float32], segments: Segments, labels: NDArray[np.int64]) -> list[RatedRanking]:
    if not np.isfinite(scores).all():
        raise UserError("scores that are not finite", where="localization")
    best = TopSegments(len(labels), len(segments))
    best.add(0, scores)
    return rated_rankings(best, segments, labels.tolist())
