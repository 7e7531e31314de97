"""Correlation matrices: all labels as one image, and a window of some labels with clickable cells."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import scores
from components.charts import figure_code, provenance_text, show_chart
from components.link import accept_old_values, linked
from components.selection import on_selection
from components.selectors import download_csv, fragment, label_names
from components.video_selection import offer_label_videos
from views.correlation.pair_tables import Selection, show_pair
from views.correlation.partners import show_partners
from yt8m_core import figures
from yt8m_core.figures.style import pluralize
from yt8m_core.labels import clustering, cooccurrence

DEFAULT_SIZE = 30  # labels in the window
FREQUENT, AROUND, CLUSTER, POSITION, CUSTOM = (
    "most frequent",
    "around a label",
    "cluster",
    "position in cluster order",
    "custom selection",
)
OLD_WINDOWS = {"a+cluster": CLUSTER, "a+place+in+the+order": POSITION, "my+choice": CUSTOM}
WINDOW, ALL_LABELS, PAIRS, CALIBRATION, LABEL_PROCESSING = (
    "Window", "All labels", "Pairs", "Calibration", "Label processing",
)  # fmt: skip
OLD_VIEWS = {"Model+against+truth": CALIBRATION, "Other+weights": LABEL_PROCESSING}
VIEW_KEY = "part"


def window_labels(selection: Selection) -> NDArray[np.int64]:
    """Select the labels of the window. May return none."""
    accept_old_values("window", OLD_WINDOWS)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = linked(
            st.selectbox,
            "Labels in the window",
            [FREQUENT, AROUND, CLUSTER, POSITION, CUSTOM],
            None,
            first=AROUND if selection.label is not None else FREQUENT,
            key="window",
            width=210,
            help="Around a label: the labels most correlated (φ) with the one selected above. Cluster: a group of "
            "correlated labels. Position in cluster order: neighbors in the image of all labels.",
        )
        if kind in (FREQUENT, AROUND, POSITION):
            size = linked(
                st.number_input,
                "Number of labels",
                5,
                figures.LARGEST_WINDOW,
                DEFAULT_SIZE,
                key="window_size",
                width=140,
            )
    if kind is None:
        return np.empty(0, np.int64)
    if kind == CUSTOM:
        return sort_by_phi(selection, custom_labels(selection))
    if kind == FREQUENT:
        table = selection.labels.table
        return sort_by_phi(selection, table["label"][table["count"] > 0].to_numpy(np.int64)[:size])
    if kind == AROUND:
        if selection.label is None:
            st.info("Select a label at the top of the page.", icon=":material/info:")
            return np.empty(0, np.int64)
        nearest = clustering.nearest_by_phi(selection.pairs, selection.labels.num_videos, selection.label, size)
        return sort_by_phi(selection, nearest)
    order = scores.label_order(selection.page.data)
    if kind == CLUSTER:
        return cluster_labels(selection, order)
    place = linked(
        st.slider,
        "Position in cluster order",
        0,
        max(1, len(order.labels) - 1),
        key="place",
        help="0 is the upper left of the image of all labels.",
    )
    return order.window(place, size)


def custom_labels(selection: Selection) -> NDArray[np.int64]:
    """Select any labels by name."""
    names = label_names(selection.labels.vocabulary)
    options = list(names)
    selected = linked(
        st.multiselect,
        "Labels",
        options,
        [options[label] for label in selection.labels.table["label"][:DEFAULT_SIZE]],
        key="labels",
        max_selections=figures.LARGEST_WINDOW,
        help="Starts with the most frequent labels. Type a part of a name to find others.",
        wrap=False,
    )
    return np.array([names[name] for name in selected], np.int64)


def cluster_labels(selection: Selection, order: clustering.LabelOrder) -> NDArray[np.int64]:
    """Select a cluster by its most frequent label."""
    if order.clusters.empty:
        st.info("The labels of this data set form no clusters.", icon=":material/info:")
        return np.empty(0, np.int64)
    options = list(label_names(selection.labels.vocabulary))
    sizes = {options[label]: size for label, size in order.clusters[["label", "size"]].to_numpy(np.int64).tolist()}
    name = linked(
        st.selectbox,
        "Cluster",
        list(sizes),
        key="cluster",
        width=340,
        help="Named by its most frequent label; the largest first.",
    )
    st.caption(f"{pluralize(sizes[name], 'label')}; one of {pluralize(len(sizes), 'cluster')}.")
    return order.cluster(options.index(name))


def sort_by_phi(selection: Selection, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place correlated labels next to each other: by φ for every measure, so the order stays when it changes."""
    phi = cooccurrence.measure(selection.pairs, selection.labels.num_videos, "phi", labels)
    return labels[cooccurrence.cluster_order(phi)]


