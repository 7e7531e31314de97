"""Candidates for missing labels: evidence, combination and ranking against slow references, cleanlab, and the truth."""

import csv
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cleanlab.multilabel_classification.rank import get_label_quality_scores_per_class
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from tests.support.tiny import tiny_experiment, write_tiny
from yt8m_core.analysis import missing_labels as module
from yt8m_core.analysis.candidate_file import write_candidates
from yt8m_core.analysis.candidate_quality import candidate_quality
from yt8m_core.analysis.candidate_ranking import COLUMNS, TopPairs
from yt8m_core.analysis.label_evidence import (
    PROBABILITY_ONLY,
    Combination,
    LabelEvidence,
    Pairs,
    fit_combination,
    log_odds,
    sample_pairs,
)
from yt8m_core.analysis.missing_labels import FoldRuns, find_missing_labels, train_folds
from yt8m_core.demo.missing_labels import finder_quality, removed_labels
from yt8m_core.demo.world import World, build, read_truth
from yt8m_core.errors import TrainingStoppedError, UserError
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.training.splits import assign_folds, open_splits

label_matrices = arrays.arrays(np.bool_, st.tuples(st.integers(1, 8), st.integers(1, 5))).map(
    lambda matrix: matrix | (np.arange(matrix.shape[1]) == 0) & ~matrix.any(axis=1, keepdims=True)
)  # every video has a label


def slow_evidence(matrix: np.ndarray, video: int, label: int) -> tuple[float, float, int | None]:
    """Return evidence, base rate and its strongest label from the other videos alone, by counting them."""
    others = np.delete(matrix, video, axis=0)
    base = others[:, label].sum() / max(len(others), 1)
    best, source = -1.0, None
    for listed in np.flatnonzero(matrix[video]):
        if listed != label:
            both = sum(bool(row[listed] and row[label]) for row in others)
            share = (both + base) / (sum(bool(row[listed]) for row in others) + 1)
            if share > best + 1e-6:
                best, source = share, int(listed)
    return (base, base, None) if source is None else (best, base, source)


@given(label_matrices)
def test_evidence_is_measured_on_the_other_videos(matrix: np.ndarray) -> None:
    labels = csr_array(matrix.astype(np.int32))
    evidence = LabelEvidence(labels)
    absent = evidence.of_absent(labels.indices, labels.indptr)
    for video in range(len(matrix)):
        listed = np.flatnonzero(matrix[video])
        shares, base = evidence.of_listed(listed)
        for label in range(matrix.shape[1]):
            expected = slow_evidence(matrix, video, label)
            if matrix[video, label]:
                found = shares[listed == label][0], base[listed == label][0]
            else:
                found = absent[video, label], evidence.base[label]
                strongest = evidence.strongest(listed, label)
                source = np.delete(matrix, video, axis=0)[:, strongest.label]
                assert (strongest.label == expected[2]) or absent[video, label] == pytest.approx(expected[0], abs=1e-6)
                assert strongest.videos == (source & np.delete(matrix, video, axis=0)[:, label]).sum()
                if source.any():
                    assert strongest.probability == strongest.videos / source.sum()
                else:
                    assert np.isnan(strongest.probability)
            assert found == pytest.approx(expected[:2], abs=1e-6)


def test_log_odds_are_finite_for_certain_probabilities() -> None:
    assert log_odds([0.0, 0.5, 1.0], 0.0, 1.0)[:, 0].round(3).tolist() == [-13.816, 0.0, 13.816]
    assert np.isfinite(log_odds(np.float32([0, 1]), np.float32(1), np.float32(0))).all()


def test_sampled_pairs_are_all_listed_labels_and_weighted_absent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yt8m_core.analysis.label_evidence.NEGATIVES", 2)
    matrix = np.eye(5, dtype=np.int32)[[0, 1, 2, 3, 4, 0]]
    matrix[0, 1] = 1
    evidence, p = LabelEvidence(csr_array(matrix)), np.float32([0.9, 0.8, 0.1, 0.2, 0.3])
    pairs = sample_pairs(evidence, np.array([0, 1]), p, np.random.default_rng(0))
    assert pairs.is_listed.tolist() == [True, True, False, False]
    assert pairs.weight.tolist() == [1, 1, 1.5, 1.5]
    assert len({*pairs.odds[2:, 0].round(5)} & {*log_odds(p[2:], 0.5, 0.5)[:, 0].round(5)}) == 2
    assert pairs.odds[:2, 0] == pytest.approx(log_odds(p[:2], 0.5, 0.5)[:, 0])


