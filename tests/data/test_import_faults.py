"""Faults of feature files: one bad video never takes others with it, and the machine's errors are not remembered."""

import io
import json
import os
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.data.test_upload_mediapipe import features_pb
from tests.support.command import yt8m
from tests.support.shards import framed
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.importer import sources, tar_source
from yt8m_core.data.importer.plan import make_plan
from yt8m_core.data.importer.run import ImportResult, import_features
from yt8m_core.data.importer.sources import divide, find_parts
from yt8m_core.data.tfrecord.encode import encode_sequence_example
from yt8m_core.data.vocabulary import read_vocabulary

VIDEOS = 12
BAD = 5  # number of the video that cannot be used
STREAMS = (("x", 16),)


def frames(number: int) -> NDArray[np.uint8]:
    return np.arange(3 * 16, dtype=np.uint8).reshape(3, 16) + number


def ids(without: int | None = None) -> list[str]:
    return [f"v{number:02d}" for number in range(VIDEOS) if number != without]


def saved(save: Callable[[Any], Any]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def tar_file(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def bad_npz(folder: Path) -> None:
    labels = np.full((VIDEOS, 3), 3)
    labels[BAD] = [1, 2_000_000, 0]
    np.savez(folder / "a.npz", x=np.stack([frames(n) for n in range(VIDEOS)]), ids=np.array(ids()), labels=labels)


def bad_hdf5(folder: Path) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        for number, name in enumerate(ids()):
            file[f"{name}/x"] = frames(number)
            file[f"{name}/labels"] = np.array([2_000_000 if number == BAD else 3])


def write_table(path: Path, labels: list[Any]) -> None:
    kind = pa.list_(pa.list_(pa.uint8()))
    columns = {
        "id": ids(),
        "x": pa.array([frames(n).tolist() for n in range(VIDEOS)], kind),
        "labels": pa.array(labels),
    }
    pq.write_table(pa.table(columns), path)


def bad_parquet(folder: Path) -> None:
    write_table(folder / "a.parquet", [[-2 if number == BAD else 3] for number in range(VIDEOS)])


def bad_tar(folder: Path) -> None:
    members = {}
    for number, name in enumerate(ids()):
        members[f"{name}.json"] = b"{bad" if number == BAD else b"[3]"
        members[f"{name}.x.npy"] = saved(lambda file, n=number: np.save(file, frames(n)))
    tar_file(folder / "a.tar", members)


def bad_zip_in_tar(folder: Path) -> None:
    members = {}
    for number, name in enumerate(ids()):
        content = saved(lambda file, n=number: np.savez(file, x=frames(n), labels=np.array([3])))
        members[f"{name}.npz"] = content[:100] if number == BAD else content
    tar_file(folder / "a.tar", members)


def records() -> list[bytes]:
    return [
        encode_sequence_example({"id": name.encode(), "labels": [3]}, {"x": frames(number)})
        for number, name in enumerate(ids())
    ]


def bad_record(folder: Path) -> None:
    payloads = records()
    payloads[BAD] = encode_sequence_example({"id": b"a", "labels": [0, 1, 0, 0]}, {"x": frames(BAD)})
    (folder / "a.tfrecord").write_bytes(framed(*payloads))


def damaged_record(folder: Path) -> None:
    payloads = records()
    content = bytearray(framed(*payloads))
    content[len(framed(*payloads[:BAD])) + 60] ^= 1
    (folder / "a.tfrecord").write_bytes(content)


@pytest.fixture
def features(tmp_path: Path) -> Path:
    folder = tmp_path / "features"
    folder.mkdir()
    return folder


def run(features: Path, **options: Any) -> ImportResult:
    return import_features(make_plan(features, features.parent / "data", **{"split": 0.0, **options}))


def imported(features: Path) -> dict[str, list[int]]:
    """Return the labels of the imported videos by id."""
    videos = open_videos(features.parent / "data" / "train", streams=STREAMS)
    return {videos.id(video): videos.labels(video).tolist() for video in range(len(videos))}


@pytest.mark.fault
@pytest.mark.parametrize(
    "prepare", [bad_npz, bad_hdf5, bad_parquet, bad_tar, bad_zip_in_tar, bad_record, damaged_record]
)
def test_one_bad_video_does_not_end_its_file(features: Path, prepare: Callable[[Path], None]) -> None:
    prepare(features)
    result = run(features)
    assert imported(features) == {name: [3] for name in ids(without=BAD)}
    assert (result.report.left_out, len(result.report.reasons)) == (1, 1)
    assert "The rest" not in result.report.reasons[0]


@pytest.mark.fault
def test_damaged_container_says_that_its_rest_is_left_out(features: Path) -> None:
    content = framed(*records())
    (features / "a.tfrecord").write_bytes(content[: len(framed(*records()[:BAD])) + 20])
    members = {f"w{number}.x.npy": saved(lambda file, n=number: np.save(file, frames(n))) for number in range(9)}
    tar_file(features / "b.tar", members)
    (features / "b.tar").write_bytes((features / "b.tar").read_bytes()[:4000])
    result = run(features)
    assert len(imported(features)) > BAD
    assert "The rest of the file is left out, after 5 videos." in result.report.reasons[0]
    assert "The rest of the file is left out, after " in result.report.reasons[1]


def test_labels_of_a_webdataset_are_not_erased_by_its_arrays(features: Path) -> None:
    arrays = saved(lambda file: np.savez(file, x=frames(0)))
    tar_file(features / "a.tar", {"a.json": b'{"labels": [4]}', "a.npz": arrays, "b.npz": arrays, "b.cls": b"2"})
    run(features)
    assert imported(features) == {"a": [4], "b": [2]}


@pytest.mark.fault
def test_label_table_replaces_all_own_labels(features: Path) -> None:
    for name in ids():
        np.savez(features / f"{name}.npz", x=frames(0), labels=np.array([1]))
    table = features.parent / "labels.csv"
    table.write_text("id,label\nv00,ape\nv01,zebra\nv02,zebra\n")
    result = run(features, labels=table)
    names = read_vocabulary(features.parent / "data" / "vocabulary.csv").names
    labels = {name: [names[label] for label in found] for name, found in imported(features).items()}
    assert labels == {name: [] for name in ids()} | {"v00": ["ape"], "v01": ["zebra"], "v02": ["zebra"]}
    assert result.report.unlabeled == VIDEOS - 3


@pytest.mark.fault
def test_label_outside_the_vocabulary_leaves_out_one_video(features: Path) -> None:
    for number, name in enumerate(ids()):
        np.savez(features / f"{name}.npz", x=frames(number), labels=np.array([99 if number == BAD else 1]))
    vocabulary = features.parent / "names.csv"
    vocabulary.write_text("id,name\n0,rain\n1,wind\n")
    result = run(features, vocabulary=vocabulary)
    assert imported(features) == {name: [1] for name in ids(without=BAD)}
    assert "found the label 99; expected ids from 0 to 1, as in the vocabulary" in result.report.reasons[0]


@pytest.mark.fault
def test_arrays_of_one_video_may_have_a_first_dimension_of_1(features: Path) -> None:
    np.savez(features / "a.npz", x=frames(0)[None])
    np.save(features / "b.npy", frames(1)[None])
    one, two = (saved(lambda file, n=n: np.save(file, np.stack([frames(2)] * n))) for n in (1, 2))
    tar_file(features / "c.tar", {"c.x.npy": one, "d.x.npy": two})
    result = run(features)
    assert sorted(imported(features)) == ["a", "b", "c"]
    assert "'d': found 2 videos [2, 3, 16]; expected frames of one video" in result.report.reasons[0]


@pytest.mark.fault
@pytest.mark.parametrize("fault", ["no h5py", "read error", "no memory"])
def test_errors_of_the_machine_are_not_remembered(features: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    np.savez(features / "a.npz", x=frames(0))
    with h5py.File(features / "b.h5", "w") as file:
        file["b/x"] = frames(1)
    tar_file(features / "c.tar", {"c.x.npy": saved(lambda file: np.save(file, frames(2)))})

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error") if fault == "read error" else MemoryError

    plan = make_plan(features, features.parent / "data", split=0.0)
    with monkeypatch.context() as patch:
        if fault == "no h5py":
            patch.setitem(sys.modules, "h5py", None)
        elif fault == "read error":
            patch.setattr("yt8m_core.data.importer.tar_source.tarfile.open", fail)
        else:
            patch.setattr(tar_source, "from_arrays", fail)
        assert import_features(plan).report.left_out == 1
    assert import_features(plan).report.left_out == 0
    assert sorted(imported(features)) == ["a", "b", "c"]


@pytest.mark.fault
def test_end_of_input_at_the_question_converts_nothing(features: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(features / "a.npz", x=frames(0))

    def end(question: str) -> str:
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", end)
    with pytest.raises(SystemExit, match="nothing was converted"):
        yt8m(monkeypatch, "import", features, "--output", features.parent / "data")


@pytest.mark.fault
def test_names_that_are_not_unicode_are_shown_with_question_marks(features: Path) -> None:
    np.savez(features / "a.npz", x=frames(0))
    (Path(os.fsdecode(os.fsencode(features) + b"/caf\xe9.npz"))).write_bytes(b"PK damaged")
    (Path(os.fsdecode(os.fsencode(features) + b"/th\xe9.npz"))).write_bytes((features / "a.npz").read_bytes())
    members = {"b.x.npy": saved(lambda file: np.save(file, frames(1))), "b.json": b'["na\\ud800me"]'}
    tar_file(features / "b.tar", members)
    result = run(features)
    assert "caf?.npz: found cannot be read" in result.report.reasons[0]
    assert sorted(imported(features)) == ["a", "b", "th?"]
    assert read_vocabulary(features.parent / "data" / "vocabulary.csv").names == ("na?me",)
    assert "caf?.npz" in json.loads((features.parent / "data" / "import.json").read_text())["text"]


def message() -> bytes:
    """Return a features.pb that does not name its video."""
    return features_pb(rgb=np.full((2, 16), 0.5, np.float32), audio=None, path=None)


def test_videos_without_an_id_get_the_name_of_their_file(features: Path) -> None:
    (features / "clip.pb").write_bytes(message())
    (features / "more.tfrecord").write_bytes(framed(message(), encode_sequence_example({}, {"rgb": frames(0)})))
    assert [video.id for part in find_parts(features) for video in part.read()] == ["clip", "more-0", "more-1"]


@pytest.mark.parametrize("ending", [".bin", ".PARQUET", ".npz"])
def test_content_of_a_file_decides_its_format(features: Path, ending: str) -> None:
    write_table(features / f"a{ending}", [[3]] * VIDEOS)
    import_features(make_plan(features / f"a{ending}", features.parent / "data", split=0.0))
    assert sorted(imported(features)) == ids()
    (features / "features.bin").write_bytes(message())
    assert [video.id for part in find_parts(features / "features.bin") for video in part.read()] == ["features"]


@pytest.mark.fault
def test_links_to_nothing_pipes_own_output_and_caches_are_not_imported(features: Path) -> None:
    np.savez(features / "a.npz", x=frames(0))
    (features / "lost.npz").symlink_to(features / "nothing.npz")
    os.mkfifo(features / "pipe.npz")
    table = pa.table({"id": ["b"], "x": pa.array([frames(1).tolist()], pa.list_(pa.list_(pa.uint8())))})
    for name in ("data-00000-of-00001.arrow", "cache-0123.arrow"):
        with pa.ipc.new_stream(features / name, table.schema) as writer:
            writer.write_table(table)
    (features / "state.json").write_text("{}")
    for _ in range(2):
        result = import_features(make_plan(features, features / "data", split=0.0))
        assert (result.videos, result.duplicates) == ({"train": 2}, [])
        names = [reason.partition(":")[0] for reason in result.report.reasons]
        assert names == [str(features / "lost.npz"), str(features / "pipe.npz")]


@pytest.mark.fault
def test_array_beside_the_groups_of_an_hdf5_file_does_not_hide_them(features: Path) -> None:
    with h5py.File(features / "a.h5", "w") as file:
        for number, name in enumerate(ids()):
            file[f"{name}/x"] = frames(number)
        file["class_prior"] = np.ones(4, np.float32)
    with h5py.File(features / "b.h5", "w") as file:
        file["x"] = np.stack([frames(number) for number in range(3)])
        file["about/version"] = np.ones(1)
    run(features)
    assert sorted(imported(features)) == ["b-0", "b-1", "b-2", *ids()]


@pytest.mark.fault
def test_report_keeps_more_reasons_than_the_screen(features: Path) -> None:
    np.savez(features / "a.npz", x=frames(0))
    for number in range(50):
        (features / f"bad{number:02d}.npz").write_bytes(b"no archive")
    text = run(features).describe()
    assert text.count("bad") == 20
    assert "… and 30 more, of which import.json lists up to 1,000" in text
    stored = json.loads((features.parent / "data" / "import.json").read_text())
    assert len(stored["report"]["reasons"]) == 50


def test_stored_arrays_are_checked_once_and_progress_counts_pieces(
    features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(features / "a.npz", x=np.zeros((1100, 1000, 16), np.uint8))  # more than is read as a whole
    checked: list[int] = []
    crc32 = zlib.crc32
    monkeypatch.setattr("zlib.crc32", lambda data, *rest: checked.append(len(data)) or crc32(data, *rest))
    monkeypatch.setattr(sources, "UNIT_BYTES", 2_000_000)
    done: list[int] = []
    plan = make_plan(features, features.parent / "data", split=0.0)
    import_features(plan, processes=1, progress=lambda task, now, *_: done.append(now) if task == "importing" else None)
    assert len(list(divide(list(plan.parts)))) == len(done) > 5
    assert sum(size for size in checked if size > 1_000_000) <= plan.size
    assert done == sorted(done)
    assert done[0] > 0
    assert done[-1] == plan.size


def test_rows_of_a_parquet_file_are_read_from_their_row_groups_only(
    features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = pa.list_(pa.list_(pa.uint8()))
    table = pa.table({"x": pa.array([frames(number).tolist() for number in range(VIDEOS)], kind)})
    pq.write_table(table, features / "a.parquet", row_group_size=2)
    groups: list[list[int]] = []
    read = pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile,
        "iter_batches",
        lambda file, size, row_groups: groups.append(row_groups) or read(file, size, row_groups=row_groups),
    )
    read_rows = sources.PARQUET.read
    for start, stop, expected in ((0, 2, [0]), (3, 5, [1, 2]), (4, 12, [2, 3, 4, 5]), (11, None, [5])):
        videos = list(read_rows(features / "a.parquet", "a", start, stop))
        assert [getattr(video, "id", "") for video in videos] == [f"a-{row}" for row in range(start, stop or VIDEOS)]
        assert groups.pop() == expected


def test_members_of_hdf5_that_are_no_arrays_are_left_out(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(2):
            file[f"v{number}/x"] = frames(number)
            file[f"v{number}/kind"] = np.dtype("uint8")  # a named type
            file[f"v{number}"].create_dataset(b"\xff", data=frames(number))  # a name that is not UTF-8
        file.create_group(b"\xfe")
    (part,) = find_parts(tmp_path)
    assert [(video.id, list(video.shapes)) for video in part.read()] == [("v0", ["x"]), ("v1", ["x"])]


def test_columns_of_parquet_that_are_no_lists_of_numbers_are_left_out(tmp_path: Path) -> None:
    structs = pa.array([[{"a": 1}]], pa.list_(pa.struct([("a", pa.int64())])))
    pairs = pa.array([[("a", 1.0)]], pa.map_(pa.string(), pa.float64()))
    table = pa.table({"id": ["v0"], "x": [frames(0).tolist()], "structs": structs, "pairs": pairs})
    schema = table.schema.set(1, pa.field("x", pa.list_(pa.list_(pa.uint8()))))
    pq.write_table(table.cast(schema), tmp_path / "a.parquet")
    (part,) = find_parts(tmp_path)
    (video,) = part.read()
    assert list(video.shapes) == ["x"]
