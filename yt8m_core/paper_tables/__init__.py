"""Tables of the paper: rows as experiments, the GAP@20 that the paper reports, and its claims.

The paper reports GAP on the 2017 Kaggle test set, whose labels were never published. Compare the order of rows, not the
values. https://arxiv.org/abs/1706.07960
"""

from yt8m_core.paper_tables import (
    best,
    classification,
    ensemble,
    fusion,
    label_priors,
    label_processing,
    loss,
    pooling,
    rates,
    single,
    variants,
)
from yt8m_core.paper_tables.claims import Claim
from yt8m_core.paper_tables.table import Row, Table

TABLES: dict[str, Table] = {
    "pooling": pooling.TABLE,
    "classification": classification.TABLE,
    "label_processing": label_processing.TABLE,
    "loss": loss.TABLE,
    "single": single.TABLE,
    # Claims of the text that have no table, and differences between the paper and its published code.
    "ensemble": ensemble.TABLE,
    "fusion": fusion.TABLE,
    "rates": rates.TABLE,
    "pooling_variants": variants.POOLING,
    "scoring_variants": variants.SCORING,
    "label_priors": label_priors.TABLE,
    "best": best.TABLE,
}

__all__ = ["TABLES", "Claim", "Row", "Table"]