def test_combination_equals_logistic_regression_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    odds = random.normal(size=(4000, 3)) * [2, 1, 0.5] - 1
    is_listed = random.random(4000) < 1 / (1 + np.exp(-(odds @ [0.8, 0.5, -0.3] - 0.7)))
    weight = np.where(is_listed, 1.0, random.uniform(1, 30, 4000))
    fitted = fit_combination(
        [Pairs(*(part[rows] for part in (odds, is_listed, weight))) for rows in np.split(np.arange(4000), 4)]
    )
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds, is_listed, weight)
    assert (fitted.intercept, *fitted.weights) == pytest.approx((*reference.intercept_, *reference.coef_[0]), abs=1e-3)


def test_combination_of_separable_pairs_is_finite() -> None:
    odds = np.array([[-9.0, -9, -9], [9, 9, 9]])
    combination = fit_combination([Pairs(odds, np.array([False, True]), np.ones(2))])
    assert np.isfinite([combination.intercept, *combination.weights]).all()
    assert combination.score(odds)[0] < 0.5 < combination.score(odds)[1]


@given(st.data())
def test_top_pairs_equal_those_of_a_full_sort(data: st.DataObject) -> None:
    """Scores tie often; batches come in any order and size."""
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 4)))
    scores = data.draw(arrays.arrays(np.float64, shape, elements=st.sampled_from([-np.inf, 0.1, 0.2, 0.3])))
    limit = data.draw(st.integers(1, 60))
    order = np.array(data.draw(st.permutations(range(shape[0]))))
    top = TopPairs(limit)
    for batch in np.array_split(order, data.draw(st.integers(1, 12))):
        top.update(batch, scores[batch], np.float32(scores[batch]), 1)
    pairs = [(-scores[video, label], video, label) for video, label in np.ndindex(shape) if scores[video, label] >= 0]
    expected = [(video, label, -score) for score, video, label in sorted(pairs)[:limit]]
    assert list(top.pairs[["video", "label", "score"]].itertuples(index=False, name=None)) == expected


def test_ranking_needs_memory_for_its_limit_and_one_batch() -> None:
    """Ten times the videos need the same memory: 10,000 videos of 1,000 labels have 80 MB of scores."""
    random = np.random.default_rng(0)

    def peak(batches: int) -> int:
        top = TopPairs(100)
        tracemalloc.start()
        for number in range(batches):
            scores = random.random((50, 1000))
            top.update(np.arange(50) + 50 * number, scores, scores.astype(np.float32), 1)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(200) < 1.2 * peak(20) < 12e6


