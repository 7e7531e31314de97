"""Compare the scale of a data set's features with that of the data that a model was trained on."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from yt8m_core.data.checks import OTHER_SCALE, DataCheck
from yt8m_core.data.dataset import Videos
from yt8m_core.data.schema import BYTE_VALUES
from yt8m_core.data.tfrecord.scan import MISSING_STREAM
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.workspace import workspace

SAMPLE = 200  # videos
MAX_RATIO = 2.0  # of the mean norms; between the training and the validation videos of YouTube-8M it is 1.00


def load_norms(videos: Videos) -> tuple[float, ...]:
    """Return ``measure_norms``, from the workspace where it was measured before: a cached training reads no frame."""
    content = videos.column("content").to_numpy()
    key = hashlib.sha256(content.tobytes() + repr((videos.schema, videos.max_frames)).encode()).hexdigest()[:16]
    file = workspace() / "norms" / f"{key}.json"
    try:
        norms = tuple(map(float, json.loads(file.read_text())))
        if len(norms) == len(videos.schema.streams):
            return norms
    except (OSError, ValueError, TypeError):
        pass
    norms = measure_norms(videos)
    with suppress(OSError), atomic_write(file) as unfinished:  # a full or read-only disk: measured again next time
        unfinished.write_text(json.dumps(norms))
    return norms


def measure_norms(videos: Videos) -> tuple[float, ...]:
    """Return the mean L2 norm of the frames of each stream, on evenly spaced videos; 0 where all of them lack it."""
    sample = np.unique(np.linspace(0, len(videos) - 1, min(SAMPLE, len(videos))).astype(int))
    is_missing = videos.column("findings").to_numpy()[sample] & MISSING_STREAM != 0
    ends = np.cumsum([dim for _, dim in videos.schema.streams])[:-1]
    norms: list[list[float]] = [[] for _ in videos.schema.streams]
    for video, lacks_optional in zip(sample.tolist(), is_missing.tolist(), strict=True):
        frames = videos.frames(video)
        values = BYTE_VALUES[frames] if frames.dtype == np.uint8 else frames  # [T, D]
        for (name, _), part, stream_norms in zip(
            videos.schema.streams, np.split(values, ends, axis=1), norms, strict=True
        ):
            if not (lacks_optional and videos.schema.is_optional(name)):
                stream_norms.append(float(np.linalg.norm(part.astype(np.float64), axis=1).mean()))
    return tuple(float(np.mean(values)) if values else 0.0 for values in norms)


def check_scale(videos: Videos, norms: Sequence[float]) -> tuple[DataCheck, ...]:
    """Check whether the features have the scale of a run's training data.

    Args:
        videos: data set with the streams of the run.
        norms: mean norm of each stream of the training data, from ``measure_norms``; empty if unknown.
    """
    if not norms:
        return ()
    for (name, _), measured, expected in zip(videos.schema.streams, load_norms(videos), norms, strict=True):
        if measured and expected and not 1 / MAX_RATIO <= measured / expected <= MAX_RATIO:
            message = (
                f"The features of '{name}' have a mean norm of {measured:.3g}, but those of the run's training videos "
                f"{expected:.3g}: another scale or another extractor. Predictions for them mean nothing."
            )
            return (DataCheck(OTHER_SCALE, len(videos), message, is_fatal=True),)
    return ()
