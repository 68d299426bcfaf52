"""trainlens 0.20.0: its analysis of the loss lists, and its monitor fed with every record of the log."""

import re
from pathlib import Path

from adapter import DOWN, answer, claim, columns, main, matched, pulls_of
from trainlens import TrainLensMonitor, analyze

FAMILY = (
    ("overfitting", "overfit"),
    ("plateau", "not_learning"),
    ("stagnation", "not_learning"),
    ("unstable", "instability"),
    ("non_finite", "numeric"),
)


def family_of(title: str) -> str:
    return next((family for word, family in FAMILY if word in title.lower()), "other")


def read(folder: Path) -> dict:
    train, evals = columns(folder)
    train_loss, val_loss = matched(folder)
    signals = analyze({"train_loss": train_loss, "val_loss": val_loss}).signals
    found = {signal.title: signal.severity != "info" for signal in signals}
    monitor = TrainLensMonitor()
    rows = [(step, {"loss": float(row["loss"])}) for step, row in train]
    rows += [(step, {"eval_loss": loss}) for step, loss in evals]
    for step, metrics in sorted(rows, key=lambda row: row[0]):
        for alert in monitor.observe(step, metrics):
            found[re.sub(":.*", "", alert.code)] = True
    claims = [claim(family_of(title), title, firm) for title, firm in found.items() if family_of(title) != "other"]
    overfit = any(entry["family"] == "overfit" for entry in claims)
    return answer(claims, pulls_of([("epochs", DOWN)] if overfit else []))


main(read)
