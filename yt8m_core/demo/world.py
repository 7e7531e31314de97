"""The demo world: a small made-up YouTube-8M with known causes, written as real frame-level shards.

A video has true labels and a row of scenes. Its main scene shows the labels; its side scenes (titles, talking heads,
scenes of other topics) do not. A frame is a sum of what its scene shows, the setting of that scene, the shot, and
noise. Their shares were set on figures of a real frame-level video and of 15,113 real video-level records, before any
two models were compared, and are not to be changed so that one of them wins. The demo world is a measuring device: a
number measured on it says nothing about YouTube-8M.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator, Philox, SeedSequence
from numpy.typing import NDArray

from yt8m_core.data.tfrecord.records import sequence_example, write_shard
from yt8m_core.data.vocabulary import Vocabulary, write_vocabulary
from yt8m_core.demo.labels import LabelWorld, demo_labels
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write

FORMAT = 1
SHARDS = {"train": 8, "validation": 4}
MAIN, TITLE, TALKING_HEAD, OTHER_TOPIC = "main", "title", "talking head", "other topic"
# As in the real data, an id is a name within the shard and the name of the shard, two of these characters each.
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NAMES = len(_ALPHABET) ** 2 // len(SHARDS)  # in a shard; each split has its own, so that no id is in both


@dataclass(frozen=True)
class World:
    """The dials of the demo world. Each is one cause, and turning one leaves the others where they are."""

    seed: int = 8
    """Another seed is another world: other looks and sounds, other videos; the names of the labels stay."""
    train_videos: int = 2400
    """With the validation videos about 180 MB: minutes of training on two CPU cores."""
    validation_videos: int = 800
    """Enough for a standard error of GAP of about 0.01."""
    main_share: float = 0.5
    """Mean share of a video's frames that show its labels. Half: most videos have one largest scene, and enough beside
    it to be worth telling apart. A video differs by up to 0.3 of this or of its complement, the smaller."""
    order_dependence: float = 1.0
    """Probability that a label of an order pair shows what its partner shows, only in the other order, and not a look
    of its own. 1 takes "differ only in the order" at its word; 16 of the 120 labels are in a pair."""
    correlation: float = 0.75
    """Probability that a further label of a video comes from the topic of its first. With 0.75, two labels of a video
    share their topic as often as two labels of a real one share their vertical: in 70 % of the pairs."""
    tail_exponent: float = 1.7
    """A label is drawn with probability (rank + 6) ** -exponent, then its parents come along. With 1.7, the lower half
    of the counts is spread as in the real vocabulary (over the median: 0.3 at 5 %, 0.5 at 25 %), and the first label is
    in a fifth of the videos, as there; 120 labels have no room for the real head, 1,790 times the median."""
    label_noise: float = 0.1
    """Share of the true labels that is missing, the most specific ones first, so that P(parent | child) stays 1.00, as
    in the real data; one label stays at least. Half as many videos as this gain a wrong label. Real labels, made by
    machine, have noise of both kinds; a tenth is enough to be seen without hiding the other causes."""

    def __post_init__(self) -> None:
        ranges = {
            "seed": (0, 2**32 - 1), "main_share": (0.05, 1), "order_dependence": (0, 1),
            "correlation": (0, 1), "tail_exponent": (0, 5), "label_noise": (0, 1),
        } | {f"{split}_videos": (shards, shards * _NAMES) for split, shards in SHARDS.items()}  # fmt: skip
        for dial, (low, high) in ranges.items():
            if not low <= (value := getattr(self, dial)) <= high:
                raise UserError(f"{dial} {value}", where="demo world", expected=f"{low} to {high}")


def smoke(world: World = World()) -> World:
    """The same world with a few dozen videos: for tests, to prove that something runs."""
    return replace(world, train_videos=64, validation_videos=32)


@dataclass(frozen=True)
class Scene:
    """Frames start..end-1 of a video."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class DemoVideo:
    """A video of the demo world and the truth about it."""

    id: str
    rgb: NDArray[np.uint8]  # [T, 1024]
    audio: NDArray[np.uint8]  # [T, 128]
    labels: list[int]  # as written: with the label noise
    clean_labels: list[int]
    scenes: list[Scene]


@dataclass(frozen=True)
class _Stream:
    """How the frames of rgb or of audio are made, and the real figure that each number answers to."""

    dim: int
    spread: float  # standard deviation before clipping: the frame norm, 31.9 and 10.4
    shown: float  # share of variance of what the scene shows: how much labels explain of a mean vector, 12 % and 15 %
    setting: float  # share of variance of the scene's setting: the cosine between frames that are far apart
    cut: float  # probability of a new shot at a frame: how fast the cosine falls with the distance
    still: tuple[float, float]  # beta distribution of a shot's stillness: quantiles of the cosine of neighbors
    loudness: float  # relative deviation of the norm between shots: the deviation of the frame norm, 4.5 and 3.6
    repeated: float  # share of frames that are byte for byte the one before


