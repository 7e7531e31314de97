import hashlib
import json
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.file_server import SHIFTED, WHOLE, Content, Cut, Fault, FileServer, serving
from tests.support.shards import vector
from yt8m_core.cli import main as cli
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.download import http as transfer
from yt8m_core.data.download import shards as download
from yt8m_core.data.download.plan import Partition, PlannedShard, choose, read_fraction, read_plan
from yt8m_core.data.download.shards import Download, Source
from yt8m_core.data.tfrecord.records import write_shard
from yt8m_core.data.vocabulary import Vocabulary, read_vocabulary, write_vocabulary
from yt8m_core.errors import UserError

LETTERS = [chr(code) for first, last in ("az", "AZ", "09") for code in range(ord(first), ord(last) + 1)]
PARTITION = Partition("2", "video", "train")
PLAN = "2/download_plans/video_train.json"
NAMES = ("trainaa.tfrecord", "trainbF.tfrecord", "trainZz.tfrecord")
LOCAL = ("train0000.tfrecord", "train0093.tfrecord", "train3187.tfrecord")
BF = "2/video/train/trainbF.tfrecord"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Three shards as YouTube-8M has them, of 60 videos and 280 kB: a few chunks."""
    folder = tmp_path_factory.mktemp("made")
    for name in NAMES:
        write_shard(folder / name, [vector(f"{name[5:7]}{i:02d}", (i % 5,)).regular() for i in range(60)])
    return {name: (folder / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("made") / "vocabulary.csv"
    write_vocabulary(path, Vocabulary(("Game", "Car", "Food", "Dog", "Cat"), ("x",) * 5, np.arange(5)))
    return path.read_bytes()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server(shards: dict[str, bytes], vocabulary: bytes) -> Iterator[FileServer]:
    """A copy of data.yt8m.org, with the vocabulary."""
    with serving() as made:
        fill(made, shards)
        made.files["vocabulary.csv"] = vocabulary
        yield made


def fill(server: FileServer, shards: dict[str, bytes]) -> None:
    server.files |= {f"2/video/train/{name}": content for name, content in shards.items()}
    server.files[PLAN] = plan({name: md5(content) for name, content in shards.items()})


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def plan(files: object) -> bytes:
    return json.dumps({"files": files}).encode()


def source(*servers: str, **patience: float) -> Source:
    """The first has the plan; nobody waits."""
    found = Source(servers[0], servers, f"{servers[0]}/vocabulary.csv", pause=0, timeout=5)
    return replace(found, **patience)


def opened(output: Path, *servers: str, **patience: float) -> Download:
    return Download.open(PARTITION, output, source=source(*servers, **patience))


def lying(output: Path) -> dict[str, bytes]:
    """All that is in the partition's folder, but the note of what was checked."""
    files = (output / "2" / "video" / "train").iterdir()
    return {file.name: file.read_bytes() for file in files if file.name != ".checked"}


def renamed(shards: dict[str, bytes]) -> dict[str, bytes]:
    return dict(zip(LOCAL, shards.values(), strict=True))


def unused_address() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


# --- the plan, the choice, the names


def test_two_characters_become_the_number_that_google_gives_them() -> None:
    assert PlannedShard("trainbF.tfrecord", "").local == "train0093.tfrecord"  # a name of Google's
    pairs = [first + second for first in LETTERS for second in LETTERS]
    for split in ("train", "validate", "test"):
        names = [PlannedShard(f"{split}{pair}.tfrecord", "").local for pair in pairs]
        assert names == [f"{split}{number:04d}.tfrecord" for number in range(3844)]


@pytest.mark.parametrize("name", ["validate0001.tfrecord", "train-_.tfrecord", "trainabc.tfrecord", "ab.tfrecord"])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert PlannedShard(name, "").local == name


def test_hundredth_has_the_shards_that_users_of_googles_script_have() -> None:
    planned = {
        split: [PlannedShard(f"{split}{a}{b}.tfrecord", "") for a in LETTERS for b in LETTERS]
        for split in ("train", "validate", "test")
    }
    hundredth = {shard.local for shard in choose(planned["train"], (1, 100))}
    # named in several public repositories as what shard=1,100 of 2/frame/train gave
    assert {f"train{number}.tfrecord" for number in ("0093", "0111", "0208", "2072")} <= hundredth
    # a public log of shard=1,1000: 5, 5 and 4 files
    assert [len(choose(shards, (1, 1000))) for shards in planned.values()] == [5, 5, 4]


