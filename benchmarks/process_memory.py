"""Memory of a server or another process, as the Linux kernel counts it."""

import re
from contextlib import suppress
from pathlib import Path


def resident(address: str, kind: str = "VmRSS") -> int:
    """Return the resident memory of the server in bytes: all of it, or its own (RssAnon), or files (RssFile)."""
    port = address.rsplit(":", 1)[1].split("/")[0]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"streamlit" in command and port.encode() in command:
                return memory(process, kind)
    return 0


def memory(process: Path, kind: str) -> int:
    """Return a kind of memory of a process in bytes, given its folder in /proc; 0 if it has ended."""
    found = re.search(rf"^{kind}:\s+(\d+) kB", (process / "status").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def children_memory(parent: int, kind: str) -> list[int]:
    """Return a kind of memory of each child of a process in bytes."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"\nPPid:\t{parent}\n" in (process / "status").read_text():
                found.append(memory(process, kind))
    return found
