"""The index: shards are indexed once, again only if they change, and the index is written atomically."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.shards import FRAME_STREAMS, indexed, small, stored_indexes, three_shards, vector, write
from yt8m_core.data import index, index_store
from yt8m_core.data.index import index_shard, open_index
from yt8m_core.data.index_store import Index
from yt8m_core.errors import UserError


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return three_shards(tmp_path / "data")


@pytest.fixture
def read_shards(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the shards that are indexed after this fixture is set up."""
    names: list[str] = []

    def recording(shard: index.Shard, *options: Any) -> index.ShardRows:
        names.append(Path(shard.path).stem)
        return index_shard(shard, *options)

    monkeypatch.setattr(index, "index_shard", recording)
    return names


def test_index_has_ids_labels_and_offsets(folder: Path) -> None:
    table = indexed(folder).table
    ids = [f"{letter}{i}" for shard, letter in enumerate("abc") for i in [*range(3 + shard), "-irregular"]]
    assert table["id"].to_pylist() == ids
    assert table["shard"].to_pylist() == [0] * 4 + [1] * 5 + [2] * 6
    assert table["record"].to_pylist() == [*range(4), *range(5), *range(6)]
    assert table["labels"].to_pylist()[:4] == [[0, 5], None, [2, 7], [0, 5]]
    assert table["num_frames"].to_pylist()[:4] == [1, 2, 3, 1]
    assert [i for i, offsets in enumerate(table["offsets"].to_pylist()) if offsets is None] == [3, 8, 14]
    content = (folder / "a.tfrecord").read_bytes()
    row = table.slice(2, 1).to_pylist()[0]
    assert content[row["start"] : row["end"]] == small("a2", (2, 7), x=3).regular()
    assert content[row["offsets"][1] :][:200] == small("a2", x=3).streams["y"][0].tobytes()


def test_stored_index_is_used_when_nothing_has_changed(folder: Path, read_shards: list[str]) -> None:
    first = indexed(folder)
    written = stored_indexes()[0].stat().st_mtime_ns
    second = indexed(folder)
    assert read_shards == ["a", "b", "c"]
    assert (second.schema, second.shards) == (first.schema, first.shards)
    assert second.table.equals(first.table)
    assert [path.stat().st_mtime_ns for path in stored_indexes()] == [written]


def test_all_shards_are_indexed_again_when_the_level_changes(tmp_path: Path, read_shards: list[str]) -> None:
    """Without ``streams``: the unchanged second shard does not fit the data set, which is now at video level."""
    streams = {"rgb": np.zeros((2, 1024), np.uint8), "audio": np.zeros((2, 128), np.uint8)}
    write(tmp_path / "data" / "a.tfrecord", replace(small("a"), streams=streams))
    write(tmp_path / "data" / "b.tfrecord", replace(small("b"), streams=streams))
    open_index(tmp_path / "data")
    write(tmp_path / "data" / "a.tfrecord", vector("a"))
    with pytest.raises(UserError, match=r"b\.tfrecord, record 0, context 'mean_rgb'"):
        open_index(tmp_path / "data")
    assert read_shards == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    ("change", "reindexed"),
    [
        (lambda folder: os.utime(folder / "b.tfrecord"), ["b"]),
        (lambda folder: write(folder / "b.tfrecord", small("new"), small("newer")), ["b"]),
        (lambda folder: write(folder / "aa.tfrecord", small("new", None)), ["aa"]),
        (lambda folder: (folder / "a.tfrecord").unlink(), []),
        (lambda folder: [(folder / f"{name}.tfrecord").unlink() for name in "ab"], []),
        (lambda folder: (folder / "a.tfrecord").rename(folder / "d.tfrecord"), ["d"]),
    ],
    ids=["touched", "rewritten", "added", "removed", "all but one removed", "renamed"],
)
def test_only_changed_shards_are_indexed_when_a_shard_is(
    folder: Path, read_shards: list[str], change: Callable[[Path], object], reindexed: list[str], own_workspace: Path
) -> None:
    indexed(folder)
    read_shards.clear()
    change(folder)
    for reopened in (indexed(folder), indexed(folder)):
        assert read_shards == reindexed
        os.environ["YT8M_HOME"], home = str(own_workspace / "fresh"), os.environ["YT8M_HOME"]
        read_before = read_shards.copy()
        fresh = indexed(folder)
        read_shards[:] = read_before
        os.environ["YT8M_HOME"] = home
        assert (reopened.schema, reopened.shards) == (fresh.schema, fresh.shards)
        assert reopened.table.equals(fresh.table)


@pytest.mark.slow
def test_several_processes_give_the_same_table_as_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = indexed(folder)
    stored_indexes()[0].unlink()
    monkeypatch.setattr(index, "PARALLEL_BYTES", 0)
    reports: list[tuple[int, int]] = []
    table = indexed(
        folder, processes=2, progress=lambda what, done, total, note="": reports.append((done, total))
    ).table
    assert table.equals(expected.table)
    total = sum(path.stat().st_size for path in folder.iterdir())
    assert len(reports) == 3
    assert reports[-1] == (total, total)


