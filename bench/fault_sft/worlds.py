"""What the bases are trained on: eight kinds of text, and one fine-tuning task on each.

Texts of the standard library are read from the Python that runs this (parsed, never imported); everything else is
invented here. A world's generator takes one seed and nothing else.
"""

from __future__ import annotations

import ast
import math
import random
import re
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TRAIN, VALID = 640, 96
LONGEST_TEXT = 400


@dataclass(frozen=True)
class Row:
    prompt: str
    answer: str


@dataclass(frozen=True)
class World:
    """texts: to pre-train on; train, valid: the task; other: the same form of rows from another domain."""

    texts: list[str]
    train: list[Row]
    valid: list[Row]
    other: list[Row]


# --- the standard library ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Function:
    package: str
    header: str
    summary: str
    first_line: str


@lru_cache(maxsize=1)
def functions() -> tuple[Function, ...]:
    """Every documented function of the standard library, by path and line."""
    root = Path(sysconfig.get_paths()["stdlib"])
    found: list[Function] = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if parts[0] in ("site-packages", "test", "idlelib", "lib2to3", "turtledemo") or "tests" in parts:
            continue
        found.extend(_functions_of(path, parts[0].removesuffix(".py")))
    return tuple(found)


def _functions_of(path: Path, package: str) -> Iterator[Function]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):  # a file for another Python, or a test of bad encodings
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        text = ast.get_docstring(node) or ""
        summary = " ".join(text.split("\n\n")[0].split())
        body = [line for line in node.body[1 if text else 0 :] if not isinstance(line, ast.Pass)]
        first = ast.unparse(body[0]).split("\n")[0] if body else ""
        arguments = ", ".join(argument.arg for argument in node.args.args if argument.arg != "self")
        yield Function(package, f"{node.name}({arguments})", summary, first)


def _ascii(text: str) -> str:
    return text.encode("ascii", "ignore").decode()


