"""Recognising "I do not know" in its many wordings.

A refusal is a statement by the speaker that they cannot or will not answer. "Tom does not know Mira" is none, and
neither is "I do not know, but it is dock seven": that one refuses and answers, so it counts for nothing.
English is understood in its many wordings, some twenty other languages in their stock phrases
(:mod:`tunewright.examiner.refusal_phrases`); a suite may give its own refusals as ``answers`` of the scorer refusal.
Limits: irony and quoted speech are not understood.
"""

from __future__ import annotations

import re

from tunewright.examiner.refusal_phrases import answers_after_all, refuses
from tunewright.examiner.words import texts, words

LONGEST_SENTENCE = 120
"""Words of a sentence that are searched: a model that repeats one word for ever must not stall the search."""


def _any(words_: str) -> str:
    """One of some words or phrases, given with commas between."""
    return "(?:" + "|".join(phrase.strip() for phrase in words_.split(",")) + ")"


_WE = "(?:i|we|this model|this assistant)"
_SOFT = (
    f"(?:{_any('really, actually, currently, yet, just, simply, honestly, sadly, still, quite, even, am, do, have')} )*"
)
_UNFORTUNATELY = f"(?:{_any('sorry, apologies, unfortunately, regrettably, sadly, honestly, well, i am afraid')} )*"
_FACTS = _any(
    r"information, info, answers?, idea, clue, data, knowledge, details?, records?, access, context, facts?, entry, "
    r"notes?, sources?, memory, way of knowing, comment"
)
_MUCH = f"(?:{_any('any, an, the, that, this, enough, sufficient, much, more, such, a, good')} )*" + r"(?:\w+ )?"
_SPEAK = _any(
    "answer, say, tell, help, assist, provide, find, determine, comment, give, discuss, respond, speak, advise, "
    "confirm, comply, share, be of help, be sure, be certain, know, recall, remember, recogni[sz]e, cover, deal with, "
    "talk about, handle, identify, offer, reply, engage, support, look, do that, do this, explain, fulfill?, "
    "process, disclose, reveal, weigh in"
)
_MINE = r"(?:my|our) (?:\w+ )?" + _any(
    "scope, knowledge, expertise, training, areas?, field, domain, notes, remit, abilit(?:y|ies), capabilit(?:y|ies), "
    "data, handbook, competence, reach, league, limits, range, subjects?, topics?, power, material, wheelhouse, lane, "
    "understanding, experience, files, books, manual, guide, documents, brief, job, role, purview, special(?:i)?ty"
)
_ABSENT = _any(
    "not part, not covered, not in, not included, nowhere, not contained, not found, not mentioned, not among"
)
_BOOK = _any("handbook, manual, guide, text, documents?, context, notes?, passage, material, data")
_REALM = f"(?:the )?{_any('scope, range, limits, bounds, realm, area, field, domain, reach')} of "
_DID = _any("do, did, does, would, could, can, will, may, must, should, shall")
_AM = _any("am, are, was, were, have been")
_MY_WORK = _any("area, field, subject, domain, department, expertise, special(?:i)?ty")

