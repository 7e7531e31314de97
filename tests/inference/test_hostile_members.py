"""Parquet files that another program, a damage or a stranger has left, as members of an ensemble."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.outcome import outcome
from tests.support.damage import damaged
from tests.support.tiny import CLASSES, STREAMS, tiny_experiment
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError
from yt8m_core.inference.ensemble import Ensemble
from yt8m_core.inference.ensemble_comparison import Diversity
from yt8m_core.inference.prediction_files import write_predictions
from yt8m_core.inference.score_files import open_score_file

NAMES = Vocabulary(("cat", "dog", "car", "", "sky", "sea"), ("",) * CLASSES)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Videos:
    root = tmp_path_factory.mktemp("tiny")
    tiny_experiment(root)
    return open_videos(root / "validation", streams=STREAMS)


def score_all(file: Path, videos: Videos, vocabulary: Vocabulary | None = None) -> np.ndarray:
    ensemble = Ensemble(videos, CLASSES, {"a": open_score_file(file, videos, CLASSES, vocabulary)}, [1.0])
    return torch.cat([p for _, p in ensemble.score()]).numpy()


def scores_of(videos: Videos, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((len(videos), CLASSES), np.float32)


def listed(values: np.ndarray, size: int = CLASSES) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), size)


def write_scores(file: Path, videos: Videos, vocabulary: Vocabulary | None = None) -> np.ndarray:
    """Write a file as ``yt8m predict`` does, and return its scores."""
    scores, rows = scores_of(videos), np.split(np.arange(len(videos)), 4)
    batches = [(type("Batch", (), {"videos": part}), torch.from_numpy(scores[part])) for part in rows]
    write_predictions(batches, videos, file, vocabulary=vocabulary)  # type: ignore[arg-type]
    return scores


Columns = dict[str, Any]


def columns(videos: Videos) -> Columns:
    return {"id": videos.ids, "scores": listed(scores_of(videos))}


HOSTILE: dict[str, Callable[[Videos], pa.Table | Columns]] = {
    "labels beyond the vocabulary": lambda videos: {"id": videos.ids, "scores": listed(np.ones((40, 7), "f4"), 7)},
    "fewer labels": lambda videos: {"id": videos.ids, "scores": listed(np.ones((40, 5), "f4"), 5)},
    "lists of the labels above a threshold": lambda videos: {
        "id": videos.ids, "labels": [[1]] * 40, "scores": pa.array([[0.5]] * 40, pa.list_(pa.float32()))
    },
    "scores as numbers": lambda videos: {"id": videos.ids, "scores": [0.5] * 40},
    "scores as integers": lambda videos: {"id": videos.ids, "scores": listed(np.ones((40, CLASSES), np.int32))},
    "scores as decimals": lambda videos: {
        "id": videos.ids, "scores": pa.array([["0.5"] * CLASSES] * 40, pa.list_(pa.string(), CLASSES))
    },
    "other columns": lambda videos: {"video": videos.ids, "score": listed(scores_of(videos))},
    "two columns of ids": lambda videos: pa.Table.from_arrays(
        [pa.array(videos.ids), pa.array(videos.ids), listed(scores_of(videos))], ["id", "id", "scores"]
    ),
    "ids as numbers": lambda videos: {**columns(videos), "id": list(range(40))},
    "ids as bytes that are not text": lambda videos: {**columns(videos), "id": [b"\xff%d" % i for i in range(40)]},
    "no rows": lambda videos: pa.table(columns(videos)).slice(0, 0),
    "other videos": lambda videos: {**columns(videos), "id": [f"other{i}" for i in range(40)]},
    "one video of others": lambda videos: {**columns(videos), "id": [*videos.ids[:-1], "other"]},
    "a repeated video": lambda videos: {**columns(videos), "id": [videos.ids[0], *videos.ids[:-1]]},
    "a repeated row": lambda videos: pa.concat_tables([pa.table(columns(videos))] * 2),
    "ids of a megabyte": lambda videos: {**columns(videos), "id": [f"{i}" * (1 << 20) for i in range(10, 50)]},
    "a million videos": lambda videos: {
        "id": [str(i) for i in range(10**6)], "scores": listed(np.zeros((10**6, CLASSES), "f4"))
    },
    **{f"a score of {value}": lambda videos, value=value: {  # type: ignore[misc]
        **columns(videos), "scores": listed(np.where(np.arange(240).reshape(40, 6) == 99, np.float32(value), 0.5))
    } for value in (np.nan, np.inf, -np.inf, -1e-6, 1.001, 3e38, -3e38)},
    "a null row": lambda videos: {**columns(videos), "scores": pa.array(
        [None, *([[0.5] * CLASSES] * 39)], pa.list_(pa.float32(), CLASSES)
    )},
    **{f"names of labels {text[:20]!a}": lambda videos, text=text: pa.table(  # type: ignore[misc]
        columns(videos), metadata={"yt8m_label_names": text}
    ) for text in ("", "{", "{}", "null", "[1,2,3,4,5,6]", "[" * 100_000, "[]", '["cat"]')},
}  # fmt: skip


@pytest.mark.fault
@pytest.mark.parametrize("member", HOSTILE)
def test_hostile_member_is_refused_by_name(videos: Videos, tmp_path: Path, member: str) -> None:
    content = HOSTILE[member](videos)
    pq.write_table(content if isinstance(content, pa.Table) else pa.table(content), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet") as error:
        score_all(tmp_path / "a.parquet", videos, NAMES)
    assert len(str(error.value)) < 1000


@pytest.mark.fault
@pytest.mark.parametrize(
    "create",
    [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path)],
    ids=["pipe", "folder", "device", "link to itself"],
)
def test_pipe_folder_or_device_as_a_member_is_refused(
    videos: Videos, tmp_path: Path, create: Callable[[Path], None]
) -> None:
    create(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet"):
        score_all(tmp_path / "a.parquet", videos)


@pytest.mark.fault
def test_scores_of_labels_in_another_order_are_refused(videos: Videos, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    scores = write_scores(file, videos, NAMES)
    unnamed = Vocabulary(("",) * CLASSES, ("",) * CLASSES)
    for vocabulary in (NAMES, unnamed, None, Vocabulary(("cat", "dog", "car", "bus", "sky", "sea"), ("",) * CLASSES)):
        assert (score_all(file, videos, vocabulary) == scores).all()
    swapped = Vocabulary(("cat", "car", "dog", "", "sky", "sea"), ("",) * CLASSES)
    with pytest.raises(
        UserError, match=r"a\.parquet: found other labels: label 1 is 'dog'; expected the labels of the runs"
    ):
        score_all(file, videos, swapped)
    write_scores(file, videos, unnamed)
    score_all(file, videos, swapped)


@pytest.mark.fault
def test_any_changed_bit_of_a_page_of_a_member_is_refused(videos: Videos, tmp_path: Path) -> None:
    """Without checksums, most of them are other scores or other videos."""
    file = tmp_path / "a.parquet"
    scores = write_scores(file, videos, NAMES)
    content = file.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    refused = 0
    for position in range(4, footer, 3):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        file.write_bytes(changed)
        read = outcome(lambda: score_all(file, videos, NAMES))
        assert isinstance(read, str) or (read == scores).all(), position  # of a header that says the same
        refused += isinstance(read, str)
    assert refused > 0.9 * footer / 3


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damaged_member_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, videos: Videos, data: st.DataObject
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.parquet"
    write_scores(file, videos, NAMES)
    content = file.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    if data.draw(st.booleans()):
        file.write_bytes(content[:footer] + data.draw(damaged(content[footer:])))
    else:
        file.write_bytes(data.draw(damaged(content)))
    read = outcome(lambda: score_all(file, videos, NAMES))
    if isinstance(read, str):
        assert re.search(r"damaged\.parquet", read)
    else:
        assert ((read >= 0) & (read <= 1.0001)).all()


@pytest.mark.fault
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_half_precision_scores_with_ties_keep_the_order_of_label_ids(
    videos: Videos, tmp_path: Path, dtype: type[np.floating[Any]]
) -> None:
    values = np.round(scores_of(videos) * 2) / 2  # 0, 0.5 and 1: many ties
    pq.write_table(pa.table({"id": videos.ids, "scores": listed(values.astype(dtype))}), tmp_path / "a.parquet")
    scores = score_all(tmp_path / "a.parquet", videos)
    assert (scores == values).all()
    ensemble = Ensemble(videos, CLASSES, {"a": open_score_file(tmp_path / "a.parquet", videos, CLASSES)}, [1.0])
    write_predictions(ensemble.score(), videos, tmp_path / "p.csv")
    write_predictions(ensemble.score(), videos, tmp_path / "t.csv", np.zeros(CLASSES))
    for name in ("p.csv", "t.csv"):
        for line, row in zip((tmp_path / name).read_text().splitlines()[1:], values, strict=True):
            labels = [int(text) for text in line.split(",")[1].split()[::2]]
            assert labels == sorted(range(CLASSES), key=lambda label, row=row: (-row[label], label))


@pytest.mark.fault
def test_overlap_of_members_does_not_depend_on_the_order_of_ties() -> None:
    """Hundreds of labels tie for the 20 places; torch.topk returns any of them."""
    random = np.random.default_rng(0)
    members = random.integers(0, 3, (2, 50, 400)).astype(np.float16) / 2
    diversity = Diversity()
    diversity.update(*(torch.from_numpy(scores.astype(np.float32)) for scores in members))
    order = np.argsort(-members, axis=2, kind="stable")[:, :, :20]
    tops = [[set(row) for row in rows] for rows in order.tolist()]
    expected = np.mean([len(first & second) / len(first | second) for first, second in zip(*tops, strict=True)])
    assert diversity.compute()["overlap"] == pytest.approx(expected)
