"""The matrix of the correlation page: all labels as one image, and a window of some whose cells can be clicked."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import scores as answers
from components.selectors import download_csv, fragment, label_names
from views.correlation.pair_tables import Look, in_words
from yt8m_core import figures
from yt8m_core.labels import clustering, statistics

SHOWN = 30  # labels in the window at first
FREQUENT, AROUND, CLUSTER, PLACE, CHOSEN = (
    "most frequent", "around a label", "a cluster", "a place in the order", "my choice",
)  # fmt: skip
TABS = ("Window", "All labels", "Pairs", "Model against truth", "Other weights")
TAB_KEY = "part"


def window_labels(look: Look) -> NDArray[np.int64]:
    """Choose the labels of the window, in cluster order or by φ. May be none."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Labels in the window",
            [FREQUENT, AROUND, CLUSTER, PLACE, CHOSEN],
            key="window",
            bind="query-params",
            persist_state="session",
            default=FREQUENT,
            required=True,
            wrap=True,
            help="Around a label: those that go with the label chosen above most, by φ. A cluster: labels that go "
            "together more than with others. A place: a stretch of the order in which all labels are drawn.",
        )
        if kind in (FREQUENT, AROUND, PLACE):
            size = st.slider(
                "How many", 5, figures.LARGEST_WINDOW, SHOWN, key="window_size", bind="query-params", width=220,
                persist_state="session",
            )  # fmt: skip
    vocabulary = look.labels.vocabulary
    if kind == CHOSEN:
        names = label_names(vocabulary)
        listed = list(names)
        picked = st.multiselect(
            "Labels",
            listed,
            [listed[label] for label in look.labels.table["label"][:SHOWN]],
            key="labels",
            bind="query-params",
            persist_state="session",
            max_selections=figures.LARGEST_WINDOW,
            help="The most frequent ones at first. Type a part of a name to find others.",
            wrap=False,
        )
        return by_phi(look, np.array([names[name] for name in picked], np.int64))
    if kind == FREQUENT:
        seen = look.labels.table[look.labels.table["count"] > 0]
        return by_phi(look, seen["label"].to_numpy(np.int64)[:size])
    if kind == AROUND:
        if look.label is None:
            st.info(
                "Choose a label at the top of the page, and those around it are shown here.", icon=":material/info:"
            )
            return np.empty(0, np.int64)
        return by_phi(look, clustering.nearest(look.pairs, look.labels.num_videos, look.label, size))
    order = answers.label_order(look.data)
    if kind == CLUSTER:
        if order.clusters.empty:
            st.info("No labels go together in this data set, so there are no clusters.", icon=":material/info:")
            return np.empty(0, np.int64)
        listed = list(label_names(vocabulary))
        sizes = {listed[label]: size for label, size in order.clusters[["label", "size"]].to_numpy(np.int64).tolist()}
        name = st.selectbox(
            f"Cluster, of {len(sizes):,}, the largest first",
            list(sizes),
            key="cluster",
            bind="query-params",
            persist_state="session",
            width=340,
            help="Named by its most frequent label.",
        )
        st.caption(f"{sizes[name]} labels.")
        return order.cluster(listed.index(name))
    place = st.slider(
        "Place in the order", 0, max(1, len(order.labels) - 1), key="place", bind="query-params",
        persist_state="session", help="0 is the upper left of the image of all labels.",
    )  # fmt: skip
    return order.around(place, size)


