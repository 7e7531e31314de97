"""Tests of YouTube addresses."""

import pytest

from yt8m_core.data.youtube import id_kind, lookup_url, watch_url


@pytest.mark.parametrize(
    ("video_id", "kind"),
    [
        ("dQw4w9WgXcQ", "youtube"),
        ("-_-_-_-_-_-", "youtube"),
        ("nXSc", "anonymous"),
        ("00aZ", "anonymous"),
        ("", None),
        ("abc", None),
        ("abcde", None),
        ("ab-d", None),
        ("ab/d", None),
        ("abcd\n", None),
        ("dQw4w9WgXcQ\n", None),
        ("dQw4w9WgXc?", None),
        ("äbcd", None),
        ("../../../..", None),
        ("_video 12345", None),
    ],
)
def test_kind_of_an_id(video_id: str, kind: str | None) -> None:
    assert id_kind(video_id) == kind


def test_addresses() -> None:
    assert watch_url("dQw4w9WgXcQ") == "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=0s"
    assert lookup_url("00aZ") == "http://data.yt8m.org/2/j/i/00/00aZ.js"
