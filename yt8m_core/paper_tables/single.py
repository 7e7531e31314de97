"""The best single model (section 3.3)."""

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import pooling
from yt8m_core.paper_tables.claims import Claim
from yt8m_core.paper_tables.table import Row, Table

TABLE = Table(
    title="Section 3.3: the best single model",
    conclusion="LSTM-M-O with MoE-2 and the Huber loss reaches 0.820, as does Table 1 without the Huber loss.",
    baseline="LSTM-M-O + MoE-2",
    rows=(
        Row("LSTM-M-O + MoE-2", 0.820, pooling.TABLE.row("LSTM-M-O").pooling, pooling.MOE_2),
        Row(
            "LSTM-M-O + MoE-2 + Huber",
            0.820,
            pooling.TABLE.row("LSTM-M-O").pooling,
            pooling.MOE_2,
            loss=Slot("pseudo_huber", {"delta": 0.5}),
        ),
    ),
    claims=(
        Claim(
            "The Huber loss does not change the GAP of LSTM-M-O (0.820 with and without it).",
            "section 3.3 and Table 1",
            (("LSTM-M-O + MoE-2 + Huber", "LSTM-M-O + MoE-2"),),
            expects="similar",
        ),
    ),
    frames=True,
)
