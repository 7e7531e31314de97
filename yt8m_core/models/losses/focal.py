"""Focal loss: a cross entropy that weights easy examples less (equation 4 of the paper, one sigmoid per class).

T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollár: Focal Loss for Dense Object Detection, ICCV 2017.
https://arxiv.org/abs/1708.02002
"""

from torch import Tensor

from yt8m_core.models.losses.base import PerClassLoss
from yt8m_core.models.outputs import Scores


class Focal(PerClassLoss):
    """Term of a class: -(y (1-p)^γ log p + (1-y) p^γ log(1-p)).

    A target between 0 and 1 mixes the two terms. The paper's α, which would weight them by α and 1-α, is omitted: its
    0.25 weights positives less and suits the anchors of a detector.
    """

    name = "focal"

    def __init__(self, *, gamma: float = 2.0) -> None:
        """Set the strength of the focus.

        Args:
            gamma: γ, 2 in the paper. 0 is the cross entropy.

        Raises:
            UserError: ``gamma`` is negative.
        """
        super().__init__()
        self.check_not_negative(gamma=gamma)
        self.gamma = gamma

    def per_class(self, scores: Scores, targets: Tensor) -> Tensor:
        """Scores and targets [B, C] from 0 to 1 → loss of each video and class [B, C]."""
        log_p, log_not_p = scores.log_p, scores.log_not_p
        # (1-p)^γ as exp(γ log(1-p)), whose gradient is finite at 1-p = 0 for every γ.
        positive = (self.gamma * log_not_p).exp() * log_p
        negative = (self.gamma * log_p).exp() * log_not_p
        return -(targets * positive + (1 - targets) * negative)
