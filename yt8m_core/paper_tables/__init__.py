"""The tables of the paper: each its claim, its rows as lines of slots, and the GAP@20 that the paper gives.

A row's GAP is of the competition's test set of 2017, whose labels were never public: it cannot be measured again, only
the order of the rows can. https://arxiv.org/abs/1706.07960
"""

from yt8m_core.paper_tables import (
    classification,
    ensemble,
    fusion,
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
    # What the text says beside its tables, and where its published code differs from it.
    "ensemble": ensemble.TABLE,
    "fusion": fusion.TABLE,
    "rates": rates.TABLE,
    "pooling_variants": variants.POOLING,
    "scoring_variants": variants.SCORING,
}

__all__ = ["TABLES", "Claim", "Row", "Table"]
