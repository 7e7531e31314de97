"""Layer norm in the LSTM (section 3.2.1): a lower final GAP, but stable at 20 to 30 times the learning rate."""

from dataclasses import replace

from yt8m_core.paper_tables import pooling
from yt8m_core.paper_tables.claims import Claim
from yt8m_core.paper_tables.table import Row, Table

MULTIPLIER = 25  # the middle of 20 to 30

PLAIN, NORMALIZED = pooling.TABLE.row("LSTM-M-O"), pooling.TABLE.row("LSTM-M-O-LN")


def _faster(row: Row) -> Row:
    name = f"{row.name}, {MULTIPLIER}× learning rate"
    return replace(row, name=name, gap=None, rate_multiplier=MULTIPLIER, reference=row.name)


TABLE = Table(
    title="Section 3.2.1: layer norm and the learning rate",
    conclusion="The LSTM with layer norm converges at 20 to 30 times the learning rate.",
    baseline=PLAIN.name,
    rows=(PLAIN, NORMALIZED, _faster(PLAIN), _faster(NORMALIZED)),
    claims=(
        Claim(
            f"At {MULTIPLIER} times the learning rate, the LSTM with layer norm beats the LSTM without it.",
            "section 3.2.1",
            ((_faster(NORMALIZED).name, _faster(PLAIN).name),),
        ),
    ),
    frames=True,
)
