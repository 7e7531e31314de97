"""Charts: their text colors, their export, and the provenance that an exported image names."""

import streamlit as st

# Streamlit draws the text of Plotly charts in a gray with a contrast of 3.7:1 on white, which no option changes.
TEXT_STYLE = "<style>.js-plotly-plot .main-svg text { fill: currentColor !important; }</style>"


def style_chart_text() -> None:
    """Draw the text of all charts of the page in the text color of its theme."""
    st.html(TEXT_STYLE)
