"""The result files that are kept with the source: tables of the paper, each at a scale."""

import streamlit as st

from components.selectors import download_csv, plain
from yt8m_core import ablation, figures
from yt8m_core.ablation import results
from yt8m_core.data.scale import SCALE_WORDS
from yt8m_core.errors import UserError
from yt8m_core.paper_tables import TABLES


def kept_results() -> list[tuple[str, str]]:
    """The table and the scale of each result that is kept, in the paper's order."""
    found = sorted((file.stem, file.parent.name) for file in results.results_folder().glob("*/*.json"))
    return [one for table in TABLES for one in found if one[0] == table]


def of_the_notebooks(kept: list[tuple[str, str]]) -> None:
    """The result files that are kept with the source, each a table of the paper at a scale."""
    names = {f"{TABLES[table].title} ({SCALE_WORDS.get(scale, scale)})": (table, scale) for table, scale in kept}
    name = st.selectbox("Result", list(names), key="result", bind="query-params", width=420)
    result = ablation.read_result(*names[name])
    if result is None:
        raise UserError(f"the result '{name}' is no longer there")
    st.markdown(ablation.reading(result.rows, result.claims))
    st.caption(f"Made by {plain(result.command)}.")
    st.plotly_chart(
        figures.differences(result.rows, title=TABLES[result.table].title, scale=result.rows["scale"].iloc[0]),
        key="differences",
        alt="Difference of each row to the one that it is compared with, with its 95 % interval",
    )
    rows = ablation.readable(result.rows)
    st.dataframe(rows, hide_index=True, alt=f"Rows of {name}")
    download_csv(result.rows, f"result-{name}")
    if len(result.claims):
        st.subheader("What the paper concludes, judged", anchor=False)
        st.dataframe(result.claims, hide_index=True, alt=f"Claims of {name} with their verdicts")
        download_csv(result.claims, f"claims-{name}", "Download the claims as CSV")
