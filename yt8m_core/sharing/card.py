"""Model cards: the README.md of a run, in the format of Hugging Face's model cards.

https://huggingface.co/docs/hub/model-cards. The values of a run are untrusted: a run folder may come from elsewhere.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run
from yt8m_core.sharing.card_limits import limits_section
from yt8m_core.sharing.card_metadata import OWN_ENTRIES, metadata
from yt8m_core.sharing.card_sections import (
    calibration_section,
    data_section,
    license_section,
    metrics_section,
    model_section,
    training_section,
    use_section,
)
from yt8m_core.sharing.markdown import code, escape
from yt8m_core.sharing.shared_copy import CARD, MAX_CARD
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.paths import read_file

BEGIN = "<!-- yt8m card: your own text, which stays when the card is written again -->"
END = "<!-- yt8m card: end of your own text -->"
PLACEHOLDER = "\n\nWhat the model is for, who trained it, and what else its users should know.\n\n"
NO_REPO = "OWNER/NAME"
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)---[ \t]*\n", re.DOTALL)
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")


def write_card(run: Run, output: Path | None = None, *, license_id: str = "") -> Path:
    """Write the model card of a finished run, and return the file.

    The text between ``BEGIN`` and ``END`` of an existing card stays, and so do its license and the entries of its
    front matter that this program does not write.

    Args:
        run: The run.
        output: File to write; ``README.md`` in the run folder by default.
        license_id: License of the weights, such as "cc-by-4.0"; that of the existing card by default.

    Raises:
        UserError: The run is not finished or invalid, or the file exists and is no such card.
    """
    file = run.path / CARD if output is None else output
    card = render_card(run, existing=read_card(file), license_id=license_id, where=str(file))
    with atomic_write(file) as temporary:
        temporary.write_text(card, encoding="utf-8")
    return file


def read_card(file: Path) -> str:
    """Return the text of a model card; nothing if there is no file. Raises UserError for a file that is no text."""
    try:
        return read_file(file, MAX_CARD).decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read ({error})"[:200], where=str(file), expected="a text") from None


def is_card(text: str) -> bool:
    """Return whether a text has the two markers of a card that this program wrote."""
    _, body = _split(text)
    return 0 <= body.find(BEGIN) < body.rfind(END)


def render_card(run: Run, *, repo: str = "", existing: str = "", license_id: str = "", where: str = CARD) -> str:
    """Return the model card of a finished run.

    Args:
        run: The run.
        repo: Repository of the card, owner/name, for the commands in it.
        existing: The previous card, or nothing.
        license_id: License of the weights.
        where: The file of the previous card, for error messages.

    Raises:
        UserError: As ``write_card`` does.
    """
    if existing and not is_card(existing):
        raise UserError(
            "a text that `yt8m card` did not write",
            where=where,
            advice=f"Move it, or put it between these two lines in a new file: {BEGIN} and {END}",
        )
    block, body = _split(existing)
    entries = _read_entries(block, where)
    license_id = _checked_license(license_id or entries.get("license", ""))
    name = repo.rpartition("/")[2] or run.name
    entries = {key: value for key, value in entries.items() if key not in OWN_ENTRIES} | metadata(run, name, license_id)
    own_text = body[body.find(BEGIN) + len(BEGIN) : body.rfind(END)] if existing else PLACEHOLDER
    front_matter = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=1 << 16)
    sections = [
        f"# {escape(name)}",
        f"Multi-label video classifier {code(str(run.experiment))} for {run.facts.num_classes:,} labels, trained with "
        "yt8m. It takes features of videos, not videos. The slots are those of *Encoding Video and Label Priors for "
        "Multi-label Video Classification on YouTube-8M dataset* ([arXiv 1706.07960](https://arxiv.org/abs/1706.07960)).",
        f"{BEGIN}{own_text}{END}",
        model_section(run),
        data_section(run),
        training_section(run),
        metrics_section(run),
        calibration_section(run),
        limits_section(run),
        use_section(run, repo or NO_REPO),
        license_section(run, license_id),
    ]
    return f"---\n{front_matter}---\n\n" + "\n\n".join(section for section in sections if section) + "\n"


def _split(card: str) -> tuple[str, str]:
    """Return the YAML block and the text of a card. The block has names of the run, which may look like a marker."""
    block = _FRONT_MATTER.match(card)
    return (block[1], card[block.end() :]) if block else ("", card)


def _read_entries(block: str, where: str) -> dict[str, Any]:
    """Return the entries of a YAML block. Raises UserError for a block that is no YAML mapping."""
    try:
        entries = yaml.safe_load(block) if block else {}
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        # The constructors of yaml raise other errors for values such as !!int "".
        raise UserError(f"invalid YAML ({' '.join(str(error).split())[:200]})", where=where) from None
    if not isinstance(entries, dict):
        raise UserError(type(entries).__name__, where=where, expected="names and values between the two lines ---")
    return entries


def _checked_license(value: Any) -> str:
    """Return an identifier of a license, or nothing. Raises UserError for anything else."""
    if not isinstance(value, str) or (value and not _LICENSE.fullmatch(value)):
        raise UserError(
            repr(value)[:80] if isinstance(value, str) else type(value).__name__,
            where="license",
            expected="an identifier such as apache-2.0, cc-by-4.0 or other (https://hf.co/docs/hub/repositories-licenses)",
        )
    return value
