"""Logit-adjusted loss: rare labels must be learned with a larger margin (equation 10 of the paper).

A. K. Menon, S. Jayasumana, A. S. Rawat, H. Jain, A. Veit and S. Kumar: Long-Tail Learning via Logit Adjustment, ICLR
2021. https://arxiv.org/abs/2007.07314
"""

import torch
from scipy.sparse import csr_array
from torch import Tensor

from yt8m_core.labels.statistics import counts
from yt8m_core.models.losses.base import PerClassLoss
from yt8m_core.models.outputs import Scores


class LogitAdjusted(PerClassLoss):
    """Cross entropy of σ(z_c + τ log(π_c / (1-π_c))), where z_c = log p - log(1-p) and π_c is the frequency of label c.

    The paper adds τ log π to the logits of a softmax over classes. Here each label is a softmax over two classes,
    "label" with the prior π_c and "no label" with 1-π_c. Their logits differ by z_c, so the adjusted logits differ by
    z_c + τ log(π_c / (1-π_c)). For a mixture of experts, z_c is the logit of the mixture.

    Only the loss is shifted, in training and in evaluation mode alike; the scores of the model are not. So with τ = 1
    the model learns p/(1-p) = P(video | label) / P(video | no label), as if half of the videos had each label. Rare
    labels move up among the labels of a video, which lowers GAP as τ grows.
    """

    name = "logit_adjusted"
    log_odds: Tensor

    def __init__(self, num_classes: int, *, tau: float = 0.5) -> None:
        """Set the strength of the adjustment.

        Args:
            num_classes: C.
            tau: τ. 0 is the cross entropy; 1 in the paper, whose metric counts all labels equally. GAP does not, so the
                default is between the two.

        Raises:
            UserError: ``tau`` is negative.
        """
        super().__init__()
        self.check_not_negative(tau=tau)
        self.tau = tau
        # [C], log(π_c / (1-π_c)); no adjustment before ``fit_label_prior``.
        self.register_buffer("log_odds", torch.zeros(num_classes))

    def fit_label_prior(self, labels: csr_array) -> None:
        """Compute the prior odds from the training labels [N, C]."""
        self.log_odds.copy_(log_prior_odds(labels))

    def per_class(self, scores: Scores, targets: Tensor) -> Tensor:
        """Scores and targets [B, C] from 0 to 1 → loss of each video and class [B, C]."""
        logits = scores.log_p - scores.log_not_p + self.tau * self.log_odds
        return self.cross_entropy.per_class(Scores.from_logits(logits, scores.embedding), targets)


def log_prior_odds(labels: csr_array) -> Tensor:
    """Compute log(π / (1-π)) [C] from labels [N, C], with half a video added to those with and without each label.

    So a label without videos, or in all of them, has finite odds.
    """
    number = torch.from_numpy(counts(labels)).double()
    return ((number + 0.5) / (labels.shape[0] - number + 0.5)).log()
