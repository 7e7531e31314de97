"""Predictions page: explanation of one label's score by slot, second, expert and other labels."""

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from cache import loaders, scores
from components.charts import show_chart
from components.page_links import label_option, page_link
from components.selectors import download_csv, label_picker
from components.text import metric_change, plain, signed
from context import PageContext
from views.predictions.video_source import SelectedVideo
from yt8m_core import figures
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from yt8m_core.explain.attribution import Attribution

MAX_PARTNERS = 10  # other labels in the figure
SPACES = {
    "prob": "probability",
    "average": "averaged probability",
    "logit": "log-odds",
    "expert_logit": "log-odds of the experts, weighted by gate",
}
LOG_ODDS = "Log-odds are log p/(1−p): 0 at p = 0.5, +2.2 at 0.9, −2.2 at 0.1."


class Explanation(NamedTuple):
    """A figure of the section, with its numbers, its code and its caption."""

    title: str
    figure: go.Figure
    data: pd.DataFrame
    code: str
    caption: str
    help: str | None = None


def show_label_explanation(page: PageContext, video: SelectedVideo, ranking: pd.DataFrame) -> int:
    """Select a label (default: the top one), and explain its score. Returns the label."""
    run = page.run
    st.subheader("Label explanation", anchor=False)
    label, is_default = _select_label(run, video, int(ranking["label"].iloc[0]))
    row = ranking[ranking["label"] == label].iloc[0]
    truth = ""
    if video.true_labels is not None:
        truth = "; true label" if label in video.true_labels else "; not a true label"
    note = " This is the top label; select another one here or above." if is_default else ""
    st.markdown(
        f"**{plain(row['name'])}**: rank {row['rank']:,} of {len(ranking):,}, probability {row['probability']:.4f}"
        f"{truth}.{note}"
    )
    attribution = scores.attribution(run, video.digest, label, video.frames)
    _show_slots(run, video, attribution)
    explanations = list(_explanations(page, video, attribution, html.escape(str(row["name"]))))
    for part, column in zip(explanations, st.columns(max(1, len(explanations)), gap="large"), strict=False):
        with column:
            show_chart(
                part.figure,
                key=part.title,
                alt=part.title,
                provenance=video.provenance(page),
                data=part.data,
                code=part.code,
            )
            st.caption(part.caption, help=part.help)
    _show_downloads(run, video, attribution)
    return label


