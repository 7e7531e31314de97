"""Label correlation inside a run: its weights α, β, γ, its matrices M_c and M'_c, and the change due to training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.labels.clustering import supported_pairs
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.label_processing.correlation import Correlation
from yt8m_core.models.label_processing.correlation_matrix import correlation_matrix
from yt8m_core.models.slot import Slot

Matrix = NDArray[np.float32]

FIXED, TRAINED, CHANGE = "counted", "trained", "change"
MATRIX_KINDS = {
    FIXED: "M_c, counted over the run's training labels before training",
    TRAINED: "M'_c, initialized with M_c and trained with the rest of the model",
    CHANGE: "M'_c − M_c, the change due to training",
}


@dataclass(frozen=True)
class CorrelationMatrices:
    """Matrices [C, C] of a run's label processing: row i receives the score of column j times [i, j].

    Attributes:
        counted: M_c; None if the run does not store it and its training labels are missing.
        trained: M'_c; None for a run without γ.
    """

    counted: Matrix | None
    trained: Matrix | None

    @property
    def kinds(self) -> list[str]:
        """Available kinds, a subset of ``MATRIX_KINDS``."""
        matrices = {FIXED: self.counted, TRAINED: self.trained}
        kinds = [kind for kind, matrix in matrices.items() if matrix is not None]
        return [*kinds, CHANGE] if len(kinds) == 2 else kinds

    def entries(self, kind: str, rows: Any, columns: Any) -> NDArray[np.float64]:
        """Return the entries at the given indices, which broadcast as in numpy."""
        matrices = {FIXED: self.counted, TRAINED: self.trained}
        first, *others = (
            np.asarray(matrix[rows, columns], np.float64)
            for matrix in ([self.trained, self.counted] if kind == CHANGE else [matrices[kind]])
            if matrix is not None
        )
        return first - others[0] if others else first

    def supported(self, kind: str, cooccurrence: csr_array, minimum_support: int) -> csr_array:
        """Return the entries of the pairs with at least the minimum support, sparse [C, C]."""
        row, column = supported_pairs(cooccurrence, minimum_support)
        return csr_array((self.entries(kind, row, column), (row, column)), cooccurrence.shape)

    def rank_pairs(self, kind: str, pairs: pd.DataFrame) -> pd.DataFrame:
        """Sort pairs by the larger absolute entry of both directions, and add the entries b_to_a and a_to_b.

        Args:
            kind: One of ``kinds``.
            pairs: label_a, label_b, and any other columns.
        """
        a, b = (pairs[side].to_numpy(np.int64) for side in ("label_a", "label_b"))
        table = pairs.assign(b_to_a=self.entries(kind, a, b), a_to_b=self.entries(kind, b, a))
        strength = table[["b_to_a", "a_to_b"]].abs().max(axis=1).to_numpy()
        return table.iloc[np.argsort(-strength, kind="stable")].reset_index(drop=True)


def correlation_matrices(processing: nn.Module, labels: csr_array | None) -> CorrelationMatrices:
    """Return the matrices of a run's label processing.

    Args:
        processing: The run's label processing.
        labels: Label matrix of its training videos [N, C], from which M_c is counted if the run does not store it;
            None if it is missing.

    Raises:
        UserError: The label processing is not ``correlation``.
    """
    if not isinstance(processing, Correlation):
        raise UserError(f"label processing '{type(processing).__name__}'", expected="correlation, which has a matrix")

    def by_rows(matrix: Tensor | None) -> Matrix | None:
        if matrix is None:
            return None
        values: Matrix = matrix.detach().float().numpy()
        return values.T if processing.transposes_matrix else values

    counted = processing.fixed
    if counted is None and labels is not None:
        counted = correlation_matrix(labels, processing.matrix_norm)
    return CorrelationMatrices(by_rows(counted), by_rows(processing.trained_matrix))


def trained_matrix(model: VideoClassifier) -> Matrix | None:
    """Return M'_c [C, C] of a model whose label processing trained one, else None."""
    matrix = getattr(model.label_processing, "trained_matrix", None)
    return None if matrix is None else matrix.numpy()


def uses_correlation_matrix(processing: Slot) -> bool:
    """Return whether a run's label processing has a correlation matrix.

    >>> uses_correlation_matrix(Slot("correlation", {"gamma": 0.1})), uses_correlation_matrix(Slot("correlation"))
    (True, False)
    >>> uses_correlation_matrix(Slot("identity"))
    False
    """
    options = processing.options
    return processing.name == "correlation" and any(options.get(weight) for weight in ("beta", "gamma"))


def correlation_weights(processing: Slot) -> tuple[float, float, float] | None:
    """Return α, β, γ of a run, or None if its label processing is not equation 20 on probabilities.

    Equation 20 is O_c = α O_h + β M_c O_h + γ M'_c O_h.

    >>> probabilities = Slot("correlation", {"beta": 0.1, "space": "prob"})
    >>> correlation_weights(Slot("identity")), correlation_weights(probabilities)
    ((1.0, 0.0, 0.0), (1.0, 0.1, 0.0))
    >>> correlation_weights(Slot("correlation", {"gamma": 0.1})) is None
    True
    """
    if processing.name not in ("identity", "correlation"):
        return None
    if not uses_correlation_matrix(processing) and processing.options.get("alpha", 1) == 1:
        return 1.0, 0.0, 0.0
    options = {"variant": "paper", "space": None, "matrix_norm": None, **processing.options}
    form = (options["variant"], options["space"], options["matrix_norm"] or "cond_row")
    if form != ("paper", "prob", "cond_row"):
        return None
    return float(options.get("alpha", 1)), float(options.get("beta", 0)), float(options.get("gamma", 0))
