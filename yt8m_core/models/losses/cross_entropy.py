"""Cross entropy: L_s and L_CE of the paper (section 2.5, https://arxiv.org/abs/1706.07960).

The paper gives no formula. This is the authors' and Google's: a sum over classes, so the loss starts in the thousands.
"""

from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.outputs import Scores


class CrossEntropy(nn.Module):
    """L = mean over videos of Σ_c -(y log p + (1-y) log(1-p))."""

    def __init__(self, *, eps: float = 0.0) -> None:
        """Choose how to avoid log 0.

        Args:
            eps: 0 uses the exact log p and log(1-p) of the scores. The published code uses log(p + 1e-5) and
                log(1-p + 1e-5), which limits the loss of a class to 11.5.

        Raises:
            UserError: ``eps`` is negative.
        """
        super().__init__()
        if not eps >= 0:
            raise UserError(str(eps), where="cross_entropy, option 'eps'", expected="0 or more")
        self.eps = eps

    def per_class(self, scores: Scores, targets: Tensor) -> Tensor:
        """Scores and targets [B, C] from 0 to 1 → loss of each video and class [B, C]."""
        log_p, log_not_p = scores.log_p, scores.log_not_p
        if self.eps:
            log_p, log_not_p = (log_p.exp() + self.eps).log(), (log_not_p.exp() + self.eps).log()
        return -(targets * log_p + (1 - targets) * log_not_p)

    def forward(
        self, scores: Scores, targets: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores, targets from 0 to 1 and weights [B, C] → L and its named part. Unknown targets have the weight 0."""
        loss = weigh(self.per_class(scores, targets), weights).sum(dim=1).mean()
        return loss, {"cross_entropy": loss.detach()}


def weigh(per_class: Tensor, weights: Tensor | None) -> Tensor:
    """Multiply a loss [B, C] by weights [B, C], where there are any."""
    return per_class if weights is None else per_class * weights
