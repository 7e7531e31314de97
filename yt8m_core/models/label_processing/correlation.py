"""Label correlation: add to each score those of the labels that go with it (section 2.4, equations 18 to 20, Table 3).

Table 3's rows (α, β, γ) are ``alpha=1`` and ``beta``, ``gamma`` of 0 to 0.3. https://arxiv.org/abs/1706.07960
"""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.labels.cooccurrence import count_pairs
from yt8m_core.models.outputs import VARIANTS, Scores, promote_to_float32

SPACES = ("prob", "logit", "expert_logit")
NORMS = ("cond_row", "cond", "softmax", "centered", "none")
EPS = 1e-12
"""The least p and 1-p that leave the clamp, so that a wrong label there costs 27.6, not infinitely much."""


class Correlation(nn.Module):
    """O_c = α O_h + β M_c O_h + γ M'_c O_h: M_c counts how labels go together, M'_c starts as M_c and is trained.

    Both are 0 until ``fit_label_prior`` has seen the training labels. The authors' code mixes the logits of each expert
    inside the mixture, E ← (1-γ) E + γ E M'_c: on the right, by the columns, of which "centered" has the conditionals.
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
        """Choose the weights, what they weigh, and the reading of M_c.

        Args:
            num_classes: C.
            alpha: α, of the scores as they are.
            beta: β, of those through the fixed matrix. 0 spares the matrix.
            gamma: γ, of those through the trained matrix. 0 spares the matrix.
            space: what O is: "prob", where O_c is clamped to 0 to 1; "logit"; or "expert_logit", of each expert of a
                mixture of experts. None is the variant's own, "prob" for the paper's and "expert_logit" for the
                authors'.
            matrix_norm: what M_c[i, j] is: "cond", P(i | j) with 0 on the diagonal; "cond_row", that with each row
                summing to 1 (0 for a label without company); "softmax", that of each row of counts; "centered",
                P(i | j) less its column's mean; "none", the counts. None is the variant's own, "cond_row" for the
                paper's and "centered" for the authors'.
            variant: "paper", or "authors" with α = 1-γ and β = 0.

        Raises:
            UserError: a name is unknown, or α or β is given for the authors' variant.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS, where="correlation")
        authors = variant == "authors"
        if authors and (alpha, beta) != (1, 0):
            raise UserError(
                f"α {alpha} and β {beta}", where="correlation, variant 'authors'", expected="γ alone, which makes α 1-γ"
            )
        self.space = space if space is not None else "expert_logit" if authors else "prob"
        self.matrix_norm = matrix_norm if matrix_norm is not None else "centered" if authors else "cond_row"
        check_choice("space", self.space, SPACES, where="correlation")
        check_choice("matrix_norm", self.matrix_norm, NORMS, where="correlation")
        self.alpha = 1 - gamma if authors else alpha
        self.beta = beta
        self.gamma = gamma
        self.by_columns = authors
        self.fixed: Tensor | None
        self.register_buffer("fixed", torch.zeros(num_classes, num_classes) if beta else None)
        self.trained = nn.Parameter(torch.zeros(num_classes, num_classes)) if gamma else None
        self.clamped: Tensor | None = None
        """The part of the last forward's scores that "prob" clamped, where no gradient passes; None if nothing may."""

    @torch.no_grad()
    def fit_label_prior(self, labels: csr_array) -> None:
        """Set both matrices from the training labels [N, C]."""
        matrices = [matrix for matrix in (self.fixed, self.trained) if matrix is not None]
        if matrices:
            counted = correlation_matrix(labels, self.matrix_norm)
            for matrix in matrices:
                matrix.copy_(counted)

    def forward(self, scores: Scores) -> Scores:
        """Scores [B, C] → scores [B, C]; with (α, β, γ) = (1, 0, 0) the very same.

        Raises:
            UserError: "expert_logit" after a classification without experts.
        """
        if (self.alpha, self.beta, self.gamma) == (1, 0, 0):
            return scores
        # These sums have thousands of terms and may end at the clamp: half precision is too coarse.
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
                        advice="Spaces 'prob' and 'logit' go with every classification.",
                    )
                log_gates, experts = scores.mixture
                return Scores.from_mixture(log_gates, self.alpha * experts + self.correlation_terms(experts), scores.embedding)
            p, others = scores.p, self.correlation_terms(scores.p)
            yes = self.alpha * p + others
            no = (1 - self.alpha) + self.alpha * scores.log_not_p.exp() - others  # 1 - yes, with the digits of 1 - p
            self.clamped = ((yes < 0) | (no < 0)).detach().float().mean()
            return Scores(log_of(yes, no), log_of(no, yes), scores.embedding)

    def others(self, scores: Tensor) -> Tensor:
        """β M O + γ M' O of scores [B, C] or, for each expert, [B, C, k]."""
        total = torch.zeros_like(scores)
        for weight, matrix in ((self.beta, self.fixed), (self.gamma, self.trained)):
            if matrix is not None:
                matrix = promote_to_float32(matrix)
                rows = matrix.T if self.by_columns else matrix
                total = total + weight * torch.einsum("ij,bj...->bi...", rows, scores)
        return total

    def label_contributions(self, label: int, scores: Scores) -> tuple[Tensor, Tensor]:
        """What each label adds to one: β M[c, j] O_j and γ M'[c, j] O_j, each [B, C]; their sums are ``others`` of it.

        In the space "expert_logit" an expert's share counts by its gate.
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
                rows = matrix.T if self.by_columns else matrix
                parts.append(weight * promote_to_float32(rows[label]) * values)
        return parts[0], parts[1]


def log_of(part: Tensor, rest: Tensor) -> Tensor:
    """log of part, where part + rest = 1, from the smaller of the two, the other having rounded its digits away."""
    return torch.where(part < rest, part.clamp(min=EPS).log(), (-rest.clamp(EPS, 0.5)).log1p())


def correlation_matrix(labels: csr_array, norm: str) -> Tensor:
    """M_c [C, C], float32, from the label matrix [N, C]; ``Correlation`` says what each norm is.

    Where the norm divides by a sum, what belongs to a label without a video, or without company, is 0.
    """
    matrix = torch.from_numpy(count_pairs(labels).astype(np.float32).toarray())  # counts N_ij up to 2^24 are exact
    if norm == "none":
        return matrix
    if norm == "softmax":
        return matrix.softmax(dim=1)
    if norm == "centered":
        # The authors' (N_ij - mean_j) / sum_j, once the means of its rows are N's diagonal: every column sums to 0.
        matrix.diagonal().copy_(matrix.mean(dim=1))
        sums = matrix.sum(dim=1)  # N is symmetric: of row j and of column j
        return matrix.sub_(sums / len(sums)).div_(torch.where(sums > 0, sums, 1))
    matrix /= matrix.diagonal().clone().clamp(min=1)  # P(i | j) = N_ij / S_j
    matrix.fill_diagonal_(0)
    if norm == "cond_row":
        sums = matrix.sum(dim=1, keepdim=True)
        matrix /= torch.where(sums > 0, sums, 1)
    return matrix