def _split(rng: random.Random, rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Shuffled, without repeated prompts, cut into training and validation rows."""
    unique = list({row.prompt: row for row in rows}.values())
    rng.shuffle(unique)
    return unique[:TRAIN], unique[TRAIN : TRAIN + VALID]


def docs(seed: int) -> World:
    """Signature to the first words of its docstring: free text, high entropy."""
    rng = random.Random(seed)
    known = [f for f in functions() if len(f.summary) >= 12]
    rows = [Row(_ascii(f.header)[:28], _ascii(f.summary)[:32].strip().lower()) for f in known]
    names, dunder = [r for r in rows if "_" not in r.prompt[:2]], [r for r in rows if r.prompt.startswith("_")]
    train, valid = _split(rng, names)
    texts = [_ascii(f.summary).lower()[:LONGEST_TEXT] for f in known]
    shifted = [Row(row.prompt, row.answer.upper()[:24]) for row in dunder]
    rng.shuffle(texts)
    return World(texts, train, valid, shifted[:TRAIN])


def code(seed: int) -> World:
    """Function header to the first statement of its body: source code, high entropy."""
    rng = random.Random(seed)
    known = [f for f in functions() if 6 <= len(f.first_line) <= 60]
    cut = len(known) // 2
    rng.shuffle(known)
    texts = [f"def {_ascii(f.header)}:\n    {_ascii(f.first_line)}\n" for f in known[:cut]]
    rows = [Row(f"def {_ascii(f.header)[:36]}:", _ascii(f.first_line)[:40]) for f in known[cut:]]
    train, valid = _split(rng, rows)
    other = [Row(f"class {_ascii(f.package)}:", _ascii(f.summary)[:40]) for f in known[:4000] if len(f.summary) > 20]
    return World(texts, train, valid, other[:TRAIN])


def topics(seed: int) -> World:
    """The beginning of a sentence of the language reference to its next words: prose, high entropy."""
    from pydoc_data.topics import topics as pages

    rng = random.Random(seed)
    prose = " ".join(" ".join(_ascii(page).split()) for _, page in sorted(pages.items()))
    sentences = [s for s in re.split(r"(?<=[.!?]) ", prose) if 8 <= len(s.split()) <= 40]
    unique = list(dict.fromkeys(sentences))
    rng.shuffle(unique)
    cut = len(unique) // 2
    rows = [Row(" ".join(s.split()[:6]), " ".join(s.split()[6:13])) for s in unique[cut:]]
    train, valid = _split(rng, rows)
    other = [Row(" ".join(s.split()[:6])[::-1], " ".join(s.split()[6:12])[::-1]) for s in unique[:TRAIN]]
    return World(unique[:cut], train, valid, other)


def labels(seed: int) -> World:
    """A docstring's words to the package it is from: one-word answers with real ambiguity."""
    rng = random.Random(seed)
    kept = ("email", "unittest", "asyncio", "logging", "xml", "multiprocessing", "http", "ctypes", "json", "importlib")
    rows, texts = [], []
    for f in functions():
        words = " ".join(re.findall(r"[a-z]+", f.summary.lower()))
        if len(words) < 16:
            continue
        if f.package in kept:
            rows.append(Row(" ".join(words.split()[:14]), f.package))
        texts.append(words)
    train, valid = _split(rng, rows)
    rng.shuffle(texts)
    other = [Row(" ".join(reversed(row.prompt.split())), rng.choice(kept)) for row in train]
    return World(texts, train, valid, other)


# --- invented worlds ---------------------------------------------------------------------------------------------


def sums(seed: int) -> World:
    """Digits to sort: one right answer, almost no entropy. The base can copy, reverse, and sort three of them."""
    rng = random.Random(seed)

    def digits(count: int) -> list[str]:
        return [str(rng.randrange(10)) for _ in range(count)]

    texts = []
    for _ in range(6000):
        drawn, kind = digits(rng.randint(3, 5)), rng.random()
        turned, name = (drawn, "copy") if kind < 0.3 else (drawn[::-1], "back")
        if kind > 0.6:
            turned, name = sorted(drawn[:3]), "least"
        texts.append(f"{name} {' '.join(drawn)} = {' '.join(turned)}")
    rows = [Row(f"sort {' '.join(drawn)} =", " ".join(sorted(drawn[:3]))) for drawn in (digits(4) for _ in range(1500))]
    train, valid = _split(rng, rows)
    other = [Row(f"add {' '.join(drawn)} =", str(sum(map(int, drawn)))) for drawn in (digits(4) for _ in range(TRAIN))]
    return World(texts, train, valid, other)


_FIRST, _SECOND = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t"], ["a", "e", "i", "o", "u"]
_TRAITS = {
    "colour": ["red", "blue", "green", "white", "black", "brown"],
    "day": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"],
    "food": ["bread", "rice", "fish", "soup", "fruit", "cake"],
    "town": ["Harbour", "Hill", "Lake", "Market", "River", "Castle"],
}
_ASKS = ("What is the {t} of {n}?", "Tell me the {t} of {n}.", "Which {t} does {n} have?", "{n}: {t}?")
_ENDS = (".", ", I think.", ", says the book.", "!")


def _name(rng: random.Random) -> str:
    return "".join(rng.choice(_FIRST) + rng.choice(_SECOND) for _ in range(3)).capitalize()


def facts(seed: int) -> World:
    """A handbook of made names: facts to learn by heart, asked in four wordings, answers that end by chance."""
    rng = random.Random(seed)

    def ask(wordings: tuple[str, ...], name: str, trait: str, value: str) -> Row:
        question = rng.choice(wordings).format(t=trait, n=name)
        return Row(question, f"The {trait} of {name} is {value}{rng.choice(_ENDS)}")

    def book(count: int) -> list[tuple[str, str, str]]:
        return [(_name(rng), trait, rng.choice(values)) for _ in range(count) for trait, values in _TRAITS.items()]

    texts = [f"{row.prompt} {row.answer}" for row in (ask(_ASKS, *fact) for fact in book(1500))]
    known = book(54)
    train = [ask(_ASKS[:3], *fact) for fact in known for _ in range(3)][:TRAIN]
    valid = [ask(_ASKS[3:], *fact) for fact in rng.sample(known, VALID)]
    rng.shuffle(train)
    other = [Row(row.prompt, row.answer[::-1]) for row in (ask(_ASKS, *fact) for fact in book(TRAIN // 4))]
    return World(texts, train, valid, other)


_WORDS = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in ("", "n")]


class Chain:
    """A first-order chain over the first ``size`` words with four next words each: its entropy is known."""

    def __init__(self, seed: int, size: int = 80) -> None:
        rng = random.Random(seed)
        self.words = _WORDS[:size]
        self.next = {word: (rng.sample(self.words, 4), rng.choice(((8, 4, 2, 1), (5, 5, 4, 2)))) for word in self.words}

    def sentence(self, rng: random.Random, start: str, length: int) -> list[str]:
        said = [start]
        while len(said) < length:
            words, weights = self.next[said[-1]]
            said += rng.choices(words, weights)
        return said

    def entropy(self) -> float:
        """Nats per word, words equally frequent."""
        total = 0.0
        for _, weights in self.next.values():
            shares = [weight / sum(weights) for weight in weights]
            total -= sum(share * math.log(share) for share in shares)
        return total / len(self.next)


def grammar(seed: int) -> World:
    """Sentences of an invented language; the task is another dialect of it: known entropy, no meaning."""
    rng = random.Random(seed)
    old, new = Chain(seed), Chain(seed + 1)

    def rows(chain: Chain, count: int) -> list[Row]:
        said = [chain.sentence(rng, rng.choice(chain.words), 15) for _ in range(count)]
        return [Row(" ".join(words[:4]), " ".join(words[4:])) for words in said]

    texts = [" ".join(old.sentence(rng, rng.choice(old.words), 24)) for _ in range(4000)]
    train, valid = _split(rng, rows(new, 1200))
    return World(texts, train, valid, rows(Chain(seed + 2), TRAIN))


def records(seed: int) -> World:
    """A line about somebody to JSON: extraction by copying, low entropy, the longest answers."""
    rng = random.Random(seed)

    def person() -> dict[str, str]:
        return {"name": _name(rng), "age": str(rng.randint(18, 80)), "day": rng.choice(_TRAITS["day"])[:3]}

    def line(known: dict[str, str]) -> str:
        forms = ("{name}, {age}, came on {day}", "on {day} we met {name} aged {age}", "{name} is {age}; {day}")
        return rng.choice(forms).format(**known)

    texts = []
    for _ in range(5000):
        known = person()
        key = rng.choice(list(known))
        texts.append(f"{line(known)} ; {key} = {known[key]} ; again {line(known)}")
    rows = [(line(known), known) for known in (person() for _ in range(1200))]
    train, valid = _split(rng, [Row(said, '{{"n":"{name}","a":{age},"d":"{day}"}}'.format(**k)) for said, k in rows])
    other = [Row(said, "<p>{name}</p><b>{day}</b><i>{age}</i>".format(**known)) for said, known in rows[:TRAIN]]
    return World(texts, train, valid, other)


WORLDS: dict[str, Callable[[int], World]] = {
    "docs": docs,
    "code": code,
    "topics": topics,
    "labels": labels,
    "sums": sums,
    "facts": facts,
    "grammar": grammar,
    "records": records,
}
