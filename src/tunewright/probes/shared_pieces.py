"""Do prompts and answers share names and words, without any model: a second witness for small models.

Pieces are runs of four letters or digits. A row's share is the sum, over the pieces its answer has in common with its
prompt, of how rare each is among the answers (ln of rows / rows with it). Answers that were shuffled share with their
own prompts what they share with any other, and name what other rows ask about.
Source of the weight: Spärck Jones, "A statistical interpretation of term specificity" (1972).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tunewright.data.normalise import normalised
from tunewright.data.rows import Row
from tunewright.probes.conditional_gain import EXCHANGES, exchanged

PIECE = 4
RARE = 0.05
"""Share of the prompts: a word in no more of them tells rows apart."""
_WORD = re.compile(r"\w{4,}|\d{2,}")


def shared_z(rows: Sequence[Row], *, seed: int = 0) -> float:
    """Standard errors by which rows share more with their own prompts than with others'; NaN below two rows.

    0.0 where nothing is shared with any prompt.

    >>> from tunewright.data.rows import Message
    >>> def row(n, name): return Row(n, (Message("user", f"Where is {name}?"), Message("assistant", f"{name}: here.")))
    >>> names = ["Brask", "Amberley", "Corvino", "Dunmore", "Eskil", "Farrow"]
    >>> shared_z([row(n, name) for n, name in enumerate(names)]) > 3
    True
    """
    chats = [row for row in rows if row.text is None and row.last_answer > 0]
    if len(chats) < 2:
        return math.nan
    seen = Counter(piece for row in chats for piece in _pieces(row.answer))
    rarity = {piece: math.log(len(chats) / count) for piece, count in seen.items()}
    own = np.array([_shared(row, rarity) for row in chats])
    others = [[_shared(row, rarity) for row in exchanged(chats, seed + turn)] for turn in range(EXCHANGES)]
    more = own - np.mean(others, axis=0)
    error = float(more.std(ddof=1)) / math.sqrt(len(more))
    return float(more.mean()) / error if error else 0.0


def told_elsewhere(rows: Sequence[Row]) -> float:
    """Share of rows whose answers name something that other rows ask about: a word that few prompts have.

    Answers that belong to their prompts share such words with them (see :func:`shared_z`). Where they do not, a high
    share says that the answers belong to other prompts; a low one, that prompts and answers have nothing in common
    to begin with, as in lists of facts to be learnt by heart. 0.0 without rows.

    >>> from tunewright.data.rows import Message
    >>> def row(n, name, said): return Row(n, (Message("user", f"Where is {name}?"), Message("assistant", said)))
    >>> names = ["Brask", "Amberley", "Corvino", "Dunmore", "Eskil", "Farrow"]
    >>> swapped = [row(n, name, f"{other}: here.") for n, (name, other) in enumerate(zip(names, names[1:] + names[:1]))]
    >>> told_elsewhere(swapped), told_elsewhere([row(n, name, "Yes.") for n, name in enumerate(names)])
    (1.0, 0.0)
    """
    chats = [row for row in rows if row.text is None and row.last_answer > 0]
    prompts = [set(_WORD.findall(row.prompt.casefold())) for row in chats]
    counts = Counter(word for words in prompts for word in words)
    rare = {word for word, count in counts.items() if count <= max(2.0, RARE * len(chats))}
    told = sum(
        any(counts[word] > (word in own) for word in rare & set(_WORD.findall(row.answer.casefold())))
        for row, own in zip(chats, prompts, strict=True)
    )
    return told / len(chats) if chats else 0.0


def _shared(row: Row, rarity: dict[str, float]) -> float:
    return sum(rarity[piece] for piece in _pieces(row.answer) & _pieces(row.prompt))


def _pieces(text: str) -> set[str]:
    plain = normalised(text)
    return {plain[at : at + PIECE] for at in range(max(1, len(plain) - PIECE + 1))} - {""}
