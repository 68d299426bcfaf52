"""How often each fault of the data that no curve shows is named by its probe, and sound data is not.

    python -m bench.data_probes [--pairs tiny:demo,...] [--seeds 1] [--labels-seeds 3] [--json FILE]

Each pair is a base and a kind of rows. ``labels``: the untouched base is asked about sound and about shuffled rows.
``runs``: real trainings on sound rows, on rows of which an eighth has another row's answer (validation rows among
them), on shuffled rows, and under a template nobody was trained on; counted is what the curve alone says, what the run
says at its end, and what ``next --probe`` says of the finished run, for wrong answers row by row.
Bases other than bundled ones come from ``python -m bench.fault_sft bases``.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tunewright as tw
from bench.fault_sft.bases import BASES, ODD_REPLY, ODD_USER, TEMPLATE
from bench.fault_sft.bases import REPLY as REPLY_MARK
from bench.fault_sft.bases import USER as USER_MARK
from bench.fault_sft.paths import BASES_DIR
from bench.fault_sft.stored import load_world
from bench.fault_sft.worlds import WORLDS, Row
from bench.records import machine
from bench.table import table
from tunewright.curve.read import read_curves
from tunewright.data.dataset import load_dataset
from tunewright.data.sources import demo_files
from tunewright.doctor.diagnose import diagnose

# the first half was looked at while limits were set, the second was not
PAIRS = (
    *("tiny:demo", "sums-neox:sums", "facts-llama:facts", "docs-llama:docs", "labels-mistral:labels"),
    *("facts-llama:demo", "tiny:records", "code-qwen3:code", "records-olmo2:records", "tiny:sorting", "tiny:lookup"),
)
ROWS, WRONG_SHARE, VAL_SHARE, EPOCHS = 240, 0.125, 0.25, 12
ABOUT_DATA = ("labels_unrelated", "template_mismatch", "leak", "noisy_labels", "val_shift")
PLAIN = "{% for m in messages %}{{ '[' + m.role + ']: ' + m.content + eos_token }}{% endfor %}" + (
    "{% if add_generation_prompt %}{{ '[assistant]: ' }}{% endif %}"
)
"""A template that no bundled base was made with."""
KNOWS_CHAT = ("tiny", *(name for name, base in BASES.items() if base.chatty))


# --- rows -------------------------------------------------------------------------------------------------------------


def rows_of(kind: str, count: int, seed: int) -> list[Row]:
    """Rows of a kind, drawn by the seed."""
    if kind == "demo":
        lines = [json.loads(line) for line in demo_files()["train"].read_text(encoding="utf-8").splitlines()]
        pool = [Row(line["instruction"], line["completion"]) for line in lines]
    elif kind in MADE:
        return MADE[kind](count, random.Random(f"{kind} {seed}"))
    else:
        world = next(name for name, base in BASES.items() if base.world == kind)
        pool = load_world(BASES_DIR / world).train if (BASES_DIR / world).is_dir() else WORLDS[kind](seed).train
    return random.Random(seed).sample(pool, min(count, len(pool)))


def _name(draw: random.Random, syllables: int = 3) -> str:
    return "".join(draw.choice("bdfgklmnprst") + draw.choice("aeiou") for _ in range(syllables)).capitalize()


def sorting(count: int, draw: random.Random) -> list[Row]:
    """Numbers to be put in order."""
    lists = [draw.sample(range(10, 99), 4) for _ in range(count)]
    return [Row("Sort " + " ".join(map(str, one)), " ".join(map(str, sorted(one)))) for one in lists]


def lookup(count: int, draw: random.Random) -> list[Row]:
    """Facts that can only be learnt by heart: nothing of the question is in the answer, and none is asked twice."""
    return [Row(f"What is the code word of {_name(draw)}?", f"{_name(draw, 4)}.") for _ in range(count)]


MADE: dict[str, Callable[[int, random.Random], list[Row]]] = {"sorting": sorting, "lookup": lookup}


def shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    answers = [row.answer for row in rows]
    random.Random(f"shuffle {seed}").shuffle(answers)
    return [replace(row, answer=answer) for row, answer in zip(rows, answers, strict=True)]


def with_wrong(rows: Sequence[Row], seed: int) -> tuple[list[Row], set[int]]:
    """The rows with another row's answer in a share of them, and the numbers (from 1) of those."""
    draw = random.Random(f"wrong {seed}")
    places = draw.sample(range(len(rows)), round(WRONG_SHARE * len(rows)))
    made = list(rows)
    for at in places:
        made[at] = replace(made[at], answer=draw.choice([row.answer for row in rows if row.answer != rows[at].answer]))
    return made, {at + 1 for at in places}


