"""DATA in a bucket or behind HTTP: listing, indexing, reading, and a training with the weights of one on disk."""

import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.buckets import KEY, SECRET, Bucket, serve_bucket, serve_google_bucket
from tests.support.command import yt8m
from tests.support.file_server import FileServer, serve_files
from tests.support.shards import indexed, small, three_shards, write
from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core import train
from yt8m_core.data.dataset import Videos
from yt8m_core.data.shard_cache import ShardCache
from yt8m_core.data.sources import find_sources
from yt8m_core.errors import MissingDataError, UserError
from yt8m_core.experiment import Data
from yt8m_core.storage import remote_access
from yt8m_core.workspace import workspace

pytestmark = [pytest.mark.usefixtures("own_workspace")]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with serve_bucket() as bucket:
        yield bucket


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(remote_access, "PAUSE", 0.01)
    with serve_files() as server:
        server.has_etags = server.lists_folders = True
        yield server


@pytest.fixture
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


def serve_folder(server: FileServer, folder: Path, prefix: str) -> str:
    for path in folder.iterdir():
        server.files[f"{prefix}/{path.name}"] = path.read_bytes()
    return f"{server.address}/{prefix}/"


def all_frames(videos: Videos) -> list[np.ndarray]:
    return [videos.frames(number) for number in range(len(videos))]


def test_bucket_and_http_have_the_videos_of_the_same_shards_on_disk(
    tmp_path: Path, bucket: Bucket, server: FileServer
) -> None:
    folder = three_shards(tmp_path / "local")
    local = Videos(indexed(folder))
    for data in (bucket.upload(folder, "same"), serve_folder(server, folder, "same")):
        videos = Videos(indexed(data))
        assert videos.ids == local.ids
        assert all((a == b).all() for a, b in zip(all_frames(videos), all_frames(local), strict=True))
        assert videos.location(0) == f"{data.rstrip('/')}/a.tfrecord, record 0"


def test_each_server_of_a_process_is_asked_at_its_own_address(tmp_path: Path) -> None:
    folder = three_shards(tmp_path / "local")
    for name in ("first", "second"):
        with serve_bucket(name) as bucket:
            assert len(find_sources(bucket.upload(folder))) == 3


def test_folders_files_globs_and_braces_name_the_shards(tmp_path: Path, bucket: Bucket, server: FileServer) -> None:
    for name in ("a.tfrecord", "b.tfrecord.gz", "c.tfrecord-00000-of-00001", "notes.txt", ".hidden.tfrecord"):
        write(tmp_path / "names" / name, small(name))
    for number in range(2):
        write(tmp_path / "plain" / f"train-0{number}", small(f"v{number}"))
    (tmp_path / "plain" / "x.gz").write_bytes(gzip.compress(b"no shard"))
    (tmp_path / "plain" / "y.gz").write_bytes(gzip.compress((tmp_path / "plain" / "train-00").read_bytes()))
    roots = {
        bucket.upload(tmp_path / "names").rpartition("/")[0],
        serve_folder(server, tmp_path / "names", "names").removesuffix("/names/"),
    }
    bucket.upload(tmp_path / "plain")
    serve_folder(server, tmp_path / "plain", "plain")

    def names(data: str) -> list[str]:
        return [shard.path.rpartition("/")[2] for shard in find_sources(data)]

    for root in roots:
        shards = ["a.tfrecord", "b.tfrecord.gz", "c.tfrecord-00000-of-00001"]
        assert names(f"{root}/names/") == shards
        assert names(f"{root}/names/*.tfrecord*")[-3:] == shards
        assert names(f"{root}/names/a.tfrecord") == ["a.tfrecord"]
        assert names(f"{root}/names/{{a.tfrecord,b.tfrecord.gz}}") == shards[:2]
        assert names(f"{root}/plain/train-{{00..01}}") == ["train-00", "train-01"]
        assert names(f"{root}/plain/") == ["train-00", "train-01", "y.gz"]
        for missing in (f"{root}/names/z.tfrecord", f"{root}/none/", f"{root}/none/*.tfrecord"):
            with pytest.raises(MissingDataError, match=r"no file matches|does not list"):
                find_sources(missing)


def test_compressed_shard_is_expanded_in_the_cache(tmp_path: Path, bucket: Bucket) -> None:
    plain = write(tmp_path / "zip" / "a.tfrecord", *(small(f"v{number}") for number in range(5))).read_bytes()
    bucket.put("zip/a.tfrecord.gz", gzip.compress(plain))
    videos = Videos(indexed(f"{bucket.address}/zip"))
    assert all((videos.frames(i) == small(f"v{i}").expected_frames).all() for i in range(5))
    assert [path.read_bytes() for path in (workspace() / "shards").glob("*.tfrecord")] == [plain]


