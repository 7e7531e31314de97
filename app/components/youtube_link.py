"""Link to the real video on YouTube. Nothing is sent before a click, and then by the reader's browser only."""

import streamlit as st

from cache import loaders
from components.text import plain
from context import PageContext
from yt8m_core.data.schema import KNOWN_STREAMS
from yt8m_core.data.youtube import id_kind, lookup_url, watch_url

# The service answers with a script. It runs in a frame of its own origin, which can read nothing of this page, and only
# a well-formed YouTube id is taken from its message.
LOOKUP_SCRIPT = """
const UNKNOWN = "No YouTube id: the video is not public, or data.yt8m.org does not answer."
export default ({ data, parentElement }) => {
  const button = parentElement.querySelector("button"), answer = parentElement.querySelector("span")
  let frame = null, timer = null
  const show = text => { answer.textContent = text; button.disabled = false; frame?.remove(); clearTimeout(timer) }
  const receive = event => {
    if (!frame || event.source !== frame.contentWindow) return
    if (!/^[A-Za-z0-9_-]{11}$/.test(String(event.data))) return show(UNKNOWN)
    show("")
    const link = document.createElement("a")
    link.href = `https://www.youtube.com/watch?v=${event.data}&t=${data.second}s`
    link.target = "_blank"; link.rel = "noopener noreferrer"; link.textContent = `Watch ${event.data} on YouTube`
    answer.replaceChildren(link)
  }
  answer.replaceChildren()
  window.addEventListener("message", receive)
  button.onclick = () => {
    button.disabled = true
    answer.textContent = "Asking data.yt8m.org…"
    frame = document.createElement("iframe")
    frame.sandbox = "allow-scripts"; frame.hidden = true; frame.referrerPolicy = "no-referrer"
    frame.srcdoc = `<script>function i(id, found) { parent.postMessage(found, "*") }</` + `script>` +
      `<script src="${data.url}" onerror="parent.postMessage('', '*')"></` + `script>`
    timer = setTimeout(() => show(UNKNOWN), 10000)
    parentElement.appendChild(frame)
  }
  return () => { window.removeEventListener("message", receive); frame?.remove(); clearTimeout(timer) }
}
"""
LOOKUP_STYLE = """
button { font: inherit; color: inherit; background: transparent; padding: 0.25rem 0.75rem; cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius) }
span { margin-left: 0.75rem }
a { color: var(--st-link-color) }
"""
_lookup = st.components.v2.component(
    "youtube_lookup",
    html="<button type='button'>Look up the YouTube id</button><span role='status'></span>",
    css=LOOKUP_STYLE,
    js=LOOKUP_SCRIPT,
)


def youtube_link(page: PageContext, video_id: str, second: int = 0) -> None:
    """Offer the real video on YouTube, from a second; nothing for ids that name none.

    Those are the ids of the demo world, and of data sets with other features than those of YouTube-8M and AudioSet.

    Args:
        page: The page.
        video_id: Id of the video in its record.
        second: Where the video starts.
    """
    kind = id_kind(video_id)
    schema = page.run.facts.schema
    if kind is None or schema.streams not in KNOWN_STREAMS[schema.level]:
        return
    if loaders.demo_truth(page.data) is not None or page.run.facts.scale == "demo":
        return
    if kind == "youtube":
        st.link_button(
            "Watch on YouTube",
            watch_url(video_id, second),
            icon=":material/open_in_new:",
            help="Opens YouTube in your browser, which then learns what you watch.",
        )
        return
    with st.popover("Watch on YouTube", icon=":material/open_in_new:", key="real video", on_change="rerun") as popover:
        if not popover.open:
            return
        st.caption(
            f"Your browser asks data.yt8m.org, without encryption, for the YouTube id of {plain(video_id)}; YouTube "
            "then learns what you watch. Many videos are no longer public."
        )
        _lookup(data={"url": lookup_url(video_id), "second": int(second)}, key="youtube lookup")
        st.caption(f"Or open the [answer of the service]({lookup_url(video_id)}) yourself.")
