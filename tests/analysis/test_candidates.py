"""Candidates from a run's own scores against a dense ranking, and the file of candidates as an untrusted file."""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from tests.analysis.test_missing_labels import slow_evidence
from tests.support.tiny import CLASSES, STREAMS, tiny_experiment, write_tiny
from yt8m_core.analysis import candidate_ranking as module
from yt8m_core.analysis.candidate_file import CANDIDATES, read_candidates, stored_candidates, write_candidates
from yt8m_core.analysis.candidate_ranking import COLUMNS, ScoredVideos, score_candidates
from yt8m_core.analysis.label_evidence import log_odds
from yt8m_core.analysis.missing_labels import FoldRuns
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.labeled import labeled_videos
from yt8m_core.data.schema import Schema
from yt8m_core.data.vocabulary import Vocabulary, unnamed_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.runs.run import Facts, Run

NAMES = Vocabulary(('Car, "fast"', "line\nbreak", "carriage\rreturn", "", "é;|", "=1+1"), ("",) * 6)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Videos:
    return open_videos(write_tiny(tmp_path_factory.mktemp("tiny") / "data", 40, seed=2), streams=STREAMS)


def scores(videos: Videos, positions: np.ndarray, seed: int = 0) -> CachedScores:
    p = np.random.default_rng(seed).random((len(positions), CLASSES)).astype(np.float32)
    truth = label_matrix(videos.label_values, videos.label_offsets, CLASSES)[positions]
    return CachedScores("a", positions, len(videos), p, p, csr_array(truth))


