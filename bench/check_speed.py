"""How long ``check`` takes beside bare tokenisation of the same texts, and how much memory.

    python -m bench.check_speed [--rows 10000] [--tokens 500] [--model NAME] [--repeats 3] [--json FILE]

The two take turns, each in a process of its own; seconds are of processor time, so that other work on the machine does
not count, and only their ratio travels from one machine to another. Bare: the rows' texts, already rendered, through
the tokenizer in batches of 1,000, ids thrown away. Check: everything ``tunewright check`` does after its imports, from
the file to the last fault. Memory is the process's peak, and what of that came after the imports in sizes of the file.
Words are as frequent as those of English (1 / (rank + 2.7): Mandelbrot, 1953), and one row in a hundred is a near
duplicate of the one before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.records import machine
from bench.table import table

READY = """
import json, resource, sys, time
from tunewright.app.check import check
from tunewright.data.model_folder import load_tokenizer, resolve_model
from tunewright.data.read import read_rows
from pathlib import Path
file, model = sys.argv[1:]
tokenizer = load_tokenizer(resolve_model(model), None)
tokenizer(["warm"])
def peak_MiB():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
imported_MiB = peak_MiB()
"""
BARE = """
texts = [tokenizer.apply_chat_template(row.as_dicts(), tokenize=False) for row in read_rows(Path(file)).rows]
began = time.process_time()
tokens = 0
for at in range(0, len(texts), 1000):
    tokens += sum(map(len, tokenizer(texts[at : at + 1000], add_special_tokens=False)["input_ids"]))
said = {"tokens": tokens}
"""
CHECK = """
began = time.process_time()
report = check(file, model=model, max_length=4096, val_size=0)
said = {"tokens": report["tokens"], "near": sum(f["count"] for f in report["faults"] if f["fault"] == "near_duplicate")}
"""
TOLD = """
said |= {"seconds": time.process_time() - began, "MiB": peak_MiB(), "imported_MiB": imported_MiB}
print(json.dumps(said))
"""


def write_rows(path: Path, rows: int, tokens_per_row: int, tokenizer_name: str) -> int:
    """A file of chats of about so many tokens; returns how many of them nearly repeat the row before."""
    from tunewright.data.model_folder import load_tokenizer, resolve_model

    draw = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = ["".join(letters[draw.integers(0, len(letters), size)]) for size in draw.integers(2, 10, 20_000)]
    cumulated = np.cumsum(1 / (np.arange(len(words)) + 2.7))

    def ranks_of(*shape: int) -> NDArray[np.int64]:
        return np.searchsorted(cumulated, draw.random(shape) * cumulated[-1])

    ranks = ranks_of(200, 300)
    sample = [" ".join(words[rank] for rank in line) for line in ranks]
    tokenizer = load_tokenizer(resolve_model(tokenizer_name), None)
    per_word = sum(len(ids) for ids in tokenizer(sample)["input_ids"]) / (200 * 300)
    count = max(8, round(tokens_per_row / per_word))
    near, before = 0, ""
    with open(path, "w", encoding="utf-8") as file:
        for number in range(rows):
            drawn = [words[rank] for rank in ranks_of(count)]
            question, answer = " ".join(drawn[: count // 3]), " ".join(drawn[count // 3 :])
            if before and number % 100 == 50:
                question, answer, near = *before.split("\n"), near + 1
                answer += " indeed"
            before = f"{question}\n{answer}"
            file.write(json.dumps({"prompt": question, "completion": answer}) + "\n")
    return near


def measure(code: str, file: Path, model: str) -> dict[str, float]:
    """What one process says after doing its work."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-c", READY + code + TOLD, str(file), model]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", default="")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        near = write_rows(file, asked.rows, asked.tokens, asked.model)
        turns = [(measure(BARE, file, asked.model), measure(CHECK, file, asked.model)) for _ in range(asked.repeats)]
        file_MiB = file.stat().st_size / 2**20
    ratio = statistics.median(check["seconds"] / bare["seconds"] for bare, check in turns)
    bare, check = turns[-1]
    print(f"{asked.rows:,} rows, {bare['tokens']:,.0f} tokens, {file_MiB:.0f} MiB")
    print(f"near duplicates: {check['near']} of {near}")
    lines = [
        [name, f"{one['seconds']:.2f}", f"{one['MiB']:.0f}", f"{(one['MiB'] - one['imported_MiB']) / file_MiB:.1f}"]
        for name, one in (("bare", bare), ("check", check))
    ]
    print(table(["", "processor s", "peak MiB", "above imports, files"], lines))
    print(f"check / bare: {ratio:.2f} (median of {asked.repeats})")
    if asked.json:
        found = {"machine": machine(), "rows": asked.rows, "tokens": bare["tokens"], "turns": turns, "ratio": ratio}
        Path(asked.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
