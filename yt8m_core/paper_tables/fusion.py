"""Compact bilinear pooling of visual and audio features: "significantly lower", without a GAP (section 2.1)."""

from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.claims import Claim, each_versus
from yt8m_core.paper_tables.classification import CLUSTERING
from yt8m_core.paper_tables.pooling import MOE_2
from yt8m_core.paper_tables.table import Row, Table

WIDTHS = (512, 1024, 2048)  # 2048 is the authors' default; at 4096 the transforms take longer than an LSTM


def _bilinear(width: int) -> Row:
    fusion = Slot("compact_bilinear", {"width": width})
    return Row(f"Compact bilinear, {width}", None, CLUSTERING, MOE_2, fusion=fusion)


TABLE = Table(
    title="Section 2.1: fusion of visual and audio features",
    conclusion="Compact bilinear pooling of visual and audio features is far worse than concatenation at every width.",
    baseline="Concatenation",
    rows=(
        # Indirect clustering as in Table 1; the paper does not say which architecture it used.
        Row("Concatenation", 0.801, CLUSTERING, MOE_2),
        *(_bilinear(width) for width in WIDTHS),
    ),
    claims=(
        Claim(
            "Compact bilinear pooling is worse than concatenation at every width.",
            "section 2.1",
            each_versus(tuple(f"Compact bilinear, {width}" for width in WIDTHS), "Concatenation"),
            expects="worse",
        ),
    ),
)
