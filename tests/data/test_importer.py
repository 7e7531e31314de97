"""Imports: every format gives the same videos, whatever the layout of the labels; damage is left out and listed."""

import csv
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.data.test_upload_mediapipe import features_pb
from tests.support.command import yt8m
from tests.support.shards import framed
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.importer import run as importer_run
from yt8m_core.data.importer.plan import Plan, make_plan
from yt8m_core.data.importer.run import ImportResult, import_features
from yt8m_core.data.importer.units import is_validation
from yt8m_core.data.quantization import quantize
from yt8m_core.data.tfrecord.encode import encode_example, encode_sequence_example
from yt8m_core.data.vocabulary import read_vocabulary
from yt8m_core.errors import UserError

Array = NDArray[Any]
NAMES = ("rain", "wind", "speech, man speaking")


@dataclass(frozen=True)
class Video:
    """A video of the tests: uint8 or float features, [T, dim] or [dim]."""

    id: str
    labels: tuple[int, ...]
    rgb: Array
    audio: Array

    @property
    def arrays(self) -> dict[str, Array]:
        return {"rgb": self.rgb, "audio": self.audio}


def make_videos(kind: str, count: int = 8) -> list[Video]:
    """Return videos with frames of bytes, frames of floats, or one float vector each."""
    random = np.random.default_rng(0)
    videos = []
    for number in range(count):
        T = int(random.integers(1, 6))
        arrays = [random.integers(0, 256, (T, dim), dtype=np.uint8) for dim in (1024, 128)]
        if kind != "bytes":
            arrays = [(array / 255 - 0.3).astype(np.float32) for array in arrays]
        if kind == "vectors":
            arrays = [array[0] for array in arrays]
        labels = tuple(sorted({number % 3, number % 2}))
        videos.append(Video(f"v{number:02d}", labels, *arrays))
    return videos


def npz_files(folder: Path, videos: list[Video], compressed: bool = False) -> None:
    for video in videos:
        save = np.savez_compressed if compressed else np.savez
        save(folder / f"{video.id}.npz", **video.arrays)  # type: ignore[arg-type]


def unnamed_npz_files(folder: Path, videos: list[Video]) -> None:
    for video in videos:
        np.savez(folder / f"{video.id}.npz", video.rgb, video.audio)


def npy_files(folder: Path, videos: list[Video]) -> None:
    for video in videos:
        np.save(folder / f"{video.id}.npy", np.concatenate([video.rgb, video.audio], axis=-1))


def stacked(videos: list[Video]) -> dict[str, Array]:
    """Return arrays of all videos side by side, which then need equally many frames."""
    ids = np.array([video.id for video in videos])
    return {name: np.stack([video.arrays[name] for video in videos]) for name in ("rgb", "audio")} | {"ids": ids}


def stacked_npz(folder: Path, videos: list[Video]) -> None:
    np.savez(folder / "all.npz", **stacked(videos))  # type: ignore[arg-type]


def hdf5_groups(folder: Path, videos: list[Video]) -> None:
    with h5py.File(folder / "all.h5", "w") as file:
        for video in videos:
            for name, array in video.arrays.items():
                file[f"{video.id}/{name}"] = array


def stacked_hdf5(folder: Path, videos: list[Video]) -> None:
    with h5py.File(folder / "all.hdf5", "w") as file:
        for name, array in stacked(videos).items():
            file[name] = array.astype("S") if name == "ids" else array


def table(videos: list[Video]) -> pa.Table:
    columns: dict[str, Any] = {"id": [video.id for video in videos]}
    for name in ("rgb", "audio"):
        arrays = [video.arrays[name] for video in videos]
        kind: pa.DataType = pa.from_numpy_dtype(arrays[0].dtype)
        kind = pa.list_(pa.list_(kind)) if arrays[0].ndim == 2 else pa.list_(kind)
        columns[name] = pa.array([array.tolist() for array in arrays], kind)
    return pa.table(columns)


def parquet(folder: Path, videos: list[Video]) -> None:
    pq.write_table(table(videos), folder / "all.parquet", row_group_size=3)


