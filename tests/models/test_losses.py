"""Losses against imbalance and missing labels: limits, reductions to the cross entropy, priors and extreme logits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_array
from torch import Tensor, nn

from tests.support.slot_cases import ARGUMENTS, LABELS, OPTIONS, REFERENCES, Options, cases, make_method, sigmoid
from tests.support.tiny import tiny_experiment
from yt8m_core.errors import UserError
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.models.label_prior import fit_label_prior
from yt8m_core.models.losses.base import PerClassLoss
from yt8m_core.models.losses.class_balanced import ClassBalanced
from yt8m_core.models.losses.logit_adjusted import log_prior_odds
from yt8m_core.models.outputs import Scores
from yt8m_core.models.registry import SLOTS, build
from yt8m_core.models.slot import Slot
from yt8m_core.training.loop import train

NAMES = [name for name, method in SLOTS["loss"].items() if issubclass(method, PerClassLoss)]
C = ARGUMENTS["loss"]["num_classes"]
per_class_cases = pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in NAMES for options in OPTIONS[name]]
)
NO_REWEIGHTING = {"alpha": 0.5, "beta": 0.0, "kappa": 0.0, "negative_scale": 1.0}
EQUAL_LABELS = label_matrix([0, 1, 2, 3, 2, 1, 3, 0], [0, 2, 4, 6, 8], C)  # two videos each


def build_loss(name: str, labels: csr_array | None = None, **options: Any) -> Any:
    loss = build("loss", name, options, **ARGUMENTS["loss"])
    if labels is not None:
        fit_label_prior(loss, labels)
    return loss


def scores_of(logits: Tensor) -> Scores:
    return Scores.from_logits(logits, logits)


def batch(dtype: torch.dtype = torch.float32, videos: int = 5) -> tuple[Scores, Tensor]:
    """Return scores and binary targets; video 0 has no label and the last one all."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(videos, C, generator=generator, dtype=dtype)
    targets = (torch.rand(videos, C, generator=generator) < 0.4).to(dtype)
    targets[0], targets[-1] = 0, 1
    return scores_of(logits), targets


def one_class(logit: float, name: str, target: float, **options: Any) -> tuple[float, float]:
    """Return loss and gradient of one class with a logit; labels of all classes are equally frequent."""
    logits = torch.full((1, C), logit, dtype=torch.float64, requires_grad=True)
    loss = build_loss(name, **options).double().per_class(scores_of(logits), torch.full((1, C), target))
    loss.sum().backward()
    assert logits.grad is not None
    return loss[0, 0].item(), logits.grad[0, 0].item()


@cases("loss")
def test_gradients_are_finite_for_extreme_scores(slot: str, name: str, options: Options) -> None:
    """Logits of ±200, directly and as all combinations of two experts and three gates, with each kind of target."""
    loss = make_method(slot, name, options, torch.float32)
    logits = torch.tensor([[-200.0, 200.0, -30.0, 30.0]]).expand(3, C).clone().requires_grad_()
    signs = torch.cartesian_prod(*[torch.tensor([-200.0, 200.0])] * 5)  # [32, 5]
    gates, experts = (
        part.reshape(-1, C, part.shape[1]).requires_grad_() for part in (signs[:, :3].clone(), signs[:, 3:].clone())
    )
    for inputs, scores in (
        ([logits], scores_of(logits)),
        ([gates, experts], Scores.from_mixture(gates, experts, signs.reshape(8, 20)[:, :C])),
    ):
        for target in (0.0, 0.4, 1.0):
            total, _ = loss(scores, torch.full_like(scores.log_p, target))
            assert total.isfinite()
            for gradient in torch.autograd.grad(total, inputs, retain_graph=True):
                assert gradient.isfinite().all(), target


@per_class_cases
def test_float32_keeps_the_digits_of_extreme_scores(name: str, options: Options) -> None:
    logits = torch.tensor([-60.0, -25, -8, -1, 0.5, 2, 8, 25, 60])[:, None].expand(-1, C)
    for target in (0.0, 1.0):
        single, double = (
            make_method("loss", name, options, dtype).per_class(
                scores_of(logits.to(dtype)), torch.full(logits.shape, target, dtype=dtype)
            )
            for dtype in (torch.float32, torch.float64)
        )
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-30)