def test_csv_is_read_back_whatever_the_names_contain(tmp_path: Path) -> None:
    nasty = ['a,b "c"', "line\nbreak", "carriage\rreturn", "  spaces ", "'=1+1", "é;|"]
    rows = [
        (i + 1, text, f"{text}, record 1", i, text, 0.5, 0.25, "; ".join(nasty), 3, text, float("nan"), 0, 1)
        for i, text in enumerate(nasty)
    ]
    write_candidates(pd.DataFrame(rows, columns=list(COLUMNS)), tmp_path / "new" / "candidates.csv")
    with (tmp_path / "new" / "candidates.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.reader(file))
    assert read[0] == list(COLUMNS)
    assert read[1:] == [["" if value != value else str(value) for value in row] for row in rows]
    assert pd.read_csv(tmp_path / "new" / "candidates.csv")["evidence_probability"].isna().all()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    tiny_experiment(root)
    return root


@pytest.fixture(scope="module")
def tiny(root: Path) -> FoldRuns:
    return train_folds(tiny_experiment(root), root / "runs", folds=3)


def test_scores_are_those_of_the_run_that_has_not_seen_the_video(tiny: FoldRuns) -> None:
    folds = assign_folds(tiny.videos.ids, 3)
    seen = []
    for fold, positions, p in tiny.score(np.arange(120)):
        assert (folds[positions] == fold).all()
        run = tiny.runs[fold - 1]
        learned_from = open_splits(run.experiment).videos
        assert not {*learned_from.ids} & {tiny.videos.id(int(video)) for video in positions}
        predictions = run.predictions.set_index("id")
        for video, row in zip(positions, p, strict=True):
            top = predictions.loc[tiny.videos.id(int(video))]
            assert row[top["labels"]] == pytest.approx(top["scores"], abs=1e-6)
        seen += positions.tolist()
    assert sorted(seen) == list(range(120))


def test_candidates_equal_a_dense_ranking(tiny: FoldRuns) -> None:
    combination = tiny.fit()
    p = np.zeros((120, 6))
    for _, positions, batch in tiny.score(np.arange(120)):
        p[positions] = batch
    matrix = tiny.labels.toarray().astype(bool)
    scored = []
    for video, label in zip(*np.nonzero(~matrix), strict=True):
        share, base, _ = slow_evidence(matrix, int(video), int(label))
        scored.append((float(combination.score(log_odds(p[video, label], share, base))), int(video), int(label)))
    expected = sorted(scored, key=lambda pair: -pair[0])[:50]
    ranked = tiny.rank(combination, 50)
    assert ranked["score"].to_numpy() == pytest.approx([pair[0] for pair in expected], rel=1e-4)
    assert not matrix[ranked["video"], ranked["label"]].any()
    table = tiny.describe(ranked)
    assert list(table.columns) == list(COLUMNS)
    first, pair = table.iloc[0], ranked.iloc[0]
    video = int(pair["video"])
    assert first["location"] == tiny.videos.location(video)
    assert first["fold"] == assign_folds([first["id"]], 3)[0]
    listed = tiny.videos.labels(video)
    assert first["listed_labels"] == "; ".join(f"label {label} (unnamed)" for label in listed)
    assert first["evidence_label"] in listed
    has_source, has_label = (
        np.delete(matrix, video, axis=0)[:, int(first[name])] for name in ("evidence_label", "label")
    )
    assert first["evidence_videos"] == (has_source & has_label).sum()
    assert first["evidence_probability"] == pytest.approx((has_source & has_label).sum() / has_source.sum())


def test_everything_listed_gives_an_empty_list(tiny: FoldRuns) -> None:
    runs = replace(tiny)
    runs.__dict__["labels"] = csr_array(np.ones((120, 6), np.int32))
    assert runs.describe(runs.rank(PROBABILITY_ONLY, 5)).to_dict("list") == {column: [] for column in COLUMNS}


@pytest.mark.fault
def test_interrupted_search_is_resumed_and_trains_only_what_is_missing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, trained = tiny_experiment(root), []

    def train(experiment: Experiment, folder: Path, **options: object) -> object:
        trained.append(folder.name)
        if len(trained) == 2:
            raise TrainingStoppedError("stopped")
        return original(experiment, folder, **options)  # type: ignore[arg-type]

    original = module.train
    expected = find_missing_labels(experiment, root / "runs", folds=3, limit=20)
    monkeypatch.setattr(module, "train", train)
    with pytest.raises(TrainingStoppedError):
        find_missing_labels(experiment, tmp_path, folds=3, limit=20)
    weights = tmp_path / "fold-1-of-3" / "model.safetensors"
    finished = weights.stat().st_mtime_ns
    pd.testing.assert_frame_equal(find_missing_labels(experiment, tmp_path, folds=3, limit=20), expected)
    assert weights.stat().st_mtime_ns == finished


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds: found 1; expected a number from 2"),
        ({"folds": 1001}, "folds: found 1001"),
        ({"folds": 119}, "119 folds of 120 videos; expected at least one video in each fold. Use fewer folds"),
        ({"limit": 0}, "limit: found 0"),
    ],
)
def test_invalid_numbers_are_refused_before_any_training(
    options: dict[str, int], message: str, root: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        find_missing_labels(tiny_experiment(root), tmp_path / "runs", **options)
    assert not (tmp_path / "runs").exists()


def test_unlabeled_videos_and_other_runs_are_refused(root: Path, tiny: FoldRuns, tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "test", 10, seed=3, labeled=False)
    experiment = tiny_experiment(root)
    with pytest.raises(UserError, match="no video has labels"):
        find_missing_labels(replace(experiment, data=replace(experiment.data, train=str(data))), tmp_path / "runs")
    with pytest.raises(UserError, match="another experiment"):
        train_folds(replace(experiment, seed=5), root / "runs", folds=3)


def test_quality_equals_counting(root: Path) -> None:
    """Precision, recall and lift at k, and intervals that are exact where all videos are alike."""
    labels = csr_array(np.tile(np.int32([1, 0, 0, 0]), (6, 1)))
    missing = csr_array(np.tile([False, True, False, False], (6, 1)))
    good = pd.DataFrame({"video": range(6), "label": [1, 1, 1, 2, 1, 3]})
    bad = pd.DataFrame({"video": range(6), "label": [2] * 6})
    table = candidate_quality({"good": good, "bad": bad}, missing, labels, ks=(2, 4), draws=50)
    assert table["precision"].tolist() == [1, 0.75, 0, 0]
    assert table["recall"].tolist() == [2 / 6, 3 / 6, 0, 0]
    assert table["lift"].tolist() == [3, 2.25, 0, 0]
    assert table["difference"].tolist() == [0, 0, -1, -0.75]
    assert (table["precision_low"] <= table["precision"]).all()
    assert (table["precision"] <= table["precision_high"]).all()
    assert table.loc[2:, ["precision_low", "precision_high"]].to_numpy().tolist() == [[0, 0], [0, 0]]
    assert table.loc[1, "precision_low"] < table.loc[1, "precision_high"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FoldRuns]:
    """A third of the demo world, and runs on three folds of it."""
    folder = tmp_path_factory.mktemp("demo")
    build(folder / "data", World(train_videos=800, validation_videos=4))
    experiment = Experiment(
        Data(str(folder / "data" / "train"), ""),
        classification=Slot("moe"),
        training=Training(epochs=10, batch_size=64, learning_rate=0.03),
    )
    return folder / "data", train_folds(experiment, folder / "runs", folds=3)


@pytest.mark.slow
def test_removed_labels_are_the_true_ones_that_are_not_listed(demo: tuple[Path, FoldRuns]) -> None:
    folder, runs = demo
    removed, truth = removed_labels(folder, runs.videos, 120).toarray(), read_truth(folder)
    for video, video_id in enumerate(runs.videos.ids):
        expected = {*truth.loc[video_id, "clean_labels"]} - {*runs.videos.labels(video).tolist()}
        assert {*np.flatnonzero(removed[video]).tolist()} == expected
    assert 0.05 < removed.sum() / (removed.sum() + runs.labels.sum()) < 0.15


@pytest.mark.slow
def test_candidates_of_the_demo_world_are_missing_labels(demo: tuple[Path, FoldRuns]) -> None:
    """Precision at 100 is at least 5 times the base rate, also at the lower end of its interval."""
    table = finder_quality(*demo).set_index(["ranking", "k"])
    assert table.loc[("both", 100), "lift_low"] > 5
    assert table.loc[("both", 100), "precision"] > table.loc[("probability", 100), "precision"]
    assert table.loc[("probability", 100), "precision"] > table.loc[("listed labels", 100), "precision"]


@pytest.mark.slow
def test_ranking_agrees_with_cleanlab_on_50_labels(demo: tuple[Path, FoldRuns]) -> None:
    """By the probability alone the order is cleanlab's self-confidence; with the listed labels it is more precise."""
    folder, runs = demo
    matrix = runs.labels.toarray().astype(bool)
    chosen = np.argsort(-matrix.sum(axis=0), kind="stable")[:50]
    p = np.zeros(matrix.shape, np.float32)
    for _, positions, batch in runs.score(np.arange(len(matrix))):
        p[positions] = batch
    listed = [np.flatnonzero(row).tolist() for row in matrix[:, chosen]]
    quality = get_label_quality_scores_per_class(listed, p[:, chosen].astype(np.float64))
    quality[matrix[:, chosen]] = np.inf  # only absent labels
    rows, columns = np.unravel_index(np.argsort(quality, axis=None, kind="stable")[:100], quality.shape)
    theirs = pd.DataFrame({"video": rows, "label": chosen[columns]})

    def ours(combination: Combination) -> pd.DataFrame:
        pairs = runs.rank(combination, 20_000)
        return pairs[pairs["label"].isin(chosen)].head(100)

    by_probability = ours(PROBABILITY_ONLY)
    lowest = by_probability["probability"].min()
    assert p[rows, chosen[columns]] == pytest.approx(by_probability["probability"].to_numpy(), abs=1e-6)
    without_ties = {pair for pair in zip(rows, chosen[columns], strict=True) if p[pair] > lowest + 1e-6}
    assert without_ties <= {*by_probability[["video", "label"]].itertuples(index=False, name=None)}
    missing = removed_labels(folder, runs.videos, 120)
    table = candidate_quality({"cleanlab": theirs, "ours": ours(runs.fit())}, missing, runs.labels, ks=(50, 100))
    precision = table.pivot(index="k", columns="ranking", values="precision")
    assert (precision["ours"] >= precision["cleanlab"]).all()
