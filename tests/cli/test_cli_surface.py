"""The command line is a promise: this list changes only on purpose."""

from __future__ import annotations

import click
import pytest

from tunewright.cli.main import app, run

SURFACE = {
    "check": "data --model --val --show-mask --html --fix --recipe --set --json --quiet --no-progress",
    "plan": "data --model --val --test --preset --recipe --set --stage --method --task --vram --seed --measure --out "
    "--schema --runs-dir --json --quiet --no-progress",
    "train": "data --model --val --test --preset --recipe --set --stage --method --task --replay --resume --runs-dir "
    "--name --seed --report-to --json --quiet --no-progress --dry-run",
    "tune": "data --model --val --test --preset --recipe --set --goal --budget --resume --runs-dir --name --seed "
    "--report-to --json --quiet --no-progress --dry-run",
    "sweep": "data --model --val --test --preset --recipe --set --stage --method --task --replay --grid --slots --plan "
    "--resume --runs-dir --name --seed --report-to --json --quiet --no-progress --dry-run",
    "exam": "run --suite --draft --fail-under --json --quiet --no-progress",
    "watch": "run --once --json",
    "diagnose": "sources --fail-on --map --json",
    "next": "run --policy --data --table --out --runs-dir --json",
    "report": "source --out --format --json",
    "export": "source --to --out --set --json",
    "explain": "code",
    "env": "--json",
    "runs ls": "--runs-dir --json",
    "runs show": "run --json",
    "runs compare": "paths --json",
    "runs rules": "--runs-dir --json",
}


def surface() -> dict[str, str]:
    """Every verb with its arguments and options (the long form), as the library built them."""
    found = {}
    for name, command in app.commands.items():
        inner = command.commands if isinstance(command, click.Group) else {}
        for verb, one in {f"{name} {sub}": each for sub, each in inner.items()}.items() if inner else [(name, command)]:
            found[verb] = " ".join(max(option.opts, key=len) for option in one.params)
    return found


def test_the_verbs_and_their_options_are_these() -> None:
    assert surface() == SURFACE


@pytest.mark.parametrize("verb", ["", *SURFACE])
def test_every_verb_has_help_that_ends_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*verb.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Usage: tunewright")
    assert (
        verb in ("env", "runs ls", "runs show", "runs compare", "runs rules") or "tunewright " in said.splitlines()[-1]
    )
