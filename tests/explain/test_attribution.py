"""Attribution against the equations and finite differences."""

from typing import Any

import numpy as np
import pytest
import torch

from yt8m_core.explain.attribution import attribute_label
from yt8m_core.inference.prediction import predict_video
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.label_prior import fit_label_prior

C, T, D = 5, 7, 6
LABELS = label_matrix(
    np.array([0, 1, 0, 1, 2, 2, 3, 0, 4], np.int32), np.array([0, 2, 5, 7, 9], np.int64), C
)  # four videos


def model(classification: tuple[str, dict[str, Any]], *, pooling: Any = ("mean", {}), **correlation: Any) -> Any:
    torch.manual_seed(0)
    built = VideoClassifier(
        streams=[("rgb", 4), ("audio", 2)],
        num_classes=C,
        pooling=pooling,
        classification=classification,
        label_processing=("correlation", correlation) if correlation else ("identity", {}),
    )
    fit_label_prior(built, LABELS)
    return built.eval().requires_grad_(False)


FRAMES = np.random.default_rng(1).integers(0, 256, (T, D)).astype(np.uint8)
MIXTURE = ("moe", {"experts": 3})


@pytest.mark.parametrize("classification", [MIXTURE, ("logistic", {})])
def test_scores_match_the_prediction(classification: Any) -> None:
    net = model(classification, beta=0.1, gamma=0.2)
    prediction = predict_video(net, FRAMES)
    for label in range(C):
        attribution = attribute_label(net, FRAMES, label)
        assert attribution.label == label
        assert attribution.classified == pytest.approx(prediction.classified[label])
        assert attribution.processed == pytest.approx(prediction.probabilities[label])


@pytest.mark.parametrize("dummy", [True, False])
def test_expert_contributions_sum_to_the_probability(dummy: bool) -> None:
    attribution = attribute_label(model(("moe", {"experts": 3, "dummy": dummy})), FRAMES, 2)
    assert attribution.experts is not None
    assert attribution.experts["expert"].tolist() == ([1, 2, 3, 0] if dummy else [1, 2, 3])
    assert attribution.experts["gate"].sum() == pytest.approx(1)
    assert attribution.experts["contribution"].sum() == pytest.approx(attribution.classified)
    assert attribute_label(model(("logistic", {})), FRAMES, 2).experts is None


def test_label_contributions_sum_to_the_score() -> None:
    net = model(("logistic", {}), alpha=0.7, beta=0.1, gamma=0.2, space="prob")
    before = predict_video(net, FRAMES).classified
    for label in range(C):
        attribution = attribute_label(net, FRAMES, label)
        assert attribution.label_contributions is not None
        assert attribution.own_contribution == pytest.approx(0.7 * before[label])
        assert attribution.own_contribution + attribution.label_contributions["added"].sum() == pytest.approx(
            attribution.processed
        )
        assert attribution.label_contributions["added"].is_monotonic_decreasing
        for row in attribution.label_contributions.itertuples():
            other = int(row.label)
            assert row.score == pytest.approx(before[other])
            matrix = net.label_processing.fixed[label, other].item()
            assert row.fixed == pytest.approx(0.1 * matrix * before[other])
            assert row.trained == pytest.approx(0.2 * matrix * before[other])  # M' starts as M


def test_label_contributions_of_an_average_sum_to_the_score() -> None:
    net = model(("logistic", {}), beta=0.3, gamma=0.2, space="average")
    before = predict_video(net, FRAMES).classified
    attribution = attribute_label(net, FRAMES, 1)
    assert attribution.label_contributions is not None
    assert attribution.own_contribution == pytest.approx(before[1] / 1.5)
    assert attribution.own_contribution + attribution.label_contributions["added"].sum() == pytest.approx(
        attribution.processed
    )
    for row in attribution.label_contributions.itertuples():
        matrix = net.label_processing.trained_matrix[1, int(row.label)].item()
        assert row.trained == pytest.approx(0.2 / 1.5 * matrix * before[int(row.label)])


def test_label_contributions_in_logit_space_sum_to_the_logit() -> None:
    attribution = attribute_label(model(("logistic", {}), gamma=0.2), FRAMES, 1)
    assert attribution.label_contributions is not None
    logit = np.log(attribution.processed / (1 - attribution.processed))
    assert attribution.own_contribution + attribution.label_contributions["added"].sum() == pytest.approx(
        logit, abs=1e-5
    )


def test_label_contributions_in_expert_space_sum_to_the_gated_mean_logit() -> None:
    net = model(MIXTURE, gamma=0.2, variant="authors")
    attribution = attribute_label(net, FRAMES, 1)
    _, trace = net(torch.from_numpy(FRAMES)[None], torch.tensor([T]))
    log_gates, logits = trace.raw_scores.mixture
    mixed = 0.8 * logits + net.label_processing.correlation_terms(logits)
    expected = (log_gates[0, 1, :3].exp() * mixed[0, 1]).sum().item()
    assert attribution.label_contributions is not None
    assert attribution.space == "expert_logit"
    assert attribution.own_contribution + attribution.label_contributions["added"].sum() == pytest.approx(
        expected, abs=1e-5
    )


def test_second_contributions_are_exact_for_a_linear_model() -> None:
    net = model(("logistic", {}))
    attribution = attribute_label(net, FRAMES, 3)
    prepared, _ = net.preprocess(torch.from_numpy(FRAMES)[None], torch.tensor([T]))
    weights = next(weight for name, weight in net.classification.named_parameters() if weight.shape == (C, D))
    assert attribution.second_contributions is not None
    np.testing.assert_allclose(attribution.second_contributions, (prepared[0] @ weights[3] / T).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "classification"),
    [
        (("indirect_clustering", {}), MIXTURE),
        (("lstm", {"width": 5}), ("logistic", {})),
        (("none", {}), ("many_to_many", {"width": 5})),
    ],
)
def test_second_contributions_match_finite_differences(pooling: Any, classification: Any) -> None:
    net = model(classification, pooling=pooling, gamma=0.1).double()
    prepared, mask = net.preprocess(torch.from_numpy(FRAMES)[None].double(), torch.tensor([T]))
    attribution = attribute_label(net, FRAMES.astype(np.float64), 0)
    assert attribution.second_contributions is not None
    assert attribution.second_contributions.any()

    def log_odds(second: int, share: float) -> float:
        scaled = prepared.clone()
        scaled[0, second] *= 1 - share
        scores, _ = net.score(scaled, mask)
        return float(scores.log_p[0, 0] - scores.log_not_p[0, 0])

    step = 1e-4
    expected = [(log_odds(second, -step) - log_odds(second, step)) / (2 * step) for second in range(T)]
    np.testing.assert_allclose(attribution.second_contributions, expected, rtol=1e-3, atol=1e-6)


def test_video_level_records_have_no_second_contributions_and_no_gradients_remain() -> None:
    net = model(MIXTURE, gamma=0.2)
    assert attribute_label(net, FRAMES[:1], 0).second_contributions is None
    attribute_label(net, FRAMES, 0)
    assert all(weight.grad is None for weight in net.parameters())
