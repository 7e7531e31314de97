"""Tests of the link to the real video."""

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.pages import MEAN_RUN, open_page, page_text
from yt8m_core.data.schema import AUDIOSET_STREAMS, Schema, Streams


def shown(at: AppTest) -> str:
    """Return the links and texts of a page."""
    return page_text(at) + "".join(str(element.proto) for element in at.get("link_button"))


def linked_page(
    monkeypatch: pytest.MonkeyPatch, video_id: str, *, is_open: bool = False, streams: Streams = AUDIOSET_STREAMS
) -> AppTest:
    """Draw the link of a video of a data set that is not of the demo world."""

    def page(video_id: str) -> None:
        import streamlit as st

        from components.youtube_link import youtube_link

        youtube_link(st.session_state["page"], video_id, 42)

    monkeypatch.setattr("cache.loaders.demo_truth", lambda data: None)
    facts = SimpleNamespace(scale="sample", schema=Schema("frame", streams))
    context = SimpleNamespace(data=None, run=SimpleNamespace(facts=facts))
    at = AppTest.from_function(page, args=(video_id,), default_timeout=60)
    at.session_state["page"] = context
    if is_open:
        at.session_state["real video"] = True
    at.run()
    assert not at.exception
    return at


def test_youtube_id_is_a_link_to_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=42s" in shown(linked_page(monkeypatch, "dQw4w9WgXcQ"))


@pytest.mark.fault
def test_lookup_is_offered_with_a_word_on_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "data.yt8m.org" not in shown(linked_page(monkeypatch, "nXSc"))
    text = shown(linked_page(monkeypatch, "nXSc", is_open=True))
    assert "Your browser asks data.yt8m.org, without encryption, for the YouTube id of nXSc" in text
    assert "http://data.yt8m.org/2/j/i/nX/nXSc.js" in text


@pytest.mark.fault
def test_demo_and_other_ids_have_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "youtube" not in shown(open_page("predictions", run=MEAN_RUN)).lower()
    assert shown(linked_page(monkeypatch, "my video")) == ""


def test_videos_with_own_features_have_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    at = linked_page(monkeypatch, "my_video_01", streams=(("clip", 512),))
    assert "youtube" not in shown(at).lower()
