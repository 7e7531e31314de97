import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from yt8m_core.data.vocabulary import (
    Vocabulary,
    find_vocabulary,
    load_vocabulary,
    read_vocabulary,
    unnamed_vocabulary,
    write_vocabulary,
)
from yt8m_core.errors import UserError

HEADER = "Index,TrainVideoCount,Name,Vertical1"
BY_COUNT = f'{HEADER}\n1,90,"Toys ""R"" Us, Inc.",Shopping\n2,50,,Games\n0,7,Piano,Arts & Entertainment\n'

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
tmp_path_is_shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write_file(folder: Path, content: str | bytes, name: str = "vocabulary.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_names_are_ordered_by_id_in_a_file_sorted_by_count(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(write_file(tmp_path, BY_COUNT))
    assert vocabulary.names == ("Piano", 'Toys "R" Us, Inc.', "")
    assert vocabulary.verticals == ("Arts & Entertainment", "Shopping", "Games")
    assert vocabulary.counts is not None
    assert vocabulary.counts.tolist() == [7, 90, 50]


def test_unnamed_label_has_a_display_name(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(write_file(tmp_path, BY_COUNT))
    assert vocabulary.name(2) == "label 2 (unnamed)"
    assert Vocabulary((" \t",), ("",)).name(0) == "label 0 (unnamed)"


@pytest.mark.parametrize("label", [-1, 3])
def test_name_of_a_label_out_of_range_raises(label: int) -> None:
    with pytest.raises(IndexError, match=f"label {label} is out of range for a vocabulary of 3"):
        unnamed_vocabulary(3).name(label)


def test_to_frame_has_one_row_per_label_id(tmp_path: Path) -> None:
    frame = read_vocabulary(write_file(tmp_path, BY_COUNT)).to_frame()
    assert frame.columns.tolist() == ["label", "name", "vertical", "count"]
    assert frame["label"].tolist() == [0, 1, 2]
    assert frame["name"].tolist() == ["Piano", 'Toys "R" Us, Inc.', "label 2 (unnamed)"]
    assert frame["count"].tolist() == [7, 90, 50]


def test_to_frame_has_missing_counts_when_unknown() -> None:
    assert unnamed_vocabulary(2).to_frame()["count"].isna().all()


def test_2017_edition_is_read(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(write_file(tmp_path, "label_id,label_name\n1,Vehicle\n0,Games\n"))
    assert vocabulary == Vocabulary(("Games", "Vehicle"), ("", ""))


def test_file_saved_by_excel_is_read(tmp_path: Path) -> None:
    saved = b"\xef\xbb\xbf" + BY_COUNT.replace("\n", "\r\n\r\n").encode()
    assert read_vocabulary(write_file(tmp_path, saved)) == read_vocabulary(write_file(tmp_path, BY_COUNT, "plain.csv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "an empty file"),
        ("\n\n", "an empty file"),
        (f"{HEADER}\n", "a header and no labels"),
        ("Index,Name\n0,Game\n", r"row 1: found no column TrainVideoCount, Vertical1; expected Index, TrainVideoCount"),
        ("label_id,name\n0,Game\n", r"row 1: found no column label_name"),
        ("what,ever\n0,Game\n", r"row 1: found no column Index"),
        ("Index,Index,TrainVideoCount,Name,Vertical1\n0,0,1,Game,Games\n", "row 1: found duplicate column names"),
        (f"{HEADER}\n0,5,Game,Games\n0,4,Car,Autos\n", "row 3: found label 0 a second time"),
        (f"{HEADER}\n0,5,Game,Games\n2,4,Car,Autos\n4,1,Dog,Pets\n", "no label 1, although the largest id is 4"),
        (f"{HEADER}\n1,5,Game,Games\n", "no label 0"),
        (f"{HEADER}\n0,5,Game,Games\n1,many,Car,Autos\n", "row 3, column TrainVideoCount: found 'many'"),
        (f"{HEADER}\n0,-5,Game,Games\n", "row 2, column TrainVideoCount: found '-5'"),
        (f"{HEADER}\n1_0,5,Game,Games\n", "row 2, column Index: found '1_0'"),
        (f"{HEADER}\n,5,Game,Games\n", "row 2, column Index: found ''"),
        (f"{HEADER}\n0,{10**18},Game,Games\n", "row 2, column TrainVideoCount: found '1000000"),
        (f"{HEADER}\n{10**17},5,Game,Games\n", "no label 0"),
        (f"{HEADER}\n0,5,Game,Games\n1,,Car,Autos\n", "no TrainVideoCount for label 1"),
        (f"{HEADER}\n0,5,Game\n", "row 2: found 3 fields; expected 4"),
        (f"{HEADER}\n0,5,Game,Games,Toys\n", "row 2: found 5 fields; expected 4"),
        (f'{HEADER}\n0,5,"Ga"me,Games\n', "row 2: found"),
        (f'{HEADER}\n0,5,"Game,Games\n', "row 2: found"),
        (f"{HEADER}\n0,5,Game,Games\n1,4,Caf\xe9,Food\n".encode("latin-1"), "line 3: found bytes that are not UTF-8"),
    ],
)
def test_error_for_an_invalid_file_says_where_and_what(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write_file(tmp_path, content)
    with pytest.raises(UserError, match=message) as caught:
        read_vocabulary(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_missing_file_is_a_user_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_vocabulary(tmp_path / name)


@tmp_path_is_shared
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="surrogatepass")))
@example(f"{HEADER}\n".encode() + b"0,1,\0,\n")
@example(f"{HEADER}\n0,1,{'x' * 140_000},\n".encode())
def test_any_bytes_are_read_or_raise_a_user_error(tmp_path: Path, data: bytes) -> None:
    for content in (data, HEADER.encode() + b"\n" + data, b"label_id,label_name\n0," + data):
        path = write_file(tmp_path, content)
        try:
            vocabulary = read_vocabulary(path)
        except UserError:
            continue
        assert all(vocabulary.name(label) for label in range(vocabulary.num_classes))


@tmp_path_is_shared
@given(st.lists(st.tuples(texts, texts, st.integers(0, 10**18 - 1)), min_size=1, max_size=12), st.booleans())
def test_written_vocabulary_reads_back_equal(
    tmp_path: Path, labels: list[tuple[str, str, int]], with_counts: bool
) -> None:
    names, verticals, counts = zip(*labels, strict=True)
    vocabulary = Vocabulary(names, verticals, np.array(counts, np.int64) if with_counts else None)
    path = tmp_path / "written.csv"
    write_vocabulary(path, vocabulary)
    assert read_vocabulary(path) == vocabulary


def test_written_vocabulary_has_the_2018_columns_sorted_by_count(tmp_path: Path) -> None:
    write_vocabulary(tmp_path / "v.csv", Vocabulary(("Car", "Game"), ("Autos", "Games"), np.array([3, 8])))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "v.csv").read_text())))
    assert [row["Index"] for row in rows] == ["1", "0"]
    assert list(rows[0]) == [
        "Index", "TrainVideoCount", "KnowledgeGraphId", "Name", "WikiUrl",
        "Vertical1", "Vertical2", "Vertical3", "WikiDescription",
    ]  # fmt: skip


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = write_file(tmp_path, BY_COUNT)
    with pytest.raises(UnicodeEncodeError):
        write_vocabulary(path, Vocabulary(("\udc80",), ("",)))
    assert path.read_text() == BY_COUNT
    assert list(tmp_path.iterdir()) == [path]


