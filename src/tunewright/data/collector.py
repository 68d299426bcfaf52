"""Python's collector of cycles, kept from walking the rows again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEVER = 2**31 - 1


@contextmanager
def only_new_objects() -> Iterator[None]:
    """Meanwhile the collector looks at new objects only, never at all there are.

    Rows and what is made of them are millions of objects that are kept and hold no cycle; as their number grows, all
    of them would be walked at every quarter more. What a chat template leaves in cycles is new, and is still found.
    """
    before = gc.get_threshold()
    gc.set_threshold(before[0], before[1], _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
