"""What is wrong with the data, before an hour of training finds out: the part that takes seconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from tunewright.data.across import faults_across
from tunewright.data.alike import near_duplicates
from tunewright.data.dataset import Dataset
from tunewright.data.faults import Fault, Part, merged, whole_fault
from tunewright.data.row_faults import is_one_word
from tunewright.data.rows import Row
from tunewright.data.text_faults import encoding_fault, secret_fault
from tunewright.data.tokens import Encoded

# Two to three wordings per topic are asked for, and rows that answer "I do not know".
# Source: "LLM Fine-Tuning Guide: Understanding Training Parameters" (2025-10), dataset quality.
FEWEST_WORDINGS = 2
REFUSAL_SHARE = 0.1
_REFUSED_WITHIN = 160
"""Characters of an answer in which a refusal says so; further on, "I do not know" is part of a longer story."""

_REFUSAL = re.compile(
    r"\b(i (really |still )?(do not|don['’]?t|cannot|can['’]?t) "
    r"(know|tell|say|answer|help|have (any |that |this |enough )?(information|data|knowledge))"
    r"|i am not (sure|aware)|i['’]?m not (sure|aware)|i have no (information|data|knowledge|idea)"
    r"|(is|are) not (covered|mentioned|known to me)|no information (about|on|is)|unable to (answer|help))\b",
    re.IGNORECASE,
)
# The same in the languages most data is written in beside English; no boundary of words where none are written.
_REFUSAL_ELSEWHERE = re.compile(
    r"\b(das |ich )?(wei(ß|ss) (ich|es) (das )?(leider )?nicht|keine (informationen?|angaben|auskunft|ahnung)\b)"
    r"|\b(je ne sais pas|je n['’]ai (pas|aucune)|aucune information|je ne (peux|suis) pas)\b"
    r"|\bno (lo sé|lo se|tengo (información|datos)|puedo (responder|ayudar))"
    r"|\bnon (lo so|ho informazioni|posso (rispondere|aiutar))"
    r"|\b(não sei|não tenho (informações|dados)|não posso (responder|ajudar))"
    r"|\b(weet ik niet|ik weet het niet|geen informatie)\b|\b(nie wiem|nie mam informacji)\b"
    r"|не знаю|нет (информации|данных)|не могу (ответить|помочь)"
    r"|不知道|無法回答|无法回答|不清楚|没有(相关)?信息|わかりません|分かりません|知りません|모르겠|모릅니다"
    r"|لا أعرف|bilmiyorum",
    re.IGNORECASE,
)
# Each refusal above holds one of these.
_REFUSAL_PIECES = (
    *("know", "tell", "say", "answer", "help", "information", "data", "sure", "aware", "idea", "covered", "mentioned"),
    *(
        "unable",
        "nicht",
        "keine",
        "sais pas",
        "je n",
        "aucune",
        "je ne",
        "no lo s",
        "no tengo",
        "no puedo",
        "non lo so",
    ),
    *("non ho", "non posso", "não", "weet", "geen", "nie wiem", "nie mam", "не знаю", "нет ", "не могу", "不知道"),
    *("無法", "无法", "不清楚", "没有", "ません", "모르겠", "모릅니다", "لا أعرف", "bilmiyorum"),
)
_ASCII_REFUSAL_PIECES = tuple(piece for piece in _REFUSAL_PIECES if piece.isascii())


@dataclass(frozen=True)
class CheckReport:
    """rows: those of the data file that could be read; tokens: their input tokens after truncation;
    supervised_share: of those, trained on (NaN without any token); refusals: rows whose answer is "I do not know".

    lengths: tokens of the rows as trained on, ``median``, ``p90``, ``p99`` and ``max`` (0 without rows);
    truncated_share: of the rows, cut at max_length; stop_share: of the rows, those that do not lack a stop token to
    train on; prompt_masked: no prompt is trained on; one_word_answers: rows that answer in a single word, which is
    often as meant.
    """

    rows: int
    tokens: int
    supervised_share: float
    faults: tuple[Fault, ...]
    variations: Mapping[str, float]
    refusals: int
    ok: bool
    lengths: Mapping[str, int]
    truncated_share: float
    stop_share: float
    prompt_masked: bool
    one_word_answers: int


def check_rows(data: Dataset, train: Encoded, val: Encoded | None = None, test: Encoded | None = None) -> CheckReport:
    """The faults of a data set, each with all its rows; ``ok`` when none of them is an error.

    This is the part that training waits for; :func:`with_slow_part` adds the rest.

    ``train``, ``val`` and ``test`` are the encoded rows of ``data``. Held-out rows belong to the data file and are
    reported with it. A row is reported once for its worst fault: one whose roles are wrong does not mismatch as well.
    """
    rows = data.file_rows
    encoded = [train, val] if val and data.held_out else [train]
    tokens = sum(one.tokens for one in encoded)
    supervised = sum(one.supervised_tokens for one in encoded)
    refused, topics = refusals(rows), topics_of(rows)
    missing = _coverage(topics, refused, len(rows))
    faults = (*data.faults, *faults_across(data), *_encoding(data, train, val, test), *missing)
    faults = merged(_reported_once(faults))
    return CheckReport(
        rows=len(rows),
        tokens=tokens,
        supervised_share=supervised / tokens if tokens else float("nan"),
        faults=faults,
        variations=variations(topics),
        refusals=len(refused),
        ok=not any(fault.severity == "error" for fault in faults),
        lengths=_lengths(encoded),
        truncated_share=_share("truncated", faults, rows),
        stop_share=1 - _share("no_stop_token", faults, rows),
        prompt_masked=not any(fault.fault == "prompt_not_masked" for fault in faults),
        one_word_answers=sum(row.text is None and is_one_word(row.answer) for row in rows),
    )


def with_slow_part(
    report: CheckReport, data: Dataset, on_progress: Callable[[int, int], None] | None = None
) -> CheckReport:
    """The report with the warnings that look at every letter: near_duplicate, encoding and secret.

    ``on_progress(rows done, rows in all)`` is called while likeness is measured.
    """
    held = () if data.held_out else data.val
    parts: tuple[tuple[Part, Sequence[Row]], ...] = (
        ("train", data.file_rows),
        ("validation", held),
        ("test", data.test),
    )
    found = list(near_duplicates(data.file_rows, held, on_progress))
    for part, rows in parts:
        found += [fault.of(part) for fault in (*encoding_fault(rows), *secret_fault(rows))]
    return replace(report, faults=merged((*report.faults, *found)))


def _lengths(encoded: Iterable[Encoded]) -> dict[str, int]:
    lengths = np.array([length for one in encoded for length in one.lengths] or [0])
    median_, p90, p99 = np.percentile(lengths, (50, 90, 99), method="lower")
    return {"median": int(median_), "p90": int(p90), "p99": int(p99), "max": int(lengths.max())}


def _share(name: str, faults: Iterable[Fault], rows: Sequence[Row]) -> float:
    """Of the data's rows, those with a fault; 0.0 without rows."""
    count = sum(fault.count for fault in faults if (fault.fault, fault.part) == (name, "train"))
    return count / len(rows) if rows else 0.0


