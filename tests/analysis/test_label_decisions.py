"""Decisions about labels: what is stored is read back, no session loses that of another, no bad file is replaced."""

import contextlib
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
    DecisionChangedError,
    decide,
    read_decisions,
    replace_decision,
)
from yt8m_core.errors import UserError

HEADER = '"video","label","name","decision","time"\n'
TIME = "2026-01-31T09:00:00Z"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ROWS = st.builds(Decision, TEXTS, st.integers(0, 3), TEXTS, st.sampled_from(DECISIONS), st.just(TIME))


def stored(file: Path, video: str, label: int) -> Decision | None:
    """Return the decision about a pair."""
    return next((row for row in rows(file) if row[:2] == (video, label)), None)


def store(file: Path, decision: Decision) -> None:
    """Store a decision in place of the one that is stored."""
    replace_decision(file, stored(file, *decision[:2]), decision)


def rows(file: Path) -> list[Decision]:
    return [Decision(*row) for row in read_decisions(file).itertuples(index=False, name=None)]


@settings(max_examples=40)
@given(st.lists(ROWS, max_size=4))
def test_decisions_are_read_back_whatever_ids_and_names_contain(
    tmp_path_factory: pytest.TempPathFactory, decisions: list[Decision]
) -> None:
    file = tmp_path_factory.mktemp("decisions") / "new" / "folder" / "decisions.csv"
    for decision in decisions:
        store(file, decision)
    latest = {decision[:2]: decision for decision in decisions}
    assert sorted(rows(file)) == sorted(latest.values())


def test_decision_is_replaced_restored_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    assert read_decisions(file).empty
    first, other, second = (
        decide("v", 3, "Car", "unsure"),
        decide("v", 4, "Dog", "reject"),
        decide("v", 3, "C", "accept"),
    )
    replace_decision(file, None, first)
    replace_decision(file, None, other)
    replace_decision(file, first, second)
    assert rows(file) == [other, second]
    replace_decision(file, second, first)
    assert rows(file) == [other, first]
    replace_decision(file, other, None)
    assert rows(file) == [first]
    assert read_decisions(file).dtypes["label"] == "int64"


@pytest.mark.fault
def test_decision_that_was_not_shown_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    mine, other = Decision("v", 3, "Car", "accept", TIME), Decision("v", 3, "Car", "reject", TIME)
    later = other._replace(time="2026-01-31T09:00:01Z")
    neighbor = Decision("v", 4, "Dog", "unsure", TIME)
    replace_decision(file, None, neighbor)
    for content, shown, new, message in (
        (other, None, mine, f"video 'v', label 3: another session has decided: reject, {TIME}. Nothing was stored."),
        (other, mine, None, "another session has decided: reject"),
        (later, other, mine, "another session has decided: reject, 2026-01-31T09:00:01Z"),
        (None, mine, other, "another session has removed the decision. Nothing was stored."),
        (None, mine, None, "another session has removed the decision"),
    ):
        if stored(file, "v", 3) or content:
            replace_decision(file, stored(file, "v", 3), content)
        before = file.read_bytes()
        with pytest.raises(DecisionChangedError, match=re.escape(message)):
            replace_decision(file, shown, new)
        assert file.read_bytes() == before
    assert rows(file) == [neighbor]


def test_latest_of_several_rows_must_have_been_shown(tmp_path: Path) -> None:
    """A file joined from two has several rows about a pair; all of them are replaced."""
    file = tmp_path / "a.csv"
    pairs = [("accept", 30), ("unsure", 30), ("reject", 29)]
    file.write_text(HEADER + "".join(f"v,3,Car,{decision},2026-01-{day}T09:00:00Z\n" for decision, day in pairs))
    shown = stored(file, "v", 3)
    assert shown
    assert shown.decision == "unsure"
    for other in ("accept", "reject"):
        with pytest.raises(DecisionChangedError, match="decided: unsure"):
            replace_decision(file, shown._replace(decision=other), decide("v", 3, "Car", "accept"))
    new = decide("v", 3, "Car", "reject")
    replace_decision(file, shown, new)
    assert rows(file) == [new]
    assert len(file.read_text().splitlines()) == 2


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
    replace_decision(file, None, decide("v", 3, "Car", "accept"))
    assert rows(file)[0] == ('another, "video"', 123456, "A name", "reject", TIME)
    assert len(rows(file)) == 2


def add_many(file: Path, session: int) -> None:
    for number in range(20):
        replace_decision(file, None, decide(f"video {number}", session, "Car", "accept"))


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


def claim(file: Path, session: int) -> None:
    for number in range(20):
        with contextlib.suppress(DecisionChangedError):
            replace_decision(file, None, decide(f"video {number}", 0, f"session {session}", "accept"))
            with file.with_name(f"stored by {session}").open("a") as log:
                log.write(f"{number}\n")


@pytest.mark.fault
def test_one_of_several_sessions_decides_about_a_pair(tmp_path: Path) -> None:
    """Four processes decide about the same pairs; each pair has the decision of the one that was not refused."""
    file = tmp_path / "a.csv"
    sessions = [multiprocessing.get_context("fork").Process(target=claim, args=(file, n)) for n in range(4)]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join(60)
    claimed = [
        (f"video {number}", log.name.replace("stored by", "session"))
        for log in tmp_path.glob("stored by *")
        for number in log.read_text().split()
    ]
    assert len(claimed) == 20
    assert sorted(claimed) == sorted((row.video, row.name) for row in rows(file))


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
        lambda: replace_decision(file, None, decide("v", 1, "Car", "accept")),
        lambda: replace_decision(file, decide("v", 1, "Car", "accept"), None),
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
            replace_decision(file, None, decision)
        assert not file.exists()
    with pytest.raises(UserError, match="cannot be written"):
        replace_decision(tmp_path, None, decide("v", 1, "Car", "accept"))
    with pytest.raises(UserError, match="cannot be read"):
        read_decisions(tmp_path)
    replace_decision(file, None, decide("v", 1, "Car", "accept"))
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(UserError, match="expected at most 10"):
        read_decisions(file)


def test_change_gives_up_while_another_session_holds_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.csv"
    monkeypatch.setattr(module, "WAIT", 0.1)
    with FileLock(tmp_path / ".a.csv.lock"), pytest.raises(UserError, match="another session"):
        replace_decision(file, None, decide("v", 1, "Car", "accept"))
    replace_decision(file, None, decide("v", 1, "Car", "accept"))
    assert pd.read_csv(file)["decision"].tolist() == ["accept"]
