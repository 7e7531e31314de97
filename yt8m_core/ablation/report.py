"""Results in words: tables that a person reads, and sentences that say no more than the intervals do.

The notebooks and the README are read before anybody checks a number, so what they say of a result is made from it.
"""

import math
from pathlib import Path

import pandas as pd

from yt8m_core.ablation.claims import FAILS, HOLDS
from yt8m_core.ablation.compare import CANNOT_TELL, in_words
from yt8m_core.ablation.recipe import WORDS
from yt8m_core.ablation.results import command_of, read_result, stale
from yt8m_core.ablation.significance import Estimate

NOTES = {
    WORDS["demo"]: "The demo world is made up: this says nothing about YouTube-8M.",
    WORDS["sample"]: "This is of a sample of real data, and not of all, with layers a quarter as wide.",
    WORDS["smoke"]: "This only shows that it runs.",
}


NAMED = 3  # of more claims than so many, the ledger says which did not hold
# What a person reads of a table, and of which columns it is made. A paired difference is known better than either GAP:
# its fourth digit tells a "better" from +0.000.
SHOWN = {
    "row": ("{}", ("row",)),
    "the paper's GAP": ("{:.3f}", ("paper_gap",)),
    "GAP@20 (95 %)": ("{:.3f} ({:.3f} to {:.3f})", ("gap", "gap_low", "gap_high")),
    "against": ("{}", ("against",)),
    "difference (95 %)": ("{:+.4f} ({:+.4f} to {:+.4f})", ("difference", "difference_low", "difference_high")),
    "which is": ("{}", ("reading",)),
    "Hit@1": ("{:.3f}", ("hit_at_1",)),
    "PERR": ("{:.3f}", ("perr",)),
    "mAP": ("{:.3f}", ("map",)),
    "parameters": ("{:,.0f}", ("parameters",)),
    "videos/s": ("{:,.0f}", ("videos_per_second",)),
    "seeds": ("{}", ("seeds",)),
    "videos": ("{:,.0f}", ("videos",)),
    "scale": ("{}", ("scale",)),
    "data": ("{}", ("data",)),
}


class Markdown(str):
    """Text that a notebook shows as Markdown and a terminal as it is."""

    def _repr_markdown_(self) -> str:
        return str(self)