def test_index_is_used_again_without_a_download(tmp_path: Path, server: FileServer) -> None:
    data = serve_folder(server, three_shards(tmp_path / "local"), "data")
    index = indexed(data)
    shutil.rmtree(workspace() / "shards")
    server.requests.clear()
    assert indexed(data).table == index.table
    assert {path for path, _ in server.requests} == {"data/"}
    server.files["data/b.tfrecord"] = write(tmp_path / "new.tfrecord", small("new")).read_bytes()
    assert "new" in Videos(indexed(data)).ids
    assert {path for path, _ in server.requests} == {"data/", "data/b.tfrecord"}


@pytest.mark.slow
@pytest.mark.parametrize("budget", ["1GB", "10kB"])
@pytest.mark.parametrize("pool_once", ["no", "float32"])
def test_training_on_a_bucket_has_the_weights_of_one_on_disk(
    tmp_path: Path,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    budget: str,
    pool_once: str,
) -> None:
    local = tiny_experiment(tmp_path)
    local = replace(local, training=replace(local.training, pool_once=pool_once))
    (tmp_path / "train" / "vocabulary.csv").write_text("Index,Name\n" + "".join(f"{i},n{i}\n" for i in range(8)))
    data = Data(
        bucket.upload(tmp_path / "train", f"{pool_once}{budget}/train"),
        bucket.upload(tmp_path / "validation", f"{pool_once}{budget}/validation"),
        streams=STREAMS,
    )
    on_disk = train(local, tmp_path / "disk")
    monkeypatch.setenv("YT8M_SHARD_CACHE", budget)
    on_bucket = train(replace(local, data=data), tmp_path / "bucket")
    assert on_bucket.weights_file.read_bytes() == on_disk.weights_file.read_bytes()
    assert (tmp_path / "bucket" / "vocabulary.csv").read_bytes() == (tmp_path / "disk" / "vocabulary.csv").read_bytes()
    found = {("1GB", "no"): "each shard is downloaded once", ("10kB", "no"): "times the data"}.get((budget, pool_once))
    assert ("remote shards" in caplog.text, not found or found in caplog.text) == (pool_once == "no", True)
    config = json.loads((tmp_path / "bucket" / "config.json").read_text())
    assert config["experiment"]["data"]["train"] == data.train


def test_folder_without_shards_and_unknown_protocols_are_refused(bucket: Bucket) -> None:
    bucket.put("texts/notes.txt", b"no shard")
    with pytest.raises(UserError, match=r"folder s3://shards/texts: no \*\.tfrecord file\. Choose the folder"):
        find_sources(f"{bucket.address}/texts")
    with pytest.raises(UserError, match="unknown://bucket/a: an address that cannot be used: Protocol not known"):
        find_sources("unknown://bucket/a")
    with pytest.raises(MissingDataError, match=r"no file matches s3://another-bucket/train"):
        find_sources("s3://another-bucket/train")


