import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.shards import Content, frames, write
from yt8m_core.data import vocabulary as vocabulary_module
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.schema import AUDIOSET_STREAMS, MAX_LABEL, Schema
from yt8m_core.data.vocabulary import (
    AUDIOSET,
    AUDIOSET_CLASSES,
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
        (
            "Index,Vertical1\n0,Game\n",
            r"row 1: found no column of names; expected a column of ids",
        ),
        ("label\n0\n", r"row 1: found no column of names; expected"),
        ("what;name\n0;Game\n", r"row 1: found no column of ids; .*Name the columns in the first line"),
        ("0,Game\n1,Car\n", r"row 1: found no column of ids; .* separated by commas, semicolons or tabs"),
        ("id, ID,name\n0,0,Game\n", "row 1: found column 'id' twice"),
        ("id;name\n0;Game\n1,Car\n", "row 3: found 1 fields; expected 2"),
        (f"id,name\n0,Game\n{MAX_LABEL + 1},Car\n", r"row 3: found label 1048577; expected at most 1,048,576"),
        ("Index,Index,TrainVideoCount,Name,Vertical1\n0,0,1,Game,Games\n", "row 1: found column 'index' twice"),
        (f"{HEADER}\n0,5,Game,Games\n0,4,Car,Autos\n", "row 3: found label 0 a second time"),
        (f"{HEADER}\n0,5,Game,Games\n1,many,Car,Autos\n", "row 3, column TrainVideoCount: found 'many'"),
        (f"{HEADER}\n0,-5,Game,Games\n", "row 2, column TrainVideoCount: found '-5'"),
        (f"{HEADER}\n1_0,5,Game,Games\n", "row 2, column Index: found '1_0'"),
        (f"{HEADER}\n,5,Game,Games\n", "row 2, column Index: found ''"),
        (f"{HEADER}\n0,{10**18},Game,Games\n", "row 2, column TrainVideoCount: found '1000000"),
        (f"{HEADER}\n{10**17},5,Game,Games\n", "found label 100000000000000000; expected at most"),
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


# As they occur in the wild: content, names by id, and what is logged.
FORMATS = {
    "class_labels_indices": (
        'index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/m/05zppz,"Male speech, man speaking"\n',
        ("Speech", "Male speech, man speaking"),
        "",
    ),
    "gaps": (
        f"{HEADER}\n0,10,Cat,Pets\n2,5,Dog,Pets\n",
        ("Cat", "", "Dog"),
        "1 of the ids 0 to 2 is missing, the first of them 1. Labels without an entry have no name.",
    ),
    "one_based": (
        f"{HEADER}\n1,10,Cat,Pets\n2,5,Dog,Pets\n",
        ("", "Cat", "Dog"),
        "the ids are 1 to 2, so label 0 has no name. If the labels of the data are 0 to 1, subtract 1 from each id.",
    ),
    "segments_2019": (
        "Index,KnowledgeGraphId,Name,PositiveSegmentCount,TotalSegmentCount\n"
        "3,/m/01jddz,Concert,181,240\n7,/m/0k4j,Car,159,246\n",
        ("", "", "", "Concert", "", "", "", "Car"),
        "6 of the ids 0 to 7 are missing, the first of them 0. Labels without an entry have no name.",
    ),
    "semicolon": (
        "Index;TrainVideoCount;Name;Vertical1\n0;10;Cat;Pets\n1;5;Dog, wolf;Pets\n",
        ("Cat", "Dog, wolf"),
        "",
    ),
    "tab": ("id\tname\n0\tCat\n1\tDog; wolf\n", ("Cat", "Dog; wolf"), ""),
    "two_columns": ("Index,Name\n0,Cat\n1,Dog\n", ("Cat", "Dog"), ""),
    "quoted semicolon": ('"label";"name"\n"0";"Cat; ""big"""\n', ('Cat; "big"',), ""),
    "name first": ("display_name,index\nDog,1\nCat,0\n", ("Cat", "Dog"), ""),
    "id and label": ("label,id\nCat,0\nDog,1\n", ("Cat", "Dog"), ""),
    "other case and spaces": (" Label ID , Label Name \n 0 ,Cat\n1,Dog\n", ("Cat", "Dog"), ""),
}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    vocabulary_module._warn.cache_clear()
    return caplog


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_in_the_wild_is_read(kind: str, tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    content, names, message = FORMATS[kind]
    path = write_file(tmp_path, content)
    vocabulary = read_vocabulary(path)
    assert vocabulary.names == names
    if "TrainVideoCount" in content:
        assert vocabulary.counts is not None
        assert [count for count in vocabulary.counts.tolist() if count] == [10, 5]
    read_vocabulary(path)  # says nothing a second time
    assert logged.messages == ([f"{path}: {message}"] if message else [])


@pytest.mark.parametrize("separator", ",;\t")
@pytest.mark.parametrize("id_column", ["Index", "index", "label_id", "id", "label"])
@pytest.mark.parametrize("name_column", ["Name", "name", "label_name", "display_name"])
@pytest.mark.parametrize("order", [1, -1])
def test_every_pair_of_columns_is_read_in_any_order(
    separator: str, id_column: str, name_column: str, order: int, tmp_path: Path
) -> None:
    rows = [(id_column, "other", name_column), ("1", "x", '"Dog, wolf; cat\t"'), ("0", "", "Cat")]
    path = write_file(tmp_path, "".join(separator.join(row[::order]) + "\n" for row in rows))
    assert read_vocabulary(path).names == ("Cat", "Dog, wolf; cat\t")


def test_labels_command_reads_a_file_with_gaps_and_names_them(
    tmp_path: Path, logged: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    from yt8m_core.cli.data import labels

    data = write(tmp_path / "a.tfrecord", *(Content(f"v{i}", (0, 2), {"x": frames(2, 4, i)}) for i in range(3)))
    path = write_file(tmp_path, FORMATS["gaps"][0], "mine.csv")
    labels(str(data), path, minimum_support=1, streams=(("x", 4),))
    printed = capsys.readouterr().out
    assert "2 of 3 labels" in printed
    assert "Dog" in printed
    assert logged.messages == [f"{path}: {FORMATS['gaps'][2]}"]


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_missing_file_is_a_user_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_vocabulary(tmp_path / name)


@tmp_path_is_shared
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="surrogatepass")))
@example(f"{HEADER}\n".encode() + b"0,1,\0,\n")
@example(f"{HEADER}\n0,1,{'x' * 140_000},\n".encode())
def test_any_bytes_are_read_or_raise_a_user_error(tmp_path: Path, data: bytes) -> None:
    for content in (data, HEADER.encode() + b"\n" + data, b"label_id,label_name\n0," + data, b"id;name\n1;" + data):
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
    in_parent_audioset = write_file(tmp_path, "", "class_labels_indices.csv")
    assert [find_vocabulary(data) for data in locations] == [in_parent_audioset] * 4
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
    labels, schema = np.array([3, 0], np.int32), Schema("frame", (("rgb", 1024), ("audio", 128)))
    assert load_vocabulary(tmp_path, None, labels, schema) == unnamed_vocabulary(4)
    beside = write_file(tmp_path, BY_COUNT)
    assert load_vocabulary(str(tmp_path), "", labels, schema) == read_vocabulary(beside)
    given_file = write_file(tmp_path, "label_id,label_name\n0,Games\n", "mine.csv")
    assert load_vocabulary(tmp_path, str(given_file), labels, schema).names == ("Games",)


