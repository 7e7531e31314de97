"""Attention study, attention sharpness, and occlusion against direct predictions of the model."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from yt8m_core.data.dataset import open_videos
from yt8m_core.demo import world as demo
from yt8m_core.explain import attention_metrics as metrics
from yt8m_core.explain import attention_study, occlusion
from yt8m_core.inference.prediction import predict_video
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.runs.run import Run

FRAMES = np.random.default_rng(0).integers(0, 256, (9, 6), np.uint8)


def model_of(
    pooling_name: str = "indirect_clustering", classification: str = "moe", **options: object
) -> VideoClassifier:
    torch.manual_seed(0)
    return VideoClassifier(
        streams=[("rgb", 4), ("audio", 2)],
        num_classes=5,
        pooling=(pooling_name, options),
        classification=(classification, {}),
        label_processing=("identity", {}),
    ).eval()


MODELS = {
    "indirect": lambda: model_of(scale=3.0),
    "mean": lambda: model_of("mean"),
    "lstm": lambda: model_of("lstm", width=4),
    "frames themselves": lambda: model_of("none", "many_to_many"),
}


@pytest.mark.parametrize("name", MODELS)
def test_predict_parts_equals_predictions_of_shortened_videos(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS[name]()
    parts = [np.arange(9), np.array([2]), np.array([0, 3, 4, 8]), np.arange(1, 9), np.array([7, 8])]
    expected = [predict_video(model, FRAMES[part]).probabilities for part in parts]
    np.testing.assert_allclose(occlusion.predict_parts(model, FRAMES, parts), expected, atol=1e-6)
    monkeypatch.setattr(occlusion, "MAX_BATCH_VALUES", 100)  # one part per batch
    np.testing.assert_allclose(occlusion.predict_parts(model, FRAMES, parts), expected, atol=1e-6)


def test_remove_top_removes_the_highest_weights_and_random_frames() -> None:
    model = MODELS["indirect"]()
    weights = np.array([0.1, 0.3, 0.05, 0.05, 0.3, 0.1, 0.05, 0.03, 0.02])
    removal = occlusion.remove_top_frames(model, FRAMES, weights, 3)
    assert removal.frames.tolist() == [0, 1, 4]  # the earlier of the two frames with weight 0.1
    np.testing.assert_allclose(removal.whole, predict_video(model, FRAMES).probabilities, atol=1e-6)
    rest = predict_video(model, FRAMES[[2, 3, 5, 6, 7, 8]]).probabilities
    np.testing.assert_allclose(removal.without_top, rest, atol=1e-6)
    np.testing.assert_allclose(removal.top_alone, predict_video(model, FRAMES[[0, 1, 4]]).probabilities, atol=1e-6)
    assert removal.without_random.shape == removal.random_alone.shape == (occlusion.DRAWS, 5)
    assert len(np.unique(removal.without_random, axis=0)) > 10  # different draws
    assert removal.drop([1, 3]) == pytest.approx((removal.whole - rest)[[1, 3]].mean(), abs=1e-6)
    expected = [(removal.whole - p)[[1, 3]].mean() for p in removal.without_random]
    np.testing.assert_allclose(removal.random_drops([1, 3]), expected, atol=1e-6)
    again = occlusion.remove_top_frames(model, FRAMES, weights, 3)
    np.testing.assert_array_equal(again.random_alone, removal.random_alone)


@pytest.mark.parametrize("width", [1, 4])
def test_leave_out_equals_predictions_without_each_window(width: int) -> None:
    model = MODELS["mean"]()
    result = occlusion.occlude_windows(model, FRAMES, width)
    assert result.starts.tolist() == list(range(0, 9, width))
    for start, p in zip(result.starts, result.without, strict=True):
        rest = np.concatenate([FRAMES[:start], FRAMES[start + width :]])
        np.testing.assert_allclose(p, predict_video(model, rest).probabilities, atol=1e-6)
    np.testing.assert_allclose(result.drops([2]), result.whole[2] - result.without[:, 2], atol=1e-6)
    assert result.without_random.shape == (occlusion.DRAWS, 5)
    possible = [np.delete(FRAMES, part, axis=0) for part in itertools.combinations(range(9), width)]
    predictions = np.stack([predict_video(model, rest).probabilities for rest in possible])
    for p in result.without_random:
        assert np.abs(predictions - p).max(axis=1).min() < 1e-6
    assert len(np.unique(result.without_random, axis=0)) > 5  # different draws
    np.testing.assert_allclose(result.random_drops([2]), result.whole[2] - result.without_random[:, 2], atol=1e-6)


def test_watched_labels_are_the_true_ones_and_the_best() -> None:
    p = np.array([0.1, 0.9, 0.3, 0.2, 0.05], np.float32)
    assert occlusion.labels_of_interest(p, [4, 1], num_predicted=2) == [1, 2, 4]
    assert occlusion.labels_of_interest(p, None, num_predicted=2) == [1, 2]
    assert occlusion.labels_of_interest(p, [0, 2, 3, 4], num_predicted=1, limit=3) == [
        2,
        3,
        0,
    ]  # true labels take precedence


def test_with_sharpness_equals_a_model_built_with_that_scale() -> None:
    for options in ({}, {"variant": "paper", "post": "ln_relu", "length_exponent": 0.5}):
        model = model_of(**options)
        before = predict_video(model, FRAMES)
        copy = attention_study.with_sharpness(model, 7.0)
        built = model_of(**options, scale=7.0)
        built.load_state_dict(model.state_dict())
        result, expected = predict_video(copy, FRAMES), predict_video(built, FRAMES)
        np.testing.assert_allclose(result.attention, expected.attention, atol=1e-6)
        np.testing.assert_allclose(result.probabilities, expected.probabilities, atol=1e-6)
        assert not np.allclose(result.attention, before.attention)
        after = predict_video(model, FRAMES)
        np.testing.assert_array_equal(after.attention, before.attention)
        assert (attention_study.sharpness(model), attention_study.sharpness(copy)) == (1.0, 7.0)
        shared = zip(model.parameters(), copy.parameters(), strict=True)
        assert all(first is second for first, second in shared)


def test_sharpness_finds_a_wrapped_pooling_and_is_none_otherwise() -> None:
    wrapped = model_of("adaptive_noise", pooling="indirect_clustering(scale=2.0)")
    assert attention_study.sharpness(wrapped) == 2.0
    even = predict_video(attention_study.with_sharpness(wrapped, 0.0), FRAMES).attention
    np.testing.assert_allclose(even, np.full(9, 1 / 9), atol=1e-6)
    assert attention_study.sharpness(wrapped) == 2.0
    assert attention_study.sharpness(model_of("mean")) is None
    assert attention_study.sharpness(model_of(variant="authors")) is None
    assert attention_study.sharpness(MODELS["frames themselves"]()) is None


def test_sample_videos_is_deterministic_and_bounded_by_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_study, "MAX_FRAMES", 100)
    lengths = np.full(50, 9)
    selected = attention_study.sample_videos(lengths)
    assert len(selected) == 11
    assert (np.diff(selected) > 0).all()
    assert (selected == attention_study.sample_videos(lengths)).all()
    assert len(attention_study.sample_videos(np.array([500]))) == 1


def test_study_of_the_demo_world_matches_each_video(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Run.open(demo_home / "runs" / "smoke-indirect-clustering-moe").load_model()
    videos = open_videos(demo_home / "smoke" / "validation")
    truth = demo.read_truth(demo_home / "smoke")["main_frames"]
    monkeypatch.setattr(attention_study, "BATCH", 5)
    progress: list[int] = []
    table = attention_study.study_attention(
        model,
        videos,
        3,
        scene=lambda id_, T: truth[id_] if id_ != videos.id(1) else None,
        progress=lambda what, done, total, note="": progress.append(done),
    )
    assert table["id"].tolist() == videos.ids
    assert progress[-1] == len(videos)
    for row in table.itertuples():
        frames = videos.frames(row.video)
        p = predict_video(model, frames).attention
        largest = metrics.k_means(attention_study.prepared_frames(model, frames), 3) == 0
        assert row.frames == len(frames)
        assert row.cluster_weight == pytest.approx(p[largest].sum(), abs=1e-4)
        assert row.cluster_share == pytest.approx(largest.mean())
        assert row.cluster_excess == pytest.approx(p[largest].sum() - largest.mean(), abs=1e-4)
        if row.video == 1:
            assert np.isnan([row.main_weight, row.main_auc, row.cluster_main]).all()
            continue
        main = np.zeros(len(frames), bool)
        for first, end in truth[row.id]:
            main[first:end] = True
        assert row.main_excess == pytest.approx(p[main].sum() - main.mean(), abs=1e-4)
        assert row.cluster_main == pytest.approx(main[largest].mean())
