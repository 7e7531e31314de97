"""Fuzzing targets: feature files of every format that can be imported, and label tables."""

import io
import json
import tarfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.test_upload_mediapipe import features_pb
from tests.fuzz.mutate import framed, mutate
from tests.fuzz.outcome import outcome
from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.importer.convert import Conversion, infer_schema
from yt8m_core.data.importer.label_table import read_label_table
from yt8m_core.data.importer.sources import find_parts
from yt8m_core.data.tfrecord.encode import encode_sequence_example
from yt8m_core.data.tfrecord.parse import parse_record
from yt8m_core.errors import UserError

VIDEOS = 3
RGB = [np.arange(4 * 16, dtype=np.uint8).reshape(4, 16) + number for number in range(VIDEOS)]
AUDIO = [np.arange(4 * 8, dtype=np.uint8).reshape(4, 8) * (number + 1) for number in range(VIDEOS)]
IDS = [f"video{number}" for number in range(VIDEOS)]


def _saved(save: Callable[[Any], Any]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def _table() -> pa.Table:
    videos = zip(IDS, RGB, AUDIO, strict=True)
    rows = [{"id": i, "rgb": rgb.tolist(), "audio": audio.tolist(), "labels": [1, 2]} for i, rgb, audio in videos]
    kind = pa.list_(pa.list_(pa.uint8()))
    schema = pa.schema([("id", pa.string()), ("rgb", kind), ("audio", kind), ("labels", pa.list_(pa.int64()))])
    return pa.Table.from_pylist(rows, schema)


def _arrow(file: Any) -> None:
    with pa.ipc.new_stream(file, _table().schema) as writer:
        writer.write_table(_table())


def _hdf5(file: Any) -> None:
    with h5py.File(file, "w") as opened:
        for name, rgb, audio in zip(IDS, RGB, AUDIO, strict=True):
            opened[f"{name}/rgb"], opened[f"{name}/audio"] = rgb, audio


def _tar(file: Any) -> None:
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, rgb, audio in zip(IDS, RGB, AUDIO, strict=True):
            for ending, array in (("rgb.npy", rgb), ("audio.npy", audio)):
                content = _saved(partial(np.save, arr=array))
                info = tarfile.TarInfo(f"{name}.{ending}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


@cache
def feature_files() -> dict[str, list[bytes]]:
    """Return some files of each format, by ending."""
    stacked = {"rgb": np.stack(RGB), "audio": np.stack(AUDIO), "ids": np.array(IDS)}
    messages = [features_pb(rgb=rgb / 100, audio=audio / 100) for rgb, audio in zip(RGB, AUDIO, strict=True)]
    records = [encode_sequence_example({"id": b"a", "labels": [3]}, {"rgb": RGB[0], "audio": AUDIO[0]})]
    return {
        ".npz": [
            _saved(lambda file: np.savez(file, **stacked)),
            _saved(lambda file: np.savez_compressed(file, rgb=RGB[0])),
        ],
        ".npy": [_saved(lambda file: np.save(file, np.stack(RGB))), _saved(lambda file: np.save(file, RGB[0] / 100))],
        ".parquet": [_saved(lambda file: pq.write_table(_table(), file, row_group_size=2))],
        ".arrow": [_saved(_arrow)],
        ".h5": [_saved(_hdf5)],
        ".tar": [_saved(_tar)],
        ".pb": messages,
        ".tfrecord": [b"".join(map(framed, messages)), b"".join(map(framed, records))],
    }  # fmt: skip


LABELS = {
    ".csv": [b"id,label\nvideo0,cat\nvideo0,dog\nvideo1,cat\n", b"id;a;b\nvideo0;1;0\nvideo1;0;1\n"],
    ".json": [b'{"video0": ["cat", "dog"], "video1": [3]}', b'[{"id": "video0", "labels": ["cat"]}]'],
    ".parquet": [_saved(pd.DataFrame({"id": IDS, "labels": [["cat"], ["dog", "cat"], []]}).to_parquet)],
}


def features(ending: str, random: Random, real: Any, set_memory_limit: Callable[[int], None]) -> None:
    content, other = (random.choice(feature_files()[ending]) for _ in range(2))
    mutant = mutate(random, content, other)
    with TemporaryDirectory(prefix="yt8m-fuzz-") as folder:
        path = Path(folder, f"a{ending}")
        path.write_bytes(mutant)
        set_memory_limit(len(mutant))
        readings = outcome(lambda: [reading for part in find_parts(path) for reading in part.read_each()])
        if isinstance(readings, str):
            assert len(readings) < 2000
            return
        if out_of_memory := [one for one in readings if isinstance(getattr(one, "__cause__", None), MemoryError)]:
            raise out_of_memory[0].__cause__
        assert all(len(str(one)) < 2000 for one in readings if isinstance(one, UserError))
        contents = [one for one in readings if isinstance(one, VideoContents)]
        schema = outcome(lambda: infer_schema(contents, (), False)) if contents else "no videos"
        if isinstance(schema, str):
            return
        for video in contents:
            payload = outcome(lambda video=video: Conversion().encode(video, schema, video.labels, False))
            if not isinstance(payload, str) and video.id:
                record = parse_record(memoryview(b"".join(payload)), schema, "a", 0)
                assert record.frames.shape[1] == schema.width
                assert np.isfinite(record.frames).all()
                assert record.labels == (list(video.labels) if video.labels else None)


def labels(ending: str, random: Random, real: Any, set_memory_limit: Callable[[int], None]) -> None:
    content, other = (random.choice(LABELS[ending]) for _ in range(2))
    mutant = mutate(random, content, other)
    with TemporaryDirectory(prefix="yt8m-fuzz-") as folder:
        path = Path(folder, f"a{ending}")
        path.write_bytes(mutant)
        set_memory_limit(len(mutant))
        table = outcome(lambda: read_label_table(path))
        if isinstance(table, str):
            assert len(table) < 2000
            return
        assert all(text and isinstance(text, str) for texts in table.labels.values() for text in texts)
        assert json.dumps(dict(table.labels))


TARGETS = {
    **{f"import {ending}": (4, partial(features, ending)) for ending in
       (".npz", ".npy", ".parquet", ".arrow", ".h5", ".tar", ".pb", ".tfrecord")},
    **{f"labels {ending}": (3, partial(labels, ending)) for ending in LABELS},
}  # fmt: skip
