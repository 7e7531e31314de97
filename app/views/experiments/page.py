"""Experiments: all runs in one table with the paper's rows, their GAP as a figure, and an ensemble of some."""

import pandas as pd
import streamlit as st

from components.charts import join_provenance, show_chart
from components.columns import GAP_COLUMNS
from components.link import accept_old_values, linked
from components.selection import on_selection
from components.selectors import download_csv, require_run, show_provenance
from components.sidebar import open_run
from components.text import show_error
from context import PageContext, current_page
from views.experiments.ensemble import show_ensemble
from views.experiments.notebook_results import find_results, show_results
from yt8m_core import figures
from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize
from yt8m_core.paper_tables import TABLES

SLOTS = ["pooling", "classification", "label_processing", "loss"]
ANY = "any"
RUNS, RESULTS = "runs", "notebook results"
OLD_SOURCES = {"results+of+the+notebooks": RESULTS, "runs+found+here": RUNS}
MAX_DRAWN = 40  # runs in the figure
COLUMNS = {
    "run": st.column_config.TextColumn("Run", pinned=True),
    "gap": GAP_COLUMNS["gap"],
    "gap_low": GAP_COLUMNS["gap_low"],
    "gap_high": GAP_COLUMNS["gap_high"],
    "paper_row": st.column_config.TextColumn(
        "Paper row",
        help="The row with the same slots; layer widths may differ. Several where rows differ in widths only.",
    ),
    "paper_gap": GAP_COLUMNS["paper_gap"],
    "pooling": st.column_config.TextColumn(
        "Pooling", width="medium", help="Reduces the seconds of a video to one vector."
    ),
    "classification": st.column_config.TextColumn(
        "Classification", width="medium", help="Maps the vector to a score per label."
    ),
    "label_processing": st.column_config.TextColumn(
        "Label processing", help="Corrects the scores by label correlation; identity leaves them unchanged."
    ),
    "loss": st.column_config.TextColumn("Loss", help="Minimized in training."),
    "data": st.column_config.TextColumn("Validation data", help="Data set on which the metrics were measured."),
    "hit_at_1": st.column_config.NumberColumn(
        "Hit@1", format="%.3f", help="Share of videos whose most probable label is a true one."
    ),
    "perr": st.column_config.NumberColumn(
        "PERR", format="%.3f", help="For a video with n true labels, the precision of the top n labels; then the mean."
    ),
    "map": st.column_config.NumberColumn(
        "mAP (top 20)",
        format="%.3f",
        help="Mean average precision over the labels that occur; only the top 20 labels of each video count.",
    ),
    "parameters": st.column_config.NumberColumn(
        "Parameters", format="localized", help="Number of trainable parameters."
    ),
    "epochs": st.column_config.NumberColumn("Epochs", help="Number of passes over the training videos."),
    "learning_rate": st.column_config.NumberColumn("Learning rate", format="%g", help="Initial learning rate."),
    "seed": st.column_config.NumberColumn("Seed", format="%d", help="Random seed."),
    "differs": st.column_config.TextColumn(
        "Differs in",
        help="Settings that tell apart runs with the same pooling, classification, label processing and loss.",
    ),
    "scale": st.column_config.TextColumn("Scale", help="Demo world, sample of real data, or full data set."),
    "finished": st.column_config.CheckboxColumn("Finished", help="Other runs are in training, or were stopped."),
}


