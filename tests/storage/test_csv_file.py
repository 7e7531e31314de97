"""The helpers, and every writer of CSV files: each id and name comes back from pandas as it was."""

import ast
import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from yt8m_core.analysis.candidate_file import write_candidates
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.loader import Loader, ordered_batches
from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard
from yt8m_core.data.vocabulary import Vocabulary, read_vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.inference.prediction_files import write_predictions
from yt8m_core.storage.csv_file import MAX_FIELD, iter_rows, parse_whole, quote_text, table_text

ROOT = Path(__file__).parents[2]
# Every id that a record can have: any Unicode text, also with what CSV files and spreadsheets treat differently.
HARD = [
    "a,b", 'a"b', '"', "a\nb", "a\r\nb", "\r", "=1+1", "+1", "-b_d", "@x", "\t", "\0", " a ", "", "NA", "'", "\ufeff",
    ";", "\x1a", "\u2028", "1e5", "007", "#",
]  # fmt: skip
any_text = st.sampled_from(HARD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ids = st.lists(any_text, min_size=1, max_size=6, unique=True)
examples = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


def read(file: Path | io.StringIO, **options: object) -> pd.DataFrame:
    return pd.read_csv(file, dtype=str, keep_default_na=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.fault
@examples
@given(ids)
@example(HARD)
def test_every_id_round_trips_through_the_kaggle_format(tmp_path: Path, video_ids: list[str]) -> None:
    payloads = [encode_sequence_example({"id": i.encode()}, {"x": np.zeros((1, 4), np.uint8)}) for i in video_ids]
    write_shard(tmp_path / "a.tfrecord", payloads)
    videos = open_videos(tmp_path / "a.tfrecord", streams=(("x", 4),), processes=1)
    scored = [(batch, torch.rand(len(batch.videos), 3)) for batch in Loader(videos, ordered_batches(len(videos), 4))]
    write_predictions(scored, videos, tmp_path / "p.csv")
    table = read(tmp_path / "p.csv")
    assert list(table.columns) == ["VideoId", "LabelConfidencePairs"]
    assert table["VideoId"].tolist() == video_ids
    assert all(len(pairs.split()) == 6 for pairs in table["LabelConfidencePairs"])
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:] == video_ids


@pytest.mark.fault
@examples
@given(ids)
@example(HARD)
def test_every_text_round_trips_through_tables_and_vocabularies(tmp_path: Path, texts: list[str]) -> None:
    table = pd.DataFrame({"id": texts, "score": np.linspace(0, 1, len(texts)), "a,\nb": texts[::-1]})
    write_candidates(table, tmp_path / "candidates.csv")
    for file in (tmp_path / "candidates.csv", io.StringIO(table_text(table), newline="")):
        written = read(file)
        assert list(written.columns) == list(table.columns)
        assert written["id"].tolist() == texts
        assert written["a,\nb"].tolist() == texts[::-1]
        assert written["score"].astype(float).tolist() == table["score"].tolist()
    vocabulary = Vocabulary(tuple(texts), tuple(texts[::-1]))
    write_vocabulary(tmp_path / "v.csv", vocabulary)
    assert read(tmp_path / "v.csv")["Name"].tolist() == texts
    assert read_vocabulary(tmp_path / "v.csv") == vocabulary


def test_ids_are_quoted_only_where_a_reader_could_mistake_them() -> None:
    assert [quote_text(text) for text in ("abcd", "a-b", "a b", "é", "")] == ["abcd", "a-b", "a b", "é", ""]
    for text in ("=a", "+a", "-a", "@a", "\ta", "a,", "a\n", "\ra"):
        assert quote_text(text) == f'"{text}"'
    assert quote_text('"') == '""""'


def test_table_keeps_the_types_of_numbers_and_leaves_missing_values_empty() -> None:
    values = {"a": [0.1, None], "b": np.array([0.1, 1], np.float32), "c": [True, False], "d": [None, "x"]}
    assert table_text(pd.DataFrame(values)) == '"a","b","c","d"\n0.1,0.1,True,""\n"",1.0,False,"x"\n'


def test_no_other_module_writes_csv_files() -> None:
    """Fails for a new writer: use ``table_text`` or ``quote_text``, and add the writer to the tests above."""
    writers = set()
    for folder in ("yt8m_core", "app", "nb"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr in ("to_csv", "writer", "DictWriter", "savetxt"):
                    writers.add(path.relative_to(ROOT).as_posix())
    assert writers == {"yt8m_core/storage/csv_file.py", "yt8m_core/training/log.py"}  # the log has only numbers


def test_rows_have_their_numbers_and_errors_their_row() -> None:
    assert list(iter_rows(["a;b\r\n", "\r\n", '"x\n', 'y";z\r\n'], "f", ";")) == [(1, ["a", "b"]), (3, ["x\ny", "z"])]
    long = "x" * 140_000  # more than the default limit of the csv module
    assert list(iter_rows([f"1,{long}\n"], "f")) == [(1, ["1", long])]
    for bad in ('"a"b', '"a', "x" * (MAX_FIELD + 1)):
        rows = iter_rows(["id\n", f"1,{bad}\n"], "f.csv")
        assert next(rows) == (1, ["id"])
        with pytest.raises(UserError, match=r"f\.csv, row 2: found .*; expected valid CSV"):
            next(rows)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1_0", " 1", "1.0", "٣", "9" * 19])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"row 3: found '.*'; expected a whole number"):
        parse_whole(text, "row 3")
    assert parse_whole("0" * 17 + "7", "row 3") == 7
