"""Mixtures of moderate logits have the values and gradients of the exact computation, and other logits take that."""

import pytest
import torch
from torch import Tensor

from yt8m_core.models import mixture
from yt8m_core.models.mixture import LIMIT, exact_log_mixture, log_mixture

CLASSES, VIDEOS = 5, 7


def logits(experts: int, dummy: int, scale: float, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    gates, of_experts = (
        torch.rand(CLASSES, count, VIDEOS, dtype=dtype) * 2 - 1 for count in (experts + dummy, experts)
    )
    return (scale * gates).requires_grad_(), (scale * of_experts).requires_grad_()


def loss(outputs: tuple[Tensor, ...], uses_gates: bool) -> Tensor:
    """Weight each output differently, so that no gradient can hide."""
    used = outputs if uses_gates else outputs[1:]
    return sum((torch.linspace(0.1, 2, part.numel(), dtype=part.dtype).view(part.shape) * part).sum() for part in used)  # type: ignore[return-value]


@pytest.mark.parametrize("scale", [0.1, 3.0, LIMIT / 3])
@pytest.mark.parametrize("uses_gates", [True, False])
@pytest.mark.parametrize(("experts", "dummy"), [(1, 0), (1, 1), (2, 1), (3, 0), (16, 1)])
def test_moderate_logits_give_the_exact_values_and_gradients(
    experts: int, dummy: int, uses_gates: bool, scale: float
) -> None:
    gates, of_experts = logits(experts, dummy, scale)
    outputs, exact = log_mixture(gates, of_experts), exact_log_mixture(gates, of_experts)
    assert outputs.p.grad_fn is not None
    assert "ModerateMixture" in outputs.p.grad_fn.name()
    for output, expected in zip(outputs, exact, strict=True):
        torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    inputs = (gates, of_experts)
    gradients = torch.autograd.grad(loss(outputs, uses_gates), inputs)
    for gradient, expected in zip(gradients, torch.autograd.grad(loss(exact, uses_gates), inputs), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)


def test_gradients_in_float32_are_finite_at_the_limit() -> None:
    gates = torch.tensor([[[LIMIT / 4, -LIMIT / 4], [-LIMIT / 4, LIMIT / 4]]], requires_grad=True)  # [1, 2, 2]
    experts = torch.tensor([[[LIMIT / 2, -LIMIT / 2]]], requires_grad=True)
    outputs = log_mixture(gates, experts)
    assert "ModerateMixture" in outputs.p.grad_fn.name()  # type: ignore[union-attr]
    exact = exact_log_mixture(gates.double(), experts.double())
    for output, expected in zip(outputs, exact, strict=True):
        torch.testing.assert_close(output.double(), expected, rtol=1e-5, atol=1e-6)
    (outputs.p.sum() + outputs.not_p.sum()).backward()
    assert gates.grad is not None
    assert gates.grad.isfinite().all()
    assert experts.grad is not None
    assert experts.grad.isfinite().all()


@pytest.mark.parametrize("value", [LIMIT, 200.0, float("nan"), float("inf")])
def test_other_logits_take_the_exact_computation(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    gates, experts = (part.detach() for part in logits(2, 1, 1.0))
    for changed in (gates, experts):
        before = changed[0, 0, 0].item()
        changed[0, 0, 0] = value
        monkeypatch.setattr(mixture, "exact_log_mixture", lambda *_: "exact")
        assert log_mixture(gates, experts) == "exact"
        changed[0, 0, 0] = before
    assert log_mixture(gates, experts) != "exact"


def test_no_videos_give_no_scores() -> None:
    outputs = log_mixture(torch.empty(4, 3, 0), torch.empty(4, 2, 0))
    assert [tuple(output.shape) for output in outputs] == [(4, 3, 0), (4, 0), (4, 0)]
