"""Where one is: which run and which data are open, how good the run is, how it learned, and what to look at next."""

import shlex

import streamlit as st

from cache import loaders as state
from cache import runs as run_list
from components.selectors import GAP, chosen_data, download_csv, fault, plain, provenance
from views.overview.slot_descriptions import line_in_words
from views.overview.suggestions import Hint, hints, pair_hint
from yt8m_core import figures
from yt8m_core.data.scale import SCALE_WORDS
from yt8m_core.errors import UserError
from yt8m_core.paper_tables import TABLES
from yt8m_core.runs.run import Run
from yt8m_core.runs.table import join_paper_rows, order

MEASURES = {
    "hit_at_1": ("Hit@1", "The share of videos whose most probable label is a true one."),
    "perr": (
        "PERR",
        "Precision at equal recall rate: of a video with n true labels the n most probable are taken, and the share of "
        "true ones among them is averaged over the videos.",
    ),
    "map_present": (
        "mAP",
        "Mean average precision: how well each label by itself ranks the videos, averaged over the labels that occur, "
        "so that rare labels count as much as frequent ones. Of each video only the 20 best labels count, as in "
        "Google's evaluation.",
    ),
}
TRAIN = "yt8m train --train {} --validation VALIDATION --run workspace/runs/first --pooling mean"


def key_figures(run: Run) -> None:
    """What the run came to on its own validation data."""
    score = run.metrics["validation"]
    with st.container(horizontal=True):
        st.metric(
            "GAP@20",
            f"{score['gap']:.3f}",
            f"95 %: {score['gap_low']:.3f} to {score['gap_high']:.3f}",
            delta_color="off",
            delta_arrow="off",
            help=f"{GAP} The interval says how far the value would move with other videos of the same kind.",
            border=True,
            height="stretch",
        )
        for name, (title, meaning) in MEASURES.items():
            if name in score:
                st.metric(title, f"{score[name]:.3f}", help=meaning, border=True, height="stretch")
        if parameters := run.metrics.get("parameters"):
            st.metric(
                "Parameters",
                f"{parameters:,}",
                help="Numbers that the training may move.",
                border=True,
                height="stretch",
            )
        if speed := run.metrics.get("videos_per_second"):
            st.metric(
                "Videos a second",
                f"{speed:,.0f}",
                help="How many videos a second the training took in, on the machine where it ran.",
                border=True,
                height="stretch",
            )
    place = run_list.data_names().get(run.experiment.data.validation, run.experiment.data.validation)
    st.caption(
        f"Measured at the end of the training on {run.facts.validation_videos:,} videos of {plain(place)}, which the "
        f"run did not learn from ({SCALE_WORDS.get(run.facts.scale, plain(run.facts.scale))}). All but the last two go "
        "from 0 to 1, and more is better."
    )


def the_line(run: Run) -> None:
    """The run's slots, in the order in which a video goes through them."""
    st.subheader("What the run is made of", anchor=False)
    st.markdown(
        "\n".join(
            f"{number}. **{plain(method)}** {does}. _{slot.replace('_', ' ').capitalize()}: {purpose}._"
            for number, (slot, purpose, method, does) in enumerate(line_in_words(run.experiment), 1)
        )
    )
    training = run.experiment.training
    st.caption(
        f"Trained on {run.facts.train_videos:,} videos, {training.epochs} times each (epochs), at a learning rate of "
        f"{training.learning_rate:g}, in batches of {training.batch_size}, with seed {run.experiment.seed}."
    )


def learned(run: Run) -> None:
    """The learning curve, as far as it goes."""
    try:
        log = run_list.training_log(run)
    except UserError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    world = SCALE_WORDS.get(run.facts.scale, run.facts.scale)
    st.plotly_chart(
        figures.learning_curve(log, scale=world),
        key=f"curve {run.path}",
        alt=f"Training loss and validation GAP of run {run.name} against the training examples seen",
    )
    st.caption(
        "Above, how wrong the model was on the videos that it was just learning from: it should fall. Below, GAP on "
        "videos that it does not learn from, after each epoch. Where that falls while the loss still does, the run "
        "learns its videos by heart."
    )
    download_csv(log, f"training-{run.name}", "Download the curves as CSV")


