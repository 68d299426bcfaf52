"""Faults that show in a single row: roles that no template can render, and answers that say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tunewright.data.faults import Fault, make_fault
from tunewright.data.rows import Row

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
