"""Compare page: the difference in GAP with its interval, and the difference in average precision by band."""

from typing import Any

import pandas as pd
import streamlit as st

from cache import comparisons
from components.charts import show_chart
from components.columns import AP_HELP, GAP_HELP
from components.text import plain, signed
from context import PageContext
from views.compare.label_filters import show_no_labels
from views.compare.pair_export import label_code, pair_provenance
from yt8m_core import figures
from yt8m_core.analysis import per_label
from yt8m_core.figures.style import pluralize
from yt8m_core.labels.statistics import BANDS
from yt8m_core.metrics.bootstrap import Estimate

BAND_HEIGHT = 340  # pixels


def show_answer(page: PageContext, other: PageContext, bands: pd.DataFrame, minimum: int) -> None:
    """Show which run is better: by GAP, and by band.

    Args:
        page: The page, with the first run.
        other: The same page with the second run.
        bands: Result of ``per_label.gain_by_band``.
        minimum: Minimum support of its labels.
    """
    _show_gap(page, other)
    if bands.empty:
        show_no_labels(minimum)
        return
    names = page.run.name, other.run.name
    show_chart(
        figures.gain_by_band(bands, runs=names, scale=page.scale),
        height=BAND_HEIGHT,
        key="gain by band",
        provenance=pair_provenance(page, other),
        data=bands,
        code=label_code(page, other, "gain_by_band", "per_label.gain_by_band(table)", runs=names),
        alt="Mean difference in average precision of the head, mid and tail labels, with 95% CI",
    )
    gains = {band["band"]: _gain_text(band, other.run.name) for band in bands.to_dict("records")}
    empty = f"no selected label has {minimum:,} scored videos or more."
    with st.expander("Differences by band", icon=":material/list:"):
        st.markdown("\n".join(f"- **{band}**: {gains.get(band, empty)}" for band in (*BANDS, per_label.ALL)))
        st.caption(
            "The 95% CI covers the variation between labels of a band, not between videos or training runs.",
            help=AP_HELP,
        )


def _show_gap(page: PageContext, other: PageContext) -> None:
    result = comparisons.gap_difference(page, other)
    num_videos = len(page.scores.videos)
    has_interval = num_videos > 1
    interval = f"95% CI {_signed_interval(result.difference)}" if has_interval else "no interval: one video"
    st.metric(
        "Difference in GAP@20",
        signed(result.difference.value, 4),
        interval,
        delta_color="off",
        delta_arrow="off",
        help=f"GAP of the second run minus GAP of the first. {GAP_HELP} The interval is a bootstrap over videos, "
        "paired: both runs are measured on the same draws. It does not cover the variation between training runs.",
    )
    first, second = (f"{run.value:.3f} \\[{run.low:.3f}, {run.high:.3f}\\]" for run in (result.first, result.second))
    if has_interval and result.difference.low <= 0 <= result.difference.high:
        verdict = "No significant difference between **{}** and **{}**"
    else:
        word = "better" if result.difference.value > 0 else "worse" if result.difference.value < 0 else "equal"
        verdict = {"equal": "**{1}** and **{0}** are equal"}.get(word, "**{1}** is " + word + " than **{0}**")
    st.markdown(
        f"{verdict.format(plain(page.run.name), plain(other.run.name))}: GAP {first} → {second} on the same "
        f"{pluralize(num_videos, 'video')}."
    )
    if page.data.path == other.run.experiment.data.train != page.run.experiment.data.train:
        st.caption(":material/warning: The second run was trained on these videos, and the first was not.")


def _signed_interval(estimate: Estimate) -> str:
    return f"\\[{signed(estimate.low, 4)}, {signed(estimate.high, 4)}\\]"


def _gain_text(band: dict[Any, Any], other: str) -> str:
    interval = f" [{signed(band['low'], 4)}, {signed(band['high'], 4)}] (95% CI)" if band["labels"] > 1 else ""
    return (
        f"{plain(other)} is better on {band['gained']:,} of {pluralize(band['labels'], 'label')} and worse on "
        f"{band['lost']:,}; mean difference in AP {signed(band['gain'], 4)}{interval}."
    )
