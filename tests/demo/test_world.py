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

from yt8m_core.data.tfrecord.records import iter_payloads, parse_example
from yt8m_core.data.vocabulary import find_vocabulary, read_vocabulary
from yt8m_core.demo import world as demo
from yt8m_core.demo.hierarchy import demo_labels
from yt8m_core.demo.labels import LabelWorld
from yt8m_core.demo.scenes import MAIN, OTHER_TOPIC, TALKING_HEAD, TITLE
from yt8m_core.demo.world import SHARDS, DemoVideo, World
from yt8m_core.errors import UserError

LABELS = demo_labels()
PAIRS = [(label, entry.partner) for label, entry in enumerate(LABELS) if label < (entry.partner or 0)]
AUDIO_ONLY = [label for label, entry in enumerate(LABELS) if entry.is_audio_only]
SMOKE = demo.smoke()


def sample_videos(shards: int, **parameters: float) -> list[DemoVideo]:
    """Return the videos of the first shards, 300 per shard."""
    world = replace(World(), **parameters)  # type: ignore[arg-type]
    return [video for shard in range(shards) for video in demo.draw_videos(world, "train", shard)]


@pytest.fixture(scope="module")
def videos() -> list[DemoVideo]:
    return sample_videos(6)


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


def frame_similarities(video: DemoVideo) -> np.ndarray:
    """Return the cosine similarities of all frames of a video, rgb and audio joined [T, T]."""
    frames = dequantize(np.concatenate([video.rgb, video.audio], axis=1))
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    return frames @ frames.T


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- labels -----------------------------------------------------------------------------------------------------------


def test_120_labels_have_unique_names_in_12_topics() -> None:
    assert len(LABELS) == len({label.name for label in LABELS}) == 120
    assert len({label.vertical for label in LABELS}) == 12
    assert (len(PAIRS), len(AUDIO_ONLY)) == (8, 8)


def test_parents_precede_their_children_in_the_same_topic() -> None:
    for number, label in enumerate(LABELS):
        if label.parent is not None:
            assert label.parent < number
            assert LABELS[label.parent].vertical == label.vertical
    car = next(label for label in LABELS if label.name == "Car")
    assert car.parent is not None
    assert LABELS[car.parent].name == "Vehicle"


def test_partners_refer_to_each_other_and_share_parent_and_popularity() -> None:
    popularity = LabelWorld(LABELS, 1.7).popularity
    for label, partner in PAIRS:
        assert partner is not None
        assert LABELS[partner].partner == label
        assert LABELS[partner].parent == LABELS[label].parent
        assert popularity[label] == popularity[partner]


def test_noisy_labels_include_their_parents(videos: list[DemoVideo]) -> None:
    for video in videos:
        for labels in (video.labels, video.clean_labels):
            assert labels == sorted(set(labels))
            assert {LABELS[label].parent for label in labels} - {None} <= set(labels)
            assert len(labels) >= 1


def test_partners_are_never_both_true(videos: list[DemoVideo]) -> None:
    assert not any(set(pair) <= set(video.clean_labels) for video in videos for pair in PAIRS)


def test_counts_resemble_the_real_vocabulary(videos: list[DemoVideo]) -> None:
    labels = [label for video in videos for label in video.labels]
    counts = np.bincount(labels, minlength=len(LABELS))
    assert len(labels) / len(videos) == pytest.approx(3.0, abs=0.15)  # real: 3.0
    assert max(len(video.labels) for video in videos) <= 19  # real: 19
    assert counts.max() / len(videos) == pytest.approx(0.20, abs=0.03)  # real: 788,288 of 3.9 million
    low, lower, upper = np.quantile(counts, [0.05, 0.25, 0.75]) / np.median(counts)
    assert low == pytest.approx(0.35, abs=0.15)  # real: 0.35
    assert lower == pytest.approx(0.53, abs=0.12)  # real: 0.53
    assert upper == pytest.approx(2.7, abs=0.9)  # real: 2.7


def same_topic_rate(label_sets: Iterable[Iterable[int]]) -> float:
    topics = [np.array([LABELS[label].vertical for label in labels]) for labels in label_sets]
    return sum(((t == t[:, None]).sum() - len(t)) for t in topics) / sum(len(t) * (len(t) - 1) for t in topics)


