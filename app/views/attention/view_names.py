"""Attention page: its views, and the view that a link of an older version meant."""

from components.link import link_values

VIEW_KEY = "see"
WHERE, EFFECT, SECOND, ALL_VIDEOS = "Where", "Does it matter", "One second", "All videos"
VIEWS = (WHERE, EFFECT, SECOND, ALL_VIDEOS)
# Older versions showed everything below each other. A control in their links names the part that was looked at.
OLD_LINKS = {"many": ALL_VIDEOS, "second": SECOND, "share": EFFECT, "width": EFFECT, "sharpness": WHERE}


def accept_old_links() -> None:
    """Make a link without a view select the view of its controls; call it before the view is drawn."""
    views = [view for key, view in OLD_LINKS.items() if key in link_values()]
    if views:
        link_values().setdefault(VIEW_KEY, [views[0]])
