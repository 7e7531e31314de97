"""Predictions page: the labels that a run predicts for a video of the data set or of an uploaded file."""

import streamlit as st

from components.link import linked
from components.selectors import download_csv, require_run
from components.youtube_link import youtube_link
from context import current_page
from views.predictions.explanation import show_label_explanation
from views.predictions.feature_check import show_feature_check
from views.predictions.label_table import show_outcomes, show_summary
from views.predictions.run_comparison import show_run_comparison
from views.predictions.segments import show_segments
from views.predictions.similar_videos import show_similar_videos
from views.predictions.uploads import upload_video
from views.predictions.video_source import DATA_SET, select_video

page = current_page()
run = require_run(page)
provenance = st.container()
controls = st.container(horizontal=True, vertical_alignment="bottom")
with controls:
    source = linked(
        st.segmented_control, "Video source", [DATA_SET, "my file"], key="from", first=DATA_SET, required=True
    )
if source == DATA_SET:
    with controls, st.container(width="content"):
        video = select_video(page, provenance)
else:
    video = upload_video(page, provenance)
ranking = video.prediction.ranking(run.vocabulary, video.true_labels)

if source != DATA_SET:
    show_feature_check(run, video)
with st.container(horizontal=True, vertical_alignment="center"):
    show_summary(video, ranking)
    youtube_link(page, video.id)
outcomes = st.container()
# The explanation is fast and drawn first: the outcomes end with metrics that score all videos on first use.
label = show_label_explanation(page, video, ranking)
with outcomes:
    show_outcomes(page, video, ranking, label, st.session_state.get("label"), st.session_state.get("threshold"))
show_segments(page, video, label)
show_similar_videos(page, video, label)
st.subheader("Other runs", anchor=False)
show_run_comparison(page, video, ranking)
st.subheader("All labels", anchor=False)
st.caption("Rank and probability of every label, before label processing (classified) and after it.")
download_csv(ranking, f"{run.name}-{video.id}", f"Download all {len(ranking):,} labels as CSV")
