"""Pseudo-Huber loss: a cross entropy that grows linearly for large values (section 2.5.2, equation 23, Table 4).

Table 4 has δ = 0.5, 1, 2 and 3; the best row is the default, 0.5. https://arxiv.org/abs/1706.07960
"""

from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.losses.cross_entropy import CrossEntropy, weigh
from yt8m_core.models.outputs import Scores


class PseudoHuber(nn.Module):
    """h(L_CE) = δ²(√(1 + (L_CE/δ)²) - 1), about L_CE²/2 for L_CE below δ and δ·L_CE above.

    The paper does not define the level of L_CE; the authors' code uses the cross entropy of each video and class. So a
    nearly correct prediction contributes almost nothing (the slope is about L_CE), and a wrong one at most δ times its
    cross entropy.
    """

    def __init__(self, *, delta: float = 0.5, level: str = "class", eps: float = 0.0) -> None:
        """Set δ and the level of L_CE.

        Args:
            delta: δ.
            level: L_CE is the cross entropy of one "class" of one video, of one "example" (summed over its classes), or
                of the "batch" (mean over its videos). The last two are far above δ, where h is nearly linear.
            eps: As in ``cross_entropy``.

        Raises:
            UserError: ``delta`` is not positive, ``level`` is unknown, or ``eps`` is negative.
        """
        super().__init__()
        check_choice("level", level, ("class", "example", "batch"), where="pseudo_huber")
        if not delta > 0:
            raise UserError(str(delta), where="pseudo_huber, option 'delta'", expected="more than 0")
        self.delta = delta
        self.level = level
        self.cross_entropy = CrossEntropy(eps=eps)

    def forward(
        self, scores: Scores, targets: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores, targets from 0 to 1 and weights [B, C] → L and its named parts: L and the plain cross entropy."""
        per_class = self.cross_entropy.per_class(scores, targets)  # [B, C]
        per_example = weigh(per_class, weights).sum(dim=1)  # [B]
        cross_entropy = per_example.mean()
        if self.level == "class":
            loss = weigh(self.huber(per_class), weights).sum(dim=1).mean()
        elif self.level == "example":
            loss = self.huber(per_example).mean()
        else:
            loss = self.huber(cross_entropy)
        return loss, {"pseudo_huber": loss.detach(), "cross_entropy": cross_entropy.detach()}

    def huber(self, cost: Tensor) -> Tensor:
        """Compute equation 23, rearranged: its difference would cancel all float32 digits of a cost below δ/1000."""
        return cost.square() / ((1 + (cost / self.delta).square()).sqrt() + 1)
