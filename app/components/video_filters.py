"""Filters and order of the videos of a data set: the same controls on all pages that list or visit videos."""

from dataclasses import dataclass, replace

import streamlit as st

from components.link import asked_or_selected, link_values, linked
from components.selectors import label_names, label_picker, second_run_keys
from context import PageContext
from yt8m_core.analysis.outcomes import OUTCOMES
from yt8m_core.analysis.per_video import SORT_ORDERS
from yt8m_core.labels.statistics import BANDS

THRESHOLD = 0.5  # default
ANY = "any"
TRUE = "true"
LABEL_CHOICES = {
    ANY: "no filter",
    TRUE: "the label is true",
    "predicted": "its score is at or above the threshold",
    "true positive": "true and predicted",
    "missed": "true, but not predicted",
    "false positive": "predicted, but not true",
}
"""Outcomes of the selected label, of ``video_table.LABEL_FILTERS``, and what they mean."""
OUTCOME_COLUMNS = {"false negative": "false_negatives", "false positive": "false_positives"}
SCORE_RANGE = (0.0, 1.0)
# Filter values in links made by older versions.
OLD_ERRORS = {"a miss": "false negative", "a false alarm": "false positive"}
OLD_LABEL_FILTERS = ("selected label", "the chosen label")
SECONDS_LEVEL, ORDER_BY_LENGTH, ORDER_BY_DISAGREEMENT = "frame", "longest", "largest disagreement"


@dataclass(frozen=True)
class VideoFilters:
    """What the controls select. Filters by label apply to the label of the key ``label``.

    Attributes:
        order: One of ``SORT_ORDERS``.
        errors: Errors of which a video has at least one, of ``OUTCOME_COLUMNS``.
        has: Outcome of the selected label, of ``LABEL_CHOICES``.
        score: Lowest and highest probability of the selected label.
        bands: Frequency bands, of which a video has a true label.
        ap: Lowest and highest average precision.
        seconds: Lowest and highest number of frames; None for any.
        text: Part of the id.
        label: Number of the selected label.
        threshold: Threshold of errors and outcomes.
        other: The second run, with which ``disagreement`` is computed.
        disagreement: Lowest disagreement with the second run.
    """

    order: str = SORT_ORDERS[0]
    errors: tuple[str, ...] = ()
    has: str = ANY
    score: tuple[float, float] = SCORE_RANGE
    bands: tuple[str, ...] = ()
    ap: tuple[float, float] = SCORE_RANGE
    seconds: tuple[int, int] | None = None
    text: str = ""
    label: int | None = None
    threshold: float = THRESHOLD
    other: PageContext | None = None
    disagreement: float = 0.0

    @property
    def is_active(self) -> bool:
        """Whether the selected videos are not simply all videos in the order of the data set."""
        return replace(self, label=None, threshold=THRESHOLD, other=None) != ALL_VIDEOS

    @property
    def uses_label(self) -> bool:
        """Whether the selected videos depend on the selected label."""
        return self.has != ANY or self.score != SCORE_RANGE or self.order.endswith("score")

    @property
    def uses_threshold(self) -> bool:
        """Whether the selected videos depend on the threshold."""
        return bool(self.errors) or self.has not in (ANY, TRUE) or self.order == "most errors"


ALL_VIDEOS = VideoFilters()


def video_filters(page: PageContext, *, is_labeled: bool, picks_label: bool) -> VideoFilters:
    """Draw the controls in rows.

    Args:
        page: The page.
        is_labeled: Whether the data set has labels; without, there are no scores.
        picks_label: Whether to draw label and threshold, too, which some pages have elsewhere.
    """
    _accept_old_filters()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = linked(
            st.text_input, "Search", key="find", placeholder="Part of the id", on_change=_go_to_first, width=110
        )
        if not is_labeled:
            seconds = _select_length(page)
            order = _select_order(page, [SORT_ORDERS[0], *([ORDER_BY_LENGTH] if seconds else [])])
            return VideoFilters(order, seconds=_chosen_length(page, seconds), text=text or "")
        if picks_label:
            label_picker("Label", page.run.vocabulary, width=200)
        has, score = _select_outcome()
        if picks_label:
            linked(
                st.slider, "Threshold", 0.0, 1.0, THRESHOLD, 0.01, key="threshold", on_change=_go_to_first, width=120
            )
        order = _select_order(page, list(SORT_ORDERS))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        errors, bands, ap = _select_quality()
        seconds = _select_length(page)
        other, difference = _select_disagreement(page)
    return VideoFilters(
        order,
        tuple(errors),
        has,
        score,
        tuple(bands),
        ap,
        _chosen_length(page, seconds),
        text or "",
        label_names(page.run.vocabulary).get(asked_or_selected("label") or ""),
        st.session_state.get("threshold", THRESHOLD),
        other,
        difference,
    )


