"""What a run says of a video, of the data set or out of a file of one's own: its best labels beside the true ones."""

import contextlib
import html

import streamlit as st

import state
from parts import (
    chosen_data,
    chosen_run,
    download_csv,
    label_picker,
    plain,
    provenance,
    scale_words,
    video_picker,
    videos_for,
)
from yt8m_core import figures
from yt8m_core.data.upload import MAX_BYTES, UploadedVideo
from yt8m_core.errors import UserError
from yt8m_core.runs import Run
from yt8m_core.scale import SCALE_WORDS

TOP = 20


def read_file(run: Run) -> tuple[str, int, UploadedVideo]:
    """The video of one's own: what its file is known by, and which of its videos it is. Ends the page without one."""
    per_second = "seconds, " if run.facts.schema.level == "frame" else ""
    streams = " and ".join(f"{name} [{per_second}{width}]" for name, width in run.facts.schema.streams)
    file = st.file_uploader(
        f"An .npz with {plain(streams)}, an .npy with them side by side, or a .tfrecord in YouTube-8M's format",
        ["npz", "npy", "tfrecord"],
        key="upload",
        max_upload_size=MAX_BYTES >> 20,
        help="The file is read in memory and kept nowhere.",
    )
    if file is None:
        with contextlib.suppress(UserError):  # the run's own data are gone: no example, then
            example = state.example_file(state.videos_for(run, state.DataSet(run.experiment.data.validation)), 0)
            st.download_button(
                "Download an example file", example, "example.npz", icon=":material/download:", on_click="ignore"
            )
        st.stop()
    content = file.getvalue()
    digest = state.digest(content)
    found = state.uploaded(run, file.name, digest, content)
    number = 0
    if len(found) > 1:
        ids = [f"{number}. {video.id}" for number, video in enumerate(found, 1)]
        number = ids.index(st.selectbox(f"Video of the {len(found):,} in the file", ids, key="video_of_file"))
    return digest, number, found[number]


run = chosen_run()
vocabulary = run.vocabulary
where = st.container()
source = st.segmented_control(
    "Video from", ["data set", "my file"], key="from", bind="query-params", default="data set", required=True
)
true_labels: tuple[int, ...] | None
if source == "data set":
    data = chosen_data()
    videos = videos_for(run, data)
    with where:
        provenance(run=run, data=(data, videos))
    video = video_picker(videos)
    video_id = videos.id(video)
    true_labels = tuple(videos.labels(video).tolist()) if videos.labelled[video] else None
    prediction = state.prediction(run, data, video)
    scale = scale_words(data, videos)
else:
    with where:
        provenance(run=run)
    digest, number, mine = read_file(run)
    video_id = mine.id
    true_labels = mine.labels
    for note in mine.notes:
        st.caption(f":material/info: {plain(note)}")
    given = ", ".join(map(str, true_labels or ()))
    if any(label >= vocabulary.num_classes for label in true_labels or ()):
        st.warning(
            f"The file and the run have different sets of labels: the file gives {given}, and the run knows 0 to "
            f"{vocabulary.num_classes - 1}. The predictions are in the run's labels; which are true is not known.",
            icon=":material/warning:",
        )
        true_labels = None
    elif true_labels and run.facts.scale == "demo" and not state.of_demo_world(run, mine.id):
        st.warning(
            f"The file and the run have different sets of labels: the run knows the {vocabulary.num_classes} made-up "
            f"labels of the demo world, and the file, whose labels are {given}, is no video of it. The predictions are "
            "in the run's labels; which are true is not known.",
            icon=":material/warning:",
        )
        true_labels = None
    elif true_labels:
        st.caption(
            f":material/info: The numbers of the file's labels, {given}, are taken as the run numbers its labels. If "
            "the file has another set of labels, they mean something else."
        )
    prediction = state.prediction_of_upload(run, digest, number, mine.frames)
    scale = f"your file, run of the {SCALE_WORDS.get(run.facts.scale, run.facts.scale)}"

ranking = prediction.ranking(vocabulary, true_labels)
best = ranking[:TOP]
left, right = st.columns(2, gap="large")
with left:
    st.plotly_chart(
        figures.predictions(
            best.rename(columns={"probability": "score"}),
            title=f"Best labels of video {html.escape(video_id)}",
            scale=scale,
        ),
        alt=f"Probabilities of the {len(best)} best labels",
    )
COLUMNS = {
    "rank": st.column_config.NumberColumn("Rank", width=60),
    "name": st.column_config.TextColumn("Label"),
    "probability": st.column_config.ProgressColumn(
        "Probability", help="How likely the model holds the label to be. Labels are judged one by one: no sum of 1."
    ),
    "true": st.column_config.CheckboxColumn("True", width=60, help="Whether the data give the video this label."),
}
with right:
    if true_labels is None:
        st.caption("The true labels of this video are not known.")
    else:
        missed = ranking[ranking["true"] & (ranking["rank"] > TOP)]
        found = int(best["true"].sum())
        st.markdown(f"**{found} of {len(true_labels)}** true labels are among the best {len(best)}.")
        if len(missed):
            st.markdown("Missed:")
            st.dataframe(
                missed,
                hide_index=True,
                column_order=["name", "rank", "probability"],
                column_config=COLUMNS,
                alt="True labels below the best, with their ranks",
            )
    label = label_picker("Where does a label stand?", vocabulary)
    if label is not None:
        row = ranking[ranking["label"] == label].iloc[0]
        st.markdown(
            f"**{plain(row['name'])}** is at rank {row['rank']:,} of {len(ranking):,}, probability "
            f"{row['probability']:.4f}" + (", and a true label." if label in (true_labels or ()) else ".")
        )
    st.dataframe(
        best,
        hide_index=True,
        column_order=["rank", "name", "probability", *(["true"] if true_labels is not None else [])],
        column_config=COLUMNS,
        height="content",
        alt=f"The {len(best)} best labels",
    )
    download_csv(ranking, f"{run.name}-{video_id}", f"Download all {len(ranking):,} as CSV")
