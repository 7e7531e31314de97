"""User-facing error: printed without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """An error that the user can fix. The CLI and the app print its message without a traceback.

    The message says what was found, where (file, record, field), what was expected, and what to do.

    >>> print(UserError("3 frames", where="a.tfrecord, record 7, field 'rgb'", expected="1024 bytes a frame"))
    a.tfrecord, record 7, field 'rgb': found 3 frames; expected 1024 bytes a frame.
    """

    def __init__(self, found: str, *, where: str = "", expected: str = "", advice: str = "") -> None:
        head = f"{where}: found {found}" if where and expected else f"{where}: {found}" if where else found
        sentence = f"{head}; expected {expected}" if expected else head
        super().__init__(sentence.rstrip(".") + "." + (f" {advice}" if advice else ""))


class ProcessEndedError(UserError):
    """Another process of the same command has ended."""


class MissingDataError(UserError):
    """Nothing lies where data are looked for.

    Attributes:
        found: What was found, without the advice.
    """

    def __init__(self, found: str, *, advice: str) -> None:
        self.found = found
        super().__init__(found, advice=advice)


class LockedError(UserError):
    """Another process makes or uses the same file or folder."""


class TrainingDivergedError(UserError):
    """The training loss is no longer finite. Another learning rate may help."""


class TrainingStoppedError(UserError):
    """The training was asked to stop. It saved a checkpoint; the same command resumes it."""


def check_choice(kind: str, name: object, known: Iterable[str], *, where: str = "") -> None:
    """Check that a name is among the known names.

    Args:
        kind: What the name refers to, such as "pooling".
        name: The name to check.
        known: All valid names.
        where: Where the name was found, for the error message.

    Raises:
        UserError: The name is unknown; the message suggests the closest known name.

    >>> check_choice("pooling", "maen", ["mean", "lstm"])
    Traceback (most recent call last):
    yt8m_core.errors.UserError: unknown pooling 'maen'. Did you mean 'mean'? Known: mean, lstm.
    """
    known = list(known)
    if name in known:
        return
    shown = str(name)[:80]
    matches = difflib.get_close_matches(shown, known, n=1)
    hint = f"Did you mean '{matches[0]}'? " if matches else ""
    raise UserError(f"unknown {kind} '{shown}'", where=where, advice=f"{hint}Known: {', '.join(known) or 'none'}.")


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: of Python or NumPy, of the CPU in torch (a RuntimeError), or of a GPU."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and (
            type(error).__name__ == "OutOfMemoryError"
            or any(text in str(error) for text in ("can't allocate memory", "out of memory"))
        )
    )
