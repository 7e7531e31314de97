"""Targets with a fault in some of their mutants, which a hunt has to find. Few imports: its child starts sooner."""

import os
import signal
from collections.abc import Callable
from random import Random

import numpy as np

from tests.fuzz.hunt import FLOOR

Budget = Callable[[int], None]


def dies(random: Random, real: None, budget: Budget) -> None:
    if random.random() < 0.3:
        os.kill(os.getpid(), signal.SIGBUS)


def hangs(random: Random, real: None, budget: Budget) -> None:
    bad = random.random() < 0.3
    while bad:
        pass


def eats(random: Random, real: None, budget: Budget) -> None:
    bad, size = random.random() < 0.3, 10 << 20
    budget(size)
    np.ones(FLOOR + 2 * size + bad * 2 * size, np.uint8)


def is_wrong(random: Random, real: None, budget: Budget) -> None:
    assert random.random() >= 0.3
