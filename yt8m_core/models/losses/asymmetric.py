"""Asymmetric loss (ASL): a focal loss that focuses negatives more than positives and ignores easy negatives.

T. Ridnik, E. Ben-Baruch, N. Zamir, A. Noy, I. Friedman, M. Protter and L. Zelnik-Manor: Asymmetric Loss For Multi-Label
Classification, ICCV 2021. https://arxiv.org/abs/2009.14119, https://github.com/Alibaba-MIIL/ASL
"""

from torch import Tensor

from yt8m_core.errors import UserError
from yt8m_core.models.losses.base import PerClassLoss
from yt8m_core.models.outputs import Scores

EPS = 1e-12
"""Minimum of p - m before its logarithm; below it the loss is 0 in any case."""


class Asymmetric(PerClassLoss):
    """Term of a class: -(y (1-p)^γ+ log p + (1-y) p_m^γ- log(1-p_m)), where p_m = max(p - m, 0).

    A negative with p below the margin m has no loss and no gradient. A target between 0 and 1 mixes the two terms. The
    gradient includes the weights, as in the paper's analysis; the published code can also treat them as constants.
    """

    name = "asymmetric"

    def __init__(self, *, gamma_neg: float = 4.0, gamma_pos: float = 0.0, margin: float = 0.05) -> None:
        """Set the focus of negatives and positives, and the margin. The defaults are the paper's.

        They are for data with few positives, such as YouTube-8M, and fail on some others. There, the authors advise to
        go step by step from the cross entropy (γ- 0, γ+ 0, m 0) over a focal loss (2, 2, 0) and (2, 1, 0) to stronger
        settings: https://github.com/Alibaba-MIIL/ASL/issues/22 and 24.

        Args:
            gamma_neg: γ-, focus of the negatives.
            gamma_pos: γ+, focus of the positives.
            margin: m, the probability up to which a negative is ignored ("clip" in the published code).

        Raises:
            UserError: A focus is negative, or the margin is not within 0 to below 1.
        """
        super().__init__()
        self.check_not_negative(gamma_neg=gamma_neg, gamma_pos=gamma_pos)
        if not 0 <= margin < 1:
            raise UserError(str(margin), where="asymmetric, option 'margin'", expected="0 to below 1")
        self.gamma_neg = gamma_neg
        self.gamma_pos = gamma_pos
        self.margin = margin

    def per_class(self, scores: Scores, targets: Tensor) -> Tensor:
        """Scores and targets [B, C] from 0 to 1 → loss of each video and class [B, C]."""
        log_p, log_not_p = scores.log_p, scores.log_not_p
        positive = (self.gamma_pos * log_not_p).exp() * log_p
        if self.margin:
            shifted_p = (log_p.exp() - self.margin).clamp(min=EPS)
            log_p, log_not_p = shifted_p.log(), (log_not_p.exp() + self.margin).clamp(max=1).log()
        negative = (self.gamma_neg * log_p).exp() * log_not_p
        return -(targets * positive + (1 - targets) * negative)
