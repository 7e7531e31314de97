"""Shuffled batches on the clock: our Loader, and torch's DataLoader over the same reader."""

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from benchmarks.measure import row, take_turns
from benchmarks.reader import BATCH, CLASSES, PASSES, WIDTH, synthetic_index
from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Loader, shuffled_batches
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.losses.cross_entropy import CrossEntropy

Item = tuple[NDArray[np.uint8], NDArray[np.int32]]  # frames [T, D], labels


class VideoDataset(Dataset[Item]):
    """Our reader as a map-style dataset."""

    def __init__(self, videos: Videos) -> None:
        self.videos = videos

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, video: int) -> Item:
        return self.videos.frames(video), self.videos.labels(video)


def collate(items: list[Item]) -> tuple[Tensor, Tensor, Tensor]:
    """What a Batch of ours holds: padded frames, their numbers, and the pairs (row, label)."""
    lengths = [len(frames) for frames, _ in items]
    padded = torch.zeros(len(items), max(lengths), WIDTH, dtype=torch.uint8)
    for number, (frames, _) in enumerate(items):
        padded.numpy()[number, : len(frames)] = frames
    rows = np.repeat(np.arange(len(items)), [len(labels) for _, labels in items])
    labels = np.concatenate([labels for _, labels in items]).astype(np.int64)
    return padded, torch.tensor(lengths), torch.from_numpy(np.stack([rows, labels]))


def data_loader(videos: Videos, workers: int, batches: list[list[int]] | None) -> DataLoader[Any]:
    """torch's loader over the given batches, or over as many random ones; its processes are kept between runs."""
    dataset = VideoDataset(videos)
    common: dict[str, Any] = dict(collate_fn=collate, num_workers=workers, persistent_workers=workers > 0)
    if batches is not None:
        return DataLoader(dataset, batch_sampler=batches, **common)
    random = RandomSampler(dataset, num_samples=PASSES * len(dataset))
    return DataLoader(dataset, batch_size=BATCH, sampler=random, **common)


def _consume(batches: Iterable[object]) -> None:
    for _batch in batches:  # as in any training loop, a batch lives until the next one is there
        pass


def waiting_row(source: Videos) -> dict[str, Any]:
    """The share of an epoch of training on the processor (mean, MoE-2, Adam) that is not spent waiting for a batch."""
    model = VideoClassifier(
        streams=source.schema.streams,
        num_classes=CLASSES,
        pooling=("mean", {}),
        classification=("moe", {"experts": 2}),
        label_processing=("identity", {}),
    )
    loss, optimizer = CrossEntropy(), torch.optim.Adam(model.parameters(), fused=True)
    loaded = iter(Loader(source, shuffled_batches(source.num_frames, BATCH, seed=0, epoch=0)))
    next(loaded)  # nothing can be ready before it is asked for; an epoch of the real data has 38,000 batches
    started, waited = time.perf_counter(), 0.0
    while True:
        asked = time.perf_counter()
        batch = next(loaded, None)
        waited += time.perf_counter() - asked
        if batch is None:
            break
        scores, _ = model(batch.frames, batch.num_frames)
        loss(scores, batch.targets(CLASSES))[0].backward()
        optimizer.step()
        optimizer.zero_grad()
    share = 1 - waited / (time.perf_counter() - started)
    return row("loader: training that never waits", "share of time", share, "", None, 1.0)


def rows(videos: int = 2000, repeats: int = 7) -> list[dict[str, Any]]:
    """Ours with 1 and 2 threads against the best of 0, 1 and 2 workers: on our batches, and on random ones."""
    with synthetic_index(videos) as index:
        source = Videos(index)
        epochs = [shuffled_batches(source.num_frames, BATCH, seed=0, epoch=epoch) for epoch in range(PASSES)]
        batches = [batch for epoch in epochs for batch in epoch]
        same = [batch.tolist() for batch in batches]
        ours = {f"loader: shuffled, {n} thread{'s'[: n - 1]}": Loader(source, batches, threads=n) for n in (1, 2)}
        peers = {
            name: {f"{name}, {workers} workers": data_loader(source, workers, given) for workers in (0, 1, 2)}
            for name, given in (("DataLoader, same batches", same), ("DataLoader, random batches", None))
        }
        candidates = {**ours, **{name: loader for of_kind in peers.values() for name, loader in of_kind.items()}}
        waiting = waiting_row(source)
        costs = take_turns({name: partial(_consume, loader) for name, loader in candidates.items()}, repeats)
    rates = {name: PASSES * videos / cost.wall for name, cost in costs.items()}
    best = [max(of_kind, key=rates.__getitem__) for of_kind in peers.values()]
    measured = [row(name, "videos/s", rates[name], peer, rates[peer]) for peer in best for name in ours]
    return [*measured, waiting]