def against_the_paper(name: str) -> None:
    """The rows of the paper, and where the run stands among those that were run on the same videos."""
    st.subheader("Beside the paper", anchor=False)
    runs = run_list.all_runs()
    mine = runs[runs["run"] == name].iloc[0]
    tables = list(dict.fromkeys(table for table, _ in mine["rows"]))
    if not tables:
        st.markdown("The paper has no row with this line of slots.")
        st.page_link(
            "views/experiments/page.py", label="All runs, and the rows that they are", icon=":material/science:"
        )
        return
    titles = {TABLES[table].title: table for table in tables}
    title = next(iter(titles))
    if len(titles) > 1:
        title = st.selectbox("Table of the paper", list(titles), key="paper", bind="query-params", width=420)
    table = titles[title]
    beside = join_paper_rows(table, runs[runs["data"] == mine["data"]])
    stands = order(beside, name)
    st.markdown(
        f"This run is **{plain(mine['paper_row'])}**, at layers of any width. Only the **order** of the rows can be "
        "compared: the paper's GAP is of a test set whose labels were never made public, after training on millions of "
        "videos."
    )
    if sum(stands):
        st.markdown(
            f"Beside {sum(stands)} runs of other rows, measured on the same videos, it stands as in the paper "
            f"**{stands.as_paper}** times, the other way round **{stands.other_way}** times, and **{stands.open}** "
            "times these videos cannot tell, as the intervals overlap."
        )
    else:
        st.caption("No run of another row was measured on the same videos yet: there is no order to compare.")
    st.dataframe(
        beside.assign(this=beside["run"] == name),
        hide_index=True,
        placeholder="–",
        column_order=["row", "paper_gap", "run", "gap", "gap_low", "gap_high", "this"],
        column_config={
            "row": st.column_config.TextColumn("Row of the paper", pinned=True),
            "paper_gap": st.column_config.NumberColumn("Paper's GAP", format="%.3f", help="Of the paper's test set."),
            "run": st.column_config.TextColumn("Run", help="Measured on the same videos as this one."),
            "gap": st.column_config.NumberColumn("GAP", format="%.3f", help=GAP),
            "gap_low": st.column_config.NumberColumn("from", format="%.3f", help="The 95 % interval begins."),
            "gap_high": st.column_config.NumberColumn("to", format="%.3f", help="The 95 % interval ends."),
            "this": st.column_config.CheckboxColumn("This run"),
        },
        alt=f"The rows of {title} with the paper's GAP and the runs of each",
    )
    download_csv(beside, f"beside-the-paper-{table}")


def show_hints(found: list[Hint]) -> None:
    """Links, each below its reason."""
    st.subheader("What to look at next", anchor=False)
    with st.grid(3, min_column_width=300):
        for hint in found:
            with st.container(border=True, gap="small", height="stretch"):
                st.markdown(hint.reason)
                st.page_link(f"views/{hint.page}/page.py", label=hint.label, icon=hint.icon, query_params=hint.query)


def open_data(data: state.DataSet, run: Run | None) -> bool:
    """Tell which data are open; False where they cannot be."""
    try:
        provenance(run=run, data=(data, state.videos(data)))
    except UserError as error:
        provenance(run=run)
        fault(error)
        return False
    return True


def unfinished() -> None:
    """Runs that are in training, or were stopped."""
    if not (runs := run_list.unfinished_runs()):
        return
    st.subheader("Not finished", anchor=False)
    name = next(iter(runs))
    if len(runs) > 1:
        name = st.selectbox("Unfinished run", list(runs), key="unfinished", bind="query-params", width=420)
    run = runs[name]
    st.markdown(
        f"Run **{plain(name)}** is in training, or was stopped; {plain(str(run.experiment))}. It can be opened once it "
        "is finished: the same command goes on where it stopped."
    )
    learned(run)


data = chosen_data()
name: str = st.session_state.get("run", "")  # there is no such choice without a run
run = state.find_all_runs()[0].get(name)
data_open = open_data(data, run)
links: list[Hint] = []
if run is not None:
    key_figures(run)
    left, right = st.columns([5, 3], gap="large")
    with left:
        st.subheader("How it learned", anchor=False)
        learned(run)
    with right:
        the_line(run)
    try:
        links += hints(run, name)
    except UserError as error:
        fault(error)
    place = st.container()
else:
    place = st.container()
    st.subheader("Train a run", anchor=False)
    st.markdown("No trained run was found. This trains one on the data that are open; for VALIDATION put other videos.")
    st.code(TRAIN.format(shlex.quote(data.path)), language="bash", wrap_lines=True)
    st.page_link("views/welcome/page.py", label="Or build the demo world and its runs", icon=":material/rocket_launch:")
if data_open:
    try:
        links += pair_hint(data)
    except UserError as error:
        fault(error)
if links:
    with place:
        show_hints(links)
if run is not None:
    against_the_paper(name)
unfinished()
