"""Material against forgetting: what the base itself answers to bundled prompts, kept beside the runs that use it.

The answers are written once, into ``general.json`` of the run or tuning folder, so that a resumed run mixes in the
very same rows; asking costs only what a run needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tunewright.app.prepare import Prepared
from tunewright.app.watch import Watch
from tunewright.data.encode import encode_rows
from tunewright.data.rows import Row
from tunewright.data.tokens import TokenRow
from tunewright.engine.base import Base, pristine
from tunewright.planner.cost import rows_with_replay
from tunewright.probes.general import TEXT_NUMBER, general_material, replay_rows_from_file
from tunewright.record.files import write_whole
from tunewright.schema import jsonio
from tunewright.schema.errors import DataError

if TYPE_CHECKING:
    from tunewright.examiner.ask import Answers

PROBE_ROWS = 60
"""Enough for a standard error of a few hundredths of a nat per token on the models measured."""


EPOCHS_OF_REPLAY = 4
"""Epochs before a replay row comes again: a fixed handful is learnt by heart and keeps less of the old skill."""
TEXT_SHARE = 0.25
MOST_TOKENS = 96
"""Longest answer of the base that is asked for."""


def probe_tokens(tokens_per_row: float, evaluations: int) -> float:
    """Tokens that the forgetting probe forwards at most: asking the base for its rows, and so many looks at them."""
    return PROBE_ROWS * (MOST_TOKENS + evaluations * tokens_per_row)


@dataclass
class General:
    """Asks the base when something is needed and remembers its answers.

    ``tokens``: forwarded for all the answers it has, those of an earlier life included.
    """

    base: Base
    folder: Path
    watch: Watch
    tokens: int = 0
    _answers: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        file = self.folder / "general.json"
        if file.is_file():
            kept = jsonio.loads(file.read_bytes())
            self._answers, self.tokens = kept["answers"], int(kept.get("tokens", 0))

    def probe(self, prepared: Prepared) -> tuple[TokenRow, ...]:
        """Token rows of the forgetting probe: the base's own answers and a plain text."""
        material = general_material(self._answer, probe_count=PROBE_ROWS, replay_count=0, seed=prepared.recipe.seed)
        return with_short_text(_tokens(prepared, material.probe))

    def replay(self, prepared: Prepared) -> tuple[TokenRow, ...]:
        """Rows to mix in by turns, more than one epoch takes; none when the recipe has no replay."""
        replay = prepared.recipe.replay
        if replay is None:
            return ()
        if replay.data != "general":
            return _tokens(prepared, replay_rows_from_file(Path(replay.data)))
        rows = len(prepared.train.rows)
        wanted = EPOCHS_OF_REPLAY * (rows_with_replay(rows, prepared.recipe) - rows)
        material = general_material(
            self._answer, probe_count=PROBE_ROWS, replay_count=wanted, seed=prepared.recipe.seed
        )
        if not material.replay:
            raise DataError("replay: the base answered none of the bundled prompts", hint="give rows: --replay FILE")
        return _tokens(prepared, material.replay)

    def _answer(self, prompts: Sequence[str]) -> Sequence[str | None]:
        from tunewright.examiner.ask import answer_all

        new = [prompt for prompt in prompts if prompt not in self._answers]
        if new:
            answers = answer_all(
                pristine(self.base).model,
                self.base.tokenizer,
                new,
                max_new_tokens=MOST_TOKENS,
                on_progress=lambda done, total: self.watch.working("asking the base what it knows", done, total),
            )
            self.tokens += answers.tokens
            self._answers |= dict(zip(new, _usable(answers), strict=True))
            kept = {"answers": self._answers, "tokens": self.tokens}
            write_whole(self.folder / "general.json", jsonio.dumps(kept))
        return [self._answers[prompt] for prompt in prompts]


def with_short_text(rows: tuple[TokenRow, ...]) -> tuple[TokenRow, ...]:
    """The plain text cut to a quarter of what the answers are trained on, so that the answers decide the probe.

    A small model has the loss of a stranger on any plain text, and tuning moves that more than it moves its skills.
    """
    answers = [row for row in rows if row.number != TEXT_NUMBER]
    most = int(TEXT_SHARE * sum(int(row.supervised.sum()) for row in answers))
    texts = [row for row in rows if row.number == TEXT_NUMBER]
    if answers:
        texts = [TokenRow(row.number, row.ids[: most + 1], row.supervised[: most + 1]) for row in texts]
    return (*answers, *texts)


def _usable(answers: Answers) -> Sequence[str | None]:
    """Answers that the base ended itself. A base that hardly ever ends one (it never saw a chat) counts as it is."""
    ended = answers.finished
    return ended if sum(text is not None for text in ended) >= len(ended) / 2 else answers.texts


def _tokens(prepared: Prepared, rows: Sequence[Row]) -> tuple[TokenRow, ...]:
    """Chat rows and raw-text rows as token rows, under the run's own template and length."""
    return encode_rows(
        tuple(rows), prepared.tokenizer, loss_on="assistant", max_length=prepared.facts.max_length, stage="sft"
    ).rows
