"""Table 3 (Table 4 in the text): label processing, after indirect clustering and MoE-16 (section 3.2.3)."""

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.claims import Claim, each_versus
from yt8m_core.paper_tables.classification import CLUSTERING
from yt8m_core.paper_tables.table import Row, Table

MOE_16 = Slot("moe", {"experts": 16})
# The paper states none of them; ``ablation/correlation_readings.py`` compares readings on training records.
READING = {"matrix_norm": "cond_row", "space": "logit"}
RELATIVE_STEP = 0.1


def correlation(beta: float = 0.0, gamma: float = 0.0) -> Slot:
    """Return the correlation of (1, β, γ) in the reading of this table."""
    options = {"alpha": 1.0, "beta": beta, "gamma": gamma, **READING}
    return Slot("correlation", {**options, "relative_step": RELATIVE_STEP} if gamma else options)


def _row(gap: float, beta: float, gamma: float) -> Row:
    return Row(f"MoE - (1.0, {beta}, {gamma})", gap, CLUSTERING, MOE_16, correlation(beta, gamma))


BASELINE = "MoE - (1.0, 0.0, 0.0)"
ROWS = (
    # Table 3 omits its baseline; the same architecture is the L_CE row of Table 4.
    Row(BASELINE, 0.798, CLUSTERING, MOE_16),
    _row(0.784, 0.3, 0.0),
    _row(0.787, 0.1, 0.0),
    _row(0.788, 0.0, 0.1),
    _row(0.790, 0.01, 0.0),
    _row(0.790, 0.0, 0.01),
    _row(0.788, 0.01, 0.01),
)
CONCLUSION = "Every β > 0 and every γ > 0 lowers GAP."

TABLE = Table(
    title="Table 3: label processing",
    conclusion=CONCLUSION,
    baseline=BASELINE,
    rows=ROWS,
    claims=(
        Claim(
            CONCLUSION,
            "section 3.2.3, Table 3",
            each_versus(tuple(row.name for row in ROWS[1:]), BASELINE),
            expects="worse",
        ),
    ),
)
