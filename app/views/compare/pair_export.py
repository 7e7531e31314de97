"""Compare page: the provenance and the code of charts of two runs."""

from typing import Any

from components.charts import figure_code, provenance_text
from context import PageContext
from views.compare.label_filters import filter_code

GAINS = (
    "from yt8m_core.analysis import per_label\ntable = per_label.add_gain(view.label_table, other.label_precision)\n"
)


def pair_provenance(page: PageContext, other: PageContext) -> str:
    """Return both runs, and the data set, its size and its scale."""
    return provenance_text(page, second_run=other.run_key)


def pair_code(page: PageContext, other: PageContext, figure: str, *arguments: str, setup: str, **options: Any) -> str:
    """Return code as ``figure_code``, which opens the second run as ``other``."""
    second = f"other = Inspection({str(other.run.path.absolute())!r}, view.data)"
    return figure_code(page, figure, *arguments, setup=f"{second}\n{setup}", **options)


def label_code(page: PageContext, other: PageContext, figure: str, table: str, **options: Any) -> str:
    """Return code that draws a figure of the selected labels, which ``table`` may call ``table``."""
    return pair_code(page, other, figure, table, setup=GAINS + filter_code(), **options)
