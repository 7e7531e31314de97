"""The best single model (section 3.3)."""

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import pooling
from yt8m_core.paper_tables.claims import Claim
from yt8m_core.paper_tables.table import Row, Table

TABLE = Table(
    title="Section 3.3: the best single model",
    claim="LSTM-M-O, MoE-2 and the Huber loss together come to 0.820 (as Table 1 has it without the Huber loss).",
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
    ledger=(
        Claim(
            "On LSTM-M-O the Huber loss gains nothing: 0.820 with it and without.",
            "section 3.3 and Table 1",
            (("LSTM-M-O + MoE-2 + Huber", "LSTM-M-O + MoE-2"),),
            says="alike",
        ),
    ),
    frames=True,
)
