"""What the command line does with an exception: one sentence on standard error and an exit status, no traceback."""

import io
import os
import shlex
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from yt8m_core.errors import TrainingStoppedError, UserError, is_out_of_memory
from yt8m_core.storage.atomic import printable_name
from yt8m_core.workspace import workspace

STOPPED = 128 + signal.SIGTERM  # exit statuses that shells and schedulers expect
OUTPUT_CLOSED = 128 + 13  # SIGPIPE, which Windows does not have
MAX_TEXT = 300  # characters of an exception's text in a sentence


@contextmanager
def error_boundary() -> Iterator[None]:
    """Turn each exception of a command into SystemExit with one sentence.

    An exception that no command expects is an error of this program: its traceback is written to a private file, which
    the sentence names. With ``YT8M_DEBUG=1``, exceptions pass with their traceback instead.

    SIGTERM raises SystemExit, which removes partly written files; a training handles it itself. A library that the
    signal interrupts may report another exception in its place.
    """
    is_stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal is_stopped
        is_stopped = True
        sys.exit(STOPPED)

    signal.signal(signal.SIGTERM, stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may have characters that the terminal does not
            stream.reconfigure(errors="replace")
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        raise SystemExit(OUTPUT_CLOSED) from None
    except TrainingStoppedError as error:
        print(f"yt8m: {error}", file=sys.stderr)
        raise SystemExit(STOPPED) from None
    except KeyboardInterrupt:
        raise SystemExit("yt8m: stopped; run the same command again to resume a training or a download") from None
    except Exception as error:
        if is_stopped:
            raise SystemExit(STOPPED) from None
        if os.environ.get("YT8M_DEBUG") == "1":
            raise
        raise SystemExit(f"yt8m: {printable_name(_sentence(error))}") from None
    finally:
        _finish_output()


def _sentence(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:  # a full disk, a folder without write permission
        return f"{error.strerror}: {_file_name(error) or 'a file'}{_workspace_advice(error)}"
    text = " ".join(str(error).split())[:MAX_TEXT]
    if is_out_of_memory(error):
        return (
            f"not enough memory ({text or 'no details'}). Use smaller settings or data, or a machine with more memory."
        )
    return (
        f"an error of this program ({type(error).__name__}{text and ': '}{text}). {_store_traceback(error)} "
        "YT8M_DEBUG=1 shows the traceback here."
    )


def _file_name(error: OSError) -> str:
    """Return the file of an error; empty without one, or if it is only known by its descriptor."""
    return os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""


def _workspace_advice(error: OSError) -> str:
    """Return what to do about an error in the workspace, or in a folder that has to be made for it."""
    home, file = workspace(), Path(_file_name(error)).absolute()
    if not _file_name(error) or not (file.is_relative_to(home) or home.is_relative_to(file)):
        return ""
    return f". It belongs to the workspace {home}: set YT8M_HOME to a folder that you can write to."


def _store_traceback(error: Exception) -> str:
    """Write the traceback to a private file, and return how to report it."""
    text = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="yt8m-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(f"{shlex.join(sys.argv)}\n\n{text}")
    except OSError as failure:
        return f"Its traceback could not be stored ({failure.strerror})."
    return f"Report it to the maintainers with {name}, which has the command and the traceback."


def _finish_output() -> None:
    """Write what is buffered. If that fails, discard it: the interpreter would try again when it ends, and complain."""
    if sys.stdout is None:  # closed by the shell
        return
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):  # a stream without a file
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
