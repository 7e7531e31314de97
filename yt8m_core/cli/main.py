"""The command ``yt8m``.

demo · download · index · labels · train · evaluate · predict · ensemble · rates · ablate · app
"""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import tyro

from yt8m_core.cli.ablations import ablate, rates
from yt8m_core.cli.arguments import absolute
from yt8m_core.cli.data import demo, download, index, labels
from yt8m_core.cli.runs import ensemble, evaluate, predict, train
from yt8m_core.errors import Stopped, UserError

STOPPED = 128 + signal.SIGTERM  # the exit status by which shells and schedulers know it


def app(runs: tuple[Path, ...] = (), data: tuple[str, ...] = (), port: int = 8501) -> None:
    """Open the app in a browser at http://127.0.0.1:8501.

    Args:
        runs: Folders of runs to show beside those of the workspace.
        data: Data sets to show beside the demo world and those of the runs.
        port: Where to serve it.
    """
    script = _app_script()
    chosen = {
        "YT8M_RUNS": os.pathsep.join(str(folder.absolute()) for folder in runs),
        "YT8M_DATA": os.pathsep.join(absolute(one) for one in data),
    }
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    # Our own program, without a shell: what a user wrote is one argument or one variable of it.
    raise SystemExit(subprocess.call(command, env={**os.environ, **chosen}))  # noqa: S603


def _app_script() -> Path:
    """Return the app's main script: ``yt8m_app/`` next to an installed package, ``app/`` in a source checkout."""
    if find_spec("streamlit") is None:
        raise UserError("Streamlit is not installed", advice="Install it: pip install 'yt8m[app]'.")
    root = Path(__file__).parents[2]
    for folder in ("yt8m_app", "app"):
        if (script := root / folder / "main.py").is_file():
            return script
    raise UserError("app not found", where=str(root), expected="yt8m_app/main.py or app/main.py")


def main() -> None:
    """The console script: runs a command, and tells a fault in one sentence."""
    commands = {
        c.__name__: c for c in (demo, download, index, labels, train, evaluate, predict, ensemble, rates, ablate, app)
    }
    # As a fault does, so that what is half written is removed; a training answers it in its own way.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(STOPPED))
    try:
        tyro.extras.subcommand_cli_from_dict(
            commands, prog="yt8m", description="Multi-label video classification on YouTube-8M features."
        )
    except Stopped as error:
        print(f"yt8m: {error}", file=sys.stderr)
        raise SystemExit(STOPPED) from None
    except UserError as error:
        raise SystemExit(f"yt8m: {error}") from None
    except OSError as error:  # a disk that is full, a folder that may not be written
        raise SystemExit(f"yt8m: {error.strerror or error}: {error.filename or 'a file'}") from None
    except KeyboardInterrupt:
        raise SystemExit("yt8m: stopped; a training or a download goes on with the same command") from None