def by_phi(look: Look, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labels next to those they go with: by φ whatever is shown, so that they stay when the measure is switched."""
    phi = statistics.measure(look.pairs, look.labels.num_videos, "phi", labels)
    return labels[statistics.cluster_order(phi)]


@fragment
def show_window(look: Look) -> None:
    """A window of labels; a click on a cell tells the pair in words."""
    chosen = window_labels(look)
    if len(chosen) == 0:
        st.info("Choose labels to see their matrix.", icon=":material/info:")
        return
    values = look.window(chosen)
    names = [look.name(label) for label in chosen.tolist()]
    left, right = st.columns([5, 2], gap="large")
    with left, st.grid(1, min_column_width=660, wrap=False):  # a narrow screen scrolls: its names need their width
        event: Any = st.plotly_chart(
            figures.correlation(values, names, look.shown, scale=look.scale),
            key="matrix",
            on_select="rerun",
            selection_mode="points",
            alt=f"Matrix of {len(chosen)} labels with the {look.shown} of each pair",
        )
    with right:
        st.subheader("A pair in words", anchor=False)
        st.caption("Click a cell of the matrix. Labels that go together stand next to each other.")
        points = event["selection"]["points"]
        if points and max(points[0]["x"], points[0]["y"]) < len(chosen):
            in_words(look, int(chosen[round(points[0]["y"])]), int(chosen[round(points[0]["x"])]))
        st.caption(f"Pairs that fewer than {look.support:,} videos have are left empty.")
        row, column = np.indices(values.shape)
        download_csv(
            pd.DataFrame(
                {
                    "row_label": chosen[row.ravel()],
                    "row": np.array(names, object)[row.ravel()],
                    "column_label": chosen[column.ravel()],
                    "column": np.array(names, object)[column.ravel()],
                    look.shown: values.ravel(),
                }
            ),
            f"window {look.shown}",
            "Download this window as CSV",
        )


def open_cluster(data_clusters: pd.DataFrame, names: list[str]) -> None:
    """Open the cluster whose frame was clicked in the window."""
    points = st.session_state["overview"]["selection"]["points"]
    number = points[0]["point_index"] if points else -1
    if 0 <= number < len(data_clusters):
        st.session_state["cluster"] = names[int(data_clusters["label"].iloc[number])]
        st.session_state["window"] = CLUSTER
        st.session_state[TAB_KEY] = TABS[0]


def show_overview(look: Look) -> None:
    """All labels that occur as one image; a click on a cluster opens it in the window."""
    order = answers.label_order(look.data)
    clusters = order.clusters
    own = (look.own.run, look.own.kind) if look.own else None
    cells = answers.overview(look.data, look.measure, look.support, own)
    names = list(label_names(look.labels.vocabulary))
    in_clusters, unseen = int(clusters["size"].sum()), look.labels.vocabulary.num_classes - len(order.labels)
    st.markdown(
        f"**{len(order.labels):,} labels** that occur, so ordered that those which go together are neighbors: what "
        f"belongs together shows as a block on the diagonal. **{len(clusters):,} clusters** hold {in_clusters:,} of "
        "them; each is named by its most frequent label. Click a cluster to open it in the window."
    )
    if not cells.any():
        st.info("No pair of labels is in so many videos. Lower the minimum above.", icon=":material/info:")
    named = clusters.assign(name=[look.name(label) for label in clusters["label"].tolist()])
    left, right = st.columns([3, 1], gap="large")
    with left, st.grid(1, min_column_width=660, wrap=False):
        st.plotly_chart(
            figures.overview(
                cells,
                look.shown,
                named,
                num_labels=len(order.labels),
                per_cell=clustering.block(len(order.labels)),
                scale=look.scale,
            ),
            key="overview",
            on_select=lambda: open_cluster(clusters, names),
            selection_mode="points",
            alt=f"All {len(order.labels)} labels in cluster order with the {look.shown} of each pair as an image",
        )
    with right:
        st.subheader("Clusters", anchor=False)
        st.dataframe(
            named,
            hide_index=True,
            column_order=["name", "size", "first"],
            column_config={
                "name": st.column_config.TextColumn("Most frequent label", pinned=True),
                "size": st.column_config.NumberColumn("Labels", format="localized"),
                "first": st.column_config.NumberColumn("Place", help="Its first place in the order.", format="%d"),
            },
            height=560,
            alt="Clusters of labels, the largest first",
        )
        table = order.table()
        download_csv(
            table.assign(name=[look.name(label) for label in table["label"].tolist()]),
            "label order",
            "Download the order as CSV",
        )
    st.caption(
        f"Pairs in fewer than {look.support:,} videos are left out, and so is a label with itself. "
        + (f"{unseen:,} labels of the vocabulary occur in no video here. " if unseen else "")
        + "The order is that of average linkage on 1 − φ; a cluster is a branch whose halves have a mean φ of "
        f"{clustering.ALIKE} or more. "
        "Blue is above 0, orange below; the stronger, the fuller the color."
    )