@pytest.mark.slow
def test_error_in_a_process_reaches_the_caller_with_its_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (folder / "b.tfrecord").read_bytes()
    (folder / "b.tfrecord").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError) as error:
        indexed(folder)
    message = str(error.value)
    assert message.startswith(f"{folder}/b.tfrecord, record 4, data: ")
    monkeypatch.setattr(index, "PARALLEL_BYTES", 0)
    with pytest.raises(UserError) as error:
        indexed(folder, processes=2)
    assert str(error.value) == message
    assert stored_indexes() == []


@pytest.mark.slow
@pytest.mark.fault
def test_index_is_built_when_a_script_has_no_main_guard(folder: Path) -> None:
    """The worker processes, which import the script, cannot start then; the app's script has no guard."""
    script = folder / "script.py"
    script.write_text(
        "from yt8m_core.data import index\n"
        "index.PARALLEL_BYTES = 0\n"
        f"print(len(index.open_index({str(folder)!r}, streams={FRAME_STREAMS}, processes=2).table))\n"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "15\n", result.stderr


def test_progress_counts_bytes_and_ends_at_the_total(folder: Path) -> None:
    sizes = [path.stat().st_size for path in sorted(folder.iterdir())]
    reports: list[tuple[str, int, int]] = []

    def record(what: str, done: int, total: int, note: str = "") -> None:
        reports.append((what, done, total))

    indexed(folder, progress=record)
    assert reports == [(f"indexing {folder}", sum(sizes[: i + 1]), sum(sizes)) for i in range(3)]
    reports.clear()
    os.utime(folder / "b.tfrecord")
    indexed(folder, progress=record)
    assert reports == [(f"indexing {folder}", sum(sizes), sum(sizes))]


def stored_table(path: Path) -> pa.Table:
    return pq.read_table(io.BytesIO(path.read_bytes()[: -index_store.CHECKSUM_SIZE]))


def store_table(path: Path, table: pa.Table) -> None:
    """Replace the table of a stored index, with the right checksum."""
    pq.write_table(table, path)
    content = path.read_bytes()
    path.write_bytes(content + index_store._checksum(pa.py_buffer(content)))


def another_table(path: Path) -> None:
    """Keep the metadata, but replace the columns."""
    metadata = stored_table(path).schema.metadata
    store_table(path, pa.table({"id": ["a"]}).replace_schema_metadata(metadata))


def another_format(path: Path) -> None:
    table = stored_table(path)
    metadata = table.schema.metadata[b"yt8m"].replace(b'"format": ', b'"format": 9')
    store_table(path, table.replace_schema_metadata({"yt8m": metadata}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PAR1"),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: store_table(path, pa.table({"id": ["a"]})),
        lambda path: store_table(path, pa.table({"id": ["a"]}).replace_schema_metadata({"yt8m": "[]"})),
        another_table,
        another_format,
    ],
    ids=["empty", "short", "cut", "half", "foreign", "foreign metadata", "another table", "another format"],
)
def test_index_is_rebuilt_when_the_stored_one_is(
    folder: Path, read_shards: list[str], damage: Callable[[Path], object]
) -> None:
    good = indexed(folder)
    read_shards.clear()
    damage(stored_indexes()[0])
    assert indexed(folder).table.equals(good.table)
    assert read_shards == ["a", "b", "c"]
    read_shards.clear()
    assert indexed(folder).table.equals(good.table)
    assert read_shards == []


@pytest.mark.fault
def test_index_is_rebuilt_when_any_bit_of_its_columns_has_flipped(folder: Path) -> None:
    """Otherwise features would silently be read from the wrong offsets."""
    good, path = indexed(folder), stored_indexes()[0]
    content = path.read_bytes()
    end = len(content) - index_store.CHECKSUM_SIZE
    footer = end - 8 - int.from_bytes(content[end - 8 : end - 4], "little")
    for position in range(4, footer, 7):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        read = index_store.read_index(path)
        assert read is None or read.table.equals(good.table), position
    assert position > 500


@pytest.mark.fault
def test_index_is_rebuilt_when_any_bit_of_its_footer_has_flipped(folder: Path) -> None:
    """The footer has the shards, the streams, the skipped records, and where each column lies."""
    path = (indexed(folder), stored_indexes()[0])[1]
    content = path.read_bytes()
    end = len(content) - index_store.CHECKSUM_SIZE
    for position in range(end - 8 - int.from_bytes(content[end - 8 : end - 4], "little"), len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        assert index_store.read_index(path) is None, position
    for size in (0, 3, 4, 100, end):
        path.write_bytes(content[:size])
        assert index_store.read_index(path) is None, size
    path.write_bytes(content)
    assert index_store.read_index(path) is not None


@pytest.mark.fault
def test_index_is_complete_when_threads_build_it_at_the_same_time(folder: Path) -> None:
    built: list[Index] = []
    for _ in range(10):
        for path in stored_indexes():
            path.unlink()
        threads = [threading.Thread(target=lambda: built.append(indexed(folder))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(stored_indexes()) == 1
    assert len(built) == 40


def test_error_says_what_to_do_when_the_workspace_is_not_writable(folder: Path, own_workspace: Path) -> None:
    own_workspace.write_text("a file instead of a folder")
    with pytest.raises(UserError, match="YT8M_HOME"):
        indexed(folder)


def test_data_folder_is_unchanged_when_indexed(folder: Path) -> None:
    folder.chmod(0o555)
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]}
    indexed(folder)
    folder.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.iterdir()]} == before
