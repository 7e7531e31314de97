"""Table 3 (called Table 4 in the text): label processing after indirect clustering and MoE-16 (section 3.2.3)."""

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.claims import Claim, each_against
from yt8m_core.paper_tables.classification import CLUSTERING
from yt8m_core.paper_tables.table import Row, Table

MOE_16 = Slot("moe", {"experts": 16})


def _row(gap: float, beta: float, gamma: float) -> Row:
    name = f"MoE - (1.0, {beta}, {gamma})"
    return Row(name, gap, CLUSTERING, MOE_16, Slot("correlation", {"alpha": 1.0, "beta": beta, "gamma": gamma}))


BASELINE = "MoE - (1.0, 0.0, 0.0)"
ROWS = (
    # The table lacks its baseline; the same line of slots is Table 4's row of L_CE.
    Row(BASELINE, 0.798, CLUSTERING, MOE_16),
    _row(0.784, 0.3, 0.0),
    _row(0.787, 0.1, 0.0),
    _row(0.788, 0.0, 0.1),
    _row(0.790, 0.01, 0.0),
    _row(0.790, 0.0, 0.01),
    _row(0.788, 0.01, 0.01),
)

TABLE = Table(
    title="Table 3: label processing",
    claim="Every β and γ above 0 hurts.",
    baseline=BASELINE,
    rows=ROWS,
    ledger=(
        Claim(
            "Every β and γ above 0 hurts.",
            "section 3.2.3, Table 3",
            each_against(tuple(row.name for row in ROWS[1:]), BASELINE),
            says="worse",
        ),
    ),
)
