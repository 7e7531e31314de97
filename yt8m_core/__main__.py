"""``python -m yt8m_core`` is the command ``yt8m``, for launchers such as torchrun that take a module."""

from yt8m_core.cli.main import main

main()