def test_equality_compares_the_counts() -> None:
    plain, counted = Vocabulary(("a",), ("",)), Vocabulary(("a",), ("",), np.array([1]))
    assert counted == Vocabulary(("a",), ("",), np.array([1]))
    assert counted != Vocabulary(("a",), ("",), np.array([2]))
    assert counted != plain
    assert plain != counted
    assert plain != "a"
    assert len({plain, Vocabulary(("a",), ("",))}) == 1


def test_counts_are_a_read_only_copy() -> None:
    counts = np.array([1])
    vocabulary = Vocabulary(("a",), ("",), counts)
    counts[0] = 5
    assert vocabulary.counts is not None
    assert vocabulary.counts.tolist() == [1]
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.counts[0] = 2


@pytest.mark.parametrize(("verticals", "counts"), [((), None), (("", ""), None), (("",), np.zeros(2, np.int64))])
def test_unequal_lengths_raise(verticals: tuple[str, ...], counts: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="1 names but"):
        Vocabulary(("a",), verticals, counts)


def test_vocabulary_is_found_beside_the_data_then_in_the_parent_folder(tmp_path: Path) -> None:
    train = tmp_path / "train"
    train.mkdir()
    shard = write_file(train, b"", "train0000.tfrecord")
    locations = [train, shard, train / "train*.tfrecord", tmp_path / "*" / "*.tfrecord"]
    assert [find_vocabulary(data) for data in locations] == [None] * 4
    in_parent_2017 = write_file(tmp_path, "", "label_names.csv")
    assert [find_vocabulary(data) for data in locations] == [in_parent_2017] * 4
    in_parent = write_file(tmp_path, "")
    assert [find_vocabulary(data) for data in locations] == [in_parent] * 4
    beside = write_file(train, "", "label_names.csv")
    assert [find_vocabulary(data) for data in locations] == [beside] * 3 + [in_parent]


