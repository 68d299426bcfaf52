"""Walking through a report's document."""

from __future__ import annotations

from collections.abc import Iterator

from tunewright.reporter.tree import Block, Document, Fold


def every_block(document: Document) -> Iterator[Block]:
    """All blocks of a document, those inside folds included."""

    def walk(blocks: tuple[Block, ...]) -> Iterator[Block]:
        for block in blocks:
            yield block
            if isinstance(block, Fold):
                yield from walk(block.blocks)

    for section in document.sections:
        yield from walk(section.blocks)
