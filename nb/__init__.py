"""The notebooks, and what executes them (``python -m nb``), stamps them, and tells the README of their results."""
