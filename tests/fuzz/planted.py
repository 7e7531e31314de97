"""Targets with known faults, which a hunt must find. Few imports, so that its child process starts quickly."""

import os
import signal
from collections.abc import Callable
from random import Random

import numpy as np

from tests.fuzz.hunt import BASE_BYTES

SetMemoryLimit = Callable[[int], None]


def dies(random: Random, real: None, set_memory_limit: SetMemoryLimit) -> None:
    if random.random() < 0.3:
        os.kill(os.getpid(), signal.SIGBUS)


def hangs(random: Random, real: None, set_memory_limit: SetMemoryLimit) -> None:
    is_faulty = random.random() < 0.3
    while is_faulty:
        pass


def eats(random: Random, real: None, set_memory_limit: SetMemoryLimit) -> None:
    is_faulty, size = random.random() < 0.3, 10 << 20
    set_memory_limit(size)
    np.ones(BASE_BYTES + 2 * size + is_faulty * 2 * size, np.uint8)


def is_wrong(random: Random, real: None, set_memory_limit: SetMemoryLimit) -> None:
    assert random.random() >= 0.3
