from pathlib import Path

import pytest

from yt8m_core.data.scale import PAPER_VIDEOS, SCALE_WORDS, demo_world_of, scale_of


@pytest.mark.parametrize("data", ["", "train", "train/*.tfrecord", "train/train0000.tfrecord"])
def test_data_of_the_demo_world_are_told_by_their_folder(tmp_path: Path, data: str) -> None:
    (tmp_path / "train").mkdir()
    assert demo_world_of(tmp_path / data) is None
    (tmp_path / "world.json").write_text("{}")
    assert demo_world_of(tmp_path / data) == tmp_path
    assert scale_of(tmp_path / data, PAPER_VIDEOS) == "demo"


def test_other_data_are_told_by_their_number_and_every_scale_has_its_words(tmp_path: Path) -> None:
    scales = [scale_of(tmp_path, PAPER_VIDEOS - 1), scale_of(tmp_path, PAPER_VIDEOS)]
    assert scales == ["sample", "paper"]
    assert set(SCALE_WORDS) == {"demo", *scales}
