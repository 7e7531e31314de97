"""Records that were left out because nothing can be made of them: counted, and named once each."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 20  # a data set with thousands of them is one with one fault


@dataclass(frozen=True)
class BadRecord:
    """A record that was left out, where ``skip_bad`` allows it."""

    shard: str  # the path
    record: int  # counted from 0
    said: str  # its place, and what is wrong with it
    rest: int  # bytes of the shard that are left out from there on, where the next record cannot be found; else 0


def describe_bad(bad: Sequence[BadRecord]) -> str:
    """What was left out, in words; a line a record.

    >>> print(describe_bad([BadRecord("a.tfrecord", 7, "a.tfrecord, record 7, header: …", 1200)]))
    1 bad record left out, and all that follows one in its shard (1,200 bytes):
      a.tfrecord, record 7, header: …
    """
    rest = sum(one.rest for one in bad)
    head = f"{len(bad):,} bad record{'s'[: len(bad) != 1]} left out"
    if rest:
        head += f", and all that follows one in its shard ({rest:,} bytes)"
    lines = [f"{head}:", *(one.said for one in bad[:SHOWN])]
    if len(bad) > SHOWN:
        lines.append(f"… and {len(bad) - SHOWN:,} more")
    return "\n  ".join(lines)


def warn_of_bad(bad: Sequence[BadRecord]) -> None:
    """Say what was left out, if anything was, to the log; where nobody has set one up, that is standard error."""
    if bad:
        logging.getLogger(__name__).warning("%s", describe_bad(bad))
