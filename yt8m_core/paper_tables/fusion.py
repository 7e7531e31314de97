"""What section 2.1 says of compact bilinear pooling, without a number: "significantly lower" in various dimensions."""

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.claims import Claim, each_against
from yt8m_core.paper_tables.classification import CLUSTERING
from yt8m_core.paper_tables.pooling import MOE_2
from yt8m_core.paper_tables.table import Row, Table

WIDTHS = (512, 1024, 2048)  # the last is the authors' default; the transforms of 4,096 take longer than an LSTM


def _bilinear(width: int) -> Row:
    fusion = Slot("compact_bilinear", {"width": width})
    return Row(f"Compact bilinear, {width}", None, CLUSTERING, MOE_2, fusion=fusion)


TABLE = Table(
    title="Section 2.1: rgb and audio",
    claim="Compact bilinear pooling of rgb and audio is far behind their concatenation, whatever its width.",
    baseline="Concatenation",
    rows=(
        # The line is Table 1's of indirect clustering; the paper does not say on which it tried.
        Row("Concatenation", 0.801, CLUSTERING, MOE_2),
        *(_bilinear(width) for width in WIDTHS),
    ),
    ledger=(
        Claim(
            "Compact bilinear pooling is significantly worse than concatenation, in all dimensions.",
            "section 2.1",
            each_against(tuple(f"Compact bilinear, {width}" for width in WIDTHS), "Concatenation"),
            says="worse",
        ),
    ),
)
