"""Selection of the vectors that describe a video: pooled frames or scores."""

import streamlit as st

from cache import videos as video_cache
from components.link import linked
from components.text import plain
from context import PageContext


def vector_picker(page: PageContext, key: str) -> str | None:
    """Select vectors of ``cache.videos.VECTORS``; where there is only one kind, say why. None without any."""
    has_pooled = video_cache.has_pooled_vectors(page)
    has_scores = bool(page.run_videos.is_labeled.any())
    pooling = plain(page.run.experiment.pooling.name)
    if has_pooled and has_scores:
        kind: str = linked(
            st.segmented_control,
            "Vectors",
            list(video_cache.VECTORS),
            key=key,
            default=video_cache.POOLED,
            required=True,
            help="Pooled frames are similar for videos that look and sound alike; scores, for videos with the same "
            "predicted labels.",
        )
        return kind
    if has_scores:
        st.caption(f"Vectors: scores. The pooling of this run, {pooling}, has trained weights.")
        return video_cache.SCORES
    if has_pooled:
        st.caption("Vectors: pooled frames. There are no scores of videos without labels.")
        return video_cache.POOLED
    st.info(
        f"No vectors: the pooling of this run, {pooling}, has trained weights, and videos without labels have no "
        "scores. Choose a run with pooling `mean`.",
        icon=":material/info:",
    )
    return None