@pytest.mark.parametrize("positions", [np.arange(40), np.arange(1, 40, 2)])
def test_candidates_equal_a_dense_ranking(
    videos: Videos, positions: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence comes from all videos; only the scored ones are ranked, in batches of two."""
    monkeypatch.setattr(module, "CHUNK", 2 * CLASSES)
    scored = scores(videos, positions)
    matrix = label_matrix(videos.label_values, videos.label_offsets, CLASSES).toarray() > 0
    combination = ScoredVideos(videos, scored, NAMES).fit()
    expected = []
    for row, video in enumerate(positions.tolist()):
        for label in np.flatnonzero(~matrix[video]).tolist():
            share, base, _ = slow_evidence(matrix, video, label)
            score = float(combination.score(log_odds(scored.probabilities[row, label], share, base)))
            expected.append((score, videos.id(video), label))
    expected.sort(key=lambda pair: -pair[0])
    table = score_candidates(videos, scored, NAMES, limit=30)
    assert list(table.columns) == list(COLUMNS)
    assert table["score"].tolist() == pytest.approx([pair[0] for pair in expected[:30]], rel=1e-4)
    assert {*zip(table["id"], table["label"], strict=True)} <= {pair[1:] for pair in expected}
    assert (table["fold"] == 0).all()
    assert len(score_candidates(videos, scored, NAMES, limit=100_000)) == len(expected)


def test_videos_without_labels_are_no_candidates(videos: Videos, tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "data", 10, seed=3)
    write_tiny(folder, 5, seed=4, labeled=False, shards=1)  # replaces one of its two shards
    mixed = labeled_videos(open_videos(folder, streams=STREAMS), "negative")
    labeled = np.flatnonzero(np.diff(mixed.label_offsets))
    assert (len(mixed), len(labeled)) == (10, 5)
    scored = scores(mixed, np.arange(10))
    assert ScoredVideos(mixed, scored, NAMES).positions.tolist() == labeled.tolist()
    assert FoldRuns(mixed, []).positions.tolist() == labeled.tolist()
    table = score_candidates(mixed, scored, NAMES)
    assert {*table["id"]} == {mixed.id(int(video)) for video in labeled}
    unlabeled = open_videos(write_tiny(tmp_path / "test", 5, seed=4, labeled=False), streams=STREAMS)
    with pytest.raises(UserError, match="no scored video has labels"):
        score_candidates(unlabeled, scores(unlabeled, np.arange(5)), NAMES)
    with pytest.raises(UserError, match="limit: found 0"):
        score_candidates(videos, scores(videos, np.arange(40)), NAMES, limit=0)
    with pytest.raises(UserError, match="scores of 10 videos and 6 labels; expected 40 videos and 6 labels"):
        score_candidates(videos, scored, NAMES)


@pytest.fixture
def file(videos: Videos, tmp_path: Path) -> Path:
    write_candidates(score_candidates(videos, scores(videos, np.arange(40)), NAMES, limit=20), tmp_path / "c.csv")
    return tmp_path / "c.csv"


def test_written_candidates_are_read_back(videos: Videos, file: Path) -> None:
    written = score_candidates(videos, scores(videos, np.arange(40)), NAMES, limit=20)
    pd.testing.assert_frame_equal(read_candidates(file, NAMES), written)
    assert len(read_candidates(file, unnamed_vocabulary(6))) == 20  # a label without a name fits any
    write_candidates(written[:0], file)
    assert read_candidates(file, NAMES).empty


@pytest.mark.fault
@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("id", "", "row 3, id: found ''; expected 1 to 100 characters"),
        ("label", 6, "row 3, label: found label 6; expected 0 to 5. The file belongs to another data set"),
        ("evidence_label", 9, "row 3, evidence_label: found label 9"),
        ("name", "Dog", "as the name of label"),
        ("score", 1.5, "row 3, score: found '1.5'; expected a number from 0 to 1"),
        ("probability", np.nan, "row 3, probability: found ''"),
        ("evidence_probability", -1, "row 3, evidence_probability: found '-1'"),
        ("evidence_videos", "x", "row 3, evidence_videos: found 'x'"),
        ("fold", 0.5, "row 3, fold: found '0.5'"),
    ],
)
def test_invalid_candidate_is_refused_with_its_row(file: Path, column: str, value: object, message: str) -> None:
    # With unnamed columns of the names before it, a line break inside a name would shift the numbers of the rows.
    table = read_candidates(file, NAMES).assign(name="", evidence_name="", listed_labels="").astype(object)
    table.loc[1, column] = value
    if column == "name":
        table.loc[1, "label"] = 4
    write_candidates(table, file)
    with pytest.raises(UserError, match=re.escape(message)) as refused:
        read_candidates(file, NAMES)
    assert str(file) in str(refused.value)


def test_file_of_another_kind_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = read_candidates(file, NAMES)
    write_candidates(pd.concat([table, table[:1]]), file)
    with pytest.raises(UserError, match=r"with label \d twice"):
        read_candidates(file, NAMES)
    monkeypatch.setattr("yt8m_core.analysis.candidate_file.MAX_CANDIDATES", 19)
    with pytest.raises(UserError, match="expected at most 19 candidates"):
        read_candidates(file, NAMES)
    write_candidates(table.drop(columns="fold"), file)
    with pytest.raises(UserError, match="row 1: found 'rank,id"):
        read_candidates(file, NAMES)
    for content, message in ((b"", "row 1: found ''"), (b"\xff", "not UTF-8"), (b'"', "expected valid CSV")):
        file.write_bytes(content)
        with pytest.raises(UserError, match=message):
            read_candidates(file, NAMES)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_candidates(file.with_name("missing.csv"), NAMES)


def test_newest_stored_candidates_of_a_data_set_are_found(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path)

    facts = Facts(Schema("frame", STREAMS), CLASSES, "sample", 120, 0)

    def store(folder: Path, train: str, time: int) -> Path:
        of_fold = replace(experiment, data=replace(experiment.data, train=train))
        Run.create(folder / "fold-1-of-3", of_fold, facts, NAMES)
        (folder / CANDIDATES).write_text("")
        os.utime(folder / CANDIDATES, (time, time))
        return folder / CANDIDATES

    home = tmp_path / "searches"
    assert stored_candidates(home, "/data/a") is None
    store(home / "a", "/data/a", 1000)
    newest = store(home / "b", "/data/a", 3000)
    store(home / "c", "/data/a", 2000)
    other = store(home / "d", "/data/b", 4000)
    (store(home / "e", "/data/a", 5000).parent / "fold-1-of-3" / "config.json").write_text("{")  # broken
    assert (stored_candidates(home, "/data/a"), stored_candidates(home, "/data/b")) == (newest, other)
    newest.unlink()
    assert stored_candidates(home, "/data/a") == home / "c" / CANDIDATES