def _select_label(run: Run, video: SelectedVideo, top: int) -> tuple[int, bool]:
    """Return the selected label, and whether it is the default."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        selected = label_picker("Label", run.vocabulary)
        label = top if selected is None else selected
        option = label_option(label, run.vocabulary)
        page_link("views/imbalance/page.py", "Frequency", ":material/bar_chart:", label=option)
        page_link("views/correlation/page.py", "Correlation", ":material/grid_on:", label=option)
        if loaders.has_attention(run) and not video.is_upload:
            page_link("views/attention/page.py", "Attention", ":material/show_chart:", video=video.id)
    return label, selected is None


def _show_slots(run: Run, video: SelectedVideo, attribution: "Attribution") -> None:
    """Show the score of the label after each slot."""
    seconds = len(video.frames)
    processing = run.experiment.label_processing.name
    change = attribution.processed - attribution.classified
    with st.container(horizontal=True):
        st.metric("1. Pooling", f"{seconds:,} → 1" if seconds > 1 else "1", width="content")
        st.metric(
            f"2. {run.experiment.classification.name.replace('_', ' ')}",
            f"{attribution.classified:.4f}",
            help="Probability after classification.",
            width="content",
        )
        st.metric(
            f"3. {processing.replace('_', ' ')}",
            f"{attribution.processed:.4f}",
            help="Probability after label processing; identity does not change it.",
            width="content",
            **({} if processing == "identity" else metric_change(change, 4)),
        )
    st.caption(plain(f"{_pooling_text(run, seconds)} {_processing_text(processing, attribution)}"))


def _pooling_text(run: Run, seconds: int) -> str:
    pooling = run.experiment.pooling.name
    if run.facts.schema.level == "video":
        return "Pooling: mean of the seconds, precomputed by YouTube-8M."
    if pooling == "none":
        return f"Pooling: none, {seconds:,} seconds are passed on unchanged."
    return f"Pooling: {pooling.replace('_', ' ')} of {seconds:,} seconds."


def _processing_text(processing: str, attribution: "Attribution") -> str:
    if processing == "identity":
        return "No label processing."
    if attribution.label_contributions is not None:
        own, added = attribution.own_contribution, float(attribution.label_contributions["added"].sum())
        text = (
            f"Label processing multiplies the label's own score by α, which gives {own:.4f}, and the other labels add "
            f"{signed(added, 4)} to the {SPACES[attribution.space]}."
        )
        if attribution.space == "prob" and not 0 <= own + added <= 1:
            text += f" The sum, {own + added:.4f}, is clipped to {attribution.processed:.0f}."
        return text
    return f"Label processing changes the probability from {attribution.classified:.4f} to {attribution.processed:.4f}."


def _explanations(
    page: PageContext, video: SelectedVideo, attribution: "Attribution", name: str
) -> Iterator[Explanation]:
    """Yield what can be shown for the label, whose name is given as HTML."""
    label = attribution.label
    if attribution.second_contributions is not None:
        title = f"Contribution of each second to {name}"
        yield Explanation(
            "Contribution of each second",
            figures.second_contributions(
                attribution.second_contributions, title=title, scale=video.scale, main_scene=video.main_scene
            ),
            _second_table(attribution.second_contributions),
            video.code(
                page,
                "second_contributions",
                f"video.attribution({label}).second_contributions",
                "main_scene=video.main_scene",
                title=title,
            ),
            "Drop in the label's log-odds per share of a second that fades out (gradient). It shows what the score "
            "reacts to, not what is visible in that second.",
            LOG_ODDS,
        )
    if attribution.experts is not None:
        title = f"Experts of {name}"
        yield Explanation(
            "Experts of the label",
            figures.experts(attribution.experts, title=title, scale=video.scale),
            attribution.experts,
            video.code(page, "experts", f"video.attribution({label}).experts", title=title),
            "The probability is the sum of gate · expert probability over the label's experts. The dummy expert always "
            "has probability 0.",
        )
    if attribution.label_contributions is not None and len(attribution.label_contributions):
        title, unit = f"Contribution of other labels to {name}", SPACES[attribution.space]
        table = _add_names(page.run, attribution.label_contributions)[:MAX_PARTNERS]
        yield Explanation(
            "Contribution of other labels",
            figures.label_contributions(table, title=title, scale=video.scale, unit=unit),
            table,
            video.code(
                page,
                "label_contributions",
                f"video.label_contributions({label})[:{MAX_PARTNERS}]",
                title=title,
                unit=unit,
            ),
            "Label processing adds a share of the scores of other labels: β by their co-occurrence in the training "
            "labels, γ by a trained matrix.",
        )


def _show_downloads(run: Run, video: SelectedVideo, attribution: "Attribution") -> None:
    suffix = f"{video.id}-{attribution.label}"
    with st.container(horizontal=True):
        if attribution.second_contributions is not None:
            table = _second_table(attribution.second_contributions)
            download_csv(table, f"seconds-{suffix}", "Download seconds as CSV")
        if attribution.label_contributions is not None:
            table = _add_names(run, attribution.label_contributions)
            download_csv(table, f"labels-{suffix}", "Download label contributions as CSV")


def _second_table(contributions: NDArray[Any]) -> pd.DataFrame:
    return pd.DataFrame({"second": np.arange(len(contributions)), "contribution": contributions})


def _add_names(run: Run, partners: pd.DataFrame) -> pd.DataFrame:
    return partners.assign(name=[run.vocabulary.name(label) for label in partners["label"].tolist()])
