import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from yt8m_core.data.tfrecord.records import parse, payloads
from yt8m_core.data.vocabulary import find_vocabulary, read_vocabulary
from yt8m_core.demo import world as demo
from yt8m_core.demo.labels import LabelWorld, demo_labels
from yt8m_core.demo.world import MAIN, OTHER_TOPIC, SHARDS, TALKING_HEAD, TITLE, DemoVideo, World
from yt8m_core.errors import UserError

LABELS = demo_labels()
PAIRS = [(label, entry.partner) for label, entry in enumerate(LABELS) if label < (entry.partner or 0)]
HEARD = [label for label, entry in enumerate(LABELS) if entry.heard]
SMOKE = demo.smoke()


def some_videos(shards: int, **dials: float) -> list[DemoVideo]:
    """300 videos a shard."""
    world = replace(World(), **dials)  # type: ignore[arg-type]
    return [video for shard in range(shards) for video in demo.videos_of_shard(world, "train", shard)]


@pytest.fixture(scope="module")
def videos() -> list[DemoVideo]:
    return some_videos(6)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "world"
    demo.build(folder, SMOKE)
    return folder


def dequantize(codes: np.ndarray) -> np.ndarray:
    return codes * np.float32(4 / 255) + np.float32(4 / 512 - 2)


def frames_of(video: DemoVideo, *kinds: str) -> np.ndarray:
    return np.concatenate([np.arange(scene.start, scene.end) for scene in video.scenes if scene.kind in kinds])


def main_frames(video: DemoVideo) -> np.ndarray:
    return frames_of(video, MAIN)


def cosines(video: DemoVideo) -> np.ndarray:
    """Between all frames of a video, after the joint L2-norm [T, T]."""
    frames = dequantize(np.concatenate([video.rgb, video.audio], axis=1))
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    return frames @ frames.T


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- the labels -------------------------------------------------------------------------------------------------------


def test_labels_are_120_with_names_of_their_own_in_a_dozen_topics() -> None:
    assert len(LABELS) == len({label.name for label in LABELS}) == 120
    assert len({label.vertical for label in LABELS}) == 12
    assert (len(PAIRS), len(HEARD)) == (8, 8)


def test_parents_come_before_their_children_and_are_of_the_same_topic() -> None:
    for number, label in enumerate(LABELS):
        if label.parent is not None:
            assert label.parent < number
            assert LABELS[label.parent].vertical == label.vertical
    car = next(label for label in LABELS if label.name == "Car")
    assert car.parent is not None
    assert LABELS[car.parent].name == "Vehicle"


def test_partners_name_each_other_and_have_one_parent_and_one_popularity() -> None:
    popularity = LabelWorld(LABELS, 1.7).popularity
    for one, other in PAIRS:
        assert other is not None
        assert LABELS[other].partner == one
        assert LABELS[other].parent == LABELS[one].parent
        assert popularity[one] == popularity[other]


def test_children_and_parents_when_labels_are_noisy_stay_together(videos: list[DemoVideo]) -> None:
    for video in videos:
        for labels in (video.labels, video.clean_labels):
            assert labels == sorted(set(labels))
            assert {LABELS[label].parent for label in labels} - {None} <= set(labels)
            assert len(labels) >= 1


def test_partners_are_never_both_true(videos: list[DemoVideo]) -> None:
    assert not any({one, other} <= set(video.clean_labels) for video in videos for one, other in PAIRS)


def test_counts_are_as_in_the_real_vocabulary(videos: list[DemoVideo]) -> None:
    labels = [label for video in videos for label in video.labels]
    counts = np.bincount(labels, minlength=len(LABELS))
    assert len(labels) / len(videos) == pytest.approx(3.0, abs=0.15)  # real: 3.0
    assert max(len(video.labels) for video in videos) <= 19  # real: 19
    assert counts.max() / len(videos) == pytest.approx(0.20, abs=0.03)  # real: 788,288 of 3.9 million
    low, lower, upper = np.quantile(counts, [0.05, 0.25, 0.75]) / np.median(counts)
    assert low == pytest.approx(0.35, abs=0.15)  # real: 0.35
    assert lower == pytest.approx(0.53, abs=0.12)  # real: 0.53
    assert upper == pytest.approx(2.7, abs=0.9)  # real: 2.7


