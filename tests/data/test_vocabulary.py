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
    read_vocabulary,
    unnamed,
    vocabulary_of,
    write_vocabulary,
)
from yt8m_core.errors import UserError

HEADER = "Index,TrainVideoCount,Name,Vertical1"
BY_COUNT = f'{HEADER}\n1,90,"Toys ""R"" Us, Inc.",Shopping\n2,50,,Games\n0,7,Piano,Arts & Entertainment\n'

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
tmp_path_is_shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def file_of(folder: Path, content: str | bytes, name: str = "vocabulary.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_names_when_file_is_sorted_by_count_go_by_id_and_not_by_row(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(file_of(tmp_path, BY_COUNT))
    assert vocabulary.names == ("Piano", 'Toys "R" Us, Inc.', "")
    assert vocabulary.verticals == ("Arts & Entertainment", "Shopping", "Games")
    assert vocabulary.counts is not None
    assert vocabulary.counts.tolist() == [7, 90, 50]


def test_name_when_label_is_unnamed_says_so(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(file_of(tmp_path, BY_COUNT))
    assert vocabulary.name(2) == "label 2 (unnamed)"
    assert Vocabulary((" \t",), ("",)).name(0) == "label 0 (unnamed)"


@pytest.mark.parametrize("label", [-1, 3])
def test_name_when_label_is_outside_raises(label: int) -> None:
    with pytest.raises(IndexError, match=f"label {label} of a vocabulary of 3"):
        unnamed(3).name(label)


def test_frame_has_a_row_a_label_in_order_of_ids(tmp_path: Path) -> None:
    frame = read_vocabulary(file_of(tmp_path, BY_COUNT)).frame()
    assert frame.columns.tolist() == ["label", "name", "vertical", "count"]
    assert frame["label"].tolist() == [0, 1, 2]
    assert frame["name"].tolist() == ["Piano", 'Toys "R" Us, Inc.', "label 2 (unnamed)"]
    assert frame["count"].tolist() == [7, 90, 50]


def test_frame_when_counts_are_unknown_has_missing_counts() -> None:
    assert unnamed(2).frame()["count"].isna().all()


def test_read_when_2017_edition(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(file_of(tmp_path, "label_id,label_name\n1,Vehicle\n0,Games\n"))
    assert vocabulary == Vocabulary(("Games", "Vehicle"), ("", ""))


def test_read_when_excel_saved_it_with_mark_and_crlf_and_blank_lines(tmp_path: Path) -> None:
    saved = b"\xef\xbb\xbf" + BY_COUNT.replace("\n", "\r\n\r\n").encode()
    assert read_vocabulary(file_of(tmp_path, saved)) == read_vocabulary(file_of(tmp_path, BY_COUNT, "plain.csv"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "an empty file"),
        ("\n\n", "an empty file"),
        (f"{HEADER}\n", "a header and no labels"),
        ("Index,Name\n0,Game\n", r"row 1: found no column TrainVideoCount, Vertical1; expected Index, TrainVideoCount"),
        ("label_id,name\n0,Game\n", r"row 1: found no column label_name"),
        ("what,ever\n0,Game\n", r"row 1: found no column Index"),
        ("Index,Index,TrainVideoCount,Name,Vertical1\n0,0,1,Game,Games\n", "row 1: found a column name that occurs"),
        (f"{HEADER}\n0,5,Game,Games\n0,4,Car,Autos\n", "row 3: found label 0 for the second time"),
        (f"{HEADER}\n0,5,Game,Games\n2,4,Car,Autos\n4,1,Dog,Pets\n", "no label 1, though the ids run to 4"),
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
def test_read_when_file_is_wrong_says_where_and_what(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    path = file_of(tmp_path, content)
    with pytest.raises(UserError, match=complaint) as caught:
        read_vocabulary(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_read_when_there_is_no_file_is_a_user_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_vocabulary(tmp_path / name)


@tmp_path_is_shared
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="surrogatepass")))
@example(f"{HEADER}\n".encode() + b"0,1,\0,\n")
@example(f"{HEADER}\n0,1,{'x' * 140_000},\n".encode())
def test_read_when_given_any_bytes_reads_or_raises_user_error(tmp_path: Path, data: bytes) -> None:
    for content in (data, HEADER.encode() + b"\n" + data, b"label_id,label_name\n0," + data):
        path = file_of(tmp_path, content)
        try:
            vocabulary = read_vocabulary(path)
        except UserError:
            continue
        assert all(vocabulary.name(label) for label in range(vocabulary.num_classes))


@tmp_path_is_shared
@given(st.lists(st.tuples(texts, texts, st.integers(0, 10**18 - 1)), min_size=1, max_size=12), st.booleans())
def test_write_reads_back_equal(tmp_path: Path, labels: list[tuple[str, str, int]], with_counts: bool) -> None:
    names, verticals, counts = zip(*labels, strict=True)
    vocabulary = Vocabulary(names, verticals, np.array(counts, np.int64) if with_counts else None)
    path = tmp_path / "written.csv"
    write_vocabulary(path, vocabulary)
    assert read_vocabulary(path) == vocabulary


def test_write_sorts_by_count_in_the_columns_of_2018(tmp_path: Path) -> None:
    write_vocabulary(tmp_path / "v.csv", Vocabulary(("Car", "Game"), ("Autos", "Games"), np.array([3, 8])))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "v.csv").read_text())))
    assert [row["Index"] for row in rows] == ["1", "0"]
    assert list(rows[0]) == [
        "Index", "TrainVideoCount", "KnowledgeGraphId", "Name", "WikiUrl",
        "Vertical1", "Vertical2", "Vertical3", "WikiDescription",
    ]  # fmt: skip


