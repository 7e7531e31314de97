"""Read uploaded ``.npz`` and ``.npy`` files; a ZIP is listed before it is opened, and expanded up to a limit."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from yt8m_core.data.features.contents import Shape, VideoContents, check_labels, from_arrays
from yt8m_core.data.features.npy import FEATURES, INTEGERS, TEXT, decode_text, read_array, read_shape
from yt8m_core.data.tfrecord.parse import ID_KEYS
from yt8m_core.errors import UserError

MAX_EXPANDED = 64 << 20  # bytes of all members: 1.5 MB of ZIP can contain 1.5 GB of zeros
MAX_MEMBERS = 16


def read_npz(name: str, content: bytes) -> Iterator[VideoContents]:
    """Read the video of an .npz. Its arrays are read only on request."""
    # Count the members' signatures before zipfile creates an object for each.
    if (count := content.count(b"PK\x01\x02")) > MAX_MEMBERS:
        raise UserError(f"a ZIP with {count:,} members", where=name, expected=f"at most {MAX_MEMBERS}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        members = {info.filename.removesuffix(".npy"): info for info in infos if info.filename.endswith(".npy")}
        problem = _find_problem(infos)
        if not members or problem:
            listed = f"a ZIP with members {', '.join(ascii(info.filename[:40]) for info in infos) or 'none'}{problem}"
            raise UserError(listed, where=name, expected="NumPy arrays", advice="Save it with numpy.savez.")

        def read_member(member: str, types: str = FEATURES) -> NDArray[Any]:
            with archive.open(members[member]) as stream:  # _find_problem limits the sum of file_size
                return read_array(stream, f"{name}, '{member}'", types, members[member].file_size)

        def shape(member: str) -> Shape:
            with archive.open(members[member]) as stream:
                return read_shape(stream)

        labels = read_member("labels", INTEGERS).ravel().tolist() if "labels" in members else []
        key = next((key for key in ID_KEYS if key in members), "")
        video_id = decode_text(read_member(key, TEXT)) if key else ""
        shapes = {member: shape(member) for member in members if member not in (key, "labels")}
        yield VideoContents(name, shapes, read_member, video_id, check_labels(name, labels))


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


def read_npy(name: str, content: bytes) -> Iterator[VideoContents]:
    """Read the array of an .npy."""
    yield from_arrays(name, {"array": read_array(io.BytesIO(content), name, FEATURES, len(content))})
