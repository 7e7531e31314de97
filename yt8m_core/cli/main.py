"""Command line ``yt8m``: data, training, evaluation, prediction, ensembles, export, ablations, sharing and the app."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import tyro

from yt8m_core.cli.ablations import ablate, rates, readings
from yt8m_core.cli.arguments import Accelerator, Precision, Streams, absolute, choose_device, registry
from yt8m_core.cli.boundary import error_boundary
from yt8m_core.cli.calibration import calibrate
from yt8m_core.cli.data import demo, download, index, labels
from yt8m_core.cli.export import export
from yt8m_core.cli.importing import import_
from yt8m_core.cli.missing_labels import missing_labels
from yt8m_core.cli.runs import ensemble, evaluate, predict, submission
from yt8m_core.cli.sharing import card, pull, push
from yt8m_core.cli.training import relocate, train_command
from yt8m_core.data.schema import parse_streams
from yt8m_core.errors import UserError
from yt8m_core.storage.address import split_paths


def app(
    runs: tuple[Path, ...] = (),
    data: tuple[str, ...] = (),
    streams: Streams = (),
    port: int = 8501,
    accelerator: Accelerator = None,
    precision: Precision = None,
) -> None:
    """Serve the app on 127.0.0.1 and open a browser.

    Args:
        runs: Folders with further runs, besides those in YT8M_RUNS.
        data: Further data sets, besides those in YT8M_DATA.
        streams: Custom feature streams of these data sets as name:width, besides those in YT8M_STREAMS. Default: those
            of YouTube-8M and AudioSet are recognized, or those of the selected run.
        port: Port of the server.
    """
    script = _app_script()
    variables = {
        "YT8M_RUNS": _add_paths("YT8M_RUNS", [absolute(folder) for folder in runs]),
        "YT8M_DATA": _add_paths("YT8M_DATA", [absolute(path) for path in data]),
        "YT8M_STREAMS": _add_streams(streams),
    }
    _check_port(port)
    choose_device(accelerator, precision)
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    # No shell: user input is an argument or a variable.
    raise SystemExit(subprocess.call(command, env={**os.environ, **variables}))  # noqa: S603


def _add_paths(variable: str, paths: list[str]) -> str:
    """Return the paths in a variable of the environment and further ones, each once."""
    for path in paths:
        if split_paths(path) != [path]:
            raise UserError(f"a path with '{os.pathsep}'", where=path, advice="Give a link to it another name.")
    return os.pathsep.join(dict.fromkeys([*split_paths(os.environ.get(variable, "")), *paths]))


def _add_streams(streams: Streams) -> str:
    """Return the streams in YT8M_STREAMS and further ones. Raises UserError where they differ in a width."""
    widths = dict(parse_streams(os.environ.get("YT8M_STREAMS", "").split()))
    for name, width in streams:
        if widths.setdefault(name, width) != width:
            raise UserError(f"{name}:{width}", where="--streams", expected=f"{name}:{widths[name]}, as in YT8M_STREAMS")
    return " ".join(f"{name}:{width}" for name, width in widths.items())


def _check_port(port: int) -> None:
    """Raise UserError where the app cannot listen on a port. Streamlit says so late, or with a traceback."""
    if not 1 <= port <= 65535:
        raise UserError(f"port {port}", expected="1 to 65535")
    with socket.socket() as bound:
        if os.name == "posix":  # as the server does: without it, a port is refused for a minute after its last use
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be used: {error.strerror}",
                advice=f"If the app runs there, open http://127.0.0.1:{port}; otherwise choose another --port.",
            ) from None


def _app_script() -> Path:
    """Return the app's main script: ``yt8m_app/`` next to an installed package, ``app/`` in a source checkout."""
    if find_spec("streamlit") is None:
        raise UserError("Streamlit is not installed", advice="Install it: pip install 'yt8m[app]'.")
    root = Path(__file__).parents[2]
    for folder in ("yt8m_app", "app"):
        if (script := root / folder / "main.py").is_file():
            return script
    raise UserError("app not found", where=str(root), expected="yt8m_app/main.py or app/main.py")


def commands(arguments: Sequence[str] = ()) -> dict[str, Callable[..., None]]:
    """Return the commands by name.

    Args:
        arguments: Arguments of the command line, whose ``--experiment`` has the defaults of ``train``.

    Raises:
        UserError: The ``--experiment`` file cannot be read or is not an experiment.
    """
    train = train_command(arguments)
    functions: tuple[Callable[..., None], ...] = (
        demo, download, import_, index, labels, missing_labels, train, evaluate, calibrate, predict, submission,
        ensemble, export, relocate, rates, ablate, readings, card, push, pull, app,
    )  # fmt: skip
    return {command.__name__.rstrip("_").replace("_", "-"): command for command in functions}


def main() -> None:
    """Run a command. Errors are one sentence, without a traceback."""
    with error_boundary():
        tyro.extras.subcommand_cli_from_dict(
            commands(sys.argv[1:]),
            prog="yt8m",
            description="Multi-label video classification on YouTube-8M features.",
            registry=registry,
        )
