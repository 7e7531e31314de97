"""Compare the scale of a data set's features with that of the data that a model was trained on."""

from collections.abc import Sequence

import numpy as np

from yt8m_core.data.checks import OTHER_SCALE, DataCheck
from yt8m_core.data.dataset import Videos
from yt8m_core.data.feature_check.profile import mean_frame_norm, split_streams
from yt8m_core.data.tfrecord.scan import MISSING_STREAM

SAMPLE = 200  # videos
MAX_RATIO = 2.0  # of the mean norms; between the training and the validation videos of YouTube-8M it is 1.00


def measure_norms(videos: Videos) -> tuple[float, ...]:
    """Return the mean L2 norm of the frames of each stream, on evenly spaced videos; 0 where all of them lack it."""
    sample = np.unique(np.linspace(0, len(videos) - 1, min(SAMPLE, len(videos))).astype(int))
    is_missing = videos.column("findings").to_numpy()[sample] & MISSING_STREAM != 0
    norms: list[list[float]] = [[] for _ in videos.schema.streams]
    for video, lacks_optional in zip(sample.tolist(), is_missing.tolist(), strict=True):
        frames = split_streams(videos.frames(video), videos.schema).values()
        for (name, _), values, stream_norms in zip(videos.schema.streams, frames, norms, strict=True):
            if not (lacks_optional and videos.schema.is_optional(name)):
                stream_norms.append(mean_frame_norm(values))
    return tuple(float(np.mean(values)) if values else 0.0 for values in norms)


def check_scale(videos: Videos, norms: Sequence[float]) -> tuple[DataCheck, ...]:
    """Check whether the features have the scale of a run's training data.

    Args:
        videos: data set with the streams of the run.
        norms: mean norm of each stream of the training data, from ``measure_norms``; empty if unknown.
    """
    if not norms:
        return ()
    for (name, _), measured, expected in zip(videos.schema.streams, measure_norms(videos), norms, strict=True):
        if measured and expected and not 1 / MAX_RATIO <= measured / expected <= MAX_RATIO:
            message = (
                f"The features of '{name}' have a mean norm of {measured:.3g}, but those of the run's training videos "
                f"{expected:.3g}: another scale or another extractor. Predictions for them mean nothing."
            )
            return (DataCheck(OTHER_SCALE, len(videos), message, is_fatal=True),)
    return ()
