"""A tiny data set whose labels can be learned from the frames, and an experiment on it."""

from pathlib import Path

import numpy as np

from yt8m_core.data.tfrecord.encode import FeatureValue, encode_sequence_example, write_shard
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot

STREAMS = (("rgb", 24), ("audio", 8))
CLASSES = 6


def write_tiny(folder: Path, videos: int, *, seed: int, labeled: bool = True, shards: int = 2) -> Path:
    """Write shards of videos with 1 to 12 frames around one of six prototypes.

    A video of prototype c has label c and, if c is odd, also c - 1.
    """
    random = np.random.default_rng(seed)
    prototypes = np.random.default_rng(0).integers(0, 256, (CLASSES, 32))
    payloads = []
    for number in range(videos):
        label = int(random.integers(CLASSES))
        frames = prototypes[label] + random.normal(0, 60, (random.integers(1, 13), 32))
        frames = np.clip(frames, 0, 255).astype(np.uint8)
        context: dict[str, FeatureValue] = {"id": f"{seed:02d}{number:04d}".encode()}
        if labeled:
            context["labels"] = [label - 1, label] if label % 2 else [label]
        payloads.append(encode_sequence_example(context, {"rgb": frames[:, :24], "audio": frames[:, 24:]}))
    for shard in range(shards):
        write_shard(folder / f"{folder.name}{shard}.tfrecord", payloads[shard::shards])
    return folder


def tiny_experiment(root: Path, **changes: object) -> Experiment:
    """Return a fast experiment on 120 + 40 tiny videos in ``root``, which are written if missing."""
    if not (root / "train").is_dir():
        write_tiny(root / "train", 120, seed=1)
        write_tiny(root / "validation", 40, seed=2)
    settings: dict[str, object] = {
        "data": Data(str(root / "train"), str(root / "validation"), streams=STREAMS),
        "pooling": Slot("mean"),
        "classification": Slot("moe"),
        "training": Training(epochs=2, batch_size=16, learning_rate=0.02),
    }
    return Experiment(**(settings | changes))  # type: ignore[arg-type]
