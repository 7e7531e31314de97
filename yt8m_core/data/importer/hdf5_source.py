"""HDF5 files: a group per video, or arrays of many videos side by side."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yt8m_core.data.importer.arrays import ArrayFile
from yt8m_core.data.importer.reading import Reading, read_arrays, report_damage
from yt8m_core.errors import UserError


def count_rows(path: Path) -> int:
    """Return the number of videos of a file."""
    with _open(path) as file:
        return len(_groups(path, file)) or ArrayFile(str(path), _arrays(file)).num_videos


def read_rows(path: Path, name: str, start: int, stop: int | None) -> Iterator[Reading]:
    """Yield the videos of a file from ``start`` to before ``stop``. Raises UserError where it cannot be used."""
    with _open(path) as file:
        groups = _groups(path, file)
        if not groups:
            yield from read_arrays(ArrayFile(str(path), _arrays(file)), start, stop, name)
        for group in groups[start:stop]:
            where = f"{path}, group '{group}'"
            try:
                with report_damage(where):
                    yield from read_arrays(ArrayFile(where, _arrays(file[group])), 0, None, group)
            except UserError as error:  # of this group only
                yield error


def _open(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise UserError("h5py is not installed", where=str(path), advice="pip install 'yt8m[import]'.") from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=str(path), expected="an HDF5 file") from error


def _groups(path: Path, file: Any) -> list[str]:
    """Return the names of the groups in order; none where the arrays beside them hold many videos."""
    names = [name for name in file if isinstance(name, str) and hasattr(file.get(name), "keys")]
    return names if names and ArrayFile(str(path), _arrays(file)).num_videos == 1 else []


def _arrays(group: Any) -> Mapping[str, Any]:
    """Return the arrays by name; h5py gives names that are not UTF-8 as bytes, which are left out."""
    return {name: values for name, values in group.items() if isinstance(name, str) and _is_array(values)}


def _is_array(values: Any) -> bool:
    try:
        return hasattr(values, "dtype") and hasattr(values, "shape")  # not a named type
    except TypeError:  # a type that NumPy does not have
        return False
