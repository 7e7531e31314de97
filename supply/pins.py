"""The file of pinned packages: one ``name==version`` a line, with the hashes of its files as comments below it.

The hashes are comments because pip refuses ``--hash`` in a constraints file together with an editable install.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from yt8m_core.errors import UserError

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!_]+)")
HASH = re.compile(r"#   sha256:([0-9a-f]{64})")


@dataclass
class Pin:
    """A pinned package.

    Attributes:
        name: Its name, as the file writes it.
        version: Its version, without a local part such as ``+cpu``.
        hashes: SHA-256 of the files of this version, in hexadecimal.
    """

    name: str
    version: str
    hashes: set[str] = field(default_factory=set)


def canonical(name: str) -> str:
    """Return the form of a package name that is equal for all its spellings.

    >>> canonical("Foo_bar.baz")
    'foo-bar-baz'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def public(version: str) -> str:
    """Return a version without its local part.

    >>> public("2.13.0+cpu")
    '2.13.0'
    """
    return version.partition("+")[0]


def read_pins(file: Path = CONSTRAINTS) -> dict[str, Pin]:
    """Read the pinned packages by canonical name.

    Raises:
        UserError: A line is neither a pin nor a comment, or a package is pinned twice.
    """
    pins: dict[str, Pin] = {}
    pin: Pin | None = None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", where=str(file)) from error
    for number, line in enumerate(lines, 1):
        where = f"{file.name}, line {number}"
        if (found := HASH.fullmatch(line)) and pin:
            pin.hashes.add(found[1])
        elif match := PIN.fullmatch(line):
            pin = Pin(match[1], match[2])
            if canonical(pin.name) in pins:
                raise UserError(f"a second pin of {pin.name}", where=where, expected="one version a package")
            pins[canonical(pin.name)] = pin
        elif line.strip() and (not line.startswith("#") or "sha256" in line):
            raise UserError(f"'{line[:80]}'", where=where, expected="name==version, a hash below it, or a comment")
    return pins


def write_pins(pins: dict[str, Pin], file: Path = CONSTRAINTS) -> None:
    """Write pinned packages in the order of their names, each with its hashes."""
    lines = []
    for pin in pins.values():
        lines += [f"{pin.name}=={pin.version}", *(f"#   sha256:{value}" for value in sorted(pin.hashes))]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def add_hashes(pins: dict[str, Pin], known: dict[str, Pin]) -> None:
    """Add the hashes that a package index lists.

    Args:
        pins: The pinned packages; they keep the hashes they have, such as those of files from another index.
        known: What the index lists.

    Raises:
        UserError: The index lists no file of a pinned version.
    """
    for key, pin in pins.items():
        listed = known.get(key)
        if listed is None or listed.version != pin.version or not listed.hashes:
            raise UserError(
                f"the package index lists no file of {pin.name} {pin.version}", advice="Pin another version."
            )
        pin.hashes |= listed.hashes


def add_file(pins: dict[str, Pin], file: Path) -> None:
    """Add the hash of a wheel from another index, such as torch without CUDA.

    Raises:
        UserError: The file is no wheel of a pinned version, or cannot be read.
    """
    name, _, rest = file.name.partition("-")
    pin = pins.get(canonical(name))
    if pin is None or file.suffix != ".whl" or public(rest.partition("-")[0]) != pin.version:
        raise UserError(
            "no wheel of a pinned version", where=str(file), expected="a wheel such as torch-2.13.0+cpu-….whl"
        )
    try:
        with file.open("rb") as content:
            pin.hashes.add(hashlib.file_digest(content, "sha256").hexdigest())
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=str(file)) from error
