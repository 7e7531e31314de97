"""What made a label's score, against what the equations and small changes of the frames say."""

from typing import Any

import numpy as np
import pytest
import torch

from yt8m_core.explain.attribution import why
from yt8m_core.inference.prediction import predict_video
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.models.classifier import VideoClassifier

C, T, D = 5, 7, 6
LABELS = label_matrix(
    np.array([0, 1, 0, 1, 2, 2, 3, 0, 4], np.int32), np.array([0, 2, 5, 7, 9], np.int64), C
)  # of four videos


def model(classification: tuple[str, dict[str, Any]], *, pooling: Any = ("mean", {}), **correlation: Any) -> Any:
    torch.manual_seed(0)
    built = VideoClassifier(
        streams=[("rgb", 4), ("audio", 2)],
        num_classes=C,
        pooling=pooling,
        classification=classification,
        label_processing=("correlation", correlation) if correlation else ("identity", {}),
    )
    built.fit_label_prior(LABELS)
    return built.eval().requires_grad_(False)


FRAMES = np.random.default_rng(1).integers(0, 256, (T, D)).astype(np.uint8)
MIXTURE = ("moe", {"experts": 3})


@pytest.mark.parametrize("classification", [MIXTURE, ("logistic", {})])
def test_scores_are_those_of_the_prediction(classification: Any) -> None:
    line = model(classification, beta=0.1, gamma=0.2)
    prediction = predict_video(line, FRAMES)
    for label in range(C):
        answer = why(line, FRAMES, label)
        assert answer.label == label
        assert answer.classified == pytest.approx(prediction.classified[label])
        assert answer.processed == pytest.approx(prediction.probabilities[label])


@pytest.mark.parametrize("dummy", [True, False])
def test_experts_parts_sum_to_the_probability(dummy: bool) -> None:
    answer = why(model(("moe", {"experts": 3, "dummy": dummy})), FRAMES, 2)
    assert answer.experts is not None
    assert answer.experts["expert"].tolist() == ([1, 2, 3, 0] if dummy else [1, 2, 3])
    assert answer.experts["gate"].sum() == pytest.approx(1)
    assert answer.experts["part"].sum() == pytest.approx(answer.classified)
    assert why(model(("logistic", {})), FRAMES, 2).experts is None


def test_partners_and_what_is_kept_sum_to_the_score() -> None:
    line = model(("logistic", {}), alpha=0.7, beta=0.1, gamma=0.2)
    before = predict_video(line, FRAMES).classified
    for label in range(C):
        answer = why(line, FRAMES, label)
        assert answer.partners is not None
        assert answer.kept == pytest.approx(0.7 * before[label])
        assert answer.kept + answer.partners["added"].sum() == pytest.approx(answer.processed)
        assert answer.partners["added"].is_monotonic_decreasing
        for row in answer.partners.itertuples():
            other = int(row.label)
            assert row.score == pytest.approx(before[other])
            matrix = line.label_processing.fixed[label, other].item()
            assert row.fixed == pytest.approx(0.1 * matrix * before[other])
            assert row.trained == pytest.approx(0.2 * matrix * before[other])  # M' starts as M


def test_partners_of_logits_sum_to_the_logit() -> None:
    answer = why(model(("logistic", {}), gamma=0.2, space="logit"), FRAMES, 1)
    assert answer.partners is not None
    logit = np.log(answer.processed / (1 - answer.processed))
    assert answer.kept + answer.partners["added"].sum() == pytest.approx(logit, abs=1e-5)


def test_partners_of_experts_sum_to_the_mean_of_their_logits_by_gate() -> None:
    line = model(MIXTURE, gamma=0.2, variant="authors")
    answer = why(line, FRAMES, 1)
    _, trace = line(torch.from_numpy(FRAMES)[None], torch.tensor([T]))
    log_gates, logits = trace.classified.mixture
    mixed = 0.8 * logits + line.label_processing.others(logits)
    expected = (log_gates[0, 1, :3].exp() * mixed[0, 1]).sum().item()
    assert answer.partners is not None
    assert answer.space == "expert_logit"
    assert answer.kept + answer.partners["added"].sum() == pytest.approx(expected, abs=1e-5)


def test_seconds_after_a_mean_and_a_logistic_layer_are_each_ones_share_of_the_logit() -> None:
    line = model(("logistic", {}))
    answer = why(line, FRAMES, 3)
    prepared, _ = line.prepare(torch.from_numpy(FRAMES)[None], torch.tensor([T]))
    weights = next(weight for name, weight in line.classification.named_parameters() if weight.shape == (C, D))
    assert answer.seconds is not None
    np.testing.assert_allclose(answer.seconds, (prepared[0] @ weights[3] / T).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "classification"),
    [
        (("indirect_clustering", {}), MIXTURE),
        (("lstm", {"width": 5}), ("logistic", {})),
        (("none", {}), ("many_to_many", {"width": 5})),
    ],
)
def test_seconds_are_what_the_log_odds_lose_when_one_fades(pooling: Any, classification: Any) -> None:
    line = model(classification, pooling=pooling, gamma=0.1).double()
    prepared, mask = line.prepare(torch.from_numpy(FRAMES)[None].double(), torch.tensor([T]))
    answer = why(line, FRAMES.astype(np.float64), 0)
    assert answer.seconds is not None
    assert answer.seconds.any()

    def odds(second: int, share: float) -> float:
        faded = prepared.clone()
        faded[0, second] *= 1 - share
        scores, _ = line.score(faded, mask)
        return float(scores.log_p[0, 0] - scores.log_not_p[0, 0])

    step = 1e-4
    expected = [(odds(second, -step) - odds(second, step)) / (2 * step) for second in range(T)]
    np.testing.assert_allclose(answer.seconds, expected, rtol=1e-3, atol=1e-6)


def test_video_of_one_row_has_no_seconds_and_nothing_is_left_behind_in_the_model() -> None:
    line = model(MIXTURE, gamma=0.2)
    assert why(line, FRAMES[:1], 0).seconds is None
    why(line, FRAMES, 0)
    assert all(weight.grad is None for weight in line.parameters())
