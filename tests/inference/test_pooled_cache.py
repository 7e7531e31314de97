"""Training on cached pooled frames gives the result of training on frames."""

import os
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.tfrecord.encode import encode_example, write_shard
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.inference.evaluation import open_experiment_data
from yt8m_core.inference.pooled_cache import load_pooled
from yt8m_core.inference.pooled_videos import PooledVideos
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Facts, Run, build_model
from yt8m_core.training.loop import train

CACHEABLE = [
    "mean",
    "sum(post='ln_relu')",
    "position_encoding",
    "indirect_clustering(scale=3.0)",
    "indirect_clustering(variant='authors')",
    "largest_cluster(clusters=2)",
    "adaptive_noise(scale=2.0)",
    "adaptive_noise(pooling='mean', gamma_norm='max')",
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


def cached_files(home: Path) -> list[Path]:
    return sorted((home / "pooled").glob("*.npy"))


def without_cache(experiment: Experiment) -> Experiment:
    return replace(experiment, training=replace(experiment.training, pool_once="no"))


def assert_same(run: Run, other: Run, tolerance: float = 1e-6) -> None:
    weights, expected = (load_file(trained.path / "model.safetensors") for trained in (run, other))
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, atol=tolerance * max(1, float(tensor.abs().max())), rtol=0)
    assert run.metrics["validation"]["gap"] == pytest.approx(other.metrics["validation"]["gap"], abs=10 * tolerance)


def pooled_vectors(experiment: Experiment, videos: Videos, precision: str = "float32") -> PooledVideos | None:
    model = build_model(experiment, Facts(videos.schema, 6, "sample", 1, 1))
    return load_pooled(model, videos, precision=precision)


@pytest.mark.parametrize("pooling", CACHEABLE)
def test_training_equals_that_on_frames(pooling: str, root: Path, tmp_path: Path, home: Path) -> None:
    # A large epsilon, because Adam divides by the gradient's size and amplifies rounding of small gradients.
    training = Training(epochs=2, batch_size=16, learning_rate=0.02, epsilon=1e-2, ema=0.9)
    experiment = tiny_experiment(root, pooling=Slot.parse(pooling), training=training)
    on_frames = train(without_cache(experiment), tmp_path / "frames")
    assert not cached_files(home)
    assert_same(train(experiment, tmp_path / "pooled"), on_frames)
    assert len(cached_files(home)) == 2  # training and validation


@pytest.mark.parametrize(
    "changes",
    [{"fusion": Slot("compact_bilinear", {"width": 64})}, {"normalization": "per_modality"}, {"normalization": "none"}],
    ids=["compact_bilinear", "per_modality", "none"],
)
def test_training_equals_that_on_frames_with_other_preprocessing(
    changes: dict[str, object], root: Path, tmp_path: Path, home: Path
) -> None:
    training = Training(epochs=2, batch_size=16, learning_rate=0.02, epsilon=1e-2)
    experiment = tiny_experiment(root, training=training, **changes)
    assert_same(train(experiment, tmp_path / "pooled"), train(without_cache(experiment), tmp_path / "frames"))


def test_training_equals_that_on_video_level_data(tmp_path: Path, home: Path) -> None:
    random = np.random.default_rng(0)
    for split, count in (("train", 40), ("validation", 20)):
        records = []
        for number in range(count):
            features = {"mean_rgb": random.normal(size=24), "mean_audio": random.normal(size=8)}
            records.append(encode_example({"id": f"{split}{number}".encode(), "labels": [number % 6], **features}))
        write_shard(tmp_path / split / "a.tfrecord", records)
    streams = (("mean_rgb", 24), ("mean_audio", 8))
    data = Data(str(tmp_path / "train"), str(tmp_path / "validation"), streams=streams)
    experiment = Experiment(data, training=Training(epochs=2, batch_size=16, epsilon=1e-2))
    assert_same(train(experiment, tmp_path / "pooled"), train(without_cache(experiment), tmp_path / "frames"))


