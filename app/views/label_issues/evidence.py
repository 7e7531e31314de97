"""Label issues page: the evidence for one candidate."""

import html

import pandas as pd
import streamlit as st

from cache import loaders
from components.charts import figure_code, provenance_text, show_chart
from components.page_links import label_link, video_link
from components.text import plain
from context import PageContext
from yt8m_core import figures
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize

HEIGHT = 430  # pixels
DRAWN = 10  # labels
SCORE_HELP = (
    "Estimated probability that the data set lists the label, 0 to 1, from the probability of the model and the listed "
    "labels. Rank candidates by it; it is not the probability that the label is missing."
)


def show_evidence(page: PageContext, row: pd.Series) -> None:
    """Show a candidate: video, label, score, and what it is based on."""
    numbers, chart = st.columns([2, 3], gap="large")
    with numbers:
        st.markdown(f"Is **{plain(row['name'])}** missing in video **{plain(row['id'])}**?")
        with st.container(horizontal=True):
            st.metric("Score", f"{row['score']:.3f}", help=SCORE_HELP, width="content")
            st.metric("Probability", f"{row['probability']:.3f}", help="Of the model for this video.", width="content")
        st.markdown(_describe_labels(row))
        st.markdown(f"Listed labels: {plain(row['listed_labels'])}.")
        label = int(row["label"])
        video_link(row["id"], "Open in Predictions", label=f"{row['name']} · {label}")
        if label < page.labels.vocabulary.num_classes:  # a data set without names has no labels above its largest one
            label_link(label, page.labels.vocabulary)
    with chart:
        try:
            _show_ranking(page, row)
        except UserError as error:
            st.caption(f"The top labels of the video are not available here. {plain(str(error))}")


def _describe_labels(row: pd.Series) -> str:
    if pd.isna(row["evidence_probability"]):
        return f"No other video has **{plain(row['evidence_name'])}**, so its labels say nothing about this one."
    return (
        f"**{row['evidence_probability']:.0%}** of the other videos with **{plain(row['evidence_name'])}** have it "
        f"({pluralize(row['evidence_videos'], 'video')})."
    )


def _show_ranking(page: PageContext, row: pd.Series) -> None:
    """Show the top labels of the video by the selected run."""
    if not page.has_run:
        st.caption("The top labels of the video are shown once there is a trained run.")
        return
    videos = page.run_videos
    position = videos.find(row["id"])
    if position is None:
        st.caption("This video is not in the data set any more.")
        return
    ranking = loaders.prediction(page, position).ranking(page.run.vocabulary, videos.labels(position).tolist())
    candidate = ranking[ranking["label"] == row["label"]].iloc[0]
    top = ranking[:DRAWN].rename(columns={"probability": "score"})
    top["name"] = top["name"].mask(top["label"] == row["label"], top["name"] + " (candidate)")
    title = f"Top labels of video {html.escape(row['id'])}"
    show_chart(
        figures.predictions(top, title=title, scale=page.scale),
        height=HEIGHT,
        key="top labels",
        provenance=provenance_text(page),
        data=top,
        code=figure_code(
            page,
            "predictions",
            "top",
            setup=f"video = view.video({row['id']!r})\n"
            f'top = video.ranking[:{DRAWN}].rename(columns={{"probability": "score"}})\n'
            f'top["name"] = top["name"].mask(top["label"] == {row["label"]}, top["name"] + " (candidate)")',
            title=title,
        ),
        alt=f"Probabilities of the top {len(top)} labels; true labels have a check mark",
    )
    st.caption(f"{plain(row['name'])}: rank {candidate['rank']:,} of {len(ranking):,} by run {plain(page.run.name)}.")
