"""Folds of the training data: which videos they hold out, and that a run on a fold learns from the others only."""

import hashlib
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.support.shards import small, write
from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.data.dataset import open_videos
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment
from yt8m_core.inference import pooled_cache
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.runs.table import run_table
from yt8m_core.training.loop import train
from yt8m_core.training.splits import assign_folds, split_fold


@given(st.lists(st.text(max_size=8), unique=True, max_size=20), st.integers(2, 1000), st.randoms())
def test_fold_depends_on_the_id_only(ids: list[str], total: int, shuffler: random.Random) -> None:
    folds = dict(zip(ids, assign_folds(ids, total).tolist(), strict=True))
    for video_id, fold in folds.items():
        number = int.from_bytes(hashlib.blake2b(video_id.encode(), digest_size=8).digest(), "little")
        assert fold == number % total + 1
    shuffled = ids.copy()
    shuffler.shuffle(shuffled)
    assert assign_folds(shuffled, total).tolist() == [folds[video_id] for video_id in shuffled]


def test_folds_of_known_ids_stay_the_same() -> None:
    assert assign_folds(["AAAA", "aaaa", "zzzz", "é"], 5).tolist() == [5, 2, 4, 4]


def test_folds_have_equal_sizes_up_to_chance() -> None:
    sizes = np.bincount(assign_folds((f"{i:04x}" for i in range(20_000)), 5))[1:]
    assert len(sizes) == 5
    assert np.abs(sizes - 4000).max() < 5 * np.sqrt(20_000 * 0.2 * 0.8)  # five standard deviations


def test_folds_partition_the_videos_in_their_order(tmp_path: Path) -> None:
    tiny_experiment(tmp_path)
    videos = open_videos(tmp_path / "train", streams=STREAMS)
    inside = []
    for number in (1, 2, 3):
        rest, fold = split_fold(videos, f"{number}/3")
        assert sorted([*rest.positions, *fold.positions]) == list(range(120))
        assert (np.diff(rest.positions) > 0).all()
        assert (np.diff(fold.positions) > 0).all()
        inside += fold.ids
    assert sorted(inside) == sorted(videos.ids)


@pytest.mark.parametrize("pooling", ["mean", "lstm(width=4)"])  # pooled once, and from the frames
def test_run_on_a_fold_equals_one_on_separate_files(pooling: str, tmp_path: Path) -> None:
    """The held-out videos influence nothing: neither weights, label priors, batches nor cached vectors."""
    experiment = tiny_experiment(
        tmp_path,
        pooling=Slot.parse(pooling),
        label_processing=Slot.parse("correlation(beta=0.1)"),
        loss=Slot.parse("center(weight=0.1)"),
    )
    videos = open_videos(tmp_path / "train", streams=STREAMS)
    paths = {}
    for name, part in zip(("train", "validation"), split_fold(videos, "2/4"), strict=True):
        payloads = []
        for video in part.positions:
            shard, start, end = (
                int(column[video]) for column in (videos.shard_numbers, videos.reader.starts, videos.reader.ends)
            )
            payloads.append(Path(videos.shards[shard].path).read_bytes()[start:end])
        paths[name] = write(tmp_path / "split" / name / "a.tfrecord", *payloads)
    apart = replace(experiment, data=Data(str(paths["train"]), str(paths["validation"]), streams=STREAMS))
    fold = replace(experiment, data=Data(experiment.data.train, "", streams=STREAMS, fold="2/4"))
    assert train(fold, tmp_path / "fold").facts == train(apart, tmp_path / "apart").facts
    # Not by bytes: the matrix products of a CPU round differently where memory is aligned differently.
    weights, log, predictions = (
        [read(tmp_path / run / file) for run in ("fold", "apart")]
        for file, read in (
            ("model.safetensors", load_file),
            ("log.csv", pd.read_csv),
            ("predictions.parquet", pd.read_parquet),
        )
    )
    torch.testing.assert_close(*weights, rtol=1e-5, atol=1e-6)
    pd.testing.assert_frame_equal(*log, rtol=1e-4)
    assert predictions[0]["id"].equals(predictions[1]["id"])
    np.testing.assert_allclose(*(np.stack(table["scores"].to_list()) for table in predictions), rtol=1e-4)


def test_run_on_a_fold_tells_what_it_was_validated_on(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path)
    data = replace(experiment.data, fold="1/3")
    run = train(replace(experiment, data=data), tmp_path / "run")
    _, fold = split_fold(open_videos(tmp_path / "train", streams=STREAMS), "1/3")
    assert (run.facts.train_videos, run.facts.validation_videos) == (120 - len(fold), len(fold))
    assert run.predictions["id"].tolist() == fold.ids
    name = f"fold 1/3 of {tmp_path / 'train'}"
    assert run.metrics["data"] == name
    assert run_table({"run": run})["data"].tolist() == [name]
    assert Run.open(tmp_path / "run").experiment.data == Data(str(tmp_path / "train"), "", streams=STREAMS, fold="1/3")


def test_folds_share_the_pooled_frames_of_the_whole_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    experiment = tiny_experiment(tmp_path)
    for fold in ("1/3", "2/3", "3/3"):
        train(replace(experiment, data=replace(experiment.data, fold=fold)), tmp_path / fold.replace("/", "-"))
    files = list(pooled_cache.CACHE.path.glob("*.npy"))
    assert [np.load(file).shape for file in files] == [(120, 32)]


def test_fold_without_videos_is_refused_with_the_data_set(tmp_path: Path) -> None:
    data = write(tmp_path / "a.tfrecord", small("aaaa"), small("bbbb"))
    assert assign_folds(["aaaa", "bbbb"], 2).tolist() == [2, 2]
    experiment = Experiment(Data(str(data), "", streams=(("x", 7), ("y", 200)), fold="1/2"))
    with pytest.raises(UserError, match=r"a.tfrecord.*found 0 of 2 videos in fold 1/2; .* Use fewer folds"):
        train(experiment, tmp_path / "run")
    with pytest.raises(UserError, match="found 2 of 2 videos in fold 2/2"):
        train(replace(experiment, data=replace(experiment.data, fold="2/2")), tmp_path / "run")
    assert not (tmp_path / "run").exists()
