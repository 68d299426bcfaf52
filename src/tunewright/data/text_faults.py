"""Faults of characters: text decoded wrongly, characters that are no text, and secrets that must not be learnt.

Nothing found is ever repeated whole: a report is read, mailed and kept in more places than the data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tunewright.data.faults import Fault, make_fault
from tunewright.data.rows import Row

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NO_CHARACTER = re.compile("[\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff\ufeff]")
# UTF-8 read as Windows-1252 or Latin-1: letters with accents turn into "Ã" and a second character, quotes into "â€"
# and a third, emoji into "ðŸ" and two more. Two such pairs in a row also betray Greek, Cyrillic and other scripts.
# Source: RFC 3629 (2003-11), lead and continuation bytes; the Unicode consortium's table of Windows-1252.
_TAILS = (
    "[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192"
    "\u02c6\u02dc\u2013\u2014\u2018-\u201a\u201c-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
)
_MOJIBAKE = re.compile(
    f"[\u00c2\u00c3]{_TAILS}|\u00e2(?:\u20ac|\u0080){_TAILS}|\u00f0(?:\u0178|\u009f){_TAILS}{{2}}|(?:[\u00c4\u00c5\u00ce-\u00d1]{_TAILS}){{2}}"
)

# The part from the @ on is looked for first: an expression that began with the name would try every word of a text.
_MAIL_AT = re.compile(r"@(?:[\w-]{1,63}\.){1,5}[A-Za-z]{2,24}\b")
_MAIL_NAME = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}\Z")
# (name, a piece every such secret holds, the whole form); the piece is looked for first because that is fast.
# Source: the token formats that their issuers document (Amazon, GitHub, GitLab, Google, Hugging Face, OpenAI,
# Anthropic, Slack, Stripe; RFC 7468 for keys, RFC 7519 for web tokens), as of 2025.
_SECRETS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    ("a private key", ("PRIVATE KEY",), re.compile(r"-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY")),
    ("an Amazon access key", ("AKIA", "ASIA"), re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
     re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,})")),
    ("a GitLab token", ("glpat-",), re.compile(r"\bglpat-[\w-]{20,}")),
    ("a Hugging Face token", ("hf_",), re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")),
    ("an API key", ("sk-", "sk_live_", "rk_live_"), re.compile(r"\b(?:sk-[\w-]{20,}|[sr]k_live_[A-Za-z0-9]{16,})")),
    ("a Google API key", ("AIza",), re.compile(r"\bAIza[\w-]{35}")),
    ("a Slack token", ("xox",), re.compile(r"\bxox[abeoprs]-[\w-]{10,}")),
    ("a web token", ("eyJ",), re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")),
    ("a password in an address", ("://",), re.compile(r"\b[a-z][a-z0-9+.-]{1,12}://[^\s/:@]{1,64}:[^\s/@]{3,}@[\w.-]+")),
)  # fmt: skip
# Of each, a character that all its pieces hold and texts seldom do, if there is one: a character is found in a tenth of
# the time of a piece, and its absence settles the matter.
_MARKS = tuple(
    next((mark for mark in "_JK:-A" if all(mark in piece for piece in pieces)), "") for _, pieces, _ in _SECRETS
)
_ASSIGNED = re.compile(
    r"\b(?:password|passwd|api[_-]?key|secret[_-]?key|access[_-]?token|auth[_-]?token)\b\s{0,3}(?:[:=]|is:?)\s{0,3}[\"']?"
    r"((?=[^\s\"']*\d)(?=[^\s\"']*[A-Za-z])[^\s\"'.,;]{8,})",
    re.IGNORECASE,
)
_ASSIGNMENT_WORDS = (("password",), ("passwd",), ("api", "key"), ("ecret", "key"), ("acce", "token"), ("auth", "token"))
"""Every such assignment holds all pieces of one group. (Without their s, as \u017f is an s to the expression above.)"""


def encoding_fault(rows: Iterable[Row], broken: Mapping[int, str] | None = None) -> tuple[Fault, ...]:
    """``encoding`` of rows with odd characters; ``broken``: rows that could not even be decoded, and why."""
    odd = {row.number: why for row in rows if (why := next(filter(None, map(odd_characters, _texts(row))), ""))}
    return make_fault("encoding", odd | dict(broken or {}))


def secret_fault(rows: Iterable[Row]) -> tuple[Fault, ...]:
    """``secret``: rows with an e-mail address or what looks like a key, token or password, each shown in part."""
    found = {row.number: ", ".join(kinds) for row in rows if (kinds := _secrets(row))}
    return make_fault("secret", found)


def odd_characters(text: str) -> str:
    """What is odd about the characters of a text, nothing when all is well.

    >>> odd_characters("caf\u00c3\u00a9"), odd_characters("caf\u00e9")
    ('text that was decoded wrongly (UTF-8 read as Windows-1252)', '')
    """
    if _CONTROL.search(text):
        return f"the control character U+{ord(_CONTROL.findall(text)[0]):04X}"
    if text.isascii():
        return ""
    if "\N{REPLACEMENT CHARACTER}" in text:
        return "the replacement character U+FFFD: letters were lost when the text was decoded"
    if found := _NO_CHARACTER.search(text):
        return f"U+{ord(found[0]):04X}, which is no character of a text"
    return "text that was decoded wrongly (UTF-8 read as Windows-1252)" if _MOJIBAKE.search(text) else ""


def secrets_in(text: str) -> list[str]:
    """What a text gives away, each with its first characters only.

    >>> secrets_in("Write to olaf.brandt@harbour.example, key AKIAABCDEFGHIJKLMNOP")
    ['an e-mail address (ol...)', 'an Amazon access key (AKIA...)']
    """
    found = [("an e-mail address", start[:2]) for start in _mail_addresses(text)]
    for (name, pieces, form), mark in zip(_SECRETS, _MARKS, strict=True):
        if mark in text and any(map(text.__contains__, pieces)):
            found += [(name, match[0][:4]) for match in form.finditer(text)]
    lowered = text.lower()
    if any(all(map(lowered.__contains__, words)) for words in _ASSIGNMENT_WORDS):
        found += [("a password or key", match[1][:2]) for match in _ASSIGNED.finditer(text)]
    return [f"{name} ({start}...)" for name, start in dict.fromkeys(found)]


def _mail_addresses(text: str) -> Iterator[str]:
    end = 0
    for found in _MAIL_AT.finditer(text):
        name = _MAIL_NAME.search(text, max(end, found.start() - 64), found.start())
        if name:
            end = found.end()
            yield text[name.start() : end]


def _secrets(row: Row) -> list[str]:
    # Kinds alone group the rows of a report; the first characters help to find one in its row.
    return list(dict.fromkeys(one for text in _texts(row) for one in secrets_in(text)))[:3]


def _texts(row: Row) -> Iterator[str]:
    if row.text is not None:
        yield row.text
    for message in row.messages:
        yield message.content