def test_features_of_audioset_get_its_names_unless_there_is_a_vocabulary(
    tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    records = [Content(f"v{i}", (0, i), {"audio_embedding": frames(2, 128)}) for i in (2, 5)]
    videos = open_videos(write(tmp_path / "a.tfrecord", *records))
    schema = Schema("frame", AUDIOSET_STREAMS)
    assert videos.schema == schema
    vocabulary = load_vocabulary(tmp_path, None, videos.label_values, schema)
    assert vocabulary.num_classes == 6  # as without names: determined by the data
    assert vocabulary.names[:2] == ("Speech", "Male speech, man speaking")
    assert logged.messages == [
        f"{tmp_path}: no vocabulary; labels have the names of AudioSet. If they are your own, pass --vocabulary FILE."
    ]
    all_labels, too_many = (np.array([largest], np.int32) for largest in (AUDIOSET_CLASSES - 1, AUDIOSET_CLASSES))
    assert load_vocabulary(tmp_path, None, all_labels, schema) == read_vocabulary(AUDIOSET)
    assert load_vocabulary(tmp_path, None, too_many, schema) == unnamed_vocabulary(AUDIOSET_CLASSES + 1)
    beside = write_file(tmp_path, "id,name\n0,Bark\n", "class_labels_indices.csv")
    assert load_vocabulary(tmp_path, None, videos.label_values, schema) == read_vocabulary(beside)


def test_names_of_audioset_in_the_package_are_complete() -> None:
    vocabulary = read_vocabulary(AUDIOSET)
    assert vocabulary.num_classes == AUDIOSET_CLASSES
    assert all(vocabulary.names)
    assert vocabulary.name(526) == "Field recording"
    assert "CC BY 4.0" in (AUDIOSET.parent / "ATTRIBUTION.txt").read_text()


def test_vocabularies_fit_unless_a_label_has_two_names() -> None:
    def vocabulary(*names: str) -> Vocabulary:
        return Vocabulary(names, ("",) * len(names))

    assert vocabulary("a", "").fits(vocabulary("", "b"))
    assert not vocabulary("a", "b").fits(vocabulary("a", "c"))
    assert not vocabulary("a").fits(vocabulary("a", ""))


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
def test_real_segment_vocabulary_of_2019_is_read(real_data: Path) -> None:
    vocabulary = read_vocabulary(real_data / "yt8m-2019" / "segment_vocabulary.csv")
    assert sum(bool(name) for name in vocabulary.names) == 988  # 12 of 1,000 have no name
    assert [vocabulary.name(label) for label in (0, 3, 7)] == ["label 0 (unnamed)", "Concert", "Car"]


@pytest.mark.real_data
def test_real_names_of_audioset_are_those_of_the_package(real_data: Path) -> None:
    assert (real_data / "audioset" / "class_labels_indices.csv").read_bytes() == AUDIOSET.read_bytes()


@pytest.mark.real_data
@pytest.mark.parametrize("file", ["yt8m-2018-video/vocabulary.csv", "yt8m-2017/label_names.csv"])
def test_written_real_vocabulary_reads_back_equal(real_data: Path, tmp_path: Path, file: str) -> None:
    vocabulary = read_vocabulary(real_data / file)
    write_vocabulary(tmp_path / "v.csv", vocabulary)
    assert read_vocabulary(tmp_path / "v.csv") == vocabulary