def arrow_file(folder: Path, videos: list[Video]) -> None:
    with pa.ipc.new_file(folder / "all.arrow", table(videos).schema) as writer:
        writer.write_table(table(videos), max_chunksize=3)


def arrow_stream(folder: Path, videos: list[Video]) -> None:
    """Write what `datasets` saves on disk: streams of Arrow, and files of JSON."""
    half = len(videos) // 2
    for number, part in enumerate((videos[:half], videos[half:])):
        with pa.ipc.new_stream(folder / f"data-{number:05d}-of-00002.arrow", table(part).schema) as writer:
            writer.write_table(table(part))
    (folder / "state.json").write_text("{}")


def webdataset(folder: Path, videos: list[Video]) -> None:
    with tarfile.open(folder / "all.tar", "w") as archive:
        for video in videos:
            for name, array in video.arrays.items():
                add_member(archive, f"{video.id}.{name}.npy", npy(array))


def webdataset_npz(folder: Path, videos: list[Video]) -> None:
    with tarfile.open(folder / "all.tar", "w") as archive:
        for video in videos:
            file = io.BytesIO()
            np.savez(file, **video.arrays)  # type: ignore[arg-type]
            add_member(archive, f"./{video.id}.npz", file.getvalue())


def records(folder: Path, videos: list[Video]) -> None:
    payloads = []
    for video in videos:
        if video.rgb.ndim == 1:
            payloads.append(encode_example({"id": video.id.encode(), "mean_rgb": video.rgb, "mean_audio": video.audio}))
        else:
            payloads.append(encode_sequence_example({"id": video.id.encode()}, video.arrays))
    (folder / "all.tfrecord").write_bytes(framed(*payloads))


def npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


FEATURES: Mapping[str, Callable[[Path, list[Video]], None]] = {
    "npz": npz_files,
    "compressed npz": lambda folder, videos: npz_files(folder, videos, compressed=True),
    "unnamed npz": unnamed_npz_files,
    "npy": npy_files,
    "HDF5 groups": hdf5_groups,
    "Parquet": parquet,
    "Arrow file": arrow_file,
    "Arrow streams": arrow_stream,
    "WebDataset": webdataset,
    "WebDataset npz": webdataset_npz,
    "TFRecord": records,
}


def long_csv(folder: Path, videos: list[Video]) -> Path:
    return write_csv(folder, ["video_id", "label"], [(video.id, n) for video in videos for n in video.labels])


def write_csv(folder: Path, header: list[str], rows: list[Any], delimiter: str = ",") -> Path:
    path = folder.parent / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([header, *rows])
    return path


def names_of(video: Video) -> list[str]:
    return [NAMES[label] for label in video.labels]


def wide_rows(videos: list[Video]) -> list[Any]:
    return [(video.id, *(int(label in video.labels) for label in range(3))) for video in videos]


def json_file(folder: Path, values: Any) -> Path:
    path = folder.parent / "labels.json"
    path.write_text(json.dumps(values))
    return path


def parquet_labels(folder: Path, values: dict[str, Any]) -> Path:
    path = folder.parent / "labels.parquet"
    pd.DataFrame(values).to_parquet(path)
    return path


LABELS: Mapping[str, Callable[[Path, list[Video]], Path]] = {
    "long ids": long_csv,
    "long names": lambda f, v: write_csv(f, ["file", "label"], [(f"{x.id}.mp4", n) for x in v for n in names_of(x)]),
    "semicolons": lambda f, v: write_csv(f, ["id", "labels"], [(x.id, "|".join(names_of(x))) for x in v], ";"),
    "lists of ids": lambda f, v: write_csv(f, ["id", "labels"], [(x.id, " ".join(map(str, x.labels))) for x in v]),
    "JSON lists in CSV": lambda f, v: write_csv(f, ["id", "tags"], [(x.id, json.dumps(names_of(x))) for x in v]),
    "wide": lambda f, v: write_csv(f, ["id", *NAMES], wide_rows(v), "\t"),
    "JSON by id": lambda f, v: json_file(f, {x.id: names_of(x) for x in v}),
    "JSON rows": lambda f, v: json_file(f, [{"id": x.id, "labels": list(x.labels)} for x in v]),
    "Parquet lists": lambda f, v: parquet_labels(f, {"id": [x.id for x in v], "labels": [names_of(x) for x in v]}),
    "Parquet wide": lambda f, v: parquet_labels(
        f, {"id": [x.id for x in v]} | {n: [i in x.labels for x in v] for i, n in enumerate(NAMES)}
    ),
}


