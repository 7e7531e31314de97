"""The README's results, made from the result files: ``python -m nb.readme``, as `make results` does."""

from pathlib import Path

from nb.stamp import FOLDER, notebooks
from yt8m_core.ablation import as_markdown, ledger_of, read_result, readable, reading
from yt8m_core.ablation.recipe import WORDS
from yt8m_core.errors import UserError
from yt8m_core.paper_tables import TABLES

README = FOLDER.parent / "README.md"
BEGIN, END = "<!-- results: made by `make results` -->", "<!-- end of results -->"
SCALES = ("demo", "sample", "paper")
NOTEBOOKS = {  # of each table
    "pooling": "02", "fusion": "02", "rates": "02", "classification": "03", "label_processing": "04", "loss": "05",
    "single": "06", "ensemble": "06", "pooling_variants": "07", "scoring_variants": "07",
}  # fmt: skip
COLUMNS = ["row", "the paper's GAP", "GAP@20 (95 %)", "against", "difference (95 %)", "which is"]
NONE = (
    "No result is kept yet: `make notebooks` trains the tables on the demo world, `yt8m ablate TABLE --scale sample` \
on real records."
)


def section(folder: Path | None = None) -> str:
    """The results in Markdown, table by table, and the claims at each scale; without files, what makes them."""
    parts = [part for table in TABLES for scale in SCALES for part in _table(table, scale, folder)]
    for scale in SCALES:
        claims = ledger_of(scale, folder)
        if not claims.empty:
            shown = claims[["claim", "where", "verdict", "data"]]
            parts += [f"### The paper's claims: {WORDS[scale]}", as_markdown(shown)]
    return "\n\n".join(parts or [NONE])


def filled(text: str, folder: Path | None = None) -> str:
    """A README with its results. Raises UserError where it lacks the two comments around them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError("no place for the results", where=str(README), expected=f"{BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{section(folder)}\n\n{END}{after}"


def _table(table: str, scale: str, folder: Path | None) -> list[str]:
    result = read_result(table, scale, folder)
    if result is None:
        return []
    (file,) = (file for file in notebooks() if file.name.startswith(NOTEBOOKS[table]))
    link = f"[notebook {NOTEBOOKS[table]}]({file.relative_to(README.parent).as_posix()})"
    return [
        f"### {TABLES[table].title}: {WORDS[scale]}",
        f"{link}, `{result.command}`. {reading(result.rows, result.claims)}",
        "<details><summary>Its rows</summary>",
        as_markdown(readable(result.rows)[COLUMNS]),
        "</details>",
    ]


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
