import hashlib
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.command import yt8m
from tests.support.file_server import IGNORE_RANGE, SHIFT_RANGE, Content, Cut, Fault, FileServer, serve_files
from tests.support.shards import vector
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.download import http
from yt8m_core.data.download import shards as download
from yt8m_core.data.download.plan import Partition, PlannedShard, parse_fraction, read_plan, select_fraction
from yt8m_core.data.download.shards import Download, Servers
from yt8m_core.data.tfrecord.encode import write_shard
from yt8m_core.data.vocabulary import Vocabulary, read_vocabulary, write_vocabulary
from yt8m_core.errors import UserError

LETTERS = [chr(code) for first, last in ("az", "AZ", "09") for code in range(ord(first), ord(last) + 1)]
PARTITION = Partition("2", "video", "train")
PLAN = "2/download_plans/video_train.json"
NAMES = ("trainaa.tfrecord", "trainbF.tfrecord", "trainZz.tfrecord")
LOCAL_NAMES = ("train0000.tfrecord", "train0093.tfrecord", "train3187.tfrecord")
SHARD_BF = "2/video/train/trainbF.tfrecord"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Three shards with 60 videos and 280 kB each: several chunks."""
    folder = tmp_path_factory.mktemp("files")
    for name in NAMES:
        write_shard(folder / name, [vector(f"{name[5:7]}{i:02d}", (i % 5,)).regular() for i in range(60)])
    return {name: (folder / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("files") / "vocabulary.csv"
    write_vocabulary(path, Vocabulary(("Game", "Car", "Food", "Dog", "Cat"), ("x",) * 5, np.arange(5)))
    return path.read_bytes()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server(shards: dict[str, bytes], vocabulary: bytes) -> Iterator[FileServer]:
    """A copy of data.yt8m.org, with the vocabulary."""
    with serve_files() as server:
        add_shards(server, shards)
        server.files["vocabulary.csv"] = vocabulary
        yield server


def add_shards(server: FileServer, shards: dict[str, bytes]) -> None:
    server.files |= {f"2/video/train/{name}": content for name, content in shards.items()}
    server.files[PLAN] = plan({name: md5(content) for name, content in shards.items()})


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def plan(files: object) -> bytes:
    return json.dumps({"files": files}).encode()


def servers_at(*addresses: str, **options: float) -> Servers:
    """Return servers without pauses; the first one has the plan."""
    servers = Servers(addresses[0], addresses, f"{addresses[0]}/vocabulary.csv", pause=0, timeout=5)
    return replace(servers, **options)


def open_download(output: Path, *addresses: str, **options: float) -> Download:
    return Download.open(PARTITION, output, servers=servers_at(*addresses, **options))


def downloaded_files(output: Path) -> dict[str, bytes]:
    """Return the files in the partition's folder, except the list of verified shards."""
    files = (output / "2" / "video" / "train").iterdir()
    return {file.name: file.read_bytes() for file in files if file.name != ".checked"}


def by_local_name(shards: dict[str, bytes]) -> dict[str, bytes]:
    return dict(zip(LOCAL_NAMES, shards.values(), strict=True))


def unused_address() -> str:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"


# --- plan, selection, names


def test_two_characters_become_the_number_that_googles_script_uses() -> None:
    assert PlannedShard("trainbF.tfrecord", "").local_name == "train0093.tfrecord"  # an example of Google's script
    pairs = [first + second for first in LETTERS for second in LETTERS]
    for split in ("train", "validate", "test"):
        names = [PlannedShard(f"{split}{pair}.tfrecord", "").local_name for pair in pairs]
        assert names == [f"{split}{number:04d}.tfrecord" for number in range(3844)]


@pytest.mark.parametrize("name", ["validate0001.tfrecord", "train-_.tfrecord", "trainabc.tfrecord", "ab.tfrecord"])
def test_other_names_are_unchanged(name: str) -> None:
    assert PlannedShard(name, "").local_name == name


