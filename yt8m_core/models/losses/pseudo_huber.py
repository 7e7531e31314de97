"""Pseudo-Huber loss: a cross entropy that grows linearly where it is large (section 2.5.2, equation 23, Table 4).

Table 4 has δ = 0.5, 1, 2 and 3, and its best row with the default 0.5. https://arxiv.org/abs/1706.07960
"""

from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.losses.cross_entropy import CrossEntropy
from yt8m_core.models.outputs import Scores


class PseudoHuber(nn.Module):
    """h(L_CE) = δ²(√(1 + (L_CE/δ)²) - 1), about L_CE²/2 below δ and δ·L_CE above.

    The paper leaves open what L_CE is; the authors' code takes the cost of each video and class. So a class that is
    nearly right counts for next to nothing (slope about L_CE), and one that is wrong at most δ times its cost.
    """

    def __init__(self, *, delta: float = 0.5, level: str = "class", eps: float = 0.0) -> None:
        """Choose where the loss bends, and what it bends.

        Args:
            delta: δ.
            level: L_CE is the cost of one "class" of one video, of one "example" (the sum over its classes), or of the
                "batch" (the mean over its videos); those costs are far above δ, so the last two hardly bend.
            eps: as ``cross_entropy`` has it.

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

    def forward(self, scores: Scores, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores and targets [B, C] in 0 to 1 → the loss, itself and the plain cross entropy as parts."""
        per_class = self.cross_entropy.per_class(scores, targets)  # [B, C]
        per_example = per_class.sum(dim=1)  # [B]
        cross_entropy = per_example.mean()
        if self.level == "class":
            loss = self.bend(per_class).sum(dim=1).mean()
        elif self.level == "example":
            loss = self.bend(per_example).mean()
        else:
            loss = self.bend(cross_entropy)
        return loss, {"pseudo_huber": loss.detach(), "cross_entropy": cross_entropy.detach()}

    def bend(self, cost: Tensor) -> Tensor:
        """Equation 23 without its difference, which would cancel every digit of a cost below δ/1000 in float32."""
        return cost.square() / ((1 + (cost / self.delta).square()).sqrt() + 1)
