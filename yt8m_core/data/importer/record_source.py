"""TFRecord files of YouTube-8M's kind or with MediaPipe's features, and single features.pb."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.features.mediapipe import MAX_MESSAGE, read_mediapipe
from yt8m_core.data.features.tfrecord import read_payload
from yt8m_core.data.importer.reading import Reading, read_video
from yt8m_core.data.shards import readable_shard
from yt8m_core.data.tfrecord.records import RecordError, iter_records
from yt8m_core.data.tfrecord.shard import OpenShard, Shard
from yt8m_core.storage.paths import read_file


def read_message(path: Path, name: str, start: int, stop: int | None) -> Iterator[Reading]:
    """Yield the video of a features.pb. Raises UserError where it cannot be used."""
    for contents in read_mediapipe(str(path), read_file(path, MAX_MESSAGE)):
        yield contents if contents.id else replace(contents, id=name)


def read_rows(path: Path, name: str, start: int, stop: int | None) -> Iterator[Reading]:
    """Yield the videos of a TFRecord file. Raises UserError where it cannot be used."""
    shard = OpenShard(readable_shard(Shard.at(path)))
    for record, span in enumerate(iter_records(shard.data, path)):
        shard.check()
        if isinstance(span, RecordError):
            if span.unreadable_bytes:  # the next record cannot be located
                raise span
            yield span
            continue
        payload = shard.data[slice(*span)]
        where = f"{path}, record {record}"
        yield read_video(where, partial(_read_record, where, payload, f"{name}-{record}"))


def _read_record(where: str, payload: memoryview, default_id: str) -> VideoContents:
    contents = read_payload(where, payload)
    return contents if contents.id else replace(contents, id=default_id)
