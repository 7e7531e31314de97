"""The labels of the demo world: their names, what implies what, how a video's are drawn, and what they look like.

The names are such as YouTube-8M has, in twelve topics that bear the names of its verticals; which labels imply which is
made up after its pattern (P(Vehicle | Car) is 1.00 there too).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

# Labels drawn after a video's first one, in the mean; with their parents that gives 3.0 labels a video, as in 2018.
_FURTHER_LABELS = 1.2

# Two spaces deeper: a label that implies the one above it. "A / B": a pair that differs in the order of what it shows.
# "*": told apart from its siblings by its sound alone; it looks like its parent. Within a topic the popular come first.
_OUTLINE = {
    "Games": """
Game
  Video game
    Action-adventure game
    Strategy video game
    Racing video game
    First-person shooter
    Fighting game
    Minecraft
  Card game
  Chess
""",
    "Autos & Vehicles": """
Vehicle
  Car
    Parking / Pulling out
    Exhaust system *
    Sports car
  Motorcycle
  Truck
  Boat
  Bicycle
""",
    "Arts & Entertainment": """
Music
  Concert
  Guitar
    Acoustic guitar *
    Electric guitar *
  Piano
  Drum kit
  Orchestra
    Choir *
  Dance
""",
    "Food & Drink": """
Food
  Cooking
    Baking
    Grilling
  Dessert
    Cake
    Chocolate
  Vegetable
  Soup
  Salad
""",
    "Pets & Animals": """
Animal
  Pet
    Dog
      Puppy
      Barking *
    Cat
  Bird
    Birdsong *
    Parrot
  Horse
""",
    "Sports": """
Sport
  Association football
  Basketball
    Slam dunk
  Winter sport
    Skiing
    Snowboarding
  Skateboarding
    Kickflip
  Surfing
""",
    "Business & Industrial": """
Transport
  Aircraft
    Takeoff / Landing
    Airplane
    Helicopter
  Train
    Train horn *
    Locomotive
  Bus
""",
    "Computers & Electronics": """
Gadget
  Personal computer
    Assembly / Disassembly
  Smartphone
    IPhone
  Camera
    Camera lens
  Tablet computer
  Loudspeaker
""",
    "Beauty & Fitness": """
Beauty
  Cosmetics
    Applying make-up / Removing make-up
    Lipstick
  Hair
    Hairstyle
    Braid
  Nail art
  Perfume
""",
    "Shopping": """
Toy
  Unboxing / Packing
  Lego
    Lego minifigure
  Doll
  Action figure
  Model car
  Stuffed toy
  Play-Doh
""",
    "Home & Garden": """
House
  Construction / Demolition
  Furniture
    Chair
    Table
  Kitchen
  Garden
    Lawn
    Greenhouse
""",
    "Science": """
Nature
  Sunrise / Sunset
  Weather
    Thunderstorm *
    Snow
  Mountain
    Ascent / Descent
  Plant
