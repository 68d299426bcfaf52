"""Which stages a data set asks for: the rule of thumb of Mastering Large Model Training (4.3), and its gap."""

from __future__ import annotations

from tunewright.planner.sources import MASTERING, title
from tunewright.planner.words import counted
from tunewright.schema.errors import UsageError
from tunewright.schema.plan import Stage

MUCH_DOMAIN_ROWS = 1_000_000
LITTLE_DOMAIN_ROWS = 10_000
GUIDE = f"{title(MASTERING)}, 4.3"


def stages_for(domain_rows: int | None, instruction_rows: int | None) -> tuple[Stage, ...]:
    """The stages for so many rows of raw domain text and of instructions; None or 0: there are none.

    More than 1,000,000 domain rows and instructions: pre-training, then instructions. Fewer than 10,000: instructions
    alone. Domain text only: pre-training, then a general instruction set. Between 10,000 and 1,000,000 the guide is
    silent: a short pre-training comes first and its measured gain decides whether it stays.

    Raises UsageError without any rows, or for a negative count.

    >>> [stage.stage for stage in stages_for(2_000_000, 5_000)]
    ['pt', 'sft']
    """
    domain, instructions = domain_rows or 0, instruction_rows or 0
    if min(domain, instructions) < 0 or domain + instructions == 0:
        raise UsageError(f"{domain} domain rows and {instructions} instruction rows: expected at least one row")
    if not instructions:
        return _domain_only(domain)
    tuning = Stage("instructions", "sft", f"{counted(instructions, 'instruction row')} to learn from.")
    if not domain:
        return (tuning,)
    if domain > MUCH_DOMAIN_ROWS:
        return _much_domain(domain), tuning
    return (_little_domain(domain, instructions),) if domain < LITTLE_DOMAIN_ROWS else (_between(domain), tuning)


def _much_domain(domain: int) -> Stage:
    why = f"{domain:,} domain rows are more than 1,000,000: pre-training first, then the instructions ({GUIDE})."
    return Stage("domain text", "pt", why)


def _little_domain(domain: int, instructions: int) -> Stage:
    why = (
        f"{counted(instructions, 'instruction row')}; the {counted(domain, 'domain row')} are fewer than 10,000, so "
        f"the guide goes straight to the instructions and leaves them out ({GUIDE})."
    )
    return Stage("instructions", "sft", why)


def _between(domain: int) -> Stage:
    why = (
        f"{domain:,} domain rows lie between 10,000 and 1,000,000, where the guide is silent: above it pre-trains "
        f"first, below it does not ({GUIDE}). So: a short pre-training, kept only if its measured gain on the "
        "validation loss of the instructions is more than noise."
    )
    return Stage("domain text, short trial", "pt", why)


def _domain_only(domain: int) -> tuple[Stage, ...]:
    learn = Stage("domain text", "pt", f"{counted(domain, 'domain row')} and no instructions: pre-training ({GUIDE}).")
    why = (
        "Then a general instruction set (the guide names Alpaca) restores the ability to follow instructions "
        f"({GUIDE}). Name yours: a file, or hub:NAME."
    )
    return learn, Stage("general instructions", "sft", why)