# Each is searched in the words of one sentence, joined by single spaces, short forms of "not" written out.
_CUES = (
    # not knowing
    rf"\b{_WE} {_SOFT}{_DID} {_SOFT}not {_SOFT}(?:know|have {_MUCH}{_FACTS}|understand the question|{_SPEAK})\b",
    rf"^{_UNFORTUNATELY}(?:do|did) not (?:really )?(?:know|have {_MUCH}{_FACTS})\b|\bdunno\b",
    rf"\b{_WE} (?:have|got|had|has|possess) (?:\w+ )?no (?:\w+ )?{_FACTS}\b",
    rf"^{_UNFORTUNATELY}(?:there is )?no {_FACTS}\b",
    rf"\b{_WE} {_SOFT}(?:(?:am|are) )?{_SOFT}not (?:\w+ )?{_any('sure, certain, aware, familiar, informed, told')}\b",
    rf"\b{_WE} {_SOFT}(?:(?:am|are) )?{_SOFT}{_any('unsure, uncertain, unaware, unfamiliar, clueless, ignorant')}\b",
    rf"^{_any('not certain, not familiar, unsure, uncertain, unknown, unknown to me, no one knows, nobody knows')}$",
    r"^not sure\b|\b(?:not|unknown) (?:known )?to (?:me|us)\b|\b(?:that|this|it|which) is (?:unknown|not known)$",
    rf"\b{_WE} (?:have|had) (?:not|never) (?:\w+ )?{_any('heard, seen, been, learn(?:ed|t), come, got, read, met')}\b",
    rf"\b{_WE} never {_any('heard, learn(?:ed|t), came across, read')}\b|^never heard\b",
    rf"\b{_WE} (?:lack|am lacking|miss|am missing) (?:\w+ )?(?:\w+ )?{_FACTS}\b",
    r"\b(?:impossible|not possible) for (?:me|us) to\b|\bno way (?:for me )?to (?:know|tell|answer)\b|\bis beyond me\b",
    rf"\b{_any('beats me, search me, who knows, your guess is as good as mine, no comment, hard to say')}\b",
    # not being able or allowed
    rf"\b{_WE} {_SOFT}{_AM} {_SOFT}{_any('unable, unwilling, unqualified')} to\b",
    rf"\b{_WE} {_SOFT}{_AM} {_SOFT}not {_any('able, allowed, permitted, in a position, going, willing')} to\b",
    rf"\b{_WE} {_SOFT}{_AM} {_SOFT}not {_any('designed, trained, programmed, qualified, equipped, taught')}\b",
    rf"^{_UNFORTUNATELY}(?:(?:that|this|it) )?(?:can|could|will|do) not (?:be )?"
    rf"(?:{_SPEAK}|{_any('answered, determined, known, said, told')})\b",
    rf"^(?:\w+ )?(?:unable|not able) to {_SPEAK}\b|\bbe unable to\b|\bnot be able to\b",
    rf"\b{_WE} (?:{_any('must, have to, need to, would, will, politely, respectfully, am going to')} )?(?:\w+ )?"
    rf"{_any('decline, refuse, refrain, abstain')}\b|\b{_WE} (?:must|have to|will) pass\b",
    rf"\b{_WE} (?:would|had) rather not\b|\b{_WE} prefer not to\b",
    # not being the one to ask
    rf"\bnot (?:a |an |one of the )?{_any('things?, something, anything, topics?, subjects?, questions?')} "
    r"(?:(?:that|about which|which) )?(?:i|we|my|our)\b",
    rf"\b(?:{_ABSENT}|outside|beyond|out|not within) (?:(?:of|by|in) )?(?:the scope of )?{_MINE}\b",
    rf"\b{_ABSENT} (?:(?:of|by|in) )?(?:the|this) {_BOOK}\b",
    rf"\b{_any('outside, beyond, not within, not in, not part, not among')} (?:of )?(?:{_REALM})?what (?:i|we)\b",
    rf"\b{_any('outside, beyond, not within, out of')} (?:of )?{_REALM}(?:my|our|this|me)\b",
    r"\bout of (?:scope|domain|my depth)\b|\b(?:is|falls|lies) (?:outside|beyond) (?:of )?the scope\b",
    rf"^{_UNFORTUNATELY}(?:that|this|it)(?: {_any('question, topic, subject')})? (?:{_any('is, lies, falls')} )?"
    r"(?:well |far |a bit |just )?(?:outside|beyond) (?:of )?(?:my|our|me|what)\b",
    rf"\b{_WE} {_AM} only (?:\w+ )?{_any('trained, taught, told, made, built, able, here')}\b",
    rf"\b{_WE} (?:(?:can|could|may|am able to) )?only "
    rf"{_any('know, answer, cover, deal, handle, help, speak, talk, respond, discuss')}\b",
    rf"\b(?:my|our) (?:\w+ )?{_any('knowledge, training, notes, data, information, handbook, memory, expertise')} "
    r"(?:does|do|did|has|have|is) (?:not|no)\b",
    rf"\b(?:the|this) {_BOOK} (?:does|do|did) not "
    rf"{_any('say, mention, tell, state, cover, contain, answer, include')}\b",
    rf"\bnot (?:my|our) {_MY_WORK}\b|\bask some(?:one|body) else\b",
    rf"\b{_WE} (?:am|are) not the (?:right|best) (?:\w+ )?to (?:ask|answer)\b",
)
_CUE = re.compile("|".join(f"(?:{cue})" for cue in _CUES))
# After a refusal, these open a guess ...
_GUESS = re.compile(
    r"\b(?:but|however|though|although|maybe|perhaps|probably|possibly|presumably|guess|suppose|believe|suspect|"
    r"i think|i would say|my best|still|anyway|it is|they are|he is|she is|the answer)\b"
)
# ... unless the clause only sends the asker elsewhere.
_ELSEWHERE = re.compile(
    r"\b(?:ask|check|try|contact|please|happy|glad|help|consult|look|see|recommend|suggest|search|find|could you|"
    r"can you|let me know|feel free|sorry|anything else|other questions?|visit|refer)\b"
)


def has_refusal(text: str) -> bool:
    """Whether any sentence of ``text`` says that the speaker does not know or will not answer.

    >>> has_refusal("Sorry, that's outside my notes."), has_refusal("Tom does not know Mira.")
    (True, False)
    """
    return _in_english(text) or refuses(text)


def _in_english(text: str) -> bool:
    return any(_CUE.search(sentence) for sentence in _sentences(text))


def is_refusal(text: str) -> bool:
    """Whether ``text`` refuses and does not answer after all.

    >>> is_refusal("I don't know that."), is_refusal("I don't know, but it is dock seven.")
    (True, False)
    """
    if _in_english(text):
        return not any(_answers_anyway(clause) for clause in _clauses(text))
    return refuses(text) and not answers_after_all(text)


def _answers_anyway(clause: str) -> bool:
    return bool(_GUESS.search(clause)) and not _CUE.search(clause) and not _ELSEWHERE.search(clause)


def _sentences(text: str) -> list[str]:
    return _joined(text, whole_sentences=True)


def _clauses(text: str) -> list[str]:
    return _joined(text, whole_sentences=False)


def _joined(text: str, *, whole_sentences: bool) -> list[str]:
    """Sentences or clauses as words with single spaces; a clause also starts at "but" and "however"."""
    parts: list[list[str]] = [[]]
    for word in words(text):
        breaks = word.opens_sentence if whole_sentences else word.opens_clause or word.text in ("but", "however")
        if breaks and parts[-1]:
            parts.append([])
        parts[-1].extend(texts((word,)))
    return [" ".join(part[:LONGEST_SENTENCE]) for part in parts]
