"""Why a label of a video has its score: its way through the slots, the seconds that matter, and who else spoke."""

import html
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from cache import loaders as state
from cache import scores as answers
from components.selectors import download_csv, label_names, label_picker, plain
from views.predictions.video_source import Shown
from yt8m_core import figures
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from yt8m_core.explain.attribution import Why

PARTNERS = 10  # other labels in the figure
SPACES = {"prob": "probability", "logit": "log-odds", "expert_logit": "log-odds of the experts, by their gates"}
ODDS = "Log-odds, log p/(1-p), are the probability stretched: 0 at one half, +2.2 at 0.9, -2.2 at 0.1."


def label_and_why(run: Run, shown: Shown, ranking: pd.DataFrame) -> int:
    """Choose a label, the best one at first, and show what made its score."""
    st.subheader("Why this label?", anchor=False)
    names = list(label_names(run.vocabulary))
    before = st.session_state.get("label")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = label_picker("Label", run.vocabulary)
        label = int(ranking["label"].iloc[0]) if chosen is None else chosen
        link = {"label": names[label]}
        st.page_link(
            "views/imbalance/page.py", label="How frequent it is", icon=":material/bar_chart:", query_params=link
        )
        st.page_link(
            "views/correlation/page.py", label="What it goes with", icon=":material/grid_on:", query_params=link
        )
        if state.attends(run) and shown.data is not None:
            st.page_link("views/attention/page.py", label="Where the pooling looks", icon=":material/show_chart:")
    if before != st.session_state.get("label") and shown.walked_by:
        st.rerun()  # the list of videos was made with another label, before a link named this one
    row = ranking[ranking["label"] == label].iloc[0]
    end = ", and a true label." if label in (shown.true_labels or ()) else "."
    if shown.true_labels is not None and not end.startswith(","):
        end = "; the data do not give it to this video."
    best = " It is the best one; choose another here or above." if chosen is None else ""
    st.markdown(
        f"**{plain(row['name'])}** is at rank {row['rank']:,} of {len(ranking):,}, probability "
        f"{row['probability']:.4f}{end}{best}"
    )
    why = answers.why(run, shown.digest, label, shown.frames)
    _slots(run, shown, why)
    drawn = _figures(run, shown, why, str(row["name"]))
    for (title, figure, caption), place in zip(drawn, st.columns(max(1, len(drawn)), gap="large"), strict=False):
        with place:
            st.plotly_chart(figure, key=title, alt=title)
            st.caption(caption)
    if why.seconds is not None:
        with st.container(horizontal=True):
            table = pd.DataFrame({"second": np.arange(len(why.seconds)), "pull": why.seconds})
            download_csv(table, f"seconds-{shown.video_id}-{label}", "Download the seconds as CSV")
            if why.partners is not None:
                _download_partners(run, shown, label, why.partners)
    elif why.partners is not None:
        _download_partners(run, shown, label, why.partners)
    return label


def _download_partners(run: Run, shown: Shown, label: int, partners: pd.DataFrame) -> None:
    download_csv(_named(run, partners), f"labels-{shown.video_id}-{label}", "Download what labels added as CSV")


def _named(run: Run, partners: pd.DataFrame) -> pd.DataFrame:
    return partners.assign(name=[run.vocabulary.name(label) for label in partners["label"].tolist()])


def _slots(run: Run, shown: Shown, why: "Why") -> None:
    """The score of the label after each slot."""
    slots = run.experiment
    seconds = len(shown.frames)
    if run.facts.schema.level == "video":
        pooled = "mean of the seconds, made by YouTube-8M"
    elif slots.pooling.name == "none":
        pooled = f"none: {seconds:,} seconds go on as they are"
    else:
        pooled = f"{slots.pooling.name.replace('_', ' ')} of {seconds:,} seconds"
    processing = slots.label_processing.name
    with st.container(horizontal=True):
        st.metric("1. Pooling", f"{seconds:,} → 1" if seconds > 1 else "1", help=pooled, width="content")
        st.metric(
            f"2. {slots.classification.name.replace('_', ' ')}",
            f"{why.classified:.4f}",
            help="The probability after classification.",
            width="content",
        )
        moved = why.processed - why.classified
        st.metric(
            f"3. {processing.replace('_', ' ')}",
            f"{why.processed:.4f}",
            None if processing == "identity" else f"{moved:+.4f}",
            help="The probability after label processing; identity leaves it as it is.",
            width="content",
        )
    words = f"Pooling: {pooled}."
    if processing == "identity":
        words += " No label processing: what the classification says is the answer."
    elif why.partners is not None:
        added = float(why.partners["added"].sum())
        words += (
            f" Label processing starts from {why.kept:.4f}, its own score by α, and the other labels add {added:+.4f} "
            f"to the {SPACES[why.space]}."
        )
        if why.space == "prob" and not 0 <= why.kept + added <= 1:
            words += f" That comes to {why.kept + added:.4f}, and is cut off at {why.processed:.0f}."
    elif why.classified > 0:
        words += f" The label processing leaves {why.processed / why.classified:.1%} of the probability."
    st.caption(plain(words))


def _figures(run: Run, shown: Shown, why: "Why", name: str) -> list[tuple[str, go.Figure, str]]:
    """What there is to see of a label's score: title, figure, and what it means."""
    of = html.escape(name)
    drawn = []
    if why.seconds is not None:
        scene = None if shown.data is None else state.main_scene(shown.data, shown.video_id, len(why.seconds))
        drawn.append(
            (
                "Which seconds speak for the label",
                figures.seconds(why.seconds, title=f"Seconds that speak for {of}", scale=shown.scale, main_runs=scene),
                "What the log-odds of the label would lose if a second faded, judged from a small change. "
                f"{ODDS} It shows what the score reacts to, and not what is seen in that second.",
            )
        )
    if why.experts is not None:
        drawn.append(
            (
                "What the experts of the label say",
                figures.experts(why.experts, title=f"Experts of {of}", scale=shown.scale),
                "Each label has experts of its own. The probability is the sum of gate · answer. “Always no” is a gate "
                "without an expert: its share is a no.",
            )
        )
    if why.partners is not None and len(why.partners):
        drawn.append(
            (
                "What other labels added",
                figures.partners(
                    _named(run, why.partners)[:PARTNERS],
                    title=f"Labels that moved {of}",
                    scale=shown.scale,
                    unit=SPACES[why.space],
                ),
                "Label processing adds to each label a share of the scores of the labels that go with it: β by how "
                "often they go together in the training labels, γ by a matrix that was trained from there.",
            )
        )
    return drawn
