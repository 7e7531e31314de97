"""What a run says of a video, of the data set or out of a file of one's own: right or wrong, why, and what others say.

Its parts are in ``page/predictions``.
"""

import streamlit as st

from components.selectors import chosen_run, download_csv
from views.predictions.explanation import label_and_why
from views.predictions.feature_check import feature_check
from views.predictions.label_table import answer, in_words
from views.predictions.run_comparison import other_runs
from views.predictions.video_source import of_data_set, of_file

run = chosen_run()
where = st.container()
source = st.segmented_control(
    "Video from", ["data set", "my file"], key="from", bind="query-params", default="data set", required=True
)
shown = of_data_set(run, where) if source == "data set" else of_file(run, where)
ranking = shown.prediction.ranking(run.vocabulary, shown.true_labels)

if source != "data set":
    feature_check(run, shown)
in_words(shown, ranking)
above = st.container()
# What is quick first: the answer ends with counts over all videos, which are computed at the first look at a run.
label = label_and_why(run, shown, ranking)
with above:
    answer(run, shown, ranking, label, st.session_state.get("label"), st.session_state.get("threshold"))
st.subheader("What other runs say", anchor=False)
other_runs(run, shown, ranking)
st.subheader("Every label", anchor=False)
st.caption("All labels with their rank and probability, before label processing (classified) and after it.")
download_csv(ranking, f"{run.name}-{shown.video_id}", f"Download all {len(ranking):,} as CSV")