def _go_to_first() -> None:
    """Make pages that show one video open the first selected one; a callback."""
    st.session_state["go to first"] = True


def _accept_old_filters() -> None:
    """Translate the filters of a link made by an older version."""
    values = link_values().get("only", [])
    if not set(values) & {*OLD_ERRORS, *OLD_LABEL_FILTERS}:
        return
    errors = [OLD_ERRORS.get(value, value) for value in values if value not in OLD_LABEL_FILTERS]
    link_values()["only"] = errors or [""]
    if set(values) & set(OLD_LABEL_FILTERS):
        link_values()["has"] = [TRUE]


def _select_order(page: PageContext, orders: list[str]) -> str:
    hidden = ORDER_BY_LENGTH if page.run_videos.schema.level != SECONDS_LEVEL else ""
    order: str = linked(
        st.selectbox,
        "Sort by",
        [order for order in orders if order != hidden],
        key="order",
        on_change=_go_to_first,
        width=150,
        help="Hard videos rank their true labels low: their average precision is low. Scores are those of the label.",
    )
    return order


def _select_outcome() -> tuple[str, tuple[float, float]]:
    has = linked(
        st.selectbox,
        "Outcome of the label",
        list(LABEL_CHOICES),
        key="has",
        on_change=_go_to_first,
        width=145,
        help="\n".join(
            ["The label that is selected on the page:", *(f"- {name}: {text}" for name, text in LABEL_CHOICES.items())]
        ),
    )
    score = linked(
        st.slider, "Score of the label", 0.0, 1.0, SCORE_RANGE, 0.01, key="score", on_change=_go_to_first, width=130
    )
    return has, score


def _select_quality() -> tuple[list[str], list[str], tuple[float, float]]:
    errors = linked(
        st.pills,
        "Videos with",
        list(OUTCOME_COLUMNS),
        selection_mode="multi",
        key="only",
        on_change=_go_to_first,
        help="\n".join(f"- {outcome}: {OUTCOMES[outcome]}" for outcome in OUTCOME_COLUMNS),
    )
    bands = linked(
        st.pills,
        "True label in band",
        list(BANDS),
        selection_mode="multi",
        key="band",
        on_change=_go_to_first,
        help="Head: the fewest labels that hold 50% of all label assignments. Head and mid: the fewest that hold 90%.",
    )
    ap = linked(
        st.slider,
        "Average precision",
        0.0,
        1.0,
        SCORE_RANGE,
        0.01,
        key="ap",
        on_change=_go_to_first,
        width=120,
        help="1 if all true labels of the video rank above all others. Videos without true labels have none.",
    )
    return errors, bands, ap


def _select_length(page: PageContext) -> tuple[int, int] | None:
    """Select a range of lengths; None at video level, where lengths are unknown."""
    videos = page.run_videos
    if videos.schema.level != SECONDS_LEVEL:
        return None
    longest = videos.max_frames
    seconds: tuple[int, int] = linked(
        st.slider, "Length (s)", 0, longest, (0, longest), key="seconds", on_change=_go_to_first, width=120
    )
    return seconds


def _chosen_length(page: PageContext, seconds: tuple[int, int] | None) -> tuple[int, int] | None:
    return None if seconds == (0, page.run_videos.max_frames) else seconds


def _select_disagreement(page: PageContext) -> tuple[PageContext | None, float]:
    """Select a second run and the lowest disagreement with it; None and 0 without a second run."""
    keys = second_run_keys(page)
    if not keys:
        return None, 0.0
    key = linked(st.selectbox, "Second run", keys, index=None, key="run_b", placeholder="No second run", width=150)
    if key is None:
        return None, 0.0
    difference: float = linked(
        st.slider,
        "Disagreement",
        0.0,
        1.0,
        0.0,
        0.01,
        key="disagrees",
        on_change=_go_to_first,
        width=120,
        help="Minimum. Largest difference between the probabilities of both runs, over all labels.",
    )
    return page.with_run(key), difference
