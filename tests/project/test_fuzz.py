"""A short fuzzing run with a fixed seed, and checks that the fuzzer finds planted faults."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import command_lines
from tests.fuzz.hunt import hunt
from tests.fuzz.mutate import framed, mutate, mutate_shard
from tests.fuzz.planted import dies, eats, hangs, is_wrong
from tests.fuzz.targets import TARGETS, RealRecords, reference, schedule
from tests.support.shards import framed as framed_by_hand
from yt8m_core.cli import main as cli


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.real_data
def test_no_mutant_of_real_records_crashes_hangs_costs_much_or_is_read_wrong(real_data: Path) -> None:
    jobs = [*schedule(1500)]
    assert {name for name, _ in jobs} == set(TARGETS)
    targets = {name: target for name, (_, target) in TARGETS.items()}
    findings = hunt(targets, jobs, RealRecords.read(real_data), seed=2017)
    assert not findings, "\n".join(map(str, findings))


@pytest.mark.slow
@pytest.mark.fault
def test_no_command_line_ends_in_a_traceback_hangs_costs_much_or_writes_elsewhere() -> None:
    findings = hunt({"commands": command_lines.commands}, [("commands", i) for i in range(200)], None, seed=2017)
    assert not findings, "\n".join(map(str, findings))


def test_command_line_fuzzer_finds_errors_of_the_program_and_writes_elsewhere(tmp_path: Path) -> None:
    line = ["index", "data"]
    for status in ("yt8m: an error of this program (KeyError)", "no sentence", "yt8m: not enough memory", 3):
        with pytest.raises(AssertionError):
            command_lines.check_end(status, line)
    for status in ("yt8m: no file matches data.", 2):
        command_lines.check_end(status, line)
    (tmp_path / "inside").mkdir()
    with command_lines.watched(tmp_path / "inside"):
        (tmp_path / "inside" / "file").write_text("text")
    with pytest.raises(AssertionError, match=r"open .*elsewhere"), command_lines.watched(tmp_path / "inside"):
        (tmp_path / "elsewhere").write_text("text")
    commands = {command_lines.command_line(Random(number), tmp_path)[0] for number in range(400)}
    assert commands == cli.commands().keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "message"),
    [
        (dies, "killed by SIGBUS"),
        (hangs, "took more than 1 s"),
        (eats, "more memory than 3 times the file: "),
        (is_wrong, "AssertionError"),
    ],
)
def test_fuzzer_finds_planted_faults_and_reports_their_numbers(target: Callable[..., None], message: str) -> None:
    expected = [number for number in range(6) if Random(f"0/planted/{number}").random() < 0.3]
    findings = hunt({"planted": target}, [("planted", i) for i in range(6)], None, seed=0, max_seconds=1, warm_up=0)
    assert 1 <= len(expected) < 6
    assert [finding.number for finding in findings] == expected
    assert all(message in finding.problem for finding in findings)
    assert f'--seed 0 --replay "planted" {expected[0]}' in str(findings[0])


def test_mutants_are_reproducible_and_diverse() -> None:
    data, other = bytes(range(200)), bytes(300)
    mutants = [mutate(Random(seed), data, other) for seed in range(300)]
    assert mutants == [mutate(Random(seed), data, other) for seed in range(300)]
    assert len(set(mutants)) > 250
    assert len({len(mutant) for mutant in mutants}) > 50
    shards = [mutate_shard(Random(seed), [data, b"", data], other) for seed in range(300)]
    outcomes = {tuple(one if isinstance(one, str) else "sound" for one in reference(shard)) for shard in shards}
    assert {("sound",) * 3, ("length",), ("sound", "data"), ("data", "sound", "sound")} <= outcomes


def test_fuzzer_frames_records_like_the_reference() -> None:
    for payload in (b"", b"some", bytes(100)):
        assert framed(payload) == framed_by_hand(payload)
        assert reference(framed(payload)) == [(12, 12 + len(payload))]
