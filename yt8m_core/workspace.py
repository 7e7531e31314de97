"""Where the program keeps what it makes: the demo world, the demo runs, the indexes."""

import os
from pathlib import Path


def workspace() -> Path:
    """The folder of everything made: ``YT8M_HOME``, else ``workspace/`` in a source checkout, else ``~/.yt8m``."""
    if named := os.environ.get("YT8M_HOME"):
        return Path(named).expanduser().absolute()
    checkout = Path(__file__).absolute().parents[1]
    return checkout / "workspace" if (checkout / "pyproject.toml").is_file() else Path.home() / ".yt8m"
