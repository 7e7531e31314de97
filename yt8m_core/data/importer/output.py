"""Output folder of an import, and how a finished import replaces an earlier one.

Everything is written below ``.import`` first. When it is complete, ``train`` is the first that is moved away and the
last that is moved in. A killed or failed import leaves the earlier one, or no ``train``: nothing can be trained on
records of one import with the label names of another.
"""

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from yt8m_core.storage.atomic import atomic_write, printable_name, remove_abandoned

STATE = ".import"
SPLITS = ("train", "validate")
PUBLISHED = (*SPLITS, "vocabulary.csv", "import.json")


def find_foreign_files(output: Path) -> list[str]:
    """Return the names of what is in an output folder and was not written by an import."""
    if not output.is_dir():
        return []
    others = _names(output) - {".lock", STATE}
    if others and (output / STATE / "shards.json").is_file():
        shards = {f"{split}/{name}" for split in SPLITS if (output / split).is_dir() for name in _names(output / split)}
        others = others - set(PUBLISHED) | (shards - _written_shards(output))
    return sorted(map(printable_name, others))


def _names(folder: Path) -> set[str]:
    """Return the names in a folder, without the temporary files of a killed import."""
    return {path.name for path in folder.iterdir() if not fnmatch(path.name, ".*.????????.tmp")}


def _written_shards(output: Path) -> set[str]:
    try:
        return set(json.loads((output / STATE / "shards.json").read_text()))
    except (OSError, ValueError, TypeError):
        return set()


def prepare(output: Path) -> Path:
    """Remove what a killed import has left, and return the folder in which a new one is collected."""
    state, new, old = (output / STATE / name for name in ("", "new", "old"))
    if old.is_dir():
        if not (output / "train").is_dir():  # killed between two moves: put the earlier import back
            for name in reversed(PUBLISHED):
                if (old / name).exists():
                    _remove(output / name)
                    os.replace(old / name, output / name)
        shutil.rmtree(old)
    _remove(new)
    for split in SPLITS:
        (new / split).mkdir(parents=True)
    remove_abandoned(state)
    if not (state / "shards.json").is_file():
        _write_list(state / "shards.json", ())
    return new


def place(shard: Path, target: Path) -> None:
    """Link a converted shard, which a later import can then use again; move it where the disk has no links."""
    try:
        os.link(shard, target)
    except OSError:
        os.replace(shard, target)


def publish(output: Path) -> None:
    """Replace the earlier import by the new one."""
    state, new, old = (output / STATE / name for name in ("", "new", "old"))
    shards = {f"{split}/{path.name}" for split in SPLITS for path in (new / split).iterdir()}
    _write_list(state / "shards.json", shards | _written_shards(output))
    old.mkdir()
    for name in PUBLISHED:
        if (output / name).exists():
            os.replace(output / name, old / name)
    for name in reversed(PUBLISHED):
        os.replace(new / name, output / name)
    shutil.rmtree(old)
    new.rmdir()


def remove_unused(output: Path, keys: Iterable[str]) -> None:
    """Remove the converted shards of earlier imports: all but those of the units with these keys."""
    state, used = output / STATE, set(keys)
    for path in state.iterdir():
        key = path.name.partition(".")[0]
        is_finished = key in used and (state / f"{key}.json").is_file()
        if path.name != "shards.json" and not is_finished:
            _remove(path)


def _write_list(path: Path, names: Iterable[str]) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps(sorted(names)))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
