"""Servers of S3 (moto) and of Google Cloud Storage on the loopback device, with a bucket each."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

SECRET = "wJalrXUtnFEMI-a-secret-of-the-tests"  # noqa: S105
KEY = "AKIA-A-KEY-OF-THE-TESTS"


@dataclass(frozen=True)
class Bucket:
    """A bucket, and a client that does not go through fsspec.

    Attributes:
        address: such as s3://name.
        endpoint: URL of the server.
        client: boto3's.
    """

    address: str
    endpoint: str
    client: Any

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.address.removeprefix("s3://"), Key=key, Body=content)

    def upload(self, folder: Path, prefix: str = "") -> str:
        """Upload the files of a folder and return the address of their folder."""
        prefix = prefix or folder.name
        for path in sorted(folder.iterdir()):
            self.put(f"{prefix}/{path.name}", path.read_bytes())
        return f"{self.address}/{prefix}"


@contextmanager
def serve_bucket(name: str = "shards") -> Iterator[Bucket]:
    """Run an S3 server in a thread, with credentials and its address in the environment."""
    import boto3
    import s3fs
    from moto.server import ThreadedMotoServer

    s3fs.S3FileSystem.clear_instance_cache()  # fsspec keeps the connections to another server of this process

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }.items():
            patch.setenv(variable, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket=name)
        yield Bucket(f"s3://{name}", endpoint, client)
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def cached_bytes() -> int:
    """Return the bytes of all files in the shard cache of the workspace, also of incomplete ones."""
    folder = Path(os.environ["YT8M_HOME"]) / "shards"
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def serve_google_bucket(name: str = "shards") -> Iterator[Callable[[str, bytes], None]]:
    """Run a Google Cloud Storage server in a thread, with a bucket. Yield a function that uploads an object."""
    import gcsfs
    from gcp_storage_emulator.server import create_server

    gcsfs.GCSFileSystem.clear_instance_cache()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=name)
    server.start()
    upload = f"http://127.0.0.1:{port}/upload/storage/v1/b/{name}/o?uploadType=media&name="

    def put(key: str, content: bytes) -> None:
        requests.post(f"{upload}{quote(key, safe='')}", data=content, timeout=60).raise_for_status()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        yield put
    gcsfs.GCSFileSystem.clear_instance_cache()
    server.stop()
