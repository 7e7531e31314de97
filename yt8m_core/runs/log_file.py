"""Read and validate ``log.csv``, the training log of a run, from untrusted files."""

import io
import sys
from pathlib import Path

import pandas as pd

from yt8m_core.errors import UserError
from yt8m_core.storage.paths import read_file
from yt8m_core.storage.typed_json import MAX_INTEGER

MAX_BYTES = 1 << 25


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
        ratios = [name for name in log.columns if name.startswith("update_")]
        kinds = {"epoch": int, "step": int, "examples": int, "loss": float, "gap": float}
        log = log.astype({**kinds, **dict.fromkeys(ratios, float)})
        limits = {"examples": MAX_INTEGER, "loss": MAX_INTEGER, "gap": 1, **dict.fromkeys(ratios, sys.float_info.max)}
        for name, limit in limits.items():
            if not log[name].dropna().between(0, limit).all():
                raise ValueError(f"column '{name}' has numbers outside 0 to {limit:g}")
        return log
    except (FileNotFoundError, pd.errors.EmptyDataError):
        raise
    except (OSError, ValueError, KeyError, OverflowError) as error:
        raise UserError(f"not a training log ({str(error)[:200]})", where=str(file)) from None
