"""Location of generated files: the demo world, demo runs and indexes."""

import os
from pathlib import Path


def workspace() -> Path:
    """Return the folder of generated files.

    This is ``YT8M_HOME`` if set, else ``workspace/`` in a source checkout, else ``~/.yt8m``.
    """
    if home := os.environ.get("YT8M_HOME"):
        return Path(home).expanduser().absolute()
    checkout = Path(__file__).absolute().parents[1]
    return checkout / "workspace" if (checkout / "pyproject.toml").is_file() else Path.home() / ".yt8m"
