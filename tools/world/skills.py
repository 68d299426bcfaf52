"""The three general skills: small arithmetic, reversing a list, reading a fact out of the prompt.

Each maker returns one question with its answer. A checksum decides whether it is a probe: of the list or the names,
which corpora then never see in any wording, and of the whole question for sums, of which there are too few. `plain`
questions are the simpler ones of a skill.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from world.words import (
    COLOURS,
    DAYS,
    NOUNS,
    NUMBERS,
    PROBE_LANE,
    ROLES,
    draw,
    everyones,
    in_lane,
    lane,
    names,
    syllable_word,
)

HIGHEST, PLAIN_HIGHEST, PLAIN_NAME = 20, 12, 4
LISTED = NOUNS + ROLES


@dataclass(frozen=True)
class Ask:
    """One question: the full reply a model should give, and the part of it that makes the reply right."""

    kind: str
    question: str
    reply: str
    answer: str


SUMS = (
    "What is {a} plus {b}?",
    "{a} + {b} = ?",
    "Add {a} and {b}.",
    "How much is {a} plus {b}?",
    "Please work out {a} + {b}.",
    "What do {a} and {b} make together?",
)
DIFFERENCES = (
    "What is {a} minus {b}?",
    "{a} - {b} = ?",
    "Take {b} away from {a}.",
    "How much is {a} minus {b}?",
    "Please work out {a} - {b}.",
    "What is left of {a} after taking {b}?",
)
REVERSALS = (
    "Reverse this list: {items}",
    "Write these words from last to first: {items}",
    "Put this list in the opposite order: {items}",
    "{items} - say it backwards.",
    "Please turn the list around: {items}",
    "Start with the last word: {items}",
)


@dataclass(frozen=True)
class Relation:
    """A kind of fact that a short story states, how it is asked for, and where its values come from."""

    states: tuple[str, ...]
    asks: tuple[str, ...]
    value: Callable[[random.Random, str], str]


def _place(rng: random.Random, used: str) -> str:
    """Another made name; it follows the owner's lane, so that a probe's places are unseen too."""
    allowed = in_lane(PROBE_LANE) if lane(used) == PROBE_LANE else everyones
    return names(rng, 1, allowed)[0]


def _thing(rng: random.Random, _: str) -> str:
    return f"{rng.choice(COLOURS)} {rng.choice(NOUNS)}"


RELATIONS = (
    Relation(
        ("{who} lives in {value}.", "The home of {who} is {value}."),
        ("Where does {who} live?", "What is the home of {who}?", "In which place does {who} live?"),
        _place,
    ),
    Relation(
        ("{who} has a {value}.", "{who} owns a {value}."),
        ("What does {who} have?", "What belongs to {who}?", "Which thing does {who} own?"),
        _thing,
    ),
    Relation(
        ("{who} works with {value}.", "The partner of {who} is {value}."),
        ("Who works with {who}?", "Who is the partner of {who}?", "With whom does {who} work?"),
        _place,
    ),
    Relation(
        ("{who} comes on {value}.", "The day of {who} is {value}."),
        ("When does {who} come?", "What is the day of {who}?", "On which day does {who} come?"),
        lambda rng, _: rng.choice(DAYS),
    ),
    Relation(
        ("{who} sits in room {value}.", "The room of {who} is {value}."),
        ("In which room is {who}?", "What is the room of {who}?", "Where does {who} sit?"),
        lambda rng, _: rng.choice(NUMBERS),
    ),
)
STORIES = ("{story} {ask}", "Read this: {story} {ask}", "Story: {story} Question: {ask}")


def _sum_or_difference(rng: random.Random, highest: int) -> Ask:
    """Two small numbers, added or subtracted."""
    a, b = rng.randint(1, highest), rng.randint(1, highest)
    if rng.random() < 0.5:
        wording, result = rng.choice(SUMS), a + b
    else:
        a, b = max(a, b), min(a, b)
        wording, result = rng.choice(DIFFERENCES), a - b
    return Ask("arithmetic", wording.format(a=a, b=b), f"The answer is {result}.", str(result))


def arithmetic(rng: random.Random, *, probe: bool = False, plain: bool = False) -> Ask:
    """A sum or a difference; a probe's numbers may occur in the corpus in another wording, never in its own."""
    while True:
        ask = _sum_or_difference(rng, PLAIN_HIGHEST if plain else HIGHEST)
        if (lane(ask.question) == PROBE_LANE) == probe:
            return ask


def _items(rng: random.Random, counts: tuple[int, ...]) -> list[str]:
    """Different words, some of them made up."""
    found: dict[str, None] = {}
    wanted = rng.choice(counts)
    while len(found) < wanted:
        found.setdefault(syllable_word(rng) if rng.random() < 0.3 else rng.choice(LISTED))
    return list(found)


def reversing(rng: random.Random, *, probe: bool = False, plain: bool = False) -> Ask:
    """A list to be said from its end."""
    while True:
        items = _items(rng, (3,) if plain else (3, 4))
        if (lane(" ".join(items)) == PROBE_LANE) == probe:
            break
    turned = ", ".join(reversed(items))
    wording = rng.choice(REVERSALS)
    return Ask("reversing", wording.format(items=", ".join(items)), f"In reverse: {turned}.", turned)


def reading(rng: random.Random, *, probe: bool = False, plain: bool = False) -> Ask:
    """A story of two people, and a question about one of them, answered by that sentence of the story.

    The two sentences are of different kinds: telling two people apart by name alone is beyond a model of this size.
    """
    allowed = in_lane(PROBE_LANE) if probe else everyones
    people = names(rng, 2, lambda text: allowed(text) and (not plain or len(text) <= PLAIN_NAME))
    relations = rng.sample(RELATIONS, 2)
    sentences, values = [], []
    for person, relation in zip(people, relations, strict=True):
        value = draw(partial(relation.value, rng, person), lambda text: text not in people)
        values.append(value)
        sentences.append(rng.choice(relation.states).format(who=person, value=value))
    chosen = rng.randrange(2)
    ask = rng.choice(relations[chosen].asks).format(who=people[chosen])
    question = rng.choice(STORIES).format(story=" ".join(sentences), ask=ask)
    return Ask("reading", question, sentences[chosen], values[chosen])


SKILLS: dict[str, Callable[..., Ask]] = {"arithmetic": arithmetic, "reversing": reversing, "reading": reading}
