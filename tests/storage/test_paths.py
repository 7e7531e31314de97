import os
import threading
from pathlib import Path

import pytest

from tests.support.hostile_paths import KINDS, SPECIAL, time_limit
from yt8m_core.errors import UserError
from yt8m_core.storage import paths
from yt8m_core.storage.atomic import atomic_write


@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files_are_neither_read_nor_replaced(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    KINDS[kind](path, tmp_path)
    with time_limit(5):
        for check in (paths.open_file, paths.check_file, paths.read_file):
            with pytest.raises(UserError, match="file: found a device or a pipe; expected a file"):
                check(path, 1000)
        with pytest.raises(UserError, match="found a device or a pipe"):
            paths.check_replaceable(path)
        with pytest.raises(UserError, match="found a device or a pipe"), atomic_write(path):
            pytest.fail("the block must not run")
    assert path.lstat().st_mode


def test_folders_and_large_files_are_refused_and_missing_ones_are_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(11))
    with pytest.raises(UserError, match="found 11 bytes; expected at most 10"):
        paths.read_file(tmp_path / "large", 10)
    assert paths.read_file(tmp_path / "large", 11) == bytes(11)
    assert paths.read_file(tmp_path / "large", 1 << 60) == bytes(11)  # takes no memory for the limit
    with pytest.raises(IsADirectoryError):
        paths.open_file(tmp_path, 10)
    with pytest.raises(FileNotFoundError):
        paths.open_file(tmp_path / "none", 10)
    paths.check_replaceable(tmp_path / "none", kind="a file")
    paths.check_replaceable(tmp_path)
    with pytest.raises(UserError, match="found a folder; expected a text"):
        paths.check_replaceable(tmp_path, kind="a text")


@pytest.mark.fault
def test_file_that_becomes_a_pipe_after_the_check_is_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pipe = tmp_path / "file", tmp_path / "pipe"
    path.write_text("text")
    os.mkfifo(pipe)
    check = paths.check_file

    def swap(path: Path, max_bytes: int) -> None:
        check(path, max_bytes)
        os.replace(pipe, path)

    monkeypatch.setattr(paths, "check_file", swap)
    with time_limit(5), pytest.raises(UserError, match="a device or a pipe"):
        paths.open_file(path, 1000)


def test_link_that_changes_while_it_is_read_never_blocks(tmp_path: Path) -> None:
    link, stop = tmp_path / "link", threading.Event()
    (tmp_path / "text").write_text("text")
    os.mkfifo(tmp_path / "pipe")
    link.symlink_to("text")

    def swap() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            os.symlink(("text", "pipe")[number % 2], tmp_path / "next")
            os.replace(tmp_path / "next", link)

    swapping = threading.Thread(target=swap)
    swapping.start()
    outcomes = set()
    try:
        with time_limit(20):
            for _ in range(3000):
                try:
                    outcomes.add(paths.read_file(link, 1000))
                except UserError as error:
                    outcomes.add(str(error).partition("found ")[2].encode())
    finally:
        stop.set()
        swapping.join()
    assert outcomes <= {b"text", b"a device or a pipe; expected a file."}