_RGB = _Stream(1024, spread=1.06, shown=0.055, setting=0.1, cut=0.12, still=(0.5, 0.45), loudness=0.2, repeated=0.0)
_AUDIO = _Stream(128, spread=1.0, shown=0.09, setting=0.15, cut=0.12, still=(0.5, 0.8), loudness=0.45, repeated=0.36)
# Real features are in PCA order: labels explain the first components this many times as well as the last.
_LEADING = 30.0
_STOCK = 3  # looks of titles in the world, and of talking heads; all videos share them


def videos_of_shard(world: World, split: str, shard: int) -> Iterator[DemoVideo]:
    """The videos of one shard. Each is a function of the dials, the split, and its number in the split."""
    label_world = LabelWorld(demo_labels(), world.tail_exponent)
    looks = label_world.prototypes(_random(world, 0, 0), _RGB.dim, 2 * _STOCK, audio=False)
    sounds = label_world.prototypes(_random(world, 0, 1), _AUDIO.dim, 2 * _STOCK, audio=True)
    which, videos = list(SHARDS).index(split), range(getattr(world, f"{split}_videos"))[shard :: SHARDS[split]]
    for id_, video in zip(_ids(world, which, shard), videos, strict=False):
        # Each cause draws from a generator of its own: turning the noise, say, changes no frame and no true label.
        for_labels, for_noise, for_scenes, for_frames = (_random(world, 2, which, video, cause) for cause in range(4))
        drawn = label_world.draw(for_labels, world.correlation)
        clean = label_world.with_parents(drawn)
        scenes = _scenes(for_scenes, world.main_share)
        views, view_of_frame = _views(for_frames, world, label_world, drawn, scenes)
        strength = np.float32(for_frames.uniform(0.5, 1.5))  # some videos show their labels faintly, some plainly
        yield DemoVideo(
            id=id_,
            rgb=_frames(for_frames, _RGB, looks * strength, views, view_of_frame),
            audio=_frames(for_frames, _AUDIO, sounds * strength, views, view_of_frame),
            labels=label_world.with_noise(for_noise, clean, world.label_noise),
            clean_labels=sorted(clean),
            scenes=scenes,
        )


def _random(world: World, *key: int) -> Generator:
    return Generator(Philox(SeedSequence(world.seed, spawn_key=key)))


def _ids(world: World, which: int, shard: int) -> list[str]:
    """The ids of a shard of the first or the second split, as many as there can be."""
    names = which * _NAMES + _random(world, 1, which, shard).permutation(_NAMES)
    pairs = [one + other for one in _ALPHABET for other in _ALPHABET]
    return [pairs[name] + pairs[shard] for name in names]


def _scenes(rng: Generator, main_share: float) -> list[Scene]:
    """Side scenes of about 8 s, and between them the main scene in one to three runs."""
    T = 20 + min(100, round(rng.gamma(2, 15)))  # mean 50
    share = main_share + 0.3 * min(main_share, 1 - main_share) * rng.uniform(-1, 1)
    main = max(2, round(share * T))  # two frames at least: an order needs them
    sides = math.ceil((T - main) / 8)
    runs = int(rng.integers(1, min(3, sides + 1, main), endpoint=True))
    main_lengths, side_lengths = _cut(rng, main, runs), _cut(rng, T - main, sides)
    main_gaps = rng.choice(sides + 1, runs, replace=False).tolist()
    scenes: list[Scene] = []
    start = 0
    for gap in range(sides + 1):
        if gap in main_gaps:
            end = start + main_lengths.pop()
            scenes.append(Scene(start, end, MAIN))
            start = end
        if gap < sides:
            end = start + side_lengths.pop()
            # Titles open and close a video.
            kind = TITLE if start == 0 or end == T else TALKING_HEAD if rng.random() < 0.4 else OTHER_TOPIC
            scenes.append(Scene(start, end, kind))
            start = end
    return scenes


def _cut(rng: Generator, total: int, parts: int) -> list[int]:
    """Random lengths of at least 1 that add up to ``total``; none where ``parts`` is 0."""
    if parts == 0:
        return []
    borders = np.sort(rng.choice(total - 1, parts - 1, replace=False)) + 1
    return [int(length) for length in np.diff(borders, prepend=0, append=total)]


def _views(
    rng: Generator, world: World, label_world: LabelWorld, drawn: list[int], scenes: list[Scene]
) -> tuple[list[list[int]], NDArray[np.int64]]:
    """What there is to be shown, as lists of prototypes ("views"), and the view of each frame [T].

    Views 0 and 1 are the two halves of the main scene; each side scene has one of its own.
    """
    C = len(label_world.labels)
    halves = [label_world.halves(rng, label, world.order_dependence) for label in drawn]
    views = [[first for first, _ in halves], [last for _, last in halves]]
    other_topics = label_world.popularity * ~np.isin(label_world.topics, label_world.topics[drawn])
    view_of_frame = np.zeros(scenes[-1].end, np.int64)
    for scene in scenes:
        if scene.kind == MAIN:
            continue
        view_of_frame[scene.start : scene.end] = len(views)
        if scene.kind == OTHER_TOPIC:
            label = int(rng.choice(C, p=other_topics / other_topics.sum()))
            views.append([label_world.halves(rng, label, world.order_dependence)[0]])
        else:
            views.append([2 * C + _STOCK * (scene.kind == TALKING_HEAD) + int(rng.integers(_STOCK))])
    main = np.flatnonzero(view_of_frame == 0)
    view_of_frame[main[round(len(main) * rng.uniform(0.4, 0.6)) :]] = 1
    return views, view_of_frame


