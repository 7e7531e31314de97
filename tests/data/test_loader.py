"""Batches: order, padding, labels, and prefetching threads."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.shards import FRAME_STREAMS, Encoder, small, vector, write
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.loader import BUCKET, Batch, Loader, ordered_batches, shuffled_batches
from yt8m_core.errors import UserError

LENGTHS = np.random.default_rng(5).integers(1, 301, 5000)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Videos:
    """40 videos of 1 to 13 frames; every fifth is unlabeled, every seventh irregular."""
    contents = [
        small(f"v{i}", None if i % 5 == 2 else range(i % 4, i % 11 + 4, 3), x=1 + i * 7 % 13) for i in range(40)
    ]
    payloads = [Encoder(["value before key"]).encode(v) if i % 7 == 3 else v.regular() for i, v in enumerate(contents)]
    folder = tmp_path_factory.mktemp("data")
    for shard in range(4):
        write(folder / f"{shard}.tfrecord", *payloads[shard * 10 : shard * 10 + 10])
    return open_videos(folder, streams=FRAME_STREAMS)


def copies(batches: Iterator[Batch] | Loader) -> list[tuple[NDArray[np.generic], ...]]:
    """Copy the batches, because their buffers are reused."""
    return [(b.frames.numpy().copy(), b.num_frames.numpy(), b.labels.numpy(), b.videos) for b in batches]


def loader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("loader")]


@given(
    lengths=st.lists(st.integers(1, 9), max_size=300).map(lambda lengths: np.array(lengths, np.int64)),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 1000),
)
def test_order_has_each_video_once_and_is_reproducible(
    lengths: NDArray[np.int64], batch_size: int, seed: int, epoch: int
) -> None:
    batches = shuffled_batches(lengths, batch_size, seed=seed, epoch=epoch)
    again = shuffled_batches(lengths, batch_size, seed=seed, epoch=epoch)
    assert sorted(v for batch in batches for v in batch) == list(range(len(lengths)))
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)


def test_order_depends_on_seed_and_epoch() -> None:
    orders = {
        tuple(np.concatenate(shuffled_batches(LENGTHS, 64, seed=seed, epoch=epoch)))
        for seed in (0, 1, 2**63, 2**63 + 1, 2**64 - 1)
        for epoch in range(3)
    }
    assert len(orders) == 15


def test_order_is_the_same_on_any_machine() -> None:
    """A change of the order makes old runs irreproducible, and resumed runs use some videos twice."""
    batches = shuffled_batches(np.arange(1000) * 7 % 300 + 1, 8, seed=1, epoch=2)
    text = " ".join(",".join(map(str, batch)) for batch in batches)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "28b540cce3646455"


def test_order_is_random_when_bucketed() -> None:
    """Short and long batches are mixed, and videos of equal length are batched at random."""
    batches = shuffled_batches(LENGTHS, 64, seed=0, epoch=0)
    longest = [LENGTHS[batch].max() for batch in batches]
    increasing = np.mean([a < b for a, b in pairwise(longest)])
    assert 0.3 < increasing < 0.7
    equal = np.full(5000, 9)
    batches_of_17 = [set(next(b for b in shuffled_batches(equal, 64, seed=0, epoch=e) if 17 in b)) for e in (0, 1)]
    assert len(batches_of_17[0] & batches_of_17[1]) < 10


def padding(batches: Sequence[NDArray[np.int64]]) -> float:
    """Return the number of padded rows per frame."""
    return sum(len(b) * LENGTHS[b].max() for b in batches) / LENGTHS.sum() - 1


def test_padding_is_small_when_bucketed() -> None:
    plain = np.split(np.random.default_rng(0).permutation(5000), range(64, 5000, 64))
    assert padding(plain) > 0.9
    assert padding(shuffled_batches(LENGTHS, 64, seed=0, epoch=0)) < 0.15
    assert len(plain) > 2 * BUCKET


def test_batches_change_with_the_epoch_when_bucketed_by_length() -> None:
    """With one bucket for the whole data set, batches would be the same in every epoch."""
    batches_of_17 = [set(next(b for b in shuffled_batches(LENGTHS, 64, seed=0, epoch=e) if 17 in b)) for e in (0, 1)]
    assert len(batches_of_17[0] & batches_of_17[1]) < 32


def test_ordered_batches_follow_the_data_set() -> None:
    assert [batch.tolist() for batch in ordered_batches(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert ordered_batches(0, 3) == []


@pytest.mark.parametrize("buffers", [1, 3, 50])
@pytest.mark.parametrize("threads", [1, 4])
def test_batches_equal_the_videos_when_buffers_are_reused(videos: Videos, threads: int, buffers: int) -> None:
    """A buffer still has the data of an earlier batch, which must be overwritten completely."""
    order = shuffled_batches(videos.num_frames, 6, seed=3, epoch=0) * 2
    batches = copies(Loader(videos, order, threads=threads, buffers=buffers))
    assert len(batches) == len(order) == len(Loader(videos, order))
    for (frames, num_frames, labels, positions), expected in zip(batches, order, strict=True):
        assert positions.tolist() == expected.tolist()
        assert num_frames.tolist() == videos.num_frames[expected].tolist()
        assert frames.shape == (len(expected), num_frames.max(), 207)
        assert frames.dtype == np.uint8
        for row, (video, length) in enumerate(zip(expected, num_frames, strict=True)):
            assert (frames[row, :length] == videos.frames(video)).all()
            assert not frames[row, length:].any()
        pairs = [[row, label] for row, video in enumerate(expected) for label in videos.labels(video)]
        assert labels.T.tolist() == pairs


def test_video_level_batches_are_float_with_one_frame(tmp_path: Path) -> None:
    """Including irregular records, which are copied into the same batch in another way."""
    contents = [vector(f"v{'x' * i}") for i in range(5)]
    irregular = Encoder(["floats one by one"])
    write(tmp_path / "a.tfrecord", *(irregular.encode(v) if i in (0, 3, 4) else v for i, v in enumerate(contents)))
    videos = open_videos(tmp_path)
    batches = copies(Loader(videos, ordered_batches(5, 2)))
    assert [frames.shape for frames, *_ in batches] == [(2, 1, 1152), (2, 1, 1152), (1, 1, 1152)]
    for frames, num_frames, _, positions in batches:
        assert frames.dtype == np.float32
        assert num_frames.tolist() == [1] * len(positions)
        assert frames.tobytes() == np.stack([contents[video].expected_frames for video in positions]).tobytes()


def test_targets_equal_the_labels(videos: Videos) -> None:
    for batch in Loader(videos, ordered_batches(len(videos), 7)):
        targets = batch.targets(20)
        assert targets.dtype == torch.float32
        expected = [[float(c in videos.labels(video)) for c in range(20)] for video in batch.videos]
        assert targets.tolist() == expected


def test_targets_are_zero_when_no_video_has_labels(videos: Videos) -> None:
    (batch,) = Loader(videos, [np.array([2, 7, 12])])
    assert not videos.is_labeled[batch.videos].any()
    assert batch.labels.shape == (2, 0)
    assert batch.targets(4).tolist() == [[0.0] * 4] * 3


def test_threads_prefetch_when_the_consumer_is_slow(videos: Videos, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next batches are filled while one is used, but never more than there are buffers."""
    filled: list[int] = []
    ready = threading.Semaphore(0)
    fill = Loader._fill

    def recording(self: Loader, batch: NDArray[np.int64], *arguments: object) -> Batch:
        result = fill(self, batch, *arguments)  # type: ignore[arg-type]
        filled.append(int(batch[0]))
        ready.release()
        return result

    monkeypatch.setattr(Loader, "_fill", recording)
    batches = iter(Loader(videos, ordered_batches(40, 4), buffers=3))
    for step in range(3):
        next(batches)
        for _ in range(3 if step == 0 else 1):
            assert ready.acquire(timeout=10)
        assert not ready.acquire(timeout=0.05)
        assert filled == [4 * i for i in range(3 + step)]
    batches.close()


