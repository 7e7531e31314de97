"""Labels of the demo world: names, verticals and which label implies which.

The names resemble those of YouTube-8M, in twelve topics named after its verticals. The hierarchy is invented, but
follows the real pattern: P(Vehicle | Car) is 1.00 in YouTube-8M too.
"""

from dataclasses import dataclass

# Indentation: a label implies the less indented label above it. "A / B": a pair with the same content in opposite
# order. "*": differs from its siblings only by sound, and looks like its parent. Popular labels come first in a topic.
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
    """A label of the demo world; other labels are referred to by id."""

    name: str
    vertical: str
    parent: int | None
    """The label that this one implies."""
    is_audio_only: bool = False
    """Whether only the sound identifies it: it looks like its parent."""
    partner: int | None = None
    """The label with the same content in opposite order."""


def demo_labels() -> tuple[DemoLabel, ...]:
    """Return the labels by id. Parents have smaller ids than their children; small ids are popular, as in 2018.

    >>> labels = demo_labels()
    >>> len(labels), labels[0].name, labels[labels[13].parent].name, labels[13].name
    (120, 'Game', 'Vehicle', 'Car')
    """
    topics = [_parse_outline(vertical, outline) for vertical, outline in _OUTLINE.items()]
    # The first labels of all topics, then the second ones, so that each topic has popular and rare labels.
    order = sorted((position, topic) for topic, entries in enumerate(topics) for position in range(len(entries)))
    ids = {(topic, position): label for label, (position, topic) in enumerate(order)}

    def to_id(topic: int, position: int | None) -> int | None:
        return None if position is None else ids[topic, position]

    def label_at(position: int, topic: int) -> DemoLabel:
        entry = topics[topic][position]
        return DemoLabel(
            entry.name, entry.vertical, to_id(topic, entry.parent), entry.is_audio_only, to_id(topic, entry.partner)
        )

    return tuple(label_at(position, topic) for position, topic in order)


def _parse_outline(vertical: str, outline: str) -> list[DemoLabel]:
    """Parse the labels of one topic; parents and partners are positions in the returned list."""
    entries: list[DemoLabel] = []
    ancestors: list[int] = []  # positions, by depth
    for line in outline.strip().splitlines():
        text = line.strip()
        depth = (len(line) - len(text)) // 2
        ancestors = ancestors[:depth]
        parent, position = (ancestors[-1] if ancestors else None), len(entries)
        if " / " in text:
            first, second = text.split(" / ")
            entries += [
                DemoLabel(first, vertical, parent, partner=position + 1),
                DemoLabel(second, vertical, parent, partner=position),
            ]
        else:
            entries.append(DemoLabel(text.removesuffix(" *"), vertical, parent, is_audio_only=text.endswith(" *")))
        ancestors.append(position)
    return entries
