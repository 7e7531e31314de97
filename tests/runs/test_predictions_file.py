"""Reading of predictions.parquet from untrusted files, and of the sizes in a Parquet footer."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.damage import damaged
from yt8m_core.errors import UserError
from yt8m_core.runs.predictions_file import read_predictions
from yt8m_core.storage.parquet_footer import column_sizes

VIDEOS, CLASSES = 30, 50
TABLE = pd.DataFrame(
    {
        "id": [f"v{i:03}" for i in range(VIDEOS)],
        "labels": [np.arange(20, dtype=np.int32) + i for i in range(VIDEOS)],
        "scores": [np.linspace(1, 0, 20, dtype=np.float32)] * VIDEOS,
        "true_labels": [np.array([i, i + 1], np.int32) for i in range(VIDEOS)],
    }
)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("table") / "predictions.parquet"
    TABLE.to_parquet(file, index=False)
    return file.read_bytes()


def read_or_refuse(data: bytes) -> pd.DataFrame | str:
    """Return the table, or the message of the error."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "predictions.parquet"
        file.write_bytes(data)
        try:
            return read_predictions(file, VIDEOS, CLASSES)
        except UserError as error:
            return str(error)


@pytest.mark.fault
def test_footer_with_any_changed_byte_is_read_or_refused(content: bytes) -> None:
    """In some of them, pyarrow's own access to the sizes would end the process."""
    footer = int.from_bytes(content[-8:-4], "little") + 8
    results = []
    for at in range(len(content) - footer, len(content)):
        for change in (0x0A, 0x06):  # of numbers of rows, the first makes 27 and the second 29 out of 30
            changed = bytearray(content)
            changed[at] ^= change
            results.append(read_or_refuse(changed))
    assert all(
        "predictions.parquet: " in result if isinstance(result, str) else len(result) == VIDEOS for result in results
    )
    assert sum(isinstance(result, str) for result in results) > 100


@pytest.mark.fault
@settings(max_examples=150)
@given(st.data())
def test_damaged_bytes_are_read_or_refused(content: bytes, data: st.DataObject) -> None:
    result = read_or_refuse(data.draw(damaged(content)))
    if isinstance(result, str):
        assert "predictions.parquet" in result
    else:
        assert len(result) == VIDEOS


@pytest.mark.parametrize("options", [{}, {"row_group_size": 7}, {"version": "1.0", "write_statistics": False}])
def test_sizes_are_those_of_pyarrow(tmp_path: Path, options: dict[str, object]) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pandas(TABLE), file, **options)
    metadata = pq.read_metadata(file)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    expected = [(column.num_values, column.total_uncompressed_size) for column in columns]
    assert [(size.num_values, size.num_bytes) for size in column_sizes(file)] == expected


@pytest.mark.fault
def test_lists_that_are_longer_than_predictions_are_refused_before_they_are_read(tmp_path: Path) -> None:
    file = tmp_path / "predictions.parquet"
    TABLE.assign(labels=[np.zeros(100_000, np.int32)] * VIDEOS).to_parquet(file, index=False)
    assert file.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"3,00\d,\d\d\d values in .* bytes; expected the predictions of 30 videos"):
        read_predictions(file, VIDEOS, CLASSES)
