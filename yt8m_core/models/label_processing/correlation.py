"""Label correlation: add to each score the scores of correlated labels (section 2.4, equations 18 to 20, Table 3).

The rows (α, β, γ) of Table 3 are ``alpha=1`` with ``beta`` and ``gamma`` from 0 to 0.3.
https://arxiv.org/abs/1706.07960
"""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.labels.cooccurrence import count_pairs
from yt8m_core.models.outputs import VARIANTS, Scores, promote_to_float32

SPACES = ("prob", "logit", "expert_logit")
MATRIX_NORMS = ("cond_row", "cond", "softmax", "centered", "none")
EPS = 1e-12
"""Minimum p and 1-p after clamping, so that a wrong label costs at most 27.6."""


class Correlation(nn.Module):
    """O_c = α O_h + β M_c O_h + γ M'_c O_h: M_c is the label co-occurrence; M'_c starts as M_c and is trained.

    Both matrices are 0 until ``fit_label_prior``. The authors' code mixes the logits of each expert within the mixture,
    E ← (1-γ) E + γ E M'_c: it multiplies on the right, by the columns, which hold the conditionals of "centered".
    """

    def __init__(
        self,
        num_classes: int,
        *,
        alpha: float = 1.0,
        beta: float = 0.0,
        gamma: float = 0.0,
        space: str | None = None,
        matrix_norm: str | None = None,
        variant: str = "paper",
    ) -> None:
        """Set the weights, the space of the scores and the reading of M_c.

        Args:
            num_classes: C.
            alpha: α, weight of the original scores.
            beta: β, weight of the scores multiplied by the fixed matrix. 0 omits the matrix.
            gamma: γ, weight of the scores multiplied by the trained matrix. 0 omits the matrix.
            space: What O is: "prob", where O_c is clamped to 0 to 1; "logit"; or "expert_logit", the logits of each
                expert of a mixture of experts. None uses the default of the variant: "prob" for "paper",
                "expert_logit" for "authors".
            matrix_norm: What M_c[i, j] is: "cond", P(i | j) with a diagonal of 0; "cond_row", "cond" with rows that sum
                to 1 (0 for a label that occurs alone); "softmax", the softmax of each row of counts; "centered",
                P(i | j) minus the mean of its column; "none", the counts. None uses the default of the variant:
                "cond_row" for "paper", "centered" for "authors".
            variant: "paper", or "authors" with α = 1-γ and β = 0.

        Raises:
            UserError: A name is unknown, or α or β is set for the authors' variant.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS, where="correlation")
        is_authors = variant == "authors"
        if is_authors and (alpha, beta) != (1, 0):
            raise UserError(
                f"α {alpha} and β {beta}",
                where="correlation, variant 'authors'",
                expected="γ alone, because this variant sets α to 1-γ and β to 0",
            )
        self.space = space if space is not None else "expert_logit" if is_authors else "prob"
        self.matrix_norm = matrix_norm if matrix_norm is not None else "centered" if is_authors else "cond_row"
        check_choice("space", self.space, SPACES, where="correlation")
        check_choice("matrix_norm", self.matrix_norm, MATRIX_NORMS, where="correlation")
        self.alpha = 1 - gamma if is_authors else alpha
        self.beta = beta
        self.gamma = gamma
        self.transposes_matrix = is_authors
        self.fixed: Tensor | None
        self.register_buffer("fixed", torch.zeros(num_classes, num_classes) if beta else None)
        self.trained = nn.Parameter(torch.zeros(num_classes, num_classes)) if gamma else None
        self.clamped_fraction: Tensor | None = None
        """Fraction of the last scores that "prob" clamped, which have no gradient. None if nothing can be clamped."""

    @torch.no_grad()
    def fit_label_prior(self, labels: csr_array) -> None:
        """Set both matrices from the training labels [N, C]."""
        matrices = [matrix for matrix in (self.fixed, self.trained) if matrix is not None]
        if matrices:
            prior = correlation_matrix(labels, self.matrix_norm)
            for matrix in matrices:
                matrix.copy_(prior)

    def forward(self, scores: Scores) -> Scores:
        """Scores [B, C] → scores [B, C]; the same object if (α, β, γ) = (1, 0, 0).

        Raises:
            UserError: The space is "expert_logit" and the classification has no experts.
        """
        if (self.alpha, self.beta, self.gamma) == (1, 0, 0):
            return scores
        # The sums have thousands of terms and may end at the clamp: half precision is too coarse.
        with torch.autocast(scores.log_p.device.type, enabled=False):
            if self.space == "logit":
                logits = scores.log_p - scores.log_not_p
                return Scores.from_logits(self.alpha * logits + self.correlation_terms(logits), scores.embedding)
            if self.space == "expert_logit":
                if scores.mixture is None:
                    raise UserError(
                        "a classification without experts",
                        where="correlation, space 'expert_logit'",
                        expected="a mixture of experts, such as moe",
                        advice="Spaces 'prob' and 'logit' support all classifications.",
                    )
                log_gates, experts = scores.mixture
                mixed = self.alpha * experts + self.correlation_terms(experts)  # [B, C, k]
                return Scores.from_mixture(log_gates, mixed, scores.embedding)
            p, terms = scores.p, self.correlation_terms(scores.p)
            new_p = self.alpha * p + terms
            new_not_p = (1 - self.alpha) + self.alpha * scores.log_not_p.exp() - terms  # 1 - new_p with digits of 1 - p
            self.clamped_fraction = ((new_p < 0) | (new_not_p < 0)).detach().float().mean()
            return Scores(_stable_log(new_p, new_not_p), _stable_log(new_not_p, new_p), scores.embedding)

    def correlation_terms(self, scores: Tensor) -> Tensor:
        """Compute β M O + γ M' O of scores [B, C] or, per expert, [B, C, k]."""
        total = torch.zeros_like(scores)
        for weight, matrix in ((self.beta, self.fixed), (self.gamma, self.trained)):
            if matrix is not None:
                matrix = promote_to_float32(matrix)
                rows = matrix.T if self.transposes_matrix else matrix
                total = total + weight * torch.einsum("ij,bj...->bi...", rows, scores)
        return total

    def label_contributions(self, label: int, scores: Scores) -> tuple[Tensor, Tensor]:
        """Compute what each label j adds to the score of label c.

        For "expert_logit", the logits of the experts are weighted by the gates.

        Args:
            label: c.
            scores: O_h [B, C].

        Returns:
            β M[c, j] O_j and γ M'[c, j] O_j, each [B, C]. Their sums over j are the ``correlation_terms`` of label c.
        """
        values = scores.p if self.space == "prob" else scores.log_p - scores.log_not_p  # [B, C]
        if self.space == "expert_logit" and scores.mixture is not None:
            log_gates, experts = scores.mixture
            gates = log_gates[:, label, : experts.shape[2]].exp()  # [B, k]
            values = torch.einsum("bk,bjk->bj", gates, experts)
        parts = []
        for weight, matrix in ((self.beta, self.fixed), (self.gamma, self.trained)):
            if matrix is None:
                parts.append(torch.zeros_like(values))
            else:
                rows = matrix.T if self.transposes_matrix else matrix
                parts.append(weight * promote_to_float32(rows[label]) * values)
        return parts[0], parts[1]


def _stable_log(part: Tensor, rest: Tensor) -> Tensor:
    """Compute log(part) for part + rest = 1 from the smaller of the two, because the larger has fewer digits left."""
    return torch.where(part < rest, part.clamp(min=EPS).log(), (-rest.clamp(EPS, 0.5)).log1p())


def correlation_matrix(labels: csr_array, norm: str) -> Tensor:
    """Compute M_c [C, C], float32, from labels [N, C]. ``Correlation`` describes the norms.

    If a norm divides by a sum, the entries of a label without videos, or one that occurs alone, are 0.
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
    matrix /= matrix.diagonal().clone().clamp(min=1)  # P(i | j) = N_ij / S_j
    matrix.fill_diagonal_(0)
    if norm == "cond_row":
        sums = matrix.sum(dim=1, keepdim=True)
        matrix /= torch.where(sums > 0, sums, 1)
    return matrix