def share_of_pairs_in_one_topic(label_sets: Iterable[Iterable[int]]) -> float:
    topics = [np.array([LABELS[label].vertical for label in labels]) for labels in label_sets]
    return sum(((t == t[:, None]).sum() - len(t)) for t in topics) / sum(len(t) * (len(t) - 1) for t in topics)


def test_two_labels_of_a_video_share_their_topic_as_often_as_real_ones(videos: list[DemoVideo]) -> None:
    assert share_of_pairs_in_one_topic(video.labels for video in videos) == pytest.approx(0.69, abs=0.04)  # real: 0.69


# --- the frames: figures of shared/data/README.md, and of SjJ3.npz in windows of 50 frames ----------------------------


def test_frames_have_the_real_norms_and_spread(videos: list[DemoVideo]) -> None:
    rgb = np.concatenate([video.rgb for video in videos[:400]])
    audio = np.concatenate([video.audio for video in videos[:400]])
    assert dequantize(rgb).std(0).mean() == pytest.approx(1.0, abs=0.03)
    for start in range(0, 1024, 128):
        assert dequantize(rgb[:, start : start + 128]).std() == pytest.approx(1.0, abs=0.05)
    assert np.linalg.norm(dequantize(rgb), axis=1).mean() == pytest.approx(31.9, abs=0.4)
    assert np.linalg.norm(dequantize(rgb), axis=1).std() == pytest.approx(4.5, abs=0.8)
    assert np.linalg.norm(dequantize(audio), axis=1).mean() == pytest.approx(10.4, abs=0.3)
    assert np.linalg.norm(dequantize(audio), axis=1).std() == pytest.approx(3.6, abs=0.6)
    for code in (0, 255):
        assert (rgb == code).mean() == pytest.approx(0.035, abs=0.003)
        assert (audio == code).mean() == pytest.approx(0.046, abs=0.006)


def test_frames_are_as_alike_as_real_ones(videos: list[DemoVideo]) -> None:
    between = [cosines(video) for video in videos[:400]]
    neighbors = np.concatenate([np.diagonal(matrix, 1) for matrix in between])
    assert neighbors.mean() == pytest.approx(0.50, abs=0.03)
    assert np.quantile(neighbors, [0.1, 0.5, 0.9]) == pytest.approx([0.07, 0.41, 1.0], abs=0.08)
    for distance, real in ((2, 0.38), (3, 0.32), (5, 0.24), (10, 0.13), (20, 0.07), (40, 0.03)):
        found = np.mean([np.diagonal(matrix, distance).mean() for matrix in between if len(matrix) > distance])
        assert found == pytest.approx(real, abs=0.06)
    means = [matrix[np.triu_indices(len(matrix), 1)].mean() for matrix in between]
    assert np.mean(means) == pytest.approx(0.116, abs=0.02)  # real: 0.08 for all 170 frames, 0.116 in windows of 50


def test_a_third_of_the_audio_frames_repeat_the_one_before_and_no_rgb_frame_does(videos: list[DemoVideo]) -> None:
    def repeated(stream: str) -> float:
        frames = [getattr(video, stream) for video in videos[:200]]
        return float(np.mean(np.concatenate([(f[1:] == f[:-1]).all(1) for f in frames])))

    assert repeated("audio") == pytest.approx(0.36, abs=0.02)
    assert repeated("rgb") == 0


def explained(videos: list[DemoVideo], means: np.ndarray) -> float:
    """Share of the variance of mean vectors that the labels explain: mean of the fitted half and the other half."""
    known = np.zeros((len(videos), len(LABELS)))
    for row, video in zip(known, videos, strict=True):
        row[video.labels] = 1
    half = len(videos) // 2
    centered = means - means[:half].mean(0)
    fit = np.linalg.solve(known[:half].T @ known[:half] + 10 * np.eye(len(LABELS)), known[:half].T @ centered[:half])
    left = (centered - known @ fit) ** 2
    halves = slice(0, half), slice(half, None)
    return float(np.mean([1 - left[part].sum() / (centered[part] ** 2).sum() for part in halves]))


def test_labels_explain_as_much_of_a_mean_vector_as_real_ones_do(videos: list[DemoVideo]) -> None:
    rgb = np.stack([dequantize(video.rgb).mean(0) for video in videos])
    audio = np.stack([dequantize(video.audio).mean(0) for video in videos])
    # The same figure of 15,113 real video-level records and their 1,000 most frequent labels.
    assert explained(videos, rgb) == pytest.approx(0.117, abs=0.03)
    assert explained(videos, audio) == pytest.approx(0.149, abs=0.04)
    assert explained(videos, rgb[:, :128]) == pytest.approx(0.25, abs=0.05)
    assert explained(videos, rgb[:, 896:]) == pytest.approx(0.06, abs=0.04)


