"""The label correlation inside a run: its α, β and γ, its matrices M_c and M'_c, and what training changed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from yt8m_core.models.label_processing.correlation import Correlation, correlation_matrix
from yt8m_core.models.slot import Slot

Matrix = NDArray[np.float32]

FIXED, TRAINED, CHANGE = "counted", "trained", "change"
KINDS = {
    FIXED: "M_c, counted over the run's training labels before its training",
    TRAINED: "M'_c, which started as M_c and was trained with the rest of the run",
    CHANGE: "M'_c − M_c, what training added (above 0) or took away (below 0)",
}


@dataclass(frozen=True)
class OwnMatrices:
    """The matrices [C, C] by which a run weighs its scores: row i takes column j's score times [i, j].

    Attributes:
        counted: M_c; None where the run does not keep it and its training labels are gone.
        trained: M'_c; None for a run without γ.
    """

    counted: Matrix | None
    trained: Matrix | None

    @property
    def kinds(self) -> list[str]:
        """Those of ``KINDS`` that there are."""
        there = {FIXED: self.counted, TRAINED: self.trained}
        kinds = [kind for kind, matrix in there.items() if matrix is not None]
        return [*kinds, CHANGE] if len(kinds) == 2 else kinds

    def at(self, kind: str, rows: Any, columns: Any) -> NDArray[np.float64]:
        """The entries at some places; the indices broadcast as numpy's do."""
        there = {FIXED: self.counted, TRAINED: self.trained}
        one, *others = (
            np.asarray(matrix[rows, columns], np.float64)
            for matrix in ([self.trained, self.counted] if kind == CHANGE else [there[kind]])
            if matrix is not None
        )
        return one - others[0] if others else one

    def rank(self, kind: str, pairs: pd.DataFrame) -> pd.DataFrame:
        """Pairs with what each label takes from the other, b_to_a and a_to_b, the strongest of either way first.

        Args:
            kind: one of ``kinds``.
            pairs: label_a, label_b and whatever else.
        """
        a, b = (pairs[side].to_numpy(np.int64) for side in ("label_a", "label_b"))
        taken = pairs.assign(b_to_a=self.at(kind, a, b), a_to_b=self.at(kind, b, a))
        strength = taken[["b_to_a", "a_to_b"]].abs().max(axis=1).to_numpy()
        return taken.iloc[np.argsort(-strength, kind="stable")].reset_index(drop=True)


def own_matrices(processing: Correlation, labels: csr_array | None) -> OwnMatrices:
    """The matrices of a run's label processing; ``labels`` [N, C] are those that it was trained with, where there."""

    def turned(matrix: Tensor | None) -> Matrix | None:
        if matrix is None:
            return None
        values: Matrix = matrix.detach().float().numpy()
        return values.T if processing.by_columns else values

    counted = processing.fixed
    if counted is None and labels is not None:
        counted = correlation_matrix(labels, processing.matrix_norm)
    return OwnMatrices(turned(counted), turned(processing.trained))


def weighs(processing: Slot) -> bool:
    """Whether a run's label processing has a matrix of its own.

    >>> weighs(Slot("correlation", {"gamma": 0.1})), weighs(Slot("correlation")), weighs(Slot("identity"))
    (True, False, False)
    """
    options = processing.options
    return processing.name == "correlation" and any(options.get(weight) for weight in ("beta", "gamma"))


def own_weights(processing: Slot) -> tuple[float, float, float] | None:
    """α, β and γ of a run; None where its label processing is not O_c = α O_h + β M_c O_h + γ M'_c O_h (equation 20).

    >>> own_weights(Slot("identity")), own_weights(Slot("correlation", {"beta": 0.1}))
    ((1.0, 0.0, 0.0), (1.0, 0.1, 0.0))
    >>> own_weights(Slot("correlation", {"gamma": 0.1, "space": "logit"})) is None
    True
    """
    if processing.name == "identity":
        return 1.0, 0.0, 0.0
    options = {"variant": "paper", "space": "prob", "matrix_norm": "cond_row", **processing.options}
    known = (options["variant"], options["space"] or "prob", options["matrix_norm"] or "cond_row")
    if processing.name != "correlation" or known != ("paper", "prob", "cond_row"):
        return None
    return float(options.get("alpha", 1)), float(options.get("beta", 0)), float(options.get("gamma", 0))