def test_vocabulary_is_found_when_a_folder_name_has_brackets(tmp_path: Path) -> None:
    folder = tmp_path / "new [1]"
    folder.mkdir()
    vocabulary = write_file(folder, "")
    assert find_vocabulary(folder / "*.tfrecord") == vocabulary


def test_load_vocabulary_prefers_the_given_file_then_the_one_beside_the_data_then_no_names(tmp_path: Path) -> None:
    labels = np.array([3, 0], np.int32)
    assert load_vocabulary(tmp_path, None, labels) == unnamed_vocabulary(4)
    beside = write_file(tmp_path, BY_COUNT)
    assert load_vocabulary(str(tmp_path), "", labels) == read_vocabulary(beside)
    given_file = write_file(tmp_path, "label_id,label_name\n0,Games\n", "mine.csv")
    assert load_vocabulary(tmp_path, str(given_file), labels).names == ("Games",)


@pytest.mark.real_data
def test_real_2018_vocabulary_is_read(real_data: Path) -> None:
    vocabulary = read_vocabulary(real_data / "yt8m-2018-video" / "vocabulary.csv")
    assert vocabulary.num_classes == 3862
    assert [vocabulary.name(label) for label in (0, 1, 31)] == ["Game", "Video game", "Piano"]
    assert sum(not name for name in vocabulary.names) == 56
    assert vocabulary.counts is not None
    assert (vocabulary.counts.max(), vocabulary.counts.sum()) == (788_288, 11_711_620)


@pytest.mark.real_data
def test_real_2017_names_are_read(real_data: Path) -> None:
    vocabulary = read_vocabulary(real_data / "yt8m-2017" / "label_names.csv")
    assert vocabulary.num_classes == 4716
    assert [vocabulary.name(label) for label in (1, 2748)] == ["Vehicle", 'Toys "R" Us']
    assert vocabulary.counts is None


@pytest.mark.real_data
@pytest.mark.parametrize("file", ["yt8m-2018-video/vocabulary.csv", "yt8m-2017/label_names.csv"])
def test_written_real_vocabulary_reads_back_equal(real_data: Path, tmp_path: Path, file: str) -> None:
    vocabulary = read_vocabulary(real_data / file)
    write_vocabulary(tmp_path / "v.csv", vocabulary)
    assert read_vocabulary(tmp_path / "v.csv") == vocabulary
