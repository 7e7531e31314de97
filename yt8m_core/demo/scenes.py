"""Random scenes of demo videos, and what each scene shows."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from yt8m_core.demo.labels import LabelWorld

MAIN, TITLE, TALKING_HEAD, OTHER_TOPIC = "main", "title", "talking head", "other topic"
NUM_LOOKS = 3  # number of different titles in the world, and of talking heads; shared by all videos


@dataclass(frozen=True)
class Scene:
    """Frames start..end-1 of a video."""

    start: int
    end: int
    kind: str


def draw_scenes(rng: Generator, main_share: float) -> list[Scene]:
    """Draw side scenes of about 8 s, and between them the main scene in one to three segments."""
    T = 20 + min(100, round(rng.gamma(2, 15)))  # mean 50
    share = main_share + 0.3 * min(main_share, 1 - main_share) * rng.uniform(-1, 1)
    main = max(2, round(share * T))  # an order needs at least two frames
    num_sides = math.ceil((T - main) / 8)
    num_segments = int(rng.integers(1, min(3, num_sides + 1, main), endpoint=True))
    main_lengths, side_lengths = _split(rng, main, num_segments), _split(rng, T - main, num_sides)
    main_gaps = rng.choice(num_sides + 1, num_segments, replace=False).tolist()
    scenes: list[Scene] = []
    start = 0
    for gap in range(num_sides + 1):
        if gap in main_gaps:
            end = start + main_lengths.pop()
            scenes.append(Scene(start, end, MAIN))
            start = end
        if gap < num_sides:
            end = start + side_lengths.pop()
            # Titles are at the start and the end of a video.
            kind = TITLE if start == 0 or end == T else TALKING_HEAD if rng.random() < 0.4 else OTHER_TOPIC
            scenes.append(Scene(start, end, kind))
            start = end
    return scenes


def _split(rng: Generator, total: int, parts: int) -> list[int]:
    """Draw ``parts`` lengths of at least 1 that add up to ``total``; none if ``parts`` is 0."""
    if parts == 0:
        return []
    borders = np.sort(rng.choice(total - 1, parts - 1, replace=False)) + 1
    return [int(length) for length in np.diff(borders, prepend=0, append=total)]


def draw_views(
    rng: Generator, order_dependence: float, label_world: LabelWorld, drawn: list[int], scenes: list[Scene]
) -> tuple[list[list[int]], NDArray[np.int64]]:
    """Draw what each scene shows.

    Args:
        rng: random generator.
        order_dependence: see ``World``.
        label_world: the labels.
        drawn: labels of the video, without their ancestors.
        scenes: scenes of the video.

    Returns:
        Views, each a list of prototypes shown together, and the view of each frame [T]. Views 0 and 1 are the two
        halves of the main scene; each side scene has its own view.
    """
    C = len(label_world.labels)
    halves = [label_world.draw_halves(rng, label, order_dependence) for label in drawn]
    views = [[first for first, _ in halves], [last for _, last in halves]]
    other_topics = label_world.popularity * ~np.isin(label_world.topics, label_world.topics[drawn])
    view_of_frame = np.zeros(scenes[-1].end, np.int64)
    for scene in scenes:
        if scene.kind == MAIN:
            continue
        view_of_frame[scene.start : scene.end] = len(views)
        if scene.kind == OTHER_TOPIC:
            label = int(rng.choice(C, p=other_topics / other_topics.sum()))
            views.append([label_world.draw_halves(rng, label, order_dependence)[0]])
        else:
            views.append([2 * C + NUM_LOOKS * (scene.kind == TALKING_HEAD) + int(rng.integers(NUM_LOOKS))])
    main = np.flatnonzero(view_of_frame == 0)
    view_of_frame[main[round(len(main) * rng.uniform(0.4, 0.6)) :]] = 1
    return views, view_of_frame
