"""The members of an inspection, compared with loops over the videos and with the functions that they stand for."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.pages import ATTENTION_RUN, MEAN_RUN
from tests.support.shards import vector, write
from yt8m_core import Inspection, figures
from yt8m_core.analysis.data_labels import count_labels, name_pairs
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.demo.world import read_truth
from yt8m_core.errors import UserError
from yt8m_core.explain.attention_study import study_attention
from yt8m_core.inference.prediction import predict_video

K = 5


@pytest.fixture(scope="module")
def data(demo_home: Path) -> Path:
    return demo_home / "smoke" / "validation"


@pytest.fixture(scope="module")
def view(demo_home: Path, data: Path) -> Inspection:
    return Inspection(demo_home / "runs" / ATTENTION_RUN, data)


@pytest.fixture
def unlabeled(tmp_path: Path) -> Path:
    return write(tmp_path / "a.tfrecord", vector(labels=None))


# --- the data set


def test_label_counts_are_those_of_a_loop(view: Inspection) -> None:
    counts = np.zeros(120, int)
    for video in range(len(view.videos)):
        counts[view.videos.labels(video)] += 1
    table = view.label_counts.set_index("label")
    assert table["count"].sort_index().tolist() == counts.tolist()
    assert view.names(table.index[:3].tolist()) == table["name"][:3].tolist()
    assert view.labels.num_videos == 32
    assert view.scale == "demo world"


def test_pairs_are_those_of_a_loop(view: Inspection) -> None:
    both = np.zeros((120, 120), int)
    for video in range(len(view.videos)):
        labels = view.videos.labels(video)
        both[np.ix_(labels, labels)] += 1
    assert (view.cooccurrence.toarray() == both).all()
    labels = view.label_counts["label"][:6].tolist()
    expected = both[np.ix_(labels, labels)].astype(float)
    expected[(expected < 3) & ~np.eye(6, dtype=bool)] = np.nan
    np.testing.assert_array_equal(view.pair_matrix(labels, "count", 3), expected)
    order = view.label_order.labels
    pooled = np.where(np.eye(len(order), dtype=bool) | (both[np.ix_(order, order)] < 3), 0, both[np.ix_(order, order)])
    np.testing.assert_array_equal(view.pooled_matrix("count", 3), pooled)  # one label per cell
    pairs = view.strongest_pairs("count", 3)
    assert set(zip(pairs["label_a"], pairs["label_b"], pairs["count"], strict=True)) <= {
        (a, b, both[a, b]) for a, b in np.argwhere(both >= 3)
    }
    assert len(pairs) == np.triu(both >= 3, 1).sum()
    label = int(pairs["label_a"].iloc[-1])
    of_label = view.strongest_pairs("count", 3, label)
    assert 0 < len(of_label) == (np.delete(both[label], label) >= 3).sum() < len(pairs)
    assert view.clusters["name"].tolist() == view.names(view.clusters["label"].tolist())


def test_data_without_labels_are_an_error(unlabeled: Path) -> None:
    with pytest.raises(UserError, match="no video has labels"):
        _ = Inspection(None, unlabeled).labels
    with pytest.raises(UserError, match="no video has labels"):
        count_labels(open_videos(unlabeled), unlabeled)


def test_data_that_do_not_fit_the_run_have_labels_but_no_scores(demo_home: Path, tmp_path: Path) -> None:
    shard = write(tmp_path / "a.tfrecord", vector(labels=(0, 2)))
    view = Inspection(demo_home / "runs" / MEAN_RUN, shard)
    assert view.label_counts["count"].sum() == 2
    with pytest.raises(UserError, match="which run"):
        _ = view.scores
    # Counted here: the run has other labels.
    pd.testing.assert_frame_equal(view.noise_table(), Inspection(None, shard).noise_table())


def test_pairs_are_named() -> None:
    table = pd.DataFrame({"label_a": [1, 0], "label_b": [0, 1], "count": [3, 4]}, index=[7, 5])
    named = name_pairs(table, Vocabulary(("Car", "Toy"), ("", "")))
    assert list(named) == ["a", "b", *table]
    assert named.loc[7, ["a", "b", "count"]].tolist() == ["Toy", "Car", 3]
    assert name_pairs(table[:0], Vocabulary(("Car", "Toy"), ("", ""))).empty


# --- the run


def test_noise_is_counted_on_the_training_videos_of_the_run(demo_home: Path, data: Path) -> None:
    train = open_videos(demo_home / "smoke" / "train")
    counts = np.zeros(120, int)
    for video in range(len(train)):
        counts[train.labels(video)] += 1
    table = Inspection(demo_home / "runs" / MEAN_RUN, data).noise_table(2.0).set_index("label")
    seen = counts > 0
    np.testing.assert_allclose(table["alone"].sort_index()[seen], 2 / counts[seen], rtol=1e-6)


def test_pair_calibration_sums_products_of_probabilities(view: Inspection) -> None:
    table = view.pair_calibration([4, 16], (16, 28))
    assert table[["label_a", "label_b"]].to_numpy().tolist() == [[4, 16], [16, 28]]
    p, truth = view.scores.probabilities, view.scores.truth.toarray()
    for row in table.itertuples():
        assert row.observed == (truth[:, row.label_a] * truth[:, row.label_b]).sum()
        assert row.expected == pytest.approx(sum(float(v[row.label_a]) * float(v[row.label_b]) for v in p), rel=1e-5)
    assert table["a"].tolist() == view.names([4, 16])


def test_gap_by_beta_and_thresholds_are_of_the_scores(view: Inspection) -> None:
    gap = view.run.metrics["validation"]["gap"]
    curve = view.mixing_terms.gap_by_beta([0.0, 0.5])
    assert curve["beta"].tolist() == [0.0, 0.5]
    assert curve["gap"].tolist() == pytest.approx([gap, view.mixing_terms.gap(1, 0.5, 0)])
    assert curve["gap"][0] != curve["gap"][1]
    assert view.threshold_counts.at(0.0).predicted == 32 * 120
    assert view.threshold_counts.at(0.5).predicted == (view.scores.probabilities >= 0.5).sum()


def test_a_run_without_a_correlation_matrix_is_an_error(view: Inspection) -> None:
    with pytest.raises(UserError, match=r"label processing 'Identity'.*expected correlation"):
        view.pair_matrix([1, 2], "trained", 1)


def test_a_run_is_required_for_scores(data: Path) -> None:
    view = Inspection(None, data)
    assert len(view.label_counts) == 120
    with pytest.raises(UserError, match=r"Inspection\(None, .*no run.*expected a run folder"):
        _ = view.label_table


# --- videos


@pytest.fixture(scope="module", params=[0, 7])
def position(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_video_has_its_prediction_and_truth(view: Inspection, position: int, demo_home: Path) -> None:
    videos = open_videos(view.data)
    video = view.video(videos.id(position))
    expected = predict_video(view.run.load_model(), videos.frames(position))
    np.testing.assert_array_equal(video.prediction.probabilities, expected.probabilities)
    assert video.true_labels == videos.labels(position).tolist()
    assert video.ranking["label"][video.ranking["true"]].sort_values().tolist() == sorted(video.true_labels)
    truth = read_truth(demo_home / "smoke")["main_frames"][video.id]
    assert [list(interval) for interval in video.main_scene or ()] == truth
    T = len(video.frames)
    assert len(video.similarity.cosine) == len(video.clusters(K)) == T
    assert video.sharpened(0.0).weights == pytest.approx(np.full(T, 1 / T))


def test_parts_are_predictions_of_some_frames(view: Inspection, position: int) -> None:
    video = view.video(view.videos.id(position))
    frames, T = video.frames, len(video.frames)

    def predicted(kept: list[int]) -> np.ndarray:
        return predict_video(view.model, frames[kept]).probabilities

    top = sorted(range(T), key=lambda second: (-video.prediction.weights[second], second))[:3]
    parts = video.top_parts(3)
    np.testing.assert_allclose(parts["without_top"], predicted([t for t in range(T) if t not in top]), atol=1e-5)
    np.testing.assert_allclose(parts["top_alone"], predicted(sorted(top)), atol=1e-5)
    one = video.second_parts(2)
    np.testing.assert_allclose(one["alone"], predicted([2]), atol=1e-5)
    np.testing.assert_allclose(one["without"], predicted([t for t in range(T) if t != 2]), atol=1e-5)
    table = video.part_table(one)
    assert set(video.true_labels or ()) <= set(table["label"])
    for row in table.itertuples():
        assert (row.whole, row.true) == (video.prediction.probabilities[row.label], row.label in video.true_labels)
        assert row.name == view.run.vocabulary.name(row.label)
    drops = video.window_drops(4)
    assert drops["start"].tolist() == list(range(0, T, 4))
    assert drops["end"].iloc[-1] == T
    for row in drops.itertuples():
        rest = predicted([t for t in range(T) if not row.start <= t < row.end])
        drop = np.mean([video.prediction.probabilities[label] - rest[label] for label in video.true_labels])
        assert row.drop == pytest.approx(drop, abs=1e-5)


def test_attention_study_knows_the_main_scenes(view: Inspection) -> None:
    table = view.attention_study(K)
    assert table["main_share"].notna().all()
    plain = study_attention(view.model, view.run_videos, K)
    pd.testing.assert_frame_equal(table.iloc[:, :7], plain.iloc[:, :7])
    assert figures.attention_excess(table, scale=view.scale).data


def test_contributions_are_those_of_the_label(view: Inspection) -> None:
    video = view.video(view.videos.id(0))
    assert video.attribution(4).processed == pytest.approx(video.prediction.probabilities[4], rel=1e-5)
    assert video.label_contributions(4) is None  # the label processing is the identity


def test_unknown_video_is_an_error(view: Inspection) -> None:
    with pytest.raises(UserError, match="no video 'none'"):
        view.video("none")
