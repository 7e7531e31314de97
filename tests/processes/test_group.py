"""Several processes that divide work: parts, failures, kills, and two machines."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.torchrun import is_running, process_ids, run_torchrun, start_torchrun, wait_for
from yt8m_core.errors import UserError
from yt8m_core.processes.group import ALONE, Group, open_group
from yt8m_core.processes.parts import Parts
from yt8m_core.progress import silent

WORKER = "tests.processes.worker"


@pytest.fixture
def expected() -> str:
    """Return the joined parts."""
    return "".join(f"{number}\n" for number in range(12))


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "nodes"), [(3, 1), (2, 2)])
def test_each_part_is_made_once_by_processes_of_one_or_two_machines(
    tmp_path: Path, expected: str, processes: int, nodes: int
) -> None:
    ended = run_torchrun(WORKER, tmp_path, 12, 0.01, processes=processes, nodes=nodes)
    assert [code for code, _, _ in ended] == [0] * nodes, ended
    lines = sorted(line for _, output, _ in ended for line in output.splitlines())
    size = processes * nodes
    assert lines == [f"process {rank} of {size}: 12 parts" for rank in range(size)]
    assert (tmp_path / "result").read_text() == expected
    made = [file.name.removeprefix("made").split("-") for file in tmp_path.glob("made*")]
    assert sorted(int(number) for number, _ in made) == list(range(12))
    assert len({pid for _, pid in made}) == size
    assert not (tmp_path / "parts").exists()


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("nodes", [1, 2])
def test_killed_process_ends_the_others_and_the_same_command_goes_on(tmp_path: Path, expected: str, nodes: int) -> None:
    launchers = start_torchrun(WORKER, tmp_path, 12, 2, processes=4 // nodes, nodes=nodes)
    ids = process_ids(tmp_path, 4)
    deadline = time.monotonic() + 60
    while not (tmp_path / "parts" / "000003").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(ids[3], signal.SIGKILL)
    started = time.monotonic()
    ended = wait_for(launchers)
    assert time.monotonic() - started < 60
    assert all(code for code, _, _ in ended)
    errors = "\n".join(errors for _, _, errors in ended)
    assert "rank      : 3" in errors or "process 3 has ended" in errors, errors
    assert not any(map(is_running, ids))
    assert not (tmp_path / "result").exists()
    first = {file.name for file in tmp_path.glob("made*")}
    for file in tmp_path.glob("pid*"):
        file.unlink()
    ended = run_torchrun(WORKER, tmp_path, 12, 0.01, processes=2)
    assert [code for code, _, _ in ended] == [0], ended
    assert (tmp_path / "result").read_text() == expected
    second = {file.name for file in tmp_path.glob("made*")} - first
    assert len(first) + len(second) == 12  # none was made twice


@pytest.mark.slow
@pytest.mark.fault
def test_error_of_one_process_ends_the_others_with_its_sentence(tmp_path: Path) -> None:
    ((code, _, errors),) = run_torchrun(WORKER, tmp_path, 12, 0.2, 1, processes=3)
    assert code == 1
    assert "yt8m: part 1: a bad record." in errors
    assert "yt8m: process 1 has ended: part 1: a bad record." in errors or errors.count("yt8m:") == 1
    assert not (tmp_path / "result").exists()


class TestAlone:
    def test_one_process_waits_for_nobody(self, tmp_path: Path) -> None:
        with open_group() as group:
            assert group is ALONE
            group.wait()
            group.check()
            assert group.share([1]) == [1]
            assert group.first(lambda: 3) == 3
            assert group.watch(silent)("task", 1, 2) is None  # type: ignore[func-returns-value]
        made = []
        parts = Parts(tmp_path / "parts", 3)
        (tmp_path / "parts").mkdir()
        parts.path(1).touch()

        def write(number: int, unfinished: Path) -> None:
            made.append(number)
            unfinished.touch()

        parts.make(write, Group())
        assert made == [0, 2]
        assert parts.missing() == []
        parts.remove(ALONE)
        assert list(tmp_path.iterdir()) == []

    def test_processes_of_another_launcher_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
        with pytest.raises(UserError, match=r"2 processes \(WORLD_SIZE\) without torchrun"), open_group():
            pass