def test_one_hundredth_has_the_shards_of_googles_script() -> None:
    planned = {
        split: [PlannedShard(f"{split}{a}{b}.tfrecord", "") for a in LETTERS for b in LETTERS]
        for split in ("train", "validate", "test")
    }
    hundredth = {shard.local_name for shard in select_fraction(planned["train"], (1, 100))}
    # listed in several public repositories as the result of shard=1,100 of 2/frame/train
    assert {f"train{number}.tfrecord" for number in ("0093", "0111", "0208", "2072")} <= hundredth
    # from a public log of shard=1,1000: 5, 5 and 4 files
    assert [len(select_fraction(shards, (1, 1000))) for shards in planned.values()] == [5, 5, 4]


def test_parts_follow_the_md5_of_names_and_contain_each_shard_once() -> None:
    planned = [PlannedShard(f"train{a}{b}.tfrecord", "") for a in LETTERS[:20] for b in LETTERS]
    parts = [select_fraction(planned, (part, 7)) for part in range(1, 8)]
    for number, part in enumerate(parts):
        for shard in part:  # digit by digit, as in long division
            remainder = 0
            for byte in hashlib.md5(shard.name.encode(), usedforsecurity=False).digest():
                remainder = (remainder * 256 + byte) % 7
            assert remainder == number
    assert sorted((shard for part in parts for shard in part), key=planned.index) == planned
    with pytest.raises(UserError, match=r"part 1 of 1000000 contains none of the 1 shards"):
        select_fraction(planned[:1], (1, 1_000_000))


@pytest.mark.parametrize("text", ["", "1", "0,5", "6,5", "1,2,3", "-1,5", "1, 5", "1/5", "a,b", "1,0", "1e1,20", "١,٢"])
def test_invalid_fraction_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected X,Y"):
        parse_fraction(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2/frame", "expected edition/level/split"),
        ("2/frame/train/x", "expected edition/level/split"),
        ("2/frame/validation", "Did you mean 'validate'"),
        ("1/frame/train", "unknown edition '1'"),
        ("2/frame_level/train", "Did you mean 'frame'"),
        ("../frame/train", r"unknown edition '\.\.'"),
    ],
)
def test_unknown_partition_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Partition.parse(text)


@pytest.mark.parametrize("mirror", ["uk", "ftp://x/", "http://", "http://[1", ""])
def test_invalid_mirror_is_refused(mirror: str) -> None:
    with pytest.raises(UserError, match=r"mirror '"):
        Servers.from_mirror(mirror)


@pytest.mark.parametrize(
    "name",
    [
        "../trainaa.tfrecord", "/trainaa.tfrecord", "a/trainaa.tfrecord", "..\\trainaa.tfrecord", "C:trainaa.tfrecord",
        ".trainaa.tfrecord", "trainaa", "trainaa.tfrecord\n", "trainaa.tfrecord\0", "..tfrecord", "",
        "trainaa.tfrecord.sh", "train%2e%2e.tfrecord", "tráinaa.tfrecord", "x" * 300 + ".tfrecord",
    ],
)  # fmt: skip
def test_malicious_name_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="file name"):
        read_plan(plan({name: "0" * 32}), "plan")


@pytest.mark.parametrize("digest", ["", "0" * 31, "0" * 33, "g" * 32, "0" * 31 + "\n", 7, None, ["0" * 32]])
def test_invalid_md5_is_refused(digest: object) -> None:
    with pytest.raises(UserError, match=r"md5 of trainaa\.tfrecord: .*32 hexadecimal digits"):
        read_plan(plan({"trainaa.tfrecord": digest}), "plan")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"<html>not here</html>", "invalid JSON"),
        (b"\xff\xfe\x00", "invalid JSON"),
        (b"[" * 100_000, "invalid JSON"),
        (b"[]", "no files"),
        (b"{}", "no files"),
        (b'{"files": {}}', "no files"),
        (b'{"files": ["trainaa.tfrecord"]}', "no files"),
        (plan({"trainbF.tfrecord": "0" * 32, "train0093.tfrecord": "0" * 32}), "two shards with the same local name"),
    ],
)
def test_invalid_plan_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_plan(text, "plan")