@pytest.fixture
def features(tmp_path: Path) -> Path:
    folder = tmp_path / "features"
    folder.mkdir()
    return folder


def run(features: Path, labels: Path | None = None, **options: Any) -> tuple[Plan, ImportResult]:
    plan = make_plan(features, features.parent / "data", labels=labels, **options)
    return plan, import_features(plan)


def imported(features: Path) -> dict[str, tuple[Videos, int]]:
    """Return the data set and the position of each video."""
    found = {}
    for split in ("train", "validate"):
        if (folder := features.parent / "data" / split).is_dir() and list(folder.iterdir()):
            videos = open_videos(folder)
            found |= {video_id: (videos, position) for position, video_id in enumerate(videos.ids)}
    return found


def assert_same(features: Path, videos: list[Video], names: tuple[str, ...] = ()) -> None:
    """Compare every video with what was imported, bit by bit."""
    found = imported(features)
    assert sorted(found) == sorted(video.id for video in videos)
    vocabulary = read_vocabulary(features.parent / "data" / "vocabulary.csv")
    for video in videos:
        data, position = found[video.id]
        expected = np.atleast_2d(np.concatenate([video.rgb, video.audio], axis=-1))
        assert data.frames(position).dtype == expected.dtype
        assert (data.frames(position) == expected).all()
        labels = data.labels(position).tolist()
        if names:
            assert {vocabulary.names[label] for label in labels} == {names[label] for label in video.labels}
        else:
            assert labels == list(video.labels)


@pytest.mark.parametrize("kind", ["bytes", "floats", "vectors"])
@pytest.mark.parametrize("layout", FEATURES)
def test_every_format_gives_the_same_videos(features: Path, layout: str, kind: str) -> None:
    videos = make_videos(kind)
    FEATURES[layout](features, videos)
    plan, result = run(features, long_csv(features, videos))
    assert plan.job.schema.level == ("video" if kind == "vectors" else "frame")
    assert sum(result.videos.values()) == len(videos)
    assert (result.report.left_out, result.report.unlabeled, result.duplicates) == (0, 0, [])
    assert_same(features, videos)
    assert "v00: " in plan.describe()


@pytest.mark.parametrize("layout", LABELS)
def test_every_layout_of_the_labels_is_understood(features: Path, layout: str) -> None:
    videos = make_videos("bytes")
    npz_files(features, videos)
    plan, _ = run(features, LABELS[layout](features, videos))
    has_names = plan.vocabulary is not None
    assert has_names == ("ids" not in layout and layout != "JSON rows")
    assert_same(features, videos, NAMES if has_names else ())


