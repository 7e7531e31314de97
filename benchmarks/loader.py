"""Wall-clock rate of shuffled batches: our Loader and torch's DataLoader on the same reader."""

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from benchmarks.evaluation import mean_moe
from benchmarks.measure import measure_interleaved, row
from benchmarks.reader import BATCH, CLASSES, PASSES, WIDTH, synthetic_index
from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Loader, shuffled_batches
from yt8m_core.models.losses.cross_entropy import CrossEntropy

Item = tuple[NDArray[np.uint8], NDArray[np.int32]]  # frames [T, D], labels


class VideoDataset(Dataset[Item]):
    """Map-style dataset over our reader."""

    def __init__(self, videos: Videos) -> None:
        self.videos = videos

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, video: int) -> Item:
        return self.videos.frames(video), self.videos.labels(video)


def collate(items: list[Item]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the content of a ``Batch``: padded frames, numbers of frames, and (row, label) pairs."""
    lengths = [len(frames) for frames, _ in items]
    padded = torch.zeros(len(items), max(lengths), WIDTH, dtype=torch.uint8)
    for number, (frames, _) in enumerate(items):
        padded.numpy()[number, : len(frames)] = frames
    rows = np.repeat(np.arange(len(items)), [len(labels) for _, labels in items])
    labels = np.concatenate([labels for _, labels in items]).astype(np.int64)
    return padded, torch.tensor(lengths), torch.from_numpy(np.stack([rows, labels]))


def data_loader(videos: Videos, workers: int, batches: list[list[int]] | None) -> DataLoader[Any]:
    """Return torch's loader over the given batches, or as many random ones; workers persist between runs."""
    dataset = VideoDataset(videos)
    common: dict[str, Any] = dict(collate_fn=collate, num_workers=workers, persistent_workers=workers > 0)
    if batches is not None:
        return DataLoader(dataset, batch_sampler=batches, **common)
    random = RandomSampler(dataset, num_samples=PASSES * len(dataset))
    return DataLoader(dataset, batch_size=BATCH, sampler=random, **common)


def _consume(batches: Iterable[object]) -> None:
    for _batch in batches:  # like a training loop, keep a batch until the next one is there
        pass


def waiting_row(source: Videos) -> dict[str, Any]:
    """Measure the share of a CPU training epoch (mean, MoE-2, Adam) that is not spent waiting for a batch."""
    model = mean_moe(source.schema.streams).train()
    loss, optimizer = CrossEntropy(), torch.optim.Adam(model.parameters(), fused=True)
    loaded = iter(Loader(source, shuffled_batches(source.num_frames, BATCH, seed=0, epoch=0)))
    next(loaded)  # the first batch is always waited for; a real epoch has 38,000
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
    """Compare 1 and 2 threads with the best of 0, 1 and 2 workers, on the same batches and on random ones."""
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
        costs = measure_interleaved({name: partial(_consume, loader) for name, loader in candidates.items()}, repeats)
    rates = {name: PASSES * videos / cost.wall for name, cost in costs.items()}
    best = [max(of_kind, key=rates.__getitem__) for of_kind in peers.values()]
    measured = [row(name, "videos/s", rates[name], peer, rates[peer]) for peer in best for name in ours]
    return [*measured, waiting]
