"""Read uploaded ``.npz`` and ``.npy`` files; a ZIP is listed before it is opened, and expanded up to a limit."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.parse import ID_KEYS
from yt8m_core.data.upload.contents import (
    OPTIONAL_STREAMS,
    VideoContents,
    check_labels,
    describe_expected,
    match_streams,
)
from yt8m_core.data.upload.npy import FEATURES, INTEGERS, TEXT, decode_text, read_array
from yt8m_core.errors import UserError

MAX_EXPANDED = 64 << 20  # bytes of all members: 1.5 MB of ZIP can contain 1.5 GB of zeros
MAX_MEMBERS = 16


def read_npz(name: str, content: bytes, schema: Schema) -> Iterator[VideoContents]:
    """Read the video of an .npz with arrays named like the model's streams."""
    # Count the members' signatures before zipfile creates an object for each.
    if (count := content.count(b"PK\x01\x02")) > MAX_MEMBERS:
        raise UserError(f"a ZIP with {count:,} members", where=name, expected=f"at most {MAX_MEMBERS}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        members = {info.filename.removesuffix(".npy"): info for info in infos if info.filename.endswith(".npy")}
        matches, problem = match_streams(schema, {"frame": members, "video": members}), _find_problem(infos)
        if not matches or problem:
            listed = f"a ZIP with members {', '.join(ascii(info.filename[:40]) for info in infos) or 'none'}{problem}"
            raise UserError(listed, where=name, expected=describe_expected(schema), advice="Save it with numpy.savez.")

        def read_member(member: str, types: str, *dims: int) -> NDArray[Any]:
            with archive.open(members[member]) as stream:  # _find_problem limits the sum of file_size
                return read_array(stream, f"{name}, '{member}'", types, dims, members[member].file_size)

        level, names = matches
        columns = {
            stream: read_member(names[stream], FEATURES, dim) for stream, dim in schema.streams if stream in names
        }
        labels = read_member("labels", INTEGERS).ravel().tolist() if "labels" in members else []
        key = next((key for key in ID_KEYS if key in members), "")
        video_id = decode_text(read_member(key, TEXT)) if key else ""
        unused = [ascii(member[:40]) for member in members if member not in (*names.values(), key, "labels")]
        notes = (f"Not used: {', '.join(unused)}.",) if unused else ()
    yield VideoContents(name, level, columns, video_id, check_labels(name, labels), notes)


def _find_problem(infos: list[zipfile.ZipInfo]) -> str:
    """Return why a ZIP is refused, or an empty string."""
    if len({info.filename for info in infos}) < len(infos):
        return ", with duplicate names"
    if any(re.search(r"[/\\:]|\.\.", info.filename) for info in infos):
        return ", with paths in names"
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        return ", with an unsupported compression method"  # zipfile would expand it without a limit
    declared = sum(info.file_size for info in infos)
    return f" of {declared:,} bytes, more than {MAX_EXPANDED:,}" if declared > MAX_EXPANDED else ""


def read_npy(name: str, content: bytes, schema: Schema) -> Iterator[VideoContents]:
    """Read the video of an .npy with concatenated streams, with or without the optional ones."""
    required = tuple(stream for stream in schema.streams if stream[0] not in OPTIONAL_STREAMS) or schema.streams
    by_width = {sum(dim for _, dim in streams): streams for streams in (schema.streams, required)}
    values = read_array(io.BytesIO(content), name, FEATURES, tuple(by_width), len(content))
    names, dims = zip(*by_width[values.shape[-1]], strict=True)
    columns = np.split(values, np.cumsum(dims)[:-1], axis=-1)
    yield VideoContents(name, "frame", dict(zip(names, columns, strict=True)))
