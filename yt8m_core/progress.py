"""How long work says how far it is: the library calls a function; a terminal draws a bar, the app one of its own."""

from typing import Protocol

from tqdm import tqdm


class Progress(Protocol):
    """Told again and again what is under way, how much of it is done, of how much, and a word on how it goes."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None: ...  # noqa: D102


def silent(what: str, done: int, total: int, note: str = "") -> None:
    """Say nothing."""


class Bars:
    """A tqdm bar for each kind of work, one after the other; in a terminal or a notebook."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: tqdm | None = None  # type: ignore[type-arg]

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Move the bar of ``what``, opening it if it is new."""
        if what != self._what or self._bar is None:
            self.close()
            # Without ``miniters`` tqdm waits for a next step once one took long, and no note between would be seen.
            self._what, self._bar = what, tqdm(total=total, desc=what, unit_scale=True, miniters=0)
        self._bar.total = total
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Leave the last bar as it stands."""
        if self._bar is not None:
            self._bar.close()
        self._what, self._bar = "", None