@fragment
def show_window(selection: Selection) -> None:
    """Show the matrix of some labels; a click on a cell describes the pair."""
    left, right = st.columns([5, 3], gap="medium")
    with right:
        labels = window_labels(selection)
    if len(labels) == 0:
        left.info("Select labels to see their matrix.", icon=":material/info:")
        return
    values = selection.window(labels)
    names = [selection.name(label) for label in labels.tolist()]
    measure = selection.measure_name
    row, column = np.indices(values.shape)
    table = pd.DataFrame(
        {
            "row_label": labels[row.ravel()],
            "row": np.array(names, object)[row.ravel()],
            "column_label": labels[column.ravel()],
            "column": np.array(names, object)[column.ravel()],
            measure: values.ravel(),
        }
    )
    with left, st.grid(1, min_column_width=560, wrap=False):  # scroll on a narrow screen: the names need their width
        event: Any = show_chart(
            figures.correlation(values, names, measure, scale=selection.page.scale),
            key="matrix",
            alt=f"Matrix of {len(labels)} labels with the {measure} of each pair",
            provenance=provenance_text(selection.page, with_run=selection.model_matrix is not None),
            data=table,
            file_name=f"matrix {measure}",
            code=figure_code(
                selection.page,
                "correlation",
                f"view.pair_matrix(labels, {selection.measure_key!r}, {selection.support})",
                "view.names(labels)",
                repr(measure),
                setup=f"labels = {labels.tolist()}",
                with_run=selection.model_matrix is not None,
            ),
            on_select="rerun",
        )
    with right:
        points = event["selection"]["points"]
        if points and max(points[0]["x"], points[0]["y"]) < len(labels):
            st.subheader("Selected pair", anchor=False)
            pair = [int(labels[round(points[0][axis])]) for axis in "yx"]
            show_pair(selection, *pair)
            _offer_videos(selection, pair)
        elif selection.label is None:
            st.subheader("Selected pair", anchor=False)
            st.caption("Click a cell of the matrix.")
        if selection.label is not None:
            show_partners(selection)
        st.caption(
            f"Correlated labels are neighbors. Pairs in fewer than {selection.support:,} videos are empty. On a narrow "
            "screen, scroll the matrix sideways."
        )
        download_csv(table, f"window {measure}", "Download window as CSV")


def _offer_videos(selection: Selection, pair: list[int]) -> None:
    """Offer the videos that have both labels of a pair."""
    offer_label_videos(selection.page, list(dict.fromkeys(pair)), require_all=True)


def open_cluster(number: int, clusters: pd.DataFrame, names: list[str]) -> None:
    """Open the cluster of the clicked point in the window; the points after the clusters belong to none."""
    if number < len(clusters):
        st.session_state["cluster"] = names[int(clusters["label"].iloc[number])]
        st.session_state["window"] = CLUSTER
        st.session_state[VIEW_KEY] = WINDOW


def show_overview(selection: Selection) -> None:
    """Show all labels that occur as one image; a click on a cluster opens it in the window."""
    data = selection.page.data
    order = scores.label_order(data)
    clusters = order.clusters
    own = (selection.model_matrix.run, selection.model_matrix.kind) if selection.model_matrix else None
    cells = scores.pooled_matrix(data, selection.measure, selection.support, own)
    names = list(label_names(selection.labels.vocabulary))
    num_unseen = selection.labels.vocabulary.num_classes - len(order.labels)
    st.markdown(
        f"**{pluralize(len(order.labels), 'label')}** in cluster order: groups of correlated labels are blocks on the "
        f"diagonal. Labels in **{pluralize(len(clusters), 'cluster')}**: {int(clusters['size'].sum()):,}. Click a "
        "cluster to open it in the window."
    )
    if not cells.any():
        st.info("No pair has the minimum support. Lower it above.", icon=":material/info:")
    named = clusters.assign(name=[selection.name(label) for label in clusters["label"].tolist()])
    left, right = st.columns([3, 1], gap="large")
    with left, st.grid(1, min_column_width=660, wrap=False):
        show_chart(
            figures.correlation_overview(
                cells,
                selection.measure_name,
                named,
                num_labels=len(order.labels),
                per_cell=order.per_cell,
                scale=selection.page.scale,
            ),
            key="overview",
            alt=f"All {len(order.labels)} labels in cluster order with the {selection.measure_name} of each pair",
            provenance=provenance_text(selection.page, with_run=own is not None),
            data=named,
            file_name=f"all labels {selection.measure_name}",
            code=figure_code(
                selection.page,
                "correlation_overview",
                f"view.pooled_matrix({selection.measure_key!r}, {selection.support})",
                repr(selection.measure_name),
                "view.clusters",
                "num_labels=len(order.labels)",
                "per_cell=order.per_cell",
                setup="order = view.label_order",
                with_run=own is not None,
            ),
            on_select=on_selection(
                "overview", "points", lambda points: open_cluster(points[0]["point_index"], clusters, names)
            ),
        )
    with right:
        show_clusters(named)
        table = order.table()
        download_csv(
            table.assign(name=[selection.name(label) for label in table["label"].tolist()]),
            "label order",
            "Download order as CSV",
        )
    unseen = f"Labels of the vocabulary without a video: {num_unseen:,}. " if num_unseen else ""
    st.caption(
        f"Blue is above 0, orange below. Pairs in fewer than {selection.support:,} videos and the diagonal are empty. "
        f"{unseen}Order: average linkage on 1 − φ. Cluster: a branch whose halves have a mean φ of at least "
        f"{clustering.MIN_MEAN_PHI}."
    )


def show_clusters(clusters: pd.DataFrame) -> None:
    """List the clusters, the largest first."""
    st.subheader("Clusters", anchor=False)
    st.dataframe(
        clusters,
        hide_index=True,
        column_order=["name", "size", "first"],
        column_config={
            "name": st.column_config.TextColumn("Label", help="Its most frequent label.", pinned=True, width=85),
            "size": st.column_config.NumberColumn("Labels", format="localized", width=55),
            "first": st.column_config.NumberColumn(
                "Position", help="Position of its first label in cluster order.", format="%d", width=65
            ),
        },
        height=560,
        alt="Clusters of labels, the largest first",
    )