def test_labels_of_a_video_share_their_topic_as_often_as_real_ones(videos: list[DemoVideo]) -> None:
    assert same_topic_rate(video.labels for video in videos) == pytest.approx(0.69, abs=0.04)  # real: 0.69


# --- frames: expected values from the real records, and from the real video in windows of 50 frames ------------------


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


def test_frames_are_as_similar_as_real_ones(videos: list[DemoVideo]) -> None:
    similarities = [frame_similarities(video) for video in videos[:400]]
    neighbors = np.concatenate([np.diagonal(matrix, 1) for matrix in similarities])
    assert neighbors.mean() == pytest.approx(0.50, abs=0.03)
    assert np.quantile(neighbors, [0.1, 0.5, 0.9]) == pytest.approx([0.07, 0.41, 1.0], abs=0.08)
    for distance, real in ((2, 0.38), (3, 0.32), (5, 0.24), (10, 0.13), (20, 0.07), (40, 0.03)):
        mean = np.mean([np.diagonal(matrix, distance).mean() for matrix in similarities if len(matrix) > distance])
        assert mean == pytest.approx(real, abs=0.06)
    means = [matrix[np.triu_indices(len(matrix), 1)].mean() for matrix in similarities]
    assert np.mean(means) == pytest.approx(0.116, abs=0.02)  # real: 0.08 for all 170 frames, 0.116 in windows of 50


def test_a_third_of_the_audio_frames_and_no_rgb_frame_repeat_the_previous_one(videos: list[DemoVideo]) -> None:
    def repeat_rate(stream: str) -> float:
        frames = [getattr(video, stream) for video in videos[:200]]
        return float(np.mean(np.concatenate([(f[1:] == f[:-1]).all(1) for f in frames])))

    assert repeat_rate("audio") == pytest.approx(0.36, abs=0.02)
    assert repeat_rate("rgb") == 0


def explained_variance(videos: list[DemoVideo], means: np.ndarray) -> float:
    """Return the fraction of the variance of mean vectors explained by labels: mean of training and test half."""
    targets = np.zeros((len(videos), len(LABELS)))
    for row, video in zip(targets, videos, strict=True):
        row[video.labels] = 1
    half = len(videos) // 2
    centered = means - means[:half].mean(0)
    fit = np.linalg.solve(
        targets[:half].T @ targets[:half] + 10 * np.eye(len(LABELS)), targets[:half].T @ centered[:half]
    )
    residuals = (centered - targets @ fit) ** 2
    halves = slice(0, half), slice(half, None)
    return float(np.mean([1 - residuals[part].sum() / (centered[part] ** 2).sum() for part in halves]))


def test_labels_explain_as_much_variance_of_mean_vectors_as_real_ones(videos: list[DemoVideo]) -> None:
    rgb = np.stack([dequantize(video.rgb).mean(0) for video in videos])
    audio = np.stack([dequantize(video.audio).mean(0) for video in videos])
    # The same statistics of 15,113 real video-level records and their 1,000 most frequent labels.
    assert explained_variance(videos, rgb) == pytest.approx(0.117, abs=0.03)
    assert explained_variance(videos, audio) == pytest.approx(0.149, abs=0.04)
    assert explained_variance(videos, rgb[:, :128]) == pytest.approx(0.25, abs=0.05)
    assert explained_variance(videos, rgb[:, 896:]) == pytest.approx(0.06, abs=0.04)


def test_lengths_are_20_to_120_with_mean_50(videos: list[DemoVideo]) -> None:
    lengths = [len(video.rgb) for video in videos]
    assert lengths == [len(video.audio) for video in videos]
    assert 20 <= min(lengths) < 25
    assert 110 < max(lengths) <= 120
    assert np.mean(lengths) == pytest.approx(50, abs=2)


# --- scenes -----------------------------------------------------------------------------------------------------------