@per_class_cases
def test_soft_targets_match_the_slow_reference(name: str, options: Options) -> None:
    logits = batch(torch.float64)[0].embedding
    targets = torch.rand(logits.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    total, _ = make_method("loss", name, options)(scores_of(logits), targets)
    expected = REFERENCES[name](sigmoid(logits.numpy()), targets.numpy(), options)
    assert total.item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_autocast_changes_nothing(name: str) -> None:
    loss, (scores, targets) = build_loss(name, LABELS), batch()
    expected = loss.per_class(scores, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, parts = loss(scores, targets)
        assert torch.equal(loss.per_class(scores, targets), expected)
    assert total.dtype == torch.float32
    assert all(part.dtype == torch.float32 for part in parts.values())


@pytest.mark.parametrize("name", NAMES)
def test_parts_are_the_loss_and_the_plain_cross_entropy(name: str) -> None:
    scores, targets = batch()
    total, parts = build_loss(name, LABELS)(scores, targets)
    assert parts.keys() == {name, "cross_entropy"}
    assert torch.equal(parts[name], total)
    assert torch.equal(parts["cross_entropy"], build_loss("cross_entropy")(scores, targets)[0])
    assert not torch.isclose(total, parts["cross_entropy"])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "options", "labels"),
    [
        ("focal", {"gamma": 0.0}, LABELS),
        ("asymmetric", {"gamma_neg": 0.0, "gamma_pos": 0.0, "margin": 0.0}, LABELS),
        ("class_balanced", {"beta": 0.0}, LABELS),
        ("class_balanced", {"beta": 0.999}, EQUAL_LABELS),
        ("class_balanced", {"beta": 0.999}, None),
        ("class_balanced", {"beta": 0.999}, label_matrix([], [0, 0, 0], C)),
        ("logit_adjusted", {"tau": 0.0}, LABELS),
        ("logit_adjusted", {"tau": 1.0}, EQUAL_LABELS),  # each label in half of the videos
        ("logit_adjusted", {"tau": 1.0}, None),
        ("distribution_balanced", NO_REWEIGHTING, LABELS),
        ("distribution_balanced", {**NO_REWEIGHTING, "kappa": 0.5}, EQUAL_LABELS),
        ("distribution_balanced", {**NO_REWEIGHTING, "kappa": 0.5}, None),
    ],
)
def test_reductions_to_the_cross_entropy(name: str, options: Options, labels: csr_array | None, training: bool) -> None:
    scores, targets = batch()
    loss, cross_entropy = build_loss(name, labels, **options).train(training), build_loss("cross_entropy")
    if name in ("focal", "asymmetric") or options == {"beta": 0.0}:
        assert torch.equal(loss(scores, targets)[0], cross_entropy(scores, targets)[0])
        assert torch.equal(loss.per_class(scores, targets), cross_entropy.per_class(scores, targets))
    else:
        torch.testing.assert_close(loss.per_class(scores, targets), cross_entropy.per_class(scores, targets))


def test_hill_without_focus_and_margin_is_the_cross_entropy_of_positives() -> None:
    loss, scores = build_loss("hill", gamma=0.0, margin=0.0), batch()[0]
    torch.testing.assert_close(loss.per_class(scores, torch.ones_like(scores.log_p)), -scores.log_p)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_asymmetric_with_equal_focus_is_the_focal_loss(gamma: float) -> None:
    scores, targets = batch()
    asymmetric = build_loss("asymmetric", gamma_neg=gamma, gamma_pos=gamma, margin=0.0)
    assert torch.equal(
        asymmetric.per_class(scores, targets), build_loss("focal", gamma=gamma).per_class(scores, targets)
    )


def test_focal_weights_of_the_paper() -> None:
    """With γ = 2, an example with p = 0.9 costs 100 times less than its cross entropy (section 3.2)."""
    loss, _ = one_class(np.log(9), "focal", 1.0)
    assert loss == pytest.approx(-np.log(0.9) / 100)


@pytest.mark.parametrize("gamma_neg", [0.0, 0.5, 1.0, 4.0])
def test_asymmetric_ignores_negatives_below_the_margin(gamma_neg: float) -> None:
    options = {"gamma_neg": gamma_neg, "margin": 0.05}
    for p in (1e-9, 0.01, 0.0499):
        assert one_class(np.log(p / (1 - p)), "asymmetric", 0.0, **options) == (0, 0)
    loss, gradient = one_class(np.log(0.06 / 0.94), "asymmetric", 0.0, **options)
    assert loss == pytest.approx(-(0.01**gamma_neg) * np.log(0.99))
    assert gradient > 0


@pytest.mark.parametrize("p", [0.01, 0.2, 0.5, 0.8, 0.999])
def test_hill_gradient_of_negatives(p: float) -> None:
    """It is 3p²(1-p)²: largest at p = 0.5, and near 0 for a confident negative, a probably missing label."""
    _, gradient = one_class(np.log(p / (1 - p)), "hill", 0.0)
    assert gradient == pytest.approx(3 * p**2 * (1 - p) ** 2)


