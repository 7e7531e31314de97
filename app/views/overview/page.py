"""Overview: the open run and data, the run's metrics, learning curves, architecture and paper rows."""

import shlex

import streamlit as st

from cache import runs
from components.charts import join_provenance, show_chart
from components.columns import GAP_COLUMNS, GAP_HELP
from components.link import linked
from components.page_links import page_link
from components.selectors import download_csv, show_demo_link, show_provenance
from components.text import plain, show_error
from context import PageContext, current_page
from views.data_checks.findings import describe_shared_videos, show_findings
from views.overview.slot_descriptions import describe_slots
from views.overview.suggestions import Suggestion, pair_suggestion, run_suggestions
from yt8m_core import figures
from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize
from yt8m_core.labels.statistics import BANDS
from yt8m_core.paper_tables import TABLES
from yt8m_core.runs.run import Run
from yt8m_core.runs.table import join_paper_rows, rank_agreement

METRICS = {
    "hit_at_1": ("Hit@1", "Share of videos whose most probable label is a true one."),
    "perr": (
        "PERR",
        "Precision at equal recall rate: for a video with n true labels, the precision of the top n labels, averaged "
        "over the videos.",
    ),
    "map_present": (
        "mAP (top 20)",
        "Mean average precision over the labels that occur, so rare labels count as much as frequent ones. As in "
        "Google's evaluation, only the top 20 labels of each video count.",
    ),
}
TRAIN = "yt8m train --train {} --validation VALIDATION --run workspace/runs/first --pooling mean"


def show_metrics(page: PageContext) -> None:
    """Show the metrics of the run on its validation data."""
    run = page.run
    score = run.metrics["validation"]
    with st.container(horizontal=True):
        st.metric(
            "GAP@20",
            f"{score['gap']:.3f}",
            f"95% CI [{score['gap_low']:.3f}, {score['gap_high']:.3f}]",
            delta_color="off",
            delta_arrow="off",
            help=f"{GAP_HELP} The 95% CI is a bootstrap over the videos.",
            border=True,
            height="stretch",
        )
        for name, (title, meaning) in METRICS.items():
            if name in score:
                st.metric(title, f"{score[name]:.3f}", help=meaning, border=True, height="stretch")
        if parameters := run.metrics.get("parameters"):
            st.metric(
                "Parameters",
                f"{parameters:,}",
                help="Number of trainable parameters.",
                border=True,
                height="stretch",
            )
        if throughput := run.metrics.get("videos_per_second"):
            st.metric(
                "Throughput (videos/s)",
                f"{throughput:,.0f}",
                help="Training videos per second, on the machine that trained the run.",
                border=True,
                height="stretch",
            )
    if bands := [f"{band} **{score[f'ap_{band}']:.3f}**" for band in (*BANDS, "all") if f"ap_{band}" in score]:
        st.markdown(
            f"Mean AP over all scores, by label frequency: {', '.join(bands)}.",
            help="Each label ranks all videos, not only those that have it in their top 20. The head holds 50% of the "
            "(video, label) pairs of the training videos; head and mid together hold 90%.",
        )
    validation = run.experiment.data.validation_name
    unit = f"{run.experiment.data.item}s"
    if run.experiment.data.segments:
        st.caption(
            "These metrics are of the labels that were rated in a segment, often one, so they are high for any model. "
            "MAP@K, which yt8m evaluate prints with --segments rated, ranks segments."
        )
    st.caption(
        f"Measured at the end of training, on {run.facts.validation_videos:,} validation {unit} of "
        f"{plain(page.workspace.data_keys.get(validation, validation))} "
        f"({SCALE_NAMES.get(run.facts.scale, plain(run.facts.scale))}). {describe_shared_videos(run)}"
    )


def show_architecture(run: Run) -> None:
    """List the run's slots in the order of the data flow."""
    st.subheader("Architecture", anchor=False)
    st.markdown(
        "\n".join(
            f"{number}. {slot.replace('_', ' ').capitalize()} ({purpose}): **{plain(method)}** {effect}."
            for number, (slot, purpose, method, effect) in enumerate(describe_slots(run.experiment), 1)
        )
    )
    experiment, facts = run.experiment, run.facts
    training, init = experiment.training, experiment.init
    origin = f" Started from the weights of {plain(init)} (digest {facts.init_weights})." if init else ""
    st.caption(
        f"Training: {pluralize(facts.train_videos, experiment.data.item)}, {pluralize(training.epochs, 'epoch')}, "
        f"learning rate {training.learning_rate:g}, batch size {training.batch_size}, "
        f"random seed {experiment.seed}.{origin}"
    )


def show_learning_curves(page: PageContext, key: str, run: Run) -> None:
    """Show training loss, validation GAP and update-to-weight ratios, up to now where the run is in training."""
    try:
        log = runs.training_log(run)
    except UserError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    scale = SCALE_NAMES.get(run.facts.scale, run.facts.scale)
    validation = run.experiment.data.validation_name
    provenance = join_provenance(
        key, page.workspace.data_keys.get(validation, validation), run.facts.validation_videos, scale
    )
    show_chart(
        figures.learning_curve(log, scale=scale),
        key=f"curve {run.path}",
        alt=f"Training loss and validation GAP of run {run.name} against training examples",
        provenance=provenance,
        data=log,
        file_name=f"learning curves {run.name}",
        code=log_code(run, "learning_curve", scale),
    )
    st.caption(
        "Top: training loss. Bottom: validation GAP after each epoch. Where GAP falls while the loss still falls, the "
        "run overfits."
    )
    if log.filter(regex="^update_").notna().any(axis=None):  # logs of older versions have no ratios
        show_chart(
            figures.update_ratio(log, scale=scale),
            key=f"update ratio {run.path}",
            alt=f"Update-to-weight ratio of each slot of run {run.name} against training examples",
            provenance=provenance,
            data=log,
            file_name=f"update ratios {run.name}",
            code=log_code(run, "update_ratio", scale),
        )
        st.caption(
            "The change of a parameter in one step relative to its size. Far above 1, a step replaces the parameter: "
            "its entries are too small for this learning rate."
        )
    download_csv(log, f"training-{run.name}", "Download curves as CSV")


