"""Exact confidence interval of a share.

C. J. Clopper, E. S. Pearson: The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial,
Biometrika 26 (1934).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

Floats = NDArray[np.float64]


def share_interval(hits: ArrayLike, total: ArrayLike) -> tuple[Floats, Floats]:
    """Return the bounds of the 95% CI (Clopper-Pearson) of hits / total; 0 and 1 where the total is 0.

    >>> low, high = share_interval([0, 5, 10], 10)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.187, 0.692], [0.308, 0.813, 1.0])

    Args:
        hits: Numbers of hits, 0 to total.
        total: Numbers of trials; the shapes broadcast.
    """
    k, n = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(total, np.float64))
    low = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1, 0.025), 0.0)
    high = np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), 0.975), 1.0)
    return low, high
