"""TFRecord files of YouTube-8M's kind or with MediaPipe's features, and single features.pb."""

from collections.abc import Iterator
from pathlib import Path

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.features.mediapipe import read_mediapipe
from yt8m_core.data.features.tfrecord import read_payload
from yt8m_core.data.shards import readable_shard
from yt8m_core.data.tfrecord.records import iter_payloads
from yt8m_core.data.tfrecord.shard import OpenShard, Shard


def read_rows(path: Path, name: str, start: int, stop: int | None) -> Iterator[VideoContents]:
    """Yield the videos of a file. Raises UserError where it cannot be used."""
    if path.suffix == ".pb":
        yield from read_mediapipe(str(path), path.read_bytes())
        return
    shard = OpenShard(readable_shard(Shard.at(path)))
    for record, (first, end) in enumerate(iter_payloads(shard.data, path)):
        shard.check()
        yield read_payload(f"{path}, record {record}", shard.data[first:end])
