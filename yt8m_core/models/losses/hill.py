"""Hill loss: robust to missing labels, because a negative with a high score has a small gradient.

Y. Zhang, Y. Cheng, X. Huang, F. Wen, R. Feng, Y. Li and Y. Guo: Simple and Robust Loss Design for Multi-Label Learning
with Missing Labels, 2021. https://arxiv.org/abs/2112.07368, https://github.com/xinyu1205/robust-loss-mlml
"""

from torch import Tensor

from yt8m_core.models.losses.base import PerClassLoss
from yt8m_core.models.outputs import Scores

LAMBDA = 1.5
"""λ of the paper, which never changes it: the gradient of a negative, 3p²(1-p)², is largest at p = 0.5."""


class Hill(PerClassLoss):
    """Term of a class: -y (1-q)^γ log q + (1-y) (λ - p) p², where q = σ(z - m) and z = log p - log(1-p).

    Negatives have a squared error p² with the weight λ - p: a negative with p near 1 is probably a missing label and
    has almost no gradient. Positives have a focal loss with a margin m. A target between 0 and 1 mixes the two terms.
    """

    name = "hill"

    def __init__(self, *, gamma: float = 2.0, margin: float = 1.0) -> None:
        """Set the loss of the positives. The defaults are the paper's.

        Args:
            gamma: γ, focus of the positives.
            margin: m, by which the logit of a positive must be larger; 0.5 to 1 in the paper.

        Raises:
            UserError: An option is negative.
        """
        super().__init__()
        self.check_not_negative(gamma=gamma, margin=margin)
        self.gamma = gamma
        self.margin = margin

    def per_class(self, scores: Scores, targets: Tensor) -> Tensor:
        """Scores and targets [B, C] from 0 to 1 → loss of each video and class [B, C]."""
        shifted = Scores.from_logits(scores.log_p - scores.log_not_p - self.margin, scores.embedding)
        positive = -(self.gamma * shifted.log_not_p).exp() * shifted.log_p
        negative = (LAMBDA - scores.p) * scores.p.square()
        return targets * positive + (1 - targets) * negative