def test_class_balanced_weights_average_one_over_the_training_pairs() -> None:
    labels = label_matrix([0] * 900 + [1] * 90 + [2] * 10, np.arange(1001), C)  # label 3 has no video
    for beta in (0.5, 0.9, 0.9999):
        weights = build_loss("class_balanced", labels, beta=beta).weights.double().numpy()
        assert np.average(weights, weights=[900, 90, 10, 0]) == pytest.approx(1)
        assert (np.diff(weights) >= 0).all()
        assert weights[3] / weights[0] <= 1 / (1 - beta)
        assert weights[3] / weights[2] == pytest.approx((1 - beta**10) / (1 - beta))  # as if it had one video
    inverse = build_loss("class_balanced", labels, beta=1 - 1e-9).weights
    torch.testing.assert_close(inverse[:3] * torch.tensor([900.0, 90, 10]), torch.full((3,), 1000 / 3))


def test_class_balanced_weights_only_positives() -> None:
    loss, (scores, _) = build_loss("class_balanced", LABELS), batch()
    torch.testing.assert_close(loss.per_class(scores, torch.zeros_like(scores.log_p)), -scores.log_not_p)
    positive = loss.per_class(scores, torch.ones_like(scores.log_p))
    torch.testing.assert_close(positive, -loss.weights * scores.log_p)
    assert loss.weights.min() < 0.9 < 1.1 < loss.weights.max()


@pytest.mark.parametrize("number", [5, 100, 500, 995])
def test_logit_adjusted_learns_the_likelihood_ratio(number: int) -> None:
    """Without features and with τ = 1, the gradient vanishes at a logit of 0, whatever the frequency of the label."""
    labels = label_matrix([0] * number, [*range(number + 1), *[number] * (1000 - number)], C)
    targets = torch.zeros(1000, C)
    targets[:number] = 1
    for name, options, optimum in (
        ("logit_adjusted", {"tau": 1.0}, 0.0),
        ("logit_adjusted", {"tau": 0.3}, 0.7 * np.log(number / (1000 - number))),
    ):
        logit = torch.tensor(optimum, requires_grad=True)
        loss = build_loss(name, labels, **options)
        loss.per_class(scores_of(logit.expand(1000, C)), targets)[:, 0].mean().backward()
        assert logit.grad is not None
        assert logit.grad.item() == pytest.approx(0, abs=1e-3)


def test_log_prior_odds_are_finite_without_videos_and_in_all_videos() -> None:
    labels = label_matrix([0, 1, 0, 0], [0, 2, 3, 4], 3)
    expected = np.log([3.5 / 0.5, 1.5 / 2.5, 0.5 / 3.5])
    np.testing.assert_allclose(log_prior_odds(labels), expected)