def test_lengths_are_20_to_120_and_50_in_the_mean(videos: list[DemoVideo]) -> None:
    lengths = [len(video.rgb) for video in videos]
    assert lengths == [len(video.audio) for video in videos]
    assert 20 <= min(lengths) < 25
    assert 110 < max(lengths) <= 120
    assert np.mean(lengths) == pytest.approx(50, abs=2)


# --- the scenes -------------------------------------------------------------------------------------------------------


def test_scenes_cover_the_video_without_gap_or_overlap(videos: list[DemoVideo]) -> None:
    for video in videos:
        borders = [video.scenes[0].start, *(scene.end for scene in video.scenes)]
        assert borders[0] == 0
        assert borders[-1] == len(video.rgb)
        assert all(one.end == other.start < other.end for one, other in pairwise(video.scenes))
        assert not any(one.kind == other.kind == MAIN for one, other in pairwise(video.scenes))
        assert 1 <= sum(scene.kind == MAIN for scene in video.scenes) <= 3
        assert all(
            video.scenes.index(scene) in (0, len(video.scenes) - 1) for scene in video.scenes if TITLE in scene.kind
        )
    assert {scene.kind for video in videos for scene in video.scenes} == {MAIN, TITLE, TALKING_HEAD, OTHER_TOPIC}


def test_main_scene_shows_the_labels_and_other_scenes_do_not(videos: list[DemoVideo]) -> None:
    """A direction learned from the main frames of some videos finds a label in main frames and not in side frames."""
    label, no_label = 0, (TITLE, TALKING_HEAD)
    chosen = [video for video in videos if any(scene.kind in no_label for scene in video.scenes)]
    has = np.array([label in video.clean_labels for video in chosen])
    learn = np.arange(len(chosen)) % 2 == 0

    def means(*kinds: str) -> np.ndarray:
        return np.stack([dequantize(video.rgb[frames_of(video, *kinds)]).mean(0) for video in chosen])

    direction = means(MAIN)[learn & has].mean(0) - means(MAIN)[learn & ~has].mean(0)

    def separation(vectors: np.ndarray) -> float:
        scores = vectors[~learn] @ direction
        return float((scores[has[~learn]].mean() - scores[~has[~learn]].mean()) / scores.std())

    assert separation(means(MAIN)) > 1.2
    assert abs(separation(means(*no_label))) < 0.2


def pair_contrast(videos: list[DemoVideo], vector: Callable[[np.ndarray], np.ndarray]) -> float:
    """How often a video's vector lies nearer to the mean of its own label of a pair than to its partner's.

    The means are of the other half of the videos; 0.5 is chance.
    """
    right = total = 0
    for pair in PAIRS:
        groups = [[v for v in videos if label in v.clean_labels] for label in pair]
        vectors = [np.stack([vector(dequantize(v.rgb[main_frames(v)])) for v in group]) for group in groups]
        for parity in (0, 1):
            # As many for each: everything lies nearer to the mean of more vectors.
            fewest = min(len(group[parity::2]) for group in vectors)
            learned = [group[parity::2][:fewest].mean(0) for group in vectors]
            for own, group in enumerate(vectors):
                asked = group[1 - parity :: 2]
                distances = [((asked - mean) ** 2).sum(1) for mean in learned]
                right += int((distances[own] < distances[1 - own]).sum())
                total += len(asked)
    return right / total


def mean_of(frames: np.ndarray) -> np.ndarray:
    return frames.mean(0)


def change_in(frames: np.ndarray) -> np.ndarray:
    half = len(frames) // 2
    return frames[:half].mean(0) - frames[half:].mean(0)


def test_partners_show_the_same_frames_in_another_order(videos: list[DemoVideo]) -> None:
    assert pair_contrast(videos, mean_of) == pytest.approx(0.5, abs=0.06)
    assert pair_contrast(videos, change_in) > 0.9


def test_partners_when_order_does_not_matter_have_looks_of_their_own() -> None:
    videos = some_videos(4, order_dependence=0)
    assert pair_contrast(videos, mean_of) > 0.8
    assert pair_contrast(videos, change_in) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("order_dependence", [0, 0.3, 1])