def readable(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table, as ``comparison`` or ``side_by_side`` has them, in texts: ``SHOWN``, as far as it is there.

    Each value has its interval beside it; what is missing is empty.
    """

    def each(form: str, columns: tuple[str, ...]) -> list[str]:
        values = zip(*(rows[column] for column in columns), strict=True)
        return ["" if any(map(pd.isna, one)) else form.format(*one) for one in values]

    shown = {name: each(form, columns) for name, (form, columns) in SHOWN.items() if {*columns} <= {*rows.columns}}
    return pd.DataFrame(shown)


def as_markdown(table: pd.DataFrame) -> Markdown:
    """A table of texts in Markdown.

    >>> print(as_markdown(pd.DataFrame({"row": ["LSTM"], "seeds": [3]})))
    | row | seeds |
    |---|---|
    | LSTM | 3 |
    """
    lines = [list(table.columns), *table.to_numpy().tolist()]
    written = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]
    return Markdown("\n".join([written[0], "|" + "---|" * len(table.columns), *written[1:]]))


def reading(rows: pd.DataFrame, claims: pd.DataFrame) -> Markdown:
    """What a table's rows and claims come to, in a sentence each, and a word on what that is worth.

    Args:
        rows: row, against, difference with its interval, reading, seeds, videos, scale, as ``comparison`` has them.
        claims: as ``judge``.
    """
    scale = rows["scale"].iloc[0]
    return Markdown(" ".join(filter(None, (_of_rows(rows), _of_claims(claims), NOTES.get(scale, "")))))


def when(gains: pd.DataFrame) -> Markdown:
    """What turning a dial, as ``turn`` has it, does to a component's gain, in a sentence.

    The gains at both ends are of other videos, so that the variance of their difference is the sum of both.
    """
    columns = (gains[column].tolist() for column in ("gain", "gain_low", "gain_high"))
    every = [Estimate(*values) for values in zip(*columns, strict=True)]
    first, ends = gains.iloc[0], (every[0], every[-1])
    change = ends[1].value - ends[0].value
    half = math.hypot(*((end.high - end.low) / 2 for end in ends))
    told = in_words(Estimate(change, change - half, change + half))
    moved = {"better": "it grows", "worse": "it falls"}.get(told, "a change that these data cannot tell from none")
    turns = "".join(
        f", but is {word} between them, at {setting:g}"
        for setting, gain in zip(gains["setting"], every, strict=True)
        for word, beyond in (
            ("lower", gain.high < min(end.low for end in ends)),
            ("higher", gain.low > max(end.high for end in ends)),
        )
        if beyond
    )
    points = ", ".join(
        f"{gain.value:+.4f} ({in_words(gain)}) at {setting:g}"
        for gain, setting in zip(every, gains["setting"], strict=True)
    )
    return Markdown(
        f"{_start(gains)} the gain of **{first.row}** over {first.against} is {points} of the {first.dial}; {moved} "
        f"({change:+.4f}, {change - half:+.4f} to {change + half:+.4f}, between the ends){turns}."
    )


def stored(table: str, scale: str, folder: Path | None = None) -> Markdown:
    """The result of a table that is kept from a scale, with the command that made it; or the command that would."""
    result = read_result(table, scale, folder)
    if result is None:
        return Markdown(f"No result of a {WORDS[scale]} is kept: `{command_of(table, scale)}` makes it.")
    outdated = "".join(f"*{change}* " for change in stale(result))
    parts = (
        f"Made by `{result.command}`. {outdated}".strip(),
        as_markdown(readable(result.rows)),
        reading(result.rows, result.claims),
    )
    return Markdown("\n\n".join(parts))


def _start(rows: pd.DataFrame) -> str:
    seeds, videos = int(rows["seeds"].min()), int(rows["videos"].iloc[0])
    over = f"{seeds} seeds" if seeds > 1 else "one seed, whose own spread is not in the intervals"
    scale = str(rows["scale"].iloc[0])
    return f"{scale[0].upper()}{scale[1:]} ({videos:,} videos, {over}):"


def _of_rows(rows: pd.DataFrame) -> str:
    shown = rows[(rows["row"] != rows["against"]) & rows["difference"].notna()]
    against = shown["against"].unique()
    common = f" than {against[0]}" if len(against) == 1 else ""
    parts = []
    for word in ("better", "worse", CANNOT_TELL):
        chosen = shown[shown["reading"] == word]
        items = (
            f"**{one.row}**" + ("" if common else f" against {one.against}") + f" ({one.difference:+.4f})"
            for one in chosen.itertuples()
        )
        if len(chosen):
            what = word + common if word != CANNOT_TELL else word + common.replace(" than", " from")
            parts.append(f"{what}: {', '.join(items)}")
    return f"{_start(rows)} {'; '.join(parts) or 'no row that has another to compare with'}."


def _of_claims(claims: pd.DataFrame) -> str:
    if claims.empty:
        return ""
    counts = {word: int((claims["verdict"] == word).sum()) for word in (HOLDS, FAILS)}
    refuted: list[str] = claims.loc[claims["verdict"] == FAILS, "claim"].tolist()
    named = f" ({'; '.join(claim.rstrip('.') for claim in refuted)})" if 0 < len(refuted) <= NAMED else ""
    open_ones = len(claims) - sum(counts.values())
    noun = "claim" if len(claims) == 1 else "claims"
    return (
        f"Of {len(claims)} {noun} put to the test, {counts[HOLDS]} held, {counts[FAILS]} did not{named}, "
        f"and {open_ones} cannot be told from these data."
    )
