"""Cross entropy, the L_s and L_CE of the paper (section 2.5, https://arxiv.org/abs/1706.07960).

The paper gives no formula; this is the authors' and Google's: a sum over classes, so a batch costs thousands at first.
"""

from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.outputs import Scores


class CrossEntropy(nn.Module):
    """L = mean over videos of Σ_c -(y log p + (1-y) log(1-p))."""

    def __init__(self, *, eps: float = 0.0) -> None:
        """Choose how log 0 is kept off.

        Args:
            eps: 0 takes log p and log(1-p) as they come, exact; the published code computes log(p + 1e-5) and
                log(1-p + 1e-5), so no class costs more than 11.5.

        Raises:
            UserError: ``eps`` is negative.
        """
        super().__init__()
        if not eps >= 0:
            raise UserError(str(eps), where="cross_entropy, option 'eps'", expected="0 or more")
        self.eps = eps

    def per_class(self, scores: Scores, targets: Tensor) -> Tensor:
        """Scores and targets [B, C] in 0 to 1 → the cost of each video and class [B, C]."""
        log_p, log_not_p = scores.log_p, scores.log_not_p
        if self.eps:
            log_p, log_not_p = (log_p.exp() + self.eps).log(), (log_not_p.exp() + self.eps).log()
        return -(targets * log_p + (1 - targets) * log_not_p)

    def forward(self, scores: Scores, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores and targets [B, C] in 0 to 1 → the loss and its one named part."""
        loss = self.per_class(scores, targets).sum(dim=1).mean()
        return loss, {"cross_entropy": loss.detach()}