def test_scenes_cover_the_video_without_gaps_or_overlaps(videos: list[DemoVideo]) -> None:
    for video in videos:
        borders = [video.scenes[0].start, *(scene.end for scene in video.scenes)]
        assert borders[0] == 0
        assert borders[-1] == len(video.rgb)
        assert all(first.end == second.start < second.end for first, second in pairwise(video.scenes))
        assert not any(first.kind == second.kind == MAIN for first, second in pairwise(video.scenes))
        assert 1 <= sum(scene.kind == MAIN for scene in video.scenes) <= 3
        assert all(
            video.scenes.index(scene) in (0, len(video.scenes) - 1) for scene in video.scenes if TITLE in scene.kind
        )
    assert {scene.kind for video in videos for scene in video.scenes} == {MAIN, TITLE, TALKING_HEAD, OTHER_TOPIC}


def test_main_scene_shows_the_labels_and_other_scenes_do_not(videos: list[DemoVideo]) -> None:
    """A direction fitted to main frames of some videos detects a label in main frames, but not in side frames."""
    label, unlabeled_kinds = 0, (TITLE, TALKING_HEAD)
    chosen = [video for video in videos if any(scene.kind in unlabeled_kinds for scene in video.scenes)]
    has_label = np.array([label in video.clean_labels for video in chosen])
    is_train = np.arange(len(chosen)) % 2 == 0

    def means(*kinds: str) -> np.ndarray:
        return np.stack([dequantize(video.rgb[frames_of(video, *kinds)]).mean(0) for video in chosen])

    direction = means(MAIN)[is_train & has_label].mean(0) - means(MAIN)[is_train & ~has_label].mean(0)

    def separation(vectors: np.ndarray) -> float:
        scores = vectors[~is_train] @ direction
        positive = has_label[~is_train]
        return float((scores[positive].mean() - scores[~positive].mean()) / scores.std())

    assert separation(means(MAIN)) > 1.2
    assert abs(separation(means(*unlabeled_kinds))) < 0.2


