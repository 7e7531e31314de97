"""Format results as tables and as sentences that state no more than the confidence intervals show.

Notebooks, README and docs are generated from these functions, so their text cannot disagree with the numbers.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from yt8m_core.ablation.claims import VERDICTS, format_difference
from yt8m_core.ablation.compare import BETTER, NOT_SIGNIFICANT, WORSE, difference_verdict
from yt8m_core.ablation.recipe import SCALES
from yt8m_core.ablation.results import ablate_command, outdated, read_result
from yt8m_core.metrics.bootstrap import Estimate

# Name and caveat of each scale, for a sentence that begins with "On".
SETTINGS = {
    SCALES["demo"]: ("the demo world", "synthetic data"),
    SCALES["sample"]: ("a sample of real data", "layers a quarter of the paper's width"),
    SCALES["paper"]: ("the full data set", ""),
    SCALES["smoke"]: ("a smoke test", "no result"),
}
# Format and columns of each column that is shown.
MAIN_COLUMNS = {
    "row": ("{}", ("row",)),
    "paper's GAP": ("{:.3f}", ("paper_gap",)),
    "GAP [95% CI]": ("{:.3f} [{:.3f}, {:.3f}]", ("gap", "gap_low", "gap_high")),
    "difference [95% CI]": ("", ("difference", "difference_low", "difference_high")),
    "verdict": ("{}", ("verdict",)),
    "parameters": ("{:,.0f}", ("parameters",)),
    "videos/s": ("{:,.0f}", ("videos_per_second",)),
}
DETAIL_COLUMNS = {
    "row": ("{}", ("row",)),
    "compared with": ("{}", ("reference",)),
    "Hit@1": ("{:.3f}", ("hit_at_1",)),
    "PERR": ("{:.3f}", ("perr",)),
    "mAP": ("{:.3f}", ("map",)),
    "AP, head": ("{:.3f}", ("ap_head",)),
    "AP, mid": ("{:.3f}", ("ap_mid",)),
    "AP, tail": ("{:.3f}", ("ap_tail",)),
    "AP, all": ("{:.3f}", ("ap_all",)),
    "seeds": ("{}", ("seeds",)),
    "videos": ("{:,.0f}", ("videos",)),
    "scale": ("{}", ("scale",)),
    "data": ("{}", ("data",)),
}


class Markdown(str):
    """Text that a notebook renders as Markdown and a terminal prints unchanged."""

    def _repr_markdown_(self) -> str:
        return str(self)


def format_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``compare_rows`` or ``compare_variants`` as text, with each interval next to its value.

    Columns without values are left out; missing values are empty.
    """

    rows = rows.assign(difference=rows["difference"].where(rows["row"] != rows["reference"]))  # none for a baseline

    def texts(form: str, columns: tuple[str, ...]) -> list[str]:
        values = zip(*(rows[column] for column in columns), strict=True)
        return [_text(form, value) for value in values]

    columns, present = MAIN_COLUMNS | DETAIL_COLUMNS, {*rows.columns[rows.notna().any()]}
    return pd.DataFrame({name: texts(form, names) for name, (form, names) in columns.items() if {*names} <= present})


def _text(form: str, values: tuple[Any, ...]) -> str:
    if any(pd.isna(value) for value in values):
        return ""
    return form.format(*values) if form else format_difference(Estimate(*values))


def to_markdown(table: pd.DataFrame) -> Markdown:
    """Return a table of texts in Markdown.

    >>> print(to_markdown(pd.DataFrame({"row": ["LSTM"], "seeds": [3]})))
    | row | seeds |
    |---|---|
    | LSTM | 3 |
    """
    lines = [list(table.columns), *table.to_numpy().tolist()]
    written = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]
    return Markdown("\n".join([written[0], "|" + "---|" * len(table.columns), *written[1:]]))


