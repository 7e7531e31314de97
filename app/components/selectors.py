"""Pieces that several pages show: the line of provenance, and the choice of a video and of a label."""

import random
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import loaders as state
from yt8m_core.data.dataset import Videos
from yt8m_core.data.scale import SCALE_WORDS, scale_of
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import as_text

P = ParamSpec("P")
T = TypeVar("T")
GAP = (
    "GAP@20, global average precision: the 20 best labels of every video, all in one list by their probability. 1 "
    "where all true labels stand before all wrong ones, 0 where no true label is in it."
)
MOST_LISTED = 20_000  # ids that a browser is sent; of a larger data set, the id is typed


def plain(text: str) -> str:
    """Text as it is, in one line, without a meaning as Markdown."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!$:<>~|&])", r"\\\1", " ".join(as_text(text).split()))


def fault(error: UserError | OSError) -> None:
    """Tell what is wrong: with what the app was given, or with the machine that it runs on."""
    sentence = str(error)
    if isinstance(error, OSError):  # a disk that is full, a folder that may not be written
        sentence = f"{error.strerror or error}: {error.filename or 'a file'}."
    st.error(plain(sentence), icon=":material/error:")


def fragment(part: Callable[P, None]) -> Callable[P, None]:
    """A part of a page whose controls draw it anew alone; what is wrong then is told in its place."""

    @st.fragment
    @wraps(part)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            part(*args, **kwargs)
        except (UserError, OSError) as error:
            fault(error)

    return guarded


def chosen_run() -> Run:
    """The run of the sidebar. Ends the page where there is none."""
    runs, _ = state.find_all_runs()
    if not runs:
        st.info("This page shows what a trained model does, and there is no trained run yet.", icon=":material/info:")
        st.page_link(
            "views/welcome/page.py", label="Build the demo world and its runs", icon=":material/rocket_launch:"
        )
        st.stop()
    return _still_there("run", runs)


def chosen_data() -> state.DataSet:
    """The data set of the sidebar."""
    return _still_there("data", state.find_all_data(state.find_all_runs()[0].values()))


def _still_there(key: str, found: Mapping[str, T]) -> T:
    """What is chosen in the sidebar. Raises UserError where it went while the page was drawn."""
    if (name := str(st.session_state.get(key))) not in found:
        raise UserError(f"'{name}' is no longer there", advice="Choose another in the sidebar.")
    return found[name]


def choose(key: str, value: object) -> Callable[[], None]:
    """What a button does that sets a choice."""

    def set_it() -> None:
        st.session_state[key] = value

    return set_it


def scale_words(data: state.DataSet, videos: Videos) -> str:
    """What made the numbers of a data set."""
    return SCALE_WORDS[scale_of(data.path, len(videos))]


def split_words(path: str, run: Run | None) -> str:
    """What a data set was to the run, or else to any run that was found."""
    runs = [run] if run else list(state.find_all_runs()[0].values())
    whose = "this run" if run else "a run"
    if any(path == one.experiment.data.validation for one in runs):
        return f" (the validation split of {whose})"
    if any(path == one.experiment.data.train for one in runs):
        return f" (the training split of {whose}" + (", which knows its labels)" if run else ")")
    return ""


def provenance(*, run: Run | None = None, data: tuple[state.DataSet, Videos] | None = None) -> None:
    """Say where the numbers of the page come from."""
    lines = []
    if run:
        score = run.metrics["validation"]
        world = SCALE_WORDS.get(run.facts.scale, run.facts.scale)
        lines.append(
            f"Run **{plain(run.name)}**: {plain(str(run.experiment))}; trained on {run.facts.train_videos:,} videos "
            f"({world}); GAP@20 on its validation data {score['gap']:.3f} "
            f"(95% interval {score['gap_low']:.3f} to {score['gap_high']:.3f})."
        )
    if data:
        source, videos = data
        streams = " + ".join(f"{name} ({width})" for name, width in videos.schema.streams)
        lines.append(
            f"Data set **{plain(st.session_state['data'])}**{split_words(source.path, run)}: {len(videos):,} videos, "
            f"{videos.schema.level}-level features {plain(streams)}, **{scale_words(source, videos)}**."
        )
    st.caption("  \n".join(lines), help=GAP if run else None)


def videos_for(run: Run, data: state.DataSet) -> Videos:
    """The videos of the data set for the run. Where they do not fit, says so, offers what does, and ends the page."""
    try:
        return state.videos_for(run, data)
    except UserError as error:
        fault(error)
    runs, _ = state.find_all_runs()
    own = (run.experiment.data.validation, run.experiment.data.train)
    for key, other in state.find_all_data(runs.values()).items():
        if other.path in own and other.path != data.path:
            st.button(
                f"Use this run's own data set {plain(key)}", on_click=choose("data", key), icon=":material/database:"
            )
    for key, candidate in runs.items():
        if data.path in (candidate.experiment.data.validation, candidate.experiment.data.train):
            st.button(
                f"Use run {plain(key)}, made for this data",
                on_click=choose("run", key),
                icon=":material/model_training:",
            )
    st.stop()


def video_picker(videos: Videos, order: NDArray[np.int64] | None = None) -> int:
    """Choose a video: by its id, the next one of ``order`` or of the data set, or any of them."""

    def go(step: int | None) -> None:
        here = videos.find(st.session_state["video"]) or 0
        if order is not None:
            found = np.flatnonzero(order == here)
            here = int(found[0]) if len(found) else -1 if step == 1 else 0  # from elsewhere to the first, or the last
        size = len(videos) if order is None else len(order)
        there = random.randrange(size) if step is None else (here + step) % size  # noqa: S311 - no secret
        st.session_state["video"] = videos.id(there if order is None else int(order[there]))

    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(videos) <= MOST_LISTED:
            video_id = st.selectbox("Video", videos.ids, key="video", bind="query-params", width=220)
        else:
            video_id = st.text_input("Video id", videos.id(0), key="video", bind="query-params", width=220)
        with st.container(horizontal=True, width="content"):  # stay together on a narrow screen
            st.button("Previous", icon=":material/chevron_left:", on_click=go, args=(-1,), shortcut="P")
            st.button("Next", icon=":material/chevron_right:", on_click=go, args=(1,), shortcut="N")
            st.button("Random", icon=":material/casino:", on_click=go, args=(None,))
    found = videos.find(video_id)
    if found is None:
        raise UserError(f"no video '{video_id}' in this data set")
    return found


def label_names(vocabulary: Vocabulary) -> dict[str, int]:
    """What labels are called where they are chosen; the number tells two of one name apart."""
    return {f"{vocabulary.name(label)} · {label}": label for label in range(vocabulary.num_classes)}


def label_picker(text: str, vocabulary: Vocabulary) -> int | None:
    """Choose a label by its name, or none."""
    names = label_names(vocabulary)
    name = st.selectbox(
        text, list(names), index=None, key="label", bind="query-params", placeholder="Type a name", width=340
    )
    return None if name is None else names[name]


def other_run(text: str, run: Run) -> Run | None:
    """Choose a second run that scores the same labels, or none; it goes along from page to page like the first."""
    others = {
        key: other
        for key, other in state.find_all_runs()[0].items()
        if other.path != run.path and other.facts.num_classes == run.facts.num_classes
    }
    if not others:
        return None
    key = st.selectbox(
        text, list(others), index=None, key="run_b", bind="query-params", placeholder="No other run", width=340
    )
    return None if key is None else others[key]


def download_csv(table: pd.DataFrame, name: str, text: str = "Download as CSV") -> None:
    """Offer a whole table as a file."""
    st.download_button(
        text,
        lambda: table.to_csv(index=False),
        re.sub(r"[^\w-]+", "_", name) + ".csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"download {name}",
    )
