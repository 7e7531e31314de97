"""What section 3.2.1 says of layer norm in the LSTM: worse in the end, but fit for 20 to 30 times the learning rate."""

from dataclasses import replace

from yt8m_core.paper_tables import pooling
from yt8m_core.paper_tables.claims import Claim
from yt8m_core.paper_tables.table import Row, Table

TIMES = 25  # the middle of 20 to 30

PLAIN, NORMALIZED = pooling.TABLE.row("LSTM-M-O"), pooling.TABLE.row("LSTM-M-O-LN")


def _faster(row: Row) -> Row:
    return replace(row, name=f"{row.name}, {TIMES} × the rate", gap=None, times_rate=TIMES, against=row.name)


TABLE = Table(
    title="Section 3.2.1: layer norm and the learning rate",
    claim="The LSTM with layer norm converges at 20 to 30 times the learning rate.",
    baseline=PLAIN.name,
    rows=(PLAIN, NORMALIZED, _faster(PLAIN), _faster(NORMALIZED)),
    ledger=(
        Claim(
            "With layer norm the LSTM bears 20 to 30 times the learning rate, without it does not.",
            "section 3.2.1",
            ((_faster(NORMALIZED).name, _faster(PLAIN).name),),
        ),
    ),
    frames=True,
)
