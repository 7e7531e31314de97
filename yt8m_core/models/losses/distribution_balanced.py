"""Distribution-balanced loss: weights that account for co-occurring labels, and tolerance of negatives.

T. Wu, Q. Huang, Z. Liu, Y. Wang and D. Lin: Distribution-Balanced Loss for Multi-Label Classification in Long-Tailed
Datasets, ECCV 2020. https://arxiv.org/abs/2007.09654, https://github.com/wutong16/DistributionBalancedLoss
"""

import torch
import torch.nn.functional as F
from scipy.sparse import csr_array
from torch import Tensor

from yt8m_core.errors import UserError
from yt8m_core.labels.statistics import counts
from yt8m_core.models.losses.base import PerClassLoss
from yt8m_core.models.losses.logit_adjusted import log_prior_odds
from yt8m_core.models.outputs import Scores


class DistributionBalanced(PerClassLoss):
    """Term of a class: r̂ (y log(1 + e^-(z-ν)) + (1-y)/λ log(1 + e^(λ(z-ν)))), where z = log p - log(1-p).

    - Re-balanced weighting: r̂ = α + σ(β (r - μ)), where r = (1/n_c) / Σ_{j∈y} 1/n_j compares how often a video would be
      drawn for label c alone with how often for any of its labels. n_c is the number of training videos with label c; a
      label without videos counts as one. As published, r̂ weights positives and negatives alike.
    - Negative-tolerant regularization: ν = -κ log(π_c / (1-π_c)) for a label of frequency π_c, and a factor λ that
      makes the gradient of a negative small as soon as z is below ν.

    A video without labels has r = ∞, so r̂ = α + 1. The paper's focal variant and its sampling of videos by class are
    omitted. The published code also divides ν by λ, which Huang et al. (2021, https://arxiv.org/abs/2109.04712) correct
    in their copy. All labels are equally frequent, and ν is 0, until ``fit_label_prior``.
    """

    name = "distribution_balanced"
    inverse_counts: Tensor
    log_odds: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        alpha: float = 0.1,
        beta: float = 10.0,
        mu: float = 0.2,
        kappa: float = 0.05,
        negative_scale: float = 2.0,
    ) -> None:
        """Set the weighting and the regularization. The defaults are the paper's for COCO.

        Args:
            num_classes: C.
            alpha: α, minimum weight.
            beta: β, steepness of the weighting. The weights are 1 for α = 0.5 and β = 0.
            mu: μ, the r with the mean weight.
            kappa: κ, size of the shift ν.
            negative_scale: λ, tolerance of negatives. 1 for none.

        Raises:
            UserError: λ is not positive, or another option is negative.
        """
        super().__init__()
        self.check_not_negative(alpha=alpha, beta=beta, mu=mu, kappa=kappa)
        if not negative_scale > 0:
            raise UserError(
                str(negative_scale), where="distribution_balanced, option 'negative_scale'", expected="more than 0"
            )
        self.alpha = alpha
        self.beta = beta
        self.mu = mu
        self.kappa = kappa
        self.negative_scale = negative_scale
        self.register_buffer("inverse_counts", torch.ones(num_classes))  # [C], 1/n_c
        self.register_buffer("log_odds", torch.zeros(num_classes))  # [C], log(π_c / (1-π_c))

    def fit_label_prior(self, labels: csr_array) -> None:
        """Count the training labels [N, C]."""
        self.inverse_counts.copy_(1 / torch.from_numpy(counts(labels)).double().clamp(min=1))
        self.log_odds.copy_(log_prior_odds(labels))

    def class_weights(self, targets: Tensor) -> Tensor:
        """Compute r̂ [B, C] from targets [B, C]."""
        any_label = (targets * self.inverse_counts).sum(dim=1, keepdim=True)  # [B, 1], Σ 1/n_j
        ratios = self.inverse_counts / any_label.clamp(min=1e-12)  # [B, C], r
        return self.alpha + (self.beta * (ratios - self.mu)).sigmoid()

    def per_class(self, scores: Scores, targets: Tensor) -> Tensor:
        """Scores and targets [B, C] from 0 to 1 → loss of each video and class [B, C]."""
        logits = scores.log_p - scores.log_not_p + self.kappa * self.log_odds  # z - ν
        positive = F.logsigmoid(logits)
        negative = F.logsigmoid(-self.negative_scale * logits) / self.negative_scale
        return -self.class_weights(targets) * (targets * positive + (1 - targets) * negative)
