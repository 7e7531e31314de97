"""``.npz`` and ``.npy``: a ZIP is listed before it is opened, and expanded only as far as it may go."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.scan import ID_KEYS
from yt8m_core.data.upload.contents import MAY_BE_MISSING, Contents, checked_labels, expected, names_in
from yt8m_core.data.upload.npy import FEATURES, INTEGERS, TEXT, read_array, text_of
from yt8m_core.errors import UserError

MAX_EXPANDED = 64 << 20  # of all that is in an .npz: 1.5 MB of ZIP can hold 1.5 GB of zeros
MAX_MEMBERS = 16


def read_npz(name: str, content: bytes, schema: Schema) -> Iterator[Contents]:
    """The one video of an .npz, whose arrays are named as the model's streams are."""
    # Counted before zipfile makes an object of each: every member has this signature in the directory.
    if (count := content.count(b"PK\x01\x02")) > MAX_MEMBERS:
        raise UserError(f"a ZIP with {count:,} members", where=name, expected=f"at most {MAX_MEMBERS}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        members = {info.filename.removesuffix(".npy"): info for info in infos if info.filename.endswith(".npy")}
        found, oddity = names_in(schema, {"frame": members, "video": members}), _oddity(infos)
        if not found or oddity:
            listed = f"a ZIP with members {', '.join(ascii(info.filename[:40]) for info in infos) or 'none'}{oddity}"
            raise UserError(listed, where=name, expected=expected(schema), advice="Save it with numpy.savez.")

        def array(member: str, types: str, *dims: int) -> NDArray[Any]:
            with archive.open(members[member]) as stream:  # file_size is here a limit, whose sum is limited
                return read_array(stream, f"{name}, '{member}'", types, dims, members[member].file_size)

        level, names = found
        columns = {stream: array(names[stream], FEATURES, dim) for stream, dim in schema.streams if stream in names}
        labels = array("labels", INTEGERS).ravel().tolist() if "labels" in members else []
        key = next((key for key in ID_KEYS if key in members), "")
        video_id = text_of(array(key, TEXT)) if key else ""
        unused = [ascii(member[:40]) for member in members if member not in (*names.values(), key, "labels")]
        notes = (f"Not used: {', '.join(unused)}.",) if unused else ()
    yield Contents(name, level, columns, video_id, checked_labels(name, labels), notes)


def _oddity(infos: list[zipfile.ZipInfo]) -> str:
    """What makes a ZIP one that is not read, or nothing."""
    if len({info.filename for info in infos}) < len(infos):
        return ", one of them twice"
    if any(re.search(r"[/\\:]|\.\.", info.filename) for info in infos):
        return ", a path among them"
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        return ", compressed in an unusual way"  # which zipfile would expand without a bound
    declared = sum(info.file_size for info in infos)
    return f" of {declared:,} bytes, more than {MAX_EXPANDED:,}" if declared > MAX_EXPANDED else ""


def read_npy(name: str, content: bytes, schema: Schema) -> Iterator[Contents]:
    """The one video of an .npy, with the streams side by side; those that may be missing may be left out."""
    required = tuple(stream for stream in schema.streams if stream[0] not in MAY_BE_MISSING) or schema.streams
    by_width = {sum(dim for _, dim in streams): streams for streams in (schema.streams, required)}
    values = read_array(io.BytesIO(content), name, FEATURES, tuple(by_width), len(content))
    names, dims = zip(*by_width[values.shape[-1]], strict=True)
    columns = np.split(values, np.cumsum(dims)[:-1], axis=-1)
    yield Contents(name, "frame", dict(zip(names, columns, strict=True)))
