"""Run ``yt8m`` as ``python -m yt8m_core``, for launchers such as torchrun that take a module."""

from yt8m_core.cli.main import main

main()