def test_write_when_it_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = file_of(tmp_path, BY_COUNT)
    with pytest.raises(UnicodeEncodeError):
        write_vocabulary(path, Vocabulary(("\udc80",), ("",)))
    assert path.read_text() == BY_COUNT
    assert list(tmp_path.iterdir()) == [path]


def test_equality_looks_at_the_counts() -> None:
    plain, counted = Vocabulary(("a",), ("",)), Vocabulary(("a",), ("",), np.array([1]))
    assert counted == Vocabulary(("a",), ("",), np.array([1]))
    assert counted != Vocabulary(("a",), ("",), np.array([2]))
    assert counted != plain
    assert plain != counted
    assert plain != "a"
    assert len({plain, Vocabulary(("a",), ("",))}) == 1


def test_counts_belong_to_the_vocabulary_and_cannot_be_changed() -> None:
    counts = np.array([1])
    vocabulary = Vocabulary(("a",), ("",), counts)
    counts[0] = 5
    assert vocabulary.counts is not None
    assert vocabulary.counts.tolist() == [1]
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.counts[0] = 2


@pytest.mark.parametrize(("verticals", "counts"), [((), None), (("", ""), None), (("",), np.zeros(2, np.int64))])
def test_vocabulary_when_lengths_differ_raises(verticals: tuple[str, ...], counts: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="1 names but"):
        Vocabulary(("a",), verticals, counts)


def test_find_looks_beside_the_data_then_above(tmp_path: Path) -> None:
    train = tmp_path / "train"
    train.mkdir()
    shard = file_of(train, b"", "train0000.tfrecord")
    asked = [train, shard, train / "train*.tfrecord", tmp_path / "*" / "*.tfrecord"]
    assert [find_vocabulary(data) for data in asked] == [None] * 4
    above_2017 = file_of(tmp_path, "", "label_names.csv")
    assert [find_vocabulary(data) for data in asked] == [above_2017] * 4
    above = file_of(tmp_path, "")
    assert [find_vocabulary(data) for data in asked] == [above] * 4
    beside = file_of(train, "", "label_names.csv")
    assert [find_vocabulary(data) for data in asked] == [beside] * 3 + [above]


def test_find_when_a_folder_has_a_bracket_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "new [1]"
    folder.mkdir()
    vocabulary = file_of(folder, "")
    assert find_vocabulary(folder / "*.tfrecord") == vocabulary


def test_vocabulary_of_prefers_the_named_file_then_the_one_beside_the_data_then_bare_numbers(tmp_path: Path) -> None:
    labels = np.array([3, 0], np.int32)
    assert vocabulary_of(tmp_path, None, labels) == unnamed(4)
    beside = file_of(tmp_path, BY_COUNT)
    assert vocabulary_of(str(tmp_path), "", labels) == read_vocabulary(beside)
    named = file_of(tmp_path, "label_id,label_name\n0,Games\n", "mine.csv")
    assert vocabulary_of(tmp_path, str(named), labels).names == ("Games",)


@pytest.mark.real_data
def test_read_when_real_2018_vocabulary(real_data: Path) -> None:
    vocabulary = read_vocabulary(real_data / "yt8m-2018-video" / "vocabulary.csv")
    assert vocabulary.num_classes == 3862
    assert [vocabulary.name(label) for label in (0, 1, 31)] == ["Game", "Video game", "Piano"]
    assert sum(not name for name in vocabulary.names) == 56
    assert vocabulary.counts is not None
    assert (vocabulary.counts.max(), vocabulary.counts.sum()) == (788_288, 11_711_620)


@pytest.mark.real_data
def test_read_when_real_2017_names(real_data: Path) -> None:
    vocabulary = read_vocabulary(real_data / "yt8m-2017" / "label_names.csv")
    assert vocabulary.num_classes == 4716
    assert [vocabulary.name(label) for label in (1, 2748)] == ["Vehicle", 'Toys "R" Us']
    assert vocabulary.counts is None


@pytest.mark.real_data
@pytest.mark.parametrize("file", ["yt8m-2018-video/vocabulary.csv", "yt8m-2017/label_names.csv"])
def test_write_when_real_vocabulary_reads_back_equal(real_data: Path, tmp_path: Path, file: str) -> None:
    vocabulary = read_vocabulary(real_data / file)
    write_vocabulary(tmp_path / "v.csv", vocabulary)
    assert read_vocabulary(tmp_path / "v.csv") == vocabulary