def _frames(
    rng: Generator, stream: _Stream, prototypes: NDArray[Any], views: list[list[int]], view_of_frame: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """The bytes of one stream [T, dim]."""
    T, dim = len(view_of_frame), stream.dim
    profile = _LEADING ** -np.linspace(0, 1, dim)
    shown = stream.shown * profile / profile.mean()
    # However many labels a view shows, it has the same variance.
    sights = np.stack([prototypes[view].sum(0) / math.sqrt(len(view)) for view in views]) * np.sqrt(shown)
    settings = math.sqrt(stream.setting) * rng.standard_normal((len(views), dim), np.float32)
    settings[1] = settings[0]  # both halves of the main scene are in one setting

    shot = np.cumsum((np.diff(view_of_frame, prepend=view_of_frame[0]) != 0) | (rng.random(T) < stream.cut))
    shots = rng.standard_normal((shot[-1] + 1, dim), np.float32)
    still = rng.beta(*stream.still, len(shots)).astype(np.float32)[:, None]
    loudness = stream.spread * (1 + stream.loudness * math.sqrt(3) * rng.uniform(-1, 1, len(shots)))

    frames = rng.standard_normal((T, dim), np.float32)  # [T, dim] from here on
    frames *= np.sqrt(1 - still)[shot]
    frames += (np.sqrt(still) * shots)[shot]
    frames *= np.sqrt(1 - shown - stream.setting).astype(np.float32)
    frames += (sights.astype(np.float32) + settings)[view_of_frame]
    frames *= loudness.astype(np.float32)[shot, None]
    codes: NDArray[np.uint8] = np.rint((np.clip(frames, -2, 2) + 2) * np.float32(255 / 4)).astype(np.uint8)
    repeats = rng.random(T) < stream.repeated
    return codes[np.maximum.accumulate(np.where(repeats, 0, np.arange(T)))]


def build(folder: Path, world: World = World(), progress: Callable[[int, int], None] | None = None) -> None:
    """Write the demo world: shards, ``vocabulary.csv``, ``world.json`` (the dials) and ``truth.parquet``.

    The folder appears when all of it is there, and takes the place of an earlier demo world.

    Args:
        folder: where; its folders ``train`` and ``validation`` hold the shards.
        world: the dials.
        progress: called now and then with the number of videos written, and of all.

    Raises:
        UserError: the folder holds something that is no demo world.
    """
    if folder.exists() and not (folder / "world.json").is_file() and (folder.is_file() or any(folder.iterdir())):
        raise UserError(f"{folder} holds something else", advice="Name a new folder for the demo world.")
    total = world.train_videos + world.validation_videos
    truth: list[dict[str, object]] = []
    counts = np.zeros(len(demo_labels()), np.int64)

    def payloads(split: str, shard: int) -> Iterator[bytes]:
        for video in videos_of_shard(world, split, shard):
            counts[video.labels] += split == "train"
            scenes = {"scene_starts": [s.start for s in video.scenes], "scene_kinds": [s.kind for s in video.scenes]}
            runs = {"main_frames": [[s.start, s.end] for s in video.scenes if s.kind == MAIN]}
            truth.append({"id": video.id, "split": split, "clean_labels": video.clean_labels, **scenes, **runs})
            streams = {"rgb": video.rgb, "audio": video.audio}
            yield sequence_example({"id": video.id.encode(), "labels": video.labels}, streams)
            if progress and (len(truth) % 20 == 0 or len(truth) == total):
                progress(len(truth), total)

    with atomic_write(folder) as unfinished:
        for split, name in (("train", "train"), ("validation", "validate")):
            for shard in range(SHARDS[split]):
                write_shard(unfinished / split / f"{name}{shard:04}.tfrecord", payloads(split, shard))
        names, verticals = zip(*((label.name, label.vertical) for label in demo_labels()), strict=True)
        write_vocabulary(unfinished / "vocabulary.csv", Vocabulary(names, verticals, counts))
        pq.write_table(pa.Table.from_pylist(truth), unfinished / "truth.parquet")
        (unfinished / "world.json").write_bytes(_description(world))


def is_built(folder: Path, world: World = World()) -> bool:
    """Whether the folder holds this demo world, with these dials and made by this version of the format."""
    description = folder / "world.json"
    return description.is_file() and description.read_bytes() == _description(world)


def _description(world: World) -> bytes:
    return json.dumps({"what": "demo world", "format": FORMAT, **asdict(world)}, indent=2).encode()


def read_truth(folder: Path) -> pd.DataFrame:
    """What is true of each video, by id: split, clean_labels, scene_starts, scene_kinds and main_frames.

    The columns hold plain lists; frames are counted from 0, and main_frames are runs [start, end).
    """
    return pd.DataFrame(pq.read_table(folder / "truth.parquet").to_pylist()).set_index("id")
