"""HDF5 files: a group per video, or arrays of many videos side by side."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.importer.arrays import ArrayFile
from yt8m_core.errors import UserError


def count_rows(path: Path) -> int:
    """Return the number of videos of a file."""
    with _open(path) as file:
        groups = _groups(file)
        return len(groups) if groups else ArrayFile(str(path), _arrays(file)).num_videos


def read_rows(path: Path, name: str, start: int, stop: int | None) -> Iterator[VideoContents]:
    """Yield the videos of a file from ``start`` to before ``stop``. Raises UserError where it cannot be used."""
    with _open(path) as file:
        if groups := _groups(file):
            for group in groups[start:stop]:
                yield from ArrayFile(f"{path}, group '{group}'", _arrays(file[group])).read(0, None, group)
        else:
            yield from ArrayFile(str(path), _arrays(file)).read(start, stop, name)


def _open(path: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise UserError("h5py is not installed", where=str(path), advice="pip install 'yt8m[import]'.") from None
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=str(path), expected="an HDF5 file") from None


def _groups(file: Any) -> list[str]:
    """Return the names of the groups of a file that has nothing else, in order."""
    names = list(file)
    return names if names and all(hasattr(file[name], "keys") for name in names) else []


def _arrays(group: Any) -> Mapping[str, Any]:
    return {name: values for name, values in group.items() if hasattr(values, "dtype")}
