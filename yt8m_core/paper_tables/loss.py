"""Table 4 (Table 5 in the text): the loss, after indirect clustering and MoE-16 (section 3.2.4).

The center loss row cannot differ from the L_CE row: the embedding that the loss acts on is the video vector, and no
trainable layer precedes it. Two additional rows have a layer there, as wide as in the published code, which trained its
center loss with another classifier. These rows can show the effect of the loss.
"""

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.claims import Claim, versus_each
from yt8m_core.paper_tables.classification import CLUSTERING
from yt8m_core.paper_tables.label_processing import MOE_16
from yt8m_core.paper_tables.table import Row, Table


def _huber(gap: float, delta: float) -> Row:
    return Row(f"Huber (δ = {delta})", gap, CLUSTERING, MOE_16, loss=Slot("pseudo_huber", {"delta": delta}))


SOURCE, HUBER = "section 3.2.4, Table 4", "Huber (δ = 0.5)"
CENTER = Slot("center", {"weight": 0.001})
EMBEDDED, EMBEDDED_CENTER = "L_CE, 2048-d embedding", "L_CE + λL_c, 2048-d embedding"
MOE_16_EMBEDDED = Slot("moe", {"experts": 16, "embedding": 2048})

TABLE = Table(
    title="Table 4: loss",
    conclusion="The center loss gains little. The Huber loss gains clearly, most with δ = 0.5.",
    baseline="L_CE",
    rows=(
        Row("L_CE", 0.798, CLUSTERING, MOE_16),
        Row("L_CE + λL_c (λ = 0.001)", 0.799, CLUSTERING, MOE_16, loss=CENTER),
        _huber(0.803, 0.5),
        _huber(0.801, 1.0),
        _huber(0.798, 2.0),
        _huber(0.794, 3.0),
        Row(EMBEDDED, None, CLUSTERING, MOE_16_EMBEDDED),
        Row(EMBEDDED_CENTER, None, CLUSTERING, MOE_16_EMBEDDED, loss=CENTER, reference=EMBEDDED),
    ),
    claims=(
        Claim("The center loss gains little.", SOURCE, ((EMBEDDED_CENTER, EMBEDDED),), expects="similar"),
        Claim("The Huber loss (δ = 0.5) beats cross entropy.", SOURCE, ((HUBER, "L_CE"),)),
        Claim(
            "δ = 0.5 is the best Huber loss.",
            SOURCE,
            versus_each(HUBER, ("Huber (δ = 1.0)", "Huber (δ = 2.0)", "Huber (δ = 3.0)")),
        ),
    ),
)
