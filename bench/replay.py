"""How much less a run forgets when general rows are replayed, on bases that were trained apart from each other.

    python -m bench.replay [--bases tiny,facts-llama,code-qwen3] [--seeds 2] [--share 0.25] [--json FILE]

Each base is tuned on the same foreign rows (lines about people, to be given back as JSON) three times from one seed:
without replay, with its own answers to bundled prompts replayed, and with a user's file of rows of its old kind.
Forgetting is the rise of its loss, in nats per token, on its own answers to other bundled prompts and on rows of its
old kind that no run sees. Bases other than bundled ones come from ``python -m bench.fault_sft bases``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tunewright as tw
from bench.fault_sft.paths import BASES_DIR
from bench.fault_sft.stored import load_world
from bench.fault_sft.worlds import WORLDS
from bench.fault_sft.worlds import Row as Pair
from bench.records import machine
from bench.table import table
from tunewright.app.asked_base import LONGEST_ANSWER
from tunewright.data.rows import Message, Row
from tunewright.engine.base import Base, load_base
from tunewright.engine.evaluate import mean_loss
from tunewright.engine.export import load_tuned
from tunewright.examiner.ask import answer_all
from tunewright.examiner.suite import bundled_skills
from tunewright.probes.answers import AnswerLosses
from tunewright.probes.general import general_material

TRAINED, KEPT_APART, EPOCHS = 240, 60, 6


def chats(pairs: Sequence[Pair]) -> list[Row]:
    return [Row(n, (Message("user", one.prompt), Message("assistant", one.answer))) for n, one in enumerate(pairs, 1)]


def write(path: Path, rows: Sequence[Row]) -> str:
    path.write_text("".join(json.dumps({"messages": row.as_dicts()}) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def old_rows(name: str, base: Base) -> list[Row]:
    """Rows of what a base was made for, with its own answers where the rows come without any in its words."""
    if (BASES_DIR / name).is_dir():
        return chats(load_world(BASES_DIR / name).valid) + chats(load_world(BASES_DIR / name).train)
    prompts = [question.question for question in bundled_skills()]
    answers = answer_all(base.model, base.tokenizer, prompts, max_new_tokens=LONGEST_ANSWER).texts
    return chats([Pair(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True) if answer])


def own_answers(base: Base, seed: int) -> list[Row]:
    """The rows that forgetting is measured on in every tuning; those that are replayed are of other prompts."""

    def answer(prompts: Sequence[str]) -> Sequence[str]:
        return answer_all(base.model, base.tokenizer, prompts, max_new_tokens=LONGEST_ANSWER).texts

    rows = general_material(answer, probe_count=KEPT_APART, replay_count=0, seed=seed).probe
    return [row for row in rows if row.text is None]


def losses(base: Base, adapter: str, parts: dict[str, list[Row]]) -> dict[str, float]:
    """Nats per token of each part; ``adapter`` empty: of the base."""
    pack = load_tuned(base, Path(adapter)) if adapter else None
    try:
        ask = AnswerLosses(pack or base.model, base.tokenizer, max_length=160)
        return {part: mean_loss(*ask(rows)) for part, rows in parts.items()}
    finally:
        if pack is not None:
            pack.detach()


def compare(name: str, seed: int, share: float, folder: Path) -> list[dict[str, Any]]:
    """One line for each of the three runs."""
    model = str(BASES_DIR / name) if (BASES_DIR / name).is_dir() else name
    base = load_base(model)
    old = old_rows(name, base)
    world = WORLDS["records"](6 + seed)
    data = write(folder / "new.jsonl", chats(world.train[:TRAINED]))
    val = write(folder / "val.jsonl", chats(world.valid[:KEPT_APART]))
    kinds = {
        "no replay": None,
        "own answers": {"data": "general", "share": share},
        "user's rows": {"data": write(folder / "old.jsonl", old[KEPT_APART:]), "share": share},
    }
    parts = {"own answers": own_answers(base, seed), "old rows": old[:KEPT_APART]}
    before = losses(base, "", parts)
    lines = []
    for kind, replay in kinds.items():
        answer = tw.train(data, model=model, val=val, replay=replay, seed=seed, num_train_epochs=EPOCHS,
                          runs_dir=str(folder / kind.replace(" ", "-")))  # fmt: skip
        after = losses(base, answer["adapter"], parts)
        rises = {part: after[part] - before[part] for part in parts}
        lines.append({"base": name, "seed": seed, "replay": kind, "eval_loss": answer["eval_loss"], "rise": rises})
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bases", default="tiny,facts-llama,code-qwen3")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--json", default="")
    asked = parser.parse_args(arguments)
    lines = []
    for name in asked.bases.split(","):
        for seed in range(asked.seeds):
            with tempfile.TemporaryDirectory() as folder:
                lines += compare(name, seed, asked.share, Path(folder))
            print(*lines[-3:], sep="\n", flush=True)
    shown = []
    for name in asked.bases.split(","):
        for kind in dict.fromkeys(line["replay"] for line in lines):
            group = [line for line in lines if (line["base"], line["replay"]) == (name, kind)]
            means = [statistics.mean(line["rise"][part] for line in group) for part in ("own answers", "old rows")]
            loss = statistics.mean(line["eval_loss"] for line in group)
            shown.append([name, kind, f"{loss:.3f}", *(f"{mean:+.3f}" for mean in means)])
    print(table(["base", "replay", "eval loss", "rise, own answers", "rise, old rows"], shown))
    if asked.json:
        found = {"machine": machine(), "share": asked.share, "epochs": EPOCHS, "runs": lines}
        Path(asked.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
