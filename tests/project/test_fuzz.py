"""A short hunt with a fixed seed, and a hunt for planted faults: a harness that finds nothing must be able to."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.hunt import hunt
from tests.fuzz.mutate import framed, mutate, mutate_shard
from tests.fuzz.planted import dies, eats, hangs, is_wrong
from tests.fuzz.targets import TARGETS, Real, in_turn, reference
from tests.support.shards import framed as framed_by_hand


@pytest.mark.fault
@pytest.mark.real_data
def test_no_mutant_of_real_records_crashes_hangs_costs_much_or_is_read_wrong(real_data: Path) -> None:
    jobs = [*in_turn(1500)]
    assert {name for name, _ in jobs} == set(TARGETS)
    targets = {name: target for name, (_, target) in TARGETS.items()}
    found = hunt(targets, jobs, Real.read(real_data), seed=2017)
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (dies, "killed by SIGBUS"),
        (hangs, "busy for more than 1 s"),
        (eats, "more memory than 3 times the file: "),
        (is_wrong, "AssertionError"),
    ],
)
def test_planted_fault_is_found_with_its_number(target: Callable[..., None], said: str) -> None:
    bad = [number for number in range(6) if Random(f"0/planted/{number}").random() < 0.3]
    found = hunt({"planted": target}, [("planted", i) for i in range(6)], None, seed=0, seconds=1, warm_up=0)
    assert 1 <= len(bad) < 6
    assert [finding.number for finding in found] == bad
    assert all(said in finding.what for finding in found)
    assert f'--seed 0 --replay "planted" {bad[0]}' in str(found[0])


def test_mutants_are_the_same_again_and_many_kinds_of_them_come() -> None:
    data, other = bytes(range(200)), bytes(300)
    mutants = [mutate(Random(seed), data, other) for seed in range(300)]
    assert mutants == [mutate(Random(seed), data, other) for seed in range(300)]
    assert len(set(mutants)) > 250
    assert len({len(mutant) for mutant in mutants}) > 50
    shards = [mutate_shard(Random(seed), [data, b"", data], other) for seed in range(300)]
    outcomes = {tuple(one if isinstance(one, str) else "sound" for one in reference(shard)) for shard in shards}
    assert {("sound",) * 3, ("length",), ("sound", "data"), ("data", "sound", "sound")} <= outcomes


def test_frames_of_the_harness_equal_those_of_the_definition() -> None:
    for payload in (b"", b"some", bytes(100)):
        assert framed(payload) == framed_by_hand(payload)
        assert reference(framed(payload)) == [(12, 12 + len(payload))]
