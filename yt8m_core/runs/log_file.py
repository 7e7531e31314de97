"""Read and validate ``log.csv``, the training log of a run, from untrusted files."""

import io
import sys
from pathlib import Path

import pandas as pd

from yt8m_core.errors import UserError
from yt8m_core.storage.paths import read_file
from yt8m_core.storage.typed_json import MAX_INTEGER

MAX_BYTES = 1 << 25
COUNTS = ("epoch", "step", "examples")
SHARES = {"gap", "hit_at_1", "perr", "map_present"}
OPTIONAL = {"learning_rate", "gradient", *SHARES}  # columns that a log need not have to be shown


def read_log(file: Path) -> pd.DataFrame:
    """Read a training log: epoch, step, examples, learning_rate, loss, gradient, and metrics at the end of each epoch.

    update_<slot> is the update-to-weight ratio of a slot; logs of older versions have none.

    Raises:
        FileNotFoundError: there is no file.
        pandas.errors.EmptyDataError: the file has no complete line.
        UserError: the file is not a log.
    """
    try:
        complete, _, _ = read_file(file, MAX_BYTES).decode().rpartition("\n")  # a training may be writing the last line
        log = pd.read_csv(io.StringIO(complete))
        if not isinstance(log.index, pd.RangeIndex):  # pandas makes the first ones of too many columns the index
            raise ValueError("more values in a line than columns")
        names = [name for name in log.columns if name in OPTIONAL or name.startswith("update_")]
        if any(log[name].dtype != "int64" for name in COUNTS if len(log)):
            raise ValueError("an epoch, a step or a number of examples that is not an integer")
        log = log.astype({**dict.fromkeys(COUNTS, int), **dict.fromkeys(("loss", "gap", *names), float)})
        limits = {**dict.fromkeys(COUNTS, MAX_INTEGER), "loss": MAX_INTEGER, **dict.fromkeys(names, sys.float_info.max)}
        for name, limit in {**limits, **dict.fromkeys(SHARES & {*log.columns}, 1)}.items():
            if not log[name].dropna().between(0, limit).all():
                raise ValueError(f"column '{name}' has numbers outside 0 to {limit:g}")
        if log[["loss", "gap"]].isna().all(axis=1).any():
            raise ValueError("a line without loss and gap")
        steps = log[["epoch", "step"]].diff().iloc[1:]
        if not ((steps["epoch"] > 0) | (steps["epoch"] == 0) & (steps["step"] > 0)).all():
            raise ValueError("a repeated line, or steps that do not increase")
        if (log["examples"].diff() < 0).any():
            raise ValueError("numbers of examples that decrease")
        return log
    except (FileNotFoundError, pd.errors.EmptyDataError):
        raise
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise UserError(f"not a training log ({str(error)[:200]})", where=str(file)) from None