def refusals(rows: Iterable[Row]) -> tuple[int, ...]:
    """Numbers of the rows whose answer says that it does not know.

    >>> from tunewright.data.rows import Message
    >>> refusals([Row(4, (Message("user", "Who?"), Message("assistant", "I don't know that.")))])
    (4,)
    """
    return tuple(row.number for row in rows if row.text is None and _refuses(row.answer))


def _refuses(answer: str) -> bool:
    begin = answer[:_REFUSED_WITHIN].lower()
    # what most answers lack, and far faster to look for than the whole forms
    pieces = _ASCII_REFUSAL_PIECES if begin.isascii() else _REFUSAL_PIECES
    if not any(map(begin.__contains__, pieces)):
        return False
    return bool(_REFUSAL.search(begin) or _REFUSAL_ELSEWHERE.search(begin))


def topics_of(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The chats by what they are about: what the column ``topic`` says, and without one, by equal answers."""
    topics: dict[str, list[Row]] = {}
    for row in rows:
        if row.text is None:
            topics.setdefault(row.topic or "answer: " + row.answer_key, []).append(row)
    return topics


def _wordings(rows: Sequence[Row]) -> int:
    """How many different questions these rows ask."""
    return 1 if len(rows) == 1 else len({row.key for row in rows})


def variations(topics: Mapping[str, Sequence[Row]]) -> dict[str, float]:
    """topics: how many there are; per_topic_median: different wordings of the question per topic (0 without any)."""
    wordings = [_wordings(rows) for rows in topics.values()]
    return {"topics": len(wordings), "per_topic_median": float(median(wordings)) if wordings else 0.0}


def _coverage(topics: Mapping[str, Sequence[Row]], refused: Sequence[int], rows: int) -> tuple[Fault, ...]:
    """few_variations and no_refusals: what is missing rather than wrong. Raw texts have neither."""
    if not topics:
        return ()
    found = []
    typical = variations(topics)["per_topic_median"]
    if typical < FEWEST_WORDINGS:
        lone = [its_rows for its_rows in topics.values() if _wordings(its_rows) < FEWEST_WORDINGS]
        few = [row.number for its_rows in lone for row in its_rows]
        why = (
            f"a topic usually has {typical:g} wording of its question, and the model will learn the wording by heart; "
            f"{len(lone):,} of {len(topics):,} topics need another one"
        )
        found.append(whole_fault("few_variations", why, few))
    if not refused:
        wanted = max(1, round(REFUSAL_SHARE * rows))
        why = f'no row answers "I do not know": the model will make answers up; about {wanted:,} such rows would do'
        found.append(whole_fault("no_refusals", why))
    return tuple(found)


def _encoding(data: Dataset, train: Encoded, val: Encoded | None, test: Encoded | None) -> tuple[Fault, ...]:
    held = () if val is None else val.faults if data.held_out else tuple(f.of("validation") for f in val.faults)
    sealed = () if test is None else tuple(fault.of("test") for fault in test.faults)
    return (*train.faults, *held, *sealed)


def _reported_once(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """The faults, without rows that an earlier error of the same part explains already."""
    shadowed = {"template_mismatch", "no_supervised_token", "no_stop_token"}
    kept: list[Fault] = []
    for fault in faults:
        explained = frozenset(
            row for other in kept if other.part == fault.part and other.fault in _EXPLAINS for row in other.rows
        )
        left = fault.without(explained) if fault.fault in shadowed else fault
        if left is not None:
            kept.append(left)
    return tuple(kept)


_EXPLAINS = frozenset({"wrong_roles", "empty_answer", "template_mismatch"})
