"""The K best segments of each label, whatever the sizes of the chunks in which they arrive."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yt8m_core.metrics import top_segments
from yt8m_core.metrics.top_segments import TopSegments


@settings(max_examples=200)
@given(
    scores=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60),
    k=st.integers(1, 20),
    chunk=st.integers(1, 9),
    size=st.integers(1, 25),
)
def test_best_segments_equal_those_of_a_full_sort(scores: list[tuple[int, int]], k: int, chunk: int, size: int) -> None:
    matrix = np.float32(scores) / 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_segments, "CHUNK", chunk)
        best = TopSegments(2, len(matrix), k)
        kept = [best.add(first, matrix[first : first + size]) for first in range(0, len(matrix), size)]
    is_kept = np.concatenate(kept)
    for label in range(2):
        expected = sorted(range(len(matrix)), key=lambda row: (-matrix[row, label], row))[:k]
        found = best.best(label)
        assert found.segments.tolist() == expected
        assert found.scores.tolist() == matrix[expected, label].tolist()
        assert is_kept[expected, label].all()  # what ``add`` rejects is not among them


def test_joined_parts_of_two_processes_equal_one() -> None:
    matrix = np.random.default_rng(0).random((200, 3)).astype(np.float32).round(1)
    k, size = 30, 20
    whole, joined = TopSegments(3, 200, k), TopSegments(3, 200, k)
    processes = [TopSegments(3, 200, k) for _ in range(2)]
    kept = []
    for number, first in enumerate(range(0, 200, size)):
        whole.add(first, matrix[first : first + size])
        kept.append(processes[number % 2].add(first, matrix[first : first + size]))
    for number, part in enumerate(kept):
        for label in range(3):
            rows = number * size + np.flatnonzero(part[:, label])
            joined.add_best(label, rows, matrix[rows, label])
    for label in range(3):
        for found, expected in zip(joined.best(label), whole.best(label), strict=True):
            assert found.tolist() == expected.tolist()
