from pathlib import Path

import pytest

from yt8m_core.storage.atomic import atomic_write


def test_file_takes_its_name_when_the_block_ends_well(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "new" / "a.txt") as unfinished:
        unfinished.write_text("whole")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert [(file.name, file.read_text()) for file in (tmp_path / "new").iterdir()] == [("a.txt", "whole")]


@pytest.mark.parametrize("folder", [False, True])
def test_what_was_there_stays_when_the_block_raises(tmp_path: Path, folder: bool) -> None:
    target = tmp_path / "a"
    inner = target / "b" if folder else target
    inner.parent.mkdir(exist_ok=True)
    inner.write_text("before")

    def write_half() -> None:
        with atomic_write(target) as unfinished:
            if folder:
                unfinished.mkdir()
            (unfinished / "b" if folder else unfinished).write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert inner.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_folder_replaces_the_folder_of_before(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with atomic_write(tmp_path / "a") as unfinished:
        unfinished.mkdir()
        (unfinished / "new").touch()
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["new"]
