"""training-doctor 0.1.0, fed with its own logging call, step by step."""

from pathlib import Path

from adapter import DOWN, UP, answer, claim, columns, main, pulls_of
from training_doctor import Doctor

FAMILY = {
    "Gradient instability detected": "instability",
    "Possible mixed precision instability": "numeric",
    "Learning rate likely too high": "instability",
    "Learning rate may be too low": "not_learning",
    "Overfitting detected": "overfit",
    "Unusual train/eval pattern": "data",
    "Training plateau detected": "not_learning",
    "Early training plateau": "not_learning",
}
PULLS = {
    "Learning rate likely too high": [("learning_rate", DOWN)],
    "Gradient instability detected": [("learning_rate", DOWN)],
    "Learning rate may be too low": [("learning_rate", UP)],
    "Overfitting detected": [("epochs", DOWN), ("learning_rate", DOWN)],
    "Training plateau detected": [("learning_rate", DOWN)],
}


def read(folder: Path) -> dict:
    train, evals = columns(folder)
    measured = dict(evals)
    doctor = Doctor()
    for step, row in train:
        known = {"loss": row["loss"], "lr": row["learning_rate"], "grad_norm": row["grad_norm"]}
        if step in measured:
            known["eval_loss"] = measured[step]
        doctor.log(step=step, **known)
    found = {diagnosis.problem: diagnosis.severity.value != "info" for diagnosis in doctor.diagnoses}
    claims = [claim(FAMILY.get(problem, "other"), problem, firm) for problem, firm in found.items()]
    return answer(claims, pulls_of([pull for problem in found for pull in PULLS.get(problem, [])]))


main(read)
