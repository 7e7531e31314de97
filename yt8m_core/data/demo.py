"""The demo world: a small made-up YouTube-8M with known causes, written as real frame-level shards.

A video has true labels, and a row of scenes. Its main scene shows the labels; its side scenes (titles, talking heads,
scenes of other topics) do not. A frame is made of shares of variance that add up to one: what its scene shows, the
setting of that scene, the shot, and noise. The figures of one real frame-level video and of 15,113 real video-level
records (shared/data) fix the shares: they were set before any two models were compared, and are not to be changed so
that one of them wins. The demo world is a measuring device; a number measured on it says nothing about YouTube-8M.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.random import Generator, Philox, SeedSequence
from numpy.typing import NDArray

from yt8m_core.data.demo_labels import LabelWorld, demo_labels
from yt8m_core.data.records import sequence_example, write_shard
from yt8m_core.data.vocabulary import Vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.files import replacing

FORMAT = 1
SHARDS = {"train": 8, "validation": 4}
MAIN, TITLE, TALKING_HEAD, OTHER_TOPIC = "main", "title", "talking head", "other topic"
# An id is a name within the shard and the shard's name, two characters each; each split has half of the names.
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NAMES = len(_ALPHABET) ** 2 // 2

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """The dials of the demo world. Each is one cause, and turning one leaves the others where they are."""

    seed: int = 8
    """Another seed is another world: other looks and sounds, other videos; the names of the labels stay."""
    train_videos: int = 2400
    """With the validation videos about 180 MB: minutes of training on two CPU cores."""
    validation_videos: int = 800
    """GAP then has a standard error of about 0.01."""
    main_share: float = 0.5
    """Mean share of a video's frames that show its labels; half, so that most videos have a main scene and enough beside
    it that a pooling can gain by finding it. Videos differ by up to 0.3 of the smaller of this and its complement."""
    order_dependence: float = 1.0
    """Probability that a label of an order pair shows what its partner shows, only in the other order, and not a look of
    its own; 1 takes "differ only in the order" at its word. Concerns 16 labels of 120."""
    correlation: float = 0.5
    """Probability that a further label of a video comes from the topic of its first, not from anywhere. With 0.5, two
    labels of a video share their topic as often as two of a real video share their vertical: 69 % of pairs."""
    tail_exponent: float = 1.5
    """Popularity is (rank + 6)^-exponent before parents are implied; 1.5 gives the real vocabulary's spread, count over
    median count, at the 5 % to 95 % quantiles. (Its maximum, 1,790 medians, has no room among 120 labels.)"""
    label_noise: float = 0.1
    """Share of true labels missing, the most specific ones first (a label in the data always has its parents, as with
    real ones); at least one stays. Half as many videos as this gain a wrong label. The real annotation, made by machine,
    has noise of both kinds; a tenth, because more would hide the other causes in so few videos."""

    def __post_init__(self) -> None:
        for split, videos in (("train", self.train_videos), ("validation", self.validation_videos)):
            most = SHARDS[split] * _NAMES
            if not SHARDS[split] <= videos <= most:
                raise UserError(f"{videos} {split} videos", where="demo world", expected=f"{SHARDS[split]} to {most}")
        for dial in ("order_dependence", "correlation", "label_noise"):
            if not 0 <= getattr(self, dial) <= 1:
                raise UserError(f"{dial} {getattr(self, dial)}", where="demo world", expected="0 to 1")
        if not 0 < self.main_share <= 1:
            raise UserError(f"main_share {self.main_share}", where="demo world", expected="above 0, at most 1")
        if not 0 <= self.tail_exponent <= 5:
            raise UserError(f"tail_exponent {self.tail_exponent}", where="demo world", expected="0 to 5")
        if self.seed < 0:
            raise UserError(f"seed {self.seed}", where="demo world", expected="0 or more")


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

    @property
    def main_frames(self) -> list[list[int]]:
        """The runs [start, end) of the main scene."""
        return [[scene.start, scene.end] for scene in self.scenes if scene.kind == MAIN]


@dataclass(frozen=True)
class _Stream:
    """How the frames of rgb or audio are made; the shares are shares of the variance of a frame."""

    dim: int
    shown: float  # share of what the scene shows: labels then explain as much of a mean vector as they do of real ones
    setting: float  # share of the scene's setting: fixes the cosine between frames that are far apart
    cut: float  # probability of a new shot at a frame: fixes how fast the cosine falls with the distance
    still: tuple[float, float]  # beta distribution of how still a shot is: fixes the cosine between neighbours
    loudness: float  # relative standard deviation of the frame norm between shots
    repeated: float  # share of frames that are byte for byte the one before


_RGB = _Stream(1024, shown=0.045, setting=0.1, cut=0.15, still=(0.5, 0.5), loudness=0.14, repeated=0.0)
_AUDIO = _Stream(128, shown=0.12, setting=0.15, cut=0.15, still=(0.5, 0.8), loudness=0.3, repeated=0.36)
# A normal variable of this spread, clipped to ±2, has standard deviation 1 and 3.5 % of its mass at either end.
_SPREAD = 1.1
_LEADING = 50.0  # the first component shows labels this many times as strongly as the last (22 % and 1.5 % of variance)
_TITLES, _TALKING_HEADS = 3, 3  # how many looks of each there are in the world; all videos share them


def videos_of_shard(world: World, split: str, shard: int) -> Iterator[DemoVideo]:
    """The videos of one shard. Each is a function of (seed, split, shard, place in the shard) and of the dials."""
    label_world = LabelWorld(demo_labels(), world.tail_exponent)
    looks, sounds = _prototypes(world, label_world)
    which, shards = list(SHARDS).index(split), SHARDS[split]
    total = world.train_videos if split == "train" else world.validation_videos
    names = which * _NAMES + _random(world, 1, which, shard).permutation(_NAMES)
    for video in range(total // shards + (shard < total % shards)):
        # Each cause draws from a generator of its own: turning the noise, say, changes no frame and no true label.
        for_labels, for_noise, for_scenes, for_frames = (
            _random(world, 2, which, shard, video, cause) for cause in range(4)
        )
        drawn = label_world.draw(for_labels, world.correlation)
        clean = label_world.with_parents(drawn)
        scenes = _scenes(for_scenes, world.main_share)
        views, view_of_frame = _views(for_frames, world, label_world, drawn, scenes)
        strength = for_frames.uniform(0.5, 1.5)  # some videos show their labels faintly, some plainly
        yield DemoVideo(
            id=_two_characters(names[video]) + _two_characters(shard),
            rgb=_frames(for_frames, _RGB, [strength * _sum(looks, view) for view in views], view_of_frame),
            audio=_frames(for_frames, _AUDIO, [strength * _sum(sounds, view) for view in views], view_of_frame),
            labels=label_world.with_noise(for_noise, clean, world.label_noise),
            clean_labels=sorted(clean),
            scenes=scenes,
        )


def _random(world: World, *key: int) -> Generator:
    return Generator(Philox(SeedSequence(world.seed, spawn_key=key)))


def _two_characters(number: int) -> str:
    return _ALPHABET[number // len(_ALPHABET)] + _ALPHABET[number % len(_ALPHABET)]


def _prototypes(world: World, label_world: LabelWorld) -> tuple[Floats, Floats]:
    """What there is to see and to hear: rows of unit variance, [2C + 6, 1024] and [2C + 6, 128].

    Row ``label`` is the label's own; row ``C + label`` is what a label of an order pair shows first and its partner
    last; the last rows are titles and talking heads. A label shares half of its variance with its parent.
    """
    rng = _random(world, 0)
    rows = 2 * len(label_world.labels) + _TITLES + _TALKING_HEADS
    looks, sounds = (rng.standard_normal((rows, stream.dim), np.float32) for stream in (_RGB, _AUDIO))
    for row, label in enumerate(label_world.labels * 2):
        if label.parent is not None:
            own, borrowed = (sounds, looks) if label.heard else (looks, sounds)
            own[row] = (own[row] + own[label.parent]) * np.float32(math.sqrt(0.5))
            borrowed[row] = borrowed[label.parent]
    return looks, sounds


def _scenes(rng: Generator, main_share: float) -> list[Scene]:
    """A row of side scenes of about 8 s, and between them the main scene in one to three runs."""
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
            scenes.append(Scene(start, start + main_lengths.pop(), MAIN))
            start = scenes[-1].end
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
) -> tuple[list[list[int]], Integers]:
    """What the frames show: views, which are lists of prototypes, and the view of each frame [T].

    Views 0 and 1 are the two halves of the main scene, and view ``2 + i`` is the i-th side scene.
    """
    C = len(label_world.labels)

    def halves(label: int) -> tuple[int, int]:
        partner = label_world.labels[label].partner
        if partner is None or rng.random() >= world.order_dependence:
            return label, label
        return C + label, C + partner

    pairs = [halves(label) for label in drawn]
    views = [[first for first, _ in pairs], [last for _, last in pairs]]
    other_topics = label_world.popularity * ~np.isin(label_world.topics, label_world.topics[drawn])
    view_of_frame = np.zeros(scenes[-1].end, np.int64)
    for scene in scenes:
        if scene.kind == MAIN:
            continue
        view_of_frame[scene.start : scene.end] = len(views)
        if scene.kind == TITLE:
            views.append([2 * C + int(rng.integers(_TITLES))])
        elif scene.kind == TALKING_HEAD:
            views.append([2 * C + _TITLES + int(rng.integers(_TALKING_HEADS))])
        else:
            views.append([halves(int(rng.choice(C, p=other_topics / other_topics.sum())))[0]])
    (main,) = np.nonzero(view_of_frame == 0)
    turn = round(len(main) * rng.uniform(0.4, 0.6))
    view_of_frame[main[turn:]] = 1
    return views, view_of_frame


def _sum(prototypes: Floats, view: list[int]) -> Floats:
    """What a view shows, at unit variance however many labels it shows [dim]."""
    return np.asarray(prototypes[view].sum(0) / np.float32(math.sqrt(len(view))))


def _frames(rng: Generator, stream: _Stream, views: list[Floats], view_of_frame: Integers) -> NDArray[np.uint8]:
    """The bytes of one stream [T, dim]."""
    T, dim = len(view_of_frame), stream.dim
    # Real features are in PCA order, and labels explain the leading components best.
    shown = stream.shown * _LEADING ** -np.linspace(0, 1, dim) / np.mean(_LEADING ** -np.linspace(0, 1, dim))
    rest = 1 - shown - stream.setting

    place = np.maximum(view_of_frame - 1, 0)  # both halves of the main scene are one place
    settings = rng.standard_normal((len(views) - 1, dim), np.float32)
    new_shot = rng.random(T) < stream.cut
    new_shot[1:] |= np.diff(view_of_frame) != 0
    new_shot[0] = False
    shot = np.cumsum(new_shot)
    shots = rng.standard_normal((shot[-1] + 1, dim), np.float32)
    still = rng.beta(*stream.still, len(shots)).astype(np.float32)[shot, None]
    loudness = (1 + stream.loudness * rng.uniform(-1.7, 1.7, len(shots))).astype(np.float32)[shot, None]

    frames = rng.standard_normal((T, dim), np.float32) * np.sqrt(1 - still)  # [T, dim] from here on
    frames += np.sqrt(still) * shots[shot]
    frames *= np.sqrt(rest).astype(np.float32)
    frames += (math.sqrt(stream.setting) * settings)[place]
    frames += (np.sqrt(shown).astype(np.float32) * np.stack(views))[view_of_frame]
    frames *= np.float32(_SPREAD) * loudness
    codes = np.rint((np.clip(frames, -2, 2) + 2) * np.float32(255 / 4)).astype(np.uint8)
    repeated = rng.random(T) < stream.repeated
    repeated[0] = False
    return codes[np.maximum.accumulate(np.where(repeated, 0, np.arange(T)))]


def build(folder: Path, world: World | None = None, progress: Callable[[int, int], None] | None = None) -> None:
    """Write the demo world: shards, ``vocabulary.csv``, ``world.json`` (the dials) and ``truth.parquet``.

    The folder appears when all of it is there, and takes the place of an earlier demo world.

    Args:
        folder: where; its ``train`` and ``validation`` folders hold the shards.
        world: the dials.
        progress: called now and then with the number of videos written, and of all.

    Raises:
        UserError: the folder holds something that is no demo world.
    """
    world = world or World()
    if folder.exists() and not (folder / "world.json").is_file() and (folder.is_file() or any(folder.iterdir())):
        raise UserError(f"{folder} holds something else", advice="Name a new folder for the demo world.")
    total = world.train_videos + world.validation_videos
    truth: list[dict[str, object]] = []
    counts = np.zeros(len(demo_labels()), np.int64)

    def payloads(split: str, shard: int) -> Iterator[bytes]:
        for video in videos_of_shard(world, split, shard):
            if split == "train":
                counts[video.labels] += 1
            truth.append(
                {
                    "id": video.id,
                    "split": split,
                    "clean_labels": video.clean_labels,
                    "scene_starts": [scene.start for scene in video.scenes],
                    "scene_kinds": [scene.kind for scene in video.scenes],
                    "main_frames": video.main_frames,
                }
            )
            yield sequence_example(
                {"id": video.id.encode(), "labels": video.labels}, {"rgb": video.rgb, "audio": video.audio}
            )
            if progress and (len(truth) % 20 == 0 or len(truth) == total):
                progress(len(truth), total)

    with replacing(folder) as unfinished:
        for split, shards in SHARDS.items():
            for shard in range(shards):
                name = f"{'validate' if split == 'validation' else split}{shard:04}.tfrecord"
                write_shard(unfinished / split / name, payloads(split, shard))
        names, verticals = zip(*((label.name, label.vertical) for label in demo_labels()), strict=True)
        write_vocabulary(unfinished / "vocabulary.csv", Vocabulary(names, verticals, counts))
        pq.write_table(pa.Table.from_pylist(truth), unfinished / "truth.parquet")
        (unfinished / "world.json").write_text(_description(world))


def is_built(folder: Path, world: World | None = None) -> bool:
    """Whether the folder holds this demo world, with these dials and made by this version of the format."""
    description = folder / "world.json"
    return description.is_file() and description.read_text() == _description(world or World())


def read_truth(folder: Path) -> pd.DataFrame:
    """What is true of each video, by id: split, clean_labels, scene_starts, scene_kinds, main_frames ([start, end) runs).

    Starts and runs count frames from 0; the columns hold plain lists.
    """
    return pd.DataFrame(pq.read_table(folder / "truth.parquet").to_pylist()).set_index("id")


def _description(world: World) -> str:
    return json.dumps({"format": FORMAT, "demo world": asdict(world)}, indent=2) + "\n"
