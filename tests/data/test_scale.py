from pathlib import Path

import pytest

from yt8m_core.data.scale import MIN_FULL_VIDEOS, SCALE_NAMES, detect_scale, find_demo_world


@pytest.mark.parametrize("data", ["", "train", "train/*.tfrecord", "train/train0000.tfrecord"])
def test_demo_world_is_recognized_by_its_folder(tmp_path: Path, data: str) -> None:
    (tmp_path / "train").mkdir()
    assert find_demo_world(tmp_path / data) is None
    (tmp_path / "world.json").write_text("{}")
    assert find_demo_world(tmp_path / data) == tmp_path
    assert detect_scale(tmp_path / data, MIN_FULL_VIDEOS) == "demo"


def test_other_scales_depend_on_the_number_of_videos_and_all_have_names(tmp_path: Path) -> None:
    scales = [detect_scale(tmp_path, MIN_FULL_VIDEOS - 1), detect_scale(tmp_path, MIN_FULL_VIDEOS)]
    assert scales == ["sample", "paper"]
    assert set(SCALE_NAMES) == {"demo", *scales}
