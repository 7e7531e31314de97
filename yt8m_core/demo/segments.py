"""Rated segments of the demo world, as the 2019 edition of YouTube-8M has them: shards of videos of their own.

A label is present in a segment where the main scene of a video with this label fills most of it. So the ratings have a
truth in the scenes, which a model trained on labels of whole videos never sees. Do not change them to favor a method.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator

from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard
from yt8m_core.data.tfrecord.ratings import SEGMENT_FRAMES, Rating, rating_features
from yt8m_core.data.vocabulary import Vocabulary, write_vocabulary
from yt8m_core.demo.hierarchy import demo_labels
from yt8m_core.demo.scenes import MAIN
from yt8m_core.demo.world import DemoVideo, World, draw_numbered, random_generator
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import atomic_write, file_lock

FORMAT = 1
SPLIT = 2  # after those of ``world.SHARDS``
SHARDS = 4
VIDEOS = {"demo": 800, "smoke": 48}
RATED_SEGMENTS = 5  # per video, as in the real data
OTHER_LABEL = 0.2  # probability that a rating is of a label that the video does not have
PRESENT_FRAMES = 3  # of the five, of the main scene
_NAMES = 62**2  # per shard


def draw_ratings(rng: Generator, video: DemoVideo) -> list[Rating]:
    """Draw ratings of complete segments of a video: of its labels, noise included, and of others."""
    is_main = np.zeros(len(video.rgb), bool)
    for scene in video.scenes:
        is_main[scene.start : scene.end] = scene.kind == MAIN
    starts = np.arange(0, len(is_main) - SEGMENT_FRAMES + 1, SEGMENT_FRAMES)
    ratings = []
    for start in sorted(rng.choice(starts, min(RATED_SEGMENTS, len(starts)), replace=False).tolist()):
        label = int(rng.integers(len(demo_labels())) if rng.random() < OTHER_LABEL else rng.choice(video.labels))
        is_shown = is_main[start : start + SEGMENT_FRAMES].sum() >= PRESENT_FRAMES
        ratings.append(Rating(start, label, bool(is_shown) and label in video.clean_labels))
    return ratings


def build(folder: Path, num_videos: int, world: World, progress: Progress = silent) -> None:
    """Write rated segments: shards in ``validate``, ``vocabulary.csv``, ``world.json`` and ``truth.parquet``.

    Args:
        folder: output folder, which is written atomically.
        num_videos: number of videos.
        world: parameters of the demo world, from which the videos are drawn.
        progress: called with the number of videos written.
    """
    truth: list[dict[str, Any]] = []

    def payloads(shard: int) -> Iterator[bytes]:
        names = random_generator(world, 1, SPLIT, shard).permutation(_NAMES)
        numbers = range(num_videos)[shard::SHARDS]
        videos = zip((f"r{shard}{name:04}" for name in names.tolist()), numbers, strict=False)
        for video, number in zip(draw_numbered(world, SPLIT, videos), numbers, strict=True):
            ratings = draw_ratings(random_generator(world, 3, number), video)
            context = {"id": video.id.encode(), "labels": video.labels, **rating_features(ratings)}
            main = [[scene.start, scene.end] for scene in video.scenes if scene.kind == MAIN]
            truth.append({"id": video.id, "clean_labels": video.clean_labels, "main_frames": main})
            yield encode_sequence_example(context, {"rgb": video.rgb, "audio": video.audio})
            if len(truth) % 20 == 0 or len(truth) == num_videos:
                progress("building rated segments", len(truth), num_videos)

    with atomic_write(folder) as unfinished:
        for shard in range(SHARDS):
            write_shard(unfinished / "validate" / f"validate{shard:04}.tfrecord", payloads(shard))
        names, verticals = zip(*((label.name, label.vertical) for label in demo_labels()), strict=True)
        counts = np.bincount([label for row in truth for label in row["clean_labels"]], minlength=len(names))
        write_vocabulary(unfinished / "vocabulary.csv", Vocabulary(names, verticals, counts))
        pq.write_table(pa.Table.from_pylist(truth), unfinished / "truth.parquet")
        (unfinished / "world.json").write_bytes(_description(world, num_videos))


def is_built(folder: Path, num_videos: int, world: World) -> bool:
    """Whether the folder contains these rated segments, in this version of the format."""
    description = folder / "world.json"
    return description.is_file() and description.read_bytes() == _description(world, num_videos)


def build_missing(folder: Path, num_videos: int, world: World, progress: Progress = silent) -> None:
    """Build the rated segments if they are missing, and wait where another process builds them."""
    with file_lock(folder, "build of the rated segments", wait=lambda message: progress(message, 0, 1)):
        if not is_built(folder, num_videos, world):
            build(folder, num_videos, world, progress)


def _description(world: World, num_videos: int) -> bytes:
    values = {"what": "rated segments of the demo world", "format": FORMAT, "videos": num_videos, **asdict(world)}
    return json.dumps(values, indent=2).encode()
