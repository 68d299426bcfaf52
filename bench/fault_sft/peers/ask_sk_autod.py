"""sk-autod 0.1.1: two lists of losses of equal length, taken at the evaluations."""

from pathlib import Path

from adapter import DOWN, UP, answer, claim, main, matched, pulls_of
from sk_autod import diagnose

FAMILY = {
    "LR too high": "instability",
    "LR too low": "not_learning",
    "Exploding gradient": "instability",
    "Noisy training": "instability",
    "Underfitting": "not_learning",
    "Dying ReLU proxy": "not_learning",
    "Classic overfitting": "overfit",
    "Missed early stopping": "overfit",
    "Data leakage": "data",
    "Label noise floor": "data",
}
PULLS = {
    "LR too high": [("learning_rate", DOWN)],
    "LR too low": [("learning_rate", UP)],
    "Exploding gradient": [("learning_rate", DOWN)],
    "Noisy training": [("learning_rate", DOWN)],
    "Classic overfitting": [("epochs", DOWN)],
    "Missed early stopping": [("epochs", DOWN)],
    "Underfitting": [("epochs", UP)],
}


def read(folder: Path) -> dict:
    train_loss, val_loss = matched(folder)
    found = diagnose(train_loss, val_loss).findings
    claims = [claim(FAMILY.get(f.detector_name, "other"), f.detector_name, f.severity.value != "INFO") for f in found]
    return answer(claims, pulls_of([pull for f in found for pull in PULLS.get(f.detector_name, [])]))


main(read)
