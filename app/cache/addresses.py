"""Remote data in the app: which addresses it may open, and how often it lists them."""

import hashlib
import os
import shlex
from urllib.parse import urlsplit

import streamlit as st

from yt8m_core.data.sources import find_sources
from yt8m_core.errors import UserError
from yt8m_core.storage.address import is_address, split_paths

LISTING_SECONDS = 60  # between two listings of a data set


def check_named(data: str, vocabulary: str = "") -> None:
    """Raise UserError where data or their vocabulary are at an address that no person has named.

    The run of a stranger may name any server. The servers and buckets in ``YT8M_DATA`` are opened.
    """
    for address in filter(is_address, (data, vocabulary)):
        if not _is_named(address):
            raise UserError(
                "an address that only a run names is not opened",
                where=address,
                advice=f"If you trust it: yt8m app --data {shlex.quote(data)}",
            )


def remote_stamp(address: str) -> str:
    """Return the stamp of remote shards; empty where they cannot be listed, which opening them reports.

    Their vocabulary is read again with them.
    """
    return _list(address) if _is_named(address) else ""


@st.cache_data(max_entries=64, ttl=LISTING_SECONDS, show_spinner="Listing the shards…")
def _list(address: str) -> str:
    try:
        return hashlib.sha256(repr(find_sources(address)).encode()).hexdigest()
    except UserError:
        return ""


def _is_named(address: str) -> bool:
    """Whether the bucket or server of an address is that of an address in ``YT8M_DATA``."""
    named = filter(is_address, split_paths(os.environ.get("YT8M_DATA", "")))
    return urlsplit(address)[:2] in [urlsplit(other)[:2] for other in named]
