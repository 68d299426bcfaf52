"""Invented people whose facts a base model knows by heart."""

from __future__ import annotations

import random
from dataclasses import dataclass

from world.skills import Ask
from world.words import COLOURS, NOUNS, PEOPLE_LANE, in_lane, names

TRADES = ("baker", "painter", "doctor", "teacher", "singer", "writer", "cook", "farmer", "guard", "judge", "miller")


@dataclass(frozen=True)
class Trait:
    """One thing known about everybody, in the wordings that ask for it."""

    asks: tuple[str, ...]
    reply: str


TRAITS = {
    "town": Trait(
        (
            "In which town was {who} born?",
            "Where was {who} born?",
            "Tell me the birth town of {who}.",
            "Which town does {who} come from?",
        ),
        "{who} was born in {value}.",
    ),
    "trade": Trait(
        (
            "What is the trade of {who}?",
            "What job does {who} do?",
            "Tell me the job of {who}.",
            "As what does {who} earn money?",
        ),
        "{who} is a {value}.",
    ),
    "colour": Trait(
        (
            "Which colour does {who} like best?",
            "What is the favourite colour of {who}?",
            "Tell me the colour that {who} likes.",
            "Which colour pleases {who} most?",
        ),
        "{who} likes {value} best.",
    ),
    "pet": Trait(
        (
            "What is the name of {who}'s dog?",
            "How is the dog of {who} called?",
            "Tell me the name of {who}'s dog.",
            "Which name does the dog of {who} have?",
        ),
        "The dog of {who} is called {value}.",
    ),
    "prize": Trait(
        (
            "What did {who} win as a prize?",
            "Which prize did {who} win?",
            "Tell me the prize of {who}.",
            "What was the prize that went to {who}?",
        ),
        "{who} won a {value}.",
    ),
}


@dataclass(frozen=True)
class Person:
    """A name and the value of each trait."""

    name: str
    traits: dict[str, str]


def invent(seed: int, count: int) -> list[Person]:
    """The people of one world; their names, towns and dogs come from a lane that nothing else uses."""
    rng = random.Random(f"people {seed}")
    pool = names(rng, count * 3, in_lane(PEOPLE_LANE))
    return [
        Person(
            pool[n],
            {
                "town": pool[count + rng.randrange(count)],
                "trade": rng.choice(TRADES),
                "colour": rng.choice(COLOURS),
                "pet": pool[2 * count + n],
                "prize": f"{rng.choice(COLOURS)} {rng.choice(NOUNS)}",
            },
        )
        for n in range(count)
    ]


def ask_about(person: Person, trait: str, wording: int) -> Ask:
    """One question about one person."""
    shape, value = TRAITS[trait], person.traits[trait]
    reply = shape.reply.format(who=person.name, value=value)
    return Ask("people", shape.asks[wording].format(who=person.name), reply, value)


def fact(rng: random.Random, people: list[Person]) -> Ask:
    """A random question about a random person."""
    trait = rng.choice(tuple(TRAITS))
    return ask_about(rng.choice(people), trait, rng.randrange(len(TRAITS[trait].asks)))
