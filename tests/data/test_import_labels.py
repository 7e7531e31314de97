"""Label tables of an import: which video an id names, and what a cell or a column means. Nothing unclear passes."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from yt8m_core.data.dataset import open_videos
from yt8m_core.data.importer.label_ids import build_vocabulary
from yt8m_core.data.importer.label_table import LabelTable, read_label_table
from yt8m_core.data.importer.plan import make_plan
from yt8m_core.data.importer.run import import_features
from yt8m_core.data.vocabulary import read_vocabulary
from yt8m_core.errors import UserError


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., LabelTable]:
    """Return a function that reads a table from its text, JSON values, or Arrow table."""

    def read_content(content: Any, ending: str = ".csv", **options: Any) -> LabelTable:
        path = tmp_path / f"labels{ending}"
        if isinstance(content, pa.Table):
            path = path.with_suffix(".parquet")
            pq.write_table(content, path)
        elif isinstance(content, str | bytes):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            path = path.with_suffix(".json")
            path.write_text(json.dumps(content))
        return read_label_table(path, **options)

    return read_content


def npz_files(folder: Path, ids: list[str], **labels: Any) -> Path:
    for number, video_id in enumerate(ids):
        (folder / video_id).parent.mkdir(parents=True, exist_ok=True)
        np.savez(folder / f"{video_id}.npz", x=np.full((3, 16), number, np.uint8), **labels.get(video_id, {}))
    return folder


def imported_labels(output: Path) -> dict[str, list[str]]:
    """Return the label names of each video of an import."""
    vocabulary = read_vocabulary(output / "vocabulary.csv")
    found: dict[str, list[str]] = {}
    for split in ("train", "validate"):
        if list((output / split).glob("*.tfrecord")):
            videos = open_videos(output / split, streams=(("x", 16),))
            found |= {v: [vocabulary.names[n] for n in videos.labels(i)] for i, v in enumerate(videos.ids)}
    return found


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"a/001.mp4": "Cat"}, {"a/001": "Cat", "b/001": None, "001": "Cat"}),
        ({"a/001.mp4": "Cat", "b/001.mp4": "Dog"}, {"a/001": "Cat", "b/001": "Dog", "001": None, "c/001": None}),
        ({"clip": "Dog", "cats/clip.mp4": "Cat"}, {"clip": "Dog", "cats/clip": "Cat", "dogs/clip": None}),
        ({"a.mp4": "Dog", "b\\c.MP4": "Cat"}, {"a": "Dog", "a.mp4": "Dog", "x/a": "Dog", "b/c": "Cat", "d/c": None}),
        ({"a.mp4": "Dog", "a.wav": "Cat"}, {"a": None, "a.wav": "Cat"}),
    ],
)
def test_an_id_names_a_video_of_another_folder_only_if_one_has_no_folder(
    read: Callable[..., LabelTable], ids: dict[str, str], expected: dict[str, str | None]
) -> None:
    table = read(ids)
    found = {video_id: table.find(video_id) for video_id in expected}
    assert found == {video_id: label and (label,) for video_id, label in expected.items()}
    assert len(table.labels) == len(ids)


def test_a_name_that_several_folders_have_labels_no_video(tmp_path: Path) -> None:
    features = npz_files(tmp_path / "features", ["a/001", "b/001", "c/002"])
    (tmp_path / "labels.csv").write_text("id,label\n001,Cat\n002,Dog\n")
    plan = make_plan(features, tmp_path / "data", labels=tmp_path / "labels.csv")
    assert "1 ids of the table have no folder but name several videos" in plan.describe()
    assert "'001', for 'a/001', 'b/001'." in plan.describe()
    import_features(plan)
    assert imported_labels(tmp_path / "data") == {"a/001": [], "b/001": [], "c/002": ["Dog"]}


def test_a_name_that_several_videos_of_an_archive_have_labels_only_the_first(read: Callable[..., LabelTable]) -> None:
    """Their ids are not known before they are read."""
    table = read("id,label\n001,Cat\n")
    assert table.find("a/001") == table.find("a/001") == ("Cat",)
    with pytest.raises(UserError, match="the id '001', which names both 'a/001' and 'b/001'"):
        table.find("b/001")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("""["Rock 'n' Roll", "Pop"]""", ("Rock 'n' Roll", "Pop")),
        ("""['it', "rock 'n' roll"]""", ("it", "rock 'n' roll")),
        ("['a' 'b']", ("a", "b")),
        ("[1 2\n 3]", ("1", "2", "3")),
        ("[1. 2.]", ("1", "2")),
        ("(1, 2)", ("1", "2")),
        ("{2, 1}", ("1", "2")),
        ("()", ()),
        ("(live)", ("(live)",)),
        ("a;b | c", ("a", "b", "c")),
        ("a,b", ("a", "b")),
        ("Cat, Dog", ("Cat, Dog",)),
        ("3 5", ("3", "5")),
        ("3,5", ("3", "5")),
        ("-1", ()),
        ("", ()),
    ],
)
def test_cells_of_a_list_column(read: Callable[..., LabelTable], cell: str, expected: tuple[str, ...]) -> None:
    text = pd.DataFrame({"id": ["v"], "labels": [cell]}).to_csv(index=False)
    assert read(text).labels == {"v": expected}


def test_commas_do_not_divide_single_labels_and_names_of_the_vocabulary(read: Callable[..., LabelTable]) -> None:
    assert read('id,label\nv,"Washington,DC"\n').labels == {"v": ("Washington,DC",)}
    assert read({"v": "Washington,DC"}).labels == {"v": ("Washington,DC",)}
    names = {"Washington,DC", "a|b", "Cat", "Dog"}
    rows = 'id,labels\nv,"Washington,DC"\nw,a|b\nx,"Cat, Dog"\n'
    assert read(rows, names=names).labels == {"v": ("Washington,DC",), "w": ("a|b",), "x": ("Cat", "Dog")}


def test_values_of_parquet_and_json(read: Callable[..., LabelTable]) -> None:
    ids = pa.array([b"v1", b"v2"])
    assert read(pa.table({"id": ids, "label": pa.array([b"Cat", None])})).labels == {"v1": ("Cat",), "v2": ()}
    table = pa.table({"id": pa.array([7, None, 8]), "label": pa.array([3, None, None])})
    assert read(table).labels == {"7": ("3",), "8": ()}
    assert read(pa.table({"id": ["v"], "label": [2.0]})).labels == {"v": ("2",)}
    assert read({"v": "Cat", "w": 3, "x": None, "y": []}).labels == {"v": ("Cat",), "w": ("3",), "x": (), "y": ()}
    line = json.dumps({"id": "v", "labels": ["a\u2028b"]}, ensure_ascii=False)
    assert read(f"{line}\n\n", ".jsonl").labels == {"v": ("a\u2028b",)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"v": {"labels": ["Cat"]}}, "of type dict; expected a text or a number"),
        ([{"id": "v", "labels": [{"name": "Cat"}]}], "of type dict; expected a text or a number"),
        ({"v": [["a"]]}, "of type list; expected a text or a number"),
        ({"v": [None, 1]}, "of type NoneType; expected a text or a number"),
        ({"v": True}, "of type bool; expected a text or a number"),
        ({"v": ["\ud800"]}, "surrogates not allowed"),
        ([{"id": 1, "label": "a"}, {"label": "b"}], "the labels ['b'] without an id"),
        ('id,labels\nv,"{""a"": 1}"\n', "the object"),
        ('id,labels\nv,"{cat,dog}"\n', "which is no list"),
        ("id,labels\nv,[1 2 ... 9]\n", "which is no list"),
        ('id,label\nv,"1,000"\n', "'1,000', one number or several"),
        ('id,labels\nv,"1,000"\n', "'1,000', one number or several"),
        ("id,labels\nv,Cat,Dog\nw,Cat,Dog\n", "line 2: found 3 fields; expected 2. Quote texts"),
        ("id,a,b\nv,1\n", "line 2: found 2 fields; expected 3"),
        ("v,Cat\nw,Dog\n", "found the first row ['v', 'Cat']; expected the names of the columns"),
        ("v,1,0\nw,0,1\n", "found the first row ['v', '1', '0']"),
        ("id,label,label\nv,a,b\n", "each with a name of its own"),
        ("id,label\nv,Café\n".encode("cp1252"), "expected UTF-8. Save the file as UTF-8"),
        ("id,label\nv,Cat\n".encode("utf-16"), "expected UTF-8. Save the file as UTF-8"),
        ("id,labels\nv," + "[" * 100_000 + "\n", "nested too deeply"),
        ("id,title,Cat,Dog\nv,hello,1,0\n", "Or remove 'title', if the others are 0 and 1."),
    ],
)
def test_unclear_tables_are_refused(read: Callable[..., LabelTable], content: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        read(content)
    assert message in str(error.value)


def test_deeply_nested_json_is_refused(read: Callable[..., LabelTable]) -> None:
    with pytest.raises(UserError, match="nested too deeply"):
        read("[" * 100_000, ".json")


def test_columns_of_row_numbers_and_of_rows_names(read: Callable[..., LabelTable]) -> None:
    expected = {"v1": ("Cat",), "v2": ("Dog",)}
    wide = pd.DataFrame({"Cat": [1, 0], "Dog": [0, 1]}, index=["v1", "v2"])
    assert read(wide.to_csv()).labels == expected
    assert read(pa.Table.from_pandas(wide)).labels == expected
    numbered = wide.reset_index(names="id").set_index(pd.Index([0, 1]))
    assert read(numbered.to_csv()).labels == expected
    assert read(pa.Table.from_pandas(numbered.set_index(pd.Index([5, 6])))).labels == expected
    assert read("id,label\nv1,Cat,\nv2,Dog,\n").labels == expected
    assert read("label,clip\nCat,v1\nDog,v2\n").labels == expected
    quoted = '"id";"a,b,c";"d,e,f"\nv1;1;0\nv2;0;1\n'
    assert read(quoted).labels == {"v1": ("a,b,c",), "v2": ("d,e,f",)}


def test_one_of_several_binary_columns_is_no_column_of_labels(read: Callable[..., LabelTable]) -> None:
    content = "id,title,Cat,Dog\nv,hello,1,0\nw,foo,0,1\n"
    with pytest.raises(UserError, match=r"found 0 and 1 in the columns \['Cat', 'Dog'\]; expected labels in 'Cat'"):
        read(content, label_column="Cat")
    assert read(content, label_column="title").labels == {"v": ("hello",), "w": ("foo",)}
    table = read("id,label,is_new\nv,1,0\nw,0,1\n")
    assert table.labels == {"v": ("1",), "w": ("0",)}
    assert table.notes == ("0 and 1 in the columns ['label', 'is_new']: 'label' is taken as label ids.",)


@pytest.mark.parametrize("other", ["2.50", "-5", "nan", "Cat", "2000000"])
def test_ids_are_never_renumbered_as_names(read: Callable[..., LabelTable], other: str) -> None:
    table = read(f"id,label\nv,3\nw,{other}\n")
    with pytest.raises(UserError, match=f"1 labels that are ids and 1 that are not, such as '{other}'"):
        build_vocabulary(table, None)
    _, ids = build_vocabulary(read("id,label\nv,1.0\nw,3\nx,-1\n"), None)
    assert ids == {"1.0": 1, "3": 3}


def test_videos_with_too_many_labels_are_left_out(tmp_path: Path) -> None:
    features = npz_files(tmp_path / "features", ["v0", "v1"])
    (tmp_path / "labels.json").write_text(json.dumps({"v0": [f"n{n}" for n in range(1001)], "v1": ["a"]}))
    plan = make_plan(features, tmp_path / "data", labels=tmp_path / "labels.json")
    assert "v0: left out: " in plan.describe()
    result = import_features(plan)
    assert result.report.reasons == [
        f"{tmp_path}/labels.json: found 1,001 labels of 'v0'; expected at most 1,000 for a video."
    ]


def test_labels_may_begin_after_the_first_videos(tmp_path: Path) -> None:
    ids = [f"v{number}" for number in range(6)]
    features = npz_files(tmp_path / "features", ids)
    (tmp_path / "labels.csv").write_text("id,label\nv4,Cat\nv5,Dog\n")
    import_features(make_plan(features, tmp_path / "data", labels=tmp_path / "labels.csv"))
    expected = {**{video_id: [] for video_id in ids}, "v4": ["Cat"], "v5": ["Dog"]}
    assert imported_labels(tmp_path / "data") == expected

    stacked = tmp_path / "stacked.npz"
    np.savez(stacked, x=np.zeros((6, 3, 16), np.uint8), ids=np.array(ids))
    plan = make_plan(stacked, tmp_path / "data 2", labels=tmp_path / "labels.csv")
    assert "Warning: no labels for the first videos, 'v0', 'v1', 'v2'; the table has 'v4', 'v5'" in plan.describe()
    import_features(plan)
    assert imported_labels(tmp_path / "data 2") == expected


def test_names_in_the_feature_files_may_begin_after_the_first_videos(tmp_path: Path) -> None:
    labels = {"v4": {"labels": np.array(["Cat", "Dog"])}, "v5": {"label": np.array("Cat")}}
    features = npz_files(tmp_path / "features", [f"v{number}" for number in range(6)], **labels)
    import_features(make_plan(features, tmp_path / "data"))
    found = imported_labels(tmp_path / "data")
    assert (found["v0"], found["v4"], found["v5"]) == ([], ["Cat", "Dog"], ["Cat"])


def test_table_of_a_spreadsheet_with_a_byte_order_mark(read: Callable[..., LabelTable]) -> None:
    buffer = io.StringIO()
    pd.DataFrame({"id": ["v"], "label": ["Café"]}).to_csv(buffer, sep=";", index=False)
    assert read(buffer.getvalue().encode("utf-8-sig")).labels == {"v": ("Café",)}
