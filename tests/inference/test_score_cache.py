"""Cached scores of a run, and the analyses of them, against slow reference implementations."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

from yt8m_core.analysis.ensembling import average_runs
from yt8m_core.analysis.label_mixing import mixing_terms
from yt8m_core.analysis.per_label import label_precision, true_ranks
from yt8m_core.analysis.per_video import video_difficulty
from yt8m_core.analysis.thresholds import THRESHOLDS, expected_cooccurrence, threshold_counts
from yt8m_core.errors import UserError
from yt8m_core.inference import score_cache as module
from yt8m_core.inference.evaluation import open_run_data
from yt8m_core.inference.prediction import predict_video
from yt8m_core.inference.sampling import sample_videos
from yt8m_core.inference.score_cache import CachedScores, load_scores
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.metrics.sparse import sparse_gap
from yt8m_core.metrics.top_k import global_average_precision
from yt8m_core.models.label_processing.correlation import Correlation
from yt8m_core.runs.run import Run


def make_scores(probabilities: np.ndarray, truth: np.ndarray) -> CachedScores:
    p = np.asarray(probabilities, np.float32)
    return CachedScores("a", np.arange(len(p)), len(p), p, p, csr_array(truth.astype(np.int32)))


@st.composite
def cases(draw: st.DrawFn) -> tuple[CachedScores, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 5)))
    # Few values, so that scores tie and equal thresholds.
    p = draw(arrays.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.07, 0.29, 0.5, 0.57, 0.995, 1.0])))
    truth = draw(arrays.arrays(np.bool_, shape))
    return make_scores(p, truth), truth


@pytest.fixture
def run(demo_home: Path) -> Run:
    return Run.open(demo_home / "runs" / "smoke-mean-mlp")


class TestCachedScores:
    def test_run_without_weights_is_an_error(self, run: Run, tmp_path: Path) -> None:
        videos = open_run_data(run, run.experiment.data.validation)
        with pytest.raises(UserError, match="has no trained weights"):
            load_scores(replace(run, path=tmp_path), videos)

    def test_scores_equal_the_model_output_and_are_cached(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("YT8M_HOME", str(tmp_path))
        videos = open_run_data(run, run.experiment.data.validation)
        reports: list[tuple[int, int]] = []
        first = load_scores(run, videos, progress=lambda task, done, total, note="": reports.append((done, total)))
        assert reports[-1] == (32, 32)
        assert not first.is_sample
        model = run.load_model()
        for video in (0, 7, 31):
            expected = predict_video(model, videos.frames(video)).probabilities
            row = first.row(video)
            assert row is not None
            np.testing.assert_allclose(first.probabilities[row], expected, rtol=1e-4, atol=1e-6)
            assert first.truth[[row]].indices.tolist() == videos.labels(video).tolist()
        assert sparse_gap(first.probabilities, first.truth) == pytest.approx(run.metrics["validation"]["gap"], abs=1e-9)
        assert first.classified.shape == first.probabilities.shape
        monkeypatch.setattr(Run, "load_model", lambda self: pytest.fail("computed again"))
        assert np.array_equal(load_scores(run, videos).probabilities, first.probabilities)

    def test_subset_has_scores_of_its_own(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("YT8M_HOME", str(tmp_path))
        videos = open_run_data(run, run.experiment.data.validation)
        whole = load_scores(run, videos).probabilities
        for positions in ([31, 0, 7], [7, 31, 0]):
            scored = load_scores(run, videos.subset(np.array(positions)))
            np.testing.assert_allclose(scored.probabilities, whole[positions], rtol=1e-4, atol=1e-6)
        assert np.array_equal(load_scores(run, videos).probabilities, whole)

    def test_damaged_file_is_replaced(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("YT8M_HOME", str(tmp_path))
        videos = open_run_data(run, run.experiment.data.validation)
        before = np.array(load_scores(run, videos).probabilities)
        (file,) = (tmp_path / "scored").iterdir()
        file.write_bytes(file.read_bytes()[:1000])
        assert np.array_equal(load_scores(run, videos).probabilities, before)

    def test_large_data_have_a_fixed_sample_and_old_files_are_evicted(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("YT8M_HOME", str(tmp_path))
        monkeypatch.setattr(module, "MAX_SCORES", run.facts.num_classes * 10)
        cache = replace(module.CACHE, max_bytes=run.facts.num_classes * 10 * 4 + 1000)
        monkeypatch.setattr(module, "CACHE", cache)
        for split in (run.experiment.data.train, run.experiment.data.validation):
            videos = open_run_data(run, split)
            sample = load_scores(run, videos)
            assert sample.is_sample
            assert sample.videos.tolist() == sorted(set(sample.videos.tolist()))
            assert len(sample.videos) == 10
            assert len(list((tmp_path / "scored").iterdir())) == 1
            left_out = next(video for video in range(len(videos)) if video not in sample.videos)
            assert sample.row(left_out) is None
            assert sample.row(int(sample.videos[3])) == 3
            np.testing.assert_array_equal(load_scores(run, videos).videos, sample.videos)
            del sample  # a file in use is not evicted

    def test_unlabeled_videos_are_excluded(self) -> None:
        labeled = np.array([False, True, True, False, True])
        assert sample_videos(labeled, 9).tolist() == [1, 2, 4]
        assert set(sample_videos(labeled, 2).tolist()) < {1, 2, 4}

    @given(cases())
    def test_gap_of_sparse_labels_equals_that_of_dense_labels(self, case: tuple[CachedScores, np.ndarray]) -> None:
        scores, truth = case
        if truth.any():
            expected = global_average_precision(scores.probabilities, truth)
            assert sparse_gap(scores.probabilities, scores.truth) == pytest.approx(expected, abs=1e-12)


class TestAnalyses:
    @given(cases())
    def test_label_precision_is_the_expectation_over_orders_of_ties(
        self, case: tuple[CachedScores, np.ndarray]
    ) -> None:
        scores, truth = case
        table = label_precision(scores)
        for label in range(truth.shape[1]):
            p, true = scores.probabilities[:, label], truth[:, label]
            assert table["positives"][label] == true.sum()
            if not true.any():
                assert np.isnan(table["ap"][label])
                continue
            # The AP of a label is GAP@1 of videos with that label alone.
            expected = global_average_precision(p[:, None], true[:, None], k=1)
            assert table["ap"][label] == pytest.approx(expected, abs=1e-12)

    @given(cases())
    def test_ranks_and_difficulty_equal_those_of_a_sorted_list(self, case: tuple[CachedScores, np.ndarray]) -> None:
        scores, truth = case
        ranks, videos = true_ranks(scores), video_difficulty(scores)
        assert len(ranks) == truth.sum()
        for row, (p, true) in enumerate(zip(scores.probabilities, truth, strict=True)):
            order = sorted(range(len(p)), key=lambda label: (-p[label], label))
            places = [place for place, label in enumerate(order, 1) if true[label]]
            video_ranks = ranks[ranks["row"] == row].set_index("label")["rank"].to_dict()
            assert video_ranks == {label: order.index(label) + 1 for label in np.flatnonzero(true)}
            if not places:
                assert np.isnan(videos["ap"][row])
                continue
            assert videos["worst_rank"][row] == places[-1]
            assert videos["labels"][row] == len(places)
            assert videos["ap"][row] == pytest.approx(np.mean([n / place for n, place in enumerate(places, 1)]))

    @given(cases(), st.sampled_from(THRESHOLDS.tolist()))
    def test_counts_at_a_threshold(self, case: tuple[CachedScores, np.ndarray], threshold: float) -> None:
        scores, truth = case
        counts = threshold_counts(scores)
        above = scores.probabilities >= np.float32(threshold)
        for label, columns in ((None, slice(None)), (0, slice(0, 1))):
            at = counts.at(threshold, label)
            hits = int((above & truth)[:, columns].sum())
            predicted, positives = int(above[:, columns].sum()), int(truth[:, columns].sum())
            assert (at.predicted, at.hits, at.positives) == (predicted, hits, positives)
            np.testing.assert_allclose(at.precision, hits / predicted if predicted else np.nan)
            np.testing.assert_allclose(at.recall, hits / positives if positives else np.nan)
            if predicted and positives and hits:
                assert at.f1 == pytest.approx(2 / (1 / at.precision + 1 / at.recall))
        assert counts.curve()["predicted"].is_monotonic_decreasing

    def test_expected_pairs(self) -> None:
        p = np.random.default_rng(0).random((9, 4))
        together = expected_cooccurrence(make_scores(p, p > 0.5), np.array([2, 0]))
        for i, a in enumerate((2, 0)):
            for j, b in enumerate((2, 0)):
                expected = sum(p[v, a] * (p[v, b] if a != b else 1) for v in range(9))
                assert together[i, j] == pytest.approx(expected, rel=1e-5)


class TestLabelMixing:
    @pytest.mark.parametrize("weights", [(1.0, 0.0, 0.0), (1.0, 0.1, 0.0), (0.9, 0.1, 0.3)])
    def test_mixing_equals_the_slot(self, weights: tuple[float, float, float]) -> None:
        from yt8m_core.models.outputs import Scores

        random = np.random.default_rng(1)
        truth = random.random((40, 30)) < 0.1
        scores = make_scores(random.random((40, 30)), truth)
        offsets = np.append(0, truth.sum(axis=1).cumsum())
        labels = label_matrix(np.nonzero(truth)[1], offsets, 30)
        alpha, beta, gamma = weights
        slot = Correlation(30, alpha=alpha, beta=beta, gamma=gamma, space="prob")
        slot.fit_label_prior(labels)
        fixed_slot = Correlation(30, beta=1)
        fixed_slot.fit_label_prior(labels)
        assert fixed_slot.fixed is not None
        trained = np.eye(30, dtype=np.float32)
        if slot.trained is not None:
            slot.trained.data = torch.from_numpy(trained)
        terms = mixing_terms(scores, fixed_slot.fixed.numpy(), trained)
        p = torch.from_numpy(scores.probabilities)
        with torch.no_grad():
            expected = slot(Scores.from_logits(torch.logit(p.double(), 1e-9).float(), p)).p.numpy()
        np.testing.assert_allclose(terms.scores(*weights), expected, atol=1e-5)
        assert terms.gap(*weights) == pytest.approx(sparse_gap(terms.scores(*weights), scores.truth))

    def test_average_and_diversity_of_runs(self) -> None:
        random = np.random.default_rng(2)
        truth = random.random((50, 25)) < 0.1
        first, second = (make_scores(random.random((50, 25)), truth) for _ in range(2))
        answer = average_runs({"first": first, "second": second}, [3, 1])
        mean = 0.75 * first.probabilities + 0.25 * second.probabilities
        assert answer.gap == pytest.approx(sparse_gap(mean, first.truth), abs=1e-6)
        assert answer.members["gap"].tolist() == [
            sparse_gap(part.probabilities, first.truth) for part in (first, second)
        ]
        assert answer.pairs[["member_a", "member_b"]].to_numpy().tolist() == [["first", "second"]]
        assert answer.videos == 50
        assert average_runs({"first": first}).gap == pytest.approx(answer.members["gap"][0])

    def test_members_that_do_not_fit_are_refused(self) -> None:
        first = make_scores(np.full((2, 3), 0.5), np.eye(2, 3))
        with pytest.raises(UserError, match="other videos or labels of run 'b'"):
            average_runs({"a": first, "b": make_scores(np.full((2, 4), 0.5), np.eye(2, 4))})
        with pytest.raises(UserError, match="no member"):
            average_runs({})
