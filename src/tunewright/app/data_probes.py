"""The data put before the model: what no loss curve shows, asked of the base first and of the trained model after."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from tunewright.app.asked_base import OWN_ROWS, AskedBase
from tunewright.app.watch import Watch
from tunewright.data.dataset import Dataset
from tunewright.data.row_faults import role_fault
from tunewright.data.rows import Row
from tunewright.data.tokens import TokenRow
from tunewright.engine.base import Base, pristine
from tunewright.engine.pack import Pack
from tunewright.probes.answers import Counts, Floats
from tunewright.probes.conditional_gain import EXCHANGES, FEWEST_ROWS, Gain, behind_others, conditional_gain
from tunewright.probes.cross_fit import cross_fit
from tunewright.probes.hard_rows import HardRows, hard_rows
from tunewright.probes.misfits import Misfits, misfits
from tunewright.probes.shared_pieces import shared_z, told_elsewhere
from tunewright.probes.template_gap import Gap
from tunewright.probes.val_shift import Shift, val_shift
from tunewright.probes.verdicts import (
    judge_labels,
    judge_misfits,
    judge_rows,
    judge_shift,
    judge_template,
)
from tunewright.schema.finding import Abstention, Finding
from tunewright.schema.recipe import Recipe

ROWS = 100
"""Rows of each part that are asked; the error of a mean over them is a tenth of their spread."""
WORD_ROWS = 1000
"""Rows whose words are compared: without a model that costs next to nothing."""
COST_SHARE = 0.05
"""Of what a run costs, what its probes may, before and after it together."""
FORWARDS = 7
"""Passes over a row around a run: a training row as it is (twice) and behind another prompt, a validation row as it is
(twice) and behind two others; each takes a third of a training step."""
UNSEEN_ROWS, UNSEEN_EPOCHS = 400, 4
"""Training rows that are judged by models that have not seen them, and the least steps of each of the two trainings, in
epochs of all these rows."""


def affordable_rows(rows_seen: int) -> int:
    """Rows to ask about in a run that sees so many, all epochs together; 0 where too few could be afforded.

    >>> affordable_rows(6600), affordable_rows(1000), affordable_rows(300)
    (100, 21, 0)
    """
    rows = min(ROWS, int(3 * COST_SHARE * rows_seen / FORWARDS))
    return rows if rows >= FEWEST_ROWS else 0


@dataclass(frozen=True)
class Probed:
    """What was measured, and what it says. ``tokens``: forwarded for it."""

    gain: Gain | None = None
    template: Gap | None = None
    shift: Shift | None = None
    hard: HardRows | None = None
    misfits: Misfits | None = None
    findings: tuple[Finding, ...] = ()
    abstained: tuple[Abstention, ...] = ()
    tokens: int = 0

    @property
    def ok(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)

    def __json__(self) -> dict[str, Any]:
        measured = {
            "conditional_gain": self.gain,
            "template_gap": self.template,
            "val_shift": self.shift,
            "hard_rows": self.hard,
            "misfits": self.misfits,
        }
        said = {"findings": self.findings, "abstained": self.abstained, "tokens": self.tokens}
        return {**{name: value for name, value in measured.items() if value is not None}, **said}


@dataclass
class DataProbes:
    """Asks one base about one data set; ``rows``: at most so many of each part; ``exchanges``: other prompts each
    answer is put behind."""

    base: Base
    dataset: Dataset
    max_length: int
    batch_size: int
    watch: Watch
    rows: int = ROWS
    seed: int = 0
    exchanges: int = EXCHANGES
    _asked: AskedBase = field(init=False)
    _before: tuple[Floats, Counts] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._asked = AskedBase(self.base, self.max_length, self.batch_size, self.watch, self.seed)

    def before_training(self) -> Probed:
        """Labels, template and validation rows, on the untouched base. Raw texts have none of these questions."""
        sample = _sample(self.dataset.train, self.rows, self.seed)
        if not sample:
            return Probed(abstained=(Abstention("labels_unrelated", "no chats to ask about"),))
        ask = self._asked.losses_of(pristine(self.base).model)
        self._before = ask(sample)
        gain = conditional_gain(sample, ask, own=self._before, exchanges=self.exchanges, seed=self.seed)
        held = _sample(self.dataset.val, self.rows, self.seed)
        shift = val_shift(self._before, ask(held)) if held else None
        gap = self._asked.template_gap(sample[:OWN_ROWS])
        labels = self._labels(gain, self.base.model)
        # shuffled answers are less likely than the validation rows': that is no other kind of rows
        shifted = judge_shift(shift) if shift and not isinstance(labels, Finding) else None
        return self._said([labels, judge_template(gap), shifted], gain=gain, template=gap, shift=shift)

    def after_training(self, trained: Pack | nn.Module, last_step: int) -> Probed:
        """Labels and hard rows, on the trained model; a pack without its adapters is the base.

        Where nothing was asked before training and the base is no more (it was trained whole), rows have no loss
        before, and labels no witness.
        """
        sample = _sample(self.dataset.train, self.rows, self.seed)
        held = _sample(self.dataset.val, self.rows, self.seed)
        if not sample:
            return Probed()
        ask = self._asked.losses_of(trained)
        after_n, counts_n = ask(sample)
        before_n = np.full_like(after_n, np.nan)
        if self._before is not None:
            before_n, _ = self._before
        elif isinstance(trained, Pack):
            with trained.adapters_off():
                before_n, _ = ask(sample)
        labels = gain = strange = own = None
        if held:
            own, others_Kn = ask(held), behind_others(held, ask, EXCHANGES, self.seed)
            gain = conditional_gain(held, ask, own=own, others_Kn=others_Kn)
            labels = self._labels(gain, trained, (0, last_step))
            strange = misfits([row.number for row in held], own[0], others_Kn, own[1])
        hard = hard_rows([row.number for row in sample], before_n, after_n, counts_n, own)
        noisy = self._noisy(hard, strange, last_step) if not isinstance(labels, Finding) else None
        return self._said([labels, noisy], gain=gain, hard=hard, misfits=strange)

    def unseen_rows(
        self, recipe: Recipe, train: Sequence[TokenRow], best_step: int | None = None
    ) -> tuple[Misfits, Finding | Abstention | None, int]:
        """Which answers of training rows belong to no prompt, by short trainings that did not see them; and tokens.

        ``train``: the rows as tokens; best_step: of the run, where it is known: each half is seen as often as its rows
        were by then. Raises Interrupted when the watch wants to stop.
        """
        sample = _sample(self.dataset.train, UNSEEN_ROWS, self.seed)
        usual = UNSEEN_EPOCHS * len(sample) / recipe.effective_batch_size
        as_in_the_run = (best_step or 0) / 2 * len(sample) / max(1, len(train))
        own_n, others_Kn, tokens_n, trained = cross_fit(
            self.base,
            recipe,
            sample,
            {row.number: row for row in train},
            self._asked.losses_of,
            steps=max(1, round(max(usual, as_in_the_run))),
            exchanges=EXCHANGES,
            on_progress=self.watch.working,
            should_stop=self.watch.should_stop,
        )
        found = misfits([row.number for row in sample], own_n, others_Kn, tokens_n)
        return found, judge_misfits(found, "training", 0), trained + self._asked.spent()

    def _noisy(self, hard: HardRows, strange: Misfits | None, last_step: int) -> Finding | Abstention | None:
        """Training rows that stayed behind, else validation rows whose answers belong to no prompt."""
        behind = judge_rows(hard, last_step)
        if behind is not None or strange is None:
            return behind
        # split by chance, validation rows have the training rows' faults; those of another file have numbers of theirs
        return judge_misfits(strange, "validation", last_step, numbered=self.dataset.held_out)

    def _said(self, said: Sequence[Finding | Abstention | None], **measured: Any) -> Probed:
        findings = tuple(one for one in said if isinstance(one, Finding))
        abstained = tuple(one for one in said if isinstance(one, Abstention))
        return Probed(findings=findings, abstained=abstained, tokens=self._asked.spent(), **measured)

    def _labels(
        self, gain: Gain, model: Pack | nn.Module, steps: tuple[int, int] = (0, 0)
    ) -> Finding | Abstention | None:
        chats = _sample(self.dataset.train, WORD_ROWS, self.seed)
        different = len({row.answer for row in chats}) / max(1, len(chats))

        def control() -> Gain | None:
            """Whether the base reads its prompts at all: those of the rows, else the bundled ones. Asked only where the
            data gives cause to."""
            if not isinstance(model, Pack) and model is not self.base.model:
                return None
            with model.adapters_off() if isinstance(model, Pack) else nullcontext():
                return self._asked.own_gain(model, chats[:OWN_ROWS])

        return judge_labels(gain, shared_z(chats, seed=self.seed), told_elsewhere(chats), different, control, steps)


def _sample(rows: Sequence[Row], most: int, seed: int) -> list[Row]:
    """Chats that can be asked about, drawn once each (a mixture may hold a row twice), in the file's order."""
    chats = {row.number: row for row in rows if row.text is None and not role_fault(row) and row.answer.strip()}
    drawn = random.Random(f"probe {seed}").sample(sorted(chats), min(most, len(chats)))
    return [chats[number] for number in sorted(drawn)]
