"""Suggestions of what to look at in a run and a data set, each with a reason and a link."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cache import loaders, runs
from components.text import plain
from context import PageContext
from yt8m_core.figures.style import pluralize

SUPPORT = 10  # videos of the strongest pair at least; rarer pairs are mostly chance


class Suggestion(NamedTuple):
    """A reason to look at something, and a link to it."""

    reason: str
    page: str
    label: str
    icon: str
    query: Mapping[str, str | list[str]]


def run_suggestions(page: PageContext) -> Iterator[Suggestion]:
    """Suggest what to look at in the run. Raises UserError where its stored predictions are missing."""
    run = page.run
    findings = runs.findings(run)
    data_key = page.workspace.data_keys.get(run.experiment.data.validation)
    query = {"run": page.run_key, **({"data": data_key} if data_key else {})}
    if video := findings.hardest:
        yield Suggestion(
            f"Only {video.found} of the {video.labels} true labels of video **{plain(video.id)}** are in the top 20: "
            "the most misses of any validation video.",
            "predictions", "Hardest video", ":material/label:", {**query, "video": _video(page, video.id)},
        )  # fmt: skip
    if mistake := findings.false_positive:
        name = run.vocabulary.name(mistake.label)
        yield Suggestion(
            f"The most confident false positive: **{plain(name)}** with probability {_percent(mistake.probability)} "
            f"in video **{plain(mistake.id)}**. The label may also be missing in the data.",
            "predictions", "Top false positive", ":material/label:",
            {**query, "video": _video(page, mistake.id), "label": f"{name} · {mistake.label}"},
        )  # fmt: skip
    if len(findings.bands) > 1:
        ranked = findings.bands.sort_values("recall")
        worst, best = ranked.iloc[0], ranked.iloc[-1]
        yield Suggestion(
            f"Recall@20 is {worst['recall']:.0%} for **{worst['band']}** labels and {best['recall']:.0%} for "
            f"**{best['band']}** labels (head: frequent, tail: rare).",
            "imbalance", "Label imbalance", ":material/bar_chart:",
            {**query, "look": "precision", "band": str(worst["band"])},
        )  # fmt: skip
    if run.facts.schema.level == "frame" and run.experiment.pooling.name == "indirect_clustering" and findings.hardest:
        yield Suggestion(
            "The pooling weights the seconds of a video: see the weights in the hardest video.",
            "attention", "Attention weights", ":material/show_chart:",
            {**query, "video": _video(page, findings.hardest.id)},
        )  # fmt: skip
    yield from _ensemble_suggestion(page)


def _video(page: PageContext, item: str) -> str:
    """Return the id of the video of an item of the validation data: a segment if the run is trained on segments."""
    return item.rpartition(":")[0] if page.run.experiment.data.segments else item


def _ensemble_suggestion(page: PageContext) -> Iterator[Suggestion]:
    table = page.workspace.table
    same_data = table["data"] == page.run.experiment.data.validation_name
    others = table[table["finished"] & same_data & (table["run"] != page.run_key)]
    if others.empty:
        return
    best = others.sort_values("gap").iloc[-1]
    word = "better" if best["gap"] > page.run.metrics["validation"]["gap"] else "next best"
    yield Suggestion(
        f"Run **{plain(best['run'])}** is {word} on the same videos: GAP {best['gap']:.3f}. Their average may be "
        "better than both.",
        "experiments", "Average both runs", ":material/science:",
        {"run": page.run_key, "members": [page.run_key, best["run"]]},
    )  # fmt: skip


def pair_suggestion(page: PageContext) -> Iterator[Suggestion]:
    """Suggest the most correlated pair of labels of the data set. Raises UserError where no video has labels."""
    pairs = loaders.strongest_pairs(page.data, "phi", SUPPORT)
    if pairs.empty:
        return
    pair = pairs.iloc[0]
    name_a, name_b = (page.labels.vocabulary.name(int(pair[side])) for side in ("label_a", "label_b"))
    yield Suggestion(
        f"**{plain(name_a)}** and **{plain(name_b)}** are the most correlated labels: "
        f"{pluralize(int(pair['count']), 'video')} with both (φ {pair['phi']:.2f}).",
        "correlation", "Correlated labels", ":material/grid_on:",
        {"data": page.data_key, "label": f"{name_a} · {int(pair['label_a'])}", "part": "Pairs"},
    )  # fmt: skip


def _percent(probability: float) -> str:
    """Format a probability, never as certain."""
    return "over 99.9%" if probability > 0.999 else f"{probability:.1%}"
