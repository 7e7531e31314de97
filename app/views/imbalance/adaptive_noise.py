"""Of the page of label imbalance: how strong the noise is that the paper's adaptive noise gives each label."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import loaders as state
from cache import scores as answers
from components.label_tables import show_chart, show_table
from components.selectors import plain, scale_words
from yt8m_core import figures
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run


def show_noise(data: state.DataSet, label: int | None, run: Run | None, below: DeltaGenerator) -> None:
    """γ of adaptive noise for each label, out of the counts that the run was trained on, or else of this data set."""
    trained = run is not None and run.experiment.pooling.name == "adaptive_noise"
    times = st.number_input(
        "Strength",
        0.01,
        None,
        1.0,
        0.1,
        key="strength",
        bind="query-params",
        width=200,
        help=f"A factor of γ; with 1 the noise is that of {'the run' if trained else 'the paper'}. Option 'scale' of "
        "adaptive_noise trains a run with another.",
    )
    training, whose = _training(data, run)
    noise = answers.noise_strength(run, training, data, times)
    table = state.labels(data).table.merge(noise.table, on="label")
    vocabulary = state.labels(data).vocabulary
    chart, words = st.columns([5, 3], gap="large")
    with chart:
        show_chart(
            figures.noise_strength(table, scale=scale_words(data, state.videos(data)), chosen=label),
            vocabulary,
            name="noise",
            alt="Length of the noise for each label against its rank, both on log axes",
        )
    with words:
        st.markdown(
            "Adaptive noise adds random numbers to the frames while training, **more of it for rare labels**, so that "
            "a model does not learn their few videos by heart. Its strength γ is 1 over the number of training videos "
            f"with the label, and for a video the mean over its labels (equation 12). Counted: {whose}."
        )
        st.markdown(
            f"Of {noise.videos:,} videos here, half get noise shorter than **{noise.median_length:.3g}** of a frame's "
            f"length; **{noise.above_a_tenth:.1%}** get more than a tenth."
        )
        st.caption(
            "A frame has length 1 and its noise about γ√D, where D is how many numbers a frame has. A video's other "
            "labels count too: a rare label that comes with frequent ones gets less noise than its own γ (dots below "
            "the bars), and a frequent label's videos get more where they have a rare one besides (dots above). γ "
            "falls as the data grow: with ten times the videos it is about a tenth, and with the millions of "
            "YouTube-8M next to nothing for most videos."
        )
    with below:
        show_table(
            table,
            vocabulary,
            ["rank", "name", "count", "alone", "together", "alone_length", "together_length", "label"],
            name="labels-noise",
            alt="Every label with the strength of its noise",
        )


def _training(data: state.DataSet, run: Run | None) -> tuple[state.DataSet, str]:
    """The data set whose labels are counted, and what it is called."""
    if run is not None:
        own = state.DataSet(run.experiment.data.train, run.experiment.data.vocabulary)
        try:
            if state.labels(own).matrix.shape[1] == state.labels(data).matrix.shape[1]:
                return own, f"the training videos of {plain(run.name)}"
            st.caption("The run knows other labels than this data set, so this data set's own are counted.")
        except UserError as error:
            st.caption(f"The run's training videos cannot be read, so this data set's are counted. {plain(str(error))}")
    return data, "the videos of this data set"
