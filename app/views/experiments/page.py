"""All runs side by side, beside the rows of the paper that they are, and what an average of some comes to."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from cache import loaders as state
from cache import runs as run_list
from components.selectors import GAP, choose, chosen_data, chosen_run, download_csv, fault, provenance
from views.experiments.ensemble import average
from views.experiments.notebook_results import kept_results, of_the_notebooks
from yt8m_core import figures
from yt8m_core.data.scale import SCALE_WORDS
from yt8m_core.errors import UserError
from yt8m_core.paper_tables import TABLES

SLOTS = ["pooling", "classification", "label_processing", "loss"]
EVERY = "any"
HERE, NOTEBOOKS = "runs found here", "results of the notebooks"
DRAWN = 40  # runs in the figure at most
COLUMNS = {
    "run": st.column_config.TextColumn("Run", pinned=True),
    "gap": st.column_config.NumberColumn("GAP", format="%.3f", help=GAP),
    "gap_low": st.column_config.NumberColumn("from", format="%.3f", help="The 95 % interval of GAP begins."),
    "gap_high": st.column_config.NumberColumn("to", format="%.3f", help="The 95 % interval of GAP ends."),
    "paper_row": st.column_config.TextColumn(
        "Row of the paper",
        help="The row whose slots the run has, at layers of any width; several that differ in their widths alone.",
    ),
    "paper_gap": st.column_config.NumberColumn(
        "Paper's GAP", format="%.3f", help="Of a test set that was never public: only the order can be compared."
    ),
    "pooling": st.column_config.TextColumn(
        "Pooling", width="medium", help="How all seconds of a video become one vector."
    ),
    "classification": st.column_config.TextColumn(
        "Classification", width="medium", help="How the vector becomes a score a label."
    ),
    "label_processing": st.column_config.TextColumn(
        "Label processing", help="How scores are corrected by the labels that go together; identity: not at all."
    ),
    "loss": st.column_config.TextColumn("Loss", help="What the training makes small."),
    "data": st.column_config.TextColumn("Measured on", help="The run's validation data."),
    "hit_at_1": st.column_config.NumberColumn(
        "Hit@1", format="%.3f", help="The share of videos whose most probable label is a true one."
    ),
    "perr": st.column_config.NumberColumn(
        "PERR", format="%.3f", help="Of a video with n true labels, the share of true ones among the n most probable."
    ),
    "map": st.column_config.NumberColumn(
        "mAP", format="%.3f", help="How well each label by itself ranks the videos, averaged over the labels."
    ),
    "parameters": st.column_config.NumberColumn(
        "Parameters", format="localized", help="Numbers that the training may move."
    ),
    "epochs": st.column_config.NumberColumn("Epochs", help="How many times the training went through its videos."),
    "learning_rate": st.column_config.NumberColumn(
        "Learning rate", format="%g", help="How far one step of the training goes."
    ),
    "seed": st.column_config.NumberColumn("Seed", format="%d", help="What chance began with."),
    "scale": st.column_config.TextColumn("Scale", help="Which world the numbers are about."),
    "finished": st.column_config.CheckboxColumn("Finished", help="Others are in training, or were stopped."),
}


def filtered(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that the filters leave."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        places = runs["data"].value_counts().index
        data = EVERY
        if len(places) > 1:
            data = st.selectbox(
                "Measured on",
                [*places, EVERY],
                key="on",
                bind="query-params",
                width=300,
                help="GAPs of different videos cannot be compared.",
            )
        titles = {TABLES[key].title: key for key in TABLES if any(key in dict(rows) for rows in runs["rows"])}
        title = st.selectbox(
            "Rows of the paper",
            [EVERY, *titles],
            key="table",
            bind="query-params",
            width=300,
            help="Runs whose line of slots is a row of this table.",
        )
        methods = st.multiselect(
            "Methods",
            sorted({method for slot in SLOTS for method in runs[slot]}),
            key="methods",
            bind="query-params",
            placeholder="All",
            width=340,
            help="Only runs that have all of these in their slots.",
        )
    left = pd.Series(True, runs.index)
    if data != EVERY:
        left &= runs["data"] == data
    if title != EVERY:
        left &= pd.Series([titles[title] in dict(rows) for rows in runs["rows"]], runs.index)
    for method in methods:
        left &= (runs[SLOTS] == method).any(axis=1)
    return runs[left].sort_values("gap", ascending=False, kind="stable", ignore_index=True)


def opens(runs: pd.DataFrame) -> Callable[[], None]:
    """What a click on a row does: it opens the run."""

    def open_it() -> None:
        for row in st.session_state["runs"]["selection"]["rows"]:
            if runs["finished"][row]:
                choose("run", runs["run"][row])()

    return open_it


def all_of_them(runs: pd.DataFrame) -> None:
    """The runs in a table and as a figure."""
    left = filtered(runs)
    st.caption(
        f"{len(left)} of {len(runs)} runs. Click the box before a row to open its run on all pages, and a column's "
        "name to sort."
    )
    st.dataframe(
        left,
        key="runs",
        on_select=opens(left),
        selection_mode="single-row",
        hide_index=True,
        placeholder="–",
        column_order=list(COLUMNS),  # what is compared first, then what explains it
        column_config=COLUMNS,
        alt="Runs with their slots, their metrics and their row of the paper",
    )
    download_csv(left.drop(columns="rows"), "runs")
    st.caption(
        "A run is a row of the paper where its five slots are the row's, with layers of any width; for videos of one "
        "vector, whose seconds are averaged already, a mean counts as indirect clustering."
    )
    drawn = left[left["finished"]]
    if drawn.empty:
        st.info("No finished run is left: take a filter away.", icon=":material/info:")
    elif drawn["data"].nunique() > 1:
        st.info(
            "These runs were measured on different videos, and their GAPs cannot be compared in one figure: choose "
            "what they were measured on.",
            icon=":material/info:",
        )
    else:
        st.plotly_chart(
            figures.intervals(drawn[:DRAWN], scale=drawn["scale"].iloc[0]),
            key="intervals",
            alt="GAP of each run with its 95 % interval",
        )
        if len(drawn) > DRAWN:
            st.caption(f"The {DRAWN} best of {len(drawn)} are drawn.")


run, data = chosen_run(), chosen_data()
try:
    provenance(run=run, data=(data, state.videos(data)))
except UserError as error:
    provenance(run=run)
    fault(error)
kept = kept_results()
show = HERE
if kept:
    show = st.segmented_control("Show", [HERE, NOTEBOOKS], key="show", bind="query-params", default=HERE, required=True)
if show == HERE:
    names, runs = run_list.data_names(), run_list.all_runs()
    all_of_them(
        runs.assign(
            data=[names.get(path, path) for path in runs["data"]],
            scale=[SCALE_WORDS.get(scale, scale) for scale in runs["scale"]],
        )
    )
    average(state.find_all_runs()[0], data)
else:
    try:
        of_the_notebooks(kept)
    except UserError as error:
        fault(error)
