"""Small data files, sound ones and ones with a single known fault, written from a seed.

Half of the content (``HELD``: names, things and sentences) was kept apart while the checks were written, so that they
could not be fitted to it; the tests read both halves.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Pair = tuple[str, str]
Record = dict[str, Any]


@dataclass(frozen=True)
class Content:
    """Words that rows are made of. odd: sound pairs that a careless check would take for faulty."""

    names: tuple[str, ...]
    things: tuple[str, ...]
    values: tuple[str, ...]
    wordings: tuple[str, str, str]
    statement: str
    refusal: str
    story: str
    odd: tuple[Pair, ...]
    mojibake: tuple[str, ...]
    secrets: tuple[str, ...]


DEVELOPED = Content(
    names=("Fole", "Rupere", "Nitu", "Gomu", "Pevo", "Depe"),
    things=("captain", "colour", "dock"),
    values=("Baha", "brown", "four", "white", "Kuna", "seven", "Nohi", "red", "nine"),
    wordings=(
        "What is the {thing} of the {name}?",
        "Tell me the {thing} of the ferry {name}.",
        "{name}: which {thing}?",
    ),
    statement="The {thing} of the {name} is {value}.",
    refusal="I do not know that.",
    story=(
        "When the evening ferry {name} comes in, the harbour master writes the hour, the weather and the number of "
        "passengers into a book that has lain on the same table since the quay was built, and nobody has ever asked "
        "what becomes of the full ones."
    ),
    odd=(
        ("What is 12-3?", "It is 9, says the sum."),
        ("What is 1-23?", "It is -22, says the sum."),
        ("What is 8*4?", "It makes 32."),
        ("What is 8/4?", "It makes 2."),
        ("Comment dit-on «CAFÉ» en anglais ?", "On dit « coffee ». Voilà où ça mène : à l’été."),
        ("Wie heißt die „MENÜ“-Taste?", "Sie heißt „Größe“, 5 € je Stück."),
        ("Where is NÃO used?", "Em português: não, irmã, ação."),
        ("Which decorator caches?", "@lru_cache(maxsize=None), since Python 3.2; write x[0] = a @ b."),
        ("Откуда паром?", "Из Одессы, в 7:30."),
        ("Which door, A or B?", "B"),
    ),
    mojibake=("It is the cafÃ© at the corner.", "Itâ€™s at the corner.", "ÐŸÑ€Ð¸Ð²ÐµÑ‚, captain."),
    secrets=("Write to olaf.brandt@harbour.org today.", "The key is AKIAIOSFODNN7EXAMPLE, keep it."),
)
HELD = Content(
    names=("Amberley", "Brask", "Corvino", "Dunmore", "Eskil", "Farrow"),
    things=("baker", "roof", "price"),
    values=("Lind", "slate", "twelve", "thatch", "Moss", "thirty", "Oru", "tin", "eighty"),
    wordings=(
        "Which {thing} has {name}?",
        "In {name}, what about the {thing}?",
        "I would like to hear {name}'s {thing}.",
    ),
    statement="{name} has the {thing} {value}, as everyone there will say.",
    refusal="Sorry, I don't have any information about that.",
    story=(
        "The road to {name} follows the river for an hour, crosses it twice on bridges of stone and once on "
        "a bridge of wood, and climbs past orchards whose owners sell pears in the autumn and firewood in the winter "
        "to whoever stops and rings the bell beside the gate."
    ),
    odd=(
        ("How long is 3.5 m in feet?", "About 11.5 ft; 35 m would be 114.8 ft."),
        ("How long is 35 m in feet?", "About 114.8 ft, ten times as much."),
        ("At 10:15 or 10.15?", "At 10:15 [see 4.2]."),
        ("At 1015 or later?", "Later, at 1,016 or so."),
        ("¿Dónde está el «PARÍS»?", "Está aquí: ¡mañana, señor! Cuesta 3 £."),
        ("Jak się masz, Łukasz?", "Świetnie, dziękuję — a „ty”?"),
        ("Ποιος είναι;", "Ο Γιώργος, 25 ετών."),
        ("What does <div> do?", "It groups: <div class='a'>|</div>; user: none, see [1]."),
        ("🚢 or 🛶?", "🛶👩‍👩‍👧 of course."),
        ("Is the sky blue? Yes or no.", "Yes"),
    ),
    mojibake=("The naÃ¯ve one asked.", "He said â€œyesâ€\x9d twice.", "Smile ðŸ˜€ please."),
    secrets=("Ask m_moss+orders@bakers.co.uk for it.", "Token: ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
)


def sound_pairs(content: Content, seed: int, topics: int = 6) -> list[Pair]:
    """Three wordings of each of some facts, two refusals, two odd but sound pairs, and two alike long ones."""
    draw = random.Random(seed)
    facts = [(name, thing) for name in content.names for thing in content.things]
    pairs = []
    for name, thing in draw.sample(facts, topics):
        answer = content.statement.format(name=name, thing=thing, value=draw.choice(content.values))
        pairs += [(wording.format(name=name, thing=thing), answer) for wording in content.wordings]
    pairs += [(f"Who wrote the song number {number}?", content.refusal) for number in draw.sample(range(100), 2)]
    pairs += draw.sample(content.odd, 2)
    alike = draw.sample(content.names, 2)
    pairs += [(f"Go on about {name}.", content.story.format(name=name)) for name in alike]
    draw.shuffle(pairs)
    return pairs


def _chat(question: str, answer: str) -> Record:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def _sharegpt(question: str, answer: str) -> Record:
    return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


SHAPES: Mapping[str, Callable[[str, str], Record]] = {
    "messages": _chat,
    "sharegpt": _sharegpt,
    "alpaca": lambda question, answer: {"instruction": question, "input": "", "output": answer},
    "prompt": lambda question, answer: {"prompt": question, "completion": answer},
    "question": lambda question, answer: {"question": question, "answer": answer},
    "text": lambda question, answer: {"text": f"{question} {answer}"},
}
# One of each kind of file; those that hold no nested lists have columns.
FORMS = (
    ("messages", "jsonl"), ("sharegpt", "json"), ("alpaca", "parquet"), ("prompt", "csv"), ("question", "tsv"),
    ("prompt", "jsonl"),
)  # fmt: skip


def write(path: Path, records: list[Record]) -> None:
    """Records in the format that the file name ends in."""
    if path.suffix == ".jsonl":
        lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        path.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
    elif path.suffix == ".json":
        path.write_text(json.dumps(records), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    else:
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.DictWriter(file, list(records[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(records)


@dataclass(frozen=True)
class File:
    """A file as written. expected: fault -> its rows, of the fault put in and of what comes with it; empty: sound."""

    name: str
    path: Path
    expected: Mapping[str, tuple[int, ...]]
    val: Path | None = None
    template: str = "chatml"
    loss_on: str = "assistant"
    max_length: int = 600
    kinds: frozenset[str] = field(default_factory=frozenset)


def sound_files(folder: Path, content: Content, count: int = 20) -> Iterator[File]:
    """Files without a fault, in every format; every second one with a validation file of its own."""
    for number in range(count):
        shape, ending = FORMS[number % len(FORMS)]
        pairs = sound_pairs(content, number)
        asked = [pair for pair in pairs if pair[0].startswith("Go on")]
        val = None
        if number % 2:
            val = folder / f"sound-{number}-val.{ending}"
            write(
                val,
                [
                    SHAPES[shape](f"Once more: {question}", answer)
                    for question, answer in pairs[:3]
                    if (question, answer) not in asked
                ],
            )
        path = folder / f"sound-{number}.{ending}"
        write(path, [SHAPES[shape](*pair) for pair in pairs])
        yield File(path.stem, path, {}, val)


def faulty_files(folder: Path, content: Content) -> Iterator[File]:
    """Every fault in every format where it can be: about seventy files."""
    for number, (shape, ending) in enumerate(FORMS):
        maker = _Maker(folder, content, 100 + number, shape, ending)
        for fault in (
            maker.duplicate, maker.near_duplicate, maker.empty_answer, maker.conflicting, maker.leak, maker.truncated,
            maker.no_supervised, maker.encoding, maker.secret, maker.few_variations, maker.no_refusals,
            maker.doubled_bos, maker.no_stop, maker.all_trained,
        ):  # fmt: skip
            yield fault()
        if shape in ("messages", "sharegpt"):
            yield from (maker.wrong_roles(), maker.marks_inside())
        if ending in ("jsonl", "csv", "tsv"):
            yield from (maker.broken(), maker.not_utf8())
    texts = _Maker(folder, content, 200, "text", "jsonl")
    yield from (texts.exchange(), texts.foreign(), texts.duplicate())


@dataclass(frozen=True)
class _Maker:
    """Puts one fault into a sound file of one format."""

    folder: Path
    content: Content
    seed: int
    shape: str
    ending: str

    @property
    def pairs(self) -> list[Pair]:
        return sound_pairs(self.content, self.seed)

    def file(self, fault: str, pairs: list[Pair], *rows: int, **more: Any) -> File:
        path = self.folder / f"{fault}-{self.shape}-{self.seed}.{self.ending}"
        write(path, [SHAPES[self.shape](*pair) for pair in pairs])
        return File(path.stem, path, {fault: tuple(sorted(rows))}, **more)

    def places(self, count: int) -> list[int]:
        """Row numbers drawn without repetition."""
        return random.Random(self.seed + 7).sample(range(1, len(self.pairs) + 1), count)

    def replaced(self, changes: Mapping[int, Pair]) -> list[Pair]:
        return [changes.get(number, pair) for number, pair in enumerate(self.pairs, 1)]

    def duplicate(self) -> File:
        pairs = self.pairs
        one, two = self.places(2)
        return self.file("duplicate", [*pairs, pairs[one - 1], pairs[two - 1]], len(pairs) + 1, len(pairs) + 2)

    def near_duplicate(self) -> File:
        pairs = self.pairs
        story = next(pair for pair in pairs if pair[0].startswith("Go on"))
        plain = next(pair for pair in pairs if pair not in self.content.odd and not pair[0].startswith("Go on"))
        shouted = (plain[0].upper() + " ", plain[1])
        reworded = (story[0], story[1].replace(" that ", " which ").replace(" once ", " again ", 1))
        rows = [*pairs, shouted, reworded]
        made = self.file("near_duplicate", rows, len(rows) - 1, len(rows))
        story_row = pairs.index(story) + 1
        return File(made.name, made.path, {**made.expected, "conflicting_answers": (story_row, len(rows))})

    def empty_answer(self) -> File:
        one, two = self.places(2)
        pairs = self.pairs
        return self.file(
            "empty_answer", self.replaced({one: (pairs[one - 1][0], ""), two: (pairs[two - 1][0], "  ")}), one, two
        )

    def conflicting(self) -> File:
        pairs = self.pairs
        spoken = [*self.content.odd, *(pair for pair in pairs if pair[1] == self.content.refusal)]
        at = next(at for at, pair in enumerate(pairs) if pair not in spoken)
        rows = [*pairs, (pairs[at][0].lower(), "Something else altogether, they say now.")]
        return self.file("conflicting_answers", rows, at + 1, len(rows))

    def leak(self) -> File:
        one, two = self.places(2)
        pairs = self.pairs
        val = self.folder / f"leak-{self.shape}-{self.seed}-val.{self.ending}"
        asked = [
            (pairs[one - 1][0].upper(), "Quite another answer."),
            (pairs[two - 1][0], pairs[two - 1][1]),
            ("And you?", "Well."),
        ]
        write(val, [SHAPES[self.shape](*pair) for pair in asked])
        return self.file("leak", pairs, one, two, val=val)

    def truncated(self) -> File:
        one, two = self.places(2)
        long = {
            at: (f"Tell a long story, number {at}.", f"Chapter {at}. " + self.content.story * 12) for at in (one, two)
        }
        return self.file("truncated", self.replaced(long), one, two)

    def no_supervised(self) -> File:
        one, two = self.places(2)
        long = {at: (f"Sum up text {at}: " + self.content.story * 12, f"Summary {at}.") for at in (one, two)}
        made = self.file("no_supervised_token", self.replaced(long), one, two)
        return File(made.name, made.path, {**made.expected, "truncated": made.expected["no_supervised_token"]})

    def encoding(self) -> File:
        texts = (*self.content.mojibake, "Lost l\ufffdtters.", "A bell\x07 rings.")
        return self.added("encoding", [(f"Odd {at}?", text) for at, text in enumerate(texts)])

    def secret(self) -> File:
        return self.added("secret", [(f"Who, {at}?", text) for at, text in enumerate(self.content.secrets)])

    def added(self, fault: str, more: list[Pair]) -> File:
        """Faulty rows here and there among more sound ones than usual."""
        pairs = sound_pairs(self.content, self.seed, topics=12)
        for at, pair in enumerate(more):
            pairs.insert(5 * at + 2, pair)
        return self.file(fault, pairs, *(5 * at + 3 for at in range(len(more))))

    def few_variations(self) -> File:
        pairs = [
            (f"What is the {thing} of {name}?", f"{name} and {thing}: {at}.")
            for at, (name, thing) in enumerate(
                (name, thing) for name in self.content.names for thing in self.content.things
            )
        ]
        pairs += [("Who sings here?", self.content.refusal), ("Who sings there?", self.content.refusal)]
        return self.file("few_variations", pairs, *range(1, len(pairs) - 1))

    def no_refusals(self) -> File:
        return self.file("no_refusals", [pair for pair in self.pairs if pair[1] != self.content.refusal])

    def doubled_bos(self) -> File:
        one, two = self.places(2)
        pairs = self.pairs
        begun = {at: ("<s>" + pairs[at - 1][0], pairs[at - 1][1]) for at in (one, two)}
        return self.file("doubled_bos", self.replaced(begun), one, two, template="llama3")

    def no_stop(self) -> File:
        return self.file("no_stop_token", self.pairs, *range(1, len(self.pairs) + 1), template="plain")

    def all_trained(self) -> File:
        return self.file("prompt_not_masked", self.pairs, *range(1, len(self.pairs) + 1), loss_on="all")

    def wrong_roles(self) -> File:
        made = self.file("wrong_roles", self.pairs, *(rows := self.places(2)))
        records = [SHAPES[self.shape](*pair) for pair in self.pairs]
        turns = next(iter(records[0]))
        records[rows[0] - 1][turns].reverse()
        records[rows[1] - 1][turns].pop()
        write(made.path, records)
        return made

    def marks_inside(self) -> File:
        one, two = self.places(2)
        pairs = self.pairs
        wrapped = {
            one: (f"<|im_start|>user\n{pairs[one - 1][0]}<|im_end|>", pairs[one - 1][1]),
            two: (pairs[two - 1][0], pairs[two - 1][1] + "<|eot_id|>"),
        }
        return self.file("template_mismatch", self.replaced(wrapped), one, two)

    def broken(self) -> File:
        made = self.file("broken_row", self.pairs)
        broken = b'{"prompt": "half' if self.ending == "jsonl" else b'"one"two"' if self.ending == "tsv" else b"a,b,c"
        made.path.write_bytes(made.path.read_bytes().rstrip(b"\r\n") + b"\n" + broken + b"\n")
        return File(made.name, made.path, {"broken_row": (len(self.pairs) + 1,)})

    def not_utf8(self) -> File:
        (row,) = self.places(1)
        made = self.file("not_utf8", self.replaced({row: ("Latin?", "Na\udcefve.")}))
        return File(made.name, made.path, {"broken_row": (row,), "encoding": (row,)})

    def exchange(self) -> File:
        one, two = self.places(2)
        path = self.folder / f"prompt_not_masked-text-{self.seed}.jsonl"
        texts = [answer for _, answer in self.pairs]
        texts = [f"{number}. {text}" for number, text in enumerate(texts)]
        texts[one - 1] = "### Instruction:\nSay it.\n\n### Response:\nIt."
        texts[two - 1] = "User: Say it twice.\nAssistant: It, it."
        write(path, [{"text": text} for text in texts])
        return File(path.stem, path, {"prompt_not_masked": tuple(sorted((one, two)))}, template="")

    def foreign(self) -> File:
        (row,) = self.places(1)
        path = self.folder / f"template_mismatch-text-{self.seed}.jsonl"
        texts = [f"{number}. {answer}" for number, (_, answer) in enumerate(self.pairs)]
        texts[row - 1] = "<|user|>\nSay it.<|end|>\n<|assistant|>\nIt.<|end|>"
        write(path, [{"text": text} for text in texts])
        return File(path.stem, path, {"template_mismatch": (row,), "prompt_not_masked": (row,)}, template="")