json_values = st.recursive(
    st.none() | st.integers() | st.text() | st.from_regex(r"\.{0,2}[/\\]?[a-zA-Z]{2,8}\.tfrecord", fullmatch=True),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(NAMES), inner),
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()) | json_values.map(plan))
def test_any_plan_is_refused_or_stays_in_its_folder(text: bytes) -> None:
    try:
        planned = read_plan(text, "plan")
    except UserError:
        return
    for shard in planned:
        assert (Path("/data") / shard.local_name).resolve().parent == Path("/data")
        assert re.fullmatch("[0-9a-f]{32}", shard.md5)


# --- download


def test_shards_are_downloaded_with_the_right_names_and_bytes(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    job = open_download(tmp_path, server.address)
    total = sum(map(len, shards.values()))
    assert not list(tmp_path.iterdir())
    assert (len(job.shards), len(job.missing), job.size) == (3, 3, total)
    reports = []
    assert job.run(lambda what, done, total, note="": reports.append((done, total))) == total
    assert downloaded_files(tmp_path) == by_local_name(shards)
    assert reports[-1] == (total, total)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    assert all(done < estimate for done, estimate in reports[:-1])  # a full progress bar is closed


def test_second_run_downloads_nothing_and_verifies_no_shard_again(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_download(tmp_path, server.address).run()
    server.requests.clear()
    server.size_requests.clear()
    monkeypatch.delattr(download, "md5_of")
    job = open_download(tmp_path, server.address)
    assert (job.missing, job.size, job.run()) == ((), 0, 0)
    assert (server.requests, server.size_requests) == ([(PLAN, None)], [])


def test_shards_of_another_program_are_used_if_their_md5_is_right(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    folder = tmp_path / "2" / "video" / "train"
    folder.mkdir(parents=True)
    for name, content in by_local_name(shards).items():
        (folder / name).write_bytes(content)
    damaged = bytearray(shards[NAMES[1]])
    damaged[1000] ^= 1
    (folder / LOCAL_NAMES[1]).write_bytes(damaged)
    reports = []
    job = Download.open(
        PARTITION,
        tmp_path,
        servers=servers_at(server.address),
        progress=lambda what, done, total, note="": reports.append(done),
    )
    assert [shard.name for shard in job.missing] == [NAMES[1]]
    assert reports[-1] == sum(map(len, shards.values()))
    job.run()
    assert downloaded_files(tmp_path) == by_local_name(shards)
    assert {path for path, _ in server.requests} == {PLAN, SHARD_BF}


def test_shard_that_changes_after_verification_is_downloaded_again(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    open_download(tmp_path, server.address).run()
    (tmp_path / PARTITION.edition / "video" / "train" / LOCAL_NAMES[0]).write_bytes(b"short")
    open_download(tmp_path, server.address).run()
    assert downloaded_files(tmp_path) == by_local_name(shards)
    assert len(server.ranges(f"2/video/train/{NAMES[0]}")) == 2


def test_shard_with_a_wrong_md5_is_downloaded_again(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    server.faults[SHARD_BF] = [Content(b"wrong"), Content(shards[NAMES[0]])]
    open_download(tmp_path, server.address).run()
    assert downloaded_files(tmp_path) == by_local_name(shards)
    assert server.ranges(SHARD_BF) == [None, None, None]


@pytest.mark.fault
def test_md5_that_stays_wrong_is_reported_and_other_shards_are_downloaded(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    server.files[SHARD_BF] = b"wrong"
    with pytest.raises(UserError) as error:
        open_download(tmp_path, server.address).run()
    for part in ("trainbF.tfrecord", md5(b"wrong"), md5(shards[NAMES[1]]), "the same command"):
        assert part in str(error.value)
    assert len(server.ranges(SHARD_BF)) == http.MAX_MD5_FAILURES
    assert downloaded_files(tmp_path) == {
        name: content for name, content in by_local_name(shards).items() if name != LOCAL_NAMES[1]
    }


def test_failed_shards_are_counted(tmp_path: Path, server: FileServer) -> None:
    del server.files[SHARD_BF], server.files[f"2/video/train/{NAMES[2]}"]
    with pytest.raises(UserError, match=r"2 of 3 shards could not be downloaded. The first: .*trainbF.*404"):
        open_download(tmp_path, server.address).run()
    assert set(downloaded_files(tmp_path)) == {LOCAL_NAMES[0]}


def test_broken_connection_is_resumed_where_it_ended(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    server.faults[SHARD_BF] = [Cut(200_000)]
    open_download(tmp_path, server.address).run()
    assert downloaded_files(tmp_path) == by_local_name(shards)
    first, second = server.ranges(SHARD_BF)
    assert first is None
    assert 200_000 - http.CHUNK <= int(second.removeprefix("bytes=").removesuffix("-")) <= 200_000


def test_interrupted_download_resumes_in_the_middle_of_a_shard(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    def stop(what: str, done: int, total: int, note: str = "") -> None:
        if done > len(shards[NAMES[0]]) + 150_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_download(tmp_path, server.address).run(stop)
    partial = downloaded_files(tmp_path)
    assert set(partial) == {LOCAL_NAMES[0], f".{LOCAL_NAMES[1]}.part"}
    kept = len(partial[f".{LOCAL_NAMES[1]}.part"])
    assert kept >= 150_000
    open_download(tmp_path, server.address).run()
    assert downloaded_files(tmp_path) == by_local_name(shards)
    assert server.ranges(SHARD_BF) == [None, f"bytes={kept}-"]
    assert len(server.ranges(f"2/video/train/{NAMES[0]}")) == 1


@pytest.mark.parametrize("partial", ["complete", "too long", "of another file"])
def test_partial_file_is_used_only_if_it_leads_to_the_right_md5(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes], partial: str
) -> None:
    folder = tmp_path / "2" / "video" / "train"
    folder.mkdir(parents=True)
    complete = shards[NAMES[1]]
    content = {"complete": complete, "too long": complete + b"more", "of another file": b"x" * 1000}[partial]
    (folder / f".{LOCAL_NAMES[1]}.part").write_bytes(content)
    open_download(tmp_path, server.address).run()
    assert downloaded_files(tmp_path) == by_local_name(shards)
    ranges = [f"bytes={len(content)}-"] + ([] if partial == "complete" else [None])
    assert server.ranges(SHARD_BF) == ranges


@pytest.mark.parametrize("fault", [IGNORE_RANGE, SHIFT_RANGE])
def test_server_that_ignores_the_range_costs_only_the_partial_file(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes], fault: Fault
) -> None:
    server.faults[SHARD_BF] = [Cut(200_000), fault]
    open_download(tmp_path, server.address).run()
    assert downloaded_files(tmp_path) == by_local_name(shards)
    assert len(server.ranges(SHARD_BF)) == (2 if fault == IGNORE_RANGE else 3)


@given(st.lists(st.integers(0, 300_000).map(Cut) | st.sampled_from([503, IGNORE_RANGE, SHIFT_RANGE]), max_size=5))
def test_shard_is_correct_after_any_sequence_of_faults(
    tmp_path_factory: pytest.TempPathFactory, shards: dict[str, bytes], faults: list[Fault]
) -> None:
    output = tmp_path_factory.mktemp("any")
    with serve_files() as server:
        add_shards(server, {NAMES[1]: shards[NAMES[1]]})
        server.faults[SHARD_BF] = faults
        open_download(output, server.address).run()
    assert downloaded_files(output) == {LOCAL_NAMES[1]: shards[NAMES[1]]}


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_busy_server_is_retried(tmp_path: Path, server: FileServer, shards: dict[str, bytes], status: int) -> None:
    server.faults[SHARD_BF] = [status, status]
    open_download(tmp_path, server.address).run()
    assert downloaded_files(tmp_path) == by_local_name(shards)


@pytest.mark.parametrize("status", [404, 403, 410])
def test_refusal_is_not_retried(tmp_path: Path, server: FileServer, status: int) -> None:
    server.faults[SHARD_BF] = [status] * 9
    with pytest.raises(UserError, match=f"trainbF.tfrecord: HTTP status {status}"):
        open_download(tmp_path, server.address).run()
    assert len(server.ranges(SHARD_BF)) == 1


def test_number_of_rounds_is_limited_and_pauses_double(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    job = open_download(tmp_path, server.address, pause=0.5, rounds=4)
    server.faults[f"2/video/train/{NAMES[0]}"] = [503] * 99
    monkeypatch.setattr("time.sleep", pauses.append)
    with pytest.raises(http.Unreachable, match=r"HTTP status 503.*Run the same command again"):
        job.run()
    assert pauses == [0.5, 1.0, 2.0]
    assert server.ranges(SHARD_BF) == []  # unreachable servers end the download


def test_mirror_that_is_down_is_replaced_by_the_next_and_tried_last(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    with serve_files() as other:
        add_shards(other, shards)
        mirrors = (unused_address(), other.address, server.address)
        servers = replace(servers_at(server.address), mirrors=mirrors)
        job = Download.open(PARTITION, tmp_path, servers=servers)
        job.run()
        assert downloaded_files(tmp_path) == by_local_name(shards)
        assert [path for path, _ in other.requests] == [f"2/video/train/{name}" for name in NAMES]
    assert [path for path, _ in server.requests] == [PLAN]


def test_mirror_that_fails_during_the_download_is_tried_last_afterwards(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    with serve_files() as other:
        add_shards(other, shards)
        for name in NAMES:
            server.faults[f"2/video/train/{name}"] = [503] * 9
        open_download(tmp_path, server.address, other.address).run()
        assert downloaded_files(tmp_path) == by_local_name(shards)
    assert [path for path, _ in server.requests] == [PLAN, f"2/video/train/{NAMES[0]}"]


def test_selected_mirror_is_tried_first_and_another_fills_its_gaps(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    del server.files[SHARD_BF]
    with serve_files() as other:
        add_shards(other, shards)
        open_download(tmp_path, server.address, other.address).run()
        assert downloaded_files(tmp_path) == by_local_name(shards)
        assert other.requests == [(SHARD_BF, None)]
    assert len(server.requests) == 4


def test_another_mirror_resumes_where_the_first_failed(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    server.faults[SHARD_BF] = [Cut(200_000)]
    with serve_files() as other:
        add_shards(other, shards)
        open_download(tmp_path, server.address, other.address).run()
        (resumed,) = other.ranges(SHARD_BF)
        assert resumed is not None
    assert downloaded_files(tmp_path) == by_local_name(shards)


def test_unreachable_servers_are_reported(tmp_path: Path) -> None:
    with pytest.raises(http.Unreachable, match=r"video_train\.json: ConnectionError"):
        open_download(tmp_path, unused_address())
    assert not list(tmp_path.iterdir())


def test_missing_or_invalid_plan_is_reported(tmp_path: Path, server: FileServer) -> None:
    server.files[PLAN] = b"<html>"
    with pytest.raises(UserError, match=r"video_train\.json: found invalid JSON; expected a download plan"):
        open_download(tmp_path, server.address)
    del server.files[PLAN]
    with pytest.raises(UserError, match=r"no download plan for 2/video/train.*404"):
        open_download(tmp_path, server.address)
    assert not list(tmp_path.iterdir())


def test_endless_plan_is_refused(tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_PLAN", 100)
    with pytest.raises(UserError, match="more than 100 bytes"):
        open_download(tmp_path, server.address)


def test_full_disk_is_reported_before_the_download_starts(tmp_path: Path, server: FileServer) -> None:
    server.sizes = {f"2/video/train/{name}": 10**17 for name in NAMES}
    with pytest.raises(UserError, match=r"free, but 3 shards need about 300PB.*smaller fraction"):
        open_download(tmp_path, server.address)
    assert not list(tmp_path.iterdir())
    assert {path for path, _ in server.requests} == {PLAN}


def test_size_is_estimated_from_a_sample_of_shards(tmp_path: Path) -> None:
    names = [f"train{a}{b}.tfrecord" for a in LETTERS for b in "ab"]
    with serve_files() as server:
        add_shards(server, dict.fromkeys(names, b"ten bytes!"))
        job = open_download(tmp_path, server.address)
        assert (job.size, len(server.size_requests)) == (10 * len(names), download.SIZE_SAMPLES)
        server.files = {PLAN: server.files[PLAN]}
        job = open_download(tmp_path, server.address)
        assert job.size is None
        assert "unknown size" in str(job)


def test_invalid_vocabulary_is_reported_and_not_kept(tmp_path: Path, server: FileServer) -> None:
    job = open_download(tmp_path, server.address)
    server.files["vocabulary.csv"] = b"<html>moved</html>"
    with pytest.raises(UserError, match=r"no vocabulary at http.*save the file as .*vocabulary\.csv"):
        job.fetch_vocabulary()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# --- command line


def test_command_downloads_what_index_and_labels_read(
    tmp_path: Path,
    server: FileServer,
    vocabulary: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ("download", "2/video/train", "--output", tmp_path, "--mirror", server.address)
    yt8m(monkeypatch, *command)
    printed = capsys.readouterr().out
    folder = tmp_path / "2" / "video" / "train"
    assert f"3 of 3 shards selected, 0 already in {folder}, 3 to download, about " in printed
    assert f"{folder}: 3 shards with the right md5" in printed
    assert (folder.parent / "vocabulary.csv").read_bytes() == vocabulary
    yt8m(monkeypatch, "index", folder)
    assert "180 videos in 3 shards: video-level features" in capsys.readouterr().out
    yt8m(monkeypatch, "labels", folder)
    assert "180 videos with 5 of 5 labels" in (labels := capsys.readouterr().out)
    assert "Food" in labels
    assert sorted(open_videos(folder).ids)[:2] == ["Zz00", "Zz01"]
    assert read_vocabulary(folder.parent / "vocabulary.csv").names[2] == "Food"
    server.requests.clear()
    yt8m(monkeypatch, *command)
    assert server.requests == [(PLAN, None)]


def test_command_downloads_a_fraction_with_either_option(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {
        local
        for name, local in zip(NAMES, LOCAL_NAMES, strict=True)
        if int.from_bytes(hashlib.md5(name.encode(), usedforsecurity=False).digest(), "big") % 2 == 0
    }
    assert 0 < len(wanted) < len(NAMES)
    for option in ("--fraction", "--shard"):
        output = tmp_path / option
        yt8m(monkeypatch, "download", "2/video/train", "--output", output, "--mirror", server.address, option, "1,2")
        assert set(downloaded_files(output)) == wanted


def test_command_reports_a_missing_vocabulary_and_downloads_the_shards(
    tmp_path: Path,
    server: FileServer,
    shards: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del server.files["vocabulary.csv"]
    yt8m(monkeypatch, "download", "2/video/train", "--output", tmp_path, "--mirror", server.address)
    assert "no vocabulary at http" in capsys.readouterr().out
    assert downloaded_files(tmp_path) == by_local_name(shards)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2/frame/trian"], "Did you mean 'train'"),
        (["2/video/train", "--fraction", "2"], "expected X,Y"),
        (["2/video/train", "--mirror", "uk"], "unknown mirror 'uk'. .*Known: us, eu, asia"),
        (["2/video/test", "--mirror", "{server}"], "no download plan for 2/video/test"),
    ],
)
def test_command_reports_errors_in_one_sentence(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    formatted = [argument.format(server=server.address) for argument in arguments]
    with pytest.raises(SystemExit) as error:
        yt8m(monkeypatch, "download", *formatted, "--output", tmp_path)
    assert re.search(message, str(error.value.code))
