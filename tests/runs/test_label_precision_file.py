"""The stored average precision of each label: written, read, and refused where it does not fit the run."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.damage import damaged
from yt8m_core.errors import UserError
from yt8m_core.runs import label_precision_file as module
from yt8m_core.runs.label_precision_file import LABEL_PRECISION, read_label_precision

TABLE = pd.DataFrame(
    {
        "label": [0, 1, 2],
        "training_videos": [70, 20, 1],
        "band": ["head", "mid", "tail"],
        "positives": [9, 1, 0],
        "ap": [0.5, 1.0, float("nan")],
    }
)
Change = Callable[[pd.DataFrame], pd.DataFrame]


def test_table_survives_writing_and_reading(tmp_path: Path) -> None:
    TABLE.assign(extra=1).to_parquet(tmp_path / LABEL_PRECISION, index=False)
    pd.testing.assert_frame_equal(read_label_precision(tmp_path / LABEL_PRECISION, 3), TABLE)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table[:2], r"label_precision\.parquet: found 2 labels; expected 3"),
        (lambda table: table.drop(columns="ap"), "cannot read the label precision .*ap"),
        (lambda table: table.assign(label=[0, 2, 1]), "found label 2; expected 0 to 2, in order"),
        (lambda table: table.assign(label=["a", "b", "c"]), "found label .*string.*; expected integers"),
        (lambda table: table.assign(training_videos=[70, 20, -1]), "found training_videos -1"),
        (lambda table: table.assign(training_videos=[70, 20, 1 << 40]), "found training_videos 1099511627776"),
        (lambda table: table.assign(training_videos=0), "counts that are negative, all zero"),
        (lambda table: table.assign(band=["head", "mid", "<b>"]), "bands that do not follow from training_videos"),
        (lambda table: table.assign(band=["head", "mid", None]), "bands that do not follow from training_videos"),
        (lambda table: table.assign(positives=[9, -1, 0]), "found positives -1"),
        (lambda table: table.assign(positives=pd.array([9, None, 0], "Int64")), "found positives nan"),
        (lambda table: table.assign(ap=[0.5, 1.5, None]), "found ap 1.5; expected 0 to 1"),
        (lambda table: table.assign(ap=[0.5, float("inf"), None]), "found ap inf"),
        (lambda table: table.assign(ap=[0.5, None, None]), "found ap nan"),  # a label with positives
        (lambda table: table.assign(ap=[[0.5]] * 3), "expected integers, a band as text, and ap as a fraction"),
    ],
)
def test_table_that_does_not_fit_is_refused(tmp_path: Path, change: Change, message: str) -> None:
    change(TABLE).to_parquet(tmp_path / LABEL_PRECISION, index=False)
    with pytest.raises(UserError, match=message):
        read_label_precision(tmp_path / LABEL_PRECISION, 3)


@pytest.mark.fault
def test_table_larger_than_its_labels_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / LABEL_PRECISION
    table = pa.Table.from_pandas(TABLE.assign(band=["x" * 100_000, "y" * 100_000, "z"]), preserve_index=False)
    pq.write_table(table, file, compression="zstd")
    monkeypatch.setattr(module, "MAX_BYTES", 20_000)
    assert file.stat().st_size < 20_000
    with pytest.raises(UserError, match=r"2\d\d,\d\d\d bytes; expected the precision of 3 labels"):
        read_label_precision(file, 3)


@pytest.mark.fault
@pytest.mark.parametrize("create", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused(tmp_path: Path, create: Callable[[Path], None]) -> None:
    create(tmp_path / LABEL_PRECISION)
    with pytest.raises(UserError, match=r"label_precision\.parquet: (cannot read|found a device or a pipe)"):
        read_label_precision(tmp_path / LABEL_PRECISION, 3)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("table") / LABEL_PRECISION
    TABLE.to_parquet(file, index=False)
    return file.read_bytes()


@pytest.mark.fault
@settings(max_examples=150)
@given(st.data())
def test_damaged_bytes_are_read_or_refused(content: bytes, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / LABEL_PRECISION
        file.write_bytes(data.draw(damaged(content)))
        result = read_or_refuse(file)
    if isinstance(result, str):
        assert LABEL_PRECISION in result
    else:
        assert result["ap"].dropna().between(0, 1).all()
        assert set(result["band"]) <= {"head", "mid", "tail"}


def read_or_refuse(file: Path) -> pd.DataFrame | str:
    """Return the table, or the message of the error."""
    try:
        return read_label_precision(file, 3)
    except UserError as error:
        return str(error)
