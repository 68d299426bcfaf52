"""Makes the tables of docs/trainers.md anew from the translations themselves: ``python -m tools.trainer_tables``."""

from __future__ import annotations

from pathlib import Path

from tunewright.trainers.tables import filled

PAGE = Path(__file__).resolve().parent.parent / "docs" / "trainers.md"


def main() -> None:
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
