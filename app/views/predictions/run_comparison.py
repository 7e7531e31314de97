"""What other runs say of the same video, side by side, and the mean of all."""

import contextlib
import html

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders as state
from components.selectors import download_csv, plain
from views.predictions.video_source import Shown
from yt8m_core import figures
from yt8m_core.analysis.outcomes import BEST, side_by_side
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run

DRAWN = 12  # labels in the figure
MOST = len(figures.SYMBOLS) - 1  # further runs


def other_runs(run: Run, shown: Shown, ranking: pd.DataFrame) -> None:
    """Choose runs, and compare what they say."""
    others = _that_fit(run, shown)
    if not others:
        st.caption("There is no other run of the same labels and features.")
        return
    chosen = st.multiselect(
        "Compare with",
        list(others),
        key="runs",
        bind="query-params",
        max_selections=MOST,
        placeholder="Choose runs",
        help="Runs of the same labels and features. Their mean is the ensemble of the paper's section 3.3.",
    )
    if not chosen:
        return
    members = {st.session_state["run"]: shown.prediction.probabilities}
    for key in chosen:
        other = others[key]
        with contextlib.suppress(UserError):  # its data are gone or its weights are: told below
            if shown.data is None:
                prediction = state.prediction_of_upload(other, shown.digest, 0, shown.frames)
            else:
                prediction = state.prediction(other, shown.data, shown.video)
            members[key] = prediction.probabilities
    for key in set(chosen) - set(members):
        st.caption(f":material/warning: Run {plain(key)} cannot score this video.")
    if len(members) < 2:
        return
    _compare(shown, members, side_by_side(members, ranking))


def _that_fit(run: Run, shown: Shown) -> dict[str, Run]:
    """Other runs by their key: of the same labels, made for the same features."""
    names = run.vocabulary.frame()["name"]
    return {
        key: other
        for key, other in state.find_all_runs()[0].items()
        if other.path != run.path
        and other.facts.schema == run.facts.schema
        and other.facts.num_classes == run.facts.num_classes
        and other.vocabulary.frame()["name"].equals(names)
    }


def _compare(shown: Shown, members: dict[str, NDArray[np.float32]], table: pd.DataFrame) -> None:
    apart = table.iloc[int(table["spread"].to_numpy().argmax())]
    said = sorted(((float(apart[f"p {name}"]), name) for name in members), reverse=True)
    st.markdown(
        f"They differ most on **{plain(apart['name'])}**: from {said[0][0]:.3f} ({plain(said[0][1])}) down to "
        f"{said[-1][0]:.3f} ({plain(said[-1][1])})."
    )
    picture, words = st.columns(2, gap="large")
    with picture:
        st.plotly_chart(
            figures.side_by_side(
                table[:DRAWN],
                list(members),
                title=f"Runs on video {html.escape(shown.video_id)}",
                scale=shown.scale,
            ),
            key="side by side",
            alt=f"Probabilities of {len(members)} runs for the {DRAWN} best labels of their mean",
        )
    with words:
        st.dataframe(
            table[:BEST],
            hide_index=True,
            column_order=["rank", "name", *(["true"] if table["true"].notna().all() else []), "mean", "spread"]
            + [f"p {name}" for name in members],
            column_config={
                "rank": st.column_config.NumberColumn("Rank", help="By the mean.", width="small"),
                "name": st.column_config.TextColumn("Label"),
                "true": st.column_config.CheckboxColumn("True", width="small"),
                "mean": st.column_config.ProgressColumn(
                    "Mean", help="The ensemble: the mean of the runs' probabilities.", format="%.3f"
                ),
                "spread": st.column_config.NumberColumn(
                    "Apart", help="The largest probability less the smallest.", format="%.3f"
                ),
                **{f"p {name}": st.column_config.NumberColumn(name, format="%.3f") for name in members},
            },
            height="content",
            alt=f"The {BEST} best labels of the mean of the runs, with each run's probability",
        )
        download_csv(table, f"runs-{shown.video_id}", f"Download all {len(table):,} side by side as CSV")