def test_parts_are_the_md5_of_the_names_and_share_out_every_shard_once() -> None:
    planned = [PlannedShard(f"train{a}{b}.tfrecord", "") for a in LETTERS[:20] for b in LETTERS]
    parts = [choose(planned, (part, 7)) for part in range(1, 8)]
    for number, part in enumerate(parts):
        for shard in part:  # digit by digit, as long division does it
            rest = 0
            for byte in hashlib.md5(shard.name.encode(), usedforsecurity=False).digest():
                rest = (rest * 256 + byte) % 7
            assert rest == number
    assert sorted((shard for part in parts for shard in part), key=planned.index) == planned
    with pytest.raises(UserError, match=r"none of 1 shards in part 1 of 1000000"):
        choose(planned[:1], (1, 1_000_000))


@pytest.mark.parametrize("text", ["", "1", "0,5", "6,5", "1,2,3", "-1,5", "1, 5", "1/5", "a,b", "1,0", "1e1,20", "١,٢"])
def test_fraction_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected X,Y"):
        read_fraction(text)


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
def test_partition_that_google_does_not_have_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Partition.parse(text)


@pytest.mark.parametrize("mirror", ["uk", "ftp://x/", "http://", "http://[1", ""])
def test_mirror_that_is_none_is_refused(mirror: str) -> None:
    with pytest.raises(UserError, match=r"mirror '"):
        Source.named(mirror)


@pytest.mark.parametrize(
    "name",
    [
        "../trainaa.tfrecord", "/trainaa.tfrecord", "a/trainaa.tfrecord", "..\\trainaa.tfrecord", "C:trainaa.tfrecord",
        ".trainaa.tfrecord", "trainaa", "trainaa.tfrecord\n", "trainaa.tfrecord\0", "..tfrecord", "",
        "trainaa.tfrecord.sh", "train%2e%2e.tfrecord", "tráinaa.tfrecord", "x" * 300 + ".tfrecord",
    ],
)  # fmt: skip
def test_hostile_name_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="file name"):
        read_plan(plan({name: "0" * 32}), "plan")


@pytest.mark.parametrize("digest", ["", "0" * 31, "0" * 33, "g" * 32, "0" * 31 + "\n", 7, None, ["0" * 32]])
def test_md5_that_is_none_is_refused(digest: object) -> None:
    with pytest.raises(UserError, match=r"md5 of trainaa\.tfrecord: .*32 hexadecimal digits"):
        read_plan(plan({"trainaa.tfrecord": digest}), "plan")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"<html>not here</html>", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no files"),
        (b"{}", "no files"),
        (b'{"files": {}}', "no files"),
        (b'{"files": ["trainaa.tfrecord"]}', "no files"),
        (plan({"trainbF.tfrecord": "0" * 32, "train0093.tfrecord": "0" * 32}), "the same one here"),
    ],
)
def test_what_is_no_plan_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_plan(text, "plan")


anything = st.recursive(
    st.none() | st.integers() | st.text() | st.from_regex(r"\.{0,2}[/\\]?[a-zA-Z]{2,8}\.tfrecord", fullmatch=True),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(NAMES), inner),
)


@given(st.binary() | anything.map(lambda value: json.dumps(value).encode()) | anything.map(plan))
def test_any_plan_is_refused_or_stays_in_its_folder(text: bytes) -> None:
    try:
        planned = read_plan(text, "plan")
    except UserError:
        return
    for shard in planned:
        assert (Path("/data") / shard.local).resolve().parent == Path("/data")
        assert re.fullmatch("[0-9a-f]{32}", shard.md5)


# --- fetching