def pair_accuracy(videos: list[DemoVideo], vector: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return the accuracy of a nearest-mean classifier for the two labels of a pair; 0.5 is chance.

    The means are computed on one half of the videos, and the accuracy on the other.
    """
    correct = total = 0
    for pair in PAIRS:
        groups = [[v for v in videos if label in v.clean_labels] for label in pair]
        vectors = [np.stack([vector(dequantize(v.rgb[main_frames(v)])) for v in group]) for group in groups]
        for parity in (0, 1):
            # Equally many vectors per label: means of more vectors are nearer to everything.
            size = min(len(group[parity::2]) for group in vectors)
            means = [group[parity::2][:size].mean(0) for group in vectors]
            for own, group in enumerate(vectors):
                test = group[1 - parity :: 2]
                distances = [((test - mean) ** 2).sum(1) for mean in means]
                correct += int((distances[own] < distances[1 - own]).sum())
                total += len(test)
    return correct / total


def mean_frame(frames: np.ndarray) -> np.ndarray:
    return frames.mean(0)


def half_difference(frames: np.ndarray) -> np.ndarray:
    half = len(frames) // 2
    return frames[:half].mean(0) - frames[half:].mean(0)


def test_partners_show_the_same_frames_in_another_order(videos: list[DemoVideo]) -> None:
    assert pair_accuracy(videos, mean_frame) == pytest.approx(0.5, abs=0.06)
    assert pair_accuracy(videos, half_difference) > 0.9


def test_partners_have_different_frames_without_order_dependence() -> None:
    videos = sample_videos(4, order_dependence=0)
    assert pair_accuracy(videos, mean_frame) > 0.8
    assert pair_accuracy(videos, half_difference) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("order_dependence", [0, 0.3, 1])
def test_order_dependence_is_the_probability_of_ordered_halves(order_dependence: float) -> None:
    world, rng = LabelWorld(LABELS, 1.7), np.random.default_rng(0)
    (label, partner), in_order = PAIRS[0], (len(LABELS) + PAIRS[0][0], len(LABELS) + (PAIRS[0][1] or 0))
    draws = [world.draw_halves(rng, label, order_dependence) for _ in range(2000)]
    assert np.mean([halves == in_order for halves in draws]) == pytest.approx(order_dependence, abs=0.03)
    assert set(draws) <= {in_order, (label, label)}
    assert world.draw_halves(rng, partner or 0, 1) == in_order[::-1]
    assert world.draw_halves(rng, 0, 1) == (0, 0)


def test_audio_only_labels_look_like_their_parent_but_sound_different() -> None:
    world = LabelWorld(LABELS, 1.7)
    looks = world.draw_prototypes(np.random.default_rng(0), 1024, 6, audio=False)
    sounds = world.draw_prototypes(np.random.default_rng(1), 128, 6, audio=True)
    for label, entry in enumerate(LABELS):
        if entry.parent is not None:
            assert np.array_equal(looks[label], looks[entry.parent]) == entry.is_audio_only
            assert np.array_equal(sounds[label], sounds[entry.parent]) == (not entry.is_audio_only)
    for prototypes in (looks, sounds):
        assert prototypes.std() == pytest.approx(1, abs=0.05)


def test_audio_only_labels_are_indistinguishable_in_rgb(videos: list[DemoVideo]) -> None:
    """Detect the label among videos with its parent, by a direction fitted to other videos."""

    def area_under_curve(stream: str) -> float:
        areas, weights = [], []
        for label in AUDIO_ONLY:
            parent = LABELS[label].parent
            means = [dequantize(getattr(v, stream)[main_frames(v)]).mean(0) for v in videos if parent in v.clean_labels]
            vectors = np.stack(means)
            has_label = np.array([label in v.clean_labels for v in videos if parent in v.clean_labels])
            is_even = np.arange(len(has_label)) % 2 == 0
            for is_train in (is_even, ~is_even):
                direction = vectors[is_train & has_label].mean(0) - vectors[is_train & ~has_label].mean(0)
                positive = vectors[~is_train & has_label] @ direction
                negative = vectors[~is_train & ~has_label] @ direction
                areas.append((positive[:, None] > negative).mean())
                weights.append(len(positive))
        return float(np.average(areas, weights=weights))

    assert area_under_curve("rgb") == pytest.approx(0.5, abs=0.08)
    assert area_under_curve("audio") > 0.65


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("main_share", [0.2, 0.8, 1.0])
def test_main_share_changes_the_main_scene_and_no_label(videos: list[DemoVideo], main_share: float) -> None:
    changed = sample_videos(1, main_share=main_share)
    shares = [len(main_frames(video)) / len(video.rgb) for video in changed]
    assert np.mean(shares) == pytest.approx(main_share, abs=0.015)
    assert np.std(shares) < 0.3 * min(main_share, 1 - main_share) + 1e-9
    pairs = zip(changed, videos, strict=False)
    assert all((a.id, a.labels, len(a.rgb)) == (b.id, b.labels, len(b.rgb)) for a, b in pairs)


def test_default_main_share_is_half(videos: list[DemoVideo]) -> None:
    shares = [len(main_frames(video)) / len(video.rgb) for video in videos]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.01)


def test_label_noise_changes_only_the_noisy_labels(videos: list[DemoVideo]) -> None:
    clean = sample_videos(1, label_noise=0)
    assert all(video.labels == video.clean_labels for video in clean)
    for clean_video, noisy_video in zip(clean, videos, strict=False):
        assert (clean_video.id, clean_video.clean_labels) == (noisy_video.id, noisy_video.clean_labels)
        assert clean_video.scenes == noisy_video.scenes
        assert np.array_equal(clean_video.rgb, noisy_video.rgb)
        assert np.array_equal(clean_video.audio, noisy_video.audio)


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_label_noise_is_the_fraction_of_missing_labels_and_some_are_wrong(noise: float) -> None:
    world, rng, true = LabelWorld(LABELS, 1.7), np.random.default_rng(1), draw(3000)
    noisy = [set(world.add_noise(rng, clean, noise)) for clean in true]
    total = sum(map(len, true))
    missing = sum(len(a - b) for a, b in zip(true, noisy, strict=True)) / total
    wrong = sum(len(b - a) for a, b in zip(true, noisy, strict=True)) / total
    assert 0.8 * noise < missing < 1.02 * noise  # slightly less, because at least one label is kept
    assert 0.1 * noise < wrong < 0.4 * noise


def draw(number: int, *, tail_exponent: float = 1.7, correlation: float = 0.75) -> list[set[int]]:
    world, rng = LabelWorld(LABELS, tail_exponent), np.random.default_rng(0)
    return [world.add_ancestors(world.draw(rng, correlation)) for _ in range(number)]


def test_correlation_changes_how_many_labels_share_their_topic() -> None:
    assert same_topic_rate(draw(1000, correlation=0)) < 0.4
    assert same_topic_rate(draw(1000, correlation=1)) == 1


def test_tail_exponent_changes_the_imbalance() -> None:
    def imbalance(exponent: float) -> float:
        counts = np.bincount([x for labels in draw(2000, tail_exponent=exponent) for x in labels], minlength=120)
        return float(counts.max() / np.median(counts))

    assert LabelWorld(LABELS, 0).popularity == pytest.approx(1 / 120)
    assert imbalance(0) < 0.5 * imbalance(1.7) < 0.4 * imbalance(2.5)


def test_videos_are_the_same_in_a_larger_world(videos: list[DemoVideo]) -> None:
    video = next(demo.draw_videos(World(train_videos=5000), "train", 0))
    assert (video.id, video.labels) == (videos[0].id, videos[0].labels)
    assert np.array_equal(video.rgb, videos[0].rgb)


@pytest.mark.parametrize(
    ("parameters", "message"),
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
def test_parameter_out_of_range_is_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        World(**parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "parameters",
    [
        {"main_share": 0.05, "order_dependence": 0, "correlation": 0, "tail_exponent": 0, "label_noise": 1},
        {"main_share": 1, "order_dependence": 1, "correlation": 1, "tail_exponent": 5, "label_noise": 1},
    ],
)
def test_videos_are_valid_at_the_limits_of_the_parameters(parameters: dict[str, float]) -> None:
    for video in demo.draw_videos(replace(SMOKE, train_videos=400, **parameters), "train", 0):  # type: ignore[arg-type]
        assert len(video.labels) >= 1
        assert set(video.clean_labels) <= set(range(len(LABELS)))
        assert len(main_frames(video)) >= 2
        assert video.rgb.shape[1:] == (1024,)
        assert 20 < video.rgb.std() < 100


# --- ids and seeds ----------------------------------------------------------------------------------------------------


def test_ids_have_four_characters_and_are_unique() -> None:
    ids = [
        video_id
        for split, num_shards in enumerate(SHARDS.values())
        for shard in range(num_shards)
        for video_id in demo._draw_ids(World(), split, shard)
    ]
    assert len(ids) == len(set(ids)) == 12 * 1922
    assert all(len(video_id) == 4 and video_id.isascii() and video_id.isalnum() for video_id in ids)


def test_videos_of_a_shard_are_reproducible(built: Path) -> None:
    first, second = (list(demo.draw_videos(SMOKE, "validation", 3)) for _ in range(2))
    for video, again in zip(first, second, strict=True):
        assert np.array_equal(video.rgb, again.rgb)
    data = memoryview((built / "validation" / "validate0003.tfrecord").read_bytes())
    ids = [
        parse_example(data[start:end]).context.feature["id"].bytes_list.value[0].decode()
        for start, end in iter_payloads(data, "")
    ]
    assert ids == [video.id for video in first]


def test_same_seed_writes_the_same_bytes(built: Path, tmp_path: Path) -> None:
    demo.build(tmp_path / "again", SMOKE)
    assert digests(tmp_path / "again") == digests(built)


def test_another_seed_writes_another_world(built: Path, tmp_path: Path) -> None:
    demo.build(tmp_path / "other", replace(SMOKE, seed=SMOKE.seed + 1))
    digests_of_seed, digests_of_other = digests(built), digests(tmp_path / "other")
    assert digests_of_seed.keys() == digests_of_other.keys()
    assert not set(digests_of_seed.values()) & set(digests_of_other.values())


# --- files ------------------------------------------------------------------------------------------------------------


def test_build_writes_shards_vocabulary_truth_and_parameters(built: Path) -> None:
    shards = [f"train/train{n:04}.tfrecord" for n in range(8)]
    shards += [f"validation/validate{n:04}.tfrecord" for n in range(4)]
    assert list(digests(built)) == sorted([*shards, "vocabulary.csv", "truth.parquet", "world.json"])
    assert find_vocabulary(built / "train") == built / "vocabulary.csv"
    assert "demo world" in (built / "world.json").read_text()


def test_build_writes_the_videos_and_their_ground_truth(built: Path) -> None:
    truth = demo.read_truth(built)
    assert len(truth) == truth.index.nunique() == 96
    assert truth["split"].value_counts().to_dict() == {"train": 64, "validation": 32}
    counts = np.zeros(len(LABELS), np.int64)
    for split, file_name in (("train", "train"), ("validation", "validate")):
        for shard in range(SHARDS[split]):
            path = built / split / f"{file_name}{shard:04}.tfrecord"
            data = memoryview(path.read_bytes())
            records = [parse_example(data[start:end]) for start, end in iter_payloads(data, path)]
            for record, video in zip(records, demo.draw_videos(SMOKE, split, shard), strict=True):
                context, lists = record.context.feature, record.feature_lists.feature_list
                assert context["id"].bytes_list.value[0].decode() == video.id
                assert list(context["labels"].int64_list.value) == video.labels
                for name, frames in (("rgb", video.rgb), ("audio", video.audio)):
                    rows = [feature.bytes_list.value[0] for feature in lists[name].feature]
                    assert b"".join(rows) == frames.tobytes()
                    assert {len(row) for row in rows} == {frames.shape[1]}
                row = truth.loc[video.id]
                assert row["split"] == split
                assert row["clean_labels"] == video.clean_labels
                assert row["scene_starts"] == [scene.start for scene in video.scenes]
                assert row["scene_kinds"] == [scene.kind for scene in video.scenes]
                intervals = [np.arange(start, end) for start, end in row["main_frames"]]
                assert np.array_equal(np.concatenate(intervals), main_frames(video))
                counts[video.labels] += split == "train"
    vocabulary = read_vocabulary(built / "vocabulary.csv")
    assert vocabulary.counts is not None
    assert vocabulary.counts.tolist() == counts.tolist()
    assert list(zip(vocabulary.names, vocabulary.verticals, strict=True)) == [
        (label.name, label.vertical) for label in LABELS
    ]


def test_is_built_is_false_for_other_parameters_or_formats(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert demo.is_built(built, SMOKE)
    assert not demo.is_built(built, replace(SMOKE, label_noise=0.2))
    assert not demo.is_built(built)
    assert not demo.is_built(tmp_path / "nowhere", SMOKE)
    monkeypatch.setattr(demo, "FORMAT", demo.FORMAT + 1)
    assert not demo.is_built(built, SMOKE)


def test_build_reports_progress_to_the_last_video(tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    demo.build(tmp_path / "world", SMOKE, lambda what, done, total, note="": reports.append((done, total)))
    assert reports == [(20, 96), (40, 96), (60, 96), (80, 96), (96, 96)]


def test_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(what: str, done: int, total: int, note: str = "") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo.build(tmp_path / "world", SMOKE, interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_killed_build_leaves_no_folder_and_can_be_repeated(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from yt8m_core.demo import world as demo\n"
        "demo.build(Path(sys.argv[1]), demo.smoke(), lambda *_: os.kill(os.getpid(), signal.SIGKILL))"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "world")], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "world").exists()
    demo.build(tmp_path / "world", SMOKE)
    assert demo.is_built(tmp_path / "world", SMOKE)


def test_build_replaces_an_earlier_world(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    demo.build(folder, replace(SMOKE, seed=1))
    demo.build(folder, SMOKE)
    assert demo.is_built(folder, SMOKE)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("make", [Path.touch, lambda path: (path / "thesis").mkdir(parents=True)])
def test_build_refuses_a_folder_with_other_contents_and_keeps_it(tmp_path: Path, make: Callable[[Path], None]) -> None:
    folder = tmp_path / "world"
    make(folder)
    with pytest.raises(UserError, match="exists and is not a demo world"):
        demo.build(folder, SMOKE)
    assert folder.is_file() or (folder / "thesis").is_dir()
