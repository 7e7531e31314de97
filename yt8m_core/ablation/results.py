"""Result files: what a table came to at a scale, small enough to be committed, with the command that made it.

``nb/results/<scale>/<table>.json`` has the comparison and the claims, and digests of the experiments and of the data,
so that a file which is older than what stands in ``paper_tables`` is told from one that is not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from yt8m_core.ablation import claims as ledger
from yt8m_core.ablation import compare
from yt8m_core.ablation.recipe import chosen_scale, digest_of, recipe, source
from yt8m_core.ablation.runner import Ablation
from yt8m_core.errors import UserError
from yt8m_core.paper_tables import TABLES
from yt8m_core.storage.atomic import atomic_write

FORMAT = 1


@dataclass(frozen=True)
class Result:
    """What one table came to at one scale."""

    table: str
    scale: str
    command: str
    data: str  # digest of the videos
    experiments: Mapping[str, str]  # of each row, the digest of its experiments
    rows: pd.DataFrame  # as ``comparison``
    claims: pd.DataFrame  # as ``judge``


def results_folder() -> Path:
    """``nb/results`` of the source checkout, or of the current folder."""
    checkout = Path(__file__).absolute().parents[2]
    return (checkout if (checkout / "nb").is_dir() else Path.cwd()) / "nb" / "results"


def result_file(table: str, scale: str, folder: Path | None = None) -> Path:
    """Where the result of a table at a scale is."""
    return (folder or results_folder()) / scale / f"{table}.json"


def keep(ablation: Ablation, folder: Path | None = None) -> Result:
    """What a table came to, stored at every scale but "smoke". Raises UserError where rows were left out."""
    if left_out := [name for name in ablation.table.names if name not in ablation.runs]:
        raise UserError(f"no row '{left_out[0]}'", where=ablation.table.title, expected="all rows of the table")
    result = Result(
        ablation.name,
        ablation.scale,
        command_of(ablation.name, ablation.scale),
        ablation.source.identity,
        digests(ablation.name, ablation.scale),
        compare.comparison(ablation),
        ledger.judge(ablation),
    )
    if ablation.scale != "smoke":
        _write(result, result_file(ablation.name, ablation.scale, folder))
    return result


def command_of(table: str, scale: str) -> str:
    """What makes the result of a table at a scale."""
    return f"yt8m ablate {table} --scale {scale}"


def _write(result: Result, file: Path) -> None:
    frames = {name: json.loads(getattr(result, name).to_json(orient="records")) for name in ("rows", "claims")}
    values = {"format": FORMAT, **{name: value for name, value in vars(result).items() if name not in frames}, **frames}
    with atomic_write(file) as unfinished:
        unfinished.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_result(table: str, scale: str | None = None, folder: Path | None = None) -> Result | None:
    """The stored result of a table at a scale; None where there is none. Raises UserError for a file that is none."""
    file = result_file(table, chosen_scale(scale), folder)
    if not file.is_file():
        return None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError("another format")
        for name, columns in (("rows", compare.COLUMNS), ("claims", ledger.COLUMNS)):
            values[name] = pd.DataFrame(values[name], columns=list(columns))
        values["rows"] = values["rows"].astype({"paper_gap": float})
        return Result(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        again = f"Make it again: yt8m ablate {table}."
        raise UserError(f"no result ({error})", where=str(file), advice=again) from None


def stale(result: Result) -> list[str]:
    """What has changed since a result was made: a sentence each, none where it stands.

    Data that are not on this machine count as unchanged.
    """
    if result.table not in TABLES:
        return [f"There is no table '{result.table}' any more."]
    try:
        now = digests(result.table, result.scale)
    except UserError as error:  # a learning rate that is to be searched for again
        return [str(error)]
    changes = [f"Row '{row}' is another experiment." for row in now if result.experiments.get(row) != now[row]]
    changes += [f"Row '{row}' is no longer there." for row in result.experiments if row not in now]
    if list(result.claims["claim"]) != [claim.text for claim in TABLES[result.table].ledger]:
        changes.append("The claims are others.")
    try:
        data = source(result.table, result.scale).identity
    except UserError:
        data = result.data
    return changes if data == result.data else [*changes, "The videos are others."]


def ledger_of(scale: str | None = None, folder: Path | None = None) -> pd.DataFrame:
    """All claims whose tables have a stored result at a scale, with their verdicts."""
    found = [result.claims for table in TABLES if (result := read_result(table, scale, folder)) is not None]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(ledger.COLUMNS))


def digests(table: str, scale: str) -> dict[str, str]:
    """What tells the experiments of each row and ensemble from others, wherever their data lie."""
    how = recipe(table, scale)
    found = {row.name: how.digest(row) for row in TABLES[table].rows}
    averages = TABLES[table].ensembles.items()
    return found | {name: digest_of(found[member] for member in members) for name, members in averages}