def test_shards_arrive_under_their_names_with_their_bytes(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    job = opened(tmp_path, server.address)
    total = sum(map(len, shards.values()))
    assert not list(tmp_path.iterdir())
    assert (len(job.shards), len(job.missing), job.size) == (3, 3, total)
    told = []
    assert job.run(lambda what, done, total, note="": told.append((done, total))) == total
    assert lying(tmp_path) == renamed(shards)
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert all(done < whole for done, whole in told[:-1])  # a bar that is full is closed


def test_second_run_fetches_nothing_and_reads_no_shard_again(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path, server.address).run()
    server.asked.clear()
    server.sized.clear()
    monkeypatch.delattr(download, "md5_of")
    job = opened(tmp_path, server.address)
    assert (job.missing, job.size, job.run()) == ((), 0, 0)
    assert (server.asked, server.sized) == ([(PLAN, None)], [])


def test_shards_of_another_program_are_taken_if_their_md5_is_right(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    folder = tmp_path / "2" / "video" / "train"
    folder.mkdir(parents=True)
    for name, content in renamed(shards).items():
        (folder / name).write_bytes(content)
    damaged = bytearray(shards[NAMES[1]])
    damaged[1000] ^= 1
    (folder / LOCAL[1]).write_bytes(damaged)
    told = []
    job = Download.open(
        PARTITION, tmp_path, source=source(server.address), progress=lambda _, done, total, note="": told.append(done)
    )
    assert [shard.name for shard in job.missing] == [NAMES[1]]
    assert told[-1] == sum(map(len, shards.values()))
    job.run()
    assert lying(tmp_path) == renamed(shards)
    assert {path for path, _ in server.asked} == {PLAN, BF}


def test_shard_that_was_changed_after_its_check_is_fetched_again(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    opened(tmp_path, server.address).run()
    (tmp_path / PARTITION.edition / "video" / "train" / LOCAL[0]).write_bytes(b"short")
    opened(tmp_path, server.address).run()
    assert lying(tmp_path) == renamed(shards)
    assert len(server.ranges(f"2/video/train/{NAMES[0]}")) == 2


def test_wrong_md5_is_fetched_again(tmp_path: Path, server: FileServer, shards: dict[str, bytes]) -> None:
    server.faults[BF] = [Content(b"wrong"), Content(shards[NAMES[0]])]
    opened(tmp_path, server.address).run()
    assert lying(tmp_path) == renamed(shards)
    assert server.ranges(BF) == [None, None, None]


@pytest.mark.fault
def test_md5_that_stays_wrong_is_told_and_the_other_shards_come(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    server.files[BF] = b"wrong"
    with pytest.raises(UserError) as raised:
        opened(tmp_path, server.address).run()
    for part in ("trainbF.tfrecord", md5(b"wrong"), md5(shards[NAMES[1]]), "the same command"):
        assert part in str(raised.value)
    assert len(server.ranges(BF)) == transfer.WRONG
    assert lying(tmp_path) == {name: content for name, content in renamed(shards).items() if name != LOCAL[1]}


def test_several_shards_that_fail_are_counted(tmp_path: Path, server: FileServer) -> None:
    del server.files[BF], server.files[f"2/video/train/{NAMES[2]}"]
    with pytest.raises(UserError, match=r"2 of 3 shards could not be fetched. The first: .*trainbF.*404"):
        opened(tmp_path, server.address).run()
    assert set(lying(tmp_path)) == {LOCAL[0]}


def test_cut_connection_is_resumed_where_it_ended(tmp_path: Path, server: FileServer, shards: dict[str, bytes]) -> None:
    server.faults[BF] = [Cut(200_000)]
    opened(tmp_path, server.address).run()
    assert lying(tmp_path) == renamed(shards)
    first, second = server.ranges(BF)
    assert first is None
    assert 200_000 - transfer.CHUNK <= int(second.removeprefix("bytes=").removesuffix("-")) <= 200_000


def test_download_that_was_stopped_goes_on_in_the_middle_of_a_shard(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    def stop(what: str, done: int, total: int, note: str = "") -> None:
        if done > len(shards[NAMES[0]]) + 150_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path, server.address).run(stop)
    partial = lying(tmp_path)
    assert set(partial) == {LOCAL[0], f".{LOCAL[1]}.part"}
    kept = len(partial[f".{LOCAL[1]}.part"])
    assert kept >= 150_000
    opened(tmp_path, server.address).run()
    assert lying(tmp_path) == renamed(shards)
    assert server.ranges(BF) == [None, f"bytes={kept}-"]
    assert len(server.ranges(f"2/video/train/{NAMES[0]}")) == 1


@pytest.mark.parametrize("beginning", ["whole", "too long", "of another file"])
def test_beginning_that_lies_there_is_used_only_if_it_leads_to_the_right_md5(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes], beginning: str
) -> None:
    folder = tmp_path / "2" / "video" / "train"
    folder.mkdir(parents=True)
    whole = shards[NAMES[1]]
    content = {"whole": whole, "too long": whole + b"more", "of another file": b"x" * 1000}[beginning]
    (folder / f".{LOCAL[1]}.part").write_bytes(content)
    opened(tmp_path, server.address).run()
    assert lying(tmp_path) == renamed(shards)
    ranges = [f"bytes={len(content)}-"] + ([] if beginning == "whole" else [None])
    assert server.ranges(BF) == ranges


@pytest.mark.parametrize("fault", [WHOLE, SHIFTED])
def test_server_that_does_not_keep_to_the_range_costs_the_beginning_alone(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes], fault: Fault
) -> None:
    server.faults[BF] = [Cut(200_000), fault]
    opened(tmp_path, server.address).run()
    assert lying(tmp_path) == renamed(shards)
    assert len(server.ranges(BF)) == (2 if fault == WHOLE else 3)


@given(st.lists(st.integers(0, 300_000).map(Cut) | st.sampled_from([503, WHOLE, SHIFTED]), max_size=5))
def test_shard_is_right_whatever_happens_on_the_way(
    tmp_path_factory: pytest.TempPathFactory, shards: dict[str, bytes], faults: list[Fault]
) -> None:
    output = tmp_path_factory.mktemp("any")
    with serving() as server:
        fill(server, {NAMES[1]: shards[NAMES[1]]})
        server.faults[BF] = faults
        opened(output, server.address).run()
    assert lying(output) == {LOCAL[1]: shards[NAMES[1]]}


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_server_that_is_busy_is_asked_again(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes], status: int
) -> None:
    server.faults[BF] = [status, status]
    opened(tmp_path, server.address).run()
    assert lying(tmp_path) == renamed(shards)


@pytest.mark.parametrize("status", [404, 403, 410])
def test_refusal_is_taken_at_once(tmp_path: Path, server: FileServer, status: int) -> None:
    server.faults[BF] = [status] * 9
    with pytest.raises(UserError, match=f"trainbF.tfrecord: HTTP status {status}"):
        opened(tmp_path, server.address).run()
    assert len(server.ranges(BF)) == 1


def test_rounds_are_the_limit_and_the_pauses_double(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    job = opened(tmp_path, server.address, pause=0.5, rounds=4)
    server.faults[f"2/video/train/{NAMES[0]}"] = [503] * 99
    monkeypatch.setattr("time.sleep", slept.append)
    with pytest.raises(transfer.Unreachable, match=r"HTTP status 503.*Run the same command again"):
        job.run()
    assert slept == [0.5, 1.0, 2.0]
    assert server.ranges(BF) == []  # servers that are down end it


def test_mirror_that_is_down_is_replaced_by_the_next_and_asked_last(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    with serving() as other:
        fill(other, shards)
        here = source(server.address)
        job = Download.open(
            PARTITION, tmp_path, source=replace(here, mirrors=(unused_address(), other.address, server.address))
        )
        job.run()
        assert lying(tmp_path) == renamed(shards)
        assert [path for path, _ in other.asked] == [f"2/video/train/{name}" for name in NAMES]
    assert [path for path, _ in server.asked] == [PLAN]


def test_mirror_that_fails_on_the_way_is_asked_last_from_then_on(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    with serving() as other:
        fill(other, shards)
        for name in NAMES:
            server.faults[f"2/video/train/{name}"] = [503] * 9
        opened(tmp_path, server.address, other.address).run()
        assert lying(tmp_path) == renamed(shards)
    assert [path for path, _ in server.asked] == [PLAN, f"2/video/train/{NAMES[0]}"]


def test_chosen_mirror_is_asked_first_and_another_has_what_it_lacks(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    del server.files[BF]
    with serving() as other:
        fill(other, shards)
        opened(tmp_path, server.address, other.address).run()
        assert lying(tmp_path) == renamed(shards)
        assert other.asked == [(BF, None)]
    assert len(server.asked) == 4


def test_another_mirror_goes_on_where_the_first_broke_off(
    tmp_path: Path, server: FileServer, shards: dict[str, bytes]
) -> None:
    server.faults[BF] = [Cut(200_000)]
    with serving() as other:
        fill(other, shards)
        opened(tmp_path, server.address, other.address).run()
        (resumed,) = other.ranges(BF)
        assert resumed is not None
    assert lying(tmp_path) == renamed(shards)


def test_no_server_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(transfer.Unreachable, match=r"video_train\.json: ConnectionError"):
        opened(tmp_path, unused_address())
    assert not list(tmp_path.iterdir())


def test_plan_that_is_not_there_or_no_plan_is_told(tmp_path: Path, server: FileServer) -> None:
    server.files[PLAN] = b"<html>"
    with pytest.raises(UserError, match=r"video_train\.json: found no JSON; expected a download plan"):
        opened(tmp_path, server.address)
    del server.files[PLAN]
    with pytest.raises(UserError, match=r"no download plan of 2/video/train.*404"):
        opened(tmp_path, server.address)
    assert not list(tmp_path.iterdir())


def test_plan_without_end_is_not_taken(tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_PLAN", 100)
    with pytest.raises(UserError, match="more than 100 bytes"):
        opened(tmp_path, server.address)


def test_disk_that_is_too_small_is_told_before_it_starts(tmp_path: Path, server: FileServer) -> None:
    server.sizes = {f"2/video/train/{name}": 10**17 for name in NAMES}
    with pytest.raises(UserError, match=r"free, for 3 shards of about 300PB in all.*smaller fraction"):
        opened(tmp_path, server.address)
    assert not list(tmp_path.iterdir())
    assert {path for path, _ in server.asked} == {PLAN}


def test_size_is_estimated_from_a_few_shards(tmp_path: Path) -> None:
    names = [f"train{a}{b}.tfrecord" for a in LETTERS for b in "ab"]
    with serving() as server:
        fill(server, dict.fromkeys(names, b"ten bytes!"))
        job = opened(tmp_path, server.address)
        assert (job.size, len(server.sized)) == (10 * len(names), download.SAMPLED)
        server.files = {PLAN: server.files[PLAN]}
        job = opened(tmp_path, server.address)
        assert job.size is None
        assert "of unknown size" in str(job)


def test_vocabulary_that_is_none_is_told_and_not_kept(tmp_path: Path, server: FileServer) -> None:
    job = opened(tmp_path, server.address)
    server.files["vocabulary.csv"] = b"<html>moved</html>"
    with pytest.raises(UserError, match=r"no vocabulary at http.*save the file as .*vocabulary\.csv"):
        job.fetch_vocabulary()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# --- the command


def yt8m(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["yt8m", *map(str, arguments)])
    cli.main()


def test_command_fetches_what_index_and_labels_then_read(
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
    assert f"3 of 3 shards, of which 0 are in {folder} and 3 are to be fetched, about " in printed
    assert f"{folder}: 3 shards with the right md5" in printed
    assert (folder.parent / "vocabulary.csv").read_bytes() == vocabulary
    yt8m(monkeypatch, "index", folder)
    assert "180 videos in 3 shards: video-level features" in capsys.readouterr().out
    yt8m(monkeypatch, "labels", folder)
    assert "180 videos, 5 of 5 labels occur" in (labels := capsys.readouterr().out)
    assert "Food" in labels
    assert sorted(open_videos(folder).ids)[:2] == ["Zz00", "Zz01"]
    assert read_vocabulary(folder.parent / "vocabulary.csv").names[2] == "Food"
    server.asked.clear()
    yt8m(monkeypatch, *command)
    assert server.asked == [(PLAN, None)]


def test_command_fetches_a_fraction_by_either_name(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {
        local
        for name, local in zip(NAMES, LOCAL, strict=True)
        if int.from_bytes(hashlib.md5(name.encode(), usedforsecurity=False).digest(), "big") % 2 == 0
    }
    assert 0 < len(wanted) < len(NAMES)
    for option in ("--fraction", "--shard"):
        output = tmp_path / option
        yt8m(monkeypatch, "download", "2/video/train", "--output", output, "--mirror", server.address, option, "1,2")
        assert set(lying(output)) == wanted


def test_command_tells_of_a_missing_vocabulary_and_fetches_the_shards(
    tmp_path: Path,
    server: FileServer,
    shards: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del server.files["vocabulary.csv"]
    yt8m(monkeypatch, "download", "2/video/train", "--output", tmp_path, "--mirror", server.address)
    assert "no vocabulary at http" in capsys.readouterr().out
    assert lying(tmp_path) == renamed(shards)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2/frame/trian"], "Did you mean 'train'"),
        (["2/video/train", "--fraction", "2"], "expected X,Y"),
        (["2/video/train", "--mirror", "uk"], "unknown mirror 'uk'. .*Known: us, eu, asia"),
        (["2/video/test", "--mirror", "{server}"], "no download plan of 2/video/test"),
    ],
)
def test_command_tells_a_fault_in_a_sentence(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    given_ = [argument.format(server=server.address) for argument in arguments]
    with pytest.raises(SystemExit) as stopped:
        yt8m(monkeypatch, "download", *given_, "--output", tmp_path)
    assert re.search(message, str(stopped.value.code))