def filter_runs(runs: pd.DataFrame, run_key: str) -> pd.DataFrame:
    """Show the filters, and return the selected runs, best first."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        data_sets = runs["data"].value_counts().index
        own = runs.loc[runs["run"] == run_key, "data"].iloc[0]
        data = ANY
        if len(data_sets) > 1:
            data = linked(
                st.selectbox,
                "Validation data",
                [*data_sets, ANY],
                None,
                first=own if own in data_sets else data_sets[0],
                key="on",
                width=300,
                help="GAPs on different videos cannot be compared.",
            )
        titles = {TABLES[key].title: key for key in TABLES if any(key in dict(rows) for rows in runs["rows"])}
        title = linked(
            st.selectbox,
            "Paper table",
            [ANY, *titles],
            key="table",
            width=300,
            help="Runs with the slots of a row of this table.",
        )
        methods = linked(
            st.multiselect,
            "Methods",
            sorted({method for slot in SLOTS for method in runs[slot]}),
            key="methods",
            placeholder="All",
            width=340,
            help="Runs that have all of these in their slots.",
        )
    mask = pd.Series(True, runs.index)
    if data not in (ANY, None):
        mask &= runs["data"] == data
    if title != ANY:
        mask &= pd.Series([titles[title] in dict(rows) for rows in runs["rows"]], runs.index)
    for method in methods:
        mask &= (runs[SLOTS] == method).any(axis=1)
    return runs[mask].sort_values("gap", ascending=False, kind="stable", ignore_index=True)


def show_runs(page: PageContext) -> None:
    """Show the runs as a table and as a figure."""
    runs = named_runs(page)
    selected = filter_runs(runs, page.run_key)

    def select_run(rows: list[int]) -> None:
        if selected["finished"][rows[0]]:
            open_run(page.workspace, selected["run"][rows[0]])

    st.caption(
        f"{len(selected)} of {pluralize(len(runs), 'run')}. Click the box before a row to select its run on all pages, "
        "and a column header to sort."
    )
    st.dataframe(
        selected,
        key="run table",
        on_select=on_selection("run table", "rows", select_run),
        selection_mode="single-row",
        hide_index=True,
        placeholder="–",
        column_order=list(COLUMNS),  # results first, then settings
        column_config=COLUMNS,
        alt="Runs with their slots, metrics and paper row",
    )
    download_csv(selected.drop(columns="rows"), "runs")
    st.caption(
        "A run matches a paper row where all five slots are equal; layer widths may differ. On video-level features, "
        "which are averaged over the seconds, mean pooling counts as indirect clustering."
    )
    drawn = selected[selected["finished"]]
    if drawn.empty:
        st.info("No finished run matches the filters.", icon=":material/info:")
    elif drawn["data"].nunique() > 1:
        st.info(
            "These runs were measured on different videos, so their GAPs cannot be compared. Choose their validation "
            "data above.",
            icon=":material/info:",
        )
    else:
        best = drawn[:MAX_DRAWN]
        data, videos, scale = best[["data", "videos", "scale"]].iloc[0]
        show_chart(
            figures.gap_intervals(best, scale=scale),
            key="intervals",
            alt="GAP of each run with its 95% CI",
            provenance=join_provenance("", data, videos, scale),
            data=best.drop(columns="rows"),
            file_name="gap of runs",
            code=intervals_code(page, best["run"].tolist(), scale),
        )
        if len(drawn) > MAX_DRAWN:
            st.caption(f"The figure shows the best {MAX_DRAWN} of {len(drawn)} runs.")


def intervals_code(page: PageContext, keys: list[str], scale: str) -> str:
    """Return Python code that draws the GAP of runs."""
    runs = "".join(f"    {key!r}: Run.open({str(page.workspace.runs[key].path.absolute())!r}),\n" for key in keys)
    return (
        "from yt8m_core import Run, figures\n"
        "from yt8m_core.runs.table import run_table\n"
        f"runs = {{\n{runs}}}\n"
        f"figures.gap_intervals(run_table(runs), scale={scale!r})"
    )


def named_runs(page: PageContext) -> pd.DataFrame:
    """Return the run table with data sets and scales in words."""
    table, keys = page.workspace.table, page.workspace.data_keys
    return table.assign(
        data=[keys.get(path, path) for path in table["data"]],
        scale=[SCALE_NAMES.get(scale, scale) for scale in table["scale"]],
    )


page = current_page()
run = require_run(page)
try:
    show_provenance(page, run=run, videos=page.videos)
except UserError as error:
    show_provenance(page, run=run)
    show_error(error)
results = find_results()
source = RUNS
if results:
    accept_old_values("show", OLD_SOURCES)
    source = linked(st.segmented_control, "Show", [RUNS, RESULTS], key="show", first=RUNS, required=True)
if source == RUNS:
    show_runs(page)
    show_ensemble(page)
else:
    try:
        show_results(results)
    except UserError as error:
        show_error(error)
