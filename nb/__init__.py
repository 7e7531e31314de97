"""The notebooks, their execution (``python -m nb``), and the results in README and docs (``python -m nb.readme``)."""