def folded(summary: str, text: str) -> Markdown:
    """Return Markdown that is hidden until the reader clicks on its summary."""
    return Markdown(f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>")


def result_table(rows: pd.DataFrame) -> Markdown:
    """Return the rows of a table in Markdown: seven columns, and the others folded away."""
    texts = format_table(rows)
    main, details = ([name for name in columns if name in texts] for columns in (MAIN_COLUMNS, DETAIL_COLUMNS))
    parts = (to_markdown(texts[main]), _references(rows), folded("Other metrics and data", to_markdown(texts[details])))
    return Markdown("\n\n".join(parts))


def _references(rows: pd.DataFrame) -> str:
    first, *others = rows["reference"].unique()
    exceptions = "".join(
        f"; {_names(rows.loc[rows['reference'] == other, 'row'].tolist())}: to **{other}**" for other in others
    )
    return f"Difference: to **{first}**, paired by video and seed{exceptions}."


def claim_table(claims: pd.DataFrame, columns: Sequence[str] = ("claim", "source", "verdict")) -> Markdown:
    """Return claims with their verdicts in Markdown, and the differences that they follow from folded away.

    Empty without claims.
    """
    if claims.empty:
        return Markdown()
    evidence = "\n".join(
        "\n  - ".join([f"- {text} *{verdict}*", *differences])
        for text, verdict, differences in zip(claims["claim"], claims["verdict"], claims["evidence"], strict=True)
    )
    return Markdown(f"{to_markdown(claims[list(columns)])}\n\n{folded('Evidence: differences [95% CI]', evidence)}")


def band_table(bands: pd.DataFrame) -> Markdown:
    """Return the gains of ``all_band_gains`` in Markdown: one line per row, one column per band; empty without gains.

    A gain whose 95% CI excludes 0 is bold.
    """
    if bands.empty:
        return Markdown()
    numbers = zip(bands["gain"], bands["low"], bands["high"], strict=True)
    texts = [format_difference(Estimate(*values)) for values in numbers]
    marks = bands["verdict"].map(lambda verdict: "" if verdict == NOT_SIGNIFICANT else "**")
    cells = bands.assign(text=marks + texts + marks)
    labels = bands.groupby("band", sort=False)["labels"].max()
    columns = {"row": list(dict.fromkeys(bands["row"]))}
    for band, number in labels.items():
        of_band = cells[cells["band"] == band].set_index("row")["text"]
        columns[f"{band} ({number:,} labels)"] = [of_band.get(row, "") for row in columns["row"]]
    note = "Gain in average precision over the reference, mean over the labels of a band [95% CI over labels]."
    return Markdown(f"{note}\n\n{to_markdown(pd.DataFrame(columns))}")


def folded_bands(bands: pd.DataFrame) -> Markdown:
    """Return ``band_table`` folded away; empty without gains."""
    return Markdown() if bands.empty else folded("Average precision by frequency band", band_table(bands))


def summarize(rows: pd.DataFrame, claims: pd.DataFrame) -> Markdown:
    """Return one sentence about the rows of a table and one about its claims.

    Args:
        rows: row, reference, verdict, seeds, videos, scale, as of ``compare_rows``.
        claims: As of ``check_claims``.
    """
    return Markdown(" ".join(filter(None, (f"{_context(rows)}, {_comparison(rows)}.", count_verdicts(claims)))))


def count_verdicts(claims: pd.DataFrame) -> Markdown:
    """Return the number of claims for each verdict as a sentence; empty without claims.

    >>> print(count_verdicts(pd.DataFrame({"verdict": ["supported", "inconclusive"]})))
    2 claims tested: 1 supported, 0 contradicted, 1 inconclusive.
    """
    if claims.empty:
        return Markdown()
    counts = ", ".join(f"{(claims['verdict'] == verdict).sum()} {verdict}" for verdict in VERDICTS)
    return Markdown(f"{len(claims)} {'claim' if len(claims) == 1 else 'claims'} tested: {counts}.")


def _context(rows: pd.DataFrame) -> str:
    seeds, videos = int(rows["seeds"].min()), int(rows["videos"].iloc[0])
    name, caveat = SETTINGS[rows["scale"].iloc[0]]
    over = f"{seeds} seeds" if seeds > 1 else "1 seed, so intervals cover videos only"
    return f"On {name} ({'; '.join(filter(None, (f'{videos:,} videos, {over}', caveat)))})"


def _comparison(rows: pd.DataFrame) -> str:
    compared = rows[(rows["row"] != rows["reference"]) & rows["difference"].notna()]
    parts = []
    for reference in compared["reference"].unique():
        verdicts = []
        for verdict, singular, plural in (
            (BETTER, "is better", "are better"),
            (WORSE, "is worse", "are worse"),
            (NOT_SIGNIFICANT, "does not differ significantly", "do not differ significantly"),
        ):
            chosen = compared["reference"].eq(reference) & compared["verdict"].eq(verdict)
            if chosen.any():
                names = compared.loc[chosen, "row"].tolist()
                verdicts.append(f"{_names(names)} {singular if len(names) == 1 else plural}")
        parts.append(f"compared with {reference}: {'; '.join(verdicts)}")
    return "; ".join(parts) or "no row has a reference to compare with"


def _names(names: Sequence[str]) -> str:
    """Return bold names as an enumeration."""
    *first, last = (f"**{name}**" for name in names)
    return f"{', '.join(first)} and {last}" if first else last


def summarize_sweep(gains: pd.DataFrame) -> Markdown:
    """Return one sentence about the gains of ``run_sweep`` and one about their change.

    Gains at the two ends are measured on different videos, so the variance of their difference is the sum of both.
    """
    columns = (gains[column].tolist() for column in ("gain", "gain_low", "gain_high"))
    estimates = [Estimate(*values) for values in zip(*columns, strict=True)]
    first, ends = gains.iloc[0], (estimates[0], estimates[-1])
    change = ends[1].value - ends[0].value
    half_width = math.hypot(*((end.high - end.low) / 2 for end in ends))
    interval = Estimate(change, change - half_width, change + half_width)
    direction = {BETTER: "It increases", WORSE: "It decreases"}.get(
        difference_verdict(interval), "It does not change significantly"
    )
    exceptions = "".join(
        f", but is {word} in between, at {value:g}"
        for value, gain in zip(gains["value"], estimates, strict=True)
        for word, is_outside in (
            ("lower", gain.high < min(end.low for end in ends)),
            ("higher", gain.low > max(end.high for end in ends)),
        )
        if is_outside
    )
    points = ", ".join(
        f"{gain.value:+.4f} ({difference_verdict(gain)}) at {value:g}".replace("-", "−")
        for gain, value in zip(estimates, gains["value"], strict=True)
    )
    return Markdown(
        f"{_context(gains)}, the gain of **{first.row}** over {first.reference} is {points} "
        f"(parameter: {first.parameter}). {direction} from the first to the last value: "
        f"{format_difference(interval)}{exceptions}."
    )


def stored_result(table: str, scale: str, folder: Path | None = None) -> Markdown:
    """Return the stored result of a table at a scale with its command, or the command that would make it."""
    result = read_result(table, scale, folder)
    if result is None:
        return Markdown(f"No result for scale '{scale}' is stored. To make it: `{ablate_command(table, scale)}`.")
    changes = "".join(f" *{change}*" for change in outdated(result))
    parts = (
        f"`{result.command}`{changes}",
        result_table(result.rows),
        summarize(result.rows, result.claims),
        folded_bands(result.bands),
    )
    return Markdown("\n\n".join(filter(None, parts)))
