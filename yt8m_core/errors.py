"""The one exception that speaks to a person, and those of its kinds that somebody tells from the others."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A fault that its reader can mend; the CLI and the app print it as it is, without a traceback.

    The message says what was found, where (file, record, field), what was expected, and what to do.

    >>> print(UserError("3 frames", where="a.tfrecord, record 7, field 'rgb'", expected="1024 bytes a frame"))
    a.tfrecord, record 7, field 'rgb': found 3 frames; expected 1024 bytes a frame.
    """

    def __init__(self, found: str, *, where: str = "", expected: str = "", advice: str = "") -> None:
        head = f"{where}: found {found}" if where and expected else f"{where}: {found}" if where else found
        sentence = f"{head}; expected {expected}" if expected else head
        super().__init__(sentence.rstrip(".") + "." + (f" {advice}" if advice else ""))


class Diverged(UserError):
    """A training whose loss is no longer finite; another learning rate may do."""


class Stopped(UserError):
    """A training that was asked to stop: it has left a checkpoint, and goes on with the same command."""


def check_choice(what: str, name: object, known: Iterable[str], *, where: str = "") -> None:
    """Refuse a name that is not among those known, with the nearest one that is.

    >>> check_choice("pooling", "maen", ["mean", "lstm"])
    Traceback (most recent call last):
    yt8m_core.errors.UserError: unknown pooling 'maen'. Did you mean 'mean'? Known: mean, lstm.
    """
    known = list(known)
    if name in known:
        return
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    raise UserError(f"unknown {what} '{name}'", where=where, advice=f"{hint}Known: {', '.join(known) or 'none'}.")
