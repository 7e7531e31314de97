"""Elements shared by several pages: errors, provenance, and the selection of a video, a label and a second run."""

import random
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from components.columns import GAP_HELP
from components.link import linked
from components.page_end import PageEnd, end_page
from components.page_links import label_option
from components.sidebar import open_run
from components.text import plain, show_error
from context import PageContext
from yt8m_core.data.dataset import Videos
from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize
from yt8m_core.runs.run import Run
from yt8m_core.storage.csv_file import table_text

if TYPE_CHECKING:
    from yt8m_core.inference.score_cache import CachedScores

P = ParamSpec("P")
SEEN = "the run has seen its labels"
MAX_LISTED_IDS = 20_000  # sent to the browser; in a larger data set, the id is typed


def fragment(section: Callable[P, None]) -> Callable[P, None]:
    """Make a section of a page rerun alone, and show its errors in its place."""

    @st.fragment
    @wraps(section)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            section(*args, **kwargs)
        except (UserError, OSError) as error:
            show_error(error)
        except PageEnd:
            return

    return guarded


def state_setter(key: str, value: object) -> Callable[[], None]:
    """Return a callback that sets a value of the session state."""

    def set_state() -> None:
        st.session_state[key] = value

    return set_state


def require_run(page: PageContext) -> Run:
    """Return the selected run. Without any run, offer the demo world and end the page."""
    if not page.has_run:
        st.info("This page needs a trained run, and there is none yet.", icon=":material/info:")
        show_demo_link()
        end_page()
    return page.run


def show_demo_link() -> None:
    """Link to the page that builds the demo world."""
    st.page_link("views/welcome/page.py", label="Build the demo world", icon=":material/rocket_launch:")


def require_run_videos(page: PageContext) -> Videos:
    """Return the videos of the data set for the run. Where they do not fit, offer what does and end the page."""
    try:
        return page.run_videos
    except UserError as error:
        show_error(error)
    own = page.run.experiment.data
    for key, data in page.workspace.data_sets.items():
        if data.path in (own.validation, own.train) and data.path != page.data.path:
            st.button(
                f"Use data set {plain(key)} of this run",
                on_click=state_setter("data", key),
                icon=":material/database:",
            )
    for key, run in page.workspace.runs.items():
        if page.data.path in (run.experiment.data.validation, run.experiment.data.train):
            st.button(
                f"Use run {plain(key)}, trained for this data set",
                on_click=open_run,
                args=(page.workspace, key),
                icon=":material/model_training:",
            )
    end_page()


def require_scores(page: PageContext) -> None:
    """Compute the scores of the run, and say if they are a sample. Where they are not available, end the page."""
    require_run(page)
    require_run_videos(page)
    if page.scores.is_sample:
        st.caption(sample_note(page.scores))


def sample_note(run_scores: "CachedScores") -> str:
    """Say that the scores are those of a sample."""
    return f"Scores of a random sample of {len(run_scores.videos):,} of {run_scores.num_videos:,} videos."


def show_provenance(page: PageContext, *, run: Run | None = None, videos: Videos | None = None) -> None:
    """Show in one line which run and which videos the numbers of the page come from; the details are in its tooltip."""
    parts, details = [], []
    if run is not None:
        score = run.metrics["validation"]
        interval = f"\\[{score['gap_low']:.3f}, {score['gap_high']:.3f}\\]"
        parts.append(f"Run **{plain(run.name)}**, GAP@20 {score['gap']:.3f} {interval}")
        table = page.workspace.table
        differs = "".join(table.loc[table["run"] == page.run_key, "differs"])
        details += [
            f"Run {plain(run.name)}: {plain(str(run.experiment))}{f' ({plain(differs)})' if differs else ''}; "
            f"{run.facts.train_videos:,} training videos ({SCALE_NAMES.get(run.facts.scale, plain(run.facts.scale))})",
            f"{GAP_HELP} In brackets: its 95% CI on the validation videos",
        ]
    if videos is not None:
        split = _split_note(page, run)
        short = f"{split.split()[0]} split, " if split else ""
        seen = f", **{SEEN}**" if SEEN in split else ""
        parts.append(
            f"Data set **{plain(page.data_key)}** ({short}{pluralize(len(videos), 'video')}, **{page.scale}**){seen}"
        )
        streams = " + ".join(f"{name} ({width})" for name, width in videos.schema.streams)
        note = f" ({split})" if split else ""
        features = f"{videos.schema.level}-level features {plain(streams)}"
        details.append(f"Data set {plain(page.data_key)}{note}: {features}")
    st.caption(" · ".join(parts), help="\n".join(f"- {detail}" for detail in details))