def written(path: Path, rows: Sequence[Row]) -> str:
    lines = [json.dumps({"prompt": row.prompt, "completion": row.answer}) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


# --- what is said of them ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """curve, end, probe: findings about data of the curve alone, of the run with its probes, and verdicts of
    ``next --probe``; hits, named, wrong: rows with wrong answers among those named."""

    base: str
    kind: str
    seed: int
    fault: str
    curve: tuple[str, ...]
    end: tuple[str, ...]
    probe: tuple[str, ...] = ()
    left_open: tuple[str, ...] = ()
    named: int = 0
    hits: int = 0
    wrong: int = 0
    seconds: float = 0.0


def model_of(base: str) -> str:
    return str(BASES_DIR / base) if (BASES_DIR / base).is_dir() else base


def ask_labels(base: str, kind: str, seed: int, folder: Path) -> Iterator[Said]:
    """The untouched base about sound and about shuffled rows."""
    rows = rows_of(kind, ROWS, seed)
    for fault, made in (("sound", rows), ("shuffled", shuffled(rows, seed))):
        began_s = time.perf_counter()
        probe = tw.check(written(folder / "rows.jsonl", made), model=model_of(base), seed=seed, probe=True)["probe"]
        said = tuple(f"{one.symptom}:{one.severity}" for one in probe.findings)
        yield Said(base, kind, seed, fault, (), said, left_open=tuple(one.because for one in probe.abstained),
                   seconds=time.perf_counter() - began_s)  # fmt: skip


def train_and_ask(base: str, kind: str, seed: int, folder: Path) -> Iterator[Said]:
    """Runs on sound rows and on faulty ones, and what is said of each."""
    rows = rows_of(kind, ROWS, seed)
    noisy, wrong = with_wrong(rows, seed)
    cases: list[tuple[str, list[Row], dict[str, Any]]] = [
        ("sound", rows, {}),
        ("wrong answers", noisy, {}),
        ("shuffled", shuffled(rows, seed), {}),
    ]
    if base in KNOWS_CHAT:
        template = folder / "odd.jinja"
        odd = TEMPLATE.replace(USER_MARK, ODD_USER).replace(REPLY_MARK, ODD_REPLY)
        template.write_text(PLAIN if base == "tiny" else odd, encoding="utf-8")
        cases.append(("template", rows, {"template": str(template)}))
    for fault, made, settings in cases:
        began_s = time.perf_counter()
        data = written(folder / f"{fault}.jsonl", made)
        run = tw.train(
            data, model=model_of(base), runs_dir=folder / "runs", seed=seed, val_size=VAL_SHARE, report_to=(),
            num_train_epochs=EPOCHS, **settings,
        )["run"]  # fmt: skip
        curve = read_curves(Path(run))[0]
        findings = [
            tuple(one.symptom for one in read.findings if one.symptom in ABOUT_DATA)
            for read in (diagnose(replace(curve, probed=())), diagnose(curve))
        ]
        probes = tw.next_recipe(run, probe=True)["probes"] if fault in ("sound", "wrong answers") else ()
        named = set(next((one.evidence["rows"] for one in probes if one.probe == "rows"), ()))
        marked = wrong if fault == "wrong answers" else set[int]()
        yield Said(
            base, kind, seed, fault, *findings,
            probe=tuple(one.probe for one in probes if one.verdict == "fault"),
            left_open=tuple(one.probe for one in probes if one.verdict == "unclear"),
            named=len(named), hits=len(named & marked), wrong=len(held_in(data, seed, marked)),
            seconds=time.perf_counter() - began_s,
        )  # fmt: skip


def held_in(data: str, seed: int, numbers: set[int]) -> set[int]:
    """Of these rows, those that are trained on: the only ones that ``next --probe`` can name."""
    return numbers & {row.number for row in load_dataset({"data": data, "val_size": VAL_SHARE, "seed": seed}).train}


# --- tables -----------------------------------------------------------------------------------------------------------


def count(said: Sequence[Said], of: Callable[[Said], bool]) -> str:
    return f"{sum(map(of, said))} of {len(said)}" if said else "-"


def labels_table(found: Sequence[Said]) -> str:
    """Of how many draws sound and shuffled rows were called unrelated before training, by pair."""
    lines = []
    for pair in dict.fromkeys((one.base, one.kind) for one in found):
        parts = [[one for one in found if (one.base, one.kind, one.fault) == (*pair, fault)] for fault in SIDES]
        columns = [
            count(part, lambda one, severity=severity: f"labels_unrelated:{severity}" in one.end)  # type: ignore[misc]
            for part in parts
            for severity in ("error", "warning")
        ]
        left = dict.fromkeys(because for one in parts[1] for because in one.left_open)
        lines.append([*pair, *columns, "; ".join(left)[:60]])
    heads = ["base", "rows", "sound: error", "warning", "shuffled: error", "warning", "shuffled: left open because"]
    return table(heads, lines)


def runs_table(found: Sequence[Said]) -> str:
    """One line for each run."""
    lines = [
        [one.base, one.kind, str(one.seed), one.fault, _listed(one.curve), _listed(one.end), _listed(one.probe),
         _listed(one.left_open), f"{one.hits} of {one.named}" if one.named else "-",
         f"{one.hits} of {one.wrong}" if one.wrong else "-", f"{one.seconds:.0f}"]
        for one in found
    ]  # fmt: skip
    heads = ["base", "rows", "seed", "fault", "curve alone", "at the end", "next --probe", "left open", "right / named",
             "named / wrong", "s"]  # fmt: skip
    return table(heads, lines)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) or "-"


SIDES = ("sound", "shuffled")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", default=",".join(PAIRS))
    parser.add_argument("--seeds", type=int, default=1, help="of the runs; 0: none")
    parser.add_argument("--labels-seeds", type=int, default=3)
    parser.add_argument("--json", default="")
    asked = parser.parse_args(arguments)
    labels: list[Said] = []
    runs: list[Said] = []
    for pair in asked.pairs.split(","):
        base, _, kind = pair.partition(":")
        for part, ask, seeds in ((labels, ask_labels, asked.labels_seeds), (runs, train_and_ask, asked.seeds)):
            for seed in range(seeds):
                with tempfile.TemporaryDirectory() as folder:
                    for one in ask(base, kind, seed, Path(folder)):
                        part.append(one)
                        print(one, flush=True)
    if labels:
        print(labels_table(labels))
    if runs:
        print(runs_table(runs))
    if asked.json:
        found = {"machine": machine(), "labels": list(map(asdict, labels)), "runs": list(map(asdict, runs))}
        Path(asked.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
