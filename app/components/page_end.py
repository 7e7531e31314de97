"""The end of a page that cannot go on, such as without a selected video."""

from typing import NoReturn


class PageEnd(Exception):
    """Nothing more of the page, or of a section that is rerun alone, can be shown."""


def end_page() -> NoReturn:
    """End the page. Unlike ``st.stop``, it lets the session complete what belongs to every page."""
    raise PageEnd
