"""The demo world: a small synthetic YouTube-8M with known causes, written as real frame-level shards.

A video has true labels and a sequence of scenes. Its main scene shows the labels; its side scenes (titles, talking
heads, scenes of other topics) do not. Feature statistics were set on a real frame-level video and on 15,113 real
video-level records before any models were compared. Do not change them to favor a model. The demo world is for
controlled experiments: a metric measured on it says nothing about YouTube-8M.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator, Philox, SeedSequence
from numpy.typing import NDArray

from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard
from yt8m_core.data.vocabulary import Vocabulary, write_vocabulary
from yt8m_core.demo.frames import AUDIO, RGB, draw_frames
from yt8m_core.demo.hierarchy import demo_labels
from yt8m_core.demo.labels import LabelWorld
from yt8m_core.demo.scenes import MAIN, NUM_LOOKS, Scene, draw_scenes, draw_views
from yt8m_core.errors import UserError
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import atomic_write, file_lock

FORMAT = 1
SHARDS = {"train": 8, "validation": 4}
# As in the real data, an id is a name within the shard and the name of the shard, two of these characters each.
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NAMES_PER_SHARD = len(_ALPHABET) ** 2 // len(SHARDS)  # splits use different names, so that ids are unique


@dataclass(frozen=True)
class World:
    """Parameters of the demo world. Each controls one cause, independently of the others."""

    seed: int = 8
    """Random seed of videos, looks and sounds; label names do not depend on it."""
    train_videos: int = 2400
    """With the validation videos about 180 MB: minutes of training on two CPU cores."""
    validation_videos: int = 800
    """Enough for a standard error of GAP of about 0.01."""
    main_share: float = 0.5
    """Mean fraction of a video's frames that show its labels. With 0.5, the main scene is usually the largest, and the
    side scenes are long enough to matter. Varies per video by up to 0.3 of this or of its complement, the smaller."""
    order_dependence: float = 1.0
    """Probability that a label of an order pair shows the same content as its partner in opposite order, and not
    content of its own. With 1, partners differ only in order; 16 of the 120 labels are in a pair."""
    correlation: float = 0.75
    """Probability that a further label of a video comes from the topic of its first. With 0.75, two labels of a video
    share their topic in 70% of the pairs, as often as real labels share their vertical."""
    tail_exponent: float = 1.7
    """A label is drawn with probability (rank + 6) ** -exponent, then its ancestors are added. With 1.7, the lower half
    of the counts is distributed as in the real vocabulary (relative to the median: 0.3 at 5%, 0.5 at 25%), and the
    first label is in a fifth of the videos, as there. 120 labels cannot match the real head, 1,790 times the median."""
    label_noise: float = 0.1
    """Fraction of true labels that is missing, the most specific ones first, so that P(parent | child) stays 1.00, as
    in the real data; at least one label is kept. Half as many videos get a wrong label. Real labels are
    machine-generated and have both kinds of noise; 0.1 is visible but does not hide the other causes."""

    def __post_init__(self) -> None:
        ranges = {
            "seed": (0, 2**32 - 1), "main_share": (0.05, 1), "order_dependence": (0, 1),
            "correlation": (0, 1), "tail_exponent": (0, 5), "label_noise": (0, 1),
        } | {f"{split}_videos": (shards, shards * _NAMES_PER_SHARD) for split, shards in SHARDS.items()}  # fmt: skip
        for parameter, (low, high) in ranges.items():
            if not low <= (value := getattr(self, parameter)) <= high:
                raise UserError(f"{parameter} {value}", where="demo world", expected=f"{low} to {high}")


def smoke(world: World = World()) -> World:
    """Return the same world with a few dozen videos, for tests."""
    return replace(world, train_videos=64, validation_videos=32)


@dataclass(frozen=True)
class DemoVideo:
    """A video of the demo world with its ground truth."""

    id: str
    rgb: NDArray[np.uint8]  # [T, 1024]
    audio: NDArray[np.uint8]  # [T, 128]
    labels: list[int]  # with label noise
    clean_labels: list[int]
    scenes: list[Scene]


def draw_videos(world: World, split: str, shard: int) -> Iterator[DemoVideo]:
    """Yield the videos of one shard. Each depends only on the world, the split, and its number in the split."""
    split_number = list(SHARDS).index(split)
    numbers = range(getattr(world, f"{split}_videos"))[shard :: SHARDS[split]]
    yield from draw_numbered(world, split_number, zip(_draw_ids(world, split_number, shard), numbers, strict=False))


def draw_numbered(world: World, split_number: int, videos: Iterable[tuple[str, int]]) -> Iterator[DemoVideo]:
    """Yield videos of a split, given their ids and their numbers in it."""
    label_world = LabelWorld(demo_labels(), world.tail_exponent)
    looks = label_world.draw_prototypes(random_generator(world, 0, 0), RGB.dim, 2 * NUM_LOOKS, audio=False)
    sounds = label_world.draw_prototypes(random_generator(world, 0, 1), AUDIO.dim, 2 * NUM_LOOKS, audio=True)
    for video_id, number in videos:
        # Each cause has its own generator: changing label_noise, for example, changes no frames and no true labels.
        label_rng, noise_rng, scene_rng, frame_rng = (
            random_generator(world, 2, split_number, number, cause) for cause in range(4)
        )
        drawn = label_world.draw(label_rng, world.correlation)
        clean = label_world.add_ancestors(drawn)
        scenes = draw_scenes(scene_rng, world.main_share)
        views, view_of_frame = draw_views(frame_rng, world.order_dependence, label_world, drawn, scenes)
        strength = np.float32(frame_rng.uniform(0.5, 1.5))  # how clearly the video shows its labels
        yield DemoVideo(
            id=video_id,
            rgb=draw_frames(frame_rng, RGB, looks * strength, views, view_of_frame),
            audio=draw_frames(frame_rng, AUDIO, sounds * strength, views, view_of_frame),
            labels=label_world.add_noise(noise_rng, clean, world.label_noise),
            clean_labels=sorted(clean),
            scenes=scenes,
        )


def random_generator(world: World, *key: int) -> Generator:
    """Return the random generator of one cause in a world."""
    return Generator(Philox(SeedSequence(world.seed, spawn_key=key)))


def _draw_ids(world: World, split_number: int, shard: int) -> list[str]:
    """Draw all possible ids of a shard, in random order."""
    names = split_number * _NAMES_PER_SHARD + random_generator(world, 1, split_number, shard).permutation(
        _NAMES_PER_SHARD
    )
    pairs = [first + second for first in _ALPHABET for second in _ALPHABET]
    return [pairs[name] + pairs[shard] for name in names]


def build(folder: Path, world: World = World(), progress: Progress = silent) -> None:
    """Write the demo world: shards, ``vocabulary.csv``, ``world.json`` (the parameters) and ``truth.parquet``.

    The folder is written atomically and replaces an earlier demo world.

    Args:
        folder: output folder; its subfolders ``train`` and ``validation`` contain the shards.
        world: parameters.
        progress: called with the number of videos written.

    Raises:
        UserError: the folder contains something other than a demo world.
    """
    if folder.exists() and not (folder / "world.json").is_file() and (folder.is_file() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not a demo world", advice="Choose a new folder for the demo world.")
    total = world.train_videos + world.validation_videos
    truth: list[dict[str, object]] = []
    counts = np.zeros(len(demo_labels()), np.int64)

    def payloads(split: str, shard: int) -> Iterator[bytes]:
        for video in draw_videos(world, split, shard):
            counts[video.labels] += split == "train"
            truth.append({"id": video.id, "split": split, "clean_labels": video.clean_labels, **_scene_columns(video)})
            streams = {"rgb": video.rgb, "audio": video.audio}
            yield encode_sequence_example({"id": video.id.encode(), "labels": video.labels}, streams)
            if len(truth) % 20 == 0 or len(truth) == total:
                progress("building the demo world", len(truth), total)

    with atomic_write(folder) as unfinished:
        for split, name in (("train", "train"), ("validation", "validate")):
            for shard in range(SHARDS[split]):
                write_shard(unfinished / split / f"{name}{shard:04}.tfrecord", payloads(split, shard))
        names, verticals = zip(*((label.name, label.vertical) for label in demo_labels()), strict=True)
        write_vocabulary(unfinished / "vocabulary.csv", Vocabulary(names, verticals, counts))
        pq.write_table(pa.Table.from_pylist(truth), unfinished / "truth.parquet")
        (unfinished / "world.json").write_bytes(_description(world))


def _scene_columns(video: DemoVideo) -> dict[str, object]:
    return {
        "scene_starts": [scene.start for scene in video.scenes],
        "scene_kinds": [scene.kind for scene in video.scenes],
        "main_frames": [[scene.start, scene.end] for scene in video.scenes if scene.kind == MAIN],
    }


def is_built(folder: Path, world: World = World()) -> bool:
    """Whether the folder contains this demo world, with these parameters and in this version of the format."""
    description = folder / "world.json"
    return description.is_file() and description.read_bytes() == _description(world)


def build_missing(folder: Path, world: World = World(), progress: Progress = silent) -> None:
    """Build the demo world if it is missing, and wait where another process builds it. Raises as ``build``."""
    with file_lock(folder, "build of the demo world", wait=lambda message: progress(message, 0, 1)):
        if not is_built(folder, world):
            build(folder, world, progress)


def _description(world: World) -> bytes:
    return json.dumps({"what": "demo world", "format": FORMAT, **asdict(world)}, indent=2).encode()


def read_truth(folder: Path) -> pd.DataFrame:
    """Read the ground truth by video id: split, clean_labels, scene_starts, scene_kinds and main_frames.

    The columns contain lists. Frames are counted from 0, and main_frames are intervals [start, end).
    """
    return pd.DataFrame(pq.read_table(folder / "truth.parquet").to_pylist()).set_index("id")


def main_scene(truth: pd.DataFrame, video_id: str, num_frames: int) -> list[tuple[int, int]] | None:
    """Return the main scene of a video in its first ``num_frames`` frames, as intervals [start, end).

    Args:
        truth: Result of ``read_truth``.
        video_id: Id of the video. A video that the ground truth lacks gets None.
        num_frames: Number of frames of the video that are read.

    >>> truth = pd.DataFrame({"main_frames": [[[2, 4], [7, 9]]]}, index=["a"])
    >>> main_scene(truth, "a", 8), main_scene(truth, "b", 8)
    ([(2, 4), (7, 8)], None)
    """
    intervals = truth["main_frames"].get(video_id)
    if intervals is None:
        return None
    return [(first, min(end, num_frames)) for first, end in intervals if first < num_frames]
