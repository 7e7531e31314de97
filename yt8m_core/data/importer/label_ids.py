"""Label ids of the texts in a label table or in feature files."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from yt8m_core.data.importer.label_table import LabelTable
from yt8m_core.data.schema import MAX_LABEL
from yt8m_core.data.vocabulary import Vocabulary, read_vocabulary
from yt8m_core.errors import UserError

_ID = re.compile(r"(\d{1,9})(\.0+)?", re.ASCII)
_NUMERIC = re.compile(r"[-+]?[\d,]*\.?\d+([eE][-+]?\d+)?|nan", re.ASCII)


def build_vocabulary(table: LabelTable | None, vocabulary: Path | None) -> tuple[Vocabulary | None, dict[str, int]]:
    """Return the vocabulary of an import, and the label id of each text of the table.

    Without a vocabulary file, texts that are all numbers are ids, and names are numbered by their number of videos.

    Raises:
        UserError: a text is no label of the vocabulary, or an id is too large.
    """
    counts = Counter(text for texts in (table.labels.values() if table else ()) for text in texts)
    where = table.where if table else ""
    if vocabulary is None:
        return number_texts(counts, where)
    read = read_vocabulary(vocabulary)
    names = {name: label for label, name in reversed(list(enumerate(read.names))) if name}
    ids = {text: names.get(text, _number(text, read.num_classes)) for text in counts}
    if unknown := [text for text, label in ids.items() if label is None]:
        raise UserError(
            f"{len(unknown):,} labels that are not in {vocabulary}, the first: '{unknown[0][:80]}'", where=where
        )
    return read, {text: label for text, label in ids.items() if label is not None}


def number_texts(counts: Mapping[str, int], where: str) -> tuple[Vocabulary | None, dict[str, int]]:
    """Return the label id of each text: its number if all are ids, else by frequency, with a vocabulary of the names.

    Args:
        counts: number of videos by text.
        where: the file, for messages.

    Raises:
        UserError: some texts are ids and some are not, or numbers are no ids. As names, they would be renumbered.
    """
    numbers = {text: _number(text, MAX_LABEL + 1) for text in counts}
    ids = {text: number for text, number in numbers.items() if number is not None}
    others = [text for text, number in numbers.items() if number is None]
    if not others:
        return None, ids
    if ids or any(map(_NUMERIC.fullmatch, others)):
        other = next(filter(_NUMERIC.fullmatch, others), others[0])
        raise UserError(
            f"{len(ids):,} labels that are ids and {len(others):,} that are not, such as '{other[:80]}'",
            where=where,
            expected=f"ids from 0 to {MAX_LABEL:,}, or names",
            advice="If the numbers are names, list all names with their ids in a file: --vocabulary.",
        )
    ordered = sorted(others, key=lambda text: (-counts[text], text))
    return Vocabulary(tuple(ordered), ("",) * len(ordered)), {text: label for label, text in enumerate(ordered)}


def _number(text: str, limit: int) -> int | None:
    match = _ID.fullmatch(text)
    return int(match[1]) if match and int(match[1]) < limit else None
