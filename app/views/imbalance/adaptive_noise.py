"""Imbalance page: strength of adaptive noise (section 2.2.5 of the paper) for each label."""

from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import loaders, scores
from cache.loaders import DataSet
from components.charts import figure_code, provenance_text
from components.label_tables import show_chart, show_table
from components.link import linked
from components.text import plain
from context import PageContext
from yt8m_core import figures
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize

if TYPE_CHECKING:
    from yt8m_core.analysis.noise_strength import NoiseStrength


def show_adaptive_noise(page: PageContext, label: int | None, below: DeltaGenerator) -> None:
    """Show γ of adaptive noise for each label, from training counts or, without these, from the data set."""
    run = page.run if page.has_run else None
    is_trained = run is not None and run.experiment.pooling.name == "adaptive_noise"
    factor = linked(
        st.number_input,
        "Scale of γ",
        0.01,
        None,
        1.0,
        0.1,
        key="strength",
        width=200,
        help=f"Multiplies γ; 1 is the noise of {'the run' if is_trained else 'the paper'}. Option 'scale' of "
        "adaptive_noise sets it for training.",
    )
    counted, counted_name = _counted_data(page)
    noise = scores.noise_strength(run, counted, page.data, factor)
    table = page.labels.table.merge(noise.table, on="label")
    left, right = st.columns([5, 3], gap="large")
    with left:
        show_chart(
            figures.noise_strength(table, scale=page.scale, selected=label),
            page.labels.vocabulary,
            name="noise",
            alt="Noise norm against rank of each label, both on log axes",
            provenance=provenance_text(page, with_run=page.has_run),
            data=table,
            code=figure_code(
                page, "noise_strength", f"view.noise_table({factor!r})", selected=label, with_run=page.has_run
            ),
        )
    with right:
        _show_summary(noise, counted_name)
    with below:
        show_table(
            table,
            page.labels.vocabulary,
            ["rank", "name", "count", "alone", "together", "alone_length", "together_length", "label"],
            name="labels-noise",
            alt="All labels with their noise strength",
        )


def _show_summary(noise: "NoiseStrength", counted_name: str) -> None:
    st.markdown(
        "Adaptive noise adds Gaussian noise to the frames during training, **more for rare labels**, so that a model "
        "does not overfit their few videos. The strength γ of a label is 1 / its number of training videos; γ of a "
        f"video is the mean over its labels (equation 12). Counted on {counted_name}."
    )
    st.markdown(
        f"Median noise norm of {pluralize(noise.videos, 'video')}: **{noise.median_length:.3g}**, where a frame has "
        f"norm 1. **{noise.above_a_tenth:.1%}** of them get noise of norm above 0.1."
    )
    st.caption(
        "The norm is γ√D for D features per frame. γ falls as the data grow: on the millions of videos of "
        "YouTube-8M it is close to 0 for most.",
        help="γ of a video averages over its labels. A rare label that occurs with frequent ones gets less noise than "
        "its own γ (dots below the bars); a frequent label that occurs with rare ones gets more (dots above).",
    )


def _counted_data(page: PageContext) -> tuple[DataSet, str]:
    """Return the data set whose labels are counted, and its description."""
    if page.has_run:
        training = loaders.training_data(page.run)
        try:
            if loaders.labels(training).matrix.shape[1] == page.labels.matrix.shape[1]:
                return training, f"the training videos of {plain(page.run.name)}"
            st.caption("Labels are counted on this data set: the run has other labels.")
        except UserError as error:
            st.caption(f"Labels are counted on this data set: the training videos cannot be read. {plain(str(error))}")
    return page.data, "the videos of this data set"
