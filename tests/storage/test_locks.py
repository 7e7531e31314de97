"""Locks of files and folders, in one and in several processes."""

import os
import platform
import time
from pathlib import Path

import pytest

from tests.support import locks
from yt8m_core.errors import LockedError, UserError
from yt8m_core.storage import atomic
from yt8m_core.storage.atomic import atomic_write, exclusive_lock, file_lock, remove_folder

OWN = f"(process {os.getpid()} on {platform.node()})"


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "GRACE", 0.01)


@pytest.mark.slow
@pytest.mark.fault
def test_processes_that_lock_write_and_remove_one_folder_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert locks.main(["--rounds", "150", "--processes", "6"]) == 0, capsys.readouterr().out


@pytest.mark.fault
def test_folder_that_another_process_holds_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with exclusive_lock(folder, "training"):
        (folder / "log.csv").write_text("1")
        with pytest.raises(LockedError) as error:
            remove_folder(folder, "training")
        assert (folder / "log.csv").read_text() == "1"
    assert str(error.value) == (
        f"{folder}: another training is running in this folder {OWN}. Wait until it ends, or stop it."
    )
    remove_folder(folder, "training")
    assert not folder.exists()
    remove_folder(folder, "training")


@pytest.mark.fault
def test_link_to_a_folder_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    (tmp_path / "run").symlink_to("mine")
    with pytest.raises(UserError, match="found a link"):
        remove_folder(tmp_path / "run", "training")
    assert (tmp_path / "mine" / "file").is_file()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "mine")
    remove_folder(tmp_path / "folder", "training")
    assert (tmp_path / "mine" / "file").is_file()


@pytest.mark.fault
def test_file_that_is_being_written_is_not_removed_by_a_lock_holder(tmp_path: Path) -> None:
    left = tmp_path / ".checkpoint.0123abcd.tmp"  # of a killed process
    left.mkdir()
    (left / "checkpoint").touch()
    with atomic_write(tmp_path / "predictions.csv") as unfinished:
        unfinished.write_text("half")
        with exclusive_lock(tmp_path, "training"):
            pass
        unfinished.write_text("whole")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("predictions.csv", "whole")]


@pytest.mark.fault
@pytest.mark.parametrize("hours", [-48, 48])
def test_file_that_is_being_written_stays_when_the_clock_is_set(
    tmp_path: Path, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic_write(tmp_path / "a") as unfinished:
        unfinished.write_text("first")
        now = time.time()
        with monkeypatch.context() as patch:
            patch.setattr("time.time", lambda: now + 3600 * hours)
            with atomic_write(tmp_path / "a") as other:
                other.write_text("second")
        assert (tmp_path / "a").read_text() == "second"
    assert (tmp_path / "a").read_text() == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("hours", [-48, 48])
def test_file_of_a_killed_process_is_removed_whatever_the_clock_says(tmp_path: Path, hours: int) -> None:
    left = tmp_path / ".a.0123abcd.tmp"
    left.mkdir()
    for name in (".lock", "a"):
        (left / name).touch()
    os.utime(left, (time.time() + 3600 * hours,) * 2)
    with atomic_write(tmp_path / "a") as unfinished:
        unfinished.touch()
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("link", [False, True])
def test_lock_where_no_folder_can_be_is_an_error(tmp_path: Path, link: bool) -> None:
    (tmp_path / "run").symlink_to("nothing") if link else (tmp_path / "run").touch()
    with pytest.raises(FileExistsError), exclusive_lock(tmp_path / "run", "training"):
        pass
    assert os.path.lexists(tmp_path / "run")


def test_folder_does_not_replace_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine" / "kept").mkdir(parents=True)
    (tmp_path / "a").symlink_to("mine")
    with pytest.raises(NotADirectoryError), atomic_write(tmp_path / "a") as unfinished:
        unfinished.mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "mine"]
    assert (tmp_path / "mine" / "kept").is_dir()


def test_lock_of_a_file_is_next_to_it_and_names_its_process(tmp_path: Path) -> None:
    with file_lock(tmp_path / "a", "build"):
        assert [file.name for file in tmp_path.iterdir()] == [".a.lock"]
        with pytest.raises(LockedError) as error, file_lock(tmp_path / "a", "build"):
            pass
        assert str(error.value) == f"{tmp_path / 'a'}: another build is running {OWN}. Wait until it ends, or stop it."
    assert not list(tmp_path.iterdir())


def test_process_that_waits_for_a_lock_is_told_and_gets_it(tmp_path: Path) -> None:
    first, messages = file_lock(tmp_path / "a", "build"), list[str]()

    def end_first(message: str) -> None:
        messages.append(message)
        if len(messages) == 2:
            first.__exit__(None, None, None)

    first.__enter__()
    with file_lock(tmp_path / "a", "build", wait=end_first):
        assert messages == [f"waiting: another build is running {OWN}"] * 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "process 7\nand more", "\0", "x" * 2000, "5\nhost\n"])
def test_other_text_in_a_lock_file_is_not_shown(tmp_path: Path, text: str) -> None:
    with file_lock(tmp_path / "a", "build"):
        (tmp_path / ".a.lock").write_text(text)
        with pytest.raises(LockedError, match=r"another build is running\. Wait"), file_lock(tmp_path / "a", "build"):
            pass


def test_lock_that_a_person_deleted_does_not_end_the_next_one(tmp_path: Path) -> None:
    with file_lock(tmp_path / "a", "build"):
        os.rename(tmp_path / ".a.lock", tmp_path / "deleted")
        second = file_lock(tmp_path / "a", "build")
        second.__enter__()
    with pytest.raises(LockedError), file_lock(tmp_path / "a", "build"):
        pass
    second.__exit__(None, None, None)


def test_folder_is_replaced_while_another_process_replaces_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, rename = tmp_path / "a", os.rename
    (folder / "old").mkdir(parents=True)

    def interfere(source: Path, target: Path) -> None:
        monkeypatch.setattr("os.rename", rename)
        rename(source, target)
        (folder / "other").mkdir(parents=True)

    monkeypatch.setattr("os.rename", interfere)
    with atomic_write(folder) as unfinished:
        (unfinished / "new").mkdir(parents=True)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
