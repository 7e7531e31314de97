"""Class-balanced loss: weights by the effective number of samples of a class (equation 6 of the paper).

Y. Cui, M. Jia, T.-Y. Lin, Y. Song and S. Belongie: Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019.
https://arxiv.org/abs/1901.05555, https://github.com/richardaecn/class-balanced-loss
"""

import torch
from scipy.sparse import csr_array
from torch import Tensor

from yt8m_core.errors import UserError
from yt8m_core.labels.statistics import counts
from yt8m_core.models.losses.base import PerClassLoss
from yt8m_core.models.outputs import Scores


class ClassBalanced(PerClassLoss):
    """Term of a class: -(w_c y log p + (1-y) log(1-p)), where w_c is proportional to (1-β) / (1-β^n_c).

    n_c is the number of training videos with label c; a label without videos counts as one video. The weights are 1
    until ``fit_label_prior``.

    Only positives are weighted. The paper's images have one label each, and its sigmoid loss weights all classes of an
    image by the weight of its label: a positive of class c by w_c, and the negatives of class c by the weights of other
    labels, which do not depend on c. A weight of the whole term of class c would not change the balance between its
    positives and its negatives, and Adam would divide it out again for weights that only class c has.

    The paper's weights average 1 over classes. Here they average 1 over all pairs of a training video and a label, so
    that the positives keep their share of the loss: with thousands of rare labels, an average over classes would leave
    almost no weight to the frequent ones.
    """

    name = "class_balanced"
    weights: Tensor

    def __init__(self, num_classes: int, *, beta: float = 0.9) -> None:
        """Set how much more rare labels count than frequent ones.

        Args:
            num_classes: C.
            beta: β, from 0 (all labels count equally) to below 1 (near 1, w_c is proportional to 1/n_c). Labels with
                more than about 1/(1-β) videos have nearly equal weights, so β limits the ratio of weights to 1/(1-β).

        Raises:
            UserError: ``beta`` is not within 0 to below 1.
        """
        super().__init__()
        if not 0 <= beta < 1:
            raise UserError(str(beta), where="class_balanced, option 'beta'", expected="0 to below 1")
        self.beta = beta
        self.register_buffer("weights", torch.ones(num_classes))  # [C], w_c

    def fit_label_prior(self, labels: csr_array) -> None:
        """Compute the weights from the training labels [N, C]. Without any label they stay 1."""
        number = torch.from_numpy(counts(labels)).double()
        if pairs := number.sum():
            weights = (1 - self.beta) / (1 - self.beta ** number.clamp(min=1))
            self.weights.copy_(weights * pairs / (number @ weights))

    def per_class(self, scores: Scores, targets: Tensor) -> Tensor:
        """Scores and targets [B, C] from 0 to 1 → loss of each video and class [B, C]."""
        return -(self.weights * targets * scores.log_p + (1 - targets) * scores.log_not_p)
