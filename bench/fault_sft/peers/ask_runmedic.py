"""runmedic 0.1.1 reads trainer_state.json itself."""

from pathlib import Path

from adapter import DOWN, UP, answer, claim, main, pulls_of
from runmedic import loaders, roles
from runmedic.checks import run_checks

FAMILY = {
    "non_finite": "numeric",
    "divergence": "instability",
    "loss_spikes": "instability",
    "grad_spikes": "instability",
    "no_learning": "not_learning",
    "overfitting": "overfit",
    "val_below_train": "data",
    "constant_lr_plateau": "schedule",
}
# The knobs of the fixes it prints for these checks
PULLS = {
    "divergence": [("learning_rate", DOWN)],
    "loss_spikes": [("learning_rate", DOWN)],
    "grad_spikes": [("learning_rate", DOWN)],
    "no_learning": [("learning_rate", UP)],
    "overfitting": [("epochs", DOWN)],
    "non_finite": [("learning_rate", DOWN)],
}


def read(folder: Path) -> dict:
    found = []
    for run in loaders.load(str(folder / "trainer_state.json")):
        found += run_checks(run, roles.detect(run, {}))
    claims = [claim(FAMILY.get(f.check, "other"), f.check, f.severity != "info") for f in found]
    pulls = [pull for f in found if f.severity != "info" for pull in PULLS.get(f.check, [])]
    return answer(claims, pulls_of(pulls))


main(read)
