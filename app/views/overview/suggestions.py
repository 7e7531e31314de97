"""What is worth a look in a run and in a data set, each with its reason in numbers and a link."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import streamlit as st

from cache import loaders as state
from cache import runs as run_list
from components.selectors import plain
from yt8m_core.runs.run import Run

SUPPORT = 10  # videos that the strongest pair must be in at least; rarer ones are together by chance


class Hint(NamedTuple):
    """Something to look at: why, and where."""

    reason: str
    page: str
    label: str
    icon: str
    query: Mapping[str, str | list[str]]


def hints(run: Run, name: str) -> Iterator[Hint]:
    """What is worth a look, each with its reason."""
    found = run_list.findings(run)
    place = run_list.data_names().get(run.experiment.data.validation)
    here = {"run": name, **({"data": place} if place else {})}
    vocabulary = run.vocabulary
    if video := found.hardest:
        yield Hint(
            f"Of the {video.labels} true labels of video **{plain(video.id)}** only {video.found} are among the run's "
            "20 best: the most that it misses in any video.",
            "predictions", "Its hardest video", ":material/label:", {**here, "video": video.id},
        )  # fmt: skip
    if wrong := found.surest:
        label = vocabulary.name(wrong.label)
        yield Hint(
            f"It gives **{plain(label)}** {_percent(wrong.probability)} in video **{plain(wrong.id)}**, and the data "
            "do not: its surest mistake, or a label that is missing.",
            "predictions", "Its surest mistake", ":material/label:",
            {**here, "video": wrong.id, "label": f"{label} · {wrong.label}"},
        )  # fmt: skip
    if len(found.bands) > 1:
        ranked = found.bands.sort_values("share")
        worst, best = ranked.iloc[0], ranked.iloc[-1]
        yield Hint(
            f"Of all **{worst['band']}** labels given to videos it finds {worst['share']:.0%} among its 20 best, of "
            f"**{best['band']}** labels {best['share']:.0%} (head labels are the frequent ones, tail labels the rare).",
            "imbalance", "How unequal the labels are", ":material/bar_chart:", here,
        )  # fmt: skip
    if run.facts.schema.level == "frame" and run.experiment.pooling.name == "indirect_clustering" and found.hardest:
        yield Hint(
            "Its pooling weighs the seconds of a video: see which ones it took in its hardest video.",
            "attention", "Where it looks", ":material/show_chart:", {**here, "video": found.hardest.id},
        )  # fmt: skip
    yield from _better_run(run, name)


def _better_run(run: Run, name: str) -> Iterator[Hint]:
    runs = run_list.all_runs()
    others = runs[runs["finished"] & (runs["data"] == run.experiment.data.validation) & (runs["run"] != name)]
    if others.empty:
        return
    best = others.sort_values("gap").iloc[-1]
    gap = run.metrics["validation"]["gap"]
    word = "better" if best["gap"] > gap else "the next best"
    yield Hint(
        f"Run **{plain(best['run'])}** is {word} on the same videos: GAP {best['gap']:.3f}. What would an average of "
        "the two come to?",
        "experiments", "Average the two", ":material/science:", {"run": name, "members": [name, best["run"]]},
    )  # fmt: skip


def pair_hint(data: state.DataSet) -> Iterator[Hint]:
    """The two labels of the data that most go together."""
    pairs = state.strongest_pairs(data, "phi", SUPPORT)
    if pairs.empty:
        return
    labels, first = state.labels(data), pairs.iloc[0]
    one, other = (labels.vocabulary.name(int(first[side])) for side in ("label_a", "label_b"))
    count = int(first["count"])
    yield Hint(
        f"**{plain(one)}** and **{plain(other)}** go together most in this data set: {count:,} videos have "
        f"both (φ {first['phi']:.2f}, where 1 is always).",
        "correlation", "Labels that go together", ":material/grid_on:",
        {"data": st.session_state["data"], "label": f"{one} · {int(first['label_a'])}", "part": "Pairs"},
    )  # fmt: skip


def _percent(probability: float) -> str:
    """A probability that is never said to be certain."""
    return "over 99.9%" if probability > 0.999 else f"{probability:.1%}"