def log_code(run: Run, figure: str, scale: str) -> str:
    """Return Python code that draws the training log of a run."""
    return (
        "from yt8m_core import Run, figures\n"
        f"run = Run.open({str(run.path.absolute())!r})\n"
        f"figures.{figure}(run.log, scale={scale!r})"
    )


def show_paper_rows(page: PageContext) -> None:
    """Compare the run with the paper's rows and with other runs on the same videos."""
    st.subheader("Comparison with the paper", anchor=False)
    table = page.workspace.table
    row = table[table["run"] == page.run_key].iloc[0]
    keys = list(dict.fromkeys(key for key, _ in row["rows"]))
    if not keys:
        st.markdown("No row of the paper has this architecture.")
        page_link("views/experiments/page.py", "All runs and their paper rows", ":material/science:")
        return
    titles = {TABLES[key].title: key for key in keys}
    title = next(iter(titles))
    if len(titles) > 1:
        title = linked(st.selectbox, "Paper table", list(titles), key="paper", width=420)
    joined = join_paper_rows(titles[title], table[table["data"] == row["data"]])
    agreement = rank_agreement(joined, page.run_key)
    st.markdown(
        f"This run matches **{plain(row['paper_row'])}**; layer widths may differ. The paper reports GAP on the 2017 "
        "Kaggle test set, which is no longer available: compare the **order** of rows, not the values."
    )
    if sum(agreement):
        st.markdown(
            f"Compared with {sum(agreement)} runs of other rows on the same videos, the order agrees with the paper "
            f"**{agreement.agree}** times, disagrees **{agreement.disagree}** times, and is inconclusive "
            f"**{agreement.inconclusive}** times because the 95% CIs overlap."
        )
    else:
        st.caption("No run of another row was measured on the same videos, so there is no order to compare.")
    st.dataframe(
        joined.assign(this=joined["run"] == page.run_key),
        hide_index=True,
        placeholder="–",
        column_order=["row", "paper_gap", "run", "gap", "gap_low", "gap_high", "this"],
        column_config={
            **GAP_COLUMNS,
            "row": st.column_config.TextColumn("Paper row", pinned=True),
            "run": st.column_config.TextColumn("Run", help="Measured on the same videos as this run."),
            "this": st.column_config.CheckboxColumn("This run"),
        },
        alt=f"Rows of {title} with the paper's GAP and the matching runs",
    )
    download_csv(joined, f"paper-rows-{titles[title]}")


def show_suggestions(suggestions: list[Suggestion]) -> None:
    """Show each suggestion as a reason and a link."""
    st.subheader("Suggestions", anchor=False)
    with st.grid(3, min_column_width=300):
        for suggestion in suggestions:
            with st.container(border=True, gap="small", height="stretch"):
                st.markdown(suggestion.reason)
                st.page_link(
                    f"views/{suggestion.page}/page.py",
                    label=suggestion.label,
                    icon=suggestion.icon,
                    query_params=suggestion.query,
                )


def show_data(page: PageContext, run: Run | None) -> bool:
    """Show which run and data are open. Return False where the data cannot be opened."""
    try:
        show_provenance(page, run=run, videos=page.videos)
    except UserError as error:
        show_provenance(page, run=run)
        show_error(error)
        return False
    return True


def show_unfinished(page: PageContext) -> None:
    """Show the runs that are in training or were stopped."""
    if not (unfinished := page.workspace.unfinished):
        return
    st.subheader("Unfinished runs", anchor=False)
    key = next(iter(unfinished))
    if len(unfinished) > 1:
        key = linked(st.selectbox, "Unfinished run", list(unfinished), None, first=key, key="unfinished", width=420)
        if key is None:
            return
    run = unfinished[key]
    st.markdown(
        f"Run **{plain(key)}** is in training, or was stopped: {plain(str(run.experiment))}. To resume it, repeat its "
        "command; it can be selected once it is finished."
    )
    show_learning_curves(page, key, run)


page = current_page()
run = page.run if page.has_run else None
has_data = show_data(page, run)
suggestions: list[Suggestion] = []
if run is not None:
    show_metrics(page)
    suggestions_place = st.container()
    left, right = st.columns([5, 3], gap="large")
    with left:
        st.subheader("Learning curves", anchor=False)
        show_learning_curves(page, page.run_key, run)
    with right:
        show_architecture(run)
    try:
        suggestions += run_suggestions(page)
    except UserError as error:
        show_error(error)
else:
    suggestions_place = st.container()
    st.subheader("Train a run", anchor=False)
    st.markdown(
        "There is no trained run. This command trains one on the open data; replace VALIDATION by other videos."
    )
    st.code(TRAIN.format(shlex.quote(page.data.path)), language="bash", wrap_lines=True)
    show_demo_link()
if has_data:
    try:
        suggestions += pair_suggestion(page)
    except UserError as error:
        show_error(error)
if suggestions:
    with suggestions_place:
        show_suggestions(suggestions)
if has_data:
    st.subheader("Data checks", anchor=False)
    show_findings(page)
    page_link("views/data_checks/page.py", "All data checks", ":material/fact_check:")
if run is not None:
    show_paper_rows(page)
show_unfinished(page)