def test_earlier_batches_are_returned_before_the_error_of_a_changed_shard(tmp_path: Path) -> None:
    for shard in range(3):
        write(tmp_path / f"{shard}.tfrecord", *(small(f"v{shard}{i}") for i in range(4)))
    videos = open_videos(tmp_path, streams=FRAME_STREAMS)
    (tmp_path / "1.tfrecord").unlink()
    batches = iter(Loader(videos, ordered_batches(12, 2), threads=2))
    assert [next(batches).videos.tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(UserError, match="the shard no longer exists"):
        next(batches)
    assert loader_threads() == []


def test_threads_end_when_the_loop_ends_or_breaks(videos: Videos) -> None:
    order = ordered_batches(len(videos), 2)
    for _ in Loader(videos, order, threads=3):
        assert loader_threads() != []
    assert loader_threads() == []
    for _ in Loader(videos, order, threads=3):
        break
    assert loader_threads() == []


def test_loader_is_empty_without_batches(videos: Videos) -> None:
    assert list(Loader(videos, [])) == []
    assert loader_threads() == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="pinned memory needs a GPU")
def test_batches_on_the_device_are_correct_when_copied_from_pinned_buffers(videos: Videos) -> None:
    order = shuffled_batches(videos.num_frames, 3, seed=0, epoch=0) * 20
    pinned = Loader(videos, order, threads=2, buffers=2, pin_memory=True)
    on_device = [(batch.frames.to("cuda", non_blocking=True), batch.videos) for batch in pinned]
    for frames, positions in on_device:
        for row, video in enumerate(positions):
            assert (frames[row, : videos.num_frames[video]].cpu().numpy() == videos.frames(video)).all()
