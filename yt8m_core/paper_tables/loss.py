"""Table 4 (called Table 5 in the text): the loss, after indirect clustering and MoE-16 (section 3.2.4).

The row of the center loss cannot differ from that of L_CE: the embedding that it pulls at is the video's vector, and no
weight comes before it. Two rows more have a layer there, as wide as the published code's, which ran its center loss
with another classifier; they can tell what the loss does.
"""

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.claims import Claim, one_against_each
from yt8m_core.paper_tables.classification import CLUSTERING
from yt8m_core.paper_tables.label_processing import MOE_16
from yt8m_core.paper_tables.table import Row, Table


def _huber(gap: float, delta: float) -> Row:
    return Row(f"Huber (δ = {delta})", gap, CLUSTERING, MOE_16, loss=Slot("pseudo_huber", {"delta": delta}))


WHERE, HUBER = "section 3.2.4, Table 4", "Huber (δ = 0.5)"
CENTER = Slot("center", {"weight": 0.001})
EMBEDDED, EMBEDDED_CENTER = "L_CE, embedding of 2048", "L_CE + λL_c, embedding of 2048"
MOE_16_EMBEDDED = Slot("moe", {"experts": 16, "embedding": 2048})

TABLE = Table(
    title="Table 4: loss",
    claim="The center loss gains little, the Huber loss clearly, most with δ = 0.5.",
    baseline="L_CE",
    rows=(
        Row("L_CE", 0.798, CLUSTERING, MOE_16),
        Row("L_CE + λL_c (λ = 0.001)", 0.799, CLUSTERING, MOE_16, loss=CENTER),
        _huber(0.803, 0.5),
        _huber(0.801, 1.0),
        _huber(0.798, 2.0),
        _huber(0.794, 3.0),
        Row(EMBEDDED, None, CLUSTERING, MOE_16_EMBEDDED),
        Row(EMBEDDED_CENTER, None, CLUSTERING, MOE_16_EMBEDDED, loss=CENTER, against=EMBEDDED),
    ),
    ledger=(
        Claim("The center loss gains little.", WHERE, ((EMBEDDED_CENTER, EMBEDDED),), says="alike"),
        Claim("The Huber loss gains clearly.", WHERE, ((HUBER, "L_CE"),)),
        Claim(
            "It gains most with δ = 0.5.",
            WHERE,
            one_against_each(HUBER, ("Huber (δ = 1.0)", "Huber (δ = 2.0)", "Huber (δ = 3.0)")),
        ),
    ),
)