def _split_note(page: PageContext, run: Run | None) -> str:
    """Say that the data set is a split of the run, or else of any listed run; empty if it is none."""
    runs = [run] if run is not None else list(page.workspace.runs.values())
    owner = "this run" if run is not None else "a run"
    if any(page.data.path == other.experiment.data.validation for other in runs):
        return f"validation split of {owner}"
    if any(page.data.path == other.experiment.data.train for other in runs):
        fold = f" outside fold {run.experiment.data.fold}" if run is not None and run.experiment.data.fold else ""
        return f"training split of {owner}{f', so {SEEN}{fold}' if run is not None else ''}"
    return ""


def video_picker(videos: Videos, order: NDArray[np.int64] | None = None) -> int:
    """Select a video by its id, or step through ``order`` or the data set, or draw one at random."""

    def go(step: int | None) -> None:
        position = videos.find(st.session_state["video"] or "") or 0
        if order is not None:
            matches = np.flatnonzero(order == position)
            # From a video outside the list, go to its first or last one.
            position = int(matches[0]) if len(matches) else -1 if step == 1 else 0
        size = len(videos) if order is None else len(order)
        target = random.randrange(size) if step is None else (position + step) % size  # noqa: S311 - no secret
        st.session_state["video"] = videos.id(target if order is None else int(order[target]))

    selected = st.session_state.get("video")
    if selected is not None and videos.find(selected) is None:
        st.session_state["video"] = None  # a video of the data set that was open before
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(videos) <= MAX_LISTED_IDS:
            video_id = linked(st.selectbox, "Video", videos.ids, None, first=videos.id(0), key="video", width=180)
        else:
            video_id = linked(st.text_input, "Video id", None, first=videos.id(0), key="video", width=180)
        with st.container(horizontal=True, width="content"):  # stay together on a narrow screen
            st.button("Previous", on_click=go, args=(-1,), shortcut="P")
            st.button("Next", on_click=go, args=(1,), shortcut="N")
            st.button("Random", on_click=go, args=(None,))
    video = None if video_id is None else videos.find(video_id)
    if video is None:
        st.info(f"Choose one of the {len(videos):,} videos of this data set.", icon=":material/info:")
        end_page()
    return video


def label_names(vocabulary: Vocabulary) -> dict[str, int]:
    """Return the option of each label; its number tells apart labels of one name."""
    return {label_option(label, vocabulary): label for label in range(vocabulary.num_classes)}


def label_picker(text: str, vocabulary: Vocabulary, *, width: int = 280) -> int | None:
    """Select a label by its name, or none."""
    names = label_names(vocabulary)
    name = linked(st.selectbox, text, list(names), index=None, key="label", placeholder="Type a name", width=width)
    return None if name is None else names[name]


def show_differences(page: PageContext, keys: Sequence[str]) -> None:
    """Show the settings in which other runs differ from the run of the page."""
    for key in keys:
        differences = page.run.experiment.differences(page.workspace.runs[key].experiment)
        texts = [f"{plain(name)}: {plain(own)} → {plain(other)}" for name, (own, other) in differences.items()]
        st.caption(f"**{plain(page.run_key)}** → **{plain(key)}**: {'; '.join(texts) or 'the same experiment'}.")


def second_run_picker(page: PageContext, text: str, keys: Sequence[str]) -> PageContext | None:
    """Select a second run of ``keys``, and return its context, or None where the selected one is not here."""
    if st.session_state.get("run_b") == page.run_key:  # the second run was selected as the first one
        st.session_state["run_b"] = keys[0]
    key = linked(st.selectbox, text, keys, None, first=keys[0], key="run_b", placeholder="Choose a run", width=230)
    return None if key is None else page.with_run(key)


def second_run_keys(page: PageContext) -> list[str]:
    """Return the other runs with as many labels as the run of the page."""
    return [
        key
        for key, run in page.workspace.runs.items()
        if run.path != page.run.path and run.facts.num_classes == page.run.facts.num_classes
    ]


def download_csv(table: pd.DataFrame, name: str, text: str = "Download as CSV") -> None:
    """Offer a whole table as a file."""
    st.download_button(
        text,
        lambda: table_text(table),
        re.sub(r"[^\w-]+", "_", name) + ".csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"download {name}",
    )