def test_order_dependence_is_the_share_of_showings_in_order(order_dependence: float) -> None:
    world, rng = LabelWorld(LABELS, 1.7), np.random.default_rng(0)
    (one, other), in_order = PAIRS[0], (len(LABELS) + PAIRS[0][0], len(LABELS) + (PAIRS[0][1] or 0))
    shown = [world.halves(rng, one, order_dependence) for _ in range(2000)]
    assert np.mean([halves == in_order for halves in shown]) == pytest.approx(order_dependence, abs=0.03)
    assert {halves for halves in shown} <= {in_order, (one, one)}
    assert world.halves(rng, other or 0, 1) == in_order[::-1]
    assert world.halves(rng, 0, 1) == (0, 0)


def test_labels_told_by_ear_alone_look_like_their_parent_and_have_a_sound() -> None:
    world = LabelWorld(LABELS, 1.7)
    looks = world.prototypes(np.random.default_rng(0), 1024, 6, audio=False)
    sounds = world.prototypes(np.random.default_rng(1), 128, 6, audio=True)
    for label, entry in enumerate(LABELS):
        if entry.parent is not None:
            assert np.array_equal(looks[label], looks[entry.parent]) == entry.heard
            assert np.array_equal(sounds[label], sounds[entry.parent]) == (not entry.heard)
    for prototypes in (looks, sounds):
        assert prototypes.std() == pytest.approx(1, abs=0.05)


def test_labels_told_by_ear_alone_cannot_be_told_from_their_parent_by_eye(videos: list[DemoVideo]) -> None:
    """Rank of a video with the label among those with its parent alone, by a direction learned from other videos."""

    def area_under_curve(stream: str) -> float:
        areas, weights = [], []
        for label in HEARD:
            parent = LABELS[label].parent
            means = [dequantize(getattr(v, stream)[main_frames(v)]).mean(0) for v in videos if parent in v.clean_labels]
            vectors = np.stack(means)
            has = np.array([label in v.clean_labels for v in videos if parent in v.clean_labels])
            even = np.arange(len(has)) % 2 == 0
            for learn in (even, ~even):
                direction = vectors[learn & has].mean(0) - vectors[learn & ~has].mean(0)
                with_label, without = vectors[~learn & has] @ direction, vectors[~learn & ~has] @ direction
                areas.append((with_label[:, None] > without).mean())
                weights.append(len(with_label))
        return float(np.average(areas, weights=weights))

    assert area_under_curve("rgb") == pytest.approx(0.5, abs=0.08)
    assert area_under_curve("audio") > 0.65


# --- the dials --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("main_share", [0.2, 0.8, 1.0])
def test_main_share_moves_the_main_scene_and_no_label(videos: list[DemoVideo], main_share: float) -> None:
    turned = some_videos(1, main_share=main_share)
    shares = [len(main_frames(video)) / len(video.rgb) for video in turned]
    assert np.mean(shares) == pytest.approx(main_share, abs=0.015)
    assert np.std(shares) < 0.3 * min(main_share, 1 - main_share) + 1e-9
    same = zip(turned, videos, strict=False)
    assert all((a.id, a.labels, len(a.rgb)) == (b.id, b.labels, len(b.rgb)) for a, b in same)


def test_main_share_by_default_is_half(videos: list[DemoVideo]) -> None:
    shares = [len(main_frames(video)) / len(video.rgb) for video in videos]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.01)


def test_label_noise_moves_the_written_labels_and_nothing_else(videos: list[DemoVideo]) -> None:
    clean = some_videos(1, label_noise=0)
    assert all(video.labels == video.clean_labels for video in clean)
    for one, other in zip(clean, videos, strict=False):
        assert (one.id, one.clean_labels, one.scenes) == (other.id, other.clean_labels, other.scenes)
        assert np.array_equal(one.rgb, other.rgb)
        assert np.array_equal(one.audio, other.audio)


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_label_noise_is_the_share_of_missing_labels_and_a_few_are_wrong(noise: float) -> None:
    world, rng, true = LabelWorld(LABELS, 1.7), np.random.default_rng(1), draw(3000)
    written = [set(world.with_noise(rng, clean, noise)) for clean in true]
    total = sum(map(len, true))
    missing = sum(len(a - b) for a, b in zip(true, written, strict=True)) / total
    wrong = sum(len(b - a) for a, b in zip(true, written, strict=True)) / total
    assert 0.8 * noise < missing < 1.02 * noise  # a little less, as one label always stays
    assert 0.1 * noise < wrong < 0.4 * noise