@pytest.mark.parametrize("stack", [stacked_npz, stacked_hdf5])
@pytest.mark.parametrize("kind", ["bytes", "vectors"])
def test_arrays_of_many_videos_are_divided(
    features: Path, stack: Callable[[Path, list[Video]], None], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [Video(v.id, v.labels, v.rgb[:1], v.audio[:1]) if kind == "bytes" else v for v in make_videos(kind)]
    stack(features, videos)
    labels = long_csv(features, videos)
    run(features, labels)
    assert_same(features, videos)
    shards = len(list((features.parent / "data").rglob("*.tfrecord")))
    monkeypatch.setattr("yt8m_core.data.importer.sources.UNIT_BYTES", 3000)
    _, result = run(features, labels)
    assert len(list((features.parent / "data").rglob("*.tfrecord"))) > shards
    assert sum(result.videos.values()) == len(videos)
    assert_same(features, videos)


def test_labels_of_the_feature_files_are_used_without_a_label_table(features: Path) -> None:
    videos = make_videos("bytes")
    with tarfile.open(features / "a.tar", "w") as archive:
        for video in videos[:4]:
            add_member(archive, f"{video.id}.json", json.dumps({"labels": list(video.labels)}).encode())
            add_member(archive, f"{video.id}.rgb.npy", npy(video.rgb))
            add_member(archive, f"{video.id}.audio.npy", npy(video.audio))
    for video in videos[4:]:
        np.savez(features / f"{video.id}.npz", **video.arrays, labels=np.array(video.labels))  # type: ignore[arg-type]
    plan, result = run(features)
    assert plan.vocabulary is None
    assert result.report.unlabeled == 0
    assert_same(features, videos)


def test_names_in_the_feature_files_are_numbered_by_frequency(features: Path) -> None:
    """As ClassLabel columns of `datasets`, whose ids are numbers of names in the metadata."""
    videos = make_videos("vectors")
    metadata = {"info": {"features": {"labels": {"feature": {"names": list(NAMES), "_type": "ClassLabel"}}}}}
    with_labels = table(videos).append_column("labels", pa.array([list(video.labels) for video in videos]))
    with_labels = with_labels.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    with pa.ipc.new_stream(features / "data.arrow", with_labels.schema) as writer:
        writer.write_table(with_labels)
    plan, _ = run(features)
    assert plan.vocabulary is not None
    assert plan.vocabulary.names[0] == max(NAMES, key=[n for video in videos for n in names_of(video)].count)
    assert_same(features, videos, NAMES)


def test_mediapipe_features_are_quantized_and_said_so(features: Path) -> None:
    random = np.random.default_rng(0)
    rgb, audio = (random.normal(0, 1.5, (3, dim)).astype(np.float32) for dim in (1024, 128))
    content = features_pb(rgb=rgb, audio=audio, path=b"/clips/a.mp4")
    (features / "one.pb").write_bytes(content)
    (features / "more.tfrecord").write_bytes(framed(features_pb(rgb=rgb[:1], audio=audio[:1], path=b"/clips/b.mp4")))
    _, result = run(features, split=0.0)
    assert "2 videos: MediaPipe features: clipped to [-2, 2]" in result.describe()
    videos = open_videos(features.parent / "data" / "train")
    assert sorted(videos.ids) == ["a", "b"]
    assert (videos.frames(videos.ids.index("a")) == quantize(np.concatenate([rgb, audio], axis=1))).all()


def test_floats_are_quantized_on_request_with_the_loss_stated(features: Path) -> None:
    random = np.random.default_rng(0)
    values = random.normal(0, 1.2, (50, 1152)).astype(np.float32)
    np.savez(features / "a.npz", rgb=values[:, :1024], audio=values[:, 1024:])
    plan, result = run(features, quantize=True)
    assert not plan.job.schema.has_float_frames
    conversion = result.report.conversion
    assert (conversion["quantized"], conversion["clipped"]) == (values.size, int((abs(values) > 2).sum()))
    assert 0.007 < conversion["largest_error"] <= 1 / 127.5 + 1e-4  # 255 is 2.008, as in Google's dequantizer
    assert f"{(abs(values) > 2).mean():.2%} of the values were outside [-2, 2]" in result.describe()


def test_own_streams_keep_their_names(features: Path) -> None:
    for number in range(3):
        np.savez(features / f"v{number}.npz", clip=np.ones((4, 16), np.float32) * number, motion=np.ones((4, 3)))
    plan, result = run(features, split=0.0)
    assert (plan.job.schema.streams, plan.job.schema.has_float_frames) == ((("clip", 16), ("motion", 3)), True)
    assert result.feature_verdict == ""
    named = make_plan(features, features.parent / "other", streams=(("motion", 3),))
    assert named.job.schema.streams == (("motion", 3),)
    with pytest.raises(UserError, match=r"found the arrays 'clip' \[4, 16\].*expected text \(7\)"):
        make_plan(features, features.parent / "other", streams=(("text", 7),))


def test_splits_and_ids_do_not_depend_on_the_format(features: Path, tmp_path: Path) -> None:
    videos = make_videos("bytes", 40)
    parquet(features, videos)
    run(features)
    validation = set(open_videos(tmp_path / "data" / "validate").ids)
    assert validation == {video.id for video in videos if is_validation(video.id, 0.2)}
    _, result = run(features, split=0.0)  # a changed import replaces what it has written
    assert result.videos == {"train": 40}
    assert not list((tmp_path / "data" / "validate").iterdir())


@pytest.mark.fault
def test_bad_videos_are_left_out_with_the_reason(features: Path) -> None:
    videos = make_videos("bytes")
    npz_files(features, videos)
    (features / "broken.npz").write_bytes(b"PK\x03\x04 this is no archive")
    (features / "pickle.npz").write_bytes(b"\x80\x04 neither is this")
    np.savez(features / "other.npz", rgb=np.zeros((2, 7), np.uint8))
    np.savez(features / "nan.npz", rgb=np.full((2, 1024), np.nan), audio=np.zeros((2, 128)))
    np.savez(features / "huge.npz", rgb=np.full((2, 1024), 3e38, np.float32), audio=np.zeros((2, 128)))
    damaged = bytearray((features / "v03.npz").read_bytes())
    damaged[600] ^= 1
    (features / "v03.npz").write_bytes(damaged)
    _, result = run(features, long_csv(features, videos))
    assert result.report.left_out == 6
    text = result.describe()
    assert "6 videos or files could not be used" in text
    assert "broken.npz: found cannot be read" in text
    assert "'rgb': found nan in frame 0" in text
    assert "expected numbers of at most 1e+12 in magnitude" in text
    assert "other.npz, 'rgb': found the shape (2, 7); expected (T, 1024)" in text
    assert "'rgb.npy': a wrong checksum" in text
    assert_same(features, [video for video in videos if video.id != "v03"])


@pytest.mark.fault
def test_repeated_ids_keep_the_first_video(features: Path) -> None:
    videos = make_videos("bytes")
    records(features, videos)
    (features / "more.tfrecord").write_bytes((features / "all.tfrecord").read_bytes())
    _, result = run(features, long_csv(features, videos))
    assert len(result.duplicates) == len(videos)
    assert "8 videos have the id of an earlier one and were left out:" in result.describe()
    assert_same(features, videos)


@pytest.mark.fault
def test_interrupted_import_resumes_and_converts_only_what_is_missing(
    features: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = make_videos("bytes")
    npz_files(features, videos)
    labels = long_csv(features, videos)
    monkeypatch.setattr("yt8m_core.data.importer.sources.UNIT_FILES", 2)
    converted: list[int] = []
    convert = importer_run.convert_unit

    def stop_after_two(job: Any, number: int, *arguments: Any) -> Any:
        if len(converted) == 2:
            raise KeyboardInterrupt
        converted.append(number)
        return convert(job, number, *arguments)

    monkeypatch.setattr(importer_run, "convert_unit", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        run(features, labels)
    written = {path: path.stat().st_mtime_ns for path in (features.parent / "data").rglob("*.tfrecord")}
    assert written
    assert not (features.parent / "data" / "import.json").exists()
    monkeypatch.setattr(importer_run, "convert_unit", convert)
    run(features, labels)
    assert_same(features, videos)
    assert {path: path.stat().st_mtime_ns for path in written} == written

    changed = Video(videos[5].id, videos[5].labels, videos[5].rgb[::-1], videos[5].audio)
    npz_files(features, [changed])
    run(features, labels)
    assert_same(features, [*videos[:5], changed, *videos[6:]])
    others = [path for path in written if path.name != "part-00002.tfrecord"]
    assert [path.stat().st_mtime_ns for path in others] == [written[path] for path in others]


@pytest.mark.slow
def test_several_processes_write_the_same_shards(features: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = make_videos("bytes", 12)
    npz_files(features, videos)
    labels = long_csv(features, videos)
    monkeypatch.setattr("yt8m_core.data.importer.sources.UNIT_FILES", 5)
    shards = []
    for processes in (1, 2):
        monkeypatch.setattr(importer_run, "PARALLEL_BYTES", 0 if processes == 2 else 1 << 40)
        output = features.parent / f"data {processes}"
        import_features(make_plan(features, output, labels=labels), processes=processes)
        shards.append({p.relative_to(output): p.read_bytes() for p in output.rglob("*.tfrecord")})
    assert len(shards[0]) > 3
    assert shards[0] == shards[1]


@pytest.mark.fault
@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: None, "no feature files; expected files that end in .npz"),
        (lambda folder: (folder / "a.pkl").write_bytes(b"\x80\x04"), "Pickles are never opened: docs/data.md"),
        (lambda folder: np.savez(folder / "a.npz", title="text"), "found no features; expected arrays"),
        (lambda folder: (folder / "a.npz").write_bytes(b""), "a.npz: found cannot be read"),
        (lambda folder: (folder / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n"), "expected an HDF5 file"),
        (lambda folder: (folder / "a.parquet").write_bytes(b"PAR1"), "expected a Parquet file"),
        (lambda folder: (folder / "a.arrow").write_bytes(b"ARROW1"), "expected an Arrow file"),
        (lambda folder: (folder / "a.tar").write_bytes(b"no tar"), "expected a tar archive"),
        (lambda folder: (folder / "a.tfrecord").write_bytes(b"no record at all"), "wrong checksum"),
        (lambda folder: (folder / "a.pb").write_bytes(b"\x0a\xff"), "a damaged message"),
    ],
)
def test_unusable_features_are_refused(features: Path, prepare: Callable[[Path], Any], message: str) -> None:
    prepare(features)
    with pytest.raises(UserError) as error:
        run(features)
    assert message in str(error.value)
    assert not (features.parent / "data").exists()


@pytest.mark.fault
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read"),
        ("id,label\n", "0 rows and the columns"),
        ("id,a,b\nv00,0,2\n", "in 'b' '2'; expected a column of labels, or a column of 0 and 1"),
        (
            "id,label\nx1,rain\nx2,rain\n",
            "no labels for the first videos, 'v00', 'v01', 'v02'; the table has 'x1', 'x2'",
        ),
        ('id,label\n"v00,rain\n', "cannot be read"),
    ],
)
def test_unclear_labels_are_refused(features: Path, content: str, message: str) -> None:
    npz_files(features, make_videos("bytes"))
    (features.parent / "labels.csv").write_text(content)
    with pytest.raises(UserError) as error:
        run(features, features.parent / "labels.csv")
    assert message in str(error.value)
    with pytest.raises(UserError, match="unknown column 'tags'"):
        run(features, long_csv(features, make_videos("bytes")), label_column="tags")


@pytest.mark.fault
def test_output_folder_with_other_files_is_refused(features: Path) -> None:
    npz_files(features, make_videos("bytes"))
    (features.parent / "data").mkdir()
    (features.parent / "data" / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"a folder with thesis\.tex; expected an empty folder, or an earlier import"):
        run(features)


def test_labels_of_a_vocabulary_keep_its_ids(features: Path) -> None:
    videos = make_videos("bytes")
    npz_files(features, videos)
    vocabulary = features.parent / "names.csv"
    vocabulary.write_text(
        'Index,TrainVideoCount,Name,Vertical1\n0,,rain,\n1,,wind,\n2,,"speech, man speaking",\n3,,unused,\n'
    )
    plan, result = run(features, LABELS["long names"](features, videos), vocabulary=vocabulary)
    assert (result.num_classes, plan.vocabulary is not None) == (4, True)
    assert_same(features, videos)
    vocabulary.write_text("Index,TrainVideoCount,Name,Vertical1\n0,,rain,\n")
    with pytest.raises(UserError, match=r"2 labels that are not in .*names\.csv, the first: 'wind'|'speech"):
        run(features, LABELS["long names"](features, videos), vocabulary=vocabulary)


@pytest.mark.parametrize(("answer", "converts"), [("y", True), ("", False), ("n", False)])
def test_command_shows_the_first_videos_and_asks_on_a_terminal(
    features: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, converts: bool
) -> None:
    npz_files(features, make_videos("bytes"))
    questions: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or answer)
    command = ("import", features, "--output", features.parent / "data")
    if converts:
        yt8m(monkeypatch, *command)
        assert "6 training and 2 validation videos" in capsys.readouterr().out
    else:
        with pytest.raises(SystemExit, match="nothing was converted"):
            yt8m(monkeypatch, *command)
        assert "  v02: rgb [" in capsys.readouterr().out
    assert (features.parent / "data").exists() == converts
    assert questions == ["\nConvert? [y/N] "]
    yt8m(monkeypatch, *command, "--yes")
    assert len(questions) == 1
