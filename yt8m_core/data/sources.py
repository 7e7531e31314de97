"""The shards of DATA: files of this machine, or objects in a bucket or behind HTTP."""

import zlib
from contextlib import suppress
from pathlib import Path

from yt8m_core.data.shards import HEADER, NAME, expand_home, find_shards, is_tfrecord
from yt8m_core.data.tfrecord.shard import MAX_BYTES, Shard
from yt8m_core.errors import MissingDataError, UserError
from yt8m_core.storage.address import is_address
from yt8m_core.storage.remote import Listing, list_objects, read_start
from yt8m_core.storage.remote_access import NAMES_ADVICE

_START = 4096  # bytes of an object whose name does not tell whether it is a shard


def find_sources(data: str | Path) -> tuple[Shard, ...]:
    """Return the shards of DATA with their present states, sorted by name.

    Args:
        data: a file, a folder, or a glob (``find_shards``); or the address of one. In the folder of a bucket, the same
            names are shards.

    Raises:
        UserError: there are none, or they cannot be listed.
    """
    if not is_address(data):
        return tuple(map(Shard.at, find_shards(data)))
    listing = list_objects(str(data))
    names = _shards_of_folder(listing) if listing.is_folder else list(listing.entries)
    shards = tuple(Shard(name, state) for name, state in listing.states(names))
    for shard in shards:
        if shard.size > MAX_BYTES:
            raise UserError(f"{shard.size:,} bytes", where=shard.path, expected=f"at most {MAX_BYTES:,}")
    if not shards:
        raise MissingDataError(f"no file matches {data}", advice=NAMES_ADVICE)
    return shards


def data_key(data: str | Path) -> str:
    """Return DATA as an address or an absolute path, which identify the data set."""
    return str(data) if is_address(data) else str(expand_home(data).absolute())


def _shards_of_folder(listing: Listing) -> list[str]:
    names = {name: name.rstrip("/").rpartition("/")[2] for name in listing.entries}
    files = [address for address, name in names.items() if name and not name.startswith(".")]
    shards = [address for address in files if NAME.fullmatch(names[address])]
    others = [address for address in files if "." not in names[address] or names[address].endswith(".gz")]
    others = [address for address in others if listing.entries[address].get("size") != 0]  # which stores use as folders
    shards = shards or [address for address in others if _is_shard(address)]
    if not shards:
        raise UserError(
            "no *.tfrecord file",
            where=f"folder {listing.address}",
            advice="Choose the folder with the shards, or name them with a glob in quotes.",
        )
    return shards


def _is_shard(address: str) -> bool:
    """Whether an object begins with a TFRecord, compressed or not."""
    start = read_start(address, _START)
    with suppress(zlib.error):
        if start and not is_tfrecord(start[:HEADER]):
            start = zlib.decompressobj(wbits=47).decompress(start, HEADER)  # gzip or zlib
    return is_tfrecord(start[:HEADER])