def draw(number: int, *, tail_exponent: float = 1.7, correlation: float = 0.75) -> list[set[int]]:
    world, rng = LabelWorld(LABELS, tail_exponent), np.random.default_rng(0)
    return [world.with_parents(world.draw(rng, correlation)) for _ in range(number)]


def test_correlation_moves_how_many_labels_share_their_topic() -> None:
    assert share_of_pairs_in_one_topic(draw(1000, correlation=0)) < 0.4
    assert share_of_pairs_in_one_topic(draw(1000, correlation=1)) == 1


def test_tail_exponent_moves_the_imbalance() -> None:
    def imbalance(exponent: float) -> float:
        counts = np.bincount([x for labels in draw(2000, tail_exponent=exponent) for x in labels], minlength=120)
        return float(counts.max() / np.median(counts))

    assert LabelWorld(LABELS, 0).popularity == pytest.approx(1 / 120)
    assert imbalance(0) < 0.5 * imbalance(1.7) < 0.4 * imbalance(2.5)


def test_videos_when_the_world_grows_stay_the_same(videos: list[DemoVideo]) -> None:
    grown = next(demo.videos_of_shard(World(train_videos=5000), "train", 0))
    assert (grown.id, grown.labels) == (videos[0].id, videos[0].labels)
    assert np.array_equal(grown.rgb, videos[0].rgb)


@pytest.mark.parametrize(
    ("dials", "complaint"),
    [
        ({"main_share": 0.0}, r"demo world: found main_share 0.0; expected 0.05 to 1"),
        ({"main_share": 1.1}, "main_share 1.1"),
        ({"order_dependence": -0.1}, "order_dependence -0.1"),
        ({"correlation": float("nan")}, "correlation nan"),
        ({"label_noise": 2}, "label_noise 2; expected 0 to 1"),
        ({"tail_exponent": -1}, "tail_exponent -1"),
        ({"seed": -1}, "seed -1"),
        ({"train_videos": 7}, "train_videos 7; expected 8 to 15376"),
        ({"validation_videos": 7689}, "validation_videos 7689; expected 4 to 7688"),
    ],
)
def test_world_when_a_dial_is_out_of_range_is_refused(dials: dict[str, float], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        World(**dials)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "dials",
    [
        {"main_share": 0.05, "order_dependence": 0, "correlation": 0, "tail_exponent": 0, "label_noise": 1},
        {"main_share": 1, "order_dependence": 1, "correlation": 1, "tail_exponent": 5, "label_noise": 1},
    ],
)
def test_videos_when_dials_are_at_their_ends_are_sound(dials: dict[str, float]) -> None:
    for video in demo.videos_of_shard(replace(SMOKE, train_videos=400, **dials), "train", 0):  # type: ignore[arg-type]
        assert len(video.labels) >= 1
        assert set(video.clean_labels) <= set(range(len(LABELS)))
        assert len(main_frames(video)) >= 2
        assert video.rgb.shape[1:] == (1024,)
        assert 20 < video.rgb.std() < 100


# --- ids and seeds ----------------------------------------------------------------------------------------------------


def test_ids_are_four_characters_and_never_shared() -> None:
    ids = [i for which, n in enumerate(SHARDS.values()) for shard in range(n) for i in demo._ids(World(), which, shard)]
    assert len(ids) == len(set(ids)) == 12 * 1922
    assert all(len(i) == 4 and i.isascii() and i.isalnum() for i in ids)


def test_videos_when_asked_twice_or_for_one_shard_alone_are_the_same(built: Path) -> None:
    once, again = (list(demo.videos_of_shard(SMOKE, "validation", 3)) for _ in range(2))
    for one, other in zip(once, again, strict=True):
        assert np.array_equal(one.rgb, other.rgb)
    data = memoryview((built / "validation" / "validate0003.tfrecord").read_bytes())
    ids = [parse(data[a:b]).context.feature["id"].bytes_list.value[0].decode() for a, b in payloads(data, "")]
    assert ids == [video.id for video in once]


def test_build_when_seed_is_the_same_writes_the_same_bytes(built: Path, tmp_path: Path) -> None:
    demo.build(tmp_path / "again", SMOKE)
    assert digests(tmp_path / "again") == digests(built)


def test_build_when_seed_differs_writes_another_world(built: Path, tmp_path: Path) -> None:
    demo.build(tmp_path / "other", replace(SMOKE, seed=SMOKE.seed + 1))
    here, there = digests(built), digests(tmp_path / "other")
    assert here.keys() == there.keys()
    assert not set(here.values()) & set(there.values())


