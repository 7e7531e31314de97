"""YouTube addresses of videos, from the ids in the records. Nothing here uses the network.

AudioSet's records have YouTube's own ids, and so do some editions of YouTube-8M. Since 2018, YouTube-8M has ids of four
characters; a public service names the YouTube id of each video that is still public.
"""

import re
from typing import Literal

IdKind = Literal["youtube", "anonymous"]
_YOUTUBE = re.compile(r"[A-Za-z0-9_-]{11}")
_ANONYMOUS = re.compile(r"[A-Za-z0-9]{4}")


def id_kind(video_id: str) -> IdKind | None:
    """Return what kind of id a record has: YouTube's own, one of YouTube-8M since 2018, or another (None).

    >>> id_kind("dQw4w9WgXcQ"), id_kind("nXSc"), id_kind("my video")
    ('youtube', 'anonymous', None)
    """
    if _YOUTUBE.fullmatch(video_id):
        return "youtube"
    return "anonymous" if _ANONYMOUS.fullmatch(video_id) else None


def watch_url(video_id: str, second: int = 0) -> str:
    """Return the address of a video on YouTube, which starts at a second.

    >>> watch_url("dQw4w9WgXcQ", 42)
    'https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=42s'
    """
    return f"https://www.youtube.com/watch?v={video_id}&t={second}s"


def lookup_url(video_id: str) -> str:
    """Return the address that names the YouTube id of a video with an anonymous id: ``i("nXSc","<YouTube id>");``.

    >>> lookup_url("nXSc")
    'http://data.yt8m.org/2/j/i/nX/nXSc.js'
    """
    return f"http://data.yt8m.org/2/j/i/{video_id[:2]}/{video_id}.js"
