"""Commands of ``yt8m``: functions whose signatures and docstrings tyro turns into options and help."""
