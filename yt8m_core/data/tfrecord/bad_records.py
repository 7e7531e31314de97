"""Bad records skipped during indexing: count and log them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

MAX_LISTED = 20  # thousands of bad records usually share one cause


@dataclass(frozen=True)
class BadRecord:
    """A record skipped because of ``skip_bad``."""

    shard: str  # path
    record: int  # position in the shard, counted from 0
    message: str  # where it is and what is wrong with it
    skipped_bytes: int  # rest of the shard that is skipped because the next record cannot be located; else 0
    is_duplicate: bool = False  # sound, but an earlier record has its id


def format_bad_records(bad: Sequence[BadRecord]) -> str:
    """Return a message with one line per bad record.

    >>> print(format_bad_records([BadRecord("a.tfrecord", 7, "a.tfrecord, record 7, header: …", 1200)]))
    Skipped 1 bad record and 1,200 bytes that follow a broken length:
      a.tfrecord, record 7, header: …
    """
    skipped_bytes = sum(record.skipped_bytes for record in bad)
    head = f"Skipped {len(bad):,} bad record{'s'[: len(bad) != 1]}"
    if skipped_bytes:
        head += f" and {skipped_bytes:,} bytes that follow a broken length"
    lines = [f"{head}:", *(record.message for record in bad[:MAX_LISTED])]
    if len(bad) > MAX_LISTED:
        lines.append(f"… and {len(bad) - MAX_LISTED:,} more")
    return "\n  ".join(lines)


def warn_bad_records(bad: Sequence[BadRecord]) -> None:
    """Log a warning that lists the bad records, if any; without logging set up it goes to standard error."""
    if bad:
        logging.getLogger(__name__).warning("%s", format_bad_records(bad))
