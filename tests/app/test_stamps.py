"""Stamps of files and run folders, by which the app finds out that what it has cached is no longer there."""

import shutil
from pathlib import Path

import pytest

from cache.loaders import RUN_FILES, file_stamp, run_stamp


@pytest.mark.fault
@pytest.mark.parametrize("name", RUN_FILES)
def test_stamp_changes_with_a_file_of_the_same_size_and_time(tmp_path: Path, name: str) -> None:
    for file in RUN_FILES:
        (tmp_path / file).write_bytes(b"old")
    before = run_stamp(tmp_path)
    assert run_stamp(tmp_path) == before
    other = tmp_path / "other"
    other.write_bytes(b"new")
    shutil.copystat(tmp_path / name, other)
    other.replace(tmp_path / name)
    assert run_stamp(tmp_path) != before
    assert file_stamp([tmp_path / "absent"]) == file_stamp([])