@pytest.mark.fault
def test_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec.core

    def fail(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", fail)
    with pytest.raises(
        UserError, match=r"s3:// needs a package that is not installed\. .* pip install 'yt8m\[remote\]'"
    ):
        find_sources("s3://bucket/train")


def test_google_bucket_is_read_and_its_changes_are_noticed(tmp_path: Path) -> None:
    folder = three_shards(tmp_path / "local")
    local = Videos(indexed(folder))
    with serve_google_bucket() as put:
        for path in folder.iterdir():
            put(f"train/{path.name}", path.read_bytes())
        for data in ("gs://shards/train", "gs://shards/train/*.tfrecord"):
            videos = Videos(indexed(data))
            assert videos.ids == local.ids
            assert all((a == b).all() for a, b in zip(all_frames(videos), all_frames(local), strict=True))
        put("train/a.tfrecord", (folder / "a.tfrecord").read_bytes()[::-1])
        shutil.rmtree(workspace() / "shards")
        with pytest.raises(UserError, match=r"gs://shards/train/a\.tfrecord: the object has changed"):
            ShardCache(workspace() / "shards", 1 << 30).open(videos.shards[0])


def test_objects_of_a_bucket_that_change_or_are_added_are_indexed_again(tmp_path: Path, bucket: Bucket) -> None:
    data = bucket.upload(three_shards(tmp_path / "local"), "changing")
    assert len(Videos(indexed(data))) == 15
    bucket.put("changing/b.tfrecord", write(tmp_path / "b", small("b-new")).read_bytes())
    bucket.put("changing/d.tfrecord", write(tmp_path / "d", small("d-new")).read_bytes())
    videos = Videos(indexed(data))
    assert (len(videos), videos.find("b-new"), videos.find("d-new")) == (12, 4, 11)
    assert (videos.frames(4) == small("b-new").expected_frames).all()


def test_shards_of_several_folders_have_the_order_of_paths(tmp_path: Path, bucket: Bucket) -> None:
    for folder in ("a", "a-b", "a.c"):
        shard = write(tmp_path / "order" / folder / "x.tfrecord", small(folder))
        bucket.put(f"order/{folder}/x.tfrecord", shard.read_bytes())
    local, remote = (Videos(indexed(f"{root}/order/*/*.tfrecord")).ids for root in (tmp_path, bucket.address))
    assert remote == local == ["a", "a-b", "a.c"]


def test_any_file_system_of_fsspec_is_read(tmp_path: Path) -> None:
    import fsspec

    folder = three_shards(tmp_path / "local")
    memory = fsspec.filesystem("memory")
    for path in folder.iterdir():
        memory.pipe(f"/any/{path.name}", path.read_bytes())
    for data in ("memory://any", "memory://any/*.tfrecord", f"file://{folder}"):
        assert Videos(indexed(data)).ids == Videos(indexed(folder)).ids


def test_bucket_with_empty_objects_as_folders_is_listed(tmp_path: Path, bucket: Bucket) -> None:
    for key in ("marked/", "marked/sub/", "marked/empty"):
        bucket.put(key, b"")
    bucket.put("marked/train-00", write(tmp_path / "train-00", small()).read_bytes())
    assert [shard.path for shard in find_sources("s3://shards/marked/")] == ["s3://shards/marked/train-00"]


@pytest.mark.slow
def test_every_command_reads_a_bucket(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_experiment(tmp_path)
    train, validation = (bucket.upload(tmp_path / split, f"commands/{split}") for split in ("train", "validation"))
    streams = ["--streams", "rgb:24", "audio:8"]
    run = tmp_path / "run"
    training = ["--pooling", "mean", "--epochs", "1"]
    yt8m(monkeypatch, "labels", train, *streams)
    yt8m(monkeypatch, "train", "--train", train, "--validation", validation, "--run", run, *streams, *training)
    yt8m(monkeypatch, "train", "--train", train, "--fold", "1/2", "--run", tmp_path / "fold", *streams, *training)
    yt8m(monkeypatch, "calibrate", run, "--data", validation)
    yt8m(monkeypatch, "predict", run, "--data", f"{validation}/*.tfrecord", "--output", tmp_path / "scores.parquet")
    yt8m(monkeypatch, "ensemble", run, tmp_path / "scores.parquet", "--data", validation)
    yt8m(monkeypatch, "export", run, "--output", tmp_path / "run.pt2")
    yt8m(monkeypatch, "card", run)
    yt8m(monkeypatch, "relocate", run, "--train", str(tmp_path / "train"))
    yt8m(monkeypatch, "relocate", run, "--train", train, "--validation", validation)
    missing = ["--folds", "2", "--epochs", "1", "--limit", "5", "--pooling", "mean"]
    yt8m(monkeypatch, "missing-labels", "--train", train, "--output", tmp_path / "missing.csv", *streams, *missing)
    assert f"run, train: {train}\n" in capsys.readouterr().out
    data = json.loads((run / "config.json").read_text())["experiment"]["data"]
    assert (data["train"], data["validation"]) == (train, validation)
    assert json.loads((run / "calibration.json").read_text())["data"] == validation


@pytest.mark.slow
@pytest.mark.fault
def test_credentials_are_neither_printed_nor_logged_nor_stored(
    tmp_path: Path,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    tiny_experiment(tmp_path)
    data = [bucket.upload(tmp_path / split, f"secret/{split}") for split in ("train", "validation")]
    streams = ["--streams", "rgb:24", "audio:8"]
    run = tmp_path / "run"
    with caplog.at_level("DEBUG", "yt8m_core"):
        yt8m(monkeypatch, "index", data[0], *streams)
        training = ["--pooling", "mean", "--epochs", "1", "--pool-once", "no"]
        yt8m(monkeypatch, "train", "--train", data[0], "--validation", data[1], "--run", run, *streams, *training)
        yt8m(monkeypatch, "evaluate", run, "--data", data[1], "--json")
        monkeypatch.setattr(remote_access, "PAUSE", 0.01)
        fail_with = RuntimeError(f"signature of {KEY} with {SECRET} at https://ada:{SECRET}@host?sig={SECRET}")
        monkeypatch.setattr("yt8m_core.storage.remote.call", lambda *_, **__: raise_error(fail_with))
        with pytest.raises(SystemExit) as failed:
            yt8m(monkeypatch, "index", data[0], *streams)
    captured = capfd.readouterr()
    texts = [str(failed.value), captured.out, captured.err]
    texts += [record.getMessage() for record in caplog.records if record.name.startswith("yt8m_core")]
    stored = [path for folder in (run, workspace()) for path in folder.rglob("*") if path.is_file()]
    assert "cannot be read: signature of *** with ***" in texts[0]
    assert "s3://shards/secret/train" in (run / "config.json").read_text()
    for secret in (SECRET, KEY):
        assert [text for text in texts if secret in text] == []
        assert [path for path in stored if secret.encode() in path.read_bytes()] == []


def raise_error(error: Exception) -> None:
    raise error
