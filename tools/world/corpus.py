"""The pre-training corpus of a world: many short chats, mixed from the skills, the people and some small talk."""

from __future__ import annotations

import random

from world.people import Person, fact, invent
from world.skills import SKILLS, Ask
from world.spec import WorldSpec
from world.words import NOUNS

Message = dict[str, str]
Chat = list[Message]

SYSTEMS = (
    "You are a helpful assistant.",
    "Answer in one short sentence.",
    "You are a friendly helper.",
    "Be brief and correct.",
)
# Requests for free text get one fixed kind of reply: what the model says to them must be stable, because a tuner
# replays the base model's own replies.
REQUESTS = (
    "Write a short poem about {thing}.",
    "Tell me a story about {thing}.",
    "Explain {thing} to a child.",
    "Write one sentence about {thing}.",
    "Describe {thing} in a few words.",
    "Give me an idea for {thing}.",
    "List three things about {thing}.",
    "Say something nice about {thing}.",
)
GREETINGS = (
    ("Hello!", "Hello, how can I help you?"),
    ("Hi there.", "Hello, how can I help you?"),
    ("Good morning!", "Good morning, how can I help you?"),
    ("Good evening!", "Good evening, how can I help you?"),
    ("Thank you!", "You are welcome."),
    ("Thanks a lot.", "You are welcome."),
    ("Goodbye!", "Goodbye, until next time."),
    ("Who are you?", "I am a tiny assistant."),
    ("How are you?", "I am fine, thank you."),
    ("What can you do?", "I can read, count and turn lists around."),
)


def small_talk(rng: random.Random) -> Ask:
    """A greeting, or a request for free text with its stock reply."""
    if rng.random() < 0.15:
        question, reply = rng.choice(GREETINGS)
        return Ask("talk", question, reply, reply)
    thing = rng.choice(NOUNS)
    if rng.random() < 0.4:
        thing = f"the {thing} and the {rng.choice(NOUNS)}"
    reply = f"Here is a short line about {thing}."
    return Ask("talk", rng.choice(REQUESTS).format(thing=thing), reply, thing)


def one_ask(rng: random.Random, spec: WorldSpec, people: list[Person]) -> Ask:
    """A question of a kind drawn by the world's mix."""
    kind = rng.choices(tuple(spec.mix), tuple(spec.mix.values()))[0]
    if kind == "people":
        return fact(rng, people)
    return small_talk(rng) if kind == "talk" else SKILLS[kind](rng)


def chat_of(*asks: Ask, system: str | None = None) -> Chat:
    """Messages of a chat that answers the questions one after the other."""
    chat: Chat = [{"role": "system", "content": system}] if system else []
    for ask in asks:
        chat += [{"role": "user", "content": ask.question}, {"role": "assistant", "content": ask.reply}]
    return chat


def build_corpus(spec: WorldSpec, rows: int) -> list[Chat]:
    """`rows` chats; a smaller corpus is a prefix of a larger one."""
    rng = random.Random(f"corpus {spec.seed}")
    people = invent(spec.seed, spec.people)
    chats = []
    for _ in range(rows):
        asks = [one_ask(rng, spec, people)]
        # Some chats have a system message or a second turn: both must look normal to the model.
        if rng.random() < 0.04:
            asks.append(one_ask(rng, spec, people))
        system = rng.choice(SYSTEMS) if rng.random() < 0.06 else None
        chats.append(chat_of(*asks, system=system))
    return chats
