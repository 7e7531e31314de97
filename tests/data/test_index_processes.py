"""The index and the label statistics in several processes of torchrun, and after an interruption."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny import STREAMS, write_tiny
from tests.support.torchrun import run_torchrun
from yt8m_core.data import index
from yt8m_core.data.index import open_index
from yt8m_core.data.index_store import read_index

OPTIONS = ("--streams", *(f"{name}:{width}" for name, width in STREAMS))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write 300 videos in five shards."""
    return write_tiny(tmp_path / "data", 300, seed=1, shards=5)


@pytest.mark.slow
def test_index_and_label_statistics_do_not_depend_on_the_number_of_processes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexes, outputs = [], []
    for processes in (1, 2, 4):
        home = tmp_path / f"home{processes}"
        monkeypatch.setenv("YT8M_HOME", str(home))
        ((code, output, errors),) = run_torchrun("yt8m_core", "labels", data, *OPTIONS, processes=processes)
        assert code == 0, errors
        (stored,) = (home / "index").iterdir()
        indexes.append(stored.read_bytes())
        outputs.append(output)
        assert not list(home.glob("parts/*"))
    assert indexes[0] == indexes[1] == indexes[2]
    assert "300 videos with 6 of 6 labels" in outputs[0]
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.fault
def test_interrupted_index_goes_on_from_its_shards(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, indexed = index.index_shard, []

    def record(shard: Any, *options: Any) -> Any:
        indexed.append(Path(shard.path).name)
        if len(indexed) == 4:
            raise SystemExit
        return read(shard, *options)

    monkeypatch.setattr(index, "index_shard", record)
    monkeypatch.setattr(index, "PARALLEL_BYTES", 0)
    with pytest.raises(SystemExit):
        open_index(data, streams=STREAMS, processes=1)
    found = open_index(data, streams=STREAMS, processes=1)
    assert indexed == ["data0.tfrecord", "data1.tfrecord", "data2.tfrecord", *["data3.tfrecord"] * 2, "data4.tfrecord"]
    file = index.index_file(data, STREAMS)
    assert [path.name for path in file.parent.glob("*") if file.stem in path.name] == [file.name]
    monkeypatch.setattr(index, "PARALLEL_BYTES", 1 << 40)
    file.unlink()
    assert open_index(data, streams=STREAMS).table.equals(found.table)
    assert read_index(file) == found
