"""Log-probabilities of mixtures of experts: exact for any logits, and fast for moderate ones on a CPU.

With thousands of classes, the elementwise operations of a mixture take as long as a fifth of the matrix products of a
step. For moderate logits no logarithm is needed before the sums over experts, and the gradient has a closed form, which
needs no further exponentials.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LIMIT = 60.0  # of log-odds and differences of gates: e^-60 times a gradient is far from the smallest float32


class LogMixture(NamedTuple):
    """Logarithms of a mixture, all with the batch as last dimension."""

    gates: Tensor  # [C, k or k + 1, B], log g
    p: Tensor  # [C, B], log p
    not_p: Tensor  # [C, B], log(1-p)


def log_mixture(gates: Tensor, experts: Tensor) -> LogMixture:
    """Compute p = Σ_i g_i σ(e_i) from logits of the gates [C, k or k + 1, B] and of the experts [C, k, B].

    With one more gate than experts, the last one is of a dummy expert that always predicts 0.
    """
    is_plain = gates.device.type == "cpu" and not torch.compiler.is_compiling()
    if is_plain and gates.numel() and bool(2 * gates.abs().max() + experts.abs().max() <= LIMIT):  # False for NaN
        return LogMixture(*_ModerateMixture.apply(gates, experts))  # type: ignore[no-untyped-call]
    return exact_log_mixture(gates, experts)


def exact_log_mixture(gates: Tensor, experts: Tensor) -> LogMixture:
    """Compute ``log_mixture`` in logarithms throughout, so that nothing rounds to log 0."""
    gates = gates - gates.detach().amax(dim=1, keepdim=True)  # the log below would lose the digits of a large gate
    log_gates = gates - gates.exp().sum(dim=1, keepdim=True).log()
    real, dummy = log_gates.tensor_split([experts.shape[1]], dim=1)  # dummy: [C, 1, B] or [C, 0, B]
    log_p = (real + F.logsigmoid(experts)).logsumexp(dim=1)  # [C, B]
    log_not_p = torch.cat([real + F.logsigmoid(-experts), dummy], dim=1).logsumexp(dim=1)
    return LogMixture(log_gates, log_p, log_not_p)


class _ModerateMixture(torch.autograd.Function):
    """``log_mixture`` of logits whose exponentials neither overflow nor vanish."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, experts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k = experts.shape[1]
        weights = gates.exp()
        total = weights.sum(dim=1)  # [C, B]
        on, off = experts.sigmoid(), experts.neg().sigmoid_()
        real = weights[:, :k]
        p, not_p = (real * on).sum(dim=1), (real * off).sum(dim=1)  # times the total
        if weights.shape[1] > k:
            not_p += weights[:, k]
        log_total = total.log()
        ctx.save_for_backward(weights, total, on, off, p, not_p)
        ctx.set_materialize_grads(False)  # log g is seldom used
        return gates - log_total[:, None], p.log().sub_(log_total), not_p.log().sub_(log_total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_gates: Tensor | None, d_p: Tensor | None, d_not_p: Tensor | None) -> tuple[Tensor, Tensor]:
        weights, total, on, off, p, not_p = ctx.saved_tensors
        k = on.shape[1]
        d_p, d_not_p = (torch.zeros_like(p) if gradient is None else gradient for gradient in (d_p, d_not_p))
        from_p, from_not_p = (d_p / p)[:, None], (d_not_p / not_p)[:, None]  # [C, 1, B]
        # Of log p and log(1-p): g_i ∘ (what each output gains from the expert) - g_i ∘ (both gradients).
        result = torch.empty_like(weights)
        torch.mul(from_p, on, out=result[:, :k]).addcmul_(from_not_p, off)
        result[:, k:] = from_not_p
        result -= ((d_p + d_not_p) / total)[:, None]
        result *= weights
        if d_gates is not None:
            result += d_gates - weights * (d_gates.sum(dim=1) / total)[:, None]
        of_experts = (on * off).mul_(weights[:, :k]).mul_(from_p - from_not_p)
        return result, of_experts