def test_cached_training_reads_no_frame(
    root: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny_experiment(root, pooling=Slot("adaptive_noise"))
    train(experiment, tmp_path / "first")

    def refuse(*_: object) -> None:
        raise AssertionError("a frame was read")

    monkeypatch.setattr(Videos, "copy_batch", refuse)
    others: dict[str, object] = {"pooling": Slot("sum", {"post": "ln_relu"}), "loss": Slot("pseudo_huber")}
    train(tiny_experiment(root, **others), tmp_path / "second")  # the same sums, with another post-processing and loss
    with pytest.raises(AssertionError, match="a frame was read"):
        train(tiny_experiment(root, pooling=Slot("mean")), tmp_path / "third")


@pytest.mark.parametrize("pooling", ["lstm(width=4)", "cnn(channels=4)", "attention(width=8)", "netvlad(width=4)",
                                     "adaptive_noise(pooling='indirect_clustering')"])  # fmt: skip
def test_trainable_poolings_are_not_cached(pooling: str, root: Path, home: Path) -> None:
    experiment = tiny_experiment(root, pooling=Slot.parse(pooling))
    assert pooled_vectors(experiment, open_experiment_data(experiment, experiment.data.train)) is None
    assert not cached_files(home)


def test_many_to_many_is_not_cached(root: Path, home: Path) -> None:
    head = Slot("many_to_many", {"width": 4})
    experiment = tiny_experiment(root, pooling=Slot("none"), classification=head)
    assert pooled_vectors(experiment, open_experiment_data(experiment, experiment.data.train)) is None


def test_other_data_or_preprocessing_have_other_files(root: Path, home: Path) -> None:
    base = tiny_experiment(root)
    data = base.data
    for changed in (
        base,
        replace(base, normalization="none"),
        replace(base, fusion=Slot("compact_bilinear", {"width": 8})),
        replace(base, fusion=Slot("compact_bilinear", {"width": 16})),
        replace(base, pooling=Slot("position_encoding")),
        replace(base, pooling=Slot("position_encoding", {"fixed_length": 9})),
        replace(base, data=replace(data, max_frames=3)),
        replace(base, data=replace(data, train=data.validation)),
    ):
        before = len(cached_files(home))
        assert pooled_vectors(changed, open_experiment_data(changed, changed.data.train)) is not None
        assert len(cached_files(home)) == before + 1, changed
    assert pooled_vectors(base, open_experiment_data(base, data.train)) is not None
    assert len(cached_files(home)) == 8


def test_changed_shard_has_a_new_file_and_the_old_one_is_deleted(root: Path, tmp_path: Path, home: Path) -> None:
    experiment = tiny_experiment(root)
    shard = Path(shutil.copytree(experiment.data.train, tmp_path / "train")) / "train0.tfrecord"

    def current_vectors() -> torch.Tensor:
        pooled = pooled_vectors(experiment, open_videos(tmp_path / "train", streams=STREAMS))
        assert pooled is not None
        return pooled.values.clone()

    before, (file,) = current_vectors(), cached_files(home)
    shutil.copy(Path(experiment.data.validation) / "validation0.tfrecord", shard)
    os.utime(shard, ns=(1, 1))
    after = current_vectors()
    assert len(after) != len(before)
    assert len(cached_files(home)) == 1
    assert cached_files(home) != [file]


@pytest.mark.parametrize("damage", ["truncated", "empty", "other shape"])
def test_damaged_file_is_replaced(damage: str, root: Path, home: Path) -> None:
    experiment = tiny_experiment(root)
    videos = open_experiment_data(experiment, experiment.data.train)
    pooled = pooled_vectors(experiment, videos)
    assert pooled is not None
    expected, (file,) = pooled.values.clone(), cached_files(home)
    del pooled
    if damage == "other shape":
        np.save(file, np.zeros((3, 3)))
    else:
        file.write_bytes(file.read_bytes()[: 200 if damage == "truncated" else 0])
    again = pooled_vectors(experiment, videos)
    assert again is not None
    assert torch.equal(again.values, expected)
    assert [path.name for path in (home / "pooled").iterdir()] == [file.name]


def test_bfloat16_has_half_the_size_and_three_digits(root: Path, tmp_path: Path, home: Path) -> None:
    experiment = tiny_experiment(root)
    videos = open_experiment_data(experiment, experiment.data.train)
    full, half = (pooled_vectors(experiment, videos, precision) for precision in ("float32", "bfloat16"))
    assert full is not None
    assert half is not None
    assert half.values.nbytes * 2 == full.values.nbytes
    assert torch.equal(half.values, full.values.bfloat16())
    batch = next(half.load([np.array([3, 1])]))
    assert batch.frames.dtype == torch.float32
    torch.testing.assert_close(batch.frames, full.values[[3, 1]], atol=1e-2, rtol=1e-2)
    assert batch.labels.tolist() == [
        [0] * len(videos.labels(3)) + [1] * len(videos.labels(1)), [*videos.labels(3), *videos.labels(1)]
    ]  # fmt: skip
    training = Training(epochs=1, batch_size=16, pool_once="bfloat16")
    assert train(replace(experiment, training=training), tmp_path / "run").is_finished


def test_training_reads_frames_when_the_disk_is_full(
    root: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 5000))
    with pytest.warns(UserWarning, match="No room for 0.0 GB of pooled frames in"):
        run = train(tiny_experiment(root), tmp_path / "run")
    assert run.is_finished
    assert not cached_files(home)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(UserError, match="unknown pool_once 'yes'"):
        Training(pool_once="yes")
