"""The invented domains to fine-tune on: a ferry harbour (bundled demo) and an observatory (second world of the tests).

A domain is a handbook: things with made names, five traits each, each trait asked for in five wordings. The answer
ends in one of three ways, by chance, as in rows that people write: knowing the fact never brings the loss to zero, so
a validation loss has a floor, and learning the endings of single rows by heart shows as overfitting.
"""

from __future__ import annotations

from dataclasses import dataclass

from world.words import COLOURS, DAYS, NUMBERS, word_list

# Stands for values that are made names of the domain instead of words of a fixed list.
MADE_NAMES: tuple[str, ...] = ()


ENDS = (".", " this year.", ", says the handbook.")


@dataclass(frozen=True)
class Attribute:
    """One trait of every thing in the handbook."""

    key: str
    values: tuple[str, ...]
    asks: tuple[str, ...]
    reply: str


@dataclass(frozen=True)
class Domain:
    """A handbook and the sizes of the data sets made from it."""

    name: str
    seed: int
    things: int
    facts: int
    first_facts: int
    refusals: int
    first_refusals: int
    attributes: tuple[Attribute, ...]
    made_names: int = 8
    valid_facts: int = 120
    exam_exact: int = 80
    exam_variation: int = 120


HARBOUR = Domain(
    name="harbour",
    seed=101,
    things=50,
    # 187 x 3 + 64 = 625 rows in the first version, 247 x 3 + 84 = 825 in all.
    facts=247,
    first_facts=187,
    refusals=84,
    first_refusals=64,
    attributes=(
        Attribute(
            "dock",
            NUMBERS[:8],
            (
                "At which dock does the ferry {who} lie?",
                "Which dock belongs to the {who}?",
                "Name the dock of the ferry {who}.",
                "Ferry {who}: what dock number?",
                "Where is the dock of the {who}?",
            ),
            "The {who} lies at dock {value}",
        ),
        Attribute(
            "captain",
            MADE_NAMES,
            (
                "Who is the captain of the ferry {who}?",
                "Which captain sails the {who}?",
                "Name the captain on board the {who}.",
                "Ferry {who}: who is captain?",
                "Under which captain does the {who} sail?",
            ),
            "The captain of the {who} is {value}",
        ),
        Attribute(
            "colour",
            COLOURS[:8],
            (
                "What colour is the hull of the {who}?",
                "In which colour is the ferry {who} painted?",
                "Name the hull colour of the {who}.",
                "Ferry {who}: which colour?",
                "Which colour of paint does the {who} have?",
            ),
            "The hull of the {who} is {value}",
        ),
        Attribute(
            "cargo",
            word_list("apples bricks coal coffee cotton honey paper salt"),
            (
                "What cargo does the ferry {who} carry?",
                "Which cargo is on board the {who}?",
                "Name the cargo of the {who}.",
                "Ferry {who}: what cargo?",
                "Tell me the cargo that the {who} brings.",
            ),
            "The {who} carries {value}",
        ),
        Attribute(
            "day",
            DAYS,
            (
                "On which day does the ferry {who} leave?",
                "Which day does the {who} set sail?",
                "Name the sailing day of the {who}.",
                "Ferry {who}: which day of the week?",
                "On what day can I travel with the {who}?",
            ),
            "The {who} leaves on {value}",
        ),
    ),
)

OBSERVATORY = Domain(
    name="observatory",
    seed=202,
    things=24,
    facts=120,
    first_facts=120,
    refusals=40,
    first_refusals=40,
    valid_facts=90,
    exam_exact=60,
    exam_variation=100,
    attributes=(
        Attribute(
            "dome",
            NUMBERS[:8],
            (
                "In which dome stands the telescope {who}?",
                "Which dome houses {who}?",
                "Name the dome of the telescope {who}.",
                "Telescope {who}: what dome number?",
                "Where is the dome of {who}?",
            ),
            "{who} stands in dome {value}",
        ),
        Attribute(
            "keeper",
            MADE_NAMES,
            (
                "Who is the keeper of the telescope {who}?",
                "Which keeper looks after {who}?",
                "Name the keeper in charge of {who}.",
                "Telescope {who}: who is keeper?",
                "Tell me which keeper {who} has.",
            ),
            "The keeper of {who} is {value}",
        ),
        Attribute(
            "mirror",
            word_list("silver glass copper brass tin steel gold iron"),
            (
                "What is the mirror of {who} made of?",
                "Which material has the mirror of the telescope {who}?",
                "Name the mirror material of {who}.",
                "Telescope {who}: what mirror?",
                "The mirror of {who}, which stuff is it?",
            ),
            "The mirror of {who} is {value}",
        ),
        Attribute(
            "night",
            DAYS,
            (
                "On which night is the telescope {who} open?",
                "Which night may guests look through {who}?",
                "Name the open night of {who}.",
                "Telescope {who}: which night?",
                "On what night do the doors open for {who}?",
            ),
            "{who} is open on {value}",
        ),
        Attribute(
            "target",
            word_list("comets moons planets dust storms clouds suns rings"),
            (
                "What targets does the telescope {who} watch?",
                "Which targets are studied with {who}?",
                "Name the targets of {who}.",
                "Telescope {who}: what targets?",
                "To what targets is {who} turned?",
            ),
            "{who} watches {value}",
        ),
    ),
)

DOMAINS = {domain.name: domain for domain in (HARBOUR, OBSERVATORY)}
