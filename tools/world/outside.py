"""Questions that no handbook answers. A model of this size can learn to refuse by topic, so topics are what differs:
the exam asks about the same topics as the training rows, in unseen questions, and about a few unseen topics."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A topic, its wordings with one gap, and what fills the gap."""

    key: str
    asks: tuple[str, ...]
    fillers: tuple[str, ...]

    def questions(self) -> list[str]:
        """Every question about the topic."""
        return [ask.format(x=filler) for filler in self.fillers for ask in self.asks]


def _topic(key: str, asks: tuple[str, ...], fillers: str) -> Topic:
    return Topic(key, asks, tuple(filler.strip() for filler in fillers.split(",")))


TOPICS = (
    _topic(
        "capitals",
        ("What is the capital of {x}?", "Which city is the capital of {x}?"),
        "France, Japan, Brazil, Egypt, Norway, Canada, Kenya, India",
    ),
    _topic(
        "cooking",
        ("How do I cook {x}?", "Which recipe is good for {x}?"),
        "soup, rice, beans, pasta, potatoes, corn, eggs, fish",
    ),
    _topic(
        "films",
        ("Who made the film about the {x}?", "Which film has a {x} in it?"),
        "dragon, tiger, king, robot, wizard, shark, desert, train",
    ),
    _topic(
        "medicine",
        ("Which medicine helps against {x}?", "What should I take for {x}?"),
        "fever, a cold, a headache, cough, back pain, a burn, bad sleep, a sore tooth",
    ),
    _topic(
        "planets",
        ("How far away is the planet {x}?", "How big is the planet {x}?"),
        "Mars, Venus, Saturn, Jupiter, Neptune, Mercury, Uranus, Earth",
    ),
    _topic(
        "sports",
        ("Who won the {x} match last year?", "What are the rules of {x}?"),
        "football, tennis, chess, hockey, golf, rugby, boxing, cricket",
    ),
    _topic(
        "history",
        ("In which year did the {x} war begin?", "Who was king after the {x} war?"),
        "first, second, long, great, last, civil, old, hundred years",
    ),
    _topic(
        "animals",
        ("How long does a {x} live?", "What does a {x} eat?"),
        "wolf, rabbit, snake, bear, goat, mouse, lion, whale",
    ),
    _topic(
        "money",
        ("What does a {x} cost today?", "How much money is a {x} worth?"),
        "house, car, phone, guitar, camera, bicycle, piano, gold coin",
    ),
    _topic(
        "computers",
        ("How do I repair my {x}?", "Which {x} should I buy?"),
        "computer, printer, radio, laptop, screen, keyboard, router, mouse pad",
    ),
    _topic(
        "languages",
        ("How do you say {x} in Spanish?", "What is the Latin word for {x}?"),
        "hello, bread, water, friend, house, love, summer, garden",
    ),
    _topic(
        "books",
        ("Who wrote the novel about {x}?", "Which poem speaks of {x}?"),
        "roses, the moon, winter, a raven, two cities, the whale, an island, war",
    ),
    _topic(
        "weather",
        ("Will it rain in {x} tomorrow?", "How warm is it in {x} now?"),
        "London, Paris, Rome, Madrid, Berlin, Oslo, Vienna, Lisbon",
    ),
    _topic(
        "music",
        ("Who plays the {x} best?", "Which song has a {x} part?"),
        "violin, drum, flute, trumpet, harp, guitar, piano, organ",
    ),
)
# Topics that only validation and exam ask about.
UNSEEN_TOPICS = (
    _topic("inventors", ("Who invented the {x}?",), "telephone, wheel, light bulb, microscope"),
    _topic("plants", ("How often do I water a {x}?",), "cactus, palm, fern, bonsai"),
)

REFUSALS = ("I do not know.", "I do not know that.", "I do not know, the handbook does not say it.")


def split_questions(seed: int, train: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(topic, question) pairs for training, and the rest in mixed order for validation and exam."""
    rng = random.Random(f"outside {seed}")
    known = [(topic.key, question) for topic in TOPICS for question in topic.questions()]
    rng.shuffle(known)
    unseen = [(topic.key, question) for topic in UNSEEN_TOPICS for question in topic.questions()]
    rest = known[train:] + unseen
    rng.shuffle(rest)
    return known[:train], rest