""",
}


@dataclass(frozen=True)
class DemoLabel:
    """A label of the demo world; other labels are named by their ids."""

    name: str
    vertical: str
    parent: int | None
    """The label that this one implies."""
    heard: bool = False
    """Known by its sound alone: it looks like its parent."""
    partner: int | None = None
    """The label that shows the same two things in the other order."""


@dataclass(frozen=True)
class LabelWorld:
    """The labels and how popular they are."""

    labels: tuple[DemoLabel, ...]
    tail_exponent: float

    @cached_property
    def popularity(self) -> NDArray[np.float64]:
        """Probability of each label to be drawn [C]; partners are equally popular, so that it does not tell them."""
        weights = (np.arange(len(self.labels)) + 7.0) ** -self.tail_exponent
        partners = [label if entry.partner is None else entry.partner for label, entry in enumerate(self.labels)]
        weights = (weights + weights[partners]) / 2
        return np.asarray(weights / weights.sum())

    @cached_property
    def topics(self) -> NDArray[np.int64]:
        """The topic of each label [C], as a number."""
        return np.unique([label.vertical for label in self.labels], return_inverse=True)[1]

    def with_parents(self, drawn: Iterable[int]) -> set[int]:
        """The labels, and all that they imply."""
        closed = set[int]()
        for label in drawn:
            above: int | None = label
            while above is not None:
                closed.add(above)
                above = self.labels[above].parent
        return closed

    def draw(self, rng: Generator, correlation: float) -> list[int]:
        """The labels that a video shows; it has their parents too.

        Args:
            rng: what draws.
            correlation: the probability that a further label comes from the topic of the first.
        """
        allowed = self.popularity.copy()
        drawn: list[int] = []
        for _ in range(1 + rng.poisson(_FURTHER_LABELS)):
            weights = allowed
            if drawn and rng.random() < correlation:
                alike = np.where(self.topics == self.topics[drawn[0]], allowed, 0)
                weights = alike if alike.any() else allowed
            drawn.append(int(rng.choice(len(self.labels), p=weights / weights.sum())))
            # What is implied already would add nothing, and a video that had both of a pair would show no order.
            allowed[list(self.with_parents(drawn))] = 0
            if (partner := self.labels[drawn[-1]].partner) is not None:
                allowed[partner] = 0
        return drawn

    def with_noise(self, rng: Generator, clean: set[int], noise: float) -> list[int]:
        """The true labels as they get written: some missing, the most specific first, and now and then a wrong one.

        Args:
            rng: what draws.
            clean: the true labels, with their parents.
            noise: the share of them that is missing, and twice the probability of a wrong one.
        """
        written = set(clean)
        for _ in range(min(int(rng.binomial(len(clean), noise)), len(clean) - 1)):
            parents = {self.labels[label].parent for label in written}
            written.remove(int(rng.choice(sorted(written - parents))))
        if rng.random() < noise / 2:
            written |= self.with_parents([int(rng.choice(len(self.labels), p=self.popularity))])
        return sorted(written)

    def prototypes(self, rng: Generator, dim: int, stock: int, *, audio: bool) -> NDArray[np.float32]:
        """What the labels look or sound like: rows of unit variance [2C + stock, dim].

        Row ``label`` is the label's own, row ``C + label`` is what a label of an order pair shows first and its partner
        last, and the ``stock`` rows show no label. A label shares half of its variance with its parent. By ear, it is
        its parent, unless it is one of those that are told by ear alone; these look like their parent.
        """
        rows = rng.standard_normal((2 * len(self.labels) + stock, dim), np.float32)
        for row, label in enumerate(self.labels * 2):
            if label.parent is not None:
                above = rows[label.parent]
                rows[row] = (rows[row] + above) * np.float32(math.sqrt(0.5)) if label.heard == audio else above
        return rows

    def halves(self, rng: Generator, label: int, order_dependence: float) -> tuple[int, int]:
        """The prototypes that a label shows in the first and in the second half of a scene."""
        partner = self.labels[label].partner
        if partner is None or rng.random() >= order_dependence:
            return label, label
        return len(self.labels) + label, len(self.labels) + partner


def demo_labels() -> tuple[DemoLabel, ...]:
    """The labels by id. A parent has a smaller id than its children, and a low id is a popular label, as in 2018.

    >>> labels = demo_labels()
    >>> len(labels), labels[0].name, labels[labels[13].parent].name, labels[13].name
    (120, 'Game', 'Vehicle', 'Car')
    """
    topics = [_parse(vertical, outline) for vertical, outline in _OUTLINE.items()]
    # The first labels of all topics, then the second ones: topics share out the popular and the rare labels alike.
    order = sorted((place, topic) for topic, entries in enumerate(topics) for place in range(len(entries)))
    ids = {(topic, place): label for label, (place, topic) in enumerate(order)}

    def resolve(topic: int, place: int | None) -> int | None:
        return None if place is None else ids[topic, place]

    def label_at(place: int, topic: int) -> DemoLabel:
        entry = topics[topic][place]
        return DemoLabel(
            entry.name, entry.vertical, resolve(topic, entry.parent), entry.heard, resolve(topic, entry.partner)
        )

    return tuple(label_at(place, topic) for place, topic in order)


def _parse(vertical: str, outline: str) -> list[DemoLabel]:
    """The labels of one topic, whose parents and partners are still places in this list."""
    entries: list[DemoLabel] = []
    path: list[int] = []  # the places of the labels above, one a depth
    for line in outline.strip().splitlines():
        text = line.strip()
        depth = (len(line) - len(text)) // 2
        path = path[:depth]
        parent, here = (path[-1] if path else None), len(entries)
        if " / " in text:
            one, other = text.split(" / ")
            entries += [
                DemoLabel(one, vertical, parent, partner=here + 1),
                DemoLabel(other, vertical, parent, partner=here),
            ]
        else:
            entries.append(DemoLabel(text.removesuffix(" *"), vertical, parent, heard=text.endswith(" *")))
        path.append(here)
    return entries
