"""Label correlation matrix M_c, which the paper describes in one sentence (section 2.4).

"We set the correlation value higher as the labels appear more together": neither the normalization nor the diagonal is
stated. These are the readings. https://arxiv.org/abs/1706.07960
"""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from yt8m_core.labels.cooccurrence import count_pairs

MATRIX_NORMS = ("cond_row", "cond", "joint", "cosine", "phi", "softmax", "centered", "none")


def correlation_matrix(labels: csr_array, norm: str) -> Tensor:
    """Compute M_c [C, C], float32, from labels [N, C].

    N_ij is the number of videos with labels i and j, and S_j that with label j. Where a norm divides by a number that
    is 0, as for a label without videos, the entries are 0. The diagonal is 0 unless stated otherwise.

    Args:
        labels: Labels of the training videos.
        norm: What M_c[i, j] is: "cond", P(i | j) = N_ij / S_j; "cond_row", "cond" with rows that sum to 1 (0 for a
            label that occurs alone); "joint", P(i, j) = N_ij / N; "cosine", N_ij / √(S_i S_j); "phi", the correlation
            coefficient of the two labels; "softmax", the softmax of each row of counts, with their diagonal;
            "centered", P(i | j) minus the mean of its column, with row means in the diagonal of N; "none", the counts,
            with their diagonal.
    """
    matrix = torch.from_numpy(count_pairs(labels).astype(np.float32).toarray())  # N_ij, exact up to 2^24
    if norm == "none":
        return matrix
    if norm == "softmax":
        return matrix.softmax(dim=1)
    if norm == "centered":
        # The authors' (N_ij - mean_j) / sum_j, after setting N's diagonal to the row means: every column sums to 0.
        matrix.diagonal().copy_(matrix.mean(dim=1))
        sums = matrix.sum(dim=1)  # N is symmetric: sums of row j and of column j
        return matrix.sub_(sums / len(sums)).div_(torch.where(sums > 0, sums, 1))
    counts = matrix.diagonal().clone()  # S
    if norm == "joint":
        matrix /= labels.shape[0]
    elif norm == "cosine":
        matrix /= torch.outer(counts, counts).sqrt_().clamp_(min=1)
    elif norm == "phi":
        # (N N_ij - S_i S_j) / √(S_i (N - S_i) S_j (N - S_j)), with counts divided by N.
        shares = counts / labels.shape[0]
        spreads = (shares * (1 - shares)).sqrt()  # 0 for a label of no video or of all
        products = torch.outer(spreads, spreads)
        matrix.div_(labels.shape[0]).sub_(torch.outer(shares, shares)).div_(torch.where(products > 0, products, 1))
    else:
        matrix /= counts.clamp(min=1)  # P(i | j) = N_ij / S_j
    matrix.fill_diagonal_(0)
    if norm == "cond_row":
        sums = matrix.sum(dim=1, keepdim=True)
        matrix /= torch.where(sums > 0, sums, 1)
    return matrix