# --- the files --------------------------------------------------------------------------------------------------------


def test_build_writes_shards_vocabulary_truth_and_dials(built: Path) -> None:
    shards = [f"train/train{n:04}.tfrecord" for n in range(8)]
    shards += [f"validation/validate{n:04}.tfrecord" for n in range(4)]
    assert list(digests(built)) == sorted([*shards, "vocabulary.csv", "truth.parquet", "world.json"])
    assert find_vocabulary(built / "train") == built / "vocabulary.csv"
    assert "demo world" in (built / "world.json").read_text()


def test_build_writes_what_was_generated_and_the_truth_about_it(built: Path) -> None:
    truth = demo.read_truth(built)
    assert len(truth) == truth.index.nunique() == 96
    assert truth["split"].value_counts().to_dict() == {"train": 64, "validation": 32}
    counts = np.zeros(len(LABELS), np.int64)
    for split, file_name in (("train", "train"), ("validation", "validate")):
        for shard in range(SHARDS[split]):
            path = built / split / f"{file_name}{shard:04}.tfrecord"
            data = memoryview(path.read_bytes())
            records = [parse(data[start:end]) for start, end in payloads(data, path)]
            for record, video in zip(records, demo.videos_of_shard(SMOKE, split, shard), strict=True):
                context, lists = record.context.feature, record.feature_lists.feature_list
                assert context["id"].bytes_list.value[0].decode() == video.id
                assert list(context["labels"].int64_list.value) == video.labels
                for name, frames in (("rgb", video.rgb), ("audio", video.audio)):
                    rows = [feature.bytes_list.value[0] for feature in lists[name].feature]
                    assert b"".join(rows) == frames.tobytes()
                    assert {len(row) for row in rows} == {frames.shape[1]}
                known = truth.loc[video.id]
                assert known["split"] == split
                assert known["clean_labels"] == video.clean_labels
                assert known["scene_starts"] == [scene.start for scene in video.scenes]
                assert known["scene_kinds"] == [scene.kind for scene in video.scenes]
                runs = [np.arange(start, end) for start, end in known["main_frames"]]
                assert np.array_equal(np.concatenate(runs), main_frames(video))
                counts[video.labels] += split == "train"
    vocabulary = read_vocabulary(built / "vocabulary.csv")
    assert vocabulary.counts is not None
    assert vocabulary.counts.tolist() == counts.tolist()
    assert list(zip(vocabulary.names, vocabulary.verticals, strict=True)) == [(x.name, x.vertical) for x in LABELS]


def test_is_built_when_dials_or_format_differ_is_false(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert demo.is_built(built, SMOKE)
    assert not demo.is_built(built, replace(SMOKE, label_noise=0.2))
    assert not demo.is_built(built)
    assert not demo.is_built(tmp_path / "nowhere", SMOKE)
    monkeypatch.setattr(demo, "FORMAT", demo.FORMAT + 1)
    assert not demo.is_built(built, SMOKE)


def test_build_reports_progress_to_the_last_video(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    demo.build(tmp_path / "world", SMOKE, lambda done, total: steps.append((done, total)))
    assert steps == [(20, 96), (40, 96), (60, 96), (80, 96), (96, 96)]


def test_build_when_it_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.build(tmp_path / "world", SMOKE, interrupt)
    assert list(tmp_path.iterdir()) == []


def test_build_when_it_is_killed_leaves_no_folder_and_can_be_repeated(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from yt8m_core.demo import world as demo\n"
        "demo.build(Path(sys.argv[1]), demo.smoke(), lambda done, total: os.kill(os.getpid(), signal.SIGKILL))"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "world")], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "world").exists()
    demo.build(tmp_path / "world", SMOKE)
    assert demo.is_built(tmp_path / "world", SMOKE)


def test_build_when_an_earlier_world_is_there_takes_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    demo.build(folder, replace(SMOKE, seed=1))
    demo.build(folder, SMOKE)
    assert demo.is_built(folder, SMOKE)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("make", [Path.touch, lambda path: (path / "thesis").mkdir(parents=True)])
def test_build_when_the_folder_holds_something_else_refuses_and_keeps_it(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    folder = tmp_path / "world"
    make(folder)
    with pytest.raises(UserError, match="holds something else"):
        demo.build(folder, SMOKE)
    assert folder.is_file() or (folder / "thesis").is_dir()
