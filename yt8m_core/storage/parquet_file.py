"""Open untrusted Parquet files."""

from pathlib import Path

import pyarrow.parquet as pq

from yt8m_core.storage.paths import check_file


def open_parquet(file: Path, max_bytes: int) -> pq.ParquetFile:
    """Open a Parquet file. Checksums of pages, which all files of this program have, are verified when they are read.

    Raises:
        UserError: The file is larger than ``max_bytes``, or is a device or a pipe, which may never end.
        OSError, pyarrow.ArrowException: It cannot be opened, or is no Parquet file.
    """
    check_file(file, max_bytes)
    return pq.ParquetFile(file, page_checksum_verification=True)
