"""Streams and labels that an import takes from arrays: all that are used, and a line on what is not."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from yt8m_core.data.dataset import open_videos
from yt8m_core.data.features.contents import from_arrays
from yt8m_core.data.importer.arrays import ArrayFile
from yt8m_core.data.importer.convert import Conversion, infer_schema
from yt8m_core.data.importer.plan import Plan, make_plan
from yt8m_core.data.importer.run import import_features
from yt8m_core.data.schema import Schema, Streams
from yt8m_core.errors import UserError

T = 30


def frames(dim: int, length: int = T) -> NDArray[Any]:
    return np.random.default_rng(dim).normal(size=(length, dim)).astype(np.float32)


def plan_of(tmp_path: Path, **arrays: NDArray[Any]) -> Plan:
    features = tmp_path / "features"
    features.mkdir(exist_ok=True)
    for number in range(3):
        np.savez(features / f"v{number}.npz", **arrays)  # type: ignore[arg-type]
    return make_plan(features, tmp_path / "data")


@pytest.mark.parametrize("extra", [{"timestamps": np.arange(float(T))}, {"fps": np.array([25.0])}])
def test_vectors_beside_frames_are_no_streams(tmp_path: Path, extra: dict[str, NDArray[Any]]) -> None:
    plan = plan_of(tmp_path, clip=frames(512), **extra)
    ((name, values),) = extra.items()
    assert plan.job.schema.streams == (("clip", 512),)
    assert f"Not used: '{name}' [{len(values)}]" in plan.describe()
    import_features(plan)
    videos = open_videos(tmp_path / "data" / "train", streams=(("clip", 512),))
    assert videos.frames(0).shape == (T, 512)


def test_named_vectors_beside_frames_give_video_level_records(tmp_path: Path) -> None:
    plan_of(tmp_path, clip=frames(512), mean=frames(16)[0])
    plan = make_plan(tmp_path / "features", tmp_path / "data", streams=(("mean", 16),))
    assert (plan.job.schema.level, plan.job.schema.streams) == ("video", (("mean", 16),))


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        ({"rgb": 1024, "flow": 1024}, (("rgb", 1024), ("flow", 1024))),
        ({"rgb": 1024, "audio": 128, "text": 3}, (("rgb", 1024), ("audio", 128), ("text", 3))),
        ({"clip": 128}, (("clip", 128),)),
        ({"clip": 1024}, (("clip", 1024),)),
        ({"audio": 128}, (("audio_embedding", 128),)),
        ({"rgb": 1024}, (("rgb", 1024), ("audio", 128))),
        ({"rgb": 512}, (("rgb", 512),)),
        ({"a": 128, "b": 1024}, (("rgb", 1024), ("audio", 128))),
        ({"all": 1152}, (("rgb", 1024), ("audio", 128))),
    ],
)
def test_known_streams_are_taken_only_if_they_use_all_arrays(
    tmp_path: Path, dims: dict[str, int], expected: Streams
) -> None:
    plan = plan_of(tmp_path, **{name: frames(dim) for name, dim in dims.items()})
    assert plan.job.schema.streams == expected
    assert "Not used" not in plan.describe()


def test_plan_names_the_arrays_that_are_not_used(tmp_path: Path) -> None:
    plan_of(tmp_path, rgb=frames(1024), flow=frames(1024), title=np.array("text"))
    plan = make_plan(tmp_path / "features", tmp_path / "data", streams=(("rgb", 1024),))
    assert f"Not used: 'flow' [{T}, 1024], 'title'" in plan.describe()


def test_arrays_of_several_videos_in_the_place_of_one_are_refused() -> None:
    schema = Schema("frame", (("x", 16),), has_float_frames=True)
    one = from_arrays("a", {"x": frames(16)[None]}, id="a")
    assert infer_schema([one], (), False) == schema
    conversion = Conversion()
    conversion.encode(one, schema, None, False)
    assert conversion.frames == T
    with pytest.raises(UserError, match=r"a: found 2 videos \[2, 15, 16\]; expected frames of one video"):
        conversion.encode(from_arrays("a", {"x": frames(16).reshape(2, 15, 16)}, id="a"), schema, None, False)


@pytest.mark.parametrize("ending", ["npz", "h5"])
def test_one_video_may_have_a_dimension_of_videos(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "npz":
        np.savez(path, x=frames(16)[None], labels=np.array([[3, 7]]))
    else:
        with h5py.File(path, "w") as file:
            file["x"], file["labels"] = frames(16)[None], np.array([[3, 7]])
    import_features(make_plan(path, tmp_path / "data", split=0.0))
    videos = open_videos(tmp_path / "data" / "train", streams=(("x", 16),))
    assert (videos.ids, videos.labels(0).tolist()) == (["a"], [3, 7])
    assert (videos.frames(0) == frames(16)).all()


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.int64])
def test_integer_frames_are_refused_with_advice(tmp_path: Path, kind: type) -> None:
    with pytest.raises(UserError, match=r"'x': found values of type u?int.*save array.astype\(numpy.uint8\)"):
        plan_of(tmp_path, x=np.ones((T, 16), kind))
    plan = plan_of(tmp_path, x=np.ones((T, 16), np.uint8), y2=np.ones((T, 16), kind))
    assert "Not used: 'y2'" in plan.describe()


def read(num_videos: int, **arrays: Any) -> list[Any]:
    """Return the labels or label names of some videos with these arrays beside their features."""
    file = ArrayFile("a.npz", {"x": np.zeros((num_videos, 2, 3), np.uint8)} | arrays)
    return [contents.label_names or contents.labels for contents in file.read(0, None, "a")]


def test_labels_are_ids_or_binary_in_all_rows_together() -> None:
    ids = np.array([[0, 1], [5, 7], [1, 0], [2, 3], [4, -1]])
    assert read(5, labels=ids) == [(0, 1), (5, 7), (0, 1), (2, 3), (4,)]
    one_hot = np.eye(4, 6)
    for kind in (np.float32, np.uint8, np.int64, np.bool_):
        assert read(4, labels=one_hot.astype(kind)) == [(0,), (1,), (2,), (3,)]
    assert read(2, labels=np.array([3.0, 5.0])) == [(3,), (5,)]
    file = ArrayFile("a.npz", {"x": np.zeros((5, 2, 3), np.uint8), "labels": ids})
    assert [contents.labels for contents in file.read(2, 3, "a")] == [(0, 1)]  # a unit of an import reads some rows


def test_labels_may_be_names(tmp_path: Path) -> None:
    names = np.array([["Cat", "Dog"], ["Cat", ""]])
    assert read(2, labels=names) == [("Cat", "Dog"), ("Cat",)]
    assert read(2, labels=names.astype("S")) == [("Cat", "Dog"), ("Cat",)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, name in enumerate(["Cat", "Dog", "Cat"]):
            file[f"v{number}/x"], file[f"v{number}/labels"] = frames(16), np.array([name.encode(), b"Pet"])
    plan = make_plan(tmp_path / "a.h5", tmp_path / "data", split=0.0)
    assert plan.vocabulary is not None
    assert plan.vocabulary.names == ("Pet", "Cat", "Dog")
    assert import_features(plan).report.unlabeled == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": np.full((2, 3), 0.3)}, "expected ids, names, or 0 and 1"),
        ({"labels": np.array([[2, -7], [1, 0]])}, "labels from -7 to 2"),
        ({"labels": np.array([3, 4, 5])}, r"labels of shape \(3,\); expected 2, one for each video"),
        ({"ids": np.array(["a", "b", "c"])}, r"arrays of \[2\] videos, and 3 ids"),
        ({"ids": np.array(["a"])}, r"ids of shape \(1,\); expected 2"),
        ({"z": np.zeros((3, 2, 3), np.uint8)}, r"arrays of \[2, 3\] videos"),
    ],
)
def test_labels_and_ids_that_do_not_fit_are_refused(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(2, **arrays)


def test_arrays_that_are_not_of_all_videos_are_not_used() -> None:
    arrays = {"x": np.zeros((4, 2, 3), np.uint8), "mean": np.zeros((2, 3), np.float32), "v": np.zeros((4, 5), float)}
    contents = next(ArrayFile("a.npz", arrays).read(0, None, "a"))
    assert contents.shapes == {"x": (2, 3), "mean": (), "v": (5,)}