def test_distribution_balanced_weights_by_hand() -> None:
    """Labels 0 and 1 have 1 and 4 videos: Σ 1/n_j = 1.25 for a video with both, so r is 0.8 and 0.2 for them."""
    labels = label_matrix([0, 1, 1, 1, 1, 2, 2, 3], [0, 2, 3, 4, 5, 6, 7, 8], C)
    loss = build_loss("distribution_balanced", labels)
    weights = loss.class_weights(torch.tensor([[1.0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]))
    expected = [[0.8, 0.2, 0.4, 0.8], [4, 1, 2, 4], [np.inf] * 4]  # r, also of labels that a video does not have
    np.testing.assert_allclose(weights, [[0.1 + sigmoid(10 * (r - 0.2)) for r in row] for row in expected], rtol=1e-6)
    assert weights[0, 1].item() == pytest.approx(0.6)


def test_distribution_balanced_tolerates_negatives() -> None:
    """The gradient of a negative is σ(λ(z-ν)), where ν is 0 for equally frequent labels."""
    for scale in (1.0, 2.0, 5.0):
        for logit in (-2.0, 0.0, 1.0):
            options = {"alpha": 0.5, "beta": 0.0, "negative_scale": scale}
            _, gradient = one_class(logit, "distribution_balanced", 0.0, **options)
            assert gradient == pytest.approx(sigmoid(scale * logit))


def test_distribution_balanced_shifts_rare_labels() -> None:
    """A logit at ν = -κ log(π/(1-π)) costs log 2 in both directions."""
    loss = build_loss("distribution_balanced", LABELS, **{**NO_REWEIGHTING, "kappa": 0.5})
    logits = (-0.5 * log_prior_odds(LABELS).float()).expand(1, C)
    for target in (0.0, 1.0):
        costs = loss.per_class(scores_of(logits), torch.full((1, C), target))
        torch.testing.assert_close(costs, torch.full((1, C), np.log(2)))


@pytest.mark.parametrize("name", NAMES)
def test_center_adds_to_each_loss(name: str, tmp_path: Path) -> None:
    scores, targets = batch()
    loss, inner = build_loss("center", LABELS, loss=name, weight=0.5), build_loss(name, LABELS)
    total, parts = loss(scores, targets)
    assert parts.keys() == {name, "cross_entropy", "center", "center_distance"}
    torch.testing.assert_close(total, inner(scores, targets)[0] + 0.5 * parts["center_distance"])
    save_file(loss.state_dict(), tmp_path / "loss.safetensors")
    loaded = build_loss("center", loss=name, weight=0.5).eval()
    loaded.load_state_dict(load_file(tmp_path / "loss.safetensors"))
    assert torch.equal(loaded(scores, targets)[0], total)


@pytest.mark.parametrize(
    ("name", "buffers"),
    [
        ("focal", []),
        ("asymmetric", []),
        ("class_balanced", ["weights"]),
        ("logit_adjusted", ["log_odds"]),
        ("distribution_balanced", ["inverse_counts", "log_odds"]),
        ("hill", []),
    ],
)
def test_checkpoints_have_the_prior(name: str, buffers: list[str]) -> None:
    loss: nn.Module = build_loss(name, LABELS)
    assert list(loss.state_dict()) == buffers
    assert not list(loss.parameters())


def test_training_fits_the_loss_to_the_training_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = []
    monkeypatch.setattr(ClassBalanced, "fit_label_prior", lambda loss, labels: fitted.append(labels.shape))
    experiment = tiny_experiment(tmp_path, loss=Slot("center", {"loss": "class_balanced"}))
    train(experiment, tmp_path / "run")
    assert fitted == [(120, 6)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("focal", {"gamma": -1.0}, "focal, option 'gamma': found -1.0; expected 0 or more"),
        ("asymmetric", {"gamma_neg": -1.0}, "asymmetric, option 'gamma_neg': found -1.0"),
        ("asymmetric", {"gamma_pos": -0.5}, "asymmetric, option 'gamma_pos': found -0.5"),
        ("asymmetric", {"margin": 1.0}, "asymmetric, option 'margin': found 1.0; expected 0 to below 1"),
        ("asymmetric", {"margin": -0.1}, "asymmetric, option 'margin': found -0.1"),
        ("class_balanced", {"beta": 1.0}, "class_balanced, option 'beta': found 1.0; expected 0 to below 1"),
        ("class_balanced", {"beta": -0.1}, "class_balanced, option 'beta': found -0.1"),
        ("logit_adjusted", {"tau": -1.0}, "logit_adjusted, option 'tau': found -1.0"),
        ("distribution_balanced", {"alpha": -1.0}, "distribution_balanced, option 'alpha': found -1.0"),
        ("distribution_balanced", {"beta": -1.0}, "distribution_balanced, option 'beta': found -1.0"),
        ("distribution_balanced", {"mu": -1.0}, "distribution_balanced, option 'mu': found -1.0"),
        ("distribution_balanced", {"kappa": -1.0}, "distribution_balanced, option 'kappa': found -1.0"),
        ("distribution_balanced", {"negative_scale": 0.0}, "option 'negative_scale': found 0.0; expected more than 0"),
        ("hill", {"gamma": -1.0}, "hill, option 'gamma': found -1.0"),
        ("hill", {"margin": -1.0}, "hill, option 'margin': found -1.0"),
        ("hill", {"alpha": 1.0}, "unknown option 'alpha'"),
    ],
)
def test_build_rejects_invalid_options(name: str, options: Options, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_loss(name, **options)


@cases("loss")
def test_weights_multiply_each_term(slot: str, name: str, options: Options) -> None:
    """A weight of 0 removes a video and class, as if the targets were those of other videos; 1 changes nothing."""
    loss = make_method(slot, name, options).eval()
    scores, targets = batch(torch.float64)
    unweighted = loss(scores, targets)[0]
    torch.testing.assert_close(loss(scores, targets, torch.ones_like(targets))[0], unweighted)
    logits = scores.embedding.clone().requires_grad_()
    weights = torch.ones_like(targets)
    weights[1, 2] = weights[-1, 0] = 0
    weighted = loss(Scores.from_logits(logits, logits.detach()), targets, weights)[0]
    (gradient,) = torch.autograd.grad(weighted, logits)
    assert gradient[1, 2] == gradient[-1, 0] == 0
    assert not torch.isclose(weighted, unweighted)
    if isinstance(loss, PerClassLoss):
        expected = (loss.per_class(scores, targets) * weights).sum(dim=1).mean()
        torch.testing.assert_close(weighted, expected)
