"""Faults that show in a single row: roles that no template can render, and answers that say nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from tunewright.data.faults import Fault, make_fault
from tunewright.data.rows import Row

# Scripts that put no space between words: Thai, Lao, Tibetan, Burmese, Khmer, kana, bopomofo, Han and its extensions.
# Source: Unicode Standard Annex 14, line breaking (2024), classes SA, ID and CJ.
_NO_SPACES = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_LONGEST_WORD = 4
"""Characters: of such scripts a text this short may be a single word, as "positive" is two in Chinese."""
ROLES = ("system", "user", "assistant", "tool")


def role_fault(row: Row) -> str:
    """Why no template can render this row's roles; empty when one can, or when the row is a raw text.

    >>> from tunewright.data.rows import Message
    >>> role_fault(Row(1, (Message("user", "Hello?"),)))
    'no assistant turn'
    """
    if row.text is not None:
        return ""
    roles = [message.role for message in row.messages]
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        return f"unknown role {unknown[0][:40]!r}, known are {', '.join(ROLES)}"
    turns = [role for role in roles if role != "system"]
    if "assistant" not in turns:
        return "no assistant turn"
    if turns[0] != "user":
        return f"the first turn is {turns[0]!r}, expected 'user'"
    if "system" in roles[1:]:
        return "a system turn after the first turn"
    twice = [role for role, after in pairwise(turns) if role == after and role != "tool"]
    return f"two {twice[0]!r} turns in a row" if twice else ""


def is_one_word(text: str) -> bool:
    """Whether a text is a single word, by the script it is written in; an empty one is none.

    >>> is_one_word("yes"), is_one_word("yes, it is"), is_one_word("正面"), is_one_word("渡船早上六点出发。")
    (True, False, True, False)
    """
    words = text.split(maxsplit=1)
    return len(words) == 1 and len(_NO_SPACES.findall(words[0])) <= _LONGEST_WORD


def row_faults(rows: Sequence[Row]) -> tuple[Fault, ...]:
    """``wrong_roles`` and ``empty_answer`` of these rows."""
    roles = {row.number: fault for row in rows if (fault := role_fault(row))}
    empty = {row.number: reason for row in rows if row.number not in roles and (reason := _empty(row))}
    return (*make_fault("wrong_roles", roles), *make_fault("empty_answer", empty))


def _empty(row: Row) -> str:
    if row.text is not None:
        return "" if row.text.strip() else "the text is empty"
    answers = [message.said for message in row.messages if message.role == "assistant"]
    return "" if all(answer.strip() for answer in answers) else "an answer without text"
