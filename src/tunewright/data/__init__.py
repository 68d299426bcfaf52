"""From rows in a file to masked token rows: reading, shapes, faults, splits and the chat template's own mask."""
