"""Stored results of the notebooks: one per paper table and scale."""

import streamlit as st

from components.charts import show_chart
from components.link import linked
from components.selectors import download_csv
from components.text import plain
from yt8m_core import ablation, figures
from yt8m_core.ablation import results
from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.errors import UserError
from yt8m_core.paper_tables import TABLES


def find_results() -> list[tuple[str, str]]:
    """Return the table and the scale of each stored result, in the order of the paper."""
    stored = sorted((file.stem, file.parent.name) for file in results.results_folder().glob("*/*.json"))
    return [result for table in TABLES for result in stored if result[0] == table]


def show_results(stored: list[tuple[str, str]]) -> None:
    """Select a stored result, and show its rows and claims."""
    names = {f"{TABLES[table].title} ({SCALE_NAMES.get(scale, scale)})": (table, scale) for table, scale in stored}
    name = linked(st.selectbox, "Result", list(names), None, first=next(iter(names)), key="result", width=420)
    if name is None:
        return
    result = ablation.read_result(*names[name])
    if result is None:
        raise UserError(f"the result '{name}' was deleted", advice="Choose another result.")
    st.markdown(ablation.summarize(result.rows, result.claims))
    st.caption(f"Created by {plain(result.command)}.")
    title, scale = TABLES[result.table].title, result.rows["scale"].iloc[0]
    show_chart(
        figures.differences(result.rows, title=title, scale=scale),
        key="differences",
        alt="Difference of each row from its baseline, with its 95% CI",
        provenance=f"{result.command} · {scale}",
        data=result.rows,
        file_name=f"differences {name}",
        code="from yt8m_core import ablation, figures\n"
        f"result = ablation.read_result({names[name][0]!r}, {names[name][1]!r})\n"
        f"figures.differences(result.rows, title={title!r}, scale={scale!r})",
    )
    st.dataframe(
        ablation.format_table(result.rows),
        hide_index=True,
        column_config={"verdict": st.column_config.TextColumn(width=155)},
        alt=f"Rows of {name}",
    )
    download_csv(result.rows, f"result-{name}")
    if len(result.claims):
        st.subheader("Claims of the paper", anchor=False)
        st.dataframe(result.claims, hide_index=True, alt=f"Claims of {name} with their verdicts")
        evidence = result.claims["evidence"].str.join("; ")
        download_csv(result.claims.assign(evidence=evidence), f"claims-{name}", "Download claims as CSV")
