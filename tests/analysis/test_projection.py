"""PCA against a singular value decomposition in float64, and UMAP with a fake library."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yt8m_core.analysis import projection as module
from yt8m_core.analysis.projection import Projection, pca, umap
from yt8m_core.errors import UserError


def project(vectors: np.ndarray, videos: np.ndarray | None = None) -> Projection:
    vectors = np.asarray(vectors, np.float32)
    return pca(lambda rows: vectors[rows], np.arange(len(vectors)) if videos is None else videos)


@given(st.integers(0, 1 << 20), st.integers(3, 30), st.integers(2, 8), st.sampled_from([0.0, 10.0, -1000.0]))
def test_pca_matches_a_singular_value_decomposition(seed: int, n: int, width: int, offset: float) -> None:
    random = np.random.default_rng(seed)
    # Axes of distinct lengths, so that their order is defined.
    axes = np.linalg.qr(random.standard_normal((width, width)))[0] * 3.0 ** -np.arange(width)[:, None]
    vectors = (random.standard_normal((n, width)) @ axes + offset).astype(np.float32)
    found = project(vectors)
    centered = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, lengths, right = np.linalg.svd(centered, full_matrices=False)
    tolerance = 1e-4 * max(1.0, abs(offset) / 10)
    for axis in range(2):
        if lengths[axis] < 1.2 * np.append(lengths, 0)[axis + 1]:
            return  # almost equal axes: their directions are not defined
        direction = right[axis] * np.sign(right[axis][np.abs(right[axis]).argmax()])
        top = np.sort(np.abs(direction))
        if top[-1] - top[-2] > 1e-3:
            np.testing.assert_allclose(found.points[:, axis], centered @ direction, atol=tolerance)
        assert found.explained is not None
        assert found.explained[axis] == pytest.approx(lengths[axis] ** 2 / (lengths**2).sum(), abs=tolerance)


def test_pca_in_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).standard_normal((100, 5)) * [5, 3, 1, 1, 1]
    whole = project(vectors)
    monkeypatch.setattr(module, "CHUNK", 35)
    parts = project(vectors)
    np.testing.assert_allclose(parts.points, whole.points, atol=1e-4)
    assert parts.explained == pytest.approx(whole.explained)
    assert (whole.method, whole.is_sample, whole.points.dtype) == ("PCA", False, np.float32)


def test_sign_of_an_axis_does_not_depend_on_the_data_order() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 4)) * [5, 3, 1, 1]
    found = project(vectors)
    np.testing.assert_allclose(project(vectors[::-1]).points[::-1], found.points, atol=1e-4)
    # The first axis is mostly the first element, with a positive sign.
    assert np.corrcoef(found.points[:, 0], vectors[:, 0])[0, 1] > 0.9
    assert np.corrcoef(found.points[:, 1], vectors[:, 1])[0, 1] > 0.9


@pytest.mark.parametrize("vectors", [[[1.0, 2.0]], [[3.0, 0.1]] * 4, [[0.0]] * 3])
def test_equal_videos_are_one_point_without_variance(vectors: list[list[float]]) -> None:
    found = project(np.array(vectors))
    np.testing.assert_allclose(found.points, np.zeros((len(vectors), 2)), atol=1e-6)
    assert found.explained == pytest.approx((0, 0), abs=1e-6)


def test_vectors_of_one_element_have_one_axis() -> None:
    found = project(np.array([[1.0], [3.0], [5.0]]))
    assert found.points.tolist() == [[-2, 0], [0, 0], [2, 0]]
    assert found.explained == (1, 0)


def test_many_videos_are_sampled_with_a_fixed_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VIDEOS", 20)
    vectors, videos = np.random.default_rng(0).standard_normal((300, 3)), np.arange(7, 207)
    first, second = (project(vectors, videos) for _ in range(2))
    assert (len(first.videos), first.num_videos, first.is_sample) == (20, 200, True)
    assert (np.diff(first.videos) > 0).all()
    assert set(first.videos) <= set(videos)
    np.testing.assert_array_equal(first.videos, second.videos)
    np.testing.assert_array_equal(first.points, project(vectors, first.videos).points)


@pytest.mark.parametrize("method", [pca, umap])
def test_a_map_needs_videos(method: Any, fake_umap: list[Any]) -> None:
    with pytest.raises(UserError, match=r"expected at least"):
        method(lambda rows: np.zeros((len(rows), 3), np.float32), np.array([], np.int64))
    assert not fake_umap


@pytest.fixture
def fake_umap(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace umap-learn, and return the options and vectors that it gets."""
    calls: list[Any] = []

    class UMAP:
        def __init__(self, **options: Any) -> None:
            calls.append(options)

        def fit_transform(self, vectors: np.ndarray) -> np.ndarray:
            calls.append(vectors)
            return vectors[:, :2].astype(np.float64)

    library: Any = ModuleType("umap")
    library.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", library)
    return calls


def test_umap_passes_the_vectors_of_the_sample_with_a_seed(
    fake_umap: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_VIDEOS", 20)
    vectors = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    found = umap(lambda rows: vectors[rows], np.arange(5, 40))
    options, passed = fake_umap
    assert options["random_state"] == 0
    assert options["metric"] == "cosine"
    np.testing.assert_array_equal(passed, vectors[found.videos])
    np.testing.assert_array_equal(found.points, passed[:, :2])
    assert (found.method, found.explained, found.num_videos, len(found.videos)) == ("UMAP", None, 35, 20)


def test_umap_refuses_fewer_videos_than_neighbors(fake_umap: list[Any]) -> None:
    with pytest.raises(UserError, match=r"15 videos; expected at least 16 for UMAP. Use PCA instead"):
        umap(lambda rows: np.zeros((len(rows), 3), np.float32), np.arange(15))


def test_umap_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UserError, match=r"umap-learn is not installed. Install it: pip install 'yt8m\[map\]'"):
        umap(lambda rows: np.zeros((len(rows), 3), np.float32), np.arange(20))
