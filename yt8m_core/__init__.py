"""Multi-label video classification on YouTube-8M features, after arXiv 1706.07960.

Frames flow through four exchangeable slots: pooling → classification → label processing → loss.
Start reading at ``model.py`` (the line in code) and ``experiment.py`` (how an experiment is written down).
"""
