"""Label correlation: add to each score the scores of correlated labels (section 2.4, equations 18 to 20, Table 3).

The rows (α, β, γ) of Table 3 are ``alpha=1`` with ``beta`` and ``gamma`` from 0 to 0.3. The paper says neither what a
score is, nor how M_c is normalized. The defaults are the reading that comes closest to Table 3 on training records
(``yt8m readings``): logits, and conditional probabilities with rows that sum to 1.
https://arxiv.org/abs/1706.07960
"""

import math

import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.label_processing.correlation_matrix import MATRIX_NORMS, correlation_matrix
from yt8m_core.models.outputs import VARIANTS, Scores, promote_to_float32

SPACES = ("prob", "average", "logit", "expert_logit")
EPS = 1e-12
"""Minimum p and 1-p after clamping, so that a wrong label costs at most 27.6."""
CLAMP_SLOPE = 100.0
"""Slope of log p at and beyond the clamp: that of log p at p = 0.01. A score that leaves 0 to 1 is pulled back."""


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
        relative_step: float | None = None,
        variant: str = "paper",
    ) -> None:
        """Set the weights, the space of the scores, the reading of M_c and the step of M'_c.

        Args:
            num_classes: C.
            alpha: α, weight of the original scores.
            beta: β, weight of the scores multiplied by the fixed matrix. 0 omits the matrix.
            gamma: γ, weight of the scores multiplied by the trained matrix. 0 omits the matrix.
            space: What O is: "prob", probabilities, where O_c is clamped to 0 to 1; "average", probabilities whose
                weights are divided by α + β + γ and where each row of M'_c is a softmax, so that O_c cannot leave 0 to
                1; "logit"; or "expert_logit", the logits of each expert of a mixture of experts. None uses the default
                of the variant: "logit" for "paper", "expert_logit" for "authors".
            matrix_norm: What M_c[i, j] is: one of ``MATRIX_NORMS``, which ``correlation_matrix`` describes. None uses
                the default of the variant: "cond_row" for "paper", "centered" for "authors".
            relative_step: Step of an entry of M'_c per unit of the learning rate, relative to the root mean square of
                M_c. None uses the default of the variant: 0.1 for "paper", and the step of the other weights for
                "authors". With that step Adam destroys M'_c: nearly all of its entries are 0, and a score sums the
                steps of a whole row. Not used for "average", where the softmax makes all steps relative.
            variant: "paper", or "authors" with α = 1-γ and β = 0.

        Raises:
            UserError: A name is unknown, α or β is set for the authors' variant, a weight of an average is negative or
                its matrix has entries outside 0 to 1, or ``relative_step`` is not positive.
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
        self.space = space if space is not None else "expert_logit" if is_authors else "logit"
        self.matrix_norm = matrix_norm if matrix_norm is not None else "centered" if is_authors else "cond_row"
        check_choice("space", self.space, SPACES, where="correlation")
        check_choice("matrix_norm", self.matrix_norm, MATRIX_NORMS, where="correlation")
        self.alpha = 1 - gamma if is_authors else alpha
        self.beta = beta
        self.gamma = gamma
        if self.space == "average":
            self._normalize_weights()
        is_number = isinstance(relative_step, int | float) and not isinstance(relative_step, bool)
        if relative_step is not None and not (is_number and 0 < relative_step < math.inf):
            raise UserError(repr(relative_step), where="correlation, option 'relative_step'", expected="more than 0")
        self.relative_step = relative_step if relative_step is not None or is_authors else 0.1
        self.step_scales: dict[str, float] = {}
        self.transposes_matrix = is_authors
        self.fixed: Tensor | None
        self.register_buffer("fixed", torch.zeros(num_classes, num_classes) if beta else None)
        self.trained = nn.Parameter(torch.zeros(num_classes, num_classes)) if gamma else None
        self.clamped_fraction: Tensor | None = None
        """Fraction of the last scores that "prob" clamped. None if nothing can be clamped."""

    def _normalize_weights(self) -> None:
        where = "correlation, space 'average'"
        weights = (self.alpha, self.beta, self.gamma)
        if min(weights) < 0 or not sum(weights) > 0:
            raise UserError(f"(α, β, γ) = {weights}", where=where, expected="weights of at least 0, not all 0")
        if self.matrix_norm not in ("cond_row", "softmax"):
            expected = "cond_row or softmax, whose rows sum to 1"
            raise UserError(f"matrix_norm '{self.matrix_norm}'", where=where, expected=expected)
        self.alpha, self.beta, self.gamma = (weight / sum(weights) for weight in weights)

    @torch.no_grad()
    def fit_label_prior(self, labels: csr_array) -> None:
        """Set both matrices from the training labels [N, C]."""
        if self.fixed is None and self.trained is None:
            return
        prior = correlation_matrix(labels, self.matrix_norm)
        if self.fixed is not None:
            self.fixed.copy_(prior)
        if self.trained is None:
            return
        if self.space == "average":  # softmax of log M is M, but for entries of 0, whose row gets 1/C in total
            self.trained.copy_(prior.clamp(min=len(prior) ** -2).log())
            return
        self.trained.copy_(prior)
        size = float(prior.square().mean().sqrt())
        if self.relative_step is not None and size:
            self.step_scales = {"trained": self.relative_step * size}

    @property
    def trained_matrix(self) -> Tensor | None:
        """M'_c [C, C]; None if γ is 0."""
        if self.trained is None or self.space != "average":
            return self.trained
        return promote_to_float32(self.trained).softmax(dim=1)

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
            if self.space == "prob":
                self.clamped_fraction = ((new_p < 0) | (new_not_p < 0)).detach().float().mean()
            return Scores(_stable_log(new_p, new_not_p), _stable_log(new_not_p, new_p), scores.embedding)

    def correlation_terms(self, scores: Tensor) -> Tensor:
        """Compute β M O + γ M' O of scores [B, C] or, per expert, [B, C, k]."""
        total = torch.zeros_like(scores)
        for weight, matrix in ((self.beta, self.fixed), (self.gamma, self.trained_matrix)):
            if matrix is not None:
                matrix = promote_to_float32(matrix)
                rows = matrix.T if self.transposes_matrix else matrix
                # As a product with the transposed scores, which a CPU computes twice as fast as einsum does.
                total = total + weight * torch.tensordot(rows, scores, dims=([1], [1])).movedim(0, 1)
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
        values = scores.p if self.space in ("prob", "average") else scores.log_p - scores.log_not_p  # [B, C]
        if self.space == "expert_logit" and scores.mixture is not None:
            log_gates, experts = scores.mixture
            gates = log_gates[:, label, : experts.shape[2]].exp()  # [B, k]
            values = torch.einsum("bk,bjk->bj", gates, experts)
        parts = []
        for weight, matrix in ((self.beta, self.fixed), (self.gamma, self.trained_matrix)):
            if matrix is None:
                parts.append(torch.zeros_like(values))
            else:
                rows = matrix.T if self.transposes_matrix else matrix
                parts.append(weight * promote_to_float32(rows[label]) * values)
        return parts[0], parts[1]


def _stable_log(part: Tensor, rest: Tensor) -> Tensor:
    """Compute log(part) for part + rest = 1 from the smaller of the two, because the larger has fewer digits left.

    Parts below ``EPS`` are clamped, and have the gradient ``CLAMP_SLOPE`` in place of 0.
    """
    log = torch.where(part < rest, part.clamp(min=EPS).log(), (-rest.clamp(EPS, 0.5)).log1p())
    return log + CLAMP_SLOPE * torch.where(part < EPS, part - part.detach(), 0)
