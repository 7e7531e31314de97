"""Atomic writes of files and folders."""

from pathlib import Path

import pytest

from yt8m_core.storage.atomic import atomic_write


def test_file_gets_its_name_when_the_block_succeeds(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "new" / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert [(file.name, file.read_text()) for file in (tmp_path / "new").iterdir()] == [("a.txt", "whole")]


@pytest.mark.parametrize("is_folder", [False, True])
def test_previous_content_stays_when_the_block_raises(tmp_path: Path, is_folder: bool) -> None:
    target = tmp_path / "a"
    inner = target / "b" if is_folder else target
    inner.parent.mkdir(exist_ok=True)
    inner.write_text("before")

    def write_half() -> None:
        with atomic_write(target) as temporary:
            if is_folder:
                temporary.mkdir()
            (temporary / "b" if is_folder else temporary).write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert inner.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_folder_replaces_an_existing_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with atomic_write(tmp_path / "a") as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["new"]
