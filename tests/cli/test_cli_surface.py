"""The command line is a promise: this list changes only on purpose."""

from __future__ import annotations

import click
import pytest

from tunewright.cli.main import app, run

SURFACE = {
    "check": "data --model --val --show-mask --html --fix --probe --recipe --set --json --quiet --no-progress",
    "plan": "data --model --val --test --preset --recipe --set --stage --method --task --vram --seed --measure --out "
    "--schema --runs-dir --json --quiet --no-progress",
    "train": "data --model --val --test --preset --recipe --set --stage --method --task --replay --resume --trainer "
    "--trainer-python --stop-on --runs-dir --name --seed --report-to --json --quiet --no-progress --dry-run",
    "tune": "data --model --val --test --preset --recipe --set --goal --budget --resume --domain --explain --runs-dir "
    "--name --seed --report-to --json --quiet --no-progress --dry-run",
    "sweep": "data --model --val --test --preset --recipe --set --stage --method --task --replay --grid --slots --plan "
    "--resume --runs-dir --name --seed --report-to --json --quiet --no-progress --dry-run",
    "exam": "run --suite --draft --model --data --outside --tasks --fail-under --json --quiet --no-progress",
    "bakeoff": "data --models --val --suite --tune --set --runs-dir --seed --json --quiet --no-progress",
    "chat": "run --model --base-only --tuned-only --system --max-tokens --json --quiet",
    "merge": "run --out --model --precision --json --quiet --no-progress",
    "watch": "run --once --json",
    "diagnose": "sources --fail-on --map --json",
    "next": "run --policy --data --table --recipe --to --probe --out --map --runs-dir --json --quiet --no-progress",
    "report": "source --out --format --check --map --json",
    "export": "source --to --out --verify --python --set --json",
    "explain": "code --json",
    "env": "--json",
    "board": "folder --host --port --no-browser",
    "runs ls": "--runs-dir --filter --sort --json",
    "runs show": "run --json",
    "runs compare": "paths --json",
    "runs note": "run text --json",
    "runs tag": "run tags --remove --json",
    "runs rm": "paths --yes --json",
    "runs rules": "--runs-dir --json",
}


def surface() -> dict[str, str]:
    """Every verb with its arguments and options (the long form), as the library built them."""
    found = {}
    for name, command in app.every().items():
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
    assert verb == "env" or "tunewright " in said.splitlines()[-1]
