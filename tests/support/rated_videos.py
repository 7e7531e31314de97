"""Small videos with rated segments, and an experiment that trains on the ratings."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard
from yt8m_core.data.tfrecord.ratings import Rating, rating_features
from yt8m_core.experiment import Data, Experiment, Training

CLASSES = 6


def write_rated(folder: Path, videos: int, seed: int = 3, prefix: str = "r") -> Path:
    """Write videos of four segments, each of one of six prototypes; half of the segments have a rating."""
    random = np.random.default_rng(seed)
    prototypes = np.random.default_rng(0).integers(0, 256, (CLASSES, 32))
    payloads = []
    for number in range(videos):
        shown = random.integers(CLASSES, size=4)
        frames = np.repeat(prototypes[shown], 5, axis=0) + random.normal(0, 60, (20, 32))
        frames = np.clip(frames, 0, 255).astype(np.uint8)
        ratings = []
        for segment in sorted(random.choice(4, 2, replace=False).tolist()):
            label = int(shown[segment] if random.random() < 0.5 else random.integers(CLASSES))
            ratings.append(Rating(5 * segment, label, label == shown[segment]))
        context = {"id": f"{prefix}{number:03}".encode(), **rating_features(ratings)}
        payloads.append(encode_sequence_example(context, {"rgb": frames[:, :24], "audio": frames[:, 24:]}))
    for shard in range(2):
        write_shard(folder / f"validate{shard}.tfrecord", payloads[shard::2])
    return folder


def segment_experiment(rated: Path, **changes: object) -> Experiment:
    data = Data(str(rated), "", streams=STREAMS, fold="1/3", segments="rated")
    training = Training(epochs=3, batch_size=16, learning_rate=0.02)
    return replace(tiny_experiment(rated.parent / "tiny"), data=data, training=training, **changes)  # type: ignore[arg-type]
