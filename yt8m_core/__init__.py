"""Multi-label video classification on YouTube-8M features, after arXiv 1706.07960.

Frames flow through four exchangeable slots: pooling → classification → label processing → loss.
Start reading at ``model.py`` (the line in code) and ``experiment.py`` (how an experiment is written down).
"""

import os

# Batches of frames and gradients are hundreds of megabytes, allocated anew in each step. In huge pages that takes half
# the time or less, and torch asks for those only where this is set before its first tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
