"""Bytes → unit frame vectors and a mask, against SPEC 1.3 to 1.5."""

import numpy as np
import pytest
import torch
from torch import Tensor

from yt8m_core.data.quantization import dequantize
from yt8m_core.errors import UserError
from yt8m_core.models.normalization import NORMALIZATIONS, l2_normalize, frame_mask, normalize

STREAMS = [("rgb", 4), ("audio", 2)]
T, D = 5, 6


@pytest.fixture
def codes() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, T, D), generator=generator, dtype=torch.uint8)


def test_dequantize_when_given_every_byte() -> None:
    codes = torch.arange(256, dtype=torch.uint8)
    values = dequantize(codes)
    assert values.dtype == torch.float32
    assert values[[0, 128, 255]].tolist() == pytest.approx([-1.9921875, 0.015656, 2.0078125], abs=1e-6)
    expected = [byte * 4.0 / 255.0 + 4.0 / 512.0 - 2.0 for byte in range(256)]
    np.testing.assert_allclose(values.numpy(), expected, atol=3e-7)
    assert codes.tolist() == list(range(256))


def test_dequantize_when_undoing_googles_quantizer() -> None:
    values = np.random.default_rng(0).uniform(-2, 2, 100_000)
    codes = np.round((values + 2) * 255 / 4).astype(np.uint8)
    bias = dequantize(torch.from_numpy(codes)).numpy() - values
    assert bias.mean() == pytest.approx(1 / 128, abs=1e-4)


def test_mask_when_videos_are_empty_short_and_full() -> None:
    assert frame_mask(torch.tensor([0, 2, 3]), 3).int().tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_mask_when_num_frames_exceed_the_rows() -> None:
    assert frame_mask(torch.tensor([9]), 3).all()


@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_normalize_when_compared_with_a_loop(codes: Tensor, mode: str) -> None:
    lengths = [T, 2, 0]
    frames, mask = normalize(codes, torch.tensor(lengths), streams=STREAMS, mode=mode)
    expected = np.zeros((3, T, D))
    for video, length in enumerate(lengths):
        for t in range(length):
            row = codes[video, t].numpy() * 4.0 / 255.0 + 4.0 / 512.0 - 2.0
            for part in {"joint": [slice(0, 6)], "per_modality": [slice(0, 4), slice(4, 6)], "none": []}[mode]:
                row[part] = row[part] / np.sqrt(max(np.sum(row[part] ** 2), 1e-12))
            expected[video, t] = row
    assert frames.dtype == torch.float32
    np.testing.assert_allclose(frames.numpy(), expected, atol=1e-6)
    assert frames[~mask].eq(0).all()
    assert mask.sum(dim=1).tolist() == lengths


def test_normalize_when_no_mode_is_named(codes: Tensor) -> None:
    frames, _ = normalize(codes, torch.tensor([T, T, T]), streams=STREAMS)
    assert frames.norm(dim=-1).numpy() == pytest.approx(1, abs=1e-6)


def test_normalize_when_frames_are_floats() -> None:
    given = torch.randn(2, T, D)
    frames, _ = normalize(given, torch.tensor([T, T]), streams=STREAMS, mode="none")
    assert torch.equal(frames, given)


@pytest.mark.parametrize(
    ("given", "computed"), [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64,) * 2]
)
def test_normalize_when_floats_are_narrow_or_wide(given: torch.dtype, computed: torch.dtype) -> None:
    frames, _ = normalize(torch.ones(1, T, D, dtype=given), torch.tensor([T]), streams=STREAMS)
    assert frames.dtype == computed
    assert frames.norm(dim=-1).numpy() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_normalize_when_a_real_row_is_zero(mode: str) -> None:
    given = torch.zeros(1, T, D, requires_grad=True)
    frames, _ = normalize(given, torch.tensor([T]), streams=STREAMS, mode=mode)
    frames.sum().backward()
    assert frames.eq(0).all()
    assert given.grad is not None
    assert given.grad.isfinite().all()


def test_normalize_when_padding_holds_garbage() -> None:
    given = torch.full((1, T, D), float("nan"))
    given[:, :2] = 1.0
    frames, _ = normalize(given, torch.tensor([2]), streams=STREAMS)
    assert frames[:, 2:].eq(0).all()
    assert given[:, 2:].isnan().all(), "the caller's frames were written to"


def test_l2_normalize_when_a_vector_is_tiny() -> None:
    tiny = torch.tensor([3e-8, 4e-8])
    np.testing.assert_allclose(l2_normalize(tiny).numpy(), [3e-2, 4e-2], rtol=1e-5)  # divided by 1e-6, not by its norm


def test_normalize_when_the_mode_is_misspelt(codes: Tensor) -> None:
    with pytest.raises(UserError, match=r"unknown normalization 'jont'\. Did you mean 'joint'\?"):
        normalize(codes, torch.tensor([T, T, T]), streams=STREAMS, mode="jont")


def test_normalize_when_the_streams_do_not_add_up(codes: Tensor) -> None:
    with pytest.raises(UserError, match=r"found 6 features per frame; expected 4 \(rgb 4\)"):
        normalize(codes, torch.tensor([T, T, T]), streams=[("rgb", 4)])
