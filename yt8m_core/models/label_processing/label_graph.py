"""Label graph: each label receives the scores of the labels that predict it, over edges with learned weights.

Not in the paper; a sparse, learned counterpart of its section 2.4. The graph is that of ML-GCN, conditional
probabilities of the training labels with a threshold: Chen, Wei, Wang, Guo: Multi-Label Image Recognition with Graph
Convolutional Networks, 2019, https://arxiv.org/abs/1904.03582 (section 3.3).
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.labels.cooccurrence import count_pairs
from yt8m_core.models.outputs import Scores, promote_to_float32


class LabelGraph(nn.Module):
    """logit'_i = logit_i + g_i Σ_n w_in P(i | j_n) (p_(j_n) - p̄) over the k labels j_n with the largest P(i | j).

    The gates g start at 0, so that training starts from the unchanged scores, and the weights w at 1. There are no
    edges until ``fit_label_prior``. Time and memory grow with C·k, not with C².

    An untrained classification scores all labels alike and far too high, a mixture of two experts with 1/3. p̄, the mean
    score of the video, and small steps of the gates keep them from lowering those scores in place of the
    classification: they would become strongly negative and stay so.

    Differences from ML-GCN: it propagates scores of a video. ML-GCN propagates word vectors of the labels, whose result
    is one classifier per label and the same for all videos.
    """

    step_scales: Mapping[str, float] = {"gate": 0.1}
    neighbors: Tensor
    prior: Tensor

    def __init__(self, num_classes: int, *, neighbors: int = 16, support: int = 5) -> None:
        """Set the size of the graph.

        Args:
            num_classes: C.
            neighbors: k, maximum number of labels that each label receives scores from.
            support: Minimum number of training videos with both labels of an edge. P(i | j) of rare pairs is noise.

        Raises:
            UserError: ``neighbors`` or ``support`` is less than 1.
        """
        super().__init__()
        for option, value in (("neighbors", neighbors), ("support", support)):
            if value < 1:
                raise UserError(str(value), where=f"label_graph, option '{option}'", expected="1 or more")
        self.support = support
        # Row i has the labels j_n and P(i | j_n), 0 where a label has fewer than k neighbors.
        self.register_buffer("neighbors", torch.zeros(num_classes, neighbors, dtype=torch.int64))
        self.register_buffer("prior", torch.zeros(num_classes, neighbors))
        self.weight = nn.Parameter(torch.ones(num_classes, neighbors))
        self.gate = nn.Parameter(torch.zeros(num_classes))

    @torch.no_grad()
    def fit_label_prior(self, labels: csr_array) -> None:
        """Set the neighbors and P(i | j) from the training labels [N, C]."""
        neighbors, prior = strongest_neighbors(count_pairs(labels), self.neighbors.shape[1], self.support)
        self.neighbors.copy_(torch.from_numpy(neighbors))
        self.prior.copy_(torch.from_numpy(prior))

    def forward(self, scores: Scores) -> Scores:
        """Scores [B, C] → scores [B, C] with the same embedding."""
        edges = promote_to_float32(self.gate[:, None] * self.weight * self.prior)  # [C, k]
        p = scores.p.to(edges.dtype)
        messages = (p - p.mean(dim=1, keepdim=True)).T.contiguous()  # [C, B], one row per label
        # Row i is Σ_n edges[i, n] messages[j_n], without a tensor [C, k, B].
        received = F.embedding_bag(self.neighbors, messages, per_sample_weights=edges, mode="sum")
        return scores.add_to_logits(received.T)


def strongest_neighbors(
    cooccurrence: csr_array, limit: int, support: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the labels j with the largest P(i | j) for each label i; ties are broken by count, then by id.

    Args:
        cooccurrence: Pair counts [C, C], with the number of videos of each label on the diagonal.
        limit: k, maximum number of neighbors.
        support: Minimum count of a pair.

    Returns:
        Neighbors [C, k] and P(i | j) [C, k], both 0 after the last neighbor.
    """
    pairs, size = cooccurrence.tocoo(), cooccurrence.shape[0]
    selected = (pairs.row != pairs.col) & (pairs.data >= support)
    i, j, both = pairs.row[selected], pairs.col[selected], pairs.data[selected]
    conditional = both / cooccurrence.diagonal()[j]
    order = np.lexsort((j, -both, -conditional, i))
    i, j, conditional = i[order], j[order], conditional[order]
    rank = np.arange(len(i)) - np.searchsorted(i, i)  # within the edges of label i
    kept = rank < limit
    neighbors, prior = np.zeros((size, limit), np.int64), np.zeros((size, limit))
    neighbors[i[kept], rank[kept]] = j[kept]
    prior[i[kept], rank[kept]] = conditional[kept]
    return neighbors, prior
