"""All runs side by side, beside the rows of the paper that they are, and what an average of some comes to."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

import answers
import run_list
import state
from parts import GAP, choose, chosen_data, chosen_run, download_csv, fault, plain, provenance
from yt8m_core import ablation, figures
from yt8m_core.ablation import results
from yt8m_core.errors import UserError
from yt8m_core.paper_tables import TABLES
from yt8m_core.runs import Run
from yt8m_core.scale import SCALE_WORDS

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


def average(runs: dict[str, Run], data: state.DataSet) -> None:
    """Members of an average, what it comes to, and how they differ."""
    st.subheader("An average of runs", anchor=False)
    st.markdown(
        "Several models that err in different places are better together than each alone. Choose the members; all "
        "count alike."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        members = st.multiselect(
            "Members", list(runs), key="members", bind="query-params", placeholder="Choose at least two", width=600
        )
        kind = st.segmented_control(
            "Average of",
            ["probability", "logit"],
            key="average",
            bind="query-params",
            default="probability",
            required=True,
            help="The probabilities themselves, or their log odds, by which a very sure member counts more.",
        )
    if len(members) < 2:
        st.info("Choose two runs or more to see what their average comes to.", icon=":material/info:")
        return
    fitting, faults = answers.that_fit(tuple((name, runs[name]) for name in members), data)
    for name, error in faults:
        st.warning(f"Run **{plain(name)}** is left out. {plain(str(error))}", icon=":material/warning:")
    if len(fitting) < 2:
        st.info(
            "Fewer than two of these runs can score this data set: choose other runs, or another data set in the "
            "sidebar.",
            icon=":material/info:",
        )
        return
    try:
        answer = answers.average(fitting, data, kind=kind)
    except UserError as error:
        fault(error)
        return
    best = answer.members.sort_values("gap").iloc[-1]
    with st.container(horizontal=True):
        st.metric(
            "GAP@20 of the average", f"{answer.gap:.4f}", f"{answer.gap - best['gap']:+.4f}", help=GAP, border=True
        )
        st.metric(f"Its best member, {plain(best['member'])}", f"{best['gap']:.4f}", border=True, height="stretch")
    every = answers.scored(fitting[0][1], data).of
    if answer.videos < every:
        st.caption(f"Of a sample of {answer.videos:,} of the {every:,} videos.")
    left, right = st.columns(2, gap="large")
    with left:
        st.dataframe(
            answer.members.sort_values("gap", ascending=False),
            hide_index=True,
            column_config={
                "member": st.column_config.TextColumn("Member", pinned=True),
                "weight": None,
                "gap": st.column_config.NumberColumn("GAP alone", format="%.4f", help=GAP),
            },
            alt="GAP of each member alone",
        )
        download_csv(answer.members, "members")
    with right:
        st.dataframe(
            answer.pairs,
            hide_index=True,
            column_config={
                "member_a": st.column_config.TextColumn("Member"),
                "member_b": st.column_config.TextColumn("and"),
                "overlap": st.column_config.NumberColumn(
                    "Same 20",
                    format="percent",
                    help="Of the labels that either has among its 20 best of a video, how many both have.",
                ),
                "same_best": st.column_config.NumberColumn(
                    "Same best", format="percent", help="Videos of which both hold the same label most probable."
                ),
                "correlation": st.column_config.NumberColumn(
                    "Correlation", format="%.2f", help="Of their scores: 1 where both always say the same."
                ),
            },
            alt="How alike each pair of members is",
        )
        download_csv(answer.pairs, "pairs")
    st.caption(
        "The less alike two members are, the more their average may gain; a weak member may cost more than it adds."
    )


def of_the_notebooks(kept: list[tuple[str, str]]) -> None:
    """The result files that are kept with the source, each a table of the paper at a scale."""
    names = {f"{TABLES[table].title} ({SCALE_WORDS.get(scale, scale)})": (table, scale) for table, scale in kept}
    name = st.selectbox("Result", list(names), key="result", bind="query-params", width=420)
    result = ablation.read_result(*names[name])
    if result is None:
        raise UserError(f"the result '{name}' is no longer there")
    st.markdown(ablation.reading(result.rows, result.claims))
    st.caption(f"Made by {plain(result.command)}.")
    st.plotly_chart(
        figures.differences(result.rows, title=TABLES[result.table].title, scale=result.rows["scale"].iloc[0]),
        key="differences",
        alt="Difference of each row to the one that it is compared with, with its 95 % interval",
    )
    rows = ablation.readable(result.rows)
    st.dataframe(rows, hide_index=True, alt=f"Rows of {name}")
    download_csv(result.rows, f"result-{name}")
    if len(result.claims):
        st.subheader("What the paper concludes, judged", anchor=False)
        st.dataframe(result.claims, hide_index=True, alt=f"Claims of {name} with their verdicts")
        download_csv(result.claims, f"claims-{name}", "Download the claims as CSV")


run, data = chosen_run(), chosen_data()
try:
    provenance(run=run, data=(data, state.videos(data)))
except UserError as error:
    provenance(run=run)
    fault(error)
kept = [(file.stem, file.parent.name) for file in sorted(results.results_folder().glob("*/*.json"))]
kept = [(table, scale) for table, scale in kept if table in TABLES]
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
