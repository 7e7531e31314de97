"""Decisions about labels: what is stored is read back, no session loses that of another, no bad file is replaced."""

import multiprocessing
import re
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from yt8m_core.analysis import label_decisions as module
from yt8m_core.analysis.label_decisions import (
    DECISIONS,
    Decision,
    add_decisions,
    decide,
    read_decisions,
    remove_decision,
)
from yt8m_core.errors import UserError

HEADER = '"video","label","name","decision","time"\n'
TIME = "2026-01-31T09:00:00Z"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ROWS = st.builds(Decision, TEXTS, st.integers(0, 3), TEXTS, st.sampled_from(DECISIONS), st.just(TIME))


def rows(file: Path) -> list[Decision]:
    return [Decision(*row) for row in read_decisions(file).itertuples(index=False, name=None)]


@settings(max_examples=40)
@given(st.lists(ROWS, max_size=4))
def test_decisions_are_read_back_whatever_ids_and_names_contain(
    tmp_path_factory: pytest.TempPathFactory, decisions: list[Decision]
) -> None:
    file = tmp_path_factory.mktemp("decisions") / "new" / "folder" / "decisions.csv"
    for decision in decisions:
        add_decisions(file, [decision])
    latest = {decision[:2]: decision for decision in decisions}
    assert sorted(rows(file)) == sorted(latest.values())
    together = file.with_name("together.csv")
    add_decisions(together, decisions)
    assert sorted(rows(together)) == sorted(latest.values())


def test_later_decision_replaces_an_earlier_one_and_can_be_removed(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    assert read_decisions(file).empty
    add_decisions(file, [decide("v", 3, "Car", "unsure"), decide("v", 4, "Dog", "reject")])
    add_decisions(file, [decide("v", 3, "Car", "accept")])
    assert [row[:4] for row in rows(file)] == [("v", 4, "Dog", "reject"), ("v", 3, "Car", "accept")]
    remove_decision(file, "v", 4)
    remove_decision(file, "w", 3)
    assert [row[:4] for row in rows(file)] == [("v", 3, "Car", "accept")]
    assert read_decisions(file).dtypes["label"] == "int64"


def test_latest_time_counts_in_a_file_joined_from_two(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    lines = [f"v,3,Car,{decision},2026-01-{day}T09:00:00Z\n" for decision, day in (("accept", 30), ("reject", 29))]
    file.write_text(HEADER + "".join(lines) + f"other,99,,unsure,{TIME}\nv,5,x,accept,{TIME}\nv,5,x,reject,{TIME}\n")
    assert [row[:4] for row in rows(file)] == [
        ("v", 3, "Car", "accept"), ("other", 99, "", "unsure"), ("v", 5, "x", "reject"),
    ]  # fmt: skip


@pytest.mark.fault
def test_rows_of_unknown_videos_and_labels_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(HEADER + f'"another, ""video""",123456,A name,reject,{TIME}\n')
    add_decisions(file, [decide("v", 3, "Car", "accept")])
    assert rows(file)[0] == ('another, "video"', 123456, "A name", "reject", TIME)
    assert len(rows(file)) == 2


def add_many(file: Path, session: int) -> None:
    for number in range(20):
        add_decisions(file, [decide(f"video {number}", session, "Car", "accept")])


@pytest.mark.fault
def test_two_sessions_lose_no_decision(tmp_path: Path) -> None:
    """Four processes write at the same time, also about the same video."""
    file = tmp_path / "a.csv"
    sessions = [multiprocessing.get_context("fork").Process(target=add_many, args=(file, n)) for n in range(4)]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join(60)
    assert {row[:2] for row in rows(file)} == {(f"video {i}", session) for i in range(20) for session in range(4)}


@pytest.mark.fault
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "row 1: found ''; expected video,label,name,decision,time"),
        (b"video,label\n", "row 1: found 'video,label'"),
        (HEADER.encode() + b"v,3,Car,maybe,2026-01-31T09:00:00Z\n", "row 2: unknown decision 'maybe'"),
        (HEADER.encode() + b"v,-3,Car,accept,2026-01-31T09:00:00Z\n", "row 2, label: found '-3'"),
        (HEADER.encode() + b",3,Car,accept,2026-01-31T09:00:00Z\n", "row 2, video: found ''"),
        (HEADER.encode() + b"v,3,Car,accept,2026-01-31\n", "row 2, time: found '2026-01-31'"),
        (HEADER.encode() + b"v,3,Car,accept,2026-1-31T9:00:00Z\n", "row 2, time: found '2026-1-31T9"),
        (HEADER.encode() + b"v,3,Car\n", "row 2: found 3 fields; expected 5"),
        (HEADER.encode() + b'v,3,"Car,accept,2026-01-31T09:00:00Z\n', "expected valid CSV"),
        (HEADER.encode() + b"\xff,3,Car,accept,2026-01-31T09:00:00Z\n", "bytes that are not UTF-8"),
    ],
)
def test_broken_file_is_refused_by_name_and_not_replaced(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    for change in (
        lambda: add_decisions(file, [decide("v", 1, "Car", "accept")]),
        lambda: remove_decision(file, "v", 1),
        lambda: read_decisions(file),
    ):
        with pytest.raises(UserError, match=re.escape(message)) as refused:
            change()
        assert str(file) in str(refused.value)
    assert file.read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} <= {"a.csv", ".a.csv.lock"}


def test_invalid_decision_file_size_and_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.csv"
    for decision, message in (
        (Decision("v", 1, "Car", "yes", TIME), "unknown decision 'yes'"),
        (Decision("", 1, "Car", "accept", TIME), "expected 1 to 100 characters"),
        (Decision("v" * 101, 1, "Car", "accept", TIME), "expected 1 to 100 characters"),
        (Decision("v", 1, "Car", "accept", "now"), "time: found 'now'"),
        (Decision("v", 1, "\udcff", "accept", TIME), "not UTF-8"),
    ):
        with pytest.raises(UserError, match=message):
            add_decisions(file, [decision])
        assert not file.exists()
    with pytest.raises(UserError, match="cannot be written"):
        add_decisions(tmp_path, [decide("v", 1, "Car", "accept")])
    with pytest.raises(UserError, match="cannot be read"):
        read_decisions(tmp_path)
    add_decisions(file, [decide("v", 1, "Car", "accept")])
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(UserError, match="expected at most 10"):
        read_decisions(file)


def test_change_gives_up_while_another_session_holds_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.csv"
    monkeypatch.setattr(module, "WAIT", 0.1)
    with FileLock(tmp_path / ".a.csv.lock"), pytest.raises(UserError, match="another session"):
        add_decisions(file, [decide("v", 1, "Car", "accept")])
    add_decisions(file, [decide("v", 1, "Car", "accept")])
    assert pd.read_csv(file)["decision"].tolist() == ["accept"]
