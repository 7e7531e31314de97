"""Attention page: effect of the sharpness α of indirect clustering, without retraining."""

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import attention
from components.charts import provenance_text, show_chart
from components.columns import probability_column, true_column
from components.link import asked_or_selected, linked
from components.selectors import download_csv, fragment
from views.attention.video_context import VideoContext
from yt8m_core import figures

KEY = "sharpness"
TRAINED = "1"
FACTORS = ("0", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", TRAINED, "2", "5", "10", "20", "50", "100")
TOP = 10  # labels of each prediction in the table


@fragment
def show_sharpness(video: VideoContext, weights: NDArray[np.float32]) -> None:
    """Compare the weights and predictions of another α with those of the trained one, in an expander.

    It is open where a link names an α.
    """
    is_linked = asked_or_selected(KEY) is not None
    with st.expander(
        "Attention sharpness α", is_linked, key="sharpness_open", icon=":material/tune:", on_change="rerun"
    ) as expander:
        if not expander.open:
            return
        trained = attention.sharpness(video.page.run)
        if trained is None:
            st.caption("Only indirect clustering has a sharpness α; this run uses another pooling.")
            return
        _show_comparison(video, weights, trained)


def _show_comparison(video: VideoContext, weights: NDArray[np.float32], trained: float) -> None:
    """Select an α, and compare it with the trained one."""
    st.markdown(
        "The pooling multiplies the similarity of each second to all others by **α** before the softmax: 0 gives "
        "uniform weights, and larger values concentrate them. The run was trained with "
        f"α = {trained:g}; change it here without retraining."
    )
    factor = linked(
        st.segmented_control, "Multiple of the trained α", FACTORS, key=KEY, first=TRAINED, required=True, wrap=True
    )
    alpha = trained * float(factor)
    other = attention.sharpened_prediction(video.page, video.video, alpha)
    left, right = st.columns(2, gap="large")
    with left:
        title, name = video.title("Attention on"), f"α = {alpha:g}"
        show_chart(
            figures.attention_comparison(weights, other.weights, title=title, scale=video.page.scale, name=name),
            key="sharpness_chart",
            provenance=provenance_text(video.page),
            data=pd.DataFrame({"second": np.arange(video.T), "trained": weights, "other": other.weights}),
            code=video.code(
                "attention_comparison",
                "video.prediction.attention",
                f"video.sharpened({alpha!r}).weights",
                title=title,
                name=name,
            ),
            alt="Attention weight of each second, with the trained and with the selected α",
        )
    with right:
        _show_label_changes(video, {"trained": video.prediction.probabilities, "other": other.probabilities}, alpha)


def _show_label_changes(video: VideoContext, predictions: dict[str, NDArray[np.float32]], alpha: float) -> None:
    """Show how the top labels change from the trained α to another one."""
    order, new_order = (np.argsort(-p, kind="stable") for p in predictions.values())
    ranks, new_ranks = np.argsort(order) + 1, np.argsort(new_order) + 1
    top, new_top = order[:TOP].tolist(), new_order[:TOP].tolist()
    labels = list(dict.fromkeys([*top, *new_top]))
    table = video.label_table(predictions, labels)
    table["change"] = table["other"] - table["trained"]
    table.insert(3, "rank", ranks[labels])
    table.insert(4, "new_rank", new_ranks[labels])
    st.markdown(
        f"**{len(set(top) & set(new_top))} of the top {len(top)} labels** stay in the top {len(top)}. Largest change "
        f"of a probability in the table: {table['change'].abs().max():.3f}."
    )
    st.dataframe(
        table.drop(columns="label"),
        hide_index=True,
        column_config={
            "name": "Label",
            "true": true_column(50),
            "rank": st.column_config.NumberColumn("Rank", width=45, help="Rank among all labels, as trained."),
            "new_rank": st.column_config.NumberColumn("New rank", width=75, help="Rank with the selected α."),
            "trained": probability_column("As trained"),
            "other": probability_column(f"α = {alpha:g}"),
            "change": st.column_config.NumberColumn("Change", width=70, format="%+.4f"),
        },
        alt="Top labels with the trained and with the selected α",
    )
    all_labels = video.label_table(predictions, range(len(order))).assign(rank=ranks, new_rank=new_ranks)
    download_csv(all_labels, f"sharpness-{video.id}", "Download all labels as CSV")
