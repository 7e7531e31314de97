"""Result files: rows and claims of a table at a scale, small enough to commit, with the command that made them.

``nb/results/<scale>/<table>.json`` also has digests of the experiments and the data, which show whether the file is
older than the definitions in ``paper_tables``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from yt8m_core.ablation import claims, compare
from yt8m_core.ablation.band_gains import COLUMNS as BAND_COLUMNS
from yt8m_core.ablation.band_gains import all_band_gains
from yt8m_core.ablation.recipe import chosen_scale, digest_of, table_recipe, table_source
from yt8m_core.ablation.runner import Ablation
from yt8m_core.errors import UserError
from yt8m_core.inference.band_precision import AP_METRICS
from yt8m_core.paper_tables import TABLES
from yt8m_core.storage.atomic import atomic_write

FORMAT = 2
FRAMES = {"rows": compare.COLUMNS, "claims": claims.COLUMNS, "bands": BAND_COLUMNS}


@dataclass(frozen=True)
class Result:
    """Results of one table at one scale."""

    table: str
    scale: str
    command: str
    data: str  # digest of the videos
    experiments: Mapping[str, str]  # digest of the experiments of each row
    rows: pd.DataFrame  # as ``compare_rows``
    claims: pd.DataFrame  # as ``check_claims``
    bands: pd.DataFrame  # as ``all_band_gains``; empty for results of an older version


def results_folder() -> Path:
    """Return ``nb/results`` of the source checkout, or of the current folder."""
    checkout = Path(__file__).absolute().parents[2]
    return (checkout if (checkout / "nb").is_dir() else Path.cwd()) / "nb" / "results"


def result_file(table: str, scale: str, folder: Path | None = None) -> Path:
    """Return the path of the result file of a table at a scale."""
    return (folder or results_folder()) / scale / f"{table}.json"


def save_result(ablation: Ablation, folder: Path | None = None) -> Result:
    """Compare rows, check claims and store both, except at "smoke". Raises UserError if rows are missing."""
    if missing := [name for name in ablation.table.names if name not in ablation.runs]:
        raise UserError(f"no row '{missing[0]}'", where=ablation.table.title, expected="all rows of the table")
    result = Result(
        ablation.name,
        ablation.scale,
        ablate_command(ablation.name, ablation.scale),
        ablation.source.identity,
        digests(ablation.name, ablation.scale),
        compare.compare_rows(ablation),
        claims.check_claims(ablation),
        all_band_gains(ablation),
    )
    if ablation.scale != "smoke":
        write_result(result, result_file(ablation.name, ablation.scale, folder))
    return result


def ablate_command(table: str, scale: str) -> str:
    """Return the command that makes the result of a table at a scale."""
    return f"yt8m ablate {table} --scale {scale}"


def write_result(result: Result, file: Path) -> None:
    """Write a result file."""
    frames = {name: json.loads(getattr(result, name).to_json(orient="records")) for name in FRAMES}
    values = {"format": FORMAT, **{name: value for name, value in vars(result).items() if name not in frames}, **frames}
    with atomic_write(file) as unfinished:
        unfinished.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_result(table: str, scale: str | None = None, folder: Path | None = None) -> Result | None:
    """Return the stored result of a table at a scale, or None. Raises UserError for an invalid or older file."""
    file = result_file(table, chosen_scale(scale), folder)
    if not file.is_file():
        return None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if (found := values.pop("format")) != FORMAT:
            raise ValueError(f"format {found}, expected {FORMAT}")
        values.setdefault("bands", [])
        for name, columns in FRAMES.items():
            values[name] = pd.DataFrame(values[name], columns=list(columns))
        # Rows of runs of an older version have no average precision by band.
        values["rows"] = values["rows"].astype(dict.fromkeys(("paper_gap", *AP_METRICS), float))
        return Result(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        advice = f"Make it again: yt8m ablate {table}."
        raise UserError(f"not a result file ({error})", where=str(file), advice=advice) from None


def outdated(result: Result) -> list[str]:
    """Return one sentence per change since the result was made; empty if it is up to date.

    Data that are not on this machine count as unchanged.
    """
    if result.table not in TABLES:
        return [f"Table '{result.table}' no longer exists."]
    try:
        current = digests(result.table, result.scale)
    except UserError as error:  # a learning rate has to be searched again
        return [str(error)]
    changes = [f"Row '{row}' is another experiment." for row in current if result.experiments.get(row) != current[row]]
    changes += [f"Row '{row}' no longer exists." for row in result.experiments if row not in current]
    if list(result.claims["claim"]) != [claim.text for claim in TABLES[result.table].claims]:
        changes.append("The claims changed.")
    try:
        data = table_source(result.table, result.scale).identity
    except UserError:
        data = result.data
    return changes if data == result.data else [*changes, "The videos changed."]


def all_claims(scale: str | None = None, folder: Path | None = None) -> pd.DataFrame:
    """Return the claims of all tables that have a stored result at a scale, with their verdicts."""
    results = (read_result(table, scale, folder) for table in TABLES)
    stored = [result.claims for result in results if result is not None and not result.claims.empty]
    return pd.concat(stored, ignore_index=True) if stored else pd.DataFrame(columns=list(claims.COLUMNS))


def digests(table: str, scale: str) -> dict[str, str]:
    """Return a digest of the experiments of each row and ensemble, independent of the location of their data."""
    recipe = table_recipe(table, scale)
    row_digests = {row.name: recipe.digest(row) for row in TABLES[table].rows}
    ensembles = TABLES[table].ensembles.items()
    return row_digests | {name: digest_of(row_digests[member] for member in members) for name, members in ensembles}
