"""Finding shards, and error messages for shards that cannot be indexed."""

import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shards import framed, indexed, masked, small, stored_indexes, three_shards, vector, write
from yt8m_core.data.index import open_index
from yt8m_core.data.shards import find_shards
from yt8m_core.data.tfrecord.records import RecordError
from yt8m_core.errors import UserError


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return three_shards(tmp_path / "data")


def error_message(data: Path | str) -> str:
    """Return the error message; a failed index must not be stored."""
    with pytest.raises(UserError) as error:
        indexed(Path(data))
    assert stored_indexes() == []
    return str(error.value)


def test_shards_are_found_by_file_folder_glob_and_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "notes.txt").write_text("not a shard")
    (folder / "c.tfrecord.part").write_text("not a shard")
    (folder / "x.tfrecord").mkdir()
    shards = [folder / f"{name}.tfrecord" for name in "abc"]
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.chdir(folder.parent)
    for data in (folder, str(folder), "data", "~/data", "~/data/*.tfrecord", "data/?.tf*d", f"{folder}/[a-c].tfrecord"):
        assert find_shards(data) == shards, data
    assert find_shards(folder / "b.tfrecord") == find_shards("~/data/b.tfrecord") == [shards[1]]
    assert find_shards(f"{folder}/[bc].tfrecord") == shards[1:]


def test_shards_are_found_when_a_folder_name_has_wildcards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = folder.rename(folder.with_name("data [1]*"))
    monkeypatch.chdir(renamed)
    assert find_shards(renamed) == find_shards("*.tfrecord") == [renamed / f"{name}.tfrecord" for name in "abc"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nothing", "no file matches {0}/nothing. Use a .tfrecord file"),
        ("*.nothing", "no file matches {0}/*.nothing. Use a .tfrecord file"),
        ("~no one/x", "the home folder in '~no one/x' does not exist."),
        ("x" * 300, "File name too long"),
        ("gone.tfrecord", "{0}/gone.tfrecord: cannot be read: No such file or directory."),
        ("here/gone/link.tfrecord", "no file matches"),
        ("outer", "folder {0}/outer: no *.tfrecord file. Its subfolders train, validate contain shards: choose one"),
        ("empty", "folder {0}/empty: no *.tfrecord file. Choose the folder with the shards."),
        ("links", "{0}/links/gone.tfrecord: cannot be read: No such file or directory."),
        ("none", "{0}/none/a.tfrecord: no records. The shards are empty."),
    ],
)  # fmt: skip
def test_data_without_shards_are_refused(
    data: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("outer/train", "outer/validate"):
        write(tmp_path / name / "a.tfrecord", small())
    for name in ("empty", "links", "none"):
        (tmp_path / name).mkdir()
    for link in (tmp_path / "gone.tfrecord", tmp_path / "links" / "gone.tfrecord"):
        link.symlink_to("/gone")  # ignoring this shard silently would be worse
    (tmp_path / "none" / "a.tfrecord").touch()
    assert message.format(tmp_path) in error_message(data)


def test_empty_shard_is_skipped_when_others_have_records(folder: Path) -> None:
    (folder / "_.tfrecord").touch()
    assert indexed(folder).table["shard"].to_pylist() == [1] * 4 + [2] * 5 + [3] * 6


@pytest.mark.parametrize("level", ["frame", "video"])
def test_data_set_with_mixed_levels_is_refused(tmp_path: Path, level: str) -> None:
    streams = {"rgb": np.zeros((2, 1024), np.uint8), "audio": np.zeros((2, 128), np.uint8)}
    both = [replace(small("f"), streams=streams), vector("v")]
    first, second = both if level == "frame" else reversed(both)
    write(tmp_path / "data" / "a.tfrecord", first)
    write(tmp_path / "data" / "b.tfrecord", second)
    with pytest.raises(RecordError) as error:
        open_index(tmp_path / "data")
    missing = "feature list 'rgb'" if level == "frame" else "context 'mean_rgb'"
    assert str(error.value).startswith(f"{tmp_path}/data/b.tfrecord, record 0, {missing}: found only [")
    assert stored_indexes() == []


@pytest.mark.fault
def test_duplicate_ids_are_refused_with_both_locations(folder: Path) -> None:
    write(folder / "c.tfrecord", small("c0"), small("a2"), small("c1"))
    assert error_message(folder) == (
        f"1 video ids occur more than once: 'a2' in {folder}/a.tfrecord, record 2 and {folder}/c.tfrecord, "
        "record 1. Scores are stored by id. Use shards that contain each video once, or --skip-bad, which keeps the "
        "first record of each id."
    )
    write(folder / "c.tfrecord", small("c0"), small("c1"), small("c0"))
    assert f"'c0' in {folder}/c.tfrecord, record 0 and {folder}/c.tfrecord, record 2" in error_message(folder)


def test_bad_record_is_refused_each_time_the_data_set_is_opened(folder: Path) -> None:
    complete = indexed(folder)
    write(folder / "b.tfrecord", small("b0"), small("b1", (4, -1)))
    for _ in range(2):
        with pytest.raises(RecordError, match=re.escape(f"{folder}/b.tfrecord, record 1, context 'labels': found lab")):
            indexed(folder)
    write(folder / "b.tfrecord", *(small(f"b{i}") for i in range(5)))
    assert indexed(folder).table.num_rows == complete.table.num_rows


@pytest.mark.fault
def test_length_of_3_gib_with_a_right_checksum_is_refused_in_little_memory(tmp_path: Path) -> None:
    length = (3 << 30).to_bytes(8, "little")
    path = tmp_path / "a.tfrecord"
    path.write_bytes(length + masked(length) + b"x" * 100)
    tracemalloc.start()
    assert error_message(path).startswith(
        f"{path}, record 0, data: found 100 bytes before the end of the file; expected 3221"
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3), st.integers(0, 3)), max_size=3)


@settings(max_examples=150)
@given(edits=edits, has_valid_checksums=st.booleans())
def test_damaged_shard_is_refused_or_read_when_edited(
    edits: list[tuple[float, bytes, int]], has_valid_checksums: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With wrong checksums, and with right checksums of invalid contents."""
    content = small().regular() if has_valid_checksums else framed(small().regular(), small("b").regular())
    for fraction, replacement, length in edits:
        start = int(fraction * len(content))
        content = content[:start] + replacement + content[start + length :]
    path = tmp_path_factory.mktemp("data") / "a.tfrecord"
    path.write_bytes(framed(content) if has_valid_checksums else content)
    try:
        index = indexed(path)
    except UserError as error:
        message = str(error)
    else:
        message = str(path)
        assert index.table.num_rows == (1 if has_valid_checksums else len(index.table["id"].unique()))
    assert message.startswith(str(path))
